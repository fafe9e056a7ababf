// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {FlexRequests} from "../src/FlexRequests.sol";
import {Progress, SessionRequest, State, Terms} from "../src/Protocol.sol";
import {RequestList} from "../src/RequestList.sol";
import {Results} from "../src/Results.sol";
import {Sessions} from "../src/Sessions.sol";
import {Dice} from "./Cheats.sol";
import {OneRequest} from "./Coalition.sol";

/// @notice What forge calls an event, and the cheatcodes that keep them.
interface Logs {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
}

/// @title Requests: what an award does, and which targets and lists there may be
contract FlexRequestsTest is OneRequest {
    using Dice for Dice.State;

    // ------------------------------------------------------------------------------------------------------------ what it does

    function test_an_award_locks_pays_and_promises(address carrier) external {
        FlexRequests.Award memory made = agreed(session, _parts());
        vm.prank(carrier);
        _award(made);
        _holds();
        same(uint256(market.state(session)), uint256(State.Cleared), "state");
        same(market.auctioned(1, today() + 2), 0, "the intervals are free");
    }

    function _holds() private view {
        uint256 day = market.terms(session).day;
        Progress memory reached = market.progress(session);
        same(reached.groups, 1, "groups");
        same(reached.uncommitted, 0, "all committed");
        same(reached.sellersLeft, 2, "sellers");
        same(reached.buyersLeft, 1, "buyers");
        (uint256 available, uint256 locked,) = vault.balanceOf(anna);
        same(locked, 720_000, "0.6 * 2.4 kWh * 0.5 euro");
        same(available, FUNDS - 720_000, "the rest of Anna's");
        (, locked,) = vault.balanceOf(ben);
        same(locked, 480_000, "Ben's");
        // per interval 600 * 200000 + 400 * 100001 = 160000400, rounded up to 160001
        same(vault.escrow(session), 4 * 160_001, "the cost");
        (available, locked,) = vault.balanceOf(dso);
        same(available, FUNDS - 4 * 160_001, "the DSO's");
        same(locked, 0, "paid, not locked");
        same(accounts.sold(anna, day), MASK, "sold by Anna");
        same(accounts.sold(ben, day), MASK, "sold by Ben");
        same(accounts.eventDays(anna, day, 1), 1, "an event day");
        same(accounts.sold(dso, day), 0, "the DSO sells nothing");
    }

    function test_what_is_kept_are_the_rows_and_the_certificate() external {
        _award(agreed(session, _parts()));
        uint256[] memory rows = new uint256[](9);
        uint256 seller = (1 << 192) | (1 << 193) | (1 << 194);
        rows[0] = anna | (anna << 32) | (720_000 << 64) | seller;
        rows[3] = ben | (ben << 32) | (480_000 << 64) | seller;
        rows[6] = dso | (dso << 32) | (640_004 << 64) | (640_004 << 128) | (1 << 193) | (1 << 194);
        (rows[1], rows[4], rows[7]) = (_four(600, 32), _four(400, 32), _four(1000, 32));
        (rows[2], rows[5], rows[8]) = (_four(120_000_000, 64), _four(40_000_400, 64), _four(160_000_400, 64));
        same(uint256(requests.groupHash(session, 0)), uint256(keccak256(abi.encodePacked(rows))), "rows");
        uint256[] memory certificate = new uint256[](8);
        for (uint256 j; j < 4; ++j) {
            certificate[2 * j] = 1000 << 64;
            certificate[2 * j + 1] = 160_000_400 | (160_000_400 << 80);
        }
        same(uint256(requests.certificateHash(session)), uint256(keccak256(abi.encodePacked(certificate))), "certificate");
        vm.expectRevert(abi.encodeWithSelector(Results.GroupAlreadyCommitted.selector, session, 0));
        requests.commit(session, 0, rows);
    }

    function _four(uint256 value, uint256 bits) private pure returns (uint256 word) {
        for (uint256 j; j < 4; ++j) word |= value << (bits * j);
    }

    /// @dev Whoever has only the log can work out the rows: it has the list, and each member's promise as every session's.
    function test_the_log_tells_the_list_and_each_promise() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        Logs(address(vm)).recordLogs();
        _award(made);
        Logs.Log[] memory logs = Logs(address(vm)).getRecordedLogs();
        uint256 promises;
        uint256 awards;
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] == Accounts.FlexibilityTargetSet.selector) {
                uint256 account = uint256(logs[i].topics[2]);
                (uint256 commitment, uint256[] memory words) = abi.decode(logs[i].data, (uint256, uint256[]));
                same(commitment, 0, "not hidden");
                same(words.length, 1, "fills and nothing else");
                same(words[0], _four(account == anna ? 600 : 400, 32), "the promise");
                ++promises;
            } else if (logs[i].topics[0] == FlexRequests.Awarded.selector) {
                (uint256[] memory list,) = abi.decode(logs[i].data, (uint256[], uint256[]));
                same(uint256(keccak256(abi.encode(list))), uint256(keccak256(abi.encode(made.list))), "the list");
                ++awards;
            }
        }
        same(promises, 2, "promises");
        same(awards, 1, "awards");
    }

    function test_the_dso_needs_no_signature_of_its_own() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        (made.signature, made.deadline) = ("", 0);
        vm.prank(vm.addr(DSO_KEY));
        _award(made);
        _holds();
    }

    function test_an_award_after_the_gate_counts_too() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        vm.warp(vm.getBlockTimestamp() + 10 hours);
        _award(made);
        _holds();
    }

    /// @dev Whatever coalition: the money is all there, the sellers' pay never exceeds the cost, and each group can be settled.
    function test_any_coalition_keeps_the_sum(uint256 seed, uint8 number) external {
        vm.prank(vm.addr(DSO_KEY));
        requests.withdraw(session, "");
        Dice.State memory dice = Dice.State(seed);
        uint256 k = dice.roll(1, 12);
        uint256[] memory sums = new uint256[](k);
        Part[] memory parts = new Part[](1 + number % 20);
        for (uint256 i; i < parts.length; ++i) {
            uint256 key = 0x1000 + i;
            parts[i] = part(member(vm.addr(key)), key, k, 0, 0);
            for (uint256 j; j < k; ++j) {
                if (j != i % k && dice.once(3)) continue;
                (parts[i].promises[j], parts[i].prices[j]) = (dice.roll(10, 5000), dice.roll(0, CAP));
                sums[j] += parts[i].promises[j];
            }
        }
        session = opened(uint96((1 << k) - 1), sums[0] == 0 ? flat(k, 1) : sums, 0);
        if (sums[0] == 0) return; // no target of this shape
        requests.award(session, packed(sums), agreed(session, parts));
        _paid(parts, k);
        same(market.progress(session).sellersLeft, parts.length, "sellers");
        same(market.progress(session).buyersLeft, 1, "buyers");
        same(market.progress(session).uncommitted, 0, "committed");
        same(market.progress(session).groups, parts.length / 16 + 1, "groups");
    }

    function _paid(Part[] memory parts, uint256 k) private view {
        uint256 held = vault.escrow(session);
        uint256 due;
        for (uint256 i; i < parts.length; ++i) {
            uint256 total;
            for (uint256 j; j < k; ++j) {
                due += parts[i].promises[j] * parts[i].prices[j] / 1000;
                total += parts[i].promises[j];
            }
            (uint256 available, uint256 locked,) = vault.balanceOf(parts[i].account);
            same(locked, (COLLATERAL * total * CAP + 999_999_999) / 1e9, "collateral");
            same(available + locked, FUNDS, "nothing else");
        }
        vm.assertLe(due, held, "what sellers may earn is there");
        vm.assertLe(held, due + k * (parts.length + 1), "and hardly more");
        (uint256 left,,) = vault.balanceOf(dso);
        same(left + held, FUNDS, "the DSO pays");
    }

    // -------------------------------------------------------------------------------------------------------- opening, leaving

    function test_only_a_dso_opens_requests(address caller) external {
        vm.assume(caller != vm.addr(DSO_KEY) && caller != address(0));
        uint256 account = accounts.register(caller);
        SessionRequest memory wanted = asked(1 << 20);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NotDso.selector, caller));
        vm.prank(caller);
        requests.open(account, wanted, packed(flat(1, 1)), 0, rules());
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NotOwner.selector, dso, caller));
        vm.prank(caller);
        requests.open(dso, wanted, packed(flat(1, 1)), 0, rules());
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NotOwner.selector, account, vm.addr(DSO_KEY)));
        vm.prank(vm.addr(DSO_KEY));
        requests.open(account, wanted, packed(flat(1, 1)), 0, rules());
    }

    function test_a_request_has_its_mode_and_a_target() external {
        SessionRequest memory wanted = asked(0x1ff << 14); // nine intervals
        _opensNot(wanted, packed(flat(8, 1)), 0, abi.encodeWithSelector(RequestList.TargetLength.selector, 1, 2));
        _opensNot(wanted, packed(flat(10, 1)), 0, abi.encodeWithSelector(RequestList.TargetBits.selector, 1));
        _opensNot(wanted, packed(flat(9, 0)), 0, abi.encodeWithSelector(RequestList.TargetEmpty.selector));
        _opensNot(
            wanted,
            packed(flat(9, 1)),
            1_000_001,
            abi.encodeWithSelector(FlexRequests.ToleranceOutOfRange.selector, 1_000_001, 1_000_000)
        );
        wanted.mode = 0;
        _opensNot(wanted, packed(flat(9, 1)), 0, abi.encodeWithSelector(FlexRequests.NotRequestMode.selector, 0));
    }

    function _opensNot(SessionRequest memory wanted, uint256[] memory words, uint256 tolerancePpm, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(vm.addr(DSO_KEY));
        requests.open(dso, wanted, words, tolerancePpm, rules());
    }

    function test_intervals_of_an_open_request_are_nobody_elses() external {
        refused(Sessions.IntervalsUnderAuction.selector);
        this.openAgain();
        vm.prank(vm.addr(DSO_KEY));
        requests.withdraw(session, "not needed");
        this.openAgain();
    }

    function openAgain() external {
        opened(MASK, target, 0);
    }

    function test_only_the_dso_withdraws(address caller) external {
        vm.assume(caller != vm.addr(DSO_KEY));
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NotOwner.selector, dso, caller));
        vm.prank(caller);
        requests.withdraw(session, "");
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.UnknownRequest.selector, session + 1));
        vm.prank(vm.addr(DSO_KEY));
        requests.withdraw(session + 1, "");
    }

    function test_what_is_awarded_is_not_withdrawn_and_what_is_withdrawn_not_awarded() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        _award(made);
        refused(Sessions.WrongState.selector);
        vm.prank(vm.addr(DSO_KEY));
        requests.withdraw(session, "");
        session = opened(1 << 20, flat(1, 1000), 0);
        vm.prank(vm.addr(DSO_KEY));
        requests.withdraw(session, "");
        target = flat(1, 1000);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NotAwardable.selector, session, State.Cancelled));
        _award(made);
    }

    function test_before_the_gate_and_after_delivery_start_nothing_is_awarded(uint256 late) external {
        SessionRequest memory wanted = asked(1 << 20);
        wanted.gateOpen += 600;
        vm.prank(vm.addr(DSO_KEY));
        uint256 later = requests.open(dso, wanted, packed(flat(1, 1000)), 0, rules());
        FlexRequests.Award memory made = agreed(session, _parts());
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NotAwardable.selector, later, State.Scheduled));
        requests.award(later, packed(flat(1, 1000)), made);
        Terms memory terms = market.terms(session);
        vm.warp(terms.deliveryStart - 1);
        FlexRequests.Award memory last = agreed(session, _parts());
        vm.warp(within(late, terms.deliveryStart, terms.deliveryStart + 30 days));
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NotAwardable.selector, session, State.Cancelled));
        _award(last);
        market.releaseAuction(session);
        same(market.auctioned(1, terms.day) & MASK, 0, "the intervals are free again");
    }

    function test_until_delivery_starts_it_may_be_awarded() external {
        vm.warp(market.terms(session).deliveryStart - 1);
        _award(agreed(session, _parts()));
        _holds();
    }

    // ---------------------------------------------------------------------------------------------------- target, cap, padding

    function test_the_sum_lies_within_the_tolerance(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        (uint256 wanted, uint256 ppm) = (dice.roll(2000, 100_000), dice.roll(0, 900_000));
        uint256 allowed = wanted * ppm / 1_000_000;
        target = flat(1, wanted);
        session = opened(1 << 20, target, ppm);
        Part[] memory parts = new Part[](1);
        uint256 which = dice.roll(0, 3);
        uint256 promised = which == 0
            ? wanted - allowed
            : which == 1 ? wanted + allowed : which == 2 ? wanted - allowed - 1 : wanted + allowed + 1;
        parts[0] = part(anna, ANNA, 1, promised, 1);
        if (which > 1) {
            _refused(parts, abi.encodeWithSelector(RequestList.TargetMissed.selector, 0, promised, wanted, allowed));
        } else {
            _award(agreed(session, parts));
        }
    }

    function test_where_nothing_is_asked_nothing_is_promised() external {
        target[2] = 0;
        vm.prank(vm.addr(DSO_KEY));
        requests.withdraw(session, "");
        session = opened(MASK, target, 1_000_000);
        Part[] memory parts = _parts();
        (parts[0].promises[2], parts[0].prices[2]) = (0, 0);
        _refused(parts, abi.encodeWithSelector(RequestList.TargetMissed.selector, 2, 400, 0, 0));
        (parts[1].promises[2], parts[1].prices[2]) = (0, 0);
        _award(agreed(session, parts));
        same(accounts.sold(anna, today() + 2), MASK & ~(uint256(1) << 12), "three intervals");
    }

    function test_the_target_is_the_requests() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.TargetMismatch.selector, session));
        requests.award(session, packed(flat(4, 1001)), made);
    }

    function test_no_price_is_above_the_cap() external {
        Part[] memory parts = _parts();
        parts[1].prices[3] = CAP;
        FlexRequests.Award memory made = agreed(session, parts);
        parts[1].prices[3] = CAP + 1;
        _refused(parts, abi.encodeWithSelector(RequestList.PriceAboveCap.selector, ben, 3, CAP + 1, CAP));
        _award(made);
    }

    function test_each_word_is_as_it_should_be() external {
        Part[] memory parts = _parts();
        parts[0].promises[1] = 9;
        _refused(parts, abi.encodeWithSelector(RequestList.PromiseOutOfRange.selector, anna, 1, 9, 10, type(uint24).max));
        parts[0].promises[1] = 1 << 24;
        _refused(parts, abi.encodeWithSelector(RequestList.PromiseOutOfRange.selector, anna, 1, 1 << 24, 10, type(uint24).max));
        parts[0].promises[1] = 0;
        _refused(parts, abi.encodeWithSelector(RequestList.PriceWithoutPromise.selector, anna, 1, 200_000));
        parts = _parts();
        (parts[0].promises, parts[0].prices) = (flat(4, 0), flat(4, 0));
        _refused(parts, abi.encodeWithSelector(RequestList.PromiseEmpty.selector, anna));
        parts = _parts();
        (parts[0].promises, parts[0].prices) = (flat(5, 600), flat(5, 0));
        (parts[1].promises, parts[1].prices) = (flat(5, 600), flat(5, 0));
        _refused(parts, abi.encodeWithSelector(RequestList.MemberBits.selector, anna, 1));
        parts = _parts();
        parts[1].prices = flat(5, 1);
        _refused(parts, abi.encodeWithSelector(RequestList.MemberBits.selector, ben, 2));
        parts = _parts();
        parts[1].agentPays = true;
        _refused(parts, abi.encodeWithSelector(RequestList.AgentMissing.selector, ben));
        parts = _parts();
        parts[1].deadline |= 1 << 41;
        _refused(parts, abi.encodeWithSelector(RequestList.MemberBits.selector, ben, 0));
    }

    function test_a_list_is_whole() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        uint256[] memory list = made.list;
        made.list = new uint256[](0);
        vm.expectRevert(abi.encodeWithSelector(RequestList.ListLength.selector, 0, 3));
        _award(made);
        made.list = new uint256[](5);
        for (uint256 i; i < 5; ++i) made.list[i] = list[i];
        vm.expectRevert(abi.encodeWithSelector(RequestList.ListLength.selector, 5, 3));
        _award(made);
    }

    function test_a_member_stands_in_the_list_once_and_in_order() external {
        Part[] memory parts = _parts();
        (parts[0], parts[1]) = (parts[1], parts[0]);
        _refused(parts, abi.encodeWithSelector(RequestList.ListOrder.selector, 1, anna, ben));
        parts[1] = parts[0];
        _refused(parts, abi.encodeWithSelector(RequestList.ListOrder.selector, 1, ben, ben));
        parts[0] = part(0, ANNA, 4, 600, 0);
        _refused(parts, abi.encodeWithSelector(RequestList.ListOrder.selector, 0, 0, 0));
    }

    // --------------------------------------------------------------------------------------------------------------------- gas

    /// @dev Members that own themselves and sign themselves, and those of one aggregator that pays.
    function test_gas_of_an_award() external {
        _measure(16, 4, false);
        _measure(128, 4, false);
        _measure(128, 24, false);
        _measure(128, 4, true);
    }

    function _measure(uint256 members, uint256 k, bool aggregated) private {
        // other accounts and another day each time, so that nothing is warm
        vm.warp(vm.getBlockTimestamp() + 3 days);
        uint256 agent = funded(vm.addr(OTHER));
        Part[] memory parts = new Part[](members);
        for (uint256 i; i < members; ++i) {
            uint256 key = 0x10000 + i;
            parts[i] = part(member(vm.addr(key)), key, k, 100, 1000 + i);
            if (!aggregated) continue;
            vm.prank(vm.addr(key));
            accounts.setDelegate(parts[i].account, agent);
            (parts[i].agent, parts[i].agentPays, parts[i].key) = (agent, true, OTHER);
        }
        target = flat(k, 100 * members);
        session = opened(uint96((1 << k) - 1), target, 0);
        FlexRequests.Award memory made = agreed(session, parts);
        uint256[] memory words = packed(target);
        requests.award(session, words, made);
        string memory name = string.concat(
            members == 16 ? "16" : "128", " members, ", k == 4 ? "4" : "24", " intervals", aggregated ? ", one agent" : ""
        );
        vm.snapshotGasLastCall("requests", name);
    }
}
