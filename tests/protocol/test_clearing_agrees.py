"""The engine's certificate and result rows are what the deployed FlexMarket accepts and stores, and nothing beside them is."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_world import FIRST_DAY, Market, address_of, group_words, key_of, order

from contracts.calls import ClearingPass
from contracts.chain import anvil_binary
from contracts.encoding import IntervalCertificate, ScheduleOrder, batch_words, hash_words
from contracts.refusals import ContractRefusal
from contracts.typed_data import order_batch
from contracts.units import MAX_PRICE, Side
from market.clearing.uniform import Clearing

ACCOUNTS = 6
MONEY = 10**18
DAYS = count(FIRST_DAY + 20)
NONCES = count()

WRONG_CLEARING = {
    "RangeReversed", "VolumeNotMet", "RestNotUsed", "LimitInsideRange", "VolumeTooSmall", "LowNotTight", "HighNotTight",
}  # fmt: skip
"""What the contract says to a certificate that is not the book's."""


@dataclass(frozen=True)
class Example:
    """A session to hold: `sold` are intervals that accounts sell in a session before it, `cuts` the ends of the log's batches,
    `carried` those that somebody else carries for the owner, by signature."""

    mask: int
    cap: int
    minimum: int
    entries: tuple[ScheduleOrder, ...]
    sold: dict[int, int]
    cuts: tuple[int, ...]
    carried: frozenset[int]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    size = draw(st.integers(1, 10))
    mask = sum(1 << t for t in draw(st.sets(st.integers(0, 23), min_size=size, max_size=size)))
    cap = draw(st.sampled_from([500_000, 7, MAX_PRICE]))
    minimum = draw(st.sampled_from([0, 1, 10]))
    # few levels and few quantities, so that ties at the margin and exact matches are common; 0 and the cap are among them
    levels = [0, cap, *draw(st.lists(st.integers(0, cap), min_size=1, max_size=3))]
    quantities = [0, max(minimum, 1), *draw(st.lists(st.integers(max(minimum, 1), 3_000), min_size=1, max_size=3))]
    choices = len(levels) * len(quantities)
    entries = []
    for _ in range(draw(st.integers(0, 20))):
        account, side = draw(st.integers(1, ACCOUNTS)), draw(st.sampled_from(Side))
        drawn = draw(st.lists(st.binary(min_size=size, max_size=size), max_size=4))
        steps = []
        for line in drawn:
            pairs = [divmod(byte % choices, len(quantities)) for byte in line]
            steps.append([(quantities[q], levels[p] if quantities[q] else 0) for p, q in pairs])
        if not any(quantity for step in steps for quantity, _ in step):
            steps = [[(0, 0)] * size]  # cancels
        entries.append(order(account, side, *steps))
    sold = draw(st.dictionaries(st.integers(1, ACCOUNTS), st.integers(1, 2**24 - 1).map(lambda bits: bits & mask), max_size=3))
    cuts = draw(st.sets(st.integers(1, max(len(entries) - 1, 1)), max_size=3))
    ends = sorted({cut for cut in cuts if cut < len(entries)} | ({len(entries)} if entries else set()))
    carried = draw(st.frozensets(st.integers(0, 3)))
    return Example(mask, cap, minimum, tuple(entries), {a: s for a, s in sold.items() if s}, tuple(ends), carried)


@pytest.fixture(scope="module")
def six(market: Market) -> Market:
    """The market with six accounts of one owner, all with money and a meter."""
    for number in range(1, ACCOUNTS + 1):
        assert market.member(f"account {number}", number, owner="owner", money=MONEY) == number
    return market


def neighbours(c: IntervalCertificate) -> Iterator[IntervalCertificate]:
    """Certificates near `c`: each field one off, the range moved, widened, shut on its price, other volumes with rests to
    match."""
    for step in (-1, 1):
        for name in ("lo", "hi", "volume", "rest_bids", "rest_offers"):
            yield replace(c, **{name: getattr(c, name) + step})
        yield replace(c, lo=c.lo + step, hi=c.hi + step)
        yield replace(c, volume=c.volume + step, rest_bids=c.rest_bids + step, rest_offers=c.rest_offers + step)
    middle = (c.lo + c.hi) // 2
    yield replace(c, lo=c.lo - 1, hi=c.hi + 1)
    yield replace(c, lo=middle, hi=middle)
    yield replace(c, rest_bids=c.rest_offers, rest_offers=c.rest_bids)
    yield replace(c, volume=0, rest_bids=0, rest_offers=0)


def fits(c: IntervalCertificate) -> bool:
    prices, volumes = (c.lo, c.hi), (c.volume, c.rest_bids, c.rest_offers)
    return all(0 <= p <= MAX_PRICE for p in prices) and all(0 <= v < 2**40 for v in volumes)


def sell_before(market: Market, day: int, mask: int, sold: dict[int, int]) -> None:
    """A session before the one in question, in which the accounts sell exactly the intervals of `sold`."""
    union = 0
    for intervals in sold.values():
        union |= intervals
    session = market.open(day, union, min_quantity=0)
    chosen = [t for t in range(24) if union >> t & 1]
    offers = [order(a, Side.OFFER, [(5 * (s >> t & 1), 0) for t in chosen]) for a, s in sorted(sold.items())]
    market.place("owner", session, order(ACCOUNTS, Side.BID, [(1_000, 100)] * len(chosen)), *offers)
    market.clear(session)
    assert union & ~mask == 0
    assert {account: market.client.sold(account, day) for account in sold} == sold


def place(market: Market, session: int, example: Example) -> None:
    start = 0
    for number, end in enumerate(example.cuts):
        words = batch_words(example.entries[start:end], market.client.terms(session))
        if number in example.carried:
            batch = order_batch(session, words, next(NONCES), 0, market.chain.now() + 600)
            market.client.place_signed(key_of("anyone"), [batch.sign(market.client.domain, key_of("owner"))])
        else:
            market.client.place(key_of("owner"), session, words)
        start = end


def refuse_the_neighbours(market: Market, session: int, clearing: Clearing, every: int) -> None:
    log, right = market.log(session), clearing.certificate_words
    for j in range(0, len(right), every):
        certificate = clearing.certificates[j]
        for other in {n for n in neighbours(certificate) if fits(n)} - {certificate}:
            wrong = [*right[:j], other.word(), *right[j + 1 :]]
            with pytest.raises(ContractRefusal) as caught:
                market.client.simulate(
                    address_of("anyone"), market.client.encode_clear(session, ClearingPass.whole(log, wrong))
                )
            assert caught.value.error_name in WRONG_CLEARING, (certificate, other)


def commit(market: Market, session: int, clearing: Clearing) -> None:
    """Commits every group; money and promises go where the engine's rows say."""
    client, day = market.client, market.terms(session).day
    accounts = range(1, ACCOUNTS + 1)
    before = {account: client.balance(account) for account in accounts}
    sold = {account: client.sold(account, day) for account in accounts}
    for group, rows in enumerate(group_words(clearing)):
        client.commit(key_of("anyone"), session, group, rows)
    intervals = market.terms(session).intervals
    for account in accounts:
        available, locked = before[account].available, before[account].locked
        for row in clearing.rows:
            if row.account != account:
                continue
            if row.live and row.side is Side.OFFER and any(row.fills):
                sold[account] |= sum(1 << t for t, fill in zip(intervals, row.fills, strict=True) if fill)
            else:
                locked -= row.lock
                available += row.lock - row.cost
        assert client.sold(account, day) == sold[account]
        assert (client.balance(account).available, client.balance(account).locked) == (available, locked)
    assert client.escrow(session) == sum(row.cost for row in clearing.rows)


def hold(market: Market, example: Example, every: int = 1) -> Clearing:
    """Holds the session of an example from its orders to its promises; looks beside every so-manieth certificate."""
    client, day = market.client, next(DAYS)
    if example.sold:
        sell_before(market, day, example.mask, example.sold)
    session = market.open(day, example.mask, price_cap=example.cap, min_quantity=example.minimum)
    place(market, session, example)
    market.close_gate(session)
    book, log = market.book(session), market.log(session)
    assert book.orders == example.entries
    live, hints = log.table()
    assert (book.live_words(), book.hint_words()) == (live, hints)

    clearing = market.engine(session)
    refuse_the_neighbours(market, session, clearing, every)
    client.clear(key_of("anyone"), session, ClearingPass.whole(log, clearing.certificate_words))
    assert client.certificate_hash(session) == clearing.certificate_hash
    assert client.progress(session).groups == len(clearing.groups) == -(-len(example.entries) // 16)
    for group, rows in enumerate(group_words(clearing)):
        assert client.group_hash(session, group) == clearing.group_hashes[group] == hash_words(rows)
    commit(market, session, clearing)
    return clearing


@pytest.mark.slow
@settings(max_examples=70 if anvil_binary() else 10, deadline=None)
@given(examples())
def test_the_contract_takes_the_engine_s_clearing_and_no_other(six: Market, example: Example) -> None:
    hold(six, example)


def test_a_whole_day_of_three_groups(six: Market) -> None:
    draw = random.Random(24)
    entries = []
    for number in range(40):
        side = Side(number % 2)
        curve = [
            [(draw.randrange(0, 3) * 700, draw.randrange(1, 6) * 50_000) for _ in range(24)] for _ in range(1 + number % 4)
        ]
        account = draw.randrange(1, ACCOUNTS + 1)
        entries.append(order(account, side, *[[(q, p if q else 0) for q, p in step] for step in curve]))
    whole = Example(2**24 - 1, 500_000, 1, tuple(entries), {1: 0xF0F0F0, 2: 0xFFFFFF}, (13, 40), frozenset({1}))
    clearing = hold(six, whole, every=8)
    assert len(clearing.groups) == 3
    assert all(certificate.volume for certificate in clearing.certificates)
    assert not any(fill for row in clearing.rows if row.account == 2 and row.side is Side.OFFER for fill in row.fills)
