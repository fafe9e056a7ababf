"""Replays a whole session from its log and says "identical", or the first thing that differs.

Nothing is taken on trust but the log itself: the book is rebuilt from the batches, the clearing computed and checked anew,
replacements are made again, every proof is verified again with an independent verifier, every statement computed anew; each
result is compared with what the contracts said.

A block session's result is the best proposal that anybody made: that it is feasible, worth what was announced and no worse than
another that was announced is checked; that none better exists is what its challenge was for, and nobody can check it here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.block_words import BlockSolution
from contracts.deliveries import Entry
from contracts.encoding import EncodingError, extend_log, hash_words
from contracts.units import Mode, Side
from market.clearing.engine import AnyClearing, check, clear
from market.clearing.proposed import ProposedClearing, block_book, proposed
from market.errors import OrderError
from market.orders import OrderBook, book_from_log
from market.session import SessionTerms
from oracle.baseline import admissible_days
from settlement.records import records_of
from settlement.replacement import Amended, ReplacementError, Takeover, amend
from settlement.rules import from_words
from settlement.statements import settle
from zk.statement import Shared
from zk.words import compress

IDENTICAL = "identical"


@dataclass(frozen=True, slots=True)
class MeterKey:
    """A key in force on the delivery day, its first day, and the account's event days."""

    key: int
    from_day: int
    event_days: frozenset[int]


@dataclass(frozen=True, slots=True)
class ProofCall:
    """One accepted proof as the contract logged it. `recorded` has a bit per entry; `meters` are the accounts' keys in force on
    the delivery day as they were bound when the proof was taken."""

    chain: int
    recorded: int
    entries: tuple[Entry, ...]
    proof: tuple[int, ...]
    meters: Mapping[int, MeterKey]


@dataclass(frozen=True)
class SessionLog:
    """Everything that the chain says about one session.

    batches     words of each order batch, in log order
    log_hash    the contract's hash of that log
    certificate words as accepted; None without a clearing
    promises    per account the target words of FlexibilityTargetSet
    sold_before per account the day's intervals that it had sold before
    proofs      accepted proofs in chain order
    sellers     per account (payer, earned, unpaid, penalty, rating), buyers (payer, cost, refund), micro-euro
    exempted    per account a bit per interval of the day that the guardian exempted
    excluded    orders (account, side) that the guardian excluded before the clearing was accepted
    takeovers   replacements in chain order
    table       of a block session the accepted proposal's; welfares are those announced, the accepted one's last (Wh times
                micro-euro per kWh)
    intake_paid micro-euro of the intake fees that somebody got for the clearing
    rounding    what Settled announced; None before
    """

    chain_id: int
    terms: SessionTerms
    rules: tuple[int, ...]
    log_hash: bytes
    batches: tuple[tuple[int, ...], ...]
    certificate: tuple[int, ...] | None
    promises: Mapping[int, tuple[int, ...]]
    sold_before: Mapping[int, int]
    proofs: Sequence[ProofCall]
    sellers: Mapping[int, tuple[int, int, int, int, int]]
    buyers: Mapping[int, tuple[int, int, int]]
    rounding: int | None
    exempted: Mapping[int, int] = field(default_factory=dict)
    excluded: Sequence[tuple[int, Side]] = ()
    takeovers: Sequence[Takeover] = ()
    intake_paid: int = 0
    table: tuple[int, ...] = ()
    welfares: Sequence[int] = ()


Verify = Callable[[int, tuple[int, int, int], tuple[int, ...]], bool]
"""Verdict on the number of accounts, the public signals (C, y, gamma) and the eight words of a proof."""


def replay(log: SessionLog, verify: Verify) -> str:
    """ "identical", or the first difference between the log and what follows from it."""
    return next(_differences(log, verify), IDENTICAL)


def _differences(log: SessionLog, verify: Verify) -> Iterator[str]:
    terms = log.terms
    hashes = [bytes(32)]
    for batch in log.batches:
        hashes.append(extend_log(hashes[-1], batch))
    # A cancelled session's log is unwound from its end, so that any part of it may be left.
    if log.log_hash not in (hashes if log.certificate is None else hashes[-1:]):
        yield f"order log: the batches hash to {hashes[-1].hex()}, the contract holds {log.log_hash.hex()}"
    if hash_words(log.rules) != terms.rules_hash:
        yield f"rules: the words hash to {hash_words(log.rules).hex()}, the session pinned {terms.rules_hash.hex()}"
    if log.certificate is None:
        if log.promises or log.proofs or log.sellers or log.buyers:
            yield "clearing: there is none, yet something was promised, recorded or paid"
        return
    book = book_from_log(terms, log.batches, log.excluded)
    clearing: AnyClearing
    if terms.mode is Mode.BLOCK:
        try:
            clearing = _proposed(log, log.certificate, book)
        except (OrderError, EncodingError) as error:
            yield f"clearing: {error}"
            return
        yield from _welfares(log, clearing)
    else:
        clearing = clear(book, log.sold_before)
        if tuple(clearing.certificate_words) != log.certificate:
            yield f"clearing: computed {_hex(clearing.certificate_words)}, the contract accepted {_hex(log.certificate)}"
        verdict = check(book, clearing, log.sold_before)
        if not verdict.accepted:
            yield f"clearing: the independent checker refuses it: {verdict}"
    try:
        amended = amend(terms, clearing.certificates, clearing.rows, from_words(log.rules), log.takeovers)
    except ReplacementError as error:
        yield f"replacement: {error}"
        return
    yield from _promises(log, clearing, amended)
    yield from _proofs(log, verify)
    yield from _payments(log, clearing, amended, terms.intake_fee * len(book.orders) - log.intake_paid)


def _proposed(log: SessionLog, certificate: tuple[int, ...], book: OrderBook) -> ProposedClearing:
    """What the accepted proposal comes to; raises `OrderError` or `EncodingError` where the contract should have refused it."""
    solution = BlockSolution.from_words(certificate, log.table)
    if tuple(solution.certificate()) != certificate:
        raise OrderError("certificate", _hex(solution.certificate()), _hex(certificate))
    table = solution.table(block_book(book, log.sold_before))
    if tuple(table) != log.table:
        raise OrderError("table", _hex(table), _hex(log.table))
    return proposed(book, solution, log.sold_before)


def _welfares(log: SessionLog, clearing: ProposedClearing) -> Iterator[str]:
    if list(log.welfares[-1:]) != [clearing.welfare]:
        yield f"clearing: its welfare is {clearing.welfare}, announced were {list(log.welfares)}"
    elif max(log.welfares) > clearing.welfare:
        yield f"clearing: a proposal worth {max(log.welfares)} was announced, one worth {clearing.welfare} accepted"


def _promises(log: SessionLog, clearing: AnyClearing, amended: Amended) -> Iterator[str]:
    """The clearing says what members promise, a replacement what its reserve does from then on; whom it replaced keeps its
    target, of which less is asked."""
    expected = {
        row.account: _target(fills)
        for row in clearing.rows
        if row.live and row.side is Side.OFFER and any(fills := amended.promised.get(row.account, row.fills))
    }
    yield from _compare("promise", expected, log.promises)


def _target(fills: Sequence[int]) -> tuple[int, ...]:
    """Fills as the words of a promise, eight a word."""
    return tuple(sum(fill << 32 * i for i, fill in enumerate(fills[at : at + 8])) for at in range(0, len(fills), 8))


def _proofs(log: SessionLog, verify: Verify) -> Iterator[str]:
    terms = log.terms
    covered: dict[int, int] = {}
    for call in log.proofs:
        who = f"proof of {[entry.account for entry in call.entries]}"
        words = list(Shared(log.chain_id, int(terms.deliveries, 16), terms.session, terms.day, terms.mask).words())
        recorded = 0
        for place, entry in enumerate(call.entries):
            meter = call.meters.get(entry.account)
            if meter is None:
                yield f"{who}: account {entry.account} has no key in force on day {terms.day}"
                return
            events = sum(1 << k for k in range(14) if terms.day - 14 + k in meter.event_days)
            admissible = admissible_days(terms.day, terms.zone.is_working_day, events, meter.from_day)
            words += [entry.account, meter.key, admissible, entry.mask, entry.count, 0, *entry.deviations]
            known = covered.get(entry.account, 0)
            if known & entry.mask != entry.mask:
                recorded |= 1 << place
                if known & entry.mask:
                    yield f"{who}: intervals {known & entry.mask:#x} of account {entry.account} are recorded twice"
            covered[entry.account] = known | entry.mask
        c, gamma, y = compress(words, terms.zone.intervals)
        if c != call.chain:
            yield f"{who}: C is {call.chain:#x}, the words chain to {c:#x}"
        if not verify(len(call.entries), (c, y, gamma), call.proof):
            yield f"{who}: it does not verify"
        if recorded != call.recorded:
            yield f"{who}: it records the entries {recorded:#b}, the contract says {call.recorded:#b}"


def _payments(log: SessionLog, clearing: AnyClearing, amended: Amended, intake_held: int) -> Iterator[str]:
    if log.rounding is None and not log.sellers and not log.buyers:
        return
    batches = [[e for i, e in enumerate(call.entries) if call.recorded >> i & 1] for call in log.proofs]
    records, rules = records_of(batches), from_words(log.rules)
    computed = settle(log.terms, clearing.certificates, amended.rows, records, rules, log.exempted, amended.extras)
    sellers = {s.account: (s.payer, s.earned, s.unpaid, s.penalty, s.rating) for s in computed.sellers}
    buyers = {b.account: (b.payer, b.cost, b.refund) for b in computed.buyers}
    if log.rounding is None:  # settlement goes on: what was paid must be right, what was not may be missing
        sellers = {account: paid for account, paid in sellers.items() if account in log.sellers}
        buyers = {account: paid for account, paid in buyers.items() if account in log.buyers}
    yield from _compare("seller (payer, earned, unpaid, penalty, rating)", sellers, log.sellers)
    yield from _compare("buyer (payer, cost, refund)", buyers, log.buyers)
    left = computed.rounding + intake_held
    if log.rounding is not None and log.rounding != left:
        yield f"rounding: computed {left}, the contract says {log.rounding}"
    if not computed.balanced:
        yield "settlement: the statements do not balance"


def _compare(what: str, computed: Mapping[int, object], said: Mapping[int, object]) -> Iterator[str]:
    for account in sorted({*computed, *said}):
        if computed.get(account) != said.get(account):
            yield f"{what} of account {account}: computed {computed.get(account)}, the contract says {said.get(account)}"


def _hex(words: Sequence[int]) -> str:
    return "[" + ", ".join(f"{word:#x}" for word in words) + "]"
