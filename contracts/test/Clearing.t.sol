// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clearing} from "../src/Clearing.sol";
import {Pass} from "../src/ClearingPass.sol";
import {CooperativeCheck} from "../src/CooperativeCheck.sol";
import {State} from "../src/Protocol.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {ClearingRoom} from "./ClearingRoom.sol";
import {Cooperation} from "./Cooperation.sol";

/// @title Clearing: what is accepted is the optimum, and nothing else is accepted, however the log is cut
contract ClearingTest is ClearingRoom {
    using Dice for Dice.State;

    function setUp() external {
        furnish();
    }

    function test_the_right_clearing_passes_and_leaves_the_right_rows(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, dice.once(2));
        clearing.clear(made.session, whole(made));
        holds(made);
        same(guard.recorded(), 1, "prices go to the guard");
        vm.assertTrue(guard.last() == keccak256(abi.encode(traded(made), made.cleared.volumes)), "prices and volumes");
    }

    function test_any_cut_of_the_log_gives_the_same(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, dice.once(2));
        clearInChunks(dice, made);
        holds(made);
    }

    /// @dev The rows are known from the tests above; here their fills are held against what could have been reached at best.
    function test_what_passes_is_the_best_that_the_book_allows(uint256 seed) external {
        Case memory made = random(Dice.State(seed), false);
        clearing.clear(made.session, whole(made));
        for (uint256 j; j < made.intervals; ++j) {
            (uint256 welfare, uint256 volume) =
                Books.bestWelfare(Books.depth(made.orders, made.intervals, made.sold, made.cleared.live, j));
            same(made.cleared.volumes[j], volume, "the largest volume");
            same(_welfare(made, j), welfare, "the largest welfare");
        }
    }

    function test_no_other_certificate_passes(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, dice.once(2));
        Pass memory taken = whole(made);
        for (uint256 i; i < 12; ++i) {
            uint256 changed = dice.roll(0, made.certificate.length - 1);
            taken.certificate = _copy(made.certificate);
            taken.certificate[changed] = made.cooperative
                ? _near(made.certificate[changed], dice, changed % 2 == 0)
                : _otherThan(made.certificate[changed], dice);
            vm.assertTrue(!accepts(made.session, taken), "another certificate passes");
        }
    }

    function test_no_other_levels_pass(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, true);
        Pass memory taken = whole(made);
        for (uint256 i; i < 8; ++i) {
            taken.levels = _copy(made.levels);
            uint256 place = dice.roll(0, made.levels.length - 1);
            uint256 kind = dice.roll(0, 5);
            if (kind == 0) taken.levels[place] ^= 1 << dice.roll(0, 255);
            if (kind == 1) taken.levels[place] += 1 << 32; // a Wh more
            if (kind == 2) taken.levels[place] += 1 << 96;
            if (kind == 3) taken.levels[place] += 1; // another price
            if (kind == 4) taken.levels[place] ^= 1 << 160;
            if (kind == 5) taken.levels = Books.join(made.levels, made.levels);
            taken.levelsHash = made.levels.length == 0 ? bytes32(0) : Cooperation.chain(made.levels, 0);
            vm.assertTrue(!accepts(made.session, taken), "levels of another hash pass");
            taken.levelsHash = Cooperation.chain(taken.levels, 0);
            vm.assertTrue(!accepts(made.session, taken), "other levels pass");
        }
        if (made.levels.length < 2) return;
        // a Wh moved from one level to another, which leaves the sums as they are
        taken.levels = _copy(made.levels);
        uint256 from = dice.roll(0, made.levels.length - 1);
        if ((made.levels[from] >> 32) & type(uint64).max == 0) return;
        taken.levels[from] -= 1 << 32;
        taken.levels[(from + 1) % made.levels.length] += 1 << 32;
        taken.levelsHash = Cooperation.chain(taken.levels, 0);
        vm.assertTrue(!accepts(made.session, taken), "moved levels pass");
    }

    function test_no_other_live_table_passes(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, dice.once(2));
        if (made.orders.length == 0) return;
        Pass memory taken = whole(made);
        bool table = dice.once(2);
        taken.live = _copy(taken.live);
        uint256[] memory words = table ? taken.live : taken.hints;
        uint256 bit = dice.roll(0, 256 * words.length - 1);
        words[bit / 256] ^= 1 << (bit % 256);
        // Bits of the hints behind the last entry name nobody.
        bool unused = !table && bit / 32 >= made.orders.length;
        vm.assertTrue(accepts(made.session, taken) == unused, "another table passes");
        if (unused) holds(made);
        else {
            clearing.clear(made.session, whole(made));
            holds(made);
        }
    }

    function test_tables_that_are_too_long_or_too_short_do_not_pass(uint256 seed) external {
        Case memory made = random(Dice.State(seed), false);
        Pass memory taken = whole(made);
        taken.live = Books.join(made.live, new uint256[](1));
        vm.assertTrue(!accepts(made.session, taken), "a live row more");
        taken = whole(made);
        taken.hints = Books.join(taken.hints, new uint256[](1));
        vm.assertTrue(!accepts(made.session, taken), "a hint more");
        taken = whole(made);
        taken.certificate = Books.join(taken.certificate, new uint256[](1));
        vm.assertTrue(!accepts(made.session, taken), "a certificate word more");
        taken = whole(made);
        taken.levels = new uint256[](1);
        vm.assertTrue(!accepts(made.session, taken), "levels");
        taken.levelsHash = Cooperation.chain(taken.levels, 0);
        vm.assertTrue(!accepts(made.session, taken), "levels and their hash");
        taken = whole(made);
        taken.levelsHash = taken.levelsLeft = bytes32(uint256(1));
        vm.assertTrue(!accepts(made.session, taken), "a hash of levels");
        taken = whole(made);
        taken.excluded = new uint256[](1);
        vm.assertTrue(!accepts(made.session, taken), "excluded");
        if (made.orders.length == 0) return;
        taken = whole(made);
        taken.hints = new uint256[](taken.hints.length - 1);
        vm.assertTrue(!accepts(made.session, taken), "a hint less");
        taken = whole(made);
        taken.live = new uint256[](taken.live.length - 1);
        vm.assertTrue(!accepts(made.session, taken), "a live row less");
    }

    function test_only_the_log_passes(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, dice.once(2));
        if (made.orders.length == 0) return;
        Pass memory taken = whole(made);
        taken.words[dice.roll(0, taken.words.length - 1)] ^= 1 << dice.roll(0, 255);
        vm.assertTrue(!accepts(made.session, taken), "other words");
        taken = whole(made);
        taken.sizes[dice.roll(0, taken.sizes.length - 1)] ^= dice.once(2) ? 1 : type(uint256).max;
        vm.assertTrue(!accepts(made.session, taken), "other sizes");
        taken = whole(made);
        taken.rest = new bytes32[](1);
        vm.assertTrue(!accepts(made.session, taken), "a batch more");
        if (made.batchEntries.length < 2) return;
        taken = pass(made, 0, made.batchEntries.length - 1, new uint256[](0));
        (taken.rest, taken.marks) = (new bytes32[](0), new bytes32[](0));
        vm.assertTrue(!accepts(made.session, taken), "a batch less");
    }

    // ------------------------------------------------------------------------------------------------------------------ chunks

    function test_only_the_state_that_was_left_goes_on(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = _long(dice);
        uint256 half = made.batchEntries.length / 2;
        uint256[] memory state = advance(made, pass(made, 0, half, new uint256[](0)));
        vm.assertTrue(!accepts(made.session, whole(made)), "begins again");
        uint256[] memory wrong = _copy(state);
        wrong[dice.roll(0, wrong.length - 1)] ^= 1 << dice.roll(0, 255);
        vm.assertTrue(!accepts(made.session, pass(made, half, made.batchEntries.length, wrong)), "another state");
        vm.assertTrue(
            !accepts(made.session, pass(made, half, made.batchEntries.length, Books.join(state, new uint256[](1)))),
            "a longer state"
        );
        vm.assertTrue(!accepts(made.session, pass(made, half, half, state)), "nothing taken");
        clearing.clear(made.session, pass(made, half, made.batchEntries.length, state));
        holds(made);
    }

    /// @dev Level by level, whatever is wrong: the call after the interval's last level is refused at the latest.
    function test_a_wrong_level_is_refused_wherever_it_is(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made;
        do made = random(dice, true);
        while (made.levels.length > 12);
        uint256[] memory right = made.levels;
        for (uint256 place; place < right.length; ++place) {
            made.levels = _copy(right);
            uint256 kind = dice.roll(0, 3);
            if (kind == 0) made.levels[place] += 1 << 32; // a bid's Wh more
            if (kind == 1) made.levels[place] += 1 << 96; // an offer's
            if (kind == 2) made.levels[place] += 1; // another price
            if (kind == 3) made.levels[place] ^= 1 << 160; // the interval's end, or not
            uint256 refusals;
            uint256[] memory state = new uint256[](0);
            uint256 from = made.batchEntries.length;
            if (from != 0) {
                Pass memory batches = pass(made, 0, from, state);
                (batches.levels, batches.levelsLeft) = (new uint256[](0), batches.levelsHash);
                state = advance(made, batches);
            }
            for (uint256 next; next < right.length; next += 1) {
                Pass memory taken = levelsPass(made, next, next + 1, state);
                if (!accepts(made.session, taken)) {
                    vm.assertTrue(next >= place, "a right level is refused");
                    ++refusals;
                    break;
                }
                vm.assertTrue(market.state(made.session) == State.Closed, "accepted");
                state = told();
            }
            same(refusals, 1, "refused");
        }
        made.levels = right;
        clearInChunks(dice, made);
        holds(made);
    }

    function test_levels_come_after_the_last_batch_in_their_order(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made;
        do made = random(dice, true);
        while (made.batchEntries.length < 2 || made.levels.length < 3);
        uint256 half = made.batchEntries.length / 2;
        Pass memory early = pass(made, 0, half, new uint256[](0));
        (early.levels, early.levelsLeft) = (made.levels, 0);
        refused(Clearing.LevelsTooEarly.selector);
        clearing.clear(made.session, early);
        Pass memory batches = whole(made);
        (batches.levels, batches.levelsLeft) = (new uint256[](0), batches.levelsHash);
        uint256[] memory state = advance(made, batches);
        refused(CooperativeCheck.LevelsMismatch.selector);
        clearing.clear(made.session, levelsPass(made, 1, made.levels.length, state));
        Pass memory taken = levelsPass(made, 0, 2, state);
        taken.levelsLeft = 0; // as if these were all
        refused(CooperativeCheck.LevelsMismatch.selector);
        clearing.clear(made.session, taken);
        refused(Clearing.NothingTaken.selector);
        clearing.clear(made.session, levelsPass(made, 0, 0, state));
        state = advance(made, levelsPass(made, 0, 2, state));
        vm.assertTrue(!accepts(made.session, levelsPass(made, 0, 2, state)), "the same levels again");
        clearing.clear(made.session, levelsPass(made, 2, made.levels.length, state));
        holds(made);
    }

    function test_levels_that_end_early_are_refused(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, true);
        uint256[] memory right = made.levels;
        uint256 number = dice.roll(0, right.length - 1);
        made.levels = new uint256[](number);
        for (uint256 i; i < number; ++i) made.levels[i] = right[i];
        vm.assertTrue(!accepts(made.session, whole(made)), "fewer levels");
        made.levels = Books.join(right, right);
        vm.assertTrue(!accepts(made.session, whole(made)), "more levels");
    }

    /// @dev Marks that are not the log's lead nowhere: their key never gets to the log's end with other words.
    function test_wrong_marks_let_nothing_through(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = _long(dice);
        uint256 last = made.batchEntries.length;
        Pass memory bogus = pass(made, 0, last - 1, new uint256[](0));
        bogus.words[dice.roll(0, bogus.words.length - 1)] ^= 1 << 64; // of a lock, or of a limit
        bogus.rest = new bytes32[](0);
        bytes32 log;
        uint256 from;
        for (uint256 i; i < bogus.sizes.length; ++i) {
            uint256[] memory words = new uint256[](bogus.sizes[i]);
            for (uint256 k; k < words.length; ++k) words[k] = bogus.words[from + k];
            from += words.length;
            log = keccak256(abi.encode(log, hashOf(words)));
        }
        bogus.marks = new bytes32[](1);
        bogus.marks[0] = log;
        if (accepts(made.session, bogus)) {
            vm.assertTrue(market.state(made.session) == State.Closed, "accepted");
            Pass memory end = pass(made, last - 1, last, told());
            end.marks = bogus.marks;
            vm.assertTrue(!accepts(made.session, end), "goes on to the log's end");
        }
        clearInChunks(dice, made);
        holds(made);
    }

    /// @dev Wrong results begin under other keys, wrong words are no part of the log: the right clearing goes through all the
    /// same.
    function test_a_wrong_start_blocks_nobody(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = _long(dice);
        uint256 half = made.batchEntries.length / 2;
        Pass memory bogus = pass(made, 0, half, new uint256[](0));
        bogus.certificate = _copy(made.certificate);
        bogus.certificate[0] ^= made.cooperative ? 1 << 144 : 1 << 64;
        vm.assertTrue(accepts(made.session, bogus), "a wrong result begins as any other");
        // Words that are not the log's, under the right key: refused at once, as the rest of the log would not fit behind them.
        bogus = pass(made, 0, half, new uint256[](0));
        bogus.words[1] ^= 1;
        vm.assertTrue(!accepts(made.session, bogus), "words of another log");
        // Neither does somebody's chunk go where another's has gone on from.
        uint256[] memory state = advance(made, pass(made, 0, half, new uint256[](0)));
        vm.assertTrue(!accepts(made.session, pass(made, half, half + 1, bogus.certificate)), "state of the wrong result");
        clearing.clear(made.session, pass(made, half, made.batchEntries.length, state));
        holds(made);
    }

    // ------------------------------------------------------------------------------------------------------------------ commit

    function test_every_group_can_be_committed_and_all_locks_are_accounted_for(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        Case memory made = random(dice, dice.once(2));
        clearing.clear(made.session, whole(made));
        (uint256 locked, uint256 kept, uint256 costs, uint256 sellers) = (0, 0, 0, 0);
        for (uint256 i; i < made.rows.length; i += Books.rowSize(made.rows[i], made.intervals)) {
            uint256 header = made.rows[i];
            locked += (header >> 64) & type(uint64).max;
            costs += (header >> 128) & type(uint64).max;
            bool fills;
            for (uint256 k = 1; k <= (made.intervals + 7) / 8; ++k) if (made.rows[i + k] != 0) fills = true;
            if ((header >> 192) & 3 == 3 && (fills || (header >> 195) & 1 == 1)) {
                kept += (header >> 64) & type(uint64).max;
                ++sellers;
            }
        }
        for (uint256 g; g < (made.orders.length + 15) / 16; ++g) {
            clearing.commit(made.session, g, Books.groupOf(made.rows, g, made.intervals));
        }
        same(vault.unlocked(), locked - kept, "unlocked");
        same(vault.credited(), locked - kept - costs, "credited");
        same(market.sellers(), sellers, "sellers");
    }

    // ----------------------------------------------------------------------------------------------------------------- helpers

    /// @dev A case of two batches at least.
    function _long(Dice.State memory dice) private returns (Case memory made) {
        do made = random(dice, dice.once(2));
        while (made.batchEntries.length < 2);
    }

    function traded(Case memory made) internal pure returns (uint256[] memory prices) {
        prices = _copy(made.cleared.prices);
        for (uint256 j; j < prices.length; ++j) if (made.cleared.volumes[j] == 0) prices[j] = 0;
    }

    function _welfare(Case memory made, uint256 j) private pure returns (uint256 welfare) {
        uint256[] memory paid = new uint256[](2);
        for (uint256 i; i < made.orders.length; ++i) {
            // of an account's own steps the best are filled first
            uint256 left = made.cleared.fills[i][j];
            for (uint256 round; round <= Books.TOP; ++round) {
                uint256 limit = made.orders[i].side == 0 ? Books.TOP - round : round;
                for (uint256 k = j; k < made.orders[i].quantities.length; k += made.intervals) {
                    if (made.orders[i].limits[k] != limit) continue;
                    uint256 q = made.orders[i].quantities[k] < left ? made.orders[i].quantities[k] : left;
                    left -= q;
                    paid[made.orders[i].side] += q * limit;
                }
            }
        }
        return paid[0] - paid[1];
    }

    function _copy(uint256[] memory words) private pure returns (uint256[] memory) {
        return Books.join(words, new uint256[](0));
    }

    /// @dev A word of a cooperative certificate with one field moved a little, or one bit flipped.
    function _near(uint256 right, Dice.State memory dice, bool first) private pure returns (uint256 wrong) {
        uint8[7] memory shifts = [0, 32, 64, 104, 144, 184, 216];
        if (dice.once(4)) return right ^ (1 << dice.roll(0, 255));
        do {
            if (first) {
                uint256 field = dice.roll(0, 5);
                uint256 mask = (1 << (shifts[field + 1] - shifts[field])) - 1;
                uint256 value = ((right >> shifts[field]) + dice.roll(0, 4) + mask - 1) & mask;
                wrong = (right & ~(mask << shifts[field])) | (value << shifts[field]);
            } else {
                wrong = dice.once(2) ? right ^ dice.roll(1, 15) : right ^ (dice.roll(1, 15) << 80);
            }
        } while (wrong == right);
    }

    function _otherThan(uint256 right, Dice.State memory dice) private pure returns (uint256 wrong) {
        do {
            uint256 kind = dice.roll(0, 3);
            if (kind == 0) {
                wrong = right ^ (1 << dice.roll(0, 255));
            } else if (kind == 1) {
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
}
