"""A crash at any point between database and chain loses nothing and doubles nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from app_house import House

from app.database import Outbox
from app.outbox import enqueue
from app.services import accounts

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]


class PowerCutError(BaseException):
    """What no handler in the product catches."""


def cut(method: Callable[..., Any], after: bool) -> Callable[..., Any]:
    """The method, but the power goes before or after its effect."""

    def broken(*args: Any, **kwargs: Any) -> Any:
        if after:
            method(*args, **kwargs)
        raise PowerCutError

    return broken


@pytest.mark.parametrize(
    ("method", "after"), [("prepare", False), ("prepare", True), ("send_raw", False), ("send_raw", True), ("wait", True)]
)
def test_a_power_cut_loses_and_doubles_nothing(house: House, monkeypatch: pytest.MonkeyPatch, method: str, after: bool) -> None:
    ctx = house.ctx
    owner = "0x" + "34" * 20
    before = ctx.client.accounts()
    with ctx.database.session() as db:
        row_id = enqueue(db, "register", "operator", ctx.client.encode_register(owner)).id
    with monkeypatch.context() as patch:
        patch.setattr(ctx.chain, method, cut(getattr(ctx.chain, method), after))
        with pytest.raises(PowerCutError):
            ctx.relayer.flush()
    assert row_id is not None
    row = ctx.relayer.wait(row_id)
    assert row.status == "confirmed"
    assert ctx.relayer.flush() == 0
    assert ctx.client.accounts() == before + 1
    ctx.refresh()
    assert ctx.indexer.sync() == 0, "nothing is left to take in"
    found, _ = accounts.page(ctx, owner, 0, 10)
    assert [view.index for view in found] == [before + 1]


def test_a_signed_transaction_whose_nonce_was_taken_is_signed_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = house.ctx
    with ctx.database.session() as db:
        row_id = enqueue(db, "register", "operator", ctx.client.encode_register("0x" + "56" * 20)).id
    with monkeypatch.context() as patch:
        patch.setattr(ctx.chain, "send_raw", cut(ctx.chain.send_raw, after=False))
        with pytest.raises(PowerCutError):
            ctx.relayer.flush()
    call = ctx.client.encode_register("0x" + "78" * 20)
    ctx.chain.transact(call.to, call.data, ctx.relayer.keys["operator"])
    assert row_id is not None
    assert ctx.relayer.wait(row_id).status == "confirmed"
    assert ctx.client.accounts() == 2


def test_a_refused_transaction_is_kept_with_its_reason_and_stops_nobody(house: House) -> None:
    ctx = house.ctx
    with ctx.database.session() as db:
        bad = enqueue(db, "cancel", "operator", ctx.client.encode_cancel(99, "no such session")).id
        good = enqueue(db, "register", "operator", ctx.client.encode_register("0x" + "9a" * 20)).id
    assert ctx.relayer.flush() == 2
    with ctx.database.session() as db:
        assert db.get(Outbox, good).status == "confirmed"  # type: ignore[union-attr]
        failed = db.get(Outbox, bad)
        assert failed is not None
        assert failed.status == "failed"
        assert "99" in (failed.error or "")
