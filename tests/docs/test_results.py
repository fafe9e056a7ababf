"""Recorded benchmark results: of benchmarks that there are, in their format, true of what is known without measuring again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from machine import ROOT

from bench import NAMES
from zk.keys import ensure_development_key, read_info

RESULTS = sorted((ROOT / "bench" / "results").glob("*.json"))


def recorded(name: str) -> dict[str, Any]:
    rows = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text())["rows"]
    return {row["metric"]: row for row in rows}


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_result_belongs_to_a_benchmark(path: Any) -> None:
    found = json.loads(path.read_text())
    assert found["name"] == path.stem and path.stem in NAMES
    assert set(found) == {"name", "machine", "rows"}
    metrics = [row["metric"] for row in found["rows"]]
    assert len(set(metrics)) == len(metrics) > 0
    assert all(set(row) == {"metric", "value", "unit", "target", "note", "peers"} for row in found["rows"])


@pytest.mark.needs("key")
def test_the_recorded_proofs_are_of_this_circuit() -> None:
    rows = recorded("proof")
    constraints = read_info(ensure_development_key(24, 10).info).constraints
    assert rows["constraints_account"]["value"] == round(constraints / 10, 1)
    assert rows["account_ms"]["peers"]["snarkjs"] > rows["account_ms"]["value"]
