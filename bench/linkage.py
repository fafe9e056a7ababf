"""The linkage attack: who tries to find out which home stands behind which account, from what the chain shows.

The chain shows of each account and session the offered curve with its price, the fills, and `baseline - metered` in the proven
intervals (with a hidden promise only `baseline - metered - promise`). The attacker knows the market's public program and, by
`Knowledge`, more and more about the homes. It plays the program on what it knows of the half-year before, learns from that what
to expect of each home and how far a home strays from it, and takes the assignment of accounts to homes of greatest likelihood.

Where a choice had to be made it was made for the attacker: every account belongs to one of the 17 known homes, every home takes
part in every session, every delivery is proven, and the spread of behaviours is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from bench.assignment import assign
from bench.season import Floats, Integers, Season, Variant, baseline, candidate_days, deal, flexible, hold, homes, intervals


class Knowledge(Enum):
    """What the attacker knows of each home beside the chain, weaker first."""

    NONE = "nothing"
    TRAITS = "yearly consumption and size of the PV plant"
    PROFILE = "its average day in the half-year before"
    HISTORY = "all its readings of the half-year before"
    FEEDER = "a meter outside on the same days, 100 Wh off"
    METERED = "the metered load of the same days"


class Channel(Enum):
    """Where the attacker looks."""

    OFFERS = "offers"
    DEVIATIONS = "deviations"
    ALL = "all"


PLAYED = 12
"""Seasons that the attacker plays on the half-year before."""

FEEDER_WH = 100
"""Standard error of the outside meter, Wh an interval."""

_SHRINKAGE = 0.3
_RECENT = 4.0


@dataclass(frozen=True, slots=True)
class View:
    """What is published: `whole` proves every interval of the session and not only the sold ones; `hidden` shows commitments in
    place of offers and fills, and proves whole sessions."""

    whole: bool = False
    hidden: bool = False


@dataclass(frozen=True)
class Expected:
    """What the attacker expects of a channel: per home its features (homes, features), their covariance from session to session
    and that of the expectation's own error."""

    features: Floats
    within: Floats
    error: Floats

    def distance(self, seen: Floats) -> Floats:
        """Squared distance in standard deviations of each account's mean features (sessions, accounts, features) to each
        home's, (accounts, homes)."""
        covariance = self.within / len(seen) + self.error
        covariance = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * np.diag(np.diag(covariance))
        apart = _filled(_mean(seen, 0))[:, None] - self.features[None]
        result: Floats = np.einsum("ahk,kl,ahl->ah", apart, np.linalg.inv(covariance), apart)
        return result


@dataclass(frozen=True)
class Learnt:
    """What the attacker has learnt before the season: expectations by knowledge and channel; for
    finding accounts again the features' variances from session to session and by drift."""

    expected: dict[Knowledge, dict[Channel, Expected]]
    steady: Floats
    drift: Floats


def published(season: Season, view: View) -> Floats:
    """Per session, account and interval `delivered - promise` in Wh, NaN where nothing is proven."""
    off = (season.delivered - season.fills).astype(np.float64)
    proven = np.full(off.shape, view.whole or view.hidden) | (season.fills > 0)
    return np.where(proven, off, np.nan)


def features(season: Season, view: View) -> dict[Channel, Floats]:
    """Per channel (sessions, accounts, features), each less the mean of all accounts of the session, which takes the weather
    away.

    Offers: the curve's level and shape, a cosine transform of square roots (whose spread depends least on the level).
    Deviations: mean with sign, mean size, slope over the session, size in its first half (daylight).
    """
    off = published(season, view)
    roots = np.sign(off) * np.sqrt(np.abs(off))
    early, late = np.array_split(roots, 2, axis=2)
    parts = [_mean(roots, 2), _mean(np.abs(roots), 2), _mean(early, 2) - _mean(late, 2), _mean(np.abs(early), 2)]
    found = {Channel.DEVIATIONS: np.stack(parts, axis=2)}
    if not view.hidden:
        found[Channel.OFFERS] = np.sqrt(season.offered) @ _cosines(off.shape[2]).T
    return {channel: values - _mean(values, 1)[:, None] for channel, values in found.items()}


def learn(view: View, variant: Variant, rng: np.random.Generator) -> Learnt:
    """What the half-year before teaches, with behaviours dealt out anew for each season that is played."""
    days = candidate_days(0)
    middle = len(days) // 2
    seasons = [hold(days, deal(rng), rng, variant) for _ in range(PLAYED)]
    seen = [features(season, view) for season in seasons]
    expected: dict[Knowledge, dict[Channel, Expected]] = {
        k: {} for k in (Knowledge.TRAITS, Knowledge.PROFILE, Knowledge.HISTORY)
    }
    for channel in seen[0]:
        played = np.stack([one[channel] for one in seen])  # (seasons, sessions, homes, features)
        within = _covariance(_filled(played - _mean(played, 1)[:, None]))
        early = _filled(_mean(_mean(played[:, :middle], 1), 0))
        error = _covariance(_filled(_mean(played[:, middle:], 1)) - early)
        history = _filled(_mean(_mean(played, 1), 0))
        level = np.arange(history.shape[1]) == (0 if channel is Channel.OFFERS else 1)
        traits = _fitted(_traits(), history) * level  # they say how much, not when
        average = _from_average_day() if channel is Channel.OFFERS else traits
        for knowledge, guess in ((Knowledge.TRAITS, traits), (Knowledge.PROFILE, average), (Knowledge.HISTORY, history)):
            expected[knowledge][channel] = Expected(guess, within, error + _covariance(guess - history))
    linked = [_linkable(season, view) for season in seasons]
    together = np.stack(linked)
    steady = _mean(_mean(_mean((together - _mean(together, 1)[:, None]) ** 2, 1), 1), 0) + 1e-6
    halves = np.arange(middle), np.arange(middle, len(days))
    moved = np.stack([_recent(one, halves[0], last=True)[0] - _recent(one, halves[1], last=False)[0] for one in linked])
    size = _recent(linked[0], halves[0], last=True)[1]
    drift = np.maximum(_mean(_mean(moved**2, 1), 0) - 2 * steady / size, 0)
    return Learnt(expected, steady, drift)


def link_homes(
    season: Season,
    view: View,
    sessions: Integers,
    knowledge: Knowledge,
    learnt: Learnt,
    rng: np.random.Generator,
    channel: Channel = Channel.ALL,
) -> float:
    """Share of the accounts that the attacker gives to their own home, from the sessions numbered in `sessions`."""
    number = len(homes())
    cost = rng.uniform(size=(number, number)) * 1e-9  # what cannot be told apart is guessed
    if knowledge is not Knowledge.NONE:
        known = knowledge if knowledge in learnt.expected else Knowledge.HISTORY
        seen = {name: values[sessions] for name, values in features(season, view).items()}
        cost = cost + _distance(seen, learnt.expected[known], channel)
    if knowledge in (Knowledge.FEEDER, Knowledge.METERED):
        noise = FEEDER_WH if knowledge is Knowledge.FEEDER else 0
        cost = cost + _against_meters(season, view, sessions, noise, rng)
    return float(np.mean(assign(cost) == np.arange(number)))


def link_accounts(season: Season, view: View, first: Integers, second: Integers, learnt: Learnt, *, prices: bool) -> float:
    """Share of the accounts that are found again after everyone registered anew between the sessions `first` and `second`, by
    the chain alone: offers, deviations, how faithfully they deliver, and with `prices` what they ask."""
    found = _linkable(season, view)
    used = found.shape[2] - (not prices and not view.hidden)
    (one, n), (other, m) = _recent(found, first, last=True), _recent(found, second, last=False)
    spread = learnt.steady / n + learnt.steady / m + learnt.drift
    apart = (one[:, None] - other[None, :]) ** 2 / spread
    cost = np.where(np.isnan(apart), 1.0, apart)[..., :used].sum(axis=2)
    return float(np.mean(assign(cost) == np.arange(len(cost))))


def _distance(seen: dict[Channel, Floats], expected: dict[Channel, Expected], channel: Channel) -> Floats:
    """Squared distances through one channel, or the sum over all that there are."""
    used = [name for name in seen if channel in (name, Channel.ALL)]
    return np.sum([expected[name].distance(seen[name]) for name in used], axis=0)  # type: ignore[no-any-return]


def _against_meters(season: Season, view: View, sessions: Integers, noise: int, rng: np.random.Generator) -> Floats:
    """Squared distance between what each account published and what each home's outside meter gives with the account's public
    event days, (accounts, homes)."""
    outside = season.net + np.rint(rng.normal(0, noise, season.net.shape)).astype(np.int64)
    variance = 1.25 * noise**2 + 1  # of a reading and of a mean of four or more
    at = list(intervals())
    off = published(season, view)
    cost = np.zeros((len(homes()),) * 2)
    for s in sessions:
        day = season.days[s]
        metered = outside[:, day - season.first_day]
        usual = np.array(flexible(day))[:, at].astype(np.float64)
        for account in range(len(cost)):
            base = baseline(outside, day - season.first_day, int(season.events[s, account]), day)
            delivered = (base - metered)[:, at]
            promise = delivered - off[s, account]
            if view.hidden:  # what is left must be a promise: not negative, about what such a home can offer
                apart = (promise - usual / 2) ** 2 / (usual**2 + 100**2 + variance)
                apart += np.minimum(promise, 0) ** 2 / variance
            else:
                apart = (promise - season.fills[s, account]) ** 2 / variance
            cost[account] += np.nansum(apart, axis=1)
    return cost


def _linkable(season: Season, view: View) -> Floats:
    """Everything by which an account can be found again, (sessions, accounts, features); the price comes last."""
    parts = list(features(season, view).values())
    if not view.hidden:
        sold = season.fills > 0
        ratio = np.divide(season.delivered, season.fills, out=np.full(sold.shape, np.nan), where=sold)
        parts += [np.clip(_mean(ratio, 2), -2, 3)[..., None], np.log(season.limits)[..., None]]
    return np.concatenate(parts, axis=2)


def _recent(found: Floats, sessions: Integers, *, last: bool) -> tuple[Floats, float]:
    """Mean over sessions in which those next to the new registration count most, and the number it is worth."""
    age = np.arange(len(sessions))[::-1] if last else np.arange(len(sessions))
    weights = 0.5 ** (age / _RECENT)
    known = ~np.isnan(found[sessions])
    total = (known * weights[:, None, None]).sum(axis=0)
    sums = (np.where(known, found[sessions], 0) * weights[:, None, None]).sum(axis=0)
    mean: Floats = np.divide(sums, total, out=np.full(sums.shape, np.nan), where=total > 0)
    return mean, float(weights.sum() ** 2 / (weights**2).sum())


def _from_average_day() -> Floats:
    """Features of the offers that follow from each home's average day."""
    first, last = candidate_days(0)[0], candidate_days(0)[-1]
    load = np.stack([home.load[first - home.first_day : last + 1 - home.first_day].mean(axis=0) for home in homes()])
    can = (load - load.min(axis=1, keepdims=True)) / 4
    curve = np.sqrt(can[:, list(intervals())]) @ _cosines(len(intervals())).T
    centred: Floats = curve - curve.mean(axis=0)
    return centred


def _traits() -> Floats:
    """Logarithms of yearly consumption and of the largest production, standardised, and a constant."""
    raw = np.log([[home.load.sum(), home.pv.max()] for home in homes()])
    return np.column_stack([(raw - raw.mean(axis=0)) / raw.std(axis=0), np.ones(len(raw))])


def _fitted(known: Floats, wanted: Floats) -> Floats:
    """What a linear relation makes of the known; the relation is granted to the attacker from these very homes."""
    weights, *_ = np.linalg.lstsq(known, wanted, rcond=None)
    result: Floats = known @ weights
    return result


def _cosines(size: int) -> Floats:
    """The orthonormal cosine transform (DCT-II) as a matrix."""
    k, t = np.mgrid[:size, :size]
    matrix: Floats = np.sqrt(2 / size) * np.cos(np.pi * k * (t + 0.5) / size)
    matrix[0] /= np.sqrt(2)
    return matrix


def _covariance(values: Floats) -> Floats:
    """Second moments over all but the last axis, with a little on the diagonal so that it can be inverted."""
    flat = values.reshape(-1, values.shape[-1])
    result: Floats = flat.T @ flat / len(flat) + 1e-6 * np.eye(flat.shape[1])
    return result


def _filled(values: Floats) -> Floats:
    """Zero, the mean of all accounts, where nothing is known."""
    return np.nan_to_num(values)


def _mean(values: Floats, axis: int) -> Floats:
    """Mean of what is there, NaN where nothing is."""
    known = ~np.isnan(values)
    counts = known.sum(axis=axis)
    sums = np.where(known, values, 0).sum(axis=axis)
    result: Floats = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return result
