"""Plots as SVG strings, drawn from what the public API returns: for the report of the day and for `wattproof market`.

Energy is drawn in kWh, prices in EUR/kWh, money in EUR.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

Json = dict[str, Any]

DEMAND, SUPPLY, ACCENT, BAD, MUTED = "#1f5fa8", "#b4540a", "#0b7a53", "#b3261e", "#8a94a3"
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9aa4b2",
    "axes.labelcolor": "#333c4a",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "xtick.color": "#4a5464",
    "ytick.color": "#4a5464",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e5e9ef",
    "legend.frameon": False,
    "svg.hashsalt": "wattproof",
}


def steps(levels: Sequence[Json], end: float) -> tuple[list[float], list[float]]:
    """Points of a step curve over cumulated quantity (kWh) for price levels, best first, dropped to `end` at the last
    quantity.
    """
    xs, ys, cumulated = [], [], 0.0
    for level in levels:
        price = level["price"] / 1e6
        xs += [cumulated, cumulated + level["quantity_wh"] / 1000]
        ys += [price, price]
        cumulated += level["quantity_wh"] / 1000
    return [*xs, cumulated], [*ys, end]


def curves(book: Json, session: Json) -> str:
    """Supply and demand of every interval, with the cleared point; intervals are hours unless the session has `minutes`."""
    cleared = {row["interval"]: row for row in session["cleared"]}
    columns = 3
    rows = -(-len(book["intervals"]) // columns)
    cap = session["price_cap"] / 1e6
    limits = [level["price"] / 1e6 for interval in book["intervals"] for level in (*interval["bids"], *interval["offers"])]
    top = min(cap, 1.25 * max(limits, default=cap)) or cap  # prices far below a cap would lie on the axis
    minutes = session.get("minutes", 60)
    with _figure(10.5, 2.7 * rows, rows, columns) as (axes, save):
        for axis, interval in zip(axes, book["intervals"], strict=False):
            if interval["bids"]:
                axis.plot(*steps(interval["bids"], 0.0), color=DEMAND, lw=1.6, label="bids (demand)")
            if interval["offers"]:
                axis.plot(*steps(interval["offers"], top), color=SUPPLY, lw=1.6, label="offers (supply)")
            row = cleared.get(interval["interval"])
            hour, minute = divmod(interval["interval"] * minutes, 60)
            axis.set_title(f"{hour:02d}:{minute:02d}")
            if row and row["price"] is not None:
                price, volume = row["price"] / 1e6, row["volume_wh"] / 1000
                axis.plot([0, volume], [price, price], color=ACCENT, lw=1, ls=(0, (3, 2)))
                axis.plot([volume, volume], [0, price], color=ACCENT, lw=1, ls=(0, (3, 2)))
                axis.plot([volume], [price], "o", color=ACCENT, ms=5)
                axis.set_title(f"{hour:02d}:{minute:02d}   {price:.4f} EUR/kWh, {volume:.2f} kWh")
            axis.set_ylim(0, top * 1.03)
            axis.set_xlim(left=0)
            axis.set_xlabel("kWh")
            axis.set_ylabel("EUR/kWh")
        _legend_above(axes)
        return save()


def promised_delivered(deliveries: Sequence[Json]) -> str:
    """Promised and proven flexibility of each seller, summed over the session."""
    rows = [d for d in deliveries if any(d["promised"])]
    names = [d["label"] or f"account {d['account']}" for d in rows]
    promised = [sum(d["promised"]) / 1000 for d in rows]
    delivered = [
        sum(max(0, value) for value, p in zip(d["delivered"] or [0] * len(d["promised"]), d["promised"], strict=True) if p)
        / 1000
        for d in rows
    ]
    with _figure(10.5, 3.0, 1, 1) as ((axis,), save):
        at = range(len(rows))
        axis.bar([x - 0.2 for x in at], promised, 0.38, color="#c9d3e0", label="promised")
        colors = [ACCENT if d >= 0.95 * p else BAD for p, d in zip(promised, delivered, strict=True)]
        axis.bar([x + 0.2 for x in at], delivered, 0.38, color=colors, label="delivered, proven")
        axis.set_xticks(list(at), names, rotation=40, ha="right")
        axis.set_ylabel("kWh in the session")
        axis.grid(axis="x", visible=False)
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8)
        return save()


def money(statements: Sequence[Json]) -> str:
    """What each seller earned and forfeited."""
    rows = [s for s in statements if s["role"] == "seller"]
    names = [s["label"] or f"account {s['account']}" for s in rows]
    with _figure(10.5, 3.0, 1, 1) as ((axis,), save):
        at = list(range(len(rows)))
        axis.bar(at, [s["earned"] / 1e6 for s in rows], 0.55, color=ACCENT, label="reward")
        axis.bar(at, [-s["penalty"] / 1e6 for s in rows], 0.55, color=BAD, label="penalty")
        axis.axhline(0, color="#4a5464", lw=0.8)
        axis.set_xticks(at, names, rotation=40, ha="right")
        axis.set_ylabel("EUR")
        axis.grid(axis="x", visible=False)
        axis.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, fontsize=8)
        return save()


def home_day(series: Sequence[Json]) -> str:
    """Per home: forecast, baseline, the original readings and the readings with the synthetic response, kWh per interval."""
    with _figure(10.5, 2.7 * -(-len(series) // 2), -(-len(series) // 2), 2) as (axes, save):
        for axis, home in zip(axes, series, strict=False):
            hours = range(len(home["original"]))
            axis.axvspan(home["intervals"][0] - 0.5, home["intervals"][-1] + 0.5, color="#eef3f8", lw=0)
            axis.plot(hours, [v / 1000 for v in home["original"]], color=MUTED, lw=1.2, label="meter, original")
            axis.plot(hours, [v / 1000 for v in home["metered"]], color=ACCENT, lw=1.6, label="meter, with synthetic response")
            axis.plot(hours, [v / 1000 for v in home["forecast"]], color=DEMAND, lw=1.1, ls=(0, (3, 2)), label="forecast")
            axis.plot(
                home["intervals"], [v / 1000 for v in home["baseline"]], "o", color=SUPPLY, ms=3.5, label="proven baseline"
            )
            axis.set_title(home["label"])
            axis.set_xlim(0, len(home["original"]) - 1)
            axis.set_xlabel("hour of the day")
            axis.set_ylabel("net load, kWh")
        _legend_above(axes)
        return save()


def _legend_above(axes: Sequence[Axes]) -> None:
    """One legend for all plots of a figure, above them: inside one of them it would lie over what is drawn."""
    lines = {str(line.get_label()): line for axis in axes for line in axis.get_lines()}
    lines = {name: line for name, line in lines.items() if not name.startswith("_")}  # those without a label of their own
    if lines:
        axes[0].figure.legend(lines.values(), lines.keys(), loc="outside upper right", ncols=len(lines), fontsize=8)


@contextmanager
def _figure(width: float, height: float, rows: int, columns: int) -> Iterator[tuple[list[Axes], Callable[[], str]]]:
    with plt.rc_context(_STYLE):
        figure, grid = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, layout="constrained")
        axes = list(grid.flat)

        def save() -> str:
            for axis in axes:
                if not axis.has_data():
                    axis.set_visible(False)
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None})
            svg = buffer.getvalue()
            return svg[svg.index("<svg") :]

        try:
            yield axes, save
        finally:
            plt.close(figure)
