"""`wattproof session proposals | propose`: how block sessions are cleared."""

from __future__ import annotations

import json

import typer

from app.commands.remote import LOCAL, Json, Session, Url, post

app = typer.Typer()


@app.command("proposals")
def proposals(session: Session, url: Url = LOCAL, as_json: Json = False) -> None:
    """Proposals for a block session, each better than the one before; the last is or will be its result.

    Example: wattproof session proposals 7
    """
    from app.client import Api

    with Api(url) as api:
        items = api.get(f"/sessions/{session}/proposals")["items"]
    if as_json:
        print(json.dumps(items, indent=2))
        return
    for one in items:
        state = ", accepted" if one["accepted"] else ", best so far" if one["best"] else ""
        gap = f", at most {one['gap']:.4%} missing" if one["gap"] is not None else ""
        band = "inside the band" if one["inside_band"] else "outside the band"
        print(f"account {one['account']}: {one['volume_wh']} Wh worth {one['welfare']} micro-euro{gap}, {band}{state}")
    if not items:
        print("nobody has proposed anything")


@app.command("propose", epilog="The operator's token is WATTPROOF_OPERATOR_TOKEN or the data directory's.")
def propose(session: Session, url: Url = LOCAL, as_json: Json = False) -> None:
    """Searches for a better proposal for a closed block session and hands it in, with a bond of WATTPROOF_BLOCK_ACCOUNT.

    Example: wattproof session propose 7
    """
    post(url, "operator", f"/sessions/{session}/proposal", {}, as_json)
