"""The wiring of one process: settings, database, chain, contracts, keys, relayer and indexer, put together and handed to
services.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from eth_account import Account
from pydantic import SecretStr
from sqlmodel import col, select

from app import deployed, migrate
from app.database import Database, Outbox, Promise, ZoneRow, known
from app.errors import Refused
from app.indexer import Indexer
from app.outbox import Relayer, enqueue
from app.services.explaining import Explanations
from app.settings import Settings
from contracts.calls import Call
from contracts.chain import Chain, ChainBusyError, anvil_binary, open_chain
from contracts.chain_rpc import AnvilChain, NodeChain
from contracts.client import MarketClient
from contracts.manifest import Deployment, ZoneSpec
from market.session import Zone
from oracle.forecast import DayForecast
from oracle.workers import Workers
from zk.files import write_whole
from zk.keys import KeyPaths


@dataclass
class Context:
    """Everything a service needs. `working` is held by whoever moves sessions on, so that two never do the same thing at
    once.
    """

    settings: Settings
    database: Database
    chain: Chain
    deployment: Deployment
    client: MarketClient
    relayer: Relayer
    indexer: Indexer
    addresses: dict[str, str]
    operator_token: str
    guardian_token: str
    started_anew: str | None
    working: threading.RLock = field(default_factory=threading.RLock)
    screening: threading.Lock = field(default_factory=threading.Lock)
    """Held by whoever screens sessions: beside `working`, which clearing and settling need."""
    clock_moved: Callable[[], list[str]] | None = None
    retry_at: dict[int, float] = field(default_factory=dict)
    screened: dict[int, int] = field(default_factory=dict)
    """Sessions that the surveillance is done with, and how often the chain had been taken in anew by then."""
    explanations: Explanations = field(default_factory=Explanations)
    _following: threading.Lock = field(default_factory=threading.Lock)
    forecasts: dict[tuple[int, int, int], dict[int, DayForecast]] = field(default_factory=dict)
    workers: Workers = field(init=False)

    def __post_init__(self) -> None:
        self.workers = Workers(self.settings.proof_workers, timeout=self.settings.proof_timeout_s)

    def now(self) -> int:
        """The market's time: the chain's, Unix seconds."""
        return self.chain.now()

    @property
    def simulated(self) -> bool:
        """Whether the chain's clock was moved by hand: a development chain whose time is not the wall clock's."""
        return self.chain.is_development and abs(self.now() - time.time()) > 3600

    def address(self, role: str) -> str:
        """Address that signs for a role."""
        if role not in self.addresses:
            raise Refused(
                f"This marketplace does not act for the role {role}.",
                status=409,
                field=f"WATTPROOF_{role.upper()}_KEY",
                expected="the role's key",
                got="nothing",
            )
        return self.addresses[role]

    def send(self, kind: str, role: str, call: Call, session: int | None = None) -> Outbox:
        """Simulates a call, sends it through the outbox, waits for its receipt and takes its events in.

        Raises `ContractRefusal` before anything is written where the contract would refuse.
        """
        self.client.simulate(self.address(role), call)
        with self.database.session() as db:
            row_id = enqueue(db, kind, role, call, session).id
        assert row_id is not None
        row = self.relayer.wait(row_id)
        if row.status != "confirmed":
            raise Refused(f"The chain did not take the transaction ({kind}): {row.error}", status=409)
        self.refresh()
        return row

    def refresh(self) -> None:
        """Takes in what the chain has logged since the last time, and notices what it has lost."""
        self.relayer.recheck()
        rebuilt = self.indexer.rebuilt
        self.indexer.sync()
        if self.indexer.rebuilt != rebuilt:
            self.forecasts.clear()  # they go by accounts' numbers, which may be others' now

    def send_again(self) -> int:
        """Sends what a reorganisation, or an earlier process, left unsent; returns how many transactions."""
        self.refresh()
        sent = self.relayer.flush()
        if sent:
            self.refresh()
        return sent

    def follow_clock(self) -> list[str]:
        """Lets whoever follows the clock (the demonstration's community) do what it does; one at a time."""
        with self._following:
            return self.clock_moved() if self.clock_moved is not None else []

    def zone(self, number: int) -> Zone:
        """A zone as the chain has it."""
        with self.database.session() as db:
            row: ZoneRow = known(db.get(ZoneRow, number), "zone", number)
        return Zone(row.id, row.offset, row.minutes, frozenset(row.holidays))

    def intervals(self, session_id: int) -> int:
        """Number of intervals of a session, K."""
        return self.client.terms(session_id).intervals

    def sold_elsewhere(self, session_id: int, day: int) -> dict[int, int]:
        """Per account the intervals of `day` that it had sold when `session_id` was opened.

        Until its clearing nothing is added, as its intervals are under auction; what a replacement adds later does not matter.
        """
        with self.database.session() as db:
            rows = db.exec(select(Promise).where(Promise.day == day, col(Promise.opened) < session_id)).all()
        sold: dict[int, int] = {}
        for row in rows:
            sold[row.account] = sold.get(row.account, 0) | int(row.mask, 16)
        return sold

    def proving_keys(self, intervals: int) -> tuple[KeyPaths, ...]:
        """Keys that proofs are made with: of those circuits that are deployed and that the settings want."""
        sizes = sorted(set(self.deployment.circuits) & set(self.settings.proof_sizes))
        if not sizes:
            raise Refused(
                "No proof can be made with this deployment.",
                status=409,
                field="WATTPROOF_PROOF_SIZES",
                expected=f"one of the deployed circuits, {', '.join(map(str, self.deployment.circuits))}",
                got=", ".join(map(str, self.settings.proof_sizes)),
            )
        return tuple(deployed.proving_key(self.settings.zk_key, intervals, size) for size in sizes)

    def require_development(self, what: str) -> None:
        """Refuses `what` off development chains."""
        if not self.chain.is_development:
            raise Refused(
                f"There is no {what} on this chain.", status=404, field="chain", expected="a development chain", got="another"
            )

    def close(self) -> None:
        """Ends proving processes and chain; the database stays."""
        self.workers.close()
        self.chain.close()
        self.database.close()


def build(
    settings: Settings, *, start_time: int | None = None, zone: tuple[int, int] = (-28800, 60), persist: bool = True
) -> Context:
    """Puts a process together.

    `start_time` is the first timestamp of a new development chain; `zone` its first zone (offset seconds, interval minutes).
    Without `persist` a development chain is forgotten at the end.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.data_dir.chmod(0o700)  # readings and salts are in here
    chain = _open(settings, start_time, settings.chain_state if persist else None)
    try:
        return _build(settings, chain, ZoneSpec(*zone))
    except BaseException:
        chain.close()
        raise


def forget(ctx: Context) -> None:
    """Closes a context, and removes the development chain that its process kept between starts; raises `Refused` where the
    chain is somebody else's."""
    ctx.close()
    if not isinstance(ctx.chain, AnvilChain):
        raise Refused(
            "A chain that this process did not start cannot be begun again by it.",
            status=409,
            field="WATTPROOF_CHAIN",
            expected="a new chain, or --empty",
            got=ctx.settings.chain,
        )
    ctx.settings.chain_state.unlink(missing_ok=True)


def _open(settings: Settings, start_time: int | None, state: Path | None) -> Chain:
    backend = settings.chain
    if backend == "auto":
        backend = "anvil" if anvil_binary() is not None else "tester"
    elif backend not in ("anvil", "tester") and not backend.startswith(("http://", "https://")):
        raise Refused(
            "Which chain?",
            field="WATTPROOF_CHAIN",
            expected="auto, anvil, tester, or the http address of a node",
            got=backend,
        )
    try:
        return open_chain(backend, start_time, state)
    except ChainBusyError:
        raise Refused(
            "Another process serves this folder.",
            status=409,
            field="WATTPROOF_DATA_DIR",
            expected="a folder that no other process serves",
            got=str(settings.data_dir.resolve()),
        ) from None


def _build(settings: Settings, chain: Chain, zone: ZoneSpec) -> Context:
    wanted = deployed.given(settings)
    database = Database(settings.url)
    migrate.upgrade(settings.url)
    started_anew = deployed.start_anew_elsewhere(settings, database, chain, wanted)
    deployment, keys = deployed.market(settings, database, chain, zone, wanted)
    addresses = {role: Account.from_key(key).address for role, key in keys.items()}
    if settings.data_dir.is_dir():  # for whoever replays beside this process
        write_whole(settings.data_dir / "deployment.json", deployment.to_json().encode())
        if isinstance(chain, NodeChain):
            write_whole(settings.data_dir / "chain.url", chain.url.encode())
    client = MarketClient(chain, deployment)
    context = Context(
        settings=settings,
        database=database,
        chain=chain,
        deployment=deployment,
        client=client,
        relayer=Relayer(database, chain, keys),
        indexer=Indexer(database, client),
        addresses=addresses,
        operator_token=_token(settings, "operator", settings.operator_token),
        guardian_token=_token(settings, "guardian", settings.guardian_token),
        started_anew=started_anew,
    )
    context.relayer.flush()
    context.refresh()
    return context


def _token(settings: Settings, role: str, given: SecretStr | None) -> str:
    if given is not None:
        return given.get_secret_value()
    return deployed.secret(settings.data_dir / f"{role}.token", lambda: secrets.token_urlsafe(32)).strip()
