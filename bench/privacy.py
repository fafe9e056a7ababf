"""What the chain tells about who is who: the linkage attack of bench/linkage.py on seasons of the 17 shipped homes.

Each figure is a share of the 17 accounts (1 of 17 by chance), the mean over `SEASONS` seasons with behaviours and days drawn
anew, with the bootstrap's 95 % interval over the seasons. Where the attacker has several ways it is the one that served it
best. The plot goes to docs/img/privacy.svg. Deterministic: no clock and no random numbers but from `SEED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import Row
from bench.linkage import Channel, Knowledge, Learnt, View, learn, link_accounts, link_homes
from bench.season import SESSIONS, Floats, Season, Variant, candidate_days, deal, hold, homes

SEED = 20_170_731
SEASONS = 40
COUNTS = (1, 5, 10, 30)
"""Sessions that an account takes part in before the attacker looks."""

PLOT = Path(__file__).parent.parent / "docs" / "img" / "privacy.svg"

_RESAMPLES = 2000
_REGISTRATIONS = (1, 5, 10, 15)


@dataclass(frozen=True)
class Case:
    """A way to run the market: its name in the metrics, what it changes."""

    name: str
    variant: Variant
    view: View
    note: str


CASES = (
    Case("market", Variant(), View(), "as the market is: public offers and fills, sold intervals proven, steered devices"),
    Case("openloop", Variant(steered=False), View(), "devices take the promise off whatever the home uses"),
    Case("whole", Variant(), View(whole=True), "every interval of the session proven, also unsold ones"),
    Case("flat", Variant(flat=True), View(), "one offered quantity for blocks of three hours"),
    Case("round", Variant(round_wh=250), View(), "offers in multiples of 250 Wh"),
    Case("hidden", Variant(), View(hidden=True), "promises hidden behind commitments (coalitions), whole session proven"),
)


@dataclass(frozen=True)
class Figure:
    """A mean over seasons with its interval."""

    case: Case
    what: str
    sessions: int
    mean: float
    low: float
    high: float
    note: str

    def row(self) -> Row:
        """The figure as the benches report it."""
        return Row(
            f"{self.case.name}_{self.what}_{self.sessions}",
            round(self.mean, 3),
            "share",
            None,
            f"{self.note}; 95 % interval {self.low:.3f} to {self.high:.3f}",
            {"chance": round(1 / len(homes()), 3)},
        )


def measure() -> list[Row]:
    """All figures as rows; draws the plot."""
    figures = [figure for case in CASES for figure in attack(case)]
    draw(figures, PLOT)
    return [figure.row() for figure in figures]


def attack(case: Case, seasons: int = SEASONS, counts: Sequence[int] = COUNTS) -> list[Figure]:
    """Every attack on one way to run the market."""
    learnt = learn(case.view, case.variant, np.random.default_rng(SEED))
    held = []
    for number in range(seasons):
        rng = np.random.default_rng((SEED, number))
        days = sorted(rng.choice(candidate_days(1), SESSIONS, replace=False).tolist())
        held.append((hold(days, deal(rng), rng, case.variant), rng))
    figures = []
    for knowledge in Knowledge:
        for count in counts:
            success, way = _best(case, held, learnt, knowledge, count)
            note = f"{case.note}; attacker knows {knowledge.value}, does best with: {way}"
            figures.append(_figure(case, knowledge.name.lower(), count, success, note))
    for channel in Channel if not case.view.hidden else ():
        success = _tried(case, held, learnt, Knowledge.HISTORY, counts[-1], channel)
        note = f"{case.note}; attacker knows {Knowledge.HISTORY.value}, looks at {channel.value} only"
        figures.append(_figure(case, f"history_by_{channel.value}", counts[-1], success, note))
    for count in _REGISTRATIONS:
        for prices in (True, False) if not case.view.hidden else (False,):
            parts = np.arange(SESSIONS // 2 - count, SESSIONS // 2), np.arange(SESSIONS // 2, SESSIONS // 2 + count)
            found = np.array([link_accounts(season, case.view, *parts, learnt, prices=prices) for season, _ in held])
            how = "with the same prices" if prices else "with prices that tell nothing"
            note = f"{case.note}; accounts found again after registering anew {how}, sessions before and after"
            figures.append(_figure(case, "again_prices" if prices else "again", count, found, note))
    return figures


def _best(
    case: Case, held: list[tuple[Season, np.random.Generator]], learnt: Learnt, knowledge: Knowledge, count: int
) -> tuple[Floats, str]:
    """The attacker's success per season in the way that serves it best: who knows more can also do with less."""
    order = list(Knowledge)
    if knowledge in learnt.expected:
        known = [k for k in learnt.expected if order.index(k) <= order.index(knowledge)]
        channels = (Channel.ALL,) if case.view.hidden else tuple(Channel)
        ways = [(k, channel) for k in known for channel in channels]
    else:
        ways = [(knowledge, Channel.ALL)]
    tried = [(_tried(case, held, learnt, k, count, channel), f"{channel.value}, {k.value}") for k, channel in ways]
    return max(tried, key=lambda item: float(item[0].mean()))


def _tried(
    case: Case,
    held: list[tuple[Season, np.random.Generator]],
    learnt: Learnt,
    knowledge: Knowledge,
    count: int,
    channel: Channel,
) -> Floats:
    """Success per season, the mean of a few choices of `count` sessions."""
    repeats = 1 if count == SESSIONS else 3
    return np.array(
        [
            np.mean(
                [
                    link_homes(season, case.view, rng.choice(SESSIONS, count, replace=False), knowledge, learnt, rng, channel)
                    for _ in range(repeats)
                ]
            )
            for season, rng in held
        ]
    )


def _figure(case: Case, what: str, count: int, success: Floats, note: str) -> Figure:
    rng = np.random.default_rng(SEED)
    means = success[rng.integers(0, len(success), (_RESAMPLES, len(success)))].mean(axis=1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Figure(case, what, count, float(success.mean()), float(low), float(high), note)


def draw(figures: Sequence[Figure], path: Path) -> None:
    """The attack's success by knowledge and sessions, for the market as it is and with hidden promises."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    colours = ("#8a94a3", "#b4540a", "#1f5fa8", "#0b7a53", "#7a3fa0", "#b3261e")
    style = {"font.family": "DejaVu Sans", "font.size": 9, "svg.hashsalt": "wattproof", "svg.fonttype": "none"}
    with plt.rc_context(style):
        figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
        for ax, name, title in ((axes[0], "market", "public promises"), (axes[1], "hidden", "hidden promises")):
            for knowledge, colour in zip(Knowledge, colours, strict=True):
                own = [f for f in figures if f.case.name == name and f.what == knowledge.name.lower()]
                x = [f.sessions for f in own]
                ax.plot(x, [f.mean for f in own], marker="o", markersize=3, color=colour, label=knowledge.value)
                ax.fill_between(x, [f.low for f in own], [f.high for f in own], color=colour, alpha=0.15, linewidth=0)
            ax.axhline(1 / len(homes()), color="#333c4a", linewidth=0.8, linestyle=":")
            ax.set(
                title=title,
                xscale="log",
                xticks=COUNTS,
                xticklabels=COUNTS,
                xlabel="sessions under one account",
                ylim=(0, 1.02),
            )
            ax.minorticks_off()
            ax.grid(color="#e5e9ef")
        axes[0].set_ylabel("accounts given to their home")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=2, frameon=False, title="attacker knows")
        figure.tight_layout(rect=(0, 0.24, 1, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
