"""The life of a session as an explicit machine: a table of transitions, moved by a clock that may be the chain's, this
machine's or a simulated one, and by what people do (docs/protocol.md section 5).

`session.STATES` says which state follows from what has been recorded; this says how a session gets there, for whoever plans or
simulates one without a chain. Orders enter as at the contract's door, and the log decides: a later entry of an (account, side)
replaces the earlier, one without quantities cancels, a late one is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from contracts.encoding import ScheduleOrder
from contracts.units import Mode, SessionState, Side
from market.errors import FieldError
from market.orders import OrderBook, validate, validate_gate
from market.session import SessionFacts, SessionTerms

Clock = Callable[[], int]
"""UNIX seconds, never less than before: `chain.now`, `lambda: int(time.time())`, or a `SimulatedClock`."""


class LifecycleError(FieldError):
    """An event that a session in its state does not take, or a clock that goes back."""


class SimulatedClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: int) -> None:
        self._now = now

    def __call__(self) -> int:
        return self._now

    def advance_to(self, now: int) -> None:
        """Raises `LifecycleError` where that lies in the past."""
        if now < self._now:
            raise LifecycleError("now", f"at least {self._now}", now)
        self._now = now


class Event(Enum):
    """What moves a session."""

    GATE_OPENS = "the gate opens"
    GATE_CLOSES = "the gate closes"
    DELIVERY_STARTS = "delivery starts"
    DELIVERY_ENDS = "delivery ends"
    PAUSED = "the operator stops the intake of orders"
    CANCELLED = "the operator cancels, or whoever made a request withdraws it"
    AWARDED = "a request is awarded to those who signed"
    CLEARED = "a clearing is accepted"
    HELD = "a clearing is complete, and a price lies outside the guard's band"
    RELEASED = "the guardian decides for the clearing"
    REJECTED = "the guardian decides against the session"
    SETTLED = "every group is committed and every row settled"


TIMES: dict[Event, Callable[[SessionTerms], int]] = {
    Event.GATE_OPENS: lambda terms: terms.gate_open,
    Event.GATE_CLOSES: lambda terms: terms.gate_close,
    Event.DELIVERY_STARTS: lambda terms: terms.delivery_start,
    Event.DELIVERY_ENDS: lambda terms: terms.delivery_end,
}
"""When the clock alone moves a session, in the order of a day."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a guard may ask: the terms, the time, and whether the intake is stopped."""

    terms: SessionTerms
    now: int
    paused: bool

    @property
    def request(self) -> bool:
        return self.terms.mode is Mode.REQUEST


@dataclass(frozen=True, slots=True)
class Transition:
    """One line of the table; the guard's words are for people."""

    state: SessionState
    event: Event
    next: SessionState
    guard: Callable[[Moment], bool] = lambda moment: True
    where: str = ""


def _request(moment: Moment) -> bool:
    return moment.request


def _no_request(moment: Moment) -> bool:
    return not moment.request


def _stopped(moment: Moment) -> bool:
    return moment.paused and not moment.request


def _decidable(moment: Moment) -> bool:
    return not moment.request and moment.now >= moment.terms.challenge_end


S, E = SessionState, Event

TRANSITIONS: tuple[Transition, ...] = (
    Transition(S.SCHEDULED, E.GATE_OPENS, S.CANCELLED, _stopped, "the intake is stopped; not a request"),
    Transition(S.SCHEDULED, E.GATE_OPENS, S.OPEN),
    Transition(S.SCHEDULED, E.CANCELLED, S.CANCELLED),
    Transition(S.OPEN, E.PAUSED, S.CANCELLED, _no_request, "not a request"),
    Transition(S.OPEN, E.CANCELLED, S.CANCELLED),
    Transition(S.OPEN, E.AWARDED, S.CLEARED, _request, "a request"),
    Transition(S.OPEN, E.GATE_CLOSES, S.CLOSED),
    Transition(S.CLOSED, E.AWARDED, S.CLEARED, _request, "a request"),
    Transition(S.CLOSED, E.CANCELLED, S.CANCELLED, _request, "a request"),
    Transition(S.CLOSED, E.CLEARED, S.CLEARED, _decidable, "not a request; a block session from challengeEnd on"),
    Transition(S.CLOSED, E.HELD, S.UNDER_REVIEW, _decidable, "not a request; a block session from challengeEnd on"),
    Transition(S.CLOSED, E.DELIVERY_STARTS, S.CANCELLED),
    Transition(S.UNDER_REVIEW, E.RELEASED, S.CLEARED),
    Transition(S.UNDER_REVIEW, E.REJECTED, S.CANCELLED),
    Transition(S.UNDER_REVIEW, E.CLEARED, S.CLEARED, lambda m: m.terms.mode is not Mode.BLOCK, "without excluded orders"),
    Transition(S.UNDER_REVIEW, E.DELIVERY_STARTS, S.CANCELLED),
    Transition(S.CLEARED, E.SETTLED, S.SETTLED),
    Transition(S.CLEARED, E.DELIVERY_STARTS, S.DELIVERING),
    Transition(S.DELIVERING, E.SETTLED, S.SETTLED),
    Transition(S.DELIVERING, E.DELIVERY_ENDS, S.SETTLING),
    Transition(S.SETTLING, E.SETTLED, S.SETTLED),
)
"""Read from the top: the first line whose state, event and guard fit is taken. What has no line does not move the session."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A transition that was taken, and when."""

    now: int
    event: Event
    state: SessionState


class Lifecycle:
    """One session over a clock. Time moves it whenever it is looked at; nothing is ever moved back."""

    def __init__(self, terms: SessionTerms, clock: Clock) -> None:
        self.terms = terms
        self.history: list[Passed] = []
        self._clock = clock
        self._state = SessionState.SCHEDULED
        self._seen = clock()
        self._due = list(TIMES)
        self._paused = False
        self._orders: list[ScheduleOrder] = []
        self._accepted = self._held = False

    @property
    def state(self) -> SessionState:
        """The state now."""
        self._catch_up()
        return self._state

    @property
    def facts(self) -> SessionFacts:
        """What a chain would have recorded, for `session.state_at`."""
        state = self.state
        return SessionFacts(
            cleared=self._accepted,
            under_review=self._held,
            settled=state is SessionState.SETTLED,
            cancelled=state is SessionState.CANCELLED,
        )

    @property
    def book(self) -> OrderBook:
        """The log so far."""
        return OrderBook(self.terms, tuple(self._orders))

    def enter(self, order: ScheduleOrder, *, meter_key: bool = True, envelope: int | None = None) -> int:
        """Takes an order into the log and returns its position. Raises `OrderError` as the door does; each payer stands for its
        own owner."""
        validate_gate(self.terms, self.facts, self._clock())
        if self._paused:
            raise LifecycleError("intake", "one that is open", "stopped by the operator")
        sides: set[Side] = self.book.sides_of({order.payer}) if self.terms.mode is Mode.COOPERATIVE else set()
        validate(order, self.terms, meter_key=meter_key, envelope=envelope, sides=sides)
        self._orders.append(order)
        return len(self._orders) - 1

    def apply(self, event: Event) -> SessionState:
        """What somebody has done. Raises `LifecycleError` where the session does not take it now."""
        self._catch_up()
        if event in TIMES:
            raise LifecycleError("event", "one that people cause", event.value)
        if event is Event.PAUSED:
            self._paused = True
            self._take(event)
        elif not self._take(event):
            possible = [t.event.value for t in TRANSITIONS if t.state is self._state and t.event not in TIMES and self._fits(t)]
            raise LifecycleError("event", " or ".join(possible) or "none but time", f"{event.value}, in {self._state.name}")
        return self._state

    def resume(self) -> None:
        """The intake goes on; the second in which it does belongs to the pause still."""
        self._catch_up()
        self._paused = False

    def _catch_up(self) -> None:
        now = self._clock()
        if now < self._seen:
            raise LifecycleError("now", f"at least {self._seen}", now)
        self._seen = now
        while self._due and TIMES[self._due[0]](self.terms) <= now:
            self._take(self._due.pop(0))

    def _fits(self, transition: Transition) -> bool:
        return transition.guard(Moment(self.terms, self._seen, self._paused))

    def _take(self, event: Event) -> bool:
        for transition in TRANSITIONS:
            if transition.state is self._state and transition.event is event and self._fits(transition):
                self._state = transition.next
                self._held = self._state is SessionState.UNDER_REVIEW
                self._accepted = self._accepted or self._state is SessionState.CLEARED
                self.history.append(Passed(self._seen, event, self._state))
                return True
        return False
