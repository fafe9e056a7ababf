"""Logs, accounts and statements that the tests of this directory share, and a way to ask circomlibjs."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Any

from zk.eddsa import PrivateKey
from zk.files import PACKAGE
from zk.statement import AccountInput, Shared
from zk.windows import Window, close_window

DAY = 20_400
METER = PrivateKey(b"meter".ljust(32, b"-"))
OTHER_METER = PrivateKey(b"other".ljust(32, b"-"))


def shared(session_mask: int = 0b111100, session: int = 7, day: int = DAY) -> Shared:
    return Shared(chain_id=31337, deliveries=0xD3 << 120, session=session, day=day, session_mask=session_mask)


def build_log(
    key: PrivateKey,
    days: Sequence[Sequence[int | None]],
    last_day: int = DAY,
    *,
    last_final: bool = True,
    previous: int = 12345,
) -> list[Window]:
    """The windows of consecutive days ending with `last_day`; salts are fixed, so that a log is the same in every run."""
    log: list[Window] = []
    for number, readings in enumerate(days):
        day = last_day - len(days) + 1 + number
        before = log[-1].head if log else previous
        final = last_final or number < len(days) - 1
        log.append(close_window(key, day, readings, before, final=final, salt=day * 1_000_003))
    return log


def random_days(seed: int, intervals: int = 24, size: int = 3_000, count: int = 15) -> list[list[int | None]]:
    draw = random.Random(seed)
    return [[draw.randrange(-size, size) for _ in range(intervals)] for _ in range(count)]


def account(index: int = 5, admissible: int = (1 << 14) - 1, mask: int = 0b1100, **fields: Any) -> AccountInput:
    """Account of METER with random complete days, unless `windows` or `key` say otherwise."""
    fields.setdefault("key", METER.public)
    if "windows" not in fields:
        fields["windows"] = build_log(METER, random_days(index))
    return AccountInput(account=index, admissible=admissible, mask=mask, **fields)


@cache
def circomlibjs(request: str) -> Any:
    """Runs a request, JSON `{poseidon: [inputs...], sign: [{key, message}...], verify: [...]}`, through circomlibjs."""
    script = """
      import { buildEddsa, buildPoseidon } from "circomlibjs";
      const [poseidon, eddsa] = [await buildPoseidon(), await buildEddsa()];
      const F = poseidon.F, read = (v) => F.e(BigInt(v)), write = (v) => F.toString(v);
      const request = JSON.parse(process.argv[1]);
      const sign = ({ key, message }) => {
        const secret = Buffer.from(key, "hex"), A = eddsa.prv2pub(secret);
        const { R8, S } = eddsa.signPoseidon(secret, read(message));
        return { A: A.map(write), R8: R8.map(write), S: S.toString() };
      };
      const verify = ({ A, R8, S, message }) =>
        eddsa.verifyPoseidon(read(message), { R8: R8.map(read), S: BigInt(S) }, A.map(read));
      process.stdout.write(JSON.stringify({
        poseidon: (request.poseidon ?? []).map((inputs) => write(poseidon(inputs.map(read)))),
        sign: (request.sign ?? []).map(sign),
        verify: (request.verify ?? []).map(verify),
      }), () => process.exit(0));
    """
    command = ["node", "--input-type=module", "-e", script, request]
    done = subprocess.run(command, cwd=PACKAGE, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
