"""Pay-as-bid on random logs: the uniform price's trades, every Wh at its own limit, and a checker that takes nothing else."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from test_cooperative import Log, logs

from contracts.units import Mode, Side
from market.clearing import pay_as_bid, uniform
from market.clearing.pay_as_bid_check import check_pay_as_bid


@settings(max_examples=150, deadline=None)
@given(logs(Mode.COMPETITIVE))
def test_the_trades_are_the_uniform_price_s_and_each_pays_its_own(log: Log) -> None:
    book, sold = log
    claim, one = pay_as_bid.clear(book, sold), uniform.clear(book, sold)
    assert check_pay_as_bid(book, claim, sold).accepted
    assert claim.certificates == one.certificates
    assert [row.fills for row in claim.rows] == [row.fills for row in one.rows]
    for j in range(len(book.terms.intervals)):
        for side, sums in ((Side.BID, claim.buyers), (Side.OFFER, claim.sellers)):
            own = 0
            for order, row in zip(book.orders, claim.rows, strict=True):
                if order.side is side:
                    each = sorted(p for s in order.steps for p in [s.limits[j]] * s.quantities[j])
                    best = each[::-1] if side is Side.BID else each
                    gross = row.gross[j] if row.gross else 0
                    assert gross == sum(best[: row.fills[j]])
                    own += gross
            assert own == sums[j]
    assert claim.left_over >= 0
    for row, other in zip(claim.rows, one.rows, strict=True):
        assert other.cost <= row.cost <= row.lock or row.side is Side.OFFER


@settings(max_examples=150, deadline=None)
@given(logs(Mode.COMPETITIVE), st.data())
def test_the_checker_refuses_everything_else(log: Log, data: st.DataObject) -> None:
    book, sold = log
    claim = pay_as_bid.clear(book, sold)
    j = data.draw(st.integers(0, len(book.terms.intervals) - 1))
    by = data.draw(st.sampled_from([-1, 1]))
    what = data.draw(st.sampled_from(["buyers", "sellers", "lo", "hi", "volume", "rest_bids", "rest_offers", "fill", "gross"]))
    if what in ("buyers", "sellers"):
        sums = getattr(claim, what)
        wrong = replace(claim, **{what: (*sums[:j], sums[j] + by, *sums[j + 1 :])})
    elif what in ("fill", "gross"):
        if not claim.rows:
            return
        i = data.draw(st.integers(0, len(claim.rows) - 1))
        row = claim.rows[i]
        name = "fills" if what == "fill" else "gross"
        values = list(getattr(row, name) or [0] * len(row.fills))
        values[j] += by
        wrong = replace(claim, rows=(*claim.rows[:i], replace(row, **{name: tuple(values)}), *claim.rows[i + 1 :]))
    else:
        certificate = replace(claim.certificates[j], **{what: getattr(claim.certificates[j], what) + by})
        wrong = replace(claim, certificates=(*claim.certificates[:j], certificate, *claim.certificates[j + 1 :]))
    assert not check_pay_as_bid(book, wrong, sold).accepted
