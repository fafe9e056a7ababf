// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BaselineDays} from "./BaselineDays.sol";
import {OrderWords} from "./OrderWords.sol";
import {IAccounts, IDeliveries, IMarket, State, Terms} from "./Protocol.sol";
import {IVerifier, Verifiers} from "./Verifiers.sol";

/// @notice What proofs ask of Accounts.
interface IMeters is IAccounts {
    /// @return bits bit k: `first + k` is an event day of the account
    function eventDays(uint256 account, uint256 first, uint256 days_) external view returns (uint256 bits);
    /// @param entries each `size` words, the first of them `account:32 | ...`
    /// @return states per entry two words of 32 bytes: meter key in force on `day`, and `zone:16 | first day of that key:32 | event days:14`
    function metersOn(uint256 day, uint256[] calldata entries, uint256 size) external view returns (bytes memory states);
}

/// @notice What proofs ask of FlexMarket.
interface IProvenMarket is IMarket {
    /// @return agreed the terms
    /// @return reached the state
    /// @return open the first of the `days_` days before the session's on which a session of its zone is under auction, 0 where there is none
    function forProofs(uint256 session, uint256 days_) external view returns (Terms memory agreed, State reached, uint256 open);
}

/// @notice What proofs ask of Zones.
interface ICalendar {
    function intervalStart(uint256 zone, uint256 day, uint256 t) external view returns (uint256);
    function workingDays(uint256 zone, uint256 first, uint256 days_) external view returns (uint256 bits);
}

/// @title Deliveries: proven deviations of accounts in sessions
/// @notice docs/protocol.md section 9. The contract builds every public word of the statement from its own state; masks, counts and
/// deviations come from the prover. It keeps which intervals of an account are recorded and a hash per batch, and nothing else about
/// consumption.
contract Deliveries is IDeliveries {
    /// @dev Order of the BN254 scalar field.
    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// @dev A word of nine 26-bit deviations ends here.
    uint256 private constant DEVIATION_BITS = 234;
    /// @dev The first word of an entry, `account:32 | count:32 | mask:96`, ends here.
    uint256 private constant HEAD_BITS = 160;
    uint256 private constant SHARED_WORDS = 5;
    /// @dev An entry each has a bit of one word.
    uint256 private constant MAX_ACCOUNTS = 256;

    /// @notice The circuit for `accounts` accounts at once.
    struct Circuit {
        uint256 accounts;
        IVerifier verifier;
    }

    /// @notice One proof: C, the Poseidon chain over all words; per account `account:32 | count:32 | mask:96` and D deviation words; and
    /// A.x, A.y, B.x.c1, B.x.c0, B.y.c1, B.y.c0, C.x, C.y.
    struct Batch {
        uint256 chain;
        uint256[] entries;
        uint256[8] proof;
    }

    /// @dev What all statements of a call share.
    struct Known {
        uint256 session;
        uint256 zone;
        uint256 day;
        uint256 mask; // the session's
        uint256 working; // see BaselineDays
    }

    /// @dev Admissible days of the accounts with this state (see Accounts.metersOn); neighbours in a batch mostly share it.
    struct Days {
        uint256 state;
        uint256 admissible;
        uint256 number;
    }

    IMeters public immutable accounts;
    ICalendar public immutable zones;
    IProvenMarket public immutable market;
    /// @inheritdoc IDeliveries
    uint256 public immutable intervals;
    /// @dev Words of an entry, 1 + D.
    uint256 private immutable ENTRY;

    mapping(uint256 accounts => IVerifier) public verifierOf;
    /// @dev T bits an account, `256 / T` accounts a word.
    mapping(uint256 session => mapping(uint256 word => uint256)) private _recorded;
    /// @inheritdoc IDeliveries
    mapping(uint256 session => mapping(bytes32 batch => bool)) public proven;

    /// @notice `recorded` has a bit per entry: the others were recorded before.
    event Delivered(uint256 indexed session, uint256 chain, uint256 recorded, uint256[] entries, uint256[8] proof);

    /// @notice Several records of the account count as this one as well.
    event Joined(uint256 indexed session, uint256 indexed account, uint256[] entry);

    error DayLengthNotSupported(uint256 intervals);
    error CircuitRefused(uint256 accounts, address verifier);
    error NotThisContract(uint256 session, address deliveries);
    error NotCleared(uint256 session, State state);
    error MaskNotInSession(uint256 session, uint256 account, uint256 mask, uint256 sessionMask);
    error NotDeliveredYet(uint256 session, uint256 end, uint256 timestamp);
    error ProofDeadlinePassed(uint256 session, uint256 deadline, uint256 timestamp);
    error EarlierDayUncommitted(uint256 zone, uint256 day);
    error EntriesLength(uint256 length, uint256 entryWords);
    error NoMeterKey(uint256 account, uint256 day);
    error NoCircuit(uint256 accounts);
    error EntryPadding(uint256 entry, uint256 word);
    error DeviationOutOfRange(uint256 entry, uint256 word);
    error AccountInOtherZone(uint256 account, uint256 zone, uint256 expected);
    error ProofRefused(uint256 session, uint256 batch);
    error BatchNotProven(uint256 session, uint256 batch);
    error NothingToJoin(uint256 records);
    error PickOutOfRange(uint256 batch, uint256 entry);
    error PickOfOtherAccount(uint256 account, uint256 expected);
    error PickOverlaps(uint256 account, uint256 intervals);
    error RecordOverlaps(uint256 session, uint256 account, uint256 recorded, uint256 mask);

    constructor(IMeters accounts_, ICalendar zones_, IProvenMarket market_, uint256 intervals_, Circuit[] memory circuits) {
        if (intervals_ != 24 && intervals_ != 48 && intervals_ != 96) revert DayLengthNotSupported(intervals_);
        accounts = accounts_;
        zones = zones_;
        market = market_;
        intervals = intervals_;
        ENTRY = 1 + (intervals_ + 8) / 9;
        for (uint256 i; i < circuits.length; ++i) {
            (uint256 number, IVerifier verifier) = (circuits[i].accounts, circuits[i].verifier);
            if (number == 0 || number > MAX_ACCOUNTS || address(verifierOf[number]) != address(0)) {
                revert CircuitRefused(number, address(verifier));
            }
            Verifiers.requireUsable(verifier);
            verifierOf[number] = verifier;
        }
    }

    /// @notice Records proven deviations; by anyone, from the end of the last interval of every mask to the proof deadline. Entries that are
    /// recorded already are skipped. One proof that does not hold refuses them all.
    function prove(uint256 session, Batch[] calldata batches) external {
        Terms memory terms = _open(session, batches);
        Known memory known = Known(session, terms.zone, terms.day, terms.mask, _working(terms.zone, terms.day));
        address[] memory verifiers = new address[](batches.length);
        uint256[11][] memory claims = new uint256[11][](batches.length);
        for (uint256 i; i < batches.length; ++i) {
            Batch calldata batch = batches[i];
            verifiers[i] = address(verifierOf[batch.entries.length / ENTRY]);
            if (verifiers[i] == address(0)) revert NoCircuit(batch.entries.length / ENTRY);
            _claim(claims[i], batch, _words(known, batch.entries));
        }
        _verify(session, verifiers, claims);
        for (uint256 i; i < batches.length; ++i) _record(session, batches[i]);
    }

    /// @notice Makes one record of several of an account, as a batch of its own, so that settling it takes neither the many nor the batches in
    /// which they stand; by anyone, at any time, a few at a time where there are many.
    /// @param batches batches that were proven for the session or joined: the words of their entries
    /// @param picks `batch:16 | entry:16` a record, at least two, all of one account, no two over an interval
    function join(uint256 session, uint256[][] calldata batches, uint256[] calldata picks) external {
        if (picks.length < 2) revert NothingToJoin(picks.length);
        for (uint256 i; i < batches.length; ++i) {
            if (!proven[session][OrderWords.hash(batches[i])]) revert BatchNotProven(session, i);
        }
        uint256 size = ENTRY;
        uint256[] memory joined = new uint256[](size);
        for (uint256 i; i < picks.length; ++i) {
            (uint256 batch, uint256 entry) = (picks[i] & type(uint16).max, picks[i] >> 16);
            if (batch >= batches.length || entry >= batches[batch].length / size) revert PickOutOfRange(batch, entry);
            uint256[] calldata words_ = batches[batch][entry * size:(entry + 1) * size];
            uint256 account = words_[0] & type(uint32).max;
            if (i == 0) joined[0] = words_[0] & type(uint64).max;
            else if (account != joined[0] & type(uint32).max) revert PickOfOtherAccount(account, joined[0] & type(uint32).max);
            uint256 mask = words_[0] >> 64;
            if (mask & (joined[0] >> 64) != 0) revert PickOverlaps(account, mask & (joined[0] >> 64));
            joined[0] |= mask << 64;
            // zero outside its mask, which is a part of the proven statement
            for (uint256 k = 1; k < size; ++k) joined[k] |= words_[k];
        }
        proven[session][keccak256(abi.encodePacked(joined))] = true;
        emit Joined(session, joined[0] & type(uint32).max, joined);
    }

    /// @notice The public words of a batch's statement, as `prove` builds them.
    function words(uint256 session, uint256[] calldata entries) external view returns (uint256[] memory) {
        Terms memory terms = market.terms(session);
        return _words(Known(session, terms.zone, terms.day, terms.mask, _working(terms.zone, terms.day)), entries);
    }

    /// @notice gamma and y of the statement for the chain value C.
    function compress(uint256 chain, uint256[] calldata statement) external pure returns (uint256 gamma, uint256 y) {
        return _compress(chain, statement);
    }

    /// @notice 14 bits: the days that may make up the account's baseline of `day`, bit k for `day - 14 + k`.
    function admissible(uint256 zone, uint256 account, uint256 day) external view returns (uint256) {
        (uint256 key, uint256 fromDay) = accounts.keyAt(account, day);
        if (key == 0) revert NoMeterKey(account, day);
        uint256 events = accounts.eventDays(account, day - BaselineDays.DAYS, BaselineDays.DAYS);
        return BaselineDays.admissible(_working(zone, day), events, day, fromDay);
    }

    /// @return Intervals of the day that are recorded for accounts `word * (256 / T)` and following, T bits each.
    function recordedWord(uint256 session, uint256 word) external view returns (uint256) {
        return _recorded[session][word];
    }

    /// @inheritdoc IDeliveries
    function recordedOf(uint256 session, uint256 account) external view returns (uint256) {
        uint256 lanes = 256 / intervals;
        return (_recorded[session][account / lanes] >> (account % lanes * intervals)) & ((1 << intervals) - 1);
    }

    /// @return D, words of nine deviations
    function deviationWords() public view returns (uint256) {
        return ENTRY - 1;
    }

    /// @dev The terms of a session whose proofs are taken now.
    function _open(uint256 session, Batch[] calldata batches) private view returns (Terms memory terms) {
        State state;
        uint256 auctioned;
        (terms, state, auctioned) = market.forProofs(session, BaselineDays.DAYS);
        if (terms.deliveries != address(this)) revert NotThisContract(session, terms.deliveries);
        if (state != State.Cleared && state != State.Delivering && state != State.Settling) revert NotCleared(session, state);
        if (block.timestamp > terms.proofDeadline) revert ProofDeadlinePassed(session, terms.proofDeadline, block.timestamp);
        if (block.timestamp < terms.deliveryEnd) _requireDelivered(session, terms, batches);
        // A promise that is not committed yet is an event day that the baseline would not know of.
        if (auctioned != 0) revert EarlierDayUncommitted(terms.zone, auctioned);
    }

    /// @dev Reverts before the last interval of all masks has ended.
    function _requireDelivered(uint256 session, Terms memory terms, Batch[] calldata batches) private view {
        uint256 masks;
        for (uint256 i; i < batches.length; ++i) {
            uint256[] calldata entries = batches[i].entries;
            for (uint256 k; k < entries.length; k += ENTRY) masks |= entries[k] >> 64;
        }
        uint256 last; // one more than the last interval
        for (masks &= terms.mask; masks != 0; masks >>= 1) ++last;
        uint256 end = zones.intervalStart(terms.zone, terms.day, last);
        if (block.timestamp < end) revert NotDeliveredYet(session, end, block.timestamp);
    }

    function _working(uint256 zone, uint256 day) private view returns (uint256) {
        return zones.workingDays(zone, day - BaselineDays.DAYS, BaselineDays.DAYS + 1);
    }

    /// @dev Shared: chain id, this contract, session, day, session mask. Per account: index, key, admissible, mask, count, commitment 0,
    /// deviations.
    function _words(Known memory known, uint256[] calldata entries) private view returns (uint256[] memory result) {
        uint256 size = ENTRY;
        if (entries.length == 0 || entries.length % size != 0) revert EntriesLength(entries.length, size);
        uint256 number = entries.length / size;
        bytes memory meters = accounts.metersOn(known.day, entries, size);
        result = new uint256[](SHARED_WORDS + number * (size + 5));
        (result[0], result[1], result[2]) = (block.chainid, uint160(address(this)), known.session);
        (result[3], result[4]) = (known.day, known.mask);
        Days memory days_ = Days(type(uint256).max, 0, 0);
        (uint256 to, uint256 from, uint256 meter) = (0, 0, 0); // memory, calldata, memory
        assembly ("memory-safe") {
            to := add(result, 0xc0)
            from := entries.offset
            meter := add(meters, 0x20)
        }
        unchecked {
            for (uint256 i; i < number; ++i) {
                (uint256 head, uint256 state) = (0, 0);
                assembly ("memory-safe") {
                    head := calldataload(from)
                    state := mload(add(meter, 0x20))
                }
                _check(known, i, head, state, days_);
                uint256 bits;
                assembly ("memory-safe") {
                    mstore(to, and(head, 0xffffffff))
                    mstore(add(to, 0x20), mload(meter))
                    mstore(add(to, 0x40), mload(add(days_, 0x20)))
                    mstore(add(to, 0x60), shr(64, head))
                    mstore(add(to, 0x80), and(shr(32, head), 0xffffffff))
                    // the commitment is 0, since a market session's promise is public
                    let end := add(from, shl(5, size))
                    from := add(from, 0x20)
                    for { to := add(to, 0xc0) } lt(from, end) { to := add(to, 0x20) } {
                        let word := calldataload(from)
                        mstore(to, word)
                        bits := or(bits, word)
                        from := add(from, 0x20)
                    }
                    meter := add(meter, 0x40)
                }
                if (bits >> DEVIATION_BITS != 0) revert DeviationOutOfRange(i, bits);
            }
        }
    }

    /// @dev Holds an entry's head against session and account, and sets `days_` to the account's.
    function _check(Known memory known, uint256 entry, uint256 head, uint256 state, Days memory days_) private pure {
        unchecked {
            uint256 mask = head >> 64; // with the bits beyond it, which are no session's
            if (mask == 0 || (mask & ~known.mask) | ((state ^ known.zone) & type(uint16).max) != 0) _explain(known, entry, head, state);
            if (state != days_.state) {
                days_.state = state;
                days_.admissible = BaselineDays.admissible(known.working, state >> 48, known.day, (state >> 16) & type(uint32).max);
                days_.number = BaselineDays.population(days_.admissible);
            }
            BaselineDays.requireCount(head & type(uint32).max, (head >> 32) & type(uint32).max, days_.admissible, days_.number);
        }
    }

    /// @dev Says why `_check` refused.
    function _explain(Known memory known, uint256 entry, uint256 head, uint256 state) private pure {
        uint256 account = head & type(uint32).max;
        if (head >> HEAD_BITS != 0) revert EntryPadding(entry, head);
        if (state & type(uint16).max != known.zone) revert AccountInOtherZone(account, state & type(uint16).max, known.zone);
        revert MaskNotInSession(known.session, account, head >> 64, known.mask);
    }

    /// @dev The public signals C, y, gamma, and the proof.
    function _claim(uint256[11] memory claim, Batch calldata batch, uint256[] memory statement) private pure {
        claim[0] = batch.chain;
        (claim[2], claim[1]) = _compress(batch.chain, statement);
        uint256[8] calldata proof = batch.proof;
        assembly ("memory-safe") {
            calldatacopy(add(claim, 0x60), proof, 0x100)
        }
    }

    /// @dev `gamma = keccak(C, words) mod r`, `y` by Horner. C is fixed before gamma is known, which is what binds the words.
    function _compress(uint256 chain, uint256[] memory statement) private pure returns (uint256 gamma, uint256 y) {
        assembly ("memory-safe") {
            let length := mload(statement)
            mstore(statement, chain) // C takes the place of the length in front of the words while they are hashed
            gamma := mod(keccak256(statement, shl(5, add(length, 1))), R)
            mstore(statement, length)
            let word := add(statement, 32)
            let end := add(word, shl(5, length))
            for { let bulk := sub(end, and(shl(5, length), 0xff)) } lt(word, bulk) { word := add(word, 0x100) } {
                y := addmod(mulmod(y, gamma, R), mload(word), R)
                y := addmod(mulmod(y, gamma, R), mload(add(word, 0x20)), R)
                y := addmod(mulmod(y, gamma, R), mload(add(word, 0x40)), R)
                y := addmod(mulmod(y, gamma, R), mload(add(word, 0x60)), R)
                y := addmod(mulmod(y, gamma, R), mload(add(word, 0x80)), R)
                y := addmod(mulmod(y, gamma, R), mload(add(word, 0xa0)), R)
                y := addmod(mulmod(y, gamma, R), mload(add(word, 0xc0)), R)
                y := addmod(mulmod(y, gamma, R), mload(add(word, 0xe0)), R)
            }
            for {} lt(word, end) { word := add(word, 0x20) } { y := addmod(mulmod(y, gamma, R), mload(word), R) }
        }
    }

    /// @dev One product for all claims that share a verifier. A product does not tell whose proof it is that does not hold, so then each is
    /// asked by itself.
    function _verify(uint256 session, address[] memory verifiers, uint256[11][] memory claims) private view {
        bool[] memory asked = new bool[](claims.length);
        for (uint256 i; i < claims.length; ++i) {
            if (asked[i]) continue;
            address verifier = verifiers[i];
            uint256[11][] memory together = new uint256[11][](claims.length);
            uint256 total;
            for (uint256 k = i; k < claims.length; ++k) {
                if (verifiers[k] == verifier) (together[total++], asked[k]) = (claims[k], true);
            }
            assembly ("memory-safe") {
                mstore(together, total)
            }
            if (IVerifier(verifier).verify(together)) continue;
            assembly ("memory-safe") {
                mstore(together, 1)
            }
            for (uint256 k = i; total != 1 && k < claims.length; ++k) {
                together[0] = claims[k];
                if (verifiers[k] == verifier && !IVerifier(verifier).verify(together)) revert ProofRefused(session, k);
            }
            revert ProofRefused(session, i);
        }
    }

    /// @dev Records a batch's entries, each packed word read and written once as long as its accounts lie together.
    function _record(uint256 session, Batch calldata batch) private {
        uint256[] calldata entries = batch.entries;
        (uint256 bits, bytes32 kept) = _keep(session, entries);
        if (bits == 0) return;
        proven[session][kept] = true;
        emit Delivered(session, batch.chain, bits, entries, batch.proof);
    }

    /// @dev Writes the entries' intervals; returns a bit per entry that was recorded and the hash of those entries.
    function _keep(uint256 session, uint256[] calldata entries) private returns (uint256 bits, bytes32 kept) {
        mapping(uint256 word => uint256) storage recorded = _recorded[session];
        (uint256 size, uint256 perDay) = (32 * ENTRY, intervals); // bytes, bits
        (uint256 slot, uint256 before, uint256 word) = (type(uint256).max, 0, 0);
        uint256 start;
        uint256 length; // bytes behind `start` in memory
        assembly ("memory-safe") {
            start := mload(0x40)
            mstore(0x40, add(start, shl(5, entries.length)))
        }
        unchecked {
            uint256 number = 32 * entries.length / size;
            uint256 lanes = 256 / perDay;
            for (uint256 i; i < number; ++i) {
                uint256 head;
                assembly ("memory-safe") {
                    head := calldataload(add(entries.offset, mul(i, size)))
                }
                (uint256 account, uint256 mask) = (head & type(uint32).max, head >> 64);
                (uint256 home, uint256 lane) = (0, 0);
                assembly ("memory-safe") {
                    home := div(account, lanes)
                    lane := mul(mod(account, lanes), perDay)
                }
                if (home != slot) {
                    if (word != before) recorded[slot] = word;
                    slot = home;
                    before = recorded[slot];
                    word = before;
                }
                uint256 covered = (word >> lane) & ((1 << perDay) - 1) & mask;
                if (covered == mask) continue;
                if (covered != 0) revert RecordOverlaps(session, account, (word >> lane) & ((1 << perDay) - 1), mask);
                word |= mask << lane;
                bits |= 1 << i;
                assembly ("memory-safe") {
                    calldatacopy(add(start, length), add(entries.offset, mul(i, size)), size)
                }
                length += size;
            }
            if (word != before) recorded[slot] = word;
        }
        assembly ("memory-safe") {
            kept := keccak256(start, length)
        }
    }
}
