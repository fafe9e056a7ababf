"""The detectors' thresholds as one validated value, loaded from TOML; `default.toml` is what ships. Ratios are ppm, scores
thousandths, energy Wh, prices micro-euro per kWh, money micro-euro; every number is whole, so that a hash pins them."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, fields
from importlib import resources
from typing import Any

from eth_hash.auto import keccak

from contracts.units import MAX_PRICE, PPM
from market.errors import FieldError

_LARGEST = (1 << 40) - 1


class ParameterError(FieldError):
    """A threshold that is missing, unknown or out of range."""


class _Section:
    """Whole numbers from 0 on; `_RANGES` has narrower ones."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            name = f"{_NAMES[type(self)]}.{field.name}"
            value = getattr(self, field.name)
            least, largest = _RANGES.get(field.name, (0, 100 * PPM if field.name.endswith("_ppm") else _LARGEST))
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= largest:
                raise ParameterError(name, f"a whole number of {least}..{largest}", repr(value)[:60])


@dataclass(frozen=True)
class Reference(_Section):
    """Which earlier sessions are comparable, and how little they may differ."""

    min_history: int
    max_history: int
    season_days: int
    mad_floor: int
    mad_floor_ppm: int
    min_volume: int


@dataclass(frozen=True)
class Price(_Section):
    """Prices unlike earlier ones, and who made them."""

    score: int
    spike_score: int
    impact_ppm: int
    conduct_ppm: int


@dataclass(frozen=True)
class Drift(_Section):
    """Prices that move slowly."""

    sessions: int
    slack: int
    limit: int
    conduct_ppm: int


@dataclass(frozen=True)
class Structure(_Section):
    """How much the market depends on single sellers."""

    residual_supply_ppm: int
    conduct_ppm: int
    hhi: int
    hhi_score: int
    hhi_floor: int


@dataclass(frozen=True)
class Trades(_Section):
    """Trades with oneself and in circles."""

    own_ppm: int
    min_own: int
    sessions: int
    link_ppm: int
    round_ppm: int
    min_round: int


@dataclass(frozen=True)
class Orders(_Section):
    """Orders that were not meant."""

    late_seconds: int
    cut_ppm: int
    impact_ppm: int
    repeats: int
    cancel_ppm: int
    most_cleared: int


@dataclass(frozen=True)
class Withholding(_Section):
    """Offers that are missing."""

    missing_ppm: int
    presence_ppm: int
    impact_ppm: int
    score: int


@dataclass(frozen=True)
class Baseline(_Section):
    """Load and days that shape a baseline."""

    days: int
    history_days: int
    score: int
    min_more: int
    together: int
    more_ppm: int
    rise_ppm: int
    impact_ppm: int
    choice_days: int
    choice_p_ppm: int
    choice_ppm: int


@dataclass(frozen=True)
class Parameters:
    """Every threshold of every detector."""

    reference: Reference
    price: Price
    drift: Drift
    structure: Structure
    trades: Trades
    orders: Orders
    withholding: Withholding
    baseline: Baseline

    @property
    def hash(self) -> bytes:
        """keccak-256 of the thresholds as canonical JSON: what an alert says it was measured by."""
        return bytes(keccak(json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()))


_SECTIONS: dict[str, type[Any]] = {
    "reference": Reference,
    "price": Price,
    "drift": Drift,
    "structure": Structure,
    "trades": Trades,
    "orders": Orders,
    "withholding": Withholding,
    "baseline": Baseline,
}
_NAMES = {kind: name for name, kind in _SECTIONS.items()}
_RANGES = {
    "min_history": (3, 1000),
    "max_history": (3, 1000),
    "season_days": (1, 183),
    "mad_floor": (1, MAX_PRICE),
    "mad_floor_ppm": (0, PPM),
    "hhi": (0, 10_000),
    "hhi_floor": (1, 10_000),
    "own_ppm": (1, PPM),
    "link_ppm": (1, PPM),
    "round_ppm": (1, PPM),
    "cut_ppm": (1, PPM),
    "cancel_ppm": (1, PPM),
    "missing_ppm": (1, PPM),
    "repeats": (1, 1000),
    "most_cleared": (1, 1000),
    "sessions": (2, 1000),
    "days": (1, 60),
    "history_days": (7, 730),
    "choice_days": (14, 730),
    "choice_p_ppm": (0, PPM),
}


def parse(text: str) -> Parameters:
    """Parameters from TOML; raises `ParameterError` for what is missing, unknown, out of range, or no TOML."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError("parameters", "TOML", str(error)) from None
    _same("parameters", set(data), set(_SECTIONS))
    found: dict[str, Any] = {}
    for name, kind in _SECTIONS.items():
        section = data[name]
        if not isinstance(section, dict):
            raise ParameterError(name, "a section", repr(section)[:60])
        _same(name, set(section), {field.name for field in fields(kind)})
        found[name] = kind(**section)
    return Parameters(**found)


def load(name: str = "default") -> Parameters:
    """Parameters that ship, by name."""
    return parse((resources.files("market.surveillance") / f"{name}.toml").read_text())


def _same(where: str, got: set[str], wanted: set[str]) -> None:
    if got != wanted:
        missing, unknown = sorted(wanted - got), sorted(got - wanted)
        raise ParameterError(where, f"the fields {', '.join(sorted(wanted))}", f"missing {missing}, unknown {unknown}")
