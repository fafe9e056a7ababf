"""One book cleared in every mode, and what each mode means for whom, checked before it is told. Pay-as-bid is a comparison that
no contract settles (docs/market.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from contracts.encoding import ResultRow, ScheduleOrder
from contracts.units import Mode, Side
from market.bookfile import FILE_MODES, BookFile
from market.clearing import cooperative, engine, pay_as_bid, uniform
from market.clearing.blocks import clear_blocks
from market.clearing.blocks_check import check_blocks
from market.clearing.pay_as_bid_check import check_pay_as_bid
from market.errors import OrderError
from market.orders import OrderBook

MODES = tuple(FILE_MODES)


@dataclass(frozen=True, slots=True)
class Interval:
    """One interval of the day. `lo` and `hi` are the least and the largest price (micro-euro per kWh) of a filled Wh."""

    interval: int
    volume: int
    lo: int | None
    hi: int | None


@dataclass(frozen=True, slots=True)
class Share:
    """What one order of the log gets: Wh, and micro-euro that a bid pays (rounded up) or an offer earns if all is delivered
    (rounded down)."""

    account: int
    side: Side
    fills: tuple[int, ...]
    money: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a mode comes to. `welfare` is what filled bids are worth less what filled offers ask, Wh times micro-euro per kWh;
    `gap` what of it may be missing (0 to 1, 0 where the mode is exact), `ideal_gap` the same before shares are rounded to whole
    Wh. `complete`: the search ended by itself, not by time. `paid` and `earned` are micro-euro, before fees."""

    mode: str
    intervals: tuple[Interval, ...]
    shares: tuple[Share, ...]
    welfare: int
    gap: float = 0.0
    ideal_gap: float = 0.0
    complete: bool = True

    @property
    def volume(self) -> int:
        return sum(interval.volume for interval in self.intervals)

    @property
    def paid(self) -> int:
        return sum(share.money for share in self.shares if share.side is Side.BID)

    @property
    def earned(self) -> int:
        return sum(share.money for share in self.shares if share.side is Side.OFFER)

    @property
    def lowest(self) -> int | None:
        return min((i.lo for i in self.intervals if i.lo is not None), default=None)

    @property
    def highest(self) -> int | None:
        return max((i.hi for i in self.intervals if i.hi is not None), default=None)


class Unchecked(RuntimeError):
    """A result that its checker refuses: an error of the engine, never of the book."""


Pricing = Callable[[int, Side, int], int]
"""Micro-euro per kWh that a Wh filled in session interval j is paid at, of an order on a side with a limit."""


def outcome(file: BookFile, mode: str, seconds: float = 45.0) -> Outcome:
    """The file's log cleared in `mode`, one of `MODES`, block mode for at most `seconds`. Raises `OrderError` where the mode
    would not have taken an order."""
    if mode == "competitive":
        book = file.in_mode(Mode.COMPETITIVE).book
        one = uniform.clear(book, file.sold)
        _require(mode, engine.check(book, one, file.sold).reason)
        prices = [certificate.price or 0 for certificate in one.certificates]
        return _outcome(mode, book, one.rows, lambda j, side, limit: prices[j])
    if mode == "pay-as-bid":
        book = file.in_mode(Mode.COMPETITIVE).book
        own = pay_as_bid.clear(book, file.sold)
        _require(mode, check_pay_as_bid(book, own, file.sold).reason)
        return _outcome(mode, book, own.rows, lambda j, side, limit: limit)
    if mode == "cooperative":
        book = file.in_mode(Mode.COOPERATIVE).book
        shared = cooperative.clear(book, file.sold)
        _require(mode, engine.check(book, shared, file.sold).reason)
        shares = [certificate.share for certificate in shared.certificates]
        return _outcome(
            mode, book, shared.rows, lambda j, side, limit: limit + shares[j] if side else max(limit - shares[j], 0)
        )
    if mode == "block":
        blocks = file.in_mode(Mode.BLOCK)
        found = clear_blocks(blocks.blocks, seconds)
        verdict = check_blocks(blocks.blocks, found.solution)
        _require(mode, verdict.reason)
        told = _outcome(mode, blocks.book, verdict.rows, lambda j, side, limit: found.solution.prices[j])
        return replace(told, gap=found.gap, ideal_gap=found.ideal_gap, complete=found.complete)
    raise OrderError("mode", "one of " + ", ".join(MODES), mode)


def compare(file: BookFile, seconds: float = 45.0) -> dict[str, Outcome | OrderError]:
    """Every mode's outcome, or why an order of the log would not have been taken in it."""
    found: dict[str, Outcome | OrderError] = {}
    for mode in MODES:
        try:
            found[mode] = outcome(file, mode, seconds)
        except OrderError as error:
            found[mode] = error
    return found


def _require(mode: str, reason: str) -> None:
    if reason:
        raise Unchecked(f"the {mode} clearing does not pass its checker: {reason}")


def _outcome(mode: str, book: OrderBook, rows: Sequence[ResultRow], price: Pricing) -> Outcome:
    welfare = 0
    shares = []
    prices: list[list[int]] = [[] for _ in book.terms.intervals]
    for order, row in zip(book.orders, rows, strict=True):
        if not row.live:
            continue
        earned = 0
        for j, wh in enumerate(row.fills):
            worth = gross = 0
            for limit, taken in _best_first(order, j, wh):
                own = price(j, order.side, limit)
                prices[j].append(own)
                worth += limit * taken
                gross += own * taken
            welfare += -worth if order.side else worth
            earned += gross // 1000
        shares.append(Share(row.account, row.side, row.fills, earned if order.side else row.cost))
    intervals = tuple(
        Interval(
            interval,
            sum(row.fills[j] for row in rows if row.side is Side.BID),
            min(prices[j], default=None),
            max(prices[j], default=None),
        )
        for j, interval in enumerate(book.terms.intervals)
    )
    return Outcome(mode, intervals, tuple(shares), welfare)


def _best_first(order: ScheduleOrder, j: int, wh: int) -> Iterator[tuple[int, int]]:
    """(limit, Wh) of the steps that a fill takes in interval j."""
    sign = 1 if order.side else -1
    for step in sorted(order.steps, key=lambda step: sign * step.limits[j]):
        taken = min(wh, step.quantities[j])
        wh -= taken
        if taken:
            yield step.limits[j], taken
