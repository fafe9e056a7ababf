// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IMarket} from "./Protocol.sol";

/// @title Decisions: what the guardian decided about alerts of the surveillance
/// @notice docs/protocol.md section 11. It moves no money and changes no session: it is a record. An alert is known by the hash of
/// its evidence; a later decision about it stands beside the earlier ones, in the order of the log, and takes none back.
contract Decisions {
    bytes32 private constant GUARDIAN_ROLE = keccak256("GUARDIAN");
    /// @notice The alert was looked into and came to nothing.
    uint8 public constant DISMISSED = 0;
    /// @notice What the alert says was found to be so.
    uint8 public constant CONFIRMED = 1;
    /// @notice Longest reason, bytes.
    uint256 public constant LONGEST_REASON = 2048;

    IMarket public immutable market;

    /// @notice How many decisions there are about an alert of a session.
    mapping(uint256 session => mapping(bytes32 alert => uint256)) public decisions;

    event Decided(uint256 indexed session, bytes32 indexed alert, uint8 outcome, string reason);

    error NotGuardian(address caller);
    error AlertMissing(uint256 session);
    error OutcomeUnknown(uint256 outcome);
    error ReasonLength(uint256 length, uint256 longest);

    constructor(IMarket market_) {
        market = market_;
    }

    /// @notice Records what the guardian decided about the alert with the evidence hash `alert`, for everybody and for ever.
    function decide(uint256 session, bytes32 alert, uint8 outcome, string calldata reason) external {
        if (!IAccessControl(address(market)).hasRole(GUARDIAN_ROLE, msg.sender)) revert NotGuardian(msg.sender);
        market.state(session); // refuses a session that there is not
        if (alert == 0) revert AlertMissing(session);
        if (outcome > CONFIRMED) revert OutcomeUnknown(outcome);
        uint256 length = bytes(reason).length;
        if (length == 0 || length > LONGEST_REASON) revert ReasonLength(length, LONGEST_REASON);
        ++decisions[session][alert];
        emit Decided(session, alert, outcome, reason);
    }
}
