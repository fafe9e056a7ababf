"""Statements of whole sessions: they balance to zero exactly, against a vault that is kept account by account."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_rules import rule_sets

from contracts.encoding import ScheduleOrder, Step
from contracts.units import Direction, Kind, Mode, Side
from market.clearing.uniform import Clearing, clear
from market.errors import FieldError
from market.orders import OrderBook
from market.session import SessionTerms, Zone
from settlement.records import Record, record_of
from settlement.rules import RuleSet, load
from settlement.statements import SessionStatement, settle

ZONE = Zone(1, 0, 60)
CAP = 400_000
FEE_ACCOUNT = 90
AGENT = 80


def terms_for(mask: int, rules: RuleSet, direction: Direction = Direction.UP) -> SessionTerms:
    start, end = ZONE.interval_start(20000, 0), ZONE.interval_start(20000, 24)
    return SessionTerms(
        session=5,
        zone=ZONE,
        kind=Kind.ELECTRICAL,
        direction=direction,
        mode=Mode.COMPETITIVE,
        day=20000,
        mask=mask,
        gate_open=start - 20,
        gate_close=start - 10,
        exemption_deadline=end,
        proof_deadline=end + 10,
        price_cap=CAP,
        min_quantity=1,
        collateral_ppm=rules.collateral_ppm,
        rules_hash=rules.hash,
    )


Market = tuple[SessionTerms, Clearing, dict[int, list[Record]], RuleSet]


@st.composite
def markets(draw: st.DrawFn) -> Market:
    rules = draw(st.one_of(st.just(load()), rule_sets()))
    intervals = sorted(draw(st.sets(st.integers(0, 23), min_size=1, max_size=4)))
    terms = terms_for(sum(1 << t for t in intervals), rules, draw(st.sampled_from(Direction)))
    orders = []
    for _ in range(draw(st.integers(0, 10))):
        side = draw(st.sampled_from(Side))
        prices = st.integers(CAP // 3, CAP) if side is Side.BID else st.integers(0, CAP // 2)
        quantities = tuple(draw(st.integers(0, 3000)) for _ in intervals)
        if any(quantities):
            limits = tuple(draw(prices) if q else 0 for q in quantities)
            orders.append(ScheduleOrder(draw(st.integers(1, 7)), side, (Step(quantities, limits),)))
    cleared = clear(OrderBook(terms, tuple(orders)))
    records: dict[int, list[Record]] = {}
    for account in sorted({row.account for row in cleared.rows if row.side is Side.OFFER}):
        chosen = {t: draw(st.integers(-4000, 4000)) for t in intervals if draw(st.booleans())}
        cut = draw(st.integers(0, len(chosen)))
        parts = [dict(list(chosen.items())[:cut]), dict(list(chosen.items())[cut:])]
        records[account] = [record_of(part, 24) for part in parts if part]
    return terms, cleared, records, rules


class Vault:
    """Available, locked and escrow, moved as docs/protocol.md section 4 says; any underflow fails."""

    def __init__(self, cleared: Clearing) -> None:
        self.available: dict[int, int] = defaultdict(int)
        self.locked: dict[int, int] = defaultdict(int)
        self.escrow = 0
        for row in cleared.rows:
            self.locked[row.payer] += row.lock
        self.start = dict(self.locked)

    def move(self, account: int, unlock: int, credit: int) -> None:
        self.locked[account] -= unlock
        self.available[account] += credit
        self.escrow += unlock - credit
        assert self.locked[account] >= 0
        assert self.escrow >= 0
        assert credit >= 0

    def run(self, cleared: Clearing, statement: SessionStatement) -> None:
        sellers = {seller.position for seller in statement.sellers}
        for position, row in enumerate(cleared.rows):
            if position not in sellers:
                self.move(row.payer, row.lock, row.lock - row.cost)
        for seller in statement.sellers:
            self.move(seller.payer, seller.lock, seller.earned - seller.fee + seller.lock - seller.penalty)
        for buyer in statement.buyers:
            self.move(buyer.payer, 0, buyer.refund)
        self.move(FEE_ACCOUNT, 0, statement.fees)


@settings(max_examples=400, deadline=None)
@given(markets(), st.integers(0, 100_000), st.dictionaries(st.integers(1, 7), st.integers(0, (1 << 24) - 1)), st.booleans())
def test_everything_balances_to_zero(market: Market, fee: int, exempted: dict[int, int], agents: bool) -> None:
    terms, cleared, records, rules = market
    terms = replace(terms, fee_ppm=fee, fee_account=FEE_ACCOUNT)
    if agents:
        cleared = replace(
            cleared, rows=tuple(replace(row, payer=AGENT if row.account % 2 else row.payer) for row in cleared.rows)
        )
    statement = settle(terms, cleared.certificates, cleared.rows, records, rules, exempted)
    assert statement.balanced
    for seller in statement.sellers:
        assert seller.fee == seller.earned * fee // 1_000_000
        assert all(line.penalty == 0 for line in seller.lines if line.exempted)
        assert 0 <= seller.rating <= 10_001
        assert (seller.rating == 0) == all(line.exempted for line in seller.lines)
    vault = Vault(cleared)
    vault.run(cleared, statement)
    assert not any(vault.locked.values())
    assert vault.escrow == statement.rounding
    # Each rounding is below one micro-euro a row and interval, twice for buyers (cost and refund).
    assert statement.rounding <= 2 * len(cleared.rows) * len(terms.intervals)
    changes = {a: vault.available[a] - vault.start.get(a, 0) for a in vault.available}
    told: dict[int, int] = defaultdict(int, {FEE_ACCOUNT: statement.fees})
    for payer, change in [(s.payer, s.change) for s in statement.sellers] + [(b.payer, b.change) for b in statement.buyers]:
        told[payer] += change
    assert {a: c for a, c in changes.items() if c} == {a: c for a, c in told.items() if c}


@settings(max_examples=200, deadline=None)
@given(markets())
def test_nobody_loses_more_than_the_lock_or_earns_more_than_the_promise(market: Market) -> None:
    terms, cleared, records, rules = market
    statement = settle(terms, cleared.certificates, cleared.rows, records, rules)
    for seller in statement.sellers:
        assert 0 <= seller.penalty <= seller.lock
        for line in seller.lines:
            assert 0 <= line.earned <= line.fill * line.price // 1000
            assert line.earned + line.unpaid == line.fill * line.price // 1000
            assert line.penalty >= 0
            assert line.recorded == any(record.mask >> line.interval & 1 for record in records[seller.account])
            if not line.recorded:
                assert line.delivered == 0
    for buyer in statement.buyers:
        assert 0 <= buyer.cost <= buyer.lock
        assert buyer.refund == sum(line.refund for line in buyer.lines) >= 0


@settings(max_examples=100, deadline=None)
@given(markets())
def test_full_delivery_under_the_default_rules_leaves_nothing_to_refund(market: Market) -> None:
    _, cleared, _, _ = market
    rules = load()
    terms = terms_for(market[0].mask, rules, market[0].direction)
    cleared = replace(cleared, rows=tuple(replace(row, lock=max(row.lock, 10**9)) for row in cleared.rows))
    records = {
        row.account: [
            record_of({t: terms.direction.sign * fill for t, fill in zip(terms.intervals, row.fills, strict=True)}, 24)
        ]
        for row in cleared.rows
        if row.side is Side.OFFER and row.live
    }
    statement = settle(terms, cleared.certificates, cleared.rows, records, rules)
    assert statement.refunds == (0,) * len(terms.intervals)
    assert statement.penalties == 0
    assert all(seller.final for seller in statement.sellers)


def session(direction: Direction = Direction.UP) -> tuple[SessionTerms, Clearing]:
    """One seller of 1000 Wh in two intervals at 120000, two buyers of 600 and 400 Wh."""
    terms = terms_for(0b11 << 18, load(), direction)
    orders = (
        ScheduleOrder(1, Side.OFFER, (Step((1000, 1000), (120_000, 120_000)),)),
        ScheduleOrder(2, Side.BID, (Step((600, 600), (120_000, 120_000)),)),
        ScheduleOrder(3, Side.BID, (Step((400, 400), (120_000, 120_000)),)),
    )
    return terms, clear(OrderBook(terms, orders))


def test_a_statement_worked_by_hand() -> None:
    terms, cleared = session()
    statement = settle(terms, cleared.certificates, cleared.rows, {1: [record_of({18: 900, 19: -50}, 24)]}, load())
    (seller,) = statement.sellers
    assert [(line.earned, line.unpaid, line.penalty) for line in seller.lines] == [
        (108_000, 12_000, 18_000),
        (0, 120_000, 54_000),
    ]
    assert seller.change == 36_000
    assert statement.refunds == (30_000, 174_000)
    assert [(buyer.cost, buyer.refund) for buyer in statement.buyers] == [(144_000, 122_400), (96_000, 81_600)]
    assert statement.rounding == 0
    assert statement.balanced


def test_downward_delivery_is_more_consumption() -> None:
    terms, cleared = session(Direction.DOWN)
    statement = settle(terms, cleared.certificates, cleared.rows, {1: [record_of({18: -1000, 19: -1000}, 24)]}, load())
    assert statement.earned == 240_000


def test_a_lock_that_does_not_reach_takes_earlier_intervals_first() -> None:
    terms, cleared = session()
    rows = (replace(cleared.rows[0], lock=60_000), *cleared.rows[1:])
    statement = settle(terms, cleared.certificates, rows, {}, load())
    assert [line.penalty for line in statement.sellers[0].lines] == [54_000, 6_000]
    assert not statement.sellers[0].final


def test_what_was_bought_for_nothing_has_a_row_all_the_same() -> None:
    terms = terms_for(1 << 18, load())
    orders = (ScheduleOrder(1, Side.OFFER, (Step((1000,), (0,)),)), ScheduleOrder(2, Side.BID, (Step((600,), (0,)),)))
    cleared = clear(OrderBook(terms, orders))
    assert [row.fills for row in cleared.rows] == [(600,), (600,)]
    statement = settle(terms, cleared.certificates, cleared.rows, {}, load())
    assert [(buyer.account, buyer.cost, buyer.refund) for buyer in statement.buyers] == [(2, 0, 0)]
    assert [seller.change for seller in statement.sellers] == [0]
    assert statement.balanced


@pytest.mark.parametrize("priced", [False, True])
def test_what_a_dear_reserve_leaves_at_a_price_of_0_is_the_buyers_by_fills(priced: bool) -> None:
    terms = terms_for(0b11 << 18, load())
    orders = (
        ScheduleOrder(1, Side.OFFER, (Step((1000, 1000), (0, 0)),), reserve=True),
        ScheduleOrder(2, Side.BID, (Step((300, 600), (0, 120_000)),)),
        ScheduleOrder(3, Side.BID, (Step((100, 200), (0, 120_000)),)),
    )
    cleared = clear(OrderBook(terms, orders))
    certificates = (replace(cleared.certificates[0], lo=0, hi=0), replace(cleared.certificates[1], lo=60_000, hi=60_000))
    costs, extra = (0, 36_000, 12_000), 400 * 50_000 // 1000
    grosses = ((400 * 50_000, 800 * 60_000), (0, 600 * 60_000), (0, 200 * 60_000))
    rows = tuple(
        replace(row, cost=cost, gross=gross if priced or row.side is Side.OFFER else None)
        for row, cost, gross in zip(cleared.rows, costs, grosses, strict=True)
    )
    statement = settle(terms, certificates, rows, {}, load(), extras=(extra, 0))
    (seller,) = statement.sellers
    assert statement.refunds == (extra + seller.lines[0].penalty, 48_000 + seller.lines[1].penalty)
    for buyer, fill in zip(statement.buyers, (300, 100), strict=True):
        assert buyer.lines[0].refund == statement.refunds[0] * fill // 400
        assert buyer.lines[1].refund == statement.refunds[1] * 2 * fill // 800
    assert statement.rounding == 0
    assert statement.balanced


def test_a_block_pays_no_more_than_its_lock() -> None:
    terms, cleared = session()
    certificates = tuple(
        replace(one, lo=price, hi=price, volume=1) for one, price in zip(cleared.certificates, (999, 1001), strict=True)
    )
    rows = (
        replace(cleared.rows[0], fills=(1, 1)),
        replace(cleared.rows[1], fills=(1, 1), lock=2, cost=2),  # limits of 1000 twice; ceilings of 1 and 2
        replace(cleared.rows[2], fills=(0, 0), cost=0),
    )
    statement = settle(terms, certificates, rows, {}, load())
    assert [[line.cost for line in buyer.lines] for buyer in statement.buyers] == [[1, 1]]
    assert statement.balanced


def test_other_rules_than_the_pinned_ones_are_refused() -> None:
    terms, cleared = session()
    with pytest.raises(FieldError, match="rules"):
        settle(terms, cleared.certificates, cleared.rows, {}, replace(load(), tolerance_ppm=0))


def test_rows_that_do_not_fit_the_certificate_are_refused() -> None:
    terms, cleared = session()
    with pytest.raises(FieldError, match="certificates"):
        settle(terms, cleared.certificates[:1], cleared.rows, {}, load())
    wrong = (*cleared.rows[:1], replace(cleared.rows[1], cost=1), *cleared.rows[2:])
    with pytest.raises(FieldError, match="cost"):
        settle(terms, cleared.certificates, wrong, {}, load())
