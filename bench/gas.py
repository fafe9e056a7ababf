"""Gas of a session (bench/gas_market.py), and of proven deliveries with real proofs, 24 intervals a day, six hours sold:
verification, storage reads, record and event.

`WATTPROOF_BENCH_LARGE=1` adds proofs of 32 accounts, whose key takes minutes to make where it is absent. Accounts have
neighbouring numbers, as they have where a community registers.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from eth_account import Account

from bench import Row, gas_market
from contracts.calls import ClearingPass
from contracts.chain import anvil_binary, open_chain
from contracts.client import MarketClient
from contracts.deliveries import Entry, ProofBatch, delivery_words
from contracts.deploy import VerifyingKey, ZoneSpec, deploy
from contracts.encoding import ScheduleOrder, Step, entry_words, groups_of
from contracts.sessions import SessionRequest
from contracts.units import Direction, Kind, Mode, Side
from market.clearing.uniform import clear
from market.orders import book_from_log
from market.session import SessionTerms, Zone
from settlement.rules import load
from zk.eddsa import PrivateKey
from zk.keys import ensure_development_key, read_info
from zk.prover import Prover, open_prover
from zk.statement import AccountInput, Shared, make_statement
from zk.windows import close_window, start_log

T, HOURS = 24, 6
DAY = 17_358
FIRST_DAY = DAY - 16
MASK = sum(1 << t for t in range(16, 16 + HOURS))
OPERATOR = b"\x07" * 32
TRANSACTION, PAIRING = 21_000, 45_000 + 4 * 34_000
"""What any transaction costs, and a product of four pairings (EIP-1108): a Groth16 verification can cost no less."""


@dataclass(frozen=True)
class Street:
    """A market with a cleared session, at the hour at which its deliveries end."""

    client: MarketClient
    session: int
    prover: Prover

    def batch(self, first: int, size: int) -> ProofBatch:
        """A proof of the `size` accounts from `first` on."""
        deployment = self.client.deployment
        shared = Shared(deployment.chain_id, int(deployment.contracts["Deliveries"], 16), self.session, DAY, MASK)
        statement = make_statement(shared, [self._home(account) for account in range(first, first + size)])
        entries = [
            Entry(account, count, mask, tuple(deviations))
            for account, _, _, mask, count, _, *deviations in (one.words for one in statement.accounts)
        ]
        proved = self.prover.prove(statement)
        return ProofBatch(statement.c, tuple(delivery_words(entries)), proved.proof.words())

    def _home(self, account: int) -> AccountInput:
        key, draw = _meter(account), random.Random(account)
        windows = list(start_log(key, DAY - 14, T))
        for day in range(DAY - 14, DAY + 1):
            windows.append(close_window(key, day, [draw.randrange(-900, 2_500) for _ in range(T)], windows[-1].head))
        return AccountInput(account, key.public, windows[-15:], self.client.admissible(1, account, DAY), MASK)


def measure() -> list[Row]:
    """Order entry, clearing and settlement; then, per number of accounts, the gas of an account's proof."""
    large = os.environ.get("WATTPROOF_BENCH_LARGE") == "1"
    sizes = (1, 10, 32) if large else (1, 10)
    keys = [ensure_development_key(T, size) for size in sizes]
    circuits = [
        VerifyingKey(s, k.verifying_key().words(), read_info(k.info).development) for s, k in zip(sizes, keys, strict=True)
    ]
    with open_prover(*keys) as prover:
        with _market(circuits) as client:
            rows = gas_market.measure(client, OPERATOR, prover, FIRST_DAY)
        with _market(circuits) as client:
            return [*rows, *_proofs(client, prover, sizes)]


@contextmanager
def _market(circuits: list[VerifyingKey]) -> Iterator[MarketClient]:
    """A new market on a chain of its own, every role one key's."""
    with open_chain("anvil" if anvil_binary() else "tester", FIRST_DAY * 86_400) as chain:
        operator = Account.from_key(OPERATOR).address
        chain.fund(operator)
        yield MarketClient(chain, deploy(chain, OPERATOR, circuits, ZoneSpec(0, 60), operator=operator, metering=operator))


def _proofs(client: MarketClient, prover: Prover, sizes: tuple[int, ...]) -> list[Row]:
    rows = []
    street = Street(client, _session(client, 3 * sum(sizes)), prover)
    account = 1
    for size in reversed(sizes):
        for number in (1, 2):
            batches = [street.batch(account + i * size, size) for i in range(number)]
            account += number * size
            call = client.encode_prove(street.session, batches)
            used = client.send(OPERATOR, call).gas_used
            floor = TRANSACTION + sum(16 if byte else 4 for byte in call.data) + PAIRING + (number - 1) * 34_000
            rows += _rows(size, number, used, floor, main=(size, number) == (sizes[-1], 1))
    return rows


def _rows(size: int, number: int, used: int, floor: int, *, main: bool) -> list[Row]:
    """The gas of an account in a call of `number` proofs of `size` accounts; for the `main` one also what is the least."""
    per = size * number
    note = f"N = {size}, {number} in a call: {used:,} gas"
    if not main:
        return [Row(f"verify_account_n{size}_by_{number}", round(used / per, 1), "gas", None, note)]
    return [
        Row("verify_account", round(used / per, 1), "gas", 20_000.0 if size == 32 else None, note),
        Row("floor_account", round(floor / per, 1), "gas", None, "transaction, calldata and four pairings, no other work"),
        Row("above_floor", round(used / floor, 2), "x", None, "storage reads, record, event, public words and scaled points"),
    ]


def _meter(account: int) -> PrivateKey:
    return PrivateKey(account.to_bytes(32, "big"))


def _session(client: MarketClient, homes: int) -> int:
    """Registers homes with meters, opens, trades and clears a session in which the first sells; its deliveries have ended."""
    chain, operator, rules = client.chain, Account.from_key(OPERATOR).address, load()
    for account in range(1, homes + 2):
        assert client.register(OPERATOR, operator) == account
        if account <= homes:
            client.bind_meter(OPERATOR, account, 1, _meter(account).public.word(), FIRST_DAY)
    client.mint(OPERATOR, operator, 2 * 10**9)
    client.approve(OPERATOR, 2 * 10**9)
    for account in (1, homes + 1):
        client.deposit(OPERATOR, account, 10**9)
    now, end = chain.now(), (DAY + 1) * 86_400
    request = SessionRequest(
        1, Kind.ELECTRICAL, Direction.UP, Mode.COMPETITIVE, DAY, MASK, now, now + 600, end, end, 500_000, 1,
        client.deployment.contracts["Deliveries"],
    )  # fmt: skip
    session = client.open_session(OPERATOR, request, rules.words())
    terms = client.terms(session)
    for account, side in ((1, Side.OFFER), (homes + 1, Side.BID)):
        step = Step((500,) * HOURS, (100_000,) * HOURS)
        client.place(OPERATOR, session, entry_words(ScheduleOrder(account, side, (step,)), terms))
    chain.advance_to(terms.gate_close)
    known = SessionTerms.of_contract(session, Zone(1, 0, 60), terms)
    log = client.order_log(session)
    clearing = clear(book_from_log(known, log.batches))
    client.clear(OPERATOR, session, ClearingPass.whole(log, clearing.certificate_words))
    for group, rows in enumerate(groups_of(clearing.rows)):
        client.commit(OPERATOR, session, group, rows)
    chain.advance_to(terms.delivery_end)
    return session
