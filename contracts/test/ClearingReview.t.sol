// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clearing} from "../src/Clearing.sol";
import {Pass} from "../src/ClearingPass.sol";
import {Results} from "../src/Results.sol";
import {Progress, State} from "../src/Protocol.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {ClearingRoom} from "./ClearingRoom.sol";

/// @title ClearingReview: what the guardian may do with prices outside the band, and what nobody may
contract ClearingReviewTest is ClearingRoom {
    using Dice for Dice.State;

    address private constant GUARDIAN = address(0x6a);

    function setUp() external {
        furnish();
        market.grant(keccak256("GUARDIAN"), GUARDIAN);
    }

    function test_prices_outside_the_band_wait_for_the_guardian(uint256 seed) external {
        Case memory made = _reviewed(Dice.State(seed));
        same(uint256(market.state(made.session)), uint256(State.UnderReview), "under review");
        same(guard.recorded(), 0, "prices of a session under review do not count");
        if (made.orders.length != 0) {
            uint256[] memory rows = Books.groupOf(made.rows, 0, made.intervals);
            refused(Results.NotCommittable.selector);
            clearing.commit(made.session, 0, rows);
        }
        Pass memory taken = whole(made);
        refused(Results.WrongState.selector);
        clearing.clear(made.session, taken);
        vm.prank(GUARDIAN);
        clearing.release(made.session, made.certificate, "seen");
        same(guard.recorded(), 1, "released prices count");
        same(uint256(market.state(made.session)), uint256(State.Cleared), "cleared");
        Progress memory reached = market.progress(made.session);
        if (reached.groups != 0) clearing.commit(made.session, 0, Books.groupOf(made.rows, 0, made.intervals));
        vm.prank(GUARDIAN);
        refused(Results.WrongState.selector);
        clearing.release(made.session, made.certificate, "again");
    }

    function test_only_the_guardian_decides_and_only_under_review(uint256 seed) external {
        Case memory made = _reviewed(Dice.State(seed));
        uint256[] memory list = _words1(1);
        refused(Clearing.NotGuardian.selector);
        clearing.release(made.session, made.certificate, "");
        refused(Clearing.NotGuardian.selector);
        clearing.cancelReviewed(made.session, "");
        refused(Clearing.NotGuardian.selector);
        clearing.exclude(made.session, list, 0);
        uint256[] memory other = Books.join(made.certificate, list);
        vm.prank(GUARDIAN);
        refused(Clearing.CertificateMismatch.selector);
        clearing.release(made.session, other, "");
        vm.prank(GUARDIAN);
        clearing.cancelReviewed(made.session, "no");
        same(uint256(market.state(made.session)), uint256(State.Cancelled), "cancelled");
        vm.prank(GUARDIAN);
        refused(Results.WrongState.selector);
        clearing.cancelReviewed(made.session, "no");
        vm.prank(GUARDIAN);
        refused(Results.WrongState.selector);
        clearing.exclude(made.session, list, 0);
    }

    function test_a_list_is_excluded_once_in_order(uint256 seed) external {
        Case memory made = _reviewed(Dice.State(seed));
        uint256[] memory list = new uint256[](2);
        uint256[2][5] memory wrong =
            [[uint256(2), 1], [uint256(1), 1], [1 | (uint256(1) << 32), 1], [uint256(0), 1], [uint256(1), 1 << 33]];
        for (uint256 i; i < wrong.length; ++i) {
            (list[0], list[1]) = (wrong[i][0], wrong[i][1]);
            vm.prank(GUARDIAN);
            refused(Clearing.ExcludedOrder.selector);
            clearing.exclude(made.session, list, 0);
        }
        vm.prank(GUARDIAN);
        refused(Clearing.ExcludedEmpty.selector);
        clearing.exclude(made.session, new uint256[](0), 0);
        (list[0], list[1]) = (1, 1 | (1 << 32));
        vm.prank(GUARDIAN);
        clearing.exclude(made.session, list, 0);
        vm.prank(GUARDIAN);
        refused(Clearing.ExcludedAlready.selector);
        clearing.exclude(made.session, list, 0);
    }

    /// @dev Exactly the list, only inside the band, in any chunks; what was accepted before gives way.
    function test_a_session_is_cleared_again_without_what_is_excluded(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = _reviewed(dice);
        uint256 account = dice.roll(1, 7);
        uint256 side = dice.roll(0, 1);
        made.excluded = _words1(account | (side << 32));
        Pass memory taken = whole(made);
        refused(Clearing.ExcludedMismatch.selector);
        clearing.clear(made.session, taken);
        vm.prank(GUARDIAN);
        clearing.exclude(made.session, made.excluded, keccak256("evidence"));
        for (uint256 i; i < made.orders.length; ++i) {
            if (made.orders[i].account == account && made.orders[i].side == side) made.orders[i].excluded = true;
        }
        resolve(made);
        taken = whole(made);
        taken.excluded = _words1(account | ((1 - side) << 32));
        refused(Clearing.ExcludedMismatch.selector);
        clearing.clear(made.session, taken);
        taken.excluded = new uint256[](0);
        refused(Results.WrongState.selector);
        clearing.clear(made.session, taken);
        taken = whole(made);
        refused(Clearing.PricesOutsideBand.selector);
        clearing.clear(made.session, taken);
        guard.set(false);
        clearInChunks(dice, made);
        (uint256 groups, bool review,, uint256 times) = market.reports(made.session);
        vm.assertTrue(!review && times == 2, "cleared again");
        for (uint256 g; g < groups; ++g) {
            vm.assertTrue(clearing.groupHash(made.session, g) == hashOf(Books.groupOf(made.rows, g, made.intervals)), "rows");
        }
        same(guard.recorded(), 1, "prices count once");
    }

    function test_other_states_and_modes_are_refused(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, false);
        Pass memory taken = whole(made);
        for (uint256 state; state < 9; ++state) {
            if (state == uint256(State.Closed)) continue;
            market.put(made.session, State(state));
            vm.assertTrue(!accepts(made.session, taken), "another state");
        }
        market.put(made.session, State.Closed);
        clearing.clear(made.session, taken);
        vm.assertTrue(!accepts(made.session, taken), "cleared twice");
    }

    function _reviewed(Dice.State memory dice) private returns (Case memory made) {
        made = random(dice, dice.once(2));
        guard.set(true);
        clearing.clear(made.session, whole(made));
    }

    function _words1(uint256 word) private pure returns (uint256[] memory words) {
        words = new uint256[](1);
        words[0] = word;
    }
}
