"""Golden cases of the clearing (tests/cases/clearing): engine and checker against results found by brute force."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from market_brute import CASES, expected_of, load_case, plain_rows

from market.clearing.certificate import check_clearing
from market.clearing.uniform import clear
from market.orders import OrderBook

PATHS = sorted(CASES.iterdir())


def test_there_are_enough_cases() -> None:
    assert len(PATHS) >= 15


@pytest.mark.parametrize("path", PATHS, ids=lambda p: p.name)
def test_engine_and_checker_agree_with_the_case(path: Path) -> None:
    terms, orders, sold = load_case(path)
    expected = json.loads((path / "expected.json").read_text())
    assert expected == expected_of(path), "the stored result is not what brute force finds"
    book = OrderBook(terms, tuple(orders))
    cleared = clear(book, sold)
    assert [asdict(c) for c in cleared.certificates] == expected["certificates"]
    assert plain_rows(cleared.rows) == expected["rows"]
    verdict = check_clearing(book, cleared.certificates, cleared.rows, sold)
    assert verdict.accepted, verdict.reason


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
