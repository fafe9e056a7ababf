"""A member fails in the middle of a day: it is noticed from its running window, proven, and replaced in merit order."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from app_house import House, market
from sqlmodel import col, select
from typer.testing import CliRunner

from app.cli import app
from app.client import ApiError
from app.database import MeterKey, MeterWindow, Outbox
from app.demo.community import Member
from app.services import runner, sessions, settling
from app.services.replaying import replay_session
from contracts.encoding import ScheduleOrder, Step
from contracts.replacements import ReplacementConsent
from contracts.typed_data import sign_digest
from contracts.units import Side

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]
HOURS = [17, 18, 19, 20]
HOMES = ("home-03", "home-04", "home-06")


def order(member: Member, side: Side, quantity: int, limit: int, *, reserve: bool = False) -> ScheduleOrder:
    size = len(HOURS)
    return ScheduleOrder(member.account, side, (Step((quantity,) * size, (limit,) * size),), reserve=reserve)


def iso(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat()


def cleared(house: House) -> tuple[Any, Json]:
    """One seller of 2,000 Wh an hour, which it will not deliver, and two reserves that are dearer, one of them small."""
    community, session = market(house, *HOMES, intervals=HOURS)
    failing, dear, small = community.homes
    community.hand_in_readings(community.scenario.day)
    community.close_days(session["day"] - 1)
    community.send(failing, session, order(failing, Side.OFFER, 2_000, 100_000))
    community.send(dear, session, order(dear, Side.OFFER, 2_000, 240_000, reserve=True))
    community.send(small, session, order(small, Side.OFFER, 500, 235_000, reserve=True))
    community.send(community.buyers[0], session, order(community.buyers[0], Side.BID, 2_000, 300_000))
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    house.api.post(f"/sessions/{session['id']}/clearing")
    return community, session


def running_window(community: Any, member: Member, day: int, elapsed: int) -> Json:
    readings = community.recorded[member.label].day(day).net
    seen = (*readings[:elapsed], *(None,) * (len(readings) - elapsed))
    return {"account": member.account, "window": member.meter.provisional(day, seen, elapsed).to_record()}


def command(house: House, *arguments: str) -> str:
    token = {"WATTPROOF_OPERATOR_TOKEN": house.ctx.operator_token}
    done = CliRunner().invoke(app, ["session", *arguments, "--url", house.url], env=token)
    assert done.exit_code == 0, done.output
    return str(done.output)


def test_who_fails_in_the_running_day_is_replaced_by_the_cheapest(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    community, session = cleared(house)
    failing, dear, small = community.homes
    path, client, day = "/sessions/1", house.ctx.client, session["day"]
    assert "nobody fails" in command(house, "failing", "1")
    outlook = house.api.get(f"{path}/reserves", None, account=failing.account)["items"]
    assert [(one["reserve"], one["wh"]) for one in outlook] == [(small.account, [500] * 4), (dear.account, [1_500] * 4)]
    assert outlook[0]["extra"] < outlook[1]["extra"]
    with pytest.raises(ApiError, match="no failure in its records"):
        house.api.post(f"{path}/replacements", {"account": failing.account})

    house.api.post("/dev/advance", {"to": iso(community.zone.interval_start(day, 19) + 60), "only_clock": True})
    house.api.post("/windows", [running_window(community, failing, day, 18)])
    assert not [line for line in runner.run_due(house.ctx) if "takes over" in line], "one interval is not enough"
    assert house.api.get(f"{path}/replacements")["failing"] == [], "and nothing is proven for nothing"
    house.api.post("/windows", [running_window(community, failing, day, 19)])
    done = runner.run_due(house.ctx)
    assert [line for line in done if "takes over" in line] == [
        f"session 1: account {small.account} takes over from {failing.account} in intervals [20]",
        f"session 1: account {dear.account} takes over from {failing.account} in intervals [20]",
    ]
    shown = house.api.get(f"{path}/replacements")
    assert [(one["reserve"], one["intervals"], one["consented"]) for one in shown["items"]] == [
        (small.account, [20], False),
        (dear.account, [20], False),
    ]
    assert [(one["account"], one["intervals"]) for one in shown["failing"]] == [(failing.account, [17, 18])]
    assert f"account {small.account} took over [20]" in command(house, "failing", "1")
    assert "no reserve can take over" in command(house, "reserves", "1", str(failing.account))
    assert "nothing to do" in command(house, "replace", "1", str(failing.account), "--yes")
    assert client.sold(dear.account, day) == 1 << 20
    assert runner.run_due(house.ctx) == []

    house.api.post("/dev/advance", {"to": iso(community.zone.interval_start(day + 1, 1)), "only_clock": True})
    community.learn_promises(house.api.get(path))
    failing.promises.clear()
    community.close_days(day)
    monkeypatch.setattr(settling, "MOST_BYTES", 0)  # as if two rows, and two records of one, were too many for a call
    runner.run_due(house.ctx)
    house.api.post("/dev/advance", {"to": iso(_seconds(session["proof_deadline"]) + 60), "only_clock": True})
    runner.run_due(house.ctx)
    with house.ctx.database.session() as db:
        sent = db.exec(select(Outbox.kind).where(col(Outbox.kind).in_(("join", "settle")))).all()
    assert sent.count("join") == 1, "who failed early has two records"
    assert sent.count("settle") == 4, "and every seller has a call of its own"
    shown = house.api.get(path)
    assert shown["state"] == "Settled" and shown["settlement"]["balanced"]
    assert replay_session(client, 1) == "identical"


@pytest.mark.parametrize("missing", ["yesterday", "a week"])
def test_a_gap_in_one_sellers_windows_neither_stops_nor_busies_anybody(house: House, missing: str) -> None:
    community, session = cleared(house)
    failing, day = community.homes[0], session["day"]
    house.api.post("/dev/advance", {"to": iso(community.zone.interval_start(day, 19) + 60), "only_clock": True})
    house.api.post("/windows", [running_window(community, failing, day, 19)])
    gone = col(MeterWindow.day) == day - 1 if missing == "yesterday" else col(MeterWindow.day) < day - 7
    with house.ctx.database.session() as db:
        key = db.exec(select(MeterKey).where(MeterKey.account == failing.account)).one().key
        rows = db.exec(select(MeterWindow).where(MeterWindow.key == key, gone)).all()
        assert rows
        for row in rows:
            db.delete(row)
        db.commit()
    assert runner.run_due(house.ctx) == []


def test_a_member_agrees_to_be_replaced(house: House) -> None:
    community, _ = cleared(house)
    failing, dear, small = community.homes
    path, client = "/sessions/1", house.ctx.client
    asked = {"account": failing.account, "reserve": dear.account, "nonce": 3, "deadline": house.ctx.now() + 600}
    draft = house.anyone.get(f"{path}/replacements/consent", None, **asked, intervals=[18, 19])
    consent = ReplacementConsent(1, failing.account, dear.account, 0b11 << 18, draft["most"], 3, asked["deadline"])
    domain = client.domain_of("Replacement")
    assert draft["typed_data"] == json.loads(json.dumps(consent.typed_data(domain)))
    signature = "0x" + sign_digest(consent.digest(domain), bytes(failing.wallet.key)).hex()
    body = {**asked, "intervals": [18, 19], "most": draft["most"], "signer": failing.wallet.address, "signature": signature}
    for change, said in (
        ({"most": draft["most"] + 1}, "signature"),
        ({"reserve": small.account}, "signature"),
        ({"intervals": [18]}, "signature"),
        ({"intervals": [16]}, "intervals"),
        ({"reserve": failing.account}, "cannot replace itself"),
        ({"signer": dear.wallet.address}, "neither owner nor delegate"),
        ({"deadline": 1}, "deadline|until|expired|late|past"),
    ):
        with pytest.raises(ApiError, match=said):
            house.anyone.post(f"{path}/replacements/consented", {**body, **change})
    done = house.anyone.post(f"{path}/replacements/consented", body)["done"]
    assert done == [f"session 1: account {dear.account} takes over from {failing.account} in intervals [18, 19]"]
    with pytest.raises(ApiError):
        house.anyone.post(f"{path}/replacements/consented", body)
    view = sessions.view(house.ctx, 1)
    assert view.sold[dear.account] == (0, 2_000, 2_000, 0)
    assert view.sold[failing.account] == (2_000, 0, 0, 2_000)


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
