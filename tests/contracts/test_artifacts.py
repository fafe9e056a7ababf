"""The committed artifacts are what the sources compile to, deployable, and explained."""

from __future__ import annotations

import json
import string

import pytest

from contracts import compile as compiler
from contracts.abi import encode
from contracts.artifacts import ARTIFACTS, all_errors, load, names
from contracts.events import EVENTS, field_names
from contracts.refusals import MESSAGES, refusal

OZ_EVENTS = {"RoleGranted", "RoleRevoked", "RoleAdminChanged", "EIP712DomainChanged", "Transfer", "Approval"}


@pytest.mark.slow
@pytest.mark.needs("node")
def test_compiling_again_gives_the_committed_bytes() -> None:
    assert compiler.differences(compiler.compile_sources()) == []


@pytest.mark.parametrize("name", names())
def test_contracts_are_below_the_size_limit(name: str) -> None:
    data = json.loads((ARTIFACTS / f"{name}.json").read_text())
    assert 0 < data["size"] <= 24_576
    assert bytes.fromhex(data["bytecode"]) == load(name).bytecode


def test_artifacts_stay_small() -> None:
    assert sum(path.stat().st_size for path in ARTIFACTS.rglob("*.json")) < 1_500_000


def test_every_custom_error_has_its_sentence_and_no_sentence_is_left_over() -> None:
    errors = {entry["name"]: entry for entry in all_errors().values()}
    assert set(MESSAGES) == set(errors)
    for name, entry in errors.items():
        used = {field for _, field, _, _ in string.Formatter().parse(MESSAGES[name]) if field}
        assert used <= {p["name"] for p in entry["inputs"]}, name


def test_every_refusal_is_told_in_its_sentence() -> None:
    """Whatever a contract reverts with comes back under its name, with its values, in words."""
    samples = {"address": "0x" + "11" * 20, "bool": True, "string": "what", "bytes32": b"\7" * 32, "bytes4": b"\7" * 4}
    for selector, entry in all_errors().items():
        values = [samples.get(p["type"], 2) for p in entry["inputs"]]
        told = refusal(selector + encode(entry["inputs"], values))
        assert told.error_name == entry["name"]
        assert list(told.arguments) == [p["name"] for p in entry["inputs"]]
        assert told.message and "{" not in told.message and "}" not in told.message


def test_every_event_has_its_type() -> None:
    seen = set()
    for name in names():
        for entry in load(name).events.values():
            if entry["name"] not in OZ_EVENTS:
                seen.add(entry["name"])
                wanted = [p["name"].removesuffix("_").lower() for p in entry["inputs"]]
                got = [f.removesuffix("_").replace("_", "") for f in field_names(EVENTS[entry["name"]])]
                assert got == wanted, entry["name"]
    assert seen == set(EVENTS)


def test_data_that_no_contract_knows_is_shown_as_it_came() -> None:
    assert refusal(bytes.fromhex("deadbeef")).error_name == "Unknown"
    assert "deadbeef" in refusal(bytes.fromhex("deadbeef")).message
    assert refusal(b"").error_name == "Reverted"
    assert refusal(bytes.fromhex("4e487b71") + (0x11).to_bytes(32, "big")).arguments == {"code": 0x11}
