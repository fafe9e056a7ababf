"""How much a session depended on single sellers, and whether one of them used that."""

from __future__ import annotations

from contracts.units import PPM, Side
from market.surveillance import reference
from market.surveillance.case import Case, milli
from market.surveillance.evidence import Detector, Finding
from market.surveillance.observed import Observed


def residual_supply(observed: Observed) -> dict[str, list[int | None]]:
    """Per owner and session interval the residual supply index in ppm: what all others offer against what is asked for at the
    clearing price or above. None where the owner offers nothing or nothing is asked for.

    Sheffrin, Predicting Market Power Using the Residual Supply Index (California ISO, 2002); below 1 the owner is a pivotal
    supplier (Bushnell, Knittel & Wolak 1999; FERC Order 697 uses the same screen)."""
    demand = [0] * len(observed.prices)
    offered: dict[str, list[int]] = {}
    for (account, side), order in observed.live.items():
        for step in order.steps:
            for j, (quantity, limit) in enumerate(zip(step.quantities, step.limits, strict=True)):
                if side is Side.OFFER:
                    offered.setdefault(observed.owner(account), [0] * len(demand))[j] += quantity
                elif limit >= (observed.prices[j] or 0):
                    demand[j] += quantity
    supply = [sum(column) for column in zip(*offered.values(), strict=True)] if offered else []
    return {
        owner: [(supply[j] - own[j]) * PPM // demand[j] if own[j] and demand[j] else None for j in range(len(demand))]
        for owner, own in offered.items()
    }


def pivotal_supplier(case: Case) -> list[Finding]:
    """Names owners without whom demand could not be met, where their limits lie above their reference level as well and sold:
    the structure is nobody's fault, using it is conduct. Formula: `residual_supply`."""
    p, found = case.parameters.structure, []
    observed = case.observed
    dear = case.misbehaving(p.conduct_ppm, Side.OFFER)
    for owner, index in sorted(residual_supply(observed).items()):
        pivotal = [j for j, value in enumerate(index) if value is not None and value < p.residual_supply_ppm]
        suspects = [key for key in dear if observed.owner(key[0]) == owner and any(observed.fills[key][j] for j in pivotal)]
        judged = case.judged(suspects, case.parameters.price.impact_ppm)
        if not pivotal or judged is None:
            continue
        names, impact = judged
        figures = {
            "residual_supply_ppm": min(value for value in index if value is not None),
            "limit_ppm": p.residual_supply_ppm,
            "away_ppm": max(case.away(key) or 0 for key in names),
            "conduct_ppm": p.conduct_ppm,
        }
        found.append(
            Finding(
                Detector.PIVOTAL_SUPPLIER,
                observed.session,
                tuple(observed.book.terms.intervals[j] for j in pivotal),
                accounts=tuple(sorted({account for account, _ in names})),
                suspects=tuple(names),
                figures=figures,
                impact=impact,
            )
        )
    return found


def herfindahl(observed: Observed) -> int | None:
    """Herfindahl-Hirschman index of what owners sold in a session, 0..10,000; None where nothing was sold.

    Hirschman, The Paternity of an Index, AER 54 (1964); levels as in the Horizontal Merger Guidelines of the US Department of
    Justice and FTC."""
    sold: dict[str, int] = {}
    for (account, side), fills in observed.fills.items():
        if side is Side.OFFER:
            sold[observed.owner(account)] = sold.get(observed.owner(account), 0) + sum(fills)
    total = sum(sold.values())
    return sum((wh * 10_000) ** 2 for wh in sold.values()) // (total * total) // 10_000 if total else None


def concentration(case: Case) -> list[Finding]:
    """Names a session that is concentrated and was not before: `herfindahl` beyond its level and, by robust z-score, beyond its
    own history. Accuses nobody."""
    p, ref = case.parameters.structure, case.parameters.reference
    now = herfindahl(case.observed)
    earlier = [float(value) for s in case.comparables if (value := herfindahl(s)) is not None]
    if now is None or now < p.hhi or len(earlier) < ref.min_history:
        return []
    score = milli(reference.spread(earlier, p.hhi_floor).score(now))
    if score < p.hhi_score:
        return []
    figures = {"hhi": now, "hhi_limit": p.hhi, "score": score, "score_limit": p.hhi_score}
    return [Finding(Detector.CONCENTRATION, case.observed.session, case.observed.book.terms.intervals, figures=figures)]
