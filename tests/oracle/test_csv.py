"""CSV files of readings: taken whole or refused with row and column."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oracle.ingest.csv import MAX_ERRORS, CsvError, Duplicate, Gap, parse_csv

HEAD = "meter,interval_start,import_wh,export_wh"


def parse(*rows: str, head: str = HEAD, offset: int = 3600, minutes: int = 60):  # type: ignore[no-untyped-def]
    return parse_csv([head, *rows], offset=offset, interval_minutes=minutes)


def test_rows_become_days_of_the_zone() -> None:
    found = parse("b,2026-01-05T00:00:00+01:00,400,0", "a,2026-01-04T23:00:00Z,0,250", "a,2026-01-05T02:00:00+01:00,7,0")
    day = 20_458
    assert [(item.meter, item.day) for item in found.days] == [("a", day), ("b", day)]
    assert found.days[0].net[:4] == (-250, None, 7, None)
    assert found.days[1].net[0] == 400
    assert found.days[0].load is None
    assert found.rows == 3
    assert found.gaps == (Gap("a", day, 1, 1),)


def test_net_load_and_production() -> None:
    found = parse("x,2026-01-05T00:15:00+01:00,-300,800", head="\ufeffaccount,interval_start,net_load_wh,pv_wh", minutes=15)
    (day,) = found.days
    assert (day.net[1], day.load and day.load[1], day.pv and day.pv[1]) == (-300, 500, 800)
    assert day.pv is not None
    assert day.pv[0] is None


def test_the_same_row_twice_is_reported_once() -> None:
    row = "a,2026-01-05T05:00:00+01:00,7,0"
    found = parse(row, row)
    assert found.duplicates == (Duplicate(3, "a", 20_458, 5),)
    assert found.rows == 2


@pytest.mark.parametrize(
    ("row", "column", "expected"),
    [
        ("a,2026-01-05T05:00:00,1,0", "interval_start", "an offset"),
        ("a,yesterday,1,0", "interval_start", "ISO 8601"),
        ("a,2026-01-05T05:30:00Z,1,0", "interval_start", "60-minute"),
        ("a,2026-01-05T05:00:00.5Z,1,0", "interval_start", "60-minute"),
        ("a,1960-01-05T05:00:00Z,1,0", "interval_start", "1970"),
        ("a,2026-01-05T05:00:00Z,,0", "import_wh", "whole number"),
        ("a,2026-01-05T05:00:00Z,1.5,0", "import_wh", "whole number"),
        ("a,2026-01-05T05:00:00Z,1_0,0", "import_wh", "whole number"),
        ("a,2026-01-05T05:00:00Z,-1,0", "import_wh", "from 0"),
        ("a,2026-01-05T05:00:00Z,0,8388608", "export_wh", "8388607"),
        (" ,2026-01-05T05:00:00Z,1,0", "meter", "a name"),
        ("a,2026-01-05T05:00:00Z,1", "(row)", "4 cells"),
    ],
)
def test_a_broken_row_is_named_and_nothing_is_returned(row: str, column: str, expected: str) -> None:
    with pytest.raises(CsvError) as caught:
        parse("a,2026-01-05T04:00:00Z,1,0", row)
    (error,) = caught.value.errors
    assert (error.row, error.column) == (3, column)
    assert expected in error.expected
    assert "row 3" in str(caught.value)


def test_two_values_for_one_interval_are_an_error() -> None:
    with pytest.raises(CsvError) as caught:
        parse("a,2026-01-05T05:00:00Z,1,0", "a,2026-01-05T06:00:00+01:00,2,0")
    assert caught.value.errors[0].row == 3
    assert "row 2 has another" in caught.value.errors[0].expected


def test_all_broken_rows_are_named_up_to_a_limit() -> None:
    with pytest.raises(CsvError) as caught:
        parse(*["a,x,1,0"] * 3)
    assert [error.row for error in caught.value.errors] == [2, 3, 4]
    with pytest.raises(CsvError) as caught:
        parse(*["a,x,1,0"] * 500)
    assert len(caught.value.errors) == MAX_ERRORS


@pytest.mark.parametrize(
    "head",
    [
        "",
        "meter,interval_start",
        "interval_start,net_load_wh",
        "meter,account,interval_start,net_load_wh",
        "meter,interval_start,net_load_wh,import_wh,export_wh",
        "meter,interval_start,import_wh",
        "meter,interval_start,net_load_wh,colour",
        "meter,meter,interval_start,net_load_wh",
    ],
)
def test_a_header_of_another_layout_is_refused(head: str) -> None:
    with pytest.raises(CsvError) as caught:
        parse("a,2026-01-05T05:00:00Z,1,0", head=head)
    assert caught.value.errors[0].row == 1


def test_quotes_that_do_not_close_are_an_error() -> None:
    with pytest.raises(CsvError, match="comma-separated"):
        parse('a,"2026-01-05T05:00:00Z,1,0')


def test_what_is_wrong_with_a_header_is_said() -> None:
    for head, column, expected, got in (
        ("meter,interval_start,net_load_wh,colour", "colour", "one of the columns meter, account,", "colour"),
        ("meter,meter,interval_start,net_load_wh", "meter", "this column once", "it 2 times"),
        ("meter,interval_start", "net_load_wh", "one column net_load_wh or import_wh", "meter,interval_start"),
    ):
        with pytest.raises(CsvError) as caught:
            parse(head=head)
        (error,) = caught.value.errors
        assert (error.row, error.column, error.got) == (1, column, got)
        assert error.expected.startswith(expected)


def test_a_cell_that_is_too_long_is_called_so() -> None:
    with pytest.raises(CsvError) as caught:
        parse("a" * 200_000 + ",2026-01-05T05:00:00Z,1,0")
    assert str(caught.value) == "row 2, column (row): expected cells of at most 131072 characters, got 'a longer one'"


def test_rows_of_unknown_meters_and_of_intervals_to_come_are_broken() -> None:
    until = 1_767_589_200  # 2026-01-05T05:00:00Z
    rows = ["7,2026-01-05T04:00:00Z,1", "07,2026-01-05T04:00:00Z,2", "\u0667,2026-01-05T04:00:00Z,3"]
    rows += ["9" * 5000 + ",2026-01-05T04:00:00Z,4", "7,2026-01-05T05:00:00Z,5", "7,9999-12-31T23:00:00Z,6"]
    lines = ["account,interval_start,net_load_wh", *rows]
    with pytest.raises(CsvError) as caught:
        parse_csv(lines, offset=3600, interval_minutes=60, meters={"7"}, until=until)
    found = [(error.row, error.column) for error in caught.value.errors]
    assert found == [(3, "account"), (4, "account"), (5, "account"), (6, "interval_start"), (7, "interval_start")]
    assert caught.value.errors[0].expected == "a registered account in its own spelling"
    assert caught.value.errors[3].expected == "an interval that ends by 2026-01-05T05:00:00+00:00"
    good = parse_csv(lines[:2], offset=3600, interval_minutes=60, meters={"7"}, until=until)
    assert good.row_of("7", 20_458, 5) == 2


def test_contradictions_are_named_up_to_the_same_limit() -> None:
    with pytest.raises(CsvError) as caught:
        parse(*[f"a,2026-01-05T05:00:00Z,{wh},0" for wh in range(500)])
    assert len(caught.value.errors) == MAX_ERRORS


@given(
    st.dictionaries(st.tuples(st.integers(20_000, 20_002), st.integers(0, 95)), st.integers(-8_388_607, 8_388_607), min_size=1)
)
def test_what_is_written_is_read(values: dict[tuple[int, int], int]) -> None:
    from datetime import UTC, datetime

    rows = [
        f"m,{datetime.fromtimestamp(day * 86400 + 3600 * 8 + t * 900, UTC).isoformat()},{value}"
        for (day, t), value in values.items()
    ]
    found = parse_csv(["meter,interval_start,net_load_wh", *rows], offset=-8 * 3600, interval_minutes=15)
    read = {(item.day, t): value for item in found.days for t, value in enumerate(item.net) if value is not None}
    assert read == values
    span = max(day * 96 + t for day, t in values) - min(day * 96 + t for day, t in values) + 1
    assert sum(gap.intervals for gap in found.gaps) == span - len(values)
