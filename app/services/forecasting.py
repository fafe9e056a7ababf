"""Forecasts and baselines for a session, from the readings and windows that have come in.

A day is forecast for all homes together and kept until newer readings arrive, so that seventeen members asking cost one
forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import func, select

from app.context import Context
from app.database import Account, Reading, known
from app.errors import Refused
from app.readings import DatabaseReadings
from app.services import metering, sessions
from market.session import SessionTerms, Zone
from oracle.baseline import baseline_of
from oracle.forecast import DayForecast, flexible_wh, forecast_day
from oracle.readings import ReadingSeries, ReadingStore, series_of
from zk.windows import HISTORY_DAYS

METHOD = (
    "Ridge regression over all homes on their own past for the load, recent days for the production (oracle/forecast.py). "
    "Flexible energy is a stated assumption, not a measurement."
)


@dataclass(frozen=True)
class SessionForecast:
    """A member's forecast for a session.

    Wh per session interval: consumption, production, their difference, what could be moved; and the whole day's net load.

    `baseline` is the R14 baseline as it stands from the signed windows that have come in; None while there are too few.
    """

    intervals: tuple[int, ...]
    starts: tuple[int, ...]
    load: tuple[int, ...]
    pv: tuple[int, ...]
    net_load: tuple[int, ...]
    baseline: tuple[int, ...] | None
    flexible: tuple[int, ...]
    day_net_load: tuple[int, ...]
    method: str = METHOD


def for_session(ctx: Context, account: int, session_id: int) -> SessionForecast:
    """The forecast of one account for one session; refused for accounts without readings."""
    view = sessions.view(ctx, session_id)
    with ctx.database.session() as db:
        known(db.get(Account, account), "account", account)
    terms = view.terms
    found = _day(ctx, terms.zone, terms.day).get(account)
    if found is None:
        raise Refused(
            f"Account {account} has no readings to forecast from.",
            status=404,
            field="account",
            expected="an account with readings",
            got=str(account),
        )
    flexible = flexible_wh(found, terms.direction)
    baseline = _baseline(ctx, account, terms)
    return SessionForecast(
        intervals=terms.intervals,
        starts=tuple(terms.zone.interval_start(terms.day, t) for t in terms.intervals),
        load=tuple(found.load[t] for t in terms.intervals),
        pv=tuple(found.pv[t] for t in terms.intervals),
        net_load=tuple(found.net[t] for t in terms.intervals),
        baseline=tuple(baseline[t] for t in terms.intervals) if baseline else None,
        flexible=tuple(flexible[t] for t in terms.intervals),
        day_net_load=found.net,
    )


def _day(ctx: Context, zone: Zone, day: int) -> dict[int, DayForecast]:
    """Forecasts of a day for every account with readings before it."""
    until = zone.interval_start(day, 0)
    with ctx.database.session() as db:
        counted = db.exec(select(func.count()).select_from(Reading).where(Reading.start < until)).one()
    key = (zone.number, day, counted)
    if key not in ctx.forecasts:
        homes = _homes(DatabaseReadings(ctx.database, zone), day)
        made = forecast_day(list(homes.values()), day, zone.is_working_day) if homes else []
        ctx.forecasts.clear()
        ctx.forecasts[key] = {int(item.meter): item for item in made}
    return ctx.forecasts[key]


def _homes(store: ReadingStore, until_day: int) -> dict[int, ReadingSeries]:
    """What is known of each meter before a day."""
    known_days = {int(meter): store.days(meter, 0, until_day - 1) for meter in store.meters()}
    return {account: series_of(days) for account, days in known_days.items() if days}


def _baseline(ctx: Context, account: int, terms: SessionTerms) -> tuple[int, ...] | None:
    history = {window.day: window.readings for window in metering.windows(ctx, account, terms.day) if window.final}
    if not history:
        return None
    days = range(terms.day - HISTORY_DAYS, terms.day)
    gaps = (None,) * terms.zone.intervals
    admissible = ctx.client.admissible(terms.zone.number, account, terms.day)
    found = baseline_of([history.get(day, gaps) for day in days], admissible, terms.day)
    return found.wh if found is not None and found.accepted else None
