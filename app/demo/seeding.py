"""What `wattproof serve` opens on: the demonstration day, settled, and the next session, open and with orders in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from app.client import Api
from app.context import Context
from app.demo import scenario
from app.demo.community import Community
from app.demo.day import Narrator, hold
from app.demo.plan import SOURCE, open_session
from app.demo.report import Day
from app.demo.wallets import VISITOR
from app.server import running

Json = dict[str, Any]

UNFINISHED = ("Scheduled", "Open", "Closed", "Cleared", "UnderReview", "Delivering", "Settling")


def cut_off(ctx: Context) -> bool:
    """Whether the seeding was begun on this chain and never came to its end."""
    return ctx.database.get_meta("seeding") is not None and ctx.database.get_meta("seeded") is None


def seed(ctx: Context, console: Console) -> None:
    """Brings the demonstration into place, once per chain, and lets the community follow the clock from then on."""
    plan = scenario.load()
    folder: Path = ctx.settings.data_dir / f"gateways-{ctx.chain.genesis[2:14]}"
    with running(ctx) as url, Api(url, ctx.operator_token) as api:
        community = Community(api, plan, folder)
        if ctx.database.get_meta("seeded") is None:
            if api.get("/accounts")["items"]:
                console.print("This chain has accounts that the demonstration did not make: it is left as it is.")
                return
            console.print("Seeding the demonstration day (about a minute, once per chain)", style="bold")
            ctx.database.set_meta("seeding", "begun")
            day = Day()
            hold(ctx, api, community, day, Narrator(console, day))
            next_session(ctx, api, community)
            about = {"source": SOURCE, "homes": len(community.homes), "synthetic": scenario.synthetic(plan)}
            ctx.database.set_meta("data", json.dumps(about))
            ctx.database.set_meta("seeded", "yes")
        else:
            community.resume()
    ctx.clock_moved = lambda: follow(ctx, folder)


def next_session(ctx: Context, api: Api, community: Community) -> Json:
    """Opens the next day's session at once and lets everyone but the visitor place orders in it."""
    zone = community.zone
    day = zone.day_of(ctx.now()) + 1
    community.close_days(day - 2)
    session = open_session(api, zone, day, community.scenario.next, gate_open=ctx.now())
    community.place_orders(session, lambda _: None, but=VISITOR)
    return session


def follow(ctx: Context, folder: Path) -> list[str]:
    """What the community does when the clock has moved: gateways learn promises and close the days that are over; when
    no session is open any more, the operator opens the next one."""
    done = []
    with running(ctx) as url, Api(url, ctx.operator_token) as api:
        community = Community(api, scenario.load(), folder)
        community.resume()
        closed = community.close_days(community.zone.day_of(ctx.now()) - 1)
        if closed:
            done.append(f"{closed} windows handed in by the gateways")
        if not any(session["state"] in UNFINISHED for session in api.get("/sessions")["items"]):
            session = next_session(ctx, api, community)
            done.append(f"session {session['id']} opened for {session['date']}")
    return done
