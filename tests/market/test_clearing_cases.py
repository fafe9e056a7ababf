"""Golden cases of every mode (tests/cases/clearing): engines and checkers against results found by brute force, and the
checkers against every figure of a stored result altered."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from market_brute import plain_rows
from market_golden import CASES, expected_of, kind_of

from contracts.encoding import IntervalCertificate, ResultRow, Step
from contracts.units import Side
from market.bookfile import read_book, read_zones
from market.clearing import cooperative, pay_as_bid, uniform, zonal
from market.clearing.blocks import search
from market.clearing.blocks_check import check_blocks
from market.clearing.certificate import check_clearing
from market.clearing.checker import check_cooperative
from market.clearing.pay_as_bid_check import check_pay_as_bid
from market.clearing.zonal_check import check_zonal

PATHS = sorted(CASES.iterdir())
KINDS = {path: kind_of(path) for path in PATHS}


def of(*kinds: str) -> list[Any]:
    return [pytest.param(path, id=path.name) for path in PATHS if KINDS[path] in kinds]


def stored(path: Path) -> dict[str, Any]:
    """The stored result, after it was found once more by brute force."""
    found: dict[str, Any] = json.loads((path / "expected.json").read_text())
    assert found == expected_of(path), "the stored result is not what brute force finds"
    return found


def test_there_are_enough_cases_of_every_kind() -> None:
    kinds = Counter(KINDS.values())
    assert len(PATHS) >= 40 and set(kinds) == {"competitive", "pay-as-bid", "cooperative", "block", "zonal"}
    assert min(kinds.values()) >= 4


@pytest.mark.parametrize("path", of("competitive"))
def test_competitive(path: Path) -> None:
    file, expected = read_book(path / "orders.json"), stored(path)
    cleared = uniform.clear(file.book, file.sold)
    assert [asdict(c) for c in cleared.certificates] == expected["certificates"]
    assert plain_rows(cleared.rows) == expected["rows"]
    told = [IntervalCertificate(**c) for c in expected["certificates"]]
    rows = [row_of(row) for row in expected["rows"]]
    assert check_clearing(file.book, told, rows, file.sold).accepted, "the checker refuses what is stored"
    for j, certificate in enumerate(told[:4]):
        for changed in altered(certificate):
            wrong = [*told[:j], changed, *told[j + 1 :]]
            assert not check_clearing(file.book, wrong, rows, file.sold).accepted, changed
    for wrong_rows in altered_rows(rows):
        assert not check_clearing(file.book, told, wrong_rows, file.sold).accepted


@pytest.mark.parametrize("path", of("pay-as-bid"))
def test_pay_as_bid(path: Path) -> None:
    file, expected = read_book(path / "orders.json"), stored(path)
    cleared = pay_as_bid.clear(file.book, file.sold)
    assert [asdict(c) for c in cleared.certificates] == expected["certificates"]
    assert plain_rows(cleared.rows) == expected["rows"]
    claim = pay_as_bid.PayAsBidClearing(
        tuple(row_of(row) for row in expected["rows"]),
        tuple(IntervalCertificate(**c) for c in expected["certificates"]),
        tuple(expected["buyers"]),
        tuple(expected["sellers"]),
    )
    assert claim == cleared
    assert check_pay_as_bid(file.book, claim, file.sold).accepted
    for j, certificate in enumerate(claim.certificates):
        for changed in altered(certificate):
            wrong = (*claim.certificates[:j], changed, *claim.certificates[j + 1 :])
            assert not check_pay_as_bid(file.book, replace(claim, certificates=wrong), file.sold).accepted
        for name in ("buyers", "sellers"):
            sums = getattr(claim, name)
            off = replace(claim, **{name: (*sums[:j], sums[j] + 1, *sums[j + 1 :])})
            assert not check_pay_as_bid(file.book, off, file.sold).accepted
    for rows in altered_rows(claim.rows):
        assert not check_pay_as_bid(file.book, replace(claim, rows=tuple(rows)), file.sold).accepted


@pytest.mark.parametrize("path", of("cooperative"))
def test_cooperative(path: Path) -> None:
    file, expected = read_book(path / "orders.json"), stored(path)
    cleared = cooperative.clear(file.book, file.sold)
    assert [{"volume": c.volume, "share": c.share} for c in cleared.certificates] == expected["certificates"]
    assert [[[x.price, x.bids, x.offers] for x in levels] for levels in cleared.levels] == expected["levels"]
    assert plain_rows(cleared.rows) == expected["rows"]
    rows = [row_of(row) for row in expected["rows"]]
    claims, levels = list(cleared.certificates), list(cleared.levels)
    assert check_cooperative(file.book, claims, levels, rows, file.sold).accepted
    for j, certificate in enumerate(claims[:4]):
        for changed in altered(certificate):
            wrong = [*claims[:j], changed, *claims[j + 1 :]]
            assert not check_cooperative(file.book, wrong, levels, rows, file.sold).accepted, changed
        for i, level in enumerate(levels[j]):
            for off in altered(level):
                other = [*levels[:j], (*levels[j][:i], off, *levels[j][i + 1 :]), *levels[j + 1 :]]
                assert not check_cooperative(file.book, claims, other, rows, file.sold).accepted, off
    for wrong_rows in altered_rows(rows):
        assert not check_cooperative(file.book, claims, levels, wrong_rows, file.sold).accepted


@pytest.mark.parametrize("path", of("block"))
def test_blocks(path: Path) -> None:
    book, expected = read_book(path / "orders.json").blocks, stored(path)
    result = search(book, gap=0.0)
    verdict = check_blocks(book, result.solution)
    assert result.complete and verdict.accepted, verdict.reason
    assert verdict.welfare == result.welfare == expected["welfare"]
    assert plain_rows(verdict.rows) and [list(row.fills) for row in verdict.rows] == expected["fills"]


@pytest.mark.parametrize("path", of("zonal"))
def test_zonal(path: Path) -> None:
    file, expected = read_zones(path / "orders.json"), stored(path)
    claim = zonal.ZonalClearing(
        tuple(
            zonal.ZonalInterval(tuple(zonal.ZoneResult(**z) for z in part["zones"]), tuple(part["flows"]))
            for part in expected["intervals"]
        ),
        tuple(tuple(tuple(row) for row in expected["fills"][zone.name]) for zone in file.zones),
        expected["welfare"],
    )
    assert zonal.clear(file.zones, file.links) == claim
    assert check_zonal(file.zones, file.links, claim).accepted, "the checker refuses what is stored"
    assert not check_zonal(file.zones, file.links, replace(claim, welfare=claim.welfare + 1)).accepted
    for j, part in enumerate(claim.intervals):
        changed = []
        for z, result in enumerate(part.zones):
            changed += [replace(part, zones=(*part.zones[:z], off, *part.zones[z + 1 :])) for off in altered(result)]
        for i, flow in enumerate(part.flows):
            changed += [replace(part, flows=(*part.flows[:i], flow + by, *part.flows[i + 1 :])) for by in (-1, 1)]
        for off in changed:
            wrong = (*claim.intervals[:j], off, *claim.intervals[j + 1 :])
            assert not check_zonal(file.zones, file.links, replace(claim, intervals=wrong)).accepted, off
    for z, rows in enumerate(claim.fills):
        for i, row in enumerate(rows):
            for j, wh in enumerate(row):
                fills = (*rows[:i], (*row[:j], wh + 1, *row[j + 1 :]), *rows[i + 1 :])
                off_fills = (*claim.fills[:z], fills, *claim.fills[z + 1 :])
                assert not check_zonal(file.zones, file.links, replace(claim, fills=off_fills)).accepted


def altered(value: Any) -> Iterator[Any]:
    """A value of whole numbers with each of them, in turn, one more and one less."""
    for name, number in asdict(value).items():
        for by in (-1, 1):
            yield replace(value, **{name: number + by})


def altered_rows(rows: list[ResultRow] | tuple[ResultRow, ...]) -> Iterator[list[ResultRow]]:
    """Rows with each field of the first and the last, in turn, altered."""
    for i in {0, len(rows) - 1} if rows else set():
        row = rows[i]
        first = (row.fills[0] + 1, *row.fills[1:])
        for change in (
            {"account": row.account + 1},
            {"payer": row.payer + 1},
            {"side": Side(1 - row.side)},
            {"live": not row.live},
            {"lock": row.lock + 1},
            {"cost": row.cost + 1},
            {"fills": first},
            {"gross": tuple(1 for _ in row.fills) if row.gross is None else (row.gross[0] + 1, *row.gross[1:])},
            {"reserve": (Step((1,), (1,)),) if row.reserve is None else None},
            {"steps": row.steps + 1},
            {"reserves": not row.reserves},
        ):
            yield [*rows[:i], replace(row, **change), *rows[i + 1 :]]


def row_of(raw: dict[str, Any]) -> ResultRow:
    """A result row from JSON."""

    def numbers(name: str) -> tuple[int, ...] | None:
        return None if raw[name] is None else tuple(raw[name])

    reserve = raw["reserve"]
    steps = None if reserve is None else tuple(Step(tuple(s["quantities"]), tuple(s["limits"])) for s in reserve)
    return ResultRow(
        **{**raw, "side": Side(raw["side"]), "fills": numbers("fills"), "gross": numbers("gross"), "reserve": steps}
    )


def test_conventions_written_by_hand() -> None:
    def certificate(name: str) -> dict[str, int]:
        found: dict[str, int] = json.loads((CASES / name / "expected.json").read_text())["certificates"][0]
        return found

    top = (1 << 32) - 1
    assert certificate("no_bids") == {"lo": 0, "hi": 90_000, "volume": 0, "rest_bids": 0, "rest_offers": 0}
    assert certificate("no_offers") == {"lo": 110_000, "hi": top, "volume": 0, "rest_bids": 0, "rest_offers": 0}
    assert certificate("empty_log") == {"lo": 0, "hi": top, "volume": 0, "rest_bids": 0, "rest_offers": 0}
    assert certificate("exact_match_range") == {
        "lo": 80_000,
        "hi": 120_001,
        "volume": 500,
        "rest_bids": 500,
        "rest_offers": 500,
    }


def test_zonal_results_written_by_hand() -> None:
    """North sells 5 Wh at 10 and 4 at 30, and buys 3 at 60; south buys 4 at 90 and 3 at 70, and sells 4 at 80."""

    def told(name: str) -> Any:
        return json.loads((CASES / name / "expected.json").read_text())

    full = told("zonal_congested")
    north, south = full["intervals"][0]["zones"]
    assert full["intervals"][0]["flows"] == [3] and (north["bids"], north["offers"]) == (3, 6)
    assert (north["lo"], north["hi"]) == (30, 30) and (south["lo"], south["hi"]) == (80, 80)
    assert full["welfare"] == 3 * 60 + 4 * 90 - 5 * 10 - 1 * 30 - 1 * 80
    free = told("zonal_unlimited")["intervals"][0]["zones"]
    assert {(z["lo"], z["hi"]) for z in free} == {(60, 60)} and sum(z["bids"] for z in free) == 9
    closed = told("zonal_closed")["intervals"][0]["zones"]
    assert [(z["lo"], z["hi"]) for z in closed] == [(10, 10), (80, 90)]
