// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {BlockCheck} from "./BlockCheck.sol";
import {OrderWords} from "./OrderWords.sol";
import {IAccounts, IMarket, IPriceGuard, IVault, State, Terms} from "./Protocol.sol";
import {Results} from "./Results.sol";

/// @title BlockClearing: the best proposal of a challenge window becomes the result of a block session
/// @notice docs/protocol.md section 12. Each proposal is checked exactly; that no better one exists is not proven. Whoever
/// finds a better one takes the bond of the one before, so that no reward is ever more than a bond that was paid.
///
/// A proposal can be copied from where transactions wait: the key holds the finder's account, so that nobody ends a pass that
/// another has paid for, but a pass in one call can be sent again under another account. The finder then keeps its bond and
/// loses its gas.
contract BlockClearing is Results {
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN");

    uint256 private constant PPM = 1_000_000;
    /// @dev Words of a state before the volumes: log, `entries:32 | hits:32 | calls:32`, welfare.
    uint256 private constant STATE_HEAD = 3;

    /// @notice All of a proposal; its hash is the key.
    struct Solution {
        uint256 account; // locks the bond; only its owner completes the pass
        uint256[] certificate; // per interval `price:32 | price:32 | volume:40`, 0 without volume
        uint256[] table; // per live entry `position:31 | side:1 | account:32 | payer:32 | ratio:32 | up:96`
        bytes32[] logs; // hash of the order log after each call of the pass
    }

    /// @notice What one call of a pass takes in.
    struct Chunk {
        uint256[] state; // what the call before left, at first empty
        uint256[] sizes; // of the batches, in words
        uint256[] words; // the batches
        uint256[] hints; // row of the table per entry, 32 bits, eight a word
    }

    /// @notice The best proposal so far.
    struct Best {
        bytes32 key;
        bytes32 certificateHash;
        uint128 welfare; // Wh * micro-euro per kWh
        uint32 account;
        uint32 groups;
        bool outside; // of the price guard's band, when it was proposed
        bool bonded; // its bond is locked
    }

    IPriceGuard public immutable guard;
    /// @notice By how much of the best welfare a proposal must be better, ppm.
    uint256 public immutable minImprovementPpm;
    /// @notice What a proposal locks, micro-euro.
    uint64 public immutable bond;

    mapping(uint256 session => Best) public best;
    /// @notice Hash of the state that a pass has reached, 0 before the first call and after the last.
    mapping(uint256 session => mapping(bytes32 key => bytes32)) public stateHash;

    event ProposalContinued(uint256 indexed session, bytes32 indexed key, uint256[] state);
    event Proposed(
        uint256 indexed session,
        bytes32 indexed key,
        uint256 indexed account,
        uint256 welfare,
        uint256[] certificate,
        uint256[] table
    );
    event Outbid(uint256 indexed session, uint256 indexed account, uint256 by, uint256 bond);
    event Cleared(uint256 indexed session, address indexed submitter, bytes32 key, uint256[] certificate);
    event BondReturned(uint256 indexed session, uint256 indexed account, uint256 bond);
    event Released(uint256 indexed session, string reason);

    error ChallengeOver(uint256 session, uint256 challengeEnd);
    error ChallengeOpen(uint256 session, uint256 challengeEnd);
    error StateMismatch(uint256 session, bytes32 key, bytes32 stored);
    error LogMismatch(uint256 session, bytes32 log, bytes32 supplied);
    error CallsExhausted(uint256 calls);
    error NotOwner(uint256 account, address caller);
    error NotBetter(uint256 session, uint256 welfare, uint256 needed);
    error NothingProposed(uint256 session);
    error NoBond(uint256 session);
    error NotGuardian(address caller);
    error CertificateMismatch(uint256 session, bytes32 expected);

    constructor(
        IMarket market_,
        IAccounts accounts_,
        IVault vault_,
        IPriceGuard guard_,
        uint256 minImprovementPpm_,
        uint64 bond_
    ) Results(market_, accounts_, vault_) {
        guard = guard_;
        minImprovementPpm = minImprovementPpm_;
        bond = bond_;
    }

    /// @notice Takes a pass one call further; by anyone, but the last call by the owner of the account, whose bond it locks.
    /// Each call ends at the next of `solution.logs`, so that there is one way through the log and nobody can lead a pass
    /// astray.
    function propose(uint256 session, Solution calldata solution, Chunk calldata chunk) external {
        _requireState(session, State.Closed);
        Terms memory agreed = market.terms(session);
        // In other modes the window has always been over.
        if (block.timestamp >= agreed.challengeEnd) revert ChallengeOver(session, agreed.challengeEnd);
        bytes32 key = keyOf(solution);
        BlockCheck.Pass memory pass = _load(session, agreed, key, solution, chunk.state);
        if (pass.calls == solution.logs.length) revert CallsExhausted(pass.calls);
        BlockCheck.run(_book(agreed), pass, solution.table, chunk.sizes, chunk.words, chunk.hints, _groups[session][key]);
        bytes32 expected = solution.logs[pass.calls - 1];
        if (pass.log != expected) revert LogMismatch(session, expected, pass.log);
        if (pass.calls < solution.logs.length) {
            uint256[] memory state = _state(pass);
            stateHash[session][key] = keccak256(abi.encodePacked(state));
            emit ProposalContinued(session, key, state);
            return;
        }
        BlockCheck.close(pass, solution.certificate, solution.table, _groups[session][key]);
        delete stateHash[session][key];
        _take(session, agreed, key, solution, pass);
    }

    /// @notice Makes the best proposal the session's result; by anyone, from the challenge's end to the start of delivery. The
    /// bond goes back, the intake fees go to the finder.
    function accept(uint256 session, uint256[] calldata certificate) external {
        _requireState(session, State.Closed);
        Terms memory agreed = market.terms(session);
        if (block.timestamp < agreed.challengeEnd) revert ChallengeOpen(session, agreed.challengeEnd);
        Best memory found = best[session];
        if (found.key == 0) revert NothingProposed(session);
        if (OrderWords.hash(certificate) != found.certificateHash) revert CertificateMismatch(session, found.certificateHash);
        _accept(session, found.key, found.certificateHash);
        _returnBond(session, found);
        (uint256[] memory prices, uint256[] memory volumes) = _traded(certificate);
        bool outside = !guard.inBand(agreed, prices, volumes);
        emit Cleared(session, msg.sender, found.key, certificate);
        market.cleared(session, found.groups, outside, found.account);
        if (!outside) guard.record(session, agreed, prices, volumes);
    }

    /// @notice By a guardian, under review: the clearing stands, its prices are history. There is no round of proposals without
    /// excluded orders: what is not released is cancelled, by `cancelReviewed` or by time.
    function release(uint256 session, uint256[] calldata certificate, string calldata reason) external {
        _requireGuardian();
        _requireState(session, State.UnderReview);
        if (OrderWords.hash(certificate) != certificateHash[session]) {
            revert CertificateMismatch(session, certificateHash[session]);
        }
        (uint256[] memory prices, uint256[] memory volumes) = _traded(certificate);
        emit Released(session, reason);
        market.released(session);
        guard.record(session, market.terms(session), prices, volumes);
    }

    /// @notice By a guardian, under review: cancels the session.
    function cancelReviewed(uint256 session, string calldata reason) external {
        _requireGuardian();
        _requireState(session, State.UnderReview);
        market.cancelReviewed(session, reason);
    }

    /// @notice Gives the best proposal's bond back when the session was cancelled; by anyone.
    function reclaim(uint256 session) external {
        _requireState(session, State.Cancelled);
        Best memory found = best[session];
        if (!found.bonded) revert NoBond(session);
        _returnBond(session, found);
    }

    function keyOf(Solution calldata solution) public pure returns (bytes32) {
        return keccak256(
            abi.encode(
                solution.account,
                OrderWords.hash(solution.certificate),
                OrderWords.hash(solution.table),
                keccak256(abi.encodePacked(solution.logs))
            )
        );
    }

    /// @dev Takes a complete proposal as the best one. Self-outbidding moves no money.
    function _take(uint256 session, Terms memory agreed, bytes32 key, Solution calldata solution, BlockCheck.Pass memory pass)
        private
    {
        if (accounts.ownerOf(solution.account) != msg.sender) revert NotOwner(solution.account, msg.sender);
        // Every accepted bid is worth at least what it pays, every offer at most what it gets: never negative.
        uint256 welfare = uint256(pass.welfare);
        (uint256[] memory prices, uint256[] memory volumes) = _traded(solution.certificate);
        bool outside = !guard.inBand(agreed, prices, volumes);
        Best memory before = best[session];
        if (before.key != 0) {
            uint256 improvement = uint256(before.welfare) * minImprovementPpm / PPM;
            uint256 needed = before.welfare + (improvement == 0 ? 1 : improvement);
            // Prices outside the band leave the session to a guardian: with the same welfare, those inside are better.
            if (before.outside && !outside) needed = before.welfare;
            if (welfare < needed) revert NotBetter(session, welfare, needed);
        }
        uint256 groups = (pass.entries + GROUP_ROWS - 1) / GROUP_ROWS;
        best[session] = Best(
            key,
            OrderWords.hash(solution.certificate),
            uint128(welfare),
            uint32(solution.account),
            uint32(groups),
            outside,
            true
        );
        emit Proposed(session, key, solution.account, welfare, solution.certificate, solution.table);
        if (before.bonded && before.account == solution.account) return;
        uint256[] memory words = new uint256[](1);
        words[0] = solution.account | (uint256(bond) << 64);
        vault.lock(session, 0, words);
        if (!before.bonded) return;
        words = new uint256[](2);
        words[0] = before.account | (uint256(bond) << 32);
        words[1] = solution.account | (uint256(bond) << 96);
        vault.move(session, words);
        emit Outbid(session, before.account, solution.account, bond);
    }

    function _returnBond(uint256 session, Best memory found) private {
        best[session].bonded = false;
        uint256[] memory moves = new uint256[](1);
        moves[0] = found.account | (uint256(bond) << 32) | (uint256(bond) << 96);
        vault.move(session, moves);
        emit BondReturned(session, found.account, bond);
    }

    function _requireGuardian() private view {
        if (!IAccessControl(address(market)).hasRole(GUARDIAN_ROLE, msg.sender)) revert NotGuardian(msg.sender);
    }

    function _book(Terms memory agreed) private view returns (BlockCheck.Book memory) {
        bool anySold = accounts.soldInZone(agreed.zone, agreed.day) & agreed.mask != 0;
        return BlockCheck.Book(agreed.intervals, agreed.mask, agreed.day, accounts, anySold);
    }

    /// @dev Where a pass goes on. What the key holds is checked once, at the start.
    function _load(uint256 session, Terms memory agreed, bytes32 key, Solution calldata solution, uint256[] calldata state)
        private
        view
        returns (BlockCheck.Pass memory pass)
    {
        uint256 intervals = agreed.intervals;
        pass.prices = BlockCheck.prices(solution.certificate, intervals, agreed.priceCap);
        pass.volumes = new uint256[](intervals);
        pass.rows = new uint256[](GROUP_ROWS * (1 + (intervals + 7) / 8));
        bytes32 stored = stateHash[session][key];
        if (stored != (state.length == 0 ? bytes32(0) : OrderWords.hash(state))) revert StateMismatch(session, key, stored);
        if (state.length == 0) {
            bytes32 last = solution.logs.length == 0 ? bytes32(0) : solution.logs[solution.logs.length - 1];
            if (last != market.log(session)) revert LogMismatch(session, market.log(session), last);
            BlockCheck.requireTable(solution.table, intervals);
            return pass;
        }
        pass.log = bytes32(state[0]);
        pass.entries = state[1] & type(uint32).max;
        pass.hits = (state[1] >> 32) & type(uint32).max;
        pass.calls = state[1] >> 64;
        pass.welfare = int256(state[2]);
        for (uint256 j; j < intervals; ++j) {
            pass.volumes[j] = state[STATE_HEAD + j];
        }
        pass.used = state.length - STATE_HEAD - intervals;
        for (uint256 k; k < pass.used; ++k) {
            pass.rows[k] = state[STATE_HEAD + intervals + k];
        }
    }

    function _state(BlockCheck.Pass memory pass) private pure returns (uint256[] memory state) {
        uint256 intervals = pass.volumes.length;
        state = new uint256[](STATE_HEAD + intervals + pass.used);
        state[0] = uint256(pass.log);
        state[1] = pass.entries | (pass.hits << 32) | (pass.calls << 64);
        state[2] = uint256(pass.welfare);
        for (uint256 j; j < intervals; ++j) {
            state[STATE_HEAD + j] = pass.volumes[j];
        }
        for (uint256 k; k < pass.used; ++k) {
            state[STATE_HEAD + intervals + k] = pass.rows[k];
        }
    }

    function _traded(uint256[] calldata certificate) private pure returns (uint256[] memory prices, uint256[] memory volumes) {
        (prices, volumes) = (new uint256[](certificate.length), new uint256[](certificate.length));
        for (uint256 j; j < certificate.length; ++j) {
            (prices[j], volumes[j]) = (certificate[j] & type(uint32).max, certificate[j] >> 64);
        }
    }
}
