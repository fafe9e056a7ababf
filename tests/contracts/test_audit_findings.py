"""A finding without an answer, and an answer without its finding, are told."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from contracts.compile import SETTINGS


@pytest.fixture(scope="module")
def findings() -> ModuleType:
    path = Path(__file__).parents[2] / "contracts" / "audit" / "findings.py"
    spec = importlib.util.spec_from_file_location("findings", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def element(*names: str) -> dict[str, Any]:
    """Contract, function and variable as slither names them."""
    kinds = ["contract", "function", "variable"]
    made: dict[str, Any] = {"name": names[0], "type": "contract"}
    for kind, name in zip(kinds[1:], names[1:], strict=False):
        made = {"name": name, "type": kind, "type_specific_fields": {"parent": made}}
    return made


def test_findings_and_answers_are_held_against_each_other(findings: ModuleType) -> None:
    report = {
        "success": True,
        "error": None,
        "results": {
            "detectors": [
                {"check": "timestamp", "elements": [element("Vault", "move")]},
                {"check": "uninitialized-local", "elements": [element("Vault", "move", "credited")]},
            ]
        },
    }
    found = findings.found(report)
    assert found == {("timestamp", "Vault.move"), ("uninitialized-local", "Vault.move.credited")}
    table = "| detector | where | answer |\n|---|---|---|\n| timestamp | `Vault.move`, `Vault.lock` | because |\n"
    assert findings.differences(found, findings.answered(table)) == [
        "no answer: uninitialized-local in Vault.move.credited",
        "nothing left to answer: timestamp in Vault.lock",
    ]
    with pytest.raises(ValueError, match="answered twice"):
        findings.answered(table + "| timestamp | `Vault.move` | again |\n")
    with pytest.raises(ValueError, match="slither"):
        findings.found({"success": False, "error": "no compiler", "results": {}})


def test_the_answers_name_functions_and_variables_that_exist(findings: ModuleType, root: Path) -> None:
    answers = findings.answered((root / "docs" / "audit.md").read_text())
    assert answers
    for _, where in answers:
        contract, *rest = where.split(".")
        source = (root / "contracts" / "src" / f"{contract}.sol").read_text()
        assert not rest or re.search(rf"function {rest[0]}\(|^    mapping.*\b{rest[0]};", source, re.MULTILINE), where
        assert len(rest) < 2 or re.search(rf"\b{rest[1]}\b", source), where


def test_forge_compiles_by_the_same_settings(root: Path) -> None:
    profile = tomllib.loads((root / "contracts" / "foundry.toml").read_text())["profile"]["default"]
    assert profile["evm_version"] == SETTINGS["evmVersion"]
    assert profile["via_ir"] == SETTINGS["viaIR"]
    assert profile["optimizer"] == SETTINGS["optimizer"]["enabled"]
    assert profile["optimizer_runs"] == SETTINGS["optimizer"]["runs"]
    assert (profile["bytecode_hash"], profile["cbor_metadata"]) == ("none", False)
