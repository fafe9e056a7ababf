"""Each detector on a case that it must name and on the nearest clean one that it must not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from surveillance_scene import (
    BUYER,
    FIRST_DAY,
    PARAMETERS,
    SELLERS,
    ZONE,
    Sent,
    bid,
    case,
    history,
    names,
    offer,
    order,
    quiet,
    session,
)

from contracts.encoding import ScheduleOrder
from contracts.units import PPM, Mode, Side
from market.surveillance import detect
from market.surveillance.case import Loads
from market.surveillance.detectors.baselines import baseline_choice, baseline_inflation, rank_sum
from market.surveillance.detectors.orders import spoofing, withholding
from market.surveillance.detectors.prices import price_drift, price_score, price_spike
from market.surveillance.detectors.structure import concentration, herfindahl, pivotal_supplier, residual_supply
from market.surveillance.detectors.trades import circular_trade, self_trade
from market.surveillance.evidence import Severity
from market.surveillance.reference import spread

N = 57
"""A Tuesday."""


def sellers(**limits: int) -> list[ScheduleOrder]:
    """The quiet sellers' orders, some with another limit (`s4=400_000`)."""
    return [offer(a, 1000, limits.get(f"s{a}", limit)) for a, limit in SELLERS.items()]


def demand(quantity: int = 3500, limit: int = 500_000) -> ScheduleOrder:
    return bid(BUYER, quantity, limit)


def test_a_quiet_session_has_no_finding() -> None:
    for number in (N, N + 1, N + 2, N + 3):
        assert detect.run(case(quiet(number))) == []


def test_nothing_is_said_without_a_history() -> None:
    odd = session(N, [*sellers(s4=490_000), demand()])
    assert detect.run(case(odd, history(8))) == []


def test_the_robust_score_is_the_formula() -> None:
    found = spread([1.0, 2.0, 3.0, 4.0, 100.0], 0.1)
    assert (found.median, found.mad, found.score(5.0)) == (3.0, 1.0, 0.6745 * 2)
    assert spread([5.0] * 20, 2.0).mad == 2.0, "the floor"
    assert spread([100.0] * 20, 2.0, 50_000).mad == 5.0, "the floor that grows with the median"


def test_a_price_unlike_earlier_ones_is_a_notice_that_accuses_nobody() -> None:
    scarce = session(N, [*sellers()[:3], demand(3500, 900_000)])
    (found,) = price_score(case(scarce))
    assert (found.severity, found.accounts, found.suspects) == (Severity.NOTICE, (), ())
    assert price_spike(case(scarce)) == [], "who behaves as always made no price"
    assert price_score(case(session(N, [*sellers(), demand(3600)]))) == []


def test_a_spike_names_who_asks_for_more_than_usual_and_moved_the_price() -> None:
    (found,) = price_spike(case(session(N, [*sellers(s4=450_000), demand()])))
    assert found.suspects == ((4, Side.OFFER),)
    assert found.impact is not None and found.impact.ppm > 150_000 and found.impact.money > 0
    calm = session(N, [*sellers(s5=450_000), demand(2500)])
    assert price_spike(case(calm)) == [], "a dear offer that nobody needs moves nothing"


def test_a_bid_below_its_level_that_lowers_the_price_is_a_spike_downwards() -> None:
    (found,) = price_spike(case(session(N, [*sellers(), demand(limit=110_000)])))
    assert found.suspects == ((BUYER, Side.BID),)
    assert found.impact is not None and found.impact.ppm < 0


def test_a_slow_drift_is_summed_up_while_no_single_session_is_unusual() -> None:
    drifting = [quiet(number) for number in range(1, 90)]
    for number in range(90, 131):
        factor = 1 + 0.012 * (number - 89)
        orders = [offer(a, 1000, int(limit * factor)) for a, limit in SELLERS.items()]
        drifting.append(session(number, [*orders, demand(3500, 900_000)]))
    (found,) = price_drift(case(drifting[-1], drifting[:-1]))
    assert {account for account, _ in found.suspects} == set(SELLERS) and found.figures["rises"] == 1
    calm = [quiet(number) for number in range(1, 131)]
    assert price_drift(case(calm[-1], calm[:-1])) == []


def test_a_drift_that_nobodys_limits_explain_is_left_alone() -> None:
    """The buyer asks for more and more: prices climb the same offers."""
    rising = [quiet(number) for number in range(1, 90)]
    for number in range(90, 131):
        rising.append(session(number, [*sellers(), demand(3500 + 35 * (number - 89), 900_000)]))
    assert price_drift(case(rising[-1], rising[:-1])) == []


def test_a_pivotal_supplier_is_named_only_when_it_uses_that() -> None:
    before = [session(n, [offer(1, 3000, 100_000), offer(2, 1000, 140_000), demand()]) for n in range(1, N)]
    using = session(N, [offer(1, 3000, 400_000), offer(2, 1000, 140_000), demand()])
    (found,) = pivotal_supplier(case(using, before))
    assert found.accounts == (1,) and found.figures["residual_supply_ppm"] == 1000 * PPM // 3500
    as_always = session(N, [offer(1, 3000, 100_000), offer(2, 1000, 140_000), demand()])
    assert residual_supply(as_always)["account 1"][0] < PPM  # type: ignore[operator]
    assert pivotal_supplier(case(as_always, before)) == []


def test_accounts_of_one_owner_are_one_supplier() -> None:
    book = session(N, [*sellers(), demand()], {1: "one", 2: "one", 3: "one"})
    assert residual_supply(book)["one"][0] == 2000 * PPM // 3500
    assert herfindahl(book) == round((3000 / 3500) ** 2 * 10_000 + (500 / 3500) ** 2 * 10_000 - 0.5)


def test_concentration_is_told_where_it_is_new() -> None:
    lone = session(N, [offer(1, 3500, 100_000), demand()])
    (found,) = concentration(case(lone))
    assert found.severity is Severity.NOTICE and found.figures["hhi"] == 10_000
    always = [session(n, [offer(1, 3500, 100_000), demand()]) for n in range(1, N)]
    assert concentration(case(lone, always)) == []


def test_an_owner_on_both_sides_of_an_interval_is_named() -> None:
    orders = [*sellers(), demand(2500), bid(7, 800, 600_000)]
    (found,) = self_trade(case(session(N, orders, {1: "one", 7: "one"})))
    assert found.accounts == (1, 7) and found.figures["own_wh"] == 1600
    assert self_trade(case(session(N, orders, {1: "one", 7: "two"}))) == []


def test_an_agent_on_both_sides_is_named_too() -> None:
    orders = [order(1, Side.OFFER, 1000, 100_000, agent=50), order(7, Side.BID, 800, 600_000, agent=50)]
    (found,) = self_trade(case(session(N, orders)))
    assert found.accounts == (1, 7)


def test_both_sides_in_different_hours_are_no_trade_with_oneself() -> None:
    early, late = offer(1, 1000, 100_000), bid(7, 800, 600_000)
    early = replace(early, steps=(replace(early.steps[0], quantities=(1000, 0), limits=(100_000, 0)),))
    late = replace(late, steps=(replace(late.steps[0], quantities=(0, 800), limits=(0, 600_000)),))
    orders = [early, late, *sellers()[1:], demand(2500)]
    assert self_trade(case(session(N, orders, {1: "one", 7: "one"}))) == []


def ring(number: int, members: tuple[int, ...]) -> list[ScheduleOrder]:
    seller, buyer = members[number % len(members)], members[(number + 1) % len(members)]
    return [offer(seller, 3000, 1_000), bid(buyer, 3000, 900_000)]


def test_money_that_comes_back_is_named() -> None:
    before = [session(n, [*sellers(), demand(), *ring(n, (31, 32, 33))]) for n in range(N - 12, N)]
    now = session(N, [*sellers(), demand(), *ring(N, (31, 32, 33))])
    (found,) = circular_trade(case(now, before))
    assert set(found.accounts) == {31, 32, 33} and found.figures["owners"] == 3
    straight = [
        session(n, [*sellers(), demand(), offer(31, 3000, 1_000), bid(32, 3000, 900_000)]) for n in range(N - 12, N + 1)
    ]
    assert circular_trade(case(straight[-1], straight[:-1])) == []


def cancelled(before: int, owner: str) -> tuple[list[ScheduleOrder | Sent], dict[int, str]]:
    """A large bid that is taken back `before` seconds before the gate; seller 4 belongs to `owner`."""
    orders: list[ScheduleOrder | Sent] = [*sellers(), demand(2500), (20_000, bid(7, 2000, 490_000)), (before, bid(7, 0, 0))]
    return orders, {4: owner, 3: owner, 7: "one"}


def test_a_large_order_taken_back_at_the_last_moment_is_named() -> None:
    (found,) = spoofing(case(session(N, *cancelled(60, "one"))))
    assert 7 in found.accounts and found.figures["other_side"] == 1
    assert spoofing(case(session(N, *cancelled(9_000, "one")))) == [], "early enough for others to answer"
    assert spoofing(case(session(N, *cancelled(60, "two")))) == [], "nothing to gain on the other side, and the first time"


def test_late_cancels_that_repeat_are_no_chance() -> None:
    again = [session(n, *cancelled(60, "two")) for n in range(N - 6, N)]
    (found,) = spoofing(case(session(N, *cancelled(60, "two")), again))
    assert found.figures["sessions_with_late_cancels"] >= PARAMETERS.orders.repeats


def test_a_small_order_taken_back_moves_nothing() -> None:
    orders: list[ScheduleOrder | Sent] = [*sellers(), demand(2500), (20_000, bid(7, 5, 490_000)), (60, bid(7, 0, 0))]
    assert spoofing(case(session(N, orders, {3: "one", 7: "one"}))) == []


def test_who_holds_back_while_the_price_is_high_is_named() -> None:
    held = [offer(a, 100 if a in (2, 3) else 1000, limit) for a, limit in SELLERS.items()]
    (found,) = withholding(case(session(N, [*held, demand(3000, 700_000)])))
    assert found.accounts == (2, 3) and found.suspects == (), "what is not in the book cannot be excluded"
    assert found.impact is not None and found.impact.ppm > 100_000
    weather = [offer(a, 100, limit) for a, limit in SELLERS.items()]
    assert withholding(case(session(N, [*weather, demand(3000, 700_000)]))) == [], "everybody has less"


def loads(raised: dict[int, float], *, gaps: dict[int, set[int]] | None = None, seed: int = 1) -> Loads:
    """Loads of the sellers up to session N: a kilowatt an hour with noise, some raised (Wh) on the last fourteen days."""
    rng = np.random.default_rng(seed)
    first = FIRST_DAY + N - 120
    net = {a: rng.normal(1000, 60, (120, 24)) for a in range(1, 9)}
    expected = {a: series.copy() for a, series in net.items()}
    for account, wh in raised.items():
        net[account][-14:, 17:19] += wh
    for account, rows in (gaps or {}).items():
        net[account][sorted(rows), 3] = np.nan
    return Loads(first, net, {}, expected)


def phantom(**more: int) -> list[ScheduleOrder]:
    return [offer(a, 1000 + more.get(f"s{a}", 0), limit) for a, limit in SELLERS.items()]


def test_load_raised_before_the_day_and_sold_is_named() -> None:
    sold = session(N, [*phantom(s1=1500, s2=1500), demand()])
    (found,) = baseline_inflation(case(sold, loads=loads({1: 1500, 2: 1500})))
    assert found.accounts == (1, 2) and found.impact is not None and found.impact.ppm < 0
    assert baseline_inflation(case(sold, loads=loads({}))) == [], "more is offered, but no load rose"
    same = session(N, [*phantom(), demand()])
    assert baseline_inflation(case(same, loads=loads({1: 1500, 2: 1500}))) == [], "a new heater that is not sold"


def test_load_that_rises_everywhere_is_the_weather() -> None:
    sold = session(N, [*phantom(s1=1500, s2=1500), demand()])
    assert baseline_inflation(case(sold, loads=loads(dict.fromkeys(range(1, 9), 1500.0)))) == []


def low_days(expected: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> set[int]:
    means = expected[:, 17:19].mean(axis=1)
    return {int(d) for d in np.flatnonzero(means < np.median(means))}


def uneven(seed: int = 3) -> Loads:
    """Seller 1's load differs much from day to day."""
    made = loads({}, seed=seed)
    rng = np.random.default_rng(seed)
    daily = rng.uniform(300, 2000, (120, 1)) * np.ones((1, 24))
    return Loads(made.first_day, {**made.net, 1: daily.copy()}, {}, {**made.expected, 1: daily})


def test_outages_on_days_of_little_load_are_named_and_outages_by_chance_are_not() -> None:
    made = uneven()
    chosen, chance = {}, {}
    for kept, rows in ((chosen, low_days(made.expected[1])), (chance, set(range(0, 120, 2)))):
        series = made.net[1].copy()
        series[sorted(rows), 3] = np.nan
        kept.update({**made.net, 1: series})
    (found,) = baseline_choice(case(quiet(N), loads=Loads(made.first_day, chosen, {}, made.expected)))
    assert found.accounts == (1,) and found.figures["missing_readings"] == 1
    assert baseline_choice(case(quiet(N), loads=Loads(made.first_day, chance, {}, made.expected))) == []


def test_selling_only_on_days_of_little_load_is_named() -> None:
    made = uneven()
    events = {1: frozenset(made.first_day + d for d in low_days(made.expected[1]))}
    (found,) = baseline_choice(case(quiet(N), loads=Loads(made.first_day, made.net, events, made.expected)))
    assert found.accounts == (1,) and found.figures["missing_readings"] == 0
    every_other = {1: frozenset(range(made.first_day, made.first_day + 120, 2))}
    assert baseline_choice(case(quiet(N), loads=Loads(made.first_day, made.net, every_other, made.expected))) == []


def test_the_rank_sum_is_the_known_one() -> None:
    low, high = np.array([1.0, 2, 3, 4, 5]), np.array([6.0, 7, 8, 9, 10])
    assert rank_sum(low, high) == pytest.approx(0.0061, abs=2e-4)  # normal approximation, continuity corrected
    assert rank_sum(low, low) == pytest.approx(0.54, abs=0.02)
    assert rank_sum(np.ones(6), np.ones(6)) == 1.0


def test_a_cooperative_session_is_looked_at_as_well() -> None:
    before = [quiet(number, Mode.COOPERATIVE) for number in range(1, N)]
    (found,) = price_spike(case(session(N, [*sellers(s1=450_000, s2=450_000), demand()], mode=Mode.COOPERATIVE), before))
    assert found.suspects == ((1, Side.OFFER), (2, Side.OFFER))
    assert names(detect.run(case(quiet(N, Mode.COOPERATIVE), before))) == set()


def test_sessions_of_another_product_are_not_compared() -> None:
    other = [quiet(number, Mode.COOPERATIVE) for number in range(1, N)]
    assert detect.run(case(session(N, [*sellers(s4=450_000), demand()]), other)) == []


def test_working_days_and_seasons_are_kept_apart() -> None:
    odd = session(N, [*sellers(s4=450_000), demand()])
    weekends = [s for s in history(N) if not ZONE.is_working_day(s.book.terms.day)]
    assert price_score(case(odd, weekends)) == []
    far = session(N + 140, [*sellers(), demand(3500, 900_000)])
    assert case(far, history(N)).comparables == []
