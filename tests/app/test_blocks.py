"""Block sessions through the marketplace: from orders to settlement, another's better proposal, a cancelled one, no money."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from app_house import House, house_on, market
from sqlmodel import select
from typer.testing import CliRunner

from app import cli
from app.client import Api, ApiError
from app.database import BlockDraft, Meta, Outbox
from app.demo.community import Community, Member
from app.demo.plan import open_session
from app.services import blocks, replaying, runner, sessions
from contracts.block_words import BlockSolution, Choice, proposal
from contracts.encoding import ScheduleOrder, Step
from contracts.refusals import ContractRefusal
from contracts.units import SessionState, Side
from market.clearing.blocks import BlockResult, nothing, search
from market.clearing.blocks_check import check_blocks
from market.clearing.proposed import block_book
from settlement.replay import replay

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]
HOURS = [17, 18, 19]
BOND = 1_000_000


@dataclass
class Blocks:
    """A community with a block session of three hours, number 1, and the operator's account for bonds."""

    house: House
    community: Community
    session: Json
    account: int

    def order(self, member: Member, side: Side, quantity: int, limit: int, *, by: Member | None = None, **more: Any) -> None:
        """`by` is the agent that signs and pays."""
        paid: Json = {"agent": by.account, "agent_pays": True} if by else {}
        block = ScheduleOrder(member.account, side, (Step((quantity,) * 3, (limit,) * 3),), **paid, **more)
        assert self.community.send(by or member, self.session, block)["status"] == "confirmed"

    def to(self, moment: str, later: int = 0) -> None:
        at = datetime.fromtimestamp(seconds(self.session[moment]) + later, UTC).isoformat()
        self.house.api.post("/dev/advance", {"to": at, "only_clock": True})

    def shown(self) -> Json:
        return self.house.api.get("/sessions/1")  # type: ignore[no-any-return]

    def refused(self, path: str, body: Json | None = None) -> Json:
        with pytest.raises(ApiError) as caught:
            self.house.api.post(f"/sessions/1/{path}", body or {})
        return caught.value.document


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.fixture
def day(house: House) -> Blocks:
    return blocks_day(house)


def blocks_day(house: House) -> Blocks:
    community, session = market(house, "home-03", "home-04", "home-06", mode="block", intervals=HOURS)
    account = house.api.post("/accounts", {"owner": house.ctx.address("operator")})["index"]
    house.api.post("/dev/faucet", {"account": account, "amount": 3 * BOND})
    house.ctx.settings.block_account = account
    house.ctx.settings.block_seconds = 20.0
    return Blocks(house, community, session, account)


def agent_for(day: Blocks, agent: Member, *members: Member) -> None:
    """`agent` may place orders for members, and pay for them."""
    ctx = day.house.ctx
    for member in members:
        ctx.chain.fund(member.wallet.address)
        ctx.client.set_delegate(bytes(member.wallet.key), member.account, agent.account)
    ctx.refresh()


def four_blocks(day: Blocks) -> tuple[Member, ...]:
    """900 Wh all or nothing; at least half of 800 Wh, and the cheaper 400 Wh that go with them, paid by one agent; 1,700 Wh are
    wanted."""
    whole, partly, child = day.community.homes
    buyer, agent = day.community.buyers
    agent_for(day, agent, partly, child)
    day.order(whole, Side.OFFER, 900, 100_000, min_fill_ppm=1_000_000)
    day.order(partly, Side.OFFER, 800, 120_000, by=agent, min_fill_ppm=500_000)
    day.order(child, Side.OFFER, 400, 60_000, by=agent, parent=(partly.account, Side.OFFER))
    day.order(buyer, Side.BID, 1_700, 300_000)
    return whole, partly, child, buyer, agent


def without_whole(day: Blocks, *, price: int = 200_000) -> tuple[Any, BlockSolution]:
    """A poorer proposal: 800 Wh of the second block for the bid."""
    view = sessions.view(day.house.ctx, 1)
    place = {(order.account, order.side): position for position, order in view.book.live}
    offer = place[day.community.homes[1].account, Side.OFFER]
    bid = place[day.community.buyers[0].account, Side.BID]
    choices = {offer: Choice(1_000_000), bid: Choice(800 * 1_000_000 // 1_700, 0b111)}
    return block_book(view.book, view.sold_before), BlockSolution((price,) * 3, (800,) * 3, choices)


def hand_in(day: Blocks, finder: Member, book: Any, solution: BlockSolution) -> bytes:
    """`finder` proposes with its own key, without the marketplace; the proposal's key."""
    ctx = day.house.ctx
    made = proposal(book, solution, sessions.view(ctx, 1).order_log, finder.account, 100_000)
    ctx.chain.fund(finder.wallet.address)
    ctx.client.send(bytes(finder.wallet.key), ctx.client.encode_propose(1, made, 0, ()))
    return made.key()


def command(house: House, *arguments: str) -> str:
    token = {"WATTPROOF_OPERATOR_TOKEN": house.ctx.operator_token}
    done = CliRunner().invoke(cli.app, ["session", *arguments, "--url", house.url], env=token)
    assert done.exit_code == 0, done.output
    return str(done.output)


def test_a_block_session_from_orders_to_settlement(day: Blocks) -> None:
    house, ctx, client = day.house, day.house.ctx, day.house.ctx.client
    day.community.hand_in_readings(day.community.scenario.day)
    day.community.close_days(day.session["day"] - 1)
    whole, partly, child, buyer, _ = four_blocks(day)
    assert seconds(day.session["challenge_end"]) == seconds(day.session["gate_close"]) + 3600
    orders = {o["account"]: o for o in house.api.get("/sessions/1/orders")["items"]}
    assert [orders[m.account]["min_fill_ppm"] for m in (whole, partly, child)] == [1_000_000, 500_000, 0]
    assert orders[child.account]["parent"] == {"account": partly.account, "side": "offer"}
    assert command(house, "proposals", "1") == "nobody has proposed anything\n"
    day.to("gate_close")
    (line,) = runner.run_due(ctx)
    assert line.startswith("session 1: proposed 5100 Wh, ")
    (best,) = day.shown()["proposals"]
    assert (best["account"], best["best"], best["accepted"], best["inside_band"]) == (day.account, True, False, True)
    assert best["complete"] and best["gap"] < 0.01 and best["volume_wh"] == 5_100
    assert client.balance(day.account).locked == BOND
    assert runner.run_due(ctx) == [], "it is the best already"
    assert "is this marketplace's" in command(house, "propose", "1")
    assert day.refused("clearing")["errors"][0]["field"] == "session"
    day.to("challenge_end")
    assert runner.run_due(ctx)[0] == f"session 1: accepted the proposal of account {day.account}, 5100 Wh"
    shown = day.shown()
    assert shown["state"] == "Cleared" and shown["proposals"][0]["accepted"]
    assert "inside the band, accepted" in command(house, "proposals", "1")
    assert client.balance(day.account).locked == 0
    sold = sessions.view(ctx, 1).sold
    assert sold[whole.account] == (900,) * 3
    for parent_wh, child_wh in zip(sold[partly.account], sold[child.account], strict=True):
        assert parent_wh + child_wh == 800 and 0 < child_wh <= parent_wh // 2 + 1
    assert client.sold(child.account, day.session["day"]) == 0b111 << 17

    day.to("delivery_end", 3600)
    day.community.learn_promises(shown)
    day.community.close_days(day.session["day"])
    runner.run_due(ctx)
    assert day.shown()["proofs"]["verified"] == 3
    assert replaying.replay_session(client, 1) == "identical"
    day.to("proof_deadline", 60)
    runner.run_due(ctx)
    shown = day.shown()
    assert shown["state"] == "Settled" and shown["settlement"]["balanced"]
    statements = {s["account"]: s for s in house.api.get("/sessions/1/statements")["items"]}
    assert set(statements) == {m.account for m in (whole, partly, child, buyer)}
    assert all(s["final"] for s in statements.values())
    assert sum(s["earned"] for s in statements.values()) > 0
    assert replaying.replay_session(client, 1) == "identical"
    assert "not checked" in (replaying.reservation(client, 1) or "")

    log = replaying.session_log(client, 1)
    wrong = (
        replace(log, table=(log.table[0] ^ 1 << 96, *log.table[1:])),  # another ratio
        replace(log, table=log.table[:-1]),
        replace(log, welfares=[log.welfares[-1] + 1]),
        replace(log, welfares=[log.welfares[-1] * 2, log.welfares[-1]]),
    )
    for other in wrong:
        assert replay(other, lambda *_: True).startswith("clearing: ")


def test_a_better_proposal_by_someone_else_is_accepted(day: Blocks) -> None:
    ctx, client = day.house.ctx, day.house.ctx.client
    *_, agent = four_blocks(day)
    day.to("gate_close")
    book, poor = without_whole(day)
    hand_in(day, agent, book, poor)
    (first,) = day.shown()["proposals"]
    assert (first["account"], first["gap"], first["best"]) == (agent.account, None, True)
    money = client.balance(agent.account)
    runner.run_due(ctx)
    found = day.shown()["proposals"]
    assert [(p["account"], p["best"]) for p in found] == [(agent.account, False), (day.account, True)]
    assert found[1]["welfare"] > found[0]["welfare"]
    lost = client.balance(agent.account)
    assert (money.locked - lost.locked, lost.available) == (BOND, money.available), "who is outbid loses its bond"
    assert client.balance(day.account).available == 3 * BOND, "and who found better has it, its own being locked"

    with ctx.database.session() as db:
        draft = db.exec(select(BlockDraft)).one()
    best = client.best_proposal(1)
    assert best is not None and best.key.hex() == draft.key
    assert blocks.needed(best, client.block_improvement(), False) > best.welfare
    assert blocks.needed(replace(best, outside=True), client.block_improvement(), False) == best.welfare
    with pytest.raises(ContractRefusal, match="are needed"):
        hand_in(day, agent, book, poor)
    day.to("challenge_end")
    runner.run_due(ctx)
    assert day.shown()["state"] == "Cleared"


def test_what_another_found_stands_where_nothing_better_is_found(day: Blocks) -> None:
    house, ctx, client = day.house, day.house.ctx, day.house.ctx.client
    *_, agent = four_blocks(day)
    day.to("gate_close")
    view = sessions.view(ctx, 1)
    book = block_book(view.book, view.sold_before)
    hand_in(day, agent, book, search(book, 20.0).solution)
    assert runner.run_due(ctx) == [], "as good is not better"
    (said,) = house.api.post("/sessions/1/proposal")["done"]
    assert "nothing is proposed" in said and "are needed" in said
    assert client.balance(day.account).locked == 0
    day.to("challenge_end")
    house.ctx.settings.block_account = 0  # accepting costs no bond
    runner.run_due(ctx)
    shown = day.shown()
    assert shown["state"] == "Cleared"
    assert [(p["account"], p["accepted"]) for p in shown["proposals"]] == [(agent.account, True)]
    day.to("proof_deadline", 60)
    runner.run_due(ctx)
    shown = day.shown()
    assert shown["state"] == "Settled" and shown["settlement"]["balanced"], "nobody proved anything"
    assert replaying.replay_session(client, 1) == "identical"


def test_a_cancelled_session_gives_the_bond_back(day: Blocks) -> None:
    ctx, client = day.house.ctx, day.house.ctx.client
    four_blocks(day)
    day.to("gate_close")
    runner.run_due(ctx)
    assert client.balance(day.account).locked == BOND
    day.to("delivery_start")  # nobody accepted in time
    done = runner.run_due(ctx)
    assert f"session 1: cancelled, account {day.account} has its bond back" in done
    assert client.balance(day.account) == replace(client.balance(day.account), available=3 * BOND, locked=0)
    assert all(client.balance(m.account).locked == 0 for m in day.community.members.values())
    assert runner.run_due(ctx) == []
    shown = day.shown()
    assert shown["state"] == "Cancelled" and shown["cleared"] == [] and not shown["proposals"][0]["accepted"]
    assert replaying.replay_session(client, 1) == "identical"


def test_without_account_or_money_nothing_is_proposed_and_it_is_said_why(day: Blocks) -> None:
    house, ctx = day.house, day.house.ctx
    four_blocks(day)
    assert day.refused("proposal")["errors"][0]["field"] == "session", "the gate is open"
    day.to("gate_close")
    poor = house.api.post("/accounts", {"owner": ctx.address("operator")})["index"]
    for account, expected, got in (
        (0, "the operator's account that locks the bond", "none"),
        (1, f"an account of the operator, {ctx.address('operator')}", "account 1"),
        (999, f"an account of the operator, {ctx.address('operator')}", "account 999"),
        (poor, f"an account with {BOND} micro-euro available", "0 micro-euro"),
    ):
        ctx.settings.block_account = account
        document = day.refused("proposal")
        assert document["status"] == 409
        assert document["errors"] == [{"field": "WATTPROOF_BLOCK_ACCOUNT", "expected": expected, "got": got}]
    (line,) = runner.run_due(ctx)
    assert f"expected an account with {BOND} micro-euro available, got 0 micro-euro" in line
    assert runner.run_due(ctx, patient=True) == [], "and it rests a while"
    assert day.shown()["proposals"] == []
    with pytest.raises(ApiError) as caught:
        house.anyone.post("/sessions/1/proposal", {})
    assert caught.value.status == 401


def test_a_pass_that_was_interrupted_goes_on(day: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx, client = day.house.ctx, day.house.ctx.client
    four_blocks(day)
    day.to("gate_close")
    monkeypatch.setattr(blocks, "words_a_call", lambda *_: 2)
    real = client.encode_propose

    def dies(session: int, made: Any, number: int, state: Any) -> Any:
        if number == 2:
            raise RuntimeError("the process has died")
        return real(session, made, number, state)

    monkeypatch.setattr(client, "encode_propose", dies)
    assert "failed, will be tried again" in runner.run_due(ctx)[0]
    assert day.shown()["proposals"] == [] and client.balance(day.account).locked == 0
    monkeypatch.setattr(client, "encode_propose", real)
    monkeypatch.setattr(blocks, "words_a_call", lambda *_: 100_000)
    monkeypatch.setattr(blocks, "clear_blocks", lambda *_: pytest.fail("it was found already"))
    (line,) = runner.run_due(ctx)
    assert line.startswith("session 1: proposed 5100 Wh in 2 transactions")
    with ctx.database.session() as db:
        sent = db.exec(select(Outbox.status).where(Outbox.kind == "propose")).all()
    assert sent == ["confirmed"] * 4

    # A database of before the proposals takes in everything anew, and a chain that is read anew shows the same.
    before = day.shown()["proposals"]
    with ctx.database.session() as db:
        db.merge(Meta(key="indexed", value="0 0x"))
    assert day.shown()["proposals"] == before
    day.to("challenge_end")
    real_accept = client.encode_commit
    monkeypatch.setattr(client, "encode_commit", lambda *_: pytest.fail("dies between accepting and committing"))
    with pytest.raises(BaseException, match="dies"):
        runner.run_due(ctx)
    monkeypatch.setattr(client, "encode_commit", real_accept)
    runner.run_due(ctx)
    assert day.shown()["state"] == "Cleared" and not client.progress(1).uncommitted


def test_a_search_that_ran_out_of_time_is_made_again_when_asked(day: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    house, ctx, client = day.house, day.house.ctx, day.house.ctx.client
    four_blocks(day)
    day.to("gate_close")
    book, poor = without_whole(day)
    real = blocks.clear_blocks
    monkeypatch.setattr(blocks, "clear_blocks", lambda book, *_: nothing(book))
    document = day.refused("proposal")
    assert document["errors"][0]["field"] == "WATTPROOF_BLOCK_SECONDS", "no trade is no finding"
    welfare = check_blocks(book, poor).welfare
    assert welfare > 0
    found = BlockResult(poor, welfare, 2 * welfare, 2 * welfare, False)
    monkeypatch.setattr(blocks, "clear_blocks", lambda *_: found)
    runner.run_due(ctx)
    (first,) = json.loads(command(house, "proposals", "1", "--json"))
    assert (first["volume_wh"], first["gap"], first["complete"]) == (2_400, 0.5, False)
    assert runner.run_due(ctx) == [], "the background searches once"
    assert house.api.post("/sessions/1/proposal")["done"] == ["session 1: the best proposal is this marketplace's"]
    monkeypatch.setattr(blocks, "clear_blocks", real)
    (said,) = house.api.post("/sessions/1/proposal")["done"]
    assert "proposed 5100 Wh" in said
    assert [p["account"] for p in day.shown()["proposals"]] == [day.account] * 2
    balance = client.balance(day.account)
    assert (balance.available, balance.locked) == (2 * BOND, BOND), "outbidding oneself moves no money"


def test_prices_stay_in_the_band_where_they_can(narrow: House) -> None:
    """Hours of the day before had 0.20 EUR/kWh; in one of two sessions that still suits everybody, in the other it does not."""
    community, first = market(narrow, "home-03", "home-04", mode="block", intervals=[17, 18])
    ctx, client, plan = narrow.ctx, narrow.ctx.client, community.scenario
    ctx.settings.block_account = narrow.api.post("/accounts", {"owner": ctx.address("operator")})["index"]
    narrow.api.post("/dev/faucet", {"account": ctx.settings.block_account, "amount": 3 * BOND})
    end = datetime.fromtimestamp(seconds(first["challenge_end"]) + 7200, UTC).isoformat()
    later = [
        open_session(
            narrow.api, community.zone, plan.day + 1, plan.session, mode="block", intervals=[hour],
            gate_open=ctx.now(), gate_close=first["gate_close"], challenge_end=end,
        )
        for hour in (17, 18)
    ]  # fmt: skip
    (one, other), (buyer, richer) = community.homes, community.buyers
    for session, offering, bidding, least, most in (
        (first, one, buyer, 100_000, 300_000),
        (later[0], one, buyer, 100_000, 500_000),
        (later[1], other, richer, 300_000, 500_000),
    ):
        size = len(session["intervals"])
        for member, side, limit in ((offering, Side.OFFER, least), (bidding, Side.BID, most)):
            community.send(member, session, ScheduleOrder(member.account, side, (Step((600,) * size, (limit,) * size),)))
    narrow.api.post("/dev/advance", {"to": first["gate_close"], "only_clock": True})
    blocks.propose(ctx, 1)
    assert narrow.api.get("/sessions/1/proposals")["items"][0]["inside_band"], "there is no band yet"
    narrow.api.post("/dev/advance", {"to": first["challenge_end"], "only_clock": True})
    narrow.api.post("/sessions/1/clearing")
    assert [c["price"] for c in narrow.api.get("/sessions/1")["cleared"]] == [200_000] * 2
    assert blocks.propose(ctx, 2) and blocks.propose(ctx, 3)
    (inside,), (outside,) = (narrow.api.get(f"/sessions/{n}/proposals")["items"] for n in (2, 3))
    assert inside["inside_band"] and not outside["inside_band"]
    assert outside["outside"] == [{"intervals": [18], "price": 300_000, "low": 200_000, "high": 200_000}], "as near as it can"
    narrow.api.post("/dev/advance", {"to": end, "only_clock": True})
    done = runner.run_due(ctx)
    assert "session 3: a price lies outside its band, the guardian has to decide" in done
    states = [narrow.api.get(f"/sessions/{n}")["state"] for n in (1, 2, 3)]
    assert states == ["Cleared", "Cleared", "UnderReview"]
    assert client.balance(ctx.settings.block_account).locked == 0
    with Api(narrow.url, ctx.guardian_token) as guardian:
        guardian.post("/sessions/3/review/release", {"reason": "it was scarce"})
    assert narrow.api.get("/sessions/3")["state"] == "Cleared" and not client.progress(3).uncommitted
    assert [replaying.replay_session(client, n) for n in (1, 2, 3)] == ["identical"] * 3


@pytest.mark.needs("key", "anvil")
def test_a_proposal_that_a_reorganisation_takes_back_is_made_again(tmp_path: Path) -> None:
    with house_on("anvil", tmp_path) as house:
        day, ctx = blocks_day(house), house.ctx
        *_, agent = four_blocks(day)
        day.to("gate_close")
        hand_in(day, agent, *without_whole(day))
        runner.run_due(ctx)

        def finders() -> list[int]:
            return [p["account"] for p in day.shown()["proposals"]]

        assert finders() == [agent.account, day.account]
        for depth, left, again in (
            (1, [agent.account], [agent.account, day.account]),
            (3, [], [day.account]),  # with the block that stands for the lost one; the other's is gone for good
        ):
            ctx.chain._rpc("anvil_reorg", depth, [])  # type: ignore[attr-defined]
            ctx.chain._rpc("anvil_dropAllTransactions")  # type: ignore[attr-defined]
            assert finders() == left
            runner.run_due(ctx)
            assert finders() == again
            assert runner.run_due(ctx) == []
        assert ctx.client.balance(day.account).locked == BOND
        with ctx.database.session() as db:
            assert db.exec(select(Outbox.status).where(Outbox.kind == "propose")).all() == ["confirmed"]


def test_a_search_belongs_to_the_log_it_was_made_for(day: Blocks) -> None:
    ctx = day.house.ctx
    four_blocks(day)
    day.to("gate_close")
    view = sessions.view(ctx, 1)
    assert view.state is SessionState.CLOSED
    with ctx.database.session() as db:
        db.add(BlockDraft(session=1, key="00", log="11" * 32, account=day.account, words_a_call=9, certificate=[], table=[],
                          welfare="0", gap=0.0, complete=True))  # fmt: skip
    (line,) = runner.run_due(ctx)
    assert "proposed 5100 Wh" in line


def test_nonsense_is_refused_by_its_field(day: Blocks) -> None:
    house, community = day.house, day.community
    whole, partly, child = community.homes
    _, agent = community.buyers
    agent_for(day, agent, partly, child)

    def said(member: Member, order: ScheduleOrder, *, spoil: int = 0) -> str:
        body = community.signed(member, day.session, order)
        if spoil:
            body["words"][0] = hex(int(body["words"][0], 16) ^ spoil)
        with pytest.raises(ApiError) as caught:
            house.api.post("/sessions/1/orders", body)
        assert 400 <= caught.value.status < 500
        return str(caught.value.document["errors"][0]["field"])

    step = Step((500,) * 3, (100_000,) * 3)
    offer = ScheduleOrder(whole.account, Side.OFFER, (step,))
    assert said(whole, offer, spoil=1_000_001 << 132) == "min_fill_ppm"
    assert said(whole, replace(offer, parent=(partly.account, Side.OFFER))) == "parent", "not there"
    assert said(whole, replace(offer, parent=(999, Side.OFFER))) == "parent"
    assert said(whole, offer, spoil=whole.account << 152 | 1 << 184) == "parent", "its own"
    assert said(whole, replace(offer, steps=(step, step))) == "steps"
    assert said(whole, replace(offer, reserve=True)) == "reserve"
    day.order(whole, Side.OFFER, 500, 100_000)
    assert said(partly, ScheduleOrder(partly.account, Side.OFFER, (step,), parent=(whole.account, Side.OFFER))) == "parent"

    plan, zone = community.scenario, community.zone
    start = zone.interval_start(plan.day + 1, HOURS[0])

    def opened(**more: object) -> Json:
        common = {"mode": "block", "intervals": HOURS, "gate_open": house.ctx.now(), **more}
        return open_session(house.api, zone, plan.day + 1, plan.session, **common)  # type: ignore[arg-type]

    gate = datetime.fromtimestamp(start - 7200, UTC)
    for fields, field in (
        ({"challenge_end": gate.isoformat()}, "challenge_end"),
        ({"challenge_end": datetime.fromtimestamp(start, UTC).isoformat()}, "challenge_end"),
        ({"challenge_end": gate.replace(tzinfo=None).isoformat()}, "challenge_end"),
        ({"gate_close": datetime.fromtimestamp(start, UTC).isoformat()}, "challenge_end"),
        ({"mode": "competitive", "challenge_end": gate.isoformat()}, "challenge_end"),
        ({"mode": "request"}, "mode"),
    ):
        with pytest.raises(ApiError) as caught:
            opened(**{"gate_close": gate.isoformat(), **fields})
        assert caught.value.document["errors"][0]["field"] == field, fields
    close = datetime.fromtimestamp(start - 600, UTC).isoformat()
    assert seconds(opened(gate_close=close)["challenge_end"]) == start - 300, "halfway, where an hour does not fit"
    assert house.api.get("/sessions/2")["challenge_end"] is not None
