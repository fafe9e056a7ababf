"""Why a price is what it is: the orders at the margin, and what every interval would be without each participant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.clearing_words import CooperativeCertificate
from contracts.units import Side
from market.surveillance.impact import without
from market.surveillance.observed import Observed


@dataclass(frozen=True, slots=True)
class Marginal:
    """A step of an order at the margin: its limit (micro-euro per kWh), and of its quantity (Wh) in the interval what the whole
    order filled."""

    account: int
    side: Side
    limit: int
    quantity: int
    filled: int


@dataclass(frozen=True, slots=True)
class Without:
    """An interval without one participant: price (micro-euro per kWh, None where nothing clears) and volume, Wh."""

    account: int
    price: int | None
    volume: int


@dataclass(frozen=True, slots=True)
class IntervalExplanation:
    """`interval` of the day; `low` and `high` are the ends of the range of prices that clear the volume (in a cooperative
    session the limits of the worst filled offer and bid). `marginal` are the steps with a limit at either end."""

    interval: int
    price: int | None
    volume: int
    low: int
    high: int
    marginal: tuple[Marginal, ...]
    without: tuple[Without, ...]


def participants(observed: Observed) -> list[int]:
    """Accounts with a live order, those that trade most first."""
    traded: dict[int, int] = {}
    for key in observed.live:
        traded[key[0]] = traded.get(key[0], 0) + sum(observed.fills.get(key, ()))
    return sorted(traded, key=lambda account: (-traded[account], account))


def explain(observed: Observed, accounts: Iterable[int] | None = None) -> tuple[IntervalExplanation, ...]:
    """Explains every interval; `accounts` are those without whom the session is cleared again, all by default."""
    chosen = participants(observed) if accounts is None else list(accounts)
    impacts = {account: without(observed, account) for account in chosen}
    found = []
    for j, (t, c) in enumerate(zip(observed.book.terms.intervals, observed.certificates, strict=True)):
        low, high = (c.offer_edge, c.bid_edge) if isinstance(c, CooperativeCertificate) else (c.lo, c.hi)
        found.append(
            IntervalExplanation(
                t,
                c.price,
                c.volume,
                low,
                high,
                _marginal(observed, j, {low, high}) if c.volume else (),
                tuple(Without(a, impacts[a].without[j], impacts[a].volumes_without[j]) for a in chosen),
            )
        )
    return tuple(found)


def _marginal(observed: Observed, j: int, edges: set[int]) -> tuple[Marginal, ...]:
    """Steps with a limit at an end of the range, in log order."""
    return tuple(
        Marginal(account, side, step.limits[j], step.quantities[j], observed.fills[account, side][j])
        for (account, side), order in observed.live.items()
        for step in order.steps
        if step.quantities[j] and step.limits[j] in edges
    )
