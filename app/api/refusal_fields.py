"""Which of a request's fields a contract's refusal is about, and what it says was expected and what came."""

from __future__ import annotations

from app.errors import FieldError
from contracts.refusals import ContractRefusal, sentence

FIELDS = {
    "AccountInOtherZone": ("account", "an account of zone {expected}", "account {account} of zone {zone}"),
    "AlreadySold": ("intervals", "intervals of {day:day} that account {account} has not sold", "{intervals:list}"),
    "BatchTooLong": ("words", "at most {largest} words", "{words}"),
    "BodyPadding": ("words", "no bits outside quantities and limits in word {word}", "{body:#x}"),
    "BothSides": ("side", "one side for each owner in a cooperative session", "{owner} on the other side"),
    "ChallengeOpen": ("session", "a challenge that is over, from {challengeEnd:time} on", "{session}"),
    "ChallengeOver": ("session", "a proposal before {challengeEnd:time}", "{session}"),
    "ConsentExpired": ("deadline", "at least {timestamp} (chain time)", "{deadline}"),
    "ConsentNotSigned": ("signature", "a signature by {signer} over ReplacementConsent", "another"),
    "CounterMismatch": ("counter", "{counter}", "{supplied}"),
    "DeadlinePassed": ("deadline", "at least {timestamp} (chain time)", "{deadline}"),
    "EarlierDayUncommitted": ("session", "no promises of {day:day} that are not committed", "some in zone {zone}"),
    "EnvelopeExceeded": ("steps.quantities", "at most the device envelope of {envelope} Wh in all steps", "{quantity}"),
    "ExcludedAlready": ("session", "a session without excluded orders", "{session}"),
    "ExemptionNotInSession": ("intervals", "some of {mask:list}", "{intervals:list}"),
    "ExemptionTooLate": ("session", "an exemption until {deadline:time}", "{timestamp:time}"),
    "ExtraAboveConsent": ("most", "at least {extra} micro-euro", "{most}"),
    "ExtraAboveLock": ("account", "{extra} micro-euro locked in the row of account {account}", "{lock} micro-euro"),
    "FieldOutOfRange": ("date", "at most {largest:day}", "{value:day}"),
    "GateAlreadyClosed": ("session", "a gate that closes after now", "{gateClose:time}"),
    "GateInPast": ("gate_close", "after {timestamp:time}", "{gateClose:time}"),
    "HeaderFields": ("words", "a {field} that goes with the rest of the header at word {word}", "another"),
    "HeaderPadding": ("words", "no bits outside the fields of the header at word {word}", "{header:#x}"),
    "HolidayNotInFuture": ("dates", "a day after {today:day}", "{day:day}"),
    "IntervalBegun": ("intervals", "intervals that have not begun", "[{interval}], which began at {start:time}"),
    "IntervalsRefused": ("intervals", "some of {mask:list}", "{intervals:list}"),
    "IntervalsUnderAuction": ("intervals", "intervals of {day:day} that no other session holds", "{intervals:list}"),
    "KeyDayInPast": ("from_day", "at least {earliest}", "{fromDay}"),
    "KeyDayNotLater": ("from_day", "after {lastDay}, the first day of the key before", "{fromDay}"),
    "KeyTaken": ("x, y", "a key that no account has", "the key of account {account}"),
    "LimitAboveCap": ("words", "a limit up to {cap} in interval {interval}", "{limit}"),
    "LimitWithoutQuantity": ("words", "no limit where interval {interval} has no quantity", "{limit}"),
    "LockMismatch": ("words", "a lock of {lock} micro-euro in the header at word {word}", "{stated} micro-euro"),
    "LockTooLarge": ("words", "a collateral that the vault can hold", "{lock} micro-euro"),
    "MaskOutOfRange": ("intervals", "at least one interval from 0 and below {dayIntervals}", "{mask:list}"),
    "NoAccount": ("words", "an account in the header at word {word}", "0"),
    "NoMeterKey": ("account", "an account with a meter key in force on {day:day}", "{account}"),
    "NoOwner": ("owner", "an address other than zero", "zero"),
    "NonceUsed": ("nonce", "a number not used before", "{nonce}"),
    "NotAReserve": ("reserve", "an account with a reserve in the session", "{account}"),
    "NotASeller": ("account", "an account that has sold in the session", "{account}"),
    "NotAllowed": ("signer", "the owner of account {account}, or of its delegate", "{signer}"),
    "NotBetter": ("session", "a proposal with the welfare {needed} or more", "{welfare}"),
    "NotCleared": ("session", "a session that is cleared", "{session}"),
    "NotDelegate": ("words", "the delegate of account {account}", "account {agent}"),
    "NotDeliveredYet": ("session", "a session whose last interval is over, from {end:time} on", "{timestamp:time}"),
    "NotEnoughAvailable": ("account", "{needed} micro-euro available to account {account}", "{available} micro-euro"),
    "NotReplaceable": ("session", "a session whose rows can be replaced", "{session}"),
    "NothingOffered": ("reserve", "a reserve that offers something in interval {interval}", "{reserve}"),
    "NothingProposed": ("session", "a session with a proposal", "{session}"),
    "NothingToReplace": ("account", "an account that has sold something in interval {interval}", "{account}"),
    "ParentNotLive": ("parent", "a live order", "side {side} of account {account}"),
    "ParentOfOtherPayer": ("parent", "an order that account {payer} pays for", "one that account {parentPayer} pays for"),
    "ProofDeadlinePassed": ("session", "a proof until {deadline:time}", "{timestamp:time}"),
    "QuantityBelowMinimum": ("words", "at least {minimum} Wh in interval {interval}", "{quantity} Wh"),
    "ReasonLength": ("reason", "1 to {longest} bytes", "{length} bytes"),
    "ReplacementNotForced": ("session", "a session whose rules let members be replaced against their will", "{session}"),
    "ReserveHasSold": ("reserve", "a reserve that has not sold these intervals of the day", "{intervals:list}"),
    "ReserveTaken": ("reserve", "a reserve without a fill in interval {interval}", "{reserve}"),
    "SameRow": ("reserve", "another account than the one that is replaced", "{account}"),
    "SignatureRefused": ("signature", "a signature by {signer} over OrderBatch", "another"),
    "StepsWithoutQuantity": ("words", "one step in an order without quantities", "{steps} steps at word {word}"),
    "TooDear": ("reserve", "at most {most} micro-euro more in interval {interval}", "{extra} micro-euro"),
    "TooFewFailures": ("account", "failures in {needed} intervals", "{failures}"),
    "TooManyKeys": ("account", "an account that may have another meter key", "{account}"),
    "UnknownAccount": ("account", "a registered account", "{account}"),
    "UnknownSession": ("session", "a known session", "{session}"),
    "UnknownZone": ("zone", "a known zone", "{zone}"),
    "WrongState": ("session", "a session that is {expected:state}", "{state:state}"),
    "WrongZone": ("zone", "zone {expected}, where account {account} has its meter", "{zone}"),
}
"""Per custom error that a request can meet: the field, what was expected and what came. What a service itself got wrong (a
certificate, a proof, rows) is about no field of a request; of a session's fields only the date can be out of range, the others
are refused before."""


def fields_of(refusal: ContractRefusal) -> list[FieldError]:
    """The refused field, or none where the refusal is about none."""
    if refusal.error_name not in FIELDS:
        return []
    return [FieldError(*(sentence(template, refusal.arguments) for template in FIELDS[refusal.error_name]))]
