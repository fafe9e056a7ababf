"""Others' clearing on the same books, measured in the same run: each in an environment of its own (`make peers`), because their
pins and ours exclude each other. Where one is not installed, nothing is said about it but that."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venv-peers"

WAYS = {
    "ASSUME 0.6.0 pay-as-clear": ("assume", "pay-as-clear"),
    "ASSUME 0.6.0 pay-as-bid": ("assume", "pay-as-bid"),
    "pymarket 0.7.6 huang": ("pymarket", "huang"),
}
"""The ways of others that come nearest to ours, by name: environment, and what its script calls it."""

Levels = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Best of the runs in milliseconds and welfare (quantity times price), or why there is none."""

    ms: float = 0.0
    welfare: float = 0.0
    missing: str = ""


def clear(name: str, bids: Levels, offers: Levels, runs: int, seconds: float) -> Measured:
    """One book of (limit, quantity), cleared by the way `name` in a process of its own, for `seconds` at most."""
    environment, way = WAYS[name]
    python = ENVIRONMENTS / environment / "bin" / "python"
    if not python.exists():
        return Measured(missing="not installed (make peers)")
    asked = json.dumps({"bids": bids, "offers": offers, "way": way, "runs": runs})
    try:
        with tempfile.TemporaryDirectory() as folder:  # some write a log where they are
            done = subprocess.run(
                [python, HERE / f"{environment}_clear.py"],
                input=asked,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=True,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": "", "PYTHONWARNINGS": "ignore", "MPLBACKEND": "agg"},
            )
    except subprocess.TimeoutExpired:
        return Measured(missing=f"not done after {seconds:g} s")
    except subprocess.CalledProcessError as error:
        return Measured(missing=f"failed: {error.stderr.strip().splitlines()[-1][:120] if error.stderr.strip() else error}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Measured(told["ms"], told["welfare"])
