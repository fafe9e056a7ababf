// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Checked} from "./Cheats.sol";
import {SessionHandler} from "./SessionHandler.sol";

/// @title Money of sessions: what holds after any number of acts by anybody
contract SessionsInvariantTest is Checked {
    SessionHandler private handler;

    function setUp() external {
        handler = new SessionHandler();
        handler.start();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    /// @dev What moves a session on comes more than once, so that runs reach its end.
    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        bytes4[20] memory acts = [
            handler.deposit.selector,
            handler.withdraw.selector,
            handler.steal.selector,
            handler.donate.selector,
            handler.cancel.selector,
            handler.pauseOrResume.selector,
            handler.release.selector,
            handler.pass.selector,
            handler.openSession.selector,
            handler.openSession.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.clear.selector,
            handler.commit.selector,
            handler.commit.selector,
            handler.prove.selector,
            handler.settleSellers.selector,
            handler.settleBuyers.selector
        ];
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), new bytes4[](acts.length));
        for (uint256 i; i < acts.length; ++i) targets[0].selectors[i] = acts[i];
    }

    function invariant_the_vault_holds_what_it_owes() external view {
        (uint256 available, uint256 locked, uint256 escrow, uint256 balance) = handler.sums();
        same(available + locked + escrow + handler.donated(), balance, "balance = available + locked + escrow");
    }

    function invariant_what_is_settled_stays_settled() external view {
        vm.assertTrue(handler.settledStay(), "a settled row or refund changed");
    }

    function invariant_a_settled_session_keeps_its_rounding_only() external view {
        vm.assertTrue(handler.roundingIsSmall(), "money is left in the escrow");
    }
}
