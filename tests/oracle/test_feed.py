"""The proof feed: real windows and statements; the prover is exercised for real where a development key is there."""

from __future__ import annotations

import pytest

from oracle.baseline import admissible_days, baseline_of
from oracle.feed import Delivery, prove_deliveries
from oracle.meter import Meter
from oracle.readings import load_homes
from zk.eddsa import PrivateKey
from zk.groth16 import G1, G2, Proof
from zk.prover import Proved, ProverError
from zk.statement import Shared, Statement
from zk.verifier import verify

DAY = 17_200
MASK = 0b11 << 18
SHARED = Shared(31337, 0xDE11, 9, DAY, MASK)


def working(day: int) -> bool:
    return (day + 3) % 7 < 5


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory: pytest.TempPathFactory) -> list[Delivery]:
    folder = tmp_path_factory.mktemp("meters")
    out = []
    for account, home in enumerate(list(load_homes().values())[:3], 1):
        key = PrivateKey(bytes([account]) * 32)
        meter = Meter.create(folder / f"{account}.json", key, DAY - 14, 24)
        meter.close_days([(day, home.day(day).net) for day in range(DAY - 14, DAY + 1)])
        admissible = admissible_days(DAY, working, 0, meter.from_day)
        out.append(Delivery(account, key.public, meter.windows_for(DAY), admissible, MASK))
    return out


class Refusing:
    """A prover without a key: it refuses one account and answers the others with a proof of nothing."""

    def __init__(self, account: int) -> None:
        self.account = account
        self.asked: list[Statement] = []

    def prove(self, statement: Statement) -> Proved:
        self.asked.append(statement)
        if statement.accounts[0].account == self.account:
            raise ProverError("the circuit refused")
        return Proved(Proof(G1(0, 0), G2(0, 0, 0, 0), G1(0, 0)), statement.public, 0.0, 0.0)

    def close(self) -> None: ...


def test_a_failing_account_does_not_stop_the_others(deliveries: list[Delivery]) -> None:
    first, second, third = deliveries
    late = Delivery(2, second.key, second.windows[:-1], second.admissible, MASK)
    prover = Refusing(3)
    results = list(prove_deliveries(SHARED, [third, late, first], prover))
    assert [(r.account, r.ok, r.done, r.total) for r in results] == [(3, False, 1, 3), (2, False, 2, 3), (1, True, 3, 3)]
    assert results[0].error == "proof: the circuit refused"
    assert f"the window of day {DAY} is missing" in results[1].error
    assert results[2].error == ""
    assert [statement.size for statement in prover.asked] == [1, 1]


def test_deviations_are_baseline_less_metered(deliveries: list[Delivery]) -> None:
    result = next(prove_deliveries(SHARED, deliveries[:1], Refusing(0)))
    windows = deliveries[0].windows
    found = baseline_of([window.readings for window in windows[:-1]], deliveries[0].admissible, DAY)
    assert found is not None
    assert found.accepted
    assert result.result is not None
    assert result.result.count == len(found.counted)
    for t, deviation in enumerate(result.result.deviations):
        expected = found.wh[t] - (windows[-1].readings[t] or 0) if MASK >> t & 1 else None
        assert deviation == expected


def test_results_show_no_readings(deliveries: list[Delivery]) -> None:
    result = next(prove_deliveries(SHARED, deliveries[:1], Refusing(0)))
    salt = deliveries[0].windows[-1].salt
    assert str(salt) not in repr(result)
    assert str(salt) not in repr(deliveries[0])
    assert "baseline=" not in repr(result)


@pytest.mark.slow
@pytest.mark.needs("key", "node")
def test_a_real_proof_comes_out(deliveries: list[Delivery]) -> None:
    from zk.keys import ensure_development_key
    from zk.prover import SnarkjsProver

    keys = ensure_development_key(24, 1)
    with SnarkjsProver(keys) as prover:
        (result,) = prove_deliveries(SHARED, deliveries[:1], prover)
    assert result.ok, result.error
    assert result.proved is not None
    assert verify(keys.verifying_key(), result.proved.public, result.proved.proof)
