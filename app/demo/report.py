"""The report of the day: `report.json` (its schema is docs/report.schema.json) and `report.html` with plots.

Works on what the public API returned and on what the demonstration measured itself; it computes nothing anew.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape

from app import figures

Json = dict[str, Any]


@dataclass
class Day:
    """Everything the report tells, gathered while the day goes on."""

    data: Json = field(default_factory=dict)
    chain: Json = field(default_factory=dict)
    session: Json = field(default_factory=dict)
    book: Json = field(default_factory=dict)
    deliveries: list[Json] = field(default_factory=list)
    statements: list[Json] = field(default_factory=list)
    homes: list[Json] = field(default_factory=list)
    attempts: list[Json] = field(default_factory=list)
    alerts: list[Json] = field(default_factory=list)
    account: list[str] = field(default_factory=list)
    replay: str = "not run"
    seconds: dict[str, float] = field(default_factory=dict)

    def report(self) -> Json:
        """The stable interface of DESIGN section 13."""
        s = self.session
        gas: dict[str, int] = {}
        for transaction in s["transactions"]:
            kind = transaction["kind"]
            gas[kind] = gas.get(kind, 0) + transaction["gas"]
        return {
            "data": self.data,
            "chain": self.chain,
            "sessions": [
                {
                    "id": s["id"],
                    "direction": s["direction"],
                    "mode": s["mode"],
                    "state": s["state"],
                    "orders": s["orders"],
                    "entries": s["entries"],
                    "cleared": [{k: row[k] for k in ("interval", "price", "volume_wh")} for row in s["cleared"]],
                    "gas": {kind: gas.get(kind, 0) for kind in ("orders", "clear", "commit", "prove", "settle")},
                }
            ],
            "proofs": proofs(self.deliveries),
            "settlement": {
                k: s["settlement"][k] for k in ("rewards", "penalties", "fees", "intake_fees", "rounding", "balanced")
            },
            "alerts": [
                {k: alert[k] for k in ("id", "session", "detector", "severity", "open", "hash")} for alert in self.alerts
            ],
            "replay": self.replay,
            "seconds": self.seconds,
        }


def proofs(deliveries: Sequence[Json]) -> list[Json]:
    """A row a proof: whom it proved, how long it took, and its accounts' part of the gas that verified and recorded them. A
    proof that did not get onto the chain has no gas."""
    batches: dict[Any, list[Json]] = {}
    for d in deliveries:
        if d["prove_ms"] is not None:
            batches.setdefault(("batch", d["batch"]) if d["batch"] is not None else ("account", d["account"]), []).append(d)
    return [
        {
            "accounts": [d["account"] for d in batch],
            "constraints": batch[0]["constraints"],
            "witness_ms": batch[0]["witness_ms"],
            "prove_ms": batch[0]["prove_ms"],
            "verify_gas": sum(d["verify_gas"] or 0 for d in batch),
            "verified": all(d["state"] == "verified" for d in batch),
        }
        for batch in batches.values()
    ]


def write(day: Day, folder: Path) -> tuple[Path, Path]:
    """Write both files; returns their paths (JSON, HTML)."""
    folder.mkdir(parents=True, exist_ok=True)
    report = day.report()
    as_json = folder / "report.json"
    as_json.write_text(json.dumps(report, indent=2) + "\n")
    environment = Environment(
        loader=PackageLoader("app.demo"), autoescape=select_autoescape(default=True), trim_blocks=True, lstrip_blocks=True
    )
    intervals = day.session["intervals"]
    html = environment.get_template("report.html.j2").render(
        r=report,
        session=day.session,
        statements=day.statements,
        account=day.account,
        attempts=day.attempts,
        hours=f"the hours {intervals[0]:02d}:00 to {intervals[-1] + 1:02d}:00",
        verified=sum(1 for p in report["proofs"] if p["verified"]),
        delivered=sum(len(p["accounts"]) for p in report["proofs"] if p["verified"]),
        kwh=lambda wh: f"{(wh or 0) / 1000:.2f} kWh",
        eur=lambda micro: f"{micro / 1e6:.2f} EUR",
        amount=lambda micro: f"{micro / 1e6:.4f}" if micro else "",
        figures={
            "curves": figures.curves(day.book, day.session),
            "delivered": figures.promised_delivered(day.deliveries),
            "homes": figures.home_day(day.homes),
            "money": figures.money(day.statements),
        },
    )
    as_html = folder / "report.html"
    as_html.write_text(html)
    return as_json, as_html
