// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Progress, State, Terms} from "../src/Protocol.sol";
import {Settlement} from "../src/Settlement.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {Logs, Stage} from "./Stage.sol";

/// @title SettlementActs: rows of any groups, in any order that the rules allow, and in some that they do not
abstract contract SettlementActs is Stage {
    using Dice for Dice.State;

    struct Call {
        uint256 group;
        uint256 which;
        uint256[] part;
        uint256[] places; // of the rows in `part`
        uint256[] picks;
        uint256 picked;
        bytes4 why; // it must be refused
        bool late; // no proof can come any more
        uint256 deliveryEnd;
        uint256 feePpm;
    }

    function settleSellers(uint256 seed) external watched {
        _settle(Dice.State(seed), true);
    }

    function settleBuyers(uint256 seed) external watched {
        _settle(Dice.State(seed), false);
    }

    function _settle(Dice.State memory dice, bool sellers) private {
        if (_held.length == 0) return;
        Held storage held = _held[_recent(dice)];
        Progress memory reached = market.progress(held.id);
        if (!reached.cleared || reached.underReview || reached.uncommitted != 0 || reached.groups == 0) return;
        Terms memory agreed = market.terms(held.id);
        if (dice.once(8)) _leap(dice, agreed.proofDeadline + 1);
        Call memory call;
        call.late = vm.getBlockTimestamp() > agreed.proofDeadline;
        (call.deliveryEnd, call.feePpm) = (agreed.deliveryEnd, agreed.feePpm);
        call.group = dice.roll(0, reached.groups - 1);
        call.part = dice.once(2)
            ? Books.groupOf(held.rows, call.group, held.intervals)
            : _from(held.rows, call.group, held.intervals);
        _choose(dice, held, call, sellers);
        if (call.which == 0) return;
        if (!sellers && reached.sellersLeft != 0) call.why = Settlement.SellersFirst.selector;
        uint256[] memory picks = Books.packed(call.picked, 32);
        for (uint256 i; i < call.picked; ++i) Books.put(picks, i, 32, call.picks[i]);
        if (call.why != 0) refused(call.why);
        else (_moves, _rates) = (true, sellers);
        uint256[] memory rulesOf = rules();
        Logs(address(vm)).recordLogs();
        settlement.settle(held.id, call.group, call.which, call.part, held.certificate, rulesOf, held.batches, picks);
        if (call.why == 0) _count(held, call, sellers);
    }

    /// @dev Rows of the group and all after it, at most 256.
    function _from(uint256[] memory all, uint256 group, uint256 intervals_) private pure returns (uint256[] memory part) {
        uint256 from;
        for (uint256 i; i < 16 * group; ++i) from += Books.rowSize(all[from], intervals_);
        part = new uint256[](all.length - from);
        for (uint256 i; i < part.length; ++i) part[i] = all[from + i];
        uint256 number;
        for (uint256 i; i < part.length; i += Books.rowSize(part[i], intervals_)) ++number;
        if (number > 256) part = Books.groupOf(all, group, intervals_);
    }

    /// @dev Chooses rows of one side, now and then with one that is settled or not final, and what picks they need.
    function _choose(Dice.State memory dice, Held storage held, Call memory call, bool sellers) private view {
        uint256 number;
        for (uint256 i; i < call.part.length; i += Books.rowSize(call.part[i], held.intervals)) ++number;
        call.places = new uint256[](number);
        call.picks = new uint256[](number * (2 + held.batches.length));
        bool odd = dice.once(5);
        bool again;
        uint256 at_;
        for (uint256 i; i < number; ++i) {
            call.places[i] = at_;
            if ((sellers ? _sells(call.part, at_, held.intervals) : _buys(call.part, at_, held.intervals)) && !dice.once(4)) {
                bool settled = settlement.settled(held.id, call.group + i / 16, i % 16);
                bytes4 why = sellers ? _notFinal(held, call, at_) : bytes4(0);
                if ((!settled && why == 0) || odd) {
                    again = again || settled;
                    if (call.why == 0) call.why = why;
                    call.which |= 1 << i;
                    if (sellers) _picksFor(held, call, call.part[at_] & ACCOUNT);
                }
            }
            at_ += Books.rowSize(call.part[at_], held.intervals);
        }
        if (again) call.why = Settlement.RowsAlreadySettled.selector;
    }

    /// @return Why the seller cannot be settled yet, 0 if it can.
    function _notFinal(Held storage held, Call memory call, uint256 at_) private view returns (bytes4) {
        bool reserve = (call.part[at_] >> 195) & 1 == 1;
        if (reserve && vm.getBlockTimestamp() < call.deliveryEnd) return Settlement.ReserveNotFinal.selector;
        uint256 account = call.part[at_] & ACCOUNT;
        uint256 open_ = _inDay(held.mask, _filled(call.part, at_, held.intervals));
        open_ &= ~deliveries.recordedOf(held.id, account);
        return open_ != 0 && !call.late ? Settlement.SellerNotFinal.selector : bytes4(0);
    }

    function _picksFor(Held storage held, Call memory call, uint256 account) private view {
        uint256 number = call.picked++;
        for (uint256 b; b < held.batches.length; ++b) {
            for (uint256 e; e < held.batches[b].length / 4; ++e) {
                if (held.batches[b][4 * e] & ACCOUNT != account) continue;
                call.picks[call.picked++] = b | (e << 16);
                ++call.picks[number];
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------------ counting

    /// @dev Takes the money from what is expected, as the events tell it.
    function _count(Held storage held, Call memory call, bool sellers) private {
        Logs.Log[] memory logs = Logs(address(vm)).getRecordedLogs();
        uint256[] memory told;
        for (uint256 i; i < logs.length; ++i) {
            bytes32 topic = logs[i].topics[0];
            if (topic == (sellers ? Settlement.SellersSettled.selector : Settlement.BuyersSettled.selector)) {
                told = abi.decode(logs[i].data, (uint256[]));
            }
        }
        uint256 next;
        for (uint256 i; i < call.places.length; ++i) {
            if ((call.which >> i) & 1 == 0) continue;
            uint256 header = call.part[call.places[i]];
            uint256 word = told[next++];
            same(word & type(uint64).max, header & type(uint64).max, "told of the row");
            settledRows.push((held.id << 32) | (16 * call.group + i));
            if (sellers) _seller(held, header, word, call.feePpm);
            else held.due -= (word >> 128) & type(uint64).max;
            if (!sellers && word >> 128 != 0) _did("refund");
        }
        same(next, told.length, "rows told");
        if (!held.frozen && market.progress(held.id).sellersLeft == 0) _freeze(held);
        if (market.state(held.id) == State.Settled) _did(["settled", "settled together", "", "settled request"][held.mode]);
        _did(sellers ? "sellers" : "buyers");
    }

    function _seller(Held storage held, uint256 header, uint256 word, uint256 feePpm) private {
        uint256 earned = (word >> 64) & type(uint56).max;
        uint256 penalty = (word >> 176) & type(uint56).max;
        vm.assertLe(penalty, _lockIn(header), "nobody forfeits more than it has locked");
        _rated(word & ACCOUNT, word >> 232);
        locks[_payerIn(header)] -= _lockIn(header);
        held.due = held.due + penalty - earned;
        operatorFees += earned * feePpm / 1_000_000;
        if (penalty != 0) _did("penalty");
        if (earned * feePpm >= 1_000_000) _did("operator fee");
    }

    /// @dev The rating goes to the account, whoever is paid.
    function _rated(uint256 account, uint256 rating) private view {
        vm.assertLe(rating, 10_001, "rating");
        uint256 before = _reputation[account];
        (,, uint256 reputation) = vault.balanceOf(account);
        uint256 expected = before == 0 ? rating : (3 * before + rating + 2) / 4;
        same(reputation, rating == 0 ? before : expected, "reputation");
    }

    function _freeze(Held storage held) private {
        held.frozen = true;
        for (uint256 j; j < held.intervals; ++j) held.refunds.push(settlement.refunds(held.id, j));
    }
}
