"""`wattproof surveillance`: alerts of a running marketplace, decisions about them, and why a price is what it is."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from app.commands.remote import LOCAL, Json, Url, Yes, agree, post, token
from app.errors import Refused

app = typer.Typer(
    no_args_is_help=True, help="Alerts about sessions, what is decided about them, and why prices are what they are."
)
out = Console()

Number = Annotated[int, typer.Argument(min=1, help="The alert's number.")]
_TOKEN = "The guardian's token is WATTPROOF_GUARDIAN_TOKEN or the data directory's."
_READER = "Reads with the guardian's token, or else with the operator's (WATTPROOF_OPERATOR_TOKEN, or the data directory's)."


@app.command("alerts", epilog=_READER)
def alerts(
    session: Annotated[int | None, typer.Option(min=1, help="Of one session.")] = None,
    detector: Annotated[str | None, typer.Option(help="Of one detector, price_spike for instance.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that nobody has decided about.")] = False,
    url: Url = LOCAL,
    as_json: Json = False,
) -> None:
    """Lists alerts and notices, newest session first.

    Example: wattproof surveillance alerts --open
    """
    asked: dict[str, Any] = {"session": session, "detector": detector, "open": only_open or None}
    items = _get(url, "/surveillance/alerts", **{name: value for name, value in asked.items() if value is not None})["items"]
    if as_json:
        print(json.dumps(items, indent=2))
        return
    for item in items:
        impact = item["evidence"]["impact"]
        moved = f"{impact['ppm'] / 10_000:+.1f} %" if impact else "-"
        who = ", ".join(map(str, item["evidence"]["accounts"])) or "nobody"
        state = "open" if item["open"] else item["decisions"][-1]["outcome"]
        out.print(
            f"{item['id']:>5}  session {item['session']:<6} {item['severity']:<7}{item['detector']:<20} price {moved:>9}  "
            f"{who}  {state}",
            highlight=False,
            soft_wrap=True,
        )


@app.command("show", epilog=_READER)
def show(alert: Number, url: Url = LOCAL, as_json: Json = False) -> None:
    """One alert with its evidence, its impact and the decisions about it.

    Example: wattproof surveillance show 3
    """
    found = _get(url, f"/surveillance/alerts/{alert}")
    if as_json:
        print(json.dumps(found, indent=2))
        return
    evidence = found["evidence"]
    lines = [
        f"{found['severity']} {found['id']}, {found['detector']}",
        f"session {found['session']}, intervals {evidence['intervals']}",
        f"evidence {found['hash']}",
        "accounts " + (", ".join(map(str, evidence["accounts"])) or "nobody"),
        *(f"  {name} {value}" for name, value in evidence["figures"].items()),
    ]
    if evidence["impact"]:
        lines += [
            f"  interval {t}: {_price(price)} as cleared, {_price(other)} otherwise"
            for t, price, other in zip(
                _get(url, f"/sessions/{found['session']}")["intervals"],
                evidence["impact"]["prices"],
                evidence["impact"]["prices_without"],
                strict=True,
            )
        ]
    if found["exclusion"]:
        orders = ", ".join(f"{order['account']}:{order['side']}" for order in found["exclusion"]["orders"])
        lines.append(f"could be excluded under review: {orders}")
    lines += [f"{made['outcome']}: {made['reason']} ({made['transaction']})" for made in found["decisions"]]
    print("\n".join(lines))


@app.command("decide", epilog=_TOKEN)
def decide(
    alert: Number,
    outcome: Annotated[str, typer.Option(help="dismissed or confirmed.")],
    reason: Annotated[str, typer.Option(help="Why; everybody can read it on the chain, for ever.")],
    url: Url = LOCAL,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Records on chain what was decided about an alert; moves no money and changes no session.

    Example: wattproof surveillance decide 3 --outcome dismissed --reason "the owner's heat pump was new"
    """
    if outcome not in ("dismissed", "confirmed"):
        raise Refused("That is no outcome.", field="outcome", expected="dismissed or confirmed", got=outcome)
    agree(yes, f"Alert {alert} will be {outcome}, on the chain and for ever. Record it?")
    from app.client import Api

    with Api(url, token("guardian")) as api:
        answer = api.post(f"/surveillance/alerts/{alert}/decision", {"outcome": outcome, "reason": reason})
    print(json.dumps(answer, indent=2) if as_json else f"alert {alert}: {outcome}, {answer['decisions'][-1]['transaction']}")


@app.command("exclude", epilog=_TOKEN)
def exclude(alert: Number, url: Url = LOCAL, yes: Yes = False, as_json: Json = False) -> None:
    """Excludes an alert's suspect orders from its session under review, once, with the alert's evidence hash.

    Example: wattproof surveillance exclude 3
    """
    found = _get(url, f"/surveillance/alerts/{alert}")
    if found["exclusion"] is None:
        raise Refused("This alert names no orders.", field="alert", expected="an alert with suspect orders", got=str(alert))
    count = len(found["exclusion"]["orders"])
    agree(yes, f"{count} orders of session {found['session']} will not be traded, which is done once. Exclude them?")
    post(url, "guardian", f"/sessions/{found['session']}/review/exclude", found["exclusion"], as_json)


@app.command("explain")
def explain(
    session: Annotated[int, typer.Argument(min=1, help="The session's number.")],
    participants: Annotated[int, typer.Option(min=0, max=200, help="Of those that trade most; fewer if the log is long.")] = 10,
    url: Url = LOCAL,
    as_json: Json = False,
) -> None:
    """Says why each price is what it is: the orders at the margin, and the price without each participant.

    The session is cleared again without each of them, so that the marketplace answers with fewer where there are many orders
    and intervals, and says how many were left out.

    Example: wattproof surveillance explain 3
    """
    from app.client import Api

    with Api(url) as api:
        found = api.get(f"/sessions/{session}/explanation", participants=participants)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for row in found["intervals"]:
        print(f"interval {row['interval']}: {_price(row['price'])}, {row['volume_wh']} Wh")
        for m in row["marginal"]:
            print(f"  at the margin: {m['side']} of {m['account']}, {m['quantity_wh']} Wh at {_price(m['limit'])}")
        for w in row["without"]:
            if (w["price"], w["volume_wh"]) != (row["price"], row["volume_wh"]):
                print(f"  without {w['account']}: {_price(w['price'])}, {w['volume_wh']} Wh")
    if found["participants_left_out"]:
        print(f"{found['participants_left_out']} participants who trade less were left out")


def _price(price: int | None) -> str:
    return "no price" if price is None else f"{price / 1e6:.6f} EUR/kWh"


def _get(url: str, path: str, **query: Any) -> Any:
    """Reads as the guardian, or as the operator where there is no guardian's token or the marketplace does not know it."""
    from app.client import Api, ApiError

    try:
        with Api(url, token("guardian")) as api:
            return api.get(path, **query)
    except (Refused, ApiError) as error:
        if isinstance(error, ApiError) and error.status != 401:
            raise
        try:
            given = token("operator")
        except Refused:
            raise error from None  # what the guardian lacks is the better hint
    with Api(url, given) as api:
        return api.get(path, **query)
