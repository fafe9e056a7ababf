"""Orders that were not meant, and offers that are missing."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.encoding import ScheduleOrder
from contracts.units import PPM, Side
from market.surveillance.case import Case, milli, share_ppm
from market.surveillance.evidence import Detector, Finding
from market.surveillance.impact import Impact, reclear, scaled, with_added
from market.surveillance.observed import Key, Observed


def spoofing(case: Case) -> list[Finding]:
    """Names whoever took back a large part of an order shortly before the gate, where the order had moved the indicated price,
    and where its maker trades on the other side too or does so again and again.

    The indicated price is that of the final book with the order as it stood; the book is cleared for the largest cuts only, and
    a notice says how many were not looked at. Behaviour as in Commodity Exchange Act 4c(a)(5)(C) and ACER's guidance on
    layering and spoofing under REMIT; cancel ratio: late-cancelled Wh against entered Wh (Lee, Eom & Park, Microstructure-based
    manipulation: Strategic behavior and performance of spoofing traders, 2013)."""
    p, observed = case.parameters.orders, case.observed
    watched = [*case.before[-case.parameters.reference.min_history + 1 :], observed]
    late = [_late(session, p.late_seconds, p.cut_ppm) for session in watched]
    if not late[-1]:
        return []
    stood = [_most(session) for session in watched]
    standing, traded = _standing(observed, p.late_seconds), _traded(observed)
    suspected: list[tuple[Key, dict[str, int]]] = []
    for key in late[-1].keys() & standing.keys():
        other = any(_opposite(traded, who, key) for who in observed.controllers(standing[key]))
        repeats = sum(key in cuts for cuts in late)
        ratio = share_ppm(sum(cuts.get(key, 0) for cuts in late), sum(most.get(key, 0) for most in stood))
        if other or (repeats >= p.repeats and ratio >= p.cancel_ppm):
            figures = {"cancel_ratio_ppm": ratio, "sessions_with_late_cancels": repeats, "other_side": int(other)}
            suspected.append((key, {"cancelled_wh": late[-1][key], "limit_ppm": p.impact_ppm, **figures}))
    suspected.sort(key=lambda item: (-item[1]["cancelled_wh"], item[0]))
    intervals = observed.book.terms.intervals
    found = []
    for key, figures in sorted(suspected[: p.most_cleared], key=lambda item: item[0]):
        impact = _indicated(observed, key, standing[key])
        if abs(impact.ppm) < p.impact_ppm and not _stops_or_starts(impact, p.impact_ppm):
            continue
        others = {k for who in observed.controllers(standing[key]) for k in _opposite(traded, who, key)}
        suspects = tuple(sorted({*others, *([key] if key in observed.live else [])}))
        accounts = tuple(sorted({key[0], *(account for account, _ in others)}))
        figures["indicated_ppm"] = impact.ppm
        found.append(Finding(Detector.SPOOFING, observed.session, intervals, accounts, suspects, figures, impact))
    if len(suspected) > p.most_cleared:
        figures = {"not_looked_at": len(suspected) - p.most_cleared, "most_cleared": p.most_cleared}
        found.append(Finding(Detector.SPOOFING, observed.session, intervals, figures=figures))
    return found


def _late(observed: Observed, late_seconds: int, cut_ppm: int) -> dict[Key, int]:
    """Wh taken back late, by order, where that is a large part of what stood."""
    found: dict[Key, int] = {}
    for key, cuts in observed.late_cuts.items():
        for seconds, before, after in cuts:
            if seconds <= late_seconds and share_ppm(before - after, before) >= cut_ppm:
                found[key] = found.get(key, 0) + before - after
    return found


def _standing(observed: Observed, late_seconds: int) -> dict[Key, ScheduleOrder]:
    """Per order as it stood before its largest late cut."""
    largest: dict[Key, int] = {}
    standing: dict[Key, ScheduleOrder] = {}
    result: dict[Key, ScheduleOrder] = {}
    for order, time in zip(observed.book.orders, observed.times, strict=True):
        key = (order.account, order.side)
        before = standing.get(key)
        if before is not None and observed.book.terms.gate_close - time <= late_seconds:
            cut = _wh(before) - _wh(order)
            if cut > largest.get(key, 0):
                largest[key], result[key] = cut, before
        standing[key] = order
    return result


def _most(observed: Observed) -> dict[Key, int]:
    """The most Wh that each order stood with."""
    found: dict[Key, int] = {}
    for order in observed.book.orders:
        key = (order.account, order.side)
        found[key] = max(found.get(key, 0), _wh(order))
    return found


def _traded(observed: Observed) -> dict[tuple[str, Side], list[Key]]:
    """Orders with fills, by everybody who decides over them or pays for them, and by side."""
    found: dict[tuple[str, Side], list[Key]] = {}
    for key, order in observed.live.items():
        if any(observed.fills[key]):
            for who in observed.controllers(order):
                found.setdefault((who, key[1]), []).append(key)
    return found


def _opposite(traded: Mapping[tuple[str, Side], list[Key]], who: str, key: Key) -> list[Key]:
    return traded.get((who, Side.BID if key[1] is Side.OFFER else Side.OFFER), [])


def _wh(order: ScheduleOrder) -> int:
    return sum(sum(step.quantities) for step in order.steps)


def _indicated(observed: Observed, key: Key, before: ScheduleOrder) -> Impact:
    """What clearing came to against what it would have been with the order as it stood: positive where the cancel raised the
    price."""
    if key in observed.live:
        return reclear(observed, {key: before})
    return with_added(observed, [before])


def _stops_or_starts(impact: Impact, least_ppm: int) -> bool:
    """Whether volume moved by a good part in intervals that clear one way only."""
    moved = 0
    for j, (price, other) in enumerate(zip(impact.prices, impact.without, strict=True)):
        if (price is None) != (other is None):
            moved += abs(impact.volumes[j] - impact.volumes_without[j])
    return share_ppm(moved, max(sum(impact.volumes), sum(impact.volumes_without))) >= least_ppm


def withholding(case: Case) -> list[Finding]:
    """Names sellers that offer much less than they used to, more so than the others, while the price is high, where their usual
    offer would have lowered it.

    Physical withholding: offered against usual quantity as in Joskow & Kahn, A Quantitative Analysis of Pricing Behavior in
    California's Wholesale Electricity Market During Summer 2000 (2002). What is usual is a seller's own median, times the
    median part of it that sellers offer in this session: that takes the weather out. Who has nothing in the book is missing
    only if it is hardly ever."""
    p, observed = case.parameters.withholding, case.observed
    if case.score is None or milli(case.score) < p.score:
        return []
    weather = case.weather
    if weather is None:
        return []
    least = weather * (1 - p.missing_ppm / PPM)
    changes = {
        key: scaled(observed.live[key], [weather / max(part, 0.001)] * len(observed.prices))
        for key, part in case.parts.items()
        if part < least
    }
    added = [
        order
        for key, level in case.levels.items()
        if key[1] is Side.OFFER and key not in observed.live and level.presence * PPM >= p.presence_ppm
        if (order := _usual(case, key, weather)) is not None
    ]
    suspects = sorted([*changes, *((order.account, order.side) for order in added)])
    if not changes and not added:
        return []
    impact = with_added(observed, [*changes.values(), *added])
    if impact.ppm < p.impact_ppm:
        return []
    figures = {
        "score": milli(case.score),
        "others_ppm": int(weather * PPM),
        "least_ppm": int(min(case.parts.get(key, 0.0) for key in suspects) * PPM),
        "limit_ppm": p.missing_ppm,
        "absent": len(added),
    }
    return [
        Finding(
            Detector.WITHHOLDING,
            observed.session,
            observed.book.terms.intervals,
            accounts=tuple(sorted({account for account, _ in suspects})),
            figures=figures,
            impact=impact,
        )
    ]


def _usual(case: Case, key: Key, part: float) -> ScheduleOrder | None:
    """The order that an absent seller last placed in a session of the same intervals, at its usual quantity."""
    for session in reversed(case.comparables):
        order = session.live.get(key)
        if order is not None and session.book.terms.intervals == case.observed.book.terms.intervals:
            placed = session.curves[key].quantities
            level = case.levels[key].quantities
            return scaled(order, [part * (q or 0) / p if p else 0.0 for q, p in zip(level, placed, strict=True)])
    return None
