"""Order books from files: the golden cases are read as they were meant, and everything hostile is refused with its field."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_brute import terms_for
from market_golden import CASES, kind_of

from contracts.units import Mode, Side
from market.bookfile import read_book, read_zones, written
from market.clearing.compare import MODES, compare, outcome
from market.errors import FieldError, OrderError
from market.fields import MAX_BYTES
from market.orders import OrderBook

GOOD: dict[str, Any] = {
    "intervals": [18, 19],
    "price_cap": 300_000,
    "min_quantity": 100,
    "collateral_ppm": 500_000,
    "log": [
        {"account": 1, "side": "bid", "steps": [[[500, 120_000], [0, 0]]]},
        {"account": 2, "side": "offer", "steps": [[[500, 80_000], [100, 5]]], "reserve": True},
    ],
}
ZONES: dict[str, Any] = {
    **{name: GOOD[name] for name in GOOD if name != "log"},
    "zones": [{"name": "a", "log": GOOD["log"]}, {"name": "b", "log": []}],
    "links": [{"from": "a", "to": "b", "forward": 5, "backward": [None, 0]}],
}


def put(raw: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with the value at a path; an absent one is removed."""
    changed = copy.deepcopy(raw)
    at = changed
    for key in path[:-1]:
        at = at[key]
    if value is ABSENT:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return changed


ABSENT = object()
Q = ("log", 0, "steps", 0, 0, 0)
P = ("log", 0, "steps", 0, 0, 1)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "orders.json"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("intervals",), ABSENT, "intervals"),
        (("intervals",), [], "intervals"),
        (("intervals",), list(range(25)), "intervals"),
        (("intervals",), [19, 18], "intervals"),
        (("intervals",), [18, 18], "intervals"),
        (("intervals",), [18, 24], "intervals[1]"),
        (("intervals",), "18", "intervals"),
        (("minutes",), 20, "minutes"),
        (("minutes",), 7, "minutes"),
        (("minutes",), True, "minutes"),
        (("price_cap",), -1, "price_cap"),
        (("price_cap",), 1 << 32, "price_cap"),
        (("price_cap",), 10**500, "price_cap"),
        (("price_cap",), None, "price_cap"),
        (("min_quantity",), 1.0, "min_quantity"),
        (("collateral_ppm",), "1", "collateral_ppm"),
        (("mode",), "request", "mode"),
        (("mode",), 0, "mode"),
        (("kind",), "nuclear", "kind"),
        (("log",), {}, "log"),
        (("log", 1), [], "log[1]"),
        (("logg",), [], "logg"),
        (("log", 0, "note"), "x", "log[0].note"),
        (("log", 0, "account"), 0, "log[0].account"),
        (("log", 0, "account"), ABSENT, "log[0].account"),
        (("log", 0, "side"), "buy", "log[0].side"),
        (("log", 0, "steps"), [], "log[0].steps"),
        (("log", 0, "steps"), GOOD["log"][0]["steps"] * 5, "log[0].steps"),
        (("log", 0, "steps", 0), [[500, 1]], "log[0].steps[0]"),
        (("log", 0, "steps", 0), [[500, 1]] * 3, "log[0].steps[0]"),
        (("log", 0, "steps", 0, 0), [500, 1, 1], "log[0].steps[0][0]"),
        (Q, -1, "log[0].steps[0].quantities[0]"),
        (Q, 1 << 24, "log[0].steps[0].quantities[0]"),
        (Q, 1.5, "log[0].steps[0].quantities[0]"),
        (Q, float("nan"), "log[0].steps[0].quantities[0]"),
        (P, float("inf"), "log[0].steps[0].limits[0]"),
        (P, 1e300, "log[0].steps[0].limits[0]"),
        (P, False, "log[0].steps[0].limits[0]"),
        (P, 300_001, "log[0].steps[0].limits[0]"),
        (Q, 99, "log[0].steps[0].quantities[0]"),
        (Q, 0, "log[0].steps[0].limits[0]"),
        (("log", 0, "reserve"), True, "log[0].reserve"),
        (("log", 0, "reserve"), 1, "log[0].reserve"),
        (("log", 0, "agent"), 1, "log[0].agent"),
        (("log", 0, "agent_pays"), True, "log[0].agent_pays"),
        (("log", 0, "min_fill_ppm"), 1, "log[0].min_fill_ppm"),
        (("log", 0, "parent"), [2, "offer"], "log[0].parent"),
        (("log", 0, "parent"), 2, "log[0].parent"),
        (("sold",), {"x": [18]}, "sold.x"),
        (("sold",), {"01": [18]}, "sold.01"),
        (("sold",), {"4294967296": [18]}, "sold.4294967296"),
        (("sold",), {"2": [24]}, "sold.2[0]"),
        (("excluded",), [[1]], "excluded[0]"),
        (("excluded",), [[1, "both"]], "excluded[0][1]"),
    ],
)
def test_what_is_not_an_order_book_is_refused_by_field(tmp_path: Path, path: Any, value: Any, field: str) -> None:
    with pytest.raises(FieldError) as caught:
        read_book(write(tmp_path, json.dumps(put(GOOD, path, value))))
    assert caught.value.field == field
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("zones",), [], "zones"),
        (("zones", 1, "name"), "a", "zones[1].name"),
        (("zones", 1, "name"), "", "zones[1].name"),
        (("zones", 1, "name"), "b\u0007", "zones[1].name"),
        (("zones", 0, "log", 0, "steps", 0, 0, 1), 300_001, "zones[0].log[0].steps[0].limits[0]"),
        (("zones", 0, "logs"), [], "zones[0].logs"),
        (("links", 0, "from"), "c", "links[0].from"),
        (("links", 0, "to"), "a", "links[0].to"),
        (("links", 0, "forward"), -1, "links[0].forward[0]"),
        (("links", 0, "forward"), 0.5, "links[0].forward[0]"),
        (("links", 0, "backward"), [1], "links[0].backward"),
        (("mode",), "cooperative", "mode"),
        (("log",), [], "log"),
        (("zones",), ABSENT, "zones"),
    ],
)
def test_what_are_no_zones_is_refused_by_field(tmp_path: Path, path: Any, value: Any, field: str) -> None:
    with pytest.raises(FieldError) as caught:
        read_zones(write(tmp_path, json.dumps(put(ZONES, path, value))))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "file"),
        ("[]", "file"),
        ("{", "file"),
        (b"\xff\xfe{}", "file"),
        ("[" * 100_000, "file"),
        ('{"price_cap": 1, "price_cap": 2}', "price_cap"),
        ('{"log": [{"account": 1, "account": 2}], "intervals": [1], "price_cap": 1, "min_quantity": 0, "collateral_ppm": 0}',
         "log[0].account"),
        ('{"price_cap": ' + "9" * 10_000 + "}", "intervals"),
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(tmp_path: Path, text: str | bytes, field: str) -> None:
    with pytest.raises(FieldError) as caught:
        read_book(write(tmp_path, text))
    assert caught.value.field == field
    assert len(str(caught.value)) < 400


def test_a_name_that_comes_twice_is_found_in_one_pass(tmp_path: Path) -> None:
    names = [f'"{n}": 0' for n in range(60_000)]
    path = write(tmp_path, "{" + ", ".join([*names, names[-1]]) + "}")
    before = time.monotonic()
    with pytest.raises(FieldError, match="59999: expected once, got twice"):
        read_book(path)
    assert time.monotonic() - before < 15  # comparing all with all takes a minute


def test_one_book_and_zones_each_name_the_command_of_the_other(tmp_path: Path) -> None:
    with pytest.raises(FieldError, match="wattproof market zonal") as caught:
        read_book(write(tmp_path, json.dumps(ZONES)))
    assert caught.value.field == "zones"
    with pytest.raises(FieldError, match="wattproof market clear") as caught:
        read_zones(write(tmp_path, json.dumps(GOOD)))
    assert caught.value.field == "log"


def test_a_file_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    with pytest.raises(FieldError, match="at most"):
        read_book(path)


def test_what_is_right_is_read(tmp_path: Path) -> None:
    more = {"sold": {"2": [19]}, "excluded": [[1, "bid"]], "why": "a test", "kind": "thermal", "minutes": 60}
    file = read_book(write(tmp_path, json.dumps({**GOOD, **more})))
    assert file.mode == "competitive" and file.book.terms.intervals == (18, 19)
    assert file.sold == {2: 1 << 19} and file.book.excluded == {(1, Side.BID)}
    assert file.book.orders[1].reserve and file.book.orders[1].steps[0].limits == (80_000, 5)
    coupled = read_zones(write(tmp_path, json.dumps(ZONES)))
    assert coupled.links[0].forward == (5, 5) and coupled.links[0].backward == (None, 0)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_mangled_file_is_read_or_refused_and_never_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    paths = [("log",), ("log", 0), ("log", 0, "steps"), ("log", 0, "steps", 0), ("log", 0, "steps", 0, 0), Q, P, ("sold",)]
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
        max_leaves=6,
    )
    raw = put(GOOD, data.draw(st.sampled_from(paths)), data.draw(junk))
    try:
        found = read_book(write(tmp_path_factory.mktemp("f"), json.dumps(raw)))
    except FieldError:
        return
    assert found.book.terms.intervals == (18, 19)


@pytest.mark.parametrize("path", sorted(CASES.iterdir()), ids=lambda path: path.name)
def test_a_book_that_is_written_is_read_as_it_was(tmp_path: Path, path: Path) -> None:
    if kind_of(path) == "zonal":
        return
    file = read_book(path / "orders.json")
    again = read_book(write(tmp_path, written(file.book, file.sold, "once more")))
    assert (again.book, again.sold) == (file.book, file.sold)


def test_a_request_is_no_book() -> None:
    terms = replace(terms_for(1), mode=Mode.REQUEST)
    with pytest.raises(FieldError, match="request"):
        written(OrderBook(terms, ()), {})


def test_every_mode_of_one_book(tmp_path: Path) -> None:
    raw = {
        **GOOD,
        "min_quantity": 1,
        "intervals": [18],
        "log": [
            {"account": 1, "side": "bid", "steps": [[[400, 120_000]]]},
            {"account": 2, "side": "bid", "steps": [[[400, 60_000]]]},
            {"account": 3, "side": "offer", "steps": [[[400, 20_000]]]},
            {"account": 4, "side": "offer", "steps": [[[400, 100_000]]]},
        ],
    }
    found = compare(read_book(write(tmp_path, json.dumps(raw))))
    assert tuple(found) == MODES
    told = {}
    for mode, o in found.items():
        assert not isinstance(o, OrderError)
        told[mode] = (o.volume, o.welfare, o.paid, o.earned, o.lowest, o.highest)
    one, own, shared, block = (told[mode] for mode in MODES)
    assert one == (400, 40_000_000, 32_000, 32_000, 80_000, 80_000)  # any price from 60,000 to 100,000: the middle
    assert own == (400, 40_000_000, 48_000, 8_000, 20_000, 120_000)
    assert shared == (800, 24_000_000, 60_000, 60_000, 35_000, 115_000)  # 24 million over 1,600 Wh: 15,000 each
    assert block[:2] == (400, 40_000_000) and block[2] == block[3]


def test_a_mode_that_would_not_have_taken_the_log_says_so(tmp_path: Path) -> None:
    raw = put(GOOD, ("log", 1, "account"), 1)
    file = read_book(write(tmp_path, json.dumps(raw)))
    found = compare(file)
    assert isinstance(found["cooperative"], OrderError) and found["cooperative"].field == "log[1].side"
    assert isinstance(found["block"], OrderError) and found["block"].field == "log[1].reserve"
    with pytest.raises(OrderError, match="mode"):
        outcome(file, "auction")
    assert file.in_mode(Mode.COMPETITIVE).book.orders == file.book.orders
