"""Proving one account's delivery, T = 24, baseline included, with the development key and snarkjs in one warm process."""

from __future__ import annotations

import time

from bench import Row
from oracle.readings import load_homes
from zk.eddsa import PrivateKey
from zk.keys import ensure_development_key, read_info
from zk.prover import SnarkjsProver
from zk.statement import AccountInput, Shared, Statement, make_statement
from zk.verifier import verify
from zk.windows import close_window, start_log

RUNS = 5
DAY = 17_358


def measure() -> list[Row]:
    """Warm times; the first proof, which compiles the witness generator, is left out."""
    key = ensure_development_key(24, 1)
    statement = _statement()
    with SnarkjsProver(key) as prover:
        first = prover.prove(statement)
        taken = []
        for _ in range(RUNS):
            started = time.perf_counter()
            proved = prover.prove(statement)
            taken.append(((time.perf_counter() - started) * 1000, proved.witness_ms, proved.prove_ms))
    started = time.perf_counter()
    good = verify(key.verifying_key(), first.public, first.proof)
    checked = (time.perf_counter() - started) * 1000
    best = min(taken)
    return [
        Row("account_ms", round(best[0], 1), "ms", 300.0, f"snarkjs, N = 1: witness {best[1]:.0f} ms, proof {best[2]:.0f} ms"),
        Row(
            "constraints_account",
            float(read_info(key.info).constraints),
            "",
            12_800.0,
            "N = 1, shared words and compression included",
        ),
        Row("python_verify_ms", round(checked, 1), "ms", None, f"py_ecc, verdict {good}"),
    ]


def _statement() -> Statement:
    home = load_homes()["home-01"]
    key = PrivateKey(bytes(32))
    windows = list(start_log(key, DAY - 14, 24))
    for day in range(DAY - 14, DAY + 1):
        windows.append(close_window(key, day, home.day(day).net, windows[-1].head))
    mask = sum(1 << t for t in range(16, 22))
    weekdays = sum(1 << k for k in range(14) if (DAY - 14 + k + 3) % 7 < 5)
    shared = Shared(31337, 1, 1, DAY, mask)
    return make_statement(shared, [AccountInput(1, key.public, windows[-15:], weekdays, mask)])
