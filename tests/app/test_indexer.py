"""The tables that follow the chain: taken in once, and rebuilt where the chain went back."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_house import House

from app.context import build
from app.demo.plan import start_time
from app.services import accounts
from app.settings import Settings

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]


def test_an_event_is_taken_in_once(house: House) -> None:
    owner = "0x" + "12" * 20
    accounts.register(house.ctx, owner, "first")
    for _ in range(3):
        house.ctx.refresh()
    found, _ = accounts.page(house.ctx, owner, 0, 10)
    assert [view.label for view in found] == ["first"]


@pytest.mark.needs("anvil")
def test_a_chain_that_lost_its_last_blocks_is_followed_and_what_was_lost_is_sent_again(tmp_path: Path) -> None:
    ctx = build(Settings(data_dir=tmp_path, chain="anvil", database_url=None), start_time=start_time(), persist=False)
    try:
        accounts.register(ctx, "0x" + "12" * 20, "kept")
        snapshot = ctx.chain._rpc("evm_snapshot")  # type: ignore[attr-defined]
        accounts.register(ctx, "0x" + "34" * 20, "lost and sent again")
        ctx.chain._rpc("evm_revert", snapshot)  # type: ignore[attr-defined]
        ctx.chain.advance_to(ctx.now() + 100)
        assert ctx.client.accounts() == 1
        found, _ = accounts.page(ctx, None, 0, 10)
        assert [(view.owner, view.label) for view in found] == [("0x" + "12" * 20, "kept")]
        ctx.relayer.flush()
        ctx.refresh()
        assert ctx.client.accounts() == 2
        found, _ = accounts.page(ctx, None, 0, 10)
        assert len(found) == 2
        assert ctx.zone(1).intervals == 24
    finally:
        ctx.close()


def test_another_chain_starts_anew_and_says_so(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, chain="tester", database_url=None)
    first = build(settings, start_time=start_time(), persist=False)
    accounts.register(first, "0x" + "12" * 20, "of the first chain")
    assert first.started_anew is None
    first.close()
    second = build(settings, start_time=start_time(), persist=False)
    try:
        assert second.started_anew is not None
        assert "starts anew" in second.started_anew
        assert accounts.page(second, None, 0, 10) == ([], None)
    finally:
        second.close()
