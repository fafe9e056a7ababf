// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {DevelopmentChains} from "./DevelopmentChains.sol";

/// @title DevEuro: play money for development chains; anyone may mint, deployment elsewhere is refused
contract DevEuro is ERC20 {
    bool public constant development = true;

    error DevelopmentOnly(uint256 chainId);

    constructor() ERC20("Development Euro", "devEUR") {
        if (!DevelopmentChains.isDevelopment(block.chainid)) revert DevelopmentOnly(block.chainid);
    }

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
