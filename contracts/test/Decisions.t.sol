// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Decisions} from "../src/Decisions.sol";
import {State} from "../src/Protocol.sol";
import {Checked} from "./Cheats.sol";

/// @title KnownSessions: a market of which Decisions asks two things
contract KnownSessions {
    address public guardian;

    error UnknownSession(uint256 session);

    constructor(address guardian_) {
        guardian = guardian_;
    }

    function hasRole(bytes32 role, address who) external view returns (bool) {
        return role == keccak256("GUARDIAN") && who == guardian;
    }

    function state(uint256 session) external pure returns (State) {
        if (session == 0 || session > 9) revert UnknownSession(session);
        return State.Cleared;
    }
}

/// @title DecisionsTest: who decides what about an alert, and that nothing is overwritten
contract DecisionsTest is Checked {
    address private constant GUARDIAN = address(0x6a);
    bytes32 private constant ALERT = keccak256("evidence");

    Decisions private decisions;

    function setUp() public {
        decisions = Decisions(vm.deployCode("artifacts/Decisions.json", abi.encode(new KnownSessions(GUARDIAN))));
    }

    function test_aLaterDecisionStandsBesideTheEarlier() public {
        _decide(3, ALERT, 0, "meters were read again");
        _decide(3, ALERT, 1, "the owner admits it");
        same(decisions.decisions(3, ALERT), 2, "decisions");
        same(decisions.decisions(4, ALERT), 0, "another session's");
    }

    function test_onlyTheGuardianDecides(address who) public {
        vm.assume(who != GUARDIAN);
        refused(Decisions.NotGuardian.selector);
        vm.prank(who);
        decisions.decide(3, ALERT, 1, "why");
    }

    function test_anOutcomeIsOneOfTwo(uint8 outcome) public {
        if (outcome > 1) refused(Decisions.OutcomeUnknown.selector);
        _decide(3, ALERT, outcome, "why");
    }

    function test_aDecisionNamesSessionAlertAndReason() public {
        refused(KnownSessions.UnknownSession.selector);
        _decide(10, ALERT, 1, "why");
        refused(Decisions.AlertMissing.selector);
        _decide(3, 0, 1, "why");
        refused(Decisions.ReasonLength.selector);
        _decide(3, ALERT, 1, "");
        refused(Decisions.ReasonLength.selector);
        _decide(3, ALERT, 1, string(new bytes(2049)));
        _decide(3, ALERT, 1, string(new bytes(2048)));
    }

    function _decide(uint256 session, bytes32 alert, uint8 outcome, string memory reason) private {
        vm.prank(GUARDIAN);
        decisions.decide(session, alert, outcome, reason);
    }
}
