"""Sessions whose results do not follow from their order log: listed with their state, and left alone by the background."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from app_house import House, market

from app.client import ApiError
from app.errors import Refused
from app.services import runner, sessions
from app.services.replaying import replay_session
from contracts.calls import Call
from contracts.encoding import ScheduleOrder, Step
from contracts.requests import profile_words
from contracts.sessions import SessionRequest
from contracts.units import Direction, Kind, Mode, Side
from settlement import rules as rule_sets

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]


def wanted(house: House, like: Json, mode: Mode, hours: list[int]) -> SessionRequest:
    """A session of another mode on the day of `like`."""

    def at(field: str) -> int:
        return int(datetime.fromisoformat(like[field]).timestamp())

    close = at("gate_close")
    return SessionRequest(
        zone=1, kind=Kind.ELECTRICAL, direction=Direction.UP, mode=mode, day=like["day"], mask=sum(1 << t for t in hours),
        gate_open=at("gate_open"), gate_close=close, exemption_deadline=at("exemption_deadline"),
        proof_deadline=at("proof_deadline"), price_cap=600_000, min_quantity=50,
        deliveries=house.ctx.deployment.contracts["Deliveries"], fee_ppm=0, fee_account=0, intake_fee=0,
        challenge_end=close + 3600 if mode is Mode.BLOCK else 0,
    )  # fmt: skip


def test_sessions_of_every_mode_are_listed_and_stop_nobody(house: House) -> None:
    community, session = market(house, intervals=[17, 18])
    ctx, client, rules = house.ctx, house.ctx.client, rule_sets.load("default").words()
    (home,), (buyer, _) = community.homes, community.buyers
    ctx.send("open", "operator", client.encode_open_session(wanted(house, session, Mode.BLOCK, [8, 9]), rules))
    ctx.send("dso", "operator", client.encode_admit_dso(buyer.wallet.address))
    ctx.chain.fund(buyer.wallet.address)
    call: Call = client.encode_open_request(
        buyer.account, wanted(house, session, Mode.REQUEST, [20, 21]), profile_words([300, 300]), 100_000, rules
    )
    client.send(bytes(buyer.wallet.key), call)
    blocks = house.api.get("/sessions/2")
    order = ScheduleOrder(home.account, Side.OFFER, (Step((300, 300), (100_000, 100_000)),), min_fill_ppm=500_000)
    assert community.send(home, blocks, order)["status"] == "confirmed"

    def shown() -> dict[str, str]:
        for number in (1, 2, 3):
            for part in ("", "/book", "/orders", "/deliveries", "/statements"):
                house.api.get(f"/sessions/{number}{part}")
        return {s["mode"]: s["state"] for s in house.api.get("/sessions")["items"]}

    assert shown() == {"request": "Open", "block": "Open", "competitive": "Open"}
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    assert all(line.startswith("session 1:") for line in runner.run_due(ctx))
    assert shown() == {"request": "Closed", "block": "Closed", "competitive": "Settled"}, "nothing was ordered in it"
    for number in (2, 3):
        with pytest.raises(ApiError) as caught:
            house.api.post(f"/sessions/{number}/clearing")
        assert (caught.value.status, caught.value.document["errors"][0]["field"]) == (409, "session")
    with pytest.raises(Refused, match="not replayed"):
        replay_session(client, 3)

    # Nobody proposed, nobody awarded: both are cancelled by time, and what was locked goes back.
    assert client.balance(home.account).locked > 0
    end = datetime.fromtimestamp(sessions.view(ctx, 3).terms.delivery_start, UTC).isoformat()
    house.api.post("/dev/advance", {"to": end, "only_clock": True})
    done = runner.run_due(ctx)
    assert not [line for line in done if "failed" in line], done
    assert shown() == {"request": "Cancelled", "block": "Cancelled", "competitive": "Settled"}
    assert client.balance(home.account).locked == 0
    assert client.auctioned(1, session["day"]) == 0
