"""Tables and the engine. What the chain knows is rebuilt from the chain; what only the members may know (readings,
windows) stands here and nowhere else.

Wh, micro-euro and words are integers; words of 256 bits are hex strings in JSON columns, because SQLite's integers have
64 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Column, Engine, Index, LargeBinary, UniqueConstraint, event
from sqlmodel import Field, Session, SQLModel, create_engine

from app.errors import Refused


def utcnow() -> datetime:
    """Wall-clock time, for records about this process. Market time is the chain's."""
    return datetime.now(UTC)


class Meta(SQLModel, table=True):
    """Single facts: the chain's genesis hash, the deployment, the next block to index."""

    key: str = Field(primary_key=True)
    value: str


class ZoneRow(SQLModel, table=True):
    """A zone as the chain has it; holidays as days since 1970-01-01."""

    __tablename__ = "zone"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    offset: int
    minutes: int
    holidays: list[int] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))


class Account(SQLModel, table=True):
    """An account as the chain registered it, with a label that stays here. `delegate` is another account, `envelope` Wh an
    interval."""

    index: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    owner: str = Field(index=True)
    delegate: int | None = Field(default=None, index=True)
    envelope: int = 0
    label: str | None = None


class MeterKey(SQLModel, table=True):
    """A version of an account's meter key as the chain has it. A key belongs to one account, ever."""

    key: str = Field(primary_key=True, description="The key's word, hexadecimal without leading zeros")
    account: int = Field(index=True)
    zone: int
    from_day: int
    suspended: bool = False


class MeterPoint(SQLModel, table=True):
    """The point behind a key's word, decimal: the chain has the word alone, a signature is checked with the point."""

    key: str = Field(primary_key=True)
    x: str
    y: str


class MarketSession(SQLModel, table=True):
    """A session's terms as opened, its certificate once cleared, the orders that the guardian excluded, and what of its intake
    fees (micro-euro) was paid to whoever cleared it."""

    __tablename__ = "session"

    id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    day: int = Field(index=True)
    terms: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    rules: list[str] = Field(sa_column=Column(JSON, nullable=False))
    certificate: list[str] | None = Field(default=None, sa_column=Column(JSON))
    excluded: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    intake_paid: int = 0
    rounding: int | None = None


class LogBatch(SQLModel, table=True):
    """One batch of a session's order log, in chain order."""

    __table_args__ = (UniqueConstraint("session", "first"),)

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    first: int
    signer: str
    words: list[str] = Field(sa_column=Column(JSON, nullable=False))
    transaction: str


class Promise(SQLModel, table=True):
    """A flexibility target as the chain set it: which intervals of the day an account sold in a session. A replacement sets a
    reserve's anew. `opened` is how many sessions had been opened by then."""

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    account: int = Field(index=True)
    day: int = Field(index=True)
    mask: str
    target: list[str] = Field(sa_column=Column(JSON, nullable=False))
    event_day: bool = False
    opened: int
    transaction: str


class Proposal(SQLModel, table=True):
    """A proposal for a block session that was the best when it came, in chain order. `welfare` (Wh times micro-euro per kWh) is
    decimal. The accepted one is the session's result."""

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    key: str
    account: int
    welfare: str
    certificate: list[str] = Field(sa_column=Column(JSON, nullable=False))
    table: list[str] = Field(sa_column=Column("words", JSON, nullable=False))
    accepted: bool = False
    transaction: str


class BlockDraft(SQLModel, table=True):
    """What a search of this process found for a block session whose order log had the hash `log`, proposed or not, so that a
    pass that was interrupted goes on with the same words. `gap` is the part of the bound that may be missing; `complete`:
    the search came to its end."""

    __table_args__ = (UniqueConstraint("session", "key"),)

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    key: str
    log: str
    account: int
    words_a_call: int
    certificate: list[str] = Field(sa_column=Column(JSON, nullable=False))
    table: list[str] = Field(sa_column=Column("words", JSON, nullable=False))
    welfare: str
    gap: float
    complete: bool


class Submission(SQLModel, table=True):
    """A signed batch of orders handed to the API. The outbox carries it; (signer, nonce) makes a repeat harmless."""

    __table_args__ = (UniqueConstraint("signer", "nonce"),)

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    signer: str
    nonce: str
    counter: str
    words: list[str] = Field(sa_column=Column(JSON, nullable=False))
    outbox: int = Field(foreign_key="outbox.id")


class Outbox(SQLModel, table=True):
    """Everything that is sent to the chain: written with the state change, sent by the relayer, confirmed by its receipt."""

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(index=True)
    session: int | None = Field(default=None, index=True)
    role: str
    to: str
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    status: str = Field(default="pending", index=True)
    raw: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    transaction: str | None = Field(default=None, index=True)
    nonce: int | None = None
    gas_used: int | None = None
    block: int | None = None
    chain_time: int | None = None
    error: str | None = None
    created: datetime = Field(default_factory=utcnow)


class Reading(SQLModel, table=True):
    """Metered registers of one interval, Wh. Private: never sent to the chain, never logged."""

    account: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    start: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False}, description="Unix seconds, UTC")
    import_wh: int
    export_wh: int
    load_wh: int | None = None
    pv_wh: int | None = None


class MeterWindow(SQLModel, table=True):
    """A window as its meter signed it, salt included. Private.

    Every window that was signed stays: a later one, provisional or final, must not contradict any of them.
    """

    __table_args__ = (UniqueConstraint("key", "head"), Index("ix_meterwindow_key_day", "key", "day"))

    id: int | None = Field(default=None, primary_key=True)
    key: str
    day: int
    head: str
    window: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    received: datetime = Field(default_factory=utcnow)


class Fork(SQLModel, table=True):
    """Two windows under one key's signature that contradict each other, and what became of their report. Private.

    `interval` is the first in which they differ, T where they contradict each other as a whole. `status` is kept, failed (with
    the reason), or sent.
    """

    __table_args__ = (UniqueConstraint("key", "day"),)

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(index=True)
    day: int
    interval: int
    one: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    other: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    status: str = "kept"
    error: str | None = None
    outbox: int | None = Field(default=None, foreign_key="outbox.id")
    received: datetime = Field(default_factory=utcnow)


class DeliveryProof(SQLModel, table=True):
    """A proof made here and what became of it on chain.

    Of one that failed: `failed_at` is when (chain time, Unix seconds), and `refused` the digest of the windows and intervals of
    which there is no statement, where that was the reason.
    """

    __table_args__ = (UniqueConstraint("session", "account"),)

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    account: int
    status: str = "proving"
    error: str | None = None
    failed_at: int | None = None
    refused: str | None = None
    witness_ms: float | None = None
    prove_ms: float | None = None
    constraints: int | None = None
    outbox: int | None = Field(default=None, foreign_key="outbox.id")


class DeliveryRecord(SQLModel, table=True):
    """Deviations that a verified proof put on chain, in chain order. `batch` counts a session's proofs from 0."""

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    batch: int
    account: int
    count: int
    mask: str
    deviations: list[str] = Field(sa_column=Column(JSON, nullable=False))
    transaction: str


class SettledRow(SQLModel, table=True):
    """What the contract says a participant earned, paid, forfeited, micro-euro, and how an order was rated. `payer` is whose
    money it was; the session's fee is not taken off `earned`."""

    __table_args__ = (UniqueConstraint("session", "account", "side"),)

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    account: int
    payer: int
    side: int
    earned: int = 0
    unpaid: int = 0
    penalty: int = 0
    rating: int = 0
    cost: int = 0
    refund: int = 0
    transaction: str


class Exemption(SQLModel, table=True):
    """Intervals of the day for which the guardian freed an account from penalties in a session."""

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    account: int
    intervals: str
    reason: str
    transaction: str


class Replaced(SQLModel, table=True):
    """A reserve that took over intervals of the day (a mask) from a member, in chain order; `extra` is what that cost the
    member's lock, micro-euro."""

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    account: int
    reserve: int
    intervals: str
    extra: int
    consented: bool
    transaction: str


class Screening(SQLModel, table=True):
    """That a session was screened by the surveillance: a hash of all that its alerts were made from, and when (chain time)."""

    session: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    facts: str
    made: int


class Alert(SQLModel, table=True):
    """What a detector found in a session: its evidence, and the hash by which decisions on chain name it."""

    __table_args__ = (UniqueConstraint("session", "hash"),)

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    hash: str = Field(index=True)
    detector: str = Field(index=True)
    severity: str
    evidence: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    made: int


class Decision(SQLModel, table=True):
    """What the guardian recorded on chain about an alert, in chain order; 0 dismissed, 1 confirmed."""

    id: int | None = Field(default=None, primary_key=True)
    session: int = Field(index=True)
    alert: str = Field(index=True)
    outcome: int
    reason: str
    transaction: str


class Database:
    """The engine and its sessions. SQLite runs in WAL mode, so that reads do not wait for a write."""

    def __init__(self, url: str) -> None:
        # Parameters are readings and windows: no error message may carry them into a log.
        self.engine: Engine = create_engine(
            url, connect_args={"timeout": 30} if url.startswith("sqlite") else {}, hide_parameters=True
        )
        if url.startswith("sqlite"):
            event.listen(self.engine, "connect", _sqlite_pragmas)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session that is committed at the end, or rolled back whole."""
        with Session(self.engine, expire_on_commit=False) as session:
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def get_meta(self, key: str) -> str | None:
        with self.session() as db:
            row = db.get(Meta, key)
            return row.value if row else None

    def set_meta(self, key: str, value: str) -> None:
        with self.session() as db:
            db.merge(Meta(key=key, value=value))

    def close(self) -> None:
        self.engine.dispose()


def known(row: Any, what: str, key: object) -> Any:
    """`row`, or a 404 that names what was looked for."""
    if row is None:
        raise Refused(f"There is no {what} {key}.", status=404, field=what, expected=f"a known {what}", got=str(key))
    return row


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
