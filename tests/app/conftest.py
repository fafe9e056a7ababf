"""A running application on a fresh in-process chain, and a small community in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_house import House

from app.context import build
from app.demo.client import Api
from app.demo.plan import start_time
from app.server import running
from app.settings import Settings


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = Settings(data_dir=tmp_path / "var", chain="tester", database_url=None, operator_token=None)
    ctx = build(settings, start_time=start_time(), persist=False)
    try:
        with running(ctx) as url, Api(url, ctx.operator_token) as api, Api(url) as anyone:
            yield House(ctx, url, api, anyone, tmp_path)
    finally:
        ctx.close()
