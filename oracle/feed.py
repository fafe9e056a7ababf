"""The proof feed: takes signed windows and what the chain says about each account, and proves deliveries in batches.

An account whose statement or proof fails does not stop the others: it is left out and reported with the reason, and a batch
whose proof fails is proven account by account. Windows stay with the caller and the processes that prove.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from oracle.batching import Batch, ProofCost, alone, plan, proof_cost
from oracle.jobs import BatchResult, ProvingJob, prove_batch
from oracle.workers import Lost
from zk.keys import KeyPaths, read_info
from zk.statement import AccountInput, Shared

Run = Callable[[Callable[[ProvingJob], BatchResult], Sequence[ProvingJob]], Iterator[tuple[ProvingJob, BatchResult | Lost]]]
"""What does jobs: `Workers.map`, `in_process`, or anything that maps a function over values."""


@dataclass(frozen=True, slots=True)
class FeedResult:
    """What came of some accounts: a proven `batch` of them, or of one account why there is none. `done` of `total` accounts so
    far. `refused` says that there is no statement about the account: the same windows will be refused again."""

    accounts: tuple[int, ...]
    done: int
    total: int
    batch: BatchResult | None = None
    error: str = ""
    refused: bool = False


def prove_deliveries(
    shared: Shared, deliveries: Sequence[AccountInput], keys: Sequence[KeyPaths], run: Run, *, separately: bool = False
) -> Generator[FeedResult, None, None]:
    """Proves each account once, in the batches that cost least for the circuits of `keys`, and yields results as they come.

    With `separately` no two accounts share a proof.
    """
    by_account = {item.account: item for item in deliveries}
    costs = {key.circuit.accounts: _cost(key) for key in keys}
    total, done = len(by_account), 0

    def job(batch: Batch) -> ProvingJob:
        return ProvingJob(shared, tuple(by_account[account] for account in batch.accounts), batch.size, tuple(keys))

    batches = alone(list(by_account), list(costs)) if separately else plan(list(by_account), costs)
    while batches:
        remaining: list[int] = []
        failed: list[int] = []
        for asked, result in run(prove_batch, [job(batch) for batch in batches]):
            accounts = tuple(item.account for item in asked.accounts)
            refused = dict(result.refused) if isinstance(result, BatchResult) else {}
            error = f"proof: {result.reason}" if isinstance(result, Lost) else result.error
            for account, reason in refused.items():
                done += 1
                yield FeedResult((account,), done, total, error=reason, refused=True)
            if refused:
                remaining += [account for account in accounts if account not in refused]
            elif not error:
                assert isinstance(result, BatchResult)
                done += len(accounts)
                yield FeedResult(accounts, done, total, batch=result)
            elif len(accounts) > 1:
                failed += accounts
            else:
                done += 1
                yield FeedResult(accounts, done, total, error=error)
        batches = plan(remaining, costs) + alone(failed, list(costs))


def _cost(key: KeyPaths) -> ProofCost:
    return proof_cost(key.circuit.accounts, read_info(key.info).constraints, key.circuit.intervals)


def in_process(
    function: Callable[[ProvingJob], BatchResult], jobs: Sequence[ProvingJob]
) -> Iterator[tuple[ProvingJob, BatchResult | Lost]]:
    """Does jobs one after the other in this process, without a time limit."""
    for job in jobs:
        yield job, function(job)
