"""The figures of docs/market.md, from what `wattproof bench clearing` recorded.

`python -m bench.market_figures` writes the section anew after a run; a test fails where the document says anything else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench import RESULTS
from bench.peers import WAYS

DOCUMENT = Path(__file__).parents[1] / "docs" / "market.md"
HEAD = "## Figures"
NEWLINE = "\n"


def shown(value: float) -> str:
    """Three digits that count, with commas."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def peer_lines(rows: dict[str, Any]) -> list[str]:
    """The table of others, a line for each size."""
    lines = []
    for size in ("100", "1k", "10k", "100k"):
        row = rows[f"ms_peers_{size}"]
        missing = {name: "not installed" if f"{name}: not installed" in row["note"] else "not done" for name in WAYS}
        cells = [shown(row["peers"][name]) if name in row["peers"] else missing[name] for name in WAYS]
        lines.append(f"| {size} | {shown(row['value'])} | {' | '.join(cells)} | `ms_peers_{size}` |")
    return lines


def section() -> str:
    """The whole section, from its head on; it is the document's last."""
    found = json.loads((RESULTS / "clearing.json").read_text())["rows"]
    rows = {row["metric"]: row for row in found}

    def told(metric: str, unit: str = "") -> str:
        return f"{shown(rows[metric]['value'])}{unit} (`{metric}`)"

    shares = {"Wattproof": rows["welfare_peers_10k"]["value"], **rows["welfare_peers_10k"]["peers"]}
    return f"""{HEAD}
`wattproof bench clearing` on 2 cores; of each figure the fastest
repetition within one run of the command (`bench/results/clearing.json`).

- Competitive, entries (interval, quantity, limit) of orders over 24 hours to certificates and result rows:
  10,000 in {told("ms_10k", " ms")}, 100,000 in {told("ms_100k", " ms")}, a million in {told("ms_1m", " ms")};
  the targets are 5, 50 and 600. Orders of one interval cost more an entry (table below): each has
  a row, and a profile shows most of the time there.
- Memory at its peak, an entry: {told("bytes_entry_10k", " bytes")}, {told("bytes_entry_100k", " bytes")},
  {told("bytes_entry_1m", " bytes")} for the same sizes: linear.
- Least share of the optimum on 500 random books, which HiGHS finds: {told("welfare_ratio_min")}. The same bit for bit when
  repeated and when the entries come in another order (among equal limits the log decides): {told("deterministic")}.
- 100,000 entries cooperative: {told("ms_100k_cooperative", " ms")}; pay-as-bid: {told("ms_100k_pay_as_bid", " ms")}.
  10,000 entries in three zones: {told("ms_10k_zonal", " ms")}.
- 200 blocks over 24 hours, half all or nothing, a tenth linked: {told("s_blocks", " s")}, gap {told("gap_blocks", " %")}.

Others in the same run, on the same books of one interval, half bids and half offers; milliseconds, "not done" after 60 s:

| orders | Wattproof | {" | ".join(WAYS)} | metrics |
|---|---|---|---|---|---|
{NEWLINE.join(peer_lines(rows))}

Of the greatest welfare, which HiGHS finds, everybody's share with 10,000 orders:
{"; ".join(f"{name} {share:.4f}" for name, share in shares.items())} (in `welfare_peers_10k`).
Ours makes certificates and a result row for every order as well; for a hundred orders that costs more than the clearing. They
do more than clear too: ASSUME simulates whole electricity markets, and `huang` is a mechanism in which nobody gains by a false
bid, for which it gives up some trade. `make peers` installs them, each in an environment of its own (ASSUME is
AGPL-3.0-or-later, pymarket MIT); where one is missing the row says "not installed". pymarket's own pins need Python 3.11.
"""


if __name__ == "__main__":
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(text[: text.index(HEAD)] + section())
