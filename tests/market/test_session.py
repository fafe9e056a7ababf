"""Zones, terms and the table of states."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from market_brute import terms_for

from contracts.units import Mode, SessionState
from market.errors import TermsError
from market.session import STATES, SessionFacts, Zone, rule_at, state_at

TERMS = terms_for(0b11 << 18)


@given(st.integers(0, 4_000_000_000), st.integers(-12, 14), st.sampled_from([15, 30, 60]))
def test_days_and_intervals_follow_the_zones_clock(timestamp: int, hours: int, minutes: int) -> None:
    zone = Zone(1, hours * 3600, minutes)
    local = datetime.fromtimestamp(timestamp, timezone(timedelta(hours=hours)))
    day, interval = zone.day_of(timestamp), zone.interval_of(timestamp)
    assert day == (local.date() - datetime(1970, 1, 1, tzinfo=UTC).date()).days
    assert interval == (local.hour * 60 + local.minute) // minutes
    assert zone.interval_start(day, interval) <= timestamp < zone.interval_start(day, interval + 1)
    assert zone.is_working_day(day) == (local.weekday() < 5)


def test_holidays_are_no_working_days() -> None:
    monday = 20003
    assert Zone(1, 0, 60).is_working_day(monday)
    assert not Zone(1, 0, 60, frozenset({monday})).is_working_day(monday)


def test_delivery_follows_from_the_mask() -> None:
    assert TERMS.intervals == (18, 19)
    assert TERMS.delivery_start == 20000 * 86400 - 3600 + 18 * 3600
    assert TERMS.delivery_end == TERMS.delivery_start + 7200


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"session": 0}, "session"),
        ({"mask": 0}, "intervals"),
        ({"mask": 1 << 24}, "intervals"),
        ({"price_cap": 1 << 32}, "price_cap"),
        ({"min_quantity": 1 << 24}, "min_quantity"),
        ({"collateral_ppm": -1}, "collateral_ppm"),
        ({"rules_hash": b"short"}, "rules_hash"),
        ({"gate_open": TERMS.gate_close}, "gate_close"),
        ({"gate_close": TERMS.delivery_start + 1}, "gate_close"),
        ({"exemption_deadline": TERMS.delivery_end - 1}, "exemption_deadline"),
        ({"proof_deadline": TERMS.exemption_deadline - 1}, "proof_deadline"),
        ({"proof_deadline": TERMS.delivery_end + 60 * 86_400 + 1}, "proof_deadline"),
        ({"fee_ppm": 100_001, "fee_account": 1}, "fee_ppm"),
        ({"fee_ppm": 1}, "fee_account"),
        ({"fee_account": 1 << 32}, "fee_account"),
        ({"intake_fee": 1_000_001}, "intake_fee"),
        ({"challenge_end": 1}, "challenge_end"),
        ({"mode": Mode.BLOCK}, "challenge_end"),
        ({"mode": Mode.BLOCK, "challenge_end": TERMS.gate_close}, "challenge_end"),
        ({"mode": Mode.BLOCK, "challenge_end": TERMS.delivery_start}, "challenge_end"),
    ],
)
def test_terms_that_no_contract_opens(change: dict[str, int], field: str) -> None:
    with pytest.raises(TermsError) as caught:
        replace(TERMS, **change)
    assert caught.value.field == field


def test_terms_at_their_bounds_open() -> None:
    longest = TERMS.delivery_end + 60 * 86_400
    replace(TERMS, fee_ppm=100_000, fee_account=1, intake_fee=1_000_000, proof_deadline=longest)
    for end in (TERMS.gate_close + 1, TERMS.delivery_start - 1):
        replace(TERMS, mode=Mode.BLOCK, challenge_end=end)


@pytest.mark.parametrize(
    ("offset", "minutes", "field"),
    [(50_401, 60, "zone.offset"), (-50_401, 60, "zone.offset"), (0, 20, "zone.interval_minutes")],
)
def test_zones_that_no_contract_knows(offset: int, minutes: int, field: str) -> None:
    with pytest.raises(TermsError) as caught:
        Zone(1, offset, minutes)
    assert caught.value.field == field


CLEARED = SessionFacts(cleared=True)
T = TERMS


@pytest.mark.parametrize(
    ("facts", "now", "state"),
    [
        (SessionFacts(), T.gate_open - 1, SessionState.SCHEDULED),
        (SessionFacts(), T.gate_open, SessionState.OPEN),
        (SessionFacts(), T.gate_close - 1, SessionState.OPEN),
        (SessionFacts(), T.gate_close, SessionState.CLOSED),
        (SessionFacts(), T.delivery_start - 1, SessionState.CLOSED),
        (SessionFacts(), T.delivery_start, SessionState.CANCELLED),
        (SessionFacts(cancelled=True), T.gate_open, SessionState.CANCELLED),
        (SessionFacts(under_review=True), T.gate_close, SessionState.UNDER_REVIEW),
        (SessionFacts(under_review=True), T.delivery_start, SessionState.CANCELLED),
        (SessionFacts(cleared=True, under_review=True), T.gate_close, SessionState.UNDER_REVIEW),
        (SessionFacts(cleared=True, under_review=True), T.delivery_start, SessionState.CANCELLED),
        (CLEARED, T.gate_close, SessionState.CLEARED),
        (CLEARED, T.delivery_start, SessionState.DELIVERING),
        (CLEARED, T.delivery_end - 1, SessionState.DELIVERING),
        (CLEARED, T.delivery_end, SessionState.SETTLING),
        (SessionFacts(cleared=True, settled=True), T.proof_deadline + 1, SessionState.SETTLED),
    ],
)
def test_state_at(facts: SessionFacts, now: int, state: SessionState) -> None:
    assert state_at(TERMS, facts, now) is state
    assert rule_at(TERMS, facts, now).when


def test_the_table_names_every_state_once() -> None:
    assert sorted(rule.state for rule in STATES) == list(SessionState)
