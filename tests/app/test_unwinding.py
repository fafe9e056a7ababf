"""A session that nobody clears gives everything back, by itself; trouble with one session or one transaction stops no other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from app_house import House

from app.demo.plan import open_session
from app.outbox import enqueue
from app.services import clearing, runner

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]


def test_a_cancelled_session_gives_locks_and_intervals_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    community = house.community("home-03", "home-04")
    plan, zone = community.scenario, community.zone
    community.register(plan.day - 14, lambda _: None)
    noon = zone.interval_start(plan.day - 1, 12)
    house.api.post("/dev/advance", {"to": datetime.fromtimestamp(noon, UTC).isoformat(), "only_clock": True})
    community.hand_in_readings(plan.day - 1)
    session = open_session(house.api, zone, plan.day, plan.session)
    community.place_orders(session, lambda _: None)
    before = {a["index"]: a["available"] + a["locked"] for a in house.api.get("/accounts")["items"]}
    assert any(a["locked"] for a in house.api.get("/accounts")["items"])

    with monkeypatch.context() as patch:  # nobody manages to clear it in time
        patch.setattr(clearing, "clear", lambda *_: (_ for _ in ()).throw(RuntimeError("no engine today")))
        house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
        told = runner.run_due(house.ctx)
        assert told == [f"session {session['id']}: failed, will be tried again: RuntimeError"]
        house.api.post("/dev/advance", {"to": session["delivery_start"], "only_clock": True})
    done = runner.run_due(house.ctx)
    assert any("intervals are free" in line for line in done)
    accounts = house.api.get("/accounts")["items"]
    assert {a["index"]: a["available"] for a in accounts} == before
    assert all(a["locked"] == 0 for a in accounts)
    assert house.ctx.client.auctioned(1, plan.day) == 0
    assert house.api.get(f"/sessions/{session['id']}")["state"] == "Cancelled"
    assert runner.run_due(house.ctx) == []


def test_a_row_that_a_node_will_not_estimate_stops_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = house.ctx
    chain: Any = ctx.chain
    estimate = chain.estimate

    def strict(sender: str, to: str | None, data: bytes) -> int:
        chain.call(to, data, sender)  # a node's estimate reverts where the call would
        return int(estimate(sender, to, data))

    monkeypatch.setattr(chain, "estimate", strict)
    with ctx.database.session() as db:
        enqueue(db, "cancel", "operator", ctx.client.encode_cancel(99, "no such session"))
    assert house.anyone.post("/accounts", {"owner": "0x" + "12" * 20})["index"] == 1
