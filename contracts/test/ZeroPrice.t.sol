// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Pass} from "../src/ClearingPass.sol";
import {SessionRequest, State} from "../src/Protocol.sol";
import {Replacement} from "../src/Replacement.sol";
import {Books} from "./Books.sol";
import {World} from "./World.sol";

/// @title ZeroPrice: where more is offered for nothing than is wanted, buyers pay nothing and still get what failing sellers leave
contract ZeroPriceTest is World {
    uint256 private constant KEY = 0xa11a;

    Books.Order[] private orders;

    function setUp() external {
        build();
        for (uint256 i; i < 3; ++i) member(vm.addr(KEY + i), 1e6);
        _order(1, 0, 100_000, 4, false);
        _order(2, 1, 1_000_000, 0, false);
        _order(3, 1, 100_000, 7, true);
    }

    /// @dev What the reserve was to get beyond the price, and what it forfeits.
    function test_what_a_failing_reserve_leaves_is_the_buyers() external {
        SessionRequest memory wanted = request(20, 1 << 10);
        wanted.priceCap = uint32(Books.TOP);
        uint256 session = open(wanted);
        Pass memory pass;
        pass.sizes = new uint256[](3);
        pass.words = new uint256[](0);
        for (uint256 i; i < 3; ++i) {
            uint256[] memory words = Books.encode(orders[i], 1);
            pass.sizes[i] = words.length;
            pass.words = Books.join(pass.words, words);
            vm.prank(vm.addr(KEY + i));
            market.place(session, words);
        }
        vm.warp(wanted.gateClose);
        (pass.live, pass.hints) = Books.table(orders);
        Books.Cleared memory cleared = Books.clear(orders, 1, new uint256[](3));
        same(cleared.prices[0], 0, "price");
        pass.certificate = cleared.certificate;
        clearing.clear(session, pass);
        uint256[] memory rows = Books.rows(orders, cleared);
        clearing.commit(session, 0, rows);
        same(market.progress(session).buyersLeft, 1, "a row without a cost");
        _replace(session, rows, cleared.certificate);
        vm.warp(wanted.proofDeadline + 1);
        rows = _replaced(rows);
        settlement.settle(session, 0, 4, rows, cleared.certificate, rules(), new uint256[][](0), new uint256[](1));
        same(vault.escrow(session), 700 + 350, "100 kWh at 7, and half of it as penalty");
        (uint256 before,,) = vault.balanceOf(1);
        settlement.settle(session, 0, 1, rows, cleared.certificate, rules(), new uint256[][](0), new uint256[](0));
        (uint256 available,,) = vault.balanceOf(1);
        same(available - before, 700 + 350, "the buyer's");
        same(vault.escrow(session), 0, "nothing stays");
        same(uint256(market.state(session)), uint256(State.Settled), "settled");
    }

    function _order(uint256 account, uint256 side, uint256 quantity, uint256 limit, bool reserve) private {
        Books.Order memory made;
        (made.account, made.side, made.steps, made.reserve) = (account, side, 1, reserve);
        (made.quantities, made.limits) = (new uint256[](1), new uint256[](1));
        (made.quantities[0], made.limits[0]) = (quantity, limit);
        made.lock = Books.lockOf(made, Books.TOP, COLLATERAL);
        orders.push(made);
    }

    function _replace(uint256 session, uint256[] memory rows, uint256[] memory certificate) private {
        Replacement.Change memory change;
        (change.session, change.intervals) = (session, 1 << 10);
        change.failing = Replacement.Place(0, 1, rows);
        change.reserve = Replacement.Place(0, 2, new uint256[](0));
        (change.certificate, change.rules) = (certificate, rules());
        Replacement.Consent memory consent = Replacement.Consent(vm.addr(KEY + 1), 1e6, 1, vm.getBlockTimestamp() + 1, "");
        consent.signature = signed(KEY + 1, consentDigest(session, 2, 3, 1 << 10, consent));
        replacement.replaceByConsent(change, consent);
    }

    /// @dev The rows afterwards: header and fill of each, the last one with a price of its own and its entry.
    function _replaced(uint256[] memory rows) private pure returns (uint256[] memory after_) {
        after_ = new uint256[](rows.length + 1);
        for (uint256 i; i < rows.length; ++i) after_[i < 6 ? i : i + 1] = rows[i];
        after_[2] -= 700 << 64;
        after_[3] = 0;
        after_[4] |= 1 << 194;
        (after_[5], after_[6]) = (100_000, 700_000);
    }
}
