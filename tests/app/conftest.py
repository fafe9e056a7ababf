"""A running application on a fresh in-process chain, with the usual price guard or with a narrow one, and its guardian."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from app_house import NARROW, House, house_on
from machine import fast_backend

from app import deployed
from contracts.deploy import deploy


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with house_on(fast_backend(), tmp_path) as made:
        yield made


@pytest.fixture
def narrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A market whose guard has a band as wide as the one price before."""
    monkeypatch.setattr(deployed, "deploy", partial(deploy, parameters=NARROW))
    with house_on(fast_backend(), tmp_path) as made:
        yield made
