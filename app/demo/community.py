"""The community's side of the demonstration: wallets that sign, gateways that meter and sign, homes that answer an activation.

Everything goes through the API's client; the gateways keep their logs in a folder of their own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak

from app.access import header as read_access
from app.client import Api
from app.demo import wallets
from app.demo.scenario import Home, Scenario
from contracts.encoding import ScheduleOrder, StatedTerms, Step, batch_words
from contracts.typed_data import Domain, order_batch
from contracts.units import PPM, Direction, Side
from market.session import Zone
from oracle.baseline import admissible_days, baseline_of
from oracle.meter import Meter
from oracle.readings import DayReadings, load_homes
from oracle.response import Response, respond
from zk.eddsa import PrivateKey
from zk.windows import HISTORY_DAYS

Json = dict[str, Any]
Progress = Callable[[str], None]

CSV_HEAD = "account,interval_start,net_load_wh,pv_wh\n"

HISTORY_BEFORE = 60
"""Days of readings handed in at first: the forecast learns from them."""


@dataclass
class Member:
    """A participant: wallet and account, and for a home its meter and its synthetic behaviour."""

    label: str
    wallet: LocalAccount
    account: int
    home: Home | None = None
    meter: Meter | None = None
    promises: dict[int, dict[int, int]] = field(default_factory=dict)
    responses: dict[int, Response] = field(default_factory=dict)
    event_days: set[int] = field(default_factory=set)


class Community:
    """The seventeen homes and the two buyers. `folder` keeps the gateways' logs."""

    def __init__(self, api: Api, scenario: Scenario, folder: Path) -> None:
        self.api = api
        self.scenario = scenario
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        epoch = date(1970, 1, 1).toordinal()
        holidays = frozenset(day.toordinal() - epoch for day in scenario.zone.holidays)
        self.zone = Zone(1, scenario.zone.offset_seconds, scenario.zone.interval_minutes, holidays)
        self.recorded = load_homes()
        self.members: dict[str, Member] = {}

    @property
    def homes(self) -> list[Member]:
        return [member for member in self.members.values() if member.home is not None]

    @property
    def buyers(self) -> list[Member]:
        return [member for member in self.members.values() if member.home is None]

    def register(self, from_day: int, progress: Progress) -> None:
        """Registers everyone, funds them, and binds a meter to each home."""
        for label, home in self.scenario.homes.items():
            member = self._join(label, home, self.scenario.home_deposit)
            key = PrivateKey(keccak(f"wattproof demonstration meter {label}".encode()))
            member.meter = Meter.create(self.folder / f"{label}.json", key, from_day, self.zone.intervals)
            self.api.post(
                "/meters", {"account": member.account, "x": str(key.public.x), "y": str(key.public.y), "from_day": from_day}
            )
            self._hand_in(member, [window.to_record() for window in member.meter.windows(0, from_day)])
            progress(label)
        for buyer in self.scenario.buyers:
            self._join(buyer.label, None, buyer.deposit)
            progress(buyer.label)

    def resume(self) -> None:
        """Finds everyone again after a restart: accounts from the API, meters from their logs, promises from the sessions."""
        for label, home in [*self.scenario.homes.items(), *((buyer.label, None) for buyer in self.scenario.buyers)]:
            wallet = wallets.owner(label)
            account = self.api.get("/accounts", owner=wallet.address)["items"][0]["index"]
            member = Member(label, wallet, account, home)
            if home is not None:
                member.meter = Meter.open(
                    self.folder / f"{label}.json", PrivateKey(keccak(f"wattproof demonstration meter {label}".encode()))
                )
            self.members[label] = member
        for session in self.api.get("/sessions")["items"]:
            self.learn_promises(session)

    def hand_in_readings(self, until_day: int) -> int:
        """Hands in what the homes recorded in the `HISTORY_BEFORE` days before `until_day`; returns the number of readings."""
        lines = []
        for member in self.homes:
            for day in range(until_day - HISTORY_BEFORE, until_day):
                lines += self._csv(member, self._day(member, day))
        self.api.post_csv("/readings", CSV_HEAD + "\n".join(lines) + "\n")
        return len(lines)

    def close_days(self, last_day: int) -> int:
        """Every gateway closes the days that are over, up to `last_day`, answering what was promised on them.

        Returns the number of windows handed in. A silent home closes a day on which
        it promised as well, but never hands that window in.
        """
        handed = 0
        for member in self.homes:
            assert member.meter is not None and member.home is not None
            days = range(member.meter.next_day, last_day + 1)
            if not len(days):
                continue
            lines, records = [], []
            for day in days:
                reading = self._answered(member, day)
                window = member.meter.close(day, reading.net)
                lines += self._csv(member, reading)
                if not (member.promises.get(day) and member.home.silent):
                    records.append(window.to_record())
            self.api.post_csv("/readings", CSV_HEAD + "\n".join(lines) + "\n")
            self._hand_in(member, records)
            handed += len(records)
        return handed

    def place_orders(self, session: Json, progress: Progress, but: str | None = None) -> int:
        """Everyone (but one) signs and sends; returns the number of orders sent. One home replaces its order, one takes
        it back.
        """
        sent = 0
        intervals = session["intervals"]
        for member, buyer in zip(self.buyers, self.scenario.buyers, strict=True):
            self.send(member, session, buyer.order(member.account, len(intervals)))
            sent += 1
        for member in self.homes:
            if member.label == but:
                continue
            assert member.home is not None
            home = member.home
            forecast = self.forecast(member, session)
            flexible = [round(wh * home.share) for wh in forecast["flexible_wh"]]
            orders = [home.offer(member.account, flexible, session["min_quantity_wh"], home.first_limit)]
            if home.first_limit is not None:
                orders.append(home.offer(member.account, flexible, session["min_quantity_wh"]))
            if home.cancels:
                orders.append(cancellation(member.account, Side.OFFER, len(intervals)))
            for order in orders:
                if order.cancels and order is orders[0]:
                    break  # nothing worth offering that day
                self.send(member, session, order)
                sent += 1
            progress(member.label)
        return sent

    def send(self, member: Member, session: Json, order: ScheduleOrder) -> Json:
        """Signs one order with the member's wallet and hands it in."""
        body = self.signed(member, session, order)
        return self.api.post(f"/sessions/{session['id']}/orders", body)  # type: ignore[no-any-return]

    def signed(self, member: Member, session: Json, order: ScheduleOrder) -> Json:
        """A signed batch of one order, ready to hand in."""
        words = batch_words([order], word_terms(session))
        deadline = int(datetime.fromisoformat(session["gate_close"]).timestamp())
        chain = self.api.get("/status")["chain"]
        counter = int(self.api.get(f"/signers/{member.wallet.address}")["counter"])
        batch = order_batch(session["id"], words, secrets.randbits(128), counter, deadline)
        signed = batch.sign(Domain(chain["chain_id"], chain["contracts"]["FlexMarket"]), bytes(member.wallet.key))
        return {
            "signer": signed.signer,
            "words": [hex(word) for word in words],
            "nonce": str(batch.nonce),
            "counter": str(batch.counter),
            "deadline": deadline,
            "signature": "0x" + signed.signature.hex(),
        }

    def forecast(self, member: Member, session: Json) -> Json:
        """A member's own forecast for a session."""
        chain = self.api.get("/status")["chain"]
        until = int(datetime.fromisoformat(chain["time"]).timestamp()) + 3600
        domain = Domain(chain["chain_id"], chain["contracts"]["FlexMarket"])
        access = read_access(domain, member.account, until, member.wallet)
        return self.api.get(f"/accounts/{member.account}/forecast", access, session=session["id"])  # type: ignore[no-any-return]

    def learn_promises(self, session: Json) -> None:
        """Each home's gateway learns what its home has promised: its activation."""
        by_account = {member.account: member for member in self.homes}
        direction = Direction[session["direction"]]
        for delivery in self.api.get(f"/sessions/{session['id']}/deliveries")["items"]:
            member = by_account[delivery["account"]]
            promised = {t: wh for t, wh in zip(session["intervals"], delivery["promised"], strict=True) if wh}
            if promised:
                member.promises[session["day"]] = {t: direction.sign * wh for t, wh in promised.items()}
                if max(promised.values()) >= session["min_quantity_wh"]:
                    member.event_days.add(session["day"])

    def _join(self, label: str, home: Home | None, deposit: int) -> Member:
        wallet = wallets.owner(label)
        account = self.api.post("/accounts", {"owner": wallet.address, "label": label})["index"]
        self.api.post("/dev/faucet", {"account": account, "amount": deposit})
        member = self.members[label] = Member(label, wallet, account, home)
        return member

    def _day(self, member: Member, day: int) -> DayReadings:
        return self.recorded[member.label].day(day)

    def _answered(self, member: Member, day: int) -> DayReadings:
        """The day's readings with the synthetic response to what the home promised on it."""
        original = self._day(member, day)
        promised = member.promises.get(day)
        if not promised:
            return original
        assert member.home is not None and member.meter is not None
        signs = {value > 0 for value in promised.values()}
        direction = Direction.UP if signs == {True} else Direction.DOWN
        aim = self.baseline(member, day)
        response = respond(
            original,
            {t: abs(value) for t, value in promised.items()},
            direction,
            round(member.home.delivers * PPM),
            envelope=member.home.device_wh,
            aim=aim,
        )
        member.responses[day] = response
        return response.altered

    def baseline(self, member: Member, day: int) -> tuple[int, ...] | None:
        """The home's own baseline from its gateway's log: what its device aims at."""
        assert member.meter is not None
        windows = {window.day: window.readings for window in member.meter.windows(day - HISTORY_DAYS, day - 1) if window.final}
        gaps: Sequence[int | None] = (None,) * self.zone.intervals
        events = sum(1 << k for k in range(HISTORY_DAYS) if day - HISTORY_DAYS + k in member.event_days)
        admissible = admissible_days(day, self.zone.is_working_day, events, member.meter.from_day)
        found = baseline_of([windows.get(d, gaps) for d in range(day - HISTORY_DAYS, day)], admissible, day)
        return found.wh if found else None

    def _hand_in(self, member: Member, records: list[Json]) -> None:
        self.api.post("/windows", [{"account": member.account, "window": record} for record in records])

    def _csv(self, member: Member, day: DayReadings) -> list[str]:
        lines = []
        for t, net in enumerate(day.net):
            if net is None:
                continue
            start = datetime.fromtimestamp(self.zone.interval_start(day.day, t), UTC).isoformat()
            produced = day.pv[t] if day.pv is not None else None
            lines.append(f"{member.account},{start},{net},{0 if produced is None else produced}")
        return lines


def word_terms(session: Json) -> StatedTerms:
    """What the words of a session's orders depend on, from the API's session."""
    return StatedTerms(sum(1 << t for t in session["intervals"]), session["price_cap"], session["collateral_ppm"])


def cancellation(account: int, side: Side, intervals: int) -> ScheduleOrder:
    """The order that takes an account's order on one side back."""
    return ScheduleOrder(account, side, (Step((0,) * intervals, (0,) * intervals),))
