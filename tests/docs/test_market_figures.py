"""docs/market.md quotes what `wattproof bench clearing` recorded, and says whose figures are not ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench import peers
from bench.market_figures import HEAD, section
from bench.peers import WAYS
from market.bookfile import FILE_MODES


def recorded(root: Path) -> dict[str, Any]:
    rows = json.loads((root / "bench" / "results" / "clearing.json").read_text())["rows"]
    return {row["metric"]: row for row in rows}


def test_the_document_says_what_the_command_recorded(root: Path) -> None:
    text = (root / "docs" / "market.md").read_text()
    assert text[text.index(HEAD) :] == section(), "python -m bench.market_figures"


def test_what_was_promised_is_recorded(root: Path) -> None:
    rows = recorded(root)
    assert rows["welfare_ratio_min"]["value"] == rows["deterministic"]["value"] == 1.0
    assert rows["welfare_peers_10k"]["value"] == 1.0
    assert rows["memory_growth"]["value"] <= rows["memory_growth"]["target"]


def test_the_document_names_every_mode_of_a_file(root: Path) -> None:
    text = (root / "docs" / "market.md").read_text()
    assert all(mode in text for mode in FILE_MODES)
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example and json.loads(example[1])["log"]


def test_a_peer_that_is_not_there_has_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    name = next(iter(WAYS))
    assert peers.clear(name, [(2, 1)], [(1, 1)], 1, 5.0) == peers.Measured(missing="not installed (make peers)")
    python = tmp_path / WAYS[name][0] / "bin" / "python"
    python.parent.mkdir(parents=True)
    for script, said in (
        ("echo no such module >&2; exit 1", "failed: no such module"),
        ("exec sleep 5", "not done after 0.2 s"),
    ):
        python.write_text(f"#!/bin/sh\n{script}\n")
        python.chmod(0o755)
        assert peers.clear(name, [(2, 1)], [(1, 1)], 1, 0.2 if "sleep" in script else 5.0).missing == said
