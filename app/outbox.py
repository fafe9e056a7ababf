"""The outbox: whatever is sent to the chain is first a row, written together with the state change that wants it.

The relayer signs a row, stores the raw transaction, and only then sends it; so a crash at any point neither loses nor doubles
anything: an unsent raw transaction is sent again under the same hash, a sent one is found by its receipt.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from eth_account import Account
from sqlmodel import Session, col, select

from app.database import Database, Outbox
from contracts.calls import Call
from contracts.chain import Chain, GasLimitError
from contracts.refusals import ContractRefusal

log = logging.getLogger(__name__)


def enqueue(db: Session, kind: str, role: str, call: Call, session: int | None = None) -> Outbox:
    """Adds a transaction to the outbox inside the caller's database transaction. `role` names the key that will sign it."""
    row = Outbox(kind=kind, role=role, to=call.to, data=call.data, session=session)
    db.add(row)
    db.flush()
    return row


class Relayer:
    """Sends what stands in the outbox, one after the other, in the order it was written."""

    def __init__(self, database: Database, chain: Chain, keys: Mapping[str, bytes]) -> None:
        self.database = database
        self.chain = chain
        self.keys = keys
        self._lock = threading.Lock()

    def flush(self) -> int:
        """Send everything that is not settled yet; returns how many rows were confirmed or failed."""
        done = 0
        with self._lock:
            while (row := self._next()) is not None:
                self._send(row)
                done += 1
        return done

    def wait(self, row_id: int) -> Outbox:
        """Flush, then return the row as it ended."""
        self.flush()
        with self.database.session() as db:
            row = db.get(Outbox, row_id)
            assert row is not None
            return row

    def _next(self) -> Outbox | None:
        with self.database.session() as db:
            return db.exec(
                select(Outbox).where(col(Outbox.status).in_(["pending", "signed"])).order_by(col(Outbox.id)).limit(1)
            ).first()

    def _send(self, row: Outbox) -> None:
        key = self.keys[row.role]
        if row.raw is None or not self._usable(row):
            try:
                prepared = self.chain.prepare(row.to, row.data, key)
            except (
                ContractRefusal,
                GasLimitError,
            ) as error:  # a row that can never be sent must not stand in the way of others
                row.status, row.error = "failed", str(error)
                self._store(row)
                return
            row.raw, row.transaction, row.nonce, row.status = prepared.raw, prepared.hash, prepared.nonce, "signed"
            self._store(row)
        assert row.raw is not None and row.transaction is not None
        receipt = self.chain.receipt(row.transaction)
        if receipt is None:
            self.chain.send_raw(row.raw)
            receipt = self.chain.wait(row.transaction)
        row.gas_used, row.block = receipt.gas_used, receipt.block
        row.chain_time = self.chain.block(receipt.block).timestamp
        row.status = "confirmed" if receipt.succeeded else "failed"
        row.error = None if receipt.succeeded else str(self.chain.refusal_of(row.transaction))
        self._store(row)
        log.info("%s %s: %s in block %s", row.kind, row.transaction, row.status, row.block)

    def _usable(self, row: Outbox) -> bool:
        """Whether the stored raw transaction is known to the chain or can still be mined (no other took its nonce)."""
        assert row.transaction is not None and row.nonce is not None
        if self.chain.transaction(row.transaction) is not None:
            return True
        return self.chain.nonce(Account.from_key(self.keys[row.role]).address) <= row.nonce

    def _store(self, row: Outbox) -> None:
        with self.database.session() as db:
            db.merge(row)
