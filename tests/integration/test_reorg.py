"""The chain takes blocks back: what the application shows stays what the chain holds, what was sent is sent again, once.

On an anvil that mines by the clock, a block a second, as public chains do; reorganisations are anvil's own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Signer
from eth_hash.auto import keccak
from sqlmodel import SQLModel, select

from app import migrate
from app.context import Context, build
from app.database import (
    Account,
    Database,
    DeliveryRecord,
    Exemption,
    LogBatch,
    MarketSession,
    MeterKey,
    Outbox,
    Promise,
    Proposal,
    Reading,
    Replaced,
    SettledRow,
    ZoneRow,
)
from app.demo.plan import start_time
from app.indexer import Indexer
from app.outbox import enqueue
from app.services import accounts, metering, orders, sessions
from app.services.runner import Runner
from app.settings import Settings
from contracts import events
from contracts.encoding import ScheduleOrder, Step, batch_words, extend_log
from contracts.typed_data import order_batch
from contracts.units import Direction, Kind, Mode, Side
from settlement import rules as rule_sets
from zk.eddsa import PrivateKey

pytestmark = [pytest.mark.needs("key", "anvil"), pytest.mark.slow]

REBUILT = (
    LogBatch, Proposal, Promise, DeliveryRecord, Exemption, Replaced, SettledRow, MarketSession, MeterKey, Account, ZoneRow,
)  # fmt: skip
DEPTH = 5


def key_of(name: str) -> bytes:
    return bytes(keccak(f"reorganised {name}".encode()))


def address_of(name: str) -> str:
    return str(Signer.from_key(key_of(name)).address)


def rpc(ctx: Context, method: str, *parameters: Any) -> Any:
    return ctx.chain._rpc(method, *parameters)  # type: ignore[attr-defined]


def mine_by_the_clock(ctx: Context) -> None:
    rpc(ctx, "evm_setAutomine", False)
    rpc(ctx, "evm_setIntervalMining", 1)


def blocks_pass(ctx: Context, count: int) -> None:
    until = ctx.chain.block().number + count
    while ctx.chain.block().number < until:
        time.sleep(0.05)


def reorganise(ctx: Context, depth: int, instead: list[bytes] | None = None) -> None:
    """Replaces the last `depth` blocks; `instead` are mined in the first of the new ones, what was in the old ones is gone."""
    last = ctx.chain.block().number - depth
    before = ctx.chain.block(last + 1).hash
    rpc(ctx, "anvil_reorg", depth, [["0x" + raw.hex(), 0] for raw in instead or []])
    rpc(ctx, "anvil_dropAllTransactions")
    assert ctx.chain.block(last + 1).hash != before


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    settings = Settings(data_dir=tmp_path / "var", chain="anvil", database_url=None, operator_token=None, proof_sizes=(1,))
    made = build(settings, start_time=start_time(), persist=False)
    try:
        made.chain.fund(address_of("outsider"))
        yield made
    finally:
        made.close()


def join(ctx: Context, name: str, meter: bool = True) -> int:
    """An account with money, and a meter key in force on the session's day."""
    account = accounts.register(ctx, address_of(name), name).index
    accounts.fund(ctx, account, 50_000_000)
    if meter:
        today = ctx.client.day_of(1, ctx.now())
        accounts.bind_meter(ctx, account, PrivateKey(key_of(f"meter {name}")).public, 1, today)
    return account


def open_session(ctx: Context) -> int:
    day = ctx.client.day_of(1, ctx.now()) + 20
    end = ctx.client.interval_start(1, day, 24)
    return sessions.open_session(
        ctx, zone=1, kind=Kind.ELECTRICAL, direction=Direction.DOWN, mode=Mode.COMPETITIVE, day=day, mask=0b11 << 10,
        gate_open=ctx.now(), gate_close=ctx.now() + 86_400, exemption_deadline=end + 3600, proof_deadline=end + 7200,
        price_cap=500_000, min_quantity=10, rules=rule_sets.shipped()[0],
    )  # fmt: skip


def place(ctx: Context, session: int, name: str, account: int, side: Side, quantity: int) -> orders.Submitted:
    """Hands a signed order in as the API does."""
    order = ScheduleOrder(account, side, (Step((quantity, quantity), (200_000, 200_000)),))
    words = batch_words([order], sessions.view(ctx, session).terms)
    nonce = random.getrandbits(200)
    batch = order_batch(session, words, nonce, 0, ctx.now() + 80_000)
    signed = batch.sign(ctx.client.domain, key_of(name))
    return orders.submit(
        ctx,
        session,
        signer=signed.signer,
        words=words,
        nonce=nonce,
        counter=0,
        deadline=batch.deadline,
        signature=signed.signature,
    )


def dump(database: Database) -> dict[str, list[dict[str, Any]]]:
    """What is rebuilt from the chain, without what only this database numbers or knows."""
    with database.session() as db:
        return {
            table.__name__: [row.model_dump(exclude={"label"} | _numbering(table)) for row in db.exec(select(table)).all()]
            for table in REBUILT
        }


def _numbering(table: type[SQLModel]) -> set[str]:
    return {"id"} if table not in (MarketSession, ZoneRow) else set()


def check(ctx: Context, folder: Path) -> None:
    """The view that followed is the view from scratch, which is what the contracts say; every transaction is mined once."""
    ctx.refresh()
    scratch = Database(f"sqlite:///{folder / f'scratch-{random.getrandbits(64)}.sqlite'}")
    migrate.upgrade(str(scratch.engine.url))
    Indexer(scratch, ctx.client).sync()
    assert dump(ctx.database) == dump(scratch)
    scratch.close()

    client = ctx.client
    found, _ = accounts.page(ctx, None, 0, 1000)
    assert [view.index for view in found] == list(range(1, client.accounts() + 1))
    for view in found:
        assert view.owner == client.owner_of(view.index)
        assert (view.available, view.locked) == (client.balance(view.index).available, client.balance(view.index).locked)
    assert sessions.all_ids(ctx) == list(range(client.sessions(), 0, -1))
    for session in sessions.all_ids(ctx):
        state = bytes(32)
        for batch in sessions.view(ctx, session).batches:
            state = extend_log(state, [int(word, 16) for word in batch.words])
        assert state == client.log(session)
    held = sum(view.available + view.locked for view in found) + sum(client.escrow(s) for s in sessions.all_ids(ctx))
    assert client.token_balance(ctx.deployment.contracts["Vault"]) == held

    with ctx.database.session() as db:
        rows = db.exec(select(Outbox)).all()
    assert {row.status for row in rows} == {"confirmed"}, [(row.kind, row.status, row.error) for row in rows]
    receipts = [ctx.chain.receipt(row.transaction or "") for row in rows]
    assert [row.block for row in rows] == [receipt.block if receipt else None for receipt in receipts]
    assert len({row.transaction for row in rows}) == len(rows)


def logged(ctx: Context) -> list[tuple[str, int]]:
    return [(e.signer, e.session) for _, e in ctx.client.events(None, None, events.Orders) if isinstance(e, events.Orders)]


def test_five_blocks_are_taken_back(ctx: Context, tmp_path: Path) -> None:
    people = {name: join(ctx, name) for name in ("anna", "bojan", "cilka")}
    session = open_session(ctx)
    mine_by_the_clock(ctx)
    early = place(ctx, session, "anna", people["anna"], Side.OFFER, 500)
    blocks_pass(ctx, DEPTH)
    late = [
        place(ctx, session, "bojan", people["bojan"], Side.BID, 300),
        place(ctx, session, "cilka", people["cilka"], Side.BID, 200),
    ]
    assert [s.status for s in (early, *late)] == ["confirmed"] * 3
    assert (early.positions, late[0].positions, late[1].positions) == ([0], [1], [2])
    mined = {s.tx: ctx.chain.receipt(s.tx or "").block for s in (early, *late)}  # type: ignore[union-attr]
    head = ctx.chain.block().number
    assert mined[early.tx] <= head - DEPTH < min(mined[s.tx] for s in late)
    check(ctx, tmp_path)

    reorganise(ctx, DEPTH)
    ctx.refresh()
    assert [orders.submission(ctx, s.id).status for s in (early, *late)] == ["confirmed", "pending", "pending"]
    assert len(sessions.view(ctx, session).batches) == 1, "the page shows what the chain has, not what it had"
    assert ctx.send_again() == 2
    again = [orders.submission(ctx, s.id) for s in (early, *late)]
    assert [(s.status, s.tx, s.positions) for s in again] == [
        ("confirmed", s.tx, positions) for s, positions in zip((early, *late), ([0], [1], [2]), strict=True)
    ], "the same transactions, under the same hashes"
    assert len(logged(ctx)) == 3
    check(ctx, tmp_path)


def test_others_came_first_on_the_new_branch(ctx: Context, tmp_path: Path) -> None:
    """Numbers of accounts change hands: labels and readings go with their owners, and nobody is shown another's."""
    mine_by_the_clock(ctx)
    kept = accounts.register(ctx, address_of("anna"), "anna").index
    blocks_pass(ctx, DEPTH)
    lost = accounts.register(ctx, address_of("bojan"), "bojan").index
    assert (kept, lost) == (1, 2)
    metering.import_csv(ctx, "account,interval_start,net_load_wh,pv_wh\n" + day_of_readings(ctx, lost))
    call = ctx.client.encode_register(address_of("outsider"))
    other = ctx.chain.prepare(call.to, call.data, key_of("outsider"), gas=300_000)
    reorganise(ctx, DEPTH, [other.raw])
    found, _ = accounts.page(ctx, None, 0, 10)
    assert [(view.owner, view.label) for view in found] == [(address_of("anna"), "anna"), (address_of("outsider"), None)]
    assert readings(ctx, 2) == 0, "the readings are not the newcomer's"
    assert ctx.send_again() == 1
    found, _ = accounts.page(ctx, None, 0, 10)
    assert [(view.owner, view.label) for view in found] == [
        (address_of("anna"), "anna"), (address_of("outsider"), None), (address_of("bojan"), "bojan"),
    ]  # fmt: skip
    assert (readings(ctx, 2), readings(ctx, 3)) == (0, 24)
    check(ctx, tmp_path)


def day_of_readings(ctx: Context, account: int) -> str:
    from datetime import UTC, datetime

    zone = ctx.zone(1)
    start = zone.interval_start(ctx.client.day_of(1, ctx.now()) - 2, 0)
    times = (datetime.fromtimestamp(start + 3600 * t, UTC).isoformat() for t in range(24))
    return "".join(f"{account},{moment},{100 + t},0\n" for t, moment in enumerate(times))


def readings(ctx: Context, account: int) -> int:
    with ctx.database.session() as db:
        return len(db.exec(select(Reading).where(Reading.account == account)).all())


def test_what_was_confirmed_and_not_taken_in_yet_is_sent_again(ctx: Context, tmp_path: Path) -> None:
    """The blocks are gone before the indexer has read them, and others stand in their place: it alone would not notice."""
    mine_by_the_clock(ctx)
    ctx.refresh()
    with ctx.database.session() as db:
        row = enqueue(db, "register", "operator", ctx.client.encode_register(address_of("anna"))).id
    assert row is not None and ctx.relayer.wait(row).status == "confirmed"
    reorganise(ctx, 2)
    assert ctx.client.accounts() == 0
    ctx.send_again()
    assert ctx.client.accounts() == 1
    check(ctx, tmp_path)


def test_a_nonce_that_nobody_has_any_more_does_not_stop_what_follows(ctx: Context, tmp_path: Path) -> None:
    """A transaction past the outbox was between two of its own, and is gone."""
    mine_by_the_clock(ctx)
    accounts.register(ctx, address_of("anna"), None)
    blocks_pass(ctx, DEPTH)
    call = ctx.client.encode_register(address_of("outsider"))
    ctx.chain.transact(call.to, call.data, ctx.relayer.keys["operator"])
    accounts.register(ctx, address_of("bojan"), None)
    reorganise(ctx, DEPTH)
    assert ctx.send_again() == 1
    assert [view.owner for view in accounts.page(ctx, None, 0, 10)[0]] == [address_of("anna"), address_of("bojan")]
    check(ctx, tmp_path)


def test_the_background_work_sends_again_by_itself(ctx: Context, tmp_path: Path) -> None:
    mine_by_the_clock(ctx)
    accounts.register(ctx, address_of("anna"), "anna")
    reorganise(ctx, 2)
    assert ctx.client.accounts() == 0
    runner = Runner(ctx, every_s=0.2)
    runner.start()
    until = time.monotonic() + 30
    while ctx.client.accounts() == 0 and time.monotonic() < until:
        time.sleep(0.1)
    runner.stop()
    assert [view.label for view in accounts.page(ctx, None, 0, 10)[0]] == ["anna"]
    check(ctx, tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_any_reorganisations(ctx: Context, tmp_path: Path, seed: int) -> None:
    """Orders, registrations and reorganisations in any order: the view that followed is the view from scratch."""
    chance = random.Random(seed)
    people = {name: join(ctx, name) for name in ("anna", "bojan")}
    session = open_session(ctx)
    mine_by_the_clock(ctx)
    blocks_pass(ctx, DEPTH)
    placed, registered = 0, 2
    for round_number in range(6):
        match chance.choice(["order", "register", "reorganise", "reorganise"]):
            case "order":
                name = chance.choice(sorted(people))
                place(ctx, session, name, people[name], Side.BID, chance.randrange(10, 900))
                placed += 1
            case "register":
                accounts.register(ctx, address_of(f"guest {round_number}"), None)
                registered += 1
            case _:
                reorganise(ctx, chance.randint(1, DEPTH))
                if chance.random() < 0.5:
                    ctx.refresh()
                if chance.random() < 0.5:
                    blocks_pass(ctx, 1)
                ctx.send_again()
        check(ctx, tmp_path)
    assert (len(logged(ctx)), ctx.client.accounts()) == (placed, registered)
