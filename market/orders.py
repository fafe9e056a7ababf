"""Orders at the door and the order book of a session as its log tells it (docs/protocol.md section 6).

The log is the truth: the last entry of an (account, side) is the live one, and one without quantities cancels. A cancelling
entry still has its row in the live table, because the earlier entries it replaces are told apart by that row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from contracts.encoding import MAX_STEPS, ScheduleOrder, Step, decode_entries, hint_words, live_words, words_for
from contracts.units import MAX_QUANTITY, SessionState, Side
from market.errors import OrderError
from market.session import SessionFacts, SessionTerms, state_at

MAX_ENTRIES = (1 << 31) - 1
"""Entries of one session's log: positions have 31 bits in the live table."""


def schedule(terms: SessionTerms, account: int, side: Side, curve: Mapping[int, Sequence[tuple[int, int]]]) -> ScheduleOrder:
    """An order from what a person states: per interval of the *day* up to four (Wh, micro-euro per kWh) steps.

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
    order = ScheduleOrder(account, side, tuple(Step(tuple(q), tuple(p)) for q, p in zip(quantities, limits, strict=True)))
    validate(order, terms)
    return order


def validate(order: ScheduleOrder, terms: SessionTerms, *, meter_key: bool = True) -> None:
    """Raises `OrderError` where the contract would refuse `order` for what it says; nothing is ever clipped.

    `meter_key` tells whether the account has a meter key in force on the session's day, without which it may bid
    and take an offer back, but not offer.
    """
    intervals = len(terms.intervals)
    if not 0 < order.account < 1 << 32:
        raise OrderError("account", "1..2^32-1", order.account)
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


def _validate_entry(path: str, j: int, quantity: int, limit: int, terms: SessionTerms) -> None:
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
    """A session's log as orders: `orders[i]` is the entry at position i."""

    terms: SessionTerms
    orders: tuple[ScheduleOrder, ...]

    def __post_init__(self) -> None:
        if len(self.orders) > MAX_ENTRIES:
            raise OrderError("orders", f"at most {MAX_ENTRIES} entries", len(self.orders))

    @cached_property
    def last(self) -> dict[tuple[int, Side], int]:
        """Position of the last entry of each (account, side)."""
        return {(order.account, order.side): position for position, order in enumerate(self.orders)}

    @cached_property
    def rows(self) -> tuple[tuple[int, Side, int], ...]:
        """The live table (account, side, position), strictly ascending by account and side; cancelling entries included."""
        return tuple(sorted((account, side, position) for (account, side), position in self.last.items()))

    def is_last(self, position: int) -> bool:
        """Whether no later entry replaces the one at `position`."""
        order = self.orders[position]
        return self.last[order.account, order.side] == position

    @property
    def live(self) -> list[tuple[int, ScheduleOrder]]:
        """Live orders with their positions in log order, cancelled ones left out."""
        return [(i, order) for i, order in enumerate(self.orders) if self.is_last(i) and not order.cancels]

    def live_words(self) -> list[int]:
        """The live table as `clear` takes it."""
        return live_words(self.rows)

    def hint_words(self) -> list[int]:
        """Each entry's row in the live table as `clear` takes it."""
        row_of = {(account, side): i for i, (account, side, _) in enumerate(self.rows)}
        return hint_words([row_of[order.account, order.side] for order in self.orders])

    def locks(self) -> list[int]:
        """Micro-euro locked by each entry of the log; a replaced entry stays locked until `commit`."""
        return [order.lock(self.terms.price_cap, self.terms.collateral_ppm) for order in self.orders]


def book_from_log(terms: SessionTerms, batches: Iterable[Sequence[int]]) -> OrderBook:
    """The book from the words of each batch in log order; raises `EncodingError` on words the contract would not have taken."""
    intervals = len(terms.intervals)
    return OrderBook(terms, tuple(order for words in batches for order in decode_entries(words, intervals)))


def entry_size(order: ScheduleOrder, intervals: int) -> int:
    """Words that an entry takes in the log of a session with `intervals` intervals."""
    return 1 + len(order.steps) * words_for(intervals, 4)
