"""Words that contracts and Python share: schedule orders, live table, certificate, result rows (docs/protocol.md, 6 and 7).

Every function is the exact twin of what the contracts read; anything that the contracts would refuse raises `EncodingError`
with the field's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from eth_hash.auto import keccak

from contracts.errors import FieldError
from contracts.units import MAX_PRICE, MAX_QUANTITY, PPM, Side, ceil_div

MAX_STEPS = 4
"""Steps of one schedule order's curve."""

GROUP_ROWS = 16
"""Result rows behind one group hash."""

_ENTRIES_A_WORD = 4
_FILLS_A_WORD = 8
_GROSS_A_WORD = 4

_M32 = (1 << 32) - 1
_M64 = (1 << 64) - 1


class EncodingError(FieldError):
    """A value that does not fit the protocol's words."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a curve: per session interval a quantity (Wh) and a limit (micro-euro per kWh); no quantity, no limit."""

    quantities: tuple[int, ...]
    limits: tuple[int, ...]


class EntryTerms(Protocol):
    """What a session's terms say about the words of its entries; both the contract's terms and the market's have it."""

    @property
    def mask(self) -> int:
        """A bit per interval of the day."""

    @property
    def price_cap(self) -> int:
        """Micro-euro per kWh."""

    @property
    def collateral_ppm(self) -> int:
        """Share of an offer's worth at the cap that it locks."""


@dataclass(frozen=True, slots=True)
class ScheduleOrder:
    """One account's whole curve on one side of a session: 1 to 4 steps. A single step without quantities cancels.

    `agent` is the account whose owner signs, 0 where the account's own does; with `agent_pays` money is the agent's. What a
    `reserve` (offers only) does not fill may replace failing members. In block mode `min_fill_ppm` is the least part that is
    taken, and `parent` the (account, side) without which nothing is.
    """

    account: int
    side: Side
    steps: tuple[Step, ...]
    agent: int = 0
    agent_pays: bool = False
    reserve: bool = False
    min_fill_ppm: int = 0
    parent: tuple[int, Side] | None = None

    @property
    def cancels(self) -> bool:
        return not any(any(step.quantities) for step in self.steps)

    @property
    def entries(self) -> int:
        """Number of (interval, quantity, limit) entries with a quantity."""
        return sum(1 for step in self.steps for quantity in step.quantities if quantity)

    @property
    def payer(self) -> int:
        """The account whose money is locked and moved."""
        return self.agent if self.agent_pays else self.account

    def lock(self, price_cap: int, collateral_ppm: int) -> int:
        """Micro-euro locked at entry: a bid's largest cost, an offer's collateral by the cap. The intake fee comes on top."""
        if self.side is Side.BID:
            return sum(ceil_div(q * p, 1000) for step in self.steps for q, p in zip(step.quantities, step.limits, strict=True))
        return ceil_div(collateral_ppm * price_cap * sum(sum(step.quantities) for step in self.steps), 10**9)


@dataclass(frozen=True, slots=True)
class StatedTerms:
    """`EntryTerms` by themselves, for whoever knows a session from the API alone."""

    mask: int
    price_cap: int
    collateral_ppm: int


@dataclass(frozen=True, slots=True)
class LoggedOrder:
    """An entry of the log: the order, and the lock (micro-euro) that its header states."""

    order: ScheduleOrder
    lock: int


@dataclass(frozen=True, slots=True)
class IntervalCertificate:
    """Result of one interval: the price range [lo, hi] (micro-euro per kWh), the volume (Wh), and what is left of it for bids
    at hi (`rest_bids`) and for offers at lo (`rest_offers`)."""

    lo: int
    hi: int
    volume: int
    rest_bids: int
    rest_offers: int

    @property
    def price(self) -> int | None:
        """Clearing price, micro-euro per kWh; None where nothing cleared."""
        return (self.lo + self.hi) // 2 if self.volume else None

    def word(self) -> int:
        return self.lo | self.hi << 32 | self.volume << 64 | self.rest_bids << 104 | self.rest_offers << 144

    @classmethod
    def from_word(cls, word: int) -> IntervalCertificate:
        if word >> 184:
            raise EncodingError("certificate", "no bits above 184", f"{word:#x}")
        m40 = (1 << 40) - 1
        return cls(word & MAX_PRICE, word >> 32 & MAX_PRICE, word >> 64 & m40, word >> 104 & m40, word >> 144 & m40)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """What one entry of the log came to: lock and cost in micro-euro, fills in Wh per session interval.

    `gross` is there where the row has prices of its own: per interval the sum of fill times price, in thousandths of a
    micro-euro. `steps` is the number of the entry's steps, `reserves` tells whether it is a reserve, and `reserve` are the
    steps of a live one.
    """

    account: int
    payer: int
    side: Side
    live: bool
    lock: int
    cost: int
    fills: tuple[int, ...]
    gross: tuple[int, ...] | None = None
    reserve: tuple[Step, ...] | None = None
    steps: int = 1
    reserves: bool = False


def result_row(
    order: ScheduleOrder, *, live: bool, lock: int, cost: int, fills: tuple[int, ...], gross: tuple[int, ...] | None = None
) -> ResultRow:
    """The row of `order`, where it is `live` with what it came to."""
    return ResultRow(
        account=order.account,
        payer=order.payer,
        side=order.side,
        live=live,
        lock=lock,
        cost=cost,
        fills=fills,
        gross=gross,
        reserve=order.steps if live and order.reserve else None,
        steps=len(order.steps),
        reserves=order.reserve,
    )


def entry_words(order: ScheduleOrder, terms: EntryTerms) -> list[int]:
    """`order` as words for a session with these terms, the lock that follows from them in its header."""
    return encode_entry(order, terms.mask.bit_count(), order.lock(terms.price_cap, terms.collateral_ppm))


def batch_words(orders: Sequence[ScheduleOrder], terms: EntryTerms) -> list[int]:
    """Several orders as the words of one batch."""
    return [word for order in orders for word in entry_words(order, terms)]


def encode_entry(order: ScheduleOrder, intervals: int, lock: int) -> list[int]:
    """`order` as words for `intervals` intervals, stating `lock` (micro-euro); the market takes none but the right one."""
    words = [_entry_header(order, lock)]
    for number, step in enumerate(order.steps):
        words += _step_words(f"steps[{number}]", step, intervals)
    if order.cancels and len(order.steps) > 1:
        raise EncodingError("steps", "one step in an order without quantities", len(order.steps))
    if order.cancels:
        for field, bare, got in (
            ("lock", not lock, lock),
            ("reserve", not order.reserve, order.reserve),
            ("min_fill_ppm", not order.min_fill_ppm, order.min_fill_ppm),
            ("parent", order.parent is None, order.parent),
        ):
            if not bare:
                raise EncodingError(field, "none in an order without quantities", got)
    return words


def _entry_header(order: ScheduleOrder, lock: int) -> int:
    _within("account", order.account, 1, _M32)
    _within("agent", order.agent, 0, _M32)
    _within("lock", lock, 0, _M64, " micro-euro")
    _within("min_fill_ppm", order.min_fill_ppm, 0, PPM)
    if not 1 <= len(order.steps) <= MAX_STEPS:
        raise EncodingError("steps", f"1 to {MAX_STEPS}", len(order.steps))
    if order.agent == order.account:
        raise EncodingError("agent", "another account than the order's", order.agent)
    if order.agent_pays and not order.agent:
        raise EncodingError("agent_pays", "an agent that pays", "none")
    if order.reserve and order.side is not Side.OFFER:
        raise EncodingError("reserve", "an offer", "a bid")
    header = order.account | order.agent << 32 | lock << 64 | (len(order.steps) - 1) << 128
    header |= order.agent_pays << 130 | order.reserve << 131 | order.min_fill_ppm << 132 | int(order.side) << 255
    if order.parent is not None:
        account, side = order.parent
        _within("parent", account, 1, _M32)
        if order.parent == (order.account, order.side):
            raise EncodingError("parent", "another order than its own", f"{side.name.lower()} of account {account}")
        header |= account << 152 | int(side) << 184
    return header


def _step_words(name: str, step: Step, intervals: int) -> list[int]:
    if len(step.quantities) != intervals or len(step.limits) != intervals:
        raise EncodingError(name, f"{intervals} quantities and limits", f"{len(step.quantities)} and {len(step.limits)}")
    body = [0] * words_for(intervals, _ENTRIES_A_WORD)
    for j, (quantity, limit) in enumerate(zip(step.quantities, step.limits, strict=True)):
        _within(f"{name}.quantities[{j}]", quantity, 0, MAX_QUANTITY, " Wh")
        _within(f"{name}.limits[{j}]", limit, 0, MAX_PRICE, " micro-euro per kWh")
        if not quantity and limit:
            raise EncodingError(f"{name}.limits[{j}]", "zero where the quantity is zero", limit)
        body[j // 4] |= (quantity | limit << 24) << 56 * (j % 4)
    return body


def _decode_steps(words: Sequence[int], intervals: int) -> tuple[Step, ...]:
    size = words_for(intervals, _ENTRIES_A_WORD)
    found = []
    for start in range(0, len(words), size):
        body = words[start : start + size]
        slots = [body[j // 4] >> 56 * (j % 4) & (1 << 56) - 1 for j in range(intervals)]
        found.append(Step(tuple(s & MAX_QUANTITY for s in slots), tuple(s >> 24 for s in slots)))
    return tuple(found)


def _within(field: str, value: int, least: int, largest: int, unit: str = "") -> None:
    if not least <= value <= largest:
        raise EncodingError(field, f"{least}..{largest}{unit}", value)


def entry_size(header: int, intervals: int) -> int:
    """Words of an entry with this header in a session of `intervals` intervals."""
    return 1 + ((header >> 128 & 3) + 1) * words_for(intervals, _ENTRIES_A_WORD)


def decode_entries(words: Sequence[int], intervals: int) -> Iterator[LoggedOrder]:
    """The entries in a batch's words; raises `EncodingError` on what no session of `intervals` intervals would have taken."""
    at = 0
    while at < len(words):
        header = words[at]
        end = at + entry_size(header, intervals)
        if end > len(words):
            raise EncodingError("words", f"{end - at} words of the entry at {at}", f"{len(words) - at} words")
        parent = header >> 152 & _M32
        order = ScheduleOrder(
            account=header & _M32,
            side=Side(header >> 255),
            steps=_decode_steps(words[at + 1 : end], intervals),
            agent=header >> 32 & _M32,
            agent_pays=bool(header >> 130 & 1),
            reserve=bool(header >> 131 & 1),
            min_fill_ppm=header >> 132 & (1 << 20) - 1,
            parent=(parent, Side(header >> 184 & 1)) if parent else None,
        )
        lock = header >> 64 & _M64
        if encode_entry(order, intervals, lock) != list(words[at:end]):
            raise EncodingError("words", f"no bits outside the fields of the entry at {at}", "some")
        yield LoggedOrder(order, lock)
        at = end


def live_words(rows: Sequence[tuple[int, Side, int]]) -> list[int]:
    """The live table: rows (account, side, position), strictly ascending by account and side, four a word."""
    words = [0] * words_for(len(rows), 4)
    for i, (account, side, position) in enumerate(rows):
        words[i // 4] |= (position | int(side) << 31 | account << 32) << 64 * (i % 4)
    return words


def hint_words(hints: Sequence[int]) -> list[int]:
    """Each entry's row in the live table, eight a word."""
    words = [0] * words_for(len(hints), 8)
    for i, hint in enumerate(hints):
        words[i // 8] |= hint << 32 * (i % 8)
    return words


def excluded_words(orders: Sequence[tuple[int, Side]]) -> list[int]:
    """The orders (account, side) that the guardian excluded, ascending, a word each."""
    return [account | int(side) << 32 for account, side in sorted(orders)]


def decode_excluded(words: Sequence[int]) -> list[tuple[int, Side]]:
    """The inverse of `excluded_words`."""
    return [(word & _M32, Side(word >> 32)) for word in words]


def row_words(row: ResultRow) -> list[int]:
    """A result row as words."""
    _within("account", row.account, 1, _M32)
    _within("payer", row.payer, 1, _M32)
    _within("lock", row.lock, 0, _M64, " micro-euro")
    _within("cost", row.cost, 0, _M64, " micro-euro")
    _within("steps", row.steps, 1, MAX_STEPS)
    if not row.live and (row.cost or any(row.fills) or row.gross is not None):
        raise EncodingError("live", "neither cost, fills nor gross in the row of a skipped entry", "some")
    if row.reserves and row.side is not Side.OFFER:
        raise EncodingError("reserves", "an offer's row", "a bid's")
    header = row.account | row.payer << 32 | row.lock << 64 | row.cost << 128 | int(row.side) << 192 | row.live << 193
    header |= row.reserves << 195 | (row.steps - 1) << 196
    words = [header, *_packed("fills", row.fills, 32)]
    if row.gross is not None:
        if len(row.gross) != len(row.fills):
            raise EncodingError("gross", f"{len(row.fills)} values", len(row.gross))
        words[0] |= 1 << 194
        words += _packed("gross", row.gross, 64)
    if (row.reserve is not None) != (row.live and row.reserves):
        raise EncodingError("reserve", "the steps of a live reserve, and of nothing else", "others or none")
    if row.reserve is not None:
        if len(row.reserve) != row.steps:
            raise EncodingError("reserve", f"{row.steps} steps", len(row.reserve))
        for number, step in enumerate(row.reserve):
            words += _step_words(f"reserve[{number}]", step, len(row.fills))
    return words


def _packed(field: str, values: Sequence[int], bits: int) -> list[int]:
    a_word = 256 // bits
    words = [0] * words_for(len(values), a_word)
    for j, value in enumerate(values):
        _within(f"{field}[{j}]", value, 0, (1 << bits) - 1)
        words[j // a_word] |= value << bits * (j % a_word)
    return words


def row_size(header: int, intervals: int) -> int:
    """Words of a result row with this header in a session of `intervals` intervals."""
    size = 1 + words_for(intervals, _FILLS_A_WORD)
    if header >> 194 & 1:
        size += words_for(intervals, _GROSS_A_WORD)
    if header >> 193 & 1 and header >> 195 & 1:
        size += ((header >> 196 & 3) + 1) * words_for(intervals, _ENTRIES_A_WORD)
    return size


def decode_row(words: Sequence[int], intervals: int) -> ResultRow:
    """A result row from exactly its words; raises `EncodingError` on words that are none."""
    header = words[0]
    if len(words) != row_size(header, intervals):
        raise EncodingError("words", f"the {row_size(header, intervals)} of the row's header", len(words))
    at = 1 + words_for(intervals, _FILLS_A_WORD)
    gross = None
    if header >> 194 & 1:
        gross = tuple(words[at + j // 4] >> 64 * (j % 4) & _M64 for j in range(intervals))
        at += words_for(intervals, _GROSS_A_WORD)
    row = ResultRow(
        account=header & _M32,
        payer=header >> 32 & _M32,
        side=Side(header >> 192 & 1),
        live=bool(header >> 193 & 1),
        lock=header >> 64 & _M64,
        cost=header >> 128 & _M64,
        fills=tuple(words[1 + j // 8] >> 32 * (j % 8) & _M32 for j in range(intervals)),
        gross=gross,
        reserve=_decode_steps(words[at:], intervals) if header >> 193 & header >> 195 & 1 else None,
        steps=(header >> 196 & 3) + 1,
        reserves=bool(header >> 195 & 1),
    )
    if row_words(row) != list(words):
        raise EncodingError("words", "no bits outside the fields of the row", "some")
    return row


def decode_rows(words: Sequence[int], intervals: int) -> Iterator[ResultRow]:
    """The result rows in a stream of words, such as a group's."""
    at = 0
    while at < len(words):
        end = at + row_size(words[at], intervals)
        yield decode_row(words[at:end], intervals)
        at = end


def groups_of(rows: Sequence[ResultRow]) -> list[list[int]]:
    """Words of the result rows, group by group, as `commit` and `settle` take them."""
    return [[w for row in rows[at : at + GROUP_ROWS] for w in row_words(row)] for at in range(0, len(rows), GROUP_ROWS)]


def hash_words(words: Sequence[int]) -> bytes:
    """keccak-256 over 32-byte big-endian words."""
    return bytes(keccak(b"".join(word.to_bytes(32, "big") for word in words)))


def extend_log(log: bytes, words: Sequence[int]) -> bytes:
    """The order log after one more batch: `keccak(log, keccak(words))`."""
    return bytes(keccak(log + hash_words(words)))


def words_for(items: int, a_word: int) -> int:
    """Words that `items` packed `a_word` a word take."""
    return -(-items // a_word)


def intervals_of(mask: int) -> tuple[int, ...]:
    """The set bits of an interval mask, ascending: a session's intervals of the day."""
    return tuple(t for t in range(mask.bit_length()) if mask >> t & 1)
