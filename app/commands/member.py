"""`wattproof member`: what a member does from its own machine, with its own wallet, past every operator."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer
from rich.console import Console

from app.commands.wallet import KeyFile, Manifest, Rpc, wallet_key

app = typer.Typer(no_args_is_help=True, help="What a member does alone: no marketplace is asked.")

err = Console(stderr=True)


@app.callback()
def _group() -> None:
    """Keeps `member` a group while it has one command."""


@app.command()
def prove(
    windows: Annotated[Path, typer.Option(help="The windows of the day, as `wattproof meter export` wrote them.")],
    session: Annotated[int, typer.Option(min=1, help="The session's number.")],
    rpc: Rpc,
    deployment: Manifest,
    account: Annotated[int | None, typer.Option(min=1, help="The account; refused where the windows are another's.")] = None,
    key_file: KeyFile = None,
    zk_key: Annotated[
        str, typer.Option(envvar="WATTPROOF_ZK_KEY", help="Name of the proving key; another than development was imported.")
    ] = "development",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the proof is made and sent.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Proves one's own delivery in a session and sends the proof. Readings do not leave this machine.

    Needs the proving key that the market was deployed with, a node, and a wallet with ether for gas; any wallet will do.

    Example: wattproof member prove --windows windows-7-17349.json --session 3 --rpc http://127.0.0.1:8545
    --deployment deployment.json --key-file wallet.key
    """
    from app import owner, told
    from app.errors import Refused
    from oracle.meter import Exported

    wallet = wallet_key(key_file)
    exported = Exported.read(windows)
    if account is not None and exported.account != account:
        raise Refused("These windows are another account's.", field="account", expected=str(exported.account), got=str(account))
    with err.status("reading the chain") as status, owner.market(rpc, deployment) as client:

        def agree(asked: told.Asked) -> None:
            status.stop()
            err.print(
                f"The node {urlsplit(rpc).hostname or rpc} says that account {asked.account} sold these intervals of day "
                f"{asked.day} in session {session}: {list(asked.intervals)}. The proof tells their deviations to the node and, "
                f"once recorded, to everybody, for ever.",
                highlight=False,
                soft_wrap=True,
            )
            if not yes:
                typer.confirm("Are these the intervals that you sold?", abort=True, err=True)
            status.start()

        record = windows.parent / told.NAME
        done = owner.prove(client, exported, session, wallet, record=record, agree=agree, zk_key=zk_key, tell=status.update)
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        print(f"session {done.session}: delivery of account {done.account} recorded for intervals {list(done.intervals)}")
        print(f"transaction {done.transaction}, {done.gas_used} gas")
