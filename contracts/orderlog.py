"""A session's order log as `clear` wants it again: batches, positions, live entries and hints (docs/protocol.md section 7)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from contracts.encoding import entry_size, extend_log, groups_of, hint_words, live_words
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

    def table(self, excluded: Collection[tuple[int, Side]] = ()) -> tuple[list[int], list[int]]:
        """Words of the live table and of the hints; entries of `excluded` orders have no row, and their hints say 0."""
        live = {maker: position for maker, position in self.live().items() if maker not in excluded}
        ordered = sorted(live)
        row_of = {maker: row for row, maker in enumerate(ordered)}
        rows = [(account, side, live[account, side]) for account, side in ordered]
        return live_words(rows), hint_words([row_of.get(maker, 0) for maker in self.makers()])
