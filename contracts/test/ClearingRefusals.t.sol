// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clearing} from "../src/Clearing.sol";
import {ClearingPass, Pass} from "../src/ClearingPass.sol";
import {Terms} from "../src/Protocol.sol";
import {Dice} from "./Cheats.sol";
import {ClearingRoom} from "./ClearingRoom.sol";

/// @title ClearingRefusals: passes for sessions that they are not made for
contract ClearingRefusalsTest is ClearingRoom {
    function setUp() external {
        furnish();
    }

    function test_blocks_and_requests_are_not_cleared_here() external {
        Case memory made = _twoBatches();
        for (uint256 mode = 2; mode < 4; ++mode) {
            Terms memory agreed = terms(made);
            agreed.mode = uint8(mode);
            market.close(made.session, agreed, logOf(made));
            Pass memory taken = whole(made);
            vm.expectRevert(abi.encodeWithSelector(Clearing.ModeNotCleared.selector, made.session, mode));
            clearing.clear(made.session, taken);
            vm.expectRevert(abi.encodeWithSelector(Clearing.ModeNotCleared.selector, made.session, mode));
            clearing.take(made.session, taken);
        }
    }

    function test_a_competitive_session_has_no_levels() external {
        Case memory made = _twoBatches();
        for (uint256 i; i < 3; ++i) {
            Pass memory taken = whole(made);
            if (i == 0) taken.levels = new uint256[](1);
            if (i == 1) taken.levelsHash = bytes32(uint256(1));
            if (i == 2) taken.levelsLeft = bytes32(uint256(1));
            vm.expectRevert(abi.encodeWithSelector(Clearing.LevelsNotWanted.selector, made.session));
            clearing.clear(made.session, taken);
        }
        clearing.clear(made.session, whole(made));
    }

    /// @dev The terms of a session do not change; were it otherwise, no state would be read as one of other intervals.
    function test_a_state_is_of_as_many_intervals_as_its_session() external {
        Case memory made = _twoBatches();
        uint256[] memory state = advance(made, pass(made, 0, 1, new uint256[](0)));
        Terms memory agreed = terms(made);
        (agreed.intervals, agreed.mask) = (2, 3 << 5);
        market.close(made.session, agreed, logOf(made));
        Pass memory rest = pass(made, 1, 2, state);
        vm.expectRevert(abi.encodeWithSelector(ClearingPass.StateLength.selector, state.length, state.length + 2));
        clearing.clear(made.session, rest);
        market.close(made.session, terms(made), logOf(made));
        clearing.clear(made.session, rest);
        holds(made);
    }

    /// @dev A competitive session of one interval with two orders, a batch each.
    function _twoBatches() private returns (Case memory made) {
        (made.intervals, made.mask) = (1, 1 << 5);
        made.orders = orders(Dice.State(1), 1, 2);
        made.sold = new uint256[](2);
        made.batchEntries = new uint256[](2);
        (made.batchEntries[0], made.batchEntries[1]) = (1, 1);
        finish(made);
    }
}
