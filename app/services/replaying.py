"""Gathers a session's log from the chain itself, never from the database, and replays it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.deployed import proving_key
from app.errors import Refused
from app.services.sessions import SERVED
from app.settings import Settings
from contracts import events
from contracts.chain import Chain, ChainError, Log, open_chain
from contracts.client import MarketClient
from contracts.deliveries import decode_delivery
from contracts.deploy import Deployment
from contracts.deploy import verify as verify_deployment
from contracts.encoding import decode_excluded
from contracts.sessions import Terms
from contracts.units import Mode, SessionState, Side
from market.bookfile import written
from market.orders import book_from_log
from market.session import SessionTerms, Zone
from settlement.replacement import Takeover
from settlement.replay import MeterKey, ProofCall, SessionLog, replay
from zk.groth16 import Proof
from zk.verifier import verify


@contextmanager
def reader(settings: Settings, rpc: str | None, manifest: Path | None) -> Iterator[MarketClient]:
    """A client that only reads: no key, no database, nothing is sent or changed.

    `rpc` is a node's address, `manifest` the deployment's. Without them they are those of the data directory: the running
    marketplace's chain if there is one, else a copy of the chain that it left behind.
    """
    manifest = manifest or settings.data_dir / "deployment.json"
    if not manifest.exists():
        raise Refused(
            "Which market? A demonstration's chain ends with it; `wattproof serve` leaves its own in the data directory.",
            field="deployment",
            expected="a deployment manifest: of `wattproof serve`, or named with --deployment and a node's address with --rpc",
            got=f"no file {manifest}",
        )
    deployment = Deployment.from_json(manifest.read_text())
    with tempfile.TemporaryDirectory(prefix="wattproof-replay-") as scratch:
        chain = open_chain(rpc) if rpc else _chain_of(settings, Path(scratch))
        with chain:
            verify_deployment(chain, deployment)
            yield MarketClient(chain, deployment)


def _chain_of(settings: Settings, scratch: Path) -> Chain:
    address = settings.data_dir / "chain.url"
    if address.exists():
        try:
            return open_chain(address.read_text().strip())
        except ChainError:
            pass  # that marketplace has ended
    left = settings.chain_state
    if not left.exists():
        raise Refused(
            "There is no chain to read.", field="rpc", expected="--rpc, or a data directory with a chain", got=str(left)
        )
    for name in (left.name, f"{left.name}.genesis"):
        shutil.copy(left.with_name(name), scratch / name)
    return open_chain("anvil", None, scratch / left.name)


def replay_session(client: MarketClient, session_id: int) -> str:
    """ "identical", or the first difference between what the chain says of a session and what follows from its log."""
    name, intervals = Settings().zk_key, client.deployment.day_intervals

    def verified(accounts: int, public: tuple[int, int, int], proof: tuple[int, ...]) -> bool:
        return verify(proving_key(name, intervals, accounts).verifying_key(), public, Proof.from_words(proof))

    return replay(session_log(client, session_id), verified)


def exported(client: MarketClient, session_id: int) -> str:
    """A session's order book from the chain's log as a file (docs/market.md)."""
    log = session_log(client, session_id)
    client.order_log(session_id)  # raises where the events do not add up to the log that the contract keeps
    why = f"session {session_id} of chain {log.chain_id}, day {log.terms.day} of zone {log.terms.zone.number}"
    return written(book_from_log(log.terms, log.batches, log.excluded), log.sold_before, why)


def reservation(client: MarketClient, session_id: int) -> str | None:
    """What "identical" does not say of a session."""
    if client.terms(session_id).mode is not Mode.BLOCK:
        return None
    return (
        "The accepted proposal was checked and is no worse than any other that was made; that there is no better one was for "
        "the challenge to show, and is not checked."
    )


def session_log(client: MarketClient, session_id: int) -> SessionLog:
    """Everything that the chain logged about a session."""
    everything = list(client.events())
    opened = next((e for _, e in everything if isinstance(e, events.SessionOpened) and e.session == session_id), None)
    if opened is None:
        raise Refused(
            f"There is no session {session_id}.", status=404, field="session", expected="a known session", got=str(session_id)
        )
    terms = _terms(opened, everything)
    if terms.mode not in SERVED:
        raise Refused(
            f"Session {session_id} takes no orders and is not replayed.",
            status=409,
            field="session",
            expected="a session of mode " + " or ".join(mode.name.lower() for mode in SERVED),
            got=terms.mode.name.lower(),
        )
    own = [(log, e) for log, e in everything if getattr(e, "session", None) == session_id]
    promises = {e.account: e.target for _, e in own if isinstance(e, events.FlexibilityTargetSet)}
    certificate, excluded = _accepted(own)
    if client.state(session_id) is SessionState.CANCELLED:
        certificate = None  # a clearing that was under review came to nothing
    proposals = _proposals(own)
    return SessionLog(
        chain_id=client.chain.chain_id,
        terms=terms,
        rules=opened.rules,
        log_hash=client.log(session_id),
        batches=tuple(e.words for _, e in own if isinstance(e, events.Orders)),
        certificate=certificate,
        promises=promises,
        sold_before=_sold_before(session_id, everything),
        proofs=_proofs(terms, everything),
        sellers={p.account: (p.payer, p.earned, p.unpaid, p.penalty, p.rating) for p in _sellers(own)},
        buyers={p.account: (p.payer, p.cost, p.refund) for p in _buyers(own)},
        rounding=next((e.rounding for _, e in own if isinstance(e, events.Settled)), None),
        exempted=_exempted(own),
        excluded=excluded,
        takeovers=[
            Takeover(e.account, e.reserve, e.intervals, e.extra, e.consented) for _, e in own if isinstance(e, events.Replaced)
        ],
        intake_paid=sum(e.amount for _, e in own if isinstance(e, events.IntakeFeesPaid)),
        table=proposals[-1].table if proposals else (),
        welfares=[proposal.welfare for proposal in proposals],
    )


Logged = list[tuple[Log, events.Event]]


def _terms(opened: events.SessionOpened, everything: Logged) -> SessionTerms:
    t = opened.terms
    added = next(e for _, e in everything if isinstance(e, events.ZoneAdded) and e.zone == t.zone)
    holidays: set[int] = set()
    for _, e in everything:
        if isinstance(e, events.HolidaySet) and e.zone == t.zone:
            (holidays.add if e.holiday else holidays.discard)(e.day)
    return SessionTerms.of_contract(opened.session, Zone(t.zone, added.offset, added.interval_minutes, frozenset(holidays)), t)


def _accepted(own: Logged) -> tuple[tuple[int, ...] | None, list[tuple[int, Side]]]:
    """The last certificate that was accepted, and the orders that the guardian had excluded by then."""
    certificate: tuple[int, ...] | None = None
    excluded: list[tuple[int, Side]] = []
    known: list[tuple[int, Side]] = []
    for _, e in own:
        if isinstance(e, events.Excluded):
            known = decode_excluded(e.excluded)
        elif isinstance(e, events.Cleared):
            certificate, excluded = e.certificate, known
    return certificate, excluded


def _proposals(own: Logged) -> list[events.Proposed]:
    """Proposals of a block session in chain order, the accepted one last."""
    made = [e for _, e in own if isinstance(e, events.Proposed)]
    accepted = next((e.key for _, e in own if isinstance(e, events.Cleared)), None)
    last = max((place for place, e in enumerate(made) if e.key == accepted), default=len(made) - 1)
    return [*made[:last], *made[last + 1 :], *made[last : last + 1]]


def _exempted(own: Logged) -> dict[int, int]:
    """Per account a bit per interval of the day that the guardian exempted."""
    found: dict[int, int] = {}
    for _, e in own:
        if isinstance(e, events.Exempted):
            found[e.account] = found.get(e.account, 0) | e.intervals
    return found


def _sellers(own: Logged) -> list[events.SellerPayment]:
    return [payment for _, e in own if isinstance(e, events.SellersSettled) for payment in e.payments]


def _buyers(own: Logged) -> list[events.BuyerPayment]:
    return [payment for _, e in own if isinstance(e, events.BuyersSettled) for payment in e.payments]


def _fills(target: tuple[int, ...], intervals: int) -> list[int]:
    return [target[j // 8] >> 32 * (j % 8) & 0xFFFFFFFF for j in range(intervals)]


def _sold_before(session_id: int, everything: Logged) -> dict[int, int]:
    """Per account the day's intervals that it had sold when the session was opened. Until its clearing nothing is added: its
    intervals are under auction; what a replacement adds later is none of its business."""
    terms: dict[int, Terms] = {}
    sold: dict[tuple[int, int], int] = {}
    for _, e in everything:
        if isinstance(e, events.SessionOpened):
            terms[e.session] = e.terms
            if e.session == session_id:
                break
        elif isinstance(e, events.FlexibilityTargetSet):
            t = terms[e.session]
            fills = _fills(e.target, t.intervals)
            mask = sum(1 << i for i, fill in zip(t.interval_indices, fills, strict=True) if fill)
            sold[t.day, e.account] = sold.get((t.day, e.account), 0) | mask
    return {account: mask for (day, account), mask in sold.items() if day == terms[session_id].day}


def _event_days(everything: Logged) -> dict[int, frozenset[int]]:
    """Per account. A proof is taken only when no session of the 14 days before can bring another one: all count for it."""
    opened = {e.session: e.terms for _, e in everything if isinstance(e, events.SessionOpened)}
    found: dict[int, set[int]] = {}
    for _, e in everything:
        if isinstance(e, events.FlexibilityTargetSet):
            t = opened[e.session]
            if max(_fills(e.target, t.intervals)) >= t.min_quantity:
                found.setdefault(e.account, set()).add(t.day)
    return {account: frozenset(days) for account, days in found.items()}


def _proofs(terms: SessionTerms, everything: Logged) -> list[ProofCall]:
    """The session's proofs from their events alone, each with the keys that were in force when it was taken."""
    event_days = _event_days(everything)
    bound: dict[int, MeterKey] = {}  # the last version that has begun by the delivery day, suspended or not
    suspended: set[int] = set()
    calls = []
    for _, e in everything:
        if isinstance(e, events.MeterBound) and e.from_day <= terms.day:
            bound[e.account] = MeterKey(e.key, e.from_day, event_days.get(e.account, frozenset()))
        elif isinstance(e, events.KeySuspended):
            suspended.add(e.key)
        elif isinstance(e, events.Delivered) and e.session == terms.session:
            entries = decode_delivery(e.entries, terms.zone.intervals)
            held = {x.account: bound[x.account] for x in entries if x.account in bound}
            meters = {account: meter for account, meter in held.items() if meter.key not in suspended}
            calls.append(ProofCall(e.chain, e.recorded, entries, e.proof, meters))
    return calls
