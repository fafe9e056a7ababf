"""Run by the Python that has ASSUME: clears one interval's book by its own API, and prints milliseconds and welfare as JSON.

Standard input: {"bids": [[limit, quantity], ...], "offers": [...], "way": "pay-as-clear" or "pay-as-bid", "runs": n}.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta

from assume.common.market_objects import MarketConfig, MarketProduct
from assume.markets.clearing_algorithms.simple import PayAsBidRole, PayAsClearRole
from dateutil import rrule


def main() -> None:
    asked = json.load(sys.stdin)
    hour, start = timedelta(hours=1), datetime(2026, 1, 1)
    opening = rrule.rrule(rrule.HOURLY, dtstart=start, until=start + 24 * hour)
    market = MarketConfig(opening_hours=opening, market_products=[MarketProduct(hour, 1, hour)])
    role = {"pay-as-clear": PayAsClearRole, "pay-as-bid": PayAsBidRole}[asked["way"]](market)
    product = (start, start + hour, None)
    taken = []
    for _ in range(asked["runs"]):
        book = [
            {"start_time": product[0], "end_time": product[1], "only_hours": None, "price": p, "volume": sign * q, "bid_id": i}
            for i, (sign, (p, q)) in enumerate([(-1, bid) for bid in asked["bids"]] + [(1, offer) for offer in asked["offers"]])
        ]
        started = time.perf_counter()
        accepted = role.clear(book, [product])[0]
        taken.append((time.perf_counter() - started) * 1000)
    welfare = -sum(order["accepted_volume"] * order["price"] for order in accepted)
    print(json.dumps({"ms": min(taken), "welfare": welfare}))


main()
