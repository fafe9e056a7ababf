"""Proving a batch of ten accounts' deliveries, T = 24, baselines included, with the development key: native against snarkjs.

`WATTPROOF_BENCH_LARGE=1` adds the batch of 32, whose key alone takes minutes to make where it is absent.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

from bench import Row
from oracle.readings import load_homes
from zk import core
from zk.eddsa import PrivateKey, sign_many
from zk.keys import KeyPaths, ensure_development_key, proving_key, read_info
from zk.poseidon import poseidon_many
from zk.prover import Proved, SnarkjsProver, open_prover
from zk.statement import AccountInput, Shared, Statement, make_statement
from zk.verifier import verify
from zk.windows import close_window, pack_readings, start_log

ACCOUNTS, LARGE, INTERVALS = 10, 32, 24
RUNS = 5
METERS = 1_000
DAY = 17_358
MASK = sum(1 << t for t in range(16, 22))

T = TypeVar("T")


def measure() -> list[Row]:
    """Warm times, the best of a few; the first proof, which loads key and machine code, is left out."""
    key = ensure_development_key(INTERVALS, ACCOUNTS)
    constraints = read_info(key.info).constraints
    statement = _statement(ACCOUNTS)
    load = _load(key) if core.available() else None
    with open_prover(key) as prover:
        prover.prove(statement)
        ours = min((prover.prove(statement) for _ in range(RUNS)), key=_total)
    with SnarkjsProver(key) as snarkjs:
        first = snarkjs.prove(statement)
        theirs = min(first, snarkjs.prove(statement), key=_total)
    account = _total(ours) / ACCOUNTS
    verifying = key.verifying_key()
    good, python_ms = _timed(lambda: verify(verifying, ours.public, ours.proof))
    assert good and verify(verifying, theirs.public, theirs.proof)
    rows = [
        Row(
            "account_ms",
            round(account, 1),
            "ms",
            300.0,
            f"N = {ACCOUNTS}, whole: witness {ours.witness_ms:.0f} ms, proof {ours.prove_ms:.0f} ms; {_load_average()}",
            {"snarkjs": round(_total(theirs) / ACCOUNTS, 1)},
        ),
        Row(
            "vs_snarkjs",
            round(_total(theirs) / _total(ours), 2),
            "x",
            3.5,
            f"same key, same run; snarkjs: witness {theirs.witness_ms:.0f} ms, proof {theirs.prove_ms:.0f} ms",
        ),
        Row("constraints_account", round(constraints / ACCOUNTS, 1), "", 12_800.0, f"{constraints} at N = {ACCOUNTS}"),
        Row(
            "constraints_per_s",
            round(constraints / ours.prove_ms * 1000),
            "1/s",
            None,
            f"proof alone, {os.cpu_count()} cores",
            {"snarkjs": round(constraints / theirs.prove_ms * 1000)},
        ),
        _alone(),
        Row("python_verify_ms", round(python_ms, 1), "ms", None, "py_ecc"),
        _signatures(),
    ]
    if load is not None:
        size = key.zkey.stat().st_size / 1e6
        rows.append(Row("key_load_ms", round(load, 1), "ms", 1_000.0, f"{size:.0f} MB, hashed, points known to be good"))
        native_ms = min(_timed(lambda: core.verify(verifying, ours.public, ours.proof))[1] for _ in range(RUNS))
        rows.append(Row("native_verify_ms", round(native_ms, 2), "ms", None))
    if os.environ.get("WATTPROOF_BENCH_LARGE"):
        rows.append(_large())
    return rows


def _alone() -> Row:
    """A member's own proof."""
    key, statement = ensure_development_key(INTERVALS, 1), _statement(1)
    with open_prover(key) as prover:
        prover.prove(statement)
        ours = min((prover.prove(statement) for _ in range(RUNS)), key=_total)
    note = f"N = 1: witness {ours.witness_ms:.0f} ms, proof {ours.prove_ms:.0f} ms"
    return Row("single_ms", round(_total(ours), 1), "ms", None, note)


def _load(key: KeyPaths) -> float:
    """Milliseconds to read the proving key from the file, best of a few."""
    digest = proving_key(key).sha256
    return min(_timed(lambda: core.ProvingKey(key.zkey, digest, check_points=False))[1] for _ in range(3))


def _signatures() -> Row:
    home = load_homes()["home-01"].day(DAY)
    meters = [PrivateKey(number.to_bytes(32, "big")) for number in range(METERS)]

    def close() -> None:
        packed = pack_readings(home.net)
        sign_many(meters, poseidon_many([(number, 5 + 8 * DAY, number, *packed) for number in range(METERS)]))

    many = min(_timed(close)[1] for _ in range(3))
    alone = _timed(lambda: [close_window(meter, DAY, home.net, 0) for meter in meters])[1]
    return Row("sign_1000_ms", round(many, 1), "ms", 1_000.0, f"heads and signatures; window by window {alone:.0f} ms")


def _large() -> Row:
    key, made = _timed(lambda: ensure_development_key(INTERVALS, LARGE))
    statement = _statement(LARGE)
    with open_prover(key) as prover:
        prover.prove(statement)
        proved = prover.prove(statement)
    return Row(
        "batch_32_s",
        round(_total(proved) / 1000, 2),
        "s",
        60.0,
        f"{read_info(key.info).constraints} constraints, witness {proved.witness_ms:.0f} ms; key opened in {made / 1000:.0f} s",
    )


def _total(proved: Proved) -> float:
    return proved.witness_ms + proved.prove_ms


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    started = time.perf_counter()
    result = work()
    return result, (time.perf_counter() - started) * 1000


def _load_average() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"


def _statement(accounts: int) -> Statement:
    """Accounts with the metered days of the shipped homes, one after the other."""
    homes = list(load_homes().values())
    weekdays = sum(1 << k for k in range(14) if (DAY - 14 + k + 3) % 7 < 5)
    inputs = []
    for number in range(accounts):
        home, key = homes[number % len(homes)], PrivateKey(number.to_bytes(32, "big"))
        windows = list(start_log(key, DAY - 14, INTERVALS))
        for day in range(DAY - 14, DAY + 1):
            windows.append(close_window(key, day, home.day(day).net, windows[-1].head))
        inputs.append(AccountInput(number + 1, key.public, windows[-15:], weekdays, MASK))
    return make_statement(Shared(31337, 1, 1, DAY, MASK), inputs)
