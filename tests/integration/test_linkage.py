"""The linkage attack is a fair one: its parts are right, it finds what can be found, guesses where there is nothing, and the
document says what the command printed."""

from __future__ import annotations

import dataclasses
import json
import re
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from bench.assignment import assign
from bench.linkage import Channel, Expected, Knowledge, Learnt, View, features, learn, link_accounts, link_homes, published
from bench.privacy import CASES, SEED, Case, attack
from bench.season import SESSIONS, Season, Variant, baseline, candidate_days, deal, hold, homes, intervals
from oracle.baseline import admissible_days, baseline_of

EVERY = np.arange(SESSIONS)


@pytest.fixture(scope="module")
def season() -> Season:
    rng = np.random.default_rng(7)
    days = sorted(rng.choice(candidate_days(1), SESSIONS, replace=False).tolist())
    return hold(days, deal(rng), rng)


@pytest.fixture(scope="module")
def learnt() -> Learnt:
    return learn(View(), Variant(), np.random.default_rng(SEED))


def test_the_assignment_is_the_cheapest() -> None:
    rng = np.random.default_rng(3)
    for n in (1, 2, 5, 6):
        for _ in range(20):
            cost = rng.integers(0, 9, (n, n)).astype(np.float64)
            found = assign(cost)
            assert sorted(found) == list(range(n))
            best = min(sum(cost[i, p[i]] for i in range(n)) for p in permutations(range(n)))
            assert cost[np.arange(n), found].sum() == best
    for wrong in (np.zeros((2, 3)), np.array([[np.nan]])):
        with pytest.raises(ValueError, match="square matrix of finite numbers"):
            assign(wrong)


@pytest.mark.slow
def test_a_season_is_the_markets(season: Season) -> None:
    """Baselines are the protocol's, fills stay within offers, deviations are those of the altered day."""
    rng = np.random.default_rng(1)
    for s, h in zip(rng.integers(0, SESSIONS, 20), rng.integers(0, 17, 20), strict=True):
        day = season.days[s]
        at = day - season.first_day
        history = [tuple(map(int, values)) for values in season.net[h, at - 14 : at]]
        admissible = admissible_days(day, lambda d: (d + 3) % 7 < 5, int(season.events[s, h]), 0)
        expected = baseline_of(history, admissible, day)
        assert expected is not None
        assert expected.wh == tuple(baseline(season.net[h], at, int(season.events[s, h]), day))
        chosen = list(intervals())
        assert list(season.delivered[s, h]) == [expected.wh[t] - season.net[h, at, t] for t in chosen]
    assert (season.fills <= season.offered).all() and season.fills.sum() > 0
    assert season.events.any(), "some days count as event days"
    original = np.stack([home.net for home in homes()])
    answered = (season.net != original).any(axis=2)
    sold = (season.fills > 0).any(axis=2)
    for s, day in enumerate(season.days):
        assert not answered[~sold[s], day - season.first_day].any(), "who sold nothing answers nothing"


@pytest.mark.slow
def test_only_what_is_published_is_used(season: Season, learnt: Learnt) -> None:
    """Changing what the view hides changes no result."""
    sold = season.fills > 0
    assert np.isnan(published(season, View())[~sold]).all() and not np.isnan(published(season, View())[sold]).any()
    blind = dataclasses.replace(
        season, delivered=np.where(sold, season.delivered, 12_345), limits=season.limits, net=np.zeros_like(season.net)
    )
    for knowledge in (Knowledge.TRAITS, Knowledge.PROFILE, Knowledge.HISTORY):
        for channel in Channel:
            results = [
                link_homes(one, View(), EVERY, knowledge, learnt, np.random.default_rng(1), channel) for one in (season, blind)
            ]
            assert results[0] == results[1]
    hidden = View(hidden=True)
    promises = dataclasses.replace(
        season, offered=season.offered * 0, fills=season.fills * 0, delivered=season.delivered - season.fills
    )
    for name, values in features(season, hidden).items():
        assert name is Channel.DEVIATIONS
        assert np.array_equal(values, features(promises, hidden)[name], equal_nan=True)


@pytest.mark.slow
def test_the_attack_finds_what_there_is(season: Season, learnt: Learnt) -> None:
    def success(knowledge: Knowledge, what: Season = season) -> float:
        return link_homes(what, View(), EVERY, knowledge, learnt, np.random.default_rng(2), Channel.ALL)

    assert success(Knowledge.METERED) == 1.0, "who meters the same days finds everybody"
    assert success(Knowledge.HISTORY) > 0.3
    rng = np.random.default_rng(5)
    guesses = [link_homes(season, View(), EVERY, Knowledge.NONE, learnt, rng) for _ in range(400)]
    assert abs(np.mean(guesses) - 1 / 17) < 0.015, "who knows nothing guesses"
    halves = np.arange(15), np.arange(15, 30)
    assert link_accounts(season, View(), *halves, learnt, prices=True) > 0.9
    shuffled = rng.permutation(17)
    mixed = dataclasses.replace(
        season,
        **{
            name: np.concatenate([values[:15], values[15:][:, shuffled]])
            for name in ("offered", "fills", "delivered", "limits", "events")
            for values in [getattr(season, name)]
        },
    )
    found = link_accounts(mixed, View(), *halves, learnt, prices=True)
    assert found <= np.mean(shuffled == np.arange(17)) + 0.1, "the order of the accounts is not what it finds them by"


def test_distance_weighs_by_covariance() -> None:
    expected = Expected(np.array([[1.0, 0.0], [0.0, 1.0]]), np.eye(2) * 2, np.eye(2))
    seen = np.array([[[1.0, 0.0]], [[1.0, 0.0]]])
    assert np.allclose(expected.distance(seen), [[0.0, 1.0]])


@pytest.mark.slow
def test_the_same_every_time() -> None:
    case = Case("market", Variant(), View(), "")
    runs = [attack(case, seasons=2, counts=(1, 5)) for _ in range(2)]
    assert runs[0] == runs[1]
    assert {figure.what for figure in runs[0]} >= {knowledge.name.lower() for knowledge in Knowledge}


def test_the_document_says_what_the_command_printed(root: Path) -> None:
    """Every percentage in docs/privacy.md is followed by the metrics it stands for, or stands in a table of them."""
    measured = {row["metric"]: row for row in json.loads((root / "bench/results/privacy.json").read_text())["rows"]}
    text = (root / "docs/privacy.md").read_text()
    checked = 0
    for line in text.splitlines():
        if not (cells := re.findall(r"`(\w+)_\*`", line)):
            continue
        values = re.findall(r"(\d+) % \((\d+) to (\d+)\)", line)
        counts = (1, 5, 10, 15) if "_again" in cells[0] else (1, 5, 10, 30)
        assert len(values) == len(counts), line
        for count, (mean, low, high) in zip(counts, values, strict=True):
            row = measured[f"{cells[0]}_{count}"]
            bounds = re.search(r"95 % interval ([\d.]+) to ([\d.]+)", row["note"])
            assert bounds
            told = [round(float(value) * 100) for value in (row["value"], *bounds.groups())]
            assert told == [int(mean), int(low), int(high)], (line, told)
            checked += 1
    for value, metric in re.findall(r"(\d+) % \(`(\w+)`\)", text):
        assert round(measured[metric]["value"] * 100) == int(value), metric
        checked += 1
    assert checked > 40
    bare = re.sub(r"95 %|\d+ % \(\d+ to \d+\)|\d+ % \(`\w+`\)", "", text)
    assert "%" not in bare, "no figure that the command did not print"
    assert (root / "docs/img/privacy.svg").stat().st_size < 100_000
    assert {case.name for case in CASES} == {metric.split("_")[0] for metric in measured}
