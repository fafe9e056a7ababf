// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Terms} from "../src/Protocol.sol";
import {Replacement} from "../src/Replacement.sol";
import {Settlement} from "../src/Settlement.sol";
import {Wallet} from "../src/test/Wallet.sol";
import {Settling} from "./Settling.sol";

/// @title Replacement: who may take over from whom, for how much, and every way round the rules that must not work
/// @notice A session of four hours from 08:00 at 100,000 micro-euro per kWh. Account 1 sells 100 Wh an hour; account 2, a reserve, offers 60 Wh
/// at 90,000 and 60 Wh at 150,000; account 3, a reserve, has sold 100 Wh in every hour.
contract ReplacementTest is Settling {
    uint256 private constant KEY = 0xa11a;
    uint256 private constant LOCK = 24_000;
    uint256 private constant HOURS = 0xf << 8;

    Replacement private replacement;
    Terms private agreed;
    address private owner;
    uint256[] private certificate;
    uint256[] private rowsA; // group 0: account 1
    uint256[] private rowsB; // group 1: accounts 2 and 3

    function setUp() external {
        build(24);
        replacement = Replacement(
            vm.deployCode("artifacts/Replacement.json", abi.encode(market, accounts, vault, settlement))
        );
        vault.grantRole(vault.MARKET_ROLE(), address(replacement));
        owner = vm.addr(KEY);
        agreed = terms(0, 0, HOURS, rules());
        market.setTerms(SESSION, agreed);
        market.setProgress(SESSION, cleared(3, 1));
        for (uint256 j; j < 4; ++j) certificate.push(100_000 | (100_000 << 32) | (200 << 64));
        market.setCertificate(SESSION, hash(certificate));
        for (uint256 account = 1; account <= 3; ++account) {
            accounts.set(account, account == 1 ? owner : address(uint160(account)), 0);
            fund(account, LOCK);
            lock(account, LOCK);
        }
        fund(7, 80_000);
        lock(7, 80_000);
        unlock(7, 80_000, 80_000);
        uint256 fills = 100 | (100 << 32) | (100 << 64) | (100 << 96);
        rowsA = [1 | (1 << 32) | (LOCK << 64) | (3 << 192), fills];
        uint256 cheap = 60 | (90_000 << 24);
        uint256 dear = 60 | (150_000 << 24);
        uint256 flags = (3 << 192) | (1 << 195);
        rowsB = [
            2 | (2 << 32) | (LOCK << 64) | flags | (1 << 196),
            0,
            dear | (dear << 56) | (dear << 112) | (dear << 168),
            cheap | (cheap << 56) | (cheap << 112) | (cheap << 168),
            3 | (3 << 32) | (LOCK << 64) | flags,
            fills,
            dear | (dear << 56) | (dear << 112) | (dear << 168)
        ];
        market.amend(SESSION, 0, hash(rowsA));
        market.amend(SESSION, 1, hash(rowsB));
    }

    // --------------------------------------------------------------------------------------------------------------------- consent

    function test_a_reserve_takes_over_with_consent() external {
        _replace(0xc << 8, 4000);
        // each of the two hours: 60 Wh at the price, 40 Wh at 150,000; 2,000 micro-euro more than the member's 10,000
        (, uint256 locked,) = vault.balanceOf(1);
        same(locked, LOCK - 4000, "lock");
        same(vault.escrow(SESSION), 84_000, "escrow");
        rowsA[0] -= uint256(4000) << 64;
        rowsA[1] = 100 | (100 << 32);
        vm.assertTrue(market.groupHash(SESSION, 0) == hash(rowsA), "failing row");
        _widen();
        vm.assertTrue(market.groupHash(SESSION, 1) == hash(rowsB), "reserve's row");
        same(accounts.sold(2, DAY), 0xc << 8, "sold");
        vm.assertTrue(accounts.lastEvent(), "event day");
        // and both are settled as they now stand
        vm.warp(agreed.proofDeadline + 1);
        uint256[] memory rows = new uint256[](rowsA.length);
        for (uint256 i; i < rows.length; ++i) rows[i] = rowsA[i];
        settlement.settle(SESSION, 0, 1, rows, certificate, rules(), new uint256[][](0), new uint256[](1));
        settlement.settle(SESSION, 1, 1, rowsB, certificate, rules(), new uint256[][](0), new uint256[](1));
        // nothing came: 10,000 of gross unpaid and half of it forfeited in two hours, 12,000 and half of it in the others
        same(settlement.refunds(SESSION, 0), 15_000, "hour of the member");
        same(settlement.refunds(SESSION, 3), 18_000, "hour of the reserve");
    }

    /// @dev Account 2's row after it took hours 2 and 3: 60 Wh at the price of 100,000, 40 Wh at 150,000.
    function _widen() private {
        uint256[] memory old = rowsB;
        rowsB = [old[0] | (1 << 194), (uint256(100) << 64) | (100 << 96), 0, old[2], old[3], old[4], old[5], old[6]];
        rowsB[2] = (uint256(12_000_000) << 128) | (12_000_000 << 192);
    }

    function test_a_row_that_passes_everything_on_is_settled_by_it() external {
        _replace(HOURS, 8000);
        (uint256 available, uint256 locked,) = vault.balanceOf(1);
        same(available, LOCK - 8000, "lock less what it cost");
        same(locked, 0, "locked");
        same(market.progress(SESSION).sellersLeft, 2, "sellers left");
        rowsA[0] -= uint256(8000) << 64;
        rowsA[1] = 0;
        vm.warp(agreed.proofDeadline + 1);
        refused(Settlement.RowNotToSettle.selector);
        settlement.settle(SESSION, 0, 1, rowsA, certificate, rules(), new uint256[][](0), new uint256[](1));
    }

    function test_a_contract_consents_by_its_own_rules() external {
        Wallet wallet = new Wallet(owner);
        accounts.set(1, address(wallet), 0);
        Replacement.Consent memory consent = _consent(0x100, 1, 2000, address(wallet));
        replacement.replaceByConsent(_change(0x100), consent);
        same(accounts.sold(2, DAY), 0x100, "sold");
    }

    function test_a_delegate_consents_for_its_account() external {
        accounts.set(1, address(0xbeef), 9);
        accounts.set(9, owner, 0);
        replacement.replaceByConsent(_change(0x100), _consent(0x100, 1, 2000, owner));
        same(accounts.sold(2, DAY), 0x100, "sold");
    }

    function test_nobody_else_consents() external {
        accounts.set(1, address(0xbeef), 0);
        _refuses(0x100, _consent(0x100, 1, 2000, owner), Replacement.NotAllowed.selector);
    }

    function test_a_consent_is_for_its_own_words() external {
        Replacement.Consent memory consent = _consent(0x100, 1, 2000, owner);
        _refuses(0x200, consent, Replacement.ConsentNotSigned.selector);
        consent.most = 3000;
        _refuses(0x100, consent, Replacement.ConsentNotSigned.selector);
    }

    function test_a_consent_is_used_once() external {
        Replacement.Consent memory consent = _consent(0x100, 1, 2000, owner);
        replacement.replaceByConsent(_change(0x100), consent);
        _refuses(0x100, consent, Replacement.SuppliedDataMismatch.selector);
        market.amend(SESSION, 0, hash(rowsA));
        market.amend(SESSION, 1, hash(rowsB));
        _refuses(0x100, consent, Replacement.NonceUsed.selector);
    }

    function test_a_consent_ends() external {
        Replacement.Consent memory consent = _consent(0x800, 1, 2000, owner);
        vm.warp(consent.deadline + 1);
        _refuses(0x800, consent, Replacement.ConsentExpired.selector);
    }

    function test_it_costs_no_more_than_was_agreed() external {
        _refuses(0x100, _consent(0x100, 1, 1999, owner), Replacement.ExtraAboveConsent.selector);
    }

    function test_it_costs_no_more_than_its_part_of_the_lock() external {
        rowsA[0] = 1 | (1 << 32) | (7999 << 64) | (3 << 192);
        market.amend(SESSION, 0, hash(rowsA));
        // an hour is a quarter of the promise: 1,999 of the lock
        _refuses(0x100, _consent(0x100, 1, 2000, owner), Replacement.ExtraAboveLock.selector);
    }

    // -------------------------------------------------------------------------------------------------------------- what is replaced

    function test_an_interval_that_has_begun_stays() external {
        vm.warp(START + 8 hours);
        _refuses(0x300, _consent(0x300, 1, 9000, owner), Replacement.IntervalBegun.selector);
        _replace(0x200, 2000);
    }

    function test_only_intervals_of_the_session() external {
        _refuses(0x1100, _consent(0x1100, 1, 9000, owner), Replacement.IntervalsRefused.selector);
        _refuses(0, _consent(0, 1, 9000, owner), Replacement.IntervalsRefused.selector);
    }

    function test_not_while_the_interval_is_under_auction() external {
        market.setAuctioned(1, DAY, 0x100);
        _refuses(0x100, _consent(0x100, 1, 9000, owner), Replacement.IntervalsUnderAuction.selector);
    }

    function test_a_reserve_with_fills_there_is_none() external {
        Replacement.Change memory change = _change(0x100);
        change.reserve.row = 1;
        Replacement.Consent memory consent = _sign(0x100, 3, 1, 9000, owner);
        refused(Replacement.ReserveTaken.selector);
        replacement.replaceByConsent(change, consent);
    }

    function test_a_reserve_that_sold_the_interval_elsewhere_is_none() external {
        accounts.commitPromise(6, 2, 1, DAY, 0x100, false, 0, new uint256[](0));
        _refuses(0x100, _consent(0x100, 1, 9000, owner), Replacement.ReserveHasSold.selector);
    }

    function test_the_same_row_is_no_reserve_of_its_own() external {
        Replacement.Change memory change = _change(0x100);
        change.failing.group = 1;
        change.failing.rows = rowsB;
        (change.reserve.rows, change.failing.row, change.reserve.row) = (new uint256[](0), 1, 1);
        Replacement.Consent memory consent = _consent(0x100, 1, 9000, owner);
        refused(Replacement.SameRow.selector);
        replacement.replaceByConsent(change, consent);
    }

    function test_rows_of_one_group() external {
        uint256[] memory both = new uint256[](9);
        for (uint256 i; i < 7; ++i) both[i] = rowsB[i];
        (both[7], both[8]) = (rowsA[0], rowsA[1]);
        market.amend(SESSION, 1, hash(both));
        Replacement.Change memory change = _change(0xc00);
        change.failing = Replacement.Place(1, 2, both);
        change.reserve.rows = new uint256[](0);
        replacement.replaceByConsent(change, _consent(0xc00, 1, 4000, owner));
        _widen();
        uint256[] memory after_ = new uint256[](10);
        for (uint256 i; i < 8; ++i) after_[i] = rowsB[i];
        (after_[8], after_[9]) = (rowsA[0] - (4000 << 64), 100 | (100 << 32));
        vm.assertTrue(market.groupHash(SESSION, 1) == hash(after_), "both rows");
    }

    function test_a_settled_row_stays() external {
        // Deliveries would not take records of hours to come; were it otherwise, rows that are settled stay as they are
        (uint256[][] memory batches, uint256[] memory picks) = _delivered(100, 100);
        batches[0][0] |= HOURS << 64;
        batches[0][2] |= ((1 << 25) + 100) * ((1 << 26) | (1 << 52));
        deliveries.record(SESSION, batches[0]);
        picks[0] = 1;
        settlement.settle(SESSION, 0, 1, rowsA, certificate, rules(), batches, picks);
        _refuses(0x100, _consent(0x100, 1, 9000, owner), Replacement.RowSettled.selector);
    }

    function test_a_reserve_is_kept_until_the_delivery_ends() external {
        refused(Settlement.ReserveNotFinal.selector);
        settlement.settle(SESSION, 1, 1, rowsB, certificate, rules(), new uint256[][](0), new uint256[](1));
        vm.warp(agreed.deliveryEnd);
        settlement.settle(SESSION, 1, 1, rowsB, certificate, rules(), new uint256[][](0), new uint256[](1));
        (uint256 available, uint256 locked, uint256 rating) = vault.balanceOf(2);
        same(available, LOCK, "lock");
        same(locked, 0, "locked");
        same(rating, 0, "nothing to rate");
    }

    function test_only_between_live_offers_and_live_reserves() external {
        // no reserve any more, and so without its body
        rowsB = [rowsB[0] & ~uint256(1 << 195), 0];
        market.amend(SESSION, 1, hash(rowsB));
        _refuses(0x100, _consent(0x100, 1, 9000, owner), Replacement.NotAReserve.selector);
        rowsA[0] &= ~uint256(1 << 192);
        market.amend(SESSION, 0, hash(rowsA));
        _refuses(0x100, _consent(0x100, 1, 9000, owner), Replacement.NotASeller.selector);
    }

    // ----------------------------------------------------------------------------------------------------------------------- proof

    function test_two_failed_intervals_are_proof() external {
        (uint256[][] memory batches, uint256[] memory picks) = _delivered(49, 49);
        vm.warp(START + 10 hours);
        replacement.replaceByProof(_change(0x800), batches, picks);
        (, uint256 locked,) = vault.balanceOf(1);
        same(locked, LOCK - 2000, "lock");
    }

    function test_one_failed_interval_is_not() external {
        (uint256[][] memory batches, uint256[] memory picks) = _delivered(49, 50);
        vm.warp(START + 10 hours);
        refused(Replacement.TooFewFailures.selector);
        this.tryProof(0x800, batches, picks);
        (batches, picks) = _delivered(49, 49);
        uint256[] memory twice = new uint256[](2);
        refused(Replacement.PickOverlaps.selector);
        this.tryProof(0x800, batches, twice);
        vm.prank(GUARDIAN);
        settlement.exempt(SESSION, 0, 0, rowsA, 0x100, "no fault of its own");
        refused(Replacement.TooFewFailures.selector);
        this.tryProof(0x800, batches, picks);
    }

    function test_only_its_own_proven_records_count() external {
        (uint256[][] memory batches, uint256[] memory picks) = _delivered(49, 49);
        vm.warp(START + 10 hours);
        batches[0][1] -= 1;
        refused(Replacement.BatchNotProven.selector);
        this.tryProof(0x800, batches, picks);
        batches[0][1] += 1;
        batches[0][0] += 1;
        deliveries.record(SESSION, batches[0]);
        refused(Replacement.PickOfOtherAccount.selector);
        this.tryProof(0x800, batches, picks);
        picks[0] = 1 << 16;
        refused(Replacement.PickOutOfRange.selector);
        this.tryProof(0x800, batches, picks);
    }

    function test_a_forced_replacement_costs_no_more_than_the_penalty() external {
        // 40 Wh at 240,000: 5,600 more, where nothing delivered would cost 5,000
        uint256 dear = 60 | (240_000 << 24);
        rowsB[2] = dear | (dear << 56) | (dear << 112) | (dear << 168);
        market.amend(SESSION, 1, hash(rowsB));
        (uint256[][] memory batches, uint256[] memory picks) = _delivered(0, 0);
        vm.warp(START + 10 hours);
        refused(Replacement.TooDear.selector);
        this.tryProof(0x800, batches, picks);
    }

    // --------------------------------------------------------------------------------------------------------------------- helpers

    /// @dev A proven record of account 1's first two hours.
    function _delivered(uint256 first, uint256 second) private returns (uint256[][] memory batches, uint256[] memory picks) {
        batches = new uint256[][](1);
        batches[0] = new uint256[](4);
        batches[0][0] = 1 | (9 << 32) | (0x300 << 64);
        batches[0][1] = ((1 << 25) + first) << 208;
        batches[0][2] = (1 << 25) + second;
        deliveries.record(SESSION, batches[0]);
        picks = new uint256[](1);
    }

    function _change(uint256 intervals) private view returns (Replacement.Change memory change) {
        (change.session, change.intervals) = (SESSION, intervals);
        change.failing = Replacement.Place(0, 0, rowsA);
        change.reserve = Replacement.Place(1, 0, rowsB);
        (change.certificate, change.rules) = (certificate, rules());
    }

    function _replace(uint256 intervals, uint256 most) private {
        replacement.replaceByConsent(_change(intervals), _consent(intervals, 1, most, owner));
    }

    function _refuses(uint256 intervals, Replacement.Consent memory consent, bytes4 selector) private {
        refused(selector);
        this.tryConsent(intervals, consent);
    }

    function tryConsent(uint256 intervals, Replacement.Consent calldata consent) external {
        replacement.replaceByConsent(_change(intervals), consent);
    }

    function tryProof(uint256 intervals, uint256[][] calldata batches, uint256[] calldata picks) external {
        replacement.replaceByProof(_change(intervals), batches, picks);
    }

    function _consent(uint256 intervals, uint256 nonce, uint256 most, address signer)
        private
        view
        returns (Replacement.Consent memory)
    {
        return _sign(intervals, 2, nonce, most, signer);
    }

    function _sign(uint256 intervals, uint256 reserve, uint256 nonce, uint256 most, address signer)
        private
        view
        returns (Replacement.Consent memory consent)
    {
        consent = Replacement.Consent(signer, most, nonce, START + 10 hours, "");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Wattproof"),
                keccak256("1"),
                block.chainid,
                replacement
            )
        );
        bytes32 content = keccak256(
            abi.encode(replacement.CONSENT_TYPEHASH(), SESSION, 1, reserve, intervals, most, nonce, consent.deadline)
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, keccak256(abi.encodePacked(hex"1901", domain, content)));
        consent.signature = abi.encodePacked(r, s, v);
    }
}
