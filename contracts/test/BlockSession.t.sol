// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockClearing} from "../src/BlockClearing.sol";
import {SessionRequest, State} from "../src/Protocol.sol";
import {Results} from "../src/Results.sol";
import {FakeGuard} from "./BlockFakes.sol";
import {Blocks} from "./Blocks.sol";
import {Door} from "./Door.sol";

/// @title BlockSession: block sessions in the real market, with the real money; only the price guard is none
contract BlockSessionTest is Door {
    uint64 private constant BOND = 5000;
    uint256 private constant MONEY = 1_000_000;
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);
    address private constant CAROL = address(0xca401);
    address private constant DAVE = address(0xda3e);

    BlockClearing private clearing;
    FakeGuard private guard;
    uint256 private session;
    Blocks.Order[] private _orders;
    uint256[4] private _members; // of Alice, Bob, Carol, Dave

    function setUp() external {
        buildDoor();
        guard = new FakeGuard();
        clearing = BlockClearing(
            vm.deployCode("artifacts/BlockClearing.json", abi.encode(market, accounts, vault, guard, 100_000, BOND))
        );
        market.setResults(2, clearing);
        market.grantRole(market.DELIVERIES_ROLE(), address(this));
        market.grantRole(keccak256("GUARDIAN"), BOB);
        vault.grantRole(vault.MARKET_ROLE(), address(clearing));
        accounts.grantRole(accounts.MARKET_ROLE(), address(clearing));
        address[4] memory owners = [ALICE, BOB, CAROL, DAVE];
        for (uint256 i; i < 4; ++i) {
            _members[i] = member(owners[i], MONEY);
        }
        SessionRequest memory wanted = request(2, uint96(3 << 5));
        (wanted.mode, wanted.priceCap, wanted.intakeFee) = (2, uint32(Blocks.CAP), 100);
        wanted.challengeEnd = wanted.gateClose + 1 hours;
        session = open(wanted);
        _place(_members[0], 0, 6, ALICE);
        _place(_members[1], 1, 2, BOB);
        vm.warp(wanted.gateClose);
    }

    function test_the_best_proposal_becomes_promises_and_money() external {
        _propose(_choice(500_000, 4), CAROL, 2);
        _propose(_choice(1_000_000, 4), DAVE, 3);
        same(_total(2), MONEY - BOND, "outbid");
        _accept(_choice(1_000_000, 4));
        same(uint256(market.state(session)), uint256(State.Cleared), "cleared");
        same(_total(3), MONEY + BOND + 200, "won a bond and the intake fees");
        clearing.commit(session, 0, Blocks.rows(_orders, _choice(1_000_000, 4)));
        same(vault.escrow(session), 8000, "what the bid pays: 2 MWh at 4 micro-euro per kWh");
        same(accounts.sold(_members[1], market.terms(session).day), 3 << 5, "sold");
        (, uint256 locked,) = vault.balanceOf(_members[0]);
        same(locked, 0, "the bid's lock is its cost now");
        same(_money(), 4 * MONEY, "no money is made or lost");
    }

    function test_no_trade_gives_everything_back() external {
        _propose(_choice(0, 0), CAROL, 2);
        _accept(_choice(0, 0));
        clearing.commit(session, 0, Blocks.rows(_orders, _choice(0, 0)));
        same(uint256(market.state(session)), uint256(State.Settled), "settled");
        same(_total(0), MONEY - 100, "all but the intake fee");
        same(_total(1), MONEY - 100, "all but the intake fee");
        same(_total(2), MONEY + 200, "the finder has both fees");
        _nothingLocked();
    }

    function test_without_accept_everybody_gets_everything_back() external {
        _propose(_choice(1_000_000, 4), CAROL, 2);
        uint256[] memory certificate = _certificate(_choice(1_000_000, 4));
        vm.warp(market.terms(session).deliveryStart);
        refused(Results.WrongState.selector);
        clearing.accept(session, certificate);
        clearing.reclaim(session);
        market.releaseCancelled(session, _extend(0, Blocks.encode(_orders[0])), Blocks.encode(_orders[1]));
        market.releaseCancelled(session, 0, Blocks.encode(_orders[0]));
        for (uint256 i; i < 4; ++i) {
            same(_total(i), MONEY, "all of it");
        }
        _nothingLocked();
    }

    function test_a_guardian_cancels_what_lies_outside_the_band() external {
        guard.setLine(3);
        _propose(_choice(1_000_000, 4), CAROL, 2);
        _accept(_choice(1_000_000, 4));
        same(uint256(market.state(session)), uint256(State.UnderReview), "under review");
        vm.prank(BOB);
        clearing.cancelReviewed(session, "agreed between them");
        market.releaseCancelled(session, _extend(0, Blocks.encode(_orders[0])), Blocks.encode(_orders[1]));
        market.releaseCancelled(session, 0, Blocks.encode(_orders[0]));
        for (uint256 i; i < 4; ++i) {
            same(_total(i), MONEY, "all of it");
        }
        _nothingLocked();
    }

    function test_what_a_guardian_releases_is_committed() external {
        guard.setLine(3);
        _propose(_choice(1_000_000, 4), CAROL, 2);
        _accept(_choice(1_000_000, 4));
        uint256[] memory certificate = _certificate(_choice(1_000_000, 4));
        vm.prank(BOB);
        clearing.release(session, certificate, "a cold day");
        same(_total(2), MONEY + 200, "fees after the decision");
        clearing.commit(session, 0, Blocks.rows(_orders, _choice(1_000_000, 4)));
        same(market.progress(session).sellersLeft, 1, "one seller");
    }

    /// @dev Who has no money for the bond cannot propose, and nothing of it stays.
    function test_no_bond_no_proposal() external {
        vm.prank(CAROL);
        vault.withdraw(_members[2], MONEY, CAROL);
        (BlockClearing.Solution memory solution, BlockClearing.Chunk memory chunk) = _words(_choice(1_000_000, 4), 2);
        vm.prank(CAROL);
        refused(bytes4(keccak256("NotEnoughAvailable(uint256,uint256,uint256)")));
        clearing.propose(session, solution, chunk);
        (bytes32 key,,,,,,) = clearing.best(session);
        vm.assertTrue(key == 0, "nothing proposed");
    }

    // -------------------------------------------------------------------------------------------------------------------
    // helpers

    /// @dev 1 MWh in each interval.
    function _place(uint256 account, uint256 side, uint256 limit, address owner) private {
        Blocks.Order memory order;
        (order.account, order.side, order.live) = (account, side, true);
        (order.quantities, order.limits) = (new uint256[](2), new uint256[](2));
        for (uint256 j; j < 2; ++j) {
            (order.quantities[j], order.limits[j]) = (1_000_000, limit);
        }
        vm.prank(owner);
        market.place(session, Blocks.encode(order));
        _orders.push(order);
    }

    function _choice(uint256 ratio, uint256 price) private pure returns (Blocks.Choice memory choice) {
        (choice.prices, choice.ratios, choice.ups) = (new uint256[](2), new uint256[](2), new uint256[](2));
        for (uint256 k; k < 2; ++k) {
            (choice.prices[k], choice.ratios[k]) = (price, ratio);
        }
    }

    function _words(Blocks.Choice memory choice, uint256 finder)
        private
        view
        returns (BlockClearing.Solution memory solution, BlockClearing.Chunk memory chunk)
    {
        (solution, chunk.hints) = Blocks.propose(_orders, choice);
        solution.account = _members[finder];
        solution.logs = new bytes32[](1);
        solution.logs[0] = market.log(session);
        (uint256[] memory first, uint256[] memory second) = (Blocks.encode(_orders[0]), Blocks.encode(_orders[1]));
        chunk.sizes = new uint256[](2);
        (chunk.sizes[0], chunk.sizes[1]) = (first.length, second.length);
        chunk.words = append(first, second);
    }

    function _propose(Blocks.Choice memory choice, address who, uint256 finder) private {
        (BlockClearing.Solution memory solution, BlockClearing.Chunk memory chunk) = _words(choice, finder);
        vm.prank(who);
        clearing.propose(session, solution, chunk);
    }

    function _certificate(Blocks.Choice memory choice) private view returns (uint256[] memory) {
        (BlockClearing.Solution memory solution,) = Blocks.propose(_orders, choice);
        return solution.certificate;
    }

    function _accept(Blocks.Choice memory choice) private {
        vm.warp(market.terms(session).challengeEnd);
        clearing.accept(session, _certificate(choice));
    }

    function _extend(bytes32 log, uint256[] memory words) private pure returns (bytes32) {
        return keccak256(abi.encode(log, keccak256(abi.encodePacked(words))));
    }

    /// @dev Available and locked money of a member.
    function _total(uint256 i) private view returns (uint256) {
        (uint256 available, uint256 locked,) = vault.balanceOf(_members[i]);
        return available + locked;
    }

    function _money() private view returns (uint256 total) {
        total = vault.escrow(session);
        for (uint256 i; i < 4; ++i) {
            total += _total(i);
        }
    }

    function _nothingLocked() private view {
        for (uint256 i; i < 4; ++i) {
            (, uint256 locked,) = vault.balanceOf(_members[i]);
            same(locked, 0, "nothing locked");
        }
        same(vault.escrow(session), 0, "nothing in the escrow");
    }
}
