"""A pass over the log, chunk by chunk, as the contract makes it: what it leaves after any number of batches, from the log alone
(docs/protocol.md section 7). Whoever wants to go on where another stopped needs nothing but the chain's log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from contracts.clearing_words import (
    LAST_LEVEL,
    MAX_LEVEL,
    CooperativeCertificate,
    LevelSums,
    PassState,
    SideRecord,
    fingerprint,
)
from contracts.encoding import (
    GROUP_ROWS,
    IntervalCertificate,
    LoggedOrder,
    decode_entries,
    extend_log,
    hash_words,
    result_row,
    row_words,
)
from contracts.units import MAX_PRICE, Side, ceil_div

CUT, AT_FAR, BETWEEN = 1, 2, 4


@dataclass(frozen=True)
class Claim:
    """A claimed result: its certificates, its key, the live entries' positions by (account, side), excluded ones too, the
    session's intervals of the day, and the hash of the levels of a cooperative session."""

    certificates: Sequence[IntervalCertificate] | Sequence[CooperativeCertificate]
    key: bytes
    live: Mapping[tuple[int, Side], int]
    excluded: frozenset[tuple[int, Side]]
    intervals: tuple[int, ...]
    levels_hash: bytes = bytes(32)

    @property
    def cooperative(self) -> bool:
        return any(isinstance(certificate, CooperativeCertificate) for certificate in self.certificates)


def begin(claim: Claim) -> PassState:
    """The state before the first batch."""
    bids = tuple(SideRecord(0, certificate.rest_bids) for certificate in claim.certificates)
    offers = tuple(SideRecord(0, certificate.rest_offers) for certificate in claim.certificates)
    levels = LevelSums(claim.levels_hash) if claim.cooperative else None
    return PassState(bytes(32), 0, 0, bids + offers, (), levels)


def advance(
    claim: Claim, state: PassState, batches: Iterable[Sequence[int]], sold: Mapping[int, int] | None = None
) -> tuple[PassState, list[bytes]]:
    """The state after more batches, and the hashes of the groups that they complete."""
    pass_ = _Pass(claim, state, sold or {})
    for words in batches:
        pass_.take(words)
    return pass_.left(), pass_.groups


def check_levels(claim: Claim, state: PassState, words: Sequence[int], left: bytes) -> PassState:
    """The state after more levels, `words`, behind which are those with the hash `left`. It holds nothing against the log: what
    a right pass leaves is what it says."""
    reached = state.levels
    assert reached is not None, "only cooperative sessions have levels"
    for word in words:
        price, bids, offers = word & MAX_PRICE, word >> 32 & MAX_LEVEL, word >> 96 & MAX_LEVEL
        if word & LAST_LEVEL:
            reached = LevelSums(left, reached.interval + 1)
            continue
        h = fingerprint(claim.key, price)
        reached = replace(
            reached,
            bids=reached.bids + bids,
            bid_print=reached.bid_print + bids * h,
            offers=reached.offers + offers,
            offer_print=reached.offer_print + offers * h,
            least=min(reached.least, reached.offers - reached.bids),
            floor=price + 1,
        )
    return replace(state, levels=replace(reached, left=left))


class _Pass:
    """One call's memory."""

    def __init__(self, claim: Claim, state: PassState, sold: Mapping[int, int]) -> None:
        self.claim, self.state, self.sold = claim, state, sold
        self.log, self.entries, self.hits = state.log, state.entries, state.hits
        self.records = list(state.records)
        self.open = list(state.open_rows)
        self.groups: list[bytes] = []

    def left(self) -> PassState:
        return replace(
            self.state,
            log=self.log,
            entries=self.entries,
            hits=self.hits,
            records=tuple(self.records),
            open_rows=tuple(self.open),
        )

    def take(self, words: Sequence[int]) -> None:
        self.log = extend_log(self.log, words)
        for entry in decode_entries(words, len(self.claim.intervals)):
            self._entry(entry)

    def _entry(self, entry: LoggedOrder) -> None:
        order, maker = entry.order, (entry.order.account, entry.order.side)
        counts = self.claim.live[maker] == self.entries
        self.hits += counts
        counts = counts and maker not in self.claim.excluded
        fills, gross = [0] * len(self.claim.intervals), [0] * len(self.claim.intervals)
        if counts:
            withheld = self.sold.get(order.account, 0) if order.side is Side.OFFER else 0
            for step in order.steps:
                for j, interval in enumerate(self.claim.intervals):
                    if step.quantities[j] and not withheld >> interval & 1:
                        fill, worth = self._fill(order.side, j, step.limits[j], step.quantities[j])
                        fills[j] += fill
                        gross[j] += worth
        cost = sum(ceil_div(worth, 1000) for worth in gross)
        row = result_row(
            order,
            live=counts,
            lock=entry.lock,
            cost=cost if order.side is Side.BID else 0,
            fills=tuple(fills),
            gross=tuple(gross) if self.claim.cooperative and any(fills) else None,
        )
        self.open += row_words(row)
        self.entries += 1
        if self.entries % GROUP_ROWS == 0:
            self.groups.append(hash_words(self.open))
            self.open = []

    def _fill(self, side: Side, j: int, limit: int, wh: int) -> tuple[int, int]:
        """Fill of one entry in interval j, Wh, and what it comes to."""
        at = j + (len(self.claim.intervals) if side is Side.OFFER else 0)
        record, certificate = self.records[at], self.claim.certificates[j]
        if isinstance(certificate, CooperativeCertificate):
            near = far = certificate.bid_edge if side is Side.BID else certificate.offer_edge
            own = max(limit - certificate.share, 0) if side is Side.BID else limit + certificate.share
            record = replace(record, print=record.print + wh * fingerprint(self.claim.key, limit))
        else:
            near, far = (certificate.hi, certificate.lo) if side is Side.BID else (certificate.lo, certificate.hi)
            own = (certificate.lo + certificate.hi) // 2
        flip = 0 if side is Side.BID else MAX_PRICE
        good, near, far = limit ^ flip, near ^ flip, far ^ flip
        marks, rest, fill = record.marks, record.rest, 0
        if good > near:
            fill = wh
        elif good == near:
            fill = min(wh, rest)
            rest -= fill
            marks |= CUT if fill < wh else 0
        elif good >= far:
            marks |= BETWEEN if good > far else AT_FAR
        if isinstance(certificate, CooperativeCertificate):
            marks = 0
            paying = record.paying + (fill if side is Side.BID and own else 0)
            record = replace(record, paying=paying, gross=record.gross + fill * own)
        self.records[at] = replace(record, filled=record.filled + fill, rest=rest, marks=marks)
        return fill, fill * own
