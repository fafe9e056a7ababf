"""Surveillance at the door: alerts once a gate has closed, who may read them, what is recorded on chain, and explanations."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from app_house import House, market
from eth_hash.auto import keccak
from sqlmodel import select
from typer.testing import CliRunner

from app import cli
from app.client import Api, ApiError
from app.database import Alert, Screening
from app.demo.community import Community, Member
from app.demo.plan import open_session
from app.errors import Refused
from app.services import runner, surveillance
from contracts.encoding import ScheduleOrder, Step
from contracts.events import Decided
from contracts.refusals import ContractRefusal
from contracts.units import Side
from market.surveillance.evidence import canonical, unsalted

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


def send(community: Community, session: Json, member: Member, side: Side, quantity: int, limit: int) -> None:
    community.send(member, session, ScheduleOrder(member.account, side, (Step((quantity,) * 2, (limit,) * 2),)))


def washed(house: House) -> tuple[Json, int, list[str]]:
    """A quiet session, and one at whose high price a home has bought from itself; both cleared. The second is under
    review; what was said of its clearing comes with it."""
    community, first = market(house, "home-03", "home-04", intervals=HOURS)
    plan = community.scenario
    second = open_session(
        house.api, community.zone, plan.day + 1, plan.session, intervals=HOURS, gate_close=first["gate_close"],
        gate_open=house.ctx.now(),
    )  # fmt: skip
    (one, other), (buyer, _) = community.homes, community.buyers
    for session in (first, second):
        send(community, session, one, Side.OFFER, 600, 100_000)
        send(community, session, buyer, Side.BID, 600, 300_000)
    send(community, second, other, Side.OFFER, 400, 100_000)
    send(community, second, other, Side.BID, 500, 550_000)
    house.api.post("/dev/advance", {"to": first["gate_close"], "only_clock": True})
    done: list[str] = []
    for session in (first, second):
        done += house.api.post(f"/sessions/{session['id']}/clearing")["done"]
    return house.api.get(f"/sessions/{second['id']}"), other.account, done


def refused(call: Callable[..., Any], *arguments: Any) -> Json:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.document


def test_an_alert_is_made_once_and_its_orders_can_be_excluded(house: House, guardian: Api) -> None:
    session, account, done = washed(house)
    assert session["state"] == "UnderReview"
    assert done.count(f"session {session['id']}: alert self_trade") == 1
    (found,) = house.api.get("/surveillance/alerts")["items"]
    assert runner.run_due(house.ctx) == [] and house.api.get("/surveillance/alerts")["items"] == [found]
    assert (found["session"], found["detector"], found["open"]) == (session["id"], "self_trade", True)
    assert found["evidence"]["accounts"] == [account] and found["evidence"]["impact"]["prices"] == [
        row["price"] for row in session["cleared"]
    ]
    assert found["hash"] == "0x" + keccak(canonical(found["evidence"])).hex(), "whoever is shown the evidence can hash it"
    assert found["hash"] != "0x" + keccak(canonical(unsalted(found["evidence"]))).hex(), "and nobody else"
    with house.ctx.database.session() as db:
        stale = db.get(Screening, session["id"])
        assert stale is not None
        stale.facts = "0x00"
    house.ctx.screened.clear()
    runner.run_due(house.ctx)
    assert house.api.get("/surveillance/alerts")["items"] == [found], "found again, it keeps number, salt and hash"
    assert found["exclusion"]["evidence"] == found["hash"]
    guardian.post(f"/sessions/{session['id']}/review/exclude", found["exclusion"])
    runner.run_due(house.ctx)
    after = house.api.get(f"/sessions/{session['id']}")
    assert after["state"] == "Cleared"
    assert [row["price"] for row in after["cleared"]] == found["evidence"]["impact"]["prices_without"]
    assert house.api.get("/surveillance/alerts")["items"] == [found], "the alert is about the log, which is the same"


def test_who_may_read_and_who_decides(house: House, guardian: Api) -> None:
    washed(house)
    runner.run_due(house.ctx)
    (found,) = guardian.get("/surveillance/alerts")["items"]
    path, body = f"/surveillance/alerts/{found['id']}", {"outcome": "dismissed", "reason": "why"}
    for call in (partial(house.anyone.get, "/surveillance/alerts"), partial(house.anyone.get, path)):
        assert refused(call)["status"] == 401
    for api in (house.anyone, house.api):
        assert refused(api.post, f"{path}/decision", body)["status"] == 401, "the operator does not decide"
    assert house.api.get(path) == found
    for wrong in ({**body, "outcome": "guilty"}, {**body, "reason": ""}, {**body, "reason": "x" * 501}, {**body, "more": 1}):
        assert refused(guardian.post, f"{path}/decision", wrong)["status"] == 422
    assert refused(guardian.post, "/surveillance/alerts/999/decision", body)["status"] == 404
    assert refused(partial(house.api.get, "/surveillance/alerts", detector="nonsense"))["status"] == 422
    for query, count in (({"session": 1}, 0), ({"session": 2}, 1), ({"detector": "price_spike"}, 0), ({"open": "true"}, 1)):
        assert len(house.api.get("/surveillance/alerts", **query)["items"]) == count


def test_a_decision_stands_on_chain_and_later_ones_beside_it(house: House, guardian: Api) -> None:
    washed(house)
    runner.run_due(house.ctx)
    (found,) = guardian.get("/surveillance/alerts")["items"]
    path = f"/surveillance/alerts/{found['id']}"
    words = "größer als üblich " * 20
    guardian.post(f"{path}/decision", {"outcome": "dismissed", "reason": words})
    after = guardian.post(f"{path}/decision", {"outcome": "confirmed", "reason": "the owner admits it"})
    assert [(d["outcome"], d["reason"]) for d in after["decisions"]] == [
        ("dismissed", words),
        ("confirmed", "the owner admits it"),
    ]
    assert not after["open"] and house.api.get("/surveillance/alerts", open="true")["items"] == []
    client = house.ctx.client
    logged = [event for _, event in client.events(None, None, Decided)]
    assert [(e.session, e.alert.hex(), e.outcome) for e in logged if isinstance(e, Decided)] == [
        (2, found["hash"][2:], 0),
        (2, found["hash"][2:], 1),
    ]
    guardian_address, operator = house.ctx.address("guardian"), house.ctx.address("operator")
    name = bytes.fromhex(found["hash"][2:])
    for sender, call, error in (
        (guardian_address, client.encode_decide(99, name, 0, "why"), "UnknownSession"),
        (guardian_address, client.encode_decide(2, bytes(32), 0, "why"), "AlertMissing"),
        (guardian_address, client.encode_decide(2, name, 2, "why"), "OutcomeUnknown"),
        (guardian_address, client.encode_decide(2, name, 1, ""), "ReasonLength"),
    ):
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(sender, call)
        assert caught.value.error_name == error
    if operator != guardian_address:
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(operator, client.encode_decide(2, name, 1, "why"))
        assert caught.value.error_name == "NotGuardian"


def test_alerts_are_made_anew_when_what_they_were_made_from_is_another(house: House) -> None:
    washed(house)
    runner.run_due(house.ctx)
    with house.ctx.database.session() as db:
        before = db.exec(select(Alert)).one().hash
        stale = db.get(Screening, 2)
        assert stale is not None
        stale.facts = "0x00"  # as if the chain had told something else then
        db.add(stale)
        db.add(Alert(session=2, hash="0x" + "11" * 32, detector="price_spike", severity="alert", evidence={}, made=1))
    house.ctx.indexer.rebuilt += 1
    runner.run_due(house.ctx)
    with house.ctx.database.session() as db:
        assert [row.hash for row in db.exec(select(Alert)).all()] == [before]


def test_trouble_with_surveillance_does_not_keep_a_session_from_clearing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    community, session = market(house, intervals=HOURS)
    send(community, session, community.homes[0], Side.OFFER, 600, 100_000)
    send(community, session, community.buyers[0], Side.BID, 600, 300_000)
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})

    def broken(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(surveillance.detect, "run", broken)
    done = runner.run_due(house.ctx)
    assert done[-1] == "session 1: surveillance failed: RuntimeError"
    assert house.api.get("/sessions/1")["state"] == "Cleared"


def test_clearing_does_not_wait_for_surveillance(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the same round nor in another thread, be it as slow as until delivery starts."""
    community, session = market(house, intervals=HOURS)
    send(community, session, community.homes[0], Side.OFFER, 600, 100_000)
    send(community, session, community.buyers[0], Side.BID, 600, 300_000)
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    start = house.ctx.client.terms(1).delivery_start
    free: list[bool] = []

    def slow(*_: object) -> list[object]:
        house.ctx.chain.advance_to(start)
        thread = threading.Thread(target=lambda: free.append(house.ctx.working.acquire(timeout=1)))
        thread.start()
        thread.join()
        return []

    monkeypatch.setattr(surveillance.detect, "run", slow)
    runner.run_due(house.ctx)
    assert free == [True], "whoever clears need not wait"
    assert house.api.get("/sessions/1")["state"] == "Delivering"


def test_a_round_screens_as_long_as_the_settings_say(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    washed(house)
    with house.ctx.database.session() as db:
        for number in (1, 2):
            db.delete(db.get(Screening, number))
        for row in db.exec(select(Alert)).all():
            db.delete(row)
    house.ctx.screened.clear()
    house.ctx.settings.surveillance_seconds = 1e-6
    first, second = surveillance.screen_due(house.ctx), surveillance.screen_due(house.ctx)
    assert {line.split(":")[0] for line in first} == {"session 1"}, "the other waits for the next round"
    assert {line.split(":")[0] for line in second} == {"session 2"}
    figures = [item["evidence"]["figures"] for item in house.api.get("/surveillance/alerts", session=2)["items"]]
    assert {"sessions_not_looked_at": 1} in figures and {"out_of_time": 1} in figures, "what was left out is told"


def test_what_was_decided_about_keeps_its_evidence(house: House, guardian: Api) -> None:
    washed(house)
    (found,) = guardian.get("/surveillance/alerts")["items"]
    guardian.post(f"/surveillance/alerts/{found['id']}/decision", {"outcome": "dismissed", "reason": "why"})
    with house.ctx.database.session() as db:
        row, stale = db.get(Alert, found["id"]), db.get(Screening, 2)
        assert row is not None and stale is not None
        row.evidence = {**row.evidence, "parameters": "0x" + "11" * 32}  # as if other thresholds had named it
        stale.facts = "0x00"
    house.ctx.screened.clear()
    runner.run_due(house.ctx)
    assert {item["open"] for item in guardian.get("/surveillance/alerts")["items"]} == {True, False}


def test_an_explanation_is_everybodys_after_the_gate(house: House) -> None:
    community, session = market(house, "home-03", "home-04", intervals=HOURS)
    (one, other), (buyer, _) = community.homes, community.buyers
    send(community, session, one, Side.OFFER, 600, 100_000)
    send(community, session, other, Side.OFFER, 600, 200_000)
    send(community, session, buyer, Side.BID, 800, 300_000)
    path = f"/sessions/{session['id']}/explanation"
    assert refused(partial(house.anyone.get, path))["status"] == 409
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    house.api.post(f"/sessions/{session['id']}/clearing")
    found = house.anyone.get(path)
    assert found["participants_left_out"] == 0
    for row, cleared in zip(found["intervals"], house.anyone.get(f"/sessions/{session['id']}")["cleared"], strict=True):
        assert (row["price"], row["volume_wh"]) == (cleared["price"], cleared["volume_wh"]) == (200_000, 800)
        assert [(m["account"], m["side"], m["filled_wh"]) for m in row["marginal"]] == [(other.account, "offer", 200)]
        without = {w["account"]: (w["price"], w["volume_wh"]) for w in row["without"]}
        assert without == {buyer.account: (None, 0), one.account: (300_000, 600), other.account: (300_000, 600)}
    assert len(house.anyone.get(path, participants=1)["intervals"][0]["without"]) == 1
    assert refused(partial(house.anyone.get, path, participants=201))["status"] == 422
    assert refused(partial(house.anyone.get, "/sessions/99/explanation"))["status"] == 404
    shown = CliRunner().invoke(cli.app, ["surveillance", "explain", "1", "--url", house.url])
    assert f"without {one.account}: 0.300000 EUR/kWh, 600 Wh" in shown.output


def test_the_commands_list_show_decide_and_exclude(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    session, account, _ = washed(house)
    monkeypatch.setenv("WATTPROOF_GUARDIAN_TOKEN", house.ctx.guardian_token)
    (found,) = house.api.get("/surveillance/alerts")["items"]
    number = str(found["id"])

    def run(*words: str, given: str | None = None) -> Any:
        return CliRunner().invoke(cli.app, ["surveillance", *words, "--url", house.url], input=given)

    monkeypatch.setenv("WATTPROOF_DATA_DIR", str(house.folder / "elsewhere"))
    monkeypatch.delenv("WATTPROOF_GUARDIAN_TOKEN")
    error = run("alerts").exception
    assert isinstance(error, Refused) and error.errors[0].field == "WATTPROOF_GUARDIAN_TOKEN"
    monkeypatch.setenv("WATTPROOF_OPERATOR_TOKEN", house.ctx.operator_token)
    assert run("alerts").exit_code == 0 and found["hash"] in run("show", number).output, "the operator may read"
    monkeypatch.setenv("WATTPROOF_GUARDIAN_TOKEN", "x" * 40)
    assert run("alerts").exit_code == 0, "a guardian's token of elsewhere does not keep it from reading"
    monkeypatch.setenv("WATTPROOF_GUARDIAN_TOKEN", house.ctx.guardian_token)
    assert f"session {session['id']}" in (listed := run("alerts", "--open").output) and "self_trade" in listed
    shown = run("show", number).output
    assert found["hash"] in shown and f"{account}:bid, {account}:offer" in shown
    decide = ("decide", number, "--outcome", "dismissed", "--reason", "a mistake of its own")
    assert run(*decide, given="n\n").exit_code == 1
    assert house.api.get(f"/surveillance/alerts/{number}")["open"]
    assert run(*decide, given="y\n").exit_code == 0
    assert "dismissed: a mistake of its own" in run("show", number).output
    assert run("decide", number, "--outcome", "guilty", "--reason", "x", "--yes").exit_code == 1
    assert run("exclude", number, "--yes").exit_code == 0
    assert "Cleared" not in house.api.get("/sessions/2")["state"]
    runner.run_due(house.ctx)
    assert house.api.get("/sessions/2")["state"] == "Cleared"


def test_baselines_are_looked_at_only_where_the_readings_may_be_used(house: House) -> None:
    community, session = market(house, "home-03", "home-04", intervals=HOURS)
    community.hand_in_readings(community.scenario.day)
    send(community, session, community.homes[0], Side.OFFER, 600, 100_000)
    send(community, session, community.buyers[0], Side.BID, 600, 300_000)
    p = surveillance.parameters.load()
    terms = surveillance.sessions.view(house.ctx, 1).terms
    loads = surveillance._loads(house.ctx, terms, p)
    assert loads is not None and set(loads.net) == {member.account for member in community.homes}
    home = community.homes[0]
    recorded = community.recorded[home.label]
    assert tuple(loads.net[home.account][-1]) == recorded.day(terms.day - 1).net, "the day before, as metered"
    seen: list[object] = []
    original = surveillance.detect.run
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surveillance.detect, "run", lambda case, *rest: seen.append(case.loads) or original(case, *rest))
        surveillance.screen_due(house.ctx)
        house.ctx.settings.surveillance_loads = True
        with house.ctx.database.session() as db:
            db.delete(db.get(Screening, 1))
        house.ctx.screened.clear()
        surveillance.screen_due(house.ctx)
    assert seen[0] is None and seen[1] is not None
