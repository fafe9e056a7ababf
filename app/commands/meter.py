"""`wattproof meter`: the agent that runs where readings arise. It needs no database and no marketplace to keep its log."""

from __future__ import annotations

import json
import signal
import time
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from app.commands.wallet import KeyFile, Manifest, Rpc, wallet_key

app = typer.Typer(no_args_is_help=True, help="The meter agent: keeps a meter's key and log where its readings arise.")

out = Console()
err = Console(stderr=True)

_EPOCH = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal() - _EPOCH

Folder = Annotated[Path, typer.Argument(help="The meter's folder.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Day = Annotated[str, typer.Option(help="A date (2026-11-20) or days since 1970-01-01, in the zone's standard time.")]


@app.command()
def init(
    folder: Folder,
    meter: Annotated[str, typer.Option(help="The meter's name in the readings.")],
    account: Annotated[int, typer.Option(min=1, max=2**32 - 1, help="Index of the account that the meter belongs to.")],
    from_day: Day,
    offset: Annotated[int, typer.Option(help="Standard-time offset of the zone, seconds from UTC.")],
    interval: Annotated[int, typer.Option(help="Interval length of the zone: 15, 30 or 60 minutes.")] = 60,
    as_json: Json = False,
) -> None:
    """Makes a new key and an empty log from a day on, and prints what the metering operator registers.

    Example: wattproof meter init gateway --meter home-01 --account 7 --from-day 2026-11-21 --offset 3600 --interval 15
    """
    from oracle.agent import Agent, Site, alone

    site = Site(meter, account, offset, interval)
    with alone(folder):
        agent = Agent.init(folder, site, _day(from_day))
    _registration(agent.versions[-1], site.account, as_json)


@app.command()
def rotate(
    folder: Folder,
    from_day: Annotated[
        str | None, typer.Option(help="First day of the new key; by default the day after the running one.")
    ] = None,
    retire: Annotated[
        bool,
        typer.Option(
            "--retire",
            help="The versions so far never sign again: for a log that is lost or was restored. The new key begins tomorrow.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Makes the next version of the key with a log of its own; the old one goes on until that day. Stop the agent first.

    Examples: wattproof meter rotate gateway --from-day 2026-12-01
              wattproof meter rotate gateway --retire
    """
    from oracle.agent import Agent, alone, tomorrow

    day = None if from_day is None else _day(from_day)
    with alone(folder):
        if retire:
            agent = Agent.retire(folder, tomorrow(folder, int(time.time())) if day is None else day)
            made = agent.versions[-1]
        else:
            agent = Agent(folder)
            made = agent.rotate(day)
    _registration(made, agent.site.account, as_json)


@app.command()
def run(
    folder: Folder,
    readings: Annotated[str, typer.Option(help="A CSV file that grows, or - for lines on standard input.")],
    url: Annotated[
        str | None, typer.Option(envvar="WATTPROOF_URL", help="The marketplace; without one, days are only signed and kept.")
    ] = None,
    clock: Annotated[
        str, typer.Option(help="What says that a day is over: wall (this machine's clock) or readings (those that came in).")
    ] = "wall",
    grace: Annotated[int, typer.Option(min=0, help="Seconds that a day with gaps stays open after its end.")] = 3600,
    provisional_every: Annotated[
        float, typer.Option(min=0, help="Seconds between provisional windows of the running day; 0 for none but on SIGUSR1.")
    ] = 0,
    once: Annotated[
        bool, typer.Option("--once", help="Stop when everything there is has been taken in and delivered.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Deliver the whole log again.")] = False,
    as_json: Json = False,
) -> None:
    """Takes readings in, closes and signs days, delivers windows, until it is stopped. SIGUSR1 asks for a provisional window.

    It may be killed at any point; start it again with the same arguments. The columns are those of docs/meter.md.

    Examples: wattproof meter run gateway --readings /var/lib/meter/readings.csv --url https://market.example
              read-meter | wattproof meter run gateway --readings -
              wattproof meter run gateway --readings 2026.csv --clock readings --once
    """
    from app.gateway import Gateway, to_marketplace
    from oracle.agent import Agent, alone
    from oracle.agent_delivery import Cursor
    from oracle.agent_input import FileLines, PipeLines

    if clock not in ("wall", "readings"):
        raise typer.BadParameter(f"expected wall or readings, got {clock}", param_hint="--clock")
    with alone(folder):
        agent = Agent(folder)
        if not agent.signs:
            agent.current()  # says so
        for number in sorted([*agent.lost, *(version.number for version in agent.versions if version.retired)]):
            _say(as_json)("retired", {"version": number})
        if again:
            for version in agent.versions:
                Cursor(version.folder / "delivered.json", version.meter).again()
        # Not sys.stdin: the interpreter would wait for its lock when it ends.
        lines = PipeLines(open(0, "rb", closefd=False)) if readings == "-" else FileLines(Path(readings))  # noqa: SIM115
        deliver = to_marketplace(url, agent.site.account) if url else None
        gateway = Gateway(agent, lines, deliver, _say(as_json), wall=clock == "wall", grace=grace, every=provisional_every)
        stopped: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: stopped.append(number))
        signal.signal(signal.SIGUSR1, lambda *_: setattr(gateway, "wanted", True))
        while not stopped:
            took = gateway.round(0.0 if once and not isinstance(lines, PipeLines) else 0.5)
            if not took and (lines.ended or (once and isinstance(lines, FileLines))):
                break
        if isinstance(lines, FileLines) and once and lines.unfinished:
            err.print("the last line of the file has no end and was left out", style="yellow", highlight=False)
        if stopped:
            return
        if provisional_every:
            gateway.provisional()
        waiting = gateway.deliver(now=True)
        if deliver is not None and waiting:
            err.print(f"{waiting} windows still wait to be delivered", style="red", highlight=False)
            raise typer.Exit(1)


@app.command()
def status(folder: Folder, as_json: Json = False) -> None:
    """Versions of the key, the day that is running, what was delivered. Changes nothing, and may be asked at any time.

    Example: wattproof meter status gateway --json
    """
    from oracle.agent import Agent
    from oracle.agent_delivery import Cursor

    agent = Agent(folder)
    versions: list[dict[str, Any]] = []
    for version in agent.versions:
        cursor = Cursor(version.folder / "delivered.json", version.meter)
        versions.append(
            {
                "version": version.number,
                "key": str(version.key.word()),
                "retired": version.retired,
                "from_day": version.from_day,
                "next_day": None if version.retired else version.meter.next_day,
                "delivered_to_day": cursor.final if cursor.final >= 0 else None,
                "windows_to_deliver": len(cursor.due(1 << 32)),
            }
        )
    running = agent.current()[1] if agent.signs else None
    found = {
        "meter": agent.site.meter,
        "account": agent.site.account,
        "intervals": agent.site.intervals,
        "running_day": running,
        "readings_waiting": {str(day): count for day, count in agent.waiting().items()},
        "versions": versions,
        "lost_versions": agent.lost,
    }
    if as_json:
        print(json.dumps(found, indent=2))
        return
    closes = "signs nothing: every version is retired" if running is None else f"closes {_named(running)} next"
    print(f"meter {agent.site.meter} of account {agent.site.account}, {closes}")
    for number in agent.lost:
        print(f"key version {number}: retired, its log is lost")
    for row in versions:
        state = ", retired" if row["retired"] else ""
        delivered = (
            "nothing delivered" if row["delivered_to_day"] is None else f"delivered to {_named(row['delivered_to_day'])}"
        )
        print(
            f"key version {row['version']} from {_named(row['from_day'])}{state}: {delivered}, "
            f"{row['windows_to_deliver']} to deliver"
        )
    for day, count in agent.waiting().items():
        print(f"{_named(day)}: {count} of {agent.site.intervals} readings have come in")


@app.command()
def export(
    folder: Folder,
    day: Day,
    to: Annotated[Path | None, typer.Option("--out", help="The file; by default windows-ACCOUNT-DAY.json.")] = None,
) -> None:
    """Writes the windows of a day and the 14 days before, salts included, for the meter's owner: with them a delivery can be
    proven without anybody's help (wattproof member prove). The file tells what was consumed; keep it private.

    Example: wattproof meter export gateway --day 2026-11-20 --out windows.json
    """
    from oracle.agent import Agent
    from oracle.meter import keep

    agent = Agent(folder)
    number = _day(day)
    target = to or Path(f"windows-{agent.site.account}-{number}.json")
    keep(target, agent.export(number))
    out.print(f"15 windows up to {_named(number)} written to {target}; they are private", highlight=False, soft_wrap=True)


@app.command("report-fork")
def report_fork(
    one: Annotated[Path, typer.Argument(help="Windows of a meter, as `wattproof meter export` writes them.")],
    other: Annotated[Path, typer.Argument(help="Windows of the same key that contradict them.")],
    rpc: Rpc,
    deployment: Manifest,
    key_file: KeyFile = None,
    zk_key: Annotated[str, typer.Option(envvar="WATTPROOF_ZK_KEY", help="Name of the proving key.")] = "development",
    as_json: Json = False,
) -> None:
    """Proves to the chain that a meter signed two histories, showing no reading; the chain suspends its key. Anyone may.

    Example: wattproof meter report-fork A.json B.json --rpc http://127.0.0.1:8545 --deployment deployment.json
    --key-file wallet.key
    """
    from app import owner
    from oracle.meter import Exported

    wallet = wallet_key(key_file)
    first, second = Exported.read(one), Exported.read(other)
    with err.status("reading the chain") as status, owner.market(rpc, deployment) as client:
        report, receipt = owner.report_fork(client, first, second, wallet, zk_key=zk_key, tell=status.update)
    found = {"key": str(report.key), "day": report.day, "interval": report.interval, "transaction": receipt.transaction}
    if as_json:
        print(json.dumps(found, indent=2))
        return
    where = f"interval {report.interval}" if report.interval < len(first.windows[0].readings) else "two final heads"
    print(f"key {report.key} is suspended: two histories of {_named(report.day)}, {where}")
    print(f"transaction {receipt.transaction}, {receipt.gas_used} gas")


def _registration(version: Any, account: int, as_json: bool) -> None:
    found = {
        "account": account,
        "x": str(version.key.x),
        "y": str(version.key.y),
        "from_day": version.from_day,
        "key": str(version.key.word()),
        "version": version.number,
    }
    if as_json:
        print(json.dumps(found, indent=2))
        return
    out.print(f"key version {version.number}, in force from {_named(version.from_day)}", highlight=False)
    out.print("to be registered by the metering operator (POST /api/v1/meters):", highlight=False)
    print(json.dumps({name: found[name] for name in ("account", "x", "y", "from_day")}, indent=2))
    print(f"key word {found['key']}")


def _say(as_json: bool) -> Any:
    def say(event: str, fields: dict[str, Any]) -> None:
        if as_json:
            print(json.dumps({"event": event, **fields}), flush=True)
        else:
            print(event + ": " + ", ".join(f"{name} {value}" for name, value in fields.items()), flush=True)

    return say


def _day(text: str) -> int:
    """Days since 1970-01-01 of a date or a number, of a day that has a date."""
    try:
        day = int(text) if text.isdecimal() else date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError:
        raise typer.BadParameter(f"expected a date or a number of days, got {text:.40}") from None
    if not 0 <= day <= _LAST_DAY:
        raise typer.BadParameter(f"expected day 0 to {_LAST_DAY} (1970-01-01 to {date.max}), got {text:.40}")
    return day


def _named(day: int) -> str:
    return f"day {day} ({date.fromordinal(day + _EPOCH)})" if day <= _LAST_DAY else f"day {day}"
