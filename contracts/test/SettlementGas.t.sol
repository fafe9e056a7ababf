// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Terms} from "../src/Protocol.sol";
import {Dice} from "./Cheats.sol";
import {Settling} from "./Settling.sol";

/// @title Gas of settling 50 sellers and 50 buyers who trade in all 24 intervals, a transaction each, calldata's floor included
/// forge-config: default.isolate = true
/// forge-config: default.evm_version = "prague"
contract SettlementGasTest is Settling {
    using Dice for Dice.State;

    uint256 private constant PAIRS = 50;
    uint256 private constant PRICE = 120_000;

    uint256[] private certificate;
    uint256[] private rows;

    function test_gas_delivered_in_full() external {
        _settle(1000, 1300, "delivered in full");
    }

    function test_gas_delivered_by_half() external {
        _settle(300, 1000, "delivered by 30 to 100 %");
    }

    /// @dev Deliveries between `low` and `high` thousandths of the promise.
    function _settle(uint256 low, uint256 high, string memory what) private {
        build(24);
        Terms memory agreed = terms(0, 0, (1 << 24) - 1, rules());
        market.setTerms(SESSION, agreed);
        Dice.State memory dice = Dice.State(24);
        certificate = new uint256[](24);
        rows = new uint256[](8 * PAIRS);
        uint256[] memory entries = new uint256[](4 * PAIRS);
        for (uint256 i; i < PAIRS; ++i) {
            (uint256 seller, uint256 buyer) = (i + 1, PAIRS + i + 1);
            uint256 cost;
            for (uint256 j; j < 24; ++j) {
                uint256 fill = dice.roll(300, 3000);
                rows[4 * i + 1 + j / 8] |= fill << (32 * (j % 8));
                rows[4 * (PAIRS + i) + 1 + j / 8] |= fill << (32 * (j % 8));
                cost += (fill * PRICE + 999) / 1000;
                certificate[j] += fill << 64;
                entries[4 * i + 1 + j / 9] |= ((1 << 25) + fill * dice.roll(low, high) / 1000) << (26 * (j % 9));
            }
            rows[4 * i] = seller | (seller << 32) | (1_200_000 << 64) | (3 << 192);
            rows[4 * (PAIRS + i)] = buyer | (buyer << 32) | (cost << 64) | (cost << 128) | (2 << 192);
            entries[4 * i] = seller | (14 << 32) | (((1 << 24) - 1) << 64);
            fund(seller, 2e6);
            lock(seller, 1_200_000);
            fund(buyer, cost + 1);
            lock(buyer, cost);
            unlock(buyer, cost, cost);
        }
        for (uint256 j; j < 24; ++j) certificate[j] |= PRICE | (PRICE << 32);
        market.setCertificate(SESSION, hash(certificate));
        market.setProgress(SESSION, cleared(PAIRS, PAIRS));
        for (uint256 g; g < 7; ++g) market.amend(SESSION, g, hash(_part(64 * g, g == 6 ? 16 : 64)));
        deliveries.record(SESSION, entries);
        vm.warp(agreed.deliveryEnd + 60);
        uint256[][] memory batches = new uint256[][](1);
        batches[0] = entries;
        uint256[] memory picks = new uint256[]((PAIRS + 3) / 4);
        for (uint256 i; i < PAIRS; ++i) picks[i / 4] |= (1 | (i << 48)) << (64 * (i % 4));
        settlement.settle(SESSION, 0, (1 << PAIRS) - 1, _part(0, 256), certificate, rules(), batches, picks);
        vm.snapshotGasLastCall("settlement", string.concat("settle 50 sellers x 24, ", what));
        uint256[] memory buyers = _part(192, 208);
        settlement.settle(
            SESSION, 3, ((1 << PAIRS) - 1) << 2, buyers, certificate, rules(), new uint256[][](0), new uint256[](0)
        );
        vm.snapshotGasLastCall("settlement", string.concat("settle 50 buyers x 24, ", what));
    }

    function _part(uint256 from, uint256 length) private view returns (uint256[] memory part) {
        part = new uint256[](length);
        for (uint256 i; i < length; ++i) part[i] = rows[from + i];
    }
}
