"""A key that counts later than its log begins: deliveries are proven, and its earlier days are in no baseline."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from app_house import House

from app.demo import community as demo
from app.demo.plan import open_session
from app.services import metering, sessions
from oracle.baseline import baseline_of
from oracle.meter import Meter
from zk.eddsa import PrivateKey

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

EARLIER = 9
"""Days by which the logs begin before their keys count."""

ABSURD = tuple(range(100_000, 100_024))
"""Readings, Wh, of the days before a key counts: a baseline that holds them is far off."""


class EarlyMeter(Meter):
    """A meter whose log begins earlier than it is registered for, with readings of those days."""

    @classmethod
    def create(cls, path: Any, key: PrivateKey, from_day: int, intervals: int) -> Meter:
        meter = super().create(path, key, from_day - EARLIER, intervals)
        meter.close_days((day, ABSURD) for day in range(from_day - EARLIER, from_day))
        return meter


class NamingCommunity(demo.Community):
    """Names the key with each window, as the meter agent does."""

    def _hand_in(self, member: demo.Member, records: list[demo.Json]) -> None:
        assert member.meter is not None
        key = str(member.meter.key.word())
        self.api.post("/windows", [{"account": member.account, "key": key, "window": record} for record in records])


def test_a_delivery_is_proven_from_a_log_that_began_early(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "Meter", EarlyMeter)
    plan = house.community("home-05", "home-09").scenario
    community = NamingCommunity(house.api, plan, house.folder / "early")
    zone, from_day = community.zone, plan.day - 8

    def clock(moment: int) -> None:
        house.api.post("/dev/advance", {"to": datetime.fromtimestamp(moment, UTC).isoformat(), "only_clock": True})

    community.register(from_day, lambda _: None)
    clock(zone.interval_start(plan.day - 1, 12))
    community.hand_in_readings(plan.day - 1)
    community.close_days(plan.day - 2)
    session = open_session(house.api, zone, plan.day, plan.session)
    community.place_orders(session, lambda _: None)
    clock(int(datetime.fromisoformat(session["gate_close"]).timestamp()))
    house.api.post("/sessions/1/clearing")
    community.learn_promises(house.api.get("/sessions/1"))
    clock(zone.interval_start(plan.day + 1, 0) + 600)
    community.close_days(plan.day)
    sellers = sorted(sessions.view(house.ctx, 1).sold)
    assert sellers
    told = house.api.post("/sessions/1/proofs")["done"]
    assert told == [f"session 1: {len(sellers)} of {len(sellers)} deliveries proven and recorded"]

    for item in house.api.get("/sessions/1/deliveries")["items"]:
        *history, today = metering.windows(house.ctx, item["account"], plan.day)
        admissible = house.ctx.client.admissible(1, item["account"], plan.day)
        assert admissible & 0b111111 == 0, "days before the key counts"
        assert [window.readings for window in history[:6]] == [ABSURD] * 6
        found = baseline_of([window.readings for window in history], admissible, plan.day)
        assert found is not None and max(found.wh) < 100_000
        sign = -1 if session["direction"] == "DOWN" else 1
        for t, promised, delivered in zip(session["intervals"], item["promised"], item["delivered"], strict=True):
            reading = today.readings[t]
            assert reading is not None
            assert not promised or delivered == sign * (found.wh[t] - reading)
