"""Words of block sessions: what a proposal says, its key, its calls, the states between them (docs/protocol.md section 12)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from eth_hash.auto import keccak

from contracts.encoding import (
    EncodingError,
    IntervalCertificate,
    LoggedOrder,
    ResultRow,
    decode_row,
    extend_log,
    hash_words,
    hint_words,
    row_size,
    row_words,
    words_for,
)
from contracts.orderlog import OrderLog
from contracts.units import MAX_PRICE, PPM, Side

_M31 = (1 << 31) - 1
_M32 = (1 << 32) - 1
_M40 = (1 << 40) - 1
_M128 = (1 << 128) - 1

_GAS_A_CALL, _GAS_A_ROW, _GAS_AN_INTERVAL, _GAS_AN_ENTRY, _GAS_A_WORD = 450_000, 1_500, 8_000, 12_000, 2_800


@dataclass(frozen=True)
class BlockBook:
    """The log of a block session: `entries[i]` is the entry at position i.

    `intervals` are the session's intervals of the day, `price_cap` is in micro-euro per kWh, `sold` maps accounts to masks of
    the day's intervals that they have sold before.
    """

    entries: tuple[LoggedOrder, ...]
    intervals: tuple[int, ...]
    price_cap: int
    sold: Mapping[int, int] = field(default_factory=dict)

    @property
    def live(self) -> dict[tuple[int, Side], int]:
        """Position of the last entry of every (account, side), cancelling ones included."""
        return {(entry.order.account, entry.order.side): position for position, entry in enumerate(self.entries)}


@dataclass(frozen=True, slots=True)
class Choice:
    """What is accepted of one block: a ratio (ppm), and the session intervals (a bit each) in which the fill is rounded up."""

    ratio: int
    up: int = 0

    def fill(self, quantity: int, interval: int) -> int:
        """Wh of a block's `quantity` in session interval `interval`."""
        return quantity * self.ratio // PPM + (self.up >> interval & 1)


@dataclass(frozen=True)
class BlockSolution:
    """A price (micro-euro per kWh) and a volume (Wh) per session interval, and a choice per accepted block, by position."""

    prices: tuple[int, ...]
    volumes: tuple[int, ...]
    choices: Mapping[int, Choice]

    def certificate(self) -> list[int]:
        """Certificate words: the competitive one's with a single price; 0 where nothing is traded."""
        words = []
        for j, (price, volume) in enumerate(zip(self.prices, self.volumes, strict=True)):
            if not 0 <= price <= MAX_PRICE:
                raise EncodingError(f"prices[{j}]", f"0..{MAX_PRICE} micro-euro per kWh", price)
            if not 0 <= volume <= _M40:
                raise EncodingError(f"volumes[{j}]", f"0..{_M40} Wh", volume)
            if price and not volume:
                raise EncodingError(f"prices[{j}]", "0 where nothing is traded", price)
            words.append(IntervalCertificate(price, price, volume, 0, 0).word())
        return words

    def table(self, book: BlockBook) -> list[int]:
        """The table: a word per live entry, ascending by account and side."""
        live = book.live
        unknown = sorted(set(self.choices) - set(live.values()))
        if unknown:
            raise EncodingError("choices", "positions of live entries", unknown)
        words = []
        for (account, side), position in sorted(live.items()):
            choice = self.choices.get(position, Choice(0))
            if not 0 <= choice.ratio <= _M32 or choice.up >> len(book.intervals):
                raise EncodingError(f"choices[{position}]", "a ratio in ppm and a bit per interval", choice)
            payer = book.entries[position].order.payer
            words.append(position | side << 31 | account << 32 | payer << 64 | choice.ratio << 96 | choice.up << 128)
        return words

    @classmethod
    def from_words(cls, certificate: Sequence[int], table: Sequence[int]) -> BlockSolution:
        """What the words of event `Proposed` say."""
        claims = [IntervalCertificate.from_word(word) for word in certificate]
        choices = {word & _M31: Choice(word >> 96 & _M32, word >> 128) for word in table if word >> 96}
        return cls(tuple(claim.lo for claim in claims), tuple(claim.volume for claim in claims), choices)


@dataclass(frozen=True, slots=True)
class BlockCall:
    """What one call of `propose` takes in besides the proposal and the state: batches and the table's row of each entry."""

    sizes: tuple[int, ...]
    words: tuple[int, ...]
    hints: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal as the contract takes it, and the calls of its pass."""

    account: int
    """Locks the bond; its owner sends the last call."""
    certificate: tuple[int, ...]
    table: tuple[int, ...]
    logs: tuple[bytes, ...]
    calls: tuple[BlockCall, ...]

    def key(self) -> bytes:
        """The key of the pass."""
        parts = [
            self.account.to_bytes(32, "big"),
            hash_words(self.certificate),
            hash_words(self.table),
            bytes(keccak(b"".join(self.logs))),
        ]
        return bytes(keccak(b"".join(parts)))


def proposal(book: BlockBook, solution: BlockSolution, log: OrderLog, account: int, most_words: int) -> Proposal:
    """`solution` as the proposal of `account`, in calls of at most `most_words` words of the log (more where a batch has)."""
    row_of = {maker: row for row, maker in enumerate(sorted(book.live))}
    makers = log.makers()
    calls: list[BlockCall] = []
    logs: list[bytes] = []
    open_: list[tuple[int, ...]] = []
    reached, done = bytes(32), 0
    for number, batch in enumerate(log.batches):
        open_.append(batch)
        reached = extend_log(reached, batch)
        following = log.batches[number + 1 : number + 2]
        if following and sum(map(len, open_)) + len(following[0]) <= most_words:
            continue
        entries = len(OrderLog(tuple(open_), log.intervals).makers())
        hints = hint_words([row_of[maker] for maker in makers[done : done + entries]])
        calls.append(BlockCall(tuple(map(len, open_)), tuple(word for words in open_ for word in words), tuple(hints)))
        logs.append(reached)
        open_, done = [], done + entries
    if not calls:
        calls, logs = [BlockCall((), (), ())], [reached]
    return Proposal(account, tuple(solution.certificate()), tuple(solution.table(book)), tuple(logs), tuple(calls))


def words_a_call(intervals: int, rows: int, gas: int) -> int:
    """How many words of the log one call of `propose` may take so that it stays below `gas`, by an estimate that errs upwards
    (tests/contracts/test_block_gas.py); `rows` is the length of the table, which every call carries.

    Raises `EncodingError` where table and certificate alone are too much for a call.
    """
    size = 1 + words_for(intervals, 4)
    fixed = _GAS_A_CALL + _GAS_A_ROW * rows + _GAS_AN_INTERVAL * intervals
    most = (gas - fixed) * size // (_GAS_AN_ENTRY + _GAS_A_WORD * size)
    if most < size:
        raise EncodingError("table", f"rows that fit into a call of {gas} gas", f"{rows} rows, which need {fixed}")
    return most


@dataclass(frozen=True, slots=True)
class PassState:
    """How far a pass has come: what event `ProposalContinued` carries and the next call takes."""

    log: bytes
    entries: int
    hits: int
    """Live entries met."""
    calls: int
    welfare: int
    """Wh times micro-euro per kWh, may be negative on the way."""
    bids: tuple[int, ...]
    """Wh per session interval."""
    offers: tuple[int, ...]
    rows: tuple[ResultRow, ...]
    """Of the open group."""

    def words(self) -> list[int]:
        head = [
            int.from_bytes(self.log, "big"),
            self.entries | self.hits << 32 | self.calls << 64,
            self.welfare % (1 << 256),
        ]
        volumes = [bids | offers << 128 for bids, offers in zip(self.bids, self.offers, strict=True)]
        return head + volumes + [word for row in self.rows for word in row_words(row)]

    @classmethod
    def from_words(cls, words: Sequence[int], intervals: int) -> PassState:
        if len(words) < 3 + intervals:
            raise EncodingError("state", f"at least {3 + intervals} words", len(words))
        welfare = words[2] - (words[2] >> 255 << 256)
        volumes = words[3 : 3 + intervals]
        rows, rest = [], list(words[3 + intervals :])
        while rest:
            size = row_size(rest[0], intervals)
            rows.append(decode_row(rest[:size], intervals))
            rest = rest[size:]
        return cls(
            words[0].to_bytes(32, "big"),
            words[1] & _M32,
            words[1] >> 32 & _M32,
            words[1] >> 64,
            welfare,
            tuple(word & _M128 for word in volumes),
            tuple(word >> 128 for word in volumes),
            tuple(rows),
        )
