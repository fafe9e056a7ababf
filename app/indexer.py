"""Takes the chain's events into the database, block by block, each event once. The tables it fills can be rebuilt from
the chain.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import delete, func, update
from sqlmodel import Session, col, select

from app.database import (
    Account,
    Database,
    Decision,
    DeliveryRecord,
    Exemption,
    LogBatch,
    MarketSession,
    Meta,
    MeterKey,
    Promise,
    Proposal,
    Reading,
    Replaced,
    SettledRow,
    ZoneRow,
)
from contracts import events
from contracts.chain import Block, ChainError, Log
from contracts.client import MarketClient
from contracts.deliveries import recorded_entries
from contracts.units import Side

log = logging.getLogger(__name__)

_REBUILT = (
    LogBatch, Proposal, Promise, DeliveryRecord, Exemption, Decision, Replaced, SettledRow, MarketSession, MeterKey, Account,
    ZoneRow,
)  # fmt: skip
"""Tables that hold nothing but what the chain says."""

_POSITION = "indexed"
_ASIDE = "aside"

ATTEMPTS = 5
"""How often blocks are read again because the chain changed meanwhile."""


class Indexer:
    """Follows one deployment."""

    def __init__(self, database: Database, client: MarketClient) -> None:
        self.database = database
        self.client = client
        self.rebuilt = 0
        """How often everything was taken in anew."""
        self._lock = threading.Lock()

    def sync(self) -> int:
        """Takes in every block up to the latest; returns the number of events.

        Blocks and position are stored together, so that a crash neither loses nor doubles an event. Where the chain no longer
        has the block that was taken in last (a reorganisation, or a development chain that lost its last second), everything is
        taken in anew. Events are taken in only if the block up to which they were read is still there afterwards: otherwise
        they could be of two branches.
        """
        with self._lock:
            for _ in range(ATTEMPTS):
                latest = self.client.chain.block()
                position = self._position()
                if position == (latest.number, latest.hash):
                    return 0
                anew = position is not None and not self.client.chain.holds(*position)
                first = self.client.deployment.block if position is None or anew else position[0] + 1
                found = list(self.client.events(first, latest.number))
                if self.client.chain.holds(latest.number, latest.hash):
                    return self._take_in(found, latest, anew)
        raise ChainError(f"the chain changed {ATTEMPTS} times while it was read; trying again helps")

    def _position(self) -> tuple[int, str] | None:
        """Number and hash of the last block that was taken in."""
        with self.database.session() as db:
            row = db.get(Meta, _POSITION)
        if row is None:
            return None
        number, block_hash = row.value.split()
        return int(number), block_hash

    def _take_in(self, found: list[tuple[Log, events.Event]], latest: Block, anew: bool) -> int:
        taken = 0
        with self.database.session() as db:
            before = {account.index: account.model_copy() for account in db.exec(select(Account)).all()}
            if anew:
                self._forget(db)
            for where, event in found:
                handler = _HANDLERS.get(type(event))
                if handler is not None:
                    handler(db, event, where)
                    db.flush()
                    taken += 1
            _keep_private(db, before)
            db.merge(Meta(key=_POSITION, value=f"{latest.number} {latest.hash}"))
        return taken

    def _forget(self, db: Session) -> None:
        """Empties what is rebuilt from the chain."""
        log.warning("the chain no longer has the last block that was taken in: rebuilding from its log")
        for table in _REBUILT:
            db.execute(delete(table))
        db.expire_all()
        self.rebuilt += 1


def _keep_private(db: Session, before: dict[int, Account]) -> None:
    """What only this database knows of an account, its label and readings, belongs to its owner, not to its number.

    After a reorganisation a number may be another's, and an owner may have another number, or none until the registration has
    been sent again: until then its readings are set aside, under a negative number that no account has.
    """
    now = {account.index: account for account in db.exec(select(Account)).all()}
    kept = db.get(Meta, _ASIDE)
    aside: list[list[Any]] = json.loads(kept.value) if kept is not None else []
    lowest = min([0, *(number for number, _, _ in aside)])
    for index, old in before.items():
        if index in now and now[index].owner == old.owner:
            now[index].label = now[index].label or old.label
            continue
        lowest -= 1
        db.execute(update(Reading).where(col(Reading.account) == index).values(account=lowest))
        aside.append([lowest, old.owner, old.label])
    fresh = [a for index, a in sorted(now.items()) if index not in before or before[index].owner != a.owner]
    for account in fresh:
        item = next((item for item in aside if item[1] == account.owner), None)
        if item is not None:
            db.execute(update(Reading).where(col(Reading.account) == item[0]).values(account=account.index))
            account.label = item[2]
            aside.remove(item)
    for account in now.values():
        db.add(account)
    if aside or kept is not None:
        db.merge(Meta(key=_ASIDE, value=json.dumps(aside)))


def _zone(db: Session, event: events.ZoneAdded, _: Log) -> None:
    db.add(ZoneRow(id=event.zone, offset=event.offset, minutes=event.interval_minutes, holidays=[]))


def _holiday(db: Session, event: events.HolidaySet, _: Log) -> None:
    zone = _known_zone(db, event.zone)
    days = set(zone.holidays)
    (days.add if event.holiday else days.discard)(event.day)
    zone.holidays = sorted(days)
    db.add(zone)


def _account(db: Session, event: events.AccountRegistered, _: Log) -> None:
    db.add(Account(index=event.account, owner=event.owner))


def _delegate(db: Session, event: events.DelegateSet, _: Log) -> None:
    account = _known(db, event.account)
    account.delegate = event.delegate or None


def _envelope(db: Session, event: events.EnvelopeSet, _: Log) -> None:
    _known(db, event.account).envelope = event.wh


def _meter(db: Session, event: events.MeterBound, _: Log) -> None:
    db.add(MeterKey(key=hex(event.key), account=event.account, zone=event.zone, from_day=event.from_day))


def _suspended(db: Session, event: events.KeySuspended, _: Log) -> None:
    key = db.exec(select(MeterKey).where(MeterKey.key == hex(event.key))).one()
    key.suspended = True
    db.add(key)


def _opened(db: Session, event: events.SessionOpened, _: Log) -> None:
    t = event.terms
    db.add(
        MarketSession(
            id=event.session,
            day=t.day,
            terms={
                "session": event.session,
                "zone": t.zone,
                "kind": int(t.kind),
                "direction": int(t.direction),
                "mode": int(t.mode),
                "day": t.day,
                "mask": hex(t.mask),
                "gate_open": t.gate_open,
                "gate_close": t.gate_close,
                "exemption_deadline": t.exemption_deadline,
                "proof_deadline": t.proof_deadline,
                "price_cap": t.price_cap,
                "min_quantity": t.min_quantity,
                "collateral_ppm": t.collateral_ppm,
                "rules_hash": t.rules_hash.hex(),
                "deliveries": t.deliveries,
                "fee_ppm": t.fee_ppm,
                "fee_account": t.fee_account,
                "intake_fee": t.intake_fee,
                "challenge_end": t.challenge_end,
            },
            rules=_hex(event.rules),
        )
    )


def _orders(db: Session, event: events.Orders, log: Log) -> None:
    db.add(
        LogBatch(
            session=event.session, first=event.first, signer=event.signer, words=_hex(event.words), transaction=log.transaction
        )
    )


def _cleared(db: Session, event: events.Cleared, _: Log) -> None:
    session = _session(db, event.session)
    session.certificate = _hex(event.certificate)
    key = event.key.hex()
    latest = select(Proposal).where(Proposal.session == event.session, Proposal.key == key).order_by(col(Proposal.id).desc())
    if (proposal := db.exec(latest).first()) is not None:  # of a block session
        proposal.accepted = True
        db.add(proposal)


def _proposed(db: Session, event: events.Proposed, log: Log) -> None:
    db.add(
        Proposal(
            session=event.session,
            key=event.key.hex(),
            account=event.account,
            welfare=str(event.welfare),
            certificate=_hex(event.certificate),
            table=_hex(event.table),
            transaction=log.transaction,
        )
    )


def _excluded(db: Session, event: events.Excluded, _: Log) -> None:
    _session(db, event.session).excluded = _hex(event.excluded)


def _released(db: Session, event: events.Released, _: Log) -> None:
    """The clearing with every order stands, whatever had been excluded for another one."""
    _session(db, event.session).excluded = []


def _replaced(db: Session, event: events.Replaced, log: Log) -> None:
    db.add(
        Replaced(
            session=event.session,
            account=event.account,
            reserve=event.reserve,
            intervals=hex(event.intervals),
            extra=event.extra,
            consented=event.consented,
            transaction=log.transaction,
        )
    )


def _intake_paid(db: Session, event: events.IntakeFeesPaid, _: Log) -> None:
    _session(db, event.session).intake_paid = event.amount


def _promise(db: Session, event: events.FlexibilityTargetSet, log: Log) -> None:
    session = _session(db, event.session)
    mask = int(session.terms["mask"], 16)
    intervals = [t for t in range(mask.bit_length()) if mask >> t & 1]
    fills = [event.target[j // 8] >> 32 * (j % 8) & 0xFFFFFFFF for j in range(len(intervals))]
    db.add(
        Promise(
            session=event.session,
            account=event.account,
            day=session.day,
            mask=hex(sum(1 << t for t, fill in zip(intervals, fills, strict=True) if fill)),
            target=_hex(event.target),
            event_day=max(fills) >= session.terms["min_quantity"],
            opened=db.exec(select(func.max(MarketSession.id))).one(),
            transaction=log.transaction,
        )
    )


def _delivered(db: Session, event: events.Delivered, log: Log) -> None:
    zone = _known_zone(db, int(_session(db, event.session).terms["zone"]))
    batch = db.exec(select(func.max(DeliveryRecord.batch)).where(DeliveryRecord.session == event.session)).one()
    for entry in recorded_entries(event.entries, event.recorded, 1440 // zone.minutes):
        db.add(
            DeliveryRecord(
                session=event.session,
                batch=0 if batch is None else batch + 1,
                account=entry.account,
                count=entry.count,
                mask=hex(entry.mask),
                deviations=_hex(entry.deviations),
                transaction=log.transaction,
            )
        )


def _exempted(db: Session, event: events.Exempted, log: Log) -> None:
    db.add(
        Exemption(
            session=event.session,
            account=event.account,
            intervals=hex(event.intervals),
            reason=event.reason,
            transaction=log.transaction,
        )
    )


def _decided(db: Session, event: events.Decided, log: Log) -> None:
    db.add(
        Decision(
            session=event.session,
            alert="0x" + event.alert.hex(),
            outcome=event.outcome,
            reason=event.reason,
            transaction=log.transaction,
        )
    )


def _sellers(db: Session, event: events.SellersSettled, log: Log) -> None:
    for paid in event.payments:
        db.add(
            SettledRow(
                session=event.session,
                account=paid.account,
                payer=paid.payer,
                side=int(Side.OFFER),
                earned=paid.earned,
                unpaid=paid.unpaid,
                penalty=paid.penalty,
                rating=paid.rating,
                transaction=log.transaction,
            )
        )


def _buyers(db: Session, event: events.BuyersSettled, log: Log) -> None:
    for paid in event.payments:
        db.add(
            SettledRow(
                session=event.session,
                account=paid.account,
                payer=paid.payer,
                side=int(Side.BID),
                cost=paid.cost,
                refund=paid.refund,
                transaction=log.transaction,
            )
        )


def _settled(db: Session, event: events.Settled, _: Log) -> None:
    _session(db, event.session).rounding = event.rounding


_HANDLERS: dict[type[Any], Callable[[Session, Any, Log], None]] = {
    events.ZoneAdded: _zone,
    events.HolidaySet: _holiday,
    events.AccountRegistered: _account,
    events.DelegateSet: _delegate,
    events.EnvelopeSet: _envelope,
    events.MeterBound: _meter,
    events.KeySuspended: _suspended,
    events.SessionOpened: _opened,
    events.Orders: _orders,
    events.Proposed: _proposed,
    events.Cleared: _cleared,
    events.Excluded: _excluded,
    events.Released: _released,
    events.Replaced: _replaced,
    events.IntakeFeesPaid: _intake_paid,
    events.FlexibilityTargetSet: _promise,
    events.Delivered: _delivered,
    events.Exempted: _exempted,
    events.Decided: _decided,
    events.SellersSettled: _sellers,
    events.BuyersSettled: _buyers,
    events.Settled: _settled,
}


def _known(db: Session, index: int) -> Account:
    account = db.exec(select(Account).where(Account.index == index)).one()
    db.add(account)
    return account


def _known_zone(db: Session, number: int) -> ZoneRow:
    return db.exec(select(ZoneRow).where(ZoneRow.id == number)).one()


def _session(db: Session, number: int) -> MarketSession:
    session = db.exec(select(MarketSession).where(MarketSession.id == number)).one()
    db.add(session)
    return session


def _hex(words: tuple[int, ...]) -> list[str]:
    return [hex(word) for word in words]
