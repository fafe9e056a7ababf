"""BlockClearing on the in-process chain against the checker: the solver's proposals and changes of them, in calls of all sizes.

The contracts around it are those of forge's tests (contracts/test/BlockFakes.sol), compiled here.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import solcx
from eth_abi import decode, encode
from eth_account import Account
from eth_hash.auto import keccak
from machine import ROOT, fast_backend

sys.path.insert(0, str(ROOT / "tests" / "market"))
from block_books import CAP, random_book

from contracts.block_words import BlockBook, BlockSolution, Choice, PassState, proposal
from contracts.chain import Chain, ChainError, open_chain
from contracts.compile import COMPILER, SETTINGS
from contracts.encoding import encode_entry, groups_of, hash_words
from contracts.orderlog import OrderLog
from contracts.refusals import ContractRefusal
from contracts.units import PPM
from market.clearing.blocks import search
from market.clearing.blocks_check import check_blocks

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]

SOURCES = (
    "src/BlockClearing.sol",
    "src/BlockCheck.sol",
    "src/OrderLanes.sol",
    "src/OrderWords.sol",
    "src/Protocol.sol",
    "src/Results.sol",
)
FAKES = "test/BlockFakes.sol"
FINDER = 77
DEPLOYER = bytes(keccak(b"key of deployer"))
CLOSED = 2
TERMS = (
    "(uint16,uint8,uint8,uint8,uint8,uint8,uint32,uint96,uint32,uint24,uint40,uint40,uint40,uint40,uint40,uint40,"
    "address,uint32,uint40,uint24,uint32,uint32,bytes32)"
)
SOLUTION = "(uint256,uint256[],uint256[],bytes32[])"
CHUNK = "(uint256[],uint256[],uint256[],uint256[])"


@dataclass
class Bench:
    """BlockClearing among fakes."""

    chain: Chain
    market: str
    accounts: str
    vault: str
    clearing: str
    session: int = 0

    def send(self, to: str, signature: str, *values: Any) -> Any:
        return self.chain.transact(to, calldata(signature, values), DEPLOYER)

    def view(self, returns: str, signature: str, *values: Any) -> Any:
        """The first word of what a view of BlockClearing says."""
        return decode([returns], self.chain.call(self.clearing, calldata(signature, values)))[0]

    def agree(self, book: BlockBook, log: OrderLog, challenge_end: int) -> None:
        mask = sum(1 << t for t in book.intervals)
        terms = (
            1,
            0,
            0,
            2,
            len(book.intervals),
            96,
            100,
            mask,
            book.price_cap,
            1,
            *[0] * 6,
            "0x" + "00" * 20,
            0,
            challenge_end,
        )
        self.send(self.market, f"set({TERMS},bytes32)", (*terms, 0, 0, 0, bytes(32)), log.hash())

    def open(self, book: BlockBook, log: OrderLog) -> None:
        self.session += 1
        self.agree(book, log, 2**39)
        self.send(self.market, "setState(uint256,uint8)", self.session, CLOSED)
        for account in range(1, 6):
            self.send(self.accounts, "setSold(uint256,uint256)", account, book.sold.get(account, 0))

    def propose(self, book: BlockBook, solution: BlockSolution, log: OrderLog, most_words: int) -> list[list[int]]:
        """The whole pass; the states on the way."""
        made = proposal(book, solution, log, FINDER, most_words)
        states: list[list[int]] = [[]]
        for call in made.calls:
            words = (made.account, made.certificate, made.table, made.logs), (states[-1], call.sizes, call.words, call.hints)
            sent = self.send(self.clearing, f"propose(uint256,{SOLUTION},{CHUNK})", self.session, *words)
            for log_ in sent.logs:
                if log_.topics[0] == keccak(b"ProposalContinued(uint256,bytes32,uint256[])"):
                    states.append(list(decode(["uint256[]"], log_.data)[0]))
        assert self.view("bytes32", "best(uint256)", self.session) == made.key()
        return states[1:]


def calldata(signature: str, values: tuple[Any, ...]) -> bytes:
    kinds = signature[signature.index("(") + 1 : -1]
    return bytes(keccak(signature.encode())[:4]) + encode(split(kinds), values)


def split(kinds: str) -> list[str]:
    """Top-level types of a parameter list."""
    found, depth = [""], 0
    for char in kinds:
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and not depth:
            found.append("")
        else:
            found[-1] += char
    return [kind for kind in found if kind]


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    contracts = ROOT / "contracts"
    sources = {name: {"content": (contracts / name).read_text()} for name in (*SOURCES, FAKES)}
    request = {"language": "Solidity", "sources": sources, "settings": SETTINGS}
    output = solcx.compile_standard(json.loads(json.dumps(request)), solc_binary=COMPILER)
    chain = open_chain(fast_backend(), 1_500_000_000)
    owner = Account.from_key(DEPLOYER).address
    chain.fund(owner)

    def deploy(source: str, name: str, kinds: list[str], *values: Any) -> str:
        code = bytes.fromhex(output["contracts"][source][name]["evm"]["bytecode"]["object"])
        created = chain.transact(None, code + encode(kinds, values), DEPLOYER).contract
        assert created
        return created

    market, accounts, vault, guard = (
        deploy(FAKES, name, []) for name in ("FakeMarket", "FakeAccounts", "FakeVault", "FakeGuard")
    )
    kinds = ["address"] * 4 + ["uint256", "uint64"]
    clearing = deploy(SOURCES[0], "BlockClearing", kinds, market, accounts, vault, guard, 10_000, 1000)
    made = Bench(chain, market, accounts, vault, clearing)
    made.send(accounts, "setOwner(uint256,address)", FINDER, owner)
    made.send(vault, "fund(uint256,uint256)", FINDER, 10**9)
    yield made
    chain.close()


def log_of(book: BlockBook, dice: random.Random) -> OrderLog:
    """The book's entries in batches of one to three."""
    intervals = len(book.intervals)
    words = [encode_entry(entry.order, intervals, entry.lock) for entry in book.entries]
    batches = []
    while words:
        size = dice.randint(1, 3)
        batches.append([word for entry in words[:size] for word in entry])
        words = words[size:]
    return OrderLog.of(batches, intervals)


def changed(dice: random.Random, book: BlockBook, solution: BlockSolution) -> BlockSolution:
    """One price, ratio, rounding or volume is another."""
    kind = dice.randint(0, 3)
    position = dice.choice(sorted(book.live.values()))
    choice = solution.choices.get(position, Choice(0))
    j = dice.randrange(len(book.intervals))
    if kind == 0 and solution.volumes[j]:
        prices = list(solution.prices)
        prices[j] = dice.randint(0, CAP + 1)
        return replace(solution, prices=tuple(prices))
    if kind == 1:
        volumes = tuple(v + 1 if i == j else v for i, v in enumerate(solution.volumes))
        return replace(solution, volumes=volumes)
    if kind == 2:
        choice = replace(choice, up=choice.up ^ 1 << j)
    else:
        choice = replace(choice, ratio=dice.choice([0, 1, 333_333, 500_000, PPM - 1, PPM, PPM + 1]))
    return replace(solution, choices={**solution.choices, position: choice})


@pytest.mark.parametrize("seed", range(24))
def test_contract_and_checker_agree(bench: Bench, seed: int) -> None:
    dice = random.Random(seed)
    largest = 3 if seed % 2 else 3000
    book = random_book(dice, whole=bool(seed % 3 == 0), most=20 if seed % 4 == 0 else 7, largest=largest, most_intervals=9)
    solution = search(book, 10.0).solution
    log = log_of(book, dice)
    verdict = check_blocks(book, solution)
    assert verdict.accepted
    bench.open(book, log)
    states = bench.propose(book, solution, log, dice.choice([1, 12, 10_000]))
    for state in states:
        reached = PassState.from_words(state, len(book.intervals))
        assert reached.words() == state
        assert reached.rows == verdict.rows[reached.entries // 16 * 16 : reached.entries]
    bench.agree(book, log, 1)
    bench.send(bench.clearing, "accept(uint256,uint256[])", bench.session, solution.certificate())
    for number, words in enumerate(groups_of(verdict.rows)):
        assert bench.view("bytes32", "groupHash(uint256,uint256)", bench.session, number) == hash_words(words)
    for _ in range(4):
        other = changed(dice, book, solution)
        bench.open(book, log)
        try:
            bench.propose(book, other, log, 10_000)
            taken = True
        except (ContractRefusal, ChainError):
            taken = False
        assert taken == check_blocks(book, other).accepted, other
