"""What the owner of a meter can do with its windows, a node and a wallet, and nobody's help: no database, no marketplace.

Proving a delivery this way is the same for the contract as having it proven; so nobody can keep a member's delivery out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from eth_account import Account as Signer

from app import told
from app.errors import Refused
from app.told import Asked
from contracts.calls import Call
from contracts.chain import Receipt, open_chain
from contracts.client import MarketClient
from contracts.deliveries import ProofBatch
from contracts.deploy import Deployment, verify
from contracts.events import FlexibilityTargetSet
from oracle.evidence import ForkReport, find_fork, prove_fork
from oracle.jobs import ProvingJob, close_provers, prove_batch
from oracle.meter import Exported
from zk.compile import FORK
from zk.keys import DEVELOPMENT, ensure_key
from zk.statement import AccountInput, Shared
from zk.windows import HISTORY_DAYS, Window


@dataclass(frozen=True)
class OwnProof:
    """A delivery that its owner has proven: intervals of the day, and the transaction that recorded them."""

    session: int
    account: int
    intervals: tuple[int, ...]
    transaction: str
    gas_used: int


@contextmanager
def market(rpc: str, manifest: Path) -> Iterator[MarketClient]:
    """The market of a deployment's manifest on a node, checked: the chain is the manifest's and every contract has its code."""
    try:
        deployment = Deployment.from_json(manifest.read_text())
    except OSError as error:
        raise _wrong("deployment", "a deployment's manifest", f"{manifest}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong("deployment", "a deployment's manifest", f"{manifest}: {type(error).__name__}") from error
    with open_chain(rpc) as chain:
        verify(chain, deployment)
        yield MarketClient(chain, deployment)


def prove(
    client: MarketClient,
    exported: Exported,
    session: int,
    wallet: bytes,
    *,
    record: Path,
    agree: Callable[[Asked], None] = lambda _: None,
    zk_key: str = DEVELOPMENT,
    tell: Callable[[str], None] = lambda _: None,
) -> OwnProof:
    """Proves what the exported windows' account sold in a session and is not recorded yet, and sends it from `wallet`.

    Nothing but public words and the proof leave this machine. The node is believed which intervals were sold and which days are
    admissible: `agree` sees them before anything is proven and raises to stop; the file `record` keeps them, and another proof
    than an earlier one is refused. Raises `Refused` with what is missing or wrong, and
    `ContractRefusal` where the contract would not take it, before anything is sent.
    """
    account = exported.account
    if not 1 <= session <= client.sessions():
        raise _wrong("session", f"a session of this market, 1 to {client.sessions()}", str(session))
    terms = client.terms(session)
    _check_windows(exported, terms.day, client.deployment.day_intervals)
    _check_key(client, exported, terms.day)
    mask = _unrecorded(client, session, account)
    admissible = client.admissible(terms.zone, account, terms.day)
    market = f"{client.chain.chain_id}:{client.deployment.contracts['FlexMarket']}".lower()
    asked = Asked(market, session, account, terms.day, mask, admissible)
    told.check(record, asked)
    agree(asked)
    job = ProvingJob(
        Shared(client.chain.chain_id, int(terms.deliveries, 16), session, terms.day, terms.mask),
        (
            AccountInput(
                account=account,
                key=exported.key,
                windows=_day_windows(exported, terms.day),
                admissible=admissible,
                mask=mask,
            ),
        ),
        1,
        (ensure_key(zk_key, client.deployment.day_intervals, 1, progress=tell),),
    )
    tell("proving")
    try:
        result = prove_batch(job)
    finally:
        close_provers()
    if result.public is None:
        reason = result.refused[0][1] if result.refused else result.error
        raise Refused(f"The delivery of account {account} in session {session} cannot be proven: {reason}.")
    call = client.encode_prove(session, [ProofBatch(result.public[0], result.entries, result.proof)])
    told.note(record, asked)  # the simulation shows the proof to the node already
    receipt = send(client, call, wallet, tell)
    return OwnProof(session, account, asked.intervals, receipt.transaction, receipt.gas_used)


def report_fork(
    client: MarketClient,
    one: Exported,
    other: Exported,
    wallet: bytes,
    *,
    zk_key: str = DEVELOPMENT,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[ForkReport, Receipt]:
    """Finds the first contradiction between two exports of one meter, proves it and sends it from `wallet`; the chain suspends
    the key.

    No reading leaves this machine. Raises `ForkError` where they do not contradict each other, `Refused`, `ContractRefusal`.
    """
    if one.key != other.key:
        raise _wrong("windows", f"windows of one key, {one.key.word()}", f"others of key {other.key.word()}")
    a, b = find_fork(one.windows, other.windows)
    tell("proving")
    report = prove_fork(a, b, one.key, ensure_key(zk_key, len(a.readings), 1, progress=tell, kind=FORK))
    call = client.encode_report_fork(report.key, report.day, report.interval, report.proof)
    return report, send(client, call, wallet, tell)


def send(client: MarketClient, call: Call, wallet: bytes, tell: Callable[[str], None]) -> Receipt:
    """Simulates a call and sends it from a wallet; raises `ContractRefusal` before anything is sent, and `Refused` where the
    wallet cannot pay for gas."""
    sender = Signer.from_key(wallet).address
    client.simulate(sender, call)
    if client.chain.balance(sender) == 0:
        raise _wrong("wallet", "a wallet with ether to pay for gas", f"{sender}, which has none")
    tell("sending")
    return client.send(wallet, call)


def _check_windows(exported: Exported, day: int, intervals: int) -> None:
    days = {window.day: window for window in exported.windows}
    missing = [number for number in range(day - HISTORY_DAYS, day + 1) if number not in days]
    if missing:
        raise _wrong("windows", f"the windows of days {day - HISTORY_DAYS} to {day}", f"none of days {missing}")
    for window in exported.windows:
        if len(window.readings) != intervals:
            raise _wrong("windows", f"{intervals} intervals a day", f"{len(window.readings)} on day {window.day}")


def _day_windows(exported: Exported, day: int) -> tuple[Window, ...]:
    chosen = {window.day: window for window in sorted(exported.windows, key=lambda window: window.final)}
    return tuple(chosen[number] for number in range(day - HISTORY_DAYS, day + 1))


def _check_key(client: MarketClient, exported: Exported, day: int) -> None:
    in_force = client.key_at(exported.account, day)
    if in_force is None:
        expected = f"an account with a meter key in force on day {day}, not a suspended one"
        raise _wrong("account", expected, f"account {exported.account}")
    if in_force[0] != exported.key.word():
        raise _wrong("windows", f"windows of key {in_force[0]}, in force from day {in_force[1]}", f"key {exported.key.word()}")


def _unrecorded(client: MarketClient, session: int, account: int) -> int:
    """Intervals that the account sold in the session and that no proof has recorded yet."""
    terms = client.terms(session)
    sold = 0
    for _, event in client.events(None, None, FlexibilityTargetSet):
        if isinstance(event, FlexibilityTargetSet) and (event.session, event.account) == (session, account):
            for j, t in enumerate(terms.interval_indices):
                if event.target[j // 8] >> 32 * (j % 8) & 0xFFFFFFFF:
                    sold |= 1 << t
    if not sold:
        raise _wrong("session", f"a session in which account {account} has a promise", f"session {session}")
    left = sold & ~client.recorded(session, account)
    if not left:
        raise _wrong("session", "a delivery that is not recorded yet", f"session {session}, where all of it is")
    return left


def _wrong(field: str, expected: str, got: str) -> Refused:
    return Refused("This cannot be proven.", field=field, expected=expected, got=got)
