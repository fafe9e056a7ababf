"""A small circuit with the statement's three public signals, powers of tau for it, and what snarkjs' command line makes of
them: so that a real ceremony takes seconds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from zk.compile import Circuit
from zk.files import NODE_MODULES

SOURCE = """pragma circom 2.1.6;
template Small() {
    signal input gamma; signal input secret;
    signal output c; signal output y;
    signal powers[20];
    powers[0] <== secret * secret;
    for (var i = 1; i < 20; i++) powers[i] <== powers[i - 1] * (secret + i);
    c <== powers[19] * secret;
    y <== c * gamma;
}
component main {public [gamma]} = Small();
"""

GAMMA, SECRET = 9, 5


def small_circuit(directory: Path, source: str = SOURCE) -> Circuit:
    """The circuit in a directory of its own, under the names that a statement's files have."""
    directory.mkdir(parents=True)
    circuit = Circuit(24, 1, directory)
    (directory / f"{circuit.name}.circom").write_text(source)
    command = ["node", str(NODE_MODULES / "circom2" / "cli.js"), f"{circuit.name}.circom", "--r1cs", "--wasm", "--O2"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)
    shutil.move(directory / f"{circuit.name}_js" / f"{circuit.name}.wasm", circuit.wasm)
    shutil.rmtree(directory / f"{circuit.name}_js")
    (directory / f"{circuit.name}.circom").unlink()
    return circuit


def snarkjs(*arguments: str | Path) -> None:
    """snarkjs' own command line, which is how contributors elsewhere would do it."""
    command = ["node", str(NODE_MODULES / "snarkjs" / "cli.js"), *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def powers_of_tau(directory: Path, power: int, *, curve: str = "bn128", prepared: bool = True) -> Path:
    """Powers of tau with one contribution."""
    name = f"{curve}_{power}"
    fresh, made, done = (directory / f"{name}{end}.ptau" for end in ("_fresh", "_made", ""))
    snarkjs("powersoftau", "new", curve, str(power), fresh)
    snarkjs("powersoftau", "contribute", fresh, made, "--name=first", "-e=some text")
    if not prepared:
        return made
    snarkjs("powersoftau", "prepare", "phase2", made, done)
    return done
