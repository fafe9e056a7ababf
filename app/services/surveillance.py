"""Surveillance of sessions whose gate has closed: alerts are kept here, decisions about them stand on chain.

What the detectors see of a session is final when its gate closes: its log, and the logs of sessions whose gates closed before.
Alerts are made from that once, and anew where the chain has taken any of it back. The two detectors that need metered load run
only where `surveillance_loads` lets this process use the readings that it holds (docs/surveillance.md).
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from eth_hash.auto import keccak
from sqlmodel import Session, col, select

from app.context import Context
from app.database import Account, Alert, Decision, LogBatch, MarketSession, Outbox, Promise, Screening, known
from app.errors import Refused, told
from app.readings import DatabaseReadings
from app.services import explaining, sessions
from contracts.encoding import decode_entries
from contracts.units import SessionState
from market.clearing.engine import CLEARED_FROM_LOG
from market.orders import OrderBook
from market.session import SessionTerms
from market.surveillance import detect, evidence, parameters
from market.surveillance.case import Case, Loads
from market.surveillance.evidence import Detector, Finding
from market.surveillance.explain import IntervalExplanation
from market.surveillance.observed import Observed
from oracle.forecast import forecast_day
from oracle.readings import ReadingSeries, series_of

log = logging.getLogger(__name__)

ROLE = "guardian"

OUTCOMES = ("dismissed", "confirmed")
"""What a decision can come to, by its number on chain."""

HISTORY = 150
"""Latest earlier sessions of the same product that detectors are handed."""


@dataclass(frozen=True)
class Judged:
    """An alert and the decisions about it, in the order of the chain; an alert without one is open."""

    alert: Alert
    decisions: tuple[Decision, ...]

    @property
    def open(self) -> bool:
        return not self.decisions


def screen_due(ctx: Context) -> list[str]:
    """Screens sessions whose gate has closed and that were not screened yet, oldest first, until `surveillance_seconds` have
    passed; returns what was found. Whoever moves sessions on calls it afterwards and without holding `ctx.working`."""
    done: list[str] = []
    p = parameters.load()
    with ctx.screening:
        started = time.monotonic()
        for session_id in reversed(sessions.all_ids(ctx)):
            if ctx.screened.get(session_id) == ctx.indexer.rebuilt:
                continue
            try:
                done += _screen(ctx, session_id, p)
            except Exception as error:  # the surveillance of one session does not keep the others from theirs
                log.error("session %d: surveillance failed: %s", session_id, told(error))
                done.append(f"session {session_id}: surveillance failed: {type(error).__name__}")
                ctx.screened[session_id] = ctx.indexer.rebuilt
            if time.monotonic() - started >= ctx.settings.surveillance_seconds:
                break  # the next round goes on here
    return done


def alerts(ctx: Context, *, session: int | None = None, detector: str | None = None, only_open: bool = False) -> list[Judged]:
    """Alerts, newest first."""
    ctx.refresh()
    with ctx.database.session() as db:
        wanted = select(Alert).order_by(col(Alert.session).desc(), col(Alert.id).desc())
        if session is not None:
            wanted = wanted.where(Alert.session == session)
        if detector is not None:
            wanted = wanted.where(Alert.detector == detector)
        found = [_judged(db, row) for row in db.exec(wanted).all()]
    return [judged for judged in found if judged.open or not only_open]


def alert(ctx: Context, alert_id: int) -> Judged:
    """One alert; refused where there is none of that number."""
    ctx.refresh()
    with ctx.database.session() as db:
        return _judged(db, known(db.get(Alert, alert_id), "alert", alert_id))


def decide(ctx: Context, alert_id: int, outcome: str, reason: str) -> Judged:
    """Records on chain what the guardian decided; an earlier decision about the same alert stands beside it."""
    found = alert(ctx, alert_id).alert
    if outcome not in OUTCOMES:
        raise Refused("That is no outcome.", field="outcome", expected=" or ".join(OUTCOMES), got=outcome)
    call = ctx.client.encode_decide(found.session, bytes.fromhex(found.hash[2:]), OUTCOMES.index(outcome), reason)
    ctx.send("decide", ROLE, call, found.session)
    return alert(ctx, alert_id)


def explanation(ctx: Context, session_id: int, most: int) -> tuple[tuple[IntervalExplanation, ...], int]:
    """Why a session's prices are what they are, with what each of the `most` participants that trade most changed, and how many
    were left out. Refused before the gate has closed, and where a result does not follow from the log."""
    view = sessions.view(ctx, session_id)
    _require_closed(ctx, view)
    excluded = view.book.excluded if view.certificates is not None and view.state is not SessionState.UNDER_REVIEW else ()
    book = OrderBook(view.terms, view.book.orders, frozenset(excluded))
    return explaining.explained(ctx.explanations, book, [b.words for b in view.batches], view.sold_before, most)


def _require_closed(ctx: Context, view: sessions.SessionView) -> None:
    if view.terms.mode not in CLEARED_FROM_LOG:
        raise Refused(
            "The prices of this session do not follow from its orders alone.",
            status=409,
            field="session",
            expected=" or ".join(mode.name.lower() for mode in CLEARED_FROM_LOG),
            got=view.terms.mode.name.lower(),
        )
    if ctx.now() < view.terms.gate_close:
        raise Refused(
            "Orders can still change.",
            status=409,
            field="session",
            expected="a session whose gate has closed",
            got="an open one",
        )


def _screen(ctx: Context, session_id: int, p: parameters.Parameters) -> list[str]:
    """Screens one session unless its gate is open, or nothing has changed since the last time."""
    rebuilt = ctx.indexer.rebuilt
    view = sessions.view(ctx, session_id)
    if view.terms.mode not in CLEARED_FROM_LOG:
        ctx.screened[session_id] = rebuilt
        return []
    if ctx.now() < view.terms.gate_close:
        return []
    observed = _observed(ctx, view, OrderBook(view.terms, view.book.orders))
    earlier = _earlier(ctx, view.terms)
    facts = _facts(ctx, observed, view, earlier, p)
    with ctx.database.session() as db:
        kept = db.get(Screening, session_id)
        if kept is not None and kept.facts == facts:
            ctx.screened[session_id] = rebuilt
            return []
    end = time.monotonic() + ctx.settings.surveillance_seconds
    history = _history(ctx, earlier, end - ctx.settings.surveillance_seconds / 2)
    loads = _loads(ctx, view.terms, p) if ctx.settings.surveillance_loads else None
    found = detect.run(Case(observed, history, p, loads), end - time.monotonic())
    if len(history) < len(earlier):
        left_out = {"sessions_not_looked_at": len(earlier) - len(history)}
        found.append(Finding(Detector.PRICE_SCORE, session_id, view.terms.intervals, figures=left_out))
    now = ctx.now()
    rows: dict[bytes, Alert] = {}
    for finding in found:
        document = finding.document(p.hash)
        salted = evidence.salted(document, secrets.token_bytes(evidence.SALT_BYTES))
        rows[evidence.canonical(document)] = Alert(
            session=session_id,
            hash="0x" + evidence.evidence_hash(salted).hex(),
            detector=finding.detector.value,
            severity=finding.severity.value,
            evidence=salted,
            made=now,
        )
    with ctx.database.session() as db:
        kept_rows = db.exec(select(Alert).where(Alert.session == session_id)).all()
        for row in kept_rows:  # what is found again keeps its number, its salt and so its hash
            found_again = rows.pop(evidence.canonical(evidence.unsalted(row.evidence)), None) is not None
            if not found_again and _judged(db, row).open:  # nobody could say later what a decision was about
                db.delete(row)
        for row in rows.values():
            db.add(row)
        db.merge(Screening(session=session_id, facts=facts, made=now))
    ctx.screened[session_id] = rebuilt
    return [f"session {session_id}: {row.severity} {row.detector}" for row in rows.values()]


def _earlier(ctx: Context, terms: SessionTerms) -> list[int]:
    """Earlier sessions of the product whose gates had closed by the time this one's did, oldest first."""
    with ctx.database.session() as db:
        rows = db.exec(
            select(MarketSession).where(MarketSession.id < terms.session).order_by(col(MarketSession.id).desc())
        ).all()
    alike = [
        row.id
        for row in rows
        if all(int(row.terms[name]) == int(getattr(terms, name)) for name in ("kind", "direction", "mode"))
        and int(row.terms["zone"]) == terms.zone.number
        and int(row.terms["gate_close"]) <= terms.gate_close
    ]
    return alike[:HISTORY][::-1]


def _history(ctx: Context, earlier: Sequence[int], until: float) -> list[Observed]:
    """Earlier sessions, oldest first; without the oldest of them once the clock (`time.monotonic`) is past `until`."""
    found: list[Observed] = []
    for session_id in reversed(earlier):
        if time.monotonic() >= until:
            break
        other = sessions.view(ctx, session_id)
        found.append(_observed(ctx, other, OrderBook(other.terms, other.book.orders)))
    return found[::-1]


def _observed(ctx: Context, view: sessions.SessionView, book: OrderBook) -> Observed:
    intervals = len(view.terms.intervals)
    times = []
    for batch in view.batches:
        entries = sum(1 for _ in decode_entries([int(word, 16) for word in batch.words], intervals))
        times += [_time(ctx, batch)] * entries
    with ctx.database.session() as db:
        owners = {row.index: row.owner.lower() for row in db.exec(select(Account)).all()}
    return Observed(book, tuple(times), view.sold_before, owners)


def _time(ctx: Context, batch: LogBatch) -> int:
    """When a batch came onto the chain, Unix seconds."""
    with ctx.database.session() as db:
        sent = db.exec(select(Outbox.chain_time).where(Outbox.transaction == batch.transaction)).first()
    if sent is not None:
        return sent
    receipt = ctx.chain.receipt(batch.transaction)
    if receipt is None:
        raise RuntimeError("the chain does not know a transaction of its own log")
    return ctx.chain.block(receipt.block).timestamp


def _facts(
    ctx: Context, observed: Observed, view: sessions.SessionView, earlier: Sequence[int], p: parameters.Parameters
) -> str:
    """A hash of all that alerts are made of, metered load apart: the session's own facts, and the hashes of earlier sessions,
    which are screened before."""
    with ctx.database.session() as db:
        before = [row.facts if (row := db.get(Screening, id_)) is not None else None for id_ in earlier]
    accounts = {number for order in view.book.orders for number in (order.account, order.agent)}
    told_of = [
        str(view.terms),
        [[batch.words, batch.transaction] for batch in view.batches],
        observed.times,
        sorted(view.sold_before.items()),
        [[account, observed.owner(account)] for account in sorted(accounts)],
        p.hash.hex(),
        before,
    ]
    digest: bytes = keccak(json.dumps(told_of).encode())
    return "0x" + digest.hex()


def _loads(ctx: Context, terms: SessionTerms, p: parameters.Parameters) -> Loads | None:
    """Metered net load of the zone's accounts before the session's day, and what was forecast; None without readings."""
    b = p.baseline
    first = terms.day - max(b.days + b.history_days, b.choice_days)
    store = DatabaseReadings(ctx.database, terms.zone)
    series = {int(meter): series_of(days) for meter in store.meters() if (days := store.days(meter, first, terms.day - 1))}
    series = {account: found for account, found in series.items() if account > 0}
    if not series:
        return None
    shape = (terms.day - first, terms.zone.intervals)
    net, expected = ({account: np.full(shape, np.nan) for account in series} for _ in range(2))
    for account, found in series.items():
        for row, day in enumerate(found.days):
            if first <= day < terms.day:
                net[account][day - first] = np.where(found.valid[row], found.net[row], np.nan)
    for day in range(max(first, terms.day - b.choice_days), terms.day):
        for account, values in _expected(series, day, terms).items():
            expected[account][day - first] = values
    with ctx.database.session() as db:
        rows = db.exec(select(Promise).where(Promise.day >= first, Promise.day < terms.day, col(Promise.event_day))).all()
    events = {account: frozenset(row.day for row in rows if row.account == account) for account in series}
    return Loads(first, net, events, expected)


def _expected(series: dict[int, ReadingSeries], day: int, terms: SessionTerms) -> dict[int, tuple[int, ...]]:
    before = {account: found for account, found in series.items() if found.until(day).valid.any()}
    if not before:
        return {}
    made = forecast_day(list(before.values()), day, terms.zone.is_working_day)
    return {int(item.meter): item.load for item in made}


def _judged(db: Session, row: Alert) -> Judged:
    made = db.exec(
        select(Decision).where(Decision.session == row.session, Decision.alert == row.hash).order_by(col(Decision.id))
    ).all()
    return Judged(row, tuple(made))


def exclusion(found: Alert) -> dict[str, Any] | None:
    """What the guardian could exclude by this alert: its suspect orders and the hash of its evidence; None without suspects."""
    orders = found.evidence["suspects"]
    return {"orders": orders, "evidence": found.hash} if orders else None
