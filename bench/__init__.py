"""Measured figures, each with its target where there is one.

One module a benchmark, with a function `measure() -> list[Row]`. A result is `{name, machine, rows: [{metric, value, unit,
target, peers, note}]}`, written to bench/results/NAME.json. A figure that stands in a document comes from here.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

NAMES = ("clearing", "proof", "gas", "privacy", "surveillance")
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One figure. `peers` holds others' figures taken in the same run."""

    metric: str
    value: float
    unit: str
    target: float | None
    note: str = ""
    peers: dict[str, float] = field(default_factory=dict)


def run(name: str) -> Iterator[dict[str, Any]]:
    """Runs one benchmark or `all`, writes and yields the results."""
    wanted = NAMES if name == "all" else (name,)
    for one in wanted:
        if one not in NAMES:
            raise ValueError(f"bench: expected one of {', '.join(NAMES)} or all, got {one}")
        rows: list[Row] = import_module(f"bench.{one}").measure()
        result = {"name": one, "machine": machine(), "rows": [asdict(row) for row in rows]}
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{one}.json").write_text(json.dumps(result, indent=2) + "\n")
        yield result


def machine() -> str:
    """What the figures were taken on."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
