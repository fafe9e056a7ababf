"""Coupled zones on random books: engine = brute force = a linear program, the checker accepts that and nothing near it; without
a limit as one book, with limit 0 as separate ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_brute import terms_for
from market_zonal import best_of, price_ranges, units_of

from contracts.encoding import ScheduleOrder, Step
from contracts.units import Direction, Side
from market.clearing import uniform
from market.clearing.milp import INFINITY, Program
from market.clearing.zonal import Link, ZonalClearing, ZoneBook, clear
from market.clearing.zonal_check import check_zonal
from market.errors import OrderError
from market.orders import OrderBook

MASK = 0b11 << 9
LIMITS = st.one_of(st.none(), st.integers(0, 3))


@st.composite
def coupled(draw: st.DrawFn, zones: int = 3, largest: int = 2, orders: int = 3) -> tuple[list[ZoneBook], list[Link]]:
    """Few accounts, so that entries replace one another; close prices, so that ties abound."""
    books = []
    for name in range(draw(st.integers(1, zones))):
        log = []
        for _ in range(draw(st.integers(0, orders))):
            wh = [draw(st.integers(0, largest)) for _ in range(2)]
            step = Step(tuple(wh), tuple(draw(st.integers(0, 4)) if q else 0 for q in wh))
            log.append(ScheduleOrder(draw(st.integers(1, 4)), draw(st.sampled_from(Side)), (step,)))
        sold = draw(st.dictionaries(st.integers(1, 4), st.sampled_from([1 << 9, 1 << 10]), max_size=1))
        books.append(ZoneBook(f"zone {name}", OrderBook(terms_for(MASK), tuple(log)), sold))
    links = []
    if len(books) > 1:
        for _ in range(draw(st.integers(0, 3))):
            source, target = draw(st.permutations(range(len(books))))[:2]
            links.append(Link(source, target, *((draw(LIMITS), draw(LIMITS)) for _ in range(2))))
    return books, links


def rank(cleared: ZonalClearing, j: int) -> int:
    """By which equal outcomes are told apart: less is better."""
    zones = cleared.intervals[j].zones
    return sum(zone.bids * z * len(zones) + zone.offers * z for z, zone in enumerate(zones))


@settings(max_examples=120, deadline=None)
@given(coupled())
def test_engine_equals_brute_force_and_the_checker_accepts_it(found: tuple[list[ZoneBook], list[Link]]) -> None:
    zones, links = found
    cleared = clear(zones, links)
    verdict = check_zonal(zones, links, cleared)
    assert verdict.accepted, verdict.reason
    welfare = 0
    for j, part in enumerate(cleared.intervals):
        units = [units_of(zone, j) for zone in zones]
        (worth, volume, minus_rank), picks, flows = best_of(units, links, j)
        welfare += worth
        assert (sum(zone.bids for zone in part.zones), rank(cleared, j)) == (volume, -minus_rank)
        assert [(zone.lo, zone.hi) for zone in part.zones] == price_ranges(units, links, picks, flows, j)
        assert part.rent >= 0
    assert cleared.welfare == welfare


@settings(max_examples=60, deadline=None)
@given(coupled(zones=5, largest=4000, orders=8))
def test_no_linear_program_finds_more_welfare(found: tuple[list[ZoneBook], list[Link]]) -> None:
    zones, links = found
    cleared = clear(zones, links)
    assert check_zonal(zones, links, cleared).accepted
    total = 0.0
    for j in range(2):
        program = Program()
        balance: list[dict[int, float]] = [{} for _ in zones]
        for z, zone in enumerate(zones):
            for _, order in zone.book.live:
                wh, limit = order.steps[0].quantities[j], order.steps[0].limits[j]
                if order.side is Side.OFFER and zone.sold.get(order.account, 0) >> (9 + j) & 1:
                    wh = 0
                sign = 1 if order.side is Side.BID else -1
                balance[z][program.column(sign * limit, 0.0, wh)] = -sign
        for link in links:
            ahead, back = link.forward[j], link.backward[j]
            flow = program.column(0.0, -INFINITY if back is None else -back, INFINITY if ahead is None else ahead)
            balance[link.source][flow], balance[link.target][flow] = -1.0, 1.0
        for row in balance:
            program.row(0.0, 0.0, row)
        if program.costs:  # HiGHS does not solve what has no variables
            answer = program.maximize(5.0, 0.0)
            assert answer.optimal
            total += answer.bound
    assert cleared.welfare == round(total)


@settings(max_examples=60, deadline=None)
@given(coupled(zones=3, largest=50, orders=6))
def test_without_limits_as_one_book_and_closed_as_many(found: tuple[list[ZoneBook], list[Link]]) -> None:
    zones, _ = found
    row = [Link(z, z + 1, (None, None), (None, None)) for z in range(len(zones) - 1)]
    cleared = clear(zones, row)
    # One book needs accounts that are different in each zone.
    moved = [replace(order, account=order.account + 10 * z) for z, zone in enumerate(zones) for order in zone.book.orders]
    sold = {account + 10 * z: mask for z, zone in enumerate(zones) for account, mask in zone.sold.items()}
    union = uniform.clear(OrderBook(terms_for(MASK), tuple(moved)), sold)
    for j, (part, certificate) in enumerate(zip(cleared.intervals, union.certificates, strict=True)):
        assert {(zone.lo, zone.hi) for zone in part.zones} == {(certificate.lo, certificate.hi)}
        assert sum(zone.bids for zone in part.zones) == certificate.volume
        assert [fills[j] for rows in cleared.fills for fills in rows] == [r.fills[j] for r in union.rows]
        assert part.rent == 0
    shut = clear(zones, [replace(link, forward=(0, 0), backward=(0, 0)) for link in row])
    for z, zone in enumerate(zones):
        alone = uniform.clear(zone.book, zone.sold)
        told = [(part.zones[z].lo, part.zones[z].hi, part.zones[z].bids) for part in shut.intervals]
        assert told == [(c.lo, c.hi, c.volume) for c in alone.certificates]
        assert list(shut.fills[z]) == [r.fills for r in alone.rows]


@settings(max_examples=150, deadline=None)
@given(coupled(zones=3, largest=5, orders=5), st.data())
def test_the_checker_refuses_everything_else(found: tuple[list[ZoneBook], list[Link]], data: st.DataObject) -> None:
    zones, links = found
    cleared = clear(zones, links)
    j = data.draw(st.integers(0, 1))
    part = cleared.intervals[j]
    z = data.draw(st.integers(0, len(zones) - 1))
    by = data.draw(st.sampled_from([-1, 1]))
    what = data.draw(st.sampled_from(["lo", "hi", "bids", "offers", "welfare", "fill", "pair", "flow"]))
    wrong = cleared
    if what in ("lo", "hi", "bids", "offers"):
        changed = replace(part.zones[z], **{what: getattr(part.zones[z], what) + by})
        part = replace(part, zones=(*part.zones[:z], changed, *part.zones[z + 1 :]))
    elif what == "flow":
        if not links:
            return
        i = data.draw(st.integers(0, len(links) - 1))
        part = replace(part, flows=(*part.flows[:i], part.flows[i] + by, *part.flows[i + 1 :]))
    elif what == "welfare":
        wrong = replace(cleared, welfare=cleared.welfare + by)
    else:
        if not zones[z].book.orders:
            return
        rows = [list(row) for row in cleared.fills[z]]
        rows[data.draw(st.integers(0, len(rows) - 1))][j] += by
        if what == "pair":  # so that the zone's sums stay as they are
            rows[data.draw(st.integers(0, len(rows) - 1))][j] -= by
        fills = tuple(tuple(row) for row in rows)
        wrong = replace(cleared, fills=(*cleared.fills[:z], fills, *cleared.fills[z + 1 :]))
    intervals = (*cleared.intervals[:j], part, *cleared.intervals[j + 1 :])
    wrong = replace(wrong, intervals=intervals)
    if wrong != cleared:
        assert not check_zonal(zones, links, wrong).accepted


def test_the_same_zones_clear_the_same() -> None:
    step = Step((7, 7), (3, 3))
    books = [
        ZoneBook(str(z), OrderBook(terms_for(MASK), tuple(ScheduleOrder(a, Side(a % 2), (step,)) for a in range(1, 9))))
        for z in range(4)
    ]
    links = [Link(z, (z + 1) % 4, (5, 5), (5, 5)) for z in range(4)]
    assert clear(books, links) == clear(books, links)
    assert check_zonal(books, links, clear(books, links)).accepted


def test_what_does_not_fit_is_refused_by_field() -> None:
    terms = terms_for(MASK)
    one = ZoneBook("a", OrderBook(terms, ()))
    other = ZoneBook("b", OrderBook(replace(terms, direction=Direction.DOWN), ()))
    good = Link(0, 1, (1, 1), (1, 1))
    for zones, links, field in (
        ([], [], "zones"),
        ([one, other], [], "zones[1].direction"),
        ([one, one], [replace(good, target=2)], "links[0].target"),
        ([one, one], [replace(good, source=-1)], "links[0].source"),
        ([one, one], [replace(good, target=0)], "links[0].target"),
        ([one, one], [good, replace(good, forward=(1,))], "links[1].forward"),
        ([one, one], [replace(good, backward=(1, -1))], "links[0].backward[1]"),
    ):
        with pytest.raises(OrderError) as caught:
            clear(zones, links)
        assert caught.value.field == field
