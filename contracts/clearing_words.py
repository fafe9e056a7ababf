"""Words of clearings that contracts and Python share: cooperative certificates, levels, the state between chunks, and what goes
together into one call (docs/protocol.md section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from contracts.encoding import EncodingError, entry_size, words_for
from contracts.orderlog import MARK_EVERY
from contracts.units import MAX_PRICE

MAX_VOLUME = (1 << 40) - 1
"""Largest quantity of one interval that certificates and states can hold, Wh."""

MAX_LEVEL = (1 << 64) - 1
"""Largest quantity of one level, Wh: more than any log can hold."""

MAX_WORTH = (1 << 80) - 1
"""Largest sum of fill times price that a certificate can hold, thousandths of a micro-euro."""

GAS_A_CALL = 16_700_000
"""What one transaction may use."""


@dataclass(frozen=True, slots=True)
class CooperativeCertificate:
    """Result of one interval of a cooperative session.

    `bid_edge` and `offer_edge` are the limits (micro-euro per kWh) of the worst filled bid and offer, `rest_bids` and
    `rest_offers` what is filled at exactly these limits (Wh), `volume` all that is filled (Wh). `share` is by how much each
    filled Wh improves on its limit (micro-euro per kWh); `buyers` and `sellers` are the sums of fill times own price.
    """

    bid_edge: int
    offer_edge: int
    volume: int
    rest_bids: int
    rest_offers: int
    share: int
    buyers: int
    sellers: int

    @property
    def price(self) -> int | None:
        """What a buyer pays on average, micro-euro per kWh, as the price guard sees it; None where nothing cleared."""
        return self.buyers // self.volume if self.volume else None

    def words(self) -> list[int]:
        for name, largest in (
            ("bid_edge", MAX_PRICE),
            ("offer_edge", MAX_PRICE),
            ("volume", MAX_VOLUME),
            ("rest_bids", MAX_VOLUME),
            ("rest_offers", MAX_VOLUME),
            ("share", MAX_PRICE),
            ("buyers", MAX_WORTH),
            ("sellers", MAX_WORTH),
        ):
            _within(name, getattr(self, name), largest)
        first = self.bid_edge | self.offer_edge << 32 | self.volume << 64 | self.rest_bids << 104 | self.rest_offers << 144
        return [first | self.share << 184, self.buyers | self.sellers << 80]

    @classmethod
    def from_words(cls, first: int, second: int) -> CooperativeCertificate:
        if first >> 216 or second >> 160:
            raise EncodingError("certificate", "no bits above 216 and 160", f"{first:#x} and {second:#x}")
        return cls(
            first & MAX_PRICE,
            first >> 32 & MAX_PRICE,
            first >> 64 & MAX_VOLUME,
            first >> 104 & MAX_VOLUME,
            first >> 144 & MAX_VOLUME,
            first >> 184,
            second & MAX_WORTH,
            second >> 80,
        )


def cooperative_certificates(words: Sequence[int]) -> tuple[CooperativeCertificate, ...]:
    """A certificate per interval from its words, two an interval."""
    if len(words) % 2:
        raise EncodingError("certificate", "two words an interval", f"{len(words)} words")
    return tuple(CooperativeCertificate.from_words(a, b) for a, b in zip(words[::2], words[1::2], strict=True))


LAST_LEVEL = 1 << 160
"""Mark of an interval's last level."""


@dataclass(frozen=True, slots=True)
class BookLevel:
    """All that live entries ask for and offer in an interval at exactly one limit: micro-euro per kWh, Wh, Wh."""

    price: int
    bids: int
    offers: int


def level_words(intervals: Sequence[Sequence[BookLevel]]) -> list[int]:
    """The levels of all intervals, ascending in each, the last one marked."""
    words = []
    for levels in intervals:
        here = [level.price | level.bids << 32 | level.offers << 96 for level in levels] or [0]
        for level in levels:
            _within("price", level.price, MAX_PRICE)
            _within("bids", level.bids, MAX_LEVEL)
            _within("offers", level.offers, MAX_LEVEL)
        here[-1] |= LAST_LEVEL
        words += here
    return words


def decode_levels(words: Sequence[int]) -> tuple[tuple[BookLevel, ...], ...]:
    """The inverse of `level_words`; raises `EncodingError` where the contract would refuse the order or the bits."""
    intervals: list[tuple[BookLevel, ...]] = []
    here: list[BookLevel] = []
    for place, word in enumerate(words):
        level = BookLevel(word & MAX_PRICE, word >> 32 & MAX_LEVEL, word >> 96 & MAX_LEVEL)
        last = word >> 160
        empty = not level.bids and not level.offers
        if last > 1 or (here and level.price <= here[-1].price) or (empty and (here or word != LAST_LEVEL)):
            raise EncodingError(f"levels[{place}]", "ascending prices with quantities", f"{word:#x}")
        if not empty:
            here.append(level)
        if last:
            intervals.append(tuple(here))
            here = []
    if here:
        raise EncodingError("levels", "a last level in every interval", "none in the last interval")
    return tuple(intervals)


def chain_hash(words: Sequence[int], left: bytes = bytes(32)) -> bytes:
    """Hash of levels and those behind them, of which it is `left`, from the last to the first: `keccak(word, hash of those
    behind it)`, 0 behind the last."""
    for word in reversed(words):
        left = keccak(word.to_bytes(32, "big") + left)
    return left


def fingerprint(key: bytes, price: int) -> int:
    """`h(price)`, with which quantities at that limit count in the fingerprint of a book."""
    return int.from_bytes(keccak(key + price.to_bytes(32, "big"))[16:], "big")


@dataclass(frozen=True, slots=True)
class SideRecord:
    """What a pass knows of one side of one interval: Wh filled, Wh still to share at the edge, and in a competitive session
    the `marks` (1 an order at the edge was cut, 2 an unfilled one lies at the other end of the price range, 4 one lies
    between); in a cooperative one `paying`, the Wh filled at a price above 0, `gross`, the sum of fill times own price, and
    the `print` of all quantities."""

    filled: int
    rest: int
    marks: int = 0
    paying: int = 0
    gross: int = 0
    print: int = 0


@dataclass(frozen=True, slots=True)
class LevelSums:
    """How far the levels of a cooperative session are checked: the hash of those that are left and the interval that they
    begin in; of its levels before them the sums on both sides (Wh) with their fingerprints, the least of `offers - bids` before
    any of the prices, and the least price that the next may have."""

    left: bytes
    interval: int = 0
    bids: int = 0
    bid_print: int = 0
    offers: int = 0
    offer_print: int = 0
    least: int = 0
    floor: int = 0

    def words(self) -> list[int]:
        sums = [self.bids, self.bid_print, self.offers, self.offer_print, self.least % (1 << 256), self.floor]
        return [*sums, self.interval, int.from_bytes(self.left, "big")]

    @classmethod
    def from_words(cls, words: Sequence[int]) -> LevelSums:
        bids, bid_print, offers, offer_print, least, floor, interval, left = words
        negative = least - (1 << 256) if least >> 255 else least
        return cls(left.to_bytes(32, "big"), interval, bids, bid_print, offers, offer_print, negative, floor)


@dataclass(frozen=True, slots=True)
class PassState:
    """Where a call of `clear` or `take` stopped: the log's hash so far, its entries, the rows of the live table that were met,
    a record per interval of the bids and then of the offers, the words of the open group's rows, and in a cooperative session
    how far the levels are checked."""

    log: bytes
    entries: int
    hits: int
    records: tuple[SideRecord, ...]
    open_rows: tuple[int, ...]
    levels: LevelSums | None = None

    def words(self) -> list[int]:
        """The words of `ClearingContinued`, which the next call takes."""
        counts = self.entries | self.hits << 32 | self.entries // 16 << 64 | len(self.open_rows) << 96
        out = [int.from_bytes(self.log, "big"), counts, *(self.levels.words() if self.levels else ())]
        for record in self.records:
            _within("filled", record.filled, MAX_VOLUME)
            if self.levels:
                out += [record.filled | record.rest << 40 | record.paying << 80, record.gross, record.print]
            else:
                out.append(record.filled | record.rest << 40 | record.marks << 80)
        return [*out, *self.open_rows]

    @classmethod
    def from_words(cls, words: Sequence[int], intervals: int, *, cooperative: bool) -> PassState:
        """The inverse of `words`, for a session of `intervals` intervals."""
        head, size = (10, 3) if cooperative else (2, 1)
        fixed = head + 2 * intervals * size
        if len(words) < fixed or len(words) != fixed + (words[1] >> 96):
            raise EncodingError("state", f"{fixed} words and those of the open group", len(words))
        records = []
        for at in range(head, fixed, size):
            filled, rest, last = words[at] & MAX_VOLUME, words[at] >> 40 & MAX_VOLUME, words[at] >> 80
            if cooperative:
                records.append(SideRecord(filled, rest, paying=last, gross=words[at + 1], print=words[at + 2]))
            else:
                records.append(SideRecord(filled, rest, marks=last))
        log, counts, m32 = words[0].to_bytes(32, "big"), words[1], (1 << 32) - 1
        levels = LevelSums.from_words(words[2:head]) if cooperative else None
        return cls(log, counts & m32, counts >> 32 & m32, tuple(records), tuple(words[fixed:]), levels)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Batches `first .. end-1` of a log and levels `level .. level_end-1` for one call; `completes` where the conditions at the
    end are checked in it too."""

    first: int
    end: int
    gas: int
    completes: bool
    level: int = 0
    level_end: int = 0


class CallTooLarge(ValueError):
    """`field` of a clearing cannot be had for `target` gas a call, but for `needed`."""

    def __init__(self, field: str, needed: int, target: int) -> None:
        super().__init__(f"{field}: expected at most {target} gas in a call, got {needed}")
        self.field, self.needed, self.target = field, needed, target


def plan_chunks(
    batches: Sequence[Sequence[int]],
    intervals: int,
    *,
    cooperative: bool = False,
    live_rows: int,
    sold: bool = False,
    levels: int = 0,
    first: int = 0,
    level: int = 0,
    target: int = GAS_A_CALL,
) -> list[Chunk]:
    """Divides the batches of a log from `first` on, and the `levels` words of levels from `level` on, into calls of at most
    `target` gas each, by an estimate that errs upwards.

    `live_rows` is the length of the live table, which every call carries; with `sold` somebody has sold an interval of the
    session before, so that every offer's account is asked. Raises `CallTooLarge` where a batch, a level or the
    conditions at the end do not fit a call by themselves.
    """
    reserves = any(header >> 131 & 1 for batch in batches for header in _headers(batch, intervals))
    measured = [_batch_gas(batch, intervals, cooperative, sold) for batch in batches]
    # The price guard looks at, and keeps, a price for each hour; a day has 24.
    closing = _Gas(150_000 + 4_000 * intervals + 60_000 * min(intervals, 24), 0)
    chunks: list[Chunk] = []
    while not chunks or not chunks[-1].completes:
        end, level_end = first, level
        gas = _call_gas(intervals, live_rows, _rest(len(batches), end), cooperative, reserves)
        while end < len(batches):
            more = gas + measured[end] + _REST * (_rest(len(batches), end + 1) - _rest(len(batches), end))
            if more.whole > target:
                break
            end, gas = end + 1, more
        if end == len(batches):
            more = gas + _Gas(3_000 * intervals, 0) + _LEVEL
            if level < levels and more.whole <= target:
                room = 1 + min((target - more.execution) // _LEVEL.execution, (target - more.floor) // _LEVEL.floor)
                level_end = min(levels, level + room)
                gas = more + _LEVEL * (level_end - level - 1)
            if level_end == levels:
                more = gas + closing
        completes = end == len(batches) and level_end == levels and more.whole <= target
        if completes:
            gas = more
        elif (end, level_end) == (first, level):
            what = f"batches[{end}]" if end < len(batches) else f"levels[{level}]" if level < levels else "conditions"
            raise CallTooLarge(what, more.whole, target)
        chunks.append(Chunk(first, end, gas.whole, completes, level, level_end))
        first, level = end, level_end
    return chunks


@dataclass(frozen=True, slots=True)
class _Gas:
    """Gas of a call: as it is executed, calldata included, and the least that its calldata costs (EIP-7623)."""

    execution: int
    floor: int

    @property
    def whole(self) -> int:
        return max(self.execution, self.floor)

    def __add__(self, other: _Gas) -> _Gas:
        return _Gas(self.execution + other.execution, self.floor + other.floor)

    def __mul__(self, times: int) -> _Gas:
        return _Gas(self.execution * times, self.floor * times)


_LEVEL = _Gas(950, 680)
_REST = _Gas(512 + 150, 1_280)


def _rest(batches: int, end: int) -> int:
    """Batches from `end` on to the next mark, or to the end of the log."""
    return min(batches, words_for(end, MARK_EVERY) * MARK_EVERY) - end


def _batch_gas(batch: Sequence[int], intervals: int, cooperative: bool, sold: bool) -> _Gas:
    """Upper estimate of what a batch adds to a call, from contracts/test/ClearingGas.t.sol."""
    headers = list(_headers(batch, intervals))
    number, offers = len(headers), sum(header >> 255 for header in headers)
    nonzero = sum(32 - word.to_bytes(32, "big").count(0) for word in batch)
    execution = 134 * len(batch) + 12 * nonzero + 3_100 * number + (2_500 if cooperative else 650) * (len(batch) - number)
    execution += (3_500 + 100 * intervals) * offers * sold
    return _Gas(execution, 320 * len(batch) + 30 * nonzero + 150 * number)


def _headers(batch: Sequence[int], intervals: int) -> Iterator[int]:
    """The first word of each entry."""
    at = 0
    while at < len(batch):
        yield batch[at]
        at += entry_size(batch[at], intervals)


def _call_gas(intervals: int, live_rows: int, rest: int, cooperative: bool, reserves: bool) -> _Gas:
    """Upper estimate of a call that takes nothing and leaves its state."""
    records = intervals * (8 if cooperative else 3)
    open_rows = 15 * (1 + words_for(intervals, 8) + words_for(intervals, 4) * (5 if reserves else cooperative))
    tables = records + words_for(live_rows, 4)
    execution = 200_000 + 550 * records + 600 * open_rows + 230 * live_rows
    return _Gas(execution, 21_000 + 1_000 * tables + 700 * open_rows) + _REST * rest


def batches_of(chunk: Chunk, batches: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    """The batches of a chunk."""
    yield from batches[chunk.first : chunk.end]


def _within(field: str, value: int, largest: int) -> None:
    if not 0 <= value <= largest:
        raise EncodingError(field, f"0..{largest}", value)
