"""What a log that was written to keep the surveillance busy costs, and what is said of what was not looked at."""

from __future__ import annotations

import time

import numpy as np
import pytest
from surveillance_scene import BUYER, PARAMETERS, SELLERS, bid, case, names, offer, session

from contracts.encoding import ScheduleOrder
from market.surveillance import budget, detect, impact
from market.surveillance.case import Case
from market.surveillance.detectors import orders, trades
from market.surveillance.detectors.orders import spoofing
from market.surveillance.evidence import Detector, Finding
from market.surveillance.observed import Observed

N = 57
HONEST: list[ScheduleOrder] = [*(offer(a, 1000, limit) for a, limit in SELLERS.items()), bid(BUYER, 2500, 500_000)]


def flood(count: int) -> Observed:
    """As many bids as said, each cut late, of one owner who sells as seller 3; the first is the largest."""
    entered = [(20_000 - i, bid(100 + i, 2000 - i, 490_000)) for i in range(count)]
    cut = [(60, bid(100 + i, 0, 0)) for i in range(count)]
    return session(N, [*HONEST, *entered, *cut], {3: "one", **{100 + i: "one" for i in range(count)}})


def test_a_flood_of_late_cuts_is_cleared_for_the_largest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made, cleared = flood(200), list[int]()
    original = impact.clear
    monkeypatch.setattr(impact, "clear", lambda *args: cleared.append(1) or original(*args))
    found = spoofing(case(made, []))
    most = PARAMETERS.orders.most_cleared
    assert len(cleared) == most
    *named, notice = found
    assert [min(set(f.accounts) - {3}) for f in named] == list(range(100, 100 + most)), "the largest cuts"
    assert (notice.accounts, notice.figures) == ((), {"not_looked_at": 200 - most, "most_cleared": most})
    assert all(f.accounts for f in spoofing(case(flood(most), []))), "no notice where all were looked at"


def test_the_work_on_a_flood_of_late_cuts_grows_with_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = orders._wh
    monkeypatch.setattr(orders, "_wh", lambda order: seen.append(1) or original(order))
    counts = []
    for size in (50, 200):
        seen.clear()
        spoofing(case(flood(size), []))
        counts.append(len(seen))
    assert counts[1] <= 4.5 * counts[0], "the log is walked through a fixed number of times"


def test_detectors_that_run_out_of_time_say_so_and_the_others_are_asked() -> None:
    made = session(N, [*HONEST])
    found = detect.run(case(made), seconds=0.0)
    assert found and all(f.figures == {"out_of_time": 1} and not f.accounts for f in found)
    assert not {Detector.BASELINE_CHOICE} & names(found), "what clears nothing needs no time"
    assert detect.run(case(made), seconds=60.0) == detect.run(case(made))


def test_one_detector_without_end_leaves_the_others_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_: Case) -> list[Finding]:
        while True:
            budget.check()
            time.sleep(0.001)

    made = flood(1)
    before = detect.run(case(made))
    monkeypatch.setitem(detect.DETECTORS, Detector.PRICE_SPIKE, endless)
    started = time.monotonic()
    found = detect.run(case(made), seconds=2.0)
    assert time.monotonic() - started < 4
    assert [f for f in found if f.detector is not Detector.PRICE_SPIKE] == [
        f for f in before if f.detector is not Detector.PRICE_SPIKE
    ]
    assert [f.figures for f in found if f.detector is Detector.PRICE_SPIKE] == [{"out_of_time": 1}]


def test_circles_are_the_strongly_connected_parts() -> None:
    rng = np.random.default_rng(7)
    for size in (0, 1, 2, 5, 12, 30):
        for _ in range(10):
            links = rng.random((size, size)) < 1.3 / max(size, 1)
            np.fill_diagonal(links, False)
            reach = links.copy()
            for k in range(size):
                reach |= reach[:, k : k + 1] & reach[k]
            both = reach & reach.T
            wanted = sorted({tuple(np.flatnonzero(row).tolist()) for row in both if row.sum() > 1})
            assert [tuple(part) for part in trades._circles(links)] == wanted
