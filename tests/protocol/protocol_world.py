"""A deployed market with members and sessions on a development chain: what the tests of this directory stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from eth_account import Account
from eth_hash.auto import keccak
from machine import fast_backend

from contracts.artifacts import load
from contracts.calls import Call, ClearingPass
from contracts.chain import Chain, open_chain
from contracts.client import MarketClient
from contracts.deploy import DeployedVerifier, VerifyingKey, ZoneSpec, deploy
from contracts.encoding import ScheduleOrder, Step, batch_words
from contracts.orderlog import OrderLog, groups_of
from contracts.refusals import ContractRefusal
from contracts.sessions import SessionRequest
from contracts.units import Direction, Kind, Mode, Side
from market.clearing.uniform import Clearing, clear
from market.orders import OrderBook, book_from_log
from market.session import SessionTerms, Zone
from settlement.rules import RuleSet
from settlement.rules import load as load_rules

OFFSET = 3600
T = 24
FIRST_DAY = 17_380
"""A Wednesday in 2017, on which every chain here begins; 28 days later the contracts' 256-day words change."""

GENESIS = FIRST_DAY * 86_400 - OFFSET + 6 * 3600
CAP = 500_000
RULES = load_rules()


def key_of(name: str) -> bytes:
    return bytes(keccak(f"protocol {name}".encode()))


def address_of(name: str) -> str:
    return str(Account.from_key(key_of(name)).address)


def fast_chain() -> Chain:
    """Anvil where there is one, py-evm in this process otherwise."""
    return open_chain(fast_backend(), GENESIS)


def order(account: int, side: Side, *steps: Sequence[tuple[int, int]]) -> ScheduleOrder:
    """An order from steps of (quantity, limit) per session interval."""
    return ScheduleOrder(account, side, tuple(Step(tuple(q for q, _ in s), tuple(p for _, p in s)) for s in steps))


def bits(*intervals: int) -> int:
    return sum(1 << t for t in intervals)


@dataclass
class Market:
    """One market and shorthands that a test reads easily. Everyone acts under a name; `key_of(name)` signs."""

    chain: Chain
    client: MarketClient
    zone: Zone
    accounts: dict[str, int] = field(default_factory=dict)

    @property
    def today(self) -> int:
        return self.zone.day_of(self.chain.now())

    def member(
        self, name: str, meter: int | None = None, *, owner: str | None = None, money: int = 10**12, from_day: int | None = None
    ) -> int:
        """The account `name`, opened when it is first asked for: with money in the vault and, where `meter` is given, that
        meter key in force from `from_day` (today by default)."""
        if name in self.accounts:
            return self.accounts[name]
        holder, client = owner or name, self.client
        self.chain.fund(address_of(holder))
        account = client.register(key_of("operator"), address_of(holder))
        if meter is not None:
            client.bind_meter(key_of("metering"), account, 1, meter, self.today if from_day is None else from_day)
        if money:
            client.mint(key_of(holder), address_of(holder), money)
            client.approve(key_of(holder), money)
            client.deposit(key_of(holder), account, money)
        self.accounts[name] = account
        return account

    def request(
        self,
        day: int,
        mask: int,
        *,
        direction: Direction = Direction.UP,
        price_cap: int = CAP,
        min_quantity: int = 1,
        gate: int = 600,
        deadline: int = 7200,
        **changes: Any,
    ) -> SessionRequest:
        """A session with its gate open for `gate` seconds from now, and proofs until `deadline` seconds after the day's end."""
        now, end = self.chain.now(), self.zone.interval_start(day, T)
        request = SessionRequest(
            1, Kind.ELECTRICAL, direction, Mode.COMPETITIVE, day, mask, now, now + gate, end, end + deadline, price_cap,
            min_quantity, self.client.deployment.contracts["Deliveries"],
        )  # fmt: skip
        return replace(request, **changes)

    def open(self, day: int, mask: int, rules: RuleSet = RULES, **changes: Any) -> int:
        """Opens the session that `request` describes."""
        return self.client.open_session(key_of("operator"), self.request(day, mask, **changes), rules.words())

    def place(self, name: str, session: int, *orders: ScheduleOrder) -> None:
        self.client.place(key_of(name), session, batch_words(orders, self.client.terms(session)))

    def close_gate(self, session: int) -> None:
        self.chain.advance_to(self.terms(session).gate_close)

    def terms(self, session: int) -> SessionTerms:
        """The contract's terms as the domain's value."""
        return SessionTerms.of_contract(session, self.zone, self.client.terms(session))

    def log(self, session: int) -> OrderLog:
        """The order log as the chain's events tell it."""
        return self.client.order_log(session)

    def book(self, session: int) -> OrderBook:
        return book_from_log(self.terms(session), self.log(session).batches)

    def sold(self, session: int) -> dict[int, int]:
        """What the makers of the session's log have sold on its day so far."""
        day = self.terms(session).day
        return {account: self.client.sold(account, day) for account, _ in self.log(session).makers()}

    def engine(self, session: int) -> Clearing:
        """The engine's clearing of the session's log."""
        return clear(self.book(session), self.sold(session))

    def clear(self, session: int) -> Clearing:
        """Closes the gate, has the engine's clearing accepted and every group committed."""
        self.close_gate(session)
        clearing = self.engine(session)
        self.client.send(key_of("anyone"), self.encode_clear(session, clearing.certificate_words))
        for group, rows in enumerate(group_words(clearing)):
            self.client.commit(key_of("anyone"), session, group, rows)
        return clearing

    def encode_clear(self, session: int, certificate: Sequence[int]) -> Call:
        return self.client.encode_clear(session, ClearingPass.whole(self.log(session), certificate))

    def accepts(self, call: Call) -> None:
        """The control of a refusal: the contract would take `call` from anyone now."""
        self.client.simulate(address_of("anyone"), call)

    def refuses(self, call: Call, name: str = "anyone") -> ContractRefusal:
        """Sends `call` as a transaction of `name`, which must fail; what the contract said."""
        with pytest.raises(ContractRefusal) as caught:
            self.client.send(key_of(name), call)
        return caught.value


def group_words(clearing: Clearing) -> list[list[int]]:
    """Words of the result rows, group by group."""
    return groups_of(clearing.rows)


def make_market(
    chain: Chain, circuits: Sequence[VerifyingKey] = (), fake: Sequence[int] = (), forks: Sequence[VerifyingKey] = ()
) -> Market:
    """Deploys a market of hourly intervals. `circuits` and `forks` are real keys; for the numbers of accounts in `fake` a
    contract answers that takes a proof which repeats the public signals (contracts/src/test/FakeVerifier.sol)."""
    for name in ("deployer", "operator", "metering", "anyone"):
        chain.fund(address_of(name))
    listed: list[VerifyingKey | DeployedVerifier] = list(circuits)
    for number in fake:
        receipt = chain.transact(None, load("test/FakeVerifier").creation(True), key_of("deployer"))
        assert receipt.contract
        listed.append(DeployedVerifier(number, receipt.contract))
    deployment = deploy(
        chain,
        key_of("deployer"),
        listed,
        ZoneSpec(OFFSET, 60),
        operator=address_of("operator"),
        metering=address_of("metering"),
        forks=forks,
    )
    return Market(chain, MarketClient(chain, deployment), Zone(1, OFFSET, 60))
