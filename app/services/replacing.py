"""Replacement (docs/protocol.md section 14): which members fail, which reserves could take over, and having them do so, in
merit order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from app.context import Context
from app.errors import Refused
from app.services import metering, proving, sessions
from contracts.calls import Call
from contracts.encoding import GROUP_ROWS, groups_of
from contracts.replacements import Change, Place, ReplacementConsent, SignedConsent, failure_picks
from contracts.units import SessionState, Side
from settlement.merit import StandIn, merit_order
from settlement.records import delivered, supply
from settlement.replacement import change, failed
from zk.statement import baseline, provable

REPLACEABLE = (SessionState.CLEARED, SessionState.DELIVERING)
"""States in which an interval may still be to come."""


@dataclass(frozen=True, slots=True)
class Failing:
    """A seller and the intervals of the day in which its records show too little; `needed` such intervals let anyone replace
    it, None where the rules let nobody be replaced against its will."""

    account: int
    intervals: tuple[int, ...]
    needed: int | None

    @property
    def replaceable(self) -> bool:
        return self.needed is not None and len(self.intervals) >= self.needed


def failing(ctx: Context, session_id: int) -> list[Failing]:
    """Sellers whose records show a failure, by account."""
    view = sessions.view(ctx, session_id)
    exempted = sessions.exempted(ctx, session_id)
    records = sessions.records(ctx, session_id)
    found = []
    for row in view.rows:
        if row.live and row.side is Side.OFFER and row.account in records:
            shown = delivered(records[row.account], view.terms.direction, view.terms.zone.intervals)
            if missed := failed(view.rules, view.terms, row, shown, exempted.get(row.account, 0)):
                found.append(Failing(row.account, missed, view.rules.replace_after or None))
    return sorted(found, key=lambda one: one.account)


def reserves(
    ctx: Context, session_id: int, account: int, intervals: Sequence[int] = (), *, forced: bool = False
) -> list[StandIn]:
    """Merit order of who could take over from `account` in `intervals` (all that are still to come, where none are given);
    `forced` counts only what needs no consent."""
    view = _replaceable(ctx, session_id)
    open_ = _open_intervals(ctx, view, intervals)
    assert view.certificates is not None
    sold = {row.account: ctx.client.sold(row.account, view.terms.day) for row in view.rows if row.live and row.reserves}
    with_rules = view.rules if forced else None
    return merit_order(view.terms, view.certificates, view.rows, account, open_, sold, with_rules)


def consent(
    ctx: Context, session_id: int, account: int, reserve: int, intervals: Sequence[int], nonce: int, deadline: int
) -> ReplacementConsent:
    """What the member signs so that `reserve` takes over; `most` is what that costs now."""
    view = _replaceable(ctx, session_id)
    wanted = _open_intervals(ctx, view, intervals)
    failing, taking = (view.rows[_row(view, which, who)] for which, who in (("account", account), ("reserve", reserve)))
    assert view.certificates is not None
    extras = change(view.terms, view.certificates, failing, taking, wanted).extras
    return ReplacementConsent(session_id, account, reserve, sum(1 << t for t in wanted), sum(extras), nonce, deadline)


def replace_by_proof(ctx: Context, session_id: int, account: int, intervals: Sequence[int] = ()) -> list[str]:
    """Has reserves take over from a member whose records show that it fails, cheapest first; returns what was done."""
    shown = next((one for one in failing(ctx, session_id) if one.account == account), None)
    if shown is None or not shown.replaceable:
        needed = "the rules let nobody be replaced against its will" if shown and shown.needed is None else "its consent"
        missed = f"failures in {list(shown.intervals)}" if shown else "no failure in its records"
        raise _refused("account", f"records that show failures, or {needed}", missed)
    plan = reserves(ctx, session_id, account, intervals, forced=True)
    batches = sessions.batches(ctx, session_id)
    words, _ = supply(batches, [account])
    held = [batch for batch in batches if any(entry.account == account for entry in batch)]  # as `supply` takes them
    picks = failure_picks([(b, e) for b, batch in enumerate(held) for e, entry in enumerate(batch) if entry.account == account])
    encode = partial(ctx.client.encode_replace_by_proof, batches=words, picks=picks)
    return [_send(ctx, session_id, account, call, encode) for call in plan]


def replace_by_consent(ctx: Context, session_id: int, given: ReplacementConsent, signed: SignedConsent) -> list[str]:
    """Carries a replacement that the member has agreed to."""
    view = _replaceable(ctx, session_id)
    wanted = _open_intervals(ctx, view, [t for t in range(96) if given.intervals >> t & 1])
    stand_in = StandIn(given.reserve, tuple(wanted), (), given.most)
    encode = partial(ctx.client.encode_replace_by_consent, consent=signed)
    return [_send(ctx, session_id, given.account, stand_in, encode)]


def replace_failing(ctx: Context, session_id: int) -> list[str]:
    """Proves the failures that running days show and replaces whoever can be replaced now; nothing where nobody fails, no
    interval is to come or no reserve is left."""
    view = sessions.view(ctx, session_id)
    if not view.rules.replace_after or not _to_come(ctx, view) or not any(row.live and row.reserves for row in view.rows):
        return []
    done = proving.prove(ctx, view, proving.rested(ctx, view, _shown(ctx, view)))
    for one in failing(ctx, session_id):
        if one.replaceable:
            done += replace_by_proof(ctx, session_id, one.account)
    return done


def _shown(ctx: Context, view: sessions.SessionView) -> dict[int, int]:
    """Per seller the intervals in which its windows show a failure that is not recorded, where these are enough to replace it:
    and a reserve could take over: only such intervals are proven before the day is over. It is on nobody's word, since the
    proof has to hold."""
    terms, now = view.terms, ctx.now()
    records, exempted = sessions.records(ctx, terms.session), sessions.exempted(ctx, terms.session)
    over = [t for t in terms.intervals if terms.zone.interval_start(terms.day, t + 1) <= now]
    found = {}
    for row in view.rows:
        if not (row.live and row.side is Side.OFFER and any(row.fills)):
            continue
        windows = metering.windows(ctx, row.account, terms.day)
        if not windows or windows[-1].day != terms.day:
            continue  # most sellers, most of the time: without asking the chain
        admissible = ctx.client.admissible(terms.zone.number, row.account, terms.day)
        if not provable(windows, admissible, terms.day):
            continue  # settlement will say why
        usual = baseline(windows, admissible)
        metered = windows[-1].readings
        seen = {t: terms.direction.sign * (usual[t] - wh) for t in over if (wh := metered[t]) is not None}
        known = delivered(records.get(row.account, ()), terms.direction, terms.zone.intervals)
        missed = failed(view.rules, terms, row, {**seen, **known}, exempted.get(row.account, 0))
        new = sum(1 << t for t in missed if t not in known)
        if new and len(missed) >= view.rules.replace_after and reserves(ctx, terms.session, row.account, forced=True):
            found[row.account] = new
    return found


def _send(ctx: Context, session_id: int, account: int, call: StandIn, encode: Callable[[Change], Call]) -> str:
    view = sessions.view(ctx, session_id)
    assert view.clearing is not None
    words = groups_of(view.rows)
    first, second = (
        divmod(_row(view, which, who), GROUP_ROWS) for which, who in (("account", account), ("reserve", call.reserve))
    )
    change_ = Change(
        session_id,
        sum(1 << t for t in call.intervals),
        Place(*first, words[first[0]]),
        Place(*second, () if second[0] == first[0] else words[second[0]]),
        view.clearing.certificate_words,
        view.rules.words(),
    )
    ctx.send("replace", "operator", encode(change_), session_id)
    return f"session {session_id}: account {call.reserve} takes over from {account} in intervals {list(call.intervals)}"


def _replaceable(ctx: Context, session_id: int) -> sessions.SessionView:
    view = sessions.view(ctx, session_id)
    if view.state not in REPLACEABLE or view.clearing is None or view.certificates is None:
        raise Refused(
            f"Nobody can be replaced in session {session_id}.",
            status=409,
            field="session",
            expected="a session that is cleared from its log and has intervals to come",
            got=view.state.name.title().replace("_", ""),
        )
    return view


def _to_come(ctx: Context, view: sessions.SessionView) -> list[int]:
    """Intervals of the session that have not begun."""
    now, terms = ctx.now(), view.terms
    return [t for t in terms.intervals if terms.zone.interval_start(terms.day, t) > now]


def _open_intervals(ctx: Context, view: sessions.SessionView, wanted: Sequence[int]) -> list[int]:
    """Intervals that can be replaced: to come, and under auction nowhere. Those asked for must be among them."""
    held = ctx.client.auctioned(view.terms.zone.number, view.terms.day)
    open_ = [t for t in _to_come(ctx, view) if not held >> t & 1]
    if foreign := sorted(set(wanted) - set(open_)):
        raise _refused("intervals", f"some of {open_}, which have not begun and are under auction nowhere", str(foreign))
    return sorted(set(wanted)) or open_


def _row(view: sessions.SessionView, which: str, account: int) -> int:
    place = next((n for n, row in enumerate(view.rows) if row.account == account and row.live and row.side is Side.OFFER), None)
    if place is None:
        raise _refused(which, f"an account with a live offer in session {view.terms.session}", str(account))
    return place


def _refused(field: str, expected: str, got: str) -> Refused:
    return Refused("This replacement is not possible.", status=409, field=field, expected=expected, got=got)
