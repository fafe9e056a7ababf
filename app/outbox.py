"""The outbox: whatever is sent to the chain is first a row, written together with the state change that wants it.

The relayer signs a row, stores the raw transaction, and only then sends it; so a crash at any point neither loses nor doubles
anything: an unsent raw transaction is sent again under the same hash, a sent one is found by its receipt. The same holds for a
reorganisation of the chain: what was mined in blocks that are gone is sent again, the same bytes under the same hash.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from eth_account import Account
from sqlmodel import Session, col, select

from app.database import Database, DeliveryProof, Meta, Outbox
from contracts.calls import Call
from contracts.chain import Block, Chain, GasLimitError, Receipt
from contracts.refusals import ContractRefusal

log = logging.getLogger(__name__)

_SEEN = "relayed"
"""Meta key of a block, number and hash: while the chain has it, every row that was confirmed or failed is where it was."""

PLAIN_GAS = 21_000
"""Gas of a transaction that does nothing."""


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
            self._recheck()
            while (row := self._next()) is not None:
                self._send(row)
                done += 1
        return done

    def recheck(self) -> int:
        """Looks again at what was mined, where the chain no longer has the block up to which that was known. What is gone
        stands as signed again and goes out with the next `flush`; returns how many rows that are."""
        if not self._lock.acquire(blocking=False):
            return 0  # whoever sends looks for itself, and a reader need not wait until a block is mined
        try:
            return self._recheck()
        finally:
            self._lock.release()

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
        if (mined := self._mined(row.transaction)) is None:
            self._close_gap(row)
            self.chain.send_raw(row.raw)
            while mined is None:  # it may be taken back while it is looked at
                self.chain.wait(row.transaction)
                mined = self._mined(row.transaction)
        receipt, head = mined
        self._note(row, receipt)
        seen = self._seen()
        unbroken = seen is None or self.chain.holds(*seen)
        self._store(row, head if unbroken and self.chain.holds(head.number, head.hash) else None)
        log.info("%s %s: %s in block %s", row.kind, row.transaction, row.status, row.block)
        if not unbroken:
            self._recheck()

    def _mined(self, transaction: str) -> tuple[Receipt, Block] | None:
        """A transaction's receipt, and a block that it is in or before."""
        while True:
            head = self.chain.block()
            receipt = self.chain.receipt(transaction)
            if receipt is None:
                return None
            if receipt.block <= head.number and self.chain.holds(head.number, head.hash):
                return receipt, head

    def _note(self, row: Outbox, receipt: Receipt) -> None:
        assert row.transaction is not None
        row.gas_used, row.block = receipt.gas_used, receipt.block
        row.chain_time = self.chain.block(receipt.block).timestamp
        row.status = "confirmed" if receipt.succeeded else "failed"
        row.error = None if receipt.succeeded else str(self.chain.refusal_of(row.transaction))

    def _seen(self) -> tuple[int, str] | None:
        with self.database.session() as db:
            kept = db.get(Meta, _SEEN)
        if kept is None:
            return None
        number, block_hash = kept.value.split()
        return int(number), block_hash

    def _recheck(self) -> int:
        seen = self._seen()
        if seen is None or self.chain.holds(*seen):
            return 0
        while True:
            head = self.chain.block()
            gone = 0
            with self.database.session() as db:
                for row in db.exec(select(Outbox).where(col(Outbox.block).is_not(None)).order_by(col(Outbox.id))).all():
                    assert row.transaction is not None
                    receipt = self.chain.receipt(row.transaction)
                    if receipt is not None:
                        self._note(row, receipt)  # it may stand in another block now, or come out otherwise
                    else:
                        row.status, row.block, row.gas_used, row.chain_time, row.error = "signed", None, None, None, None
                        gone += 1
                    db.add(row)
                    for proof in db.exec(select(DeliveryProof).where(DeliveryProof.outbox == row.id)).all():
                        if proof.status == "verified" and row.status != "confirmed":
                            proof.status = "sent"
                            db.add(proof)
                db.merge(Meta(key=_SEEN, value=f"{head.number} {head.hash}"))
            if self.chain.holds(head.number, head.hash):
                log.warning("the chain has lost blocks with transactions of this process: %s are sent again", gone)
                return gone

    def _close_gap(self, row: Outbox) -> None:
        """Fills nonces before the row's own that are free since a reorganisation and that no row has: a transaction that waits
        for them would wait for ever, and signing it anew could let it be mined twice."""
        assert row.nonce is not None
        key = self.keys[row.role]
        sender = Account.from_key(key).address
        for nonce in range(self.chain.nonce(sender), row.nonce):
            empty = self.chain.prepare(sender, b"", key, PLAIN_GAS, nonce)
            log.warning("nonce %s of %s is free since a reorganisation: filled with %s", nonce, sender, empty.hash)
            self.chain.wait(self.chain.send_raw(empty.raw))

    def _usable(self, row: Outbox) -> bool:
        """Whether the stored raw transaction is known to the chain or can still be mined (no other took its nonce)."""
        assert row.transaction is not None and row.nonce is not None
        if self.chain.transaction(row.transaction) is not None:
            return True
        return self.chain.nonce(Account.from_key(self.keys[row.role]).address) <= row.nonce

    def _store(self, row: Outbox, seen: Block | None = None) -> None:
        with self.database.session() as db:
            db.merge(row)
            if seen is not None:
                db.merge(Meta(key=_SEEN, value=f"{seen.number} {seen.hash}"))
