// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OrderWords} from "../OrderWords.sol";

/// @title OrderHarness: OrderWords alone, for the tests
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
}
