"""What the demonstration adds to the real data, as data: who offers how much at what price, and how faithfully it delivers."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from contracts.encoding import ScheduleOrder, Step
from contracts.units import Side


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DemoZone(Model):
    offset_seconds: int
    interval_minutes: int
    holidays: list[date]


class DemoSession(Model):
    intervals: list[int]
    direction: str
    price_cap: int
    min_quantity_wh: int
    rules: str


class BuyerStep(Model):
    limit: int = Field(description="micro-euro per kWh")
    quantities: list[int] = Field(description="Wh per session interval; repeated or cut to the session's length")


class Buyer(Model):
    label: str
    deposit: int = Field(description="micro-euro")
    steps: list[BuyerStep]

    def order(self, account: int, intervals: int) -> ScheduleOrder:
        """The buyer's curve for a session of `intervals` intervals."""
        return ScheduleOrder(
            account,
            Side.BID,
            tuple(
                Step(tuple(step.quantities[j % len(step.quantities)] for j in range(intervals)), (step.limit,) * intervals)
                for step in self.steps
            ),
        )


class Home(Model):
    """One home's synthetic behaviour. `share` of what the API's forecast calls flexible is offered; `delivers` is the
    part of the way to its promise that the home's device goes; `device_wh` bounds what the device moves in an interval."""

    limit: int = Field(description="micro-euro per kWh")
    share: Annotated[float, Field(gt=0, le=4)]
    delivers: Annotated[float, Field(ge=0)]
    device_wh: int
    silent: bool = Field(False, description="its gateway never hands out the window of the day, so nothing can be proven")
    cancels: bool = Field(False, description="takes its offer back before the gate closes")
    first_limit: int | None = Field(None, description="asks this first, then replaces the order")
    second_step: int | None = Field(None, description="limit of the second half of its quantity")

    def offer(self, account: int, flexible: list[int], minimum: int, limit: int | None = None) -> ScheduleOrder:
        """The home's curve from its flexible energy per interval; intervals below the session's minimum are left out."""
        limit = limit or self.limit
        halves = [flexible] if self.second_step is None else [[q - q // 2 for q in flexible], [q // 2 for q in flexible]]
        limits = [limit] if self.second_step is None else [limit, self.second_step]
        steps = []
        for quantities, price in zip(halves, limits, strict=True):
            kept = tuple(q if q >= minimum else 0 for q in quantities)
            steps.append(Step(kept, tuple(price if q else 0 for q in kept)))
        return ScheduleOrder(account, Side.OFFER, tuple(steps))


class Scenario(Model):
    """The whole synthetic part of the demonstration."""

    date: date
    zone: DemoZone
    session: DemoSession
    next: DemoSession
    buyers: list[Buyer]
    home_deposit: int
    homes: dict[str, Home]

    @property
    def day(self) -> int:
        """Days since 1970-01-01."""
        return self.date.toordinal() - date(1970, 1, 1).toordinal()


def synthetic(plan: Scenario) -> list[str]:
    """What of the demonstration is made up: named in the report and on the pages wherever results are shown."""
    faithful = [label for label, home in plan.homes.items() if home.delivers == 1 and not home.silent]
    others = [
        f"{label} ({'proves nothing' if home.silent else f'{home.delivers:.0%}'})"
        for label, home in plan.homes.items()
        if label not in faithful
    ]
    return [
        "which home offers, how much of its load it says it can move, and at what price",
        "the response to an activation: a device steers the net load of the traded hours towards the promise, within its limit",
        f"how much of that way each device goes: {len(faithful)} of {len(plan.homes)} homes go all of it, "
        f"the others miss their promise on purpose: {', '.join(others)}",
        "the buyers (a DSO and a retailer), their demand and their prices",
        "the chain's clock, the meters' keys and the wallets",
    ]


def load() -> Scenario:
    """The scenario that ships with the project."""
    return Scenario.model_validate(json.loads((Path(__file__).parent / "day.json").read_text()))
