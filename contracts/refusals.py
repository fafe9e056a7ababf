"""What a contract says when it refuses: one exception for every backend, with a sentence that a person understands."""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from contracts.abi import decode
from contracts.artifacts import all_errors
from contracts.encoding import intervals_of
from contracts.times import calendar, utc

STATES = ("Scheduled", "Open", "Closed", "Cleared", "UnderReview", "Delivering", "Settling", "Settled", "Cancelled")


class _Sentence(string.Formatter):
    """Formats what contracts count in: the intervals of a mask as a `list`, a `day` and a `time` in UTC, a session's `state` as
    its name."""

    def format_field(self, value: Any, format_spec: str) -> str:
        match format_spec:
            case "list":
                return str(list(intervals_of(value)))
            case "day":
                return calendar(value)
            case "time":
                return utc(value)
            case "state":
                return STATES[value]
        return str(super().format_field(value, format_spec))


def sentence(template: str, arguments: Mapping[str, Any]) -> str:
    """`template` with the values of an error's arguments."""
    return _Sentence().vformat(template, (), arguments)


class ContractRefusal(Exception):
    """A contract reverted. `error_name` is the custom error's name (`Error` and `Panic` for Solidity's own, `OutOfGas` and
    `Reverted` where there is no data), `arguments` its values by name, `message` the sentence."""

    def __init__(self, error_name: str, arguments: dict[str, Any], message: str) -> None:
        super().__init__(message)
        self.error_name = error_name
        self.arguments = arguments
        self.message = message


MESSAGES = {
    "AboveParent": "the order at position {position} has the ratio {ratio} ppm, more than its parent's {parentRatio}",
    "AccessControlBadConfirmation": "a role can only be renounced by the account that holds it",
    "AccessControlUnauthorizedAccount": "{account} does not hold the role that this needs",
    "AccountInOtherZone": "account {account} belongs to zone {zone}, the session to zone {expected}",
    "AgentMissing": "account {account}: an agent that pays must be named",
    "AlertMissing": "a decision about session {session} names no alert",
    "AlreadySold": "account {account} has sold intervals {intervals:list} of {day:day} already",
    "BatchEmpty": "a batch of the call has no order",
    "BatchNotProven": "the supplied batch {batch} of entries was not proven for session {session}",
    "BatchTooLong": "the batch has {words} words, {largest} are the most",
    "BeyondLimit": "the block at position {position} comes to {byLimit} by its limits and to {byPrice} by the prices",
    "BodyPadding": "word {word} of the batch has bits outside its quantities and limits",
    "BothSides": "{owner} stands on the other side of the cooperative session {session} already",
    "CallsExhausted": "the market took its {calls} calls",
    "CertificateBits": "interval {interval}: the certificate has bits outside its fields",
    "CertificateLength": "the certificate has {length} words, the session {expected} intervals",
    "CertificateMismatch": "the supplied certificate is not the accepted one of session {session}",
    "CertificateWithoutVolume": "interval {interval}: nothing is traded, but the certificate is not the one that says so",
    "CertificateWord": "interval {interval}: the certificate word {word:#x} is no price and volume of blocks",
    "ChallengeOpen": "proposals for session {session} are taken until {challengeEnd:time}; it can be accepted then",
    "ChallengeOver": "proposals for session {session} were taken until {challengeEnd:time}",
    "CircuitRefused": "no second circuit for {accounts} accounts, and none for nobody",
    "ConsentExpired": "the consent was valid until {deadline:time}, it is {timestamp:time}",
    "ConsentNotSigned": "the signature is not {signer}'s for this replacement",
    "ConsentRefused": "the signature is not {signer}'s for account {account}'s part of the list",
    "ConsentsLength": "there are {consents} consents for {members} members",
    "CountRefused": "account {account}: {count} complete days of the admissible {admissible:#x} do not make up a baseline",
    "CounterMismatch": "the counter of {signer} is {counter}, this was signed under {supplied}",
    "DayLengthNotSupported": "a day has 24, 48 or 96 intervals, got {intervals}",
    "DeadlinePassed": "what was signed was valid until {deadline:time}, it is {timestamp:time}",
    "DelegateIsSelf": "account {account} cannot be its own delegate",
    "DeliveriesForOtherDays": "{deliveries} proves days of {dayIntervals} intervals, the zone has {expected}",
    "DeliveriesNotAdmitted": "{deliveries} is not admitted as a contract that takes proofs",
    "DevelopmentKeyRefused": "verifier {verifier} has a development key; chain {chainId} is not a development chain",
    "DevelopmentOnly": "this contract is for development chains only, chain {chainId} is none",
    "DeviationOutOfRange": "entry {entry} of a batch: a deviation word has bits outside its nine deviations",
    "ERC20InsufficientAllowance": "{spender} may take {allowance} micro-euro of the token, {needed} are needed",
    "ERC20InsufficientBalance": "{sender} holds {balance} micro-euro of the token, {needed} are needed",
    "ERC20InvalidApprover": "the token does not take {approver} as approver",
    "ERC20InvalidReceiver": "the token does not take {receiver} as receiver",
    "ERC20InvalidSender": "the token does not take {sender} as sender",
    "ERC20InvalidSpender": "the token does not take {spender} as spender",
    "EarlierDayUncommitted": "{day:day} of zone {zone} has promises that are not committed: commit or release them first",
    "EntriesLength": "the entries have {length} words, not a positive multiple of {entryWords}",
    "EntryAfterLive": "the entry at position {position} comes after the one that the live table names, {live}",
    "EntryIncomplete": "the entry at word {word} needs {needed} words, {left} are left",
    "EntryPadding": "entry {entry} of a batch has bits outside account, count and mask",
    "EnvelopeExceeded": "account {account} offers {quantity} Wh in an interval, its device envelope is {envelope} Wh",
    "EnvelopeOutOfRange": "an envelope of {wh} Wh an interval is too large",
    "ExcludedAlready": "orders of session {session} have been excluded already, which is done once",
    "ExcludedEmpty": "the list of excluded orders is empty",
    "ExcludedMismatch": "the excluded orders are not those that the guardian listed for session {session}",
    "ExcludedOrder": "word {word:#x} in place {place} of the excluded orders is no order, or out of order",
    "ExemptionNotInSession": "the intervals {intervals:list} are none, or no part of {mask:list} of session {session}",
    "ExemptionTooLate": "exemptions of session {session} were taken until {deadline:time}, it is {timestamp:time}",
    "ExtraAboveConsent": "the replacement costs {extra} micro-euro more, the member has consented to {most}",
    "ExtraAboveLock": "replacing account {account} costs {extra} micro-euro more, its row has {lock} locked",
    "FieldOutOfRange": "{field}: expected at most {largest}, got {value}",
    "ForkCircuitRefused": "a fork's circuit is for days of 24, 48 or 96 intervals, one each, got {intervals}",
    "ForkIntervalOutOfRange": "a fork lies in one of {intervals} intervals or, as a whole, in number {intervals}; got {t}",
    "ForkProofRefused": "the proof does not show that the key signed two heads for {day:day} that differ in interval {t}",
    "GateAlreadyClosed": "the gate of session {session} closed at {gateClose:time}",
    "GateInPast": "the gate would close at {gateClose:time}, it is {timestamp:time} already",
    "GrossNotMet": "interval {interval}: the certificate's sum of side {side} is not the {gross} that its fills come to",
    "GroupAlreadyCommitted": "group {group} of session {session} is committed already",
    "GroupOutOfRange": "group {group} does not exist, the session has {groups}",
    "GroupsUncommitted": "{groups} groups of session {session} are not committed yet",
    "HeaderFields": "the header at word {word}: {field} does not go with the rest of it",
    "HeaderPadding": "the header at word {word} has bits outside its fields",
    "HighNotTight": "interval {interval}: a higher price than {hi} clears the same volume",
    "HintOutOfRange": "the entry at position {position} names row {hint}, the live table has {rows}",
    "HintWrongRow": "the entry at position {position} names row {hint}, which is another account's or side's",
    "HintsLength": "the hints have {length} words, which does not fit the entries",
    "HolidayNotInFuture": "{day:day} is not in the future, today is {today:day}",
    "IntakeIsPaused": "the intake of orders is paused",
    "IntervalBegun": "interval {interval} of session {session} has begun at {start:time}",
    "IntervalNotSupported": "an interval has 15, 30 or 60 minutes, got {intervalMinutes}",
    "IntervalsRefused": "the intervals {intervals:list} are none, or no part of {mask:list} of session {session}",
    "IntervalsUnderAuction": "another session holds the intervals {intervals:list} of the day under auction",
    "InvalidShortString": "a name is not a short string",
    "KeyAlreadySuspended": "the meter key is suspended already",
    "KeyDayInPast": "a meter key may be in force from day {earliest} on, got {fromDay}",
    "KeyDayNotLater": "the key's first day {fromDay} must come after the last key's, {lastDay}",
    "KeyOutOfRange": "the meter key is zero or not below the field's order",
    "KeyPointRefused": "the verifying key's point {point} is not on its curve",
    "KeyTaken": "the meter key belongs to account {account} already",
    "LevelOrder": "word {word:#x} in place {level} of the levels is out of order, empty, or has bits outside its fields",
    "LevelsIncomplete": "the levels end inside interval {interval}",
    "LevelsLeft": "the levels have {length} words, {used} were used",
    "LevelsMismatch": "the levels have hash {supplied}, those that are left {expected}",
    "LevelsNotOfBook": "interval {interval}: the levels of side {side} are not those of the log",
    "LevelsNotWanted": "session {session} is competitive and needs no levels",
    "LevelsTooEarly": "batches of session {session} are left, levels come after them",
    "LimitAboveCap": "word {word}: the limit {limit} of interval {interval} is above the session's cap {cap}",
    "LimitInsideRange": "interval {interval}: an order of side {side} has its limit inside the price range",
    "LimitWithoutQuantity": "word {word}: interval {interval} has a limit {limit} and no quantity",
    "ListLength": "the list has {words} words, {memberWords} a member are expected",
    "ListOrder": "member {member} of the list: account {account} must come after {before}",
    "LiveRowsUnused": "{hits} entries count, the live table has {rows} rows",
    "LiveTableOrder": "row {row} of the live table is out of order",
    "LockMismatch": "the header at word {word} states a lock of {stated} micro-euro, the order locks {lock}",
    "LockTooLarge": "account {account}: the collateral {lock} is more than the vault can hold",
    "LogMismatch": "the supplied orders are not the log of session {session}",
    "LowNotTight": "interval {interval}: a lower price than {lo} clears the same volume",
    "MaskNotInSession": "account {account}: the intervals {mask:list} are none, or no part of the session's {sessionMask:list}",
    "MaskOutOfRange": "the intervals {mask:list} do not fit a day of {dayIntervals} intervals, or there are none",
    "MemberBits": "account {account}: word {word} of its part has bits outside its fields",
    "ModeNotCleared": "sessions of mode {mode} such as {session} are not cleared by this contract",
    "ModeNotSupported": "mode {mode} cannot be cleared on this chain",
    "NoAccount": "the header at word {word} names no account",
    "NoBond": "there is no bond to withdraw from session {session}",
    "NoCircuit": "there is no circuit for {accounts} accounts",
    "NoForkCircuit": "there is no circuit for forks of days of {intervals} intervals",
    "NoMeterKey": "account {account} has no meter key in force on {day:day}",
    "NoOwner": "an account needs an owner",
    "NonceUsed": "the nonce {nonce} of {signer} is used",
    "NotAReserve": "the row of account {account} is not a reserve's",
    "NotASeller": "the row of account {account} is not a seller's",
    "NotAllowed": "{signer} is neither owner nor delegate of account {account}",
    "NotAwardable": "session {session} is {state:state}, requests are awarded while they are open or closed",
    "NotBetter": "the proposal for session {session} has the welfare {welfare}, at least {needed} are needed",
    "NotCleared": "session {session} is not cleared, which this needs",
    "NotCommittable": "session {session} is {state:state}: groups are committed once a clearing stands",
    "NotDelegate": "account {agent} is not the delegate of account {account}",
    "NotDeliveredYet": "the last interval ends at {end:time}, it is {timestamp:time}",
    "NotDso": "{caller} may not open requests",
    "NotEnoughAvailable": "account {account} has {available} micro-euro available, {needed} are needed",
    "NotEnoughEscrow": "session {session} holds {escrow} micro-euro, {needed} are needed",
    "NotEnoughLocked": "account {account} has {locked} micro-euro locked, {needed} are needed",
    "NotGuardian": "{caller} is not the guardian",
    "NotOwner": "{caller} does not own account {account}",
    "NotReplaceable": "rows of session {session} cannot be replaced now",
    "NotReplacement": "{caller} may not change rows that are committed",
    "NotRequestMode": "mode {mode} is not that of requests",
    "NotResults": "{caller} does not know the results of sessions of mode {mode}",
    "NotTheResults": "{caller} does not know the results of session {session}",
    "NotThisContract": "session {session} takes its proofs at {deliveries}",
    "NotUnderAuction": "session {session} holds no interval under auction",
    "NothingFilled": "the block at position {position} has the ratio {ratio} ppm and fills nothing",
    "NothingToJoin": "expected at least two records to join, got {records}",
    "NothingOffered": "the reserve of account {reserve} offers nothing in interval {interval}",
    "NothingProposed": "nobody has proposed anything for session {session}",
    "NothingReceived": "nothing arrived for account {account}",
    "NothingTaken": "the call takes no batch of session {session}, and others are left",
    "NothingToReplace": "account {account} has sold nothing in interval {interval}",
    "OffsetOutOfRange": "the offset {offset} s is more than 14 hours",
    "OrderRefused": "the signature is not {signer}'s for this list of session {session}",
    "OutcomeUnknown": "the outcome of a decision is 0 (dismissed) or 1 (confirmed), got {outcome}",
    "ParameterOutOfRange": "{parameter}: expected {least} to {largest}, got {value}",
    "ParentNotLive": "the parent of the order at position {position}, side {side} of account {account}, is not live",
    "ParentOfOtherPayer": "account {payer} pays for the order at position {position}, account {parentPayer} for its parent",
    "PauseUnchanged": "the intake's pause is {paused} already",
    "PickOfOtherAccount": "a pick names an entry of account {account}, the row is account {expected}'s",
    "PickOutOfRange": "there is no entry {entry} in a supplied batch {batch}",
    "PickOverlaps": "account {account}: picked entries share the intervals {intervals:list}",
    "PicksIncomplete": "{needed} picks are needed next, {supplied} are there",
    "PicksLeftOver": "the picks have {words} words, {used} picks of 32 bits were used",
    "PriceAboveCap": "the price {price} of interval {interval} is above the session's cap {cap}",
    "PriceOutOfRange": "interval {interval}: the price {price} or the volume {volume} Wh is out of range",
    "PriceWithoutPromise": "account {account}: interval {interval} has a price {price} and no promise",
    "PricesLength": "{prices} prices and {volumes} volumes, expected {expected} each",
    "PricesOutsideBand": "without the excluded orders the prices of session {session} still lie outside their bands",
    "PromiseEmpty": "account {account} promises nothing",
    "PromiseOutOfRange": "account {account}: interval {interval} promises {quantity} Wh, expected {least} to {largest}",
    "ProofDeadlinePassed": "proofs of session {session} were taken until {deadline:time}, it is {timestamp:time}",
    "ProofRefused": "proof {batch} of the call does not hold for its words of session {session}",
    "QuantityBelowMinimum": "word {word}: the quantity {quantity} Wh of interval {interval} is below the minimum {minimum}",
    "RangeReversed": "interval {interval}: the price range {lo}..{hi} is reversed",
    "RatingOutOfRange": "a rating is 1 to {best}, got {rating}",
    "RatioOutOfRange": "the order at position {position}: the ratio {ratio} ppm is neither 0 nor between {minFill} and 1000000",
    "ReasonLength": "a reason has 1 to {longest} bytes, got {length}",
    "RecordOverlaps": "account {account}: intervals {recorded:list} are recorded, {mask:list} overlaps them in part",
    "RecordsLeftOut": "account {account}: what is recorded of intervals {intervals:list} is not among the picks",
    "ReentrancyGuardReentrantCall": "the vault was called from within itself",
    "ReplacementNotForced": "the rules of session {session} let nobody be replaced against its will",
    "ReserveHasSold": "account {reserve} has sold the intervals {intervals:list} of the day already",
    "ReserveNotFinal": "account {account}: the reserve in session {session} is held until delivery ends at {deliveryEnd:time}",
    "ReserveTaken": "the reserve of account {reserve} has a fill in interval {interval} already",
    "RestMissing": "interval {interval}: the certificate leaves nothing to share at the margin, where something has to be",
    "RestNotUsed": "interval {interval}: {left} Wh of side {side} at the range's end are left unfilled",
    "ResultsAlreadySet": "the results of mode {mode} are {results}'s already",
    "RoundedUpForNothing": "the block at position {position} is rounded up in intervals {intervals:list} without need",
    "RowNotToSettle": "row {row} of group {group} has nothing to settle",
    "RowOutOfRange": "a chosen row is none of the {rows} supplied",
    "RowSettled": "row {row} of group {group} of session {session} is settled already",
    "RowsAlreadySettled": "rows from group {group} on are settled already: {bits:#x}",
    "RowsMismatch": "the supplied rows are not group {group} of session {session}",
    "RulesHeader": "the rule set's header {header:#x} has bits outside its fields",
    "RulesLength": "the rule set has {length} words, expected {expected}",
    "RulesPoint": "word {word} of the rule set: the point ({x}, {y}) is out of order or above {largest}",
    "RulesPoints": "a curve has 1 to 16 points, got {pay} for pay and {penalty} for penalty",
    "RulesVersion": "rule sets have version 1, got {version}",
    "SafeERC20FailedOperation": "the token {token} refused the transfer",
    "SameRow": "account {account} cannot replace itself",
    "SellerNotFinal": "account {account}: nothing is recorded of intervals {missing:list} until {proofDeadline:time}",
    "SellersFirst": "{sellersLeft} seller rows of session {session} are left, buyers come after them",
    "SignatureRefused": "the signature is not {signer}'s for this batch",
    "SizesMismatch": "the batch sizes add up to {sum}, the log has {words} words",
    "StateLength": "the supplied state has {length} words, expected {expected}",
    "StateMismatch": "the supplied state is not what the last call for this clearing of session {session} left",
    "StepsInBlock": "the block at position {position} has {steps} steps, expected one",
    "StepsWithoutQuantity": "the entry at word {word} has {steps} steps and no quantity; one step cancels",
    "StringTooLong": "a name is too long",
    "SumTooLarge": "interval {interval}: {promised} Wh and {gross} of gross are more than a result row can hold",
    "SuppliedDataMismatch": "the supplied {what} are not those of session {session}",
    "SurplusNotShared": "interval {interval}: buyers' {buyers} and sellers' {sellers} do not share the surplus equally",
    "TableBits": "row {row} of the table has bits outside its fields: {word:#x}",
    "TableOrder": "row {row} of the table is out of order",
    "TargetBits": "the target's word {word} has bits beyond the session's last interval",
    "TargetEmpty": "the target asks for nothing",
    "TargetLength": "the target has {words} words, expected {expected}",
    "TargetMismatch": "the supplied target is not that of session {session}",
    "TargetMissed": "interval {interval}: {promised} Wh are promised, {target} +- {tolerance} are asked for",
    "TimesOutOfOrder": "{earlier} ({earlierTime:time}) must not come after {later} ({laterTime:time})",
    "TokenDecimals": "money has 6 decimals, the token has {decimals}",
    "ToleranceOutOfRange": "the tolerance is {tolerancePpm} ppm, at most {largest} are allowed",
    "TooDear": "interval {interval} of session {session} would cost {extra} micro-euro more, {most} are the most",
    "TooFewFailures": "account {account} has failed in {failures} intervals, {needed} are needed",
    "TooManyAccounts": "there are {count} accounts, no more fit",
    "TooManyKeys": "account {account} has had too many meter keys",
    "TooManyZones": "there are {count} zones, no more fit",
    "Unbalanced": "interval {interval}: bids fill {bids} Wh and offers {offers}, the certificate says {volume}",
    "UnknownAccount": "account {account} does not exist",
    "UnknownKey": "no account has this meter key",
    "UnknownRequest": "session {session} is no request",
    "UnknownSession": "session {session} does not exist",
    "UnknownZone": "zone {zone} does not exist",
    "VaultFull": "the vault would hold {balance} micro-euro, more than it may",
    "VolumeNotLargest": "interval {interval}: the volume is {volume} Wh, the book's is {largest}",
    "VolumeNotMet": "interval {interval}: what fills on side {side} does not come to the volume of {volume} Wh",
    "VolumeTooLarge": "interval {interval}: side {side} fills {filled} Wh, more than a certificate can hold",
    "VolumeTooSmall": "interval {interval}: more than {volume} Wh can clear",
    "WrongPayer": "the entry at position {position} is paid by account {payer}, the table says {stated}",
    "WrongState": "session {session} is {state:state}, expected {expected:state}",
    "WrongZone": "account {account} has its meter in zone {expected}, not {zone}",
}
"""A sentence per custom error; the tests hold the table against the artifacts."""

_PANICS = {
    0x01: "an assertion failed",
    0x11: "a sum over- or underflowed",
    0x12: "a division by zero",
    0x32: "an index is out of range",
}


def refusal(data: bytes, out_of_gas: bool = False) -> ContractRefusal:
    """The exception for the bytes that a reverting call returned."""
    if len(data) < 4:
        if out_of_gas:
            return ContractRefusal("OutOfGas", {}, "the transaction ran out of gas")
        return ContractRefusal("Reverted", {}, "the contract refused without saying why")
    head, body = data[:4], data[4:]
    if head == bytes.fromhex("08c379a0"):
        text = decode([{"type": "string"}], body)[0]
        return ContractRefusal("Error", {"message": text}, text)
    if head == bytes.fromhex("4e487b71"):
        code = int.from_bytes(body[:32], "big")
        return ContractRefusal("Panic", {"code": code}, f"the contract stopped: {_PANICS.get(code, f'panic {code:#x}')}")
    entry = all_errors().get(head)
    if entry is None:
        return ContractRefusal("Unknown", {"data": data.hex()}, f"the contract refused with unknown data 0x{data.hex()}")
    arguments = dict(zip([p["name"] for p in entry["inputs"]], decode(entry["inputs"], body), strict=True))
    return ContractRefusal(entry["name"], arguments, sentence(MESSAGES[entry["name"]], arguments))
