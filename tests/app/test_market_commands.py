"""`wattproof market`: what auditors and planners read, and how a bad file is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from machine import ROOT
from typer.testing import CliRunner

from app.cli import app as commands

CASES = ROOT / "tests" / "cases" / "clearing"


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(commands, ["market", *map(str, arguments)])
    assert done.exit_code == 0, done.output or done.exception
    return str(done.output)


def told(*arguments: str | Path) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_clear_tells_what_the_golden_case_expects(tmp_path: Path) -> None:
    case = CASES / "tie_at_margin_bids"
    plot = tmp_path / "curves.svg"
    found = told("clear", case / "orders.json", "--plot", plot)
    expected = json.loads((case / "expected.json").read_text())
    assert found["mode"] == "competitive" and found["settled_on_chain"] and found["gap"] == 0
    assert found["volume"] == expected["certificates"][0]["volume"] == 1_500
    assert [(i["lo"], i["hi"]) for i in found["intervals"]] == [(100_000, 100_000)]
    assert [share["fills"] for share in found["shares"]] == [row["fills"] for row in expected["rows"]]
    assert [share["money"] for share in found["shares"]] == [60_000, 60_000, 30_000, 150_000]
    assert "<svg" in plot.read_text()
    assert "1.500" in run("clear", case / "orders.json")


def test_the_file_says_the_mode_unless_it_is_asked_for() -> None:
    case = CASES / "pay_as_bid_tie" / "orders.json"
    assert told("clear", case)["mode"] == "pay-as-bid" and not told("clear", case)["settled_on_chain"]
    assert told("clear", case, "--mode", "cooperative")["mode"] == "cooperative"


def test_compare_shows_all_modes_side_by_side() -> None:
    found = told("compare", CASES / "both_sides_one_account" / "orders.json")
    assert list(found) == ["competitive", "pay-as-bid", "cooperative", "block"]
    assert "log[1].side" in found["cooperative"]["refused"]
    assert found["pay-as-bid"]["paid"] > found["competitive"]["paid"]
    text = run("compare", CASES / "both_sides_one_account" / "orders.json")
    assert "cooperative: this log could not have been" in text


def test_zonal_tells_prices_flows_and_that_no_contract_settles_it() -> None:
    case = CASES / "zonal_congested"
    found = told("zonal", case / "orders.json")
    expected = json.loads((case / "expected.json").read_text())
    assert not found["settled_on_chain"] and found["welfare"] == expected["welfare"]
    assert found["fills"] == expected["fills"] and found["intervals"][0]["flows"] == [3]
    assert found["rent"] == 3 * (80 - 30) and found["intervals"][0]["zones"]["south"]["price"] == 80
    assert "north > south" in run("zonal", case / "orders.json")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "file: expected JSON"),
        ('{"intervals": [1], "price_cap": 1, "min_quantity": 0, "collateral_ppm": 0, "log": [{"account": NaN}]}', "log[0]"),
    ],
)
def test_a_bad_file_is_refused_in_a_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "orders.json"
    path.write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "market", "clear", str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
