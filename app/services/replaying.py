"""Gathers a session's log from the chain itself, never from the database, and replays it."""

from __future__ import annotations

from app.context import Context, development_key
from app.errors import Refused
from contracts import events
from contracts.artifacts import load
from contracts.chain import Log
from market.session import SessionTerms, Zone
from settlement.records import Record
from settlement.replay import MeterKey, ProofCall, ProvenEntry, SessionLog, replay
from zk.groth16 import Proof
from zk.verifier import verify


def replay_session(ctx: Context, session_id: int) -> str:
    """ "identical", or the first difference between what the chain says of a session and what follows from its log."""
    key = development_key(24).verifying_key()

    def verified(public: tuple[int, int, int], proof: tuple[int, ...]) -> bool:
        return verify(key, public, Proof.from_words(proof))

    return replay(session_log(ctx, session_id), verified)


def session_log(ctx: Context, session_id: int) -> SessionLog:
    """Everything that the chain logged about a session."""
    everything = list(ctx.client.events())
    opened = next((e for _, e in everything if isinstance(e, events.SessionOpened) and e.session == session_id), None)
    if opened is None:
        raise Refused(
            f"There is no session {session_id}.", status=404, field="session", expected="a known session", got=str(session_id)
        )
    terms = _terms(opened, everything)
    own = [(log, e) for log, e in everything if getattr(e, "session", None) == session_id]
    promises = {e.account: e.target for _, e in own if isinstance(e, events.FlexibilityTargetSet)}
    certificate = next((e.certificate for _, e in own if isinstance(e, events.Cleared)), None)
    return SessionLog(
        chain_id=ctx.chain.chain_id,
        terms=terms,
        rules=opened.rules,
        log_hash=ctx.client.log(session_id),
        batches=tuple(e.words for _, e in own if isinstance(e, events.Orders)),
        certificate=certificate,
        promises=promises,
        sold_before=_sold_before(session_id, terms.day, everything),
        meters=_meters(terms, everything),
        proofs=_proofs(ctx, own),
        records=_records(own),
        sellers={e.account: (e.earned, e.unpaid, e.penalty) for _, e in own if isinstance(e, events.SellerSettled)},
        buyers={e.account: (e.cost, e.refund) for _, e in own if isinstance(e, events.BuyerSettled)},
        rounding=next((e.rounding for _, e in own if isinstance(e, events.Settled)), None),
    )


Logged = list[tuple[Log, events.Event]]


def _terms(opened: events.SessionOpened, everything: Logged) -> SessionTerms:
    t = opened.terms
    added = next(e for _, e in everything if isinstance(e, events.ZoneAdded) and e.zone == t.zone)
    holidays: set[int] = set()
    for _, e in everything:
        if isinstance(e, events.HolidaySet) and e.zone == t.zone:
            (holidays.add if e.holiday else holidays.discard)(e.day)
    return SessionTerms(
        session=opened.session,
        zone=Zone(t.zone, added.offset, added.interval_minutes, frozenset(holidays)),
        kind=t.kind,
        direction=t.direction,
        mode=t.mode,
        day=t.day,
        mask=t.mask,
        gate_open=t.gate_open,
        gate_close=t.gate_close,
        exemption_deadline=t.exemption_deadline,
        proof_deadline=t.proof_deadline,
        price_cap=t.price_cap,
        min_quantity=t.min_quantity,
        collateral_ppm=t.collateral_ppm,
        rules_hash=t.rules_hash,
        deliveries=t.deliveries,
    )


def _fills(target: tuple[int, ...], intervals: int) -> list[int]:
    return [target[j // 8] >> 32 * (j % 8) & 0xFFFFFFFF for j in range(intervals)]


def _sold_before(session_id: int, day: int, everything: Logged) -> dict[int, int]:
    """Per account the day's intervals that it sold in sessions opened earlier: those are committed or cancelled by then."""
    terms = {e.session: e.terms for _, e in everything if isinstance(e, events.SessionOpened)}
    sold: dict[int, int] = {}
    for _, e in everything:
        if isinstance(e, events.FlexibilityTargetSet) and e.session < session_id and terms[e.session].day == day:
            intervals = terms[e.session].interval_indices
            fills = _fills(e.target, len(intervals))
            sold[e.account] = sold.get(e.account, 0) | sum(1 << t for t, fill in zip(intervals, fills, strict=True) if fill)
    return sold


def _meters(terms: SessionTerms, everything: Logged) -> dict[int, MeterKey]:
    opened = {e.session: e.terms for _, e in everything if isinstance(e, events.SessionOpened)}
    event_days: dict[int, set[int]] = {}
    for _, e in everything:
        if isinstance(e, events.FlexibilityTargetSet):
            t = opened[e.session]
            if max(_fills(e.target, t.intervals)) >= t.min_quantity:
                event_days.setdefault(e.account, set()).add(t.day)
    meters = {}
    for _, e in everything:
        if isinstance(e, events.MeterBound) and e.from_day <= terms.day:
            meters[e.account] = MeterKey(e.key, e.from_day, frozenset(event_days.get(e.account, ())))
    return meters


def _proofs(ctx: Context, own: Logged) -> list[ProofCall]:
    prove = load("Deliveries").functions["prove"]
    calls: dict[str, ProofCall] = {}
    for log, e in own:
        if not isinstance(e, events.Delivered) or log.transaction in calls:
            continue
        sent = ctx.chain.transaction(log.transaction)
        assert sent is not None
        _, mask, chain, entries, proof = prove.arguments(sent.data)
        size = 1 + len(e.deviations)
        calls[log.transaction] = ProofCall(
            mask,
            chain,
            tuple(
                ProvenEntry(entries[at] & 0xFFFFFFFF, entries[at] >> 32, tuple(entries[at + 1 : at + size]))
                for at in range(0, len(entries), size)
            ),
            tuple(proof),
        )
    return list(calls.values())


def _records(own: Logged) -> dict[int, list[Record]]:
    found: dict[int, list[Record]] = {}
    for _, e in own:
        if isinstance(e, events.Delivered):
            found.setdefault(e.account, []).append(Record(e.mask, e.deviations))
    return found
