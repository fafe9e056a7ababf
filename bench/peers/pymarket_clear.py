"""Run by the Python that has pymarket: clears one interval's book by its own API, and prints milliseconds and welfare as JSON.

Standard input: {"bids": [[limit, quantity], ...], "offers": [...], "way": "huang" or "muda" or "p2p", "runs": n}.
"""

from __future__ import annotations

import json
import sys
import time

import pymarket


def main() -> None:
    asked = json.load(sys.stdin)
    taken = []
    for _ in range(asked["runs"]):
        market = pymarket.Market()
        limits = []
        for buying, side in ((True, asked["bids"]), (False, asked["offers"])):
            for limit, quantity in side:
                market.accept_bid(quantity, limit, len(limits), buying)
                limits.append(limit if buying else -limit)
        started = time.perf_counter()
        transactions, _ = market.run(asked["way"])
        taken.append((time.perf_counter() - started) * 1000)
    found = transactions.get_df()
    welfare = sum(limits[int(bid)] * wh for bid, wh in zip(found["bid"], found["quantity"], strict=True))
    print(json.dumps({"ms": min(taken), "welfare": float(welfare)}))


main()
