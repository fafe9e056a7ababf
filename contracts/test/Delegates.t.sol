// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {FlexMarket} from "../src/FlexMarket.sol";
import {Mode, SessionRequest} from "../src/Protocol.sol";
import {Vault} from "../src/Vault.sol";
import {Door} from "./Door.sol";

/// @title Who acts for whom and whose money stands for it; and the door of cooperative sessions
contract DelegatesTest is Door {
    address private constant ANNA = address(0xa11a);
    address private constant BEN = address(0xbe11);
    address private constant AGGREGATOR = address(0xa99);

    uint256 private anna;
    uint256 private ben;
    uint256 private agent;
    uint256 private session;

    function setUp() external {
        buildDoor();
        buildResults();
        (anna, ben, agent) = (member(ANNA, 1e9), member(BEN, 1e9), accounts.register(AGGREGATOR));
        fund(AGGREGATOR, agent, 1e9);
        session = open(request(20, 0xf << 10));
    }

    function _delegate(address owner, uint256 account, uint256 to) private {
        vm.prank(owner);
        accounts.setDelegate(account, to);
    }

    function _place(address who, uint256[] memory words) private {
        vm.prank(who);
        market.place(session, words);
    }

    function _balance(uint256 account) private view returns (uint256 available, uint256 locked) {
        (available, locked,) = vault.balanceOf(account);
    }

    function test_the_payers_money_is_locked(bool pays, bool offers) external {
        _delegate(ANNA, anna, agent);
        uint256[] memory words = entry(anna, agent, (pays ? AGENT_PAYS : 0) | (offers ? OFFER : 0), 500, 100_000, 4);
        _place(AGGREGATOR, words);
        uint256 lock = (words[0] >> 64) & type(uint64).max;
        vm.assertTrue(lock != 0, "something is locked");
        (uint256 hers, uint256 herLock) = _balance(anna);
        (uint256 its, uint256 itsLock) = _balance(agent);
        same(hers, pays ? 1e9 : 1e9 - lock, "anna's");
        same(herLock, pays ? 0 : lock, "anna's lock");
        same(its, pays ? 1e9 - lock : 1e9, "the agent's");
        same(itsLock, pays ? lock : 0, "the agent's lock");
    }

    function test_nobody_acts_for_an_account_that_has_not_named_it(bool pays) external {
        uint256[] memory words = entry(anna, agent, pays ? AGENT_PAYS : 0, 500, 100_000, 4);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotDelegate.selector, anna, agent));
        _place(AGGREGATOR, words);
        _delegate(BEN, ben, agent); // another's delegate is not anna's
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotDelegate.selector, anna, agent));
        _place(AGGREGATOR, words);
    }

    function test_a_delegates_name_does_not_help_others(address caller) external {
        vm.assume(caller != AGGREGATOR);
        _delegate(ANNA, anna, agent);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotAllowed.selector, agent, caller));
        _place(caller, entry(anna, agent, AGENT_PAYS, 500, 100_000, 4));
    }

    function test_the_owner_cannot_spend_its_delegates_money() external {
        _delegate(ANNA, anna, agent);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotAllowed.selector, agent, ANNA));
        _place(ANNA, entry(anna, agent, AGENT_PAYS, 500, 100_000, 4));
    }

    function test_a_delegate_is_not_a_delegates_delegate() external {
        _delegate(ANNA, anna, ben);
        _delegate(BEN, ben, agent);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotDelegate.selector, anna, agent));
        _place(AGGREGATOR, entry(anna, agent, 0, 500, 100_000, 4));
    }

    function test_one_wrong_entry_spoils_the_batch(uint8 where) external {
        _delegate(ANNA, anna, agent);
        uint256[] memory words = new uint256[](0);
        for (uint256 i; i < 4; ++i) {
            words = append(words, entry(i == where % 4 ? ben : anna, agent, AGENT_PAYS, 500, 100_000, 4));
        }
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotDelegate.selector, ben, agent));
        _place(AGGREGATOR, words);
        (uint256 its,) = _balance(agent);
        same(its, 1e9, "nothing is locked");
    }

    function test_only_the_owner_names_a_delegate_and_only_an_account(address caller, uint32 to) external {
        vm.assume(caller != ANNA && to > agent);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotOwner.selector, anna, caller));
        _delegate(caller, anna, agent);
        vm.expectRevert(abi.encodeWithSelector(Accounts.UnknownAccount.selector, to));
        _delegate(ANNA, anna, to);
        vm.expectRevert(abi.encodeWithSelector(Accounts.DelegateIsSelf.selector, anna));
        _delegate(ANNA, anna, anna);
        same(accounts.delegateOf(anna), 0, "none");
    }

    /// @dev Delegation, zone and first day of offers of four accounts share a word.
    function test_neighbours_in_a_word_keep_their_own(uint256 seed) external {
        uint256[8] memory expected;
        for (uint256 i; i < 8; ++i) member(ANNA, 0);
        uint256 first = agent + 1;
        for (uint256 round; round < 12; ++round) {
            uint256 which = (seed >> (8 * round)) % 8;
            uint256 to = (seed >> (8 * round + 4)) % 3 == 0 ? 0 : agent;
            _delegate(ANNA, first + which, to);
            expected[which] = to;
        }
        uint256 today = zones.dayOf(1, vm.getBlockTimestamp());
        for (uint256 i; i < 8; ++i) {
            same(accounts.delegateOf(first + i), expected[i], "delegate");
            (uint256 key, uint256 fromDay) = accounts.keyAt(first + i, today);
            vm.assertTrue(key != 0 && fromDay == today, "its key");
        }
    }

    function test_a_delegates_offer_needs_the_members_key() external {
        uint256 newcomer = accounts.register(ANNA);
        _delegate(ANNA, newcomer, agent);
        uint256 day = market.terms(session).day;
        vm.expectRevert(abi.encodeWithSelector(Accounts.NoMeterKey.selector, newcomer, day));
        _place(AGGREGATOR, entry(newcomer, agent, AGENT_PAYS | OFFER, 500, 100_000, 4));
        _place(AGGREGATOR, entry(newcomer, agent, AGENT_PAYS | OFFER, 0, 0, 4)); // taking back needs none
        _place(AGGREGATOR, entry(newcomer, agent, AGENT_PAYS, 500, 100_000, 4)); // nor does a bid
        vm.prank(METERING);
        accounts.bindMeter(newcomer, 1, 77, day + 1);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NoMeterKey.selector, newcomer, day));
        _place(AGGREGATOR, entry(newcomer, agent, AGENT_PAYS | OFFER, 500, 100_000, 4));
    }

    function test_every_entry_costs_the_intake_fee_and_a_cancelled_session_gives_it_back() external {
        SessionRequest memory wanted = request(21, 0xf);
        wanted.intakeFee = 300;
        session = open(wanted);
        uint256[] memory words = append(entry(anna, 0, 0, 500, 100_000, 4), entry(anna, 0, 0, 0, 0, 4));
        _place(ANNA, words);
        (uint256 hers, uint256 herLock) = _balance(anna);
        same(hers, 1e9 - 200_000 - 600, "lock and two fees");
        same(vault.escrow(session), 600, "fees wait in the escrow");
        vm.prank(OPERATOR);
        market.cancel(session, "not wanted");
        market.releaseCancelled(session, bytes32(0), words);
        (hers, herLock) = _balance(anna);
        same(hers, 1e9, "all is back");
        same(herLock + vault.escrow(session), 0, "nothing stays");
    }

    function test_who_cannot_pay_the_fee_is_told(uint32 money) external {
        SessionRequest memory wanted = request(21, 0xf);
        wanted.intakeFee = 1_000_000;
        session = open(wanted);
        uint256 poor = accounts.register(ANNA);
        uint256 has = uint256(money) % 1_000_000;
        if (has != 0) fund(ANNA, poor, has);
        vm.expectRevert(abi.encodeWithSelector(Vault.NotEnoughAvailable.selector, poor, has, 1_000_000));
        _place(ANNA, entry(poor, 0, 0, 0, 0, 4));
    }

    // ------------------------------------------------------------------------------------------------------------- cooperative

    function _cooperative() private {
        SessionRequest memory wanted = request(21, 0xf);
        wanted.mode = uint8(Mode.Cooperative);
        session = open(wanted);
        vm.prank(METERING);
        accounts.setEnvelope(anna, 700);
    }

    function test_in_a_cooperative_session_an_owner_is_on_one_side(bool throughAgent) external {
        _cooperative();
        _delegate(BEN, ben, agent);
        vm.prank(METERING);
        accounts.setEnvelope(ben, 700);
        address owner = throughAgent ? AGGREGATOR : ANNA;
        uint256 other = accounts.register(owner); // a second account of the same owner
        fund(owner, other, 1e9);
        uint256[] memory offer = throughAgent ? entry(ben, agent, OFFER | AGENT_PAYS, 700, 100_000, 4) : entry(anna, 0, OFFER, 700, 100_000, 4);
        _place(owner, offer);
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.BothSides.selector, session, owner));
        _place(owner, entry(other, 0, 0, 500, 100_000, 4));
        _place(owner, throughAgent ? entry(ben, agent, OFFER | AGENT_PAYS, 0, 0, 4) : entry(anna, 0, OFFER, 0, 0, 4));
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.BothSides.selector, session, owner)); // for the whole session
        _place(owner, entry(other, 0, 0, 500, 100_000, 4));
    }

    function test_both_sides_in_one_batch_are_seen_too() external {
        _cooperative();
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.BothSides.selector, session, ANNA));
        _place(ANNA, append(entry(anna, 0, 0, 500, 100_000, 4), entry(anna, 0, OFFER, 500, 100_000, 4)));
    }

    function test_in_a_cooperative_session_offers_end_at_the_envelope(uint256 quantity) external {
        _cooperative();
        quantity = within(quantity, 701, 0xffff);
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.EnvelopeExceeded.selector, anna, quantity, 700));
        _place(ANNA, entry(anna, 0, OFFER, quantity, 100_000, 4));
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.EnvelopeExceeded.selector, ben, 10, 0)); // none declared
        _place(BEN, entry(ben, 0, OFFER, 10, 100_000, 4));
        _place(ANNA, entry(anna, 0, OFFER, 700, 100_000, 4));
        _place(BEN, entry(ben, 0, 0, 0xffff, 1, 4)); // bids have none
    }

    function test_two_steps_together_end_at_the_envelope() external {
        _cooperative();
        uint256[] memory words = new uint256[](3);
        uint256 total = 4 * 701;
        words[0] = anna | OFFER | (1 << 128) | (((COLLATERAL * total * CAP + 999_999_999) / 1_000_000_000) << 64);
        for (uint256 j; j < 4; ++j) {
            words[1] |= (400 | (1 << 24)) << (56 * j);
            words[2] |= (301 | (2 << 24)) << (56 * j);
        }
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.EnvelopeExceeded.selector, anna, 701, 700));
        _place(ANNA, words);
    }

    function test_envelopes_of_neighbours_do_not_touch(uint32 a, uint32 b, address caller) external {
        vm.prank(METERING);
        accounts.setEnvelope(anna, a);
        vm.prank(METERING);
        accounts.setEnvelope(ben, b);
        same(accounts.envelopeOf(anna), a, "anna's");
        same(accounts.envelopeOf(ben), b, "ben's");
        vm.assume(caller != METERING && caller != address(this));
        refused(bytes4(keccak256("AccessControlUnauthorizedAccount(address,bytes32)")));
        vm.prank(caller);
        accounts.setEnvelope(anna, 1);
    }
}
