"""Calldata of every transaction of the market: `encode_*` gives `(to, data)`, to be sent now or kept in an outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from eth_hash.auto import keccak

from contracts.artifacts import Function, load
from contracts.clearing_words import Chunk, chain_hash
from contracts.deliveries import ProofBatch
from contracts.deploy import Deployment
from contracts.encoding import hash_words
from contracts.orderlog import OrderLog
from contracts.sessions import SessionRequest
from contracts.typed_data import SignedBatch
from contracts.units import Mode

RESULTS = {
    Mode.COMPETITIVE: "Clearing",
    Mode.COOPERATIVE: "Clearing",
    Mode.BLOCK: "BlockClearing",
    Mode.REQUEST: "FlexRequests",
}
"""The contract that knows the results of a session's mode."""


class ClearingPass(NamedTuple):
    """One call of `clear`, in the order of the contract's struct (docs/protocol.md section 7)."""

    certificate: Sequence[int]
    levels_hash: bytes
    """Of all levels of a cooperative session (`contracts.clearing_words.chain_hash`), zero otherwise."""
    live: Sequence[int]
    excluded: Sequence[int]
    marks: Sequence[bytes]
    """Hashes of a long log at places between its beginning and its end."""
    state: Sequence[int]
    """What the call before left; empty at first."""
    sizes: Sequence[int]
    """Lengths of the call's batches in words."""
    words: Sequence[int]
    hints: Sequence[int]
    rest: Sequence[bytes]
    """Hashes of the words of every batch that comes after these, up to a mark or to the end."""
    levels: Sequence[int]
    """The next levels, once every batch is taken."""
    levels_left: bytes
    """Hash of the levels that come after them."""
    beneficiary: int
    """The account that the intake fees go to with the last call; 0 for nobody's."""

    @classmethod
    def whole(cls, log: OrderLog, certificate: Sequence[int], levels: Sequence[int] = (), beneficiary: int = 0) -> ClearingPass:
        """All of a log at once, nothing excluded."""
        live, hints = log.table()
        nothing, all_levels = chain_hash(()), chain_hash(levels)
        return cls(
            certificate, all_levels, live, (), log.marks(), (), log.sizes, log.words, hints, (), levels, nothing, beneficiary
        )

    def part(self, log: OrderLog, chunk: Chunk, state: Sequence[int], levels: Sequence[int] = ()) -> ClearingPass:
        """The call of one chunk, which goes on from `state`; `levels` are all of the session's."""
        now = OrderLog(log.batches[chunk.first : chunk.end], log.intervals)
        return self._replace(
            state=state,
            sizes=now.sizes,
            words=now.words,
            hints=now.hints(sorted(log.live())),
            rest=log.rest(chunk.end),
            levels=levels[chunk.level : chunk.level_end],
            levels_left=chain_hash(levels[chunk.level_end :]),
        )

    def key(self, log: bytes) -> bytes:
        """What the contract keeps this clearing of a log with the hash `log` under."""
        live, excluded = hash_words(self.live), hash_words(self.excluded)
        claimed = (hash_words(self.certificate), self.levels_hash, live, excluded, keccak(b"".join(self.marks)), log)
        return bytes(keccak(b"".join(claimed)))


class Call(NamedTuple):
    """A transaction without its sender."""

    to: str
    data: bytes


class MarketCalls:
    """Encodes transactions for one deployment; knows no chain."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    def _call(self, name: str, function: str, *values: Any) -> Call:
        return Call(self.deployment.contracts[name], _function(name, function).call(*values))

    def encode_add_zone(self, offset: int, interval_minutes: int) -> Call:
        return self._call("Zones", "add", offset, interval_minutes)

    def encode_set_holidays(self, zone: int, days: Sequence[int], holiday: bool = True) -> Call:
        return self._call("Zones", "setHolidays", zone, days, holiday)

    def encode_register(self, owner: str) -> Call:
        return self._call("Accounts", "register", owner)

    def encode_set_delegate(self, account: int, delegate: int) -> Call:
        """Lets the owner of the account `delegate` place orders for `account`; 0 ends that."""
        return self._call("Accounts", "setDelegate", account, delegate)

    def encode_set_envelope(self, account: int, wh: int) -> Call:
        """The most that `account` may offer in an interval of a cooperative session, Wh."""
        return self._call("Accounts", "setEnvelope", account, wh)

    def encode_bind_meter(self, account: int, zone: int, key: int, from_day: int) -> Call:
        return self._call("Accounts", "bindMeter", account, zone, key, from_day)

    def encode_mint(self, to: str, amount: int) -> Call:
        """Play money; development chains only."""
        return self._call("Token", "mint", to, amount)

    def encode_approve(self, amount: int) -> Call:
        """Lets the vault take `amount` of the sender's tokens."""
        return self._call("Token", "approve", self.deployment.contracts["Vault"], amount)

    def encode_deposit(self, account: int, amount: int) -> Call:
        return self._call("Vault", "deposit", account, amount)

    def encode_withdraw(self, account: int, amount: int, to: str) -> Call:
        return self._call("Vault", "withdraw", account, amount, to)

    def encode_open_session(self, request: SessionRequest, rules: Sequence[int]) -> Call:
        return self._call("FlexMarket", "openSession", request.values(), rules)

    def encode_cancel(self, session: int, reason: str) -> Call:
        return self._call("FlexMarket", "cancel", session, reason)

    def encode_set_paused(self, paused: bool) -> Call:
        return self._call("FlexMarket", "setPaused", paused)

    def encode_release_auction(self, session: int) -> Call:
        return self._call("FlexMarket", "releaseAuction", session)

    def encode_place(self, session: int, words: Sequence[int]) -> Call:
        return self._call("FlexMarket", "place", session, words)

    def encode_place_signed(self, batches: Sequence[SignedBatch]) -> Call:
        listed = [
            (b.batch.session, b.batch.words, b.batch.nonce, b.batch.counter, b.batch.deadline, b.signer, b.signature)
            for b in batches
        ]
        return self._call("FlexMarket", "placeSigned", listed)

    def encode_invalidate_nonces(self, word: int, bits: int) -> Call:
        """Makes the sender's nonces `256 * word + k` unusable, for every set bit k."""
        return self._call("FlexMarket", "invalidateNonces", word, bits)

    def encode_increment_counter(self) -> Call:
        """Makes everything that the sender has signed so far unusable."""
        return self._call("FlexMarket", "incrementCounter")

    def encode_clear(self, session: int, part: ClearingPass) -> Call:
        """The next batches of the log, with what is claimed of all of it."""
        return self._call("Clearing", "clear", session, tuple(part))

    def encode_take(self, session: int, part: ClearingPass) -> Call:
        """As `clear`, but leaves the conditions at the end to a call of their own."""
        return self._call("Clearing", "take", session, tuple(part))

    def encode_commit(self, session: int, group: int, rows: Sequence[int], mode: Mode = Mode.COMPETITIVE) -> Call:
        return self._call(RESULTS[mode], "commit", session, group, rows)

    def encode_release(self, session: int, certificate: Sequence[int], reason: str, mode: Mode = Mode.COMPETITIVE) -> Call:
        """By the guardian: the clearing under review stands."""
        return self._call(RESULTS[mode], "release", session, certificate, reason)

    def encode_cancel_reviewed(self, session: int, reason: str, mode: Mode = Mode.COMPETITIVE) -> Call:
        """By the guardian: the session under review comes to nothing."""
        return self._call(RESULTS[mode], "cancelReviewed", session, reason)

    def encode_exclude(self, session: int, excluded: Sequence[int], evidence: bytes) -> Call:
        """By the guardian: the session may be cleared again without these orders; `evidence` is a hash."""
        return self._call("Clearing", "exclude", session, excluded, evidence)

    def encode_decide(self, session: int, alert: bytes, outcome: int, reason: str) -> Call:
        """By the guardian: what was decided (0 dismissed, 1 confirmed) about the alert with this evidence hash."""
        return self._call("Decisions", "decide", session, alert, outcome, reason)

    def encode_exempt(self, session: int, group: int, row: int, rows: Sequence[int], intervals: int, reason: str) -> Call:
        """By the guardian: a seller's intervals of the day (a mask) cost no penalty; `rows` are those of its group."""
        return self._call("Settlement", "exempt", session, group, row, rows, intervals, reason)

    def encode_release_cancelled(self, session: int, previous: bytes, words: Sequence[int]) -> Call:
        return self._call("FlexMarket", "releaseCancelled", session, previous, words)

    def encode_prove(self, session: int, batches: Sequence[ProofBatch]) -> Call:
        """Proofs of one session; those with equally many accounts share one check."""
        listed = [(batch.chain, batch.entries, batch.proof_words) for batch in batches]
        return self._call("Deliveries", "prove", session, listed)

    def encode_join(self, session: int, batches: Sequence[Sequence[int]], picks: Sequence[tuple[int, int]]) -> Call:
        """Makes one record of several of an account; `picks` name them by batch and entry."""
        return self._call("Deliveries", "join", session, batches, [batch | entry << 16 for batch, entry in picks])

    def encode_report_fork(self, key: int, day: int, interval: int, proof_words: Sequence[int]) -> Call:
        """That meter key word `key` signed two heads for `day` which differ in `interval`, or as a whole where that is T."""
        return self._call("Forks", "report", key, day, interval, proof_words)

    def encode_settle(
        self,
        session: int,
        group: int,
        which: int,
        rows: Sequence[int],
        certificate: Sequence[int],
        rules: Sequence[int],
        batches: Sequence[Sequence[int]],
        picks: Sequence[int],
    ) -> Call:
        """`batches` are the words of recorded entries, `picks` as `contracts.deliveries.pick_words` makes them."""
        return self._call("Settlement", "settle", session, group, which, rows, certificate, rules, batches, picks)


def _function(name: str, function: str) -> Function:
    return load("DevEuro" if name == "Token" else name).functions[function]
