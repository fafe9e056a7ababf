"""What a test of the application holds in its hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.context import Context
from app.demo import scenario
from app.demo.client import Api
from app.demo.community import Community


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
