"""The assignment of least total cost, rows to columns (Hungarian method in the form of Jonker and Volgenant, 1987: shortest
augmenting paths with potentials). O(n^3), for the few dozen rows of the linkage attack."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Column of each row of a square, finite matrix; each column once, the sum of costs is least."""
    n = len(cost)
    if cost.shape != (n, n) or not np.isfinite(cost).all():
        raise ValueError(f"cost: expected a square matrix of finite numbers, got shape {cost.shape}")
    rows, columns = np.zeros(n + 1), np.zeros(n + 1)  # potentials; column 0 is where a path starts
    row_of = np.zeros(n + 1, dtype=np.int64)  # row (from 1) of each column, 0 for none
    for row in range(1, n + 1):
        row_of[0] = row
        at, least = 0, np.full(n + 1, np.inf)
        before, seen = np.zeros(n + 1, dtype=np.int64), np.zeros(n + 1, dtype=np.bool_)
        while row_of[at]:
            seen[at] = True
            reduced = cost[row_of[at] - 1] - rows[row_of[at]] - columns[1:]
            better = ~seen[1:] & (reduced < least[1:])
            least[1:][better], before[1:][better] = reduced[better], at
            following = 1 + int(np.argmin(np.where(seen[1:], np.inf, least[1:])))
            step = least[following]
            rows[row_of[seen]] += step
            columns[seen] -= step
            least[~seen] -= step
            at = following
        while at:
            row_of[at], at = row_of[before[at]], int(before[at])
    result = np.empty(n, dtype=np.int64)
    result[row_of[1:] - 1] = np.arange(n)
    return result
