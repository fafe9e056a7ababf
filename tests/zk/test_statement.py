"""The statement in plain integers: the baseline rule, the words, their compression, and errors that name what is wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from zk_cases import DAY, METER, OTHER_METER, account, build_log, random_days, shared

from zk.field import ORDER
from zk.poseidon import poseidon
from zk.statement import AccountInput, Shared, StatementError, Window, baseline, counted_days, make_statement, padded
from zk.windows import READING_OFFSET
from zk.words import (
    DEVIATION_OFFSET,
    account_words,
    challenge,
    commit_promise,
    compress,
    pack_deviations,
    unpack_deviations,
)

READING = st.integers(1 - READING_OFFSET, READING_OFFSET - 1)
ALL_DAYS = (1 << 14) - 1


def unsigned_log(days: list[list[int | None]]) -> list[Window]:
    """Windows without heads and signatures, for what only looks at readings."""
    signature = METER.sign(0)
    return [Window(DAY - 14 + k, tuple(readings), 0, 0, True, 0, signature) for k, readings in enumerate(days)]


@given(st.lists(st.lists(READING, min_size=24, max_size=24), min_size=14, max_size=14), st.integers(1, ALL_DAYS), st.data())
@settings(max_examples=50, deadline=None)
def test_baseline_is_the_floored_mean_of_complete_admissible_days(
    complete: list[list[int]], admissible: int, data: st.DataObject
) -> None:
    gaps = data.draw(st.sets(st.integers(0, 13), max_size=5))
    days: list[list[int | None]] = [[*row] for row in complete]
    for k in gaps:
        days[k][k] = None
    chosen = [k for k in range(14) if admissible >> k & 1 and k not in gaps]
    windows = unsigned_log(days)
    assert list(counted_days(windows, admissible)) == chosen
    if not chosen:
        with pytest.raises(StatementError, match="complete admissible day"):
            baseline(windows, admissible)
        return
    means = [math.floor(Fraction(sum(complete[k][t] for k in chosen), len(chosen))) for t in range(24)]
    assert list(baseline(windows, admissible)) == means


@given(st.sampled_from((24, 48, 96)).flatmap(lambda n: st.lists(
    st.none() | st.integers(-DEVIATION_OFFSET, DEVIATION_OFFSET - 1), min_size=n, max_size=n
)))  # fmt: skip
def test_deviation_words_are_invertible(deviations: list[int | None]) -> None:
    mask = sum(1 << t for t, value in enumerate(deviations) if value is not None)
    words = pack_deviations(deviations)
    assert len(words) == -(-len(deviations) // 9)
    assert list(unpack_deviations(words, mask, len(deviations))) == deviations


def test_words_of_a_small_statement() -> None:
    days: list[list[int | None]] = [[100 + k] * 24 for k in range(14)]
    days[4][0] = None
    today: list[int | None] = [90] * 24
    today[3] = -7
    item = account(5, 0b00000011110011, windows=build_log(METER, [*days, today]))
    statement = make_statement(shared(), [item])
    # Counted days are 0, 1, 5, 6, 7 (4 has a gap): the mean of 100, 101, 105, 106, 107 is 103.8.
    assert statement.accounts[0].count == 5
    assert statement.accounts[0].baseline == (103,) * 24
    assert statement.accounts[0].deviations == (None, None, 13, 110, *[None] * 20)
    first = (13 + 2**25) * 2**52 + (110 + 2**25) * 2**78
    assert statement.words == (
        *(31337, 0xD3 << 120, 7, DAY, 0b111100),
        *(5, METER.public.word(), 0b00000011110011, 0b1100, 5, 0, first, 0, 0),
    )


@pytest.mark.parametrize(("intervals", "blocks"), [(24, [9]), (48, [12]), (96, [15, 2])])
def test_compression_is_the_protocols_formula(intervals: int, blocks: list[int]) -> None:
    assert account_words(intervals) == sum(blocks)
    words = [poseidon((i,)) for i in range(5 + 2 * sum(blocks))]
    c = poseidon(words[:5])
    at = 5
    for size in blocks * 2:
        c = poseidon((c, *words[at : at + size]))
        at += size
    gamma = int.from_bytes(keccak(b"".join(v.to_bytes(32, "big") for v in [c, *words])), "big") % ORDER
    y = sum(word * pow(gamma, len(words) - 1 - i, ORDER) for i, word in enumerate(words)) % ORDER
    assert compress(words, intervals) == (c, gamma, y)
    assert challenge(c, words) == gamma
    with pytest.raises(StatementError, match="words"):
        compress(words[:-1], intervals)


def test_public_signals_are_in_the_circuits_order() -> None:
    statement = make_statement(shared(), [account()])
    assert statement.public == (statement.c, statement.y, statement.gamma)
    assert compress(statement.words, 24) == (statement.c, statement.gamma, statement.y)


def test_hidden_promise() -> None:
    promise = (0, 0, -500, 2_000, *[0] * 20)
    plain = make_statement(shared(), [account()]).accounts[0]
    hidden = make_statement(shared(), [account(promise=promise, promise_salt=99)]).accounts[0]
    assert plain.deviations[2] is not None
    assert plain.deviations[3] is not None
    assert hidden.deviations[2:4] == (plain.deviations[2] + 500, plain.deviations[3] - 2_000)
    packed = [
        sum((promise[t] + 2**27) * 2 ** (28 * (t - start)) for t in range(start, min(start + 9, 24))) for start in (0, 9, 18)
    ]
    assert hidden.words[5] == commit_promise(5, 7, promise, 99) == poseidon((7, 99, 5 + 2**32 * 7, *packed))
    assert plain.words[5] == 0
    assert commit_promise(6, 7, promise, 99) != commit_promise(5, 7, promise, 99) != commit_promise(5, 8, promise, 99)


def test_nothing_private_is_printed() -> None:
    windows = build_log(METER, [[7_777_777] * 24] * 14 + [[7_777_000] * 24])
    item = account(windows=windows, promise=(0, 0, 77_333, *[0] * 21), promise_salt=5_555_555)
    statement = make_statement(shared(), [item])
    shown = repr(item) + repr(statement)
    for secret in ("7777777", "7777000", "77333", "5555555"):
        assert secret not in shown


def changed_log(change: Any) -> list[Window]:
    log = build_log(METER, random_days(5))
    change(log)
    return log


def drop(k: int) -> Any:
    return lambda log: log.pop(k)


def edit(k: int, **fields: Any) -> Any:
    def change(log: list[Window]) -> None:
        log[k] = replace(log[k], **fields)

    return change


GAPS = [[None if t == 3 and k in (1, 2, 5) else 10 for t in range(24)] for k in range(15)]


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (account(windows=changed_log(drop(6))), f"account 5: windows: expected one of day {DAY - 8}, got none"),
        (account(windows=changed_log(drop(14))), f"windows: expected one of day {DAY}, got none"),
        (account(windows=build_log(METER, random_days(5, count=16))), "windows: expected 15, got 16"),
        (account(windows=changed_log(lambda log: log.reverse())), f"day: expected the window of day {DAY + 1}"),
        (account(windows=changed_log(edit(9, previous=1))), f"previous: expected the head of day {DAY - 6} in the window"),
        (account(windows=changed_log(edit(9, final=False))), "got a provisional one"),
        (account(windows=changed_log(edit(9, readings=(0,) * 24))), f"head: expected the hash of the window of day {DAY - 5}"),
        (
            account(windows=changed_log(edit(9, readings=(0,) * 23))),
            f"readings: expected 24 intervals on day {DAY - 5}, got 23",
        ),
        (account(windows=changed_log(edit(9, readings=(1 << 23,) + (0,) * 23))), r"readings\[0\]"),
        (account(key=OTHER_METER.public), f"signature: expected the key .* over the window of day {DAY}"),
        (account(windows=changed_log(edit(14, signature=METER.sign(1)))), "signature"),
        (account(admissible=0b11), "history: expected at least 3 complete admissible days, got 2"),
        (account(admissible=1 << 14), "admissible: expected 0 to 2.14-1"),
        (account(windows=build_log(METER, GAPS)), "history: expected at most 2 incomplete admissible days, got 3"),
        (account(0), "index: expected 1 to 2.32-1, got 0"),
        (account(1 << 32), "index"),
        (account(mask=0), "mask: expected a non-empty part"),
        (account(mask=0b1000000), "mask: expected a non-empty part of 0x3c, got 0x40"),
        (account(promise=(0,) * 23), "promise: expected 24 intervals, got 23"),
        (account(promise=(1,) + (0,) * 23), r"promise\[0\]: expected 0 outside the session's intervals"),
        (account(promise=(0, 0, 1 << 24) + (0,) * 21), r"promise\[2\]: expected -2\^24 to 2\^24-1 Wh"),
        (account(promise=(0, 0, -(1 << 24) - 1) + (0,) * 21), r"promise\[2\]: expected"),
        (account(promise=(0,) * 24, promise_salt=ORDER), "promise_salt: expected a field element"),
    ],
)
def test_errors_name_what_is_wrong(item: AccountInput, message: str) -> None:
    with pytest.raises(StatementError, match=message) as caught:
        make_statement(shared(), [item])
    assert str(caught.value).startswith(f"account {item.account}: ")


def test_a_gap_inside_the_mask_is_named() -> None:
    days = random_days(5)
    days[14][3] = None
    item = account(windows=build_log(METER, days))
    with pytest.raises(StatementError, match=f"account 5: mask: interval 3 has no valid reading on day {DAY}"):
        make_statement(shared(), [item])
    assert make_statement(shared(), [replace(item, mask=0b0100)]).accounts[0].deviations[3] is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (shared(session_mask=1 << 24 | 0b1100), "session_mask: expected 0 to 2.24-1"),
        (shared(session=1 << 64), "session"),
        (replace(shared(), chain_id=ORDER), "chain_id"),
        (replace(shared(), deliveries=1 << 160), "deliveries"),
        (shared(day=13), "day: expected at least 14"),
    ],
)
def test_shared_words_are_checked(values: Shared, message: str) -> None:
    with pytest.raises(StatementError, match=message):
        make_statement(values, [account()])


def test_padding_repeats_the_last_account() -> None:
    items = [account(5), account(6)]
    assert padded(items, 4) == (items[0], items[1], items[1], items[1])
    assert padded(items, 2) == tuple(items)
    for size in (0, 1):
        with pytest.raises(StatementError, match=f"expected 1 to {size}, got 2"):
            padded(items, size)


def test_an_empty_statement_is_refused() -> None:
    with pytest.raises(StatementError, match="accounts"):
        make_statement(shared(), [])
    with pytest.raises(StatementError, match="windows: expected 15, got none"):
        make_statement(shared(), [account(windows=[])])
