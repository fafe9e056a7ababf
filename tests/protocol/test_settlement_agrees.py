"""Statements and rule sets computed in Python are what the deployed Settlement pays and takes.

Deliveries here are random numbers, so that their proofs are ones which the tests' fake verifier takes; everything else is the
market as it is deployed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_world import CAP, FIRST_DAY, RULES, Market, group_words, key_of, order

from contracts.calls import Call
from contracts.chain import anvil_binary
from contracts.deliveries import Entry, ProofBatch, delivery_hash, delivery_words, recorded_entries
from contracts.encoding import GROUP_ROWS, ScheduleOrder
from contracts.events import BuyersSettled, Delivered, SellersSettled, Settled
from contracts.refusals import ContractRefusal
from contracts.units import Direction, SessionState, Side
from market.clearing.uniform import Clearing
from market.session import SessionTerms
from settlement.performance import perform
from settlement.records import Record, record_of, records_of, supply
from settlement.rules import Curve, RulesError, RuleSet, from_words
from settlement.statements import SessionStatement, settle
from zk.words import compress

SELLERS, BUYERS = (1, 2, 3, 4), (4, 5, 6)
MONEY = 10**16
DAYS = count(FIRST_DAY + 20, 2)  # proofs are taken until the early hours of the day after
LARGEST = 2**32 - 1


@st.composite
def curves(draw: st.DrawFn, largest: int) -> Curve:
    """Curves whose points lie where ratios lie, and anywhere."""
    xs = draw(st.sets(st.one_of(st.integers(1, 1_500_000), st.integers(1, LARGEST)), max_size=15))
    return Curve(tuple((x, draw(st.integers(0, largest))) for x in [0, *sorted(xs)]))


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    collateral = draw(st.one_of(st.integers(0, 2_000_000), st.integers(0, LARGEST)))
    tolerance = draw(st.one_of(st.integers(0, 200_000), st.integers(0, LARGEST)))
    return RuleSet(draw(curves(1_000_000)), draw(curves(collateral)), tolerance, collateral)


# ------------------------------------------------------------------------------------------------------------ whole sessions


@dataclass(frozen=True)
class Example:
    """A session and what becomes of it. `parts` are the proofs: deviation by seller and interval, each seller's own intervals,
    `padded` to three accounts by the last one again, and all `at_once` in one call or each in its own; `chunk` is how many rows
    one call of settle takes, of one group or, with `together`, of all; `early` are sellers settled before the deadline for
    proofs."""

    mask: int
    direction: Direction
    rules: RuleSet
    entries: tuple[ScheduleOrder, ...]
    parts: tuple[Mapping[int, Mapping[int, int]], ...]
    padded: bool
    at_once: bool
    chunk: int
    together: bool
    early: bool


@st.composite
def examples(draw: st.DrawFn) -> Example:
    intervals = sorted(draw(st.sets(st.integers(0, 23), min_size=1, max_size=6)))
    rules = draw(st.one_of(st.just(RULES), rule_sets()))
    direction = draw(st.sampled_from(Direction))
    points = st.lists(
        st.tuples(st.integers(0, 3_000), st.integers(0, 1_000_000)), min_size=len(intervals), max_size=len(intervals)
    )
    entries = []
    for side, who, low, high in ((Side.OFFER, SELLERS, 0, CAP // 2), (Side.BID, BUYERS, CAP // 3, CAP)):
        for account in draw(st.lists(st.sampled_from(who), min_size=1, max_size=10)):
            curve = draw(st.lists(points, min_size=1, max_size=2))
            if any(q for step in curve for q, _ in step):
                priced = [[(q, low + part * (high - low) // 1_000_000 if q else 0) for q, part in step] for step in curve]
                entries.append(order(account, side, *priced))
    entries = draw(st.permutations(entries))
    given_ = st.one_of(st.integers(0, 3_000), st.integers(-100, 9_000), st.integers(-(2**25), 2**25 - 1))
    # for each seller and interval the proof that tells of it, 0 is none
    owner = {a: {t: draw(st.integers(0, 3)) for t in intervals} for a in SELLERS if draw(st.booleans())}
    parts: list[dict[int, dict[int, int]]] = []
    for number in (1, 2, 3):
        part = {a: {t: draw(given_) for t in intervals if places[t] == number} for a, places in owner.items()}
        told = [(a, values) for a, values in part.items() if values]
        parts += [dict(chosen) for chosen in (told[:3], told[3:]) if chosen]
    mask = sum(1 << t for t in intervals)
    padded, at_once, together, early = (draw(st.booleans()) for _ in range(4))
    chunk = draw(st.integers(1, 4))
    return Example(mask, direction, rules, tuple(entries), tuple(parts), padded, at_once, chunk, together, early)


@dataclass
class Bank:
    """The money of a market, counted account by account and session by session against the vault's tokens."""

    market: Market
    closed: int = 0
    """Micro-euro that sessions before this one keep."""

    def check(self, session: int) -> None:
        client = self.market.client
        balances = [client.balance(account) for account in range(1, len(self.market.accounts) + 1)]
        held = sum(balance.available + balance.locked for balance in balances) + client.escrow(session) + self.closed
        assert held == client.token_balance(client.deployment.contracts["Vault"])


@pytest.fixture(scope="module")
def bank(market: Market) -> Bank:
    """The market with six accounts of one owner: four sellers, who have a meter from its first day on, and two buyers."""
    for account in sorted({*SELLERS, *BUYERS}):
        meter = account if account in SELLERS else None
        assert market.member(f"account {account}", meter, owner="owner", money=MONEY) == account
    return Bank(market)


def trade(bank: Bank, example: Example) -> tuple[int, Clearing]:
    """The session from its opening to its last committed group."""
    market = bank.market
    day = next(DAYS)
    market.chain.advance_to(market.zone.interval_start(day, 0) - 6 * 3600)
    session = market.open(day, example.mask, example.rules, direction=example.direction)
    bank.closed = sum(market.client.escrow(earlier) for earlier in range(1, session))
    for at in range(0, len(example.entries), 5):
        market.place("owner", session, *example.entries[at : at + 5])
        bank.check(session)
    market.close_gate(session)
    clearing = market.engine(session)
    market.client.send(key_of("anyone"), market.encode_clear(session, clearing.certificate_words))
    for group, rows in enumerate(group_words(clearing)):
        market.client.commit(key_of("anyone"), session, group, rows)
        bank.check(session)
    return session, clearing


def deliver(bank: Bank, session: int, example: Example) -> list[tuple[Entry, ...]]:
    """Proves the parts, each seller its own intervals of the part; returns the recorded entries of each proof, as the chain's
    events tell them."""
    market, client = bank.market, bank.market.client
    terms = market.terms(session)
    proofs: list[ProofBatch] = []
    expected: dict[int, list[Record]] = defaultdict(list)
    for deviations in example.parts:
        entries = []
        for account, values in deviations.items():
            record = record_of(values, 24)
            days = client.admissible(1, account, terms.day).bit_count()
            entries.append(Entry(account, days, record.mask, record.words))
            expected[account].append(record)
        if example.padded:
            entries += entries[-1:] * (3 - len(deviations))
        words = delivery_words(entries)
        # the fake verifier takes exactly (C, y, gamma): a wrong compression of the contract would be refused here
        c, gamma, y = compress(client.statement_words(session, words), 24)
        proofs.append(ProofBatch(c, tuple(words), (c, y, gamma, 0, 0, 0, 0, 0)))
    calls = [proofs] if example.at_once else [[proof] for proof in proofs]
    found: list[tuple[Entry, ...]] = []
    for call in calls:
        receipt = client.prove(key_of("anyone"), session, call)
        bank.check(session)
        for event in client.receipt_events(receipt):
            assert isinstance(event, Delivered)
            found.append(recorded_entries(event.entries, event.recorded, 24))
    assert records_of(found) == expected
    assert all(client.proven(session, delivery_hash(batch)) for batch in found)
    for account in SELLERS:
        assert client.recorded(session, account) == sum(record.mask for record in expected[account])
    return found


@dataclass(frozen=True)
class Cashier:
    """Settles rows of a cleared session, with what the chain wants to see again."""

    bank: Bank
    session: int
    example: Example
    clearing: Clearing
    batches: Sequence[Sequence[Entry]]

    def call(self, positions: Sequence[int]) -> Call:
        """The settlement of rows from the first one's group on, as far as the last one's, or of one group."""
        first, last = positions[0] // GROUP_ROWS, positions[-1] // GROUP_ROWS
        which = sum(1 << position - first * GROUP_ROWS for position in positions)
        rows = [word for group in group_words(self.clearing)[first : last + 1] for word in group]
        makers = [self.clearing.rows[position] for position in positions]
        supplied = supply(self.batches, [row.account for row in makers if row.side is Side.OFFER])
        certificate, rules = self.clearing.certificate_words, self.example.rules.words()
        return self.bank.market.client.encode_settle(self.session, first, which, rows, certificate, rules, *supplied)

    def refused(self, position: int) -> str:
        return self.bank.market.refuses(self.call([position])).error_name

    def pay(self, positions: Iterable[int]) -> None:
        """Settles the rows at `positions`, a few a call."""
        ordered, chunk = sorted(positions), self.example.chunk
        groups = len(self.clearing.groups)
        batches = [ordered] if self.example.together else [[p for p in ordered if p // GROUP_ROWS == g] for g in range(groups)]
        for batch in batches:
            for at in range(0, len(batch), chunk):
                self.bank.market.client.send(key_of("anyone"), self.call(batch[at : at + chunk]))
                self.bank.check(self.session)


def hold(bank: Bank, example: Example) -> SessionStatement | None:
    """Holds a session to its last micro-euro, on chain and by its statement; None where nothing was traded for money."""
    market, client = bank.market, bank.market.client
    first = market.chain.block().number + 1
    before = {account: client.balance(account) for account in market.accounts.values()}
    session, clearing = trade(bank, example)
    terms: SessionTerms = market.terms(session)
    market.chain.advance_to(terms.delivery_end)
    if client.state(session) is SessionState.SETTLED:  # nothing was traded for money
        assert client.escrow(session) == 0
        return None
    batches = deliver(bank, session, example)
    statement: SessionStatement = settle(terms, clearing.certificates, clearing.rows, records_of(batches), example.rules)
    sellers, buyers = {s.position: s for s in statement.sellers}, {b.position for b in statement.buyers}
    final = {position for position, seller in sellers.items() if seller.final}
    waiting = sellers.keys() - final
    cashier = Cashier(bank, session, example, clearing, batches)
    if waiting:
        assert cashier.refused(min(waiting)) == "SellerNotFinal"
    if buyers and sellers:
        assert cashier.refused(min(buyers)) == "SellersFirst"
    if example.early:
        cashier.pay(final)
    if waiting:
        market.chain.advance_to(terms.proof_deadline + 1)
    cashier.pay(waiting if example.early else sellers)
    assert [client.refunds(session, j) for j in range(len(terms.intervals))] == list(statement.refunds)
    cashier.pay(buyers)

    events = [event for _, event in client.events(first, None, SellersSettled, BuyersSettled, Settled)]
    said = [p for event in events if isinstance(event, SellersSettled) for p in event.payments]
    assert len(said) == len(statement.sellers)
    assert {(p.account, p.payer, p.earned, p.unpaid, p.penalty) for p in said} == {
        (s.account, s.account, s.earned, s.unpaid, s.penalty) for s in statement.sellers
    }
    paid = [p for event in events if isinstance(event, BuyersSettled) for p in event.payments]
    assert len(paid) == len(statement.buyers)
    assert {(p.account, p.payer, p.cost, p.refund) for p in paid} == {
        (b.account, b.account, b.cost, b.refund) for b in statement.buyers
    }
    assert events[-1] == Settled(session, statement.rounding)
    assert client.escrow(session) == statement.rounding
    assert client.state(session) is SessionState.SETTLED
    changes = {account: 0 for account in before}
    for seller in statement.sellers:
        changes[seller.account] += seller.change
    for buyer in statement.buyers:
        changes[buyer.account] += buyer.change
    for account, balance in before.items():
        now = client.balance(account)
        assert (now.available, now.locked) == (balance.available + changes[account], balance.locked)
    return statement


@pytest.mark.slow
@settings(max_examples=40 if anvil_binary() else 20, deadline=None)
@given(examples())
def test_every_row_is_paid_what_its_statement_says(bank: Bank, example: Example) -> None:
    hold(bank, example)


@pytest.mark.parametrize("direction", Direction)
def test_a_lock_that_the_rounded_penalties_exceed(bank: Bank, direction: Direction) -> None:
    """At the cap a watt-hour's penalty is 166.67 micro-euro, which makes 167 an hour; the lock of six hours is 1000."""
    rules = RuleSet(Curve(((0, 0), (1_000_000, 1_000_000))), Curve(((0, 333_333),)), 0, 333_333)
    offer, bid = order(1, Side.OFFER, [(1, CAP)] * 6), order(5, Side.BID, [(1, CAP)] * 6)
    proven = {1: {10: direction.sign}, 2: {10: 5}}
    statement = hold(bank, Example(0b111111 << 10, direction, rules, (offer, bid), (proven,), False, True, 4, True, True))
    assert statement is not None
    (seller,) = statement.sellers
    assert [line.penalty for line in seller.lines] == [167, 167, 167, 167, 167, 165]
    assert (seller.earned, seller.unpaid, seller.penalty) == (500, 2_500, seller.lock) == (500, 2_500, 1_000)


# ----------------------------------------------------------------------------------------------------------------- rule sets

RATIOS = st.one_of(st.integers(0, 3_000), st.integers(0, 2**26))


@settings(max_examples=150, deadline=None)
@given(rule_sets(), st.lists(st.tuples(st.integers(1, 2**26), st.integers(0, LARGEST), RATIOS), min_size=1, max_size=20))
def test_curves_and_roundings(library: Callable[..., Any], rules: RuleSet, cases: list[tuple[int, int, int]]) -> None:
    assert library("validateRules", rules.words()) == rules.collateral_ppm
    # beside the drawn deliveries, ones at and around every point of the curves
    edges = {x + d for x, _ in (*rules.pay.points, *rules.penalty.points) for d in (-1, 0, 1)}
    cases = [*cases, *((1_000_000, 123_457, x) for x in sorted(edges) if x >= 0)]
    results = library("intervals", rules.words(), *([case[i] for case in cases] for i in range(3)))
    expected = [perform(rules, fill, fill * price, delivered) for fill, price, delivered in cases]
    assert results == [value for p in expected for value in (p.earned, p.unpaid, p.penalty)]


@settings(max_examples=200, deadline=None)
@given(rule_sets(), st.data())
def test_words_that_are_no_rule_set_are_none_for_either(
    library: Callable[..., Any], rules: RuleSet, data: st.DataObject
) -> None:
    words = rules.words()
    at = data.draw(st.integers(0, len(words) - 1))
    change = data.draw(st.sampled_from(["bit", "drop", "repeat", "swap"]))
    if change == "bit":
        words[at] ^= 1 << data.draw(st.integers(0, 100))
    elif change == "drop":
        del words[at]
    elif change == "repeat":
        words.insert(at, words[at])
    else:
        words[at], words[-1] = words[-1], words[at]
    try:
        read = from_words(words)
    except RulesError:
        with pytest.raises(ContractRefusal) as caught:
            library("validateRules", words)
        assert caught.value.error_name.startswith("Rules")
    else:
        assert library("validateRules", words) == read.collateral_ppm
