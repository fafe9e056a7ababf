"""The statement of docs/protocol.md section 9 in plain integers: the twin of circuits/statement.circom.

`make_statement` checks everything that the circuit will check, names what is wrong before any proof is tried, and returns the
public words, the public signals (C, y, gamma) and the circuit's inputs. Baselines and the circuit's inputs are private and not
printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from zk.eddsa import PublicKey
from zk.field import ORDER, require_bits, require_element
from zk.windows import (
    HISTORY_DAYS,
    INTERVALS,
    READING_OFFSET,
    Window,
    WindowError,
    check_chain,
    check_head,
    check_window,
    offset_readings,
    pack_readings,
)
from zk.words import PROMISE_LIMIT, StatementError, commit_promise, compress, pack_deviations

__all__ = [
    "AccountInput",
    "AccountResult",
    "Shared",
    "Statement",
    "StatementError",
    "WitnessInputs",
    "baseline",
    "counted_days",
    "make_statement",
    "padded",
]

MIN_COUNTED_DAYS = 3
"""Complete admissible days that a baseline needs."""

MAX_INCOMPLETE_DAYS = 2
"""Admissible days that may be incomplete."""

WitnessInputs = dict[str, int | list[int] | list[list[int]] | list[list[list[int]]]]
"""The circuit's inputs by name; field elements, lists of them by account."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all accounts of one proof share.

    chain_id        of the chain
    deliveries      address of the Deliveries contract as an integer
    session         < 2^64
    day             the delivery day
    session_mask    the session's intervals, bit t for interval t of the day
    """

    chain_id: int
    deliveries: int
    session: int
    day: int
    session_mask: int

    def words(self) -> tuple[int, ...]:
        """The five shared public words."""
        return (self.chain_id, self.deliveries, self.session, self.day, self.session_mask)


@dataclass(frozen=True, slots=True)
class AccountInput:
    """One account's part.

    account         its index, 1 to 2^32-1
    key             the meter key in force on the delivery day
    windows         15 windows of consecutive days; the last is the delivery day's, final or provisional
    admissible      bit k admits day `day - 14 + k` to the baseline
    mask            proven intervals; a non-empty part of the session's
    promise         hidden promise, Wh per interval, with the direction's sign; None where it is public (market sessions)
    promise_salt    field element that hides the promise behind its commitment
    """

    account: int
    key: PublicKey
    windows: Sequence[Window]
    admissible: int
    mask: int
    promise: tuple[int, ...] | None = field(default=None, repr=False)
    promise_salt: int = field(default=0, repr=False)


@dataclass(frozen=True, slots=True)
class AccountResult:
    """What follows for one account.

    count       counted days
    baseline    Wh per interval, signed (private)
    deviations  baseline - metered - promise, Wh per interval, signed; None outside the mask
    words       its public words
    """

    account: int
    count: int
    baseline: tuple[int, ...] = field(repr=False)
    deviations: tuple[int | None, ...]
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement ready to be proven: `public` holds the proof's public signals, `words` what they stand for."""

    kind: ClassVar[str] = "statement"

    intervals: int
    shared: Shared
    accounts: tuple[AccountResult, ...]
    words: tuple[int, ...]
    c: int
    gamma: int
    y: int
    witness: WitnessInputs = field(repr=False)

    @property
    def size(self) -> int:
        """Number of accounts, N."""
        return len(self.accounts)

    @property
    def public(self) -> tuple[int, int, int]:
        """(C, y, gamma), in the order of the circuit's public signals."""
        return self.c, self.y, self.gamma


def make_statement(shared: Shared, accounts: Sequence[AccountInput]) -> Statement:
    """Evaluates the statement for N accounts with the same number of intervals a day.

    Raises `StatementError` naming the account and what is missing, broken or out of range.
    """
    if not accounts:
        raise StatementError("accounts: expected at least one, got none")
    if not accounts[0].windows:
        raise StatementError(f"account {accounts[0].account}: windows: expected {HISTORY_DAYS + 1}, got none")
    intervals = len(accounts[0].windows[-1].readings)
    _check_shared(shared, intervals)
    results, inputs = [], []
    for item in accounts:
        try:
            result, row = _evaluate(shared, item, intervals)
        except ValueError as error:
            raise StatementError(f"account {item.account}: {error}") from error
        results.append(result)
        inputs.append(row)
    words = (*shared.words(), *(word for result in results for word in result.words))
    c, gamma, y = compress(words, intervals)
    witness: WitnessInputs = {
        "chainId": shared.chain_id,
        "deliveries": shared.deliveries,
        "session": shared.session,
        "day": shared.day,
        "sessionMask": shared.session_mask,
        "gamma": gamma,
    }
    for name in inputs[0]:
        witness[name] = [row[name] for row in inputs]  # type: ignore[assignment]
    return Statement(intervals, shared, tuple(results), words, c, gamma, y, witness)


def padded(accounts: Sequence[AccountInput], size: int) -> tuple[AccountInput, ...]:
    """`accounts` filled up to `size` by repeating the last: the contract skips an account that is recorded already."""
    if not 0 < len(accounts) <= size:
        raise StatementError(f"accounts: expected 1 to {size}, got {len(accounts)}")
    return (*accounts, *[accounts[-1]] * (size - len(accounts)))


def counted_days(windows: Sequence[Window], admissible: int) -> tuple[int, ...]:
    """Positions (0 to 13) of the admissible complete days among the 14 windows before the delivery day."""
    require_bits("admissible", admissible, HISTORY_DAYS)
    return tuple(k for k in range(HISTORY_DAYS) if admissible >> k & 1 and windows[k].complete)


def provable(windows: Sequence[Window], admissible: int, day: int) -> bool:
    """Whether there is a statement about `day` as far as the windows' days and their completeness go."""
    if [window.day for window in windows] != list(range(day - HISTORY_DAYS, day + 1)):
        return False
    counted = len(counted_days(windows, admissible))
    return counted >= MIN_COUNTED_DAYS and admissible.bit_count() - counted <= MAX_INCOMPLETE_DAYS


def baseline(windows: Sequence[Window], admissible: int) -> tuple[int, ...]:
    """Baseline R14, Wh per interval: the counted days' mean, rounded down. Raises `StatementError` without a counted day."""
    means, _ = _means(windows, counted_days(windows, admissible))
    return tuple(mean - READING_OFFSET for mean in means)


def _check_shared(shared: Shared, intervals: int) -> None:
    if intervals not in INTERVALS:
        raise StatementError(f"readings: expected {', '.join(map(str, INTERVALS))} intervals a day, got {intervals}")
    try:
        require_element("chain_id", shared.chain_id)
        require_bits("deliveries", shared.deliveries, 160)
        require_bits("session", shared.session, 64)
        require_bits("day", shared.day, 32)
        require_bits("session_mask", shared.session_mask, intervals)
    except ValueError as error:
        raise StatementError(str(error)) from error
    if shared.day < HISTORY_DAYS:
        raise StatementError(f"day: expected at least {HISTORY_DAYS}, got {shared.day}")


def _evaluate(shared: Shared, item: AccountInput, intervals: int) -> tuple[AccountResult, WitnessInputs]:
    _check_windows(shared, item, intervals)
    if not 0 < item.account < 1 << 32:
        raise StatementError(f"index: expected 1 to 2^32-1, got {item.account}")
    if item.mask <= 0 or item.mask & ~shared.session_mask:
        raise StatementError(f"mask: expected a non-empty part of {shared.session_mask:#x}, got {item.mask:#x}")
    counted = counted_days(item.windows, item.admissible)
    incomplete = item.admissible.bit_count() - len(counted)
    if len(counted) < MIN_COUNTED_DAYS:
        raise StatementError(f"history: expected at least {MIN_COUNTED_DAYS} complete admissible days, got {len(counted)}")
    if incomplete > MAX_INCOMPLETE_DAYS:
        raise StatementError(f"history: expected at most {MAX_INCOMPLETE_DAYS} incomplete admissible days, got {incomplete}")
    means, remainders = _means(item.windows, counted)

    promise = item.promise if item.promise is not None else (0,) * intervals
    if len(promise) != intervals:
        raise StatementError(f"promise: expected {intervals} intervals, got {len(promise)}")
    readings = offset_readings(item.windows[-1].readings)
    deviations: list[int | None] = []
    for t in range(intervals):
        if not -PROMISE_LIMIT <= promise[t] < PROMISE_LIMIT:
            raise StatementError(f"promise[{t}]: expected -2^24 to 2^24-1 Wh, got a promise outside")
        if promise[t] and not shared.session_mask >> t & 1:
            raise StatementError(f"promise[{t}]: expected 0 outside the session's intervals, got a promise")
        inside = bool(item.mask >> t & 1)
        if inside and item.windows[-1].readings[t] is None:
            raise StatementError(f"mask: interval {t} has no valid reading on day {shared.day}")
        deviations.append(means[t] - readings[t] - promise[t] if inside else None)

    hidden = item.promise is not None
    commitment = commit_promise(item.account, shared.session, promise, item.promise_salt) if hidden else 0
    key_word = item.key.word()
    words = (
        item.account,
        key_word,
        item.admissible,
        item.mask,
        len(counted),
        commitment,
        *pack_deviations(deviations),
    )
    result = AccountResult(item.account, len(counted), tuple(mean - READING_OFFSET for mean in means), tuple(deviations), words)
    history, today = item.windows[:-1], item.windows[-1]
    inputs: WitnessInputs = {
        "account": item.account,
        "admissible": item.admissible,
        "mask": item.mask,
        "firstHead": history[0].previous,
        "salts": [window.salt for window in item.windows],
        "validity": [window.validity for window in history],
        "packed": [list(pack_readings(window.readings)) for window in history],
        "readings": list(readings),
        "valid": [int(reading is not None) for reading in today.readings],
        "final": int(today.final),
        "mean": means,
        "remainder": remainders,
        "hidden": int(hidden),
        "promiseSalt": item.promise_salt,
        "promise": [value % ORDER for value in promise],
        "Ax": item.key.x,
        "Ay": item.key.y,
        "R8x": today.signature.r8x,
        "R8y": today.signature.r8y,
        "S": today.signature.s,
    }
    return result, inputs


def _check_windows(shared: Shared, item: AccountInput, intervals: int) -> None:
    days = [window.day for window in item.windows]
    for day in range(shared.day - HISTORY_DAYS, shared.day + 1):
        if day not in days:
            raise WindowError("windows", f"one of day {day}", "none")
    if len(days) != HISTORY_DAYS + 1:
        raise WindowError("windows", f"{HISTORY_DAYS + 1}", len(days))
    for window in item.windows:
        if len(window.readings) != intervals:
            raise WindowError("readings", f"{intervals} intervals on day {window.day}", len(window.readings))
    check_chain(item.windows)
    for window in item.windows[:-1]:
        check_head(window)
    check_window(item.windows[-1], item.key)


def _means(windows: Sequence[Window], counted: Sequence[int]) -> tuple[list[int], list[int]]:
    """Quotients and remainders of the counted days' sums of offset readings."""
    if not counted:
        raise StatementError("history: expected a complete admissible day, got none")
    days = [offset_readings(windows[k].readings) for k in counted]
    divided = [divmod(sum(values), len(counted)) for values in zip(*days, strict=True)]
    return [mean for mean, _ in divided], [remainder for _, remainder in divided]
