"""Exactly one certificate passes for a book, and it is the one that the definition gives."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import pytest
from contracts_harness import Book, Harness, Rules
from contracts_twin import MAX
from contracts_world import order
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.encoding import IntervalCertificate, ScheduleOrder, Step, hash_words
from contracts.orderlog import groups_of
from contracts.refusals import ContractRefusal
from contracts.units import Side

pytestmark = pytest.mark.slow

BOOKS = sorted((Path(__file__).resolve().parents[1] / "cases" / "clearing").iterdir())
CASES = [case for case in BOOKS if {"mode", "zones", "excluded"}.isdisjoint(json.loads((case / "orders.json").read_text()))]
"""Golden books of competitive sessions with all orders; others are not for this harness."""
K1 = Rules(1)


def single(bids: list[tuple[int, int]], offers: list[tuple[int, int]]) -> Book:
    """A book of one interval from (limit, quantity); accounts 1.. bid, accounts 101.. offer."""
    orders = [order(1 + i, Side.BID, [(q, p)]) for i, (p, q) in enumerate(bids)]
    orders += [order(101 + i, Side.OFFER, [(q, p)]) for i, (p, q) in enumerate(offers)]
    return Book(orders, K1)


def candidates(book: Book, prices: list[int]) -> list[IntervalCertificate]:
    """Every certificate over `prices` (reversed ranges too) with every volume up to one too many and every rest up to it."""
    volume = 1 + min(
        sum(s.quantities[0] for o in book.orders if o.side is side for s in o.steps) for side in Side
    )  # fmt: skip
    return [
        IntervalCertificate(lo, hi, v, rb, rs)
        for lo in prices
        for hi in prices
        for v in range(volume + 1)
        for rb in range(v + 1)
        for rs in range(v + 1)
    ]


@pytest.mark.slow
def test_every_book_of_up_to_two_bids_and_two_offers_has_exactly_one_certificate(harness: Harness) -> None:
    entries = list(itertools.product((0, 1), (1, 2)))
    sides = [[], *([e] for e in entries), *([a, b] for a, b in itertools.product(entries, repeat=2))]
    books = [single(bids, offers) for bids in sides for offers in sides]
    for at in range(0, len(books), 60):
        part = books[at : at + 60]
        tried = [candidates(book, [0, 1, 2, MAX]) for book in part]
        accepted = harness.accepted(part, [[c.word() for c in cs] for cs in tried])
        for book, certificates, verdicts in zip(part, tried, accepted, strict=True):
            passing = [c for c, ok in zip(certificates, verdicts, strict=True) if ok]
            assert passing == list(book.cleared().certificates), book.orders


entry = st.tuples(st.integers(0, 5), st.integers(1, 3))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(entry, max_size=5), st.lists(entry, max_size=5))
def test_in_larger_books_no_other_certificate_passes(
    harness: Harness, bids: list[tuple[int, int]], offers: list[tuple[int, int]]
) -> None:
    book = single(bids, offers)
    tried = [c for c in candidates(book, [0, 1, 2, 3, 4, 5, 6, MAX]) if c.lo <= c.hi]
    tried = random.Random(len(tried)).sample(tried, min(len(tried), 600))
    right = book.cleared().certificates[0]
    tried = [right, *(c for c in tried if c != right)]
    assert harness.accepted([book], [[c.word() for c in tried]]) == [[True] + [False] * (len(tried) - 1)]


@st.composite
def books(draw: st.DrawFn) -> Book:
    k = draw(st.integers(1, 11))
    mask = sum(1 << t for t in draw(st.lists(st.integers(0, 23), min_size=k, max_size=k, unique=True)))
    rules = Rules(k, 12, 0, draw(st.integers(0, 2_000_000)))
    cell = st.one_of(st.just((0, 0)), st.tuples(st.integers(1, 9), st.integers(0, 12)))
    orders = []
    for _ in range(draw(st.integers(0, 34))):
        steps = draw(st.lists(st.lists(cell, min_size=k, max_size=k), min_size=1, max_size=3))
        if not any(q for s in steps for q, _ in s):
            steps = steps[:1]
        orders.append(order(draw(st.integers(1, 9)), draw(st.sampled_from(Side)), *steps))
    sold = draw(st.dictionaries(st.integers(1, 9), st.integers(1, (1 << 24) - 1), max_size=3))
    return Book(orders, rules, mask, sold)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(books())
def test_rows_are_those_of_the_twin(harness: Harness, book: Book) -> None:
    cleared = book.cleared()
    assert harness.groups(book, cleared.certificate) == [hash_words(rows) for rows in groups_of(cleared.rows)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(books(), st.data())
def test_a_bit_more_or_less_anywhere_is_refused(harness: Harness, book: Book, data: st.DataObject) -> None:
    certificate = book.cleared().certificate
    wrong = []
    for _ in range(12):
        j, bit = data.draw(st.integers(0, len(certificate) - 1)), data.draw(st.integers(0, 200))
        wrong += [word ^ (1 << bit) if i == j else word for i, word in enumerate(certificate)]
    assert harness.accepted([book], [wrong]) == [[False] * 12]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_golden_books(harness: Harness, case: Path) -> None:
    given_, expected = (json.loads((case / name).read_text()) for name in ("orders.json", "expected.json"))
    if not given_["intervals"]:
        pytest.fail("a session has intervals")
    orders = [
        ScheduleOrder(
            o["account"],
            Side[o["side"].upper()],
            tuple(Step(tuple(q for q, _ in s), tuple(p for _, p in s)) for s in o["steps"]),
        )
        for o in given_["log"]
    ]
    rules = Rules(len(given_["intervals"]), given_["price_cap"], given_["min_quantity"], given_["collateral_ppm"])
    mask = sum(1 << t for t in given_["intervals"])
    sold = {int(account): sum(1 << t for t in ts) for account, ts in given_.get("sold", {}).items()}
    book = Book(orders, rules, mask, sold)
    cleared = book.cleared()
    named = [(c["lo"], c["hi"], c["volume"], c["rest_bids"], c["rest_offers"]) for c in expected["certificates"]]
    assert [(c.lo, c.hi, c.volume, c.rest_bids, c.rest_offers) for c in cleared.certificates] == named
    assert [list(row.fills) for row in cleared.rows] == [row["fills"] for row in expected["rows"]]
    assert [(row.lock, row.cost, row.live) for row in cleared.rows] == [
        (r["lock"], r["cost"], r["live"]) for r in expected["rows"]
    ]
    assert harness.groups(book, cleared.certificate) == [hash_words(rows) for rows in groups_of(cleared.rows)]


# What each refusal is called, on one book: a bid of 3 at 10, offers of 2 at 4 and 2 at 6, cleared with 3 at 6.

BOOK = single([(10, 3)], [(4, 2), (6, 2)])
RIGHT = IntervalCertificate(6, 6, 3, 0, 1)


@pytest.mark.parametrize(
    ("certificate", "error"),
    [
        (IntervalCertificate(7, 6, 3, 0, 1), "RangeReversed"),
        (IntervalCertificate(6, 6, 3, 1, 1), "RestNotUsed"),
        (IntervalCertificate(6, 6, 2, 0, 0), "VolumeNotMet"),
        (IntervalCertificate(6, 6, 4, 1, 2), "VolumeNotMet"),
        (IntervalCertificate(4, 7, 3, 0, 3), "VolumeNotMet"),
        (IntervalCertificate(4, 4, 3, 0, 3), "VolumeNotMet"),
        (IntervalCertificate(6, 10, 3, 3, 1), "VolumeTooSmall"),
        (IntervalCertificate(5, 6, 2, 0, 0), "VolumeNotMet"),
        (IntervalCertificate(4, 10, 2, 2, 2), "LimitInsideRange"),
        (IntervalCertificate(7, 7, 3, 0, 0), "VolumeNotMet"),
        (IntervalCertificate(2, 3, 0, 0, 0), "VolumeNotMet"),
    ],
)
def test_each_wrong_certificate_has_its_reason(harness: Harness, certificate: IntervalCertificate, error: str) -> None:
    assert BOOK.cleared().certificates == (RIGHT,)
    with pytest.raises(ContractRefusal) as refused:
        harness.groups(BOOK, [certificate.word()])
    assert refused.value.error_name == error


@pytest.mark.parametrize(
    ("bids", "offers", "certificate", "error"),
    [
        ([(10, 2)], [(4, 2)], IntervalCertificate(5, 10, 2, 2, 0), "LowNotTight"),
        ([(10, 2)], [(4, 2)], IntervalCertificate(4, 9, 2, 0, 2), "HighNotTight"),
        ([(10, 2)], [(4, 2)], IntervalCertificate(7, 7, 2, 0, 0), "LowNotTight"),
        ([], [], IntervalCertificate(1, MAX, 0, 0, 0), "LowNotTight"),
        ([], [], IntervalCertificate(0, MAX - 1, 0, 0, 0), "HighNotTight"),
        ([(5, 2)], [(5, 2)], IntervalCertificate(5, 5, 1, 1, 1), "VolumeTooSmall"),
    ],
)
def test_ranges_must_be_whole(
    harness: Harness, bids: list[tuple[int, int]], offers: list[tuple[int, int]], certificate: IntervalCertificate, error: str
) -> None:
    with pytest.raises(ContractRefusal) as refused:
        harness.groups(single(bids, offers), [certificate.word()])
    assert refused.value.error_name == error


def test_certificates_have_one_clean_word_per_interval(harness: Harness) -> None:
    for certificate, error in (
        ([], "CertificateLength"),
        ([RIGHT.word()] * 2, "CertificateLength"),
        ([RIGHT.word() | 1 << 184], "CertificateBits"),
    ):
        with pytest.raises(ContractRefusal) as refused:
            harness.groups(BOOK, certificate)
        assert refused.value.error_name == error


# The live table: account 3 offers twice and bids once, account 5 offers and cancels.

LIVE_BOOK = Book(
    [
        order(3, Side.OFFER, [(9, 1)]),
        order(5, Side.OFFER, [(9, 1)]),
        order(3, Side.BID, [(4, 8)]),
        order(3, Side.OFFER, [(4, 2)]),
        order(5, Side.OFFER, [(0, 0)]),
    ],
    K1,
)


def row(account: int, side: Side, position: int) -> int:
    return position | int(side) << 31 | account << 32


def table(*rows: int) -> list[int]:
    return [sum(r << 64 * i for i, r in enumerate(rows[at : at + 4])) for at in range(0, len(rows), 4)]


def hints(*rows: int) -> list[int]:
    return [sum(r << 32 * i for i, r in enumerate(rows[at : at + 8])) for at in range(0, len(rows), 8)]


BID3, OFFER3, OFFER5 = row(3, Side.BID, 2), row(3, Side.OFFER, 3), row(5, Side.OFFER, 4)
HINTS = hints(1, 2, 0, 1, 2)


@pytest.mark.parametrize(
    ("live", "hint_words", "error"),
    [
        (table(BID3, OFFER3), HINTS, "HintOutOfRange"),
        (table(BID3, OFFER3, OFFER5, row(9, Side.BID, 1)), HINTS, "LiveRowsUnused"),
        (table(OFFER3, BID3, OFFER5), hints(0, 2, 1, 0, 2), "LiveTableOrder"),
        (table(BID3, OFFER3, OFFER3, OFFER5), hints(1, 3, 0, 1, 3), "LiveTableOrder"),
        (table(BID3, row(3, Side.OFFER, 0), OFFER5), HINTS, "EntryAfterLive"),
        (table(BID3, OFFER3, row(5, Side.OFFER, 1)), HINTS, "EntryAfterLive"),
        (table(BID3, row(3, Side.OFFER, 4), OFFER5), HINTS, "LiveRowsUnused"),
        (table(BID3, OFFER3, OFFER5), hints(2, 2, 0, 1, 2), "HintWrongRow"),
        (table(BID3, OFFER3, OFFER5), hints(1, 2, 1, 1, 2), "HintWrongRow"),
        (table(BID3, OFFER3, OFFER5), [], "HintsLength"),
        (table(BID3, OFFER3, OFFER5), [*HINTS, 0], "HintsLength"),
        ([*table(BID3, OFFER3, OFFER5), 0], HINTS, "LiveTableOrder"),
        ([table(BID3, OFFER3, OFFER5)[0] | OFFER5 << 192], HINTS, "LiveTableOrder"),
        (table(BID3, 0, OFFER3, OFFER5), hints(2, 3, 0, 2, 3), "LiveTableOrder"),
    ],
)
def test_a_live_table_that_is_not_the_logs_is_refused(
    harness: Harness, live: list[int], hint_words: list[int], error: str
) -> None:
    certificate = LIVE_BOOK.cleared().certificate
    assert LIVE_BOOK.log.table() == (table(BID3, OFFER3, OFFER5), HINTS)
    assert harness.groups(LIVE_BOOK, certificate)
    with pytest.raises(ContractRefusal) as refused:
        harness.groups(LIVE_BOOK, certificate, live=live, hints=hint_words)
    assert refused.value.error_name == error


def test_replaced_and_cancelled_orders_take_no_part(harness: Harness) -> None:
    cleared = LIVE_BOOK.cleared()
    assert [r.live for r in cleared.rows] == [False, False, True, True, True]
    assert [r.fills for r in cleared.rows] == [(0,), (0,), (4,), (4,), (0,)]
    assert [r.lock > 0 for r in cleared.rows] == [True, True, True, True, False]
