"""A session's order log as `clear` wants it again: batches, positions, live entries and hints (docs/protocol.md section 7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.encoding import entry_size, extend_log, groups_of, hash_words, hint_words, live_words
from contracts.units import Side

__all__ = ["OrderLog", "groups_of"]


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

    def chunks(self, words: int, log: bytes = bytes(32)) -> list[OrderLog]:
        """The log from where it hashes to `log` on, divided where the next batch would go beyond `words` words, never within a
        batch. Empty where `log` is all of it; raises `ValueError` where no part of it hashes to `log`."""
        hashes = [bytes(32)]
        for batch in self.batches:
            hashes.append(extend_log(hashes[-1], batch))
        if log not in hashes:
            raise ValueError(f"log: expected the hash of a beginning of the log, got {log.hex()}")
        parts: list[list[tuple[int, ...]]] = []
        for batch in self.batches[hashes.index(log) :]:
            if not parts or sum(map(len, parts[-1])) + len(batch) > words:
                parts.append([])
            parts[-1].append(batch)
        return [OrderLog(tuple(part), self.intervals) for part in parts]

    def hashes(self) -> list[bytes]:
        """The hash of the words of every batch."""
        return [hash_words(batch) for batch in self.batches]

    def table(self) -> tuple[list[int], list[int]]:
        """Words of the live table and of the hints."""
        live = self.live()
        rows = [(account, side, live[account, side]) for account, side in sorted(live)]
        return live_words(rows), self.hints(sorted(live))

    def hints(self, makers: Sequence[tuple[int, Side]]) -> list[int]:
        """Words that tell each entry's place among `makers`, the rows of the live table."""
        row_of = {maker: row for row, maker in enumerate(makers)}
        return hint_words([row_of[maker] for maker in self.makers()])
