"""Sessions: opening them, and reading terms, state, book and clearing back from what the chain logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from sqlmodel import col, select

from app.context import Context
from app.database import BlockDraft, DeliveryRecord, Exemption, LogBatch, MarketSession, Proposal, Replaced, known
from app.errors import Refused
from contracts.block_words import BlockSolution
from contracts.clearing_words import CooperativeCertificate, cooperative_certificates
from contracts.deliveries import Entry
from contracts.encoding import IntervalCertificate, ResultRow, decode_excluded
from contracts.events import SessionOpened
from contracts.orderlog import OrderLog
from contracts.sessions import SessionRequest
from contracts.units import Direction, Kind, Mode, SessionState, Side
from market.clearing.engine import CLEARED_FROM_LOG, AnyClearing, clear
from market.clearing.proposed import proposed
from market.orders import OrderBook, book_from_log
from market.session import SessionTerms, Zone
from settlement import rules as rule_sets
from settlement.records import Record, records_of
from settlement.replacement import Amended, Takeover, amend

SERVED = (*CLEARED_FROM_LOG, Mode.BLOCK)
"""Modes whose sessions this marketplace opens, clears and settles."""

CHALLENGE_S = 3600
"""Seconds after the gate closes in which proposals for a block session are taken, unless its terms say otherwise or delivery
starts within twice that."""

EPOCH = date(1970, 1, 1).toordinal()


def day_number(value: date) -> int:
    """Days since 1970-01-01."""
    return value.toordinal() - EPOCH


def day_date(day: int) -> date:
    """The inverse of `day_number`."""
    return date.fromordinal(day + EPOCH)


@dataclass(frozen=True)
class SessionView:
    """A session with everything that follows from the chain's log."""

    terms: SessionTerms
    rules: rule_sets.RuleSet
    state: SessionState
    book: OrderBook
    batches: tuple[LogBatch, ...]
    certificates: tuple[IntervalCertificate, ...] | tuple[CooperativeCertificate, ...] | None
    sold_before: dict[int, int]
    rounding: int | None
    """What the contract says is left in the escrow of a settled session, micro-euro: rounding, and intake fees of nobody's."""
    intake_held: int
    """Intake fees that nobody was paid, micro-euro."""
    takeovers: tuple[Takeover, ...]
    """Replacements in chain order."""
    accepted: BlockSolution | None = None
    """What the accepted proposal of a block session says."""

    @cached_property
    def clearing(self) -> AnyClearing | None:
        """The engine's own result over the log, or what a block session's accepted proposal comes to; None until the contract
        has accepted a certificate, and for requests. Under review it is the one with all orders: one without some is accepted
        inside the band."""
        if self.certificates is None:
            return None
        if self.accepted is not None:
            return proposed(self.book, self.accepted, self.sold_before)
        book = OrderBook(self.terms, self.book.orders) if self.state is SessionState.UNDER_REVIEW else self.book
        return clear(book, self.sold_before)

    @property
    def order_log(self) -> OrderLog:
        """The session's log as the contracts take it again."""
        return OrderLog.of([[int(word, 16) for word in batch.words] for batch in self.batches], len(self.terms.intervals))

    @cached_property
    def amended(self) -> Amended | None:
        """The clearing's rows as replacements have left them."""
        if self.clearing is None or self.certificates is None:
            return None
        return amend(self.terms, self.certificates, self.clearing.rows, self.rules, self.takeovers)

    @property
    def rows(self) -> tuple[ResultRow, ...]:
        """The result rows in force, in log order; none before the clearing."""
        return self.amended.rows if self.amended is not None else ()

    @cached_property
    def sold(self) -> dict[int, tuple[int, ...]]:
        """Fills per selling account, Wh per session interval."""
        return {row.account: row.fills for row in self.rows if row.live and row.side is Side.OFFER and any(row.fills)}


def certificates_of(mode: Mode, words: Sequence[int]) -> tuple[IntervalCertificate, ...] | tuple[CooperativeCertificate, ...]:
    """A certificate per interval from the words that the contract accepted."""
    if mode is Mode.COOPERATIVE:
        return cooperative_certificates(words)
    return tuple(IntervalCertificate.from_word(word) for word in words)


def open_session(
    ctx: Context,
    *,
    zone: int,
    kind: Kind,
    direction: Direction,
    mode: Mode,
    day: int,
    mask: int,
    gate_open: int,
    gate_close: int,
    exemption_deadline: int,
    proof_deadline: int,
    price_cap: int,
    min_quantity: int,
    rules: str,
    fee_ppm: int | None = None,
    fee_account: int | None = None,
    intake_fee: int | None = None,
    challenge_end: int | None = None,
) -> int:
    """Opens a session on chain and returns its id. Fees that are not given are the settings', a block session's challenge
    ends `CHALLENGE_S` after the gate closes, or halfway to delivery."""
    if rules not in rule_sets.shipped():
        raise Refused(f"There is no rule set {rules}.", field="rules", expected=f"one of {rule_sets.shipped()}", got=rules)
    rule_set = rule_sets.load(rules)
    if mode not in SERVED:
        raise Refused(
            "The operator opens sessions that take orders.",
            field="mode",
            expected=" or ".join(known.name.lower() for known in SERVED),
            got=mode.name.lower(),
        )
    settings = ctx.settings
    if challenge_end is None:
        challenge_end = _challenge_end(ctx.zone(zone), day, mask, gate_close) if mode is Mode.BLOCK else 0
    terms = SessionTerms(  # raises what the contract would refuse, with the field's name
        session=1,
        zone=ctx.zone(zone),
        kind=kind,
        direction=direction,
        mode=mode,
        day=day,
        mask=mask,
        gate_open=gate_open,
        gate_close=gate_close,
        exemption_deadline=exemption_deadline,
        proof_deadline=proof_deadline,
        price_cap=price_cap,
        min_quantity=min_quantity,
        collateral_ppm=rule_set.collateral_ppm,
        rules_hash=rule_set.hash,
        deliveries=ctx.deployment.contracts["Deliveries"],
        fee_ppm=settings.fee_ppm if fee_ppm is None else fee_ppm,
        fee_account=settings.fee_account if fee_account is None else fee_account,
        intake_fee=settings.intake_fee if intake_fee is None else intake_fee,
        challenge_end=challenge_end,
    )
    if terms.fee_account > ctx.client.accounts():
        raise Refused(
            f"Account {terms.fee_account} does not exist.",
            field="fee_account",
            expected="a registered account",
            got=str(terms.fee_account),
        )
    request = SessionRequest(
        zone,
        kind,
        direction,
        mode,
        day,
        mask,
        gate_open,
        gate_close,
        exemption_deadline,
        proof_deadline,
        price_cap,
        min_quantity,
        terms.deliveries,
        terms.fee_ppm,
        terms.fee_account,
        terms.intake_fee,
        terms.challenge_end,
    )
    row = ctx.send("open", "operator", ctx.client.encode_open_session(request, rule_set.words()))
    assert row.transaction is not None
    receipt = ctx.chain.receipt(row.transaction)
    assert receipt is not None
    opened = next(e.session for e in ctx.client.receipt_events(receipt) if isinstance(e, SessionOpened))
    with ctx.database.session() as db:
        row.session = opened  # so that the session's list of transactions begins with its opening
        db.merge(row)
    return opened


def _challenge_end(zone: Zone, day: int, mask: int, gate_close: int) -> int:
    """Half of the time until delivery at most: a guardian may have to look at what comes of the challenge."""
    first = min((mask & -mask).bit_length() - 1, zone.intervals)
    return gate_close + min(CHALLENGE_S, max(0, zone.interval_start(day, first) - gate_close) // 2)


def all_ids(ctx: Context) -> list[int]:
    """Every session's id, newest first."""
    with ctx.database.session() as db:
        return list(db.exec(select(MarketSession.id).order_by(col(MarketSession.id).desc())).all())


def view(ctx: Context, session_id: int) -> SessionView:
    """The session as the chain's log tells it."""
    ctx.refresh()
    with ctx.database.session() as db:
        row = known(db.get(MarketSession, session_id), "session", session_id)
        batches = tuple(db.exec(select(LogBatch).where(LogBatch.session == session_id).order_by(col(LogBatch.first))).all())
        replaced = db.exec(select(Replaced).where(Replaced.session == session_id).order_by(col(Replaced.id))).all()
        chosen = db.exec(select(Proposal).where(Proposal.session == session_id, col(Proposal.accepted))).first()
    terms = terms_of(ctx.zone(int(row.terms["zone"])), row.terms)
    excluded = decode_excluded([int(word, 16) for word in row.excluded])
    book = book_from_log(terms, [[int(word, 16) for word in batch.words] for batch in batches], excluded)
    state = ctx.client.state(session_id)
    certificates = None
    # A clearing that was under review when its session was cancelled came to nothing.
    accepted = None
    if row.certificate is not None and terms.mode in SERVED and state is not SessionState.CANCELLED:
        if chosen is not None:
            accepted = solution_of(chosen)
        certificates = certificates_of(terms.mode, [int(word, 16) for word in row.certificate])
    return SessionView(
        terms=terms,
        rules=rule_sets.from_words([int(word, 16) for word in row.rules]),
        state=state,
        book=book,
        batches=batches,
        certificates=certificates,
        sold_before=ctx.sold_elsewhere(terms.session, terms.day),
        rounding=row.rounding,
        intake_held=terms.intake_fee * len(book.orders) - row.intake_paid,
        takeovers=tuple(Takeover(r.account, r.reserve, int(r.intervals, 16), r.extra, r.consented) for r in replaced),
        accepted=accepted,
    )


def solution_of(row: Proposal | BlockDraft) -> BlockSolution:
    """What the stored words of a proposal say."""
    return BlockSolution.from_words([int(word, 16) for word in row.certificate], [int(word, 16) for word in row.table])


def terms_of(zone: Zone, stored: dict[str, object]) -> SessionTerms:
    """Terms from their stored form."""
    number = {key: int(str(value)) for key, value in stored.items() if key not in ("rules_hash", "deliveries", "mask", "zone")}
    return SessionTerms(
        session=number["session"],
        zone=zone,
        kind=Kind(number["kind"]),
        direction=Direction(number["direction"]),
        mode=Mode(number["mode"]),
        day=number["day"],
        mask=int(str(stored["mask"]), 16),
        gate_open=number["gate_open"],
        gate_close=number["gate_close"],
        exemption_deadline=number["exemption_deadline"],
        proof_deadline=number["proof_deadline"],
        price_cap=number["price_cap"],
        min_quantity=number["min_quantity"],
        collateral_ppm=number["collateral_ppm"],
        rules_hash=bytes.fromhex(str(stored["rules_hash"])),
        deliveries=str(stored["deliveries"]),
        fee_ppm=number["fee_ppm"],
        fee_account=number["fee_account"],
        intake_fee=number["intake_fee"],
        challenge_end=number["challenge_end"],
    )


def exempted(ctx: Context, session_id: int) -> dict[int, int]:
    """Per account the intervals of the day for which the guardian freed it from penalties in a session."""
    with ctx.database.session() as db:
        rows = db.exec(select(Exemption).where(Exemption.session == session_id)).all()
    found: dict[int, int] = {}
    for row in rows:
        found[row.account] = found.get(row.account, 0) | int(row.intervals, 16)
    return found


def batches(ctx: Context, session_id: int) -> list[list[Entry]]:
    """The recorded entries of the session's proofs, proof by proof in chain order."""
    with ctx.database.session() as db:
        rows = db.exec(
            select(DeliveryRecord).where(DeliveryRecord.session == session_id).order_by(col(DeliveryRecord.id))
        ).all()
    found: dict[int, list[Entry]] = {}
    for row in rows:
        deviations = tuple(int(word, 16) for word in row.deviations)
        found.setdefault(row.batch, []).append(Entry(row.account, row.count, int(row.mask, 16), deviations))
    return list(found.values())


def records(ctx: Context, session_id: int) -> dict[int, list[Record]]:
    """What verified proofs put on chain, per account in chain order."""
    return records_of(batches(ctx, session_id))
