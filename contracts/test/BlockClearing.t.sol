// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockCheck} from "../src/BlockCheck.sol";
import {BlockClearing} from "../src/BlockClearing.sol";
import {State} from "../src/Protocol.sol";
import {Results} from "../src/Results.sol";
import {BlockBench} from "./BlockBench.sol";
import {Blocks} from "./Blocks.sol";
import {Dice} from "./Cheats.sol";

/// @title BlockClearingTest: proposals are taken if and only if they are feasible and better, and bonds are never lost
contract BlockClearingTest is BlockBench {
    using Dice for Dice.State;

    // ------------------------------------------------------------------------------------------------------------ feasibility

    /// @dev The best of all ratios in thirds and halves and all prices is taken, with the rows that section 12 gives.
    function test_the_best_of_all_is_taken_and_leaves_the_right_rows(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        accounts.setSold(1, 1 << 5);
        accounts.setSold(2, 1 << 5);
        (Blocks.Order[] memory orders, Blocks.Choice memory choice, uint256 welfare) = _book(dice);
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = Blocks.propose(orders, choice);
        solution.account = 10;
        bytes32 key = _pass(dice, session, orders, solution, hints);
        (bytes32 bestKey,, uint128 found,,,,) = clearing.best(session);
        vm.assertTrue(bestKey == key, "taken");
        same(found, welfare, "welfare");
        _accept(session, solution.certificate);
        uint256[] memory rows = Blocks.rows(orders, choice);
        vm.assertTrue(clearing.groupHash(session, 0) == keccak256(abi.encodePacked(rows)), "rows");
        _commitAndCompare(session, orders, choice, rows);
    }

    /// @dev Around good proposals the contract and the slow check here agree on every change of price, ratio, rounding, payer,
    /// parent.
    function test_every_mutation_is_judged_as_the_rules_say(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        accounts.setSold(1, 1 << 5);
        accounts.setSold(2, 1 << 5);
        (Blocks.Order[] memory orders, Blocks.Choice memory best,) = _book(dice);
        for (uint256 i; i < 12; ++i) {
            Blocks.Choice memory choice = _copy(best);
            for (uint256 moves = dice.roll(1, 2); moves != 0; --moves) {
                _mutate(dice, choice);
            }
            (bool good,,) = Blocks.weigh(orders, choice);
            same(_taken(orders, choice, 0, 0) ? 1 : 0, good ? 1 : 0, "judged as the rules say");
        }
        // Words of the table or the certificate that say the same in another way are refused as well.
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, best);
        uint256 bit = dice.roll(0, 255);
        if (solution.table.length != 0 && (bit < 96 || bit >= 128)) {
            vm.assertTrue(!_taken(orders, best, 1 << bit, 0) || _stillGood(orders, best, bit), "another table");
        }
        vm.assertTrue(!_taken(orders, best, 0, 1 << dice.roll(64, 255)), "another certificate");
    }

    function test_parent_of_another_payer_is_refused() external {
        Blocks.Order[] memory orders = _linked();
        (orders[1].agent, orders[2].agent) = (8, 9);
        _refuse(orders, _full(3, 50), BlockCheck.ParentOfOtherPayer.selector);
        orders[2].agent = 8;
        vm.assertTrue(_taken(orders, _full(3, 50), 0, 0), "the same payer");
    }

    function test_child_takes_no_more_than_its_parent() external {
        Blocks.Order[] memory orders = _linked();
        Blocks.Choice memory choice = _full(3, 50);
        (choice.ratios[0], choice.ratios[1]) = (500_000, 0);
        _refuse(orders, choice, BlockCheck.AboveParent.selector);
        orders[1].live = false; // nobody is (2, offer) any more
        (orders[1].account, orders[1].live) = (5, true);
        _refuse(orders, choice, BlockCheck.ParentNotLive.selector);
    }

    /// @dev A block that takes nothing is not accepted, so that it carries no child: neither a cancelled one nor one rounded to
    /// nothing.
    function test_a_parent_without_fills_carries_nobody() external {
        Blocks.Order[] memory orders = _linked();
        Blocks.Choice memory choice = _full(3, 50);
        orders[0].quantities[0] = 1000;
        orders[1].quantities[0] = orders[1].limits[0] = 0;
        _refuse(orders, choice, BlockCheck.NothingFilled.selector);
        orders[1].quantities[0] = 1;
        (orders[0].quantities[0], choice.ratios[0]) = (2, PPM);
        (choice.ratios[1], choice.ratios[2]) = (2000, 2000);
        _refuse(orders, choice, BlockCheck.NothingFilled.selector);
    }

    /// @dev Parents in a circle are all accepted in one ratio, or none.
    function test_parents_in_a_circle_stand_together() external {
        Blocks.Order[] memory orders = _linked();
        (orders[1].agent, orders[2].agent) = (8, 8);
        (orders[1].parent, orders[1].parentSide) = (3, 1);
        vm.assertTrue(_taken(orders, _full(3, 50), 0, 0), "both");
        Blocks.Choice memory choice = _full(3, 50);
        (choice.ratios[0], choice.ratios[1]) = (500_000, 0);
        _refuse(orders, choice, BlockCheck.AboveParent.selector);
    }

    function test_a_sold_interval_takes_no_fill() external {
        accounts.setSold(2, 1 << 5);
        Blocks.Order[] memory orders = _pair(1000, 100, 40);
        Blocks.Choice memory choice = _two(50);
        _refuse(orders, choice, BlockCheck.Unbalanced.selector); // interval 0 is sold
        orders[0].quantities[0] = orders[0].limits[0] = 0;
        (orders[1].sold, choice.prices[0]) = (1, 0);
        vm.assertTrue(_taken(orders, choice, 0, 0), "the rest of the block");
        (choice.ratios[0], choice.ratios[1]) = (500_500, 500_500);
        (choice.ups[0], choice.ups[1]) = (2, 2);
        vm.assertTrue(_taken(orders, choice, 0, 0), "rounded up");
        choice.ups[1] = 3;
        _refuse(orders, choice, BlockCheck.RoundedUpForNothing.selector);
    }

    /// @dev Rounding interval by interval may come to more than the block is worth: 2 for what is worth 0.4 and has 1 locked.
    function test_a_bid_pays_at_most_its_lock() external {
        Blocks.Order[] memory orders = _pair(1, 400, 150);
        (orders[0].limits[0], orders[0].limits[1]) = (0, 400);
        Blocks.Choice memory choice = _two(150);
        uint256 session = _open(orders);
        _propose(session, orders, choice, ALICE);
        _accept(session, _certificate(orders, choice));
        uint256[] memory rows = Blocks.rows(orders, choice);
        same(rows[0] >> 128 & type(uint64).max, 1, "the lock");
        vm.assertTrue(clearing.groupHash(session, 0) == keccak256(abi.encodePacked(rows)), "rows");
    }

    function test_price_above_the_cap_is_refused() external {
        Blocks.Order[] memory orders = _linked();
        (orders[0].limits[0], orders[2].parent) = (1000, 0);
        _refuse(orders, _full(3, 501), BlockCheck.PriceAboveCap.selector);
    }

    // ------------------------------------------------------------------------------------------------------------------ passes

    /// @dev Whoever goes on can only do the right thing, and only the finder ends it.
    function test_nobody_can_lead_a_pass_astray() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, _full(3, 50), 10);
        solution.logs = new bytes32[](2);
        solution.logs[0] = _extend(0, Blocks.encode(orders[0]));
        solution.logs[1] = market.logged();
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, 1, hints);
        chunk.words[1] ^= 1 << 60;
        refused(BlockClearing.LogMismatch.selector);
        clearing.propose(session, solution, chunk);
        chunk.words[1] ^= 1 << 60;
        vm.prank(BOB);
        clearing.propose(session, solution, chunk);
        bytes32 key = clearing.keyOf(solution);
        refused(BlockClearing.StateMismatch.selector);
        clearing.propose(session, solution, chunk); // no second start
        BlockClearing.Chunk memory rest = _chunk(orders, 1, 3, hints);
        rest.state = _stateAfter(orders, solution, 1);
        vm.assertTrue(keccak256(abi.encodePacked(rest.state)) == clearing.stateHash(session, key), "the state is the rules'");
        vm.prank(BOB);
        refused(BlockClearing.NotOwner.selector);
        clearing.propose(session, solution, rest);
        rest.state[2] ^= 1;
        refused(BlockClearing.StateMismatch.selector);
        clearing.propose(session, solution, rest);
        rest.state[2] ^= 1;
        vm.prank(ALICE);
        clearing.propose(session, solution, rest);
        (bytes32 best,,,,,,) = clearing.best(session);
        vm.assertTrue(best == key, "taken");
    }

    function test_a_log_without_entries_can_be_accepted() external {
        Blocks.Order[] memory orders = new Blocks.Order[](0);
        uint256 session = _open(orders);
        _propose(session, orders, _full(0, 0), ALICE);
        _accept(session, _certificate(orders, _full(0, 0)));
        same(market.progress(session).groups, 0, "no rows");
        same(uint256(market.state(session)), uint256(State.Cleared), "cleared");
    }

    function test_another_log_does_not_start() external {
        Blocks.Order[] memory orders = _linked();
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, _full(3, 50), 10);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, 3, hints);
        orders[0].quantities[0] = 1; // what was logged is another order
        uint256 session = _open(orders);
        refused(BlockClearing.LogMismatch.selector);
        clearing.propose(session, solution, chunk);
    }

    // ------------------------------------------------------------------------------------------------------- bonds and
    // decisions

    function test_who_finds_better_takes_the_bond() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        Blocks.Choice memory half = _full(3, 50);
        (half.ratios[0], half.ratios[1], half.ratios[2]) = (500_000, 500_000, 500_000);
        _propose(session, orders, half, ALICE);
        same(vault.locked(10), BOND, "bond locked");
        vm.assertTrue(!_tryPropose(session, orders, half, BOB), "the same again");
        half.ratios[0] = half.ratios[1] = half.ratios[2] = 540_000;
        vm.assertTrue(!_tryPropose(session, orders, half, BOB), "less than a tenth better");
        _propose(session, orders, _full(3, 50), BOB);
        same(vault.locked(10) + vault.available(10), 1_000_000 - BOND, "lost");
        same(vault.available(11), 1_000_000, "its own bond locked, the other's won");
        _accept(session, _certificate(orders, _full(3, 50)));
        same(vault.available(11), 1_000_000 + BOND, "returned");
        same(vault.locked(10) + vault.locked(11) + vault.escrow(session), 0, "nothing left over");
        same(market.beneficiaryOf(session), 11, "intake fees go to the finder");
        refused(Results.WrongState.selector);
        clearing.reclaim(session);
    }

    function test_outbidding_oneself_moves_no_money() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        Blocks.Choice memory half = _full(3, 50);
        (half.ratios[0], half.ratios[1], half.ratios[2]) = (500_000, 500_000, 500_000);
        _propose(session, orders, half, ALICE);
        _propose(session, orders, _full(3, 50), ALICE);
        same(vault.available(10), 1_000_000 - BOND, "one bond");
        same(vault.locked(10), BOND, "locked");
    }

    function test_no_trade_can_be_accepted_and_is_beaten_by_any() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        Blocks.Choice memory none = _full(3, 0);
        none.ratios = new uint256[](3);
        _propose(session, orders, none, ALICE);
        uint256 other = _open(orders);
        _propose(other, orders, none, ALICE);
        _propose(other, orders, _full(3, 50), BOB);
        _accept(session, _certificate(orders, none));
        for (uint256 i; i < 3; ++i) {
            vault.fund(orders[i].account, 0);
        }
        same(market.progress(session).groups, 1, "committed as any other");
    }

    /// @dev The finder chooses prices among those that suit: who chooses prices that stop the session loses its bond to the
    /// same solution with others.
    function test_prices_outside_the_band_give_way_to_prices_inside() external {
        Blocks.Order[] memory orders = _linked();
        guard.setLine(60);
        uint256 session = _open(orders);
        _propose(session, orders, _full(3, 90), ALICE);
        vm.assertTrue(!_tryPropose(session, orders, _full(3, 95), BOB), "outside as well");
        _propose(session, orders, _full(3, 60), BOB);
        vm.assertTrue(!_tryPropose(session, orders, _full(3, 90), ALICE), "and not back");
        _accept(session, _certificate(orders, _full(3, 60)));
        same(uint256(market.state(session)), uint256(State.Cleared), "cleared");
        same(guard.records(), 1, "prices are history");
    }

    function test_only_a_guardian_decides_under_review() external {
        Blocks.Order[] memory orders = _linked();
        guard.setLine(10);
        uint256[] memory certificate = _certificate(orders, _full(3, 50));
        for (uint256 i; i < 2; ++i) {
            uint256 session = _open(orders);
            _propose(session, orders, _full(3, 50), ALICE);
            _accept(session, certificate);
            same(uint256(market.state(session)), uint256(State.UnderReview), "under review");
            same(vault.locked(10), 0, "the finder has done its part");
            refused(BlockClearing.NotGuardian.selector);
            clearing.release(session, certificate, "scarce");
            refused(BlockClearing.NotGuardian.selector);
            clearing.cancelReviewed(session, "bought");
            refused(Results.NotCommittable.selector);
            clearing.commit(session, 0, Blocks.rows(orders, _full(3, 50)));
            vm.prank(BOB);
            if (i == 0) clearing.release(session, certificate, "scarce");
            else clearing.cancelReviewed(session, "bought");
            same(uint256(market.state(session)), uint256(i == 0 ? State.Cleared : State.Cancelled), "decided");
        }
        same(guard.records(), 1, "released prices are history, others are not");
    }

    function test_bonds_come_back_once_from_a_cancelled_session() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        _propose(session, orders, _full(3, 50), ALICE);
        refused(Results.WrongState.selector);
        clearing.reclaim(session);
        market.setState(session, State.Cancelled);
        clearing.reclaim(session);
        same(vault.available(10), 1_000_000, "whole");
        refused(BlockClearing.NoBond.selector);
        clearing.reclaim(session);
    }

    function test_the_window_has_two_ends() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        uint256[] memory certificate = _certificate(orders, _full(3, 50));
        vm.warp(2000);
        refused(BlockClearing.NothingProposed.selector);
        clearing.accept(session, certificate);
        vm.assertTrue(!_tryPropose(session, orders, _full(3, 50), ALICE), "too late");
        vm.warp(1999);
        _propose(session, orders, _full(3, 50), ALICE);
        refused(BlockClearing.ChallengeOpen.selector);
        clearing.accept(session, certificate);
        market.setState(session, State.Open);
        vm.assertTrue(!_tryPropose(session, orders, _full(3, 50), ALICE), "too early");
    }

    function test_gas_of_an_entry() external {
        uint256[3] memory numbers = [uint256(16), 160, 160];
        for (uint256 c; c < 3; ++c) {
            Blocks.Order[] memory orders = new Blocks.Order[](numbers[c]);
            for (uint256 i; i < orders.length; ++i) {
                Blocks.Order memory order = orders[i];
                (order.account, order.side, order.live) = (20 + i, i & 1, true);
                (order.quantities, order.limits) = (new uint256[](24), new uint256[](24));
                for (uint256 j; j < 24; ++j) {
                    (order.quantities[j], order.limits[j]) = (900, order.side == 0 ? 300 : 200);
                }
            }
            Blocks.Choice memory choice = _full(orders.length, 0);
            choice.prices = new uint256[](24);
            if (c == 2) choice.ratios = new uint256[](orders.length);
            for (uint256 j; j < 24 && c != 2; ++j) {
                choice.prices[j] = 250;
            }
            uint256 session = _open(orders);
            (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, 10);
            BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
            chunk.sizes = new uint256[](1);
            chunk.sizes[0] = chunk.words.length;
            bytes32 log = _extend(0, chunk.words);
            solution.logs[0] = log;
            market.set(_terms(24), log);
            vm.prank(ALICE);
            clearing.propose(session, solution, chunk);
            vm.snapshotGasLastCall(
                "blocks", ["16 of 24 intervals", "160 of 24 intervals", "160 of 24 intervals, none filled"][c]
            );
        }
    }
}
