"""Orders at the door and the order book of a session as its log tells it (docs/protocol.md section 6).

The log is the truth: the last entry of an (account, side) is the live one, and one without quantities cancels. A cancelling
entry still has its row in the live table, because the earlier entries it replaces are told apart by that row.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

from contracts.encoding import (
    MAX_STEPS,
    EncodingError,
    ScheduleOrder,
    Step,
    decode_entries,
    excluded_words,
    hint_words,
    live_words,
)
from contracts.units import MAX_QUANTITY, PPM, Mode, SessionState, Side
from market.errors import OrderError
from market.session import SessionFacts, SessionTerms, state_at

MAX_ENTRIES = (1 << 31) - 1
"""Entries of one session's log: positions have 31 bits in the live table."""


def schedule(
    terms: SessionTerms,
    account: int,
    side: Side,
    curve: Mapping[int, Sequence[tuple[int, int]]],
    *,
    agent: int = 0,
    agent_pays: bool = False,
    reserve: bool = False,
) -> ScheduleOrder:
    """An order from what a person states: per interval of the *day* up to four (Wh, micro-euro per kWh) steps. `agent` is the
    account that signs for this one, and with `agent_pays` pays for it too.

    Raises `OrderError` on an interval outside the session, too many steps, and all that `validate` refuses. An empty curve
    cancels.
    """
    inside = {interval: j for j, interval in enumerate(terms.intervals)}
    for interval, steps in curve.items():
        if interval not in inside:
            raise OrderError(f"curve[{interval}]", f"an interval of the session {terms.intervals}", interval)
        if len(steps) > MAX_STEPS:
            raise OrderError(f"curve[{interval}]", f"at most {MAX_STEPS} steps", len(steps))
    depth = max((len(steps) for steps in curve.values()), default=0) or 1
    quantities = [[0] * len(inside) for _ in range(depth)]
    limits = [[0] * len(inside) for _ in range(depth)]
    for interval, steps in curve.items():
        for k, (quantity, limit) in enumerate(steps):
            quantities[k][inside[interval]] = quantity
            limits[k][inside[interval]] = limit
    order = ScheduleOrder(
        account,
        side,
        tuple(Step(tuple(q), tuple(p)) for q, p in zip(quantities, limits, strict=True)),
        agent=agent,
        agent_pays=agent_pays,
        reserve=reserve,
    )
    validate(order, terms)
    return order


def validate(
    order: ScheduleOrder,
    terms: SessionTerms,
    *,
    meter_key: bool = True,
    envelope: int | None = None,
    sides: Collection[Side] = (),
) -> None:
    """Raises `OrderError` where the contract would refuse `order` for what it says; nothing is ever clipped.

    `meter_key` tells whether the account has a meter key in force on the session's day, without which it may bid
    and take an offer back, but not offer. In a cooperative session `envelope` is the most Wh that the account may offer in an
    interval (None leaves that unchecked), and `sides` are those on which the payer's owner stands already.
    """
    intervals = len(terms.intervals)
    if terms.mode is Mode.REQUEST:
        raise OrderError("session", "a session that takes orders", "a request, which takes consents")
    if not 0 < order.account < 1 << 32:
        raise OrderError("account", "1..2^32-1", order.account)
    if not 0 <= order.agent < 1 << 32:
        raise OrderError("agent", "0..2^32-1", order.agent)
    if order.agent == order.account:
        raise OrderError("agent", "another account than the order's, or none", order.agent)
    if order.agent_pays and not order.agent:
        raise OrderError("agent_pays", "an agent that pays", "none")
    if order.reserve and order.side is not Side.OFFER:
        raise OrderError("reserve", "an offer", "a bid")
    if order.cancels and (order.reserve or order.min_fill_ppm or order.parent is not None):
        raise OrderError("steps", "a quantity in a reserve or a block", "an order that cancels")
    _validate_block(order, terms)
    if order.side is Side.OFFER and not meter_key and not order.cancels:
        raise OrderError("side", f"a meter key in force on day {terms.day} for an offer", "an account without one")
    if not 1 <= len(order.steps) <= MAX_STEPS:
        raise OrderError("steps", f"1 to {MAX_STEPS}", len(order.steps))
    if order.cancels and len(order.steps) > 1:
        raise OrderError("steps", "one step in an order without quantities", len(order.steps))
    for k, step in enumerate(order.steps):
        for name, values in (("quantities", step.quantities), ("limits", step.limits)):
            if len(values) != intervals:
                raise OrderError(
                    f"steps[{k}].{name}", f"one value for each of the session's {intervals} intervals", len(values)
                )
        for j, (quantity, limit) in enumerate(zip(step.quantities, step.limits, strict=True)):
            _validate_entry(f"steps[{k}]", j, quantity, limit, terms)
    if terms.mode is Mode.COOPERATIVE:
        _validate_cooperative(order, envelope, sides)


def _validate_block(order: ScheduleOrder, terms: SessionTerms) -> None:
    """What makes a block of an order, or keeps one out of other sessions."""
    if terms.mode is not Mode.BLOCK:
        if order.min_fill_ppm:
            raise OrderError("min_fill_ppm", "0 but in block mode", order.min_fill_ppm)
        if order.parent is not None:
            raise OrderError("parent", "none but in block mode", order.parent[0])
        return
    if not 0 <= order.min_fill_ppm <= PPM:
        raise OrderError("min_fill_ppm", f"0..{PPM} ppm", order.min_fill_ppm)
    if len(order.steps) > 1:
        raise OrderError("steps", "one step in block mode", len(order.steps))
    if order.reserve:
        raise OrderError("reserve", "no reserve in block mode", "one")
    if order.parent == (order.account, order.side):
        raise OrderError("parent", "another order than its own", order.account)


def _validate_cooperative(order: ScheduleOrder, envelope: int | None, sides: Collection[Side]) -> None:
    """Who could trade with itself would drain the surplus that all share, and so could who offers what it does not have.
    What takes an order back is free of both."""
    if order.cancels:
        return
    if any(side is not order.side for side in sides):
        other = "offers" if order.side is Side.BID else "bids"
        raise OrderError("side", "one side for each owner in a cooperative session", f"an owner that {other} in it")
    if envelope is None or order.side is Side.BID:
        return
    for j, quantity in enumerate(map(sum, zip(*(step.quantities for step in order.steps), strict=True))):
        if quantity > envelope:
            raise OrderError(f"steps.quantities[{j}]", f"at most the device envelope of {envelope} Wh in all steps", quantity)


def _validate_entry(path: str, j: int, quantity: int, limit: int, terms: SessionTerms) -> None:
    for name, value in (("quantities", quantity), ("limits", limit)):
        if not isinstance(value, Integral):
            raise OrderError(f"{path}.{name}[{j}]", "a whole number", repr(value))
    if not quantity:
        if limit:
            raise OrderError(f"{path}.limits[{j}]", "zero where the quantity is zero", limit)
        return
    if not 0 <= quantity <= MAX_QUANTITY:
        raise OrderError(f"{path}.quantities[{j}]", f"0..{MAX_QUANTITY} Wh", quantity)
    if quantity < terms.min_quantity:
        raise OrderError(f"{path}.quantities[{j}]", f"at least the session's minimum of {terms.min_quantity} Wh", quantity)
    if not 0 <= limit <= terms.price_cap:
        raise OrderError(f"{path}.limits[{j}]", f"0 to the session's cap of {terms.price_cap} micro-euro per kWh", limit)


def validate_gate(terms: SessionTerms, facts: SessionFacts, now: int) -> None:
    """Raises `OrderError` where the session takes no orders at UNIX time `now`."""
    state = state_at(terms, facts, now)
    if state is not SessionState.OPEN:
        raise OrderError("session", f"an open gate, {terms.gate_open} <= time < {terms.gate_close}", f"{state.name} at {now}")


@dataclass(frozen=True)
class OrderBook:
    """A session's log as orders: `orders[i]` is the entry at position i. `excluded` are the orders (account, side) that the
    guardian has excluded from the clearing."""

    terms: SessionTerms
    orders: tuple[ScheduleOrder, ...]
    excluded: frozenset[tuple[int, Side]] = frozenset()

    def __post_init__(self) -> None:
        if len(self.orders) > MAX_ENTRIES:
            raise OrderError("orders", f"at most {MAX_ENTRIES} entries", len(self.orders))

    @cached_property
    def last(self) -> dict[tuple[int, Side], int]:
        """Position of the last entry of each (account, side)."""
        return {(order.account, order.side): position for position, order in enumerate(self.orders)}

    @cached_property
    def rows(self) -> tuple[tuple[int, Side, int], ...]:
        """The live table (account, side, position), strictly ascending by account and side; cancelling and excluded entries
        included."""
        return tuple(sorted((account, side, position) for (account, side), position in self.last.items()))

    def is_last(self, position: int) -> bool:
        """Whether no later entry replaces the one at `position`."""
        order = self.orders[position]
        return self.last[order.account, order.side] == position

    def counts(self, position: int) -> bool:
        """Whether the entry at `position` is live in the clearing; one that cancels is too, an excluded one is not."""
        order = self.orders[position]
        return self.is_last(position) and (order.account, order.side) not in self.excluded

    @property
    def live(self) -> list[tuple[int, ScheduleOrder]]:
        """Live orders with their positions in log order, cancelled and excluded ones left out."""
        return [(i, order) for i, order in enumerate(self.orders) if self.counts(i) and not order.cancels]

    def live_words(self) -> list[int]:
        """The live table as `clear` takes it."""
        return live_words(self.rows)

    def excluded_words(self) -> list[int]:
        """The excluded orders as `clear` takes them."""
        return excluded_words(tuple(self.excluded))

    def hint_words(self) -> list[int]:
        """Each entry's row in the live table as `clear` takes it."""
        row_of = {(account, side): i for i, (account, side, _) in enumerate(self.rows)}
        return hint_words([row_of[order.account, order.side] for order in self.orders])

    def locks(self) -> list[int]:
        """Micro-euro locked by each entry of the log; a replaced entry stays locked until `commit`."""
        return [order.lock(self.terms.price_cap, self.terms.collateral_ppm) for order in self.orders]

    def sides_of(self, payers: Collection[int]) -> set[Side]:
        """The sides on which any of these accounts has paid for an entry, replaced and cancelled ones too."""
        return {order.side for order in self.orders if order.payer in payers and not order.cancels}


def charge(order: ScheduleOrder, terms: SessionTerms) -> int:
    """Micro-euro that entering `order` takes from what its payer has available: the lock and the intake fee."""
    return order.lock(terms.price_cap, terms.collateral_ppm) + terms.intake_fee


def book_from_log(
    terms: SessionTerms, batches: Iterable[Sequence[int]], excluded: Iterable[tuple[int, Side]] = ()
) -> OrderBook:
    """The book from the words of each batch in log order; raises `EncodingError` on words the contract would not have taken."""
    intervals = len(terms.intervals)
    orders: list[ScheduleOrder] = []
    for words in batches:
        for entry in decode_entries(words, intervals):
            lock = entry.order.lock(terms.price_cap, terms.collateral_ppm)
            if entry.lock != lock:
                raise EncodingError("lock", f"{lock} micro-euro, which entry {len(orders)} locks, in its header", entry.lock)
            orders.append(entry.order)
    return OrderBook(terms, tuple(orders), frozenset(excluded))
