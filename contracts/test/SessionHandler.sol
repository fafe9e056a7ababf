// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {State} from "../src/Protocol.sol";
import {DeliveryActs} from "./DeliveryActs.sol";
import {GuardianActs} from "./GuardianActs.sol";
import {MoneyActs} from "./MoneyActs.sol";
import {ReplacementActs} from "./ReplacementActs.sol";
import {RequestActs} from "./RequestActs.sol";
import {ResultActs} from "./ResultActs.sol";
import {SettlementActs} from "./SettlementActs.sol";

/// @title SessionHandler: people, an operator, a guardian and strangers who use a market as chance has it
/// @notice Every act is one that must succeed, or one that must be refused for a known reason: none may revert otherwise.
contract SessionHandler is MoneyActs, RequestActs, ResultActs, GuardianActs, DeliveryActs, SettlementActs, ReplacementActs {
    function sums() external view returns (uint256 available, uint256 locked, uint256 escrow, uint256 balance) {
        for (uint256 account = 1; account <= ACCOUNTS; ++account) {
            (uint256 free, uint256 bound,) = vault.balanceOf(account);
            (available, locked) = (available + free, locked + bound);
        }
        for (uint256 session = 1; session <= market.count(); ++session) escrow += vault.escrow(session);
        balance = token.balanceOf(address(vault));
    }

    /// @return operator what the account for the operator's fees holds
    /// @return intake what the account for intake fees holds
    function fees() external view returns (uint256 operator, uint256 intake) {
        (operator,,) = vault.balanceOf(FEES);
        (intake,,) = vault.balanceOf(CLEARER);
    }

    function settledStay() external view returns (bool) {
        for (uint256 i = settledRows.length > 300 ? settledRows.length - 300 : 0; i < settledRows.length; ++i) {
            uint256 row = settledRows[i] & ACCOUNT;
            if (!settlement.settled(settledRows[i] >> 32, row / 16, row % 16)) return false;
        }
        for (uint256 i; i < _held.length; ++i) {
            for (uint256 j; j < _held[i].refunds.length; ++j) {
                if (settlement.refunds(_held[i].id, j) != _held[i].refunds[j]) return false;
            }
        }
        return true;
    }

    /// @notice Reverts unless every settled session has left no more than its rounding, below two micro-euro per row and interval,
    /// beside a cooperative surplus that does not share evenly and intake fees.
    function requireSmallRounding() external view {
        for (uint256 i; i < _held.length; ++i) {
            if (market.state(_held[i].id) != State.Settled) continue;
            uint256 most = 2 * _held[i].rows.length * (_held[i].intervals + 1) + _held[i].surplus;
            vm.assertLe(vault.escrow(_held[i].id), most, "money is left in the escrow");
        }
    }
}
