"""A session in which a reserve took over and the guardian exempted: settled, shown and replayed as it was changed."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from app_house import House, market

from app.client import Api
from app.demo.community import Member
from app.demo.plan import open_session
from app.services import runner, sessions
from app.services.replaying import exported, replay_session, session_log
from contracts.encoding import ScheduleOrder, Step, groups_of
from contracts.replacements import Change, Place, ReplacementConsent
from contracts.units import SessionState, Side
from market.bookfile import read_book
from market.clearing import engine
from settlement.replacement import change
from settlement.replay import replay

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]
HOURS = [17, 18, 19]


def order(member: Member, side: Side, quantity: int, limit: int, *, reserve: bool = False) -> ScheduleOrder:
    return ScheduleOrder(member.account, side, (Step((quantity,) * 3, (limit,) * 3),), reserve=reserve)


def clear(house: House, session: Json) -> None:
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    house.api.post(f"/sessions/{session['id']}/clearing")


def replace_one(house: House, session_id: int, failing: Member, reserve: Member, interval: int) -> int:
    """`failing` agrees that `reserve` takes over an interval; returns what that cost its lock, micro-euro."""
    ctx = house.ctx
    view = sessions.view(ctx, session_id)
    words = groups_of(view.rows)
    place = {row.account: number for number, row in enumerate(view.rows) if row.side is Side.OFFER}
    assert len(words) == 1 and view.clearing is not None and view.certificates is not None
    rows = view.rows[place[failing.account]], view.rows[place[reserve.account]]
    extra = sum(change(view.terms, view.certificates, *rows, [interval]).extras)
    consent = ReplacementConsent(
        session_id, failing.account, reserve.account, 1 << interval, extra, 7 + interval, ctx.now() + 3600
    )
    change_ = Change(
        session_id,
        1 << interval,
        Place(0, place[failing.account], words[0]),
        Place(0, place[reserve.account], ()),
        view.clearing.certificate_words,
        view.rules.words(),
    )
    signed = consent.sign(ctx.client.domain_of("Replacement"), failing.wallet.address, bytes(failing.wallet.key))
    ctx.send("replace", "operator", ctx.client.encode_replace_by_consent(change_, signed), session_id)
    return extra


@pytest.mark.parametrize("mode", ["competitive", "cooperative"])
def test_a_replacement_and_an_exemption_settle_and_replay(house: House, mode: str) -> None:
    community, session = market(house, "home-03", "home-04", mode=mode, intervals=HOURS)
    (failing, reserve), buyer, client = community.homes, community.buyers[0], house.ctx.client
    for home in (failing, reserve):
        house.ctx.send("envelope", "metering", client.encode_set_envelope(home.account, 2_000))
    community.send(failing, session, order(failing, Side.OFFER, 600, 100_000))
    community.send(reserve, session, order(reserve, Side.OFFER, 500, 320_000, reserve=True))
    community.send(buyer, session, order(buyer, Side.BID, 600, 300_000))
    clear(house, session)

    # Another session of the same hours comes and goes before the reserve is called: it did not know of that.
    plan = community.scenario
    gate = datetime.fromtimestamp(house.ctx.now() + 3600, UTC).isoformat()
    later = open_session(
        house.api,
        community.zone,
        plan.day,
        plan.session,
        mode=mode,
        intervals=HOURS,
        gate_open=house.ctx.now(),
        gate_close=gate,
    )
    community.send(reserve, later, order(reserve, Side.OFFER, 500, 400_000))
    community.send(buyer, later, order(buyer, Side.BID, 500, 310_000))
    clear(house, later)
    extra = replace_one(house, 1, failing, reserve, 18)
    assert extra > 0
    assert client.sold(reserve.account, session["day"]) == 1 << 18

    with Api(house.url, house.ctx.guardian_token) as guardian:
        for member, interval in ((failing, 17), (reserve, 18)):
            body = {"account": member.account, "intervals": [interval], "reason": "outage"}
            guardian.post("/sessions/1/exemptions", body)
    promised = {d["account"]: d["promised"] for d in house.api.get("/sessions/1/deliveries")["items"]}
    assert promised == {failing.account: [600, 100, 600], reserve.account: [0, 500, 0]}
    assert replay_session(client, 1) == "identical", "before anything is settled"
    for number in (1, 2):
        (house.folder / "book.json").write_text(exported(client, number))
        file = read_book(house.folder / "book.json")
        again = engine.clear(file.book, file.sold)
        assert file.mode == mode and tuple(again.certificate_words) == session_log(client, number).certificate
    house.api.post("/dev/advance", {"to": _after(session["proof_deadline"]), "only_clock": True})
    runner.run_due(house.ctx)

    shown = house.api.get("/sessions/1")
    assert shown["state"] == "Settled" and shown["settlement"]["balanced"]
    statements = {s["account"]: s for s in house.api.get("/sessions/1/statements")["items"]}
    lines = {a: [(x["interval"], x["exempted"], x["penalty"] > 0) for x in s["lines"]] for a, s in statements.items()}
    assert lines[failing.account] == [(17, True, False), (18, False, True), (19, False, True)]
    assert lines[reserve.account] == [(18, True, False)]
    assert all(s["final"] for s in statements.values())
    for number in (1, 2):
        assert client.state(number) is SessionState.SETTLED
        assert replay_session(client, number) == "identical"
    log = session_log(client, 1)
    assert "promise" in replay(dataclasses.replace(log, takeovers=()), lambda *_: True)
    dearer = [dataclasses.replace(log.takeovers[0], extra=extra + 1)]
    assert "replacement" in replay(dataclasses.replace(log, takeovers=dearer), lambda *_: True)
    assert "seller" in replay(dataclasses.replace(log, exempted={}), lambda *_: True)


def test_a_member_that_is_replaced_whole_has_nothing_left_to_settle(house: House) -> None:
    community, session = market(house, "home-03", "home-04", intervals=HOURS)
    (failing, reserve), buyer, client = community.homes, community.buyers[0], house.ctx.client
    before = client.balance(failing.account).available
    community.send(failing, session, order(failing, Side.OFFER, 400, 100_000))
    community.send(reserve, session, order(reserve, Side.OFFER, 400, 320_000, reserve=True))
    community.send(buyer, session, order(buyer, Side.BID, 400, 300_000))
    clear(house, session)
    extra = sum(replace_one(house, 1, failing, reserve, t) for t in HOURS)
    house.ctx.refresh()
    assert (client.balance(failing.account).available, client.balance(failing.account).locked) == (before - extra, 0)
    house.api.post("/dev/advance", {"to": _after(session["proof_deadline"]), "only_clock": True})
    runner.run_due(house.ctx)
    shown = house.api.get("/sessions/1")
    assert shown["state"] == "Settled" and shown["settlement"]["balanced"]
    assert [s["account"] for s in house.api.get("/sessions/1/statements")["items"]] == [reserve.account, buyer.account]
    assert replay_session(client, 1) == "identical"


def _after(iso: str) -> str:
    return datetime.fromtimestamp(datetime.fromisoformat(iso).timestamp() + 60, UTC).isoformat()
