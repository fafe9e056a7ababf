"""`wattproof market`: clears order books from files, for auditors and planners. No database and no key is needed, and a chain
for `export` alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from market.bookfile import BookFile
    from market.clearing.compare import Outcome
    from market.errors import OrderError

app = typer.Typer(no_args_is_help=True, help="Order books from files, cleared in every mode. The form is in docs/market.md.")

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A JSON file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Seconds = Annotated[float, typer.Option(min=0.1, max=3600, help="The most that a search for blocks may take.")]

SHOWN = 40
"""Orders and intervals that a table shows; JSON has all."""


@app.command()
def clear(
    file: File,
    mode: Annotated[
        str | None, typer.Option(help="competitive, pay-as-bid, cooperative or block; by default the file's.")
    ] = None,
    seconds: Seconds = 45.0,
    plot: Annotated[Path | None, typer.Option(help="Where supply and demand are drawn, as SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Clears a book in one mode; the result has passed the mode's checker, which shares no code with the engine.

    Example: wattproof market clear orders.json --mode cooperative --json
    """
    from app.errors import Refused
    from market.bookfile import read_book
    from market.clearing.compare import outcome

    book = read_book(file)
    found = outcome(book, mode or book.mode, seconds)
    if plot is not None:
        drawn = _plot(book, found)
        try:
            plot.write_text(drawn)
        except OSError as error:
            raise Refused(
                "The plot cannot be written.",
                field="--plot",
                expected="a file that can be written",
                got=f"{plot}: {error.strerror}",
            ) from error
    if as_json:
        print(json.dumps(_told(found), indent=2))
        return
    _print_totals({found.mode: found})
    shown = [(str(row.interval), _kwh(row.volume), _price(row.lo), _price(row.hi)) for row in found.intervals[:SHOWN]]
    _print_table(("interval", "kWh", "lowest", "highest"), shown)
    _print_rest(len(found.intervals), "intervals")
    _print_shares({found.mode: found})


@app.command("compare")
def compare_modes(file: File, seconds: Seconds = 45.0, as_json: Json = False) -> None:
    """The same book in every mode, side by side. Pay-as-bid is what these orders would have cost; no contract settles it.

    Example: wattproof market compare orders.json
    """
    from market.bookfile import read_book
    from market.clearing.compare import compare
    from market.errors import OrderError

    found = compare(read_book(file), seconds)
    if as_json:
        told = {mode: {"refused": str(o)} if isinstance(o, OrderError) else _told(o) for mode, o in found.items()}
        print(json.dumps(told, indent=2))
        return
    _print_totals(found)
    _print_shares({mode: o for mode, o in found.items() if not isinstance(o, OrderError)})


@app.command()
def zonal(file: File, as_json: Json = False) -> None:
    """Zones with limits between them, cleared together. For planning: on chain each session is checked by itself.

    Example: wattproof market zonal zones.json
    """
    from market.bookfile import read_zones
    from market.clearing.compare import Unchecked
    from market.clearing.zonal import clear as couple
    from market.clearing.zonal_check import check_zonal

    coupled = read_zones(file)
    zones, links = coupled.zones, coupled.links
    cleared = couple(zones, links)
    verdict = check_zonal(zones, links, cleared)
    if not verdict.accepted:
        raise Unchecked(f"the zonal clearing does not pass its checker: {verdict.reason}")
    if as_json:
        print(json.dumps(_told_zonal(zones, links, cleared), indent=2))
        return
    print(
        f"{_kwh(cleared.volume)} kWh traded, welfare {_welfare(cleared.welfare)} EUR, of which "
        f"{_welfare(cleared.rent)} EUR is left at full links"
    )
    head = ["interval", *(f"{zone.name} EUR/kWh" for zone in zones)]
    head += [f"{zones[link.source].name} > {zones[link.target].name} kWh" for link in links]
    shown = [
        (str(t), *(_price(zone.price) for zone in part.zones), *map(_kwh, part.flows))
        for t, part in list(zip(zones[0].book.terms.intervals, cleared.intervals, strict=True))[:SHOWN]
    ]
    _print_table(head, shown)
    _print_rest(len(cleared.intervals), "intervals")


@app.command()
def export(
    session: Annotated[int, typer.Argument(help="The session's number.", show_default=False)],
    rpc: Annotated[str | None, typer.Option(help="Address of a node; by default the data directory's chain.")] = None,
    deployment: Annotated[
        Path | None, typer.Option(help="Manifest of the deployment; by default the data directory's.")
    ] = None,
) -> None:
    """Prints the order book of a competitive or cooperative session from the chain's log, as a file. It only reads.

    Example: wattproof market export 1 > orders.json && wattproof market compare orders.json
    """
    from app.services.replaying import exported, reader
    from app.settings import Settings

    with reader(Settings(), rpc, deployment) as client:
        print(exported(client, session), end="")


def _told(found: Outcome) -> dict[str, Any]:
    totals = {name: getattr(found, name) for name in ("volume", "welfare", "paid", "earned", "lowest", "highest")}
    return {
        "mode": found.mode,
        "settled_on_chain": found.mode != "pay-as-bid",
        **totals,
        "gap": found.gap,
        "ideal_gap": found.ideal_gap,
        "complete": found.complete,
        "intervals": [asdict(interval) for interval in found.intervals],
        "shares": [{**asdict(share), "side": share.side.name.lower()} for share in found.shares],
    }


def _told_zonal(zones: Any, links: Any, cleared: Any) -> dict[str, Any]:
    intervals = [
        {
            "interval": t,
            "zones": {
                zone.name: {**asdict(result), "price": result.price} for zone, result in zip(zones, part.zones, strict=True)
            },
            "flows": list(part.flows),
            "rent": part.rent,
        }
        for t, part in zip(zones[0].book.terms.intervals, cleared.intervals, strict=True)
    ]
    return {
        "settled_on_chain": False,
        "volume": cleared.volume,
        "welfare": cleared.welfare,
        "rent": cleared.rent,
        "links": [{"from": zones[link.source].name, "to": zones[link.target].name} for link in links],
        "intervals": intervals,
        "fills": {zone.name: rows for zone, rows in zip(zones, cleared.fills, strict=True)},
    }


def _print_totals(found: Mapping[str, Outcome | OrderError]) -> None:
    from market.errors import OrderError

    head = ("mode", "kWh", "welfare", "bids pay", "offers earn", "left over", "lowest", "highest", "gap %")
    rows, notes = [], []
    for mode, o in found.items():
        if isinstance(o, OrderError):
            rows.append((mode, *["-"] * 8))
            notes.append(f"{mode}: this log could not have been. {o}")
            continue
        money = map(_eur, (o.paid, o.earned, o.paid - o.earned))
        gap = f"{o.gap * 100:.2f}"
        rows.append((mode, _kwh(o.volume), _welfare(o.welfare), *money, _price(o.lowest), _price(o.highest), gap))
        if mode == "block":
            notes.append(f"block: {_searched(o)}")
    _print_table(head, rows)
    print("money in EUR, prices in EUR/kWh")
    for line in notes:
        print(line)


def _searched(found: Outcome) -> str:
    """How the search for blocks ended, and what its gap means."""
    if not found.complete:
        return "time ran out; with more --seconds the gap may get smaller"
    if not found.gap:
        return "the search came to its end"
    if not found.volume and not found.ideal_gap:
        shares = "no shares of these orders, one ratio for all intervals of an order, gain anything"
        return f"the search came to its end: {shares}; the gap is what rounding to whole Wh could add at most"
    missing = f"before rounding to whole Wh at most {found.ideal_gap * 100:.2f} % may be missing"
    return f"the search came to its end: {missing}; the rest of the gap is what rounding could add at most"


def _print_shares(found: Mapping[str, Outcome]) -> None:
    """What every live order gets, a column a mode: kWh, EUR."""
    orders = sorted({(share.account, share.side) for o in found.values() for share in o.shares})
    rows = []
    shares = [{(share.account, share.side): share for share in o.shares} for o in found.values()]
    for account, side in orders[:SHOWN]:
        cells = [
            f"{_kwh(sum(share.fills))}, {_eur(share.money)}" if (share := of.get((account, side))) else "-" for of in shares
        ]
        rows.append((str(account), "earns" if side else "pays", *cells))
    print("each order: kWh, EUR")
    _print_table(("account", "", *found), rows)
    _print_rest(len(orders), "orders")


def _print_rest(count: int, what: str) -> None:
    if count > SHOWN:
        print(f"... and {count - SHOWN} more {what}; --json has all")


def _plot(file: BookFile, found: Outcome) -> str:
    from app.figures import curves
    from market.clearing.levels import book_levels

    terms = file.book.terms
    book = [
        {
            "interval": levels.interval,
            "bids": [{"price": level.price, "quantity_wh": level.quantity} for level in levels.bids],
            "offers": [{"price": level.price, "quantity_wh": level.quantity} for level in levels.offers],
        }
        for levels in book_levels(file.book, file.sold)
    ]
    cleared = [
        {"interval": row.interval, "price": row.lo if row.lo == row.hi else None, "volume_wh": row.volume}
        for row in found.intervals
    ]
    return curves(
        {"intervals": book},
        {"cleared": cleared, "price_cap": terms.price_cap, "minutes": terms.zone.interval_minutes},
    )


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as they need to be, numbers to the right; whoever pipes it gets whole lines."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)))


def _kwh(wh: int) -> str:
    return f"{wh / 1000:.3f}"


def _eur(micro: int) -> str:
    return f"{micro / 1e6:.6f}"


def _welfare(value: int) -> str:
    """EUR of Wh times micro-euro per kWh, to the last digit."""
    whole, rest = divmod(abs(value), 10**9)
    return f"{'-' * (value < 0)}{whole}.{rest:09d}"


def _price(price: int | None) -> str:
    return "-" if price is None else f"{price / 1e6:.6f}"
