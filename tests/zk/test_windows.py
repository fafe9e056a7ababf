"""The meter's log: packing, heads, the chain, and what it refuses."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zk_cases import DAY, METER, OTHER_METER, build_log, random_days

from zk.eddsa import SUBGROUP_ORDER
from zk.field import ORDER
from zk.poseidon import poseidon
from zk.windows import (
    READING_OFFSET,
    Window,
    WindowError,
    check_chain,
    check_head,
    check_window,
    close_window,
    contradictions,
    pack_readings,
    pack_slots,
    start_log,
    unpack_slots,
    window_head,
)

READING = st.integers(1 - READING_OFFSET, READING_OFFSET - 1)
DAYS = st.sampled_from((24, 48, 96)).flatmap(lambda n: st.lists(st.none() | READING, min_size=n, max_size=n))


@given(DAYS)
def test_packing_is_invertible(readings: list[int | None]) -> None:
    slots = unpack_slots(pack_readings(readings), 28, len(readings))
    # Slot 0 stands for "no reading": no valid reading is packed as 0.
    assert [slot - READING_OFFSET if slot else None for slot in slots] == readings


def test_head_is_the_protocols_formula() -> None:
    readings: list[int | None] = [t - 3 for t in range(24)]
    readings[5] = None
    packed = [0, 0, 0]
    for t, reading in enumerate(readings):
        packed[t // 9] += (0 if reading is None else reading + 2**23) * 2 ** (28 * (t % 9))
    validity = 2**24 - 1 - 2**5
    assert window_head(DAY, readings, 99, 42, final=True) == poseidon((42, 5 + 8 * DAY + 2**40 * validity, 99, *packed))
    assert window_head(DAY, readings, 99, 42, final=False) == poseidon((42, 6 + 8 * DAY + 2**40 * validity, 99, *packed))


@settings(max_examples=20, deadline=None)
@given(DAYS, st.integers(0, 95), READING)
def test_any_change_changes_the_head(readings: list[int | None], at: int, value: int) -> None:
    changed = list(readings)
    changed[at % len(readings)] = value
    same = changed == readings
    assert (window_head(DAY, changed, 1, 2, True) == window_head(DAY, readings, 1, 2, True)) is same


@pytest.mark.parametrize("reading", [READING_OFFSET, -READING_OFFSET, 10**9])
def test_a_reading_out_of_range_is_named(reading: int) -> None:
    readings: list[int | None] = [0] * 24
    readings[17] = reading
    with pytest.raises(WindowError, match=rf"readings\[17\].*got {reading}"):
        close_window(METER, DAY, readings, 0)


@pytest.mark.parametrize("count", [0, 23, 25, 97])
def test_number_of_intervals(count: int) -> None:
    with pytest.raises(WindowError, match=f"got {count}"):
        close_window(METER, DAY, [0] * count, 0)


def test_slots_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"values\[1\]"):
        pack_slots([1, 1 << 26], 26)
    with pytest.raises(ValueError, match="nothing else"):
        unpack_slots([1 << 28 * 2], 28, 2)
    with pytest.raises(ValueError, match="nothing else"):
        unpack_slots([1, 1], 28, 2)


def test_a_closed_window_verifies_and_a_changed_one_does_not() -> None:
    window = close_window(METER, DAY, [1, None, 3] * 8, 7)
    check_window(window, METER.public)
    assert not window.complete
    assert window.validity == sum(1 << t for t in range(24) if t % 3 != 1)
    with pytest.raises(WindowError, match=r"^signature: expected the key"):
        check_window(window, OTHER_METER.public)
    for changed in (
        replace(window, day=DAY + 1),
        replace(window, readings=(2, *window.readings[1:])),
        replace(window, readings=(1, 0, *window.readings[2:])),
        replace(window, salt=window.salt ^ 1),
        replace(window, previous=8),
        replace(window, final=False),
        replace(window, head=window.head ^ 1),
    ):
        with pytest.raises(WindowError, match="head"):
            check_head(changed)


def test_closing_again_is_harmless_and_other_contents_have_another_salt() -> None:
    """A log put back to an earlier state and closed again with the same readings is no fork."""
    window = close_window(METER, DAY, [0, None] * 12, 7)
    assert close_window(METER, DAY, [0, None] * 12, 7) == window
    others = (
        close_window(METER, DAY, [1, None] + [0, None] * 11, 7),
        close_window(METER, DAY, [None, None] + [0, None] * 11, 7),
        close_window(METER, DAY, [1 - READING_OFFSET, None] + [0, None] * 11, 7),
        close_window(METER, DAY, [0, None] * 24, 7),
        close_window(METER, DAY, [0, None] * 12, 8),
        close_window(METER, DAY + 1, [0, None] * 12, 7),
        close_window(METER, DAY, [0, None] * 12, 7, final=False),
        close_window(OTHER_METER, DAY, [0, None] * 12, 7),
    )
    salts = {other.salt for other in (window, *others)}
    assert len(salts) == 1 + len(others)
    assert all(0 <= salt < ORDER for salt in salts)
    heads = {other.head for other in (window, *others)} | {other.signature.s for other in (window, *others)}
    assert not salts & heads


@settings(max_examples=20, deadline=None)
@given(DAYS, st.integers(0, 95), st.none() | READING)
def test_contents_decide_the_salt(readings: list[int | None], at: int, value: int | None) -> None:
    changed = list(readings)
    changed[at % len(readings)] = value
    same = changed == readings
    assert (close_window(METER, DAY, changed, 7).salt == close_window(METER, DAY, readings, 7).salt) is same


def test_salts_are_not_to_be_told_from_chance() -> None:
    """Every bit of 400 salts that differ in one reading is set about half the time: 5 sigma around the mean."""
    salts = [close_window(METER, DAY, [wh] + [0] * 23, 7).salt for wh in range(400)]
    for bit in range(250):
        assert 150 < sum(salt >> bit & 1 for salt in salts) < 250, bit


def test_a_new_key_starts_with_14_empty_days() -> None:
    log = start_log(METER, DAY, 48)
    assert [window.day for window in log] == list(range(DAY - 14, DAY))
    assert log[0].previous == 0
    assert all(window.validity == 0 and window.final for window in log)
    check_chain(log)
    for window in log:
        check_window(window, METER.public)


def test_chain() -> None:
    log = build_log(METER, random_days(3, count=4))
    check_chain(log)
    with pytest.raises(WindowError, match=f"day {DAY - 2}"):
        check_chain([log[0], *log[2:]])
    with pytest.raises(WindowError, match=r"^previous: expected the head of day"):
        check_chain([*log[:3], replace(log[3], previous=1)])
    with pytest.raises(WindowError, match="provisional"):
        check_chain([*log[:2], replace(log[2], final=False), log[3]])


def test_record_keeps_everything() -> None:
    window = close_window(METER, DAY, [1, None, -3] * 8, 7, final=False)
    assert Window.from_record(json.loads(json.dumps(window.to_record()))) == window


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("final", "false"), ("final", 0), ("final", None),
        ("day", 20_000.5), ("day", "20000"), ("day", True), ("day", None), ("day", float("inf")),
        ("readings", [1.9] + [0] * 23), ("readings", ["1"] + [0] * 23), ("readings", [False] * 24), ("readings", "0" * 24),
        ("salt", 1.0), ("salt", " 1"), ("salt", "1_0"), ("salt", "-1"), ("salt", ""), ("salt", "9" * 5000), ("salt", "\u0661"),
        ("salt", True), ("previous", None), ("head", "0x1"),
        ("signature", ["1", "2"]), ("signature", ["1", "2", "3", "4"]), ("signature", "123"), ("signature", [1.0, "2", "3"]),
        ("day", -1), ("day", 1 << 32), ("day", 1 << 70), ("readings", [READING_OFFSET] + [0] * 23),
        ("readings", [-READING_OFFSET] + [0] * 23), ("readings", [0] * 23), ("readings", []), ("salt", str(ORDER)),
        ("salt", "01"), ("previous", "9" * 77), ("head", str(ORDER)), ("signature", ["0", str(ORDER), "0"]),
        ("signature", ["0", "0", str(SUBGROUP_ORDER)]), ("colour", 1),
    ],
)  # fmt: skip
def test_a_record_is_read_strictly(name: str, value: object) -> None:
    record = close_window(METER, DAY, [1, None, -3] * 8, 7).to_record()
    with pytest.raises(WindowError, match=f"^{name}.*: expected .*, got ") as caught:
        Window.from_record({**record, name: value})
    assert caught.value.field.startswith(name)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", close_window(METER, DAY, [0] * 24, 7).to_record())
def test_a_missing_field_is_named(name: str) -> None:
    record = close_window(METER, DAY, [0] * 24, 7).to_record()
    del record[name]
    with pytest.raises(WindowError, match=f"^{name}: expected a value, got nothing$"):
        Window.from_record(record)


def test_a_record_may_hold_every_value_of_its_range() -> None:
    most, least = READING_OFFSET - 1, 1 - READING_OFFSET
    top = str(ORDER - 1)
    signature = [top, top, str(SUBGROUP_ORDER - 1)]
    record = {"day": (1 << 32) - 1, "readings": [most, least, None] * 8, "final": True, "signature": signature}
    record |= {"salt": top, "previous": top, "head": top}
    assert Window.from_record(record).to_record() == record
    zero = {**record, "day": 0, "salt": "0", "previous": "0", "head": "0", "signature": ["0", "0", "0"]}
    assert Window.from_record(zero).to_record() == zero


def test_a_refused_secret_is_not_repeated_nor_a_number_that_python_does_not_print() -> None:
    record = close_window(METER, DAY, [0] * 24, 7).to_record()
    with pytest.raises(WindowError, match=r"day: .* got an integer of 16610 bits"):
        Window.from_record({**record, "day": 10**5000})
    with pytest.raises(WindowError) as caught:
        Window.from_record({**record, "salt": "12345678" + "x"})
    assert "12345678" not in str(caught.value)


def test_an_error_survives_the_way_between_processes() -> None:
    error = WindowError("day", "0 to 9", 12)
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "day: expected 0 to 9, got 12"


def test_a_window_does_not_print_readings() -> None:
    window = close_window(METER, DAY, [1234567] * 24, 7, salt=7654321)
    assert "1234567" not in repr(window)
    assert "7654321" not in repr(window)


def test_fork_evidence() -> None:
    early = close_window(METER, DAY, [1, 2, None] + [None] * 21, 7, final=False)
    late = close_window(METER, DAY, [1, None, 3] + [4] * 21, 7)
    assert contradictions(early, late) == ()
    forked = close_window(METER, DAY, [1, 5, 3] + [4] * 21, 7)
    assert contradictions(early, forked) == (1,)
    with pytest.raises(WindowError, match="one day"):
        contradictions(early, close_window(METER, DAY + 1, [0] * 24, 7))
