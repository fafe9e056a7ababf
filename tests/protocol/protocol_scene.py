"""A day with real meters, and what can be claimed about it: the stage for tests with real proofs.

Alice, Bob and Carol sell 600 Wh in each of three hours of one Friday; Alice sold something on the Friday before as well, so
that this is an event day of hers. Bob's meter has a gap in the middle hour, and lost an hour of an earlier day. When all is
over, two sessions wait for proofs: the first, in which Alice and Bob sell, and one over the same hours after it, in which Carol
sells.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol_world import FIRST_DAY, Market, T, bits, key_of, make_market, order

from contracts.calls import Call
from contracts.chain import Chain
from contracts.deliveries import Entry, ProofBatch
from contracts.deploy import VerifyingKey
from contracts.encoding import row_words
from contracts.units import Side
from market.clearing.uniform import Clearing
from oracle.meter import Meter
from zk.eddsa import PrivateKey
from zk.groth16 import Proof
from zk.prover import Prover
from zk.statement import AccountInput, Shared, Statement, make_statement

DAY = FIRST_DAY + 16
"""The Friday of the deliveries."""

EVENT_DAY = DAY - 7
MASK = bits(17, 18, 19)
GAP = bits(18)
PROMISE = 600
ELAPSED = 20
"""Hours of the day that are over when the last of the mask ends."""

SESSION_WORD, DAY_WORD = 2, 3
ACCOUNT_WORD, KEY_WORD, ADMISSIBLE_WORD, MASK_WORD, COUNT_WORD, DEVIATION_WORD = 5, 6, 7, 8, 9, 11
"""Places in the public words of a statement about one account."""


def secret_of(name: str) -> PrivateKey:
    return PrivateKey(f"meter of {name}".encode().ljust(32, b"-"))


def readings_of(name: str, day: int) -> list[int | None]:
    """What the meter of `name` measured on `day`, Wh; on the day itself as far as it has come."""
    draw = random.Random(f"{name} {day}")
    values: list[int | None] = [draw.randrange(-900, 2500) for _ in range(T)]
    if name == "bob" and day == DAY - 3:
        values[5] = None
    if day == DAY:
        values[ELAPSED:] = [None] * (T - ELAPSED)
        if name == "bob":
            values[18] = None
    return values


def make_meter(
    directory: Path, name: str, secret: PrivateKey | None = None, *, today: Sequence[int | None] | None = None
) -> Meter:
    """A meter with its log up to the hour at which the deliveries end. `today` replaces what it measured on the day."""
    meter = Meter.create(directory / f"{name}.json", secret or secret_of(name), FIRST_DAY, T)
    meter.close_days([(day, readings_of(name, day)) for day in range(FIRST_DAY, DAY)])
    meter.provisional(DAY, readings_of(name, DAY) if today is None else today, ELAPSED)
    return meter


@dataclass(frozen=True)
class Scene:
    """One market on that day. `first` and `second` are its sessions, `clearing` is that of the first."""

    market: Market
    first: int
    second: int
    clearing: Clearing

    def shared(self, session: int, day: int = DAY) -> Shared:
        deployment = self.market.client.deployment
        return Shared(deployment.chain_id, int(deployment.contracts["Deliveries"], 16), session, day, MASK)

    def statement(
        self,
        name: str,
        meter: Meter,
        *,
        session: int | None = None,
        mask: int = MASK,
        day: int = DAY,
        admissible: int | None = None,
    ) -> Statement:
        """What `meter` lets the account `name` state; about the first session, with the admissible days of the contract."""
        account = self.market.accounts[name]
        days = self.market.client.admissible(1, account, DAY) if admissible is None else admissible
        item = AccountInput(account, meter.key, meter.windows_for(day), days, mask)
        return make_statement(self.shared(session or self.first, day), [item])


@dataclass(frozen=True)
class Claim:
    """A statement with its proof, and how it is put to a contract."""

    statement: Statement
    proof: Proof

    @property
    def entry(self) -> Entry:
        (one,) = self.statement.accounts
        account, _, _, mask, count, _, *deviations = one.words
        return Entry(account, count, mask, tuple(deviations))

    @property
    def entries(self) -> list[int]:
        return self.entry.words()

    @property
    def batch(self) -> ProofBatch:
        """The claim as it is."""
        return ProofBatch(self.statement.c, tuple(self.entries), self.proof.words())

    def call(
        self,
        scene: Scene,
        *,
        session: int | None = None,
        chain: int | None = None,
        entries: Sequence[int] | None = None,
        proof: Sequence[int] | None = None,
    ) -> Call:
        """The transaction that puts the claim to the scene's contract, honestly but for what is given."""
        batch = ProofBatch(
            self.statement.c if chain is None else chain,
            tuple(self.entries if entries is None else entries),
            self.proof.words() if proof is None else tuple(proof),
        )
        return scene.market.client.encode_prove(self.statement.shared.session if session is None else session, [batch])

    def differences(self, scene: Scene, *, session: int | None = None, entries: Sequence[int] | None = None) -> list[int]:
        """Places of the public words in which the contract's statement differs from the proven one."""
        asked = scene.market.client.statement_words(
            session or self.statement.shared.session, self.entries if entries is None else entries
        )
        return [place for place, (a, b) in enumerate(zip(asked, self.statement.words, strict=True)) if a != b]


def claim(prover: Prover, statement: Statement) -> Claim:
    return Claim(statement, prover.prove(statement).proof)


def make_scenes(
    chain: Chain, key: VerifyingKey, meters: Mapping[str, Meter], number: int = 1, forks: Sequence[VerifyingKey] = ()
) -> list[Scene]:
    """`number` markets alike on one chain, at the hour at which their deliveries have ended."""
    scenes = []
    for _ in range(number):
        market = make_market(chain, [key], forks=forks)
        for name in ("alice", "bob", "carol"):
            market.member(name, meters[name].key.word() if name in meters else 7_000, from_day=FIRST_DAY)
        market.member("dso")
        trade(market, EVENT_DAY, bits(17), "alice")
        first, clearing = trade(market, DAY, MASK, "alice", "bob")
        second, _ = trade(market, DAY, MASK, "carol")
        scenes.append(Scene(market, first, second, clearing))
    chain.advance_to(scenes[-1].market.terms(scenes[-1].first).delivery_end)
    return scenes


def trade(market: Market, day: int, mask: int, *sellers: str) -> tuple[int, Clearing]:
    """A session in which everybody in `sellers` sells 600 Wh an interval at 0.10 EUR/kWh or more."""
    session, size = market.open(day, mask), mask.bit_count()
    market.place("dso", session, order(market.accounts["dso"], Side.BID, [(PROMISE * len(sellers), 120_000)] * size))
    for name in sellers:
        market.place(name, session, order(market.accounts[name], Side.OFFER, [(PROMISE, 100_000)] * size))
    clearing = market.clear(session)
    assert [row.fills for row in clearing.rows[1:]] == [(PROMISE,) * size] * len(sellers)
    return session, clearing


def record(scene: Scene, claim: Claim) -> None:
    """Has the contract take the claim, in a transaction."""
    scene.market.client.send(key_of("anyone"), claim.call(scene))


def rows_of_scene(scene: Scene) -> list[int]:
    """Words of the first session's result rows."""
    return [word for row in scene.clearing.rows for word in row_words(row)]
