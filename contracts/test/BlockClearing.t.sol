// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockCheck} from "../src/BlockCheck.sol";
import {BlockClearing} from "../src/BlockClearing.sol";
import {IAccounts, IMarket, IPriceGuard, IVault, Progress, State, Terms} from "../src/Protocol.sol";
import {Results} from "../src/Results.sol";
import {FakeAccounts, FakeGuard, FakeMarket, FakeVault} from "./BlockFakes.sol";
import {Blocks} from "./Blocks.sol";
import {Books} from "./Books.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title BlockClearingTest: proposals are taken if and only if they are feasible and better, and bonds are never lost
contract BlockClearingTest is Checked {
    using Dice for Dice.State;

    uint256 private constant PPM = 1_000_000;
    uint64 private constant BOND = 1000;
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    FakeMarket private market;
    FakeAccounts private accounts;
    FakeVault private vault;
    FakeGuard private guard;
    BlockClearing private clearing;
    uint256 private sessions;

    function setUp() external {
        (market, accounts, vault, guard) = (new FakeMarket(), new FakeAccounts(), new FakeVault(), new FakeGuard());
        clearing = new BlockClearing(
            IMarket(address(market)),
            IAccounts(address(accounts)),
            IVault(address(vault)),
            IPriceGuard(address(guard)),
            100_000,
            BOND
        );
        accounts.setOwner(10, ALICE);
        accounts.setOwner(11, BOB);
        vault.fund(10, 1_000_000);
        vault.fund(11, 1_000_000);
        market.grant(keccak256("GUARDIAN"), BOB);
        vm.warp(1000);
    }

    // ------------------------------------------------------------------------------------------------------------ feasibility

    /// @dev The best of all ratios in thirds and halves and all prices is taken, with the rows that section 12 gives.
    function test_the_best_of_all_is_taken_and_leaves_the_right_rows(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        accounts.setSold(1, 1 << 5);
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

    /// @dev Around good proposals the contract and the slow check here agree on every change of price, ratio, rounding, payer, parent.
    function test_every_mutation_is_judged_as_the_rules_say(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        accounts.setSold(1, 1 << 5);
        (Blocks.Order[] memory orders, Blocks.Choice memory best,) = _book(dice);
        for (uint256 i; i < 12; ++i) {
            Blocks.Choice memory choice = _copy(best);
            for (uint256 moves = dice.roll(1, 2); moves != 0; --moves) _mutate(dice, choice);
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

    /// @dev A block that takes nothing is not accepted, so that it carries no child: neither a cancelled one nor one rounded to nothing.
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

    // ------------------------------------------------------------------------------------------------------- bonds and decisions

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
        for (uint256 i; i < 3; ++i) vault.fund(orders[i].account, 0);
        same(market.progress(session).groups, 1, "committed as any other");
    }

    /// @dev The finder chooses prices among those that suit: who chooses prices that stop the session loses its bond to the same
    /// solution with others.
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
                for (uint256 j; j < 24; ++j) (order.quantities[j], order.limits[j]) = (900, order.side == 0 ? 300 : 200);
            }
            Blocks.Choice memory choice = _full(orders.length, 0);
            choice.prices = new uint256[](24);
            if (c == 2) choice.ratios = new uint256[](orders.length);
            for (uint256 j; j < 24 && c != 2; ++j) choice.prices[j] = 250;
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
            vm.snapshotGasLastCall("blocks", ["16 of 24 intervals", "160 of 24 intervals", "160 of 24 intervals, none filled"][c]);
        }
    }

    // ------------------------------------------------------------------------------------------------------------------- helpers

    /// @dev One bid of account 1, which has an offer of account 2 and its child of account 3 to buy; one interval, no sold ones.
    function _linked() private pure returns (Blocks.Order[] memory orders) {
        orders = new Blocks.Order[](3);
        for (uint256 i; i < 3; ++i) {
            Blocks.Order memory order = orders[i];
            (order.account, order.side, order.live) = (i + 1, i == 0 ? 0 : 1, true);
            (order.quantities, order.limits) = (new uint256[](1), new uint256[](1));
            order.quantities[0] = i == 0 ? 2000 : 1000;
            order.limits[0] = i == 0 ? 100 : 40;
        }
        (orders[2].parent, orders[2].parentSide) = (2, 1);
        (orders[1].agent, orders[2].agent) = (8, 8);
    }

    function _full(uint256 number, uint256 price) private pure returns (Blocks.Choice memory choice) {
        (choice.prices, choice.ratios, choice.ups) = (new uint256[](1), new uint256[](number), new uint256[](number));
        choice.prices[0] = price;
        for (uint256 i; i < number; ++i) choice.ratios[i] = PPM;
    }

    function _terms(uint256 intervals) private pure returns (Terms memory agreed) {
        (agreed.zone, agreed.mode, agreed.intervals, agreed.dayIntervals, agreed.day) = (1, 2, uint8(intervals), 96, 100);
        agreed.mask = uint96(((1 << intervals) - 1) << 5);
        (agreed.priceCap, agreed.minQuantity, agreed.challengeEnd) = (uint32(500), 1, 2000);
    }

    /// @dev A session whose log has every entry as a batch.
    function _open(Blocks.Order[] memory orders) private returns (uint256 session) {
        bytes32 log;
        for (uint256 i; i < orders.length; ++i) log = _extend(log, Blocks.encode(orders[i]));
        Terms memory agreed = _terms(orders.length == 0 ? 1 : orders[0].quantities.length);
        if (orders.length != 0 && _small(orders)) agreed.priceCap = uint32(Blocks.CAP);
        market.set(agreed, log);
        session = ++sessions;
        market.setState(session, State.Closed);
        vm.warp(1000);
    }

    function _small(Blocks.Order[] memory orders) private pure returns (bool) {
        for (uint256 i; i < orders.length; ++i) {
            for (uint256 j; j < orders[i].limits.length; ++j) if (orders[i].limits[j] > Blocks.CAP) return false;
        }
        return true;
    }

    function _extend(bytes32 log, uint256[] memory words) private pure returns (bytes32) {
        return keccak256(abi.encode(log, keccak256(abi.encodePacked(words))));
    }

    /// @dev Entries `from .. to - 1`, each a batch.
    function _chunk(Blocks.Order[] memory orders, uint256 from, uint256 to, uint256[] memory hints)
        private
        pure
        returns (BlockClearing.Chunk memory chunk)
    {
        chunk.sizes = new uint256[](to - from);
        chunk.hints = Books.packed(to - from, 32);
        uint256 size = 1 + (orders.length == 0 ? 0 : (orders[0].quantities.length + 3) / 4);
        chunk.words = new uint256[]((to - from) * size);
        for (uint256 i = from; i < to; ++i) {
            uint256[] memory words = Blocks.encode(orders[i]);
            chunk.sizes[i - from] = words.length;
            for (uint256 k; k < size; ++k) chunk.words[(i - from) * size + k] = words[k];
            Books.put(chunk.hints, i - from, 32, (hints[i / 8] >> (32 * (i % 8))) & type(uint32).max);
        }
    }

    function _prepared(Blocks.Order[] memory orders, Blocks.Choice memory choice, uint256 account)
        private
        view
        returns (BlockClearing.Solution memory solution, uint256[] memory hints)
    {
        (solution, hints) = Blocks.propose(orders, choice);
        solution.account = account;
        solution.logs = new bytes32[](1);
        solution.logs[0] = market.logged();
    }

    function _certificate(Blocks.Order[] memory orders, Blocks.Choice memory choice) private pure returns (uint256[] memory) {
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, choice);
        return solution.certificate;
    }

    function _propose(uint256 session, Blocks.Order[] memory orders, Blocks.Choice memory choice, address who) private {
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, who == ALICE ? 10 : 11);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
        vm.prank(who);
        clearing.propose(session, solution, chunk);
    }

    function _tryPropose(uint256 session, Blocks.Order[] memory orders, Blocks.Choice memory choice, address who) private returns (bool) {
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, who == ALICE ? 10 : 11);
        return _try(session, orders, solution, hints, who);
    }

    function _try(
        uint256 session,
        Blocks.Order[] memory orders,
        BlockClearing.Solution memory solution,
        uint256[] memory hints,
        address who
    ) private returns (bool) {
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
        vm.prank(who);
        try clearing.propose(session, solution, chunk) {
            return true;
        } catch {
            return false;
        }
    }

    /// @dev Whether a fresh session takes the choice, with bits of the first table and certificate word flipped.
    function _taken(Blocks.Order[] memory orders, Blocks.Choice memory choice, uint256 table, uint256 certificate) private returns (bool) {
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, 10);
        if (solution.table.length != 0) solution.table[0] ^= table;
        solution.certificate[0] ^= certificate;
        return _try(session, orders, solution, hints, ALICE);
    }

    function _refuse(Blocks.Order[] memory orders, Blocks.Choice memory choice, bytes4 why) private {
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, 10);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
        vm.prank(ALICE);
        refused(why);
        clearing.propose(session, solution, chunk);
    }

    /// @dev A flipped bit of the rounding can give another good proposal; the payer's and all others cannot.
    function _stillGood(Blocks.Order[] memory orders, Blocks.Choice memory best, uint256 bit) private pure returns (bool good) {
        if (bit < 128) return false;
        Blocks.Choice memory choice = _copy(best);
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, best);
        choice.ups[solution.table[0] & 0x7fffffff] ^= 1 << (bit - 128);
        (good,,) = Blocks.weigh(orders, choice);
    }

    /// @dev The pass in calls of random length.
    function _pass(
        Dice.State memory dice,
        uint256 session,
        Blocks.Order[] memory orders,
        BlockClearing.Solution memory solution,
        uint256[] memory hints
    ) private returns (bytes32 key) {
        uint256 cut = dice.roll(0, orders.length);
        bytes32 log;
        for (uint256 i; i < cut; ++i) log = _extend(log, Blocks.encode(orders[i]));
        solution.logs = new bytes32[](2);
        (solution.logs[0], solution.logs[1]) = (log, market.logged());
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, cut, hints);
        clearing.propose(session, solution, chunk);
        chunk = _chunk(orders, cut, orders.length, hints);
        chunk.state = _stateAfter(orders, solution, cut);
        vm.prank(ALICE);
        clearing.propose(session, solution, chunk);
        return clearing.keyOf(solution);
    }

    /// @dev The state after `cut` entries and one call, from the table alone.
    function _stateAfter(Blocks.Order[] memory orders, BlockClearing.Solution memory solution, uint256 cut)
        private
        pure
        returns (uint256[] memory state)
    {
        uint256 intervals = solution.certificate.length;
        Blocks.Choice memory choice = _read(orders, solution);
        Blocks.Order[] memory first = new Blocks.Order[](cut);
        for (uint256 i; i < cut; ++i) first[i] = orders[i];
        uint256[] memory rows = Blocks.rows(first, choice);
        state = Books.join(new uint256[](3 + intervals), rows);
        int256 welfare;
        uint256 hits;
        for (uint256 i; i < cut; ++i) {
            if (!orders[i].live) continue;
            ++hits;
            for (uint256 j; j < intervals && choice.ratios[i] != 0; ++j) {
                uint256 fill = Blocks.fillOf(orders[i], choice.ratios[i], choice.ups[i], j);
                int256 worth = int256(fill * orders[i].limits[j]);
                welfare += orders[i].side == 0 ? worth : -worth;
                state[3 + j] += fill << (128 * orders[i].side);
            }
        }
        bytes32 log;
        for (uint256 i; i < cut; ++i) log = _extend(log, Blocks.encode(orders[i]));
        (state[0], state[1], state[2]) = (uint256(log), cut | (hits << 32) | (1 << 64), uint256(welfare));
    }

    /// @dev The choice that a proposal's words stand for.
    function _read(Blocks.Order[] memory orders, BlockClearing.Solution memory solution) private pure returns (Blocks.Choice memory choice) {
        (choice.ratios, choice.ups) = (new uint256[](orders.length), new uint256[](orders.length));
        choice.prices = new uint256[](solution.certificate.length);
        for (uint256 j; j < choice.prices.length; ++j) choice.prices[j] = solution.certificate[j] & type(uint32).max;
        for (uint256 r; r < solution.table.length; ++r) {
            uint256 word = solution.table[r];
            choice.ratios[word & 0x7fffffff] = (word >> 96) & type(uint32).max;
            choice.ups[word & 0x7fffffff] = word >> 128;
        }
    }

    function _accept(uint256 session, uint256[] memory certificate) private {
        vm.warp(2000);
        clearing.accept(session, certificate);
    }

    /// @dev After commit the escrow holds the bids' costs, and these cover what the offers can get.
    function _commitAndCompare(uint256 session, Blocks.Order[] memory orders, Blocks.Choice memory choice, uint256[] memory rows) private {
        uint256 entitled;
        uint256 promises;
        for (uint256 i; i < orders.length; ++i) {
            uint256[] memory entry = new uint256[](1);
            entry[0] = Blocks.encode(orders[i])[0];
            vault.fund(Blocks.payerOf(orders[i]), Blocks.lockOf(orders[i]));
            vault.lock(session, 0, entry);
            if (!orders[i].live || orders[i].side == 0 || choice.ratios[i] == 0) continue;
            ++promises;
            for (uint256 j; j < choice.prices.length; ++j) {
                entitled += Blocks.fillOf(orders[i], choice.ratios[i], choice.ups[i], j) * choice.prices[j] / 1000;
            }
        }
        clearing.commit(session, 0, rows);
        vm.assertLe(entitled, vault.escrow(session), "the escrow covers the sellers");
        same(accounts.promises(), promises, "promises");
    }

    function _copy(Blocks.Choice memory choice) private pure returns (Blocks.Choice memory) {
        return abi.decode(abi.encode(choice), (Blocks.Choice));
    }

    /// @dev Changes a price, a ratio or a rounding by a little.
    function _mutate(Dice.State memory dice, Blocks.Choice memory choice) private pure {
        uint256 kind = dice.roll(0, 3);
        uint256 i = dice.roll(0, choice.ratios.length - 1);
        if (kind == 0) {
            uint256 j = dice.roll(0, choice.prices.length - 1);
            choice.prices[j] = dice.roll(0, Blocks.CAP + 1);
        } else if (kind == 1) {
            choice.ratios[i] = [uint256(0), 1, 333_333, 499_999, 500_000, 666_667, PPM - 1, PPM, PPM + 1][dice.roll(0, 8)];
        } else {
            choice.ups[i] ^= 1 << dice.roll(0, kind == 2 ? choice.prices.length - 1 : 95);
        }
    }

    /// @dev A book and its best proposal; mostly one with trade.
    function _book(Dice.State memory dice)
        private
        pure
        returns (Blocks.Order[] memory orders, Blocks.Choice memory best, uint256 welfare)
    {
        for (uint256 tries = 12; tries != 0 && welfare == 0; --tries) {
            orders = Blocks.random(dice, dice.roll(1, 2), 4);
            (best, welfare) = _brute(orders);
        }
    }

    /// @dev Everything is tried: ratios none, half, whole, halves rounded up or down together, every price.
    function _brute(Blocks.Order[] memory orders) private pure returns (Blocks.Choice memory best, uint256 most) {
        uint256 intervals = orders[0].quantities.length;
        Blocks.Choice memory choice;
        (choice.prices, choice.ratios) = (new uint256[](intervals), new uint256[](orders.length));
        choice.ups = new uint256[](orders.length);
        best = _copy(choice);
        uint256 ways = 4 ** orders.length;
        for (uint256 way = 1; way < ways; ++way) {
            bool balanced = true;
            int256[] memory sums = new int256[](intervals);
            uint256 rest = way;
            for (uint256 i; i < orders.length; ++i) {
                (choice.ratios[i], choice.ups[i]) = ([uint256(0), 500_000, 500_000, PPM][rest % 4], 0);
                if (rest % 4 == 2) {
                    for (uint256 j; j < intervals; ++j) {
                        if (orders[i].quantities[j] & 1 == 1 && (orders[i].sold >> j) & 1 == 0) choice.ups[i] |= 1 << j;
                    }
                }
                rest /= 4;
                if (!orders[i].live && choice.ratios[i] != 0) balanced = false;
                for (uint256 j; j < intervals && choice.ratios[i] != 0; ++j) {
                    int256 fill = int256(Blocks.fillOf(orders[i], choice.ratios[i], choice.ups[i], j));
                    sums[j] += orders[i].side == 0 ? fill : -fill;
                }
            }
            for (uint256 j; j < intervals; ++j) if (sums[j] != 0) balanced = false;
            if (!balanced) continue;
            uint256 prices = (Blocks.CAP + 1) ** intervals;
            for (uint256 p; p < prices; ++p) {
                (choice.prices[0], rest) = (p % (Blocks.CAP + 1), p / (Blocks.CAP + 1));
                if (intervals == 2) choice.prices[1] = rest;
                (bool good, uint256 welfare,) = Blocks.weigh(orders, choice);
                if (good && welfare >= most) (best, most) = (_copy(choice), welfare);
            }
        }
    }
}
