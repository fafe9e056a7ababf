"""Trades without a change of ownership: with oneself, and in circles."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from contracts.units import PPM, Side
from market.surveillance import budget
from market.surveillance.case import Case, Floats, share_ppm
from market.surveillance.evidence import Detector, Finding
from market.surveillance.impact import reclear
from market.surveillance.observed import Key, Observed

Nodes: TypeAlias = NDArray[np.bool_]
Links: TypeAlias = NDArray[np.bool_]
"""(from, to)."""


def self_trade(case: Case) -> list[Finding]:
    """Names whoever stands on both sides of an interval: the lesser of what accounts under one owner, agent or payer bought and
    sold there.

    Wash trade in the sense of ESMA's guidance on Article 12(1)(a) of Regulation 596/2014 (Delegated Regulation 2016/522, Annex
    II) and ACER's guidance on REMIT Article 2(2): no change of beneficial interest."""
    p, observed, found = case.parameters.trades, case.observed, []
    sides: dict[str, dict[Side, list[Key]]] = {}
    for key, order in observed.live.items():
        if any(observed.fills[key]):
            for who in observed.controllers(order):
                sides.setdefault(who, {side: [] for side in Side})[key[1]].append(key)
    named: set[tuple[Key, ...]] = set()
    for _, by_side in sorted(sides.items()):
        bought, sold = (
            [sum(observed.fills[key][j] for key in by_side[side]) for j in range(len(observed.prices))] for side in Side
        )
        own = [min(b, s) for b, s in zip(bought, sold, strict=True)]
        beyond = [j for j, wh in enumerate(own) if wh and share_ppm(wh, observed.volumes[j]) >= p.own_ppm]
        total = sum(own[j] for j in beyond)
        suspects = tuple(sorted({*by_side[Side.BID], *by_side[Side.OFFER]}))
        if not beyond or total < p.min_own or suspects in named:
            continue
        named.add(suspects)
        figures = {
            "own_wh": total,
            "own_ppm": share_ppm(total, sum(observed.volumes[j] for j in beyond)),
            "limit_ppm": p.own_ppm,
        }
        found.append(
            Finding(
                Detector.SELF_TRADE,
                observed.session,
                tuple(observed.book.terms.intervals[j] for j in beyond),
                accounts=tuple(sorted({account for account, _ in suspects})),
                suspects=suspects,
                figures=figures,
                impact=reclear(observed, {key: None for key in suspects}),
            )
        )
    return found


def flows(sessions: list[Observed]) -> tuple[list[str], Floats]:
    """Money from owner to owner over sessions, micro-euro: each buyer pays every seller of its interval by the seller's part of
    the volume, since a uniform price has no pairs."""
    owners = sorted({s.owner(account) for s in sessions for (account, _), fills in s.fills.items() if any(fills)})
    at = {owner: i for i, owner in enumerate(owners)}
    money = np.zeros((len(owners), len(owners)))
    for s in sessions:
        shape = (len(owners), len(s.prices))
        bought, sold = np.zeros(shape), np.zeros(shape)
        for (account, side), fills in s.fills.items():
            if any(fills):
                (bought if side is Side.BID else sold)[at[s.owner(account)]] += fills
        prices = np.array([price or 0 for price in s.prices]) / 1000
        volumes = np.maximum(np.array(s.volumes), 1)
        money += (bought * (prices / volumes)) @ sold.T
    return owners, money


def circular_trade(case: Case) -> list[Finding]:
    """Names owners between whom money goes round: over the last sessions each link of the circle is a good part of what one of
    the two trades, and what comes back inside the circle is most of what went out.

    Circles are the strongly connected parts of the graph of payments (Franke, Hoser & Schroeder, On the Analysis of Irregular
    Stock Market Trading Behavior, 2008; Palshikar & Apte, Collusion Set Detection Using Graph Clustering, 2008). Looks at
    sessions in which the owners traded up to this one, and only where this one adds to the circle."""
    p, observed = case.parameters.trades, case.observed
    window = [*case.before[-p.sessions + 1 :], observed]
    owners, money = flows(window)
    np.fill_diagonal(money, 0)
    paid, earned = money.sum(axis=1), money.sum(axis=0)
    strong = money >= p.link_ppm / PPM * np.minimum(np.maximum(paid[:, None], 1), np.maximum(earned[None, :], 1))
    strong &= money > 0
    found = []
    for circle in _circles(strong):
        inside = money[np.ix_(circle, circle)]
        out, back = inside.sum(axis=1), inside.sum(axis=0)
        came_back = float(np.minimum(out, back).sum())
        gross = float(np.maximum(paid[circle], earned[circle]).sum())
        names = {owners[i] for i in circle}
        accounts = tuple(sorted({a for s in window for a, _ in s.fills if s.owner(a) in names}))
        suspects = tuple(sorted(key for key in observed.live if key[0] in accounts and any(observed.fills[key])))
        if came_back < p.min_round or share_ppm(came_back, gross) < p.round_ppm or not suspects:
            continue
        figures = {
            "round": int(came_back),
            "round_ppm": share_ppm(came_back, gross),
            "limit_ppm": p.round_ppm,
            "owners": len(circle),
            "sessions": len(window),
        }
        impact = reclear(observed, {key: None for key in suspects})
        found.append(
            Finding(
                Detector.CIRCULAR_TRADE, observed.session, observed.book.terms.intervals, accounts, suspects, figures, impact
            )
        )
    return found


def _circles(links: Links) -> list[list[int]]:
    """Strongly connected parts of two nodes and more: those that a node reaches and that reach it."""
    left: Nodes = np.ones(len(links), dtype=bool)
    while True:  # who has no link in or no link out is in no circle
        within = links & left & left[:, None]
        keep: Nodes = np.logical_and(within.any(axis=0), within.any(axis=1))
        if keep.sum() == left.sum():
            break
        left = keep
    parts = []
    while left.any():
        budget.check()
        start = int(np.argmax(left))
        part = _reached(links, left, start) & _reached(links.T, left, start)
        if part.sum() > 1:
            parts.append(np.flatnonzero(part).tolist())
        left = left & ~part
    return sorted(parts)


def _reached(links: Links, among: Nodes, start: int) -> Nodes:
    found: Nodes = np.zeros(len(links), dtype=bool)
    found[start] = True
    new = found.copy()
    while new.any():
        new = links[new].any(axis=0) & among & ~found
        found |= new
    return found
