"""Runs the detectors over one session: what each finds, in a fixed order."""

from __future__ import annotations

import time
from collections.abc import Callable

from market.surveillance import budget
from market.surveillance.case import Case
from market.surveillance.detectors import baselines, orders, prices, structure, trades
from market.surveillance.evidence import Detector, Finding

DETECTORS: dict[Detector, Callable[[Case], list[Finding]]] = {
    Detector.PRICE_SCORE: prices.price_score,
    Detector.PRICE_SPIKE: prices.price_spike,
    Detector.PRICE_DRIFT: prices.price_drift,
    Detector.PIVOTAL_SUPPLIER: structure.pivotal_supplier,
    Detector.CONCENTRATION: structure.concentration,
    Detector.SELF_TRADE: trades.self_trade,
    Detector.CIRCULAR_TRADE: trades.circular_trade,
    Detector.SPOOFING: orders.spoofing,
    Detector.WITHHOLDING: orders.withholding,
    Detector.BASELINE_INFLATION: baselines.baseline_inflation,
    Detector.BASELINE_CHOICE: baselines.baseline_choice,
}
"""Detectors from what is public; the last two need metered load and find nothing without it."""


def run(case: Case, seconds: float | None = None) -> list[Finding]:
    """Every finding of every detector, in at most about so many seconds of wall-clock time.

    Detectors share what is left evenly, so that nothing that is said to one keeps the others from being asked. One that did not
    end is asked once more with the time that was left over; then a notice under its name says `out_of_time`."""
    end = None if seconds is None else time.monotonic() + seconds
    found: dict[Detector, list[Finding]] = {}
    for _ in range(2):
        waiting = [name for name in DETECTORS if name not in found]
        for position, name in enumerate(waiting):
            share = None if end is None else max(end - time.monotonic(), 0) / (len(waiting) - position)
            try:
                with budget.within(share):
                    found[name] = DETECTORS[name](case)
            except budget.OutOfTime:
                continue
    return [finding for name in DETECTORS for finding in found.get(name, [_unfinished(case, name)])]


def _unfinished(case: Case, name: Detector) -> Finding:
    return Finding(name, case.observed.session, case.observed.book.terms.intervals, figures={"out_of_time": 1})
