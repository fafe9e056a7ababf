"""The committed artifacts: ABI and bytecode of every contract, and what they say about functions, events and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contracts.abi import Parameter, decode, encode, selector, topic

ARTIFACTS = Path(__file__).parent / "artifacts"


@dataclass(frozen=True, slots=True)
class Function:
    """A callable of a contract."""

    selector: bytes
    inputs: tuple[Parameter, ...]
    outputs: tuple[Parameter, ...]

    def call(self, *values: Any) -> bytes:
        """Calldata."""
        return self.selector + encode(self.inputs, values)

    def arguments(self, calldata: bytes) -> tuple[Any, ...]:
        """The inverse of `call`."""
        return tuple(decode(self.inputs, calldata[4:]))

    def result(self, data: bytes) -> Any:
        """The returned value, a tuple where there are several."""
        values = decode(self.outputs, data)
        return values[0] if len(values) == 1 else tuple(values)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    name: str
    bytecode: bytes
    constructor: tuple[Parameter, ...]
    functions: Mapping[str, Function]
    events: Mapping[bytes, Mapping[str, Any]]
    errors: Mapping[bytes, Mapping[str, Any]]

    def creation(self, *values: Any) -> bytes:
        """Creation code with constructor arguments."""
        return self.bytecode + encode(self.constructor, values)


@cache
def load(name: str) -> Artifact:
    """The artifact `name`, such as `FlexMarket` or, for a contract of the tests, `test/FakeVerifier`."""
    path = ARTIFACTS / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"artifact {name}: expected {path.name} in contracts/artifacts; run python -m contracts.compile"
        )
    data = json.loads(path.read_text())
    entries: list[dict[str, Any]] = data["abi"]
    constructor = next((tuple(e["inputs"]) for e in entries if e["type"] == "constructor"), ())
    functions = {
        e["name"]: Function(selector(e), tuple(e["inputs"]), tuple(e["outputs"])) for e in entries if e["type"] == "function"
    }
    return Artifact(
        name=data["contract"],
        bytecode=bytes.fromhex(data["bytecode"]),
        constructor=constructor,
        functions=functions,
        events={topic(e): e for e in entries if e["type"] == "event"},
        errors={selector(e): e for e in entries if e["type"] == "error"},
    )


@cache
def names() -> tuple[str, ...]:
    """Names of the product's contracts."""
    return tuple(sorted(path.stem for path in ARTIFACTS.glob("*.json")))


@cache
def all_errors() -> Mapping[bytes, Mapping[str, Any]]:
    """Custom errors of all contracts by selector."""
    return {key: entry for name in names() for key, entry in load(name).errors.items()}
