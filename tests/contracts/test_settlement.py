"""Settlement against its twin: every micro-euro, every order of calls, every refusal."""

from __future__ import annotations

import random

import pytest
from contracts_harness import Harness
from contracts_proofs import fake_batch
from contracts_twin import ClearedBook, Rules, settle_book, settle_interval
from contracts_world import RULES, World, address_of, batch_of, key_of, order, rules_words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.calls import Call
from contracts.deliveries import Entry, delivery_words, pick_words, recorded_entries
from contracts.encoding import batch_words, hash_words, row_words
from contracts.events import BuyersSettled, Delivered, Joined, SellersSettled, Settled
from contracts.orderlog import groups_of
from contracts.refusals import ContractRefusal
from contracts.sessions import Terms
from contracts.units import Direction, SessionState, Side

pytestmark = pytest.mark.slow


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
            world.client.place(key_of(name), self.session, batch_words([self._order(rng, name)], self.terms))
        self.book: ClearedBook = world.clear(self.session)
        self.rows = groups_of(self.book.rows)
        self.batches: list[tuple[Entry, ...]] = []
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

    def entry(self, rng: random.Random, account: int, mask: int) -> Entry:
        """What `account` did in the intervals of `mask`, drawn anew."""
        days = self.world.client.admissible(1, account, self.terms.day).bit_count()
        values = {}
        for j, t in enumerate(self.terms.interval_indices):
            if mask >> t & 1:
                promised = sum(row.fills[j] for row in self.book.rows if row.account == account and row.side is Side.OFFER)
                self.delivered[account][j] = rng.choice((promised, promised + 7, promised * 19 // 20, promised // 2, 0, -50))
                values[t] = self.delivered[account][j] * self.direction.sign
        return Entry(account, days, mask, tuple(self.world.deviations(values)))

    def prove(self, *entries: Entry) -> Delivered:
        """Proves entries in one batch."""
        client = self.world.client
        batch = fake_batch(self.world, self.session, delivery_words(entries), len(self.batches))
        (event,) = client.receipt_events(client.prove(self.world.operator, self.session, [batch]))
        assert isinstance(event, Delivered)
        self.batches.append(recorded_entries(event.entries, event.recorded, 24))
        return event

    def deliver(self, rng: random.Random, account: int, mask: int) -> None:
        self.prove(self.entry(rng, account, mask))

    def picks(self, account: int) -> list[tuple[int, int]]:
        """Batch and entry of each record of the account."""
        return [(b, i) for b, batch in enumerate(self.batches) for i, entry in enumerate(batch) if entry.account == account]

    def supply(self, *accounts: int) -> tuple[list[list[int]], list[int]]:
        """Every batch, and the picks for rows of these accounts."""
        return [delivery_words(batch) for batch in self.batches], pick_words([self.picks(account) for account in accounts])

    def sellers(self, group: int) -> list[int]:
        """Rows of a group that a seller has to settle."""
        rows = self.book.rows[16 * group : 16 * group + 16]
        return [i for i, row in enumerate(rows) if row.live and row.side is Side.OFFER and any(row.fills)]

    def buyers(self, group: int) -> list[int]:
        rows = self.book.rows[16 * group : 16 * group + 16]
        return [i for i, row in enumerate(rows) if row.live and row.side is Side.BID and any(row.fills)]

    def call(self, group: int, which: list[int]) -> Call:
        """Settles rows of one group, with everything that belongs to them."""
        bits = sum(1 << i for i in which)
        chosen = [self.book.rows[16 * group + i] for i in which]
        sellers = [row.account for row in chosen if row.side is Side.OFFER]
        supplied = self.supply(*sellers) if sellers else ([], [])
        return self.world.client.encode_settle(
            self.session, group, bits, self.rows[group], self.book.certificate, self.rules, *supplied
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
                events += client.receipt_events(client.send(world.operator, traded.call(group, part)))
    for group in (0, 1):
        for i in traded.buyers(group):
            events += client.receipt_events(client.send(world.operator, traded.call(group, [i])))

    expected = settle_book(traded.book, Rules.of(rules), traded.delivered)
    rows = traded.book.rows
    assert {
        p.account: (p.earned, p.unpaid, p.penalty) for e in events if isinstance(e, SellersSettled) for p in e.payments
    } == {rows[i].account: sums for i, sums in expected.sellers.items()}
    assert {p.account: (p.cost, p.refund) for e in events if isinstance(e, BuyersSettled) for p in e.payments} == {
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

    def settle(which: list[int], sellers: int) -> None:
        bits, picks = sum(1 << i for i in which), pick_words([[]] * sellers)
        client.settle(world.operator, traded.session, 0, bits, rows, traded.book.certificate, RULES, [], picks)

    settle(sellers, len(sellers))
    assert client.settled(traded.session, sellers[-1] // 16, sellers[-1] % 16)
    settle(buyers, 0)
    expected = settle_book(traded.book, Rules.of(RULES), traded.delivered)
    assert client.escrow(traded.session) == expected.rounding
    assert client.state(traded.session) is SessionState.SETTLED
    for which, error in ((sellers[-1:], "RowsAlreadySettled"), ([], "RowOutOfRange")):
        with pytest.raises(ContractRefusal) as caught:
            settle(which, len(which))
        assert caught.value.error_name == error


def test_refusals(world: World) -> None:
    rng = random.Random(7)
    traded = Traded(world, rng, RULES, Direction.UP, 3, 3)
    client, terms = world.client, traded.terms
    session, rows, certificate = traded.session, traded.rows[0], traded.book.certificate
    sellers, buyers = traded.sellers(0), traded.buyers(0)
    first = traded.book.rows[sellers[0]].account
    world.chain.advance_to(terms.delivery_end)

    def refused(which: int, supplied: tuple[list[list[int]], list[int]], **changes: object) -> ContractRefusal:
        fixed = {"rows": rows, "certificate": certificate, "rules": RULES, **changes}
        call = client.encode_settle(session, 0, which, fixed["rows"], fixed["certificate"], fixed["rules"], *supplied)  # type: ignore[arg-type]
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of("operator"), call)
        return caught.value

    one, nothing = 1 << sellers[0], ([], [0])
    missing = refused(one, nothing)
    assert missing.error_name == "SellerNotFinal" and missing.arguments["account"] == first
    partial = terms.mask & -terms.mask
    traded.deliver(rng, first, partial)
    fills = traded.book.rows[sellers[0]].fills
    promised = sum(1 << t for t, fill in zip(terms.interval_indices, fills, strict=True) if fill)
    assert refused(one, traded.supply(first)).arguments["missing"] == promised & ~partial
    traded.deliver(rng, first, terms.mask & ~partial)
    good = traded.supply(first)
    client.simulate(address_of("operator"), traded.call(0, sellers[:1]))

    assert refused(1 << buyers[0], ([], [])).error_name == "SellersFirst"
    assert refused(1 << len(traded.book.rows), ([], [])).error_name == "RowOutOfRange"
    assert refused(one, good, rows=[*rows[:-1], rows[-1] + 1]).arguments["what"] == "rows"
    assert refused(one, good, rows=rows[: len(rows) // 2]).arguments["what"] == "rows"
    assert refused(one, good, certificate=[*certificate[:-1], certificate[-1] ^ 1]).arguments["what"] == "certificate"
    assert refused(one, good, rules=RULES[:-1]).arguments["what"] == "rules"

    client.send(world.operator, traded.call(0, sellers[:1]))
    assert client.settled(session, 0, sellers[0]) and not client.settled(session, 0, buyers[0])
    assert refused(one, good).error_name == "RowsAlreadySettled"
    world.chain.advance_to(terms.proof_deadline)
    assert refused(1 << sellers[1], nothing).error_name == "SellerNotFinal", "the deadline itself is still in time"
    world.chain.advance_to(terms.proof_deadline + 1)
    for i in sellers[1:]:
        client.send(world.operator, traded.call(0, [i]))
    client.send(world.operator, traded.call(0, buyers))
    assert client.state(session) is SessionState.SETTLED


def test_many_records_are_joined_into_one(world: World) -> None:
    """A seller proven interval by interval, in batches with others: its records become one, and nothing else does."""
    rng = random.Random(12)
    traded = Traded(world, rng, RULES, Direction.DOWN, 3, 2)
    client, terms, session = world.client, traded.terms, traded.session
    world.chain.advance_to(terms.delivery_end)
    row, neighbour = traded.sellers(0)[:2]
    seller, next_to = traded.book.rows[row].account, traded.book.rows[neighbour].account
    parts = [1 << t for t in terms.interval_indices]
    for part in parts:
        traded.prove(traded.entry(rng, next_to, part), traded.entry(rng, seller, part))
    batches = [delivery_words(batch) for batch in traded.batches]

    def refused(attempt: Call, name: str) -> None:
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of("operator"), attempt)
        assert caught.value.error_name == name

    refused(client.encode_join(session, batches, [(0, 1)]), "NothingToJoin")
    refused(client.encode_join(session, batches, [(0, 1), (1, 0)]), "PickOfOtherAccount")
    refused(client.encode_join(session, batches, [(0, 1), (0, 1)]), "PickOverlaps")
    refused(client.encode_join(session, batches, [(0, 1), (6, 0)]), "PickOutOfRange")
    refused(client.encode_join(session, batches, [(0, 1), (1, 2)]), "PickOutOfRange")
    altered = [batches[0], [*batches[1][:-1], batches[1][-1] + 1]]
    refused(client.encode_join(session, altered, [(0, 1), (1, 1)]), "BatchNotProven")
    refused(client.encode_join(session + 1, batches, [(0, 1), (1, 1)]), "BatchNotProven")

    first = client.receipt_events(
        client.send(world.operator, client.encode_join(session, batches[:3], [(0, 1), (1, 1), (2, 1)]))
    )
    (half,) = [event for event in first if isinstance(event, Joined)]
    rest = [list(half.entry), *batches[3:]]  # a few at a time
    second = client.receipt_events(
        client.send(world.operator, client.encode_join(session, rest, [(0, 0), (1, 1), (2, 1), (3, 1)]))
    )
    (whole,) = [event for event in second if isinstance(event, Joined)]
    assert (half.account, whole.account) == (seller, seller) and whole.entry[0] >> 64 == terms.mask

    def settle(supplied: list[list[int]], picks: list[tuple[int, int]]) -> Call:
        return client.encode_settle(
            session, 0, 1 << row, traded.rows[0], traded.book.certificate, RULES, supplied, pick_words([picks])
        )

    refused(settle([list(half.entry)], [(0, 0)]), "RecordsLeftOut")
    refused(settle([list(whole.entry), batches[0]], [(0, 0), (1, 1)]), "PickOverlaps")
    by_parts = client.simulate(address_of("operator"), settle(batches, [(k, 1) for k in range(6)]))
    assert client.simulate(address_of("operator"), settle([list(whole.entry)], [(0, 0)])) == by_parts
    (paid,) = [
        event
        for event in client.receipt_events(client.send(world.operator, settle([list(whole.entry)], [(0, 0)])))
        if isinstance(event, SellersSettled)
    ]
    fills = traded.book.rows[row].fills
    expected = [
        settle_interval(Rules.of(RULES), fill, price, max(0, wh))
        for fill, price, wh in zip(fills, traded.book.prices, traded.delivered[seller], strict=True)
        if fill
    ]
    assert paid.payments[0].earned == sum(earned for earned, _, _ in expected)


def test_no_record_is_left_out_used_twice_or_invented(world: World) -> None:
    """Whoever settles chooses what to supply; only the seller's own records, each once and all of them, are taken."""
    rng = random.Random(11)
    other = Traded(world, rng, RULES, Direction.UP, 3, 2)
    world.chain.advance_to(other.terms.delivery_end)
    strange = other.entry(rng, other.book.rows[other.sellers(0)[0]].account, other.terms.mask)
    other.prove(strange)
    traded = Traded(world, rng, RULES, Direction.UP, 3, 2)
    client, terms, session = world.client, traded.terms, traded.session
    world.chain.advance_to(terms.delivery_end)
    row, neighbour = traded.sellers(0)[:2]
    seller, next_to = traded.book.rows[row].account, traded.book.rows[neighbour].account
    low = terms.mask & -terms.mask
    high = terms.mask & ~low
    traded.prove(traded.entry(rng, next_to, terms.mask), traded.entry(rng, seller, low))
    skipped = Entry(seller, traded.entry(rng, seller, low).count, low, (2**25 + 1, 0, 0))
    last = traded.entry(rng, seller, high)
    event = traded.prove(skipped, last)
    assert event.recorded == 0b10 and traded.batches[1] == (last,)
    batches = [delivery_words(batch) for batch in traded.batches]
    right = [(0, 1), (1, 0)]

    def call(
        picks: list[tuple[int, int]], supplied: list[list[int]] = batches, words: list[int] | None = None, which: int = 1 << row
    ) -> Call:
        packed = pick_words([picks]) if words is None else words
        return client.encode_settle(session, 0, which, traded.rows[0], traded.book.certificate, RULES, supplied, packed)

    def refused(attempt: Call, name: str, **arguments: int) -> None:
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of("operator"), attempt)
        assert caught.value.error_name == name
        assert {key: caught.value.arguments[key] for key in arguments} == arguments

    client.simulate(address_of("operator"), call(right))
    client.simulate(address_of("operator"), call(right[::-1]))  # the order of records means nothing
    client.simulate(address_of("operator"), call([(0, 0), (1, 1)], [batches[1], batches[0]]))

    # records left out, or used twice in their place
    refused(call(right[:1]), "RecordsLeftOut", account=seller, intervals=high)
    refused(call(right[1:]), "RecordsLeftOut", account=seller, intervals=low)
    refused(call([]), "RecordsLeftOut", intervals=terms.mask)
    refused(call([right[0], right[0]]), "PickOverlaps", account=seller, intervals=low)
    refused(call([*right, right[1]]), "PickOverlaps", intervals=high)
    refused(
        call([(0, 1), (1, 0)], [batches[0], batches[0], batches[1]]), "PickOfOtherAccount", account=next_to, expected=seller
    )
    refused(call([(0, 1), (1, 1)], [batches[0], batches[0]]), "PickOverlaps", intervals=low)
    # another's record
    refused(call([(0, 0)]), "PickOfOtherAccount", account=next_to, expected=seller)
    # batches that are none, are another session's, are altered, shortened, joined, or hold what was skipped
    refused(call(right, [batches[0], delivery_words([strange])]), "BatchNotProven", batch=1)
    assert client.proven(other.session, hash_words(delivery_words([strange])))
    better = [*batches[1][:-1], batches[1][-1] + 1]
    refused(call(right, [batches[0], better]), "BatchNotProven", batch=1)
    refused(call([(0, 0), (1, 0)], [batches[0][4:], batches[1]]), "BatchNotProven", batch=0)
    refused(call([(0, 1), (0, 2)], [batches[0] + batches[1]]), "BatchNotProven", batch=0)
    refused(call([(0, 1), (1, 1)], [batches[0], delivery_words([skipped, last])]), "BatchNotProven", batch=1)
    refused(call(right, [*batches, delivery_words([skipped])]), "BatchNotProven", batch=2)
    refused(call(right, [*batches, []]), "BatchNotProven", batch=2)
    # picks beside the batches
    refused(call([(0, 1), (2, 0)]), "PickOutOfRange", batch=2, entry=0)
    refused(call([(0, 1), (1, 1)]), "PickOutOfRange", batch=1, entry=1)
    refused(call([(0, 2**16 - 1), (1, 0)]), "PickOutOfRange", batch=0, entry=2**16 - 1)
    refused(call([], words=[]), "PicksIncomplete", needed=1)
    refused(call([], words=[8]), "PicksIncomplete", needed=8, supplied=7)
    refused(call([], words=[2**32 - 1]), "PicksIncomplete")
    (packed,) = pick_words([right])
    refused(call([], words=[packed, 0]), "PicksLeftOver", used=3, words=2)
    refused(call([], words=[packed | 1 << 96]), "PicksLeftOver", used=3)
    refused(call([], words=[packed | 1 << 255]), "PicksLeftOver", used=3)
    # two rows at once: the second's picks are not the first's
    both = 1 << row | 1 << neighbour
    ordered = [right, [(0, 0)]] if row < neighbour else [[(0, 0)], right]
    client.simulate(address_of("operator"), call([], words=pick_words(ordered), which=both))
    refused(call([], words=pick_words(ordered[::-1]), which=both), "PickOfOtherAccount")
    refused(call([], words=pick_words([*ordered, right]), which=both), "PicksLeftOver")
    client.send(world.operator, call(right))
    refused(call(right), "RowsAlreadySettled")


def test_a_whole_session_of_records_in_one_call(world: World) -> None:
    """Many sellers from shared batches, each in two records, against the twin."""
    rng = random.Random(5)
    traded = Traded(world, rng, RULES, Direction.DOWN, 8, 6)
    client, terms = world.client, traded.terms
    world.chain.advance_to(terms.delivery_end)
    accounts = [traded.book.rows[i].account for i in traded.sellers(0)]
    assert len(accounts) == 8
    low = terms.mask & -terms.mask
    for mask in (low, terms.mask & ~low):
        for start in range(0, 8, 4):
            traded.prove(*(traded.entry(rng, account, mask) for account in accounts[start : start + 4]))
    events = client.receipt_events(client.send(world.operator, traded.call(0, traded.sellers(0))))
    events += client.receipt_events(client.send(world.operator, traded.call(0, traded.buyers(0))))
    expected = settle_book(traded.book, Rules.of(RULES), traded.delivered)
    assert {
        p.account: (p.earned, p.unpaid, p.penalty) for e in events if isinstance(e, SellersSettled) for p in e.payments
    } == {traded.book.rows[i].account: sums for i, sums in expected.sellers.items()}
    assert events[-1] == Settled(traded.session, expected.rounding)


def test_rows_that_have_nothing_to_settle_and_groups_not_committed(world: World) -> None:
    client = world.client
    anna, dso = world.member("anna"), world.member("dso", meter=False)
    today = client.day_of(1, world.chain.now())
    session = world.open(days_ahead=next(d for d in range(20, 30) if (today + d + 3) % 7 < 5), mask=1 << 5)
    client.place(
        key_of("anna"), session, batch_of([order(anna, Side.OFFER, [(100, 50)]), order(anna, Side.OFFER, [(90, 50)])], 1)
    )
    client.place(key_of("dso"), session, batch_of([order(dso, Side.BID, [(50, 80)])], 1))
    ben = world.member("ben")
    client.place(key_of("ben"), session, batch_of([order(ben, Side.OFFER, [(100, 500)]), order(ben, Side.BID, [(100, 3)])], 1))
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

    def refused(which: int, picks: list[int]) -> str:
        call = client.encode_settle(session, 0, which, rows, book.certificate, RULES, [], picks)
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of("operator"), call)
        return caught.value.error_name

    assert refused(0b10, [0]) == "GroupsUncommitted"
    client.commit(world.operator, session, 0, rows)
    assert refused(0b00001, [0]) == "RowNotToSettle"
    assert refused(0b01000, [0]) == "RowNotToSettle"
    client.settle(world.operator, session, 0, 0b10, rows, book.certificate, RULES, [], [0])
    assert refused(0b10000, []) == "RowNotToSettle"
    client.settle(world.operator, session, 0, 0b100, rows, book.certificate, RULES, [], [])
    assert client.state(session) is SessionState.SETTLED
    assert client.group_hash(session, 0) == hash_words([w for row in book.rows for w in row_words(row)])
    assert client.certificate_hash(session) == hash_words(book.certificate)
