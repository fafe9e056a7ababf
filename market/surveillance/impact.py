"""What orders did to the price: the session cleared again with them at another level.

This is the impact test of conduct-and-impact mitigation (FERC, 'Staff Analysis of Energy Offer Mitigation in RTO and ISO
Markets', AD14-14, 2014): conduct alone is no harm, and a price alone is no conduct.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.encoding import ScheduleOrder, Step
from contracts.units import MAX_QUANTITY, PPM, Side
from market.clearing.engine import clear
from market.orders import OrderBook
from market.surveillance import budget
from market.surveillance.observed import Key, Observed, ObservedError, certificates_of
from market.surveillance.reference import Levels


@dataclass(frozen=True, slots=True)
class Impact:
    """Prices (micro-euro per kWh, None where nothing clears) and volumes (Wh) by session interval, as cleared and without."""

    prices: tuple[int | None, ...]
    without: tuple[int | None, ...]
    volumes: tuple[int, ...]
    volumes_without: tuple[int, ...]

    @property
    def ppm(self) -> int:
        """Part by which the price as cleared is above (below: negative) the price without, over intervals that clear both
        ways, weighted by the volume as cleared."""
        both = [
            (v, p, q)
            for v, p, q in zip(self.volumes, self.prices, self.without, strict=True)
            if p is not None and q is not None
        ]
        base = sum(v * q for v, _, q in both)
        return sum(v * (p - q) for v, p, q in both) * PPM // base if base else 0

    @property
    def money(self) -> int:
        """What buyers paid more (less: negative) for the volume as cleared, micro-euro, over intervals that clear both ways."""
        return sum(
            v * (p - q) // 1000
            for v, p, q in zip(self.volumes, self.prices, self.without, strict=True)
            if p is not None and q is not None
        )

    @property
    def nothing(self) -> bool:
        return self.prices == self.without and self.volumes == self.volumes_without


def reclear(observed: Observed, changes: Mapping[Key, ScheduleOrder | None]) -> Impact:
    """The session with some live orders as given, or left out (None). Raises `ObservedError` for what is not live."""
    if unknown := [key for key in changes if key not in observed.live]:
        raise ObservedError("changes", "live orders (account, side)", unknown[0])
    if not changes:
        return Impact(observed.prices, observed.prices, observed.volumes, observed.volumes)
    book = observed.book
    orders = list(book.orders)
    left_out = set(book.excluded)
    for key, order in changes.items():
        if order is None:
            left_out.add(key)
        else:
            if (order.account, order.side) != key:
                raise ObservedError("changes", f"an order of {key}", (order.account, order.side))
            orders[book.last[key]] = order
    return _compare(observed, OrderBook(book.terms, tuple(orders), frozenset(left_out)))


def without(observed: Observed, account: int) -> Impact:
    """The session without one account's orders."""
    return reclear(observed, {key: None for key in observed.live if key[0] == account})


def with_added(observed: Observed, added: Sequence[ScheduleOrder]) -> Impact:
    """The session with entries put at the end of its log."""
    book = observed.book
    return _compare(observed, OrderBook(book.terms, (*book.orders, *added), book.excluded))


def _compare(observed: Observed, book: OrderBook) -> Impact:
    budget.check()
    other = certificates_of(clear(book, observed.sold))
    return Impact(
        observed.prices,
        tuple(certificate.price for certificate in other),
        observed.volumes,
        tuple(certificate.volume for certificate in other),
    )


def at_reference(order: ScheduleOrder, level: Levels) -> ScheduleOrder:
    """The order with no limit worse than its reference level: offers not dearer, bids not cheaper. Quantities stay."""
    worse = min if order.side is Side.OFFER else max
    steps = tuple(
        Step(
            step.quantities,
            tuple(
                worse(limit, reference) if quantity and reference is not None else limit
                for quantity, limit, reference in zip(step.quantities, step.limits, level.limits, strict=True)
            ),
        )
        for step in order.steps
    )
    return replace(order, steps=steps)


def scaled(order: ScheduleOrder, parts: Sequence[float]) -> ScheduleOrder:
    """The order with the quantities of each session interval times a factor, whole Wh."""
    steps = []
    for step in order.steps:
        quantities = tuple(min(int(q * part), MAX_QUANTITY) for q, part in zip(step.quantities, parts, strict=True))
        limits = tuple(limit if q else 0 for q, limit in zip(quantities, step.limits, strict=True))
        steps.append(Step(quantities, limits))
    return replace(order, steps=tuple(steps))


def group_impact(observed: Observed, suspects: Collection[Key], reference: Mapping[Key, Levels]) -> Impact:
    """The session with all suspects' limits at their reference levels."""
    changes = {key: at_reference(observed.live[key], reference[key]) for key in suspects if key in reference}
    return reclear(observed, changes)
