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
from app.commands.market import _print_totals
from app.errors import Refused
from market.clearing.compare import Outcome

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


def test_a_gap_of_blocks_is_said_with_what_it_means() -> None:
    none = CASES / "k24" / "orders.json"
    found = told("clear", none, "--mode", "block")
    assert (found["volume"], found["gap"], found["ideal_gap"], found["complete"]) == (0, 1, 0, True)
    assert "came to its end: no shares of these orders" in run("clear", none, "--mode", "block")
    some = run("compare", CASES / "coop_more_than_uniform" / "orders.json")
    assert "before rounding to whole Wh at most 0.00 % may be missing" in some
    exact = run("clear", CASES / "block_all_or_nothing" / "orders.json")
    assert "block: the search came to its end\n" in exact


def test_a_search_that_time_ended_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    _print_totals({"block": Outcome("block", (), (), 0, gap=1.0, ideal_gap=1.0, complete=False)})
    assert "block: time ran out" in capsys.readouterr().out


def test_welfare_of_a_few_wh_is_not_rounded_away() -> None:
    # 190 Wh times micro-euro per kWh are 190e-9 EUR
    assert "welfare 0.000000190 EUR" in run("zonal", CASES / "zonal_unlinked" / "orders.json")
    assert "0.000000400" in run("clear", CASES / "coop_more_than_uniform" / "orders.json", "--mode", "competitive")


def test_a_plot_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    plot = tmp_path / "none" / "x.svg"
    done = CliRunner().invoke(commands, ["market", "clear", str(CASES / "k1_half_hour" / "orders.json"), "--plot", str(plot)])
    assert isinstance(done.exception, Refused)
    (wrong,) = done.exception.errors
    assert wrong.field == "--plot" and str(plot) in wrong.got and wrong.expected


@pytest.mark.parametrize("command", [["replay", "1"], ["market", "export", "1"]])
def test_without_a_market_the_way_to_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    monkeypatch.setenv("WATTPROOF_DATA_DIR", str(tmp_path))
    done = CliRunner().invoke(commands, command)
    assert isinstance(done.exception, Refused)
    (wrong,) = done.exception.errors
    assert wrong.field == "deployment" and str(tmp_path / "deployment.json") in wrong.got
    assert all(way in wrong.expected for way in ("wattproof serve", "--deployment", "--rpc"))


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
