"""Signed batches of schedule orders: checked at the door, carried to the chain by the relayer.

The door refuses what the contract would refuse, and says it better. It is no gatekeeper: anyone can hand the same signed
batch to the contract without this service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from eth_utils import to_checksum_address
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from app.context import Context
from app.database import Account, LogBatch, Outbox, Submission, known
from app.errors import Refused
from app.outbox import enqueue
from app.services import accounts, sessions
from contracts.calls import Call
from contracts.encoding import EncodingError, LoggedOrder, ScheduleOrder, decode_entries
from contracts.errors import FieldError
from contracts.refusals import ContractRefusal
from contracts.times import utc
from contracts.typed_data import SignatureError, SignedBatch, order_batch, recover
from contracts.units import Mode, SessionState, Side
from market.orders import charge, validate
from zk.statement import MIN_COUNTED_DAYS
from zk.windows import HISTORY_DAYS

_STATUS: dict[str, Literal["pending", "confirmed", "failed"]] = {"confirmed": "confirmed", "failed": "failed"}


@dataclass(frozen=True)
class Submitted:
    """A batch that was taken in. `positions` are its entries' places in the session's log, known once it is confirmed."""

    id: int
    status: Literal["pending", "confirmed", "failed"]
    tx: str | None
    positions: list[int] | None
    message: str | None


def submit(
    ctx: Context, session_id: int, *, signer: str, words: list[int], nonce: int, counter: int, deadline: int, signature: bytes
) -> Submitted:
    """Takes a signed batch in, sends it, and returns how that went. The very same batch again, signature and all, returns the
    first result; another one under the same nonce is refused."""
    for name, value in (("nonce", nonce), ("counter", counter)):
        if value >= 1 << 256:
            raise Refused(f"The {name} is too large.", field=name, expected="below 2^256", got=str(value))
    signed = SignedBatch(order_batch(session_id, words, nonce, counter, deadline), to_checksum_address(signer), signature)
    call = ctx.client.encode_place_signed([signed])
    if (earlier := _earlier(ctx, signed, call)) is not None:
        return earlier
    try:
        _check(ctx, signed)
        ctx.client.simulate(ctx.address("relayer"), call)
        stored_id = _store(ctx, signed, call)
    except (Refused, FieldError, ContractRefusal, IntegrityError) as error:
        # The same batch may have come in meanwhile: what refuses this one is then what that one has done.
        if (earlier := _earlier(ctx, signed, call)) is not None:
            return earlier
        if not isinstance(error, IntegrityError):
            raise
        raise Refused(
            "This nonce was used for another batch.",
            status=409,
            field="nonce",
            expected="a number not used before",
            got=str(nonce),
        ) from error
    ctx.relayer.flush()
    ctx.refresh()
    return submission(ctx, stored_id)


def _store(ctx: Context, signed: SignedBatch, call: Call) -> int:
    """The number of the submission; raises `IntegrityError` where the nonce has one."""
    batch = signed.batch
    with ctx.database.session() as db:
        row = enqueue(db, "orders", "relayer", call, batch.session)
        assert row.id is not None
        stored = Submission(
            session=batch.session,
            signer=signed.signer,
            nonce=str(batch.nonce),
            counter=str(batch.counter),
            words=[hex(word) for word in batch.words],
            outbox=row.id,
        )
        db.add(stored)
        db.flush()
        assert stored.id is not None
        return stored.id


def _earlier(ctx: Context, signed: SignedBatch, call: Call) -> Submitted | None:
    """What became of this batch if it was handed in before. The call says everything about it, deadline and signature too."""
    with ctx.database.session() as db:
        found = db.exec(
            select(Submission.id)
            .join(Outbox)
            .where(
                Submission.signer == signed.signer,
                Submission.nonce == str(signed.batch.nonce),
                Outbox.to == call.to,
                Outbox.data == call.data,
            )
        ).first()
    return None if found is None else submission(ctx, found)


def submission(ctx: Context, submission_id: int) -> Submitted:
    """A batch taken in earlier, as it stands now."""
    with ctx.database.session() as db:
        row: Submission = known(db.get(Submission, submission_id), "order", submission_id)
        sent = db.get(Outbox, row.outbox)
        assert sent is not None
        positions = None
        if sent.status == "confirmed":
            batch = db.exec(
                select(LogBatch).where(LogBatch.session == row.session, LogBatch.transaction == sent.transaction)
            ).first()
            if batch is not None:
                count = len(list(decode_entries([int(w, 16) for w in row.words], ctx.intervals(row.session))))
                positions = list(range(batch.first, batch.first + count))
    return Submitted(submission_id, _STATUS.get(sent.status, "pending"), sent.transaction, positions, sent.error)


def _check(ctx: Context, signed: SignedBatch) -> None:
    batch, signer = signed.batch, signed.signer
    view = sessions.view(ctx, batch.session)
    terms, now = view.terms, ctx.now()
    if view.state is not SessionState.OPEN:
        raise Refused(
            f"The gate of session {batch.session} is not open: the session is {view.state.name.capitalize()}.",
            status=409,
            field="session",
            expected=f"an order from {utc(terms.gate_open)} and before {utc(terms.gate_close)}",
            got=utc(now),
        )
    if batch.deadline < now:
        raise Refused(
            "The signature has expired.", field="deadline", expected=f"at least {now} (chain time)", got=str(batch.deadline)
        )
    if batch.counter != (counter := ctx.client.counter_of(signer)):
        raise Refused(
            "The signer has taken back what it signed under this counter."
            if batch.counter < counter
            else "The signer's counter has not come to this number yet.",
            status=409,
            field="counter",
            expected=str(counter),
            got=str(batch.counter),
        )
    try:
        entries = list(decode_entries(batch.words, len(terms.intervals)))
    except EncodingError as error:
        raise Refused(
            "The words are not schedule orders of this session.",
            field=error.field,
            expected=error.expected,
            got=str(error.got),
        ) from error
    _check_entries(ctx, view, entries, signer)
    if ctx.chain.code(signer):
        return  # ERC-1271: only the contract wallet can say, and the simulation asks it
    try:
        recovered = recover(batch.digest(ctx.client.domain), signed.signature)
    except SignatureError as error:
        raise Refused("The signature is malformed.", field=error.field, expected=error.expected, got=str(error.got)) from error
    if recovered.lower() != signer.lower():
        raise Refused(
            "The signature is not by this signer for these words.",
            field="signature",
            expected=f"a signature by {signer} over OrderBatch",
            got=f"one by {recovered}",
        )


def _check_entries(ctx: Context, view: sessions.SessionView, entries: list[LoggedOrder], signer: str) -> None:
    needed: Counter[int] = Counter()
    payers = {(order.account, order.side): order.payer for _, order in view.book.live}
    payers |= {(entry.order.account, entry.order.side): entry.order.payer for entry in entries if not entry.order.cancels}
    sides: dict[str, set[Side]] = {}
    for entry in entries:
        order = entry.order
        _check_signer(ctx, order, signer)
        _check_order(ctx, view, order, sides)
        _check_parent(order, payers)
        lock = order.lock(view.terms.price_cap, view.terms.collateral_ppm)
        if entry.lock != lock:
            raise Refused(
                f"The order of account {order.account} states another lock than it has.",
                field="words",
                expected=f"a lock of {lock} micro-euro in the header",
                got=f"{entry.lock} micro-euro",
            )
        needed[order.payer] += charge(order, view.terms)
    for payer, amount in needed.items():
        available = ctx.client.balance(payer).available
        if amount > available:
            raise Refused(
                f"Account {payer} cannot cover the lock (collateral or cost at the limits) and the intake fee.",
                status=409,
                field="account",
                expected=f"{amount} micro-euro available",
                got=f"{available} micro-euro",
            )


def _check_signer(ctx: Context, order: ScheduleOrder, signer: str) -> None:
    """Whether `signer` may act: as the account's owner, or as the owner of the agent that is its delegate."""
    with ctx.database.session() as db:
        account: Account = known(db.get(Account, order.account), "account", order.account)
        actor: Account = account if not order.agent else known(db.get(Account, order.agent), "account", order.agent)
    if order.agent and account.delegate != order.agent:
        raise Refused(
            f"Account {order.agent} may not place orders for account {order.account}.",
            status=403,
            field="words",
            expected=f"account {account.delegate}, the delegate" if account.delegate else "no agent: there is no delegate",
            got=f"account {order.agent}",
        )
    if signer.lower() != actor.owner.lower():
        raise Refused(
            f"{signer} may not place orders for account {order.account}.",
            status=403,
            field="signer",
            expected=f"the owner of account {actor.index}",
            got=signer,
        )


def _check_order(ctx: Context, view: sessions.SessionView, order: ScheduleOrder, sides: dict[str, set[Side]]) -> None:
    """`sides` are those on which owners stand in the batch so far."""
    with ctx.database.session() as db:
        account: Account = known(db.get(Account, order.account), "account", order.account)
        version = accounts.version_on(db, order.account, view.terms.day)
        if version is not None and version.suspended and order.side is Side.OFFER and not order.cancels:
            accounts.require_key(db, order.account, view.terms.day)
        taken: set[Side] = set()
        if view.terms.mode is Mode.COOPERATIVE:
            payer: Account = known(db.get(Account, order.payer), "account", order.payer)
            taken = sides.setdefault(payer.owner.lower(), view.book.sides_of(accounts.of_same_owner(db, order.payer)))
    validate(order, view.terms, meter_key=version is not None, envelope=account.envelope, sides=taken)
    if not order.cancels:
        taken.add(order.side)
    if order.side is Side.OFFER and not order.cancels:
        _require_history(ctx, view, order.account)


def _check_parent(order: ScheduleOrder, payers: Mapping[tuple[int, Side], int]) -> None:
    """Refuses a block that could not be accepted as things stand; the contract would take it. `payers` are those of live
    orders, this batch's included, so that blocks can name each other in one batch."""
    if order.parent is None:
        return
    account, side = order.parent
    payer = payers.get(order.parent)
    if payer != order.payer:
        raise Refused(
            f"The order of account {order.account} could not be accepted with this parent.",
            field="parent",
            expected=f"a live order of the session that account {order.payer} pays for",
            got=f"the {side.name.lower()} of account {account}, " + ("not live" if payer is None else f"paid by {payer}"),
        )


def _require_history(ctx: Context, view: sessions.SessionView, account: int) -> None:
    """Refuses an offer that could only forfeit: without a baseline no delivery can be proven. The contract would take it."""
    terms = view.terms
    days = ctx.client.admissible(terms.zone.number, account, terms.day).bit_count()
    if days < MIN_COUNTED_DAYS:
        raise Refused(
            f"Account {account} could not prove a delivery on this day: its meter key is too new for a baseline.",
            status=409,
            field="account",
            expected=f"at least {MIN_COUNTED_DAYS} days of the same kind under the key, among the {HISTORY_DAYS} before",
            got=f"{days} days",
        )
