"""A proving job: one batch of accounts, from signed windows to a proof, as a top-level function over plain values.

Job and result go through a pipe to a process, or to a machine that has the keys' files, and back. A job holds readings and its
result does not. The same job has the same public signals however often it is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zk.keys import KeyFileError, KeyPaths
from zk.prover import Prover, ProverError, open_prover
from zk.statement import AccountInput, Shared, Statement, make_statement, padded

_ENTRY_COUNT = 32
_ENTRY_MASK = 64


@dataclass(frozen=True, slots=True)
class ProvingJob:
    """A batch to prove.

    shared      what all accounts share: chain, contract, session, day, the session's intervals
    accounts    at least one and at most `size`; the last is repeated to fill the batch
    size        number of accounts of the circuit, N
    keys        the keys that there are; one of them is for N accounts
    """

    shared: Shared
    accounts: tuple[AccountInput, ...] = field(repr=False)
    size: int
    keys: tuple[KeyPaths, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came of a job: a proof, or accounts that cannot be in one (`refused`, with the reason), or an `error` of the whole.

    accounts    the job's, without repetition
    entries     per account of the proof `account:32 | count:32 | mask:96` and the deviation words; repeated ones included
    public      the public signals C, y, gamma
    proof       eight words
    """

    accounts: tuple[int, ...]
    size: int
    refused: tuple[tuple[int, str], ...] = ()
    error: str = ""
    entries: tuple[int, ...] = ()
    public: tuple[int, int, int] | None = None
    proof: tuple[int, ...] = ()
    witness_ms: float = 0.0
    prove_ms: float = 0.0


def prove_batch(job: ProvingJob) -> BatchResult:
    """Does a job. The prover is opened at a process' first job and stays open."""
    accounts, filled = tuple(item.account for item in job.accounts), padded(job.accounts, job.size)
    try:
        statement = make_statement(job.shared, filled)
    except ValueError as error:
        refused = tuple(_refused(job.shared, job.accounts))
        return BatchResult(accounts, job.size, refused=refused, error="" if refused else f"statement: {error}")
    try:
        proved = _prover(job.keys).prove(statement)
    except (ProverError, KeyFileError, OSError) as error:
        return BatchResult(accounts, job.size, error="proof: " + " ".join(str(error).split()))
    return BatchResult(
        accounts,
        job.size,
        entries=entries_of(statement),
        public=proved.public,
        proof=proved.proof.words(),
        witness_ms=proved.witness_ms,
        prove_ms=proved.prove_ms,
    )


def entries_of(statement: Statement) -> tuple[int, ...]:
    """The entries that the contract takes for a statement."""
    words: list[int] = []
    for result in statement.accounts:
        account, _, _, mask, count, _, *deviations = result.words
        words += [account | count << _ENTRY_COUNT | mask << _ENTRY_MASK, *deviations]
    return tuple(words)


def close_provers() -> None:
    """Ends the provers that this process has opened by doing jobs itself."""
    while _provers:
        _provers.popitem()[1].close()


_provers: dict[tuple[KeyPaths, ...], Prover] = {}


def _prover(keys: tuple[KeyPaths, ...]) -> Prover:
    if keys not in _provers:
        _provers[keys] = open_prover(*keys)
    return _provers[keys]


def _refused(shared: Shared, accounts: Sequence[AccountInput]) -> list[tuple[int, str]]:
    """Accounts of which there is no statement, with the reason."""
    refused = []
    for item in accounts:
        try:
            make_statement(shared, [item])
        except ValueError as error:
            refused.append((item.account, f"statement: {error}"))
    return refused
