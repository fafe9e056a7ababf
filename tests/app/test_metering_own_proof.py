"""A member proves its delivery with its meter's windows, a node and its wallet: the marketplace never hears of the day."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from app_house import House
from eth_account import Account as Signer

from app import owner, told
from app.client import Api
from app.context import build
from app.demo.community import Community, Member
from app.demo.plan import open_session, start_time
from app.errors import Refused
from app.server import running
from app.services import metering, sessions
from app.settings import Settings
from contracts.refusals import ContractRefusal
from oracle.meter import Exported, MeterError, keep
from zk.eddsa import PrivateKey
from zk.windows import close_window

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

Json = dict[str, Any]
WALLET = b"\x07" * 32
HOME = "home-05"


def delivered(house: House) -> tuple[Community, Json, Member]:
    """A home has sold and delivered, its gateway has closed the day, and nothing of the day was handed in."""
    community = house.community(HOME, "home-09")
    plan, zone = community.scenario, community.zone
    community.register(plan.day - 14, lambda _: None)

    def clock(moment: int) -> None:
        house.api.post("/dev/advance", {"to": datetime.fromtimestamp(moment, UTC).isoformat(), "only_clock": True})

    clock(zone.interval_start(plan.day - 1, 12))
    community.hand_in_readings(plan.day - 1)
    session = open_session(house.api, zone, plan.day, plan.session)
    community.place_orders(session, lambda _: None)
    clock(int(datetime.fromisoformat(session["gate_close"]).timestamp()))
    house.api.post(f"/sessions/{session['id']}/clearing")
    session = house.api.get(f"/sessions/{session['id']}")
    community.learn_promises(session)
    home = community.members[HOME]
    assert home.promises[plan.day]
    clock(zone.interval_start(plan.day + 1, 0) + 600)
    for day in range(home.meter.next_day, plan.day + 1):  # type: ignore[union-attr]
        home.meter.close(day, community._answered(home, day).net)  # type: ignore[union-attr]
    return community, session, home


def exported(house: House, home: Member, day: int) -> Path:
    path = house.folder / "windows.json"
    keep(path, home.meter.export(day, home.account))  # type: ignore[union-attr]
    return path


def test_what_is_missing_or_wrong_is_named_and_nothing_is_sent(house: House) -> None:
    community, session, home = delivered(house)
    day, client = community.scenario.day, house.ctx.client
    house.ctx.chain.fund(Signer.from_key(WALLET).address)
    path = exported(house, home, day)
    good = Exported.read(path)
    proven, shown = path.parent / told.NAME, list[told.Asked]()
    block = house.ctx.chain.block().number

    def stop(_: told.Asked) -> None:
        raise Refused("no")

    with pytest.raises(Refused, match="no"):
        owner.prove(client, good, session["id"], WALLET, record=proven, agree=stop)
    assert not proven.exists(), "nothing is proven or told without consent"

    def refused(what: Exported, number: int = session["id"], wallet: bytes = WALLET) -> str:
        with pytest.raises((Refused, ContractRefusal)) as caught:
            owner.prove(client, what, number, wallet, record=proven)
        error = caught.value
        return " ".join([str(error), *(f"{e.field} {e.expected} {e.got}" for e in getattr(error, "errors", ()))])

    assert f"windows of days {day - 14} to {day} none of days [{day - 3}]" in refused(
        replace(good, windows=tuple(window for window in good.windows if window.day != day - 3))
    )
    other_key = PrivateKey(bytes(32))
    last = good.windows[-1]
    forged = close_window(other_key, day, last.readings, last.previous)
    foreign = replace(good, key=other_key.public, windows=(*good.windows[:-1], forged))
    assert f"windows of key {good.key.word()}" in refused(foreign)
    assert "previous: expected the head of day" in refused(
        replace(good, windows=(*good.windows[:5], replace(good.windows[5], previous=1), *good.windows[6:]))
    )
    assert "a session of this market, 1 to 1" in refused(good, 2)
    assert "a meter key in force" in refused(replace(good, account=community.buyers[0].account))
    neighbour = community.members["home-09"].account
    assert "windows of key" in refused(replace(good, account=neighbour))
    assert "which has none" in refused(good, wallet=b"\x09" * 32)
    assert house.ctx.chain.block().number == block, "nothing was sent"

    tampered = json.loads(path.read_text())
    tampered["windows"][-1]["readings"][0] += 1
    for content, what in ((tampered, "head"), ({**tampered, "key": {"x": "1", "y": "2"}}, "curve"), ({}, "meter export")):
        broken = house.folder / "broken.json"
        broken.write_text(json.dumps(content))
        with pytest.raises(MeterError, match=what):
            Exported.read(broken)

    done = owner.prove(client, good, session["id"], WALLET, record=proven, agree=shown.append)
    assert [asked.intervals for asked in shown] == [done.intervals] and len(told._read(proven)) == 1
    assert done.intervals == tuple(sorted(home.promises[day]))
    assert client.recorded(session["id"], home.account) == sum(1 << t for t in done.intervals)
    assert "not recorded yet" in refused(good)
    # The marketplace learns of it from the chain, and settles by it.
    assert not metering.has_window(house.ctx, home.account, day)
    house.ctx.refresh()
    record = sessions.records(house.ctx, session["id"])
    assert set(record) == {home.account}
    assert house.api.get(f"/sessions/{session['id']}/deliveries")["items"]


@pytest.mark.needs("anvil")
def test_the_command_proves_on_a_node_without_the_marketplace(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "var", chain="anvil", database_url=None, operator_token=None)
    ctx = build(settings, start_time=start_time(), persist=False)
    try:
        with running(ctx) as url, Api(url, ctx.operator_token) as api, Api(url) as anyone:
            house = House(ctx, url, api, anyone, tmp_path)
            community, session, home = delivered(house)
        path = exported(house, home, community.scenario.day)  # from here on there is no marketplace
        wallet = Signer.create()
        ctx.chain.fund(wallet.address)
        key_file = tmp_path / "wallet.key"
        key_file.write_text("0x" + bytes(wallet.key).hex())
        rpc = (settings.data_dir / "chain.url").read_text()
        command = [
            sys.executable, "-c", "from app.cli import main; main()", "member", "prove", "--windows", str(path),
            "--session", str(session["id"]), "--rpc", rpc, "--deployment", str(settings.data_dir / "deployment.json"), "--json",
        ]  # fmt: skip

        def run(*more: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run([*command, *more], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)

        for more, words in (
            ([], "WATTPROOF_WALLET_KEY"),
            (["--key-file", str(key_file)], "mode 600"),
            (["--key-file", str(key_file), "--account", "99"], "mode 600"),
        ):
            ended = run(*more)
            assert ended.returncode == 1 and words in " ".join(ended.stderr.split())
        key_file.chmod(0o600)
        ended = run("--key-file", str(key_file), "--account", "99")
        assert ended.returncode == 1 and "another account's" in ended.stderr
        ended = run("--key-file", str(key_file))
        assert ended.returncode == 1 and "Are these the intervals" in ended.stderr and "127.0.0.1" in ended.stderr
        assert not (path.parent / "proven.json").exists()
        ended = run("--key-file", str(key_file), "--yes")
        assert ended.returncode == 0, ended.stderr
        done = json.loads(ended.stdout)
        assert done["account"] == home.account and done["gas_used"] > 0
        sent = ctx.chain.transaction(done["transaction"])
        assert sent is not None and sent.sender == wallet.address
        assert ctx.client.recorded(session["id"], home.account) == sum(1 << t for t in done["intervals"])
        assert bytes(wallet.key).hex() not in ended.stdout + ended.stderr
    finally:
        ctx.close()
