"""What the API says of a request that it does not take: a field that the request has, what was expected and what came."""

from __future__ import annotations

import json
import string
from typing import Any

import httpx
import pytest
from app_house import House, market

from app.api import create_api
from app.api.refusal_fields import FIELDS
from app.context import Context
from app.services import runner
from contracts.artifacts import all_errors

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

OWNER = "0x" + "12" * 20


def wrong(house: House, path: str, given: object, *, operator: bool = False) -> dict[str, str]:
    """The one field that is refused of a body, as JSON or as the bytes to send."""
    content = given if isinstance(given, bytes) else json.dumps(given).encode()
    headers = {"Content-Type": "application/json"}
    if operator:
        headers["Authorization"] = f"Bearer {house.ctx.operator_token}"
    answer = httpx.post(f"{house.url}/api/v1{path}", content=content, headers=headers, timeout=60)
    assert 400 <= answer.status_code < 500, answer.text
    (error,) = answer.json()["errors"]
    assert error["expected"] and error["got"], error
    return error  # type: ignore[no-any-return]


def test_every_refusal_of_a_contract_names_values_that_it_has() -> None:
    errors = {entry["name"]: {p["name"] for p in entry["inputs"]} for entry in all_errors().values()}
    for name, templates in FIELDS.items():
        used = {field for template in templates for _, field, _, _ in string.Formatter().parse(template) if field}
        assert used <= errors[name], name


def test_a_body_that_is_no_json_is_told_where_it_breaks(house: House) -> None:
    for given, got in (
        (b'{"a":', "line 1, column 6"),
        (b'{"owner": "\xff"}', "byte 0xff at 11"),
        (b'{"account": 1' + b"0" * 5000 + b"}", "a longer one"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"account": NaN}', "NaN"),
        (b'{"account": 1, "amount": 1, "account": 2}', "'account' twice"),
    ):
        for path in ("/accounts", "/dev/faucet", "/windows"):
            error = wrong(house, path, given)
            assert error["field"] == "body" and got in error["got"], error


def test_a_value_of_another_type_is_not_taken_for_one(house: House) -> None:
    account = house.anyone.post("/accounts", {"owner": OWNER})["index"]
    assert account == 1
    for given, field in (
        ({"account": True, "amount": 1}, "account"),
        ({"account": 1, "amount": True}, "amount"),
        ({"account": 1, "amount": 1.0}, "amount"),
        ({"account": "1", "amount": 1}, "account"),
    ):
        assert wrong(house, "/dev/faucet", given)["field"] == field
    assert wrong(house, "/dev/faucet", {"account": 1}) == {"field": "amount", "expected": "a value", "got": "nothing"}
    good: dict[str, Any] = {"signer": OWNER, "words": ["0x1", "0x2"], "nonce": "1", "counter": "0", "deadline": 1}
    good["signature"] = "0x00"
    for changed in ({"nonce": "٣"}, {"nonce": "03"}, {"nonce": 3}, {"counter": "٣"}, {"deadline": "1"}):
        assert wrong(house, "/sessions/1/orders", {**good, **changed})["field"] == next(iter(changed))
    assert house.anyone.get("/accounts/1")["available"] == 0


def test_times_intervals_and_rules_are_told_as_they_are_given(house: House) -> None:
    _, session = market(house)
    given = {
        name: session[name]
        for name in ("date", "intervals", "gate_open", "gate_close", "exemption_deadline", "proof_deadline", "price_cap")
    }
    given["min_quantity_wh"] = session["min_quantity_wh"]

    def refused(**changed: object) -> dict[str, str]:
        return wrong(house, "/sessions", {**given, **changed}, operator=True)

    assert refused(intervals=[30]) == {
        "field": "intervals",
        "expected": "at least one interval from 0 to 23 and no other",
        "got": "[30]",
    }
    late = refused(gate_open=session["gate_close"], gate_close=session["gate_open"])
    assert (late["expected"], late["got"]) == (f"after the gate opens at {session['gate_close']}", session["gate_open"])
    assert refused(price_cap="600000")["field"] == "price_cap"
    assert refused(intervals=[True])["field"] == "intervals.0"
    assert refused(gate_open=1_500_000_000)["got"] == "1500000000"
    assert refused(date="12 July")["field"] == "date"
    assert refused(rules="") == {"field": "rules", "expected": "String should have at least 1 character", "got": "''"}
    past = wrong(house, "/zones/1/holidays", {"dates": ["2010-01-01"]}, operator=True)
    assert (past["field"], past["got"]) == ("dates", "2010-01-01") and past["expected"].startswith("a day after 2017-")
    for to in ("yesterday", 7, None, {}):
        moment = wrong(house, "/dev/advance", {"to": to, "session": 1})
        assert moment["field"] == "to" and "gate_open" in moment["expected"] and "ISO 8601" in moment["expected"]
    meter = {"account": 1, "x": "1", "y": "2", "from_day": 20_000}
    key = wrong(house, "/meters", meter, operator=True)
    assert (key["expected"], key["got"]) == ("a point of BabyJubJub", "(1, 2), which is not on the curve")


def test_a_label_shows_what_it_is(house: House) -> None:
    for label in ("", "  ", "a\0b", "\x1b[31mred", "\u202egnal", "two\nlines"):
        assert wrong(house, "/accounts", {"owner": OWNER, "label": label})["field"] == "label"
    assert house.anyone.post("/accounts", {"owner": OWNER, "label": " Häuser am See "})["label"] == "Häuser am See"


def test_moments_that_are_past_are_worked_off_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    _, session = market(house)
    rounds: list[int] = []
    run_due = runner.run_due

    def counted(ctx: Context) -> list[str]:
        rounds.append(ctx.now())
        return run_due(ctx)

    monkeypatch.setattr(runner, "run_due", counted)
    for expected in (5, 1):
        rounds.clear()
        house.api.post("/dev/advance", {"to": "settled", "session": session["id"]})
        assert len(rounds) == expected
    assert house.anyone.get(f"/sessions/{session['id']}")["state"] == "Settled"


def test_the_document_describes_what_is_taken() -> None:
    schemas = create_api().openapi()["components"]["schemas"]
    advance = schemas["Advance"]["properties"]["to"]["anyOf"]
    assert advance[0]["enum"][0] == "gate_open" and advance[1] == {"type": "string", "format": "date-time"}
    assert schemas["NewSession"]["properties"]["date"]["format"] == "date"
    assert schemas["NewSession"]["properties"]["gate_open"]["format"] == "date-time"
    assert schemas["SignedBatch"]["properties"]["nonce"]["examples"] == ["417"]
