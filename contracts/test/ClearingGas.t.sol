// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Pass} from "../src/ClearingPass.sol";
import {Terms} from "../src/Protocol.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {ClearingRoom} from "./ClearingRoom.sol";
import {Cooperation} from "./Cooperation.sol";

/// @title Gas of clearing, as transactions of their own cost it at Prague rules, and that large sessions fit into chunks
/// @notice Fakes answer for the other contracts; everything of the pass itself is counted, and calldata has its floor
/// (EIP-7623).
/// forge-config: default.isolate = true
/// forge-config: default.evm_version = "prague"
contract ClearingGasTest is ClearingRoom {
    using Dice for Dice.State;

    uint256 private constant LARGEST = 16_700_000;
    uint256 private constant BATCH_WORDS = 4096;

    /// @dev A log of one-step entries, as words, and its clearing.
    struct Book {
        bool cooperative;
        uint256 intervals;
        uint256 homes;
        uint256 batch; // entries a batch
        uint256[] words;
        uint256[] certificate;
        uint256[] levels;
        uint256[] live;
        uint256[] hints;
        bytes32[] hashes; // of the batches' words
    }

    function setUp() external {
        furnish();
    }

    function test_gas_competitive_100_schedules_of_24() external {
        uint256 gas = _once(_book(100, 24, 100, false));
        vm.assertLe(gas, 550 * 2400, "550 gas an entry");
        vm.snapshotGasLastCall("clearing", "competitive, 100 x 24");
    }

    function test_gas_cooperative_100_schedules_of_24() external {
        _once(_book(100, 24, 100, true));
        vm.snapshotGasLastCall("clearing", "cooperative, 100 x 24");
    }

    function test_417_schedules_of_24_fit_chunks() external {
        _inChunks(_book(417, 24, 417, false), 1);
    }

    function test_417_schedules_of_24_fit_chunks_cooperative() external {
        _inChunks(_book(417, 24, 417, true), 1);
    }

    /// @dev 300 bidders and sellers with limits of their own in each quarter of an hour: more levels than a transaction can
    /// carry are checked in several.
    function test_more_levels_than_fit_a_call_are_checked_in_several() external {
        Book memory book = _book(300, 96, 150, true);
        uint256 session = _open(book);
        Case memory made;
        (made.session, made.levels) = (session, book.levels);
        uint256[] memory state = new uint256[](0);
        for (uint256 i; i < book.hashes.length; ++i) {
            state = advance(made, _pass(book, i, i + 1, state));
            vm.assertLe(_spent("batches"), LARGEST, "a chunk fits a block");
        }
        uint256 portion = 12_000;
        uint256 calls;
        uint256 all;
        for (uint256 from; from < book.levels.length; from += portion) {
            uint256 to = from + portion < book.levels.length ? from + portion : book.levels.length;
            Pass memory taken = _pass(book, book.hashes.length, book.hashes.length, state);
            (taken.levels, taken.levelsLeft) = (_slice(book.levels, from, to), Cooperation.chain(book.levels, to));
            if (to < book.levels.length) state = advance(made, taken);
            else clearing.clear(session, taken);
            uint256 spent = _spent("levels");
            vm.assertLe(spent, LARGEST, "a portion fits a block");
            (calls, all) = (calls + 1, all + spent);
        }
        emit Spent("number of levels", book.levels.length);
        vm.assertTrue(calls > 1 && all > LARGEST, "more than a call");
        (uint256 groups,,,) = market.reports(session);
        same(groups, (book.homes + 15) / 16, "groups");
    }

    /// @dev What a batch that remains, a live entry and a level that is supplied add to a call.
    function test_gas_of_what_a_call_carries() external {
        Book memory book = _book(512, 1, 1, false);
        uint256 session = _open(book);
        Pass memory taken = _pass(book, 0, 1, new uint256[](0));
        clearing.take(session, taken);
        uint256 long = _spent("511 batches left");
        taken.marks = new bytes32[](1);
        taken.marks[0] = keccak256(abi.encode(bytes32(0), book.hashes[0]));
        taken.rest = new bytes32[](0);
        clearing.take(session, taken);
        vm.assertLe(_spent("one mark"), long - 511 * 600, "a mark spares the hashes behind it");
        Book memory many = _book(4096, 1, 2048, true);
        session = _open(many);
        taken = _pass(many, 0, 1, new uint256[](0));
        clearing.take(session, taken);
        uint256 few = _spent("2048 entries, 4096 live rows");
        // others that enter nothing here: rows that no entry meets are refused at the end only
        taken.live = Books.packed(8192, 64);
        for (uint256 i; i < 4096; ++i) Books.put(taken.live, i, 64, (many.live[i / 4] >> (64 * (i % 4))) & type(uint64).max);
        for (uint256 i = 4096; i < 8192; ++i) Books.put(taken.live, i, 64, i | ((i + 1) << 32));
        clearing.take(session, taken);
        emit Spent("a live row", (_spent("2048 entries, 8192 live rows") - few) / 4096);
        accounts.setSold(5000, 1);
        clearing.take(session, _marked(_pass(many, 0, 1, new uint256[](0))));
        emit Spent("asking what an offer's account has sold", (_spent("1024 of them offers where somebody has sold") - few) / 1024);
    }

    /// @dev The same under another key.
    function _marked(Pass memory taken) private pure returns (Pass memory) {
        taken.marks = new bytes32[](1);
        return taken;
    }

    /// @dev The longest batches that the market takes.
    function test_the_longest_batch_fits_a_chunk_cooperative() external {
        uint256[2] memory intervals = [uint256(24), 96];
        for (uint256 i; i < 2; ++i) {
            uint256 entries = BATCH_WORDS / (1 + intervals[i] / 4);
            Book memory book = _book(entries, intervals[i], entries, true);
            uint256 session = _open(book);
            clearing.take(session, _pass(book, 0, 1, new uint256[](0)));
            vm.assertLe(_spent("longest batch"), LARGEST, "a chunk fits a block");
        }
    }

    function test_ten_thousand_single_intervals_fit_chunks() external {
        _inChunks(_book(10_000, 1, BATCH_WORDS / 2, false), 1);
    }

    function test_ten_thousand_single_intervals_fit_chunks_cooperative() external {
        _inChunks(_book(10_000, 1, BATCH_WORDS / 2, true), 1);
    }

    // ----------------------------------------------------------------------------------------------------------------- helpers

    function _once(Book memory book) private returns (uint256) {
        uint256 session = _open(book);
        Pass memory taken = _pass(book, 0, book.hashes.length, new uint256[](0));
        (taken.levels, taken.levelsLeft) = (book.levels, 0);
        clearing.clear(session, taken);
        return _spent(book.cooperative ? "cooperative, one call" : "competitive, one call");
    }

    /// @param step batches a chunk
    function _inChunks(Book memory book, uint256 step) private {
        uint256 session = _open(book);
        Case memory made;
        made.session = session;
        uint256[] memory state = new uint256[](0);
        for (uint256 from; from < book.hashes.length; from += step) {
            uint256 to = from + step < book.hashes.length ? from + step : book.hashes.length;
            Pass memory taken = _pass(book, from, to, state);
            if (to < book.hashes.length || book.cooperative) state = advance(made, taken);
            else clearing.clear(session, taken);
            vm.assertLe(_spent("chunk"), LARGEST, "a chunk fits a block");
        }
        if (book.cooperative) {
            Pass memory taken = _pass(book, book.hashes.length, book.hashes.length, state);
            (taken.levels, taken.levelsLeft) = (book.levels, 0);
            clearing.clear(session, taken);
            vm.assertLe(_spent("conditions"), LARGEST, "the conditions fit a block");
        }
        (uint256 groups,,,) = market.reports(session);
        same(groups, (book.homes + 15) / 16, "groups");
    }

    event Spent(string what, uint256 gas);

    function _spent(string memory what) private returns (uint256 gas) {
        gas = GasMeter(address(vm)).lastCallGas().gasTotalUsed;
        emit Spent(what, gas);
    }

    function _open(Book memory book) private returns (uint256 session) {
        session = 1;
        Terms memory agreed;
        (agreed.zone, agreed.day, agreed.mode) = (1, 20_000, book.cooperative ? 1 : 0);
        (agreed.intervals, agreed.mask) = (uint8(book.intervals), uint96((1 << book.intervals) - 1));
        bytes32 log;
        for (uint256 i; i < book.hashes.length; ++i) log = keccak256(abi.encode(log, book.hashes[i]));
        market.close(session, agreed, log);
    }

    function _pass(Book memory book, uint256 from, uint256 to, uint256[] memory state)
        private
        pure
        returns (Pass memory taken)
    {
        (taken.certificate, taken.live, taken.state) = (book.certificate, book.live, state);
        taken.levelsHash = Cooperation.chain(book.levels, 0);
        (taken.levels, taken.levelsLeft) = (new uint256[](0), taken.levelsHash);
        (taken.marks, taken.excluded) = (new bytes32[](0), new uint256[](0));
        uint256 size = 1 + Books.bodyWords(book.intervals);
        uint256 first = from * book.batch < book.homes ? from * book.batch : book.homes;
        uint256 last = to * book.batch < book.homes ? to * book.batch : book.homes;
        (taken.sizes, taken.rest) = (new uint256[](to - from), new bytes32[](book.hashes.length - to));
        for (uint256 i; i < to - from; ++i) {
            uint256 end = first + (i + 1) * book.batch;
            taken.sizes[i] = ((end < last ? end : last) - first - i * book.batch) * size;
        }
        for (uint256 i; i < taken.rest.length; ++i) taken.rest[i] = book.hashes[to + i];
        taken.words = _slice(book.words, first * size, last * size);
        taken.hints = Books.packed(last - first, 32);
        for (uint256 i; i < last - first; ++i) {
            Books.put(taken.hints, i, 32, (book.hints[(first + i) / 8] >> (32 * ((first + i) % 8))) & type(uint32).max);
        }
    }

    function _slice(uint256[] memory words, uint256 from, uint256 to) private pure returns (uint256[] memory part) {
        part = new uint256[](to - from);
        for (uint256 i; i < part.length; ++i) part[i] = words[from + i];
    }

    /// @dev Bids of even, offers of odd places, all of which trade: from the dearest offer to the cheapest bid.
    function _book(uint256 homes, uint256 intervals, uint256 batch, bool cooperative) private pure returns (Book memory book) {
        (book.homes, book.intervals, book.batch, book.cooperative) = (homes, intervals, batch, cooperative);
        uint256 size = 1 + Books.bodyWords(intervals);
        book.words = new uint256[](homes * size);
        (book.live, book.hints) = (Books.packed(homes, 64), Books.packed(homes, 32));
        book.certificate = new uint256[](intervals * (cooperative ? 2 : 1));
        // cheapest bid, Wh there, dearest offer, Wh there, volume, surplus
        uint256[6][] memory sums = new uint256[6][](intervals);
        for (uint256 j; j < intervals; ++j) sums[j][0] = Books.MAX;
        Dice.State memory dice = Dice.State(24);
        for (uint256 i; i < homes; ++i) {
            book.words[i * size] = (i + 1) | (150_000_000 << 64) | ((i % 2) << 255);
            Books.put(book.live, i, 64, i | ((i % 2) << 31) | ((i + 1) << 32));
            Books.put(book.hints, i, 32, i);
            for (uint256 j; j < intervals; ++j) {
                // the offer of a pair has the bid's quantity; an odd one has the price of nobody
                uint256 cell = i * size + 1 + j / 4;
                uint256 q = i % 2 == 0 ? dice.roll(300, 3000) : (book.words[cell - size] >> (56 * (j % 4))) & 0xffffff;
                uint256 limit = i % 2 == 0
                    ? (i + 1 == homes ? 1000 : 150_000 + 50 * dice.roll(0, 500))
                    : 20_000 + 50 * dice.roll(0, 500);
                book.words[cell] |= (q | (limit << 24)) << (56 * (j % 4));
                if (i + 1 == homes && i % 2 == 0) continue;
                uint256 k = 2 * (i % 2);
                if (i % 2 == 0 ? limit < sums[j][0] : limit > sums[j][2]) (sums[j][k], sums[j][k + 1]) = (limit, 0);
                if (limit == sums[j][k]) sums[j][k + 1] += q;
                if (i % 2 == 0) (sums[j][4], sums[j][5]) = (sums[j][4] + q, sums[j][5] + q * limit);
                else sums[j][5] -= q * limit;
            }
        }
        for (uint256 j; j < intervals; ++j) _certify(book, sums[j], j);
        if (cooperative) _levels(book);
        _hashes(book, size);
    }

    function _certify(Book memory book, uint256[6] memory sum, uint256 j) private pure {
        if (!book.cooperative) {
            book.certificate[j] = sum[2] | (sum[0] << 32) | (sum[4] << 64) | (sum[1] << 104) | (sum[3] << 144);
            return;
        }
        uint256 share = sum[5] / (2 * sum[4]);
        (uint256 buyers, uint256 sellers) = (0, 0);
        uint256 size = 1 + Books.bodyWords(book.intervals);
        for (uint256 i; i < book.homes; ++i) {
            if (i + 1 == book.homes && i % 2 == 0) continue;
            uint256 entry = book.words[i * size + 1 + j / 4] >> (56 * (j % 4));
            if (i % 2 == 0) buyers += (entry & 0xffffff) * (((entry >> 24) & Books.MAX) - share);
            else sellers += (entry & 0xffffff) * (((entry >> 24) & Books.MAX) + share);
        }
        book.certificate[2 * j] =
            sum[0] | (sum[2] << 32) | (sum[4] << 64) | (sum[1] << 104) | (sum[3] << 144) | (share << 184);
        book.certificate[2 * j + 1] = buyers | (sellers << 80);
    }

    /// @dev Every limit is 50 times a number below 4000.
    function _levels(Book memory book) private pure {
        uint256 size = 1 + Books.bodyWords(book.intervals);
        uint256[] memory all = new uint256[](book.intervals * book.homes);
        uint256 used;
        for (uint256 j; j < book.intervals; ++j) {
            uint256[] memory found = new uint256[](4000);
            for (uint256 i; i < book.homes; ++i) {
                uint256 entry = book.words[i * size + 1 + j / 4] >> (56 * (j % 4));
                found[((entry >> 24) & Books.MAX) / 50] += (entry & 0xffffff) << (i % 2 == 0 ? 32 : 96);
            }
            for (uint256 k; k < 4000; ++k) if (found[k] != 0) all[used++] = found[k] | (50 * k);
            all[used - 1] |= 1 << 160;
        }
        book.levels = _slice(all, 0, used);
    }

    function _hashes(Book memory book, uint256 size) private pure {
        book.hashes = new bytes32[]((book.homes + book.batch - 1) / book.batch);
        for (uint256 i; i < book.hashes.length; ++i) {
            uint256 last = (i + 1) * book.batch < book.homes ? (i + 1) * book.batch : book.homes;
            book.hashes[i] = hashOf(_slice(book.words, i * book.batch * size, last * size));
        }
    }
}

interface GasMeter {
    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    function lastCallGas() external view returns (Gas memory);
}
