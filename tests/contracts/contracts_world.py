"""A deployed market with people in it, for the tests of contracts/."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from contracts_twin import ClearedBook, clear_book
from eth_account import Account
from eth_hash.auto import keccak

from contracts.artifacts import load
from contracts.calls import ClearingPass
from contracts.chain import Chain, open_chain
from contracts.client import MarketClient
from contracts.deploy import DeployedVerifier, ZoneSpec, deploy
from contracts.encoding import ScheduleOrder, StatedTerms, Step, batch_words, entry_words, words_for
from contracts.orderlog import OrderLog, groups_of
from contracts.sessions import SessionRequest
from contracts.units import Direction, Kind, Mode, Side

OFFSET = 3600
GENESIS = 17_226 * 86400 - OFFSET + 6 * 3600
"""06:00 standard time on Wednesday 2017-03-01."""

R = 21888242871839275222246405745257275088548364400416034343698204186575808495617
COLLATERAL_PPM = 600_000
CAP = 500_000
RULES = (
    1 | 3 << 8 | 2 << 16 | 50_000 << 32 | COLLATERAL_PPM << 64,
    0 | 0 << 32,
    500_000 | 300_000 << 32,
    1_000_000 | 1_000_000 << 32,
    0 | 500_000 << 32,
    1_000_000 | 0 << 32,
)


def key_of(name: str) -> bytes:
    return keccak(f"key of {name}".encode())


def address_of(name: str) -> str:
    return str(Account.from_key(key_of(name)).address)


def rules_words(
    pay: Sequence[tuple[int, int]], penalty: Sequence[tuple[int, int]], tolerance: int, collateral: int
) -> tuple[int, ...]:
    header = 1 | len(pay) << 8 | len(penalty) << 16 | tolerance << 32 | collateral << 64
    return (header, *(x | y << 32 for x, y in (*pay, *penalty)))


@dataclass
class World:
    """One chain, one market, and shorthands that a test reads easily. Accounts are opened on demand by name."""

    chain: Chain
    client: MarketClient
    accounts: dict[str, int] = field(default_factory=dict)
    minutes: int = 60

    @property
    def operator(self) -> bytes:
        return key_of("operator")

    @property
    def day_intervals(self) -> int:
        return 1440 // self.minutes

    def member(self, name: str, money: int = 10**12, meter: bool = True) -> int:
        """Account of `name`, with money in the vault and a meter key in force since today."""
        if name in self.accounts:
            return self.accounts[name]
        client, key = self.client, key_of(name)
        self.chain.fund(address_of(name))
        account = client.register(self.operator, address_of(name))
        if meter:
            today = client.day_of(1, self.chain.now())
            client.bind_meter(key_of("metering"), account, 1, self.meter_key(account), today)
        if money:
            client.mint(key, address_of(name), money)
            client.approve(key, money)
            client.deposit(key, account, money)
        self.accounts[name] = account
        return account

    @staticmethod
    def meter_key(account: int) -> int:
        return int.from_bytes(keccak(f"meter {account}".encode()), "big") % R

    def request(
        self, days_ahead: int = 20, mask: int = 0b1111 << 10, direction: Direction = Direction.UP, **changes: object
    ) -> SessionRequest:
        """A session `days_ahead` days from now, its gate open for an hour from now on."""
        now = self.chain.now()
        day = self.client.day_of(1, now) + days_ahead
        end = self.client.interval_start(1, day, self.day_intervals)
        fields: dict[str, object] = {
            "zone": 1, "kind": Kind.ELECTRICAL, "direction": direction, "mode": Mode.COMPETITIVE, "day": day, "mask": mask,
            "gate_open": now, "gate_close": now + 3600, "exemption_deadline": end + 3600, "proof_deadline": end + 7200,
            "price_cap": CAP, "min_quantity": 10, "deliveries": self.client.deployment.contracts["Deliveries"],
        }  # fmt: skip
        return SessionRequest(**{**fields, **changes})  # type: ignore[arg-type]

    def open(self, rules: Sequence[int] = RULES, **changes: object) -> int:
        return self.client.open_session(self.operator, self.request(**changes), rules)  # type: ignore[arg-type]

    def place(self, name: str, session: int, order: ScheduleOrder) -> None:
        self.client.place(key_of(name), session, entry_words(order, self.client.terms(session)))

    def close_gate(self, session: int) -> None:
        self.chain.advance_to(self.client.terms(session).gate_close)

    def clear(self, session: int) -> ClearedBook:
        """Closes the gate, clears with the twin's result, commits every group."""
        book = self.clear_only(session)
        for group, rows in enumerate(groups_of(book.rows)):
            self.client.commit(self.operator, session, group, rows)
        return book

    def clear_only(self, session: int) -> ClearedBook:
        self.close_gate(session)
        log, book = self.twin(session)
        self.client.clear(self.operator, session, ClearingPass.whole(log, book.certificate))
        return book

    def twin(self, session: int) -> tuple[OrderLog, ClearedBook]:
        log = self.client.order_log(session)
        terms = self.client.terms(session)
        sold = {account: self.client.sold(account, terms.day) for account in range(1, self.client.accounts() + 1)}
        return log, clear_book(log, terms.interval_indices, terms.price_cap, terms.collateral_ppm, sold)

    def deviations(self, values: dict[int, int]) -> list[int]:
        """D words of `baseline - metered` by interval of the day."""
        words = [0] * words_for(self.day_intervals, 9)
        for t, value in values.items():
            words[t // 9] |= (value + (1 << 25)) << 26 * (t % 9)
        return words


def order(account: int, side: Side, *steps: Sequence[tuple[int, int]]) -> ScheduleOrder:
    """An order from steps of (quantity, limit) per interval."""
    return ScheduleOrder(account, side, tuple(Step(tuple(q for q, _ in s), tuple(p for _, p in s)) for s in steps))


def words_of(placed: ScheduleOrder, intervals: int) -> list[int]:
    """Words of an order for a session of so many intervals on the worlds' usual terms."""
    return batch_of([placed], intervals)


def batch_of(placed: Sequence[ScheduleOrder], intervals: int) -> list[int]:
    """Words of several."""
    return batch_words(placed, StatedTerms((1 << intervals) - 1, CAP, COLLATERAL_PPM))


def fake_verifier(chain: Chain, size: int) -> DeployedVerifier:
    receipt = chain.transact(None, load("test/FakeVerifier").creation(True), key_of("deployer"))
    assert receipt.contract
    return DeployedVerifier(size, receipt.contract)


def make_world(
    backend: str,
    minutes: int = 60,
    circuits: Sequence[int] = (1, 2, 4),
    verifier: Callable[[Chain, int], DeployedVerifier] = fake_verifier,
    forks: Sequence[int] = (),
    parameters: Mapping[str, int] | None = None,
) -> World:
    """`verifier` puts the verifiers for `circuits` (numbers of accounts) and `forks` (intervals a day) on the chain."""
    chain = open_chain(backend, GENESIS)
    for name in ("deployer", "operator", "metering"):
        chain.fund(address_of(name))
    deployment = deploy(
        chain,
        key_of("deployer"),
        [verifier(chain, size) for size in circuits],
        ZoneSpec(OFFSET, minutes),
        operator=address_of("operator"),
        metering=address_of("metering"),
        forks=[verifier(chain, size) for size in forks],
        parameters=parameters,
    )
    return World(chain, MarketClient(chain, deployment), minutes=minutes)
