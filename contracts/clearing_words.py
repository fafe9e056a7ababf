"""Words of clearings that contracts and Python share: cooperative certificates, levels, the state between chunks, and which
batches go together into one call (docs/protocol.md section 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from eth_hash.auto import keccak

from contracts.encoding import EncodingError, words_for
from contracts.units import MAX_PRICE

MAX_VOLUME = (1 << 40) - 1
"""Largest quantity of one interval that certificates, levels and states can hold, Wh."""

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
            raise EncodingError(f"certificate: bits above 216 and 160 must be zero, got {first:#x} and {second:#x}")
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
        raise EncodingError(f"certificate: expected two words an interval, got {len(words)} words")
    return tuple(CooperativeCertificate.from_words(a, b) for a, b in zip(words[::2], words[1::2], strict=True))


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
        here = [level.price | level.bids << 32 | level.offers << 72 for level in levels] or [0]
        for level in levels:
            _within("price", level.price, MAX_PRICE)
            _within("bids", level.bids, MAX_VOLUME)
            _within("offers", level.offers, MAX_VOLUME)
        here[-1] |= 1 << 112
        words += here
    return words


def decode_levels(words: Sequence[int]) -> tuple[tuple[BookLevel, ...], ...]:
    """The inverse of `level_words`; raises `EncodingError` where the contract would refuse the order or the bits."""
    intervals: list[tuple[BookLevel, ...]] = []
    here: list[BookLevel] = []
    for place, word in enumerate(words):
        level = BookLevel(word & MAX_PRICE, word >> 32 & MAX_VOLUME, word >> 72 & MAX_VOLUME)
        last = word >> 112
        empty = not level.bids and not level.offers
        if last > 1 or (here and level.price <= here[-1].price) or (empty and (here or word != 1 << 112)):
            raise EncodingError(f"levels[{place}]: expected ascending prices with quantities, got {word:#x}")
        if not empty:
            here.append(level)
        if last:
            intervals.append(tuple(here))
            here = []
    if here:
        raise EncodingError("levels: expected a last level in every interval, got none in the last interval")
    return tuple(intervals)


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
class PassState:
    """Where a call of `clear` or `take` stopped: the log's hash so far, its entries, the rows of the live table that were met,
    a record per interval of the bids and then of the offers, and the words of the open group's rows."""

    log: bytes
    entries: int
    hits: int
    records: tuple[SideRecord, ...]
    open_rows: tuple[int, ...]

    def words(self, *, cooperative: bool) -> list[int]:
        """The words of `ClearingContinued`, which the next call takes."""
        counts = self.entries | self.hits << 32 | self.entries // 16 << 64 | len(self.open_rows) << 96
        out = [int.from_bytes(self.log, "big"), counts]
        for record in self.records:
            _within("filled", record.filled, MAX_VOLUME)
            if cooperative:
                out += [record.filled | record.rest << 40 | record.paying << 80, record.gross, record.print]
            else:
                out.append(record.filled | record.rest << 40 | record.marks << 80)
        return [*out, *self.open_rows]

    @classmethod
    def from_words(cls, words: Sequence[int], intervals: int, *, cooperative: bool) -> PassState:
        """The inverse of `words`, for a session of `intervals` intervals."""
        size = 3 if cooperative else 1
        fixed = 2 + 2 * intervals * size
        if len(words) < fixed or len(words) != fixed + (words[1] >> 96):
            raise EncodingError(f"state: expected {fixed} words and those of the open group, got {len(words)}")
        records = []
        for at in range(2, fixed, size):
            filled, rest, last = words[at] & MAX_VOLUME, words[at] >> 40 & MAX_VOLUME, words[at] >> 80
            if cooperative:
                records.append(SideRecord(filled, rest, paying=last, gross=words[at + 1], print=words[at + 2]))
            else:
                records.append(SideRecord(filled, rest, marks=last))
        counts = words[1]
        m32 = (1 << 32) - 1
        return cls(words[0].to_bytes(32, "big"), counts & m32, counts >> 32 & m32, tuple(records), tuple(words[fixed:]))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Batches `first .. end-1` of a log for one call; `completes` where the conditions at the end are checked in it too."""

    first: int
    end: int
    gas: int
    completes: bool


def plan_chunks(
    batches: Sequence[Sequence[int]],
    intervals: int,
    *,
    cooperative: bool = False,
    live_rows: int,
    levels: int = 0,
    first: int = 0,
    target: int = GAS_A_CALL,
) -> list[Chunk]:
    """Divides the batches of a log from `first` on into calls of at most `target` gas each, by an estimate that errs upwards.

    `live_rows` and `levels` are the lengths of the live table and of the levels, which every call carries. Raises
    `ValueError` where a batch, or the conditions at the end, do not fit a call by themselves.
    """
    entries = [_entries(batch, intervals) for batch in batches]
    conditions = (12_000 if cooperative else 3_000) * intervals + 500 * levels + 250_000
    chunks = []
    while first < len(batches):
        end, spent = first, 0
        while end < len(batches):
            gas = _chunk_gas(batches, entries, first, end + 1, intervals, cooperative, live_rows, levels)
            if gas > target:
                break
            end, spent = end + 1, gas
        if end == first:
            raise ValueError(f"batches[{first}]: expected at most {target} gas by itself, got {len(batches[first])} words")
        done = end == len(batches) and spent + conditions <= target
        chunks.append(Chunk(first, end, spent + conditions * done, done))
        first = end
    if not chunks or not chunks[-1].completes:
        alone = _chunk_gas(batches, entries, first, first, intervals, cooperative, live_rows, levels)
        if alone + conditions > target:
            raise ValueError(f"levels: expected the conditions at the end within {target} gas, got {alone + conditions}")
        chunks.append(Chunk(first, first, alone + conditions, True))
    return chunks


def _entries(batch: Sequence[int], intervals: int) -> int:
    size, at, number = words_for(intervals, 4), 0, 0
    while at < len(batch):
        at += 1 + ((batch[at] >> 128 & 3) + 1) * size
        number += 1
    return number


def _chunk_gas(
    batches: Sequence[Sequence[int]],
    entries: Sequence[int],
    first: int,
    end: int,
    intervals: int,
    cooperative: bool,
    live_rows: int,
    levels: int,
) -> int:
    """Upper estimate of one call's gas without the conditions at the end, from contracts/test/ClearingGas.t.sol."""
    taken = [word for batch in batches[first:end] for word in batch]
    number = sum(entries[first:end])
    rest = len(batches) - end
    tables = (number + 7) // 8 + (live_rows + 3) // 4 + intervals * (8 if cooperative else 3)
    nonzero = sum(32 - word.to_bytes(32, "big").count(0) for word in taken)
    memory = 2 * len(taken) + tables + levels
    spent = (
        350_000
        + 128 * len(taken)
        + 12 * nonzero
        + 400 * tables
        + 250 * levels
        + (512 + 150) * rest
        + 130 * live_rows
        + 3_000 * number
        + (2_500 if cooperative else 650) * (len(taken) - number)
        + 3 * memory
        + memory * memory // 512
    )
    floor = 21_000 + 320 * len(taken) + 30 * nonzero + 1_000 * tables + 620 * levels + 1_280 * rest
    return max(spent, floor)


def batches_of(chunk: Chunk, batches: Sequence[Sequence[int]]) -> Iterator[Sequence[int]]:
    """The batches of a chunk."""
    yield from batches[chunk.first : chunk.end]


def _within(field: str, value: int, largest: int) -> None:
    if not 0 <= value <= largest:
        raise EncodingError(f"{field}: expected 0..{largest}, got {value}")
