"""What a contract says when it refuses: one exception for every backend, with a sentence that a person understands."""

from __future__ import annotations

from typing import Any

from contracts.abi import decode
from contracts.artifacts import all_errors

STATES = ("Scheduled", "Open", "Closed", "Cleared", "UnderReview", "Delivering", "Settling", "Settled", "Cancelled")


class ContractRefusal(Exception):
    """A contract reverted. `error_name` is the custom error's name (`Error` and `Panic` for Solidity's own, `OutOfGas` and
    `Reverted` where there is no data), `arguments` its values by name, `message` the sentence."""

    def __init__(self, error_name: str, arguments: dict[str, Any], message: str) -> None:
        super().__init__(message)
        self.error_name = error_name
        self.arguments = arguments
        self.message = message


MESSAGES = {
    "AccessControlBadConfirmation": "a role can only be renounced by the account that holds it",
    "AccessControlUnauthorizedAccount": "{account} does not hold the role that this needs",
    "AccountInOtherZone": "account {account} belongs to zone {zone}, the session to zone {expected}",
    "AgentMissing": "account {account}: an agent that pays must be named",
    "AlreadySold": "account {account} has sold intervals {intervals:#x} of day {day} already",
    "BatchEmpty": "the batch has no order",
    "BatchNotProven": "the supplied batch {batch} of entries was not proven for session {session}",
    "BodyPadding": "word {word} of the batch has bits outside its quantities and limits",
    "CertificateBits": "interval {interval}: the certificate word {word:#x} has bits above bit 184",
    "CertificateLength": "the certificate has {length} words, the session {expected} intervals",
    "CircuitRefused": "no second circuit for {accounts} accounts, and none for nobody",
    "ConsentRefused": "the signature is not {signer}'s for account {account}'s part of the list",
    "ConsentsLength": "there are {consents} consents for {members} members",
    "CountRefused": "account {account}: {count} complete days of the admissible {admissible:#x} do not make up a baseline",
    "DayLengthNotSupported": "a day has 24, 48 or 96 intervals, got {intervals}",
    "DeadlinePassed": "the signed batch was valid until {deadline}, it is {timestamp}",
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
    "EarlierDayUncommitted": "day {day} of zone {zone} has promises that are not committed: commit or release them first",
    "EntriesLength": "the entries have {length} words, not a positive multiple of {entryWords}",
    "EntryAfterLive": "the entry at position {position} comes after the one that the live table names, {live}",
    "EntryIncomplete": "the entry at word {word} needs {needed} words, {left} are left",
    "EntryPadding": "entry {entry} of a batch has bits outside account, count and mask",
    "FieldOutOfRange": "{field}: expected at most {largest}, got {value}",
    "ForkCircuitRefused": "a fork's circuit is for days of 24, 48 or 96 intervals, one each, got {intervals}",
    "ForkIntervalOutOfRange": "a fork lies in one of {intervals} intervals or, as a whole, in number {intervals}; got {t}",
    "ForkProofRefused": "the proof does not show that the key signed two heads for day {day} that differ in interval {t}",
    "GateAlreadyClosed": "the gate of session {session} closed at {gateClose}",
    "GateInPast": "the gate would close at {gateClose}, it is {timestamp} already",
    "GroupAlreadyCommitted": "group {group} of session {session} is committed already",
    "GroupOutOfRange": "group {group} does not exist, the session has {groups}",
    "GroupsUncommitted": "session {session} is not cleared, or {groups} of its groups are not committed yet",
    "HeaderPadding": "the header at word {word} has bits outside account, steps and side",
    "HighNotTight": "interval {interval}: a higher price than {hi} clears the same volume",
    "HintOutOfRange": "the entry at position {position} names row {hint}, the live table has {rows}",
    "HintWrongRow": "the entry at position {position} names row {hint}, which is another account's or side's",
    "HintsLength": "the hints have {length} words, the log needs {expected}",
    "HolidayNotInFuture": "day {day} is not in the future, today is {today}",
    "IntakeIsPaused": "the intake of orders is paused",
    "IntervalNotSupported": "an interval has 15, 30 or 60 minutes, got {intervalMinutes}",
    "IntervalsUnderAuction": "another session holds intervals {intervals:#x} of day {day} in zone {zone} under auction",
    "InvalidShortString": "a name is not a short string",
    "KeyAlreadySuspended": "the meter key is suspended already",
    "KeyDayInPast": "a meter key may be in force from day {earliest} on, got {fromDay}",
    "KeyDayNotLater": "the key's first day {fromDay} must come after the last key's, {lastDay}",
    "KeyOutOfRange": "the meter key is zero or not below the field's order",
    "KeyPointRefused": "the verifying key's point {point} is not on its curve",
    "KeyTaken": "the meter key belongs to account {account} already",
    "LimitAboveCap": "word {word}: the limit {limit} of interval {interval} is above the session's cap {cap}",
    "LimitInsideRange": "interval {interval}: an order of side {side} has its limit inside the price range",
    "LimitWithoutQuantity": "word {word}: interval {interval} has a limit {limit} and no quantity",
    "ListLength": "the list has {words} words, {memberWords} a member are expected",
    "ListOrder": "member {member} of the list: account {account} must come after {before}",
    "LiveRowsUnused": "{hits} entries count, the live table has {rows} rows",
    "LiveTableOrder": "row {row} of the live table is out of order",
    "LockTooLarge": "account {account}: the collateral {lock} is more than the vault can hold",
    "LogMismatch": "the supplied orders are not the log of session {session}",
    "LowNotTight": "interval {interval}: a lower price than {lo} clears the same volume",
    "MaskNotInSession": "account {account}: the intervals {mask:#x} are none, or no part of the session's {sessionMask:#x}",
    "MaskOutOfRange": "the intervals {mask:#x} do not fit a day of {dayIntervals} intervals, or there are none",
    "MemberBits": "account {account}: word {word} of its part has bits outside its fields",
    "ModeNotSupported": "mode {mode} cannot be cleared on this chain",
    "MoverNotAllowed": "{caller} may not move money",
    "NoAccount": "the header at word {word} names no account",
    "NoCircuit": "there is no circuit for {accounts} accounts",
    "NoForkCircuit": "there is no circuit for forks of days of {intervals} intervals",
    "NoMeterKey": "account {account} has no meter key in force on day {day}",
    "NoOwner": "an account needs an owner",
    "NonceUsed": "the nonce {nonce} of {signer} is used",
    "NotAllowed": "{signer} is neither owner nor delegate of account {account}",
    "NotAwardable": "session {session} is {state}, requests are awarded while they are open or closed",
    "NotCleared": "session {session} is {state}, proofs are taken once it is cleared",
    "NotDeliveredYet": "the last interval ends at {end}, it is {timestamp}",
    "NotDso": "{caller} may not open requests",
    "NotEnoughAvailable": "account {account} has {available} micro-euro available, {needed} are needed",
    "NotEnoughEscrow": "session {session} holds {escrow} micro-euro, {needed} are needed",
    "NotEnoughLocked": "account {account} has {locked} micro-euro locked, {needed} are needed",
    "NotOwner": "{caller} does not own account {account}",
    "NotRequestMode": "mode {mode} is not that of requests",
    "NotResults": "{caller} does not know the results of sessions of mode {mode}",
    "NotThisContract": "session {session} takes its proofs at {deliveries}",
    "NotUnderAuction": "session {session} holds no interval under auction",
    "NothingReceived": "nothing arrived for account {account}",
    "OffsetOutOfRange": "the offset {offset} s is more than 14 hours",
    "OrderRefused": "the signature is not {signer}'s for this list of session {session}",
    "ParameterOutOfRange": "{parameter}: expected {least} to {largest}, got {value}",
    "PauseUnchanged": "the intake's pause is {paused} already",
    "PickOfOtherAccount": "a pick names an entry of account {account}, the row is account {expected}'s",
    "PickOutOfRange": "there is no entry {entry} in a supplied batch {batch}",
    "PickOverlaps": "account {account}: picked entries share the intervals {intervals:#x}",
    "PicksIncomplete": "{needed} picks are needed next, {supplied} are there",
    "PicksLeftOver": "the picks have {words} words, {used} picks of 32 bits were used",
    "PriceAboveCap": "account {account}: the price {price} of interval {interval} is above the session's cap {cap}",
    "PriceOutOfRange": "interval {interval}: the price {price} or the volume {volume} Wh is out of range",
    "PriceWithoutPromise": "account {account}: interval {interval} has a price {price} and no promise",
    "PricesLength": "{prices} prices and {volumes} volumes, expected {expected} each",
    "PromiseEmpty": "account {account} promises nothing",
    "PromiseOutOfRange": "account {account}: interval {interval} promises {quantity} Wh, expected {least} to {largest}",
    "ProofDeadlinePassed": "proofs of session {session} were taken until {deadline}, it is {timestamp}",
    "ProofRefused": "proof {batch} of the call does not hold for its words of session {session}",
    "QuantityBelowMinimum": "word {word}: the quantity {quantity} Wh of interval {interval} is below the minimum {minimum}",
    "RangeReversed": "interval {interval}: the price range {lo}..{hi} is reversed",
    "RecordOverlaps": "account {account}: intervals {recorded:#x} are recorded, {mask:#x} overlaps them in part",
    "RecordsLeftOut": "account {account}: what is recorded of intervals {intervals:#x} is not among the picks",
    "ReentrancyGuardReentrantCall": "the vault was called from within itself",
    "RestNotUsed": "interval {interval}: {left} Wh of side {side} at the range's end are left unfilled",
    "RowNotToSettle": "row {row} of group {group} has nothing to settle",
    "RowOutOfRange": "the chosen rows {which:#x} are none, or go beyond the {rows} supplied",
    "RowsAlreadySettled": "rows from group {group} on are settled already: {bits:#x}",
    "RowsMismatch": "the supplied rows are not group {group} of session {session}",
    "RulesHeader": "the rule set's header {header:#x} has bits outside its fields",
    "RulesLength": "the rule set has {length} words, expected {expected}",
    "RulesPoint": "word {word} of the rule set: the point ({x}, {y}) is out of order or above {largest}",
    "RulesPoints": "a curve has 1 to 16 points, got {pay} for pay and {penalty} for penalty",
    "RulesVersion": "rule sets have version 1, got {version}",
    "SafeERC20FailedOperation": "the token {token} refused the transfer",
    "SellerNotFinal": "account {account}: no delivery is recorded for intervals {missing:#x}, the deadline is {proofDeadline}",
    "SellersFirst": "{sellersLeft} seller rows of session {session} are left, buyers come after them",
    "SignatureRefused": "the signature is not {signer}'s for this batch",
    "SizesMismatch": "the batch sizes add up to {sum}, the log has {words} words",
    "StepsWithoutQuantity": "the entry at word {word} has {steps} steps and no quantity; one step cancels",
    "StringTooLong": "a name is too long",
    "SumTooLarge": "interval {interval}: {promised} Wh and {gross} of gross are more than a result row can hold",
    "SuppliedDataMismatch": "the supplied {what} are not those of session {session}",
    "TargetBits": "the target's word {word} has bits beyond the session's last interval",
    "TargetEmpty": "the target asks for nothing",
    "TargetLength": "the target has {words} words, expected {expected}",
    "TargetMismatch": "the supplied target is not that of session {session}",
    "TargetMissed": "interval {interval}: {promised} Wh are promised, {target} +- {tolerance} are asked for",
    "TimesOutOfOrder": "{earlier} ({earlierTime}) must not come after {later} ({laterTime})",
    "TokenDecimals": "money has 6 decimals, the token has {decimals}",
    "ToleranceOutOfRange": "the tolerance is {tolerancePpm} ppm, at most {largest} are allowed",
    "TooManyAccounts": "there are {count} accounts, no more fit",
    "TooManyKeys": "account {account} has had too many meter keys",
    "TooManyZones": "there are {count} zones, no more fit",
    "UnknownAccount": "account {account} does not exist",
    "UnknownKey": "no account has this meter key",
    "UnknownRequest": "session {session} is no request",
    "UnknownSession": "session {session} does not exist",
    "UnknownZone": "zone {zone} does not exist",
    "VaultFull": "the vault would hold {balance} micro-euro, more than it may",
    "VolumeNotMet": "interval {interval}: {beyond} Wh of side {side} fill whole and {rest} in part, the volume says {volume}",
    "VolumeTooSmall": "interval {interval}: more than {volume} Wh can clear",
    "WrongState": "session {session} is {state}, expected {expected}",
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
    shown = {
        k: STATES[v] if k in ("state", "expected") and entry["name"] in ("WrongState", "NotCleared", "NotAwardable") else v
        for k, v in arguments.items()
    }
    return ContractRefusal(entry["name"], arguments, MESSAGES[entry["name"]].format(**shown))
