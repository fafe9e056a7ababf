"""Readings from CSV files in the product's own layout.

Columns, in any order: `meter` (or `account`), `interval_start` (ISO 8601 with Z or an offset), and either `net_load_wh` or both
of `import_wh` and `export_wh`; optionally `pv_wh`, the home's production. All numbers are whole Wh per interval.

    meter,interval_start,import_wh,export_wh
    home-01,2017-03-01T00:00:00-08:00,412,0

A file is taken whole or not at all: every row is parsed before any is returned, and each broken one is named by row and column.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from oracle.readings import MAX_READING, DayReadings, Wh

MAX_ERRORS = 50
"""Errors after which a file is not read further."""

_METER = ("meter", "account")
_VALUES = ("net_load_wh", "import_wh", "export_wh", "pv_wh")
_WHOLE = re.compile(r"-?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong in one row. `row` is the line of the file (the header is line 1)."""

    row: int
    column: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"row {self.row}, column {self.column}: expected {self.expected}, got {self.got!r}"


class CsvError(ValueError):
    """A file that was refused whole; `errors` names rows and columns."""

    def __init__(self, errors: Sequence[RowError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row that says again, with the same values, what an earlier row said."""

    row: int
    meter: str
    day: int
    interval: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing intervals between a meter's first and last reading: from (day, interval) on, `intervals` of them."""

    meter: str
    day: int
    interval: int
    intervals: int


@dataclass(frozen=True, slots=True)
class CsvReadings:
    """What a file held: whole days with None in the gaps, the number of data rows, duplicates and gaps."""

    days: tuple[DayReadings, ...]
    rows: int
    duplicates: tuple[Duplicate, ...]
    gaps: tuple[Gap, ...]
    _slots: _Slots = field(repr=False)

    def row_of(self, meter: str, day: int, interval: int) -> int:
        """The row that has a reading."""
        return self._slots[meter][day * len(self.days[0].net) + interval].row


@dataclass(frozen=True, slots=True)
class _Value:
    row: int
    net: int
    pv: int | None


_Slots = dict[str, dict[int, _Value]]


def parse_csv(
    lines: Iterable[str],
    *,
    offset: int,
    interval_minutes: int,
    meters: Container[str] | None = None,
    until: int | None = None,
) -> CsvReadings:
    """Readings from the lines of a file, for a zone with a standard-time `offset` (seconds) and `interval_minutes` 15, 30 or
    60. Where they are given, a row of none of the `meters` is broken, and one whose interval ends after `until` (Unix seconds).

    Raises `CsvError` with every broken row up to `MAX_ERRORS`; nothing is returned then.
    """
    reader = csv.reader(lines, strict=True)
    errors: list[RowError] = []
    slots: _Slots = {}
    duplicates: list[Duplicate] = []
    intervals = 1440 // interval_minutes
    rows = 0
    try:
        header = next(reader, [])
        columns = _columns(header)
        clock = _Clock(offset, interval_minutes, until)
        for cells in reader:
            if len(errors) >= MAX_ERRORS:
                break
            if not cells:
                continue
            rows += 1
            found = _row(cells, columns, len(header), reader.line_num, clock, meters)
            if isinstance(found, RowError):
                errors.append(found)
                continue
            meter, slot, value = found
            known = slots.setdefault(meter, {}).setdefault(slot, value)
            if known is value:
                continue
            if (known.net, known.pv) != (value.net, value.pv):
                start = cells[columns["interval_start"]]
                expected = f"one reading an interval, row {known.row} has another"
                errors.append(RowError(value.row, "interval_start", expected, start))
            else:
                duplicates.append(Duplicate(value.row, meter, *divmod(slot, intervals)))
    except csv.Error as error:
        long = "field limit" in str(error)
        expected = f"cells of at most {csv.field_size_limit()} characters" if long else "a line of comma-separated values"
        errors.append(RowError(reader.line_num, "(row)", expected, "a longer one" if long else str(error)))
    if errors:
        raise CsvError(errors)
    return CsvReadings(tuple(_days(slots, intervals)), rows, tuple(duplicates), tuple(_gaps(slots, intervals)), slots)


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Position of each column; raises `CsvError` unless the header is one of the layout's."""
    names = [name.removeprefix("\ufeff").strip() for name in header]
    known = (*_METER, "interval_start", *_VALUES)
    for name, times in Counter(names).items():
        if name not in known:
            raise CsvError([RowError(1, name or "(empty)", f"one of the columns {', '.join(known)}", name)])
        if times > 1:
            raise CsvError([RowError(1, name, "this column once", f"it {times} times")])
    for wanted in (_METER, ("interval_start",), ("net_load_wh", "import_wh")):
        if sum(name in wanted for name in names) != 1:
            raise CsvError([RowError(1, wanted[0], f"one column {' or '.join(wanted)}", ",".join(names))])
    if ("import_wh" in names) != ("export_wh" in names):
        raise CsvError([RowError(1, "export_wh", "import_wh and export_wh together", ",".join(names))])
    columns = {name: at for at, name in enumerate(names)}
    columns["meter"] = columns.get("meter", columns.get("account", 0))
    return columns


class _Clock:
    """Numbers the intervals of all days up to `until`: `day * T + interval`."""

    def __init__(self, offset: int, interval_minutes: int, until: int | None) -> None:
        if interval_minutes not in (15, 30, 60):
            raise ValueError(f"interval_minutes: expected 15, 30 or 60, got {interval_minutes}")
        self._offset = offset
        self._seconds = interval_minutes * 60
        self._until = until
        self._seen: dict[str, int | str] = {}

    def slot(self, text: str) -> int | str:
        """The interval that starts at `text`, or what was expected instead."""
        found = self._seen.get(text)
        if found is None:
            found = self._seen[text] = self._read(text)
        return found

    def _read(self, text: str) -> int | str:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return "an ISO 8601 time"
        if moment.tzinfo is None:
            return "a time with Z or an offset"
        # Counted from the zone's midnight, so that an interval starts on a multiple of its length in standard time.
        since = moment.timestamp() + self._offset
        if since % self._seconds:
            return f"the start of a {self._seconds // 60}-minute interval of the zone"
        if since < 0:
            return "a time after 1970"
        if self._until is not None and moment.timestamp() + self._seconds > self._until:
            return f"an interval that ends by {datetime.fromtimestamp(self._until, UTC).isoformat()}"
        return int(since) // self._seconds


def _row(
    cells: Sequence[str], columns: dict[str, int], width: int, row: int, clock: _Clock, meters: Container[str] | None
) -> tuple[str, int, _Value] | RowError:
    if len(cells) != width:
        return RowError(row, "(row)", f"{width} cells", f"{len(cells)}")
    name = "account" if "account" in columns else "meter"
    meter = cells[columns["meter"]].strip()
    if not meter:
        return RowError(row, name, "a name", "")
    if meters is not None and meter not in meters:
        return RowError(row, name, f"a registered {name} in its own spelling", meter)
    start = cells[columns["interval_start"]].strip()
    slot = clock.slot(start)
    if isinstance(slot, str):
        return RowError(row, "interval_start", slot, start)
    numbers = {}
    for column in _VALUES:
        if column not in columns:
            continue
        text = cells[columns[column]].strip()
        lowest = -MAX_READING if column == "net_load_wh" else 0
        if not _WHOLE.fullmatch(text) or not lowest <= int(text) <= MAX_READING:
            return RowError(row, column, f"a whole number of Wh from {lowest} to {MAX_READING}", text)
        numbers[column] = int(text)
    net = numbers["net_load_wh"] if "net_load_wh" in numbers else numbers["import_wh"] - numbers["export_wh"]
    pv = numbers.get("pv_wh")
    if pv is not None and not 0 <= net + pv <= MAX_READING:
        return RowError(row, "pv_wh", f"a load (net load + production) from 0 to {MAX_READING} Wh", str(pv))
    return meter, slot, _Value(row, net, pv)


def _days(slots: _Slots, intervals: int) -> Iterator[DayReadings]:
    for meter, values in sorted(slots.items()):
        for day in sorted({slot // intervals for slot in values}):
            found = [values.get(day * intervals + t) for t in range(intervals)]
            produces = any(value is not None and value.pv is not None for value in found)
            yield DayReadings(
                meter,
                day,
                _each(found, lambda value: value.net),
                _each(found, lambda value: value.net + (value.pv or 0)) if produces else None,
                _each(found, lambda value: value.pv) if produces else None,
            )


def _each(found: Sequence[_Value | None], pick: Callable[[_Value], int | None]) -> Wh:
    return tuple(None if value is None else pick(value) for value in found)


def _gaps(slots: _Slots, intervals: int) -> Iterator[Gap]:
    for meter, values in sorted(slots.items()):
        for earlier, later in pairwise(sorted(values)):
            if later > earlier + 1:
                yield Gap(meter, *divmod(earlier + 1, intervals), later - earlier - 1)
