// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clearing} from "../src/Clearing.sol";
import {Progress, State, Terms} from "../src/Protocol.sol";
import {Settlement} from "../src/Settlement.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {Stage} from "./Stage.sol";

/// @title GuardianActs: what becomes of sessions under review, and exemptions
abstract contract GuardianActs is Stage {
    using Dice for Dice.State;

    function decide(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        (bool found, uint256 index) = _pick(dice, State.UnderReview, false);
        if (!found) return;
        Held storage held = _held[index];
        if (dice.once(4)) {
            refused(Clearing.NotGuardian.selector);
            vm.prank(OPERATOR);
            clearing.release(held.id, held.certificate, "the operator is none");
            return;
        }
        uint256 choice = dice.roll(0, 4);
        if (choice == 0) {
            vm.prank(GUARDIAN);
            clearing.cancelReviewed(held.id, "agreed between them");
            _did("cancel reviewed");
        } else if (choice == 1) {
            vm.prank(GUARDIAN);
            clearing.release(held.id, held.certificate, "a cold day");
            _decided(held);
            _did("release price");
        } else {
            _exclude(dice, held);
        }
    }

    /// @dev One order, or every offer.
    function _exclude(Dice.State memory dice, Held storage held) private {
        uint256 number = _orders[held.id].length;
        uint256[] memory all = new uint256[](1);
        Books.Order memory chosen = _orders[held.id][dice.roll(0, number - 1)];
        all[0] = chosen.account | (chosen.side << 32);
        if (dice.once(2)) {
            all = new uint256[](MEMBERS);
            for (uint256 i; i < MEMBERS; ++i) all[i] = (i + 1) | (1 << 32);
        }
        if (held.excluded.length != 0) refused(Clearing.ExcludedAlready.selector);
        vm.prank(GUARDIAN);
        clearing.exclude(held.id, all, keccak256("a letter"));
        if (held.excluded.length != 0) return;
        held.excluded = all;
        _did("exclude");
    }

    function exempt(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        if (_held.length == 0) return;
        Held storage held = _held[_recent(dice)];
        Progress memory reached = market.progress(held.id);
        if (held.rows.length == 0 || !reached.cleared || reached.underReview || reached.cancelled || !dice.once(3)) return;
        uint256 group = dice.roll(0, reached.groups - 1);
        uint256[] memory part = Books.groupOf(held.rows, group, held.intervals);
        uint256 number;
        for (uint256 i; i < part.length; i += Books.rowSize(part[i], held.intervals)) ++number;
        uint256 row = dice.roll(0, number - 1);
        uint256 at_;
        for (uint256 i; i < row; ++i) at_ += Books.rowSize(part[at_], held.intervals);
        uint256 intervals_ = held.mask & dice.roll(0, (1 << 24) - 1);
        Terms memory agreed = market.terms(held.id);
        if (vm.getBlockTimestamp() >= agreed.exemptionDeadline) refused(Settlement.ExemptionTooLate.selector);
        else if (intervals_ == 0) refused(Settlement.ExemptionNotInSession.selector);
        else if (settlement.settled(held.id, group, row)) refused(Settlement.RowsAlreadySettled.selector);
        else if (!_sells(part, at_, held.intervals)) refused(Settlement.RowNotToSettle.selector);
        else _did("exempt");
        vm.prank(GUARDIAN);
        settlement.exempt(held.id, group, row, part, intervals_, "the line is being repaired");
    }
}
