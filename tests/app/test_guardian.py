"""The guardian at the door: what is under review and why, what each decision does, and that nobody else decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from app_house import House, market
from typer.testing import CliRunner

from app import cli
from app.client import Api, ApiError
from app.demo.community import Member
from app.demo.plan import open_session
from app.services import runner
from app.services.replaying import replay_session
from contracts.encoding import ScheduleOrder, Step
from contracts.units import Side

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]
HOURS = [17, 18]


@pytest.fixture
def house(narrow: House) -> House:
    return narrow


@pytest.fixture
def guardian(house: House) -> Iterator[Api]:
    with Api(house.url, house.ctx.guardian_token) as api:
        yield api


def reviewed(house: House) -> Json:
    """A session whose first hour's prices are above those of the one before it, which had 0.20 EUR/kWh."""
    community, first = market(house, "home-03", "home-04", intervals=HOURS)
    plan = community.scenario
    second = open_session(
        house.api, community.zone, plan.day + 1, plan.session, intervals=HOURS, gate_close=first["gate_close"],
        gate_open=house.ctx.now(),
    )  # fmt: skip

    def send(session: Json, member: Member, side: Side, *limits: int) -> None:
        community.send(member, session, ScheduleOrder(member.account, side, (Step((600, 600), limits),)))

    (one, other), (buyer, richer) = community.homes, community.buyers
    for session in (first, second):
        send(session, one, Side.OFFER, 100_000, 100_000)
        send(session, buyer, Side.BID, 300_000, 300_000)
    send(second, richer, Side.BID, 500_000, 300_000)
    send(second, other, Side.OFFER, 400_000, 100_000)
    house.api.post("/dev/advance", {"to": first["gate_close"], "only_clock": True})
    assert all("review" not in line for line in house.api.post(f"/sessions/{first['id']}/clearing")["done"])
    done = house.api.post(f"/sessions/{second['id']}/clearing")["done"]
    assert done[-1] == "session 2: a price lies outside its band, the guardian has to decide"
    return house.api.get(f"/sessions/{second['id']}")  # type: ignore[no-any-return]


def refused(call: Callable[..., Any], *arguments: Any) -> Json:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.document


def settle_at_the_deadline(house: House, session: Json) -> None:
    house.api.post("/dev/advance", {"to": session["proof_deadline"], "only_clock": True})
    house.api.post("/dev/advance", {"to": _later(session["proof_deadline"]), "only_clock": True})
    runner.run_due(house.ctx)
    settled = house.api.get(f"/sessions/{session['id']}")
    assert settled["state"] == "Settled" and settled["settlement"]["balanced"]
    assert replay_session(house.ctx.client, session["id"]) == "identical"


def _later(iso: str) -> str:
    return datetime.fromtimestamp(datetime.fromisoformat(iso).timestamp() + 60, UTC).isoformat()


def test_a_session_under_review_says_why(house: House) -> None:
    session = reviewed(house)
    assert session["state"] == "UnderReview"
    assert session["outside"] == [{"intervals": [17], "price": 350_000, "low": 200_000, "high": 200_000}]
    assert house.api.get("/sessions/1")["outside"] == []
    assert runner.run_due(house.ctx) == [], "the background decides nothing"
    shown = CliRunner().invoke(cli.app, ["session", "show", "2", "--url", house.url])
    assert "under review: interval 17, 0.350000, is not in 0.200000 to 0.200000" in shown.output


def test_only_the_guardian_decides_and_only_under_review(house: House, guardian: Api) -> None:
    reviewed(house)
    evidence = "0x" + "12" * 32
    asked: list[tuple[str, Json]] = [
        ("review/release", {"reason": "why"}),
        ("review/cancel", {"reason": "why"}),
        ("review/exclude", {"orders": [{"account": 1, "side": "offer"}], "evidence": evidence}),
        ("exemptions", {"account": 1, "intervals": [17], "reason": "why"}),
    ]
    for path, body in asked:
        for api in (house.api, house.anyone):
            document = refused(api.post, f"/sessions/2/{path}", body)
            assert (document["status"], document["errors"][0]["field"]) == (401, "Authorization")
        assert refused(guardian.post, f"/sessions/2/{path}", {})["status"] == 422
        assert refused(guardian.post, f"/sessions/9/{path}", body)["errors"][0]["field"] == "session"
    for path, body in asked[:3]:
        document = refused(guardian.post, f"/sessions/1/{path}", body)
        assert (document["status"], document["errors"][0]) == (
            409,
            {"field": "session", "expected": "a session whose prices lie outside the guard's band", "got": "Cleared"},
        )
    for field, body in (
        ("reason", {"reason": ""}),
        ("orders", {"orders": [], "evidence": evidence}),
        ("evidence", {"orders": [{"account": 1, "side": "offer"}], "evidence": "0x12"}),
        ("orders", {"orders": [{"account": 1, "side": "bid"}], "evidence": evidence}),
    ):
        path = "release" if field == "reason" else "exclude"
        assert refused(guardian.post, f"/sessions/2/review/{path}", body)["errors"][0]["field"] == field
    assert house.api.get("/sessions/2")["state"] == "UnderReview"


def test_a_released_session_is_traded_with_every_order(house: House, guardian: Api) -> None:
    """Even if some had been excluded first: what is released is the clearing with all of them."""
    session = reviewed(house)
    buyer = next(o["account"] for o in house.api.get("/sessions/2/orders")["items"] if o["steps"][0]["limits"][0] == 500_000)
    guardian.post("/sessions/2/review/exclude", {"orders": [{"account": buyer, "side": "bid"}], "evidence": "0x" + "12" * 32})
    assert house.api.get("/sessions/2")["cleared"] == session["cleared"], "until it is cleared again the first clearing stands"
    done = guardian.post("/sessions/2/review/release", {"reason": "the cold explains it"})["done"]
    assert done == ["session 2: released", "session 2: committed group 0"]
    after = house.api.get("/sessions/2")
    assert (after["state"], after["outside"], after["cleared"]) == ("Cleared", [], session["cleared"])
    fills = {o["account"]: o["fills"] for o in house.api.get("/sessions/2/orders")["items"] if o["side"] == "bid"}
    assert fills[buyer] == [600, 600]
    settle_at_the_deadline(house, session)


def test_a_cancelled_session_gives_everything_back(house: House, guardian: Api) -> None:
    session = reviewed(house)
    client = house.ctx.client
    accounts = [a["index"] for a in house.api.get("/accounts")["items"]]
    held = sum(row["lock"] for row in house.api.get("/sessions/2/orders")["items"])
    before = sum(client.balance(account).locked for account in accounts)
    done = guardian.post("/sessions/2/review/cancel", {"reason": "one owner on both sides"})["done"]
    assert done[0] == "session 2: cancelled"
    assert sum(client.balance(account).locked for account in accounts) == before - held
    after = house.api.get("/sessions/2")
    assert (after["state"], after["cleared"]) == ("Cancelled", [])
    assert house.api.get("/sessions/2/statements")["items"] == []
    assert client.auctioned(1, session["day"]) == 0
    assert runner.run_due(house.ctx) == []
    assert replay_session(client, 2) == "identical"


def test_a_session_is_cleared_again_without_the_excluded_orders(house: House, guardian: Api) -> None:
    session = reviewed(house)
    items = house.api.get("/sessions/2/orders")["items"]
    unlike = [{"account": o["account"], "side": o["side"]} for o in items if o["steps"][0]["limits"][0] in (400_000, 500_000)]
    guardian.post("/sessions/2/review/exclude", {"orders": unlike, "evidence": "0x" + "12" * 32})
    done = runner.run_due(house.ctx)
    assert done == ["session 2: cleared 1200 Wh from 2 live orders", "session 2: committed group 0"]
    after = house.api.get("/sessions/2")
    assert after["state"] == "Cleared"
    assert [row["price"] for row in after["cleared"]] == [200_000, 200_000]
    fills = {(o["account"], o["side"]): o["fills"] for o in house.api.get("/sessions/2/orders")["items"]}
    assert all(fills[o["account"], o["side"]] == [0, 0] for o in unlike)
    settle_at_the_deadline(house, session)


def test_an_exempted_interval_costs_no_penalty(house: House, guardian: Api) -> None:
    reviewed(house)
    session = house.api.get("/sessions/1")
    seller = house.api.get("/sessions/1/deliveries")["items"][0]["account"]
    other = next(a["index"] for a in house.api.get("/accounts")["items"] if a["index"] != seller)
    for body, field in (
        ({"account": seller, "intervals": [17, 19], "reason": "why"}, "intervals"),
        ({"account": other, "intervals": [17], "reason": "why"}, "account"),
    ):
        assert refused(guardian.post, "/sessions/1/exemptions", body)["errors"][0]["field"] == field
    done = guardian.post("/sessions/1/exemptions", {"account": seller, "intervals": [17], "reason": "outage"})["done"]
    assert done == [f"session 1: account {seller} exempted in 1 intervals"]
    settle_at_the_deadline(house, session)
    statement = next(s for s in house.api.get("/sessions/1/statements")["items"] if s["role"] == "seller")
    assert [(line["exempted"], line["penalty"] > 0) for line in statement["lines"]] == [(True, False), (False, True)]
    assert statement["final"]


def test_the_command_asks_before_it_decides(
    house: House, guardian: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reviewed(house)
    monkeypatch.setenv("WATTPROOF_GUARDIAN_TOKEN", house.ctx.guardian_token)
    asked = ["session", "release", "2", "--reason", "cold", "--url", house.url]
    refusal = CliRunner().invoke(cli.app, asked, input="n\n")
    assert refusal.exit_code == 1 and house.api.get("/sessions/2")["state"] == "UnderReview"
    evidence = tmp_path / "case.txt"
    evidence.write_text("two orders of one owner")
    exclude = ["session", "exclude", "2", "--order", "1:buyer", "--evidence", str(evidence), "--url", house.url, "--yes"]
    assert "an account and a side" in str(CliRunner().invoke(cli.app, exclude).exception.errors[0].expected)  # type: ignore[union-attr]
    taken = CliRunner().invoke(cli.app, asked, input="y\n")
    assert taken.exit_code == 0, taken.output
    assert "session 2: released" in taken.output
    assert house.api.get("/sessions/2")["state"] == "Cleared"
    monkeypatch.setenv("WATTPROOF_GUARDIAN_TOKEN", "another")
    exempt = ["session", "exempt", "2", "--account", "1", "--interval", "17", "--reason", "outage", "--url", house.url, "--yes"]
    assert getattr(CliRunner().invoke(cli.app, exempt).exception, "status", None) == 401
