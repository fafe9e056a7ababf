"""The proof feed: takes signed windows and what the chain says about each account, and proves deliveries account by account.

An account whose statement or proof fails does not stop the others: its result says why. Only public words and the proof leave a
result's `proved`; windows stay with the caller.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from zk.eddsa import PublicKey
from zk.prover import Proved, Prover, ProverError
from zk.statement import AccountInput, AccountResult, Shared, make_statement
from zk.windows import Window


@dataclass(frozen=True, slots=True)
class Delivery:
    """One account to prove: meter key in force on the day, its 15 windows, the contract's mask of admissible days, and the mask
    of the intervals to prove."""

    account: int
    key: PublicKey
    windows: Sequence[Window] = field(repr=False)
    admissible: int
    mask: int


@dataclass(frozen=True, slots=True)
class FeedResult:
    """What came of one account. `done` of `total` counts results so far; `seconds` is the account's own time.

    Either `result` and `proved` are there, or `error` says why not.
    """

    account: int
    done: int
    total: int
    seconds: float
    result: AccountResult | None = None
    proved: Proved | None = None
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.proved is not None


def prove_deliveries(shared: Shared, deliveries: Sequence[Delivery], prover: Prover) -> Iterator[FeedResult]:
    """Proves each delivery alone (N = 1), in the given order, and yields its result as soon as it is there.

    `shared` names chain, contract, session, day and the session's intervals. Promises are public (market sessions), so the
    commitment is the fixed one.
    """
    for done, delivery in enumerate(deliveries, 1):
        started = time.monotonic()
        result, proved, error = _prove(shared, delivery, prover)
        yield FeedResult(delivery.account, done, len(deliveries), time.monotonic() - started, result, proved, error)


def _prove(shared: Shared, delivery: Delivery, prover: Prover) -> tuple[AccountResult | None, Proved | None, str]:
    item = AccountInput(delivery.account, delivery.key, delivery.windows, delivery.admissible, delivery.mask)
    try:
        statement = make_statement(shared, [item])
    except ValueError as error:
        return None, None, f"statement: {error}"
    try:
        return statement.accounts[0], prover.prove(statement), ""
    except (ProverError, OSError) as error:
        return None, None, f"proof: {error}"
