"""What a member's own proofs have told, so that a node that lies cannot ask for a second, different one.

A deviation is a baseline less a reading. Two proofs of one interval over different admissible days tell the difference between
days, which is nobody's business; so what was asked once is asked the same way ever after.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from app.errors import Refused
from oracle.meter import keep
from zk.files import locked

NAME = "proven.json"
"""The file's name in the folder of the exported windows; readable by its owner alone."""


@dataclass(frozen=True)
class Asked:
    """What a node says that a proof is to tell: of a day of a session the intervals `mask`, over the days `admissible`.

    `market` names the deployment by its manifest, which the node cannot change.
    """

    market: str
    session: int
    account: int
    day: int
    mask: int
    admissible: int

    @property
    def intervals(self) -> tuple[int, ...]:
        """The intervals that become public."""
        return tuple(t for t in range(self.mask.bit_length()) if self.mask >> t & 1)


def check(path: Path, asked: Asked) -> None:
    """Raises `Refused` where another proof than `asked` was made from this folder before.

    Fewer intervals of the same proof are taken, since they tell nothing new: others may have recorded some meanwhile.
    """
    for told in _read(path):
        if (told.market, told.account) != (asked.market, asked.account):
            continue
        if told.session == asked.session:
            if told.day != asked.day:
                raise _refused(path, told, "day", str(told.day), str(asked.day))
            if asked.mask & ~told.mask:
                raise _refused(path, told, "intervals", str(list(told.intervals)), str(list(asked.intervals)))
        if told.day == asked.day and told.admissible != asked.admissible:
            raise _refused(path, told, "admissible days", f"{told.admissible:014b}", f"{asked.admissible:014b}")


def note(path: Path, asked: Asked) -> None:
    """Notes what is about to be told; raises `Refused` as `check` does. Call it before anything leaves the machine."""
    with locked(path.with_name(f"{path.name}.lock")):
        check(path, asked)
        known = _read(path)
        if not any((told.market, told.session, told.account) == (asked.market, asked.session, asked.account) for told in known):
            keep(path, [asdict(told) for told in (*known, asked)])


def _read(path: Path) -> list[Asked]:
    if not path.exists():
        return []
    try:
        found = [Asked(**row) for row in json.loads(path.read_bytes())]
        if any(type(value) is not int for told in found for name, value in asdict(told).items() if name != "market"):
            raise TypeError
    except (OSError, TypeError, ValueError) as error:
        expected = "the record of proofs that were made before"
        raise Refused(f"{path} cannot be read.", field=NAME, expected=expected, got=type(error).__name__) from error
    return found


def _refused(path: Path, told: Asked, field: str, expected: str, got: str) -> Refused:
    return Refused(
        f"Account {told.account} has proven session {told.session} otherwise before. Two different proofs tell the difference "
        f"between days: one of the nodes that were asked is wrong. What was told stands in {path}.",
        field=field,
        expected=expected,
        got=got,
    )
