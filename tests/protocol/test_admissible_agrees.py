"""Which earlier days may make up a baseline: oracle.baseline and the deployed Deliveries on random calendars and keys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_world import FIRST_DAY, Market, address_of, fast_chain, key_of, make_market

from contracts.artifacts import load
from contracts.chain import anvil_binary
from contracts.client import MeterState
from contracts.deploy import MARKET_ROLE
from market.session import Zone
from oracle.baseline import admissible_days

SPAN = range(FIRST_DAY + 5, FIRST_DAY + 45)
"""Days of holidays, events and deliveries; the contracts' 256-day words change inside."""

METERS = count(1_000)
DAYS = st.sets(st.sampled_from(SPAN), max_size=20)


@pytest.fixture(scope="module")
def calendar() -> Iterator[Market]:
    """A market in which `promiser` may write promises, and with them event days, as the market does."""
    with fast_chain() as chain:
        market = make_market(chain)
        grant = load("Accounts").functions["grantRole"].call(MARKET_ROLE, address_of("promiser"))
        chain.transact(market.client.deployment.contracts["Accounts"], grant, key_of("deployer"))
        chain.fund(address_of("promiser"))
        yield market


def promise(market: Market, account: int, zone: int, day: int, event: bool) -> None:
    call = load("Accounts").functions["commitPromise"].call(1, account, zone, day, 1, event, 0, [7])
    market.chain.transact(market.client.deployment.contracts["Accounts"], call, key_of("promiser"))


@pytest.mark.slow
@settings(max_examples=40 if anvil_binary() else 20, deadline=None)
@given(DAYS, DAYS, DAYS, st.integers(-1, 30), st.one_of(st.none(), st.integers(1, 20)))
def test_the_same_days_are_admitted(
    calendar: Market, holidays: set[int], events: set[int], sold: set[int], from_day: int, later: int | None
) -> None:
    """`sold` are days with a promise too small for an event day; `later` days after the first key a second one replaces it."""
    market, client = calendar, calendar.client
    number = client.add_zone(key_of("operator"), 3600, 60)
    zone = Zone(number, 3600, 60, frozenset(holidays))
    if holidays:
        client.set_holidays(key_of("operator"), number, sorted(holidays))
    account = client.register(key_of("operator"), address_of("promiser"))
    keys = {FIRST_DAY + from_day: next(METERS)}
    if later is not None:
        keys[FIRST_DAY + from_day + later] = next(METERS)
    for first, key in keys.items():
        client.bind_meter(key_of("metering"), account, number, key, first)
    for day in sorted(events | sold):
        promise(market, account, number, day, day in events)

    for day in range(max(FIRST_DAY + from_day, SPAN.start), SPAN.stop + 1):
        first = max(start for start in keys if start <= day)
        marks = sum(1 << k for k in range(14) if day - 14 + k in events)
        assert client.meter_on(account, day) == MeterState(number, keys[first], first, marks)
        working = client.working_days(number, day - 14, 15)
        assert working == sum(1 << k for k in range(15) if zone.is_working_day(day - 14 + k))
        assert client.admissible(number, account, day) == admissible_days(day, zone.is_working_day, marks, first)
