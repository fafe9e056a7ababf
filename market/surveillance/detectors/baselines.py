"""Baselines that were shaped: load raised on the days that count, and days chosen not to count.

Both need metered load, which is private: whoever may read it runs them (docs/surveillance.md). The shares of loads leave
nothing in the evidence but whole-number figures of the suspect accounts."""

from __future__ import annotations

from math import erfc, sqrt
from statistics import median

import numpy as np
from numpy.typing import NDArray

from contracts.encoding import ScheduleOrder
from contracts.units import PPM, Side
from market.surveillance import reference
from market.surveillance.case import Case, Floats, Loads, milli
from market.surveillance.evidence import Detector, Finding
from market.surveillance.impact import reclear, scaled
from market.surveillance.observed import Key

_LEAST_WEATHER = 0.5
"""How far, at least, offers are taken to follow the loads."""


def baseline_inflation(case: Case) -> list[Finding]:
    """Names sellers whose load in the session's hours rose in the days before against their own history and against the other
    members', and who offer that much more than they used to, where their usual offers would have made another price.

    Difference in differences over days of the session's type: `(recent - earlier) own - median of the same of all others`, in
    robust standard deviations of how the account's means wander (Iglewicz & Hoaglin 1993). Inflation of administrative
    baselines: Chao & DePillis, Incentive Effects of Paying Demand Response in Wholesale Electricity Markets (2013); a case is
    Rumford Paper Company, 142 FERC 61,218 (2013). A load that rises is nobody's fault; selling the rise is conduct."""
    p, loads = case.parameters.baseline, case.loads
    rises = _rises(case, loads) if loads is not None else {}
    if len(rises) < 3 or case.weather is None:
        return []
    parts = _parts(rises)
    # Sellers that collude could be most of a session's sellers, but not of the members: their loads say what the weather did.
    weather = min(case.weather, max(1 + median(parts.values()), _LEAST_WEATHER))
    changes: dict[Key, ScheduleOrder | None] = {}
    figures: dict[str, int] = {}
    together = 0.0
    for account, (rise, level, wander) in sorted(rises.items()):
        key = (account, Side.OFFER)
        if key not in case.parts or not sum(case.observed.fills[key]):
            continue
        excess = rise - median(part * level for other, part in parts.items() if other != account)
        score = milli(reference.Spread(0.0, wander, 1).score(excess))
        placed, usual = case.observed.curves[key].quantities, case.levels[key].quantities
        more = sum(q - weather * (u or 0) for q, u in zip(placed, usual, strict=True)) / len(placed)
        if (
            score >= p.score
            and more >= p.min_more
            and case.parts[key] * PPM >= p.more_ppm * weather
            and excess * PPM >= p.rise_ppm * more
        ):
            parts_back = [min(1.0, weather * (u or 0) / q) if q else 1.0 for q, u in zip(placed, usual, strict=True)]
            together += more
            changes[key] = scaled(case.observed.live[key], parts_back)
            figures |= {f"rise_wh_{account}": int(excess), f"score_{account}": score, f"more_wh_{account}": int(more)}
    if not changes or together < p.together:
        return []
    impact = reclear(case.observed, changes)
    if abs(impact.ppm) < p.impact_ppm:
        return []
    return [
        Finding(
            Detector.BASELINE_INFLATION,
            case.observed.session,
            case.observed.book.terms.intervals,
            accounts=tuple(sorted(account for account, _ in changes)),
            suspects=tuple(sorted(changes)),
            figures={**figures, "score_limit": p.score, "more_wh": int(together), "more_limit_wh": p.together},
            impact=impact,
        )
    ]


def _parts(rises: dict[int, tuple[float, float, float]]) -> dict[int, float]:
    """Rises as parts of each account's level, so that large and small homes can be compared."""
    return {account: rise / max(abs(level), 100.0) for account, (rise, level, _) in rises.items()}


def _rises(case: Case, loads: Loads) -> dict[int, tuple[float, float, float]]:
    """Per account in Wh an interval: recent less earlier mean load in the session's hours, the earlier mean, and how much means
    over as many days wander (MAD of windows of the history)."""
    p, terms = case.parameters.baseline, case.observed.book.terms
    at = list(terms.intervals)
    last = terms.day - loads.first_day
    found = {}
    for account, series in loads.net.items():
        if last < p.days or last > len(series):
            continue
        first = max(0, last - p.days - p.history_days)
        days = np.arange(first, last)
        alike = np.array([terms.zone.is_working_day(loads.first_day + int(d)) == case.observed.working for d in days])
        events = np.array([loads.first_day + int(d) in loads.events.get(account, ()) for d in days])
        daily = series[first:last][:, at].mean(axis=1)
        usable = alike & ~events & ~np.isnan(daily)
        recent = daily[usable & (days >= last - p.days)]
        earlier = daily[usable & (days < last - p.days)]
        if len(recent) < 2 or len(earlier) < case.parameters.reference.min_history:
            continue
        width = len(recent)
        windows = np.convolve(earlier, np.ones(width) / width, mode="valid")
        level = float(np.median(earlier))
        wander = float(np.median(np.abs(windows - np.median(windows)))) if len(windows) > 1 else float(np.std(earlier))
        found[account] = (float(recent.mean() - np.median(windows)), level, max(wander, 0.05 * abs(level), 20.0))
    return found


def baseline_choice(case: Case) -> list[Finding]:
    """Names sellers whose days that do not count (event days or days with missing readings, each by itself) are days of little
    expected load: then the baseline is made of the others.

    Rank-sum test of expected load in the session's hours, days left out against days that count, one-sided with ties (Mann &
    Whitney, On a Test of Whether One of Two Random Variables is Stochastically Larger than the Other, 1947). Expected is what
    was forecast, since on the days left out the metered load is changed or missing."""
    p, loads, terms = case.parameters.baseline, case.loads, case.observed.book.terms
    if loads is None:
        return []
    found = []
    last = terms.day - loads.first_day
    for account, expected in sorted(loads.expected.items()):
        key = (account, Side.OFFER)
        first = max(0, last - p.choice_days)
        if key not in case.observed.live or last > len(expected):
            continue
        days = [d for d in range(first, last) if terms.zone.is_working_day(loads.first_day + d) == case.observed.working]
        means = expected[:, list(terms.intervals)].mean(axis=1)
        missing: NDArray[np.bool_] = np.asarray(np.isnan(loads.net[account]).any(axis=1))
        known = [d for d in days if not np.isnan(means[d])]
        gaps = [d for d in known if missing[d]]
        events = [d for d in known if not missing[d] and loads.first_day + d in loads.events.get(account, ())]
        counted = [d for d in known if d not in gaps and d not in events]
        for left_out, others, missed in ((events, counted, 0), (gaps, [*counted, *events], 1)):
            if min(len(left_out), len(others)) < 5:
                continue
            low, high = means[left_out], means[others]
            probability = rank_sum(low, high)
            apart = float(np.median(high) - np.median(low))
            if probability * PPM > p.choice_p_ppm or apart * PPM < p.choice_ppm * max(float(np.median(high)), 1.0):
                continue
            figures = {
                "probability_ppm": int(probability * PPM),
                "limit_ppm": p.choice_p_ppm,
                "days_left_out": len(left_out),
                "missing_readings": missed,
                "days_counted": len(others),
                "apart_wh": int(apart),
            }
            finding = Finding(Detector.BASELINE_CHOICE, case.observed.session, terms.intervals, (account,), (key,), figures)
            found.append(finding)
    return found


def rank_sum(low: Floats, high: Floats) -> float:
    """Probability that values like `low` rank so far below `high` by chance: normal approximation of Mann-Whitney's U with
    correction for ties and continuity."""
    together = np.concatenate([low, high])
    order = np.sort(together)
    ranks = (np.searchsorted(order, together, "left") + np.searchsorted(order, together, "right") + 1) / 2
    n, m = len(low), len(high)
    u = ranks[:n].sum() - n * (n + 1) / 2
    _, counts = np.unique(together, return_counts=True)
    ties = float((counts**3 - counts).sum()) / ((n + m) * (n + m - 1))
    sigma = np.sqrt(n * m / 12 * (n + m + 1 - ties))
    if not sigma:
        return 1.0
    z = (u - n * m / 2 + 0.5) / sigma
    return float(_normal(z))


def _normal(z: float) -> float:
    return erfc(-z / sqrt(2)) / 2
