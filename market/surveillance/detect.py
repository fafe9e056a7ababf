"""Runs the detectors over one session: what each finds, in a fixed order."""

from __future__ import annotations

from collections.abc import Callable

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


def run(case: Case) -> list[Finding]:
    """Every finding of every detector."""
    return [finding for detector in DETECTORS.values() for finding in detector(case)]
