// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Progress, Terms} from "../src/Protocol.sol";
import {Settlement} from "../src/Settlement.sol";
import {SettlementRecords} from "../src/SettlementRecords.sol";
import {SettlementRows} from "../src/SettlementRows.sol";
import {Dice} from "./Cheats.sol";
import {Settling} from "./Settling.sol";

/// @title Settlement against docs/protocol.md section 10 written out slowly, and its refusals
contract SettlementTest is Settling {
    using Dice for Dice.State;

    struct Seller {
        uint256 account;
        uint256 payer;
        uint256 lock;
        bool priced;
        bool reserve;
        uint256 exempt;
        uint256 recorded;
        uint256[] fills;
        uint256[] gross;
        int256[] deviations; // baseline - metered
        uint256 earned;
        uint256 unpaid;
        uint256 penalty;
        uint256 rating;
    }

    struct Buyer {
        uint256 account;
        uint256 cost;
        uint256 refund;
        uint256[] fills;
        uint256[] gross;
    }

    uint256 private constant FEE_ACCOUNT = 90;
    uint256 private constant NONE = type(uint256).max;

    Terms private agreed;
    Seller[] private sellers;
    Buyer[] private buyers;
    uint256[] private prices;
    uint256[] private refunds;
    uint256[] private volumes;
    uint256[] private bought;
    uint256[] private spots; // interval of the day, by j
    uint256[] private certificate;
    uint256[] private pinned;
    uint256[] private allRows;
    uint256[] private starts; // of groups, in words, and the end
    uint256[][] private batches;
    uint256[] private picks;
    uint256 private paidIn;

    function test_every_row_comes_to_what_the_rules_say(uint256 seed) external {
        Dice.State memory dice = Dice.State(seed);
        _make(dice);
        vm.warp(agreed.deliveryEnd + 1);
        _exempt();
        vm.warp(agreed.proofDeadline + 1);
        _reference();
        _pay();
        _compare();
    }

    // ------------------------------------------------------------------------------------------------------------------- scenario

    function _make(Dice.State memory dice) private {
        build(24);
        pinned = dice.once(3) ? _otherRules() : rules();
        uint256 mask = (1 << 24) - 1;
        if (dice.once(3)) mask = dice.roll(1, mask);
        else if (dice.once(2)) mask = ((1 << dice.roll(1, 12)) - 1) << dice.roll(0, 12);
        agreed = terms(dice.once(3) ? 1 : 0, dice.roll(0, 1), mask, pinned);
        agreed.feePpm = dice.once(2) ? uint24(dice.roll(0, 100_000)) : 0;
        agreed.feeAccount = uint32(FEE_ACCOUNT);
        for (uint256 t; t < 24; ++t) if ((mask >> t) & 1 == 1) spots.push(t);
        uint256 k = spots.length;
        (refunds, volumes, bought) = (new uint256[](k), new uint256[](k), new uint256[](k));
        for (uint256 j; j < k; ++j) prices.push(dice.once(6) ? 0 : dice.roll(0, 500_000));
        uint256 number = dice.roll(1, 5);
        for (uint256 i; i < number; ++i) _seller(dice, i + 1);
        number = dice.roll(1, 4);
        for (uint256 i; i < number; ++i) _buyer(dice, 40 + i, number - i);
        for (uint256 j; j < k; ++j) {
            if (agreed.mode == 0) {
                certificate.push(prices[j] | (prices[j] << 32) | (volumes[j] << 64));
            } else {
                certificate.push(volumes[j] << 64);
                certificate.push(bought[j]);
            }
        }
        _publish();
    }

    function _otherRules() private pure returns (uint256[] memory words) {
        // paid less beyond the promise, a penalty even for who delivers everything
        words = new uint256[](6);
        words[0] = 1 | (3 << 8) | (2 << 16) | (20_000 << 32) | (600_000 << 64);
        (words[1], words[2], words[3]) = (uint256(7) << 32, 900_000 | (1_000_000 << 32), 1_400_000 | (800_000 << 32));
        (words[4], words[5]) = (uint256(600_000) << 32, 1_100_000 | (10_000 << 32));
    }

    function _seller(Dice.State memory dice, uint256 account) private {
        uint256 k = spots.length;
        Seller storage made = sellers.push();
        made.account = account;
        made.payer = dice.once(3) ? 30 : account;
        made.priced = agreed.mode == 1 || dice.once(5);
        made.reserve = dice.once(4);
        (made.fills, made.gross, made.deviations) = (new uint256[](k), new uint256[](k), new int256[](k));
        bool any;
        uint256 collateral;
        for (uint256 j; j < k; ++j) {
            if (dice.once(4)) continue;
            uint256 fill = dice.once(30) ? dice.roll(1, 1 << 26) : dice.roll(1, 3000);
            any = true;
            made.fills[j] = fill;
            made.gross[j] = fill * prices[j];
            if (made.priced) made.gross[j] += fill * dice.roll(0, 1000);
            // what buyers do not pay comes from the lock of whom the seller replaced; at a price of 0 they pay nothing
            uint256 paid = agreed.mode == 0 ? fill * prices[j] : prices[j] == 0 ? 0 : made.gross[j];
            if (made.priced) paidIn += (made.gross[j] - paid + 999) / 1000;
            volumes[j] += fill;
            bought[j] += paid;
            collateral += made.gross[j];
            int256 sign = agreed.direction == 0 ? int256(1) : -1;
            int256 given = dice.once(3) ? int256(dice.roll(0, 6000)) - 3000 : int256(fill * dice.roll(900, 1100) / 1000);
            if (given > (1 << 24) - 1) given = (1 << 24) - 1;
            made.deviations[j] = sign * given;
            if (!dice.once(6)) made.recorded |= 1 << spots[j];
            if (dice.once(9)) made.exempt |= 1 << spots[j];
        }
        if (!any) {
            (made.fills[0], made.gross[0]) = (1, prices[0]);
            volumes[0] += 1;
            bought[0] += prices[0];
        }
        made.lock = dice.once(4) ? dice.roll(0, 1000) : collateral * 6 / 10_000 + 1;
        fund(made.payer, made.lock + 1);
        lock(made.payer, made.lock);
    }

    /// @dev One of `left` buyers who share what is there; the last takes the rest.
    function _buyer(Dice.State memory dice, uint256 account, uint256 left) private {
        uint256 k = spots.length;
        Buyer storage made = buyers.push();
        made.account = account;
        (made.fills, made.gross) = (new uint256[](k), new uint256[](k));
        for (uint256 j; j < k; ++j) {
            uint256 part = left == 1 ? 1000 : dice.roll(0, 1000 / left);
            uint256 free = volumes[j];
            uint256 worth = bought[j];
            for (uint256 i; i + 1 < buyers.length; ++i) {
                free -= buyers[i].fills[j];
                worth -= buyers[i].gross[j];
            }
            made.fills[j] = free * part / 1000;
            if (made.fills[j] == 0) continue;
            made.gross[j] = agreed.mode == 1 ? worth * part / 1000 : made.fills[j] * prices[j];
            made.cost += (made.gross[j] + 999) / 1000;
        }
        fund(account, made.cost + 1);
        lock(account, made.cost);
        unlock(account, made.cost, made.cost);
        if (left == 1 && paidIn != 0) {
            fund(80, paidIn);
            lock(80, paidIn);
            unlock(80, paidIn, paidIn);
        }
    }

    function _publish() private {
        uint256 payable_;
        starts.push(0);
        uint256 number = sellers.length + buyers.length;
        for (uint256 i; i < number; ++i) {
            if (i < sellers.length) _sellerRow(sellers[i]);
            else if (_buyerRow(buyers[i - sellers.length])) ++payable_;
        }
        starts.push(allRows.length);
        market.setTerms(SESSION, agreed);
        market.setProgress(SESSION, cleared(sellers.length, payable_));
        market.setCertificate(SESSION, hash(certificate));
        market.amend(SESSION, 0, hash(allRows));
        for (uint256 i; i < sellers.length; ++i) _records(sellers[i], i);
    }

    function _sellerRow(Seller storage made) private {
        uint256 flags = (3 << 192) | (made.priced ? 1 << 194 : 0) | (made.reserve ? 1 << 195 : 0);
        allRows.push(made.account | (made.payer << 32) | (made.lock << 64) | flags);
        _pack(made.fills, 32);
        if (made.priced) _pack(made.gross, 64);
        if (made.reserve) for (uint256 i; i < (spots.length + 3) / 4; ++i) allRows.push(0x123456 + i);
    }

    function _buyerRow(Buyer storage made) private returns (bool) {
        allRows.push(
            made.account | (made.account << 32) | (made.cost << 64) | (made.cost << 128) | (1 << 193)
                | (agreed.mode == 1 ? 1 << 194 : 0)
        );
        _pack(made.fills, 32);
        if (agreed.mode == 1) _pack(made.gross, 64);
        return _fills(made);
    }

    function _fills(Buyer storage made) private view returns (bool) {
        for (uint256 j; j < made.fills.length; ++j) if (made.fills[j] != 0) return true;
        return false;
    }

    function _pack(uint256[] storage values, uint256 size) private {
        uint256 word;
        uint256 lanes = 256 / size;
        for (uint256 j; j < values.length; ++j) {
            word |= values[j] << (size * (j % lanes));
            if (j % lanes == lanes - 1 || j == values.length - 1) {
                allRows.push(word);
                word = 0;
            }
        }
    }

    /// @dev The seller's records in two entries of a batch of their own, if there are two intervals.
    function _records(Seller storage made, uint256 batch) private {
        uint256 first = made.recorded & 0xfff;
        uint256 second = made.recorded & ~uint256(0xfff);
        uint256 number = (first == 0 ? 0 : 1) + (second == 0 ? 0 : 1);
        uint256[] memory entries = new uint256[](4 * number);
        if (first != 0) _entry(made, entries, 0, first);
        if (second != 0) _entry(made, entries, number - 1, second);
        batches.push(entries);
        deliveries.record(SESSION, entries);
        picks.push(number);
        for (uint256 i; i < number; ++i) picks.push(batch | (i << 16));
    }

    function _entry(Seller storage made, uint256[] memory entries, uint256 place, uint256 mask) private view {
        entries[4 * place] = made.account | (9 << 32) | (mask << 64);
        for (uint256 j; j < spots.length; ++j) {
            uint256 t = spots[j];
            if ((mask >> t) & 1 == 0) continue;
            entries[4 * place + 1 + t / 9] |= uint256(made.deviations[j] + (1 << 25)) << (26 * (t % 9));
        }
    }

    function _exempt() private {
        for (uint256 i; i < sellers.length; ++i) {
            if (sellers[i].exempt == 0) continue;
            vm.prank(GUARDIAN);
            settlement.exempt(SESSION, 0, i, allRows, sellers[i].exempt, "the meter was out");
        }
    }

    // ------------------------------------------------------------------------------------------------------------------- reference

    function _reference() private {
        for (uint256 i; i < sellers.length; ++i) {
            Seller storage row = sellers[i];
            uint256 promised;
            uint256 kept;
            for (uint256 j; j < spots.length; ++j) {
                uint256 fill = row.fills[j];
                if (fill == 0) continue;
                bool free = (row.exempt >> spots[j]) & 1 == 1;
                int256 given = (row.recorded >> spots[j]) & 1 == 0 ? int256(0) : row.deviations[j];
                if (agreed.direction == 1) given = -given;
                uint256 delivered = given < 0 ? 0 : uint256(given);
                if (!free) {
                    promised += fill;
                    kept += delivered < fill ? delivered : fill;
                }
                _interval(row, j, fill, delivered, free);
            }
            row.rating = promised == 0 ? 0 : 1 + 10_000 * kept / promised;
        }
        for (uint256 i; i < buyers.length; ++i) {
            for (uint256 j; j < spots.length; ++j) {
                (uint256 part, uint256 all) = agreed.mode == 1 && bought[j] != 0
                    ? (buyers[i].gross[j], bought[j])
                    : (buyers[i].fills[j], volumes[j]);
                if (all != 0) buyers[i].refund += refunds[j] * part / all;
            }
        }
    }

    function _interval(Seller storage row, uint256 j, uint256 fill, uint256 delivered, bool free) private {
        uint256 gross = row.priced ? row.gross[j] : fill * prices[j];
        uint256 x = delivered * 1_000_000 / fill;
        if (x > type(uint32).max) x = type(uint32).max;
        if (x + ((pinned[0] >> 32) & 0xffffffff) >= 1_000_000 && x < 1_000_000) x = 1_000_000;
        uint256 points = (pinned[0] >> 8) & 0xff;
        uint256 earned = gross * _curve(1, points, x) / 1e9;
        uint256 penalty = (gross * _curve(1 + points, pinned.length - 1 - points, x) + 1e9 - 1) / 1e9;
        if (free) penalty = 0;
        if (penalty > row.lock - row.penalty) penalty = row.lock - row.penalty;
        row.earned += earned;
        row.unpaid += gross / 1000 - earned;
        row.penalty += penalty;
        refunds[j] += gross / 1000 - earned + penalty;
    }

    function _curve(uint256 from, uint256 points, uint256 x) private view returns (uint256) {
        for (uint256 i = from + 1; i < from + points; ++i) {
            (uint256 x0, uint256 y0) = (uint32(pinned[i - 1]), pinned[i - 1] >> 32);
            (uint256 x1, uint256 y1) = (uint32(pinned[i]), pinned[i] >> 32);
            if (x < x1) return (y0 * (x1 - x) + y1 * (x - x0)) / (x1 - x0);
        }
        return pinned[from + points - 1] >> 32;
    }

    // -------------------------------------------------------------------------------------------------------------------- payment

    function _pay() private {
        uint256[] memory packed = new uint256[]((picks.length + 7) / 8);
        for (uint256 i; i < picks.length; ++i) packed[i / 8] |= picks[i] << (32 * (i % 8));
        settlement.settle(SESSION, 0, (1 << sellers.length) - 1, allRows, certificate, pinned, batches, packed);
        uint256 which;
        for (uint256 i; i < buyers.length; ++i) if (_fills(buyers[i])) which |= 1 << (sellers.length + i);
        if (which == 0) return;
        settlement.settle(SESSION, 0, which, allRows, certificate, pinned, new uint256[][](0), new uint256[](0));
    }

    function _compare() private view {
        uint256 held = vault.escrow(SESSION);
        uint256 start;
        uint256 fees;
        uint256 shared;
        for (uint256 i; i < sellers.length; ++i) {
            Seller storage row = sellers[i];
            uint256 fee = row.earned * agreed.feePpm / 1_000_000;
            fees += fee;
            start += row.lock + 1;
            (uint256 available, uint256 locked, uint256 reputation) = vault.balanceOf(row.account);
            same(reputation, row.rating, "rating");
            if (row.payer == row.account) {
                same(available, 1 + row.lock - row.penalty + row.earned - fee, "seller");
            } else {
                shared += 1 + row.lock - row.penalty + row.earned - fee;
                same(available, 0, "an account that another pays for");
            }
            same(locked, 0, "locked");
            held += row.lock + 1 - row.penalty + row.earned;
        }
        (uint256 paid, uint256 locked_,) = vault.balanceOf(30);
        same(paid, shared, "payer");
        same(locked_, 0, "payer's lock");
        (paid,,) = vault.balanceOf(FEE_ACCOUNT);
        same(paid, fees, "fees");
        for (uint256 i; i < buyers.length; ++i) {
            (uint256 available,,) = vault.balanceOf(buyers[i].account);
            same(available, 1 + buyers[i].refund, "buyer");
            start += buyers[i].cost + 1;
            held += available;
        }
        same(held, start + paidIn, "money in is money out and rounding");
        for (uint256 j; j < spots.length; ++j) same(settlement.refunds(SESSION, j), refunds[j], "refunds");
    }

    // -------------------------------------------------------------------------------------------------------------------- refusals

    /// @dev Two sellers of 100 Wh in two hours, account 1 with its proof, account 2 without, and a buyer.
    function _small() private {
        build(24);
        pinned = rules();
        agreed = terms(0, 0, 3, pinned);
        market.setTerms(SESSION, agreed);
        market.setProgress(SESSION, cleared(2, 1));
        certificate = [100_000 | (100_000 << 32) | (200 << 64), 100_000 | (100_000 << 32) | (200 << 64)];
        market.setCertificate(SESSION, hash(certificate));
        uint256 fills = 100 | (100 << 32);
        allRows = [
            1 | (1 << 32) | (12_000 << 64) | (3 << 192),
            fills,
            2 | (2 << 32) | (12_000 << 64) | (3 << 192),
            fills,
            4 | (4 << 32) | (40_000 << 64) | (40_000 << 128) | (2 << 192),
            200 | (200 << 32)
        ];
        market.amend(SESSION, 0, hash(allRows));
        for (uint256 account = 1; account < 3; ++account) {
            fund(account, 12_000);
            lock(account, 12_000);
        }
        fund(4, 40_000);
        lock(4, 40_000);
        unlock(4, 40_000, 40_000);
        uint256[] memory entries = new uint256[](4);
        entries[0] = 1 | (9 << 32) | (3 << 64);
        entries[1] = ((1 << 25) + 100) | (((1 << 25) + 50) << 26);
        batches.push(entries);
        deliveries.record(SESSION, entries);
        vm.warp(agreed.deliveryEnd + 1);
    }

    function settle(uint256 which, uint256 pick) external {
        uint256[] memory packed = new uint256[](pick == NONE ? 0 : 1);
        if (pick != NONE) packed[0] = pick;
        settlement.settle(SESSION, 0, which, allRows, certificate, pinned, batches, packed);
    }

    function exempt(uint256 row, uint256 intervals) external {
        vm.prank(GUARDIAN);
        settlement.exempt(SESSION, 0, row, allRows, intervals, "why");
    }

    function test_every_way_to_settle_wrongly_is_refused() external {
        _small();
        _refuses(SettlementRows.RowOutOfRange.selector, 0, 1);
        _refuses(SettlementRows.RowOutOfRange.selector, 8, 1);
        _refuses(Settlement.SellersFirst.selector, 4, 1);
        _refuses(Settlement.SellerNotFinal.selector, 2, 0);
        _refuses(SettlementRecords.PicksIncomplete.selector, 1, NONE);
        _refuses(SettlementRecords.PicksIncomplete.selector, 1, 8);
        _refuses(SettlementRecords.RecordsLeftOut.selector, 1, 1 << 64);
        _refuses(SettlementRecords.PickOutOfRange.selector, 1, 1 | (1 << 32));
        _refuses(SettlementRecords.PickOutOfRange.selector, 1, 1 | (1 << 48));
        _refuses(SettlementRecords.PickOverlaps.selector, 1, 2);
        _refuses(SettlementRecords.PickOfOtherAccount.selector, 2, 1);
        _refuses(SettlementRecords.PicksLeftOver.selector, 1, 1 | (1 << 64));
        this.settle(1, 1);
        _refuses(Settlement.RowsAlreadySettled.selector, 1, 1);
        allRows[1] += 1;
        _refuses(SettlementRows.SuppliedDataMismatch.selector, 2, 1);
        allRows[1] -= 1;
        certificate[0] += 1;
        _refuses(SettlementRows.SuppliedDataMismatch.selector, 2, 1);
        certificate[0] -= 1;
        pinned[1] += 1;
        _refuses(SettlementRows.SuppliedDataMismatch.selector, 2, 1);
        pinned[1] -= 1;
        batches[0][1] += 1;
        _refuses(SettlementRecords.BatchNotProven.selector, 2, 1);
        batches[0][1] -= 1;
        vm.warp(agreed.proofDeadline + 1);
        this.settle(2, 0);
        // a bid without fills has no part in what comes back
        allRows[5] = 0;
        market.amend(SESSION, 0, hash(allRows));
        _refuses(Settlement.RowNotToSettle.selector, 4, NONE);
    }

    function _refuses(bytes4 selector, uint256 which, uint256 pick) private {
        refused(selector);
        this.settle(which, pick);
    }

    function test_an_exemption_frees_of_penalty_and_of_rating() external {
        _small();
        this.exempt(0, 2);
        this.exempt(1, 3);
        this.settle(1, 1);
        // what is delivered in an exempted hour is paid: nobody may settle it before its proof can come no more
        _refuses(Settlement.SellerNotFinal.selector, 2, 0);
        vm.warp(agreed.proofDeadline);
        _refuses(Settlement.SellerNotFinal.selector, 2, 0);
        vm.warp(agreed.proofDeadline + 1);
        this.settle(2, 0);
        // hour 0 in full; of hour 1 30 % for a half, and nothing forfeited
        (uint256 available,, uint256 rating) = vault.balanceOf(1);
        same(available, 12_000 + 10_000 + 3_000, "seller");
        same(rating, 10_001, "an exempted hour is not rated");
        (available,, rating) = vault.balanceOf(2);
        same(available, 12_000, "nothing delivered, nothing forfeited");
        same(rating, 0, "nothing to rate");
        this.settle(4, NONE);
        (available,,) = vault.balanceOf(4);
        same(available, 27_000, "buyer");
    }

    function test_exemptions_have_their_guardian_time_and_place() external {
        _small();
        refused(Settlement.NotGuardian.selector);
        settlement.exempt(SESSION, 0, 0, allRows, 1, "why");
        refused(Settlement.ExemptionNotInSession.selector);
        this.exempt(0, 4);
        refused(Settlement.ExemptionNotInSession.selector);
        this.exempt(0, 0);
        refused(Settlement.RowNotToSettle.selector);
        this.exempt(2, 1);
        refused(SettlementRows.RowOutOfRange.selector);
        this.exempt(3, 1);
        this.settle(1, 1);
        refused(Settlement.RowsAlreadySettled.selector);
        this.exempt(0, 1);
        vm.warp(agreed.exemptionDeadline);
        refused(Settlement.ExemptionTooLate.selector);
        this.exempt(1, 1);
    }

    function test_only_cleared_sessions_know_exemptions() external {
        _small();
        Progress memory reached;
        market.setProgress(SESSION, reached);
        refused(Settlement.NotCleared.selector);
        this.exempt(0, 1);
        (reached.cleared, reached.underReview) = (true, true);
        market.setProgress(SESSION, reached);
        refused(Settlement.NotCleared.selector);
        this.exempt(0, 1);
    }
}
