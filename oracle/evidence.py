"""From two windows that a meter should never have signed both to a proof that shows it and no reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from zk.eddsa import PublicKey
from zk.forks import ForkError, ForkEvidence, make_fork
from zk.keys import KeyPaths
from zk.prover import open_prover
from zk.windows import Window


@dataclass(frozen=True, slots=True)
class ForkReport:
    """What `Forks.report` takes: the key's word, the day, the interval (or T for two final heads), eight words of proof."""

    key: int
    day: int
    interval: int
    proof: tuple[int, ...]


def find_fork(one: Sequence[Window], other: Sequence[Window]) -> tuple[Window, Window]:
    """The first two windows of both logs that contradict each other; raises `ForkError` where none do."""
    for a, b in combinations((*one, *other), 2):
        if a.day != b.day or len(a.readings) != len(b.readings):
            continue
        try:
            ForkEvidence(a, b).interval()
        except ForkError:
            continue
        return a, b
    raise ForkError("windows: expected two of one day that contradict each other, got none")


def prove_fork(one: Window, other: Window, key: PublicKey, proving_key: KeyPaths) -> ForkReport:
    """Proves that `key` signed both windows; raises `ForkError` where they are no fork, `ProverError` where no proof came."""
    statement = make_fork(one, other, key)
    prover = open_prover(proving_key)
    try:
        proved = prover.prove(statement)
    finally:
        prover.close()
    return ForkReport(*statement.public, proved.proof.words())
