"""Three homes with their meters' windows and sold intervals of their own, and the keys that their proofs are made with."""

from __future__ import annotations

import pytest

from oracle.baseline import admissible_days
from oracle.meter import Meter
from oracle.readings import load_homes
from zk.eddsa import PrivateKey
from zk.keys import KeyPaths, ensure_development_key
from zk.statement import AccountInput, Shared

DAY = 17_200
SHARED = Shared(31337, 0xDE11, 9, DAY, 0b111 << 18)
MASKS = (0b011 << 18, 0b111 << 18, 0b100 << 18)


@pytest.fixture(scope="session")
def shared() -> Shared:
    return SHARED


@pytest.fixture(scope="session")
def sellers(tmp_path_factory: pytest.TempPathFactory) -> tuple[AccountInput, ...]:
    """Accounts 1 to 3, each with another part of the session sold."""
    folder = tmp_path_factory.mktemp("meters")
    out = []
    for (account, home), mask in zip(enumerate(list(load_homes().values())[:3], 1), MASKS, strict=True):
        key = PrivateKey(bytes([account]) * 32)
        meter = Meter.create(folder / f"{account}.json", key, DAY - 14, 24)
        meter.close_days([(day, home.day(day).net) for day in range(DAY - 14, DAY + 1)])
        admissible = admissible_days(DAY, lambda day: (day + 3) % 7 < 5, 0, meter.from_day)
        out.append(AccountInput(account, key.public, tuple(meter.windows_for(DAY)), admissible, mask))
    return tuple(out)


@pytest.fixture(scope="session")
def keys() -> tuple[KeyPaths, ...]:
    """Development keys for one account and for two."""
    return tuple(ensure_development_key(24, accounts) for accounts in (1, 2))
