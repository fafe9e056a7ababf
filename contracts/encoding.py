"""Words that contracts and Python share: schedule orders, live table, certificate, result rows (docs/protocol.md, 6 and 7).

Every function is the exact twin of what the contracts read; anything that the contracts would refuse raises `EncodingError`
with the field's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from contracts.units import MAX_PRICE, MAX_QUANTITY, Side, ceil_div

MAX_STEPS = 4
"""Steps of one schedule order's curve."""

GROUP_ROWS = 16
"""Result rows behind one group hash."""

_ENTRIES_A_WORD = 4
_FILLS_A_WORD = 8


class EncodingError(ValueError):
    """A value that does not fit the protocol's words; the message names the field, what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a curve: per session interval a quantity (Wh) and a limit (micro-euro per kWh); no quantity, no limit."""

    quantities: tuple[int, ...]
    limits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ScheduleOrder:
    """One account's whole curve on one side of a session: 1 to 4 steps. A single step without quantities cancels."""

    account: int
    side: Side
    steps: tuple[Step, ...]

    @property
    def cancels(self) -> bool:
        return not any(any(step.quantities) for step in self.steps)

    @property
    def entries(self) -> int:
        """Number of (interval, quantity, limit) entries with a quantity."""
        return sum(1 for step in self.steps for quantity in step.quantities if quantity)

    def lock(self, price_cap: int, collateral_ppm: int) -> int:
        """Micro-euro locked at entry: a bid's largest cost, an offer's collateral by the cap."""
        if self.side is Side.BID:
            return sum(ceil_div(q * p, 1000) for step in self.steps for q, p in zip(step.quantities, step.limits, strict=True))
        return ceil_div(collateral_ppm * price_cap * sum(sum(step.quantities) for step in self.steps), 10**9)


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
            raise EncodingError(f"certificate: bits above 184 must be zero, got {word:#x}")
        m40 = (1 << 40) - 1
        return cls(word & MAX_PRICE, word >> 32 & MAX_PRICE, word >> 64 & m40, word >> 104 & m40, word >> 144 & m40)


@dataclass(frozen=True, slots=True)
class ResultRow:
    """What one entry of the log came to: lock and cost in micro-euro, fills in Wh per session interval."""

    account: int
    side: Side
    live: bool
    lock: int
    cost: int
    fills: tuple[int, ...]


def entry_words(order: ScheduleOrder, intervals: int) -> list[int]:
    """`order` as words for a session of `intervals` intervals."""
    if not 0 < order.account < 1 << 32:
        raise EncodingError(f"account: expected 1..2^32-1, got {order.account}")
    if not 1 <= len(order.steps) <= MAX_STEPS:
        raise EncodingError(f"steps: expected 1 to {MAX_STEPS}, got {len(order.steps)}")
    words = [order.account | (len(order.steps) - 1) << 32 | int(order.side) << 255]
    for number, step in enumerate(order.steps):
        if len(step.quantities) != intervals or len(step.limits) != intervals:
            raise EncodingError(
                f"steps[{number}]: expected {intervals} quantities and limits, "
                f"got {len(step.quantities)} and {len(step.limits)}"
            )
        body = [0] * words_for(intervals, _ENTRIES_A_WORD)
        for j, (quantity, limit) in enumerate(zip(step.quantities, step.limits, strict=True)):
            if not 0 <= quantity <= MAX_QUANTITY:
                raise EncodingError(f"steps[{number}].quantities[{j}]: expected 0..{MAX_QUANTITY} Wh, got {quantity}")
            if not 0 <= limit <= MAX_PRICE:
                raise EncodingError(f"steps[{number}].limits[{j}]: expected 0..{MAX_PRICE} micro-euro per kWh, got {limit}")
            if not quantity and limit:
                raise EncodingError(f"steps[{number}].limits[{j}]: a zero quantity has a zero limit, got {limit}")
            body[j // 4] |= (quantity | limit << 24) << 56 * (j % 4)
        words += body
    if order.cancels and len(order.steps) > 1:
        raise EncodingError(f"steps: an order without quantities has one step, got {len(order.steps)}")
    return words


def batch_words(orders: Sequence[ScheduleOrder], intervals: int) -> list[int]:
    """Several orders as the words of one batch."""
    return [word for order in orders for word in entry_words(order, intervals)]


def decode_entries(words: Sequence[int], intervals: int) -> Iterator[ScheduleOrder]:
    """The orders in a batch's words; raises `EncodingError` on anything that the market would not have taken."""
    size = words_for(intervals, _ENTRIES_A_WORD)
    at = 0
    while at < len(words):
        header = words[at]
        steps = (header >> 32 & 3) + 1
        end = at + 1 + steps * size
        if end > len(words):
            raise EncodingError(f"words: row at {at} needs {end - at} words, {len(words) - at} are left")
        decoded = []
        for k in range(steps):
            body = words[at + 1 + k * size : at + 1 + (k + 1) * size]
            slots = [body[j // 4] >> 56 * (j % 4) & (1 << 56) - 1 for j in range(intervals)]
            decoded.append(Step(tuple(s & MAX_QUANTITY for s in slots), tuple(s >> 24 for s in slots)))
        order = ScheduleOrder(header & 0xFFFFFFFF, Side(header >> 255), tuple(decoded))
        if entry_words(order, intervals) != list(words[at:end]):
            raise EncodingError(f"words: row at {at} has bits outside its fields")
        yield order
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


def row_words(row: ResultRow) -> list[int]:
    """A result row as words."""
    header = row.account | int(row.side) << 32 | int(row.live) << 33 | row.lock << 64 | row.cost << 160
    fills = [0] * words_for(len(row.fills), _FILLS_A_WORD)
    for j, fill in enumerate(row.fills):
        fills[j // 8] |= fill << 32 * (j % 8)
    return [header, *fills]


def decode_row(words: Sequence[int], intervals: int) -> ResultRow:
    """A result row from its `1 + ceil(intervals / 8)` words."""
    m96 = (1 << 96) - 1
    header = words[0]
    return ResultRow(
        header & 0xFFFFFFFF,
        Side(header >> 32 & 1),
        bool(header >> 33 & 1),
        header >> 64 & m96,
        header >> 160,
        tuple(words[1 + j // 8] >> 32 * (j % 8) & 0xFFFFFFFF for j in range(intervals)),
    )


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
