"""The API at its door: wrong input is refused with the field's name, and nothing is half stored."""

from __future__ import annotations

import asyncio
import socket
import sys
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from app_house import House, market
from sqlmodel import func, select

from app.access import header
from app.client import ApiError
from app.database import Outbox, Submission
from app.server import RECURSION, listen
from contracts.encoding import ScheduleOrder, Step
from contracts.typed_data import Domain
from contracts.units import Side

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]


def rows(house: House, table: Any) -> int:
    with house.ctx.database.session() as db:
        return int(db.exec(select(func.count()).select_from(table)).one())


def refused(call: Any, *arguments: Any) -> Json:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    assert caught.value.document["status"] == caught.value.status
    return caught.value.document


def test_operators_endpoints_ask_for_the_token(house: House) -> None:
    for path in ("/sessions", "/sessions/1/clearing", "/sessions/1/proofs", "/sessions/1/settlement", "/readings", "/meters"):
        document = refused(house.anyone.post, path, {})
        assert document["status"] in (401, 422)
        if document["status"] == 422:
            pytest.fail(f"{path} looked at the body before the token")


def test_a_body_nested_without_end_is_refused(house: House) -> None:
    """A library raises the interpreter's limit so far that such a body would overflow the process's stack."""
    for path in ("/windows", "/meters", "/accounts"):
        answer = httpx.post(
            f"{house.url}/api/v1{path}", content="[" * 2_000_000, headers={"Content-Type": "application/json"}, timeout=60
        )
        assert 400 <= answer.status_code < 500, (path, answer.status_code)
    assert sys.getrecursionlimit() <= RECURSION


def test_unknown_things_are_named(house: House) -> None:
    assert refused(house.anyone.get, "/sessions/9")["errors"][0]["field"] == "session"
    assert refused(house.anyone.get, "/accounts/9")["errors"][0]["field"] == "account"
    assert refused(house.anyone.get, "/orders/9")["status"] == 404


def test_orders_are_refused_with_the_field_and_leave_nothing_behind(house: House) -> None:
    community, session = market(house)
    home = community.homes[0]
    size = len(session["intervals"])
    path = f"/sessions/{session['id']}/orders"

    def offer(quantity: int, limit: int) -> Json:
        step = Step((quantity,) * size, (limit,) * size)
        return community.signed(home, session, ScheduleOrder(home.account, Side.OFFER, (step,)))

    good = offer(200, 100_000)
    cases = [
        (offer(10, 100_000), "steps[0].quantities[0]"),
        (offer(200, session["price_cap"] + 1), "steps[0].limits[0]"),
        (offer(10_000_000, 100_000), "account"),
        ({**good, "signature": "0x" + "11" * 64 + "1b"}, "signature"),
        ({**good, "signature": "0x1234"}, "signature"),
        ({**good, "words": good["words"][:-1]}, "words"),
        ({**good, "words": [*good["words"], good["words"][-1]]}, "words"),
        ({**good, "words": ["-0x1", "0x2"]}, "words.0"),
        ({**good, "nonce": "-1"}, "nonce"),
        ({**good, "counter": "1"}, "counter"),
        ({**good, "words": [hex(int(good["words"][0], 16) + (1 << 64)), *good["words"][1:]]}, "words"),
        ({**good, "deadline": 1}, "deadline"),
        ({**good, "signer": community.buyers[0].wallet.address}, "signer"),
        ({**good, "surprise": 1}, "surprise"),
    ]
    before = rows(house, Outbox)
    for body, field in cases:
        document = refused(house.anyone.post, path, body)
        assert field in [e["field"] for e in document["errors"]], document
    assert refused(house.anyone.post, "/sessions/77/orders", good)["errors"][0]["field"] == "session"
    assert rows(house, Submission) == 0
    assert rows(house, Outbox) == before

    taken = house.anyone.post(path, good)
    assert taken["status"] == "confirmed"
    assert house.anyone.post(path, good)["id"] == taken["id"], "the same batch again is harmless"
    assert len(house.anyone.get(path)["items"]) == 1

    # A buyer has no meter: it may bid, not offer.
    buyer = community.buyers[0]
    step = Step((200,) * size, (100_000,) * size)
    document = refused(
        house.anyone.post, path, community.signed(buyer, session, ScheduleOrder(buyer.account, Side.OFFER, (step,)))
    )
    assert document["errors"][0]["field"] == "side"

    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    document = refused(house.anyone.post, path, offer(200, 100_000))
    assert document["status"] == 409
    assert "not open" in document["detail"]


def test_sessions_that_cannot_be_are_refused_with_the_field(house: House) -> None:
    community, session = market(house)
    zone, plan = community.zone, community.scenario

    def body(**change: object) -> Json:
        def at(day: int, hour: int) -> str:
            return datetime.fromtimestamp(zone.interval_start(day, hour), UTC).isoformat()

        return {
            "date": "2017-07-12", "intervals": [17, 18], "gate_open": at(plan.day, 10), "gate_close": at(plan.day, 20),
            "exemption_deadline": at(plan.day + 2, 6), "proof_deadline": at(plan.day + 2, 12), "price_cap": 500_000,
            "min_quantity_wh": 50, **change,
        }  # fmt: skip

    cases: list[tuple[Json, str]] = [
        (body(intervals=[24]), "intervals"),
        (body(intervals=[17, 17]), "intervals"),
        (body(gate_close=body()["exemption_deadline"]), "gate_close"),
        (body(gate_open=body()["gate_close"]), "gate_close"),
        (body(proof_deadline=body()["gate_close"]), "proof_deadline"),
        (body(rules="generous"), "rules"),
        (body(fee_account=99_999), "fee_account"),
        (body(mode="request"), "mode"),
        (body(zone=7), "zone"),
        (body(price_cap=-1), "price_cap"),
        (body(gate_open="2017-07-11T12:00:00"), "gate_open"),
    ]
    for bad, field in cases:
        document = refused(house.api.post, "/sessions", bad)
        assert field in [e["field"] for e in document["errors"]], document
    # The contract's own refusal, in words: the same intervals are under auction already.
    same = {
        **body(),
        "date": session["date"],
        "intervals": session["intervals"],
        "gate_open": session["gate_open"],
        "gate_close": session["gate_close"],
    }
    document = refused(house.api.post, "/sessions", same)
    assert document["status"] == 409
    assert "auction" in document["detail"]
    held = str(session["intervals"])
    expected = f"intervals of {session['date']} that no other session holds"
    assert document["errors"] == [{"field": "intervals", "expected": expected, "got": held}] and held in document["detail"]
    assert len(house.anyone.get("/sessions")["items"]) == 1


def test_private_data_are_for_their_owner_only(house: House) -> None:
    community, session = market(house)
    community.hand_in_readings(community.scenario.day - 1)
    home, buyer = community.homes[0], community.buyers[0]
    assert community.forecast(home, session)["intervals"] == session["intervals"]

    def ask(authorization: str | None) -> Json:
        path = f"/accounts/{home.account}/forecast"
        return house.anyone.get(path, authorization, session=session["id"])  # type: ignore[no-any-return]

    now, domain = house.ctx.now(), house.ctx.client.domain
    good = header(domain, home.account, now + 60, home.wallet)
    other_chain = Domain(domain.chain_id + 1, domain.market)
    for bad in (
        None,
        "Bearer " + house.ctx.operator_token,
        good[:-8] + "000000" + good[-2:],
        good.replace(f".{now + 60}.", f".{now + 61}."),
        header(domain, home.account, now - 1, home.wallet),
        header(domain, home.account, now + 90_000, home.wallet),
        header(domain, buyer.account, now + 60, home.wallet),
        header(domain, home.account, now + 60, buyer.wallet),
        header(other_chain, home.account, now + 60, home.wallet),
    ):
        assert refused(ask, bad)["errors"][0]["field"] == "Authorization"
    assert ask(good)["flexible_wh"] == community.forecast(home, session)["flexible_wh"]


def test_off_development_chains_only_the_operator_spends_gas_for_accounts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(house.ctx.chain), "is_development", property(lambda _: False))
    new = {"owner": "0x" + "12" * 20}
    assert refused(house.anyone.post, "/accounts", new)["status"] == 401
    assert refused(house.anyone.get, "/dev/wallet")["status"] == 404
    assert refused(house.anyone.post, "/dev/faucet", {"account": 1, "amount": 1})["status"] == 404
    assert refused(house.anyone.post, "/dev/advance", {"session": 1, "to": "gate_close"})["status"] == 404
    assert house.api.post("/accounts", new)["index"] == 1


def test_numbers_times_and_bodies_out_of_range_are_refused_by_name(house: House) -> None:
    for path in (
        "/sessions/99999999999999999999",
        "/accounts/99999999999999999999",
        "/orders/99999999999999999999",
        "/sessions/-1",
    ):
        assert refused(house.anyone.get, path)["status"] == 422
    for body, field in (
        ({"to": "9999-12-31T23:59:59Z"}, "to"),
        ({"to": "1900-01-01T00:00:00Z"}, "to"),
        ({"to": "gate_close", "session": 10**20}, "session"),
        ({"to": "gate_close"}, "session"),
    ):
        assert refused(house.anyone.post, "/dev/advance", body)["errors"][0]["field"].startswith(field)
    assert refused(house.api.post, "/zones/1/holidays", {"dates": ["1000-01-01"]})["errors"][0]["field"] == "dates.0"
    big = httpx.post(f"{house.url}/api/v1/accounts", content=b" " * (17 << 20), headers={"Content-Type": "application/json"})
    assert big.status_code == 413
    unsized = httpx.post(f"{house.url}/api/v1/accounts", content=iter([b"{}"]), headers={"Content-Type": "application/json"})
    assert unsized.status_code == 411


def test_an_answer_is_sent_without_waiting_for_an_acknowledgement() -> None:
    async def no_delay() -> int:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        bound = listen("127.0.0.1", 0)
        async with await asyncio.start_server(answer, sock=bound):
            _, writer = await asyncio.open_connection(*bound.getsockname())
            writer.close()
            return await found

    assert asyncio.run(no_delay())
