"""Accounts, meter keys and zones: what may be bound when, and by whom."""

from __future__ import annotations

import random

import pytest
from contracts_world import OFFSET, R, World, address_of, key_of, order, words_of

from contracts.artifacts import load
from contracts.calls import Call
from contracts.deploy import FORKS_ROLE, MARKET_ROLE
from contracts.encoding import ScheduleOrder, Step
from contracts.events import AccountRegistered, DelegateSet, HolidaySet, KeySuspended, MeterBound, ZoneAdded
from contracts.refusals import ContractRefusal
from contracts.units import Side

pytestmark = pytest.mark.slow


def refused(world: World, name: str, call: tuple[str, bytes]) -> ContractRefusal:
    with pytest.raises(ContractRefusal) as caught:
        world.client.simulate(address_of(name), Call(*call))
    return caught.value


def test_anyone_may_register_anyone(world: World) -> None:
    client = world.client
    before = client.accounts()
    receipt = client.send(world.operator, client.encode_register(address_of("zoe")))
    assert client.receipt_events(receipt) == [AccountRegistered(before + 1, address_of("zoe"))]
    assert client.owner_of(before + 1) == address_of("zoe") and client.accounts() == before + 1
    assert refused(world, "operator", client.encode_register("0x" + "00" * 20)).error_name == "NoOwner"
    with pytest.raises(ContractRefusal, match="does not exist"):
        client.owner_of(0)


def test_only_the_owner_names_a_delegate(world: World) -> None:
    client = world.client
    anna, ben = world.member("anna"), world.member("ben")
    receipt = client.set_delegate(key_of("anna"), anna, ben)
    assert client.receipt_events(receipt) == [DelegateSet(anna, ben)]
    assert client.delegate_of(anna) == ben
    assert refused(world, "ben", client.encode_set_delegate(anna, ben)).error_name == "NotOwner"
    assert refused(world, "anna", client.encode_set_delegate(anna, anna)).error_name == "DelegateIsSelf"
    assert refused(world, "anna", client.encode_set_delegate(anna, 99_999)).error_name == "UnknownAccount"
    receipt = client.set_delegate(key_of("anna"), anna, 0)
    assert client.receipt_events(receipt) == [DelegateSet(anna, 0)]
    assert client.delegate_of(anna) is None


def test_meter_keys_are_versions(world: World) -> None:
    client, metering = world.client, key_of("metering")
    carl = world.member("carl", meter=False)
    today = world.chain.now() // 86400
    assert client.key_at(carl, today) is None
    assert refused(world, "carl", client.encode_bind_meter(carl, 1, 5, today)).error_name == "AccessControlUnauthorizedAccount"
    assert refused(world, "metering", client.encode_bind_meter(carl, 9, 5, today)).error_name == "UnknownZone"
    assert refused(world, "metering", client.encode_bind_meter(99_999, 1, 5, today)).error_name == "UnknownAccount"
    assert refused(world, "metering", client.encode_bind_meter(carl, 1, 0, today)).error_name == "KeyOutOfRange"
    assert refused(world, "metering", client.encode_bind_meter(carl, 1, R, today)).error_name == "KeyOutOfRange"
    assert refused(world, "metering", client.encode_bind_meter(carl, 1, 5, today - 2)).error_name == "KeyDayInPast"
    receipt = client.bind_meter(metering, carl, 1, R - 1, today - 1)
    assert client.receipt_events(receipt) == [MeterBound(carl, 1, R - 1, today - 1)]
    dora = world.member("dora", meter=False)
    assert refused(world, "metering", client.encode_bind_meter(dora, 1, R - 1, today)).error_name == "KeyTaken"
    assert refused(world, "metering", client.encode_bind_meter(carl, 1, R - 1, today)).error_name == "KeyTaken"
    assert refused(world, "metering", client.encode_bind_meter(carl, 1, 6, today - 1)).error_name == "KeyDayNotLater"
    days = [today + 10, today + 20, today + 30, today + 31]
    for number, day in enumerate(days):
        client.bind_meter(metering, carl, 1, 1000 + number, day)
    expected = [(R - 1, today - 1), *((1000 + n, day) for n, day in enumerate(days))]
    for day in range(today - 3, today + 40):
        assert client.key_at(carl, day) == next((v for v in reversed(expected) if v[1] <= day), None)
    other = client.add_zone(world.operator, 0, 60)
    assert refused(world, "metering", client.encode_bind_meter(carl, other, 7, today + 50)).error_name == "WrongZone"


def suspension(world: World, key: int) -> Call:
    return Call(world.client.deployment.contracts["Accounts"], load("Accounts").functions["suspendKey"].call(key))


@pytest.fixture(scope="module")
def judge(world: World) -> World:
    """Somebody may suspend keys, as the contract Forks may."""
    grant = load("Accounts").functions["grantRole"].call(FORKS_ROLE, address_of("judge"))
    world.chain.transact(world.client.deployment.contracts["Accounts"], grant, key_of("deployer"))
    world.chain.fund(address_of("judge"))
    return world


def test_a_suspended_key_is_in_force_on_no_day(judge: World) -> None:
    client, metering = judge.client, key_of("metering")
    emil = judge.member("emil", meter=False)
    today = judge.chain.now() // 86400
    keys = {7001: today, 7002: today + 10, 7003: today + 20}
    for key, day in keys.items():
        client.bind_meter(metering, emil, 1, key, day)

    def in_force(suspended: set[int]) -> None:
        for day in range(today - 2, today + 45):
            last = next(((key, first) for key, first in reversed(keys.items()) if first <= day), None)
            assert client.key_at(emil, day) == (None if last is None or last[0] in suspended else last), day

    in_force(set())
    assert refused(judge, "operator", suspension(judge, 7002)).error_name == "AccessControlUnauthorizedAccount"
    assert refused(judge, "metering", suspension(judge, 7002)).error_name == "AccessControlUnauthorizedAccount"
    assert refused(judge, "judge", suspension(judge, 9_999_999)).error_name == "UnknownKey"
    gone: set[int] = set()
    for key in (7002, 7001, 7003):  # one in the middle, the first, the last
        receipt = client.send(key_of("judge"), suspension(judge, key))
        assert client.receipt_events(receipt) == [KeySuspended(emil, key)]
        gone.add(key)
        in_force(gone)
        assert refused(judge, "judge", suspension(judge, key)).error_name == "KeyAlreadySuspended"
        assert client.account_of_key(key) == emil
        for account in (emil, judge.member("fritz", meter=False)):
            assert refused(judge, "metering", client.encode_bind_meter(account, 1, key, today + 40)).error_name == "KeyTaken"
    with pytest.raises(ContractRefusal, match="no meter key in force"):
        client.meter_on(emil, today + 30)
    client.bind_meter(metering, emil, 1, 7004, today + 40)
    keys[7004] = today + 40
    in_force(gone)
    assert client.meter_on(emil, today + 44).key == 7004


def test_who_is_suspended_offers_nothing_until_a_new_key(judge: World) -> None:
    client, metering = judge.client, key_of("metering")
    gina = judge.member("gina", meter=False)
    neighbour = judge.member("gina's neighbour")  # shares the packed word
    today = judge.chain.now() // 86400
    client.bind_meter(metering, gina, 1, 8001, today)
    session = judge.open(days_ahead=20)
    day, terms = client.terms(session).day, client.terms(session)

    def place(account: int, side: Side) -> Call:
        return client.encode_place(session, words_of(order(account, side, [(500, 80_000)] * 4), terms.intervals))

    def offers() -> str:
        try:
            client.simulate(address_of("gina"), place(gina, Side.OFFER))
        except ContractRefusal as refusal:
            return refusal.error_name
        return "taken"

    assert offers() == "taken"
    client.bind_meter(metering, gina, 1, 8002, day + 5)  # a later version, not in force on the day
    assert offers() == "taken"
    client.send(key_of("judge"), suspension(judge, 8002))
    assert offers() == "NoMeterKey", "the account offers nothing, not even before that key's first day"
    client.simulate(address_of("gina"), place(gina, Side.BID))
    withdrawn = ScheduleOrder(gina, Side.OFFER, (Step((0,) * 4, (0,) * 4),))
    client.simulate(address_of("gina"), client.encode_place(session, words_of(withdrawn, terms.intervals)))  # and may leave
    client.simulate(address_of("gina's neighbour"), place(neighbour, Side.OFFER))
    client.bind_meter(metering, gina, 1, 8003, day + 6)
    assert offers() == "NoMeterKey", "the new key is not in force yet"

    hugo = judge.member("hugo", meter=False)
    client.bind_meter(metering, hugo, 1, 8101, today)
    client.bind_meter(metering, hugo, 1, 8102, day)
    client.send(key_of("judge"), suspension(judge, 8101))
    client.simulate(address_of("hugo"), place(hugo, Side.OFFER))  # the version of the day is another one
    client.send(key_of("judge"), suspension(judge, 8102))
    assert refused(judge, "hugo", place(hugo, Side.OFFER)).error_name == "NoMeterKey"
    client.bind_meter(metering, hugo, 1, 8103, day + 1)
    assert refused(judge, "hugo", place(hugo, Side.OFFER)).error_name == "NoMeterKey"
    client.cancel(judge.operator, session, "it was only asked about")


def test_neighbours_share_words_and_nothing_else(judge: World) -> None:
    """Keys and event days of many accounts in one call, in any order and repeated, across the border of a word of days."""
    client, rng = judge.client, random.Random(3)
    accounts = load("Accounts").functions
    at = client.deployment.contracts["Accounts"]
    judge.chain.transact(at, accounts["grantRole"].call(MARKET_ROLE, address_of("judge")), key_of("deployer"))
    people = [judge.member(f"neighbour {i}", meter=False, money=0) for i in range(19)]
    today = judge.chain.now() // 86400
    day = (today // 32 + 1) * 32 + 6  # the 14 days before it lie in two words
    events: dict[int, set[int]] = {}
    for number, account in enumerate(people):
        for version in range(number % 3 + 1):
            key = 60_000 + 10 * number + version
            client.bind_meter(key_of("metering"), account, 1, key, today + version * 7 + (rng.randrange(7) if version else 0))
        events[account] = {d for d in range(day - 14, day + 2) if rng.random() < 0.4}
        for event in events[account]:
            promise = accounts["commitPromise"].call(1, account, 1, event, 1, True, 0, [7])
            judge.chain.transact(at, promise, key_of("judge"))
    asked = [rng.choice(people) for _ in range(40)]
    for on in (day - 6, day - 2, day, day + 1):
        data = accounts["metersOn"].result(judge.chain.call(at, accounts["metersOn"].call(on, asked, 1)))
        assert len(data) == 64 * len(asked)
        for i, account in enumerate(asked):
            key, state = (int.from_bytes(data[64 * i + part : 64 * i + part + 32], "big") for part in (0, 32))
            held = client.key_at(account, on)
            assert held == (key, state >> 16 & 0xFFFFFFFF) and state & 0xFFFF == 1
            days = {on - 14 + k for k in range(14) if state >> 48 + k & 1}
            assert days == {d for d in events[account] if on - 14 <= d < on}
            assert client.event_days(account, on - 14, 14) == state >> 48


def test_zones(world: World) -> None:
    client = world.client
    receipt = client.send(world.operator, client.encode_add_zone(-5 * 3600, 15))
    (added,) = client.receipt_events(receipt)
    assert isinstance(added, ZoneAdded) and (added.offset, added.interval_minutes) == (-18000, 15)
    for offset, minutes, error in (
        (0, 20, "IntervalNotSupported"),
        (50_401, 60, "OffsetOutOfRange"),
        (-50_401, 60, "OffsetOutOfRange"),
    ):
        assert refused(world, "operator", client.encode_add_zone(offset, minutes)).error_name == error
    assert refused(world, "anna", client.encode_add_zone(0, 60)).error_name == "AccessControlUnauthorizedAccount"
    midnight = 17_500 * 86400
    assert client.day_of(added.zone, midnight + 18000) == 17_500 and client.day_of(added.zone, midnight + 17999) == 17_499
    assert client.day_of(1, midnight - OFFSET) == 17_500 and client.day_of(1, midnight - OFFSET - 1) == 17_499
    assert client.interval_start(added.zone, 17_500, 3) == midnight + 18000 + 45 * 60


def test_calendar(world: World) -> None:
    client = world.client
    today = client.day_of(1, world.chain.now())
    monday = today + 14 - (today + 3) % 7
    assert client.working_days(1, monday, 14) == 0b0011111_0011111
    receipt = client.set_holidays(world.operator, 1, [monday, monday + 5])
    assert client.receipt_events(receipt) == [HolidaySet(1, monday, True), HolidaySet(1, monday + 5, True)]
    assert client.working_days(1, monday, 14) == 0b0011111_0011110
    client.set_holidays(world.operator, 1, [monday], False)
    assert client.working_days(1, monday, 7) == 0b0011111
    border = (today // 256 + 1) * 256
    client.set_holidays(world.operator, 1, [border - 1, border])
    plain = sum(1 << k for k in range(20) if (border - 10 + k + 3) % 7 < 5)
    assert client.working_days(1, border - 10, 20) == plain & ~(0b11 << 9)
