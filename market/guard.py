"""The price guard's bands (docs/protocol.md section 11): what is like earlier prices. Twin of contracts/src/PriceGuard.sol.

Prices are micro-euro per kWh, volumes Wh, days those of the zone's standard time; everything is a whole number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from contracts.units import MAX_PRICE, PPM
from market.errors import FieldError

CAPACITY = 28
"""Prices that a history keeps."""

HOURS = 24
_MAX_VOLUME = (1 << 40) - 1


class GuardError(FieldError):
    """A value that the guard does not take."""


@dataclass(frozen=True, slots=True)
class GuardParameters:
    """What a guard is deployed with, for ever: the band is `median +- k * max(MAD, floor)`."""

    k_ppm: int
    mad_floor: int
    """Least spread, micro-euro per kWh."""
    mad_floor_ppm: int
    """Least spread, ppm of the median."""
    min_history: int
    """Prices that a band needs."""
    min_volume: int
    """Wh from which on the price of an interval or of an hour counts."""

    def __post_init__(self) -> None:
        for name, value, least, largest in (
            ("k_ppm", self.k_ppm, 1, 1000 * PPM),
            ("mad_floor", self.mad_floor, 0, MAX_PRICE),
            ("mad_floor_ppm", self.mad_floor_ppm, 0, PPM),
            ("min_history", self.min_history, 1, CAPACITY),
            ("min_volume", self.min_volume, 1, _MAX_VOLUME),
        ):
            _within(name, value, least, largest)


@dataclass(frozen=True, slots=True)
class Band:
    """Prices that are like earlier ones, both ends included, micro-euro per kWh."""

    low: int
    high: int

    def holds(self, price: int) -> bool:
        return self.low <= price <= self.high


@dataclass(frozen=True, slots=True)
class History:
    """The latest prices of one product's hour type, oldest first; `day` and `volume` (Wh) are the latest price's."""

    prices: tuple[int, ...] = ()
    day: int = 0
    volume: int = 0

    def record(self, day: int, price: int, volume: int) -> History:
        """The history with one more price; a day that is the latest already gets the mean, weighted by volume, rounded down."""
        if self.prices and day == self.day:
            together = self.volume + volume
            mean = (self.prices[-1] * self.volume + price * volume) // together
            return History((*self.prices[:-1], mean), day, together)
        return History((*self.prices, price)[-CAPACITY:], day, volume)

    def band(self, parameters: GuardParameters) -> Band | None:
        return band(self.prices, parameters)


@dataclass(frozen=True, slots=True)
class HourPrices:
    """One hour of a session: its mean price and volume, and the prices of those intervals that count by themselves."""

    price: int
    volume: int
    alone: tuple[int, ...]


def hour_type(working_day: bool, hour: int) -> int:
    """`24 * working day + hour of the zone's day`."""
    return HOURS * working_day + hour


def product_of(zone: int, kind: int, direction: int, mode: int) -> int:
    """A product as the contract numbers it: `zone:16 | kind:8 | direction:8 | mode:8`."""
    return zone | kind << 16 | direction << 24 | mode << 32


def band(prices: Sequence[int], parameters: GuardParameters) -> Band | None:
    """The band around a history, None where it is too short for one. The order of the prices does not matter."""
    if len(prices) < parameters.min_history:
        return None
    median = _lower_median(prices)
    mad = _lower_median([abs(price - median) for price in prices])
    spread = max(mad, parameters.mad_floor, parameters.mad_floor_ppm * median // PPM)
    width = parameters.k_ppm * spread // PPM
    return Band(max(median - width, 0), median + width)


def hours_of(
    intervals: Sequence[int], day_intervals: int, prices: Sequence[int], volumes: Sequence[int], min_volume: int
) -> dict[int, HourPrices]:
    """The hours of a session whose volume reaches the minimum. `intervals` are those of the day, ascending; where the volume
    is 0 there is no price, whatever `prices` says."""
    if not len(intervals) == len(prices) == len(volumes):
        raise GuardError("prices", f"{len(intervals)} prices and volumes", f"{len(prices)} and {len(volumes)}")
    gross: dict[int, int] = {}
    volume_of: dict[int, int] = {}
    alone: dict[int, list[int]] = {}
    for number, (t, price, volume) in enumerate(zip(intervals, prices, volumes, strict=True)):
        if not volume:
            continue
        _within(f"prices[{number}]", price, 0, MAX_PRICE)
        _within(f"volumes[{number}]", volume, 0, _MAX_VOLUME)
        hour = t * HOURS // day_intervals
        gross[hour] = gross.get(hour, 0) + price * volume
        volume_of[hour] = volume_of.get(hour, 0) + volume
        if volume >= min_volume:
            alone.setdefault(hour, []).append(price)
    return {
        hour: HourPrices(gross[hour] // volume, volume, tuple(alone.get(hour, ())))
        for hour, volume in volume_of.items()
        if volume >= min_volume
    }


def in_band(hours: Mapping[int, HourPrices], bands: Mapping[int, Band | None]) -> bool:
    """Whether every price that counts lies inside its hour's band; an hour without a band takes any price."""
    for hour, found in hours.items():
        limits = bands.get(hour)
        if limits is not None and not all(limits.holds(price) for price in (found.price, *found.alone)):
            return False
    return True


def _lower_median(values: Sequence[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]


def _within(field: str, value: int, least: int, largest: int) -> None:
    if not least <= value <= largest:
        raise GuardError(field, f"{least}..{largest}", value)
