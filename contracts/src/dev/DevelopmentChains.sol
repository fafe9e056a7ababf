// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Which chains are for development only: anvil and hardhat (31337), ganache (1337), eth-tester (131277322940537)
library DevelopmentChains {
    function isDevelopment(uint256 chainId) internal pure returns (bool) {
        return chainId == 31337 || chainId == 1337 || chainId == 131277322940537;
    }
}
