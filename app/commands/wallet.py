"""The wallet, node and deployment with which a command acts for its user. A private key comes from a file or the environment,
never from an argument, which every process of the machine could read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from app.errors import Refused

VARIABLE = "WATTPROOF_WALLET_KEY"

KeyFile = Annotated[
    Path | None, typer.Option(help=f"File with the wallet's private key, readable by its owner alone; else {VARIABLE}.")
]
Rpc = Annotated[str, typer.Option(help="Address of a node of the chain.", envvar="WATTPROOF_RPC")]
Manifest = Annotated[
    Path, typer.Option("--deployment", help="Manifest of the market's deployment.", envvar="WATTPROOF_DEPLOYMENT")
]


def wallet_key(path: Path | None, variable: str = VARIABLE) -> bytes:
    """The private key, 32 bytes, of a file or else of an environment variable; no message shows anything of it."""
    if path is None:
        text, where = os.environ.get(variable, ""), variable
        if not text:
            raise Refused("Which wallet?", field="key_file", expected=f"--key-file, or {variable}", got="neither")
    else:
        where = str(path)
        try:
            mode = path.stat().st_mode & 0o777
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise Refused("Which wallet?", field="key_file", expected="a private key", got=type(error).__name__) from None
        if mode & 0o077:
            raise Refused(
                "Others can read the wallet's key.", field="key_file", expected=f"mode 600 on {where}", got=f"{mode:o}"
            )
    digits = text.strip().removeprefix("0x")
    try:
        key = bytes.fromhex(digits)
    except ValueError:
        key = b""
    if len(key) != 32 or not any(key):
        raise Refused("This is no wallet.", field=where, expected="64 hexadecimal digits", got="something else")
    return key
