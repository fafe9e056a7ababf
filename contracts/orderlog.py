"""A session's order log as `clear` wants it again: batches, positions, live entries and hints (docs/protocol.md section 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.encoding import entry_size, extend_log, groups_of, hash_words, hint_words, live_words, words_for
from contracts.units import Side

__all__ = ["OrderLog", "groups_of"]

MARK_EVERY = 512
"""Batches between two marks of a long log, so that a call need not carry the hashes of all that remain."""


@dataclass(frozen=True, slots=True)
class OrderLog:
    """The batches of a session in the order of the chain."""

    batches: tuple[tuple[int, ...], ...]
    intervals: int
    """K of the session."""

    @classmethod
    def of(cls, batches: Iterable[Sequence[int]], intervals: int) -> OrderLog:
        return cls(tuple(tuple(batch) for batch in batches), intervals)

    @property
    def sizes(self) -> list[int]:
        """Lengths of the batches in words."""
        return [len(batch) for batch in self.batches]

    @property
    def words(self) -> list[int]:
        """All batches, one after the other."""
        return [word for batch in self.batches for word in batch]

    def hash(self) -> bytes:
        """The hash that the contract keeps."""
        log = bytes(32)
        for batch in self.batches:
            log = extend_log(log, batch)
        return log

    def makers(self) -> list[tuple[int, Side]]:
        """(account, side) of every entry, by position."""
        found = []
        for batch in self.batches:
            at = 0
            while at < len(batch):
                header = batch[at]
                found.append((header & 0xFFFFFFFF, Side(header >> 255)))
                at += entry_size(header, self.intervals)
        return found

    def live(self) -> dict[tuple[int, Side], int]:
        """Position of the live entry of every (account, side): the last one."""
        return {maker: position for position, maker in enumerate(self.makers())}

    def hashes(self) -> list[bytes]:
        """The hash of the words of every batch."""
        return [hash_words(batch) for batch in self.batches]

    def marks(self) -> list[bytes]:
        """The log's hash after every `MARK_EVERY` batches, of a log that is longer than that."""
        found, log = [], bytes(32)
        for number, batch in enumerate(self.batches):
            if number and not number % MARK_EVERY:
                found.append(log)
            log = extend_log(log, batch)
        return found

    def rest(self, end: int) -> list[bytes]:
        """The hashes of the words of the batches from `end` on, up to the next mark."""
        return [hash_words(batch) for batch in self.batches[end : words_for(end, MARK_EVERY) * MARK_EVERY]]

    def table(self) -> tuple[list[int], list[int]]:
        """Words of the live table and of the hints."""
        live = self.live()
        rows = [(account, side, live[account, side]) for account, side in sorted(live)]
        return live_words(rows), self.hints(sorted(live))

    def hints(self, makers: Sequence[tuple[int, Side]]) -> list[int]:
        """Words that tell each entry's place among `makers`, the rows of the live table."""
        row_of = {maker: row for row, maker in enumerate(makers)}
        return hint_words([row_of[maker] for maker in self.makers()])
