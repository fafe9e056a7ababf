"""Cooperative clearings: the deployed contract accepts and stores what the engine says, and nothing beside it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_world import FIRST_DAY, Market, address_of, key_of, order

from contracts.calls import Call, ClearingPass
from contracts.chain import anvil_binary
from contracts.clearing_words import MAX_VOLUME, BookLevel, Chunk, CooperativeCertificate, chain_hash, level_words
from contracts.encoding import ScheduleOrder, batch_words, hash_words
from contracts.events import ClearingContinued
from contracts.orderlog import OrderLog, groups_of
from contracts.refusals import ContractRefusal
from contracts.units import MAX_PRICE, MAX_QUANTITY, Mode, Side
from market.clearing import engine
from market.clearing.cooperative import CooperativeClearing

ACCOUNTS = 8
MONEY = 8 * 10**15
DAYS = count(FIRST_DAY + 20)

WRONG_CLEARING = {
    "CertificateBits", "CertificateLength", "CertificateWithoutVolume", "GrossNotMet", "LevelOrder", "LevelsIncomplete",
    "LevelsLeft", "LevelsMismatch", "LevelsNotOfBook", "RestMissing", "RestNotUsed", "SurplusNotShared", "VolumeNotLargest",
    "VolumeNotMet", "VolumeTooLarge",
}  # fmt: skip
"""What the contract says to a certificate or levels that are not the book's."""


@dataclass(frozen=True)
class Example:
    """A session to hold: accounts 1 to 4 bid and 5 to 8 offer; `sold` is what accounts sell in a session before it, `cut` how
    many of the log's batches (an entry each) the clearing's first call takes, `looked` the interval beside whose result others
    are tried."""

    mask: int
    entries: tuple[ScheduleOrder, ...]
    sold: dict[int, int]
    cut: int
    looked: int


@st.composite
def examples(draw: st.DrawFn) -> Example:
    size = draw(st.integers(1, 6))
    mask = sum(1 << t for t in draw(st.sets(st.integers(0, 23), min_size=size, max_size=size)))
    # few levels and few quantities, so that ties at the edges are common; prices near 0 cannot fall by the whole share
    levels = [0, 1, 500_000, *draw(st.lists(st.integers(0, 500_000), min_size=1, max_size=3))]
    quantities = [0, 1, *draw(st.lists(st.integers(1, 3_000), min_size=1, max_size=2))]
    entries = []
    for _ in range(draw(st.integers(0, 18))):
        account = draw(st.integers(1, ACCOUNTS))
        steps = []
        for _ in range(draw(st.integers(1, 3))):
            pairs = [(draw(st.sampled_from(quantities)), draw(st.sampled_from(levels))) for _ in range(size)]
            steps.append([(q, p if q else 0) for q, p in pairs])
        if not any(quantity for step in steps for quantity, _ in step):
            steps = steps[:1]
        placed = order(account, Side.OFFER if account > 4 else Side.BID, *steps)
        if placed.side is Side.OFFER and not placed.cancels:
            placed = replace(placed, reserve=draw(st.booleans()))
        entries.append(placed)
    sellers = st.integers(5, ACCOUNTS)
    sold = draw(st.dictionaries(sellers, st.integers(0, 2**24 - 1).map(lambda bits: bits & mask), max_size=2))
    return Example(
        mask, tuple(entries), {a: s for a, s in sold.items() if s}, draw(st.integers(0, len(entries))), draw(st.integers(0, 5))
    )


@pytest.fixture(scope="module")
def eight(market: Market) -> Market:
    """The market with eight people, each with money and a meter, and an envelope for everything."""
    for number in range(1, ACCOUNTS + 1):
        assert market.member(f"person {number}", number, money=MONEY) == number
        market.client.set_envelope(key_of("metering"), number, MAX_QUANTITY)
    return market


def hold(market: Market, example: Example) -> CooperativeClearing:
    """Holds the session of an example from its orders to its promises."""
    client, day = market.client, next(DAYS)
    if example.sold:
        sell_before(market, day, example.sold)
    session = market.open(day, example.mask, min_quantity=0, mode=Mode.COOPERATIVE)
    terms = client.terms(session)
    for entry in example.entries:
        client.place(key_of(f"person {entry.account}"), session, batch_words([entry], terms))
    market.close_gate(session)
    book, log = market.book(session), market.log(session)
    assert book.orders == example.entries
    cleared = engine.clear(book, market.sold(session))
    assert isinstance(cleared, CooperativeClearing)

    whole = ClearingPass.whole(log, cleared.certificate_words, cleared.level_words)
    for wrong in wrong_passes(cleared, whole, example.looked % book.terms.mask.bit_count()):
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of("anyone"), client.encode_clear(session, wrong))
        assert caught.value.error_name in WRONG_CLEARING, (caught.value, wrong)
    for part in parts(market, session, log, whole, example.cut):
        client.send(key_of("anyone"), part)
    assert client.certificate_hash(session) == hash_words(cleared.certificate_words)
    groups = groups_of(cleared.rows)
    assert client.progress(session).groups == len(groups)
    for group, rows in enumerate(groups):
        assert client.group_hash(session, group) == hash_words(rows)
        client.commit(key_of("anyone"), session, group, rows)
    assert client.escrow(session) == sum(row.cost for row in cleared.rows)
    return cleared


def parts(market: Market, session: int, log: OrderLog, whole: ClearingPass, cut: int) -> Iterator[Call]:
    """The clearing in one call, or in three where the first takes `cut` batches and the second as many levels."""
    client = market.client
    if not 0 < cut < min(len(log.batches), len(whole.levels)):
        yield client.encode_clear(session, whole)
        return
    state: tuple[int, ...] = ()
    last, levels = len(log.batches), len(whole.levels)
    for chunk in (Chunk(0, cut, 0, False), Chunk(cut, last, 0, False, 0, cut), Chunk(last, last, 0, True, cut, levels)):
        yield client.encode_clear(session, whole.part(log, chunk, state, whole.levels))
        told = [e for _, e in client.events(None, None, ClearingContinued) if e.session == session]
        state = told[-1].state


def wrong_passes(right: CooperativeClearing, whole: ClearingPass, j: int) -> Iterator[ClearingPass]:
    """The pass with one thing of interval j's certificate or of its levels another."""
    for other in neighbours(right.certificates[j]):
        yield whole._replace(certificate=words_with(right.certificates, j, other))
    for other_levels in wrong_levels(right.levels[j]):
        changed = [*right.levels[:j], other_levels, *right.levels[j + 1 :]]
        yield whole._replace(levels=level_words(changed), levels_hash=chain_hash(level_words(changed)))


def words_with(certificates: Sequence[CooperativeCertificate], j: int, other: CooperativeCertificate) -> list[int]:
    changed = [*certificates[:j], other, *certificates[j + 1 :]]
    return [word for certificate in changed for word in certificate.words()]


def neighbours(c: CooperativeCertificate) -> Iterator[CooperativeCertificate]:
    found = []
    for step in (-1, 1):
        for name in ("bid_edge", "offer_edge", "volume", "rest_bids", "rest_offers", "share", "buyers", "sellers"):
            found.append(replace(c, **{name: getattr(c, name) + step}))
        found.append(replace(c, volume=c.volume + step, rest_bids=c.rest_bids + step, rest_offers=c.rest_offers + step))
        found.append(replace(c, buyers=c.buyers + step, sellers=c.sellers + step))
        # a share more or less, with the sums that belong to it
        found.append(replace(c, share=c.share + step, buyers=c.buyers - step * c.volume, sellers=c.sellers + step * c.volume))
    found.append(CooperativeCertificate(MAX_PRICE, 0, 0, 0, 0, 0, 0, 0))
    for other in found:
        prices = (other.bid_edge, other.offer_edge, other.share)
        volumes = (other.volume, other.rest_bids, other.rest_offers)
        fits = all(0 <= p <= MAX_PRICE for p in prices) and all(0 <= v <= MAX_VOLUME for v in volumes)
        if other != c and fits and other.buyers >= 0 and other.sellers >= 0:
            yield other


def wrong_levels(levels: Sequence[BookLevel]) -> Iterator[Sequence[BookLevel]]:
    if not levels:
        yield [BookLevel(5, 1, 0)]
        return
    first = levels[0]
    yield [replace(first, bids=first.bids + 1), *levels[1:]]
    yield [replace(first, offers=first.offers + 1), *levels[1:]]
    yield [*levels, BookLevel(600_000, 1, 1)]
    yield levels[:-1]
    if first.price:
        yield [replace(first, price=first.price - 1), *levels[1:]]
    if len(levels) > 1 and levels[1].bids:  # demand put at a lower limit, where it would widen nothing
        second = levels[1]
        yield [
            replace(first, bids=first.bids + second.bids),
            *([replace(second, bids=0)] if second.offers else []),
            *levels[2:],
        ]


def sell_before(market: Market, day: int, sold: dict[int, int]) -> None:
    """A session before the one in question, in which the accounts sell exactly the intervals of `sold`."""
    union = 0
    for intervals in sold.values():
        union |= intervals
    session = market.open(day, union, min_quantity=0)
    chosen = [t for t in range(24) if union >> t & 1]
    market.place("person 1", session, order(1, Side.BID, [(1_000, 100)] * len(chosen)))
    for account, intervals in sorted(sold.items()):
        market.place(f"person {account}", session, order(account, Side.OFFER, [(5 * (intervals >> t & 1), 0) for t in chosen]))
    market.clear(session)
    assert {account: market.client.sold(account, day) for account in sold} == sold


@pytest.mark.slow
@settings(max_examples=60 if anvil_binary() else 6, deadline=None)
@given(examples())
def test_the_contract_takes_the_engine_s_clearing_and_no_other(eight: Market, example: Example) -> None:
    hold(eight, example)


def test_a_whole_day_of_three_groups_in_two_calls(eight: Market) -> None:
    draw = random.Random(24)
    entries = []
    for number in range(40):
        side = Side(number % 2)
        account = draw.randrange(1, 5) + 4 * side
        low, high = (1, 8) if side is Side.BID else (0, 6)
        steps = [
            [(draw.randrange(0, 3) * 700, draw.randrange(low, high) * 50_000) for _ in range(24)] for _ in range(1 + number % 3)
        ]
        entries.append(order(account, side, *[[(q, p if q else 0) for q, p in step] for step in steps]))
    whole = Example(2**24 - 1, tuple(entries), {5: 0xF0F0F0, 6: 0xFFFFFF}, cut=21, looked=3)
    cleared = hold(eight, whole)
    assert len(cleared.groups) == 3
    assert sum(certificate.share > 0 for certificate in cleared.certificates) > 12
    assert any(0 < fill < 700 * 3 for row in cleared.rows for fill in row.fills)
    assert not any(fill for row in cleared.rows if row.account == 6 for fill in row.fills)
