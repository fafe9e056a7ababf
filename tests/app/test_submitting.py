"""A signed batch that is handed in more than once: the same again is harmless, at the same time too; another is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from app_house import House, market
from sqlmodel import func, select

from app.database import Outbox, Submission
from app.demo.community import Community, Member
from app.demo.plan import open_session
from contracts.encoding import ScheduleOrder, Step, batch_words
from contracts.typed_data import order_batch
from contracts.units import Side

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]


def body(house: House, member: Member, session: Json, *, nonce: int, limit: int = 90_000, counter: int = 0) -> Json:
    """A bid over all of a session's intervals, signed."""
    size = len(session["intervals"])
    order = ScheduleOrder(member.account, Side.BID, (Step((200,) * size, (limit,) * size),))
    words = batch_words([order], house.ctx.client.terms(session["id"]))
    deadline = house.ctx.now() + 3600
    signed = order_batch(session["id"], words, nonce, counter, deadline).sign(house.ctx.client.domain, bytes(member.wallet.key))
    return {
        "signer": member.wallet.address,
        "words": [hex(word) for word in words],
        "nonce": str(nonce),
        "counter": str(counter),
        "deadline": deadline,
        "signature": "0x" + signed.signature.hex(),
    }


def post(house: House, session: Json, given: Json) -> tuple[int, Json]:
    answer = httpx.post(f"{house.url}/api/v1/sessions/{session['id']}/orders", json=given, timeout=60)
    return answer.status_code, answer.json()


def second_session(house: House, community: Community) -> Json:
    plan = community.scenario
    return open_session(house.api, community.zone, plan.day + 1, plan.session, gate_open=house.ctx.now())


def test_only_the_very_same_batch_is_answered_with_the_first_result(house: House) -> None:
    community, session = market(house)
    other = second_session(house, community)
    buyer = community.buyers[0]
    good = body(house, buyer, session, nonce=417)
    status, first = post(house, session, good)
    assert (status, first["status"]) == (202, "confirmed")
    assert post(house, session, good) == (202, first)
    assert post(house, session, {**good, "signer": good["signer"].lower()}) == (202, first)

    for changed, wanted in (
        ({"signature": "0x" + "00" * 65}, ("signature", "v 27 or 28", "v 0")),
        ({"deadline": 12345}, ("deadline", f"at least {house.ctx.now()} (chain time)", "12345")),
        ({"deadline": good["deadline"] + 1}, ("signature", None, None)),
        ({"counter": "30"}, ("counter", "0", "30")),
    ):
        status, refused = post(house, session, {**good, **changed})
        (wrong,) = refused["errors"]
        assert 400 <= status < 500 and wrong["field"] == wanted[0], changed
        assert wanted[1] in (None, wrong["expected"]) and wanted[2] in (None, wrong["got"])
    status, refused = post(house, other, good)
    assert (status, refused["errors"][0]["field"]) == (422, "signature"), "it is not signed for this session"

    for place, limit in ((session, 80_000), (other, 90_000)):
        status, refused = post(house, place, body(house, buyer, place, nonce=417, limit=limit))
        assert status == 409
        assert refused["errors"] == [{"field": "nonce", "expected": "a number not used before", "got": "417"}]
    with house.ctx.database.session() as db:
        assert db.exec(select(func.count()).select_from(Submission)).one() == 1
    assert house.anyone.get(f"/sessions/{other['id']}/orders")["items"] == []


def test_a_counter_is_behind_or_ahead_of_the_chains(house: House) -> None:
    community, session = market(house)
    buyer = community.buyers[0]
    _, ahead = post(house, session, body(house, buyer, session, nonce=1, counter=30))
    assert ahead["errors"] == [{"field": "counter", "expected": "0", "got": "30"}]
    assert "taken back" not in ahead["detail"] and "not come to" in ahead["detail"]
    house.ctx.chain.fund(buyer.wallet.address)
    house.ctx.client.increment_counter(bytes(buyer.wallet.key))
    _, behind = post(house, session, body(house, buyer, session, nonce=1))
    assert behind["errors"] == [{"field": "counter", "expected": "1", "got": "0"}] and "taken back" in behind["detail"]


def test_the_same_batch_at_the_same_time_is_one(house: House) -> None:
    community, session = market(house)
    buyer = community.buyers[0]
    for nonce in (6000, 6001, 6002):
        good = body(house, buyer, session, nonce=nonce)
        with ThreadPoolExecutor(6) as together:
            answers = list(together.map(lambda given: post(house, session, given), [good] * 6))
        assert [status for status, _ in answers] == [202] * 6, answers
        assert len({answer["id"] for _, answer in answers}) == 1
    with house.ctx.database.session() as db:
        sent = db.exec(select(Outbox).where(Outbox.kind == "orders")).all()
    assert [row.status for row in sent] == ["confirmed"] * 3


def test_what_the_same_batch_has_done_meanwhile_is_no_refusal(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one comes in, and is mined, between the look at what is there and the contract's word."""
    community, session = market(house)
    good, client = body(house, community.buyers[0], session, nonce=7), house.ctx.client
    simulate, answers = client.simulate, []

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(client, "simulate", simulate)
        answers.append(post(house, session, good))
        return simulate(*arguments)

    monkeypatch.setattr(client, "simulate", meanwhile)
    assert post(house, session, good) == answers[0]
    assert answers[0][0] == 202
