// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Vault} from "../src/Vault.sol";
import {Dice} from "./Cheats.sol";
import {Stage} from "./Stage.sol";

/// @title MoneyActs: money that goes in and out, and that nobody takes from another
abstract contract MoneyActs is Stage {
    function deposit(uint256 who, uint256 amount) external watched {
        address owner = _owners[within(who, 1, ACCOUNTS)];
        amount = within(amount, 1, 1e6);
        token.mint(owner, amount);
        vm.prank(owner);
        token.approve(address(vault), amount);
        vm.prank(owner);
        vault.deposit(within(who >> 32, 1, DSO), amount); // for anybody
        _did("deposit");
    }

    function withdraw(uint256 who, uint256 amount) external watched {
        uint256 account = within(who, 1, MEMBERS);
        _actors = 1 << account;
        (uint256 available,,) = vault.balanceOf(account);
        vm.prank(_owners[account]);
        vault.withdraw(account, within(amount, 0, available / 8), _owners[account]);
        _did("withdraw");
    }

    /// @dev Neither another member nor the account's own agent, nor by the vault's other door.
    function steal(uint256 who, uint256 from, uint256 amount) external watched {
        uint256 account = within(from, 1, MEMBERS);
        address thief = who % 2 == 0 ? _owners[account % PEOPLE + 1] : _owners[AGENT];
        if (thief == _owners[account]) return;
        ++refusals;
        vm.expectRevert(abi.encodeWithSelector(Vault.NotOwner.selector, account, thief));
        vm.prank(thief);
        vault.withdraw(account, amount, thief);
        uint256[] memory moves = new uint256[](1);
        moves[0] = account | (within(amount, 1, 1e6) << 96);
        refused(IAccessControl.AccessControlUnauthorizedAccount.selector);
        vm.prank(thief);
        vault.move(1, moves);
        refused(IAccessControl.AccessControlUnauthorizedAccount.selector);
        vm.prank(thief);
        vault.lock(1, 0, moves);
        _did("steal");
    }

    function donate(uint256 amount) external watched {
        amount = within(amount, 1, 1000);
        token.mint(address(vault), amount);
        donated += amount;
        _did("donate");
    }

    function pass(uint256 time) external watched {
        _leap(Dice.State(time), vm.getBlockTimestamp() + within(time, 1, time % 4 == 0 ? 9 days : 20 minutes));
    }
}
