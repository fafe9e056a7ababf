"""Which accounts share a proof: the split of a session's sellers into batches that costs least.

A proof is made by a circuit for exactly N accounts. A batch with fewer repeats its last account, which the contract skips, so a
proof of N always costs what N costs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MS_OF_PROOF = 60.0
MS_OF_CONSTRAINT = 0.017
"""Milliseconds of the native prover on two cores: a constant part and one per constraint (bench/proof.py)."""

GAS_OF_CALL = 150_000
GAS_OF_PROOF = 120_000
GAS_OF_ACCOUNT = 10_000
GAS_OF_WORD = 3_000
"""Upper bounds of what `prove` needs: per call, per proof in it, per account of a proof, and per word of its entry."""

GAS_A_MS = 3_000
"""Gas that a chain has in a millisecond: 36 million in a block of twelve seconds."""

MAX_CALL_GAS = 12_000_000
"""Gas that one transaction may come to; a chain takes up to 2^24 (EIP-7825)."""

MAX_CALL_BYTES = 100_000
"""Calldata that one transaction may have; nodes pass on no more than 128 KiB."""

_WORD_BYTES = 32
_DEVIATIONS_A_WORD = 9
_WORDS_BESIDE_ENTRIES = 12  # C, eight words of proof, and what the encoding adds


@dataclass(frozen=True, slots=True)
class Batch:
    """Accounts that share a proof of `size`; at least one and at most `size` of them."""

    size: int
    accounts: tuple[int, ...]


def plan(accounts: Sequence[int], costs: Mapping[int, float]) -> list[Batch]:
    """The cheapest batches that hold each account once, in the given order, large batches first.

    `costs` gives the cost of one proof by its number of accounts, in any unit, each above 0. Of splits that cost the same the
    one with the fewest proofs is taken. Raises `ValueError` without a size, for a cost that is not positive, and for an account
    that is named twice.
    """
    if not costs or any(size < 1 or cost <= 0 for size, cost in costs.items()):
        raise ValueError(f"costs: expected a positive cost for at least one size, got {dict(costs)}")
    if len(set(accounts)) != len(accounts):
        raise ValueError(f"accounts: expected each once, got {list(accounts)}")
    # best[n] is (cost, proofs, size of one of the proofs) for n accounts; what exceeds n in a proof is padding.
    best: list[tuple[float, int, int]] = [(0.0, 0, 0)]
    for n in range(1, len(accounts) + 1):
        choices = ((costs[size], best[max(0, n - size)], size) for size in costs)
        best.append(min((cost + rest[0], 1 + rest[1], size) for cost, rest, size in choices))
    sizes, left = [], len(accounts)
    while left:
        sizes.append(best[left][2])
        left = max(0, left - sizes[-1])
    batches, start = [], 0
    # No padding reaches the size of the smallest batch: without that batch the split would be cheaper. So it is the last's.
    for size in sorted(sizes, reverse=True):
        batches.append(Batch(size, tuple(accounts[start : start + size])))
        start += size
    return batches


def alone(accounts: Sequence[int], sizes: Sequence[int]) -> list[Batch]:
    """A batch of its own for each account, of the smallest size there is."""
    return [Batch(min(sizes), (account,)) for account in accounts]


def proof_cost(accounts: int, constraints: int, intervals: int) -> float:
    """What a proof for so many accounts costs, in milliseconds: the prover's time, and the chain's for its gas."""
    return MS_OF_PROOF + MS_OF_CONSTRAINT * constraints + _gas(accounts, intervals) / GAS_A_MS


def fits_with(sizes: Sequence[int], another: int, intervals: int) -> bool:
    """Whether one transaction can carry a proof for `another` accounts beside proofs of `sizes`, for days of `intervals`."""
    carried = (*sizes, another)
    gas = GAS_OF_CALL + sum(_gas(size, intervals) for size in carried)
    words = sum(_WORDS_BESIDE_ENTRIES + size * _entry_words(intervals) for size in carried)
    return gas <= MAX_CALL_GAS and words * _WORD_BYTES <= MAX_CALL_BYTES


def _gas(accounts: int, intervals: int) -> int:
    return GAS_OF_PROOF + accounts * (GAS_OF_ACCOUNT + GAS_OF_WORD * _entry_words(intervals))


def _entry_words(intervals: int) -> int:
    return 1 - -intervals // _DEVIATIONS_A_WORD
