"""Meters that signed two histories: what was found is reported to the chain, which suspends their keys.

The windows stay here; the chain sees a proof. Who can see both windows can report the same without this service
(`wattproof meter report-fork`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session, col, select

from app.context import Context
from app.database import Fork, MeterKey, Outbox
from app.deployed import fork_key
from app.outbox import enqueue
from app.services import accounts
from contracts.refusals import ContractRefusal
from oracle.evidence import prove_fork
from zk.forks import ForkError
from zk.windows import Window

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ForkView:
    """A fork without its windows. `interval` is T where two final heads differ; `account` is None where no account holds the
    key on this chain."""

    account: int | None
    key: str
    day: int
    interval: int
    status: Literal["kept", "failed", "sent", "suspended"]
    error: str | None
    tx: str | None


def listed(ctx: Context) -> list[ForkView]:
    """Every fork that was found, the oldest first."""
    ctx.refresh()
    with ctx.database.session() as db:
        return [_view(row, db.get(MeterKey, row.key), _sent(row, db)) for row in db.exec(select(Fork).order_by(col(Fork.id)))]


def report_forks(ctx: Context) -> list[str]:
    """Proves and reports every fork whose key is still in force; returns what was done.

    A report that the chain refuses is told and not tried again; trouble with prover or node is raised.
    """
    with ctx.database.session() as db:
        waiting = [row.id for row in db.exec(select(Fork).where(col(Fork.status).in_(["kept", "sent"]))).all()]
    done = []
    for number in waiting:
        assert number is not None
        told = _report(ctx, number)
        if told:
            done.append(told)
    return done


def _report(ctx: Context, number: int) -> str:
    with ctx.database.session() as db:
        row = db.get_one(Fork, number)
        bound, sent = db.get(MeterKey, row.key), _sent(row, db)
        key = accounts.point(db, row.key)
    if bound is None:
        return ""  # the chain went back; the binding is sent again
    if bound.suspended:
        return _store(
            ctx, number, "suspended", f"the meter key of account {bound.account} is suspended: it signed two histories"
        )
    if row.status == "sent":
        assert sent is not None
        return _failed(ctx, number, bound, sent.error or "") if sent.status == "failed" else ""
    one, other = Window.from_record(row.one), Window.from_record(row.other)
    intervals = len(one.readings)
    if f"ForkVerifier{intervals}" not in ctx.deployment.contracts:
        return ""
    try:
        report = prove_fork(one, other, key, fork_key(ctx.settings.zk_key, intervals))
        call = ctx.client.encode_report_fork(report.key, report.day, report.interval, report.proof)
        ctx.client.simulate(ctx.address("operator"), call)
    except (ForkError, ContractRefusal) as error:
        ctx.refresh()
        with ctx.database.session() as db:
            suspended = db.get_one(MeterKey, row.key).suspended  # somebody else was first
        return _report(ctx, number) if suspended else _failed(ctx, number, bound, str(error))
    with ctx.database.session() as db:
        queued = enqueue(db, "fork", "operator", call)
        stored = db.get_one(Fork, number)
        stored.status, stored.outbox = "sent", queued.id
        db.add(stored)
    ctx.relayer.flush()
    ctx.refresh()
    return _report(ctx, number)


def _failed(ctx: Context, number: int, bound: MeterKey, error: str) -> str:
    log.warning("the fork of the meter of account %s could not be reported", bound.account)
    return _store(ctx, number, "failed", f"the fork of the meter of account {bound.account} could not be reported: {error}")


def _store(ctx: Context, number: int, status: Literal["failed", "suspended"], told: str) -> str:
    with ctx.database.session() as db:
        row = db.get_one(Fork, number)
        row.status = status
        row.error = told if status == "failed" else None
        db.add(row)
    return told


def _sent(row: Fork, db: Session) -> Outbox | None:
    return db.get(Outbox, row.outbox) if row.outbox is not None else None


def _view(row: Fork, bound: MeterKey | None, sent: Outbox | None) -> ForkView:
    status: Literal["kept", "failed", "sent", "suspended"] = "kept"
    if bound is not None and bound.suspended:
        status = "suspended"
    elif row.status in ("failed", "sent"):
        status = "failed" if row.status == "failed" else "sent"
    return ForkView(
        bound.account if bound else None, row.key, row.day, row.interval, status, row.error, sent.transaction if sent else None
    )
