"""Readings and windows at the API's door: what is wrong is named by row or entry, and no garbage makes the server fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from typing import Any

import pytest
from app_house import House, market
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import func, select

from app.client import ApiError
from app.database import MeterWindow, Reading
from app.services import metering
from zk.field import ORDER

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]


def rows(house: House, table: Any) -> int:
    with house.ctx.database.session() as db:
        return int(db.exec(select(func.count()).select_from(table)).one())


def refused(call: Any, *arguments: Any) -> Json:
    with pytest.raises(ApiError) as caught:
        call(*arguments)
    return caught.value.document


def test_a_csv_with_a_broken_row_stores_nothing_and_names_the_row(house: House) -> None:
    account = house.anyone.post("/accounts", {"owner": "0x" + "12" * 20})["index"]
    head = "account,interval_start,net_load_wh\n"
    good = f"{account},2017-06-01T08:00:00+00:00,420\n"
    for line, column in (
        (f"{account}\u20281,2017-06-01T09:00:00+00:00,420\n", "row 3, column account"),
        (f"{account},2017-06-01T09:00:00+00:00,much\n", "row 3, column net_load_wh"),
        (f"{account},2017-06-01T09:00:00,420\n", "row 3, column interval_start"),
        (f"{account},2017-06-01T09:10:00+00:00,420\n", "row 3, column interval_start"),
        (f"{account},2017-06-01T08:00:00+00:00,421\n", "row 3, column interval_start"),
        ("99,2017-06-01T09:00:00+00:00,420\n", "row 3, column account"),
        (f"0{account},2017-06-01T08:00:00+00:00,420\n", "row 3, column account"),
        (f"{chr(0x660 + account)},2017-06-01T09:00:00+00:00,420\n", "row 3, column account"),
        ("9" * 5000 + ",2017-06-01T09:00:00+00:00,420\n", "row 3, column account"),
        (f"{account},9999-06-01T09:00:00+00:00,420\n", "row 3, column interval_start"),
    ):
        document = refused(house.api.post_csv, "/readings", head + good + line)
        assert document["detail"] == "1 row of the file cannot be taken; nothing was stored."
        assert document["errors"][0]["field"] == column
        assert rows(house, Reading) == 0
    header = refused(house.api.post_csv, "/readings", "account,interval_start,net_load_wh,colour\n")
    assert header["detail"] == "The header of the file cannot be taken; nothing was stored."
    many = refused(house.api.post_csv, "/readings", head + "99,2017-06-01T09:00:00+00:00,420\n" * 60)
    assert many["detail"] == "At least 50 rows of the file cannot be taken; nothing was stored."
    assert house.api.post_csv("/readings", head + good)["done"] == ["1 readings stored"]
    assert house.api.post_csv("/readings", head + good)["done"] == ["0 readings stored"]
    new = f"{account},2017-06-01T07:00:00+00:00,1\n"
    document = refused(house.api.post_csv, "/readings", head + new + good.replace("420", "421"))
    assert document["status"] == 409 and document["errors"][0]["field"] == "row 3, column (row)"
    assert rows(house, Reading) == 1


def test_readings_may_be_a_day_ahead_of_a_chain_that_lags(house: House) -> None:
    account = house.anyone.post("/accounts", {"owner": "0x" + "12" * 20})["index"]
    end = (house.ctx.now() + metering.AHEAD) // 3600 * 3600

    def hand_in(start: int) -> Json:
        moment = datetime.fromtimestamp(start, UTC).isoformat()
        return house.api.post_csv("/readings", f"account,interval_start,net_load_wh\n{account},{moment},1\n")  # type: ignore[no-any-return]

    assert hand_in(end - 3600)["done"] == ["1 readings stored"]
    assert refused(hand_in, end)["errors"][0]["field"] == "row 2, column interval_start"


def test_the_same_readings_at_once_are_stored_once(house: House) -> None:
    account = house.anyone.post("/accounts", {"owner": "0x" + "12" * 20})["index"]
    times = [datetime.fromtimestamp(1_496_300_400 + 3600 * t, UTC).isoformat() for t in range(500)]
    file = "account,interval_start,net_load_wh\n" + "".join(f"{account},{moment},1\n" for moment in times)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: house.api.post_csv("/readings", file)["done"], range(4)))
    assert sorted(answers) == [["0 readings stored"]] * 3 + [["500 readings stored"]]


def test_a_window_that_is_none_is_refused_by_entry_and_field(house: House) -> None:
    community, _ = market(house)
    home = community.homes[0]
    first, second = (home.meter.close(community.scenario.day - n, (500,) * 24).to_record() for n in (14, 13))
    good, record = {"account": home.account, "window": first}, second
    signed_by_nobody = {**record, "signature": [*record["signature"][:2], "1"]}

    def entry(**change: object) -> Json:
        return {"account": home.account, "window": {**record, **change}}

    for bad, field, got in (
        (entry(day=1_180_591_620_717_411_303_424), "window.day", "an integer of 71 bits"),
        (entry(final=1), "window.final", "1"),
        (entry(colour="red"), "window.colour", "a field of another name"),
        (entry(colour="red", **{"\n" * 1000: 1}), "window.colour", "a field of another name"),
        ({"account": home.account, "window": {}}, "window.day", "nothing"),
        (entry(head="1"), "window.head", "1"),
        ({"account": home.account, "window": signed_by_nobody}, "window.signature", "another"),
        ({**entry(), "account": 4_000_000_000}, "account", "4000000000"),
        ({**entry(), "key": "7"}, "key", "0x7"),
    ):
        (error,) = refused(house.anyone.post, "/windows", [good, bad])["errors"]
        assert (error["field"], error["got"]) == (f"[1].{field}", got)
        assert len(error["expected"]) < 200
    head = refused(house.anyone.post, "/windows", [good, entry(head="1")])["errors"][0]
    assert head["expected"] == f"the hash of the window of day {record['day']}, {record['head']}"
    assert rows(house, MeterWindow) == 14


def test_windows_are_taken_in_only_as_the_meter_signed_them(house: House) -> None:
    community, _ = market(house)
    home = community.homes[0]
    day = community.scenario.day - 14
    window = home.meter.close(day, (500,) * 24)
    record = window.to_record()
    stored = rows(house, MeterWindow)
    tampered = {**record, "readings": [499, *record["readings"][1:]]}
    other_day = {**record, "day": day + 1}
    unsigned = {**record, "signature": ["1", "2", "3"]}
    for bad in (tampered, other_day, unsigned, {}, {**record, "readings": [1, 2]}):
        assert refused(house.api.post, "/windows", [{"account": home.account, "window": bad}])["status"] == 422
    following = home.meter.close(day + 1, (400,) * 24).to_record()
    half_good = [{"account": home.account, "window": record}, {"account": home.account, "window": {**following, "salt": "1"}}]
    assert refused(house.api.post, "/windows", half_good)["status"] == 422
    assert rows(house, MeterWindow) == stored, "all of a batch or nothing"
    house.api.post("/windows", [{"account": home.account, "window": record}])
    house.api.post("/windows", [{"account": home.account, "window": record}])
    assert rows(house, MeterWindow) == stored + 1


# What strangers send: numbers around every bound, digits of other scripts, half a surrogate pair, what is no number at all.
BOUNDS = (0, 1, 1 << 23, 1 << 31, 1 << 32, 1 << 63, 1 << 64, 1 << 70, ORDER, 10**78, 10**4298)
NUMBERS = (*(bound - n for bound in BOUNDS for n in (0, 1)), -(1 << 64), 1.5, float("inf"), float("nan"))
DIGITS = tuple(map(str, (-1, 1.5, 1 << 64, ORDER - 1, ORDER, 10**78, float("nan"))))
STRINGS = (*DIGITS, "9" * 5000, "01", "+1", "1_0", "0x1", "\u0663", "\u00b2", "\ud800", "\0", "", " ", '"', "1,2")
EDGES = (*NUMBERS, *STRINGS, None, True, [], {})
ANY = st.recursive(
    st.sampled_from(EDGES) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(STRINGS), inner, max_size=3),
    max_leaves=8,
)


@dataclass
class Door:
    """A running application with a meter, and what it would take."""

    connection: HTTPConnection
    token: dict[str, str]
    meter: Json
    window: Json
    reading: tuple[str, str, str]

    def send(self, path: str, body: str, kind: str = "application/json") -> None:
        """Hands something in as the operator: it is taken, or refused naming what."""
        content = body.encode("utf-8", "surrogatepass")
        self.connection.request("POST", f"/api/v1{path}", content, {"Content-Type": kind, **self.token})
        answer = self.connection.getresponse()
        document = json.load(answer)
        assert 200 <= answer.status < 500, (path, body, document)
        if answer.status == 422:
            assert document["errors"], (path, body, document)
            assert all(error["field"] and error["expected"] for error in document["errors"]), (path, body, document)

    def send_window(self, window: object, **more: object) -> None:
        self.send("/windows", json.dumps([{"account": self.meter["account"], "window": window, **more}]))

    def send_rows(self, *rows: tuple[str, ...]) -> None:
        self.send("/readings", "\n".join(["account,interval_start,net_load_wh", *map(",".join, rows)]), "text/csv")


@pytest.fixture
def door(house: House) -> Iterator[Door]:
    community, _ = market(house)
    home = community.homes[0]
    key, record = home.meter.key, home.meter.close(community.scenario.day - 14, (500,) * 24).to_record()
    meter = {"account": home.account, "zone": 1, "x": str(key.x), "y": str(key.y), "from_day": 17_400}
    connection = HTTPConnection(house.url.removeprefix("http://"), timeout=60)
    reading = (str(home.account), "2017-06-01T08:00:00Z", "5")
    yield Door(connection, {"Authorization": f"Bearer {house.ctx.operator_token}"}, meter, record, reading)
    connection.close()


def test_no_value_of_a_field_makes_the_server_fail(door: Door) -> None:
    for edge in EDGES:
        for name in door.window:
            door.send_window({**door.window, name: edge})
        door.send_window({**door.window, "readings": [edge, *door.window["readings"][1:]]})
        door.send_window({**door.window, "signature": [*door.window["signature"][:2], edge]})
        for more in ({"account": edge}, {"key": edge}):
            door.send_window(door.window, **more)
        for name in door.meter:
            door.send("/meters", json.dumps({**door.meter, name: edge}))
    times = ("9999-12-31T23:00:00Z", "9999-12-31T23:00:00-23:59", "0001-01-01T00:00:00+14:00", "1969-12-31T23:00:00Z")
    for text in (*STRINGS, *times):
        for at in range(3):
            changed = list(door.reading)
            changed[at] = text
            door.send_rows(tuple(changed), door.reading)
        door.send("/readings", f"account,interval_start,net_load_wh,{text}\n", "text/csv")


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_garbage_makes_the_server_fail(door: Door, data: st.DataObject) -> None:
    names = st.sampled_from((*door.window, *door.meter, *STRINGS))
    changes = data.draw(st.dictionaries(names, ANY, max_size=4))
    door.send_window({**door.window, **changes})
    door.send("/meters", json.dumps({**door.meter, **changes}))
    for path in ("/windows", "/meters"):
        door.send(path, json.dumps(data.draw(ANY)))
    cells = st.sampled_from((*door.reading, *STRINGS)) | st.text(max_size=5)
    door.send_rows(*data.draw(st.lists(st.lists(cells, max_size=4).map(tuple), max_size=5)))
    door.send("/readings", data.draw(st.text()), "text/csv")
