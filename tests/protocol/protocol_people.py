"""People who trade two hours of a day, and one closed session of theirs: the stage for refusals without proofs."""

from __future__ import annotations

from collections.abc import Sequence

from protocol_world import CAP, RULES, Market, bits, order

from contracts.encoding import IntervalCertificate, ResultRow, StatedTerms, batch_words, row_words
from contracts.units import Side

PAIR = bits(10, 11)

RIGHT = IntervalCertificate(120_000, 120_000, 800, 0, 300)
"""What an hour of `close_session`'s session comes to."""

RANGE = IntervalCertificate(125_000, 130_000, 800, 0, 0)
"""What an hour of `close_ranged`'s session comes to."""


def meet(market: Market) -> Market:
    """Ann and Ben, who can sell, a DSO without a meter, and Eve, who has a meter and one euro."""
    for number, name in enumerate(("ann", "ben", "eve"), 1):
        market.member(name, number, money=10**6 if name == "eve" else 10**12)
    market.member("dso")
    return market


def free_day(market: Market) -> int:
    """Goes on to the start of a day on which nobody has traded."""
    day = market.today + 1
    market.chain.advance_to(market.zone.interval_start(day, 0))
    return day


def open_pair(market: Market) -> int:
    """A session over two hours of a day of its own, its gate open for ten minutes."""
    return market.open(free_day(market), PAIR)


def close_session(market: Market) -> int:
    """A session that waits to be cleared: the DSO bids 800 Wh at 0.14 and, below every offer, 300 Wh more at 0.08; Ann and Ben
    offer 500 Wh each, at 0.10 and 0.12."""
    session, dso = open_pair(market), market.accounts["dso"]
    market.place("dso", session, order(dso, Side.BID, [(800, 140_000)] * 2, [(300, 80_000)] * 2))
    market.place("ann", session, order(market.accounts["ann"], Side.OFFER, [(500, 100_000)] * 2))
    market.place("ben", session, order(market.accounts["ben"], Side.OFFER, [(500, 120_000)] * 2))
    market.close_gate(session)
    return session


def close_ranged(market: Market) -> int:
    """A session that waits to be cleared and has a range of prices, from a bid that stays out to an offer that does: the DSO
    bids 800 Wh at 0.14 and 300 Wh at 0.125; Ann offers 500 Wh at 0.10, Ben 300 Wh at 0.12 and 200 Wh at 0.13."""
    session, dso = open_pair(market), market.accounts["dso"]
    market.place("dso", session, order(dso, Side.BID, [(800, 140_000)] * 2, [(300, 125_000)] * 2))
    market.place("ann", session, order(market.accounts["ann"], Side.OFFER, [(500, 100_000)] * 2))
    market.place("ben", session, order(market.accounts["ben"], Side.OFFER, [(300, 120_000)] * 2, [(200, 130_000)] * 2))
    market.close_gate(session)
    return session


def offer(market: Market, name: str, quantity: int = 500, limit: int = 100_000) -> list[int]:
    """Words of an offer of `name` over both hours."""
    terms = StatedTerms(PAIR, CAP, RULES.collateral_ppm)
    return batch_words([order(market.accounts[name], Side.OFFER, [(quantity, limit)] * 2)], terms)


def rows_of(rows: Sequence[ResultRow]) -> list[int]:
    return [word for row in rows for word in row_words(row)]
