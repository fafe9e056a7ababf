// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {Vault} from "../Vault.sol";

/// @title FeeToken: for tests; a tenth of every transfer disappears
contract FeeToken is ERC20("Fee", "FEE") {
    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (from != address(0) && to != address(0)) super._update(to, address(0), value / 10);
    }
}

/// @title ReentrantToken: for tests; calls the vault again from within a transfer
contract ReentrantToken is ERC20("Reentrant", "RE") {
    Vault public vault;
    bytes public attack;
    bool public attackSucceeded;
    bool public swallow;

    function decimals() public pure override returns (uint8) {
        return 6;
    }

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @param attack_ call to the vault within the next transfers
    /// @param swallow_ go on when the vault refuses it
    function arm(Vault vault_, bytes calldata attack_, bool swallow_) external {
        (vault, attack, swallow) = (vault_, attack_, swallow_);
        _approve(address(this), address(vault_), type(uint256).max);
    }

    function _update(address from, address to, uint256 value) internal override {
        super._update(from, to, value);
        if (attack.length == 0 || from == address(0)) return;
        bytes memory once = attack;
        delete attack;
        (bool ok, bytes memory why) = address(vault).call(once);
        attackSucceeded = ok;
        if (ok || swallow) return;
        assembly ("memory-safe") {
            revert(add(why, 32), mload(why))
        }
    }
}

/// @title EighteenDecimals: for tests; the vault must not take it
contract EighteenDecimals is ERC20("Eighteen", "E18") {}
