"""Who acts and pays for whom, what a session costs, and how a signature is taken back: through the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from app_house import House, market

from app.access import header
from app.client import ApiError
from app.demo.community import Member
from app.services import clearing
from contracts.encoding import ScheduleOrder, Step
from contracts.units import Side

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]


def order(member: Member, session: Json, side: Side = Side.OFFER, quantity: int = 200) -> ScheduleOrder:
    size = len(session["intervals"])
    return ScheduleOrder(member.account, side, (Step((quantity,) * size, (100_000,) * size),))


def refusal(house: House, path: str, body: Json) -> tuple[int, str]:
    """Status and first field of what the API says."""
    with pytest.raises(ApiError) as caught:
        house.anyone.post(path, body)
    return caught.value.status, caught.value.document["errors"][0]["field"]


def test_a_delegate_acts_pays_and_reads(house: House) -> None:
    community, session = market(house)
    home, agent, other = community.homes[0], *community.buyers
    path, client = f"/sessions/{session['id']}/orders", house.ctx.client
    acting = replace(order(home, session), agent=agent.account)
    assert refusal(house, path, community.signed(agent, session, acting)) == (403, "words")
    house.ctx.chain.fund(home.wallet.address)
    client.set_delegate(bytes(home.wallet.key), home.account, agent.account)

    shown = house.anyone.get(f"/accounts/{home.account}")
    assert shown["delegate"] == {"account": agent.account, "owner": agent.wallet.address}
    may_act = house.anyone.get("/accounts", actor=agent.wallet.address)["items"]
    assert [item["index"] for item in may_act] == sorted([home.account, agent.account])
    assert [item["index"] for item in house.anyone.get("/accounts", owner=agent.wallet.address)["items"]] == [agent.account]

    assert refusal(house, path, community.signed(agent, session, order(home, session))) == (403, "signer")
    assert refusal(house, path, community.signed(other, session, acting)) == (403, "signer")
    wrong = replace(acting, agent=other.account)
    assert refusal(house, path, community.signed(other, session, wrong)) == (403, "words")

    before = client.balance(home.account), client.balance(agent.account)
    for placed in (acting, replace(acting, agent_pays=True, reserve=True)):
        assert house.anyone.post(path, community.signed(agent, session, placed))["status"] == "confirmed"
    first, second = house.anyone.get(path)["items"]
    assert (first["agent"], first["payer"], first["reserve"]) == (agent.account, home.account, False)
    assert (second["agent"], second["payer"], second["reserve"]) == (agent.account, agent.account, True)
    assert client.balance(home.account).locked == before[0].locked + first["lock"]
    assert client.balance(agent.account).locked == before[1].locked + second["lock"]

    for wallet, status in ((agent.wallet, 404), (other.wallet, 401)):  # let in, and told that there are no readings; kept out
        access = header(client.domain, home.account, house.ctx.now() + 60, wallet)
        with pytest.raises(ApiError) as caught:
            house.anyone.get(f"/accounts/{home.account}/forecast", access, session=session["id"])
        assert caught.value.status == status


def test_what_a_session_costs_is_told_locked_and_refused_where_money_is_short(house: House) -> None:
    community, session = market(house, fee_ppm=20_000, fee_account=1, intake_fee=5_000)
    assert (session["fee_ppm"], session["fee_account"], session["intake_fee"]) == (20_000, 1, 5_000)
    home, client = community.homes[0], house.ctx.client
    path, placed = f"/sessions/{session['id']}/orders", order(home, session)
    before = client.balance(home.account).available
    body = community.signed(home, session, placed)
    assert house.anyone.post(path, body)["status"] == "confirmed"
    (shown,) = house.anyone.get(path)["items"]
    assert client.balance(home.account).available == before - shown["lock"] - 5_000
    assert client.escrow(session["id"]) == 5_000
    left = client.balance(home.account).available - shown["lock"] - 4_999
    house.ctx.chain.fund(home.wallet.address)
    client.withdraw(bytes(home.wallet.key), home.account, left, home.wallet.address)
    assert refusal(house, path, community.signed(home, session, placed)) == (409, "account")


def test_a_fee_needs_somebody_who_gets_it(house: House) -> None:
    with pytest.raises(ApiError) as caught:
        market(house, fee_ppm=1)
    assert caught.value.document["errors"][0]["field"] == "fee_account"


def test_a_cooperative_session_asks_for_envelopes_and_one_side(house: House) -> None:
    community, session = market(house, mode="cooperative")
    assert session["mode"] == "cooperative"
    home, client = community.homes[0], house.ctx.client
    path = f"/sessions/{session['id']}/orders"
    offered = community.signed(home, session, order(home, session))
    assert refusal(house, path, offered) == (422, "steps.quantities[0]")
    house.ctx.send("envelope", "metering", client.encode_set_envelope(home.account, 200))
    assert house.anyone.get(f"/accounts/{home.account}")["envelope_wh"] == 200
    assert house.anyone.post(path, offered)["status"] == "confirmed"
    bid = community.signed(home, session, order(home, session, Side.BID))
    assert refusal(house, path, bid) == (422, "side")


def test_what_was_signed_can_be_taken_back_at_once(house: House) -> None:
    community, session = market(house, "home-01")
    visitor = community.homes[0]
    path, signer = f"/sessions/{session['id']}/orders", f"/signers/{visitor.wallet.address}"
    assert house.anyone.get(signer)["counter"] == "0"
    signed = community.signed(visitor, session, order(visitor, session))
    assert house.anyone.post("/dev/counter", {}) == {"address": visitor.wallet.address, "counter": "1"}
    assert house.anyone.get(signer)["counter"] == "1"
    assert refusal(house, path, signed) == (409, "counter")
    again = community.signed(visitor, session, order(visitor, session))
    assert again["counter"] == "1"
    assert house.anyone.post(path, again)["status"] == "confirmed"


def clear_with_least_gas(house: House, path: str) -> None:
    """Asks for a clearing with ever more gas a transaction, as much as each refusal wants."""
    settings = house.ctx.settings
    settings.clearing_gas = 100_000
    refusals = 0
    while told := clearing_refused(house, path):
        assert (told["field"], told["got"]) == ("clearing_gas", str(settings.clearing_gas))
        assert house.anyone.get(path)["state"] == "Closed"
        needed = int(told["expected"].removeprefix("at least "))
        assert needed > settings.clearing_gas
        settings.clearing_gas = needed
        refusals += 1
    assert refusals


def clearing_refused(house: House, path: str) -> Json | None:
    """What is wrong with the request for a clearing, None where it was carried out."""
    try:
        house.api.post(f"{path}/clearing")
    except ApiError as error:
        (told,) = error.document["errors"]
        return {"status": error.status, **told}
    return None


@pytest.mark.parametrize("mode", ["competitive", "cooperative"])
def test_a_log_clears_in_several_transactions(house: House, mode: str) -> None:
    community, session = market(house, mode=mode, intake_fee=1_000)
    home, buyer, _ = *community.homes, *community.buyers
    client, path = house.ctx.client, f"/sessions/{session['id']}"
    house.ctx.settings.clearing_account = buyer.account
    house.ctx.send("envelope", "metering", client.encode_set_envelope(home.account, 1_000))
    for quantity in (300, 400, 200):
        house.anyone.post(f"{path}/orders", community.signed(home, session, order(home, session, quantity=quantity)))
    for quantity in (500, 150):
        bid = order(buyer, session, Side.BID, quantity)
        bid = replace(bid, steps=(replace(bid.steps[0], limits=(140_000,) * len(session["intervals"])),))
        house.anyone.post(f"{path}/orders", community.signed(buyer, session, bid))
    before = client.balance(buyer.account)
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    clear_with_least_gas(house, path)

    shown = house.anyone.get(path)
    assert shown["state"] == "Cleared"
    assert sum(1 for sent in shown["transactions"] if sent["kind"] == "clear") > 1
    price = 120_000 if mode == "cooperative" else 100_000  # halfway, or where the offer that is not wholly filled stands
    for row in shown["cleared"]:
        assert (row["volume_wh"], row["price"]) == (150, price)
        assert (row["share"], row["lo"]) == ((20_000, None) if mode == "cooperative" else (None, 100_000))
    assert client.sold(home.account, session["day"]) == sum(1 << t for t in session["intervals"])
    live = house.anyone.get(f"{path}/orders")["items"]
    cost = len(session["intervals"]) * 150 * price // 1000
    locks = sum(row["lock"] for row in live if row["account"] == buyer.account)
    after = client.balance(buyer.account)
    assert (after.locked, after.available) == (before.locked - locks, before.available + locks - cost + 5 * 1_000)


def test_who_is_overtaken_goes_on_from_there(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else carries the clearing on by one call while ours is on its way."""
    community, session = market(house)
    home, buyer, client = community.homes[0], community.buyers[0], house.ctx.client
    for quantity in (300, 400, 200):
        house.anyone.post(
            f"/sessions/{session['id']}/orders", community.signed(home, session, order(home, session, quantity=quantity))
        )
    bid = order(buyer, session, Side.BID, 500)
    house.anyone.post(f"/sessions/{session['id']}/orders", community.signed(buyer, session, bid))
    house.api.post("/dev/advance", {"to": session["gate_close"], "only_clock": True})
    house.ctx.chain.fund(buyer.wallet.address)
    made, taken = clearing.calls, 0

    def overtaken(*arguments: Any) -> Any:
        nonlocal taken
        for call in made(*arguments):
            if not taken:
                taken += 1
                client.send(bytes(buyer.wallet.key), call)
                house.ctx.refresh()
            yield call

    monkeypatch.setattr(clearing, "calls", overtaken)
    clear_with_least_gas(house, f"/sessions/{session['id']}")
    assert taken == 1
    shown = house.anyone.get(f"/sessions/{session['id']}")
    assert shown["state"] == "Cleared"
    assert [sent["kind"] for sent in shown["transactions"]].count("clear") >= 1
