// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Deliveries} from "../src/Deliveries.sol";
import {State, Terms} from "../src/Protocol.sol";
import {Dice} from "./Cheats.sol";
import {Stage} from "./Stage.sol";

/// @title DeliveryActs: proofs, whole and in parts, early, late and wrong
abstract contract DeliveryActs is Stage {
    using Dice for Dice.State;

    /// @dev Words of an entry: T = 24, three of deviations.
    uint256 private constant ENTRY = 4;

    function prove(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        if (_held.length == 0) return;
        Held storage held = _held[_recent(dice)];
        if (!market.progress(held.id).cleared) return;
        Terms memory agreed = market.terms(held.id);
        if (dice.once(4)) _leap(dice, agreed.deliveryEnd);
        uint256[] memory entries = _entries(dice, held);
        if (entries.length == 0) return;
        Deliveries.Batch[] memory batches = new Deliveries.Batch[](1);
        batches[0] = proven(held.id, seed >> 8, entries);
        bytes4 why = _why(held, agreed, entries);
        if (why == 0 && dice.once(4)) {
            batches[0].entries[1] ^= 1;
            why = Deliveries.ProofRefused.selector;
        }
        if (why != 0) refused(why);
        deliveries.prove(held.id, batches);
        if (why != 0) return;
        bool filled = entries.length == 2 * ENTRY && (entries[0] & ACCOUNT) == (entries[ENTRY] & ACCOUNT);
        uint256[] memory kept = new uint256[](filled ? ENTRY : entries.length);
        for (uint256 k; k < kept.length; ++k) kept[k] = entries[k];
        held.batches.push(kept);
        _did(filled ? "prove, filled up" : "prove");
    }

    function _why(Held storage held, Terms memory agreed, uint256[] memory entries) private view returns (bytes4) {
        (, State state, uint256 undone) = market.forProofs(held.id, 14);
        if (state != State.Cleared && state != State.Delivering && state != State.Settling) return Deliveries.NotCleared.selector;
        if (vm.getBlockTimestamp() > agreed.proofDeadline) return Deliveries.ProofDeadlinePassed.selector;
        uint256 masks;
        for (uint256 i; i < entries.length; i += ENTRY) masks |= entries[i] >> 64;
        uint256 last;
        while (masks >> last != 0) ++last;
        if (vm.getBlockTimestamp() < zones.intervalStart(1, held.day, last)) return Deliveries.NotDeliveredYet.selector;
        return undone != 0 ? Deliveries.EarlierDayUncommitted.selector : bytes4(0);
    }

    /// @dev One account, or two; the second may repeat the first, to fill a batch up. Empty where there is nothing to prove.
    function _entries(Dice.State memory dice, Held storage held) private view returns (uint256[] memory entries) {
        uint256 account = dice.roll(1, MEMBERS);
        uint256[] memory first = _entry(dice, held, account);
        if (first.length == 0) return first;
        if (dice.once(2)) return first;
        uint256 second = dice.roll(1, MEMBERS);
        uint256[] memory other = second == account || dice.once(3) ? first : _entry(dice, held, second);
        return append(first, other.length == 0 ? first : other);
    }

    /// @dev An entry of the account for intervals that are not recorded yet.
    function _entry(Dice.State memory dice, Held storage held, uint256 account) private view returns (uint256[] memory words) {
        uint256 mask = held.mask & ~deliveries.recordedOf(held.id, account);
        if (dice.once(2)) mask &= dice.roll(0, 1 << 24);
        uint256 days_ = complete(held.id, account);
        if (mask == 0 || days_ < 3) return words;
        words = new uint256[](ENTRY);
        words[0] = account | (days_ << 32) | (mask << 64);
        for (uint256 t; t < 24; ++t) {
            if ((mask >> t) & 1 == 0) continue;
            uint256 deviation = (1 << 25) + dice.roll(0, 6_000_000) - 3_000_000;
            words[1 + t / 9] |= deviation << (26 * (t % 9));
        }
    }
}
