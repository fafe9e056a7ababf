"""`wattproof`: the command line. Every command has `--help` with an example; `--json` where it reports."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, NoReturn

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console

from app.commands import block, contracts, guardian, market, member, meter, replacement, surveillance, zk

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_show_locals=False, add_completion=False)
db_app = typer.Typer(no_args_is_help=True, help="The database's schema.")
session_app = typer.Typer(no_args_is_help=True, help="Sessions of a running marketplace.")
app.add_typer(zk.app, name="zk")
app.add_typer(contracts.app, name="contracts")
app.add_typer(db_app, name="db")
session_app.add_typer(guardian.app)
session_app.add_typer(replacement.app)
session_app.add_typer(block.app)
app.add_typer(session_app, name="session")
app.add_typer(meter.app, name="meter")
app.add_typer(member.app, name="member")
app.add_typer(market.app, name="market")
app.add_typer(surveillance.app, name="surveillance")

# Where nobody looks at a terminal, lines stay whole.
out = Console(soft_wrap=not sys.stdout.isatty())
err = Console(stderr=True, soft_wrap=not sys.stderr.isatty())

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Url = Annotated[str, typer.Option(help="Where the marketplace runs.", envvar="WATTPROOF_URL")]
LOCAL = "http://127.0.0.1:8000"


def main() -> None:
    """Entry point: errors a person can act on, without a traceback, for everything that is expected to go wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except Exception as error:
        if (message := _expected(error)) is None:
            raise
        _fail(message)


EXPECTED = {
    "app.client.ApiError",
    "app.demo.attempts.NotRefusedError",
    "contracts.chain.ChainError",
    "contracts.errors.FieldError",
    "contracts.manifest.DeploymentError",
    "contracts.refusals.ContractRefusal",
    "oracle.meter.MeterError",
    "zk.compile.CompileError",
    "zk.forks.ForkError",
    "zk.keys.KeyFileError",
    "zk.prover.ProverError",
}
"""Errors whose message is all that a person needs, by name: to compare with the classes would be to import every room."""


def _expected(error: Exception) -> str | None:
    """What to tell of an error that is expected to happen."""
    from app.errors import Refused

    if isinstance(error, Refused):
        return error.detail + "".join(f"\n  {e.field}: expected {e.expected}, got {e.got}" for e in error.errors)
    if isinstance(error, httpx.TransportError):
        return f"The marketplace cannot be reached ({error}). Is it running (wattproof serve), and is --url right?"
    if isinstance(error, ValidationError) and error.title == "Settings":
        from app.settings import complaint

        return complaint(error)
    if EXPECTED.isdisjoint(f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__):
        return None
    return str(error)


def _writable(folder: Path) -> None:
    """Finds out before anything is begun."""
    from app.errors import Refused

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        got = f"{folder}: {error.strerror}"
        raise Refused("The report cannot be written.", field="--out", expected="a folder to write to", got=got) from None


def _fail(message: str) -> NoReturn:
    err.print(message, style="red", markup=False, highlight=False)
    sys.exit(1)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Where the report goes.")] = Path("out/demo"),
    chain: Annotated[str, typer.Option(help="auto, anvil or tester.")] = "auto",
    as_json: Json = False,
) -> None:
    """One market day of 17 real homes on an embedded chain, from registration to settlement and replay.

    Example: wattproof demo --out out/demo
    """
    from app.demo.day import run

    _writable(folder)
    day = run(folder, chain, Console(stderr=True) if as_json else out)
    if as_json:
        print(json.dumps(day.report(), indent=2))
    report = day.report()
    good = report["settlement"]["balanced"] and report["replay"] == "identical" and all(p["verified"] for p in report["proofs"])
    if not good:
        _fail("The day did not come out right; the report says where.")


@app.command()
def serve(
    host: Annotated[str, typer.Option(envvar="HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=0, max=65535, help="Port to listen on.")] = 8000,
    empty: Annotated[bool, typer.Option("--empty", help="Do not seed the demonstration day.")] = False,
) -> None:
    """The marketplace with its pages; on a development chain it opens on the seeded demonstration day.

    Example: wattproof serve --port 8080
    """
    from app.server import serve as run

    run(host, port, seed=not empty, console=out)


@app.command()
def replay(
    session: Annotated[int, typer.Argument(help="The session's number.")],
    rpc: Annotated[str | None, typer.Option(help="Address of a node; by default the data directory's chain.")] = None,
    deployment: Annotated[
        Path | None, typer.Option(help="Manifest of the deployment; by default the data directory's.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Rebuilds a session from the chain's log, clears, verifies and settles it again; "identical" or the first difference.

    It only reads: no key and no database are used, nothing is sent.

    Example: wattproof replay 1 --rpc http://127.0.0.1:8545 --deployment deployment.json
    """
    from app.services.replaying import reader, replay_session, reservation
    from app.settings import Settings

    with err.status("replaying: proofs are verified again in Python"), reader(Settings(), rpc, deployment) as client:
        verdict = replay_session(client, session)
        limits = reservation(client, session)
    if limits is not None:
        err.print(limits, highlight=False)
    print(json.dumps({"session": session, "replay": verdict}) if as_json else verdict)
    if verdict != "identical":
        raise typer.Exit(1)


@session_app.command("list")
def list_sessions(url: Url = LOCAL, as_json: Json = False) -> None:
    """All sessions with their states.

    Example: wattproof session list --url http://127.0.0.1:8000
    """
    from app.client import Api

    with Api(url) as api:
        items = api.get("/sessions")["items"]
    if as_json:
        print(json.dumps(items, indent=2))
        return
    for s in items:
        volume = f"{s['volume_wh'] / 1000:.3f} kWh" if s["volume_wh"] is not None else "-"
        out.print(
            f"{s['id']:>4}  {s['date']}  {s['direction']:<4}  {s['state']:<11}  {s['orders']} orders  {volume}", highlight=False
        )


@session_app.command("show")
def show_session(session: int, url: Url = LOCAL, as_json: Json = False) -> None:
    """One session: result and settlement.

    Example: wattproof session show 1 --json
    """
    from app.client import Api

    with Api(url) as api:
        s: dict[str, Any] = api.get(f"/sessions/{session}")
    if as_json:
        print(json.dumps(s, indent=2))
        return
    out.print(f"session {s['id']}: {s['direction']} on {s['date']}, {s['state']}", highlight=False)
    for row in s["cleared"]:
        price = f"{row['price'] / 1e6:.6f} EUR/kWh" if row["price"] is not None else "no trade"
        out.print(f"  interval {row['interval']:>2}: {row['volume_wh'] / 1000:8.3f} kWh at {price}", highlight=False)
    for found in s["outside"]:
        which = (
            f"interval {found['intervals'][0]}" if len(found["intervals"]) == 1 else f"mean of intervals {found['intervals']}"
        )
        low, high = found["low"] / 1e6, found["high"] / 1e6
        out.print(f"  under review: {which}, {found['price'] / 1e6:.6f}, is not in {low:.6f} to {high:.6f}", highlight=False)
    if (proofs := s["proofs"])["expected"]:
        counts = ", ".join(f"{proofs[state]} {state}" for state in ("verified", "proven", "proving", "failed") if proofs[state])
        out.print(f"  deliveries to prove: {proofs['expected']}; {counts or 'none begun'}", highlight=False)


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Brings the database to the newest schema.

    Example: WATTPROOF_DATABASE_URL=sqlite:///market.sqlite wattproof db upgrade
    """
    from app import migrate
    from app.settings import Settings

    settings = Settings()
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.data_dir.chmod(0o700)  # readings and salts are in here
    migrate.upgrade(settings.url)
    out.print("the schema is up to date")


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="clearing, gas, privacy, proof, surveillance, or all.")] = "all",
    as_json: Json = False,
) -> None:
    """Measured figures with their targets, written to bench/results.

    Example: wattproof bench clearing --json
    """
    from bench import NAMES, run

    if name not in (*NAMES, "all"):
        raise typer.BadParameter(f"expected one of {', '.join(NAMES)} or all, got {name}", param_hint="name")
    for result in run(name):
        if as_json:
            print(json.dumps(result, indent=2))
        else:
            for row in result["rows"]:
                out.print(
                    f"{result['name']:<10} {row['metric']:<22} {row['value']:>12} {row['unit']:<8} target {row['target']}",
                    highlight=False,
                )
