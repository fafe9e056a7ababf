// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {State} from "../src/Protocol.sol";
import {Settlement} from "../src/Settlement.sol";
import {OneRequest} from "./Coalition.sol";

/// @title Settlement of requests: rows and certificate of an award are settled as every session's are
/// @notice The test stands in for Deliveries and has recorded nothing: nobody delivered.
contract RequestSettlementTest is OneRequest {
    Settlement private settlement;

    function setUp() public override {
        super.setUp();
        settlement = Settlement(vm.deployCode("artifacts/Settlement.json", abi.encode(market, vault)));
        vault.grantRole(vault.MARKET_ROLE(), address(settlement));
        market.grantRole(market.SETTLEMENT_ROLE(), address(settlement));
    }

    function recordedWord(uint256, uint256) external pure returns (uint256) {
        return 0;
    }

    function test_who_delivers_nothing_pays_and_the_dso_gets_it_all_back() external {
        _award(agreed(session, _parts()));
        vm.warp(market.terms(session).proofDeadline + 1);
        uint256[][] memory none;
        settlement.settle(session, 0, 3, _rows(), _certificate(), rules(), none, new uint256[](1));
        // Anna 120000000 an interval and Ben 40000400: half of it, rounded up
        _holds(anna, FUNDS - 240_000);
        _holds(ben, FUNDS - 80_004);
        settlement.settle(session, 0, 4, _rows(), _certificate(), rules(), none, new uint256[](0));
        // an interval 120000 + 40000 unpaid and 60000 + 20001 of penalties
        _holds(dso, FUNDS - 640_004 + 4 * 240_001);
        same(vault.escrow(session), 4, "the rounding");
        same(uint256(market.state(session)), uint256(State.Settled), "settled");
    }

    function _holds(uint256 account, uint256 money) private view {
        (uint256 available, uint256 locked,) = vault.balanceOf(account);
        same(available, money, "available");
        same(locked, 0, "nothing stays locked");
    }

    function _rows() private view returns (uint256[] memory rows) {
        rows = new uint256[](9);
        rows[0] = anna | (anna << 32) | (720_000 << 64) | (7 << 192);
        rows[3] = ben | (ben << 32) | (480_000 << 64) | (7 << 192);
        rows[6] = dso | (dso << 32) | (640_004 << 64) | (640_004 << 128) | (6 << 192);
        (rows[1], rows[4], rows[7]) = (_four(600, 32), _four(400, 32), _four(1000, 32));
        (rows[2], rows[5], rows[8]) = (_four(120_000_000, 64), _four(40_000_400, 64), _four(160_000_400, 64));
    }

    function _certificate() private pure returns (uint256[] memory certificate) {
        certificate = new uint256[](8);
        for (uint256 j; j < 4; ++j) {
            certificate[2 * j] = 1000 << 64;
            certificate[2 * j + 1] = 160_000_400 | (160_000_400 << 80);
        }
    }

    function _four(uint256 value, uint256 bits) private pure returns (uint256 word) {
        for (uint256 j; j < 4; ++j) word |= value << (bits * j);
    }
}
