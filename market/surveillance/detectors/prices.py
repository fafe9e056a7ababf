"""Prices unlike those of comparable sessions: at once, slowly, and with somebody's orders behind them."""

from __future__ import annotations

from contracts.units import Side
from market.surveillance import reference
from market.surveillance.case import Case, milli
from market.surveillance.evidence import Detector, Finding
from market.surveillance.impact import group_impact
from market.surveillance.observed import Key


def price_score(case: Case) -> list[Finding]:
    """Names a session whose mean robust z-score `0.6745 * (price - median) / MAD` over its intervals is beyond the limit.

    Iglewicz & Hoaglin, How to Detect and Handle Outliers (ASQC, 1993), who take 3.5 for normal data; prices are no such data,
    so the limit is wider. Accuses nobody."""
    score, limit = case.score, case.parameters.price.score
    if score is None or abs(milli(score)) < limit:
        return []
    beyond = [j for j, value in enumerate(case.scores) if value is not None and abs(milli(value)) >= limit]
    intervals = tuple(case.observed.book.terms.intervals[j] for j in beyond)
    return [_notice(case, Detector.PRICE_SCORE, intervals, {"score": milli(score), "limit": limit})]


def price_spike(case: Case) -> list[Finding]:
    """Names the orders behind an unusually high or low price: limits away from their makers' reference levels (conduct) which,
    put back there together, would have moved the price (impact).

    Conduct-and-impact test: FERC Staff Analysis of Energy Offer Mitigation in RTO and ISO Markets (AD14-14, 2014); reference
    levels from a maker's own accepted orders: ISO New England Tariff, Market Rule 1, Appendix A, III.A.7."""
    p = case.parameters.price
    peak = max((value for value in case.scores if value is not None), key=abs, default=None)
    if peak is None or abs(milli(peak)) < p.spike_score:
        return []
    judged = case.judged(case.misbehaving(p.conduct_ppm, Side.OFFER if peak > 0 else Side.BID), p.impact_ppm)
    if judged is None or (judged[1].ppm > 0) != (peak > 0):
        return []
    suspects, impact = judged
    moved = tuple(
        t
        for t, price, other in zip(case.observed.book.terms.intervals, impact.prices, impact.without, strict=True)
        if price != other
    )
    worst = max(case.away(key) or 0 for key in suspects)
    return [
        Finding(
            Detector.PRICE_SPIKE,
            case.observed.session,
            moved,
            accounts=tuple(sorted({account for account, _ in suspects})),
            suspects=tuple(suspects),
            figures={"score": milli(peak), "score_limit": p.spike_score, "away_ppm": worst, "conduct_ppm": p.conduct_ppm},
            impact=impact,
        )
    ]


def price_drift(case: Case) -> list[Finding]:
    """A slow drift: the cumulative sum `S = max(0, S + z - k)` (and its mirror image) of the last sessions' scores against the
    sessions before them.

    Page, Continuous Inspection Schemes, Biometrika 41 (1954); with slack k and limit h as Montgomery, Introduction to
    Statistical Quality Control, chapter 9. Makers whose limits lie away from those of the sessions before become suspects where
    that moved the price; a drift that nobody's limits explain is the weather's, and is left alone."""
    p, ref = case.parameters.drift, case.parameters.reference
    alike = [s for s in case.before if s.working == case.observed.working]
    recent = [*alike[-p.sessions + 1 :], case.observed]
    phase_one = alike[: -p.sessions + 1][-ref.max_history :]
    usual = reference.prices_before(case.observed, phase_one, ref)
    if not any(usual):
        return []
    up = down = 0.0
    slack = p.slack / 1000
    for session in recent:
        if session.book.terms.intervals != case.observed.book.terms.intervals:
            continue
        score = reference.session_score(reference.scores(session, usual, ref))
        if score is not None:
            up, down = max(0.0, up + score - slack), max(0.0, down - score - slack)
    if milli(max(up, down)) < p.limit:
        return []
    levels = reference.levels(case.observed, phase_one, ref)
    suspects = [key for key in _drifted(case, levels, p.conduct_ppm) if (key[1] is Side.OFFER) == (up > down)]
    figures = {"sum": milli(max(up, down)), "limit": p.limit, "rises": int(up > down)}
    intervals = case.observed.book.terms.intervals
    impact = group_impact(case.observed, suspects, levels)
    if abs(impact.ppm) < case.parameters.price.impact_ppm:
        return []
    return [
        Finding(
            Detector.PRICE_DRIFT,
            case.observed.session,
            intervals,
            accounts=tuple(sorted({account for account, _ in suspects})),
            suspects=tuple(suspects),
            figures={**figures, "conduct_ppm": p.conduct_ppm},
            impact=impact,
        )
    ]


def _drifted(case: Case, levels: dict[Key, reference.Levels], conduct_ppm: int) -> list[Key]:
    """Live orders whose limits are worse than their makers' own earlier ones by a part."""
    own = {key: level for key in case.observed.curves if (level := levels.get(key)) is not None and level.own}
    return sorted(key for key, level in own.items() if (ppm := case.away(key, level)) is not None and ppm >= conduct_ppm)


def _notice(case: Case, detector: Detector, intervals: tuple[int, ...], figures: dict[str, int]) -> Finding:
    return Finding(detector, case.observed.session, intervals, figures=figures)
