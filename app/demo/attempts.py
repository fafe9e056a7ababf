"""Attacks that the demonstration makes against its own day. Each must be refused for what is wrong with it; one that is not, or
is refused for something else, ends the demonstration.

Attackers talk to the contracts directly, with whatever the chain makes public, or to the API; they control everything
but the meters' keys and the contracts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.client import Api, ApiError
from app.context import Context
from app.demo.community import Community, word_terms
from app.services import sessions
from contracts.calls import Call, ClearingPass
from contracts.deliveries import Entry, ProofBatch, decode_delivery, delivery_words
from contracts.encoding import ScheduleOrder, Step, batch_words
from contracts.events import Delivered
from contracts.refusals import ContractRefusal
from contracts.typed_data import SignedBatch, order_batch
from contracts.units import Side
from market.clearing.uniform import clear

Json = dict[str, Any]

CONTRACT, MARKETPLACE = "contract", "marketplace"
"""Who refuses an attempt."""


class NotRefusedError(RuntimeError):
    """An attack went through, or what refused it was not what has to."""


def before_clearing(ctx: Context, api: Api, community: Community, session: Json) -> list[Json]:
    """While the gate is open: offers without collateral, with a foreign signature, beyond the cap."""
    home = community.homes[0]
    other = community.homes[1]
    size = len(session["intervals"])

    def batch(quantity: int, limit: int, key: bytes) -> SignedBatch:
        order = ScheduleOrder(home.account, Side.OFFER, (Step((quantity,) * size, (limit,) * size),))
        words = batch_words([order], word_terms(session))
        return order_batch(session["id"], words, 1, 0, 1 << 40).sign(ctx.client.domain, key)

    own, foreign = bytes(home.wallet.key), bytes(other.wallet.key)
    forged = replace(batch(100, 1, foreign), signer=home.wallet.address)
    place = ctx.client.encode_place_signed
    return [
        _refused(
            ctx, "an offer of 60 MWh without the collateral for it", "NotEnoughAvailable", place([batch(10_000_000, 1, own)])
        ),
        _refused(
            ctx, "an offer for another's account under one's own signature", "NotAllowed", place([batch(100, 1, foreign)])
        ),
        _refused(ctx, "an offer with a signature that is not the signer's", "SignatureRefused", place([forged])),
        _refused(ctx, "an offer above the price cap", "LimitAboveCap", place([batch(100, session["price_cap"] + 1, own)])),
    ]


def at_clearing(ctx: Context, api: Api, session: Json) -> list[Json]:
    """After the gate: a late order, a wrong price, a fill beyond what is left at the margin, a log with an order left out."""
    view = sessions.view(ctx, session["id"])
    clearing = clear(view.book, view.sold_before)
    certificate = list(clearing.certificates)
    part = ClearingPass.whole(view.order_log, clearing.certificate_words)

    def altered(**change: int) -> Call:
        bad = [replace(certificate[0], **change), *certificate[1:]]
        return ctx.client.encode_clear(session["id"], part._replace(certificate=[c.word() for c in bad]))

    first = certificate[0]
    # of the side whose orders at the margin share what is left
    larger = {"rest_bids": first.rest_bids + 1} if first.rest_bids else {"rest_offers": first.rest_offers + 1}
    last = part.sizes[-1]
    shorter = part._replace(sizes=part.sizes[:-1], words=part.words[:-last])
    late = ctx.client.encode_place(session["id"], [int(word, 16) for word in view.batches[0].words])
    return [
        _refused(ctx, "an order after the gate has closed", "WrongState", late),
        _refused(ctx, "a clearing with a higher price", "VolumeNotMet", altered(lo=first.lo + 1, hi=first.hi + 1)),
        _refused(ctx, "a clearing with more volume than the book holds", "VolumeNotMet", altered(volume=first.volume + 1)),
        _refused(ctx, "a clearing with a larger fill at the margin", "VolumeNotMet", altered(**larger)),
        _refused(ctx, "a clearing that leaves an order out", "LogMismatch", ctx.client.encode_clear(session["id"], shorter)),
    ]


def at_metering(api: Api, community: Community, day: int) -> list[Json]:
    """A window with one reading changed, handed in under the meter's own signature."""
    home = next(member for member in community.homes if member.home and member.home.silent)
    assert home.meter is not None
    record = home.meter.windows(day, day)[0].to_record()
    record["readings"][18] -= 500
    attempt = "a window with a reading changed after the meter signed it"
    try:
        api.post("/windows", [{"account": home.account, "window": record}])
    except ApiError as error:
        fields = [wrong["field"] for wrong in error.document.get("errors", [])]
        return [_answer(attempt, MARKETPLACE, (422, ["[0].window.head"]), (error.status, fields), str(error))]
    raise NotRefusedError(f"{attempt}: the marketplace took it")


def at_proving(ctx: Context, session: Json) -> list[Json]:
    """With a proof that the chain has accepted: other deviations, another account, another part of the session, an
    altered proof.
    """
    delivered = next(
        e for _, e in ctx.client.events(None, None, Delivered) if isinstance(e, Delivered) and e.session == session["id"]
    )
    view = sessions.view(ctx, session["id"])
    first, *others = decode_delivery(delivered.entries, view.terms.zone.intervals)

    def call(entry: Entry = first, proof: tuple[int, ...] = delivered.proof) -> Call:
        batch = ProofBatch(delivered.chain, tuple(delivery_words([entry, *others])), proof)
        return ctx.client.encode_prove(session["id"], [batch])

    silent = next(account for account in view.sold if account not in sessions.records(ctx, session["id"]))
    last = first.mask.bit_length() - 1
    more = list(first.deviations)
    more[last // 9] += 300 << 26 * (last % 9)
    part = replace(first, mask=first.mask & (first.mask - 1))
    flipped = (*delivered.proof[6:], *delivered.proof[2:6], *delivered.proof[:2])
    return [
        _refused(
            ctx,
            "a proof with 300 Wh added to what was delivered",
            "ProofRefused",
            call(replace(first, deviations=tuple(more))),
        ),
        _refused(
            ctx, "a neighbour's proof for the home that stayed silent", "ProofRefused", call(replace(first, account=silent))
        ),
        _refused(ctx, "a proof for another part of the session", "ProofRefused", call(part)),
        _refused(ctx, "a proof whose points were exchanged", "ProofRefused", call(proof=flipped)),
    ]


def _refused(ctx: Context, attempt: str, expected: str, call: Call) -> Json:
    """Makes `call`, which the contracts must refuse with the error `expected`."""
    try:
        ctx.client.simulate(ctx.address("relayer"), call)
    except ContractRefusal as refusal:
        return _answer(attempt, CONTRACT, expected, refusal.error_name, f"{refusal.error_name}: {refusal.message}")
    raise NotRefusedError(f"{attempt}: the contract took it")


def _answer(attempt: str, by: str, expected: object, got: object, answer: str) -> Json:
    """What the report says of an attempt that `by` refused, as long as the refusal is the one expected."""
    if got != expected:
        raise NotRefusedError(f"{attempt}: expected the {by} to answer {expected}, got {got}: {answer}")
    return {"attempt": attempt, "by": by, "answer": answer}
