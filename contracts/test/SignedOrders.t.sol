// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {FlexMarket} from "../src/FlexMarket.sol";
import {State} from "../src/Protocol.sol";
import {Sessions} from "../src/Sessions.sol";
import {Wallet} from "../src/test/Wallet.sol";
import {Door} from "./Door.sol";

/// @title Signed batches: a signature counts once, for what it says, here, now, and for whom it binds
contract SignedOrdersTest is Door {
    uint256 private constant KEY = 0xa11a;
    uint256 private constant OTHER = 0xbe11;

    address private anna;
    uint256 private account;
    uint256 private session;
    uint256 private agent;
    uint256 private counter;

    function setUp() external {
        buildDoor();
        buildResults();
        anna = vm.addr(KEY);
        account = member(anna, 1e9);
        session = open(request(20, 0xf << 10));
    }

    function test_anyone_carries_a_batch_and_it_counts_for_its_signer(address carrier) external {
        vm.assume(carrier != anna);
        vm.prank(carrier);
        market.placeSigned(_signed(7, vm.getBlockTimestamp(), KEY));
        same(market.progress(session).entries, 1, "entries");
        vm.assertTrue(market.nonceUsed(anna, 7) && !market.nonceUsed(anna, 6) && !market.nonceUsed(carrier, 7), "the nonce is used");
    }

    function test_a_batch_is_not_taken_twice(uint256 nonce) external {
        FlexMarket.Batch[] memory batches = _signed(nonce, vm.getBlockTimestamp(), KEY);
        market.placeSigned(batches);
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.NonceUsed.selector, anna, nonce));
        market.placeSigned(batches);
        FlexMarket.Batch[] memory twice = new FlexMarket.Batch[](2);
        (twice[0], twice[1]) = (_signed(nonce ^ 1, vm.getBlockTimestamp(), KEY)[0], _signed(nonce ^ 1, vm.getBlockTimestamp(), KEY)[0]);
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.NonceUsed.selector, anna, nonce ^ 1));
        market.placeSigned(twice);
        same(market.progress(session).entries, 1, "all or none");
    }

    function test_a_signature_in_its_other_form_is_refused() external {
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp(), KEY);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, _digest(batches[0], block.chainid, address(market)));
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        batches[0].signature = abi.encodePacked(r, order - uint256(s), v ^ 7); // 27 and 28 change places
        _refusedFor(batches);
    }

    function test_a_cancelled_nonce_is_dead(uint256 nonce, uint256 others) external {
        vm.prank(anna);
        market.invalidateNonces(nonce >> 8, others | (1 << (nonce & 255)));
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.NonceUsed.selector, anna, nonce));
        market.placeSigned(_signed(nonce, vm.getBlockTimestamp(), KEY));
    }

    function test_nobody_cancels_anothers_nonce(address caller, uint256 nonce) external {
        vm.assume(caller != anna);
        vm.prank(caller);
        market.invalidateNonces(nonce >> 8, type(uint256).max);
        market.placeSigned(_signed(nonce, vm.getBlockTimestamp(), KEY));
    }

    function test_after_its_deadline_a_batch_is_dead(uint256 late) external {
        late = within(late, 1, 3599);
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp(), KEY);
        vm.warp(vm.getBlockTimestamp() + late);
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.DeadlinePassed.selector, batches[0].deadline, vm.getBlockTimestamp()));
        market.placeSigned(batches);
    }

    function test_a_batch_for_another_chain_is_refused(uint64 chain) external {
        vm.assume(chain != block.chainid && chain != 0);
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp(), KEY);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, _digest(batches[0], chain, address(market)));
        batches[0].signature = abi.encodePacked(r, s, v);
        _refusedFor(batches);
    }

    function test_after_a_fork_of_the_chain_a_batch_counts_on_the_old_one_only(uint64 chain) external {
        vm.assume(chain != block.chainid && chain != 0);
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp(), KEY);
        vm.chainId(chain);
        _refusedFor(batches);
        vm.chainId(31337);
        market.placeSigned(batches);
    }

    function test_a_batch_for_another_market_is_refused(address other) external {
        vm.assume(other != address(market));
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp(), KEY);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, _digest(batches[0], block.chainid, other));
        batches[0].signature = abi.encodePacked(r, s, v);
        _refusedFor(batches);
    }

    function test_what_was_signed_is_what_counts(uint256 which, uint256 bit) external {
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp() + 60, KEY);
        uint256 flip = 1 << (bit % 256);
        if (which % 5 == 0) batches[0].session ^= flip;
        if (which % 5 == 1) batches[0].nonce ^= flip;
        if (which % 5 == 2) batches[0].words[bit % 2] ^= flip;
        if (which % 5 == 3) {
            batches[0].deadline ^= flip;
            vm.assume(batches[0].deadline >= vm.getBlockTimestamp());
        }
        if (which % 5 == 4) batches[0].signature[bit % 64] ^= bytes1(uint8(1 << (bit % 8)));
        _refusedFor(batches);
    }

    function test_a_strangers_signature_binds_nobody() external {
        // under anna's name
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp(), OTHER);
        batches[0].signer = anna;
        _refusedFor(batches);
        // under its own, for anna's account
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotAllowed.selector, account, vm.addr(OTHER)));
        market.placeSigned(_signed(1, vm.getBlockTimestamp(), OTHER));
    }

    function test_a_delegate_signs_until_it_is_dismissed() external {
        agent = accounts.register(vm.addr(OTHER));
        vm.prank(anna);
        accounts.setDelegate(account, agent);
        market.placeSigned(_signed(1, vm.getBlockTimestamp(), OTHER));
        vm.prank(anna);
        accounts.setDelegate(account, 0);
        vm.expectRevert(abi.encodeWithSelector(Accounts.NotDelegate.selector, account, agent));
        market.placeSigned(_signed(2, vm.getBlockTimestamp(), OTHER));
    }

    function test_one_call_makes_everything_signed_before_unusable(uint64 nonce, address other) external {
        vm.assume(other != anna);
        FlexMarket.Batch[] memory batches = _signed(nonce, vm.getBlockTimestamp(), KEY);
        vm.prank(other);
        market.incrementCounter(); // another's counter is another's
        vm.prank(anna);
        same(market.incrementCounter(), 1, "the new counter");
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.CounterMismatch.selector, anna, 1, 0));
        market.placeSigned(batches);
        batches[0].counter = 1; // which was not signed
        _refusedFor(batches);
        counter = 1;
        market.placeSigned(_signed(nonce, vm.getBlockTimestamp(), KEY));
    }

    function test_a_contract_wallet_signs_by_its_owner(uint256 nonce) external {
        address wallet = vm.deployCode("artifacts/test/Wallet.json", abi.encode(vm.addr(OTHER)));
        agent = accounts.register(wallet);
        vm.prank(anna);
        accounts.setDelegate(account, agent);
        FlexMarket.Batch[] memory batches = _signed(nonce, vm.getBlockTimestamp(), OTHER);
        batches[0].signer = wallet;
        market.placeSigned(batches);
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.NonceUsed.selector, wallet, nonce));
        market.placeSigned(batches);
        batches = _signed(nonce ^ 1, vm.getBlockTimestamp(), KEY);
        batches[0].signer = wallet;
        _refusedFor(batches);
    }

    function test_the_zero_address_signs_nothing(bytes calldata signature) external {
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp(), KEY);
        (batches[0].signer, batches[0].signature) = (address(0), signature);
        _refusedFor(batches);
    }

    function test_outside_the_gate_nothing_is_taken() external {
        vm.warp(market.terms(session).gateClose);
        FlexMarket.Batch[] memory batches = _signed(1, vm.getBlockTimestamp(), KEY);
        vm.expectRevert(abi.encodeWithSelector(Sessions.WrongState.selector, session, State.Closed, State.Open));
        market.placeSigned(batches);
    }

    // -----------------------------------------------------------------------------------------------------------------

    function _refusedFor(FlexMarket.Batch[] memory batches) private {
        bytes32 before = market.log(session);
        vm.expectRevert(abi.encodeWithSelector(FlexMarket.SignatureRefused.selector, batches[0].signer));
        market.placeSigned(batches);
        vm.assertTrue(market.log(session) == before, "the log stays");
    }

    /// @dev One bid of 500 Wh at 0.12 euro a kWh, signed by `key`.
    function _signed(uint256 nonce, uint256 deadline, uint256 key) private view returns (FlexMarket.Batch[] memory batches) {
        batches = new FlexMarket.Batch[](1);
        uint256[] memory words = new uint256[](2);
        (words[0], words[1]) = (account | (agent << 32) | (60_000 << 64), (500 + (120_000 << 24)) << 56);
        batches[0] = FlexMarket.Batch(session, words, nonce, counter, deadline, vm.addr(key), "");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, _digest(batches[0], block.chainid, address(market)));
        batches[0].signature = abi.encodePacked(r, s, v);
    }

    /// @dev EIP-712 by hand, from docs/protocol.md section 6.
    function _digest(FlexMarket.Batch memory batch, uint256 chain, address target) private pure returns (bytes32) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Wattproof"),
                keccak256("1"),
                chain,
                target
            )
        );
        bytes32 content = keccak256(
            abi.encode(
                keccak256("OrderBatch(uint256 session,uint256[] words,uint256 nonce,uint256 counter,uint256 deadline)"),
                batch.session,
                keccak256(abi.encodePacked(batch.words)),
                batch.nonce,
                batch.counter,
                batch.deadline
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }
}
