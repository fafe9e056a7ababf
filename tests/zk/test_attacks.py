"""A prover that chooses every private input at will: what the circuit refuses, and what a verifier refuses.

Each attack hands the circuit inputs that `make_statement` would never make. A refusal is told by the template in which it
happens, so that an attack is not stopped by accident somewhere else.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from zk_cases import DAY, METER, OTHER_METER, account, build_log, random_days, shared

from zk.field import ORDER, horner
from zk.groth16 import G1, VerifyingKey
from zk.keys import KeyPaths, ensure_development_key
from zk.poseidon import poseidon
from zk.prover import Proved, ProverError, SnarkjsProver
from zk.statement import Statement, make_statement
from zk.verifier import verify
from zk.windows import pack_slots, unpack_slots
from zk.words import challenge, commit_promise

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]

Inputs = dict[str, Any]
OURS = (
    "Mask",
    "WindowHead",
    "MeterKey",
    "SignedBits",
    "MeterSignature",
    "CountedDays",
    "Baseline",
    "Promise",
    "Deviations",
    "Account",
)
PROMISE = (0, 0, 300, -200, 0, 100, *[0] * 18)
DAYS = random_days(5)


@pytest.fixture(scope="module")
def honest() -> Statement:
    """Intervals 2 and 3 of a session over 2 to 5; interval 9 of today has no reading."""
    days = copy.deepcopy(DAYS)
    days[14][9] = None
    days[4][0] = None
    item = account(windows=build_log(METER, days), promise=PROMISE, promise_salt=11)
    return make_statement(shared(), [item])


@pytest.fixture(scope="module")
def refused(key: KeyPaths, prover: SnarkjsProver, honest: Statement) -> Callable[[Callable[[Inputs], None], str], None]:
    """Changes the honest inputs and demands that the circuit refuses them in the given template."""

    def check(change: Callable[[Inputs], None], template: str) -> None:
        inputs: Inputs = copy.deepcopy(honest.witness)
        change(inputs)
        assert inputs != honest.witness
        with pytest.raises(ProverError) as caught:
            prover.witness(key, inputs)
        # The trace goes from the innermost template outwards.
        trace = re.findall(r"Error in template (\w+)_\d+", str(caught.value))
        assert next(name for name in trace if name in OURS or name == template) == template

    return check


def setting(name: str, *path: int, value: int) -> Callable[[Inputs], None]:
    def change(inputs: Inputs) -> None:
        *outer, last = path
        target = inputs[name]
        for index in outer:
            target = target[index]
        target[last] = value

    return change


def moving(**steps: tuple[int, int]) -> Callable[[Inputs], None]:
    """Adds `step` to the element `t` of an input of the first account: name=(t, step)."""

    def change(inputs: Inputs) -> None:
        for name, (t, step) in steps.items():
            inputs[name][0][t] += step

    return change


def test_honest_inputs_pass(key: KeyPaths, prover: SnarkjsProver, honest: Statement) -> None:
    assert tuple(prover.witness(key, honest.witness)[1:4]) == honest.public


def test_an_altered_reading(refused: Any) -> None:
    refused(moving(readings=(2, 100)), "MeterSignature")
    # Also where it is not proven, and where it is not valid.
    refused(moving(readings=(20, 1)), "MeterSignature")
    refused(setting("readings", 0, 9, value=1 << 23), "MeterSignature")


def test_an_altered_history(refused: Any, honest: Statement) -> None:
    count = honest.accounts[0].count

    def raise_the_past(inputs: Inputs) -> None:
        # The mean of interval 2 goes up by 1: one counted day gets `count` Wh more.
        inputs["packed"][0][7][0] += count << 28 * 2
        inputs["mean"][0][2] += 1

    refused(raise_the_past, "MeterSignature")


def test_an_invented_history_under_a_new_key(key: KeyPaths, prover: SnarkjsProver, honest: Statement, refused: Any) -> None:
    forged_days = [[reading if k == 14 else 5_000 for reading in day] for k, day in enumerate(DAYS)]
    forged = make_statement(
        shared(),
        [account(key=OTHER_METER.public, windows=build_log(OTHER_METER, forged_days))],
    )
    # Under the attacker's own key it is a proof, of an account with that key: the registered key's word is another.
    assert tuple(prover.witness(key, forged.witness)[1:4]) == forged.public
    assert forged.words[6] == OTHER_METER.public.word() != honest.words[6]

    def under_the_registered_key(inputs: Inputs) -> None:
        inputs |= copy.deepcopy(forged.witness)
        inputs |= {name: honest.witness[name] for name in ("Ax", "Ay", "R8x", "R8y", "S")}

    refused(under_the_registered_key, "MeterSignature")

    def with_the_attackers_signature(inputs: Inputs) -> None:
        inputs |= {name: forged.witness[name] for name in ("R8x", "R8y", "S")}

    refused(with_the_attackers_signature, "MeterSignature")


def test_a_wrong_day(refused: Any) -> None:
    for day in (DAY - 1, DAY + 1):
        refused(lambda inputs, day=day: inputs.update(day=day), "MeterSignature")


def test_windows_in_another_order(refused: Any) -> None:
    def swap(inputs: Inputs) -> None:
        for name in ("packed", "validity", "salts"):
            row = inputs[name][0]
            row[6], row[7] = row[7], row[6]

    refused(swap, "MeterSignature")


def test_a_gap_read_as_an_export(refused: Any) -> None:
    # Interval 9 has no reading; the prover names it proven all the same.
    refused(setting("mask", 0, value=0b1100 | 1 << 9), "Account")
    # Or claims a reading for it.
    refused(setting("valid", 0, 9, value=1), "MeterSignature")
    # Or hides a valid one.
    refused(setting("valid", 0, 2, value=0), "Account")
    refused(setting("valid", 0, 20, value=0), "MeterSignature")
    refused(setting("valid", 0, 20, value=2), "Account")


def test_count_overstated(refused: Any) -> None:
    # Day 4 has a gap; to count it, it must look complete.
    refused(setting("validity", 0, 4, value=(1 << 24) - 1), "MeterSignature")

    def with_its_zero_reading(inputs: Inputs) -> None:
        inputs["validity"][0][4] = (1 << 24) - 1
        days = [[packed[t // 9] >> 28 * (t % 9) & (1 << 28) - 1 for t in range(24)] for packed in inputs["packed"][0]]
        for t in range(24):
            inputs["mean"][0][t], inputs["remainder"][0][t] = divmod(sum(day[t] for day in days), 14)

    refused(with_its_zero_reading, "MeterSignature")


def test_count_understated(refused: Any) -> None:
    # Days that pull the baseline the wrong way are declared incomplete.
    def drop(inputs: Inputs) -> None:
        inputs["validity"][0][9] -= 1
        kept = [packed for k, packed in enumerate(inputs["packed"][0]) if k not in (4, 9)]
        for t in range(24):
            total = sum(packed[t // 9] >> 28 * (t % 9) & (1 << 28) - 1 for packed in kept)
            inputs["mean"][0][t], inputs["remainder"][0][t] = divmod(total, len(kept))

    refused(drop, "MeterSignature")


def test_admissible_days_outside_the_fourteen(refused: Any) -> None:
    refused(setting("admissible", 0, value=1 << 14 | 0b11111), "CountedDays")


def test_too_few_days(refused: Any) -> None:
    def none(inputs: Inputs) -> None:
        inputs["admissible"] = [0]
        inputs["mean"] = [[0] * 24]
        inputs["remainder"] = [[0] * 24]

    refused(none, "Baseline")


def test_another_baseline(refused: Any, honest: Statement) -> None:
    count = honest.accounts[0].count
    assert count == 13
    refused(moving(mean=(2, 1)), "Baseline")
    # The next quotient up with a negative remainder, the next down with one of `count` and more: each bound alone must hold, so
    # the intervals are chosen where the other bound's four bits would let it pass.
    remainders = honest.witness["remainder"][0]  # type: ignore[index]
    highest, lowest = remainders.index(max(remainders)), remainders.index(min(remainders))
    assert 2 * count - 1 - remainders[highest] < 16
    assert remainders[lowest] + count < 16
    refused(moving(mean=(highest, 1), remainder=(highest, -count)), "Baseline")
    refused(moving(mean=(lowest, -1), remainder=(lowest, count)), "Baseline")
    # A quotient in the field: count * mean = sum without being the integer mean.
    inputs = honest.witness
    total = count * inputs["mean"][0][2] + inputs["remainder"][0][2]  # type: ignore[index, operator]
    wrong = (total - 1) * pow(count, -1, ORDER) % ORDER
    if wrong >= 1 << 24:
        refused(lambda row: (setting("mean", 0, 2, value=wrong)(row), setting("remainder", 0, 2, value=1)(row)), "Baseline")
    # Value moved from interval 2 to interval 3 of the same packed element, so that the element's sum stays.
    shift = pow(count, -1, ORDER) << 28
    refused(moving(mean=(2, shift % ORDER), remainder=(3, -1)), "Baseline")


def test_readings_that_borrow_from_each_other(refused: Any) -> None:
    # The packed element stays the same, so that the signature holds.
    def borrow(inputs: Inputs) -> None:
        inputs["readings"][0][2] += 1 << 28
        inputs["readings"][0][3] -= 1

    refused(borrow, "Account")


def test_a_partial_window_passed_off_as_whole(refused: Any, key: KeyPaths, prover: SnarkjsProver) -> None:
    refused(setting("final", 0, value=0), "MeterSignature")
    # 6 - final would give the head any tag.
    refused(setting("final", 0, value=2), "Account")
    provisional = make_statement(shared(), [account(windows=build_log(METER, DAYS, last_final=False))])
    assert tuple(prover.witness(key, provisional.witness)[1:4]) == provisional.public
    claimed: Inputs = copy.deepcopy(provisional.witness)
    claimed["final"] = [1]
    with pytest.raises(ProverError, match="Error in template MeterSignature"):
        prover.witness(key, claimed)


def test_a_provisional_window_is_no_history(key: KeyPaths, prover: SnarkjsProver) -> None:
    log = build_log(METER, DAYS)
    provisional = build_log(METER, DAYS[:14], DAY - 1, last_final=False)[13]
    assert provisional.day == log[13].day
    # The meter would never chain to it; suppose it did.
    today = build_log(METER, DAYS[14:], previous=provisional.head)[0]
    genuine = make_statement(shared(), [account(windows=log)])
    inputs: Inputs = copy.deepcopy(genuine.witness)
    for name, value in (("R8x", today.signature.r8x), ("R8y", today.signature.r8y), ("S", today.signature.s)):
        inputs[name] = [value]
    inputs["salts"][0][14] = today.salt
    with pytest.raises(ProverError, match="Error in template MeterSignature"):
        prover.witness(key, inputs)


def test_a_promise_outside_the_session_mask(refused: Any) -> None:
    refused(setting("promise", 0, 10, value=100), "Promise")
    refused(setting("promise", 0, 6, value=ORDER - 1), "Promise")


def test_a_promise_behind_another_commitment(refused: Any, honest: Statement) -> None:
    refused(lambda inputs: inputs.update(hidden=[0]), "Promise")

    # No promise at all, and a factor that turns its hash into the commitment of the real one.
    def scale(inputs: Inputs) -> None:
        commitment = honest.words[10]
        nothing = commit_promise(5, honest.shared.session, (0,) * 24, 11)
        inputs["promise"] = [[0] * 24]
        inputs["hidden"] = [commitment * pow(nothing, -1, ORDER) % ORDER]

    refused(scale, "Promise")

    # Two promises whose packed sum is zero: 2^28 here is -1 in the next slot.
    def cancel(inputs: Inputs) -> None:
        inputs["hidden"] = [0]
        inputs["promise"] = [[0, 0, 1 << 28, ORDER - 1, *[0] * 20]]

    refused(cancel, "Promise")


def test_a_deviation_out_of_range(refused: Any) -> None:
    # Inside the proven mask, and outside it where the deviation is blanked.
    for t in (2, 4):
        refused(setting("promise", 0, t, value=1 << 24), "Promise")
        refused(setting("promise", 0, t, value=ORDER - (1 << 24) - 1), "Promise")


def test_mask_bits_that_the_day_does_not_have(refused: Any) -> None:
    for bit in (24, 95, 192):
        refused(setting("mask", 0, value=0b1100 | 1 << bit), "Mask")
        refused(lambda inputs, bit=bit: inputs.update(sessionMask=inputs["sessionMask"] | 1 << bit), "Mask")


def test_signature_of_another_form(refused: Any, honest: Statement) -> None:
    s = honest.witness["S"][0]  # type: ignore[index]
    refused(setting("S", 0, value=s + 1), "MeterSignature")
    # A nonce that is not a point of the curve.
    refused(setting("R8x", 0, value=1), "MeterSignature")
    refused(setting("Ax", 0, value=1), "BabyCheck")


@pytest.fixture(scope="module")
def proved(prover: SnarkjsProver, honest: Statement) -> Proved:
    return prover.prove(honest)


def contract_signals(statement: Statement, words: list[int]) -> tuple[int, int, int]:
    """The public signals as the contract computes them from its own words and the prover's C."""
    gamma = challenge(statement.c, words)
    return statement.c, horner(words, gamma), gamma


def test_a_proof_verifies_here_and_with_snarkjs(
    proved: Proved, honest: Statement, verifying: VerifyingKey, prover: SnarkjsProver
) -> None:
    assert proved.public == honest.public == contract_signals(honest, list(honest.words))
    assert verify(verifying, proved.public, proved.proof)
    assert prover.verify(verifying, proved.public, proved.proof)


WORDS = (
    "chain",
    "contract",
    "session",
    "day",
    "session mask",
    "account",
    "key",
    "admissible",
    "mask",
    "count",
    "commitment",
    "deviations 0 to 8",
    "deviations 9 to 17",
    "deviations 18 to 23",
)


@pytest.mark.parametrize("position", range(len(WORDS)), ids=WORDS)
def test_words_changed_after_c(
    position: int, proved: Proved, honest: Statement, verifying: VerifyingKey, prover: SnarkjsProver
) -> None:
    """A replay for another chain, contract, session, day or account; other masks, key, count, commitment or deviations."""
    assert len(honest.words) == len(WORDS)
    words = list(honest.words)
    words[position] += 1
    assert not prover.verify(verifying, contract_signals(honest, words), proved.proof)


def test_gamma_chosen_first(key: KeyPaths, honest: Statement, verifying: VerifyingKey, prover: SnarkjsProver) -> None:
    # For a gamma of the prover's choice, other words with the same y are easy to find.
    inputs: Inputs = copy.deepcopy(honest.witness)
    inputs["gamma"] = 5
    chosen = prover.prove_inputs(key, inputs)
    assert prover.verify(verifying, chosen.public, chosen.proof)
    claimed = list(honest.words)
    claimed[11] += 1
    claimed[10] = (claimed[10] - pow(5, -1, ORDER)) % ORDER
    assert horner(claimed, 5) == chosen.public[1]
    # But the contract's gamma follows from C and the words.
    assert not prover.verify(verifying, contract_signals(honest, claimed), chosen.proof)


def test_verifier_refuses_what_is_not_a_proof(proved: Proved, verifying: VerifyingKey) -> None:
    c, y, gamma = proved.public
    assert not verify(verifying, (c + ORDER, y, gamma), proved.proof)
    assert not verify(verifying, (c, y), proved.proof)
    assert not verify(verifying, (c, (y + 1) % ORDER, gamma), proved.proof)
    assert not verify(verifying, proved.public, replace(proved.proof, a=G1(1, 1)))
    assert not verify(verifying, proved.public, replace(proved.proof, a=G1(0, 0)))
    assert not verify(verifying, proved.public, replace(proved.proof, b=replace(proved.proof.b, x0=proved.proof.b.x1)))
    assert not verify(verifying, proved.public, replace(proved.proof, c=proved.proof.a))


@pytest.mark.parametrize(
    ("position", "change"),
    [
        # Day 6 was an event day, or one of another kind; day 4 is admissible, and the prover would rather not count it.
        (7, lambda word: word & ~(1 << 6)),
        (7, lambda word: word & ~(1 << 4)),
        # Interval 4, in the session, outside the mask: its deviation told, or claimed to be proven.
        (11, lambda word: word + (1 << 25 << 26 * 4)),
        (8, lambda word: word | 1 << 4),
        # Interval 2, inside: one Wh more; taken out of the mask.
        (11, lambda word: word + (1 << 26 * 2)),
        (8, lambda word: word & ~(1 << 2)),
    ],
    ids=[
        "event day used",
        "admissible day left out",
        "interval outside the mask disclosed",
        "interval outside the mask claimed",
        "interval inside the mask altered",
        "interval inside the mask left out",
    ],
)
def test_masks_that_the_contract_does_not_have(
    position: int, change: Any, proved: Proved, honest: Statement, verifying: VerifyingKey
) -> None:
    """The proof is of the prover's words; the contract holds it against its own."""
    words = list(honest.words)
    words[position] = change(words[position])
    assert words != list(honest.words)
    assert not verify(verifying, contract_signals(honest, words), proved.proof)


def test_outside_the_mask_nothing_is_told(honest: Statement) -> None:
    assert [t for t, value in enumerate(unpack_slots(honest.words[11:], 26, 24)) if value] == [2, 3]


def test_another_meters_signature(refused: Any, honest: Statement) -> None:
    """The other meter signs the very same head, or vouches for it with its own key."""
    head = make_head(honest)
    signature = OTHER_METER.sign(head)

    def signed_by_another(inputs: Inputs) -> None:
        inputs |= {"R8x": [signature.r8x], "R8y": [signature.r8y], "S": [signature.s]}

    refused(signed_by_another, "MeterSignature")

    def key_of_another(inputs: Inputs) -> None:
        signed_by_another(inputs)
        inputs |= {"Ax": [METER.public.x], "Ay": [OTHER_METER.public.y]}

    refused(key_of_another, "MeterKey")


def make_head(honest: Statement) -> int:
    """Today's head, from the circuit's inputs."""
    inputs: Inputs = honest.witness
    days = [*zip(inputs["validity"][0], inputs["packed"][0], strict=True)]
    head = inputs["firstHead"][0]
    for k, (validity, packed) in enumerate(days):
        head = poseidon((head, 5 + 8 * (DAY - 14 + k) + (validity << 40), inputs["salts"][0][k], *packed))
    validity = sum(bit << t for t, bit in enumerate(inputs["valid"][0]))
    head = poseidon((head, 5 + 8 * DAY + (validity << 40), inputs["salts"][0][14], *pack_slots(inputs["readings"][0], 28)))
    assert METER.sign(head).s == inputs["S"][0]
    return head


def test_values_next_to_the_fields_order(refused: Any) -> None:
    """-1 for a bit, a reading, a quotient, a remainder, a promise; and what looks like it once it is reduced."""
    for name, at, template in (
        ("readings", (0, 2), "Account"),
        ("valid", (0, 2), "Account"),
        ("mean", (0, 2), "Baseline"),
        ("remainder", (0, 2), "Baseline"),
        ("mask", (0,), "Mask"),
        ("admissible", (0,), "CountedDays"),
        ("hidden", (0,), "Promise"),
    ):
        for value in (ORDER - 1, 2 * ORDER - 1):
            refused(setting(name, *at, value=value), template)


def test_swapped_accounts() -> None:
    """Two accounts of one proof: the words of one for the other's, all of them or some."""
    first, second = account(5), account(6, mask=0b100)
    statement = make_statement(shared(), [first, second])
    head, one, other = list(statement.words[:5]), list(statement.words[5:14]), list(statement.words[14:])
    large = ensure_development_key(24, 2)
    with SnarkjsProver(large) as two:
        proof = two.prove(statement).proof
    verifying = large.verifying_key()
    assert verify(verifying, contract_signals(statement, head + one + other), proof)
    for words in (
        head + other + one,
        head + one + one,
        [*head, other[0], *one[1:], one[0], *other[1:]],
        [*head, *one[:2], *other[2:], *other[:2], *one[2:]],
    ):
        assert not verify(verifying, contract_signals(statement, words), proof)
