"""A meter that signs two histories is caught with both in hand; nobody can make it look so without the meter's key."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from app_house import House
from eth_account import Account as Signer
from sqlmodel import select

from app.client import Api, ApiError
from app.context import build
from app.database import Fork, MeterWindow
from app.demo.community import cancellation
from app.demo.plan import open_session, start_time
from app.errors import Refused
from app.server import running
from app.services import accounts, forks, metering, runner
from app.settings import Settings
from contracts.encoding import ScheduleOrder, Step
from contracts.units import Side
from oracle.meter import Meter, keep
from zk.eddsa import PrivateKey
from zk.prover import ProverError
from zk.windows import Window, close_window

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]
KEY, FOREIGN = PrivateKey(b"\x01" * 32), PrivateKey(b"\x02" * 32)
DAY = tuple(range(100, 124))
GAPS = (None,) * 24


def binding(account: int, key: PrivateKey) -> Json:
    return {"account": account, "x": str(key.public.x), "y": str(key.public.y)}


class Metered:
    """An account with a meter whose owner holds the key and can sign whatever it likes."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.from_day = house.ctx.zone(1).day_of(house.ctx.now()) + 1
        self.account = house.anyone.post("/accounts", {"owner": "0x" + "12" * 20})["index"]
        house.api.post("/meters", {**binding(self.account, KEY), "from_day": self.from_day})
        self.meter = Meter.create(house.folder / "log.json", KEY, self.from_day, 24)
        self.start = self.meter.windows(0, 1 << 31)
        self.hand_in(*self.start)

    def sign(self, readings: tuple[int | None, ...], *, final: bool = True, key: PrivateKey = KEY) -> Window:
        return close_window(key, self.from_day, readings, self.start[-1].head, final=final)

    def hand_in(self, *windows: Window) -> Json:
        items = [{"account": self.account, "window": window.to_record()} for window in windows]
        return self.house.anyone.post("/windows", items)  # type: ignore[no-any-return]

    def refused(self, *windows: Window) -> Json:
        with pytest.raises(ApiError) as caught:
            self.hand_in(*windows)
        return caught.value.document

    def evidence(self) -> list[Fork]:
        with self.house.ctx.database.session() as db:
            return list(db.exec(select(Fork)).all())

    def stored(self) -> int:
        with self.house.ctx.database.session() as db:
            return len(db.exec(select(MeterWindow)).all())


@pytest.fixture
def metered(house: House) -> Metered:
    return Metered(house)


def test_two_final_heads_are_refused_and_kept(metered: Metered) -> None:
    one, other = metered.sign(DAY), metered.sign((*DAY[:20], 0, *DAY[21:]))
    metered.hand_in(one)
    before = metered.stored()
    document = metered.refused(other)
    assert document["status"] == 409 and "kept as evidence" in document["detail"]
    assert document["errors"][0]["got"] == "another reading in interval 20"
    (fork,) = metered.evidence()
    assert (fork.key, fork.day, fork.interval) == (hex(KEY.public.word()), metered.from_day, 20)
    assert [Window.from_record(fork.one), Window.from_record(fork.other)] == [one, other]
    assert metered.stored() == before
    metered.refused(other)
    assert len(metered.evidence()) == 1, "one fork of a day is enough"


def test_the_same_readings_under_two_final_heads_are_a_fork_as_a_whole(metered: Metered) -> None:
    metered.hand_in(metered.sign(DAY))
    document = metered.refused(metered.sign((None, *DAY[1:])))
    assert document["errors"][0]["got"] == "another final head"
    assert [fork.interval for fork in metered.evidence()] == [24]


def test_a_provisional_head_binds_even_after_its_reading_was_taken_back(metered: Metered) -> None:
    metered.hand_in(metered.sign((*DAY[:6], *GAPS[6:]), final=False))
    metered.hand_in(metered.sign((*DAY[:3], None, *DAY[4:8], *GAPS[8:]), final=False))
    assert metered.evidence() == []
    metered.refused(metered.sign((*DAY[:3], 9, *DAY[4:])))
    (fork,) = metered.evidence()
    assert fork.interval == 3
    assert not Window.from_record(fork.one).final
    assert metered.hand_in(metered.sign((*DAY[:3], None, *DAY[4:])))["done"]


def test_what_is_no_fork_is_none(metered: Metered) -> None:
    first = metered.sign((*DAY[:6], *GAPS[6:]), final=False)
    metered.hand_in(first)
    metered.hand_in(first)
    metered.hand_in(metered.sign((*DAY[:5], *GAPS[5:]), final=False))  # fewer hours, handed in late
    metered.hand_in(metered.sign(DAY))
    metered.hand_in(metered.sign((*DAY[:9], *GAPS[9:]), final=False))  # late, and the same history
    assert metered.evidence() == []


def test_a_log_that_was_put_back_closes_the_same_readings_again_without_a_fork(metered: Metered) -> None:
    path = metered.house.folder / "log.json"
    before = path.read_bytes()
    metered.meter.provisional(metered.from_day, (*DAY[:6], *GAPS[6:]), 6)
    metered.hand_in(*metered.meter.windows(metered.from_day, metered.from_day))
    metered.hand_in(*metered.meter.close_days([(metered.from_day, DAY), (metered.from_day + 1, DAY)]))
    stored = metered.stored()
    path.write_bytes(before)
    restored = Meter.open(path, KEY)
    metered.hand_in(*restored.close_days([(metered.from_day, DAY), (metered.from_day + 1, DAY)]))
    assert metered.evidence() == [] and metered.stored() == stored
    # Other readings still are a fork: nobody but the meter can know what it signed after that state.
    path.write_bytes(before)
    metered.refused(Meter.open(path, KEY).close(metered.from_day, (None, *DAY[1:])))
    assert [fork.interval for fork in metered.evidence()] == [24]


def test_a_meter_cannot_fill_the_database(metered: Metered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "HEADS_A_DAY", 3)
    for hours in range(3):
        metered.hand_in(metered.sign((*DAY[:hours], *GAPS[hours:]), final=False))
    assert metered.refused(metered.sign((*DAY[:6], *GAPS[6:]), final=False))["status"] == 429
    metered.hand_in(metered.sign((*DAY[:2], *GAPS[2:]), final=False))  # one that is there already costs nothing
    metered.hand_in(metered.sign(DAY))


def test_what_fails_is_logged_without_a_reading(metered: Metered, caplog: pytest.LogCaptureFixture) -> None:
    window = metered.sign((*DAY[:3], 424_242, *DAY[4:]))
    with metered.house.ctx.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON meterwindow BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    assert metered.refused(window)["status"] == 500
    assert "IntegrityError" in caplog.text and "store_windows" in caplog.text
    assert "424242" not in caplog.text and str(window.salt) not in caplog.text


def test_repeated_windows_cost_no_signature_check(metered: Metered, monkeypatch: pytest.MonkeyPatch) -> None:
    window = metered.sign(DAY)
    metered.hand_in(window)
    monkeypatch.setattr(metering, "check_window", lambda *_: pytest.fail("verified again"))
    metered.hand_in(*[window] * 100)


def test_nobody_can_frame_a_meter(metered: Metered) -> None:
    good = metered.sign(DAY)
    metered.hand_in(good)
    other = metered.sign((*DAY[:20], 0, *DAY[21:]), key=FOREIGN)
    changed = replace(good, readings=(0, *DAY[1:]))
    rehashed = replace(other, signature=good.signature)
    for window in (other, changed, rehashed, replace(good, final=False), replace(good, salt=good.salt + 1)):
        assert metered.refused(window)["status"] == 422
    assert metered.evidence() == []


def test_two_windows_that_come_in_at_once_do_not_pass_each_other(metered: Metered) -> None:
    """Each of many answers is a yes or a refusal, and one window is stored in the end."""
    candidates = [metered.sign((wh, *DAY[1:])) for wh in range(8)]
    before = metered.stored()

    def hand_in(window: Window) -> int:
        try:
            metered.hand_in(window)
        except ApiError as error:
            return error.status
        return 201

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(hand_in, candidates))
    assert answers == [201] + [409] * 7
    assert metered.stored() == before + 1
    assert len(metered.evidence()) == 1


def test_numbers_that_are_none_are_refused(metered: Metered) -> None:
    record = metered.sign(DAY).to_record()
    for change in (
        {"day": 1e400}, {"day": -1}, {"readings": [float("nan")] * 24}, {"salt": "9" * 5000}, {"head": str(1 << 300)},
        {"previous": "-1"}, {"signature": ["1", "2"]}, {"signature": ["-1", "0", str(1 << 255)]}, {"readings": [1 << 23] * 24},
    ):  # fmt: skip
        body = json.dumps([{"account": metered.account, "window": {**record, **change}}])
        headers = {"Content-Type": "application/json"}
        answer = httpx.post(metered.house.url + "/api/v1/windows", content=body, headers=headers)
        assert answer.status_code == 422, (change, answer.text)
    assert metered.evidence() == []


def test_evidence_is_kept_of_a_batch_that_is_refused_whole(metered: Metered) -> None:
    before = metered.stored()
    one, other = metered.sign(DAY), metered.sign((0, *DAY[1:]))
    metered.refused(one, other)
    assert metered.stored() == before
    assert len(metered.evidence()) == 1


def test_the_operator_sees_forks_without_a_reading(metered: Metered) -> None:
    metered.hand_in(metered.sign(DAY))
    metered.refused(metered.sign((0, *DAY[1:])))
    found = metered.house.api.get("/forks")["items"]
    assert [(item["account"], item["day"], item["interval"]) for item in found] == [(metered.account, metered.from_day, 0)]
    assert "window" not in str(found) and "readings" not in str(found) and "salt" not in str(found)
    with pytest.raises(ApiError) as caught:
        metered.house.anyone.get("/forks")
    assert caught.value.status == 401


def test_a_fork_is_reported_the_key_suspended_and_a_new_one_starts_over(metered: Metered) -> None:
    house, account = metered.house, metered.account
    ctx = house.ctx
    metered.hand_in(metered.sign(DAY))
    metered.refused(metered.sign((0, *DAY[1:])))
    assert any(f"account {account} is suspended" in line for line in runner.run_due(ctx))
    assert ctx.client.key_at(account, metered.from_day) is None
    assert house.anyone.get(f"/accounts/{account}")["meter"] == "suspended"
    assert [v["state"] for v in house.anyone.get(f"/accounts/{account}/meters")["items"]] == ["suspended"]
    (found,) = house.api.get("/forks")["items"]
    assert found["status"] == "suspended" and found["tx"]
    assert runner.run_due(ctx) == [], "nothing is reported twice"

    # What the suspended key signs counts for nothing, and what it signed proves nothing.
    document = metered.refused(close_window(KEY, metered.from_day + 1, DAY, 0))
    assert document["status"] == 409 and "suspended" in document["detail"]
    assert metering.windows(ctx, account, metered.from_day) == []
    with pytest.raises(Refused, match="suspended"):
        accounts.meter_key(ctx, account, metered.from_day)

    # A new version starts a log of its own; the suspended key can be bound to nobody again.
    house.api.post("/meters", {**binding(account, FOREIGN), "from_day": metered.from_day + 3})
    assert house.anyone.get(f"/accounts/{account}")["meter"] == "bound"
    assert accounts.meter_key(ctx, account, metered.from_day + 3) == FOREIGN.public
    with pytest.raises(Refused, match="suspended"):
        accounts.meter_key(ctx, account, metered.from_day + 2)
    fresh = Meter.create(house.folder / "fresh.json", FOREIGN, metered.from_day + 3, 24)
    metered.hand_in(*fresh.windows(0, 1 << 31))
    other = house.anyone.post("/accounts", {"owner": "0x" + "34" * 20})["index"]
    with pytest.raises(ApiError) as caught:
        house.api.post("/meters", {**binding(other, KEY), "from_day": metered.from_day + 3})
    assert caught.value.status == 409


def test_a_report_that_was_cut_short_goes_on_and_another_reporter_may_be_first(
    metered: Metered, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = metered.house.ctx
    metered.hand_in(metered.sign(DAY))
    metered.refused(metered.sign((0, *DAY[1:])))
    with monkeypatch.context() as patch:  # the prover is away
        patch.setattr(forks, "prove_fork", lambda *_: (_ for _ in ()).throw(ProverError("no prover today")))
        assert runner.run_due(ctx) == ["fork reports: failed, will be tried again: ProverError"]
    with monkeypatch.context() as patch:  # the process ends with the transaction in the outbox
        patch.setattr(ctx.relayer, "flush", lambda: (_ for _ in ()).throw(RuntimeError("power cut")))
        assert "RuntimeError" in runner.run_due(ctx)[0]
    (found,) = metered.house.api.get("/forks")["items"]
    assert found["status"] == "sent"
    ctx.relayer.flush()
    ctx.refresh()
    assert [line for line in runner.run_due(ctx) if "suspended" in line]
    assert [v.suspended for v in accounts.meter_keys(ctx, metered.account)] == [True]


def test_an_offer_under_a_suspended_key_is_refused_in_words(house: House) -> None:
    community = house.community("home-03")
    plan, zone = community.scenario, community.zone
    community.register(plan.day - 14, lambda _: None)
    noon = datetime.fromtimestamp(zone.interval_start(plan.day - 1, 12), UTC).isoformat()
    house.api.post("/dev/advance", {"to": noon, "only_clock": True})
    session = open_session(house.api, zone, plan.day, plan.session)
    home = community.homes[0]
    size = len(session["intervals"])
    offer = ScheduleOrder(home.account, Side.OFFER, (Step((200,) * size, (100_000,) * size),))
    first = community.send(home, session, offer)
    assert first["status"] == "confirmed"

    key = home.meter._key  # type: ignore[union-attr]  # its owner has it
    last = home.meter.windows(plan.day - 15, plan.day - 15)[0]  # type: ignore[union-attr]
    one, other = (close_window(key, plan.day - 14, (wh,) * 24, last.head) for wh in (1, 2))
    items = [{"account": home.account, "window": window.to_record()} for window in (one, other)]
    house.api.post("/windows", items[:1])
    with pytest.raises(ApiError):
        house.api.post("/windows", items[1:])
    assert any("suspended" in line for line in runner.run_due(house.ctx))
    with pytest.raises(ApiError) as caught:
        community.send(home, session, offer)
    assert caught.value.status == 409
    assert "is suspended: it signed two histories" in str(caught.value)
    assert "a new version has to be bound" in str(caught.value)
    withdrawn = community.send(home, session, cancellation(home.account, Side.OFFER, size))
    assert withdrawn["status"] == "confirmed", "what can no longer be proven can be taken back"


@pytest.mark.needs("anvil")
def test_anyone_with_two_windows_reports_a_fork_from_the_command_line(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var", chain="anvil", database_url=None, operator_token=None)
    ctx = build(settings, start_time=start_time(), persist=False)
    try:
        with running(ctx) as url, Api(url, ctx.operator_token) as api, Api(url) as anyone:
            metered = Metered(House(ctx, url, api, anyone, tmp_path))
        wallet = Signer.create()
        ctx.chain.fund(wallet.address)
        secret = tmp_path / "wallet.key"
        secret.write_text(bytes(wallet.key).hex())
        secret.chmod(0o600)
        paths = []
        for name, window in (("a", metered.sign(DAY)), ("b", metered.sign((0, *DAY[1:])))):
            log = Meter.create(tmp_path / f"log-{name}.json", KEY, metered.from_day, 24)
            log.close(metered.from_day, window.readings)
            record = {**log.export(metered.from_day, metered.account), "windows": [window.to_record()]}
            paths.append(tmp_path / f"{name}.json")
            keep(paths[-1], record)

        def report(one: Path, other: Path) -> subprocess.CompletedProcess[str]:
            rpc = (settings.data_dir / "chain.url").read_text()
            manifest = str(settings.data_dir / "deployment.json")
            return subprocess.run(
                [
                    sys.executable, "-c", "from app.cli import main; main()", "meter", "report-fork", str(one), str(other),
                    "--rpc", rpc, "--deployment", manifest, "--key-file", str(secret), "--json",
                ],
                capture_output=True, text=True, timeout=300,
            )  # fmt: skip

        ended = report(paths[0], paths[0])
        assert ended.returncode == 1 and "contradict each other, got none" in " ".join(ended.stderr.split())
        ended = report(*paths)
        assert ended.returncode == 0, ended.stderr
        done = json.loads(ended.stdout)
        assert (done["key"], done["day"], done["interval"]) == (str(KEY.public.word()), metered.from_day, 0)
        assert ctx.client.key_at(metered.account, metered.from_day) is None
        ctx.refresh()
        assert [v.suspended for v in accounts.meter_keys(ctx, metered.account)] == [True]
        again = report(*paths)
        assert again.returncode == 1 and "suspended" in again.stderr.lower()
    finally:
        ctx.close()
