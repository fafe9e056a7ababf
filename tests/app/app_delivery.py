"""A session whose delivery is over and nothing of it proven: three sellers, each with what it sold, on a chain of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from app_house import House

from app.client import Api
from app.context import build
from app.demo.plan import open_session, start_time
from app.server import running
from app.settings import Settings
from oracle.jobs import BatchResult, ProvingJob, prove_batch

HOMES = ("home-03", "home-04", "home-09")
SIZES = (1, 2)


@contextmanager
def delivered(folder: Path) -> Iterator[House]:
    """The session has number 1, the accounts of the sellers are 1 to 3."""
    settings = Settings(data_dir=folder / "var", chain="anvil", database_url=None, operator_token=None, proof_sizes=SIZES)
    ctx = build(settings, start_time=start_time())
    try:
        with running(ctx) as url, Api(url, ctx.operator_token) as api, Api(url) as anyone:
            house = House(ctx, url, api, anyone, folder)
            community = house.community(*HOMES)
            plan, zone = community.scenario, community.zone

            def clock(moment: int) -> None:
                api.post("/dev/advance", {"to": datetime.fromtimestamp(moment, UTC).isoformat(), "only_clock": True})

            community.register(plan.day - 14, lambda _: None)
            clock(zone.interval_start(plan.day - 1, 12))
            community.hand_in_readings(plan.day - 1)
            community.close_days(plan.day - 2)
            session = open_session(api, zone, plan.day, plan.session)
            community.place_orders(session, lambda _: None)
            clock(int(datetime.fromisoformat(session["gate_close"]).timestamp()))
            api.post("/sessions/1/clearing")
            community.learn_promises(api.get("/sessions/1"))
            clock(zone.interval_start(plan.day + 1, 0) + 1800)
            community.close_days(plan.day)
            yield house
    finally:
        ctx.close()


def prove_and_wait(job: ProvingJob) -> BatchResult:
    """Proves; the first process to come here says so and then waits to be killed."""
    result = prove_batch(job)
    mark = Path(os.environ["WATTPROOF_TEST_MARK"])
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(600)
    return result
