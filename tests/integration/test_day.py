"""The whole day: as the command makes it on the chain that set-up installed, and a small one on the in-process chain."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from app.client import Api, ApiError
from app.context import build
from app.demo import scenario, wallets
from app.demo.community import HISTORY_BEFORE, Community
from app.demo.day import Narrator, hold
from app.demo.plan import start_time
from app.demo.report import Day
from app.server import running
from app.settings import Settings

pytestmark = [pytest.mark.needs("key", "node"), pytest.mark.slow]


def test_the_demonstration_as_a_newcomer_types_it(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    environment = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, "-c", "from app.cli import main; main()", "demo", "--out", str(out)]
    told = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=600, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    report = json.loads((out / "report.json").read_text())
    jsonschema.validate(report, json.loads((root / "docs" / "report.schema.json").read_text()))
    assert report["replay"] == "identical"
    assert report["settlement"]["balanced"] is True
    assert report["settlement"]["rewards"] > 0
    assert report["settlement"]["penalties"] > 0, "some homes fail on purpose"
    accounts = [account for proof in report["proofs"] for account in proof["accounts"]]
    assert len(set(accounts)) == len(accounts) >= 12
    assert len(report["proofs"]) < len(accounts), "homes share proofs"
    assert all(proof["verified"] for proof in report["proofs"])
    assert report["data"]["homes"] == 17
    assert report["seconds"]["clear"] < 60, "CBFM-11: matching within 60 s"
    html = (out / "report.html").read_text()
    penalised = set(
        re.findall(r'<tr><td>(home-\d\d)</td><td>seller</td>(?:<td class="">[^<]*</td>|<td>[^<]*</td>)*<td class="bad">', html)
    )
    on_purpose = set(re.findall(r"home-\d\d", " ".join(report["data"]["synthetic"])))
    assert penalised == on_purpose, "who falls short is named among what is synthetic, and nobody else"
    assert f"{17 * HISTORY_BEFORE * 24} readings of the last {HISTORY_BEFORE} days" in told.stdout
    assert "221 windows of the last 13 days" in told.stdout
    assert "replay: identical" in told.stdout
    assert html.count("<svg") == 4
    assert html.count(">contract</td>") == 13 and html.count(">marketplace</td>") == 1, "who refused each attack"
    loaded = re.findall(r'(?:src|href)="(?!#)([^"]+)"|url\((?!#)([^)]+)\)', html)
    assert not [a or b for a, b in loaded if not (a or b).startswith("#")], "the report loads nothing from elsewhere"
    written = html + json.dumps(report)
    for label in scenario.load().homes:
        assert bytes(wallets.owner(label).key).hex() not in written, "no key is in the report"


def test_a_small_day_on_the_in_process_chain(tmp_path: Path) -> None:
    plan = scenario.load()
    small = plan.model_copy(update={"homes": {label: plan.homes[label] for label in ("home-03", "home-09", "home-14")}})
    ctx = build(Settings(data_dir=tmp_path / "var", chain="tester", database_url=None), start_time=start_time(), persist=False)
    try:
        with running(ctx) as url, Api(url, ctx.operator_token) as api:
            community = Community(api, small, tmp_path / "gateways")
            day = Day()
            hold(ctx, api, community, day, Narrator(Console(quiet=True), day), shown=("home-03", "home-09"))
            assert day.replay == "identical"
            assert day.session["settlement"]["balanced"]
            states = {d["label"]: d["state"] for d in api.get("/sessions/1/deliveries")["items"]}
            assert states == {"home-03": "verified", "home-09": "verified", "home-14": "failed"}
            statements = {s["label"]: s for s in api.get("/sessions/1/statements")["items"]}
            assert statements["home-14"]["earned"] == 0
            assert statements["home-14"]["penalty"] > 0, "silence costs the penalty"
            assert statements["home-03"]["penalty"] == 0
            # Each attack was made; the window alone was refused by the marketplace, the others by the contracts.
            assert sorted(attempt["by"] for attempt in day.attempts) == ["contract"] * 13 + ["marketplace"]
            # Doing it all again does nothing twice.
            assert api.post("/sessions/1/settlement")["done"] == []
            assert api.post("/sessions/1/proofs")["done"] == []
            balances = {a["index"]: (a["available"], a["locked"]) for a in api.get("/accounts")["items"]}
            assert all(locked == 0 for _, locked in balances.values())
            assert sum(available for available, _ in balances.values()) + day.session["settlement"]["rounding"] == sum(
                [plan.home_deposit] * 3 + [buyer.deposit for buyer in plan.buyers]
            )
            assert api.post("/sessions/1/clearing")["done"] == []
            with pytest.raises(ApiError, match="There is no session 2"):
                api.post("/sessions/2/clearing")
    finally:
        ctx.close()
