// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockCheck} from "../src/BlockCheck.sol";
import {BlockClearing} from "../src/BlockClearing.sol";
import {State} from "../src/Protocol.sol";
import {BlockBench} from "./BlockBench.sol";
import {Blocks} from "./Blocks.sol";

/// @title BlockRefusals: each reason for which a proposal is refused, by its name, beside what is taken
contract BlockRefusalsTest is BlockBench {
    // -------------------------------------------------------------------------------------------------------------- an entry

    function test_a_block_that_comes_to_worse_than_its_limits() external {
        Blocks.Order[] memory orders = _pair(1000, 100, 40);
        vm.assertTrue(_taken(orders, _two(100), 0, 0), "at the bid's limit");
        vm.assertTrue(_taken(orders, _two(40), 0, 0), "at the offer's limit");
        // two intervals of 1,000 Wh: what the limits come to, and what the prices
        _refuseFor(orders, _two(101), abi.encodeWithSelector(BlockCheck.BeyondLimit.selector, 0, 200_000, 202_000));
        _refuseFor(orders, _two(39), abi.encodeWithSelector(BlockCheck.BeyondLimit.selector, 1, 80_000, 78_000));
    }

    function test_a_ratio_is_between_the_least_fill_and_the_whole() external {
        Blocks.Order[] memory orders = _pair(1000, 100, 40);
        orders[1].minFill = 500_000;
        vm.assertTrue(_taken(orders, _inRatio(500_000), 0, 0), "the least fill");
        vm.assertTrue(_taken(orders, _inRatio(PPM), 0, 0), "the whole");
        _refuseRatio(orders, 0, PPM + 1, 0, 0);
        _refuseRatio(orders, 0, 0, 1, 0); // rounded up from nothing
        _refuseRatio(orders, 1, 499_000, 0, 500_000);
    }

    /// @dev The log takes such an entry in no block session; were it otherwise, its second step would have no place in the row.
    function test_a_block_has_one_step() external {
        Blocks.Order[] memory orders = _pair(1000, 100, 40);
        uint256 session = _open(orders);
        uint256[] memory two = Blocks.encode(orders[0]);
        two[0] |= 1 << 128;
        market.set(_terms(2), _extend(_extend(0, two), Blocks.encode(orders[1])));
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, _two(50), 10);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, 2, hints);
        chunk.words[0] = two[0];
        vm.expectRevert(abi.encodeWithSelector(BlockCheck.StepsInBlock.selector, 0, 2));
        vm.prank(ALICE);
        clearing.propose(session, solution, chunk);
    }

    // ------------------------------------------------------------------------------------------------------ the proposal's words

    function test_the_table_names_who_pays() external {
        Blocks.Order[] memory orders = _pair(1000, 100, 40);
        orders[1].agent = 8;
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, _two(50));
        uint256[] memory table = solution.table;
        table[1] ^= (8 ^ 2) << 64; // the account itself instead of its agent
        _refuseTable(orders, table, abi.encodeWithSelector(BlockCheck.WrongPayer.selector, 1, 8, 2));
    }

    function test_the_table_ascends() external {
        Blocks.Order[] memory orders = _pair(1000, 100, 40);
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, _two(50));
        uint256[] memory table = new uint256[](2);
        (table[0], table[1]) = (solution.table[1], solution.table[0]);
        _refuseTable(orders, table, abi.encodeWithSelector(BlockCheck.TableOrder.selector, 1));
        table[1] = table[0];
        _refuseTable(orders, table, abi.encodeWithSelector(BlockCheck.TableOrder.selector, 1));
        (table[0], table[1]) = (0, solution.table[0]); // nobody's row
        _refuseTable(orders, table, abi.encodeWithSelector(BlockCheck.TableOrder.selector, 0));
    }

    function test_the_table_rounds_up_no_interval_beyond_the_sessions() external {
        Blocks.Order[] memory orders = _pair(1000, 100, 40);
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, _two(50));
        uint256[] memory table = solution.table;
        table[1] |= 1 << 130; // the third interval of two
        _refuseTable(orders, table, abi.encodeWithSelector(BlockCheck.TableBits.selector, 1, table[1]));
    }

    function test_a_certificate_word_is_one_price_and_a_volume() external {
        Blocks.Order[] memory orders = _pair(1000, 100, 40);
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, _two(50));
        uint256 right = solution.certificate[1];
        _refuseCertificate(orders, right | (1 << 104));
        _refuseCertificate(orders, right ^ 1);
        _refuseCertificate(orders, right ^ (1 << 32));
        _refuseCertificate(orders, 50 | (50 << 32)); // a price without volume
    }

    // -------------------------------------------------------------------------------------------------------------- the window

    function test_a_proposal_is_better_by_a_tenth() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        _propose(session, orders, _third(500_000), ALICE);
        // half of the best is worth 60,000; what is not 66,000 is not better, whoever comes with it
        _refuseSecond(session, orders, _third(549_000), 65_880, 66_000);
        _refuseSecond(session, orders, _third(500_000), 60_000, 66_000);
        _propose(session, orders, _third(550_000), BOB);
    }

    function test_no_trade_is_not_better_than_no_trade() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        Blocks.Choice memory none = _full(3, 0);
        none.ratios = new uint256[](3);
        _propose(session, orders, none, ALICE);
        _refuseSecond(session, orders, none, 0, 1);
    }

    function test_the_window_ends() external {
        Blocks.Order[] memory orders = _linked();
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, _full(3, 50), 10);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, 3, hints);
        vm.warp(2000);
        vm.expectRevert(abi.encodeWithSelector(BlockClearing.ChallengeOver.selector, session, 2000));
        vm.prank(ALICE);
        clearing.propose(session, solution, chunk);
        vm.warp(1999);
        vm.prank(ALICE);
        clearing.propose(session, solution, chunk);
    }

    /// @dev Without entries the log is the one before the first call, so that a proposal of no calls could name it.
    function test_a_proposal_takes_a_call() external {
        Blocks.Order[] memory orders = new Blocks.Order[](0);
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, _full(0, 0), 10);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, 0, hints);
        solution.logs = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(BlockClearing.CallsExhausted.selector, 0));
        vm.prank(ALICE);
        clearing.propose(session, solution, chunk);
    }

    // ----------------------------------------------------------------------------------------------------------------- helpers

    function _inRatio(uint256 ratio) private pure returns (Blocks.Choice memory choice) {
        choice = _two(50);
        (choice.ratios[0], choice.ratios[1]) = (ratio, ratio);
    }

    /// @dev The three linked blocks in one ratio.
    function _third(uint256 ratio) private pure returns (Blocks.Choice memory choice) {
        choice = _full(3, 50);
        for (uint256 i; i < 3; ++i) choice.ratios[i] = ratio;
    }

    /// @dev The whole proposal with another ratio, and rounding, in one row of its table.
    function _refuseRatio(Blocks.Order[] memory orders, uint256 row, uint256 ratio, uint256 up, uint256 least) private {
        (BlockClearing.Solution memory solution,) = Blocks.propose(orders, _two(50));
        uint256[] memory table = solution.table;
        table[row] = (table[row] & ((1 << 96) - 1)) | (ratio << 96) | (up << 128);
        _refuseTable(orders, table, abi.encodeWithSelector(BlockCheck.RatioOutOfRange.selector, row, ratio, least));
    }

    function _refuseFor(Blocks.Order[] memory orders, Blocks.Choice memory choice, bytes memory why) private {
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, 10);
        _refuseWords(session, orders, solution, hints, why);
    }

    /// @dev Another table for what is otherwise a good proposal.
    function _refuseTable(Blocks.Order[] memory orders, uint256[] memory table, bytes memory why) private {
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, _two(50), 10);
        solution.table = table;
        _refuseWords(session, orders, solution, hints, why);
    }

    /// @dev Another certificate word for the second interval.
    function _refuseCertificate(Blocks.Order[] memory orders, uint256 word) private {
        uint256 session = _open(orders);
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, _two(50), 10);
        solution.certificate[1] = word;
        _refuseWords(session, orders, solution, hints, abi.encodeWithSelector(BlockCheck.CertificateWord.selector, 1, word));
    }

    function _refuseWords(
        uint256 session,
        Blocks.Order[] memory orders,
        BlockClearing.Solution memory solution,
        uint256[] memory hints,
        bytes memory why
    ) private {
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
        vm.expectRevert(why);
        vm.prank(ALICE);
        clearing.propose(session, solution, chunk);
    }

    /// @dev Bob's proposal after another's.
    function _refuseSecond(
        uint256 session,
        Blocks.Order[] memory orders,
        Blocks.Choice memory choice,
        uint256 welfare,
        uint256 needed
    ) private {
        (BlockClearing.Solution memory solution, uint256[] memory hints) = _prepared(orders, choice, 11);
        BlockClearing.Chunk memory chunk = _chunk(orders, 0, orders.length, hints);
        vm.expectRevert(abi.encodeWithSelector(BlockClearing.NotBetter.selector, session, welfare, needed));
        vm.prank(BOB);
        clearing.propose(session, solution, chunk);
    }
}
