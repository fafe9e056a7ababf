// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Pass} from "../src/ClearingPass.sol";
import {SessionRequest, Terms} from "../src/Protocol.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {World} from "./World.sol";

/// @title Homes: a market with a month of prices and 100 homes that one aggregator acts for
/// @notice Bids and offers in turn; every bid is above every offer and a pair has the same quantities, so that all trade.
abstract contract Homes is World {
    using Dice for Dice.State;

    uint256 internal constant HOMES = 100;
    uint256 internal constant ANNA = 0xa11a; // owns the homes that buy
    uint256 internal constant BEN = 0xbe11; // and those that sell
    address internal constant AGGREGATOR = address(0xa99);
    uint96 internal constant DAY = (1 << 24) - 1;

    uint256 internal agent;
    Books.Order[] internal orders;

    function furnish() internal {
        build();
        for (uint256 i; i < HOMES; ++i) {
            member(vm.addr(i % 2 == 0 ? ANNA : BEN), 1e9);
            vm.prank(METERING);
            accounts.setEnvelope(i + 1, 10_000);
        }
        agent = member(AGGREGATOR, 1e12);
        for (uint256 i; i < HOMES; ++i) {
            vm.prank(vm.addr(i % 2 == 0 ? ANNA : BEN));
            accounts.setDelegate(i + 1, agent);
        }
        _schedules();
    }

    function _schedules() private {
        Dice.State memory dice = Dice.State(24);
        for (uint256 i; i < HOMES; ++i) {
            Books.Order memory made;
            (made.account, made.side, made.steps, made.agent) = (i + 1, i % 2, 1, agent);
            (made.quantities, made.limits) = (new uint256[](24), new uint256[](24));
            for (uint256 j; j < 24; ++j) {
                made.quantities[j] = i % 2 == 0 ? dice.roll(300, 3000) : orders[i - 1].quantities[j];
                made.limits[j] = i % 2 == 0 ? 50 * dice.roll(3000, 8000) : 50 * dice.roll(400, 2400);
            }
            made.lock = Books.lockOf(made, CAP, COLLATERAL);
            orders.push(made);
        }
    }

    /// @dev A session of all hours; earlier ones of 28 days have left their prices.
    function openAfterAMonth(uint256 mode) internal returns (uint256 session) {
        SessionRequest memory wanted = request(20, DAY);
        (wanted.mode, wanted.feePpm, wanted.feeAccount, wanted.intakeFee) = (uint8(mode), 10_000, uint32(agent), 1000);
        session = open(wanted);
        Terms memory agreed = market.terms(session);
        (uint256[] memory prices, uint256[] memory volumes) = (new uint256[](24), new uint256[](24));
        for (uint256 j; j < 24; ++j) (prices[j], volumes[j]) = (150_000, 80_000);
        for (uint256 day = 28; day != 0; --day) {
            vm.warp(GENESIS - (day - 1) * 1 days);
            vm.prank(address(clearing));
            guard.record(session, agreed, prices, volumes);
        }
    }

    function place(uint256 session) internal {
        vm.prank(AGGREGATOR);
        market.place(session, Books.encode(orders, 24));
        vm.warp(market.terms(session).gateClose);
    }

    function passOf() internal view returns (Pass memory pass) {
        (pass.live, pass.hints) = Books.table(orders);
        pass.words = Books.encode(orders, 24);
        (pass.sizes, pass.beneficiary) = (new uint256[](1), agent);
        pass.sizes[0] = pass.words.length;
    }

    /// @dev From the dearest offer to the cheapest bid.
    function cleared() internal view returns (Books.Cleared memory result) {
        result.certificate = new uint256[](24);
        (result.prices, result.volumes) = (new uint256[](24), new uint256[](24));
        (result.fills, result.live) = (new uint256[][](HOMES), new bool[](HOMES));
        for (uint256 i; i < HOMES; ++i) (result.fills[i], result.live[i]) = (orders[i].quantities, true);
        for (uint256 j; j < 24; ++j) {
            (uint256 lo, uint256 hi, uint256 volume, uint256 restBids, uint256 restOffers) = (0, Books.MAX, 0, 0, 0);
            for (uint256 i; i < HOMES; ++i) {
                (uint256 q, uint256 limit) = (orders[i].quantities[j], orders[i].limits[j]);
                if (i % 2 == 0) {
                    volume += q;
                    if (limit < hi) (hi, restBids) = (limit, 0);
                    if (limit == hi) restBids += q;
                } else {
                    if (limit > lo) (lo, restOffers) = (limit, 0);
                    if (limit == lo) restOffers += q;
                }
            }
            result.certificate[j] = lo | (hi << 32) | (volume << 64) | (restBids << 104) | (restOffers << 144);
            (result.prices[j], result.volumes[j]) = ((lo + hi) / 2, volume);
        }
    }

    function note(string memory name) internal {
        vm.snapshotGasLastCall("calls", name);
    }
}
