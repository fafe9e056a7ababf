"""Compiles the Solidity sources into the committed artifacts: `python -m contracts.compile [--check]`.

The settings pin everything that reaches the bytecode, so that anyone who compiles again gets the same bytes. Needs `npm ci` in
contracts/; the artifacts are committed, so that nobody needs it to run Wattproof.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import solcx
from eth_hash.auto import keccak

HERE = Path(__file__).parent
SOURCES = HERE / "src"
ARTIFACTS = HERE / "artifacts"
COMPILER = HERE / "solc.js"

SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 200},
    "viaIR": True,
    "evmVersion": "cancun",
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
    "outputSelection": {"*": {"*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"], "": ["ast"]}},
}


class CompileError(RuntimeError):
    """The compiler refused the sources, or said something that has to be looked at."""


def sources() -> dict[str, str]:
    """Solidity sources by their path below src/."""
    return {path.relative_to(SOURCES).as_posix(): path.read_text() for path in sorted(SOURCES.rglob("*.sol"))}


def compile_sources() -> dict[str, str]:
    """Artifact text by file name below artifacts/, for every deployable contract."""
    texts = sources()
    if not (HERE / "node_modules" / "solc").is_dir():
        raise CompileError("contracts/node_modules/solc: expected npm's solc, found nothing; run `npm ci` in contracts/")
    request = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in texts.items()},
        "settings": SETTINGS,
    }
    try:
        output = solcx.compile_standard(request, solc_binary=COMPILER)
    except solcx.exceptions.SolcError as error:
        raise CompileError(error.message) from None
    complaints = [e["formattedMessage"] for e in output.get("errors", []) if not _foreign(e)]
    if complaints:
        raise CompileError("\n".join(complaints))
    artifacts = {}
    for source, name, contract in _deployable(output):
        artifact = {
            "contract": name,
            "source": source,
            "source_keccak": keccak(texts[source].encode()).hex(),
            "abi": contract["abi"],
            "bytecode": contract["evm"]["bytecode"]["object"],
            "size": len(contract["evm"]["deployedBytecode"]["object"]) // 2,
        }
        folder = "test/" if source.startswith("test/") else ""
        artifacts[f"{folder}{name}.json"] = json.dumps(artifact, separators=(",", ":")) + "\n"
    return artifacts


def _foreign(error: dict[str, Any]) -> bool:
    """Whether a warning is about a library of others."""
    return bool(error.get("sourceLocation", {}).get("file", "").startswith("@"))


def _deployable(output: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for source, contracts in output["contracts"].items():
        kinds = {n["name"]: n["contractKind"] for n in output["sources"][source]["ast"]["nodes"] if n.get("contractKind")}
        for name, contract in contracts.items():
            if kinds[name] == "contract" and not source.startswith("@") and contract["evm"]["bytecode"]["object"]:
                yield source, name, contract


def differences(artifacts: dict[str, str]) -> list[str]:
    """Artifact files that are missing, stale or left over against freshly compiled ones."""
    committed = {path.relative_to(ARTIFACTS).as_posix(): path.read_text() for path in ARTIFACTS.rglob("*.json")}
    names = sorted(committed.keys() | artifacts.keys())
    return [name for name in names if committed.get(name) != artifacts.get(name)]


def write(artifacts: dict[str, str]) -> None:
    """Replaces the committed artifacts."""
    for path in ARTIFACTS.rglob("*.json"):
        if path.relative_to(ARTIFACTS).as_posix() not in artifacts:
            path.unlink()
    for name, text in artifacts.items():
        path = ARTIFACTS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m contracts.compile", description="Compile the contracts into artifacts/.")
    parser.add_argument("--check", action="store_true", help="only compare with the committed artifacts")
    arguments = parser.parse_args()
    try:
        artifacts = compile_sources()
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.check:
        stale = differences(artifacts)
        print("artifacts differ: " + ", ".join(stale) if stale else f"{len(artifacts)} artifacts are up to date")
        return 1 if stale else 0
    write(artifacts)
    for name, text in sorted(artifacts.items()):
        print(f"{name:28} {json.loads(text)['size']:6} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
