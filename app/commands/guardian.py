"""`wattproof session release | cancel-reviewed | exclude | exempt`: what the guardian decides, at a running marketplace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from eth_hash.auto import keccak

from app.commands.remote import LOCAL, Json, Session, Url, Yes, agree, post
from app.errors import Refused

app = typer.Typer()

Reason = Annotated[str, typer.Option(help="Why; everybody can read it on the chain, for ever.")]

_TOKEN = "The guardian's token is WATTPROOF_GUARDIAN_TOKEN or the data directory's."


@app.command("release", epilog=_TOKEN)
def release(session: Session, reason: Reason, url: Url = LOCAL, yes: Yes = False, as_json: Json = False) -> None:
    """Lets the clearing of a session under review stand: it is paid and promised.

    Example: wattproof session release 7 --reason "the cold wave explains the price"
    """
    agree(yes, f"Session {session} will be traded at the prices under review. Release it?")
    post(url, "guardian", f"/sessions/{session}/review/release", {"reason": reason}, as_json)


@app.command("cancel-reviewed", epilog=_TOKEN)
def cancel_reviewed(session: Session, reason: Reason, url: Url = LOCAL, yes: Yes = False, as_json: Json = False) -> None:
    """Cancels a session under review: nothing is traded, every lock is given back.

    Example: wattproof session cancel-reviewed 7 --reason "orders of one owner on both sides"
    """
    agree(yes, f"Nothing will be traded in session {session}, and its locks go back. Cancel it?")
    post(url, "guardian", f"/sessions/{session}/review/cancel", {"reason": reason}, as_json)


@app.command("exclude", epilog=_TOKEN)
def exclude(
    session: Session,
    order: Annotated[list[str], typer.Option(help="An order, as 12:offer or 3:bid; may be given again.")],
    evidence: Annotated[Path, typer.Option(help="File with what is to be said for it; its keccak-256 goes on the chain.")],
    url: Url = LOCAL,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Excludes orders of a session under review, once; it is then cleared again without them, inside the band.

    Example: wattproof session exclude 7 --order 12:offer --evidence case-7.pdf
    """
    orders = [_order(text) for text in order]
    try:
        digest = "0x" + keccak(evidence.read_bytes()).hex()
    except OSError as error:
        raise Refused(
            "That is not possible.", field="evidence", expected="a file", got=f"{evidence}: {error.strerror}"
        ) from None
    agree(yes, f"{len(orders)} orders of session {session} will not be traded, which is done once. Exclude them?")
    post(url, "guardian", f"/sessions/{session}/review/exclude", {"orders": orders, "evidence": digest}, as_json)


@app.command("exempt", epilog=_TOKEN)
def exempt(
    session: Session,
    account: Annotated[int, typer.Option(min=1, help="The seller's account.")],
    interval: Annotated[list[int], typer.Option(min=0, max=95, help="An interval of the day; may be given again.")],
    reason: Reason,
    url: Url = LOCAL,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Exempts a seller's intervals from penalty and rating; what it delivers is paid.

    Example: wattproof session exempt 7 --account 12 --interval 17 --interval 18 --reason "grid outage"
    """
    agree(yes, f"The buyers of session {session} go without what account {account} would forfeit. Exempt it?")
    body = {"account": account, "intervals": interval, "reason": reason}
    post(url, "guardian", f"/sessions/{session}/exemptions", body, as_json)


def _order(text: str) -> dict[str, object]:
    account, _, side = text.partition(":")
    if not account.isdecimal() or side not in ("bid", "offer"):
        raise Refused("That is no order.", field="order", expected="an account and a side, as 12:offer", got=text)
    return {"account": int(account), "side": side}
