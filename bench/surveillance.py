"""The manipulation laboratory: detection, false alarms and delay of market/surveillance on the 17 shipped homes.

A clean year of daily sessions (bench/surveillance_year.py) is disturbed by one known manipulation at a time
(bench/surveillance_manipulations.py). Thresholds were chosen on the first half of the year with the seeds of `TUNING`; what is
reported comes from the second half with other seeds, in which homes have other prices, habits and outages.

Detected is what an alert names: at least one of the manipulators, in a session that they changed. A notice, which accuses
nobody, detects nothing, but counts as a false alarm in a clean session. `python -m bench.surveillance tune` prints the tuning
half.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import median

import numpy as np

from bench import Row
from bench.surveillance_manipulations import LONGEST, MANIPULATIONS, Injected
from bench.surveillance_year import Year, build
from market.surveillance import detect, parameters
from market.surveillance.case import Case
from market.surveillance.evidence import Detector, Finding, Severity
from market.surveillance.observed import Observed

TUNING = (11, 12, 13, 14)
REPORTED = (2024, 2025, 2026, 2027)
"""Seeds of the years."""

LEARNING = 50
"""Sessions before the first that is judged."""

MOVED = 0.2
"""Part by which the price moved in what the target speaks of."""

TARGETED = ("price_spike", "baseline_inflation")


@dataclass(frozen=True)
class Outcome:
    """One injected manipulation: the largest part by which a session's price moved, and per detector (or "together") the
    sessions until the first alert that named a manipulator."""

    kind: str
    moved: float
    delays: dict[str, int]
    named: int
    """Accounts that alerts named in the sessions that were changed, alert by alert."""
    rightly: int
    """How many of these were manipulators."""


@dataclass(frozen=True)
class Result:
    """What one year's half came to. `alarms` are per clean session the detectors that said something."""

    outcomes: list[Outcome]
    alarms: list[frozenset[str]]


def measure() -> list[Row]:
    """The reported half."""
    results = _years(REPORTED, 1)
    return rows([o for r in results for o in r.outcomes], [a for r in results for a in r.alarms])


def rows(outcomes: Sequence[Outcome], alarms: Sequence[frozenset[str]]) -> list[Row]:
    """Figures from outcomes and clean sessions."""
    aimed = [o for o in outcomes if o.kind in TARGETED and o.moved >= MOVED]
    note = f"of {len(aimed)} spikes and baseline inflations that moved a session's price by 20 % or more: a manipulator named"
    found = [
        Row("detection", _rate(aimed), "", 0.95, note),
        Row(
            "false_alarms_100",
            round(100 * sum(map(bool, alarms)) / len(alarms), 2),
            "",
            2.0,
            f"clean sessions with any alert or notice, of {len(alarms)}, a hundred",
        ),
    ]
    named = sum(o.named for o in outcomes)
    share = round(sum(o.rightly for o in outcomes) / named, 3) if named else 1.0
    found.append(Row("named_rightly", share, "", None, f"of {named} accounts that alerts named in manipulated sessions"))
    for kind in MANIPULATIONS:
        of_kind = [o for o in outcomes if o.kind == kind]
        moving = [o for o in of_kind if o.moved >= MOVED]
        delays = [o.delays["together"] for o in of_kind if "together" in o.delays]
        peers = {name.value: _rate(of_kind, name) for name in Detector if any(name in o.delays for o in of_kind)}
        if moving:
            peers["moved 20 %"] = _rate(moving)
        note = f"{len(of_kind)} injected, {len(moving)} of which moved a price by 20 % or more"
        found.append(Row(f"detected_{kind}", _rate(of_kind), "", None, note, peers))
        if delays:
            found.append(Row(f"delay_{kind}", float(median(delays)), "sessions", None, f"median; longest {max(delays)}"))
    for name in Detector:
        count = sum(name in alarm for alarm in alarms)
        found.append(Row(f"false_{name}_100", round(100 * count / len(alarms), 2), "", None, "clean sessions, a hundred"))
    return found


def half(seed: int, which: int, scale: float = 1.0) -> Result:
    """One year's first (0) or second (1) half; `scale` makes fewer injections."""
    year = build(seed)
    middle = len(year.sessions) // 2
    judged = range(LEARNING, middle) if which == 0 else range(middle, len(year.sessions))
    return judge(year, judged, np.random.default_rng(seed + 1), scale)


def judge(year: Year, judged: range, rng: np.random.Generator, scale: float = 1.0) -> Result:
    """Clean sessions of a year, and manipulations that begin among them."""
    loads, p = year.loads(), parameters.load()
    alarms = [
        frozenset(str(f.detector) for f in detect.run(Case(year.sessions[k], year.sessions[:k], p, loads))) for k in judged
    ]
    outcomes = []
    for kind, (inject, times) in MANIPULATIONS.items():
        for _ in range(max(1, round(times * scale))):
            length = LONGEST if kind.endswith("choice") else 30
            at = int(rng.integers(judged.start, max(judged.stop - length, judged.start + 1)))
            outcomes.append(outcome(year, inject(year, at, rng), p))
    return Result(outcomes, alarms)


def outcome(year: Year, injected: Injected, p: parameters.Parameters) -> Outcome:
    """Runs the detectors over the sessions that a manipulation changed, until each that can has named a manipulator."""
    history = list(year.sessions)
    for k, session in injected.sessions.items():
        history[k] = session
    loads = injected.loads or year.loads()
    moved = 0.0
    delays: dict[str, int] = {}
    named = rightly = 0
    for k in sorted(injected.sessions):
        if k >= len(history):
            break
        moved = max(moved, abs(_moved(year.sessions[k], injected.sessions[k])))
        if "choice" in injected.kind and k - injected.start < LONGEST - 20:
            continue  # what was chosen shows only when there has been a choice for some time
        for finding in detect.run(Case(history[k], history[:k], p, loads)):
            named += len(finding.accounts)
            rightly += len(injected.by & set(finding.accounts))
            if _names(finding, injected):
                for name in (str(finding.detector), "together"):
                    delays.setdefault(name, k - injected.start)
    return Outcome(injected.kind, moved, delays, named, rightly)


def _names(finding: Finding, injected: Injected) -> bool:
    return finding.severity is Severity.ALERT and bool(injected.by & set(finding.accounts))


def _moved(clean: Observed, manipulated: Observed) -> float:
    """Part by which the mean price moved, weighted by the clean volume, over intervals that cleared both ways."""
    both = [
        (v, p, q)
        for v, p, q in zip(clean.volumes, clean.prices, manipulated.prices, strict=True)
        if p is not None and q is not None
    ]
    base = sum(v * p for v, p, _ in both)
    return sum(v * (q - p) for v, p, q in both) / base if base else 0.0


def _rate(outcomes: Sequence[Outcome], name: str = "together") -> float:
    return round(sum(name in o.delays for o in outcomes) / len(outcomes), 3) if outcomes else 0.0


def _years(seeds: Sequence[int], which: int) -> list[Result]:
    with ProcessPoolExecutor(2) as pool:
        return list(pool.map(half, seeds, [which] * len(seeds)))


def main() -> None:
    """Prints the tuning half, or, without `tune`, the reported one."""
    results = _years(*((TUNING, 0) if sys.argv[1:] == ["tune"] else (REPORTED, 1)))
    for row in rows([o for r in results for o in r.outcomes], [a for r in results for a in r.alarms]):
        print(f"{row.metric:<32}{row.value:>9} {row.unit:<9} {row.note} {row.peers or ''}")


if __name__ == "__main__":
    main()
