"""`wattproof session failing | reserves | replace`: members that fail, and reserves that take over."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from app.commands.remote import LOCAL, Json, Session, Url, Yes, agree, post

app = typer.Typer()

Account = Annotated[int, typer.Argument(min=1, help="The member's account.")]
Interval = Annotated[
    list[int] | None, typer.Option(min=0, max=95, help="An interval of the day; may be given again; by default all to come.")
]


@app.command("failing")
def failing(session: Session, url: Url = LOCAL, as_json: Json = False) -> None:
    """Members whose records show that they deliver too little, and replacements made so far.

    Example: wattproof session failing 7
    """
    found = _get(url, f"/sessions/{session}/replacements")
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for one in found["failing"]:
        needed = "only with its consent" if one["needed"] is None else f"replaceable from {one['needed']} on"
        print(f"account {one['account']}: too little in intervals {one['intervals']}, {needed}")
    for one in found["items"]:
        how = "agreed" if one["consented"] else "by its records"
        print(f"account {one['reserve']} took over {one['intervals']} from {one['account']}, {one['extra']} micro-euro, {how}")
    if not found["failing"] and not found["items"]:
        print("nobody fails")


@app.command("reserves")
def reserves(
    session: Session,
    account: Account,
    interval: Interval = None,
    forced: Annotated[bool, typer.Option(help="Only what needs no consent of the member's.")] = False,
    url: Url = LOCAL,
    as_json: Json = False,
) -> None:
    """Who could take over from a member, in merit order, and what it would cost the member's lock.

    Example: wattproof session reserves 7 12 --interval 18 --interval 19
    """
    query: dict[str, object] = {"account": account, "forced": forced, "intervals": interval or []}
    found = _get(url, f"/sessions/{session}/reserves", query)["items"]
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for place, one in enumerate(found, 1):
        print(f"{place}. account {one['reserve']}: {one['wh']} Wh in intervals {one['intervals']}, {one['extra']} micro-euro")
    if not found:
        print("no reserve can take over")


@app.command("replace", epilog="The operator's token is WATTPROOF_OPERATOR_TOKEN or the data directory's.")
def replace(
    session: Session, account: Account, interval: Interval = None, url: Url = LOCAL, yes: Yes = False, as_json: Json = False
) -> None:
    """Replaces a member whose records show that it fails, by the cheapest reserves.

    Example: wattproof session replace 7 12
    """
    agree(
        yes,
        f"Account {account} loses what it sold to reserves, and pays what they cost beyond. Replace it in session {session}?",
    )
    post(url, "operator", f"/sessions/{session}/replacements", {"account": account, "intervals": interval or []}, as_json)


def _get(url: str, path: str, query: dict[str, object] | None = None) -> Any:
    from app.client import Api

    with Api(url) as api:
        return api.get(path, None, **(query or {}))
