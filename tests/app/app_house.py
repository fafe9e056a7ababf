"""What a test of the application holds in its hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.client import Api
from app.context import Context, build
from app.demo import scenario
from app.demo.community import Community
from app.demo.plan import open_session, start_time
from app.server import running
from app.settings import Settings

NARROW = {"guard history": 1, "guard k": 1, "guard floor": 0, "guard floor ppm": 0}
"""A price guard with a band as wide as the one price before."""


@dataclass
class House:
    """A running application."""

    ctx: Context
    url: str
    api: Api
    anyone: Api
    """The API without the operator's token."""
    folder: Path

    def community(self, *homes: str) -> Community:
        """A community of some of the demonstration's homes and its buyers, not registered yet."""
        plan = scenario.load()
        small = plan.model_copy(update={"homes": {label: plan.homes[label] for label in homes}})
        return Community(self.api, small, self.folder / "gateways")


@contextmanager
def house_on(chain: str, folder: Path) -> Iterator[House]:
    """An application on a fresh chain of its own."""
    settings = Settings(data_dir=folder / "var", chain=chain, database_url=None, operator_token=None, guardian_token=None)
    ctx = build(settings, start_time=start_time(), persist=False)
    try:
        with running(ctx) as url, Api(url, ctx.operator_token) as api, Api(url) as anyone:
            yield House(ctx, url, api, anyone, folder)
    finally:
        ctx.close()


def market(house: House, *homes: str, **session: object) -> tuple[Community, dict[str, Any]]:
    """Homes (one without any named), the buyers, and an open session; `session` are fields of it that differ."""
    community = house.community(*homes or ("home-03",))
    plan = community.scenario
    community.register(plan.day - 14, lambda _: None)
    noon = community.zone.interval_start(plan.day - 1, 12)
    house.api.post("/dev/advance", {"to": datetime.fromtimestamp(noon, UTC).isoformat(), "only_clock": True})
    return community, open_session(house.api, community.zone, plan.day, plan.session, **session)
