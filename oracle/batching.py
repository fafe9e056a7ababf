"""Which accounts share a proof, and which proofs share a transaction: the split of a session's sellers that costs least.

A proof is made by a circuit for exactly N accounts. A batch with fewer repeats its last account, which the contract skips, so a
proof of N always costs what N costs.

Costs are in milliseconds: the prover's time, and gas at `GAS_A_MS`. The figures are rounded from measurements at 24
intervals a day: the time from `wattproof bench proof` (`single_ms`, `account_ms`), the gas from `wattproof bench gas`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

MS_OF_PROOF = 150.0
MS_OF_CONSTRAINT = 0.011
"""Milliseconds of the native prover on two cores: of each proof, and of each constraint of its circuit."""

GAS_OF_CALL = 40_000
GAS_OF_CIRCUIT = 160_000
GAS_OF_PROOF = 58_000
GAS_OF_ACCOUNT = 5_000
GAS_OF_WORD = 1_900
"""Gas of a `prove` call, of each circuit whose proofs it carries (they share a pairing product), of each proof, of each account
of a proof, and of each word of an account's entry."""

GAS_A_MS = 100
"""Gas that may be spent to be a millisecond faster: gas is paid for, and nobody waits for the last second."""

MAX_CALL_GAS = 12_000_000
"""Gas that one transaction may come to by the figures above; a chain takes up to 2^24 (EIP-7825)."""

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


@dataclass(frozen=True, slots=True)
class ProofCost:
    """What proofs of one size cost: `once` if there are any, and `each`."""

    once: float
    each: float

    def __post_init__(self) -> None:
        if self.once < 0 or self.each <= 0:
            raise ValueError(f"cost: expected at least 0 once and more than 0 each, got {self.once} and {self.each}")


def proof_cost(accounts: int, constraints: int, intervals: int) -> ProofCost:
    """What proofs for so many accounts cost, in milliseconds, for days of so many intervals."""
    each = MS_OF_PROOF + MS_OF_CONSTRAINT * constraints + _proof_gas(accounts, intervals) / GAS_A_MS
    return ProofCost(GAS_OF_CIRCUIT / GAS_A_MS, each)


def plan(accounts: Sequence[int], costs: Mapping[int, ProofCost]) -> list[Batch]:
    """The cheapest batches that hold each account once, in the given order, large batches first.

    `costs` are by number of accounts of a proof, in any unit. Of splits that cost the same the one with the fewest proofs is
    taken. Raises `ValueError` without a size, and for an account that is named twice.
    """
    if not costs or min(costs) < 1:
        raise ValueError(f"costs: expected those of at least one size, got {sorted(costs)}")
    if len(set(accounts)) != len(accounts):
        raise ValueError(f"accounts: expected each once, got {list(accounts)}")
    best = min(_splits(len(accounts), costs), default=None)
    batches, start = [], 0
    # No padding reaches the size of the smallest batch: without that batch the split would be cheaper. So it is the last's.
    for size in sorted(best[2] if best else (), reverse=True):
        batches.append(Batch(size, tuple(accounts[start : start + size])))
        start += size
    return batches


def alone(accounts: Sequence[int], sizes: Sequence[int]) -> list[Batch]:
    """A batch of its own for each account, of the smallest size there is."""
    return [Batch(min(sizes), (account,)) for account in accounts]


def fits_with(sizes: Sequence[int], another: int, intervals: int) -> bool:
    """Whether one transaction can carry a proof for `another` accounts beside proofs of `sizes`, for days of `intervals`."""
    carried = (*sizes, another)
    gas = GAS_OF_CALL + GAS_OF_CIRCUIT * len(set(carried)) + sum(_proof_gas(size, intervals) for size in carried)
    words = sum(_WORDS_BESIDE_ENTRIES + size * _entry_words(intervals) for size in carried)
    return gas <= MAX_CALL_GAS and words * _WORD_BYTES <= MAX_CALL_BYTES


def _splits(number: int, costs: Mapping[int, ProofCost]) -> Iterator[tuple[float, int, list[int]]]:
    """The cheapest split for each choice of the sizes that it may use: cost, number of proofs, sizes."""
    for count in range(1, len(costs) + 1 if number else 0):
        for usable in combinations(sorted(costs), count):
            # best[n] is (cost, proofs, size of one of the proofs) for n accounts; what exceeds n in a proof is padding.
            best: list[tuple[float, int, int]] = [(0.0, 0, 0)]
            for n in range(1, number + 1):
                choices = ((costs[size].each, best[max(0, n - size)], size) for size in usable)
                best.append(min((cost + rest[0], 1 + rest[1], size) for cost, rest, size in choices))
            sizes, left = [], number
            while left:
                sizes.append(best[left][2])
                left = max(0, left - sizes[-1])
            yield best[number][0] + sum(costs[size].once for size in set(sizes)), len(sizes), sizes


def _proof_gas(accounts: int, intervals: int) -> int:
    return GAS_OF_PROOF + accounts * (GAS_OF_ACCOUNT + GAS_OF_WORD * _entry_words(intervals))


def _entry_words(intervals: int) -> int:
    return 1 - -intervals // _DEVIATIONS_A_WORD
