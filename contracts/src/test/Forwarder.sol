// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Forwarder: for tests; sends several calls on from one transaction, as a multicall does
contract Forwarder {
    function forward(address[] calldata targets, bytes[] calldata calls) external {
        for (uint256 i; i < targets.length; ++i) {
            (bool ok, bytes memory why) = targets[i].call(calls[i]);
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(why, 32), mload(why))
                }
            }
        }
    }
}
