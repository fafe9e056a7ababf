"""What a detector found, as a value with one canonical text and one hash: what is kept, shown and decided about on chain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from eth_hash.auto import keccak

from market.surveillance.impact import Impact
from market.surveillance.observed import Key, ObservedError

VERSION = 2
SALT_BYTES = 32


class Detector(StrEnum):
    """Every detector, by the name that stands in evidence."""

    PRICE_SCORE = "price_score"
    PRICE_SPIKE = "price_spike"
    PRICE_DRIFT = "price_drift"
    PIVOTAL_SUPPLIER = "pivotal_supplier"
    CONCENTRATION = "concentration"
    SELF_TRADE = "self_trade"
    CIRCULAR_TRADE = "circular_trade"
    SPOOFING = "spoofing"
    WITHHOLDING = "withholding"
    BASELINE_INFLATION = "baseline_inflation"
    BASELINE_CHOICE = "baseline_choice"


class Severity(StrEnum):
    """A notice says that something is unusual and accuses nobody; an alert names orders or accounts."""

    NOTICE = "notice"
    ALERT = "alert"


@dataclass(frozen=True)
class Finding:
    """One detector's word about one session. `suspects` are live orders that could be excluded; `accounts` are whose conduct it
    is about; `figures` are whole numbers by name (ppm, thousandths, Wh, micro-euro, as docs/surveillance.md says)."""

    detector: Detector
    session: int
    intervals: tuple[int, ...]
    """Of the day."""
    accounts: tuple[int, ...] = ()
    suspects: tuple[Key, ...] = ()
    figures: Mapping[str, int] = field(default_factory=dict)
    impact: Impact | None = None

    def __post_init__(self) -> None:
        for name, value in self.figures.items():
            if isinstance(value, bool) or not isinstance(value, int):
                raise ObservedError(f"figures.{name}", "a whole number", repr(value))

    @property
    def severity(self) -> Severity:
        """A price alone never convicts: without anybody's conduct it is a notice."""
        return Severity.ALERT if self.accounts else Severity.NOTICE

    def document(self, parameters_hash: bytes) -> dict[str, Any]:
        """The evidence as plain values, whole numbers and text only; what is kept and hashed has a salt as well (`salted`)."""
        impact = self.impact
        return {
            "version": VERSION,
            "detector": self.detector.value,
            "severity": self.severity.value,
            "session": self.session,
            "intervals": list(self.intervals),
            "accounts": sorted(self.accounts),
            "suspects": [{"account": account, "side": side.name.lower()} for account, side in sorted(self.suspects)],
            "figures": dict(sorted(self.figures.items())),
            "impact": None
            if impact is None
            else {
                "ppm": impact.ppm,
                "money": impact.money,
                "prices": list(impact.prices),
                "prices_without": list(impact.without),
                "volumes_wh": list(impact.volumes),
                "volumes_without_wh": list(impact.volumes_without),
            },
            "parameters": "0x" + parameters_hash.hex(),
        }


def salted(document: Mapping[str, Any], salt: bytes) -> dict[str, Any]:
    """The evidence with a salt of 32 random bytes. Most of it follows from the public log and the rest are few small numbers:
    without a salt anybody could try what a hash on chain stands for."""
    if len(salt) != SALT_BYTES:
        raise ObservedError("salt", f"{SALT_BYTES} bytes", len(salt))
    return {**document, "salt": "0x" + salt.hex()}


def unsalted(document: Mapping[str, Any]) -> dict[str, Any]:
    """What was found, which is the same when it is found again."""
    return {name: value for name, value in document.items() if name != "salt"}


def canonical(document: Mapping[str, Any]) -> bytes:
    """One text for one document: JSON with sorted keys, no spaces, ASCII; refuses anything but whole numbers and text."""
    _require_plain("evidence", document)
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def evidence_hash(document: Mapping[str, Any]) -> bytes:
    """keccak-256 of the canonical text, salt and all: the alert's name on chain."""
    return bytes(keccak(canonical(document)))


def _require_plain(path: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ObservedError(path, "text as keys", repr(key))
            _require_plain(f"{path}.{key}", item)
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _require_plain(f"{path}[{number}]", item)
    elif value is not None and not isinstance(value, str | int):
        raise ObservedError(path, "whole numbers and text", repr(value))
