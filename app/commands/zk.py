"""`wattproof zk`: circuits, development keys, and the way from a ceremony to a key that may stand on a production chain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from app.settings import Settings
from zk import ceremony
from zk.compile import FORK, STATEMENT, Circuit, compile_circuit, is_current
from zk.groth16 import PUBLIC_SIGNALS
from zk.keys import KeyInfo, ensure_development_key, present_keys, read_info
from zk.r1cs import R1csHeader
from zk.transcript import Transcript
from zk.zkey import domain_size

app = typer.Typer(no_args_is_help=True, help="Circuits and keys.")
ceremony_app = typer.Typer(no_args_is_help=True, help="A Groth16 ceremony, step by step; docs/keys.md has the whole way.")
app.add_typer(ceremony_app, name="ceremony")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True)

Intervals = Annotated[int, typer.Option(help="Intervals a day of the circuit: 24, 48 or 96.")]
Accounts = Annotated[int, typer.Option(min=1, max=64, help="Accounts that one proof of the circuit covers.")]
Kind = Annotated[str, typer.Option(help=f"Kind of the circuit: {STATEMENT} (deliveries) or {FORK} (fork evidence).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Powers = Annotated[Path, typer.Option("--ptau", help="Powers of tau on BN254, prepared for phase 2. Never downloaded.")]
Source = Annotated[Path, typer.Argument(help="The key so far.")]
Target = Annotated[Path, typer.Argument(help="The new file; an existing one is never replaced.")]


@app.command("setup")
def setup(
    intervals: Intervals = 24,
    accounts: Annotated[
        int | None, typer.Option(min=1, max=64, help="Accounts a proof; without it all of WATTPROOF_PROOF_SIZES, and forks.")
    ] = None,
) -> None:
    """Compiles circuits and makes their development keys, where they are absent. For development chains only.

    Example: wattproof zk setup --intervals 24 --accounts 1
    """
    wanted = [(STATEMENT, size) for size in ((accounts,) if accounts is not None else sorted(set(Settings().proof_sizes)))]
    if accounts is None:
        wanted.append((FORK, 1))
    for kind, size in wanted:
        with _steps("circuit and key") as progress:
            _circuit(intervals, size, progress, kind)
            info = read_info(ensure_development_key(intervals, size, progress=progress, kind=kind).info)
        out.print(f"{info.circuit}: {info.constraints} constraints, development key ready")


@app.command("import")
def import_key(
    zkey: Annotated[Path, typer.Argument(help="The key that the ceremony ended with.")],
    ptau: Powers,
    name: Annotated[str, typer.Option(help="Name of the key here; WATTPROOF_ZK_KEY selects it.")] = "production",
    intervals: Intervals = 24,
    accounts: Accounts = 1,
    kind: Kind = STATEMENT,
    as_json: Json = False,
) -> None:
    """Takes a ceremony's key in: verified against circuit and powers of tau, all of it or nothing.

    Example: wattproof zk import circuit_final.zkey --ptau powers_16.ptau --name production
    """
    with _steps("verifying the key") as progress:
        info = ceremony.import_key(_circuit(intervals, accounts, progress, kind), zkey, ptau, name, progress)
    if as_json:
        print(json.dumps({"name": name, **asdict(info)}, indent=2))
        return
    _describe(name, info)
    out.print(f"Set WATTPROOF_ZK_KEY={name} to prove and deploy with it.")


@app.command("info")
def show(as_json: Json = False) -> None:
    """Every key that is here: circuit, constraints, hashes, development or ceremony, contributions.

    Example: wattproof zk info --json
    """
    found = [(paths, read_info(paths.info)) for paths in present_keys()]
    if as_json:
        records = [{"name": paths.name, "current": is_current(paths.circuit), **asdict(info)} for paths, info in found]
        print(json.dumps(records, indent=2))
        return
    for paths, info in found:
        _describe(paths.name, info)
        if not is_current(paths.circuit):
            out.print("  not in use: the circuit's sources have changed since")
    if not found:
        out.print("There is no key yet; `wattproof zk setup` makes one for development.")


@ceremony_app.command("start")
def start(
    target: Target,
    ptau: Powers,
    intervals: Intervals = 24,
    accounts: Accounts = 1,
    kind: Kind = STATEMENT,
    as_json: Json = False,
) -> None:
    """Makes contribution 0000 from a circuit and given powers of tau.

    Example: wattproof zk ceremony start circuit_0000.zkey --ptau powers_16.ptau --intervals 24 --accounts 1
    """
    with _steps("first key") as progress:
        transcript = ceremony.start(_circuit(intervals, accounts, progress, kind), ptau, target, progress)
    _tell(
        as_json, {"file": str(target), "circuit_hash": transcript.circuit_hash}, f"{target}\ncircuit {transcript.circuit_hash}"
    )


@ceremony_app.command("contribute")
def contribute(
    source: Source,
    target: Target,
    name: Annotated[str, typer.Option(help="Who contributes; it stays in the key for ever.")],
    typed: Annotated[bool, typer.Option("--type", help="Mix in a text that is asked for without echo.")] = False,
    intervals: Intervals = 24,
    accounts: Accounts = 1,
    kind: Kind = STATEMENT,
    as_json: Json = False,
) -> None:
    """Adds a contribution with a secret from the operating system's random numbers, and prints the hash to publish.

    Example: wattproof zk ceremony contribute circuit_0000.zkey circuit_0001.zkey --name "Anna, Ljubljana"
    """
    entropy = typer.prompt("Any text, not shown", hide_input=True, err=True) if typed else ""
    with _steps("contributing") as progress:
        circuit = _circuit(intervals, accounts, progress, kind)
        made = ceremony.contribute(circuit, source, target, name, entropy, progress)
    _tell(as_json, {"file": str(target), **asdict(made)}, f"{target}\n{made}")


@ceremony_app.command("beacon")
def beacon(
    source: Source,
    target: Target,
    value: Annotated[str, typer.Option("--hash", help="Public random value, hexadecimal, announced before it was known.")],
    iterations: Annotated[int, typer.Option(help="2^n hashes are made of it, 10 to 63.")] = 10,
    intervals: Intervals = 24,
    accounts: Accounts = 1,
    kind: Kind = STATEMENT,
    as_json: Json = False,
) -> None:
    """Closes a ceremony with a public random value.

    Example: wattproof zk ceremony beacon circuit_0003.zkey circuit_final.zkey --hash 00ab... --iterations 10
    """
    with _steps("closing") as progress:
        circuit = _circuit(intervals, accounts, progress, kind)
        made = ceremony.beacon(circuit, source, target, value, iterations, progress)
    _tell(as_json, {"file": str(target), **asdict(made)}, f"{target}\n{made}")


@ceremony_app.command("verify")
def verify(
    zkey: Annotated[Path, typer.Argument(help="The key to verify.")],
    ptau: Powers,
    after: Annotated[Path | None, typer.Option(help="An earlier key of this ceremony that this one must go on from.")] = None,
    contains: Annotated[
        list[str] | None, typer.Option(help="A published hash that must be among the contributions; may be given again.")
    ] = None,
    intervals: Intervals = 24,
    accounts: Accounts = 1,
    kind: Kind = STATEMENT,
    as_json: Json = False,
) -> None:
    """Verifies a key against circuit and powers of tau; lists the contributions, or says what is wrong.

    Example: wattproof zk ceremony verify circuit_0002.zkey --ptau powers_16.ptau --after circuit_0001.zkey --contains cfbe...
    """
    with _steps("verifying") as progress:
        circuit = _circuit(intervals, accounts, progress, kind)
        found = ceremony.verify(circuit, ptau, zkey, after=after, contains=contains or (), progress=progress)
    _tell(as_json, {"valid": True, **asdict(found)}, _record(found) + "\nvalid")


def _circuit(intervals: int, accounts: int, progress: Callable[[str], None], kind: str) -> Circuit:
    try:
        return compile_circuit(intervals, accounts, progress=progress, kind=kind)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _steps(what: str) -> Iterator[Callable[[str], None]]:
    """Shows the step under way."""
    with err.status(what) as status:
        yield lambda line: status.update(f"{what}: {line}")


def _tell(as_json: bool, record: dict[str, Any], text: str) -> None:
    if as_json:
        print(json.dumps(record, indent=2))
    else:
        out.print(text, markup=False)


def _record(found: Transcript) -> str:
    lines = [f"circuit {found.circuit_hash}"]
    lines += [f"contribution {number}, {item}" for number, item in enumerate(found.contributions, 1)]
    if not found.secrets:
        lines.append("no secret contribution yet: anyone could forge proofs with this key")
    return "\n".join(lines)


def _power(info: KeyInfo) -> int:
    """The least power of tau that carries the circuit."""
    return domain_size(R1csHeader(0, PUBLIC_SIGNALS, info.constraints)).bit_length() - 1


def _describe(name: str, info: KeyInfo) -> None:
    origin = "DEVELOPMENT key, for development chains only" if info.development else "ceremony's key"
    lines = [
        f"{name}: {origin}",
        f"  circuit       {info.circuit}, {info.constraints} constraints, powers of tau from {_power(info)} on",
        f"  r1cs          sha256 {info.r1cs_sha256}",
        f"  proving key   sha256 {info.zkey_sha256}",
        f"  verification  sha256 {info.verification_key_sha256}",
    ]
    if info.ceremony is not None:
        lines += [
            f"  powers of tau {info.ceremony.ptau}, sha256 {info.ceremony.ptau_sha256}",
            f"                blake2b {info.ceremony.ptau_blake2b}",
            *(f"  contribution {number}, {item}" for number, item in enumerate(info.ceremony.contributions, 1)),
        ]
    out.print("\n".join(lines), markup=False)
