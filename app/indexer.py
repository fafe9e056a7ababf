"""Takes the chain's events into the database, block by block, each event once. The tables it fills can be rebuilt from
the chain.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sqlmodel import Session, select

from app.database import (
    Account,
    Database,
    DeliveryRecord,
    LogBatch,
    MarketSession,
    Meta,
    Promise,
    SettledRow,
    ZoneRow,
)
from contracts import events
from contracts.chain import ZERO_ADDRESS, Log
from contracts.client import MarketClient
from contracts.units import Side

_POSITION = "indexed"


class Indexer:
    """Follows one deployment."""

    def __init__(self, database: Database, client: MarketClient) -> None:
        self.database = database
        self.client = client
        self._lock = threading.Lock()

    def sync(self) -> int:
        """Takes in every block up to the latest; returns the number of events. Blocks and position are stored together,
        so that a crash neither loses nor doubles an event."""
        with self._lock:
            latest = self.client.chain.block().number
            with self.database.session() as db:
                row = db.get(Meta, _POSITION)
                following = int(row.value) + 1 if row else self.client.deployment.block
                if following > latest:
                    return 0
                taken = 0
                for log, event in self.client.events(following, latest):
                    handler = _HANDLERS.get(type(event))
                    if handler is not None:
                        handler(db, event, log)
                        db.flush()
                        taken += 1
                db.merge(Meta(key=_POSITION, value=str(latest)))
            return taken


def _zone(db: Session, event: events.ZoneAdded, _: Log) -> None:
    db.add(ZoneRow(id=event.zone, offset=event.offset, minutes=event.interval_minutes, holidays=[]))


def _holiday(db: Session, event: events.HolidaySet, _: Log) -> None:
    zone = db.get(ZoneRow, event.zone)
    assert zone is not None
    days = set(zone.holidays)
    (days.add if event.holiday else days.discard)(event.day)
    zone.holidays = sorted(days)
    db.add(zone)


def _account(db: Session, event: events.AccountRegistered, _: Log) -> None:
    db.add(Account(index=event.account, owner=event.owner))


def _delegate(db: Session, event: events.DelegateSet, _: Log) -> None:
    account = _known(db, event.account)
    account.delegate = None if event.delegate == ZERO_ADDRESS else event.delegate


def _meter(db: Session, event: events.MeterBound, _: Log) -> None:
    account = _known(db, event.account)
    account.meter_key, account.meter_from_day = hex(event.key), event.from_day


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
            transaction=log.transaction,
        )
    )


def _delivered(db: Session, event: events.Delivered, log: Log) -> None:
    db.add(
        DeliveryRecord(
            session=event.session,
            account=event.account,
            mask=hex(event.mask),
            deviations=_hex(event.deviations),
            transaction=log.transaction,
        )
    )


def _seller(db: Session, event: events.SellerSettled, log: Log) -> None:
    db.add(
        SettledRow(
            session=event.session,
            account=event.account,
            side=int(Side.OFFER),
            earned=event.earned,
            unpaid=event.unpaid,
            penalty=event.penalty,
            transaction=log.transaction,
        )
    )


def _buyer(db: Session, event: events.BuyerSettled, log: Log) -> None:
    db.add(
        SettledRow(
            session=event.session,
            account=event.account,
            side=int(Side.BID),
            cost=event.cost,
            refund=event.refund,
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
    events.MeterBound: _meter,
    events.SessionOpened: _opened,
    events.Orders: _orders,
    events.Cleared: _cleared,
    events.FlexibilityTargetSet: _promise,
    events.Delivered: _delivered,
    events.SellerSettled: _seller,
    events.BuyerSettled: _buyer,
    events.Settled: _settled,
}


def _known(db: Session, index: int) -> Account:
    account = db.exec(select(Account).where(Account.index == index)).one()
    db.add(account)
    return account


def _session(db: Session, number: int) -> MarketSession:
    session = db.exec(select(MarketSession).where(MarketSession.id == number)).one()
    db.add(session)
    return session


def _hex(words: tuple[int, ...]) -> list[str]:
    return [hex(word) for word in words]
