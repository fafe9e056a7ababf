"""What the golden cases (tests/cases/clearing) must come to, by brute force for every kind of case and without a line of the
engines. `orders.json` is the form of docs/market.md, `expected.json` what is written here.

`python tests/market/market_golden.py` writes the expected results anew from the orders.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from block_books import best_fills
from market_brute import brute_clear, plain
from market_cooperative import brute_interval
from market_zonal import brute_zonal

from contracts.units import Side
from market.bookfile import BookFile, read_book, read_zones

CASES = Path(__file__).resolve().parents[1] / "cases" / "clearing"


def kind_of(path: Path) -> str:
    """competitive, pay-as-bid, cooperative, block or zonal."""
    raw = json.loads((path / "orders.json").read_text())
    return "zonal" if "zones" in raw else str(raw.get("mode", "competitive"))


def expected_of(path: Path) -> dict[str, Any]:
    """The expected result of the case in a folder."""
    kind = kind_of(path)
    orders = path / "orders.json"
    if kind == "zonal":
        coupled = read_zones(orders)
        return dict(plain(brute_zonal(coupled.zones, coupled.links)))
    file = read_book(orders)
    if kind == "block":
        return dict(plain(best_fills(file.blocks)))
    terms = file.book.terms
    uniform = brute_clear(
        file.book.orders, terms.mask, dict(file.sold), terms.price_cap, terms.collateral_ppm, file.book.excluded
    )
    if kind == "pay-as-bid":
        return _pay_as_bid(file, uniform)
    return _cooperative(file, uniform) if kind == "cooperative" else uniform


def _pay_as_bid(file: BookFile, uniform: dict[str, Any]) -> dict[str, Any]:
    """The uniform price's fills, every Wh at its own limit, best limit first within an entry."""
    intervals = len(file.book.terms.intervals)
    sums = {Side.BID: [0] * intervals, Side.OFFER: [0] * intervals}
    for order, row in zip(file.book.orders, uniform["rows"], strict=True):
        gross = []
        for j, wh in enumerate(row["fills"]):
            each = [step.limits[j] for step in order.steps for _ in range(step.quantities[j])]
            gross.append(sum(sorted(each, reverse=order.side is Side.BID)[:wh]))
            sums[order.side][j] += gross[-1]
        row["gross"] = gross if any(row["fills"]) else None
        row["cost"] = sum(-(-value // 1000) for value in gross) if order.side is Side.BID else 0
    return {**uniform, "buyers": sums[Side.BID], "sellers": sums[Side.OFFER]}


def _cooperative(file: BookFile, uniform: dict[str, Any]) -> dict[str, Any]:
    """Rows with the fills and prices of matching single Wh, certificates from these."""
    orders, terms, rows = file.book.orders, file.book.terms, uniform["rows"]
    certificates, levels = [], []
    grosses: list[list[int]] = [[] for _ in orders]
    for j, interval in enumerate(terms.intervals):
        counted = [
            i
            for i, order in enumerate(orders)
            if rows[i]["live"] and not (order.side is Side.OFFER and file.sold.get(order.account, 0) >> interval & 1)
        ]
        found = brute_interval(orders, counted, j)
        certificates.append({"volume": found["volume"], "share": found["share"]})
        levels.append(found["levels"])
        for i, row in enumerate(rows):
            row["fills"][j] = found["fills"].get(i, 0)
            grosses[i].append(found["gross"].get(i, 0))
    for order, row, gross in zip(orders, rows, grosses, strict=True):
        row["gross"] = gross if any(row["fills"]) else None
        row["cost"] = sum(-(-value // 1000) for value in gross) if order.side is Side.BID else 0
    return {"certificates": certificates, "levels": plain(levels), "rows": rows}


def write(path: Path) -> None:
    """Long books a row a line, so that a case can still be read."""
    expected = expected_of(path)
    text = json.dumps(expected, indent=1)
    if len(text) > 100_000:
        body = ",\n".join(
            f" {json.dumps(name)}: " + ("[\n  " + ",\n  ".join(map(json.dumps, value)) + "]" if value else "[]")
            for name, value in expected.items()
        )
        text = "{\n" + body + "\n}"
    (path / "expected.json").write_text(text + "\n")


if __name__ == "__main__":
    for case in sorted(CASES.iterdir()):
        write(case)
        print(case.name)
