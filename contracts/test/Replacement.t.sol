// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Progress} from "../src/Protocol.sol";
import {Replacement} from "../src/Replacement.sol";
import {Settlement} from "../src/Settlement.sol";
import {Wallet} from "../src/test/Wallet.sol";
import {ReplacementBench} from "./ReplacementBench.sol";

/// @title Replacement: who may take over from whom, for how much, and every way round the rules that must not work
contract ReplacementTest is ReplacementBench {
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

    function test_only_in_a_session_that_is_cleared_and_committed() external {
        Replacement.Consent memory consent = _consent(0x100, 1, 2000, owner);
        for (uint256 i; i < 4; ++i) {
            Progress memory reached = cleared(3, 1);
            if (i == 0) reached.cleared = false;
            if (i == 1) reached.underReview = true;
            if (i == 2) reached.cancelled = true;
            if (i == 3) reached.uncommitted = 1;
            market.setProgress(SESSION, reached);
            _refuses(0x100, consent, Replacement.NotReplaceable.selector);
        }
        market.setProgress(SESSION, cleared(3, 1));
        this.tryConsent(0x100, consent);
    }

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

    function test_where_nothing_is_promised_or_offered_nothing_is_replaced() external {
        Replacement.Consent memory consent = _consent(0x300, 1, 9000, owner);
        uint256 fills = rowsA[1];
        rowsA[1] = fills & ~uint256(type(uint32).max); // nothing promised at 08:00
        market.amend(SESSION, 0, hash(rowsA));
        _refuses(0x300, consent, Replacement.NothingToReplace.selector);
        rowsA[1] = fills;
        market.amend(SESSION, 0, hash(rowsA));
        // at 09:00 the reserve has neither of its steps
        (rowsB[2], rowsB[3]) = (rowsB[2] & ~uint256(0xffffff << 56), rowsB[3] & ~uint256(0xffffff << 56));
        market.amend(SESSION, 1, hash(rowsB));
        _refuses(0x300, consent, Replacement.NothingOffered.selector);
        _replace(0x100, 2000);
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

    function test_a_rule_set_without_force_leaves_it_to_the_member() external {
        (uint256[][] memory batches, uint256[] memory picks) = _delivered(0, 0);
        Replacement.Change memory change = _change(0x800);
        change.rules[0] &= ~uint256(0xff << 128);
        market.setTerms(SESSION, terms(0, 0, HOURS, change.rules));
        vm.warp(START + 10 hours);
        refused(Replacement.ReplacementNotForced.selector);
        replacement.replaceByProof(change, batches, picks);
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
}
