"""Rule sets: versioned data that say what a delivered ratio is paid and what it costs (docs/protocol.md section 10).

A rule set is a JSON file below `settlement/rules`; its words are hashed into the session's terms at opening. Curves map a
delivered ratio to a paid or forfeited ratio, all in ppm, linear between points and flat after the last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from contracts.encoding import hash_words
from contracts.units import PPM
from market.errors import FieldError

VERSION = 1
MAX_POINTS = 16
"""Largest number of points of one curve."""

_WORD32 = (1 << 32) - 1


class RulesError(FieldError):
    """A rule set that the Settlement contract would not accept, or a file that is none."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (x, y) in ppm, x strictly ascending from 0."""

    points: tuple[tuple[int, int], ...]

    def at(self, x: int) -> int:
        """Value in ppm at a ratio `x` >= 0 in ppm, rounded down."""
        for (x0, y0), (x1, y1) in zip(self.points, self.points[1:], strict=False):
            if x < x1:
                return (y0 * (x1 - x) + y1 * (x - x0)) // (x1 - x0)
        return self.points[-1][1]


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What one session is settled by. Raises `RulesError` at construction where the contract would refuse it.

    A member may be replaced without its consent once it has delivered less than `replace_below_ppm` of its fill in
    `replace_after` intervals; 0 intervals: never.
    """

    pay: Curve
    penalty: Curve
    tolerance_ppm: int
    collateral_ppm: int
    replace_below_ppm: int = 0
    replace_after: int = 0
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise RulesError("version", str(VERSION), self.version)
        for name, value in (("tolerance_ppm", self.tolerance_ppm), ("collateral_ppm", self.collateral_ppm)):
            if not 0 <= value <= _WORD32:
                raise RulesError(name, "0..2^32-1", value)
        if not 0 <= self.replace_below_ppm <= PPM:
            raise RulesError("replace_below_ppm", f"0..{PPM}", self.replace_below_ppm)
        if not 0 <= self.replace_after <= 0xFF:
            raise RulesError("replace_after", "0..255", self.replace_after)
        _check_curve("pay", self.pay, PPM, "a paid ratio of at most 1000000 ppm")
        _check_curve("penalty", self.penalty, self.collateral_ppm, f"at most the collateral rate, {self.collateral_ppm} ppm")

    def words(self) -> list[int]:
        """The words whose hash a session pins."""
        header = self.version | len(self.pay.points) << 8 | len(self.penalty.points) << 16
        header |= self.tolerance_ppm << 32 | self.collateral_ppm << 64
        header |= self.replace_below_ppm << 96 | self.replace_after << 128
        return [header, *(x | y << 32 for x, y in (*self.pay.points, *self.penalty.points))]

    @property
    def hash(self) -> bytes:
        """`rulesHash`: keccak-256 of the words."""
        return hash_words(self.words())

    def counted_ratio(self, ratio_ppm: int) -> int:
        """The ratio that curves are read at: a shortfall within the tolerance counts as full delivery."""
        return max(ratio_ppm, PPM) if ratio_ppm + self.tolerance_ppm >= PPM else ratio_ppm


def from_words(words: Sequence[int]) -> RuleSet:
    """The rule set in a session's words; raises `RulesError` where they are none."""
    if not words:
        raise RulesError("words", "a header", "nothing")
    header = words[0]
    pay, penalty = header >> 8 & 0xFF, header >> 16 & 0xFF
    if len(words) != 1 + pay + penalty:
        raise RulesError("words", f"1 header, {pay} pay and {penalty} penalty points", f"{len(words)} words")
    points = tuple((word & _WORD32, word >> 32) for word in words[1:])
    rules = RuleSet(
        pay=Curve(points[:pay]),
        penalty=Curve(points[pay:]),
        tolerance_ppm=header >> 32 & _WORD32,
        collateral_ppm=header >> 64 & _WORD32,
        replace_below_ppm=header >> 96 & _WORD32,
        replace_after=header >> 128 & 0xFF,
        version=header & 0xFF,
    )
    if rules.words() != list(words):
        raise RulesError("words", "zero bits outside the fields", f"{header:#x}")
    return rules


def parse(raw: Mapping[str, Any]) -> RuleSet:
    """A rule set from the content of a JSON file."""
    numbers = ("version", "tolerance_ppm", "collateral_ppm", "replace_below_ppm", "replace_after")
    for name in numbers:
        if type(raw.get(name)) is not int:
            raise RulesError(name, "a whole number", raw.get(name))
    curves = {}
    for name in ("pay", "penalty"):
        points = raw.get(name)
        if not isinstance(points, list) or not all(
            isinstance(point, list) and len(point) == 2 and all(type(value) is int for value in point) for point in points
        ):
            raise RulesError(name, "a list of [x, y] whole numbers in ppm", points)
        curves[name] = Curve(tuple((x, y) for x, y in points))
    return RuleSet(curves["pay"], curves["penalty"], **{name: raw[name] for name in numbers})


def load(name: str = "default") -> RuleSet:
    """A rule set that is shipped, by its name."""
    file = resources.files("settlement") / "rules" / f"{name}.json"
    if not file.is_file():
        raise RulesError("rules", f"one of {', '.join(shipped())}", name)
    return parse(json.loads(file.read_text(encoding="utf-8")))


def load_file(path: Path) -> RuleSet:
    """A rule set from a file of the caller's."""
    return parse(json.loads(path.read_text(encoding="utf-8")))


def shipped() -> list[str]:
    """Names of the shipped rule sets."""
    folder = resources.files("settlement") / "rules"
    return sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))


def _check_curve(name: str, curve: Curve, largest: int, expected: str) -> None:
    points = curve.points
    if not 1 <= len(points) <= MAX_POINTS:
        raise RulesError(name, f"1 to {MAX_POINTS} points", len(points))
    if points[0][0] != 0:
        raise RulesError(f"{name}[0].x", "0", points[0][0])
    for i, (x, y) in enumerate(points):
        if not 0 <= x <= _WORD32 or (i and x <= points[i - 1][0]):
            raise RulesError(f"{name}[{i}].x", "x strictly ascending, below 2^32", x)
        if not 0 <= y <= largest:
            raise RulesError(f"{name}[{i}].y", expected, y)
