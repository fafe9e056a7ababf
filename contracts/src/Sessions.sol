// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Pauses} from "./Pauses.sol";
import {IAccounts, IResults, IVault, Mode, Progress, SessionRequest, State, Terms} from "./Protocol.sol";
import {SessionTerms} from "./SessionTerms.sol";
import {Zones} from "./Zones.sol";

/// @title Sessions: their terms, their states, and how far they have come
/// @notice docs/protocol.md section 5. What a session comes to is checked by the contract of its mode (Results) and paid by Settlement; both
/// report here.
abstract contract Sessions is AccessControl {
    using Pauses for Pauses.History;

    bytes32 public constant OPERATOR_ROLE = keccak256("OPERATOR");
    bytes32 public constant SETTLEMENT_ROLE = keccak256("SETTLEMENT");
    /// @notice Held by who may open requests (FlexRequests); the operator gives it, since a request keeps intervals from other sessions.
    bytes32 public constant DSO_ROLE = keccak256("DSO");
    /// @notice Held by the contracts that may take a session's proofs.
    bytes32 public constant DELIVERIES_ROLE = keccak256("DELIVERIES");

    IAccounts public immutable accounts;
    Zones public immutable zones;
    IVault public immutable vault;

    /// @notice Number of sessions; they count from 1.
    uint256 public count;

    mapping(uint256 session => Terms) internal _terms;
    mapping(uint256 session => Progress) internal _progress;
    /// @notice The contract that knows the results of sessions of a mode; set once.
    mapping(uint256 mode => IResults) public resultsOf;
    /// @dev Account that the intake fees go to when a session leaves review well.
    mapping(uint256 session => uint256) private _beneficiary;
    mapping(uint256 zone => mapping(uint256 day => uint256)) private _auctioned;
    /// @dev A bit per day on which a session of the zone is under auction.
    mapping(uint256 zone => mapping(uint256 word => uint256)) private _auctionDays;
    Pauses.History internal _pauses;

    event SessionOpened(uint256 indexed session, Terms terms, uint256[] rules);
    event SessionCancelled(uint256 indexed session, string reason);
    event AuctionReleased(uint256 indexed session);
    event IntakePaused();
    event IntakeResumed();
    event ResultsSet(uint256 indexed mode, address results);
    event ReviewBegun(uint256 indexed session);
    event IntakeFeesPaid(uint256 indexed session, uint256 indexed account, uint256 amount);
    event Settled(uint256 indexed session, uint256 rounding);

    error UnknownSession(uint256 session);
    error DeliveriesNotAdmitted(address deliveries);
    error IntervalsUnderAuction(uint256 zone, uint256 day, uint256 intervals);
    error WrongState(uint256 session, State state, State expected);
    error GateAlreadyClosed(uint256 session, uint256 gateClose);
    error PauseUnchanged(bool paused);
    error ModeNotSupported(uint256 mode);
    error ResultsAlreadySet(uint256 mode, address results);
    error NotTheResults(uint256 session, address caller);
    error NotUnderAuction(uint256 session);

    constructor(IAccounts accounts_, Zones zones_, IVault vault_) {
        accounts = accounts_;
        zones = zones_;
        vault = vault_;
    }

    /// @notice Fixes the contract that knows the results of sessions of `mode`, once.
    function setResults(uint256 mode, IResults results) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (mode > uint256(type(Mode).max)) revert ModeNotSupported(mode);
        if (address(resultsOf[mode]) != address(0)) revert ResultsAlreadySet(mode, address(resultsOf[mode]));
        resultsOf[mode] = results;
        emit ResultsSet(mode, address(results));
    }

    // ---------------------------------------------------------------------------------------------------------------- sessions

    /// @notice Opens a session. Refused over intervals of the zone's day that another session holds under auction.
    /// @param rules the rule set's words; the session keeps their hash and the collateral rate
    function openSession(SessionRequest calldata wanted, uint256[] calldata rules)
        external
        onlyRole(OPERATOR_ROLE)
        returns (uint256 session)
    {
        if (wanted.mode >= uint8(Mode.Request)) revert ModeNotSupported(wanted.mode);
        return _open(wanted, rules);
    }

    /// @notice By the contract of requests: opens a session of that mode, which takes no orders.
    function openRequest(SessionRequest calldata wanted, uint256[] calldata rules) external returns (uint256 session) {
        if (wanted.mode != uint8(Mode.Request)) revert ModeNotSupported(wanted.mode);
        if (msg.sender != address(resultsOf[wanted.mode])) revert NotTheResults(0, msg.sender);
        return _open(wanted, rules);
    }

    function _open(SessionRequest calldata wanted, uint256[] calldata rules) private returns (uint256 session) {
        if (address(resultsOf[wanted.mode]) == address(0)) revert ModeNotSupported(wanted.mode);
        if (!hasRole(DELIVERIES_ROLE, wanted.deliveries)) revert DeliveriesNotAdmitted(wanted.deliveries);
        Terms memory agreed = SessionTerms.derive(wanted, rules, zones, accounts);
        uint256 held = _auctioned[agreed.zone][agreed.day];
        if (held & agreed.mask != 0) revert IntervalsUnderAuction(agreed.zone, agreed.day, held & agreed.mask);
        _auctioned[agreed.zone][agreed.day] = held | agreed.mask;
        if (held == 0) _auctionDays[agreed.zone][agreed.day >> 8] |= 1 << (agreed.day & 255);
        session = ++count;
        _terms[session] = agreed;
        _progress[session].underAuction = true;
        emit SessionOpened(session, agreed, rules);
    }

    /// @notice Cancels a session whose gate has not closed, or a request that is not awarded.
    function cancel(uint256 session, string calldata reason) external onlyRole(OPERATOR_ROLE) {
        Terms storage found = _known(session);
        bool request = found.mode == uint8(Mode.Request);
        if (!request && block.timestamp >= found.gateClose) revert GateAlreadyClosed(session, found.gateClose);
        // A pause may have cancelled it, and its intervals may be another session's by now.
        State found_ = state(session);
        if (found_ > (request ? State.Closed : State.Open)) revert WrongState(session, found_, State.Open);
        _cancel(session, reason);
    }

    /// @notice By the contract of requests: cancels one that is not awarded.
    function cancelRequest(uint256 session, string calldata reason) external {
        if (_onlyResults(session).mode != uint8(Mode.Request)) revert NotTheResults(session, msg.sender);
        State found = state(session);
        if (found > State.Closed) revert WrongState(session, found, State.Closed);
        _cancel(session, reason);
    }

    /// @notice By the results' contract: the guardian has decided against a session under review.
    function cancelReviewed(uint256 session, string calldata reason) external {
        _onlyResults(session);
        _require(session, State.UnderReview);
        _cancel(session, reason);
    }

    function _cancel(uint256 session, string calldata reason) private {
        _progress[session].cancelled = true;
        emit SessionCancelled(session, reason);
        _leaveAuction(session);
    }

    /// @notice Stops or resumes the intake of orders. A pause while a session's gate is open cancels that session, so that nobody can
    /// be shut out after others were let in. Withdrawals know no pause.
    function setPaused(bool paused_) external onlyRole(OPERATOR_ROLE) {
        if (_pauses.paused() == paused_) revert PauseUnchanged(paused_);
        if (paused_) {
            _pauses.begin();
            emit IntakePaused();
        } else {
            _pauses.end();
            emit IntakeResumed();
        }
    }

    /// @notice Takes the intervals of a cancelled session out of the auction, so that they can be opened again; by anyone.
    function releaseAuction(uint256 session) external {
        _require(session, State.Cancelled);
        if (!_progress[session].underAuction) revert NotUnderAuction(session);
        _leaveAuction(session);
    }

    // ---------------------------------------------------------------------------------------------------------------- progress

    /// @notice By the results' contract: the clearing is complete. Under review the intake fees wait for the guardian.
    /// @param groups of result rows
    /// @param beneficiary account that gets the intake fees, 0: they stay in the session's escrow
    function cleared(uint256 session, uint256 groups, bool underReview, uint256 beneficiary) external {
        Terms storage found = _onlyResults(session);
        State reached = state(session);
        bool ready = reached == State.Closed || (reached == State.UnderReview && !underReview)
            || (reached == State.Open && found.mode == uint8(Mode.Request));
        if (!ready) revert WrongState(session, reached, State.Closed);
        if (beneficiary != 0) accounts.ownerOf(beneficiary);
        Progress storage progress_ = _progress[session];
        (progress_.cleared, progress_.underReview) = (true, underReview);
        (progress_.groups, progress_.uncommitted) = (uint32(groups), uint32(groups));
        if (underReview) {
            _beneficiary[session] = beneficiary;
            emit ReviewBegun(session);
            return;
        }
        _decided(session, beneficiary);
    }

    /// @notice By the results' contract: the guardian has decided for a session under review.
    function released(uint256 session) external {
        _onlyResults(session);
        _require(session, State.UnderReview);
        _progress[session].underReview = false;
        _decided(session, _beneficiary[session]);
    }

    /// @dev The clearing stands: whoever completed it is paid.
    function _decided(uint256 session, uint256 beneficiary) private {
        Progress memory reached = _progress[session];
        uint256 fees = uint256(_terms[session].intakeFee) * reached.entries;
        if (reached.groups == 0) _leaveAuction(session);
        if (fees != 0 && beneficiary != 0) {
            uint256[] memory moves = new uint256[](1);
            moves[0] = beneficiary | (fees << 96);
            emit IntakeFeesPaid(session, beneficiary, fees);
            vault.move(session, moves);
        }
        _settledIfDone(session);
    }

    /// @notice By the results' contract: one group of result rows has become money and promises.
    function committed(uint256 session, uint256 sellers, uint256 buyers) external {
        _onlyResults(session);
        Progress memory reached = _progress[session];
        reached.uncommitted -= 1;
        reached.sellersLeft += uint32(sellers);
        reached.buyersLeft += uint32(buyers);
        _progress[session] = reached;
        if (reached.uncommitted == 0) _leaveAuction(session);
        _settledIfDone(session);
    }

    /// @notice Settlement reports seller and buyer rows that it has settled.
    function rowsSettled(uint256 session, uint256 sellers, uint256 buyers) external onlyRole(SETTLEMENT_ROLE) {
        Progress storage reached = _progress[session];
        reached.sellersLeft -= uint32(sellers);
        reached.buyersLeft -= uint32(buyers);
        _settledIfDone(session);
    }

    // ------------------------------------------------------------------------------------------------------------------- views

    function terms(uint256 session) external view returns (Terms memory) {
        return _known(session);
    }

    function progress(uint256 session) external view returns (Progress memory) {
        return _progressOf(session);
    }

    /// @return Bits of the day's intervals that sessions of the zone hold under auction.
    function auctioned(uint256 zone, uint256 day) external view returns (uint256) {
        return _auctioned[zone][day];
    }

    /// @notice What a contract asks that takes proofs: the session's terms and state, and the first of the `days_` days before the session's
    /// on which a session of the zone is still under auction, 0 where none is.
    function forProofs(uint256 session, uint256 days_) external view returns (Terms memory agreed, State reached, uint256 open) {
        agreed = _known(session);
        reached = state(session);
        uint256 word = type(uint256).max;
        uint256 bits;
        for (uint256 day = agreed.day - days_; day < agreed.day; ++day) {
            if (day >> 8 != word) {
                word = day >> 8;
                bits = _auctionDays[agreed.zone][word];
            }
            if ((bits >> (day & 255)) & 1 == 1) return (agreed, reached, day);
        }
    }

    /// @notice Whether intake is paused now.
    function paused() external view returns (bool) {
        return _pauses.paused();
    }

    function state(uint256 session) public view returns (State) {
        Terms storage found = _known(session);
        Progress memory reached = _progress[session];
        if (reached.cancelled) return State.Cancelled;
        if (reached.cleared && !reached.underReview) {
            if (_done(reached)) return State.Settled;
            if (block.timestamp < found.deliveryStart) return State.Cleared;
            return block.timestamp < found.deliveryEnd ? State.Delivering : State.Settling;
        }
        if (found.mode != uint8(Mode.Request) && _pauses.overlap(found.gateOpen, found.gateClose)) return State.Cancelled;
        if (block.timestamp < found.gateOpen) return State.Scheduled;
        if (block.timestamp < found.gateClose) return State.Open;
        if (block.timestamp >= found.deliveryStart) return State.Cancelled;
        return reached.underReview ? State.UnderReview : State.Closed;
    }

    function _known(uint256 session) private view returns (Terms storage found) {
        found = _terms[session];
        if (found.mask == 0) revert UnknownSession(session);
    }

    function _progressOf(uint256 session) private view returns (Progress memory) {
        _known(session);
        return _progress[session];
    }

    function _require(uint256 session, State expected) internal view {
        State found = state(session);
        if (found != expected) revert WrongState(session, found, expected);
    }

    /// @dev The terms, for the contract of the session's mode alone.
    function _onlyResults(uint256 session) private view returns (Terms storage found) {
        found = _known(session);
        if (msg.sender != address(resultsOf[found.mode])) revert NotTheResults(session, msg.sender);
    }

    function _done(Progress memory reached) private pure returns (bool) {
        return reached.cleared && !reached.underReview && reached.uncommitted == 0 && reached.sellersLeft == 0 && reached.buyersLeft == 0;
    }

    function _settledIfDone(uint256 session) private {
        if (_done(_progress[session])) emit Settled(session, vault.escrow(session));
    }

    function _leaveAuction(uint256 session) internal {
        Terms storage found = _terms[session];
        (uint256 zone, uint256 day) = (found.zone, found.day);
        uint256 left = _auctioned[zone][day] & ~uint256(found.mask);
        _auctioned[zone][day] = left;
        if (left == 0) _auctionDays[zone][day >> 8] &= ~(1 << (day & 255));
        _progress[session].underAuction = false;
        emit AuctionReleased(session);
    }
}
