// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "../src/OrderWords.sol";
import {OrderHarness} from "../src/test/OrderHarness.sol";

/// @title Packing of orders for every word there is: halmos proves these, nothing is drawn by chance
/// @notice One entry of one step and one word, which holds four intervals; `check_` functions are proven for all arguments. (The number of
/// steps picks a word of memory, which halmos does not follow.)
contract OrderWordsSymbolic {
    OrderHarness private harness;

    function setUp() public {
        harness = new OrderHarness();
    }

    /// @dev All 256 bits of a word: without faults its four entries keep every rule, and an offer's quantities add up; with every rule kept and
    /// fields that leave their highest bit free there are none.
    function check_a_word_has_no_faults_if_and_only_if_its_entries_keep_the_rules(uint256 body, bool offers) public view {
        uint256[] memory words = new uint256[](1);
        words[0] = body;
        (uint256 seen, uint256 faults, uint256 sum) = harness.lanes(words, 500_000, 10, offers);
        assert(seen == body);
        bool keeps = body >> 224 == 0;
        bool free = true;
        uint256 total;
        for (uint256 j; j < 4; ++j) {
            (uint256 quantity, uint256 limit) = _cell(body, j);
            keeps = keeps && limit <= 500_000 && (quantity == 0 ? limit == 0 : quantity >= 10);
            free = free && quantity < 1 << 23 && limit < 1 << 31;
            total += quantity;
        }
        assert(faults != 0 || keeps);
        assert(faults == 0 || !keeps || !free);
        assert(faults != 0 || !offers || sum == total);
    }

    /// @dev Section 6 of docs/protocol.md: an offer is taken if and only if it keeps every rule, with quantities of 4 bits in two entries
    /// and limits of any. Cap and minimum are a session's usual ones; others are drawn in OrderWords.t.sol.
    function check_a_small_offer_is_taken_if_and_only_if_it_is_valid(uint256 header, uint256 body) public view {
        uint256 cell = 0xf | (0xffffffff << 24);
        _takes(header | (1 << 255), body & (cell | (cell << 56) | (type(uint256).max << 224)), 500_000, 10);
    }

    /// @dev A bid likewise, with quantities of 4 bits and limits of 6 in two entries that share a multiplication: products of more bits are
    /// too much for a solver, and drawn by chance (OrderLanes.t.sol).
    function check_a_small_bid_is_taken_if_and_only_if_it_is_valid(uint256 header, uint256 body) public view {
        uint256 cell = 0xf | (0x3f << 24);
        _takes((header << 1) >> 1, body & (cell | (cell << 56) | (type(uint256).max << 224)), 50, 3);
    }

    function _takes(uint256 header, uint256 body, uint256 cap, uint256 least) private view {
        uint256[] memory words = new uint256[](2);
        header &= ~uint256(3 << 128);
        (words[0], words[1]) = (header, body);
        uint256 account = header & type(uint32).max;
        uint256 agent = (header >> 32) & type(uint32).max;
        bool valid = (header << 1) >> 133 == 0 && account != 0 && account != agent && body >> 224 == 0;
        valid = valid && (agent != 0 || (header >> 130) & 1 == 0) && ((header >> 131) & 1 == 0 || header >> 255 == 1);
        uint256 total;
        uint256 cost;
        for (uint256 j; j < 4; ++j) {
            (uint256 quantity, uint256 limit) = _cell(body, j);
            valid = valid && limit <= cap && (quantity == 0 ? limit == 0 : quantity >= least);
            total += quantity;
            if (header >> 255 == 0) cost += (quantity * limit + 999) / 1000;
        }
        uint256 lock = header >> 255 == 0 ? cost : (600_000 * total * cap + 999_999_999) / 1_000_000_000;
        valid = valid && lock == (header >> 64) & type(uint64).max && (total != 0 || (header >> 131) & 1 == 0);
        try harness.orders(words, OrderWords.Rules(4, cap, least, 600_000, false)) returns (uint256[] memory entries) {
            assert(valid);
            assert(entries.length == 1);
        } catch {
            assert(!valid);
        }
    }

    /// @dev Two bids that share a multiplication do not mix: whatever one is, the cost of the other is its own. Both are at most 6 and 8 bits.
    function check_a_bid_locks_its_largest_cost(uint32 account, uint8[2] memory q, uint8[2] memory limit, uint64 stated) public view {
        uint24[4] memory quantities;
        uint32[4] memory limits;
        uint256 lock;
        for (uint256 j; j < 2; ++j) {
            (quantities[j], limits[j]) = (q[j] & 0x3f, limit[j]);
            lock += (uint256(quantities[j]) * limits[j] + 999) / 1000;
        }
        _locks(account, quantities, limits, lock, stated, 0);
    }

    /// @dev An offer locks `ceil(collateral * sum(q) * cap / 10^9)`.
    function check_an_offer_locks_its_collateral(uint32 account, uint8[2] memory q, uint8[2] memory limit, uint64 stated) public view {
        uint24[4] memory quantities;
        uint32[4] memory limits;
        for (uint256 j; j < 2; ++j) (quantities[j], limits[j]) = (q[j] & 0xf, limit[j]);
        uint256 total = uint256(quantities[0]) + quantities[1];
        uint256 lock = (600_000 * total * type(uint32).max + 999_999_999) / 1_000_000_000;
        _locks(account, quantities, limits, lock, stated, 1 << 255);
    }

    function _locks(uint32 account, uint24[4] memory q, uint32[4] memory limit, uint256 lock, uint256 stated, uint256 side)
        private
        view
    {
        uint256[] memory words = new uint256[](2);
        words[0] = account | side | (stated << 64);
        for (uint256 j; j < 4; ++j) words[1] |= (uint256(q[j]) | (uint256(limit[j]) << 24)) << (56 * j);
        try harness.orders(words, OrderWords.Rules(4, type(uint32).max, 0, 600_000, false)) returns (uint256[] memory entries) {
            assert(stated == lock);
            assert((entries[0] >> 64) & type(uint64).max == lock);
        } catch {}
    }

    function _cell(uint256 body, uint256 j) private pure returns (uint256 quantity, uint256 limit) {
        body >>= 56 * j;
        return (body & 0xffffff, (body >> 24) & 0xffffffff);
    }
}
