// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "../src/OrderWords.sol";
import {LibraryHarness} from "../src/test/LibraryHarness.sol";
import {Books} from "./Books.sol";
import {Checked, Dice} from "./Cheats.sol";

/// @title Clearing: what is accepted is the optimum, and nothing else is accepted
contract ClearingTest is Checked {
    using Dice for Dice.State;

    uint256 private constant COLLATERAL = 600_000;

    LibraryHarness private harness;

    function setUp() external {
        harness = LibraryHarness(vm.deployCode("LibraryHarness.sol:LibraryHarness"));
    }

    function test_the_right_clearing_passes_and_leaves_the_right_rows(uint256 seed) external {
        (Books.Order[] memory orders, LibraryHarness.BookCase memory book, uint256[] memory sold) = _book(Dice.State(seed));
        Books.Cleared memory cleared = Books.clear(orders, book.rules.intervals, sold);
        bytes32[] memory groups = harness.check(book, cleared.certificate);
        uint256[] memory rows = Books.rows(orders, cleared, Books.TOP, COLLATERAL);
        same(groups.length, (orders.length + 15) / 16, "groups");
        for (uint256 g; g < groups.length; ++g) {
            uint256[] memory part = Books.groupOf(rows, g, book.rules.intervals);
            vm.assertTrue(groups[g] == keccak256(abi.encodePacked(part)), "rows");
        }
    }

    /// @dev The rows are known from the test above; here their fills are held against what could have been reached at best.
    function test_what_passes_is_the_best_that_the_book_allows(uint256 seed) external {
        (Books.Order[] memory orders, LibraryHarness.BookCase memory book, uint256[] memory sold) = _book(Dice.State(seed));
        uint256 intervals = book.rules.intervals;
        Books.Cleared memory cleared = Books.clear(orders, intervals, sold);
        harness.check(book, cleared.certificate);
        for (uint256 j; j < intervals; ++j) {
            (uint256 welfare, uint256 volume) = Books.bestWelfare(Books.depth(orders, intervals, sold, cleared.live, j));
            same(cleared.volumes[j], volume, "the largest volume");
            same(_welfare(orders, cleared, intervals, j), welfare, "the largest welfare");
        }
    }

    function test_no_other_certificate_passes(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        (Books.Order[] memory orders, LibraryHarness.BookCase memory book, uint256[] memory sold) = _book(dice);
        uint256[] memory right = Books.clear(orders, book.rules.intervals, sold).certificate;
        uint256[] memory wrong = new uint256[](16 * right.length);
        for (uint256 i; i < 16; ++i) {
            uint256 changed = dice.roll(0, right.length - 1);
            for (uint256 j; j < right.length; ++j) wrong[i * right.length + j] = right[j];
            wrong[i * right.length + changed] = _otherThan(right[changed], dice);
        }
        LibraryHarness.BookCase[] memory books = new LibraryHarness.BookCase[](1);
        uint256[][] memory certificates = new uint256[][](1);
        (books[0], certificates[0]) = (book, wrong);
        bool[] memory accepted = harness.clearMany(books, certificates)[0];
        for (uint256 i; i < 16; ++i) vm.assertTrue(!accepted[i], "another certificate passes");
    }

    function test_no_other_live_table_passes(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        (Books.Order[] memory orders, LibraryHarness.BookCase memory book, uint256[] memory sold) = _book(dice);
        uint256[] memory right = Books.clear(orders, book.rules.intervals, sold).certificate;
        bytes32[] memory rows = harness.check(book, right);
        uint256[] memory table = dice.once(2) ? book.live : book.hints;
        if (table.length == 0) return;
        table[dice.roll(0, table.length - 1)] ^= 1 << dice.roll(0, 255);
        // Bits of the hints behind the last entry name nobody; everything else must be refused or change nothing.
        try harness.check(book, right) returns (bytes32[] memory others) {
            vm.assertTrue(keccak256(abi.encode(others)) == keccak256(abi.encode(rows)), "another table, other rows");
            vm.assertTrue(table.length == book.hints.length, "a live table has one form");
        } catch {}
    }

    function _welfare(Books.Order[] memory orders, Books.Cleared memory cleared, uint256 intervals, uint256 j)
        private
        pure
        returns (uint256)
    {
        int256 total;
        for (uint256 i; i < orders.length; ++i) {
            // the order's own best steps are filled first, whichever side it is on
            uint256 rest = cleared.fills[i][j];
            bool bid = orders[i].side == 0;
            for (uint256 p; p <= Books.TOP; ++p) {
                uint256 price = bid ? Books.TOP - p : p;
                for (uint256 s; s < orders[i].steps; ++s) {
                    if (orders[i].limits[s * intervals + j] != price) continue;
                    uint256 q = orders[i].quantities[s * intervals + j];
                    uint256 taken = q < rest ? q : rest;
                    rest -= taken;
                    total += bid ? int256(taken * price) : -int256(taken * price);
                }
            }
            require(rest == 0, "filled beyond its curve");
        }
        return uint256(total);
    }

    /// @dev Another word of about the same size: a bit, a field moved by a little, or all fields anew.
    function _otherThan(uint256 right, Dice.State memory dice) private pure returns (uint256 wrong) {
        do {
            uint256 kind = dice.roll(0, 3);
            if (kind == 0) {
                wrong = right ^ (1 << dice.roll(0, 255));
            } else if (kind == 3) {
                wrong = _price(dice) | (_price(dice) << 32) | (dice.roll(0, 20) << 64) | (dice.roll(0, 9) << 104)
                    | (dice.roll(0, 9) << 144);
            } else {
                wrong = right;
                for (uint256 moves = dice.roll(1, 3); moves != 0; --moves) {
                    uint8[5] memory shifts = [0, 32, 64, 104, 144];
                    uint8[5] memory sizes = [32, 32, 40, 40, 40];
                    uint256 field = dice.roll(0, 4);
                    uint256 mask = (1 << sizes[field]) - 1;
                    uint256 value = ((wrong >> shifts[field]) + dice.roll(0, 4) + mask - 1) & mask; // two less to two more
                    wrong = (wrong & ~(mask << shifts[field])) | (value << shifts[field]);
                }
            }
        } while (wrong == right);
    }

    function _price(Dice.State memory dice) private pure returns (uint256) {
        return dice.once(6) ? Books.MAX : dice.roll(0, Books.TOP + 1);
    }

    /// @return orders up to 20 orders of up to seven accounts with steps of few Wh at few prices, so that ties are common
    /// @return book what the harness wants of them
    /// @return sold bits of the session's intervals that each entry's account has sold before
    function _book(Dice.State memory dice)
        private
        pure
        returns (Books.Order[] memory orders, LibraryHarness.BookCase memory book, uint256[] memory sold)
    {
        uint256 intervals = dice.roll(1, dice.once(3) ? 9 : 2);
        orders = new Books.Order[](dice.roll(0, dice.once(4) ? 20 : 6));
        uint256 top = dice.once(3) ? Books.TOP : 2;
        for (uint256 i; i < orders.length; ++i) {
            Books.Order memory order = orders[i];
            (order.account, order.side, order.steps) = (dice.roll(1, 7), dice.roll(0, 1), dice.roll(1, dice.once(2) ? 3 : 1));
            uint256 cells = order.steps * intervals;
            (order.quantities, order.limits) = (new uint256[](cells), new uint256[](cells));
            for (uint256 k; k < cells; ++k) {
                if (k != 0 && dice.once(4)) continue;
                (order.quantities[k], order.limits[k]) = (dice.roll(1, 3), dice.roll(0, top));
            }
            if (dice.once(8)) {
                // a cancellation
                (order.steps, order.quantities, order.limits) = (1, new uint256[](intervals), new uint256[](intervals));
            }
        }
        book.rules = OrderWords.Rules(intervals, Books.TOP, 1, COLLATERAL);
        book.mask = (((1 << intervals) - 1) << 5) | (dice.once(2) ? 1 << 40 : 0);
        if (book.mask >> 40 != 0) book.mask ^= 1 << 5; // a gap in the day
        book.entries = orders.length;
        book.words = Books.encode(orders, intervals);
        (book.live, book.hints) = Books.table(orders);
        (book.sold, sold) = _sold(dice, orders, book.mask);
    }

    function _sold(Dice.State memory dice, Books.Order[] memory orders, uint256 mask)
        private
        pure
        returns (uint256[] memory pairs, uint256[] memory sold)
    {
        pairs = new uint256[](dice.once(2) ? 4 : 0);
        sold = new uint256[](orders.length);
        for (uint256 i; i < pairs.length; i += 2) (pairs[i], pairs[i + 1]) = (1 + i, dice.roll(0, 1 << 45));
        for (uint256 i; i < orders.length; ++i) {
            for (uint256 k; k < pairs.length; k += 2) {
                if (orders[i].account != pairs[k]) continue;
                uint256 j;
                for (uint256 t; t < 96; ++t) {
                    if ((mask >> t) & 1 == 0) continue;
                    if ((pairs[k + 1] >> t) & 1 == 1) sold[i] |= 1 << j;
                    ++j;
                }
            }
        }
    }
}
