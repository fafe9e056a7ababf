// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "../src/OrderWords.sol";
import {OrderHarness} from "../src/test/OrderHarness.sol";

/// @title Packing of orders for every word there is: halmos proves these, nothing is drawn by chance
/// @notice One entry of one word, which holds four intervals; `check_` functions are proven for all arguments.
contract OrderWordsSymbolic {
    OrderHarness private harness;

    function setUp() public {
        harness = new OrderHarness();
    }

    /// @dev Section 6 of docs/protocol.md: an entry is taken if and only if it keeps every rule, whatever its bits. Cap and minimum are a
    /// session's usual ones; others are drawn in OrderWords.t.sol.
    function check_an_entry_is_taken_if_and_only_if_it_is_valid(uint256 header, uint256 body) public view {
        (uint256 cap, uint256 least) = (500_000, 10);
        uint256[] memory words = new uint256[](2);
        (words[0], words[1]) = (header, body);
        uint256 account = header & type(uint32).max;
        uint256 agent = (header >> 32) & type(uint32).max;
        bool valid = (header << 1) >> 133 == 0 && (header >> 128) & 3 == 0 && account != 0 && account != agent && body >> 224 == 0;
        valid = valid && (agent != 0 || (header >> 130) & 1 == 0) && ((header >> 131) & 1 == 0 || header >> 255 == 1);
        uint256 total;
        uint256 cost;
        for (uint256 j; j < 4; ++j) {
            (uint256 quantity, uint256 limit) = _cell(body, j);
            valid = valid && limit <= cap && (quantity == 0 ? limit == 0 : quantity >= least);
            total += quantity;
            cost += (quantity * limit + 999) / 1000;
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

    /// @dev A bid locks `sum ceil(q * limit / 1000)`: nothing else may be stated.
    function check_a_bid_locks_its_largest_cost(uint32 account, uint24[4] memory q, uint32[4] memory limit, uint64 stated) public view {
        uint256 lock;
        for (uint256 j; j < 4; ++j) lock += (uint256(q[j]) * limit[j] + 999) / 1000;
        _locks(account, q, limit, lock, stated, 0);
    }

    /// @dev An offer locks `ceil(collateral * sum(q) * cap / 10^9)`.
    function check_an_offer_locks_its_collateral(uint32 account, uint24[4] memory q, uint32[4] memory limit, uint64 stated) public view {
        uint256 total = uint256(q[0]) + q[1] + q[2] + q[3];
        _locks(account, q, limit, (600_000 * total * type(uint32).max + 999_999_999) / 1_000_000_000, stated, 1 << 255);
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
