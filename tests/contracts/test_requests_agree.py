"""Requests in Python against the contract: the same digests, and of any list the same locks, rows and certificate, or none."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts_world import key_of
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine import fast_backend

from contracts.artifacts import load
from contracts.chain import Chain, open_chain
from contracts.encoding import EncodingError, hash_words
from contracts.refusals import ContractRefusal
from contracts.requests import (
    AwardOrder,
    Coalition,
    Consent,
    Member,
    RequestTerms,
    check_list,
    decode_list,
    list_words,
    profile_words,
)
from contracts.typed_data import Domain, recover
from contracts.units import MAX_QUANTITY, ceil_div

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parent.parent / "cases" / "encoding" / "requests.json"
NOBODY = "0x" + "00" * 19 + "01"


class Lists:
    """FlexRequests, for its digests, and RequestListBench on one chain."""

    def __init__(self) -> None:
        self.chain: Chain = open_chain(fast_backend(), 1_500_000_000)
        self.chain.fund(Account.from_key(key_of("deployer")).address)
        self.requests = self._create("FlexRequests", NOBODY, NOBODY, NOBODY)
        self.bench = self._create("test/RequestListBench")
        self.domain = Domain(self.chain.chain_id, self.requests)

    def _create(self, name: str, *values: Any) -> str:
        made = self.chain.transact(None, load(name).creation(*values), key_of("deployer")).contract
        assert made
        return made

    def view(self, name: str, *values: Any) -> Any:
        function = load("FlexRequests").functions[name]
        return function.result(self.chain.call(self.requests, function.call(*values)))

    def check(self, terms: RequestTerms, target: Sequence[int], words: Sequence[int]) -> tuple[Any, ...] | str:
        """What the contract makes of a list, or its error's name."""
        function = load("test/RequestListBench").functions["check"]
        try:
            data = self.chain.call(self.bench, function.call(terms.values(), profile_words(target), words))
        except ContractRefusal as refused:
            return refused.error_name
        entries, groups, certificate = function.result(data)
        return tuple(entries), tuple(tuple(g) for g in groups), tuple(certificate)


@pytest.fixture(scope="module")
def lists() -> Iterator[Lists]:
    made = Lists()
    yield made
    made.chain.close()


def _members(intervals: int, near: bool = True) -> st.SearchStrategy[Member]:
    """Members of a list; `near` the limits of what is allowed, some beyond."""

    def make(account: int, cells: list[tuple[int, int]], agent: int, pays: bool, nonce: int, deadline: int) -> Member:
        promises, prices = tuple(q for q, _ in cells), tuple(p if q else 0 for q, p in cells)
        return Member(account, promises, prices, deadline, nonce, agent, pays and agent > 0)

    promise = st.one_of(st.just(0), st.integers(10, 3000))
    price = st.integers(0, 500_000)
    if near:
        promise = st.one_of(promise, st.sampled_from([9, MAX_QUANTITY, MAX_QUANTITY + 1]))
        price = st.one_of(price, st.sampled_from([500_001, 2**32 - 1]))
    cell = st.tuples(promise, price)
    return st.builds(
        make,
        st.integers(1, 2**32 - 1),
        st.lists(cell, min_size=intervals, max_size=intervals),
        st.one_of(st.just(0), st.integers(1, 2**32 - 1)),
        st.booleans(),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**40 - 1),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(1, 12).flatmap(_members), st.integers(1, 2**64), st.integers(0, 2**256 - 1))
def test_digests_are_eth_accounts_and_the_contracts(lists: Lists, member: Member, session: int, nonce: int) -> None:
    consent = member.consent(session)
    order = AwardOrder(session, tuple(member.words()), nonce, member.deadline)
    for signed in (consent, order):
        digest = signed.digest(lists.domain)
        key = key_of("member")
        wallets = Account.sign_message(encode_typed_data(full_message=signed.typed_data(lists.domain)), key)
        assert bytes(wallets.signature) == signed.sign(lists.domain, key)
        assert recover(digest, bytes(wallets.signature)) == Account.from_key(key).address
    assert lists.view("consentDigest", session, member.words()) == consent.digest(lists.domain)
    assert lists.view("awardDigest", session, order.words, nonce, order.deadline) == order.digest(lists.domain)


def test_a_digest_names_its_chain_contract_and_every_field() -> None:
    member = Member(7, (500, 0), (120_000, 0), 1_800_000_000)
    domain = Domain(31337, NOBODY)
    variants = [Consent(1, member), Consent(2, member)]
    for change in (
        {"account": 8},
        {"agent": 3},
        {"promises": (501, 0)},
        {"prices": (120_001, 0)},
        {"nonce": 1},
        {"deadline": 1},
    ):
        variants.append(Consent(1, replace(member, **change)))  # type: ignore[arg-type]
    variants.append(Consent(1, replace(member, agent=3, agent_pays=True)))
    digests = [one.digest(domain) for one in variants]
    digests += [variants[0].digest(Domain(31338, NOBODY)), variants[0].digest(Domain(31337, "0x" + "00" * 19 + "02"))]
    assert len(set(digests)) == len(digests)


@st.composite
def books(draw: st.DrawFn) -> tuple[RequestTerms, list[int], list[int]]:
    """Terms, a target and a list near what is allowed; perhaps a bit turned, a word dropped, or members out of order."""
    intervals = draw(st.integers(1, 10))
    collateral = draw(st.sampled_from([0, 600_000, 2**32 - 1]))
    terms = RequestTerms(draw(st.integers(1, 2**32 - 1)), draw(st.integers(1000, 10**6)), intervals, 10, 500_000, collateral)
    number = draw(st.sampled_from([1, 2, 3, 15, 16, 17]))
    some = draw(st.lists(_members(intervals, draw(st.integers(0, 4)) == 0), min_size=1, max_size=3))
    start = draw(st.integers(1, 2**32 - 100))
    members = [replace(some[i % len(some)], account=start + 2 * i) for i in range(number)]
    if draw(st.integers(0, 4)):  # mostly nobody promises nothing at all
        members = [replace(m, promises=(max(m.promises[0], 10), *m.promises[1:])) for m in members]
    words = list_words(members)
    target = [sum(m.promises[j] for m in members) for j in range(intervals)]
    change = draw(st.sampled_from(["none", "none", "none", "none", "bit", "drop", "target", "swap", "edge", "edge"]))
    at = draw(st.integers(0, len(words) - 1))
    if change == "bit":
        words[at] ^= 1 << draw(st.integers(0, 255))
    elif change == "drop":
        del words[at]
    elif change == "target":
        target[0] += draw(st.integers(-5, 5))
    elif change == "swap":
        size = len(members[0].words())
        words = [*words[-size:], *words[:-size]]
    elif change == "edge":
        target = [t + draw(st.integers(-1, 1)) * (t * terms.tolerance_ppm // 10**6 + draw(st.integers(0, 1))) for t in target]
    return terms, [min(max(t, 0), 2**32 - 1) for t in target], words


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(books())
def test_a_list_comes_to_the_same(lists: Lists, book: tuple[RequestTerms, list[int], list[int]]) -> None:
    terms, target, words = book
    found = lists.check(terms, target, words)
    wanted = _checked(terms, target, words)
    if wanted is None:
        assert isinstance(found, str)
    else:
        assert found == (wanted.entries, wanted.groups, wanted.certificate)


def _checked(terms: RequestTerms, target: Sequence[int], words: Sequence[int]) -> Coalition | None:
    try:
        return check_list(terms, target, words)
    except EncodingError:
        return None


def test_a_worked_list(lists: Lists) -> None:
    terms = RequestTerms(buyer=1, tolerance_ppm=0, intervals=2, min_quantity=10, price_cap=500_000, collateral_ppm=600_000)
    anna = Member(7, (500, 100), (120_000, 120_001), 1_800_000_000)
    ben = Member(9, (0, 50), (0, 80_000), 1_800_000_000, nonce=3, agent=4, agent_pays=True)
    found = check_list(terms, [500, 150], list_words([ben, anna]))
    seller, cost = 7 << 192, 60_000 + ceil_div(16_000_100, 1000)
    assert found == Coalition(
        entries=(7 | 180_000 << 64 | 1 << 128, 9 | 4 << 32 | 15_000 << 64 | 5 << 128, 1 | cost << 64),
        groups=(
            (
                *(7 | 7 << 32 | 180_000 << 64 | seller, 500 | 100 << 32, 60_000_000 | 12_000_100 << 64),
                *(9 | 4 << 32 | 15_000 << 64 | seller, 50 << 32, 4_000_000 << 64),
                *(1 | 1 << 32 | cost << 64 | cost << 128 | 6 << 192, 500 | 150 << 32, 60_000_000 | 16_000_100 << 64),
            ),
        ),
        certificate=(500 << 64, 60_000_000 | 60_000_000 << 80, 150 << 64, 16_000_100 | 16_000_100 << 80),
        cost=cost,
    )
    assert lists.check(terms, [500, 150], list_words([anna, ben])) == (found.entries, found.groups, found.certificate)
    assert found.group_hashes == (hash_words(found.groups[0]),)


def test_a_list_reads_back() -> None:
    members = (Member(7, (500,) * 9, (1,) * 9, 5), Member(8, (1,) * 9, (0,) * 9, 6, 2**64 - 1, 3, True))
    assert decode_list(list_words(members), 9) == members
    with pytest.raises(EncodingError, match="list: expected 5 words a member, got 9 words"):
        decode_list(list_words(members)[:-1], 9)
    with pytest.raises(EncodingError, match="agent_pays: expected an agent that pays, got none"):
        Member(7, (1,), (1,), 5, agent_pays=True).words()


def test_golden_digests() -> None:
    case = json.loads(GOLDEN.read_text())
    domain = Domain(case["domain"]["chain_id"], case["domain"]["requests"])
    members = []
    for one in case["members"]:
        words, digest = [int(w, 16) for w in one.pop("words")], one.pop("consent")
        promises, prices, nonce = tuple(one.pop("promises")), tuple(one.pop("prices")), int(one.pop("nonce"))
        member = Member(promises=promises, prices=prices, nonce=nonce, **one)
        assert member.words() == words
        assert member.consent(case["session"]).digest(domain).hex() == digest
        members.append(member)
    order = AwardOrder(case["session"], tuple(list_words(members)), int(case["award"]["nonce"]), case["award"]["deadline"])
    assert order.digest(domain).hex() == case["award"]["digest"]
