// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ClearingPass, Pass} from "./ClearingPass.sol";
import {OrderWords} from "./OrderWords.sol";
import {IAccounts, IMarket, IPriceGuard, IVault, Mode, State, Terms} from "./Protocol.sol";
import {Results} from "./Results.sol";

/// @title Clearing: accepts the one right clearing of a session's order log, from anyone
/// @notice docs/protocol.md sections 7 and 11. For sessions of modes competitive and cooperative. Prices outside the guard's
/// band put a session under review, where the guardian releases it, cancels it, or excludes orders once; nothing else needs
/// anybody's consent.
contract Clearing is Results {
    bytes32 internal constant GUARDIAN_ROLE = keccak256("GUARDIAN");

    IPriceGuard public immutable guard;

    /// @notice Hash of the orders that the guardian excluded, 0 where there are none.
    mapping(uint256 session => bytes32) public excludedHash;
    /// @notice Hash of the words that the next call for a result goes on from, 0 before the first.
    mapping(uint256 session => mapping(bytes32 key => bytes32)) public stateHash;

    event ClearingContinued(uint256 indexed session, bytes32 indexed key, uint256[] state);
    event Cleared(uint256 indexed session, address indexed submitter, bytes32 key, uint256[] certificate);
    event PutUnderReview(uint256 indexed session);
    event Released(uint256 indexed session, string reason);
    event Excluded(uint256 indexed session, uint256[] excluded, bytes32 evidence);

    error ModeNotCleared(uint256 session, uint256 mode);
    error NotGuardian(address caller);
    error StateMismatch(uint256 session, bytes32 key, bytes32 expected);
    error LogMismatch(uint256 session, bytes32 log, bytes32 supplied);
    error NothingTaken(uint256 session);
    error LevelsNotWanted(uint256 session);
    error LevelsTooEarly(uint256 session);
    error CertificateMismatch(uint256 session, bytes32 expected);
    error ExcludedMismatch(uint256 session, bytes32 expected);
    error ExcludedAlready(uint256 session);
    error ExcludedEmpty();
    error ExcludedOrder(uint256 place, uint256 word);
    error PricesOutsideBand(uint256 session);

    constructor(IMarket market_, IAccounts accounts_, IVault vault_, IPriceGuard guard_) Results(market_, accounts_, vault_) {
        guard = guard_;
    }

    modifier onlyGuardian() {
        if (!IAccessControl(address(market)).hasRole(GUARDIAN_ROLE, msg.sender)) revert NotGuardian(msg.sender);
        _;
    }

    /// @notice Takes the next batches of a session's log for one claimed result, then the next levels, and with the last of
    /// them accepts it, if it is the right one; by anyone, between gate close and delivery. A call that stops before the end
    /// leaves its state to whoever goes on.
    function clear(uint256 session, Pass calldata pass) external {
        (Terms memory agreed, ClearingPass.Frame memory frame, bool whole) = _run(session, pass);
        if (whole && pass.levelsLeft == 0) _complete(session, agreed, frame, pass);
        else _leave(session, frame, pass);
    }

    /// @notice Does as `clear`, and never completes: where the last batch and the conditions at the end are too much for one
    /// call, `clear` without batches follows.
    function take(uint256 session, Pass calldata pass) external {
        (, ClearingPass.Frame memory frame,) = _run(session, pass);
        _leave(session, frame, pass);
    }

    /// @notice Decides for a clearing under review; its prices enter the guard's history.
    /// @param certificate as accepted
    function release(uint256 session, uint256[] calldata certificate, string calldata reason) external onlyGuardian {
        _requireState(session, State.UnderReview);
        if (OrderWords.hash(certificate) != certificateHash[session]) {
            revert CertificateMismatch(session, certificateHash[session]);
        }
        Terms memory agreed = market.terms(session);
        (uint256[] memory prices, uint256[] memory volumes) = _prices(agreed, certificate);
        emit Released(session, reason);
        market.released(session);
        guard.record(session, agreed, prices, volumes);
    }

    /// @notice Decides against a session under review: everybody gets back what is locked.
    function cancelReviewed(uint256 session, string calldata reason) external onlyGuardian {
        _requireState(session, State.UnderReview);
        market.cancelReviewed(session, reason);
    }

    /// @notice Excludes orders of a session under review, once: anyone may then clear it again without them, inside the band.
    /// @param excluded `account:32 | side:1`, ascending by (account, side)
    /// @param evidence hash of what the guardian has to say for it
    function exclude(uint256 session, uint256[] calldata excluded, bytes32 evidence) external onlyGuardian {
        _requireState(session, State.UnderReview);
        if (excludedHash[session] != 0) revert ExcludedAlready(session);
        if (excluded.length == 0) revert ExcludedEmpty();
        uint256 last;
        for (uint256 i; i < excluded.length; ++i) {
            uint256 maker = ((excluded[i] & type(uint32).max) << 1) | (excluded[i] >> 32);
            if (excluded[i] >> 33 != 0 || maker < 2 || maker <= last) revert ExcludedOrder(i, excluded[i]);
            last = maker;
        }
        excludedHash[session] = OrderWords.hash(excluded);
        emit Excluded(session, excluded, evidence);
    }

    /// @notice Names a result: its words and the log that it is of.
    /// @param levels hash of the levels, as in Pass
    function keyOf(
        uint256[] calldata certificate,
        bytes32 levels,
        uint256[] calldata live,
        uint256[] calldata excluded,
        bytes32[] calldata marks,
        bytes32 log
    ) public pure returns (bytes32) {
        return keccak256(
            abi.encode(
                OrderWords.hash(certificate),
                levels,
                OrderWords.hash(live),
                OrderWords.hash(excluded),
                keccak256(abi.encodePacked(marks)),
                log
            )
        );
    }

    /// @dev The pass over the batches and levels that are given, from the state that the call before left; `whole` tells
    /// whether every batch of the log has been taken.
    function _run(uint256 session, Pass calldata pass)
        private
        returns (Terms memory agreed, ClearingPass.Frame memory frame, bool whole)
    {
        _requireState(session, pass.excluded.length == 0 ? State.Closed : State.UnderReview);
        if (pass.excluded.length != 0 && OrderWords.hash(pass.excluded) != excludedHash[session]) {
            revert ExcludedMismatch(session, excludedHash[session]);
        }
        agreed = market.terms(session);
        if (agreed.mode > uint256(Mode.Cooperative)) revert ModeNotCleared(session, agreed.mode);
        frame.cooperative = agreed.mode == uint256(Mode.Cooperative);
        if (!frame.cooperative && (pass.levels.length != 0 || pass.levelsHash | pass.levelsLeft != 0)) {
            revert LevelsNotWanted(session);
        }
        bytes32 log = market.log(session);
        frame.key = keyOf(pass.certificate, pass.levelsHash, pass.live, pass.excluded, pass.marks, log);
        bytes32 known = stateHash[session][frame.key];
        if (known != (pass.state.length == 0 ? bytes32(0) : OrderWords.hash(pass.state))) {
            revert StateMismatch(session, frame.key, known);
        }
        frame.intervals = agreed.intervals;
        frame.mask = agreed.mask;
        frame.day = agreed.day;
        frame.accounts = accounts;
        frame.anySold = accounts.soldInZone(agreed.zone, agreed.day) & agreed.mask != 0;
        ClearingPass.run(frame, pass, _groups[session][frame.key]);
        _requireLog(session, log, frame.log, pass);
        whole = frame.log == log;
        if (!whole && pass.levels.length != 0) revert LevelsTooEarly(session);
        if (frame.cooperative) ClearingPass.check(frame, pass);
    }

    function _leave(uint256 session, ClearingPass.Frame memory frame, Pass calldata pass) private {
        if (pass.sizes.length == 0 && pass.levels.length == 0) revert NothingTaken(session);
        uint256[] memory state = ClearingPass.save(frame);
        stateHash[session][frame.key] = keccak256(abi.encodePacked(state));
        emit ClearingContinued(session, frame.key, state);
    }

    /// @dev Reverts unless what has been taken and then the batches of the hashes `rest` make the session's log, or its
    /// beginning up to a mark. As this holds in every call, no chunk of wrong words can get between the right ones; with marks
    /// that are not the log's a result never gets to the log's end, and these are in its key.
    function _requireLog(uint256 session, bytes32 log, bytes32 taken, Pass calldata pass) private pure {
        bytes32[] calldata rest = pass.rest;
        for (uint256 i; i < rest.length; ++i) {
            bytes32 next = rest[i];
            assembly ("memory-safe") {
                mstore(0, taken)
                mstore(0x20, next)
                taken := keccak256(0, 0x40)
            }
        }
        if (taken == log) return;
        for (uint256 i; i < pass.marks.length; ++i) {
            if (taken == pass.marks[i]) return;
        }
        revert LogMismatch(session, log, taken);
    }

    function _complete(uint256 session, Terms memory agreed, ClearingPass.Frame memory frame, Pass calldata pass) private {
        uint256 groups = ClearingPass.close(frame, pass, _groups[session][frame.key]);
        if (pass.state.length != 0) delete stateHash[session][frame.key];
        (uint256[] memory prices, uint256[] memory volumes) = _prices(agreed, pass.certificate);
        bool review = !guard.inBand(agreed, prices, volumes);
        if (review && pass.excluded.length != 0) revert PricesOutsideBand(session);
        _accept(session, frame.key, OrderWords.hash(pass.certificate));
        emit Cleared(session, msg.sender, frame.key, pass.certificate);
        if (review) emit PutUnderReview(session);
        market.cleared(session, groups, review, pass.beneficiary);
        if (!review) guard.record(session, agreed, prices, volumes);
    }

    /// @dev Prices and volumes of the session's intervals, 0 where nothing is traded.
    function _prices(Terms memory agreed, uint256[] calldata certificate)
        private
        pure
        returns (uint256[] memory prices, uint256[] memory volumes)
    {
        prices = new uint256[](agreed.intervals);
        volumes = new uint256[](agreed.intervals);
        bool cooperative = agreed.mode == uint256(Mode.Cooperative);
        for (uint256 j; j < prices.length; ++j) {
            uint256 word = certificate[cooperative ? 2 * j : j];
            uint256 volume = (word >> 64) & type(uint40).max;
            if (volume == 0) continue;
            volumes[j] = volume;
            prices[j] = cooperative
                ? (certificate[2 * j + 1] & type(uint80).max) / volume
                : ((word & type(uint32).max) + ((word >> 32) & type(uint32).max)) / 2;
        }
    }
}
