"""One market day, step by step, through the public API; what happens is told as it happens and gathered for the report."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from app.client import Api
from app.context import Context, build
from app.demo import attempts, report, scenario
from app.demo.community import HISTORY_BEFORE, Community, Member
from app.demo.plan import SOURCE, date_of, open_session, start_time
from app.demo.report import Day
from app.server import running
from app.services.replaying import replay_session
from app.settings import Settings

Json = dict[str, Any]

SHOWN_HOMES = ("home-02", "home-05", "home-09", "home-10")
"""Homes that the report looks at closely: two that deliver, two that do not."""


class Narrator:
    """Prints the account of the day, keeps it for the report, and takes the time of its chapters."""

    def __init__(self, console: Console, day: Day) -> None:
        self.console = console
        self.day = day

    def say(self, line: str) -> None:
        self.console.print(f"  {line}", highlight=False)
        self.day.account.append(line)

    @contextmanager
    def chapter(self, title: str, timed: str | None = None) -> Iterator[None]:
        self.console.print(f"\n{title}", style="bold", highlight=False)
        started = time.monotonic()
        yield
        if timed:
            self.day.seconds[timed] = self.day.seconds.get(timed, 0.0) + time.monotonic() - started

    @contextmanager
    def bar(self, what: str, total: int) -> Iterator[Any]:
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(what, total=total)
            yield lambda *_: progress.advance(task)


def run(folder: Path, chain: str, console: Console) -> Day:
    """Runs the day on a fresh embedded chain and writes the report into `folder`."""
    started = time.monotonic()
    day = Day()
    narrator = Narrator(console, day)
    with tempfile.TemporaryDirectory(prefix="wattproof-") as scratch:
        settings = Settings(data_dir=Path(scratch), chain=chain, database_url=None)
        with narrator.chapter("Setting up", "setup"):
            ctx = build(settings, start_time=start_time(), persist=False)
            narrator.say(f"chain {ctx.chain.chain_id} ({ctx.chain.name}), {len(ctx.deployment.contracts)} contracts deployed")
        try:
            with running(ctx) as url, Api(url, ctx.operator_token) as api:
                community = Community(api, scenario.load(), Path(scratch) / "gateways")
                hold(ctx, api, community, day, narrator)
        finally:
            ctx.close()
    day.seconds["total"] = time.monotonic() - started
    as_json, as_html = report.write(day, folder)
    console.print(f"\nReport: {as_html}\n        {as_json}", highlight=False)
    return day


def hold(
    ctx: Context, api: Api, community: Community, day: Day, narrator: Narrator, shown: tuple[str, ...] = SHOWN_HOMES
) -> None:
    """The day itself: registration to replay. The context serves only whom the API cannot: those who attack the
    contracts directly, and whoever replays from the chain."""
    plan = community.scenario
    zone = community.zone

    with narrator.chapter("The community joins", "setup"):
        api.post("/zones/1/holidays", {"dates": [holiday.isoformat() for holiday in plan.zone.holidays]})
        from_day = plan.day - 14
        with narrator.bar("accounts and meters", len(plan.homes) + len(plan.buyers)) as advance:
            community.register(from_day, advance)
        narrator.say(
            f"{len(community.homes)} homes with meters and {len(community.buyers)} buyers registered on chain, "
            "play money deposited"
        )

    last_day = plan.day - 2
    with narrator.chapter(f"What was metered up to {date_of(last_day)} is handed in", "setup"):
        _clock(api, zone.interval_start(plan.day - 1, 12))
        readings = community.hand_in_readings(last_day + 1)
        narrator.say(f"{readings} readings of the last {HISTORY_BEFORE} days, from which the forecasts learn")
        windows = community.close_days(last_day)
        narrator.say(f"{windows} windows of the last {last_day + 1 - from_day} days, signed by their meters")

    with narrator.chapter(f"A session for {plan.date} opens", None):
        session = open_session(api, zone, plan.day, plan.session)
        narrator.say(
            f"session {session['id']}: {session['direction']}, hours {session['intervals'][0]} to {session['intervals'][-1]}"
        )
    with narrator.chapter("Members look at their forecast and place signed orders", "forecast"):
        with narrator.bar("orders", len(community.homes)) as advance:
            sent = community.place_orders(session, advance)
        narrator.say(f"{sent} orders signed by EIP-712 and put on the chain; one was replaced, one taken back")
        day.attempts += attempts.before_clearing(ctx, api, community, session)

    with narrator.chapter("The gate closes, the session clears", "clear"):
        _clock(api, _seconds(session["gate_close"]))
        day.attempts += attempts.at_clearing(ctx, api, session)
        for line in api.post(f"/sessions/{session['id']}/clearing")["done"]:
            narrator.say(line)
        session = api.get(f"/sessions/{session['id']}")
        for row in session["cleared"]:
            price = f"at {row['price'] / 1e6:.4f} EUR/kWh" if row["price"] is not None else "no trade"
            narrator.say(f"{row['interval']:02d}:00  {row['volume_wh'] / 1000:6.3f} kWh {price}")
        community.learn_promises(session)

    with narrator.chapter("The day of delivery passes; the meters sign", None):
        _clock(api, zone.interval_start(plan.day + 1, 0) + 1800)
        windows = community.close_days(plan.day)
        silent = sum(1 for member in community.homes if member.home and member.home.silent)
        narrator.say(f"{windows} windows handed in; {silent} gateway stays silent about the day of delivery")
        day.attempts += attempts.at_metering(api, community, plan.day)

    with narrator.chapter("Deliveries are proven and verified on chain", "prove"):
        with _proving(api, session["id"], narrator):
            done = api.post(f"/sessions/{session['id']}/proofs")["done"]
        for line in done:
            if "not proven" in line:
                narrator.say(line)
        deliveries = api.get(f"/sessions/{session['id']}/deliveries")["items"]
        for row in report.proofs(deliveries):
            homes, ms, gas = len(row["accounts"]), row["witness_ms"] + row["prove_ms"], row["verify_gas"]
            narrator.say(f"a proof for {homes} {'homes' if homes > 1 else 'home'} in {ms / 1000:.1f} s, {gas:,} gas")
        count = api.get(f"/sessions/{session['id']}")["proofs"]
        narrator.say(f"{count['verified']} of {count['expected']} deliveries are proven")
        narrator.say("what is missing at the deadline counts as not delivered")
        day.attempts += attempts.at_proving(ctx, session)

    with narrator.chapter("Rewards and penalties are paid", "settle"):
        for line in api.post(f"/sessions/{session['id']}/settlement")["done"]:
            narrator.say(line)
        _clock(api, _seconds(session["proof_deadline"]) + 1)
        narrator.say("the proof deadline passes")
        for line in api.post(f"/sessions/{session['id']}/settlement")["done"]:
            narrator.say(line)
        session = api.get(f"/sessions/{session['id']}")
        s = session["settlement"]
        narrator.say(
            f"rewards {s['rewards'] / 1e6:.4f} EUR, penalties {s['penalties'] / 1e6:.4f} EUR, "
            f"rounding {s['rounding']} micro-euro"
        )
        narrator.say("all balances add up" if s["balanced"] else "THE BALANCES DO NOT ADD UP")

    with narrator.chapter("Anyone can replay the day from the chain's log", "replay"):
        with narrator.console.status("  verifying every proof again in Python"):
            day.replay = replay_session(ctx.client, session["id"])
        narrator.say(f"replay: {day.replay}")

    with narrator.chapter("What was tried, and refused", None):
        for attempt in day.attempts:
            narrator.console.print(f"  {attempt['attempt']}", highlight=False)
            answer = f"    by the {attempt['by']}: {attempt['answer']}"
            narrator.console.print(answer, style="dim", highlight=False, markup=False)

    status = api.get("/status")
    day.data = {
        "source": SOURCE,
        "homes": len(community.homes),
        "day": plan.date.isoformat(),
        "synthetic": scenario.synthetic(plan),
    }
    day.chain = {key: status["chain"][key] for key in ("backend", "chain_id", "contracts")}
    day.session = session
    day.book = api.get(f"/sessions/{session['id']}/book")
    day.deliveries = deliveries
    day.alerts = api.get("/surveillance/alerts", session=session["id"])["items"]
    day.statements = api.get(f"/sessions/{session['id']}/statements")["items"]
    day.homes = [_home(community, community.members[label], session) for label in shown]


@contextmanager
def _proving(api: Api, session_id: int, narrator: Narrator) -> Iterator[None]:
    """Shows how many deliveries are proven, as the API tells it, while the block waits for all of them."""
    ended = threading.Event()
    with narrator.console.status("  proving") as status:

        def watch() -> None:
            while not ended.wait(0.5):
                count = api.get(f"/sessions/{session_id}")["proofs"]
                status.update(f"  proving: {count['proven'] + count['verified']} of {count['expected']}")

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _home(community: Community, member: Member, session: Json) -> Json:
    """One home's day as the report draws it, Wh per interval."""
    forecast = community.forecast(member, session)
    response = member.responses.get(session["day"])
    original = community.recorded[member.label].day(session["day"])
    return {
        "label": member.label,
        "original": [value or 0 for value in original.net],
        "metered": [value or 0 for value in (response.altered if response else original).net],
        "forecast": forecast["day"]["net_load_wh"],
        "baseline": forecast["baseline_wh"] or [],
        "intervals": session["intervals"],
    }


def _clock(api: Api, moment: int) -> None:
    api.post("/dev/advance", {"to": datetime.fromtimestamp(moment, UTC).isoformat(), "only_clock": True})


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())
