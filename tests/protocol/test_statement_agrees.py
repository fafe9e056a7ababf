"""The statement means the same to contract, circuit and plain integers, and a real proof of it is taken by every verifier."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_scene import DAY, EVENT_DAY, GAP, MASK, Claim, Scene, readings_of, secret_of, trade
from protocol_world import FIRST_DAY, Market, T, bits, key_of

from contracts.artifacts import load
from contracts.deliveries import Entry, delivery_hash, recorded_entries
from contracts.events import Delivered
from oracle.baseline import admissible_days, baseline_of
from oracle.meter import Meter
from zk.field import ORDER
from zk.keys import KeyPaths
from zk.prover import SnarkjsProver
from zk.statement import AccountInput, Shared, make_statement
from zk.verifier import verify
from zk.windows import close_window
from zk.words import challenge, compress, unpack_deviations

# ---------------------------------------------------------------------------------------------------------- words, compression


@pytest.fixture(scope="module")
def homes(market: Market, meters: dict[str, Meter]) -> Market:
    """Alice and Bob with their meters, and an event day behind Alice."""
    for name, meter in meters.items():
        market.member(name, meter.key.word(), from_day=FIRST_DAY)
    market.member("dso")
    trade(market, EVENT_DAY, bits(17), "alice")
    return market


NAMES = st.lists(st.sampled_from(["alice", "bob"]), min_size=1, max_size=3)
MASKS = st.integers(1, 2**T - 1)


@settings(max_examples=40, deadline=None)
@given(NAMES, MASKS, MASKS, st.integers(0, 2**32), st.booleans())
def test_the_contract_builds_the_statement_s_words(
    homes: Market, meters: dict[str, Meter], names: list[str], session_mask: int, part: int, seed: int, final: bool
) -> None:
    client = homes.client
    draw = random.Random(seed)
    items = []
    for name in names:
        mask = session_mask & part or session_mask  # everybody's own
        part = draw.getrandbits(T)
        # any readings on the day, with gaps wherever nothing is proven
        today = [draw.randrange(-(2**23) + 1, 2**23) if mask >> t & 1 or draw.randrange(3) else None for t in range(T)]
        log = meters[name].windows_for(DAY)[:-1]
        account = homes.accounts[name]
        events = client.event_days(account, DAY - 14, 14)
        assert events == (1 << EVENT_DAY - DAY + 14 if name == "alice" else 0)
        admissible = admissible_days(DAY, homes.zone.is_working_day, events, FIRST_DAY)
        window = close_window(secret_of(name), DAY, today, log[-1].head, final=final)
        items.append(AccountInput(account, meters[name].key, [*log, window], admissible, mask))
    session = homes.open(DAY, session_mask)
    try:
        deliveries = client.deployment.contracts["Deliveries"]
        shared = Shared(homes.chain.chain_id, int(deliveries, 16), session, DAY, session_mask)
        statement = make_statement(shared, items)
        entries = [
            word
            for one, item in zip(statement.accounts, items, strict=True)
            for word in (one.account | one.count << 32 | item.mask << 64, *one.words[6:])
        ]
        assert client.statement_words(session, entries) == list(statement.words)
        assert compressed(homes, statement.c, statement.words) == (statement.gamma, statement.y)
    finally:
        client.cancel(key_of("operator"), session, "the words were all that was asked for")


def compressed(market: Market, chain_value: int, words: Sequence[int]) -> tuple[int, int]:
    """gamma and y as the contract computes them."""
    function = load("Deliveries").functions["compress"]
    gamma, y = function.result(
        market.chain.call(market.client.deployment.contracts["Deliveries"], function.call(chain_value, words))
    )
    return gamma, y


WORDS = st.lists(st.one_of(st.integers(0, ORDER - 1), st.integers(0, 2**256 - 1), st.just(0)), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**256 - 1), WORDS)
def test_any_words_are_compressed_alike(homes: Market, chain_value: int, words: list[int]) -> None:
    gamma, y = compressed(homes, chain_value, words)
    packed = b"".join(word.to_bytes(32, "big") for word in (chain_value, *words))
    assert gamma == int.from_bytes(keccak(packed), "big") % ORDER == challenge(chain_value, words)
    assert y == sum(word * pow(gamma, len(words) - 1 - i, ORDER) for i, word in enumerate(words)) % ORDER


# --------------------------------------------------------------------------------------------------------------- real proofs


@pytest.fixture(scope="module")
def records(scene: Scene, claims: dict[str, Claim]) -> dict[int, Entry]:
    """What the contract announced when it took the two honest claims, by account."""
    assert set(claims) == {"alice", "bob"}
    events = [event for _, event in scene.market.client.events(None, None, Delivered) if isinstance(event, Delivered)]
    assert all(event.recorded == 1 for event in events)
    entries = [entry for e in events if e.session == scene.first for entry in recorded_entries(e.entries, e.recorded, T)]
    return {entry.account: entry for entry in entries}


@pytest.mark.slow
@pytest.mark.needs("key", "node")
def test_an_honest_proof_is_taken_by_the_contract_by_py_ecc_and_by_snarkjs(
    scene: Scene, claims: dict[str, Claim], key: KeyPaths, prover: SnarkjsProver
) -> None:
    for honest in claims.values():
        scene.market.accepts(honest.call(scene))
        assert honest.differences(scene) == []
        public, verifying = honest.statement.public, key.verifying_key()
        assert verify(verifying, public, honest.proof)
        assert prover.verify(verifying, public, honest.proof)
        assert compress(honest.statement.words, T) == (honest.statement.c, honest.statement.gamma, honest.statement.y)


@pytest.mark.slow
@pytest.mark.needs("key", "node")
@pytest.mark.parametrize(("name", "mask"), [("alice", MASK), ("bob", MASK & ~GAP)])
def test_recorded_deviations_are_plain_integers(scene: Scene, records: dict[int, Entry], name: str, mask: int) -> None:
    """Computed again from nothing but the readings: the mean of the comparable days, rounded down, less what was metered."""
    friday = (DAY + 3) % 7
    assert friday == 4
    days = [DAY - 14 + k for k in range(14) if (DAY - 14 + k + 3) % 7 < 5]
    if name == "alice":
        days.remove(EVENT_DAY)
    history = {day: readings_of(name, day) for day in days}
    whole = [values for values in history.values() if None not in values]
    assert len(whole) == 9  # of ten Alice lacks the event day, Bob the one with the gap
    today = readings_of(name, DAY)
    expected = {}
    for t in range(T):
        if mask >> t & 1:
            total, metered = sum(values[t] or 0 for values in whole), today[t]
            assert metered is not None
            expected[t] = total // len(whole) - metered
    account = scene.market.accounts[name]
    found = records[account]
    recorded = unpack_deviations(found.deviations, mask, T)
    assert {t: value for t, value in enumerate(recorded) if value is not None} == expected
    assert found.mask == mask == scene.market.client.recorded(scene.first, account)
    assert scene.market.client.proven(scene.first, delivery_hash([found]))
    line = baseline_of(
        [readings_of(name, DAY - 14 + k) for k in range(14)], scene.market.client.admissible(1, account, DAY), DAY
    )
    assert line is not None
    assert {t: line.wh[t] - (today[t] or 0) for t in expected} == expected


@pytest.mark.slow
@pytest.mark.needs("key", "node")
def test_a_proof_made_anew_or_turned_round_records_nothing_twice(
    scene: Scene, claims: dict[str, Claim], prover: SnarkjsProver
) -> None:
    """Groth16 proofs can be altered without becoming false; what counts is the (session, account), not the proof."""
    honest, market = claims["alice"], scene.market
    before = market.client.recorded(scene.first, market.accounts["alice"])
    again = prover.prove(honest.statement).proof
    assert again != honest.proof
    for words in (honest.proof.words(), again.words(), mirrored(honest.proof.words())):
        receipt = market.client.send(key_of("anyone"), honest.call(scene, proof=words))
        assert receipt.logs == ()
    assert market.client.recorded(scene.first, market.accounts["alice"]) == before == MASK


def mirrored(words: tuple[int, ...]) -> list[int]:
    """The proof with A and B negated: another proof of the same statement."""
    q = 21888242871839275222246405745257275088696311157297823662689037894645226208583
    ax, ay, bx1, bx0, by1, by0, cx, cy = words
    return [ax, q - ay, bx1, bx0, q - by1, q - by0, cx, cy]
