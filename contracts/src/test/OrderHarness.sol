// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderLanes} from "../OrderLanes.sol";
import {OrderWords} from "../OrderWords.sol";

/// @title OrderHarness: OrderWords and OrderLanes alone, for the tests
contract OrderHarness {
    function orders(uint256[] calldata words, OrderWords.Rules calldata rules) external pure returns (uint256[] memory) {
        return OrderWords.check(OrderWords.load(words), rules);
    }

    function releases(uint256[] calldata words, uint256 intervals, uint256 fee) external pure returns (uint256[] memory) {
        return OrderWords.releases(words, intervals, fee);
    }

    function peak(uint256[] calldata words, uint256 header, uint256 intervals) external pure returns (uint256) {
        return OrderWords.peak(OrderWords.load(words), header, intervals);
    }

    /// @return seen all words, joined
    /// @return faults 0 if the words are known to keep the rules
    /// @return sum a bid's lock or an offer's quantity
    function lanes(uint256[] calldata words, uint256 cap, uint256 least, bool offers)
        external
        pure
        returns (uint256 seen, uint256 faults, uint256 sum)
    {
        uint256[] memory copy = OrderWords.load(words);
        uint256 cursor;
        assembly ("memory-safe") {
            cursor := add(copy, 0x20)
        }
        uint256 added = OrderLanes.guard(cap, least);
        return offers ? OrderLanes.offer(added, cursor, cursor + 32 * copy.length) : OrderLanes.bid(added, cursor, cursor + 32 * copy.length);
    }
}
