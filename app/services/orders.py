"""Signed batches of schedule orders: checked at the door, carried to the chain by the relayer.

The door refuses what the contract would refuse, and says it better. It is no gatekeeper: anyone can hand the same signed
batch to the contract without this service.
"""

from __future__ import annotations

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
from contracts.encoding import EncodingError, ScheduleOrder, decode_entries
from contracts.typed_data import SignatureError, SignedBatch, order_batch, recover
from contracts.units import SessionState, Side
from market.orders import validate
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
    ctx: Context, session_id: int, *, signer: str, words: list[int], nonce: int, deadline: int, signature: bytes
) -> Submitted:
    """Takes a signed batch in, sends it, and returns how that went. The same (signer, nonce) again returns the first
    result, or is refused if it carries something else."""
    signer = to_checksum_address(signer)
    if (earlier := _earlier(ctx, session_id, signer, words, nonce)) is not None:
        return earlier
    _check(ctx, session_id, signer, words, nonce, deadline, signature)
    signed = SignedBatch(order_batch(session_id, words, nonce, deadline), signer, signature)
    call = ctx.client.encode_place_signed([signed])
    ctx.client.simulate(ctx.address("relayer"), call)
    try:
        with ctx.database.session() as db:
            row = enqueue(db, "orders", "relayer", call, session_id)
            assert row.id is not None
            stored = Submission(
                session=session_id, signer=signer, nonce=str(nonce), words=[hex(word) for word in words], outbox=row.id
            )
            db.add(stored)
            db.flush()
            assert stored.id is not None
            stored_id = stored.id
    except IntegrityError:  # the same batch came in twice at once, and the other was first
        earlier = _earlier(ctx, session_id, signer, words, nonce)
        assert earlier is not None
        return earlier
    ctx.relayer.flush()
    ctx.refresh()
    return submission(ctx, stored_id)


def _earlier(ctx: Context, session_id: int, signer: str, words: list[int], nonce: int) -> Submitted | None:
    """What became of this batch if it was handed in before; refused if the nonce carried something else then."""
    with ctx.database.session() as db:
        found = db.exec(select(Submission).where(Submission.signer == signer, Submission.nonce == str(nonce))).first()
    if found is None:
        return None
    if found.session != session_id or [int(word, 16) for word in found.words] != words:
        raise Refused(
            "This nonce was used for another batch.",
            status=409,
            field="nonce",
            expected="a number not used before",
            got=str(nonce),
        )
    assert found.id is not None
    return submission(ctx, found.id)


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


def _check(ctx: Context, session_id: int, signer: str, words: list[int], nonce: int, deadline: int, signature: bytes) -> None:
    view = sessions.view(ctx, session_id)
    terms, now = view.terms, ctx.now()
    if view.state is not SessionState.OPEN:
        raise Refused(
            f"The gate of session {session_id} is not open: the session is {view.state.name.capitalize()}.",
            status=409,
            field="session",
            expected=f"an order between {terms.gate_open} and {terms.gate_close} (chain time)",
            got=str(now),
        )
    if nonce >= 1 << 256:
        raise Refused("The nonce is too large.", field="nonce", expected="below 2^256", got=str(nonce))
    if deadline < now:
        raise Refused(
            "The signature has expired.", field="deadline", expected=f"at least {now} (chain time)", got=str(deadline)
        )
    try:
        orders = list(decode_entries(words, len(terms.intervals)))
    except EncodingError as error:
        raise Refused(
            "The words are not schedule orders of this session.", field="words", expected=str(error), got=""
        ) from error
    for order in orders:
        _check_order(ctx, view, order, signer)
    if ctx.chain.code(signer):
        return  # ERC-1271: only the contract wallet can say, and the simulation asks it
    try:
        recovered = recover(order_batch(session_id, words, nonce, deadline).digest(ctx.client.domain), signature)
    except SignatureError as error:
        raise Refused(
            "The signature is malformed.", field="signature", expected=str(error), got=f"{len(signature)} bytes"
        ) from error
    if recovered.lower() != signer.lower():
        raise Refused(
            "The signature is not by this signer for these words.",
            field="signature",
            expected=f"a signature by {signer} over OrderBatch",
            got=f"one by {recovered}",
        )


def _check_order(ctx: Context, view: sessions.SessionView, order: ScheduleOrder, signer: str) -> None:
    with ctx.database.session() as db:
        account: Account = known(db.get(Account, order.account), "account", order.account)
    if signer.lower() not in (account.owner.lower(), (account.delegate or "").lower()):
        raise Refused(
            f"{signer} may not place orders for account {order.account}.",
            status=403,
            field="signer",
            expected="the account's owner or its delegate",
            got=signer,
        )
    with ctx.database.session() as db:
        version = accounts.version_on(db, order.account, view.terms.day)
        if version is not None and version.suspended and order.side is Side.OFFER and not order.cancels:
            accounts.require_key(db, order.account, view.terms.day)
    validate(order, view.terms, meter_key=version is not None)
    if order.side is Side.OFFER and not order.cancels:
        _require_history(ctx, view, order.account)
    lock = order.lock(view.terms.price_cap, view.terms.collateral_ppm)
    available = ctx.client.balance(order.account).available
    if lock > available:
        what = "cost at its limits" if order.side is Side.BID else "collateral"
        raise Refused(
            f"Account {order.account} cannot cover the order's {what}.",
            status=409,
            field="account",
            expected=f"{lock} micro-euro available",
            got=f"{available} micro-euro",
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
