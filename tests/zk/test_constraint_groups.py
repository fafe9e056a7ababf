"""What each constraint group of the statement is there for: without it, and only without it, a named attack succeeds."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from zk_cases import METER, account, build_log, random_days, shared
from zk_mutants import STATEMENT, Change, refusing_template, run

from zk.field import ORDER
from zk.prover import ProverError, SnarkjsProver
from zk.statement import Statement, make_statement
from zk.words import commit_promise

pytestmark = [pytest.mark.needs("node"), pytest.mark.slow]

Inputs = dict[str, Any]
T = 24
GAP_DAY, GAP = 4, 9
PROMISE = (0, 0, 300, -200, 0, 100, *[0] * 18)


@pytest.fixture(scope="module")
def honest() -> Statement:
    """A hidden promise; day 4 has a gap, so 13 days count; interval 9 of today has no reading."""
    days = random_days(5)
    days[14][GAP] = None
    days[GAP_DAY][0] = None
    return make_statement(shared(), [account(windows=build_log(METER, days), promise=PROMISE, promise_salt=11)])


@dataclass(frozen=True)
class Attack:
    """Inputs that the honest circuit refuses in `template`, and the change without which it does not.

    `hints` are the prover's own program, which alone changes no verdict.
    """

    name: str
    template: str
    change: Callable[[Inputs], None]
    removed: tuple[Change, ...]
    hints: tuple[Change, ...] = ()


def unpacked(inputs: Inputs, day: int) -> list[int]:
    return [inputs["packed"][0][day][t // 9] >> 28 * (t % 9) & (1 << 28) - 1 for t in range(T)]


def mean_of(inputs: Inputs, days: list[int]) -> None:
    """The baseline over chosen days."""
    rows = [unpacked(inputs, day) for day in days]
    for t in range(T):
        inputs["mean"][0][t], inputs["remainder"][0][t] = divmod(sum(row[t] for row in rows), len(rows))


def alter_reading(inputs: Inputs) -> None:
    inputs["readings"][0][2] += 500


def alter_history(inputs: Inputs) -> None:
    inputs["packed"][0][7][0] += 13 << 28 * 2
    inputs["mean"][0][2] += 1


def wrong_day(inputs: Inputs) -> None:
    inputs["day"] += 1


def claim_the_gap(inputs: Inputs) -> None:
    inputs["mask"][0] |= 1 << GAP


def borrow(inputs: Inputs) -> None:
    inputs["readings"][0][2] += 1 << 28
    inputs["readings"][0][3] -= 1


def count_the_gap(inputs: Inputs) -> None:
    mean_of(inputs, [*range(14)])


def drop_a_day(inputs: Inputs) -> None:
    mean_of(inputs, [day for day in range(14) if day not in (GAP_DAY, 8)])


def admit_a_day_outside(inputs: Inputs) -> None:
    inputs["admissible"][0] |= 1 << 15


def lower_mean(inputs: Inputs) -> None:
    remainders = inputs["remainder"][0]
    t = remainders.index(min(remainders))
    assert remainders[t] < 3
    inputs["mean"][0][t] -= 1
    remainders[t] += 13


def higher_mean(inputs: Inputs) -> None:
    # 13 - 1 - (remainder - 13) has four bits only for large remainders.
    remainders = inputs["remainder"][0]
    t = remainders.index(max(remainders))
    assert remainders[t] > 9
    inputs["mean"][0][t] += 1
    remainders[t] -= 13


def move_between_slots(inputs: Inputs) -> None:
    inputs["mean"][0][2] = (inputs["mean"][0][2] + (pow(13, -1, ORDER) << 28)) % ORDER
    inputs["remainder"][0][3] -= 1


def free_mean(inputs: Inputs) -> None:
    inputs["mean"][0][2] += 9_999


def promise_elsewhere(inputs: Inputs) -> None:
    inputs["promise"][0][10] = 100


def promise_in_the_next_slot(inputs: Inputs) -> None:
    # Packed like a promise of 7 in interval 6, outside the session.
    inputs["promise"][0][5] += 7 << 28


def promise_where_there_is_none(inputs: Inputs) -> None:
    inputs["hidden"] = [0]


def scaled_commitment(inputs: Inputs) -> None:
    real = commit_promise(5, inputs["session"], PROMISE, 11)
    nothing = commit_promise(5, inputs["session"], (0,) * T, 11)
    inputs["promise"] = [[0] * T]
    inputs["hidden"] = [real * pow(nothing, -1, ORDER) % ORDER]


def mask_beyond_the_day(inputs: Inputs) -> None:
    inputs["mask"][0] |= 1 << T


RANGE = "        {0}[t] = Num2Bits({1});\n        {0}[t].in <== {2};\n"


def without(file: str, text: str) -> Change:
    return file, text, ""


LAST_EQUALITY = without("signature.circom", "    nonce.xout === R8x;\n    nonce.yout === R8y;\n")
COUNTED = (
    "        counted[k] <-- missing == 0 ? bits.out[k] : 0;\n        inverse[k] <-- missing == 0 ? 0 : bits.out[k] / missing;\n"
)

ATTACKS = [
    Attack("altered reading", "MeterSignature", alter_reading, (LAST_EQUALITY,)),
    Attack("altered history", "MeterSignature", alter_history, (LAST_EQUALITY,)),
    Attack("wrong day", "MeterSignature", wrong_day, (LAST_EQUALITY,)),
    Attack(
        "gap read as export",
        "Account",
        claim_the_gap,
        (("statement.circom", "(valid[t] - proven.bits[t]) * (valid[t] - 1) === 0;", "valid[t] * (valid[t] - 1) === 0;"),),
    ),
    Attack(
        "readings that borrow from each other",
        "Account",
        borrow,
        (without("statement.circom", RANGE.format("readingBits", 24, "readings[t]")),),
    ),
    Attack(
        "incomplete day counted",
        "CountedDays",
        count_the_gap,
        (without("deviation.circom", "        counted[k] * missing === 0;\n"),),
        (("deviation.circom", COUNTED, "        counted[k] <-- bits.out[k];\n        inverse[k] <-- 0;\n"),),
    ),
    Attack(
        "complete day left out",
        "CountedDays",
        drop_a_day,
        (without("deviation.circom", "        inverse[k] * missing === bits.out[k] - counted[k];\n"),),
        (
            (
                "deviation.circom",
                COUNTED,
                COUNTED.replace("missing == 0 ? bits.out[k] : 0", "missing == 0 && k != 8 ? bits.out[k] : 0"),
            ),
        ),
    ),
    Attack(
        "admissible day outside the fourteen",
        "CountedDays",
        admit_a_day_outside,
        (("deviation.circom", "component bits = Num2Bits(W);", "component bits = Num2Bits(W + 2);"),),
    ),
    Attack(
        "mean rounded down twice",
        "Baseline",
        lower_mean,
        (without("deviation.circom", RANGE.format("belowCount", 4, "count - 1 - remainder[t]")),),
    ),
    Attack(
        "mean rounded up",
        "Baseline",
        higher_mean,
        (without("deviation.circom", RANGE.format("remainderBits", 4, "remainder[t]")),),
    ),
    Attack(
        "value moved between slots of the sum",
        "Baseline",
        move_between_slots,
        (
            without("deviation.circom", RANGE.format("meanBits", 24, "mean[t]")),
            without("deviation.circom", RANGE.format("remainderBits", 4, "remainder[t]")),
        ),
    ),
    Attack(
        "mean of no readings",
        "Baseline",
        free_mean,
        (without("deviation.circom", "        pack.packed[e] === sums[e];\n"),),
    ),
    Attack(
        "promise outside the session",
        "Promise",
        promise_elsewhere,
        (without("deviation.circom", "        promise[t] * (1 - sessionMask[t]) === 0;\n"),),
    ),
    Attack(
        "promise that borrows from its neighbour",
        "Promise",
        promise_in_the_next_slot,
        (without("deviation.circom", RANGE.format("bits", 25, "promise[t] + (1 << 24)")),),
    ),
    Attack(
        "promise under the commitment of none",
        "Promise",
        promise_where_there_is_none,
        (without("deviation.circom", "        (1 - hidden) * plain.packed[e] === 0;\n"),),
    ),
    Attack(
        "scaled commitment",
        "Promise",
        scaled_commitment,
        (
            without("deviation.circom", "    hidden * (hidden - 1) === 0;\n"),
            # The promise is zero: this group has nothing to say, and is there for other attacks.
            without("deviation.circom", "        (1 - hidden) * plain.packed[e] === 0;\n"),
        ),
    ),
    Attack(
        "mask beyond the day",
        "Mask",
        mask_beyond_the_day,
        (
            ("slots.circom", "component split = Num2Bits(T);", "component split = Num2Bits(T + 1);"),
            (
                "slots.circom",
                "    bits <== split.out;\n",
                "    for (var t = 0; t < T; t++) {\n        bits[t] <== split.out[t];\n    }\n",
            ),
        ),
    ),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_without_its_constraint_group_the_attack_succeeds(attack: Attack, honest: Statement, prover: SnarkjsProver) -> None:
    inputs: Inputs = copy.deepcopy(honest.witness)  # type: ignore[arg-type]
    attack.change(inputs)
    with pytest.raises(ProverError) as caught:
        run(prover, STATEMENT, attack.hints, inputs)
    assert refusing_template(caught.value) == attack.template
    hints = tuple(change for change in attack.hints if not any(change[1] == removed[1] for removed in attack.removed))
    run(prover, STATEMENT, (*hints, *attack.removed), inputs)
