"""Clearing of block sessions: the most welfare that uniform prices allow (docs/protocol.md section 12).

First the welfare alone is maximized. Where no prices suit everybody that this accepts, prices become part of the program: then
blocks may stay out although they would pay (paradoxically rejected), never the other way round. What HiGHS finds in floating
point is made exact: ratios in ppm, whole Wh that balance in every interval, whole prices that suit every accepted block; where
that cannot be had, the acceptance is ruled out and the search goes on.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from contracts.block_words import BlockBook, BlockSolution, Choice
from contracts.units import PPM, Side
from market.clearing.milp import INFINITY, Program
from market.errors import OrderError

GRACE = 2.0
"""Seconds that the search may overrun its limit before it is ended from outside, and that its process takes to start."""

_SAFETY = 1e-6
"""Relative error that a bound in floating point may have."""


@dataclass(frozen=True, slots=True)
class BlockResult:
    """The best that was found. No feasible solution has more welfare than `bound`, none whose fills are exact shares, not
    rounded to whole Wh, more than `ideal`; all in Wh times micro-euro per kWh."""

    solution: BlockSolution
    welfare: int
    bound: int
    ideal: int
    complete: bool
    """The search came to its end; otherwise time ran out, and another run may find something else."""

    @property
    def gap(self) -> float:
        """How much of `bound` may be missing, 0 to 1. Where blocks are small, most of it is what rounding could add."""
        return 1 - self.welfare / self.bound if self.bound > self.welfare + 1 else 0.0

    @property
    def ideal_gap(self) -> float:
        """How much of `ideal` may be missing, 0 to 1."""
        return 1 - self.welfare / self.ideal if self.ideal > self.welfare + 1 else 0.0


@dataclass(frozen=True, slots=True)
class _Block:
    """A live order that can be accepted: quantities without sold intervals, parent as its place in the list of blocks."""

    position: int
    side: Side
    quantities: tuple[int, ...]
    limits: tuple[int, ...]
    min_fill: int
    parent: int | None

    @property
    def sign(self) -> int:
        return 1 if self.side is Side.BID else -1

    @property
    def worth(self) -> int:
        return sum(q * limit for q, limit in zip(self.quantities, self.limits, strict=True))


def clear_blocks(book: BlockBook, seconds: float = 45.0, gap: float = 1e-4, near: Sequence[int] | None = None) -> BlockResult:
    """The best result that `seconds` allow, found by a process of its own, which is ended where it overruns its limit.

    `gap` is the relative gap at which a program counts as solved. Prices are chosen next to `near` (micro-euro per kWh per
    session interval, the middle of a price guard's band, say), otherwise next to the middle between the limits of both sides.
    """
    _require_near(book, near)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    worker = context.Process(target=_work, args=(sender, book, seconds, gap, near), daemon=True)
    best = nothing(book)
    deadline = time.monotonic() + seconds + GRACE
    worker.start()
    sender.close()
    try:
        while not best.complete and receiver.poll(max(0.0, deadline - time.monotonic())):
            best = receiver.recv()
    except EOFError:
        pass  # the process has died: what it found before stands
    finally:
        if worker.is_alive() and not best.complete:
            worker.kill()
        worker.join()
        receiver.close()
    return best


def _work(sender: Connection, book: BlockBook, seconds: float, gap: float, near: Sequence[int] | None) -> None:
    sender.send(search(book, seconds, gap, near, sender.send))
    sender.close()


def nothing(book: BlockBook) -> BlockResult:
    """The result without trade, which is always feasible."""
    intervals = len(book.intervals)
    bound = sum(block.worth for block in _blocks(book) if block.side is Side.BID)
    return BlockResult(BlockSolution((0,) * intervals, (0,) * intervals, {}), 0, bound, bound, False)


def search(
    book: BlockBook,
    seconds: float = 45.0,
    gap: float = 1e-4,
    near: Sequence[int] | None = None,
    found: Callable[[BlockResult], None] = lambda result: None,
) -> BlockResult:
    """As `clear_blocks`, in this process; `found` gets every better result on the way."""
    _require_near(book, near)
    deadline = time.monotonic() + seconds
    blocks = _blocks(book)
    best = nothing(book)
    if not {Side.BID, Side.OFFER} <= {block.side for block in blocks}:
        return replace(best, bound=0, ideal=0, complete=True)
    scale = _Scale.of(book, blocks)
    whole = all(block.min_fill == PPM for block in blocks)

    def left(share: float = 1.0) -> float:
        return max(0.0, deadline - time.monotonic()) * share

    def limited(before: int, bound: float) -> int:
        if not math.isfinite(bound):
            return before
        return min(before, max(0, math.floor(bound * scale.welfare * (1 + _SAFETY)) + 1))

    def better(solution: BlockSolution | None) -> bool:
        nonlocal best
        if solution is None:
            return False
        welfare = _welfare(blocks, solution)
        if welfare >= best.welfare:
            best = replace(best, solution=solution, welfare=welfare, bound=max(best.bound, welfare))
            found(best)
        return True

    if not whole:
        # Whole Wh are a little freer than exact shares: the bound has to allow for that.
        answer = _program(book, blocks, scale, rounding=True)[0].maximize(left(0.3), gap)
        best = replace(best, bound=limited(best.bound, answer.bound))
        found(best)
    program, columns = _program(book, blocks, scale)
    answer = program.maximize(left(0.5), gap)
    best = _bounded(best, limited(best.ideal, answer.bound), whole)
    done = answer.optimal
    if not (answer.values and better(_exact(book, blocks, columns.ratios(answer.values), near, left(0.5)))):
        program, columns = _program(book, blocks, scale, priced=True)
        done = False
        first = True
        while left() > 0 and not done:
            answer = program.maximize(left(), gap)
            if first:
                best = _bounded(best, limited(best.ideal, answer.bound), whole)
            if answer.infeasible:
                done = True
            elif answer.values is None:
                break
            else:
                done = better(_exact(book, blocks, columns.ratios(answer.values), near, left())) and answer.optimal
                columns.forbid(program, answer.values)
            first = False
    return replace(best, bound=max(best.bound, best.welfare), complete=done)


def _require_near(book: BlockBook, near: Sequence[int] | None) -> None:
    if near is not None and len(near) != len(book.intervals):
        raise OrderError("near", f"a price for each of {len(book.intervals)} intervals", len(near))


def _bounded(best: BlockResult, ideal: int, whole: bool) -> BlockResult:
    """With a bound on exact shares, which is one on everything where nothing is rounded."""
    return replace(best, ideal=ideal, bound=min(best.bound, ideal) if whole else best.bound)


# -------------------------------------------------------------------------------------------------------------------- programs


@dataclass(frozen=True, slots=True)
class _Scale:
    """What one stands for in the programs: Wh, and micro-euro per kWh."""

    quantity: float
    price: float

    @property
    def welfare(self) -> float:
        return self.quantity * self.price

    @classmethod
    def of(cls, book: BlockBook, blocks: Sequence[_Block]) -> _Scale:
        largest = max(max(block.quantities) for block in blocks)
        return cls(float(largest), float(max(1, max(max(block.limits) for block in blocks))))


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where the blocks stand in a program: a ratio each, and whether it is accepted, where that is another column."""

    shares: list[int]
    taken: list[int | None]

    def ratios(self, values: Sequence[float]) -> list[float]:
        return [
            0.0 if taken is not None and values[taken] < 0.5 else values[share]
            for share, taken in zip(self.shares, self.taken, strict=True)
        ]

    def forbid(self, program: Program, values: Sequence[float]) -> None:
        """Rules out that exactly the blocks of `values` are accepted."""
        terms, accepted = {}, 0
        for taken in self.taken:
            if taken is None:
                continue
            on = values[taken] > 0.5
            terms[taken] = -1.0 if on else 1.0
            accepted += on
        program.row(1.0 - accepted, INFINITY, terms)


def _program(
    book: BlockBook, blocks: Sequence[_Block], scale: _Scale, *, priced: bool = False, rounding: bool = False
) -> tuple[Program, _Columns]:
    """Welfare over what balances; `priced`: where some prices suit; `rounding`: with the most that whole Wh can add."""
    program = Program()
    columns = _Columns([], [])
    intervals = len(book.intervals)
    balance: list[dict[int, float]] = [{} for _ in range(intervals)]
    prices = [program.column(0.0, 0.0, book.price_cap / scale.price) for _ in range(intervals)] if priced else []
    for block in blocks:
        worth = block.worth / scale.welfare
        whole = block.min_fill == PPM
        share = program.column(block.sign * worth, 0.0, 1.0, integer=whole)
        taken = share if whole else None
        if not whole and (block.min_fill or priced):
            taken = program.column(0.0, 0.0, 1.0, integer=True)
            program.row(0.0, INFINITY, {taken: 1.0, share: -1.0})
            program.row(0.0, INFINITY, {share: 1.0, taken: -block.min_fill / PPM})
        columns.shares.append(share)
        columns.taken.append(taken)
        for j, quantity in enumerate(block.quantities):
            if quantity:
                balance[j][share] = block.sign * quantity / scale.quantity
        if priced and taken is not None:
            _suits(program, block, worth, taken, prices, book.price_cap / scale.price, scale)
    for block, share in zip(blocks, columns.shares, strict=True):
        if block.parent is not None:
            program.row(0.0, INFINITY, {columns.shares[block.parent]: 1.0, share: -1.0})
    for j in range(intervals):
        if rounding:
            _roundings(program, balance[j], blocks, j, scale)
        program.row(0.0, 0.0, balance[j])
    return program, columns


def _suits(program: Program, block: _Block, worth: float, taken: int, prices: Sequence[int], cap: float, scale: _Scale) -> None:
    """Where the block is accepted, prices do not cost it more, or pay it less, than its limits."""
    terms = {prices[j]: quantity / scale.quantity for j, quantity in enumerate(block.quantities) if quantity}
    if block.side is Side.BID:
        slack = max(0.0, sum(terms.values()) * cap - worth)
        program.row(-INFINITY, worth + slack, {**terms, taken: slack})
    else:
        program.row(0.0, INFINITY, {**terms, taken: -worth})


def _roundings(program: Program, balance: dict[int, float], blocks: Sequence[_Block], j: int, scale: _Scale) -> None:
    """Columns for what rounding to whole Wh can add to or take from each side of an interval, at its best limits."""
    for side in Side:
        limits = [b.limits[j] for b in blocks if b.side is side and b.quantities[j] and b.min_fill < PPM]
        if not limits:
            continue
        sign = 1 if side is Side.BID else -1
        most = len(limits) / scale.quantity
        high, low = max(limits) / scale.price, min(limits) / scale.price
        more, less = (high, -low) if side is Side.BID else (-low, high)
        balance[program.column(more, 0.0, most)] = sign
        balance[program.column(less, 0.0, most)] = -sign


# ----------------------------------------------------------------------------------------------------------------------- exact


def _exact(
    book: BlockBook, blocks: Sequence[_Block], shares: Sequence[float], near: Sequence[int] | None, seconds: float
) -> BlockSolution | None:
    """Ratios in ppm, whole Wh and whole prices next to what was found; None where there are none."""
    ratios = [min(PPM, max(block.min_fill, round(share * PPM))) if share * PPM >= 0.5 else 0
              for block, share in zip(blocks, shares, strict=True)]  # fmt: skip
    for _ in blocks:
        before = list(ratios)
        for i, block in enumerate(blocks):
            if block.parent is not None and ratios[i] > ratios[block.parent]:
                ratios[i] = ratios[block.parent] if ratios[block.parent] >= block.min_fill else 0
        if ratios == before:
            break
    for generous in (True, False):
        ups = _round(book, blocks, ratios, generous)
        if ups is None:
            return None
        choices = [Choice(ratio, up) for ratio, up in zip(ratios, ups, strict=True)]
        fills = [
            [choice.fill(q, j) for j, q in enumerate(block.quantities)] for block, choice in zip(blocks, choices, strict=True)
        ]
        accepted = [i for i, fill in enumerate(fills) if any(fill)]
        kept = set(accepted)
        if any(blocks[i].parent is not None and blocks[i].parent not in kept for i in accepted):
            continue
        prices = _prices(book, blocks, fills, accepted, near, seconds)
        if prices is not None:
            volumes = [sum(fills[i][j] for i in accepted if blocks[i].side is Side.BID) for j in range(len(book.intervals))]
            return BlockSolution(tuple(prices), tuple(volumes), {blocks[i].position: choices[i] for i in accepted})
    return None


def _round(book: BlockBook, blocks: Sequence[_Block], ratios: Sequence[int], generous: bool) -> list[int] | None:
    """Which fills are rounded up, so that every interval balances; `generous`: as long as both sides gain by one more."""
    ups = [0] * len(blocks)
    for j in range(len(book.intervals)):
        lack = 0  # Wh that offers have to add to the bids'
        broken: dict[Side, list[tuple[int, int]]] = {Side.BID: [], Side.OFFER: []}
        for i, (block, ratio) in enumerate(zip(blocks, ratios, strict=True)):
            share = block.quantities[j] * ratio
            lack += block.sign * (share // PPM)
            if share % PPM:
                broken[block.side].append((-block.sign * block.limits[j], i))
        bids, offers = sorted(broken[Side.BID]), sorted(broken[Side.OFFER])
        more = max(0, -lack)
        if more > len(bids) or lack + more > len(offers):
            return None
        while generous and more < len(bids) and lack + more < len(offers) and -bids[more][0] > offers[lack + more][0]:
            more += 1
        for _, i in bids[:more] + offers[: lack + more]:
            ups[i] |= 1 << j
    return ups


def _prices(
    book: BlockBook,
    blocks: Sequence[_Block],
    fills: Sequence[Sequence[int]],
    accepted: Sequence[int],
    near: Sequence[int] | None,
    seconds: float,
) -> list[int] | None:
    """Whole prices that suit every accepted block, as near to the targets as that allows; None where there are none."""
    intervals = len(book.intervals)
    traded = [any(fills[i][j] for i in accepted) for j in range(intervals)]
    targets = [0] * intervals
    for j in range(intervals):
        if traded[j]:
            low = max(blocks[i].limits[j] for i in accepted if blocks[i].side is Side.OFFER and fills[i][j])
            high = min(blocks[i].limits[j] for i in accepted if blocks[i].side is Side.BID and fills[i][j])
            targets[j] = min(book.price_cap, near[j] if near is not None else (low + high) // 2)
    needs = [
        (i, sum(wh * limit for wh, limit in zip(fills[i], blocks[i].limits, strict=True))) for i in accepted
    ]  # what a bid pays at most, an offer gets at least

    def suit(prices: Sequence[int]) -> bool:
        return all(
            blocks[i].sign * sum(wh * price for wh, price in zip(fills[i], prices, strict=True)) <= blocks[i].sign * worth
            for i, worth in needs
        )

    if suit(targets):
        return targets
    unit = float(max(1, book.price_cap))
    for integer in (False, True):
        program = Program()
        price = [program.column(0.0, 0.0, float(book.price_cap if on else 0), integer) for on in traded]
        for j in range(intervals):
            if traded[j]:
                away = program.column(-1.0 / unit, 0.0, INFINITY)
                program.row(-float(targets[j]), INFINITY, {away: 1.0, price[j]: -1.0})
                program.row(float(targets[j]), INFINITY, {away: 1.0, price[j]: 1.0})
        for i, worth in needs:
            largest = float(max(fills[i]))
            terms = {price[j]: wh / largest for j, wh in enumerate(fills[i]) if wh}
            bid = blocks[i].side is Side.BID
            program.row(-INFINITY if bid else worth / largest, worth / largest if bid else INFINITY, terms)
        answer = program.maximize(min(seconds, 10.0), 1e-3)
        if answer.values is None:
            return None
        rounded = [min(book.price_cap, max(0, round(answer.values[column]))) for column in price]
        if suit(rounded):
            return rounded
    return None


def _welfare(blocks: Sequence[_Block], solution: BlockSolution) -> int:
    total = 0
    for block in blocks:
        choice = solution.choices.get(block.position, Choice(0))
        fills = [choice.fill(q, j) for j, q in enumerate(block.quantities)]
        total += block.sign * sum(wh * limit for wh, limit in zip(fills, block.limits, strict=True))
    return total


def _blocks(book: BlockBook) -> list[_Block]:
    """Live blocks that can be accepted at all, in log order."""
    live = book.live
    usable: dict[int, tuple[int, ...]] = {}
    for position in sorted(live.values()):
        order = book.entries[position].order
        taken = book.sold.get(order.account, 0) if order.side is Side.OFFER else 0
        quantities = tuple(
            0 if taken >> interval & 1 else wh for interval, wh in zip(book.intervals, order.steps[0].quantities, strict=True)
        )
        if any(quantities):
            usable[position] = quantities
    while True:
        orphans = [position for position in usable if not _has_parent(book, live, usable, position)]
        for position in orphans:
            del usable[position]
        if not orphans:
            break
    place = {position: i for i, position in enumerate(usable)}
    blocks = []
    for position, quantities in usable.items():
        order = book.entries[position].order
        parent = None if order.parent is None else place[live[order.parent]]
        blocks.append(_Block(position, order.side, quantities, order.steps[0].limits, order.min_fill_ppm, parent))
    return blocks


def _has_parent(book: BlockBook, live: dict[tuple[int, Side], int], usable: dict[int, tuple[int, ...]], position: int) -> bool:
    """Whether the block's parent, if it names one, can be accepted and has the same payer."""
    order = book.entries[position].order
    if order.parent is None:
        return True
    above = live.get(order.parent)
    return above in usable and book.entries[above].order.payer == order.payer
