"""What a market day leaves in public: every transaction's calldata, every event, every word ever written to storage, all code.
Nothing of it tells a reading, a baseline, a salt, a key or a name; neither do logs and database tell a private key.

A planted reading is found in every form, so that silence means something.
"""

from __future__ import annotations

import io
import logging
import random
import re
from dataclasses import dataclass, field
from typing import Literal

import pytest
from privacy_scan import FORMS, SEPARATOR, Form, find_addresses, find_bytes, find_series, find_texts, windows
from rich.console import Console

from app.client import Api
from app.context import Context, build
from app.demo import scenario
from app.demo.community import HISTORY_BEFORE, Community
from app.demo.day import Narrator, hold
from app.demo.plan import start_time
from app.demo.report import Day
from app.server import running
from app.settings import Settings
from contracts.chain_rpc import NodeChain
from zk.eddsa import PrivateKey
from zk.windows import pack_readings

pytestmark = pytest.mark.slow


@dataclass
class Left:
    """What the day left: public bytes, the log, the data directory; and what nobody may find in them."""

    public: bytearray = field(default_factory=bytearray)
    transactions: int = 0
    slots: int = 0
    events: int = 0
    code: int = 0
    log: bytes = b""
    stored: bytes = b""
    series: list[list[int]] = field(default_factory=list)
    salts: list[int] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def publish(self, content: bytes) -> None:
        """Adds bytes that anyone can see."""
        self.public += content + SEPARATOR


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    folder = tmp_path_factory.mktemp("private")
    result = Left()
    send = NodeChain.send_raw

    def watched(chain: NodeChain, raw: bytes) -> str:
        name = send(chain, raw)
        _publish(result, chain, name)
        return name

    records: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(self.format(record))

    handler = Keep(logging.DEBUG)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NodeChain, "send_raw", watched)
        settings = Settings(data_dir=folder / "var", chain="anvil", database_url=None)
        ctx = build(settings, start_time=start_time(), persist=False)
        try:
            with running(ctx) as url, Api(url, ctx.operator_token) as api:
                community = Community(api, scenario.load(), folder / "gateways")
                day = Day()
                console = Console(record=True, file=io.StringIO())
                hold(ctx, api, community, day, Narrator(console, day))
                assert day.replay == "identical"
                _secrets(result, ctx, community)
            for address in ctx.deployment.contracts.values():
                result.publish(ctx.chain.code(address))
                result.code += 1
            result.log = "\n".join(records).encode() + console.export_text().encode()
            result.stored = b"".join(
                path.read_bytes() for path in sorted((folder / "var").rglob("*")) if path.is_file() and "sqlite" in path.name
            )
        finally:
            ctx.close()
            root.removeHandler(handler)
            root.setLevel(level)
    return result


def _publish(left: Left, chain: NodeChain, name: str) -> None:
    """Calldata, events and every storage word that a transaction wrote."""
    receipt, sent = chain.wait(name), chain.transaction(name)
    assert sent is not None
    left.transactions += 1
    left.publish(sent.data)
    for log in receipt.logs:
        left.events += 1
        left.publish(b"".join(log.topics) + log.data)
    options = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
    for account in chain._rpc("debug_traceTransaction", name, options)["post"].values():
        for slot, value in account.get("storage", {}).items():
            left.slots += 1
            left.publish(bytes.fromhex(slot[2:].zfill(64)) + bytes.fromhex(value[2:].zfill(64)))


def _secrets(left: Left, ctx: Context, community: Community) -> None:
    """Everything that only members, gateways or the operator may know."""
    day = community.scenario.day
    for member in community.homes:
        assert member.meter is not None
        recorded = community.recorded[member.label]
        for past in range(day - HISTORY_BEFORE, day + 1):
            original = recorded.day(past)
            left.series += [[wh or 0 for wh in values] for values in (original.net, original.load or (), original.pv or ())]
        for window in member.meter.windows(0, day):
            left.salts.append(window.salt)
            if None not in window.readings:
                left.series.append([wh or 0 for wh in window.readings])
        if base := community.baseline(member, day):
            left.series.append(list(base))
        left.keys += [bytes(member.wallet.key), PrivateKey(_meter_seed(member.label))._scalar.to_bytes(32, "big")]
        left.keys.append(_meter_seed(member.label))
        left.texts.append(member.label)
    left.texts += [buyer.label for buyer in community.buyers]
    left.keys += [bytes(buyer.wallet.key) for buyer in community.buyers]
    left.keys += list(ctx.relayer.keys.values())
    left.tokens.append(ctx.operator_token)


def _meter_seed(label: str) -> bytes:
    from eth_hash.auto import keccak

    return keccak(f"wattproof demonstration meter {label}".encode())


@pytest.mark.needs("key", "node", "anvil")
@pytest.mark.slow
class TestDay:
    """The real day of 17 homes on anvil."""

    def test_everything_public_was_seen(self, left: Left) -> None:
        assert left.transactions > 60 and left.events > 60 and left.slots > 200 and left.code >= 8
        assert len(left.series) > 17 * 3 * HISTORY_BEFORE
        assert len(left.salts) >= 17 * 14
        assert len(left.keys) > 17 * 3

    def test_no_reading_and_no_baseline_is_public(self, left: Left) -> None:
        assert len(windows(left.series, 2)) > 10_000
        assert find_series(bytes(left.public), left.series) == []

    def test_no_salt_no_key_no_token_is_public(self, left: Left) -> None:
        assert find_bytes(bytes(left.public), [*left.salts, *left.keys]) == []
        assert find_texts(bytes(left.public), [*left.texts, *left.tokens]) == []
        assert find_addresses(bytes(left.public)) == []

    def test_logs_and_database_hold_no_private_key(self, left: Left) -> None:
        assert left.log and left.stored
        for content in (left.log, left.stored):
            assert find_bytes(content, left.keys) == []
            assert find_texts(content, left.tokens) == []
            assert find_bytes(content + left.keys[0].hex().encode(), left.keys) == ["hexadecimal"]

    def test_logs_hold_no_reading(self, left: Left) -> None:
        """Neither as Python nor as JSON writes lists of numbers."""
        known = windows(left.series, 4)
        for found in re.findall(
            rb"(?<![\w.])-?\d{1,5}(?:,? -?\d{1,5}){3,200}|(?<![\w.])-?\d{1,5}(?:,-?\d{1,5}){3,200}", left.log
        ):
            told = [int(number) for number in re.findall(rb"-?\d+", found)]
            assert not windows([told], 4) & known

    def test_a_planted_reading_is_found_in_the_real_bytes(self, left: Left) -> None:
        """Two readings of the day itself, packed as the meter packs them, in the middle of all that is public."""
        reading = next(one for one in left.series if windows([one[:2]], 2))
        word = pack_readings([*reading[:2], *[None] * 22])[0]
        middle = len(left.public) // 2
        planted = bytes(left.public[middle - 20_000 : middle]) + word.to_bytes(32, "big") + bytes(left.public[middle:][:20_000])
        assert find_series(planted, left.series)
        assert find_bytes(planted + left.salts[0].to_bytes(32, "little"), left.salts) == ["bytes reversed"]
        assert find_texts(planted + b"HOME-01", left.texts) == ["home-01"]


READINGS = [312, 498, 1207, -845, 260, 333, 271, 905]


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("endian", ["big", "little"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.bits}_{form.offset}_{form.stride}")
def test_every_form_of_a_reading_is_found(form: Form, endian: Literal["big", "little"], order: int) -> None:
    noise = random.Random(1)
    for at in (0, 3):
        values = READINGS[at : at + form.number][::order]
        packed = 0
        for value in values:
            packed = packed << form.stride | ((value + form.offset) & ((1 << form.bits) - 1))
        size = -(-form.stride * form.number // 8) + 1
        for shift in range(8):
            secret = (packed << shift).to_bytes(size, endian)
            public = noise.randbytes(500) + secret + noise.randbytes(500)
            assert find_series(public, [READINGS]), (at, shift)


def test_the_unknown_is_not_found() -> None:
    public = b"".join(value.to_bytes(32, "big") for value in (312, 498, 77, 1207))
    assert not find_series(public, [READINGS]), "single readings are also quantities of orders"
    assert not find_series(random.Random(2).randbytes(300_000), [READINGS])
    assert find_bytes(b"..." + str(1 << 200).encode(), [1 << 200]) == ["decimal"]
    assert find_addresses(b"\0\0someone@example.org\0") == ["someone@example.org"]
    assert find_addresses(b"\0\0Main Street 5, 1000 Ljubljana\0") == ["1000 Ljubljana", "Main Street 5"]
