"""Clearings in several calls on the in-process chain: what every call leaves is the engine's state, whoever goes on."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from contracts_world import OFFSET, World, address_of, key_of, make_world, order
from machine import fast_backend

from contracts.calls import Call, ClearingPass
from contracts.clearing_words import Chunk, chain_hash, plan_chunks
from contracts.encoding import batch_words, hash_words
from contracts.events import Cleared, ClearingContinued, IntakeFeesPaid
from contracts.orderlog import OrderLog, groups_of
from contracts.refusals import ContractRefusal
from contracts.units import Mode, SessionState, Side
from market.clearing import engine
from market.clearing.chunks import Claim, advance, begin, check_levels
from market.clearing.engine import AnyClearing
from market.orders import book_from_log
from market.session import SessionTerms, Zone

pytestmark = pytest.mark.slow

MEMBERS = 10
FEE = 1_000
MODES = [Mode.COMPETITIVE, Mode.COOPERATIVE]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = make_world(fast_backend())
    for number in range(MEMBERS):
        account = made.member(f"member {number}")
        made.client.set_envelope(key_of("metering"), account, 10**7)
    yield made
    made.chain.close()


class Cut:
    """A session with a log of several batches and all that its clearing in chunks needs."""

    def __init__(self, world: World, mode: Mode, seed: int, days: int) -> None:
        rng = random.Random(seed)
        self.world, self.client, self.mode = world, world.client, mode
        self.session = world.open(days_ahead=days, mask=0b10110110 << 8, mode=mode, intake_fee=FEE)
        terms = self.client.terms(self.session)
        for _ in range(7):
            for number in rng.sample(range(MEMBERS), 3):
                account = world.accounts[f"member {number}"]
                side, limits = (Side.BID, (90_000, 260_000)) if number % 2 else (Side.OFFER, (50_000, 150_000))
                steps = [
                    [
                        (rng.randrange(10, 900), rng.randrange(*limits, 10_000)) if rng.random() < 0.8 else (0, 0)
                        for _ in range(5)
                    ]
                    for _ in range(rng.choice((1, 2)))
                ]
                steps[0][0] = (rng.randrange(10, 900), limits[side is Side.BID])
                placed = order(account, side, *steps)
                self.client.place(key_of(f"member {number}"), self.session, batch_words([placed], terms))
        world.close_gate(self.session)
        self.log: OrderLog = self.client.order_log(self.session)
        book = book_from_log(SessionTerms.of_contract(self.session, Zone(1, OFFSET, 60), terms), self.log.batches)
        self.clearing: AnyClearing = engine.clear(book)
        self.levels = self.clearing.level_words
        self.whole = ClearingPass.whole(self.log, self.clearing.certificate_words, self.levels, world.accounts["member 3"])
        self.key = self.whole.key(self.client.log(self.session))
        self.claim = Claim(
            self.clearing.certificates, self.key, book.last, frozenset(), book.terms.intervals, self.whole.levels_hash
        )

    def part(self, first: int, end: int, state: tuple[int, ...], levels: tuple[int, int] | None = None) -> ClearingPass:
        """The pass over the batches `first .. end - 1`, and, unless told else, over all levels if these are the last."""
        if levels is None:
            levels = (0, len(self.levels) if end == len(self.log.batches) else 0)
        return self.whole.part(self.log, Chunk(first, end, 0, False, *levels), state, self.levels)

    def twin(self, end: int, levels: int = 0) -> tuple[int, ...]:
        """The state after the first `end` batches and `levels` levels, from the log alone."""
        state, _ = advance(self.claim, begin(self.claim), self.log.batches[:end])
        if levels:
            state = check_levels(self.claim, state, self.levels[:levels], chain_hash(self.levels[levels:]))
        return tuple(state.words())

    def refused(self, call: Call) -> str:
        with pytest.raises(ContractRefusal) as caught:
            self.client.simulate(address_of("operator"), call)
        return caught.value.error_name

    def finished(self) -> None:
        """The result is the engine's."""
        client = self.client
        assert client.state(self.session) is SessionState.CLEARED
        assert client.certificate_hash(self.session) == hash_words(self.clearing.certificate_words)
        groups = groups_of(self.clearing.rows)
        assert client.progress(self.session).groups == len(groups) == 2
        for number, rows in enumerate(groups):
            assert client.group_hash(self.session, number) == hash_words(rows)
            client.commit(self.world.operator, self.session, number, rows)
        assert client.escrow(self.session) == sum(row.cost for row in self.clearing.rows)


@pytest.mark.parametrize("mode", MODES)
def test_every_call_leaves_the_engine_s_state(world: World, mode: Mode) -> None:
    cut = Cut(world, mode, seed=1, days=40 + int(mode))
    client, session, batches = world.client, cut.session, len(cut.log.batches)
    assert batches == 21 and any(c.volume for c in cut.clearing.certificates)
    plan = [*(Chunk(at, at + 6, 0, False) for at in range(0, 18, 6)), Chunk(18, 21, 0, False)]
    state: tuple[int, ...] = ()
    for number, chunk in enumerate(plan):
        part = cut.part(chunk.first, chunk.end, state, (0, 0))
        who = world.operator if number % 2 else key_of("member 0")
        receipt = client.send(who, client.encode_take(session, part))
        (event,) = [e for e in client.receipt_events(receipt) if isinstance(e, ClearingContinued)]
        state = event.state
        assert (event.key, state) == (cut.key, cut.twin(chunk.end))
        # a call may not be repeated, nor its state altered, nor batches left out
        assert cut.refused(client.encode_take(session, part)) == "StateMismatch"
        if chunk.end < batches:
            wrong = (*state[:1], state[1] ^ 1, *state[2:])
            assert cut.refused(client.encode_take(session, cut.part(chunk.end, batches, wrong))) == "StateMismatch"
            gap = cut.part(chunk.end + 1, batches, state)
            assert cut.refused(client.encode_take(session, gap)) == "LogMismatch"
            assert cut.refused(client.encode_clear(session, cut.part(chunk.end, chunk.end, state))) == "NothingTaken"
            if cut.levels:
                early = cut.part(chunk.end, chunk.end + 1, state, (0, len(cut.levels)))
                assert cut.refused(client.encode_clear(session, early)) == "LevelsTooEarly"
    for level in range(0, len(cut.levels), 7):
        level_end = min(level + 7, len(cut.levels))
        part = cut.part(batches, batches, state, (level, level_end))
        wrong = [word + (1 << 32) for word in part.levels]
        assert cut.refused(client.encode_take(session, part._replace(levels=wrong))) == "LevelsMismatch"
        receipt = client.send(key_of("member 0"), client.encode_take(session, part))
        (event,) = [e for e in client.receipt_events(receipt) if isinstance(e, ClearingContinued)]
        state = event.state
        assert state == cut.twin(batches, level_end)
        assert cut.refused(client.encode_take(session, part)) == "StateMismatch"
    assert client.state(session) is SessionState.CLOSED
    payee = world.accounts["member 3"]
    before = client.balance(payee).available
    last = cut.part(batches, batches, state, (len(cut.levels), len(cut.levels)))
    receipt = client.clear(world.operator, session, last)
    told = client.receipt_events(receipt)
    fees = len(cut.clearing.rows) * FEE
    assert IntakeFeesPaid(session, payee, fees) in told and client.balance(payee).available - before == fees
    assert Cleared(session, address_of("operator"), cut.key, tuple(cut.clearing.certificate_words)) in told
    cut.finished()


@pytest.mark.parametrize("mode", MODES)
def test_whoever_starts_wrong_blocks_nobody(world: World, mode: Mode) -> None:
    """A first call with another certificate, and one that never goes on, leave the right one its way."""
    cut = Cut(world, mode, seed=2, days=50 + int(mode))
    client, session, batches = world.client, cut.session, len(cut.log.batches)
    bit = 0 if mode is Mode.COOPERATIVE else 64  # the buyers' sum, the volume: both are known at the end alone
    wrong = [*cut.clearing.certificate_words[:-1], cut.clearing.certificate_words[-1] ^ 1 << bit]
    client.send(world.operator, client.encode_take(session, cut.part(0, 9, ())._replace(certificate=wrong)))
    client.send(world.operator, client.encode_clear(session, cut.part(0, 5, ())))
    state = cut.twin(5)
    # what the other certificate left is no start for this one
    assert cut.refused(client.encode_clear(session, cut.part(9, batches, cut.twin(9)))) == "StateMismatch"
    client.send(key_of("member 1"), client.encode_clear(session, cut.part(5, batches, state)))
    cut.finished()


def test_a_call_carries_hashes_up_to_the_next_mark(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.orderlog.MARK_EVERY", 8)
    cut = Cut(world, Mode.COMPETITIVE, seed=4, days=70)
    client, session, batches = world.client, cut.session, len(cut.log.batches)
    assert (batches, len(cut.whole.marks)) == (21, 2)
    state: tuple[int, ...] = ()
    for first, end, left in ((0, 3, 5), (3, 8, 0), (8, 12, 4), (12, 18, 3)):
        part = cut.part(first, end, state)
        assert len(part.rest) == left
        if part.rest:
            assert cut.refused(client.encode_clear(session, part._replace(rest=part.rest[:-1]))) == "LogMismatch"
        client.send(world.operator, client.encode_clear(session, part))
        assert client.state(session) is SessionState.CLOSED, "a mark is not the log's end"
        state = cut.twin(end)
    client.clear(world.operator, session, cut.part(18, batches, state))
    cut.finished()


@pytest.mark.parametrize("mode", MODES)
def test_the_plan_leads_through(world: World, mode: Mode) -> None:
    """What `plan_chunks` divides stays below its target, and its last call completes."""
    cut = Cut(world, mode, seed=3, days=60 + int(mode))
    client, session = world.client, cut.session
    cooperative = mode is Mode.COOPERATIVE
    target = 800_000
    plan = plan_chunks(
        cut.log.batches,
        cut.log.intervals,
        cooperative=cooperative,
        live_rows=len(cut.log.live()),
        levels=len(cut.clearing.level_words),
        target=target,
    )
    assert len(plan) > 1
    state: tuple[int, ...] = ()
    for chunk in plan:
        part = cut.whole.part(cut.log, chunk, state, cut.levels)
        encode = client.encode_clear if chunk.completes else client.encode_take
        receipt = client.send(world.operator, encode(session, part))
        assert receipt.gas_used <= chunk.gas <= target
        state = next((e.state for e in client.receipt_events(receipt) if isinstance(e, ClearingContinued)), ())
    cut.finished()
