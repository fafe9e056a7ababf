// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {FlexRequests} from "../src/FlexRequests.sol";
import {State} from "../src/Protocol.sol";
import {Vault} from "../src/Vault.sol";
import {Wallet} from "../src/test/Wallet.sol";
import {OneRequest} from "./Coalition.sol";

/// @title Consents: nobody is bound to what it did not sign, and a list counts as a whole or not at all
contract RequestConsentsTest is OneRequest {
    // ----------------------------------------------------------------------------------------------------------------- consent

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

    // --------------------------------------------------------------------------------------------------------- the DSO's order

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

    // ------------------------------------------------------------------------------------------------- meters, money, promises

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
}
