"""A meter key that signed two histories of a day, reported with a real proof, and what that ends and leaves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from protocol_scene import DAY, MASK, Claim, Scene, claim, make_scenes, readings_of, secret_of
from protocol_world import T, address_of, fast_chain, key_of, order

from contracts.calls import Call
from contracts.deploy import VerifyingKey
from contracts.encoding import batch_words
from contracts.events import ForkReported, KeySuspended
from contracts.units import Side
from oracle.meter import Meter
from zk.compile import FORK
from zk.forks import ForkError, make_fork
from zk.keys import KeyPaths, ensure_development_key, read_info
from zk.prover import SnarkjsProver
from zk.windows import close_window

pytestmark = [pytest.mark.needs("key", "node"), pytest.mark.slow]

REPORTED = DAY - 2


@dataclass(frozen=True)
class Report:
    """A proven fork of Alice's key, before it is reported."""

    key: int
    interval: int
    proof: tuple[int, ...]

    def call(self, scene: Scene, *, key: int | None = None, day: int = REPORTED, interval: int | None = None) -> Call:
        return scene.market.client.encode_report_fork(
            self.key if key is None else key, day, self.interval if interval is None else interval, self.proof
        )


@pytest.fixture(scope="module")
def fork_key() -> KeyPaths:
    return ensure_development_key(T, 1, kind=FORK)


@pytest.fixture(scope="module")
def village(circuit: VerifyingKey, fork_key: KeyPaths, meters: dict[str, Meter]) -> Iterator[Scene]:
    forks = [VerifyingKey(T, fork_key.verifying_key().words(), read_info(fork_key.info).development)]
    with fast_chain() as chain:
        (scene,) = make_scenes(chain, circuit, meters, forks=forks)
        yield scene


@pytest.fixture(scope="module")
def honest(village: Scene, meters: dict[str, Meter], prover: SnarkjsProver) -> Claim:
    return claim(prover, village.statement("alice", meters["alice"]))


@pytest.fixture(scope="module")
def report(meters: dict[str, Meter], fork_key: KeyPaths) -> Report:
    """Alice's meter signed the day before yesterday once more, with 300 Wh less in hour 7."""
    signed = next(window for window in meters["alice"].windows_for(DAY) if window.day == REPORTED)
    readings = list(readings_of("alice", REPORTED))
    assert readings[7] is not None
    readings[7] -= 300
    other = close_window(secret_of("alice"), REPORTED, readings, signed.previous)
    with pytest.raises(ForkError):
        make_fork(signed, signed, meters["alice"].key)
    statement = make_fork(signed, other, meters["alice"].key)
    with SnarkjsProver(fork_key, timeout=120) as prover:
        proved = prover.prove(statement)
    assert proved.public == (meters["alice"].key.word(), REPORTED, 7)
    return Report(statement.key, statement.interval, proved.proof.words())


def test_a_fork_ends_the_key_and_leaves_what_was_proven_before(
    village: Scene, meters: dict[str, Meter], honest: Claim, report: Report, prover: SnarkjsProver
) -> None:
    market, client = village.market, village.market.client
    alice, bob = market.accounts["alice"], market.accounts["bob"]
    part = claim(prover, village.statement("alice", meters["alice"], mask=MASK & -MASK))

    # the proof tells of this key, this day and this hour
    bob_key = meters["bob"].key.word()
    for attempt in (
        report.call(village, key=bob_key),
        report.call(village, day=REPORTED + 1),
        report.call(village, interval=8),
        report.call(village, interval=T),
    ):
        assert market.refuses(attempt).error_name == "ForkProofRefused"
    statement_proof = client.encode_report_fork(report.key, REPORTED, 7, honest.proof.words())
    assert market.refuses(statement_proof).error_name == "ForkProofRefused", "a proof of another circuit"
    assert client.key_at(bob, DAY) is not None and client.key_at(alice, DAY) is not None

    client.send(key_of("anyone"), part.call(village))
    session = market.open(market.today + 20, 1)
    offer = client.encode_place(session, batch_words([order(alice, Side.OFFER, [(500, 100_000)])], client.terms(session)))
    client.simulate(address_of("alice"), offer)
    receipt = client.report_fork(key_of("anyone"), report.key, REPORTED, 7, report.proof)
    assert client.receipt_events(receipt) == [
        KeySuspended(alice, report.key), ForkReported(report.key, REPORTED, 7, address_of("anyone"))
    ]  # fmt: skip

    assert client.key_at(alice, DAY) is None and client.key_at(bob, DAY) is not None
    assert client.recorded(village.first, alice) == MASK & -MASK, "what was taken stays"
    rest = claim(
        prover,
        village.statement("alice", meters["alice"], mask=MASK & MASK - 1, admissible=honest.statement.accounts[0].words[2]),
    )
    assert market.refuses(rest.call(village)).error_name == "NoMeterKey"
    assert market.refuses(offer, "alice").error_name == "NoMeterKey"
    assert market.refuses(report.call(village)).error_name == "KeyAlreadySuspended"
