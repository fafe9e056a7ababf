"""What commands share that act at a running marketplace: options, tokens, asking before something is done."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

import typer

from app.errors import Refused

Session = Annotated[int, typer.Argument(min=1, help="The session's number.")]
Url = Annotated[str, typer.Option(help="Where the marketplace runs.", envvar="WATTPROOF_URL")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before it is done.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
LOCAL = "http://127.0.0.1:8000"


def agree(yes: bool, question: str) -> None:
    """Ends the command unless `yes`, or somebody answers so."""
    if not yes:
        typer.confirm(question, abort=True, err=True)


def token(role: Literal["operator", "guardian"]) -> str:
    """The role's token: the environment's, or the data directory's."""
    from app.settings import Settings

    settings = Settings()
    given = settings.guardian_token if role == "guardian" else settings.operator_token
    if given is not None:
        return given.get_secret_value()
    kept = settings.data_dir / f"{role}.token"
    if not kept.exists():
        raise Refused(
            "Who asks?", field=f"WATTPROOF_{role.upper()}_TOKEN", expected=f"the {role}'s token", got=f"none, no file {kept}"
        )
    return kept.read_text().strip()


def post(url: str, role: Literal["operator", "guardian"], path: str, body: dict[str, Any], as_json: bool) -> None:
    """Does something in a role and prints what was done."""
    from app.client import Api

    with Api(url, token(role)) as api:
        answer = api.post(path, body)
    print(json.dumps(answer, indent=2) if as_json else "\n".join(answer["done"]) or "nothing to do")
