"""A checker of block proposals that shares no code with the solver: plain Python, straight from docs/protocol.md section 12."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.block_words import BlockBook, BlockSolution
from contracts.encoding import ResultRow
from contracts.units import PPM, Side, ceil_div


@dataclass(frozen=True, slots=True)
class BlockVerdict:
    """`reason` is empty where the proposal is feasible; `welfare` (Wh times micro-euro per kWh) and `rows` mean something only
    then."""

    reason: str = ""
    welfare: int = 0
    rows: tuple[ResultRow, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.reason

    def __str__(self) -> str:
        return self.reason or f"accepted, welfare {self.welfare}"


class _Refused(Exception):
    pass


def check_blocks(book: BlockBook, solution: BlockSolution) -> BlockVerdict:
    """Whether the contract takes `solution` for the log of `book`, what it is worth and which result rows it leaves."""
    try:
        return _check(book, solution)
    except _Refused as refused:
        return BlockVerdict(str(refused))


def _check(book: BlockBook, solution: BlockSolution) -> BlockVerdict:
    intervals = len(book.intervals)
    if len(solution.prices) != intervals or len(solution.volumes) != intervals:
        raise _Refused(f"expected {intervals} prices and volumes, got {len(solution.prices)} and {len(solution.volumes)}")
    last: dict[tuple[int, int], int] = {}
    for position, entry in enumerate(book.entries):
        last[entry.order.account, entry.order.side] = position
    for position in solution.choices:
        if position not in last.values():
            raise _Refused(f"position {position} is no live entry")
    traded = {Side.BID: [0] * intervals, Side.OFFER: [0] * intervals}
    welfare = 0
    rows = []
    for position, entry in enumerate(book.entries):
        order = entry.order
        live = last[order.account, order.side] == position
        fills = _fills(book, solution, last, position) if live else [0] * intervals
        limits = order.steps[0].limits
        worth = sum(wh * limit for wh, limit in zip(fills, limits, strict=True))
        paid = sum(wh * price for wh, price in zip(fills, solution.prices, strict=True))
        for j, wh in enumerate(fills):
            traded[order.side][j] += wh
        cost = 0
        if order.side is Side.BID:
            if paid > worth:
                raise _Refused(f"bid {position} would pay {paid} for what is worth {worth}")
            welfare += worth
            cost = min(
                sum(ceil_div(wh * price, 1000) for wh, price in zip(fills, solution.prices, strict=True)),
                entry.lock,
            )
        else:
            if paid < worth:
                raise _Refused(f"offer {position} would get {paid} for what is worth {worth}")
            welfare -= worth
        rows.append(ResultRow(order.account, order.payer, order.side, live, entry.lock, cost, tuple(fills)))
    for j in range(intervals):
        bids, offers = traded[Side.BID][j], traded[Side.OFFER][j]
        if not bids == offers == solution.volumes[j]:
            raise _Refused(f"interval {book.intervals[j]}: volume {solution.volumes[j]}, bids {bids}, offers {offers}")
        if not 0 <= solution.prices[j] <= book.price_cap:
            raise _Refused(f"interval {book.intervals[j]}: price {solution.prices[j]} beyond the cap {book.price_cap}")
        if solution.prices[j] and not bids:
            raise _Refused(f"interval {book.intervals[j]}: price {solution.prices[j]} where nothing is traded")
    return BlockVerdict("", welfare, tuple(rows))


def _fills(book: BlockBook, solution: BlockSolution, last: dict[tuple[int, int], int], position: int) -> list[int]:
    """Fills of a live entry, after the rules that its choice alone can break."""
    order = book.entries[position].order
    nothing = [0] * len(book.intervals)
    choice = solution.choices.get(position)
    if choice is None or (choice.ratio == 0 and choice.up == 0):
        return nothing
    if len(order.steps) != 1:
        raise _Refused(f"entry {position} has {len(order.steps)} steps, a block has one")
    if not 0 < choice.ratio <= PPM or choice.ratio < order.min_fill_ppm:
        raise _Refused(f"entry {position}: ratio {choice.ratio} is neither 0 nor in {order.min_fill_ppm}..{PPM}")
    if order.parent is not None:
        above = last.get(order.parent)
        if above is None:
            raise _Refused(f"entry {position}: its parent {order.parent} is not live")
        if book.entries[above].order.payer != order.payer:
            raise _Refused(f"entry {position}: its parent has another payer")
        if above not in solution.choices or solution.choices[above].ratio < choice.ratio:
            raise _Refused(f"entry {position}: ratio {choice.ratio} above its parent's")
    fills = []
    taken = book.sold.get(order.account, 0) if order.side is Side.OFFER else 0
    for j, interval in enumerate(book.intervals):
        share = 0 if taken >> interval & 1 else order.steps[0].quantities[j] * choice.ratio
        up = choice.up >> j & 1
        if up and share % PPM == 0:
            raise _Refused(f"entry {position}: nothing to round up in interval {interval}")
        fills.append(share // PPM + up)
    if choice.up >> len(book.intervals):
        raise _Refused(f"entry {position}: rounds up beyond the last interval")
    if not any(fills):
        raise _Refused(f"entry {position}: ratio {choice.ratio} fills nothing")
    return fills
