"""The price guard on a chain against its twin: the same histories, the same bands, the same verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from contracts_world import key_of
from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine import fast_backend

from contracts.artifacts import load
from contracts.chain import Chain, open_chain
from market.guard import Band, GuardParameters, History, hour_type, hours_of, in_band, product_of

UNBOUNDED = 2**256 - 1
FIELDS = [c["name"] for c in load("PriceGuard").functions["productOf"].inputs[0]["components"]]


@dataclass(frozen=True)
class Session:
    today: int
    working: bool
    zone: int
    day_intervals: int
    mask: int
    prices: tuple[int, ...]
    volumes: tuple[int, ...]

    @property
    def intervals(self) -> list[int]:
        return [t for t in range(96) if self.mask >> t & 1]

    def terms(self) -> list[Any]:
        known = {
            "zone": self.zone,
            "intervals": len(self.intervals),
            "dayIntervals": self.day_intervals,
            "mask": self.mask,
            "deliveries": "0x" + "00" * 20,
            "rulesHash": b"\0" * 32,
        }
        return [known.get(name, 0) for name in FIELDS]

    def values(self) -> tuple[Any, ...]:
        return self.today, self.working, self.terms(), self.prices, self.volumes


class Guards:
    """Guards on one chain, each new, and the bench that feeds them."""

    def __init__(self) -> None:
        self.chain: Chain = open_chain(fast_backend(), 1_500_000_000)
        self.chain.fund(Account.from_key(key_of("deployer")).address)
        self.bench = self._create("test/GuardBench")

    def _create(self, name: str, *values: Any) -> str:
        made = self.chain.transact(None, load(name).creation(*values), key_of("deployer")).contract
        assert made
        return made

    def new(self, p: GuardParameters) -> str:
        values = (p.k_ppm, p.mad_floor, p.mad_floor_ppm, p.min_history, p.min_volume)
        return self._create("PriceGuard", self.bench, self.bench, *values)

    def feed(self, guard: str, sessions: list[Session]) -> None:
        data = load("test/GuardBench").functions["feed"].call(guard, [s.values() for s in sessions])
        self.chain.transact(self.bench, data, key_of("deployer"))

    def in_band(self, guard: str, session: Session) -> bool:
        function = load("test/GuardBench").functions["inBand"]
        return bool(function.result(self.chain.call(self.bench, function.call(guard, session.values()))))

    def view(self, guard: str, name: str, *values: int) -> Any:
        function = load("PriceGuard").functions[name]
        return function.result(self.chain.call(guard, function.call(*values)))


@pytest.fixture(scope="module")
def guards() -> Iterator[Guards]:
    made = Guards()
    yield made
    made.chain.close()


@st.composite
def sessions(draw: st.DrawFn, today: int) -> Session:
    day_intervals = draw(st.sampled_from([24, 48, 96]))
    first = draw(st.integers(0, 5))
    mask = draw(st.integers(1, 2**8 - 1)) << first
    number = mask.bit_count()
    price = st.one_of(st.integers(99_000, 101_000), st.sampled_from([0, 1, 2**32 - 1]), st.integers(0, 2**32 - 1))
    volume = st.one_of(st.integers(0, 2000), st.sampled_from([999, 1000, 2**40 - 1]))
    prices = draw(st.lists(price, min_size=number, max_size=number))
    volumes = draw(st.lists(volume, min_size=number, max_size=number))
    return Session(today, draw(st.booleans()), draw(st.integers(1, 2)), day_intervals, mask, tuple(prices), tuple(volumes))


@st.composite
def runs(draw: st.DrawFn) -> tuple[GuardParameters, list[Session], Session]:
    parameters = GuardParameters(
        draw(st.integers(1, 10**9)),
        draw(st.sampled_from([0, 1000, 2**32 - 1])),
        draw(st.integers(0, 10**6)),
        draw(st.integers(1, 6)),
        draw(st.sampled_from([1, 1000])),
    )
    today = 100
    made = []
    for _ in range(draw(st.integers(1, 12))):
        one = draw(sessions(today))
        for _ in range(draw(st.sampled_from([1, 1, 1, 2, 30]))):
            made.append(Session(today, one.working, one.zone, one.day_intervals, one.mask, one.prices, one.volumes))
            today += draw(st.sampled_from([0, 1, 1]))
    return parameters, made, draw(sessions(today))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(runs())
def test_the_contract_keeps_what_the_twin_keeps(guards: Guards, run: tuple[GuardParameters, list[Session], Session]) -> None:
    parameters, made, last = run
    guard = guards.new(parameters)
    guards.feed(guard, made)
    histories: dict[tuple[int, int], History] = {}
    for one in made:
        found = hours_of(one.intervals, one.day_intervals, one.prices, one.volumes, parameters.min_volume)
        for hour, hour_prices in found.items():
            key = (product_of(one.zone, 0, 0, 0), hour_type(one.working, hour))
            histories[key] = histories.get(key, History()).record(one.today, hour_prices.price, hour_prices.volume)
    for (product, kind), history in histories.items():
        assert guards.view(guard, "historyOf", product, kind) == (list(history.prices), history.day, history.volume)
        limits = history.band(parameters) or Band(0, UNBOUNDED)
        assert guards.view(guard, "bandOf", product, kind) == (limits.low, limits.high, len(history.prices))
    hours = hours_of(last.intervals, last.day_intervals, last.prices, last.volumes, parameters.min_volume)
    product = product_of(last.zone, 0, 0, 0)
    bands = {h: histories.get((product, hour_type(last.working, h)), History()).band(parameters) for h in hours}
    assert guards.in_band(guard, last) == in_band(hours, bands)
