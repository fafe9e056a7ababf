// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Checked, Dice} from "./Cheats.sol";
import {SessionHandler} from "./SessionHandler.sol";

/// @title Sessions: what holds after any number of acts by anybody
contract SessionsInvariantTest is Checked {
    using Dice for Dice.State;

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    SessionHandler private handler;

    function setUp() external {
        handler = SessionHandler(vm.deployCode("SessionHandler.sol:SessionHandler"));
        handler.start();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    function targetSelectors() external view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(handler), _acts());
    }

    /// @dev What moves a session on comes more than once, so that runs reach its end.
    function _acts() private view returns (bytes4[] memory acts) {
        bytes4[20] memory once = [
            handler.deposit.selector,
            handler.withdraw.selector,
            handler.steal.selector,
            handler.donate.selector,
            handler.cancel.selector,
            handler.pauseOrResume.selector,
            handler.release.selector,
            handler.pass.selector,
            handler.openSession.selector,
            handler.openRequest.selector,
            handler.withdrawRequest.selector,
            handler.award.selector,
            handler.outOfTurn.selector,
            handler.decide.selector,
            handler.exempt.selector,
            handler.replace.selector,
            handler.prove.selector,
            handler.settleSellers.selector,
            handler.settleBuyers.selector,
            handler.release.selector
        ];
        bytes4[30] memory often = [
            handler.pass.selector,
            handler.openSession.selector,
            handler.openSession.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.order.selector,
            handler.commit.selector,
            handler.clear.selector,
            handler.clear.selector,
            handler.commit.selector,
            handler.replace.selector,
            handler.replace.selector,
            handler.decide.selector,
            handler.decide.selector,
            handler.settleSellers.selector,
            handler.clear.selector,
            handler.clear.selector,
            handler.clear.selector,
            handler.commit.selector,
            handler.commit.selector,
            handler.prove.selector,
            handler.prove.selector,
            handler.settleSellers.selector,
            handler.settleBuyers.selector
        ];
        acts = new bytes4[](once.length + often.length);
        for (uint256 i; i < once.length; ++i) acts[i] = once[i];
        for (uint256 i; i < often.length; ++i) acts[once.length + i] = often[i];
    }

    function invariant_money_is_conserved_and_what_is_settled_stays() external view {
        _hold();
    }

    /// @dev That chance gets to the end of a session of each kind and to every act is not a matter of luck: this run goes on until
    /// it has.
    function test_a_long_run_gets_everywhere() external {
        bytes4[] memory acts = _acts();
        Dice.State memory dice = Dice.State(2017);
        for (uint256 i; i < 8000 && !(i % 50 == 0 && bytes(_missing()).length == 0); ++i) {
            bytes4 act = acts[dice.roll(0, acts.length - 1)];
            (bool ok, bytes memory why) =
                address(handler).call(abi.encodePacked(act, dice.roll(0, type(uint256).max - 1), dice.seed, dice.seed));
            if (!ok) {
                assembly ("memory-safe") {
                    revert(add(why, 32), mload(why))
                }
            }
            if (i % 50 == 0) _hold();
        }
        vm.assertTrue(bytes(_missing()).length == 0, string.concat("never done: ", _missing()));
        vm.assertTrue(handler.refusals() > 100, "too few acts out of turn");
        _hold();
    }

    /// @return missing acts that were never done
    function _missing() private view returns (string memory missing) {
        string[39] memory acts = [
            "deposit", "withdraw", "steal", "donate", "open", "order", "agent", "cancel", "pause", "release", "release auction",
            "release reviewed", "out of turn", "open request", "withdraw request", "award", "chunk", "clear", "clear together",
            "clear without", "wrong start", "review", "release price", "cancel reviewed", "exclude", "exempt", "commit",
            "prove", "prove, filled up", "replace", "replace whole", "sellers", "buyers", "settled", "settled together",
            "settled request", "operator fee", "penalty", "refund"
        ];
        for (uint256 i; i < acts.length; ++i) if (handler.done(acts[i]) == 0) missing = string.concat(missing, acts[i], "; ");
    }

    function _hold() private view {
        (uint256 available, uint256 locked, uint256 escrow, uint256 balance) = handler.sums();
        same(available + locked + escrow + handler.donated(), balance, "balance = available + locked + escrow");
        (uint256 operator, uint256 intake) = handler.fees();
        same(operator, handler.operatorFees(), "the operator's fees add up");
        same(intake, handler.intakeFees(), "intake fees add up");
        vm.assertTrue(handler.settledStay(), "a settled row or refund changed");
        handler.requireSmallRounding();
    }
}
