"""Fork evidence: what a forked key cannot deny, and that nobody can accuse an honest meter."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from zk_cases import DAY, METER, OTHER_METER, random_days
from zk_mutants import FORK as FORK_MAIN
from zk_mutants import Change, refusing_template, run

from zk.compile import FORK
from zk.field import ORDER
from zk.forks import ForkError, ForkEvidence, make_fork
from zk.keys import KeyPaths, ensure_development_key
from zk.prover import ProverError, SnarkjsProver
from zk.verifier import verify
from zk.windows import Window, close_window

Inputs = dict[str, Any]
READINGS = [1_000 + 10 * t for t in range(24)]
OURS = ("WindowHead", "MeterKey", "SignedBits", "MeterSignature", "OneHot", "ReadingAt", "ForkEvidence")


def window(readings: list[int | None], *, final: bool = True, day: int = DAY, meter: Any = METER, previous: int = 3) -> Window:
    return close_window(meter, day, readings, previous, final=final, salt=11)


def changed(t: int, value: int | None) -> list[int | None]:
    return [value if at == t else reading for at, reading in enumerate(READINGS)]


def early(hours: int, readings: list[int | None]) -> list[int | None]:
    return [reading if t < hours else None for t, reading in enumerate(readings)]


FINAL = window([*READINGS])
FORKED = window(changed(7, 9))
CHAINED_ELSEWHERE = window([*READINGS], previous=4)
EARLY = window(early(12, [*READINGS]), final=False)
EARLY_FORKED = window(early(12, changed(7, 9)), final=False)


@pytest.mark.parametrize(
    ("one", "other", "interval"),
    [
        (FINAL, FORKED, 7),
        (FORKED, FINAL, 7),
        (EARLY, FORKED, 7),
        (EARLY, EARLY_FORKED, 7),
        (FINAL, CHAINED_ELSEWHERE, 24),
        # A reading taken back is none, but two final heads are two final heads.
        (FINAL, window(changed(7, None)), 24),
    ],
)
def test_contradictions(one: Window, other: Window, interval: int) -> None:
    assert ForkEvidence(one, other).interval() == interval
    statement = make_fork(one, other, METER.public)
    assert statement.public == (METER.public.word(), DAY, interval)
    assert (statement.kind, statement.intervals, statement.size) == ("fork", 24, 1)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (FINAL, FINAL, f"heads: expected two heads for day {DAY}, got one twice"),
        (FINAL, window([*READINGS], day=DAY + 1), f"expected two windows of one day, got days {DAY} and {DAY + 1}"),
        (EARLY, FINAL, "both give different readings, or two final windows; got none, and a provisional window"),
        (EARLY, window(early(13, [*READINGS]), final=False), "a provisional window"),
        (EARLY, window([None] * 12 + [5] * 12, final=False), "a provisional window"),
        (FINAL, window(changed(7, 9), meter=OTHER_METER), f"signature: expected the key .* over the window of day {DAY}"),
        (FINAL, replace(FORKED, readings=(*FINAL.readings[:-1], 0)), f"head: expected the hash of the window of day {DAY}"),
    ],
)
def test_what_is_no_evidence_is_named(one: Window, other: Window, message: str) -> None:
    with pytest.raises(ForkError, match=message):
        make_fork(one, other, METER.public)


def test_evidence_shows_no_reading() -> None:
    statement = make_fork(FINAL, FORKED, METER.public)
    assert "1070" not in repr(statement)
    assert "1070" not in repr(ForkEvidence(FINAL, FORKED))


# ------------------------------------------------------------------------------------------------------------ the circuit


@pytest.fixture(scope="module")
def fork_key() -> KeyPaths:
    return ensure_development_key(24, 1, kind=FORK)


@pytest.fixture(scope="module")
def fork_prover(fork_key: KeyPaths, key: KeyPaths) -> Any:
    # Both kinds in one prover: it takes the key by the statement's kind.
    with SnarkjsProver(key, fork_key, timeout=60) as running:
        yield running


@pytest.fixture(scope="module")
def accuse(fork_key: KeyPaths, fork_prover: SnarkjsProver) -> Callable[..., None]:
    """Hands the circuit evidence against an honest meter and demands that it refuses it in the given template."""

    def check(inputs: Inputs, template: str) -> None:
        with pytest.raises(ProverError) as caught:
            fork_prover.witness(fork_key, inputs)
        trace = re.findall(r"Error in template (\w+)_\d+", str(caught.value))
        assert next(name for name in trace if name in OURS or name == template) == template

    return check


def evidence(one: Window, other: Window, interval: int) -> Inputs:
    """What the circuit is given for two windows, whether they contradict each other or not."""
    # Any contradiction lends the form; the windows' own values replace its.
    inputs: Inputs = copy.deepcopy(make_fork(FINAL, FORKED, METER.public).witness)
    for at, item in enumerate((one, other)):
        same = make_fork(item, window(changed(3, 77), day=item.day), METER.public).witness
        for name in ("previous", "final", "salt", "valid", "packed", "R8x", "R8y", "S"):
            inputs[name][at] = copy.deepcopy(same[name][0])  # type: ignore[index]
    inputs["t"] = interval
    return inputs


@pytest.mark.needs("node")
@pytest.mark.slow
def test_a_fork_is_proven_and_the_proof_is_of_that_key_day_and_interval(fork_key: KeyPaths, fork_prover: SnarkjsProver) -> None:
    verifying = fork_key.verifying_key()
    for one, other in ((EARLY, FORKED), (FINAL, CHAINED_ELSEWHERE)):
        statement = make_fork(one, other, METER.public)
        proved = fork_prover.prove(statement)
        assert proved.public == statement.public
        assert verify(verifying, proved.public, proved.proof)
        key_word, day, t = proved.public
        for public in ((key_word + 1, day, t), (key_word, day + 1, t), (key_word, day, t + 1 if t < 24 else 7)):
            assert not verify(verifying, public, proved.proof)


@pytest.mark.needs("node")
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_twin_and_circuit_agree_about_forks(seed: int, fork_key: KeyPaths, fork_prover: SnarkjsProver) -> None:
    one, other = random_days(seed, size=1 << 23, count=2)
    one[seed], other[23 - seed] = None, None
    statement = make_fork(window(one, final=seed % 2 == 0), window(other, final=seed % 3 == 0), METER.public)
    assert tuple(fork_prover.witness(fork_key, statement.witness)[1:4]) == statement.public


@pytest.mark.needs("node")
@pytest.mark.slow
@pytest.mark.parametrize("interval", [*range(24)])
def test_any_interval_can_be_the_one(interval: int, fork_key: KeyPaths, fork_prover: SnarkjsProver) -> None:
    value = (1 << 23) - 1 if interval % 2 else 1 - (1 << 23)
    statement = make_fork(EARLY if interval < 12 else FINAL, window(changed(interval, value)), METER.public)
    assert statement.interval == interval
    assert tuple(fork_prover.witness(fork_key, statement.witness)[1:4]) == statement.public


@pytest.mark.needs("node")
@pytest.mark.slow
class TestNobodyAccusesAnHonestMeter:
    def test_equal_windows(self, accuse: Any) -> None:
        for interval in (0, 7, 23, 24):
            accuse(evidence(FINAL, FINAL, interval), "ForkEvidence")

    def test_a_final_window_and_an_earlier_provisional_one(self, accuse: Any) -> None:
        for interval in (7, 15, 24):
            accuse(evidence(EARLY, FINAL, interval), "ForkEvidence")

    def test_provisional_windows_without_a_common_interval(self, accuse: Any) -> None:
        late = window([None] * 12 + [5] * 12, final=False)
        for interval in (7, 15, 24):
            accuse(evidence(EARLY, late, interval), "ForkEvidence")

    def test_only_one_validity_bit(self, accuse: Any) -> None:
        # Day over, one interval without a reading: as readings 0 and 1,070 differ.
        gap = window(changed(7, None))
        accuse(evidence(EARLY, gap, 7), "ForkEvidence")
        accuse(evidence(gap, EARLY, 7), "ForkEvidence")

    def test_a_validity_bit_claimed(self, accuse: Any) -> None:
        inputs = evidence(EARLY, window(changed(7, None)), 7)
        inputs["valid"][1][7] = 1
        accuse(inputs, "MeterSignature")
        inputs["valid"][1][7] = 2
        accuse(inputs, "ForkEvidence")

    def test_different_days(self, accuse: Any) -> None:
        accuse(evidence(FINAL, window(changed(7, 9), day=DAY + 1), 7), "MeterSignature")
        accuse(evidence(FINAL, window(changed(7, 9), day=DAY + 1), 24), "MeterSignature")

    def test_a_day_that_hides_in_the_validity(self, accuse: Any) -> None:
        # day + 2^37 with one validity bit less is the same signed word.
        inputs = evidence(FINAL, window(changed(7, None)), 24)
        for at in (0, 1):
            inputs["valid"][at][0] = 0
        inputs["day"] += 1 << 37
        accuse(inputs, "ForkEvidence")

    def test_different_keys(self, accuse: Any) -> None:
        inputs = evidence(FINAL, FORKED, 7)
        foreign = window(changed(7, 9), meter=OTHER_METER)
        inputs["R8x"][1], inputs["R8y"][1] = foreign.signature.r8x, foreign.signature.r8y
        inputs["S"][1] = foreign.signature.s
        accuse(inputs, "MeterSignature")
        inputs["Ax"], inputs["Ay"] = OTHER_METER.public.x, OTHER_METER.public.y
        accuse(inputs, "MeterSignature")

    def test_an_interval_outside_the_day(self, accuse: Any) -> None:
        for interval in (25, 96, ORDER - 1):
            accuse(evidence(FINAL, FORKED, interval), "OneHot")

    def test_an_interval_that_does_not_differ(self, accuse: Any) -> None:
        accuse(evidence(FINAL, FORKED, 6), "ForkEvidence")
        accuse(evidence(FINAL, FORKED, 8), "ForkEvidence")

    def test_a_reading_altered_after_signing(self, accuse: Any) -> None:
        inputs = evidence(FINAL, FINAL, 7)
        inputs["packed"][1][0] += 1 << 28 * 7
        accuse(inputs, "MeterSignature")

    def test_a_tag_altered_after_signing(self, accuse: Any) -> None:
        inputs = evidence(EARLY, FINAL, 24)
        inputs["final"][0] = 1
        accuse(inputs, "MeterSignature")
        inputs["final"][0] = 2
        accuse(inputs, "ForkEvidence")

    def test_a_mixture_of_intervals(self, fork_prover: SnarkjsProver) -> None:
        """Intervals 2 and 5 for interval 7: with two places marked, the sums of other intervals are compared."""
        hint: Change = ("fork.circom", "hot[i] <-- index == i;", "hot[i] <-- index == 7 ? (i == 2 || i == 5) : index == i;")
        number: Change = ("fork.circom", "    number === 1;\n", "")
        # Low readings, of which two together still have 24 bits.
        low: list[int | None] = [-5_000_000 - t for t in range(24)]
        inputs = evidence(window([*low]), window([*low[:2], -5_000_100, *low[3:]]), 7)
        self.refused(fork_prover, [hint], inputs, "OneHot")
        run(fork_prover, FORK_MAIN, [hint, number], inputs)

    def test_a_place_that_is_not_the_index(self, fork_prover: SnarkjsProver) -> None:
        hint: Change = ("fork.circom", "hot[i] <-- index == i;", "hot[i] <-- index == 7 ? i == 2 : index == i;")
        place: Change = ("fork.circom", "    place === index;\n", "")
        inputs = evidence(EARLY, window(changed(2, 1)), 7)
        self.refused(fork_prover, [hint], inputs, "OneHot")
        run(fork_prover, FORK_MAIN, [hint, place], inputs)

    def test_slots_that_borrow_from_each_other(self, fork_prover: SnarkjsProver) -> None:
        """Equal windows, of which the second is unpacked in another way: 2^28 more in interval 7, 1 less in interval 8."""
        old = "slots[j] <-- (chosen[E] >> (28 * j)) & ((1 << 28) - 1);"
        # The windows' last element has no ninth slot, their first has: only the provisional window's is 0 in interval 20.
        new = old.replace("<-- ", "<-- (").replace(";", ") + (packed[E - 1] != 0) * ((j == 7) * (1 << 28) - (j == 8));")
        inputs = evidence(EARLY, FINAL, 7)
        ranges: Change = ("fork.circom", "        bits[j] = Num2Bits(24);\n        bits[j].in <== slots[j];\n", "")
        self.refused(fork_prover, [("fork.circom", old, new)], inputs, "ReadingAt")
        run(fork_prover, FORK_MAIN, [("fork.circom", old, new), ranges], inputs)

    def test_free_slots(self, fork_prover: SnarkjsProver) -> None:
        old = "slots[j] <-- (chosen[E] >> (28 * j)) & ((1 << 28) - 1);"
        new = "slots[j] <-- packed[E - 1] == 0 ? 5 : 6;"
        tie: Change = ("fork.circom", "    pack.packed[0] === chosen[E];\n", "")
        inputs = evidence(EARLY, FINAL, 7)
        self.refused(fork_prover, [("fork.circom", old, new)], inputs, "ReadingAt")
        run(fork_prover, FORK_MAIN, [("fork.circom", old, new), tie], inputs)

    @staticmethod
    def refused(prover: SnarkjsProver, changes: list[Change], inputs: Inputs, template: str) -> None:
        with pytest.raises(ProverError) as caught:
            run(prover, FORK_MAIN, changes, inputs)
        assert refusing_template(caught.value) == template
