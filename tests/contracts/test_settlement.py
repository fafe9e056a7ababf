"""Settlement against its twin: every micro-euro, every order of calls, every refusal."""

from __future__ import annotations

import random

import pytest
from contracts_harness import Harness
from contracts_proofs import proof_for
from contracts_twin import ClearedBook, Rules, settle_book, settle_interval
from contracts_world import RULES, World, address_of, key_of, order, rules_words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.encoding import batch_words, hash_words, row_words
from contracts.events import BuyerSettled, Delivered, SellerSettled, Settled
from contracts.orderlog import groups_of
from contracts.refusals import ContractRefusal
from contracts.sessions import Terms
from contracts.units import Direction, SessionState, Side


@st.composite
def rule_sets(draw: st.DrawFn) -> tuple[int, ...]:
    collateral = draw(st.integers(0, 2**32 - 1))

    def curve(largest: int) -> list[tuple[int, int]]:
        xs = sorted({0, *draw(st.lists(st.integers(1, 2_000_000), max_size=5))})
        return [(x, draw(st.integers(0, largest))) for x in xs]

    return rules_words(curve(10**6), curve(collateral), draw(st.one_of(st.just(0), st.integers(0, 2**32 - 1))), collateral)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rule_sets(),
    st.lists(st.tuples(st.integers(1, 2**26 - 4), st.integers(0, 2**32 - 1), st.integers(0, 2**26)), min_size=1, max_size=30),
)
def test_one_interval_is_the_twins(harness: Harness, rules: tuple[int, ...], cases: list[tuple[int, int, int]]) -> None:
    assert harness.call("validateRules", rules) == rules[0] >> 64
    got = harness.call("intervals", rules, *([case[i] for case in cases] for i in range(3)))
    twin = Rules.of(rules)
    assert got == [part for fill, price, delivered in cases for part in settle_interval(twin, fill, price, delivered)]


def test_the_points_of_a_curve_exactly(harness: Harness) -> None:
    cases = [(1000, 10**6, d) for d in (0, 1, 499, 500, 501, 949, 950, 999, 1000, 1001, 5000)]
    got = harness.call("intervals", RULES, *([case[i] for case in cases] for i in range(3)))
    assert got[0::3] == [0, 600, 299_400, 300_000, 301_400, 928_600, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000]
    assert got[2::3] == [500_000, 499_500, 250_500, 250_000, 249_500, 25_500, 0, 0, 0, 0, 0]


class Traded:
    """A cleared session with its people."""

    def __init__(
        self, world: World, rng: random.Random, rules: tuple[int, ...], direction: Direction, sellers: int, buyers: int
    ) -> None:
        self.world, self.rules, self.direction = world, rules, direction
        names = [f"seller {i}" for i in range(sellers)] + [f"buyer {i}" for i in range(buyers)]
        self.accounts = {name: world.member(name, meter=name.startswith("seller")) for name in names}
        today = world.client.day_of(1, world.chain.now())
        ahead = next(d for d in range(20, 30) if (today + d + 3) % 7 < 5)
        mask = sum(1 << t for t in rng.sample(range(24), 6))
        self.before = self.money()
        self.session = world.open(rules=rules, days_ahead=ahead, mask=mask, direction=direction)
        self.terms: Terms = world.client.terms(self.session)
        for name in rng.sample(names, len(names)):
            world.client.place(key_of(name), self.session, batch_words([self._order(rng, name)], 6))
        self.book: ClearedBook = world.clear(self.session)
        self.rows = groups_of(self.book.rows)
        self.records: dict[int, list[Delivered]] = {}
        self.delivered = {account: [0] * 6 for account in self.accounts.values()}

    def _order(self, rng: random.Random, name: str):  # type: ignore[no-untyped-def]
        side = Side.OFFER if name.startswith("seller") else Side.BID
        low, high = (50_000, 150_000) if side is Side.OFFER else (90_000, 260_000)
        steps = [
            [(rng.randrange(10, 900), rng.randrange(low, high)) if rng.random() < 0.8 else (0, 0) for _ in range(6)]
            for _ in range(rng.choice((1, 1, 2)))
        ]
        steps[0][0] = (rng.randrange(10, 900), low)
        return order(self.accounts[name], side, *steps)

    def money(self) -> int:
        balances = [self.world.client.balance(account) for account in self.accounts.values()]
        return sum(b.available + b.locked for b in balances)

    def deliver(self, rng: random.Random, account: int, mask: int) -> None:
        """Proves what `account` did in the intervals of `mask`."""
        world, indices = self.world, self.terms.interval_indices
        days = world.client.admissible(1, account, self.terms.day).bit_count()
        values = {}
        for j, t in enumerate(indices):
            if mask >> t & 1:
                promised = sum(row.fills[j] for row in self.book.rows if row.account == account and row.side is Side.OFFER)
                self.delivered[account][j] = rng.choice((promised, promised + 7, promised * 19 // 20, promised // 2, 0, -50))
                values[t] = self.delivered[account][j] * self.direction.sign
        noise = {t: rng.randrange(-500, 500) for t in range(24) if t not in values}
        entries = [account | days << 32, *world.deviations({**noise, **values})]
        receipt = world.client.prove(
            world.operator, self.session, mask, 1, entries, proof_for(world, self.session, mask, 1, entries)
        )
        self.records.setdefault(account, []).extend(e for e in world.client.receipt_events(receipt) if isinstance(e, Delivered))

    def supply(self, account: int) -> list[int]:
        found = self.records.get(account, [])
        return [len(found), *(w for record in found for w in (record.mask, *record.deviations))]

    def sellers(self, group: int) -> list[int]:
        """Rows of a group that a seller has to settle."""
        rows = self.book.rows[16 * group : 16 * group + 16]
        return [i for i, row in enumerate(rows) if row.live and row.side is Side.OFFER and any(row.fills)]

    def buyers(self, group: int) -> list[int]:
        rows = self.book.rows[16 * group : 16 * group + 16]
        return [i for i, row in enumerate(rows) if row.live and row.cost]

    def call(self, group: int, which: list[int], records: list[int]):  # type: ignore[no-untyped-def]
        bits = sum(1 << i for i in which)
        return self.world.client.encode_settle(
            self.session, group, bits, self.rows[group], self.book.certificate, self.rules, records
        )


@pytest.mark.parametrize("seed", range(6))
def test_a_session_balances_to_the_last_cent(world: World, seed: int) -> None:
    rng = random.Random(seed)
    rules = (
        RULES if seed % 2 else rules_words([(0, 0), (900_000, 900_000)], [(0, 3_000_000), (1_000_000, 0)], 20_000, 3_000_000)
    )
    traded = Traded(world, rng, rules, Direction(seed % 2), 9, 10)
    client, terms = world.client, traded.terms
    assert client.state(traded.session) is SessionState.CLEARED and len(traded.rows) == 2
    world.chain.advance_to(terms.delivery_end)
    sellers = sorted({row.account for row in traded.book.rows if row.side is Side.OFFER and any(row.fills)})
    for account in sellers[:-1]:
        bits = [1 << t for t in terms.interval_indices]
        rng.shuffle(bits)
        cut = rng.randrange(1, 6)
        for mask in {sum(bits[:cut]), sum(bits[cut:])}:
            traded.deliver(rng, account, mask)
    world.chain.advance_to(terms.proof_deadline + 1)  # the last seller has proven nothing
    events = []
    for group in (1, 0):
        chosen = traded.sellers(group)
        rng.shuffle(chosen)
        for part in (chosen[:3], chosen[3:]):
            part.sort()
            if part:
                records = [w for i in part for w in traded.supply(traded.book.rows[16 * group + i].account)]
                events += client.receipt_events(client.send(world.operator, traded.call(group, part, records)))
    for group in (0, 1):
        for i in traded.buyers(group):
            events += client.receipt_events(client.send(world.operator, traded.call(group, [i], [])))

    expected = settle_book(traded.book, Rules.of(rules), traded.delivered)
    rows = traded.book.rows
    assert {e.account: (e.earned, e.unpaid, e.penalty) for e in events if isinstance(e, SellerSettled)} == {
        rows[i].account: sums for i, sums in expected.sellers.items()
    }
    assert {e.account: (e.cost, e.refund) for e in events if isinstance(e, BuyerSettled)} == {
        rows[i].account: sums for i, sums in expected.buyers.items()
    }
    assert events[-1] == Settled(traded.session, expected.rounding)
    assert client.state(traded.session) is SessionState.SETTLED
    assert all(penalty <= rows[i].lock for i, (_, _, penalty) in expected.sellers.items())
    assert 0 <= expected.rounding < len(rows) * 6 * 3, "at most a micro-euro per row, interval and rounding"
    assert traded.money() + expected.rounding == traded.before
    assert client.escrow(traded.session) == expected.rounding
    assert all(client.balance(account).locked == 0 for account in traded.accounts.values())


def test_several_groups_in_one_call(world: World) -> None:
    traded = Traded(world, random.Random(42), RULES, Direction.UP, 12, 12)
    client = world.client
    world.chain.advance_to(traded.terms.proof_deadline + 1)
    rows = [w for group in traded.rows for w in group]
    sellers = [16 * g + i for g in (0, 1) for i in traded.sellers(g)]
    buyers = [16 * g + i for g in (0, 1) for i in traded.buyers(g)]

    def settle(which: list[int], records: list[int]) -> None:
        client.settle(
            world.operator, traded.session, 0, sum(1 << i for i in which), rows, traded.book.certificate, RULES, records
        )

    settle(sellers, [0] * len(sellers))
    assert client.settled(traded.session, sellers[-1] // 16, sellers[-1] % 16)
    settle(buyers, [])
    expected = settle_book(traded.book, Rules.of(RULES), traded.delivered)
    assert client.escrow(traded.session) == expected.rounding
    assert client.state(traded.session) is SessionState.SETTLED
    for which, error in ((sellers[-1:], "RowsAlreadySettled"), ([], "RowOutOfRange")):
        with pytest.raises(ContractRefusal) as caught:
            settle(which, [0] * len(which))
        assert caught.value.error_name == error


def test_refusals(world: World) -> None:
    rng = random.Random(7)
    traded = Traded(world, rng, RULES, Direction.UP, 3, 3)
    client, terms = world.client, traded.terms
    session, rows, certificate = traded.session, traded.rows[0], traded.book.certificate
    sellers, buyers = traded.sellers(0), traded.buyers(0)
    first = traded.book.rows[sellers[0]].account
    world.chain.advance_to(terms.delivery_end)

    def refused(which: int, records: list[int], **changes: object) -> ContractRefusal:
        supplied = {"rows": rows, "certificate": certificate, "rules": RULES, **changes}
        call = client.encode_settle(session, 0, which, supplied["rows"], supplied["certificate"], supplied["rules"], records)  # type: ignore[arg-type]
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of("operator"), call)
        return caught.value

    one = 1 << sellers[0]
    missing = refused(one, [0])
    assert missing.error_name == "SellerNotFinal" and missing.arguments["account"] == first
    partial = terms.mask & -terms.mask
    traded.deliver(rng, first, partial)
    fills = traded.book.rows[sellers[0]].fills
    promised = sum(1 << t for t, fill in zip(terms.interval_indices, fills, strict=True) if fill)
    assert refused(one, traded.supply(first)).arguments["missing"] == promised & ~partial
    traded.deliver(rng, first, terms.mask & ~partial)
    good = traded.supply(first)
    client.simulate(address_of("operator"), traded.call(0, sellers[:1], good))

    assert refused(one, []).error_name == "RecordsIncomplete"
    assert refused(one, [2, *good[1:5]]).error_name == "RecordsIncomplete"
    assert refused(one, [2**255, *good[1:]]).error_name == "RecordsIncomplete"
    assert refused(one, [*good, 0]).error_name == "RecordsLeftOver"
    assert refused(one, [1, *good[1:5]]).error_name == "RecordMismatch"
    assert refused(one, [0]).error_name == "RecordMismatch"
    assert refused(one, [2, *good[5:], *good[1:5]]).error_name == "RecordMismatch", "in another order"
    assert refused(one, [2, good[1], good[2] ^ 1, *good[3:]]).error_name == "RecordMismatch"
    assert refused(1 << buyers[0], []).error_name == "SellersFirst"
    assert refused(1 << len(traded.book.rows), []).error_name == "RowOutOfRange"
    assert refused(one, good, rows=[*rows[:-1], rows[-1] + 1]).arguments["what"] == "rows"
    assert refused(one, good, rows=rows[: len(rows) // 2]).arguments["what"] == "rows"
    assert refused(one, good, certificate=[*certificate[:-1], certificate[-1] ^ 1]).arguments["what"] == "certificate"
    assert refused(one, good, rules=RULES[:-1]).arguments["what"] == "rules"

    client.send(world.operator, traded.call(0, sellers[:1], good))
    assert client.settled(session, 0, sellers[0]) and not client.settled(session, 0, buyers[0])
    assert refused(one, good).error_name == "RowsAlreadySettled"
    world.chain.advance_to(terms.proof_deadline)
    assert refused(1 << sellers[1], [0]).error_name == "SellerNotFinal", "the deadline itself is still in time"
    world.chain.advance_to(terms.proof_deadline + 1)
    for i in sellers[1:]:
        client.send(world.operator, traded.call(0, [i], [0]))
    client.send(world.operator, traded.call(0, buyers, []))
    assert client.state(session) is SessionState.SETTLED


def test_rows_that_have_nothing_to_settle_and_groups_not_committed(world: World) -> None:
    client = world.client
    anna, dso = world.member("anna"), world.member("dso", meter=False)
    today = client.day_of(1, world.chain.now())
    session = world.open(days_ahead=next(d for d in range(20, 30) if (today + d + 3) % 7 < 5), mask=1 << 5)
    client.place(
        key_of("anna"), session, batch_words([order(anna, Side.OFFER, [(100, 50)]), order(anna, Side.OFFER, [(90, 50)])], 1)
    )
    client.place(key_of("dso"), session, batch_words([order(dso, Side.BID, [(50, 80)])], 1))
    ben = world.member("ben")
    client.place(
        key_of("ben"), session, batch_words([order(ben, Side.OFFER, [(100, 500)]), order(ben, Side.BID, [(100, 3)])], 1)
    )
    book = world.clear_only(session)
    rows = groups_of(book.rows)[0]
    assert [(r.live, r.fills[0], r.cost) for r in book.rows] == [
        (False, 0, 0),
        (True, 50, 0),
        (True, 50, 3),
        (True, 0, 0),
        (True, 0, 0),
    ]
    world.chain.advance_to(client.terms(session).proof_deadline + 1)

    def refused(which: int, records: list[int]) -> str:
        call = client.encode_settle(session, 0, which, rows, book.certificate, RULES, records)
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of("operator"), call)
        return caught.value.error_name

    assert refused(0b10, [0]) == "GroupsUncommitted"
    client.commit(world.operator, session, 0, rows)
    assert refused(0b00001, [0]) == "RowNotToSettle"
    assert refused(0b01000, [0]) == "RowNotToSettle"
    client.settle(world.operator, session, 0, 0b10, rows, book.certificate, RULES, [0])
    assert refused(0b10000, []) == "RowNotToSettle"
    client.settle(world.operator, session, 0, 0b100, rows, book.certificate, RULES, [])
    assert client.state(session) is SessionState.SETTLED
    assert client.group_hash(session, 0) == hash_words([w for row in book.rows for w in row_words(row)])
    assert client.certificate_hash(session) == hash_words(book.certificate)
