"""Which chain, which time, which data."""

from __future__ import annotations

import json
from importlib.metadata import version

from fastapi import APIRouter

from app.api import models
from app.api.depends import Ctx
from app.api.times import at

router = APIRouter(tags=["status"])


@router.get("")
def index() -> dict[str, str]:
    """Where to begin."""
    return {"description": "/api/openapi.json", "status": "/api/v1/status", "sessions": "/api/v1/sessions"}


@router.get("/status")
def status(ctx: Ctx) -> models.Status:
    """The chain behind this market, its time, and where the data come from."""
    about = ctx.database.get_meta("data")
    return models.Status(
        version=version("wattproof"),
        chain=models.ChainStatus(
            backend=ctx.chain.name,  # type: ignore[arg-type]
            chain_id=ctx.chain.chain_id,
            genesis=ctx.chain.genesis,
            block=ctx.chain.block().number,
            time=at(ctx.now()),
            simulated=ctx.simulated,
            development=ctx.chain.is_development,
            contracts=ctx.deployment.contracts,
        ),
        data=models.DataStatus(**json.loads(about)) if about else None,
        message=ctx.started_anew,
    )
