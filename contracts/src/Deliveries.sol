// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "./Accounts.sol";
import {BaselineDays} from "./BaselineDays.sol";
import {DevelopmentChains} from "./dev/DevelopmentChains.sol";
import {FlexMarket} from "./FlexMarket.sol";
import {SessionTerms, State, Terms} from "./SessionTerms.sol";
import {Zones} from "./Zones.sol";

/// @notice Groth16 verifier of one circuit.
interface IVerifier {
    function development() external view returns (bool);
    function verify(uint256[8] calldata proof, uint256[3] calldata signals) external view returns (bool);
}

/// @title Deliveries: proven deviations of accounts in sessions
/// @notice docs/protocol.md section 9. The contract builds every public word of the statement from its own state; only count and
/// deviations come from the prover. It keeps a hash of the deviations per (session, account) and nothing else about consumption.
contract Deliveries {
    /// @dev Order of the BN254 scalar field.
    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// @dev A word of nine 26-bit deviations ends here.
    uint256 private constant DEVIATION_BITS = 234;

    /// @notice The circuit for `accounts` accounts at once.
    struct Circuit {
        uint256 accounts;
        IVerifier verifier;
    }

    Accounts public immutable accounts;
    Zones public immutable zones;
    FlexMarket public immutable market;
    /// @notice T: circuits are made for days of so many intervals.
    uint256 public immutable intervals;

    mapping(uint256 accounts => IVerifier) public verifierOf;
    /// @dev `mask:96 | hash:160`
    mapping(uint256 session => mapping(uint256 account => uint256)) private _records;

    event Delivered(uint256 indexed session, uint256 indexed account, uint256 mask, uint256[] deviations);

    error DayLengthNotSupported(uint256 intervals);
    error DevelopmentKeyRefused(uint256 chainId, address verifier);
    error CircuitRefused(uint256 accounts, address verifier);
    error NotThisContract(uint256 session, address deliveries);
    error NotCleared(uint256 session, State state);
    error MaskNotInSession(uint256 session, uint256 mask, uint256 sessionMask);
    error NotDeliveredYet(uint256 session, uint256 end, uint256 timestamp);
    error ProofDeadlinePassed(uint256 session, uint256 deadline, uint256 timestamp);
    error EarlierDayUncommitted(uint256 zone, uint256 day);
    error EntriesLength(uint256 length, uint256 entryWords);
    error NoCircuit(uint256 accounts);
    error EntryPadding(uint256 entry, uint256 word);
    error DeviationOutOfRange(uint256 entry, uint256 word);
    error AccountInOtherZone(uint256 account, uint256 zone, uint256 expected);
    error ProofRefused(uint256 session);
    error RecordOverlaps(uint256 session, uint256 account, uint256 recorded, uint256 mask);

    constructor(Accounts accounts_, Zones zones_, FlexMarket market_, uint256 intervals_, Circuit[] memory circuits) {
        if (intervals_ != 24 && intervals_ != 48 && intervals_ != 96) revert DayLengthNotSupported(intervals_);
        accounts = accounts_;
        zones = zones_;
        market = market_;
        intervals = intervals_;
        for (uint256 i; i < circuits.length; ++i) {
            (uint256 number, IVerifier verifier) = (circuits[i].accounts, circuits[i].verifier);
            if (number == 0 || address(verifierOf[number]) != address(0)) revert CircuitRefused(number, address(verifier));
            if (!DevelopmentChains.isDevelopment(block.chainid) && verifier.development()) {
                revert DevelopmentKeyRefused(block.chainid, address(verifier));
            }
            verifierOf[number] = verifier;
        }
    }

    /// @notice Records the proven deviations of some accounts; by anyone, from the end of the last interval of `mask` to the proof deadline.
    /// @param mask intervals of the day, a non-empty part of the session's
    /// @param chain C, the Poseidon chain over all words
    /// @param entries per account `account:32 | count:32` and D deviation words
    /// @param proof see Groth16Verifier
    function prove(uint256 session, uint256 mask, uint256 chain, uint256[] calldata entries, uint256[8] calldata proof) external {
        Terms memory terms = market.terms(session);
        _requireOpen(session, terms, mask);
        uint256 number = entries.length / (1 + deviationWords());
        IVerifier verifier = verifierOf[number];
        if (address(verifier) == address(0)) revert NoCircuit(number);
        uint256[] memory statement = _words(session, terms, mask, entries);
        (uint256 gamma, uint256 y) = _compress(chain, statement);
        if (!verifier.verify(proof, [chain, y, gamma])) revert ProofRefused(session);
        _record(session, mask, entries);
    }

    /// @notice The public words of the statement, as `prove` builds them.
    function words(uint256 session, uint256 mask, uint256[] calldata entries) external view returns (uint256[] memory) {
        return _words(session, market.terms(session), mask, entries);
    }

    /// @notice gamma and y of the statement for the chain value C.
    function compress(uint256 chain, uint256[] calldata statement) external pure returns (uint256 gamma, uint256 y) {
        return _compress(chain, statement);
    }

    /// @notice 14 bits: the days that may make up the account's baseline of `day`, bit k for `day - 14 + k`.
    function admissible(uint256 zone, uint256 account, uint256 day) external view returns (uint256) {
        uint256[] memory entry = new uint256[](1);
        entry[0] = account;
        uint256 meter = accounts.metersOn(day, entry)[1];
        return BaselineDays.admissible(_working(zone, day), meter >> 48, day, (meter >> 16) & type(uint32).max);
    }

    /// @return mask intervals of the day that are recorded
    /// @return hash 160 bits over all records, in order
    function record(uint256 session, uint256 account) external view returns (uint256 mask, uint256 hash) {
        uint256 found = _records[session][account];
        return (found & type(uint96).max, found >> 96);
    }

    /// @return D, words of nine deviations
    function deviationWords() public view returns (uint256) {
        return (intervals + 8) / 9;
    }

    function _requireOpen(uint256 session, Terms memory terms, uint256 mask) private view {
        if (terms.deliveries != address(this)) revert NotThisContract(session, terms.deliveries);
        State state = market.state(session);
        if (state != State.Cleared && state != State.Delivering && state != State.Settling) revert NotCleared(session, state);
        if (mask == 0 || mask & ~uint256(terms.mask) != 0) revert MaskNotInSession(session, mask, terms.mask);
        uint256 end = zones.intervalStart(terms.zone, terms.day, SessionTerms.length(mask));
        if (block.timestamp < end) revert NotDeliveredYet(session, end, block.timestamp);
        if (block.timestamp > terms.proofDeadline) revert ProofDeadlinePassed(session, terms.proofDeadline, block.timestamp);
        // A promise that is not committed yet is an event day that the baseline would not know of.
        uint256 open = market.firstAuctioned(terms.zone, terms.day - BaselineDays.DAYS, terms.day);
        if (open != 0) revert EarlierDayUncommitted(terms.zone, open);
    }

    function _working(uint256 zone, uint256 day) private view returns (uint256) {
        return zones.workingDays(zone, day - BaselineDays.DAYS, BaselineDays.DAYS + 1);
    }

    /// @dev Shared: chain id, this contract, session, day, masks. Per account: index, key, admissible, count, commitment 0, deviations.
    function _words(uint256 session, Terms memory terms, uint256 mask, uint256[] calldata entries)
        private
        view
        returns (uint256[] memory result)
    {
        uint256 size = 1 + deviationWords();
        if (entries.length == 0 || entries.length % size != 0) revert EntriesLength(entries.length, size);
        uint256 number = entries.length / size;
        uint256[] memory heads = new uint256[](number);
        unchecked {
            for (uint256 i; i < number; ++i) heads[i] = entries[i * size];
        }
        uint256[] memory meters = accounts.metersOn(terms.day, heads);
        uint256 working = _working(terms.zone, terms.day);
        result = new uint256[](5 + number * (size + 4));
        result[0] = block.chainid;
        result[1] = uint160(address(this));
        result[2] = session;
        result[3] = terms.day;
        result[4] = mask | (uint256(terms.mask) << 96);
        uint256 to = 5;
        for (uint256 i; i < number; ++i) {
            (uint256 head, uint256 meter) = (heads[i], meters[2 * i + 1]);
            if (head >> 64 != 0) revert EntryPadding(i * size, head);
            uint256 account = head & type(uint32).max;
            if (meter & type(uint16).max != terms.zone) revert AccountInOtherZone(account, meter & type(uint16).max, terms.zone);
            uint256 days_ = BaselineDays.admissible(working, meter >> 48, terms.day, (meter >> 16) & type(uint32).max);
            BaselineDays.requireCount(account, head >> 32, days_);
            result[to] = account;
            result[to + 1] = meters[2 * i];
            result[to + 2] = days_;
            result[to + 3] = head >> 32;
            // result[to + 4] is the commitment: 0, since a market session's promise is public
            _copyDeviations(result, to + 5, entries, i * size + 1, size - 1);
            to += size + 4;
        }
    }

    function _copyDeviations(uint256[] memory result, uint256 to, uint256[] calldata entries, uint256 from, uint256 number) private pure {
        for (uint256 k; k < number; ++k) {
            uint256 deviations = entries[from + k];
            if (deviations >> DEVIATION_BITS != 0) revert DeviationOutOfRange(from + k, deviations);
            result[to + k] = deviations;
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
            for { let end := add(word, shl(5, length)) } lt(word, end) { word := add(word, 32) } {
                y := addmod(mulmod(y, gamma, R), mload(word), R)
            }
        }
    }

    function _record(uint256 session, uint256 mask, uint256[] calldata entries) private {
        uint256 size = 1 + deviationWords();
        mapping(uint256 account => uint256) storage records = _records[session];
        for (uint256 cursor; cursor < entries.length; cursor += size) {
            uint256 account = entries[cursor] & type(uint32).max;
            uint256 found = records[account];
            uint256 covered = found & type(uint96).max;
            if (covered & mask == mask) continue;
            if (covered & mask != 0) revert RecordOverlaps(session, account, covered, mask);
            uint256[] calldata deviations = entries[cursor + 1:cursor + size];
            uint256 hash = uint256(keccak256(abi.encodePacked(found >> 96, mask, deviations)));
            records[account] = covered | mask | (hash << 96);
            emit Delivered(session, account, mask, deviations);
        }
    }
}
