// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Terms} from "./Protocol.sol";

/// @title RequestList: what a coalition's list comes to, as locks, result rows and certificate
/// @notice docs/protocol.md section 13. A member is a header `account:32 | agent:32 | nonce:64 | deadline:40 | agent pays:1 |
/// zero`, then `ceil(K/8)` words of promises (Wh) and as many of prices (micro-euro per kWh), 32 bits an interval.
library RequestList {
    uint256 private constant PPM = 1_000_000;
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant M64 = type(uint64).max;
    uint256 private constant MAX_QUANTITY = 0xffffff;
    uint256 private constant AGENT_PAYS = 1 << 168;

    uint256 private constant GROUP_ROWS = 16;
    // side, live and priced of a result row's header; see Results
    uint256 private constant SELLER = (1 << 192) | (1 << 193) | (1 << 194);
    uint256 private constant BUYER = (1 << 193) | (1 << 194);

    error TargetLength(uint256 words, uint256 expected);
    error TargetBits(uint256 word);
    error TargetEmpty();
    error ListLength(uint256 words, uint256 memberWords);
    error ListOrder(uint256 member, uint256 account, uint256 before);
    error MemberBits(uint256 account, uint256 word);
    error AgentMissing(uint256 account);
    error PromiseEmpty(uint256 account);
    error PromiseOutOfRange(uint256 account, uint256 interval, uint256 quantity, uint256 least, uint256 largest);
    error PriceWithoutPromise(uint256 account, uint256 interval, uint256 price);
    error PriceAboveCap(uint256 account, uint256 interval, uint256 price, uint256 cap);
    error LockTooLarge(uint256 account, uint256 lock);
    error TargetMissed(uint256 interval, uint256 promised, uint256 target, uint256 tolerance);
    error SumTooLarge(uint256 interval, uint256 promised, uint256 gross);

    /// @dev What a list is held against.
    struct Ask {
        uint256 buyer; // the DSO's account
        uint256 tolerancePpm;
        uint256 intervals; // K
        uint256 minQuantity; // Wh
        uint256 priceCap;
        uint256 collateralPpm;
    }

    /// @dev What a list comes to.
    struct Deal {
        uint256[] entries; // the members', then the buyer's, as OrderWords.check makes them
        uint256[][] groups; // result rows, members first, the buyer's last
        uint256[] certificate;
    }

    function askOf(uint256 buyer, uint256 tolerancePpm, Terms memory agreed) internal pure returns (Ask memory) {
        return Ask(buyer, tolerancePpm, agreed.intervals, agreed.minQuantity, agreed.priceCap, agreed.collateralPpm);
    }

    /// @return Words of one member in a list of `intervals` intervals.
    function memberWords(uint256 intervals) internal pure returns (uint256) {
        return 1 + 2 * ((intervals + 7) / 8);
    }

    /// @notice Reverts unless `target` is a profile of `intervals` intervals, 32 bits each, that asks for something.
    function checkTarget(uint256[] calldata target, uint256 intervals) internal pure {
        uint256 words = (intervals + 7) / 8;
        if (target.length != words) revert TargetLength(target.length, words);
        if (target[words - 1] >> (32 * (intervals - 8 * (words - 1))) != 0) revert TargetBits(words - 1);
        uint256 any;
        for (uint256 i; i < words; ++i) any |= target[i];
        if (any == 0) revert TargetEmpty();
    }

    /// @notice Holds a list against what was asked for; reverts where it breaks a rule.
    function check(Ask memory ask, uint256[] calldata target, uint256[] calldata list)
        internal
        pure
        returns (Deal memory deal)
    {
        uint256 size = memberWords(ask.intervals);
        if (list.length == 0 || list.length % size != 0) revert ListLength(list.length, size);
        uint256 members = list.length / size;
        uint256 rowWords = 1 + (ask.intervals + 7) / 8 + (ask.intervals + 3) / 4;
        deal.entries = new uint256[](members + 1);
        deal.groups = new uint256[][](members / GROUP_ROWS + 1);
        uint256[] memory sums = new uint256[](2 * ask.intervals); // per interval promises, then per interval gross
        uint256[] memory group;
        uint256 before;
        for (uint256 i; i <= members; ++i) {
            uint256 place = i % GROUP_ROWS;
            if (place == 0) {
                uint256 rows = members + 1 - i < GROUP_ROWS ? members + 1 - i : GROUP_ROWS;
                deal.groups[i / GROUP_ROWS] = group = new uint256[](rows * rowWords);
            }
            if (i == members) break;
            uint256[] calldata words = list[i * size:(i + 1) * size];
            uint256 account = words[0] & M32;
            if (account <= before) revert ListOrder(i, account, before);
            before = account;
            deal.entries[i] = _member(ask, words, group, place * rowWords, sums);
        }
        deal.certificate = _meet(ask, target, sums);
        deal.entries[members] = _buyer(ask, group, (members % GROUP_ROWS) * rowWords, sums);
    }

    /// @dev Checks a member, writes its row at `to` of `group` and adds it to the sums.
    /// @return entry its entry for the vault
    function _member(Ask memory ask, uint256[] calldata words, uint256[] memory group, uint256 to, uint256[] memory sums)
        private
        pure
        returns (uint256 entry)
    {
        uint256 header = words[0];
        uint256 account = header & M32;
        if (header >> 169 != 0) revert MemberBits(account, 0);
        if (header & AGENT_PAYS != 0 && (header >> 32) & M32 == 0) revert AgentMissing(account);
        uint256 total = _terms(ask, words, account, group, to, sums);
        if (total == 0) revert PromiseEmpty(account);
        uint256 lock = (ask.collateralPpm * total * ask.priceCap + 999_999_999) / 1_000_000_000;
        if (lock > M64) revert LockTooLarge(account, lock);
        uint256 payer = header & AGENT_PAYS == 0 ? account : (header >> 32) & M32;
        group[to] = account | (payer << 32) | (lock << 64) | SELLER;
        return (header & M64) | (lock << 64) | (1 << 128) | (header & AGENT_PAYS == 0 ? 0 : 1 << 130);
    }

    /// @dev Checks a member's promises and prices and writes what follows the header of its row.
    /// @return total Wh promised
    function _terms(
        Ask memory ask,
        uint256[] calldata words,
        uint256 account,
        uint256[] memory group,
        uint256 to,
        uint256[] memory sums
    ) private pure returns (uint256 total) {
        uint256 k = ask.intervals;
        uint256 width = (k + 7) / 8;
        uint256 padding = 32 * (k - 8 * (width - 1));
        if (words[width] >> padding != 0) revert MemberBits(account, width);
        if (words[2 * width] >> padding != 0) revert MemberBits(account, 2 * width);
        uint256 faults;
        (uint256 least, uint256 cap) = (ask.minQuantity, ask.priceCap);
        // most of a list's gas is spent here: in assembly 128 members of 24 intervals cost 1.8 million instead of 3.4
        assembly ("memory-safe") {
            let promises := add(words.offset, 0x20)
            let ownPrices := add(promises, shl(5, width))
            let fills := add(group, shl(5, add(to, 2)))
            let grosses := add(fills, shl(5, width))
            let promised := add(sums, 0x20)
            let quantities := 0
            let prices := 0
            for { let j := 0 } lt(j, k) { j := add(j, 1) } {
                if iszero(and(j, 7)) {
                    let offset := shl(2, j)
                    quantities := calldataload(add(promises, offset))
                    prices := calldataload(add(ownPrices, offset))
                    mstore(add(fills, offset), quantities)
                }
                let quantity := and(quantities, 0xffffffff)
                let price := and(prices, 0xffffffff)
                quantities := shr(32, quantities)
                prices := shr(32, prices)
                if iszero(quantity) {
                    faults := or(faults, price)
                    continue
                }
                faults := or(faults, or(gt(price, cap), or(lt(quantity, least), gt(quantity, MAX_QUANTITY))))
                let gross := mul(quantity, price)
                total := add(total, quantity)
                let sum := add(promised, shl(5, j))
                mstore(sum, add(mload(sum), quantity))
                sum := add(sum, shl(5, k))
                mstore(sum, add(mload(sum), gross))
                let own := add(grosses, shl(5, shr(2, j)))
                mstore(own, or(mload(own), shl(shl(6, and(j, 3)), gross)))
            }
        }
        if (faults != 0) _explain(ask, words, account);
    }

    /// @dev Finds the first broken rule of a member that breaks one, and reverts with it.
    function _explain(Ask memory ask, uint256[] calldata words, uint256 account) private pure {
        uint256 width = (ask.intervals + 7) / 8;
        for (uint256 j; j < ask.intervals; ++j) {
            uint256 quantity = (words[1 + (j >> 3)] >> (32 * (j & 7))) & M32;
            uint256 price = (words[1 + width + (j >> 3)] >> (32 * (j & 7))) & M32;
            if (quantity == 0) {
                if (price != 0) revert PriceWithoutPromise(account, j, price);
                continue;
            }
            if (quantity < ask.minQuantity || quantity > MAX_QUANTITY) {
                revert PromiseOutOfRange(account, j, quantity, ask.minQuantity, MAX_QUANTITY);
            }
            if (price > ask.priceCap) revert PriceAboveCap(account, j, price, ask.priceCap);
        }
    }

    /// @dev Holds the sums against the target.
    /// @return certificate two words an interval, as a cooperative one's: the volume at bit 64, then `buyers:80 | sellers:80`
    function _meet(Ask memory ask, uint256[] calldata target, uint256[] memory sums)
        private
        pure
        returns (uint256[] memory certificate)
    {
        certificate = new uint256[](2 * ask.intervals);
        for (uint256 j; j < ask.intervals; ++j) {
            uint256 wanted = (target[j >> 3] >> (32 * (j & 7))) & M32;
            (uint256 promised, uint256 gross) = (sums[j], sums[ask.intervals + j]);
            uint256 tolerance = ask.tolerancePpm * wanted / PPM;
            uint256 apart = promised > wanted ? promised - wanted : wanted - promised;
            if (apart > tolerance) revert TargetMissed(j, promised, wanted, tolerance);
            if (promised > M32 || gross > M64) revert SumTooLarge(j, promised, gross);
            certificate[2 * j] = promised << 64;
            certificate[2 * j + 1] = gross | (gross << 80);
        }
    }

    /// @dev Writes the buyer's row at `to` of `group`.
    /// @return entry its entry for the vault
    function _buyer(Ask memory ask, uint256[] memory group, uint256 to, uint256[] memory sums)
        private
        pure
        returns (uint256 entry)
    {
        uint256 k = ask.intervals;
        uint256 width = (k + 7) / 8;
        uint256 cost;
        for (uint256 j; j < k; ++j) {
            uint256 gross = sums[k + j];
            cost += (gross + 999) / 1000;
            group[to + 1 + (j >> 3)] |= sums[j] << (32 * (j & 7));
            group[to + 1 + width + (j >> 2)] |= gross << (64 * (j & 3));
        }
        group[to] = ask.buyer | (ask.buyer << 32) | (cost << 64) | (cost << 128) | BUYER;
        return ask.buyer | (cost << 64);
    }
}
