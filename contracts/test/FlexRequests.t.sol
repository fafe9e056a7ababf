// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {FlexRequests} from "../src/FlexRequests.sol";
import {Progress, SessionRequest, State, Terms} from "../src/Protocol.sol";
import {RequestList} from "../src/RequestList.sol";
import {Results} from "../src/Results.sol";
import {Sessions} from "../src/Sessions.sol";
import {Vault} from "../src/Vault.sol";
import {Wallet} from "../src/test/Wallet.sol";
import {Dice} from "./Cheats.sol";
import {Coalition} from "./Coalition.sol";

/// @title Requests: nobody is bound to what it did not sign, and a list counts as a whole or not at all
contract FlexRequestsTest is Coalition {
    using Dice for Dice.State;

    uint256 private constant ANNA = 0xa11a;
    uint256 private constant BEN = 0xbe11;
    uint256 private constant OTHER = 0x0dd;
    uint96 private constant MASK = 0xf << 10; // four intervals

    uint256 private anna;
    uint256 private ben;
    uint256 private session;
    uint256[] private target;

    function setUp() external {
        build();
        (anna, ben) = (member(vm.addr(ANNA)), member(vm.addr(BEN)));
        target = flat(4, 1000);
        session = opened(MASK, target, 100_000);
    }

    /// @dev Anna promises 600 Wh at 200000, Ben 400 Wh at 100001, in each interval.
    function _parts() private view returns (Part[] memory parts) {
        parts = new Part[](2);
        parts[0] = part(anna, ANNA, 4, 600, 200_000);
        parts[1] = part(ben, BEN, 4, 400, 100_001);
    }

    function _award(FlexRequests.Award memory made) private {
        requests.award(session, packed(target), made);
    }

    function _refused(Part[] memory parts, bytes memory why) private {
        FlexRequests.Award memory made = agreed(session, parts);
        vm.expectRevert(why);
        _award(made);
        _nothingHappened();
    }

    function _nothingHappened() private view {
        (, uint256 locked,) = vault.balanceOf(anna);
        same(locked + vault.escrow(session) + accounts.sold(anna, today() + 2), 0, "nothing happened");
        vm.assertTrue(!market.progress(session).cleared, "not awarded");
    }

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

    // ---------------------------------------------------------------------------------------------------------- opening, leaving

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
            wanted, packed(flat(9, 1)), 1_000_001, abi.encodeWithSelector(FlexRequests.ToleranceOutOfRange.selector, 1_000_001, 1_000_000)
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

    // ------------------------------------------------------------------------------------------------------- target, cap, padding

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

    // ------------------------------------------------------------------------------------------------------------------ consent

    function test_every_member_has_signed() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        bytes[] memory consents = made.consents;
        made.consents = new bytes[](1);
        made.consents[0] = consents[0];
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.ConsentsLength.selector, 1, 2));
        _award(made);
        made.consents = consents;
        made.consents[1] = "";
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, ben, vm.addr(BEN)));
        _award(made);
        made.consents[1] = consents[0];
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, ben, vm.addr(BEN)));
        _award(made);
        _nothingHappened();
    }

    function test_a_stranger_signs_for_nobody(uint256 key) external {
        key = within(key, 1, type(uint128).max);
        vm.assume(key != BEN);
        Part[] memory parts = _parts();
        parts[1].key = key;
        _refused(parts, abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, ben, vm.addr(BEN)));
    }

    function test_what_a_member_signed_is_what_counts(uint256 which, uint256 place) external {
        FlexRequests.Award memory made = agreed(session, _parts());
        place %= 4;
        if (which % 5 == 0) made.list[4] ^= 1 << (32 * place); // Ben's promise
        else if (which % 5 == 1) made.list[5] ^= 1 << (32 * place); // its price
        else if (which % 5 == 2) made.list[3] ^= 1 << 64; // its nonce
        else if (which % 5 == 3) made.list[3] += 1 << 128; // its deadline
        else made.consents[1][place * 8] ^= 0x01;
        ordered(session, made);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, ben, vm.addr(BEN)));
        _award(made);
        _nothingHappened();
    }

    function test_a_consent_is_for_one_request() external {
        uint256 other = opened(0xf << 16, target, 100_000);
        FlexRequests.Award memory made = agreed(session, _parts());
        ordered(other, made);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, anna, vm.addr(ANNA)));
        requests.award(other, packed(target), made);
        _award(ordered(session, made));
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NotAwardable.selector, session, State.Cleared));
        _award(made);
    }

    function test_a_consent_is_for_one_chain(uint64 chain) external {
        vm.assume(chain != block.chainid && chain != 0);
        FlexRequests.Award memory made = agreed(session, _parts());
        vm.chainId(chain);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.OrderRefused.selector, session, vm.addr(DSO_KEY)));
        _award(made);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, anna, vm.addr(ANNA)));
        vm.prank(vm.addr(DSO_KEY));
        _award(made);
    }

    function test_a_signature_in_its_other_form_is_refused() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(BEN, requests.consentDigest(session, words_(_parts()[1])));
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        made.consents[1] = abi.encodePacked(r, order - uint256(s), v ^ 7); // 27 and 28 change places
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, ben, vm.addr(BEN)));
        _award(made);
    }

    function test_after_its_deadline_a_consent_is_dead() external {
        Part[] memory parts = _parts();
        parts[1].deadline = vm.getBlockTimestamp() + 60;
        FlexRequests.Award memory made = agreed(session, parts);
        vm.warp(parts[1].deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.DeadlinePassed.selector, parts[1].deadline, parts[1].deadline + 1));
        _award(made);
        vm.warp(parts[1].deadline);
        _award(made);
    }

    function test_a_consent_can_be_taken_back(uint64 nonce) external {
        Part[] memory parts = _parts();
        parts[1].nonce = nonce;
        FlexRequests.Award memory made = agreed(session, parts);
        requests.invalidateNonces(nonce >> 8, type(uint256).max); // another's changes nothing
        vm.prank(vm.addr(BEN));
        requests.invalidateNonces(uint256(nonce) >> 8, 1 << (nonce & 255));
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NonceUsed.selector, vm.addr(BEN), nonce));
        _award(made);
        parts[1].nonce = nonce ^ 1;
        _award(agreed(session, parts));
    }

    function test_a_delegate_consents_until_it_is_dismissed() external {
        uint256 agent = funded(vm.addr(OTHER));
        Part[] memory parts = _parts();
        (parts[1].agent, parts[1].key) = (agent, OTHER);
        FlexRequests.Award memory made = agreed(session, parts);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotDelegate.selector, ben, agent));
        _award(made);
        vm.prank(vm.addr(BEN));
        accounts.setDelegate(ben, agent);
        parts[1].key = BEN; // the owner does not sign in the agent's name
        _refused(parts, abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, ben, vm.addr(OTHER)));
        vm.prank(vm.addr(BEN));
        accounts.setDelegate(ben, 0);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotDelegate.selector, ben, agent));
        _award(made);
        vm.prank(vm.addr(BEN));
        accounts.setDelegate(ben, agent);
        _award(made);
        (, uint256 locked,) = vault.balanceOf(ben);
        same(locked, 480_000, "the account pays");
    }

    function test_an_agent_that_pays_lends_its_money_and_not_its_name() external {
        uint256 agent = funded(vm.addr(OTHER));
        vm.prank(vm.addr(BEN));
        accounts.setDelegate(ben, agent);
        Part[] memory parts = _parts();
        (parts[1].agent, parts[1].key, parts[1].agentPays) = (agent, OTHER, true);
        FlexRequests.Award memory made = agreed(session, parts);
        made.list[3] ^= 1 << 168; // who pays is signed too
        ordered(session, made);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.ConsentRefused.selector, ben, vm.addr(OTHER)));
        _award(made);
        made.list[3] ^= 1 << 168;
        _award(ordered(session, made));
        (, uint256 bens,) = vault.balanceOf(ben);
        (, uint256 agents,) = vault.balanceOf(agent);
        same(bens, 0, "Ben's money");
        same(agents, 480_000, "the agent's");
        same(accounts.sold(ben, today() + 2), MASK, "Ben's promise");
        same(accounts.sold(agent, today() + 2), 0, "not the agent's");
    }

    function test_a_contract_consents_by_its_own_rule() external {
        uint256 account = member(address(new Wallet(vm.addr(OTHER))));
        Part[] memory parts = _parts();
        parts[1] = part(account, OTHER, 4, 400, 7);
        FlexRequests.Award memory made = agreed(session, parts);
        parts[1].key = BEN;
        refused(FlexRequests.ConsentRefused.selector);
        this.awardAgreed(parts);
        _award(made);
        same(accounts.sold(account, today() + 2), MASK, "sold");
    }

    function awardAgreed(Part[] calldata parts) external {
        _award(agreed(session, parts));
    }

    // ------------------------------------------------------------------------------------------------------------- the DSO's order

    function test_the_dso_has_signed_this_list(uint256 key) external {
        key = within(key, 1, type(uint128).max);
        vm.assume(key != DSO_KEY);
        FlexRequests.Award memory made = agreed(session, _parts());
        bytes memory good = made.signature;
        made.signature = signed(key, requests.awardDigest(session, made.list, made.nonce, made.deadline));
        bytes memory why = abi.encodeWithSelector(FlexRequests.OrderRefused.selector, session, vm.addr(DSO_KEY));
        vm.expectRevert(why);
        _award(made);
        made.signature = good;
        made.nonce = 1;
        vm.expectRevert(why);
        _award(made);
        made.nonce = 0;
        made.deadline += 1;
        vm.expectRevert(why);
        _award(made);
        _nothingHappened();
    }

    function test_the_dsos_signature_is_for_one_list() external {
        Part[] memory parts = _parts();
        FlexRequests.Award memory first = agreed(session, parts);
        parts[1].prices[0] = CAP;
        FlexRequests.Award memory second = agreed(session, parts);
        second.signature = first.signature;
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.OrderRefused.selector, session, vm.addr(DSO_KEY)));
        _award(second);
    }

    function test_the_dso_takes_its_order_back() external {
        FlexRequests.Award memory made = agreed(session, _parts());
        vm.prank(vm.addr(DSO_KEY));
        requests.invalidateNonces(0, 1);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.NonceUsed.selector, vm.addr(DSO_KEY), 0));
        _award(made);
        made.nonce = 1;
        made.deadline = vm.getBlockTimestamp() - 1;
        ordered(session, made);
        vm.expectRevert(abi.encodeWithSelector(FlexRequests.DeadlinePassed.selector, made.deadline, vm.getBlockTimestamp()));
        _award(made);
        made.deadline = vm.getBlockTimestamp();
        _award(ordered(session, made));
    }

    // ------------------------------------------------------------------------------------------------------- meters, money, promises

    function test_an_interval_is_sold_once() external {
        _award(agreed(session, _parts()));
        session = opened(0x3 << 13, flat(2, 1000), 0); // the last of them and one more
        target = flat(2, 1000);
        Part[] memory parts = new Part[](1);
        parts[0] = part(anna, ANNA, 2, 1000, 1);
        FlexRequests.Award memory made = agreed(session, parts);
        vm.expectRevert(abi.encodeWithSelector(Accounts.AlreadySold.selector, anna, today() + 2, 1 << 13));
        _award(made);
    }

    function test_a_member_has_a_meter_in_force_in_the_zone() external {
        Part[] memory parts = _parts();
        uint256 bare = funded(vm.addr(OTHER));
        parts[1] = part(bare, OTHER, 4, 400, 1);
        _refused(parts, abi.encodeWithSelector(Accounts.NoMeterKey.selector, bare, today() + 2));
        accounts.bindMeter(bare, 1, 77, today() + 3);
        _refused(parts, abi.encodeWithSelector(Accounts.NoMeterKey.selector, bare, today() + 2));
        zones.add(0, 60);
        uint256 elsewhere = funded(vm.addr(OTHER));
        accounts.bindMeter(elsewhere, 2, 78, today());
        parts[1].account = elsewhere;
        _refused(parts, abi.encodeWithSelector(Accounts.WrongZone.selector, elsewhere, 1, 2));
        parts = _parts();
        accounts.suspendKey(uint256(keccak256(abi.encode("meter", ben))) >> 8);
        _refused(parts, abi.encodeWithSelector(Accounts.NoMeterKey.selector, ben, today() + 2));
        parts[1] = part(ben + 7, BEN, 4, 400, 1);
        _refused(parts, abi.encodeWithSelector(Accounts.UnknownAccount.selector, ben + 7));
    }

    function test_without_the_money_there_is_no_award() external {
        vm.prank(vm.addr(BEN));
        vault.withdraw(ben, FUNDS - 479_999, vm.addr(BEN));
        _refused(_parts(), abi.encodeWithSelector(Vault.NotEnoughAvailable.selector, ben, 479_999, 480_000));
        token.mint(address(this), 1);
        token.approve(address(vault), 1);
        vault.deposit(ben, 1);
        vm.prank(vm.addr(DSO_KEY));
        vault.withdraw(dso, FUNDS - 640_003, vm.addr(DSO_KEY));
        _refused(_parts(), abi.encodeWithSelector(Vault.NotEnoughAvailable.selector, dso, 640_003, 640_004));
    }

    // ---------------------------------------------------------------------------------------------------------------------- gas

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
