"""The vault never owes more than it holds, whatever the token does and whoever calls."""

from __future__ import annotations

from typing import Any

import pytest
from contracts_world import World, address_of, key_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from machine import fast_backend

from contracts.artifacts import load
from contracts.calls import Call
from contracts.chain import Chain, open_chain
from contracts.deploy import MARKET_ROLE
from contracts.refusals import ContractRefusal

pytestmark = pytest.mark.slow

OWNERS = ("anna", "ben", "carl")


class Money:
    """A vault of its own on a token of one's choice; the deployer plays market and settlement."""

    def __init__(self, chain: Chain, token: str = "DevEuro") -> None:
        self.chain = chain
        self.admin = key_of("deployer")
        admin = address_of("deployer")
        for name in ("deployer", *OWNERS):
            chain.fund(address_of(name))
        self.token = self.create(token)
        self.zones = self.create("Zones", admin)
        self.accounts = self.create("Accounts", admin, self.zones)
        self.vault = self.create("Vault", admin, self.token, self.accounts)
        self.token_name = token
        self.do("Vault", self.vault, self.admin, "grantRole", MARKET_ROLE, admin)
        for name in OWNERS:
            self.do("Accounts", self.accounts, self.admin, "register", address_of(name))
            self.do(token, self.token, key_of(name), "mint", address_of(name), 10**15)
            self.do(token, self.token, key_of(name), "approve", self.vault, 2**255)

    def create(self, name: str, *values: object) -> str:
        contract = self.chain.transact(None, load(name).creation(*values), self.admin).contract
        assert contract
        return contract

    def do(self, name: str, at: str, key: bytes, function: str, *values: object) -> None:
        self.chain.transact(at, load(name).functions[function].call(*values), key)

    def ask(self, name: str, at: str, function: str, *values: object) -> Any:
        entry = load(name).functions[function]
        return entry.result(self.chain.call(at, entry.call(*values)))

    def deposit(self, account: int, amount: int) -> None:
        self.do("Vault", self.vault, key_of(OWNERS[account - 1]), "deposit", account, amount)

    def withdraw(self, account: int, amount: int) -> None:
        owner = OWNERS[account - 1]
        self.do("Vault", self.vault, key_of(owner), "withdraw", account, amount, address_of(owner))

    def balance(self, account: int) -> tuple[int, int]:
        available, locked, _ = self.ask("Vault", self.vault, "balanceOf", account)
        return available, locked

    def held(self) -> int:
        return int(self.ask(self.token_name, self.token, "balanceOf", self.vault))


AMOUNT = st.integers(0, 10**6)
ACCOUNT = st.integers(1, 3)


class Conservation(RuleBasedStateMachine):
    """Random deposits, withdrawals, locks and moves against plain sums."""

    @initialize()
    def start(self) -> None:
        self.money = Money(open_chain(fast_backend(), 1_500_000_000))
        self.available = dict.fromkeys((1, 2, 3), 0)
        self.locked = dict.fromkeys((1, 2, 3), 0)
        self.escrow = dict.fromkeys((1, 2), 0)

    def attempt(self, allowed: bool, *call: Any) -> bool:
        if allowed:
            self.money.do("Vault", self.money.vault, self.money.admin, *call)
        else:
            with pytest.raises(ContractRefusal, match="are needed"):
                self.money.do("Vault", self.money.vault, self.money.admin, *call)
        return allowed

    @rule(account=ACCOUNT, amount=st.integers(1, 10**6))
    def deposit(self, account: int, amount: int) -> None:
        self.money.deposit(account, amount)
        self.available[account] += amount

    @rule(account=ACCOUNT, amount=AMOUNT)
    def withdraw(self, account: int, amount: int) -> None:
        if amount > self.available[account]:
            with pytest.raises(ContractRefusal, match="available"):
                self.money.withdraw(account, amount)
        else:
            self.money.withdraw(account, amount)
            self.available[account] -= amount

    @rule(
        session=st.integers(1, 2),
        fee=st.sampled_from([0, 0, 7, 1000]),
        entries=st.lists(st.tuples(ACCOUNT, AMOUNT, st.booleans()), max_size=4),
    )
    def lock(self, session: int, fee: int, entries: list[tuple[int, int, bool]]) -> None:
        """Entries of payers, which are the entry's account or its agent."""
        after = dict(self.available)
        for payer, amount, _ in entries:
            after[payer] -= amount + fee
        words = [(9 | payer << 32 | 1 << 130 if agent else payer | 9 << 32) | amount << 64 for payer, amount, agent in entries]
        if self.attempt(min(after.values()) >= 0, "lock", session, fee, words):
            for payer, amount, _ in entries:
                self.locked[payer] += amount
            self.available = after
            self.escrow[session] += fee * len(entries)

    @rule(session=st.integers(1, 2), moves=st.lists(st.tuples(ACCOUNT, AMOUNT, AMOUNT), max_size=4))
    def move(self, session: int, moves: list[tuple[int, int, int]]) -> None:
        locked = dict(self.locked)
        for account, unlock, _ in moves:
            locked[account] -= unlock
        change = sum(unlock - credit for _, unlock, credit in moves)
        allowed = min(locked.values()) >= 0 and self.escrow[session] + change >= 0
        if self.attempt(allowed, "move", session, [a | unlock << 32 | credit << 96 for a, unlock, credit in moves]):
            self.locked = locked
            self.escrow[session] += change
            for account, _, credit in moves:
                self.available[account] += credit

    @rule(amount=st.integers(1, 1000))
    def send_past_deposit(self, amount: int) -> None:
        """Tokens that arrive otherwise are nobody's and change nothing."""
        self.gifts = getattr(self, "gifts", 0) + amount
        self.money.do("DevEuro", self.money.token, key_of("anna"), "transfer", self.money.vault, amount)

    @invariant()
    def sums_hold(self) -> None:
        if not hasattr(self, "money"):
            return
        assert {a: self.money.balance(a) for a in (1, 2, 3)} == {a: (self.available[a], self.locked[a]) for a in (1, 2, 3)}
        escrows = [int(self.money.ask("Vault", self.money.vault, "escrow", s)) for s in (1, 2)]
        assert escrows == list(self.escrow.values())
        owed = sum(self.available.values()) + sum(self.locked.values()) + sum(escrows)
        assert self.money.held() == owed + getattr(self, "gifts", 0)


TestConservation = Conservation.TestCase
TestConservation.settings = settings(max_examples=12, stateful_step_count=18, deadline=None)


def test_a_token_that_keeps_a_fee_is_credited_with_what_arrives() -> None:
    with open_chain(fast_backend(), 1_500_000_000) as chain:
        money = Money(chain, "test/FeeToken")
        money.deposit(1, 1000)
        money.deposit(2, 999)
        assert (money.balance(1), money.balance(2)) == ((900, 0), (900, 0))
        assert money.held() == 1800
        money.withdraw(1, 900)
        money.withdraw(2, 900)
        assert money.held() == 0


def test_a_token_that_calls_back_gains_nothing() -> None:
    with open_chain(fast_backend(), 1_500_000_000) as chain:
        money = Money(chain, "test/ReentrantToken")
        money.deposit(1, 1000)
        money.deposit(2, 1000)
        vault = load("Vault").functions
        # an account owned by the token itself, so that it may call everything
        money.do("Accounts", money.accounts, money.admin, "register", money.token)
        money.do("test/ReentrantToken", money.token, money.admin, "mint", money.token, 10**6)
        attacks = [vault["deposit"].call(4, 500), vault["withdraw"].call(4, 0, money.token)]
        for attack in attacks:
            for step in (lambda: money.deposit(1, 100), lambda: money.withdraw(1, 100)):
                money.do("test/ReentrantToken", money.token, money.admin, "arm", money.vault, attack, False)
                with pytest.raises(ContractRefusal) as caught:
                    step()
                assert caught.value.error_name == "ReentrancyGuardReentrantCall"
                money.do("test/ReentrantToken", money.token, money.admin, "arm", money.vault, attack, True)
                step()
                assert not money.ask("test/ReentrantToken", money.token, "attackSucceeded")
        assert (money.balance(1), money.balance(2), money.balance(4)) == ((1000, 0), (1000, 0), (0, 0))
        assert money.held() == 2000


def test_the_token_must_have_six_decimals() -> None:
    with open_chain(fast_backend(), 1_500_000_000) as chain:
        money = Money(chain)
        token = money.create("test/EighteenDecimals")
        with pytest.raises(ContractRefusal) as caught:
            money.create("Vault", address_of("deployer"), token, money.accounts)
        assert caught.value.error_name == "TokenDecimals" and caught.value.arguments == {"decimals": 18}


def test_refusals(world: World) -> None:
    client = world.client
    anna, ben = world.member("anna"), world.member("ben")

    def refused(name: str, call: Call) -> str:
        with pytest.raises(ContractRefusal) as caught:
            client.simulate(address_of(name), call)
        return caught.value.error_name

    vault = client.deployment.contracts["Vault"]
    functions = load("Vault").functions
    assert refused("ben", client.encode_withdraw(anna, 1, address_of("ben"))) == "NotOwner"
    assert refused("anna", client.encode_withdraw(anna, 2**90, address_of("anna"))) == "NotEnoughAvailable"
    assert refused("anna", client.encode_deposit(anna, 1)) == "ERC20InsufficientAllowance"
    assert refused("anna", client.encode_deposit(99_999, 1)) == "UnknownAccount"
    assert refused("anna", Call(vault, functions["lock"].call(1, 0, [ben | 1 << 64]))) == "AccessControlUnauthorizedAccount"
    assert refused("anna", Call(vault, functions["move"].call(1, [anna | 1 << 96]))) == "AccessControlUnauthorizedAccount"
    assert refused("operator", Call(vault, functions["move"].call(1, [anna | 1 << 96]))) == "AccessControlUnauthorizedAccount"
    client.mint(key_of("anna"), address_of("anna"), 2**80)
    client.approve(key_of("anna"), 2**80)
    assert refused("anna", client.encode_deposit(anna, 0)) == "NothingReceived"
    assert refused("anna", client.encode_deposit(anna, 2**56)) == "VaultFull"
    market = client.deployment.contracts["FlexMarket"]
    rows = load("FlexMarket").functions["rowsSettled"].call(1, 1, 1)
    assert refused("operator", Call(market, rows)) == "AccessControlUnauthorizedAccount"
    promise = load("Accounts").functions["commitPromise"].call(1, anna, 1, 1, 1, True, 0, [1])
    assert refused("operator", Call(client.deployment.contracts["Accounts"], promise)) == "AccessControlUnauthorizedAccount"


def test_ratings_are_kept_beside_the_money_and_the_latest_counts_a_quarter() -> None:
    with open_chain(fast_backend(), 1_500_000_000) as chain:
        money = Money(chain)

        def rated(account: int, *ratings: int) -> int:
            money.do("Vault", money.vault, money.admin, "move", 1, [account | rating << 160 for rating in ratings])
            return int(money.ask("Vault", money.vault, "balanceOf", account)[2])

        money.deposit(2, 10**6)
        assert rated(2, 10_001) == 10_001
        assert rated(3, 1) == 1
        assert rated(2, 1) == (3 * 10_001 + 1 + 2) // 4
        assert rated(3, 10_001, 10_001) == (3 * ((3 * 1 + 10_001 + 2) // 4) + 10_001 + 2) // 4
        assert (money.balance(2), money.balance(3)) == ((10**6, 0), (0, 0))
        with pytest.raises(ContractRefusal, match="1 to 10001"):
            rated(2, 10_002)
