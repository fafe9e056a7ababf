"""The Solidity tests of contracts/test, on the bytes that are deployed; docs/audit.md says what they claim."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from machine import ROOT, forge

from contracts.artifacts import ARTIFACTS

HERE = ROOT / "contracts"
pytestmark = [pytest.mark.slow, pytest.mark.needs("forge", "node")]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    for name in ("out", "cache"):  # forge takes a folder that it makes for another one the next time, and compiles all again
        (ROOT / ".cache" / "forge" / name).mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [str(forge()), *arguments],
        cwd=HERE,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=1800,
    )


@pytest.fixture(scope="module")
def passed() -> str:
    """What forge says of its default profile, when everything held."""
    done = run("test")
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    return done.stdout


def declared(path: Path) -> Sequence[str]:
    return re.findall(r"^    function ((?:test|invariant)_\w+)\(", path.read_text(), re.MULTILINE)


def test_every_solidity_test_ran_and_held(passed: str) -> None:
    files = sorted((HERE / "test").glob("*.t.sol"))
    assert files
    ran = re.findall(r"^\[PASS\] (\w+)\(", passed, re.MULTILINE)
    assert sorted(ran) == sorted(name for path in files for name in declared(path))
    assert " 0 failed, 0 skipped" in passed


def test_what_forge_tests_is_what_is_deployed() -> None:
    """Tests deploy the committed artifacts, which test_compile holds against their sources. Only wrong parameters of a
    constructor, and what halmos looks at, are tried on contracts that forge compiles."""
    contracts = {path.stem for path in ARTIFACTS.glob("*.json")}
    deployed = set()
    for path in sorted((HERE / "test").glob("*.sol")):
        source = path.read_text()
        deployed |= set(re.findall(r'deployCode\(\s*"artifacts/(\w+)\.json"', source))
        compiled = set(re.findall(r'deployCode\(\s*"(\w+)\.sol', source)) & contracts
        made = set(re.findall(r"\bnew (\w+)\(", re.sub(r"vm\.expectRevert\(.*\n\s*new \w+\(", "", source)))
        assert not (compiled | made) & contracts, path.name
    assert contracts - deployed == {"Groth16Verifier"}


def test_the_gas_snapshot_is_compared_without_tolerance(passed: str, tmp_path: Path) -> None:
    figures = json.loads((HERE / "gas-snapshot" / "calls.json").read_text())
    sources = "".join((HERE / "test" / name).read_text() for name in ("Gas.t.sol", "GasOthers.t.sol"))
    noted = re.findall(r'note\((?:string\.concat\()?"(.+?)"', sources)
    assert noted
    for name in figures:
        assert any(name.startswith(beginning) for beginning in noted), name
    for beginning in noted:
        assert any(name.startswith(beginning) for name in figures), beginning
    figures["deposit, first"] = str(int(figures["deposit, first"]) + 1)
    (tmp_path / "calls.json").write_text(json.dumps(figures))
    done = run("test", "--match-test", "test_gas_money", FOUNDRY_SNAPSHOTS=str(tmp_path))
    assert done.returncode != 0
    assert "deposit, first" in done.stdout + done.stderr
