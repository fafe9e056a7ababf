"""Meters and readings by the metering operator, signed windows by whoever has them: a window says itself whose it is, so that
no gateway needs a secret of the marketplace. All of it private, none of it can be read back here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from app.api import models
from app.api.accounts import meter_key
from app.api.body import JsonRoute
from app.api.depends import OPERATOR, Ctx
from app.errors import Refused, shown
from app.services import accounts, forks, metering
from zk.eddsa import PublicKey
from zk.windows import Window, WindowError

router = APIRouter(tags=["metering"], route_class=JsonRoute)


@router.post("/meters", status_code=201, dependencies=OPERATOR)
def bind_meter(ctx: Ctx, meter: models.NewMeter) -> models.MeterKey:
    """Binds the next version of an account's meter key, in force from a day on. The same binding again is harmless."""
    key = PublicKey(int(meter.x), int(meter.y))
    return meter_key(accounts.bind_meter(ctx, meter.account, key, meter.zone, meter.from_day))


@router.post("/readings", status_code=201, dependencies=OPERATOR)
def import_readings(ctx: Ctx, text: Annotated[str, Body(media_type="text/csv", max_length=50_000_000)]) -> models.Done:
    """Imports a CSV of readings (columns `account,interval_start,net_load_wh[,pv_wh]`, see oracle/ingest/csv.py): all
    rows, or none and the rows that are wrong.
    """
    return models.Done(done=[f"{metering.import_csv(ctx, text)} readings stored"])


@router.post("/windows", status_code=201)
def store_windows(ctx: Ctx, batch: Annotated[list[models.SignedWindow], Body(max_length=5000)]) -> models.Done:
    """Hands in windows as their meters signed them: all of them, or none. A window that contradicts an earlier one is refused,
    and both are kept as evidence. What is stored already, and what a named key signed of days too early to matter, is taken
    without being stored."""
    stored = metering.store_windows(
        ctx,
        [
            metering.SignedWindow(item.account, _window(number, item.window), None if item.key is None else int(item.key))
            for number, item in enumerate(batch)
        ],
    )
    return models.Done(done=[f"{stored} windows stored"])


@router.get("/forks", dependencies=OPERATOR)
def list_forks(ctx: Ctx) -> models.ForkList:
    """Meters that signed two histories. The windows themselves are private and not shown."""
    return models.ForkList(items=[models.Fork(**vars(fork)) for fork in forks.listed(ctx)])


def _window(number: int, record: dict[str, object]) -> Window:
    try:
        return Window.from_record(record)
    except WindowError as error:
        raise Refused(
            "This is no signed window (docs/protocol.md section 8).",
            field=f"[{number}].window.{shown(error.field)}",
            expected=error.expected,
            got=shown(error.got),
        ) from error
