"""The demonstration's calendar: when its chain starts, and how its operator opens a session."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from app.client import Api
from app.demo import scenario
from app.demo.scenario import DemoSession
from market.session import Zone

Json = dict[str, Any]

SOURCE = (
    "CityLearn, data set citylearn_challenge_2022_phase_all, 17 single-family homes in Fontana, California, hourly; "
    "MIT licence, copyright 2020 Jose Ramon Vazquez-Canteli, Intelligent Environments Laboratory"
)
FIRST_DAY_BEFORE = 16
"""Days between the chain's first block and the day of delivery: fourteen days of windows, one to register, one to trade."""


def date_of(day: int) -> date:
    """The date of a day number."""
    return date.fromordinal(day + date(1970, 1, 1).toordinal())


def start_time() -> int:
    """First timestamp of a demonstration chain: noon of its first day."""
    plan = scenario.load()
    return _zone(plan).interval_start(plan.day - FIRST_DAY_BEFORE, 12)


def open_session(api: Api, zone: Zone, day: int, plan: DemoSession, *, gate_open: int | None = None, **more: object) -> Json:
    """The operator opens a session for `day`: gate from noon of the day before (or `gate_open`) to eight in the evening. `more`
    are other fields of the API's."""

    def at(on: int, hour: int) -> str:
        return datetime.fromtimestamp(zone.interval_start(on, hour), UTC).isoformat()

    return api.post(  # type: ignore[no-any-return]
        "/sessions",
        {
            "date": date_of(day).isoformat(),
            "intervals": plan.intervals,
            "direction": plan.direction,
            "gate_open": datetime.fromtimestamp(gate_open, UTC).isoformat() if gate_open else at(day - 1, 12),
            "gate_close": at(day - 1, 20),
            "exemption_deadline": at(day + 1, 6),
            "proof_deadline": at(day + 1, 12),
            "price_cap": plan.price_cap,
            "min_quantity_wh": plan.min_quantity_wh,
            "rules": plan.rules,
            **more,
        },
    )


def _zone(plan: scenario.Scenario) -> Zone:
    return Zone(1, plan.zone.offset_seconds, plan.zone.interval_minutes)
