"""The same behaviour on both development chains: preparing, sending twice, time, refusals, logs, restarts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contracts_world import GENESIS, address_of, key_of

from contracts.artifacts import load
from contracts.chain import MAX_TRANSACTION_GAS, Chain, ChainBusyError, ChainError, open_chain
from contracts.chain_rpc import AnvilChain, NodeChain, RpcError
from contracts.refusals import ContractRefusal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
TOKEN = load("DevEuro")
MINT, BALANCE, TRANSFER = (TOKEN.functions[name] for name in ("mint", "balanceOf", "transfer"))


@pytest.fixture(scope="module", params=["tester", pytest.param("anvil", marks=pytest.mark.needs("anvil"))])
def chain(request: pytest.FixtureRequest) -> Iterator[Chain]:
    with open_chain(request.param, GENESIS) as opened:
        opened.fund(address_of("anna"))
        yield opened


@pytest.fixture(scope="module")
def token(chain: Chain) -> str:
    contract = chain.transact(None, TOKEN.creation(), key_of("anna")).contract
    assert contract and chain.code(contract)
    return contract


def test_begins_where_it_should(chain: Chain) -> None:
    assert chain.block(0).timestamp == GENESIS and GENESIS <= chain.now() < GENESIS + 600
    assert chain.is_development and chain.chain_id in (31337, 131277322940537)
    with open_chain(chain.name, GENESIS) as other:
        assert other.genesis != chain.genesis, "every start is another chain"


def test_a_prepared_transaction_can_be_sent_again(chain: Chain, token: str) -> None:
    before = BALANCE.result(chain.call(token, BALANCE.call(address_of("anna"))))
    prepared = chain.prepare(token, MINT.call(address_of("anna"), 7), key_of("anna"))
    assert chain.receipt(prepared.hash) is None and chain.transaction(prepared.hash) is None
    assert prepared.sender == address_of("anna") and prepared.nonce == chain.nonce(address_of("anna"))
    for _ in range(3):
        assert chain.send_raw(prepared.raw) == prepared.hash
        assert chain.wait(prepared.hash).succeeded
    assert BALANCE.result(chain.call(token, BALANCE.call(address_of("anna")))) == before + 7
    sent = chain.transaction(prepared.hash)
    assert sent and (sent.sender, sent.to, sent.data) == (address_of("anna"), token, MINT.call(address_of("anna"), 7))
    again = chain.prepare(token, MINT.call(address_of("anna"), 8), key_of("anna"), nonce=prepared.nonce)
    with pytest.raises(ChainError, match="nonce"):
        chain.send_raw(again.raw)
    with pytest.raises(ChainError):
        chain.send_raw(b"\x02nonsense")


def test_refusals_look_alike_from_calls_and_transactions(chain: Chain, token: str) -> None:
    data = TRANSFER.call(address_of("ben"), 10**20)
    with pytest.raises(ContractRefusal) as called:
        chain.call(token, data, address_of("anna"))
    with pytest.raises(ContractRefusal) as sent:
        chain.transact(token, data, key_of("anna"))
    for caught in (called.value, sent.value):
        assert caught.error_name == "ERC20InsufficientBalance"
        assert caught.arguments["needed"] == 10**20 and str(10**20) in caught.message
    prepared = chain.prepare(token, data, key_of("anna"))
    receipt = chain.wait(chain.send_raw(prepared.raw))
    assert not receipt.succeeded and receipt.logs == ()
    assert chain.refusal_of(prepared.hash).error_name == "ERC20InsufficientBalance"
    with pytest.raises(ContractRefusal) as starved:
        chain.transact(token, MINT.call(address_of("new"), 1), key_of("anna"), gas=30_000)
    assert starved.value.error_name == "OutOfGas"


def test_no_transaction_above_the_cap(chain: Chain, token: str) -> None:
    chain.prepare(token, b"", key_of("anna"), gas=MAX_TRANSACTION_GAS)
    with pytest.raises(ChainError, match=f"at most {MAX_TRANSACTION_GAS}.*got {MAX_TRANSACTION_GAS + 1}"):
        chain.prepare(token, b"", key_of("anna"), gas=MAX_TRANSACTION_GAS + 1)


def test_time_goes_forward_only(chain: Chain, token: str) -> None:
    target = chain.now() + 86_400
    chain.advance_to(target)
    assert chain.now() == target
    chain.advance_to(target - 1000)
    assert chain.now() == target
    chain.transact(token, MINT.call(address_of("anna"), 1), key_of("anna"))
    assert target <= chain.now() <= target + 10


def test_logs_by_block_address_and_topic(chain: Chain, token: str) -> None:
    receipts = [chain.transact(token, MINT.call(address_of("anna"), n), key_of("anna")) for n in (11, 12, 13)]
    topic = receipts[0].logs[0].topics[0]
    found = chain.logs([token], receipts[0].block, receipts[1].block, [topic])
    assert [log.data for log in found] == [n.to_bytes(32, "big") for n in (11, 12)]
    assert [log.transaction for log in found] == [r.transaction for r in receipts[:2]]
    assert found == [log for r in receipts[:2] for log in r.logs]
    assert chain.logs([token], receipts[0].block, None, [b"\x01" * 32]) == []
    assert chain.logs([address_of("ben")], 0) == []
    assert len(chain.logs([token], receipts[2].block)) == 1


def test_funding(chain: Chain) -> None:
    before = chain.balance(address_of("rich"))
    chain.fund(address_of("rich"), 10**18)
    chain.fund(address_of("rich"), 10**18)
    assert chain.balance(address_of("rich")) == before + 2 * 10**18


@pytest.mark.needs("anvil")
def test_anvil_goes_on_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "chain" / "state.json"
    with AnvilChain(GENESIS, state) as first:
        first.fund(address_of("anna"))
        token = first.transact(None, TOKEN.creation(), key_of("anna")).contract
        assert token
        first.transact(token, MINT.call(address_of("anna"), 5), key_of("anna"))
        first.advance_to(GENESIS + 1000)
        with pytest.raises(ChainBusyError, match=str(state)):
            AnvilChain(GENESIS, state)
        genesis, number, nonce = first.genesis, first.block().number, first.nonce(address_of("anna"))
    with AnvilChain(None, state) as second:
        assert second.genesis == genesis and second.block().number >= number
        assert GENESIS + 1000 <= second.now() < GENESIS + 1100, "the clock goes on as well"
        assert second.nonce(address_of("anna")) == nonce
        assert BALANCE.result(second.call(token, BALANCE.call(address_of("anna")))) == 5
        second.transact(token, MINT.call(address_of("anna"), 1), key_of("anna"))
        assert len(second.logs([token], 0)) == 2, "events from before are still there"
        time.sleep(1.5)
        second._process.kill()
    with AnvilChain(None, state) as third:
        assert BALANCE.result(third.call(token, BALANCE.call(address_of("anna")))) == 6, "a kill loses at most a second"


@pytest.mark.needs("anvil")
def test_a_state_that_is_cut_off_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state.json"
    state.write_text('{"block": ')
    with pytest.raises(ChainError, match=rf"is {state} whole\? Without it a new chain begins"):
        AnvilChain(GENESIS, state)
    assert capfd.readouterr().err == "", "what anvil says of its own arguments helps nobody"


@pytest.mark.needs("anvil")
def test_anvil_ends_with_the_program_that_forgot_to_close_it() -> None:
    program = (
        "from contracts.chain_rpc import AnvilChain; c = AnvilChain(); print(c.process_id, flush=True); raise SystemExit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode == 3, ended.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), 0)


@pytest.mark.needs("anvil")
def test_a_node_by_its_address() -> None:
    with AnvilChain(GENESIS) as anvil, NodeChain(anvil.url) as node:
        assert (node.chain_id, node.genesis) == (anvil.chain_id, anvil.genesis)
    with pytest.raises(ChainError, match=r"the node at 127\.0\.0\.1:9 does not answer") as silent:
        open_chain("http://name:secret@127.0.0.1:9/key")
    assert "secret" not in str(silent.value) and "key" not in str(silent.value)
    with pytest.raises(ChainError, match="expected tester, anvil or an http address"):
        open_chain("nonsense")


@pytest.mark.needs("anvil")
@pytest.mark.slow
def test_anvil_is_the_same_chain_after_any_number_of_restarts(tmp_path: Path) -> None:
    state = tmp_path / "chain.json"
    seen, height = set(), 0
    for _ in range(6):
        with AnvilChain(GENESIS, state) as chain:
            seen.add(chain.genesis)
            assert chain.block().number >= height
            chain.advance_to(chain.now() + 100)
            height = chain.block().number
    assert len(seen) == 1
    with AnvilChain(GENESIS, tmp_path / "other.json") as other:
        assert other.genesis not in seen


def test_what_creation_code_would_become(chain: Chain, token: str) -> None:
    """Also what a constructor refuses, and without anything being left behind."""
    sender, before = address_of("nobody"), chain.block().number
    assert chain.created(TOKEN.creation(), sender) == chain.code(token)
    with pytest.raises(ContractRefusal) as caught:
        chain.created(load("Deliveries").creation(sender, sender, sender, 25, []), sender)
    assert caught.value.error_name == "DayLengthNotSupported"
    assert (chain.block().number, chain.nonce(sender)) == (before, 0)


def test_which_blocks_the_chain_holds(chain: Chain, token: str) -> None:
    head = chain.block()
    assert chain.holds(head.number, head.hash) and chain.holds(0, chain.genesis)
    assert not chain.holds(head.number, chain.genesis) and not chain.holds(head.number + 1, head.hash)


@pytest.mark.needs("anvil")
def test_a_node_that_answers_for_few_blocks_only_is_asked_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    with AnvilChain(GENESIS) as chain:
        chain.fund(address_of("anna"))
        token = chain.transact(None, TOKEN.creation(), key_of("anna")).contract
        assert token
        for number in range(9):
            chain.transact(token, MINT.call(address_of("anna"), number), key_of("anna"))
        whole, real = chain.logs([token], 0), chain._rpc

        def limited(method: str, *parameters: Any) -> Any:
            if method == "eth_getLogs":
                first, last = parameters[0]["fromBlock"], parameters[0]["toBlock"]
                if last == "latest" or int(last, 16) - int(first, 16) >= 3:
                    raise RpcError(method, -32005, "query exceeds max block range", None)
            return real(method, *parameters)

        monkeypatch.setattr(chain, "_rpc", limited)
        assert len(whole) == 9 and chain.logs([token], 0) == whole
        assert chain.logs([token], 3, 6) == [log for log in whole if 3 <= log.block <= 6]
