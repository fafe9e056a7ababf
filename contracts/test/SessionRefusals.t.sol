// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IResults, SessionRequest, State} from "../src/Protocol.sol";
import {Results} from "../src/Results.sol";
import {Sessions} from "../src/Sessions.sol";
import {World} from "./World.sol";

/// @title SessionRefusals: who may report what a session came to, and when it can be cancelled
contract SessionRefusalsTest is World {
    uint256 private session; // competitive, its results' contract is `clearing`

    function setUp() external {
        build();
        session = open(request(20, 0xf << 10));
    }

    /// @dev `who` is anybody: people, the other modes' contracts, those that hold other roles.
    function test_only_the_contract_of_its_mode_reports_of_a_session(address who) external {
        vm.assume(who != address(clearing));
        vm.warp(market.terms(session).gateClose);
        address[4] memory callers = [who, address(blocks), address(requests), address(settlement)];
        for (uint256 i; i < 4; ++i) {
            bytes memory why = abi.encodeWithSelector(Sessions.NotTheResults.selector, session, callers[i]);
            vm.expectRevert(why);
            vm.prank(callers[i]);
            market.cleared(session, 0, false, 0);
            vm.expectRevert(why);
            vm.prank(callers[i]);
            market.released(session);
            vm.expectRevert(why);
            vm.prank(callers[i]);
            market.committed(session, 0, 0);
            vm.expectRevert(why);
            vm.prank(callers[i]);
            market.cancelReviewed(session, "not mine");
            vm.expectRevert(why);
            vm.prank(callers[i]);
            market.cancelRequest(session, "not mine");
        }
        vm.prank(address(clearing));
        market.cleared(session, 1, false, 0);
        same(uint256(market.state(session)), uint256(State.Cleared), "its own contract's word counts");
    }

    function test_only_requests_are_cancelled_as_requests() external {
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotTheResults.selector, session, clearing));
        vm.prank(address(clearing));
        market.cancelRequest(session, "no request");
    }

    function test_only_the_contract_of_requests_opens_them(address who) external {
        vm.assume(who != address(requests));
        SessionRequest memory wanted = request(20, 0xf << 14);
        wanted.mode = 3;
        uint256[] memory words = rules();
        vm.expectRevert(abi.encodeWithSelector(Sessions.NotTheResults.selector, 0, who));
        vm.prank(who);
        market.openRequest(wanted, words);
        vm.prank(address(requests));
        same(market.openRequest(wanted, words), session + 1, "the contract of requests");
    }

    function test_the_results_of_a_mode_are_set_once() external {
        address[4] memory held = [address(clearing), address(clearing), address(blocks), address(requests)];
        for (uint256 mode; mode < 4; ++mode) {
            bytes memory why = abi.encodeWithSelector(Sessions.ResultsAlreadySet.selector, mode, held[mode]);
            vm.expectRevert(why);
            market.setResults(mode, IResults(address(this)));
            vm.expectRevert(why);
            market.setResults(mode, IResults(held[mode]));
        }
    }

    function test_a_session_is_not_cancelled_after_its_gate() external {
        uint256 gate = market.terms(session).gateClose;
        uint256 other = open(request(20, 0xf << 14)); // with the same gate
        vm.warp(gate - 1);
        vm.prank(OPERATOR);
        market.cancel(other, "in time");
        vm.warp(gate);
        vm.expectRevert(abi.encodeWithSelector(Sessions.GateAlreadyClosed.selector, session, gate));
        vm.prank(OPERATOR);
        market.cancel(session, "too late");
    }

    function test_only_replacement_amends_rows(address who) external {
        vm.assume(who != address(replacement));
        Results[3] memory all = [Results(clearing), blocks, requests];
        for (uint256 i; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Results.NotReplacement.selector, who));
            vm.prank(who);
            all[i].amend(session, 0, keccak256("rows"));
            vm.assertTrue(all[i].groupHash(session, 0) == 0, "as it was");
            vm.prank(address(replacement));
            all[i].amend(session, 0, keccak256("rows"));
            vm.assertTrue(all[i].groupHash(session, 0) == keccak256("rows"), "amended");
        }
    }
}
