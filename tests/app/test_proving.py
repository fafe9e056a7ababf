"""Proving jobs of a running marketplace: processes are killed, hang and end, the power goes, and every delivery is recorded
once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import app_delivery as delivery
import pytest
from app_house import House
from sqlalchemy import delete, update
from sqlmodel import col, select

from app.context import Context, _build
from app.database import DeliveryProof, DeliveryRecord, MarketSession, MeterKey, MeterWindow, Outbox, SettledRow
from app.services import proving, runner
from contracts.deliveries import ProofBatch
from contracts.deploy import ZoneSpec
from contracts.events import Delivered
from oracle import feed
from oracle.jobs import BatchResult, close_provers, prove_batch
from oracle.workers import Workers

pytestmark = [pytest.mark.needs("key", "node", "anvil"), pytest.mark.slow]


class PowerCutError(BaseException):
    """What no handler in the product catches."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with delivery.delivered(tmp_path_factory.mktemp("delivery")) as house:
        yield house


@pytest.fixture
def house(world: House) -> Iterator[House]:
    """The same session for every test, with nothing of it proven."""
    ctx = world.ctx
    chain: Any = ctx.chain
    snapshot = chain._rpc("evm_snapshot")
    indexed = ctx.database.get_meta("indexed")
    assert indexed is not None
    yield world
    ctx.workers.close()
    ctx.workers = Workers(1, timeout=ctx.settings.proof_timeout_s)
    chain._rpc("evm_revert", snapshot)
    with ctx.database.session() as db:
        for table in (DeliveryProof, DeliveryRecord, SettledRow):
            db.execute(delete(table))
        db.execute(delete(Outbox).where(col(Outbox.kind).in_(["prove", "settle"])))
        db.execute(update(MarketSession).values(rounding=None))
    ctx.database.set_meta("indexed", indexed)


def prove(house: House) -> list[str]:
    return list(house.api.post("/sessions/1/proofs")["done"])


def recorded(ctx: Context) -> list[int]:
    """Accounts in the order in which the contract recorded them, from its events."""
    found = []
    for _, event in ctx.client.events(None, None, Delivered):
        assert isinstance(event, Delivered)
        entries = event.entries[::4]
        found += [head & 0xFFFFFFFF for i, head in enumerate(entries) if event.recorded >> i & 1]
    return found


def states(house: House) -> dict[int, str]:
    return {d["account"]: d["state"] for d in house.api.get("/sessions/1/deliveries")["items"]}


def test_sellers_of_different_intervals_share_a_proof_and_a_transaction(house: House) -> None:
    assert prove(house) == ["session 1: 3 of 3 deliveries proven and recorded"]
    items = house.api.get("/sessions/1/deliveries")["items"]
    assert sorted(recorded(house.ctx)) == [d["account"] for d in items] == [1, 2, 3]
    assert len({tuple(bool(p) for p in d["promised"]) for d in items}) > 1, "not all sold the same"
    assert [d["batch"] for d in items] == [0, 0, 1]
    assert items[0]["prove_ms"] == items[1]["prove_ms"] != items[2]["prove_ms"]
    sent = [t for t in house.api.get("/sessions/1")["transactions"] if t["kind"] == "prove"]
    assert len(sent) == 1
    assert {d["tx"] for d in items} == {sent[0]["hash"]}
    assert 0 <= sent[0]["gas"] - sum(d["verify_gas"] for d in items) < 3
    # Each seller's delivery is told in what it sold and nowhere else.
    for d in items:
        assert all(value == 0 for value, promised in zip(d["delivered"], d["promised"], strict=True) if not promised)
    assert house.api.get("/sessions/1")["proofs"] == {"expected": 3, "proving": 0, "proven": 0, "verified": 3, "failed": 0}
    assert prove(house) == []
    assert len(recorded(house.ctx)) == 3


def test_a_worker_that_is_killed_in_the_middle_costs_time_only(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = house.folder / "mark"
    mark.unlink(missing_ok=True)
    monkeypatch.setenv("WATTPROOF_TEST_MARK", str(mark))
    monkeypatch.setattr(feed, "prove_batch", delivery.prove_and_wait)
    done: list[str] = []
    thread = threading.Thread(target=lambda: done.extend(prove(house)))
    thread.start()
    while not (mark.exists() and mark.read_text()):
        thread.join(0.05)
        assert thread.is_alive()
    assert set(states(house).values()) == {"proving"}
    assert house.api.get("/sessions/1")["proofs"]["proving"] == 3
    killed = int(mark.read_text())
    assert house.ctx.workers.processes == [killed]
    os.kill(killed, signal.SIGKILL)
    thread.join(180)
    assert done == ["session 1: 3 of 3 deliveries proven and recorded"]
    assert sorted(recorded(house.ctx)) == [1, 2, 3]
    assert house.ctx.workers.processes != [killed]


def test_an_account_that_cannot_be_proven_stops_nobody(house: House) -> None:
    ctx = house.ctx
    with ctx.database.session() as db:
        key = db.exec(select(MeterKey.key).where(MeterKey.account == 2)).one()
        newest = select(MeterWindow).where(MeterWindow.key == key).order_by(col(MeterWindow.day).desc())
        row = db.exec(newest.offset(5)).first()
        assert row is not None
        day, lost = row.day, row.model_copy()
        db.delete(row)
    try:
        proven, refused = prove(house)
        assert proven == "session 1: 2 of 3 deliveries proven and recorded"
        missing = f"windows: expected one of day {day}, got none"
        assert refused == f"session 1: delivery of account 2 not proven: statement: account 2: {missing}"
        assert states(house) == {1: "verified", 2: "failed", 3: "verified"}
        assert house.api.get("/sessions/1")["proofs"] == {"expected": 3, "proving": 0, "proven": 0, "verified": 2, "failed": 1}
        with ctx.working:
            assert proving.prove_session(ctx, 1, again=False) == [], "it is not tried again and again in the background"
            later(ctx)
            assert proving.prove_session(ctx, 1, again=False) == [], "nothing new has come in"
        assert prove(house) == [refused], "who asks is told again"
    finally:
        with ctx.database.session() as db:
            db.add(MeterWindow(**lost.model_dump()))
    with ctx.working:
        assert proving.prove_session(ctx, 1, again=False) == ["session 1: 1 of 1 deliveries proven and recorded"]
    assert sorted(recorded(ctx)) == [1, 2, 3]


def later(ctx: Context) -> None:
    """So much later that what failed is tried again."""
    ctx.chain.advance_to(ctx.now() + proving.RETRY_AFTER_S)


def test_what_failed_in_passing_is_tried_again_in_the_background(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prover out of time, then a chain that refuses each proof: nobody has to ask, and nothing is tried without a pause."""
    ctx = house.ctx
    good, ctx.workers = ctx.workers, Workers(1, timeout=0.001)
    with ctx.working:
        told = proving.prove_session(ctx, 1, again=False)
        assert told == [f"session 1: delivery of account {n} not proven: proof: not done after 0.001 s" for n in (1, 2, 3)]
        ctx.workers.close()
        ctx.workers = good
        assert proving.prove_session(ctx, 1, again=False) == []
        assert states(house) == dict.fromkeys((1, 2, 3), "failed")
        later(ctx)
        with monkeypatch.context() as patch:
            patch.setattr(proving, "_sent", lambda *_: "no gas today")
            told = proving.prove_session(ctx, 1, again=False)
        assert told == [f"session 1: delivery of account {n} not proven: no gas today" for n in (1, 2, 3)]
        assert proving.prove_session(ctx, 1, again=False) == []
        later(ctx)
        told = runner.run_due(ctx, patient=True)
    assert told[0] == "session 1: 3 of 3 deliveries proven and recorded"
    assert sorted(recorded(ctx)) == [1, 2, 3]


def test_who_asks_twice_at_once_is_served_once(house: House) -> None:
    answers: list[list[str]] = []
    threads = [threading.Thread(target=lambda: answers.append(prove(house))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert sorted(answers) == [[], [], ["session 1: 3 of 3 deliveries proven and recorded"]]
    assert sorted(recorded(house.ctx)) == [1, 2, 3]


def cut(*_: Any, **__: Any) -> Any:
    raise PowerCutError


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (lambda _: (proving, "_send"), 0),
        (lambda ctx: (ctx.relayer, "wait"), 1),
        (lambda ctx: (ctx.chain, "send_raw"), 1),
        (lambda ctx: (ctx.chain, "wait"), 1),
    ],
)
def test_a_power_cut_after_the_proof_loses_and_doubles_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, where: Callable[[Context], tuple[Any, str]], kept: int
) -> None:
    ctx = house.ctx
    with monkeypatch.context() as patch, ctx.working:
        patch.setattr(*where(ctx), cut)
        with pytest.raises(PowerCutError):
            proving.prove_session(ctx, 1)
    assert {row.status for row in proofs(ctx)} == {"proven" if not kept else "sent"}
    ctx.workers.close()
    again = _build(ctx.settings, ctx.chain, ZoneSpec(-28800, 60))  # the next process, on the same database and chain
    try:
        assert len(recorded(again)) == (3 if kept else 0), "what stood in the outbox was sent before anything else"
        told = runner.run_due(again)
        assert any("sellers" in line for line in told), told
        assert sorted(recorded(again)) == [1, 2, 3]
        with again.database.session() as db:
            assert len(db.exec(select(Outbox).where(Outbox.kind == "prove")).all()) == 1
        assert {row.status for row in proofs(again)} == {"verified"}
    finally:
        again.workers.close()


def proofs(ctx: Context) -> list[DeliveryProof]:
    with ctx.database.session() as db:
        return list(db.exec(select(DeliveryProof)).all())


def test_a_proof_beyond_its_time_is_given_up_and_can_be_asked_for_again(house: House) -> None:
    ctx = house.ctx
    ctx.workers.close()
    ctx.workers = Workers(1, timeout=0.2)
    told = prove(house)
    assert told == [f"session 1: delivery of account {n} not proven: proof: not done after 0.2 s" for n in (1, 2, 3)]
    ctx.workers.close()
    ctx.workers = Workers(1, timeout=120)
    assert prove(house) == ["session 1: 3 of 3 deliveries proven and recorded"]


def test_a_member_who_proved_a_part_itself_in_the_meantime_spoils_no_batch(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part overlaps what the batch would record: the contract refuses the batch, and the other is recorded alone."""
    ctx = house.ctx
    sent = proving._sent
    parted: list[int] = []

    def after_the_member(ctx: Context, session_id: int, batches: list[BatchResult]) -> str:
        if not parted:
            view = proving.sessions.view(ctx, 1)
            due = proving._due(ctx, view, again=True)
            (item,) = proving._deliveries(ctx, view, {1: due[1] & -due[1]})
            shared = proving.Shared(ctx.chain.chain_id, int(view.terms.deliveries, 16), 1, view.terms.day, view.terms.mask)
            (result,) = feed.prove_deliveries(shared, [item], ctx.proving_keys(24), feed.in_process)
            batch = result.batch
            assert batch is not None and batch.public is not None
            ctx.client.prove(ctx.relayer.keys["relayer"], 1, [ProofBatch(batch.public[0], batch.entries, batch.proof)])
            parted.append(item.mask)
        return sent(ctx, session_id, batches)

    monkeypatch.setattr(proving, "_sent", after_the_member)
    told = prove(house)
    close_provers()
    assert told[0] == "session 1: 2 of 3 deliveries proven and recorded"
    assert told[1].startswith("session 1: delivery of account 1 not proven: ")
    assert sorted(recorded(ctx)) == [1, 2, 3], "account 1 by itself"
    later(ctx)
    with ctx.working:
        told = proving.prove_session(ctx, 1, again=False)
    assert told == ["session 1: 1 of 1 deliveries proven and recorded"], "the rest of what it sold, though nobody asked"
    assert sorted(recorded(ctx)) == [1, 1, 2, 3]
    assert ctx.client.recorded(1, 1) == proving.sessions.view(ctx, 1).terms.mask


def test_nothing_is_proven_that_the_contract_would_not_take(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = house.ctx
    view = proving.sessions.view(ctx, 1)
    monkeypatch.setattr(feed, "prove_batch", cut)
    ctx.chain.advance_to(view.terms.proof_deadline + 1)
    assert prove(house) == []
    assert states(house) == dict.fromkeys((1, 2, 3), "failed")
    assert not ctx.workers.processes


def test_ending_the_process_ends_its_proofs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = house.folder / "mark-of-the-end"
    monkeypatch.setenv("WATTPROOF_TEST_MARK", str(mark))
    monkeypatch.setattr(feed, "prove_batch", delivery.prove_and_wait)
    done: list[str] = []
    thread = threading.Thread(target=lambda: done.extend(prove(house)))
    thread.start()
    while not (mark.exists() and mark.read_text()):
        thread.join(0.05)
        assert thread.is_alive()
    house.ctx.workers.close()
    thread.join(20)
    assert not thread.is_alive()
    assert done == []
    assert recorded(house.ctx) == []
    assert not os.path.exists(f"/proc/{mark.read_text()}")


def test_the_prover_and_this_process_agree_on_what_is_proven(house: House) -> None:
    """What the workers put on chain is what the same job says here."""
    ctx = house.ctx
    view = proving.sessions.view(ctx, 1)
    items = proving._deliveries(ctx, view, proving._due(ctx, view, again=True))
    shared = proving.Shared(ctx.chain.chain_id, int(view.terms.deliveries, 16), 1, view.terms.day, view.terms.mask)
    here = {r.batch.public[0] for r in feed.prove_deliveries(shared, items, ctx.proving_keys(24), feed.in_process)}  # type: ignore
    close_provers()
    prove(house)
    assert {e.chain for _, e in ctx.client.events(None, None, Delivered)} == here  # type: ignore[union-attr]
    assert prove_batch.__module__ == "oracle.jobs"
