// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Deliveries} from "./Deliveries.sol";
import {FlexMarket} from "./FlexMarket.sol";
import {OrderWords} from "./OrderWords.sol";
import {RuleSet} from "./RuleSet.sol";
import {Terms} from "./SessionTerms.sol";
import {Vault} from "./Vault.sol";

/// @title Settlement: pays sellers what they delivered, gives buyers back the rest
/// @notice docs/protocol.md section 10. Sellers' rows come first; what they leave unpaid and what they forfeit is kept per interval and
/// goes back to the buyers once no seller row is left.
contract Settlement {
    FlexMarket public immutable market;
    Vault public immutable vault;

    /// @dev Four intervals a word, micro-euro. The vault holds less than 2^64, so that no sum leaves its 64 bits.
    mapping(uint256 session => mapping(uint256 word => uint256)) private _refunds;
    /// @dev A bit per row of a group, 16 groups a word.
    mapping(uint256 session => mapping(uint256 word => uint256)) private _settled;

    event SellerSettled(uint256 indexed session, uint256 indexed account, uint256 earned, uint256 unpaid, uint256 penalty);
    event BuyerSettled(uint256 indexed session, uint256 indexed account, uint256 cost, uint256 refund);

    error GroupsUncommitted(uint256 session, uint256 groups);
    error SuppliedDataMismatch(uint256 session, string what);
    error RowOutOfRange(uint256 which, uint256 rows);
    error RowsAlreadySettled(uint256 session, uint256 group, uint256 bits);
    error RowNotToSettle(uint256 session, uint256 group, uint256 row);
    error SellersFirst(uint256 session, uint256 sellersLeft);
    error BatchNotProven(uint256 session, uint256 batch);
    error PicksIncomplete(uint256 needed, uint256 supplied);
    error PicksLeftOver(uint256 used, uint256 words);
    error PickOutOfRange(uint256 batch, uint256 entry);
    error PickOfOtherAccount(uint256 account, uint256 expected);
    error PickOverlaps(uint256 account, uint256 intervals);
    error RecordsLeftOut(uint256 session, uint256 account, uint256 intervals);
    error SellerNotFinal(uint256 session, uint256 account, uint256 missing, uint256 proofDeadline);

    /// @dev What all rows of one call share.
    struct Context {
        uint256 session;
        uint256 sellersLeft;
        uint256 rowSize;
        uint256 entryWords; // 1 + D
        Deliveries deliveries;
        bool afterDeadline;
        uint256 sign; // s: 1 for UP, -1 for DOWN in two's complement
        uint256 intervals; // memory pointer to K intervals of INTERVAL bytes
        uint256 number; // K
        uint256 used; // picks, each 32 bits
        RuleSet.Curves curves;
        Terms terms;
    }

    /// @dev What one seller row comes to.
    struct Row {
        uint256 lock;
        uint256 mask; // intervals of the day that are recorded
        uint256 earned;
        uint256 unpaid;
        uint256 penalty;
    }

    // A session's interval in memory, 32 bytes a field: bit of the day, byte offset of its deviation word, shift of its slot, price, volume,
    // refund.
    uint256 private constant INTERVAL = 0xc0;

    constructor(FlexMarket market_, Vault vault_) {
        market = market_;
        vault = vault_;
    }

    /// @notice Settles chosen rows of one or several groups that follow each other; by anyone.
    /// @param group the first group
    /// @param which a bit per row, of all groups together at most 256
    /// @param rows result rows of the groups
    /// @param certificate the session's certificate
    /// @param rules the session's rule set
    /// @param batches batches that were proven for the session: the words of their recorded entries
    /// @param picks per chosen seller row, in turn: the number of its records, then each as `batch:16 | entry:16`; 32 bits each, eight a word
    function settle(
        uint256 session,
        uint256 group,
        uint256 which,
        uint256[] calldata rows,
        uint256[] calldata certificate,
        uint256[] calldata rules,
        uint256[][] calldata batches,
        uint256[] calldata picks
    ) external {
        Context memory context = _context(session, certificate, rules);
        _requireRows(context, group, rows);
        uint256 number = rows.length / context.rowSize;
        if (which == 0 || number > 256 || (number < 256 && which >> number != 0)) revert RowOutOfRange(which, number);
        _requireProven(context, batches);
        _markSettled(session, group, which);
        uint256[] memory moves = new uint256[](number);
        uint256 moved;
        uint256 sellers;
        for (uint256 i; i < number; ++i) {
            if ((which >> i) & 1 == 0) continue;
            uint256[] calldata row = rows[i * context.rowSize:(i + 1) * context.rowSize];
            if ((row[0] >> 33) & 1 == 0) revert RowNotToSettle(session, group, i);
            if ((row[0] >> 32) & 1 == 1) {
                if (!_hasFill(row)) revert RowNotToSettle(session, group, i);
                moves[moved++] = _seller(context, row, batches, picks);
                ++sellers;
            } else {
                if (context.sellersLeft != 0) revert SellersFirst(session, context.sellersLeft);
                if (row[0] >> 160 == 0) revert RowNotToSettle(session, group, i);
                moves[moved++] = _buyer(context, row);
            }
        }
        _requireUsed(context.used, picks);
        if (sellers != 0) _storeRefunds(context);
        assembly ("memory-safe") {
            mstore(moves, moved)
        }
        vault.move(session, moves);
        market.rowsSettled(session, sellers, moved - sellers);
    }

    /// @return Whether the row's money has been settled.
    function settled(uint256 session, uint256 group, uint256 row) external view returns (bool) {
        return (_settled[session][group >> 4] >> (16 * (group & 15) + row)) & 1 == 1;
    }

    /// @return Micro-euro that buyers of the session's interval `j` get back together.
    function refunds(uint256 session, uint256 j) external view returns (uint256) {
        return (_refunds[session][j >> 2] >> (64 * (j & 3))) & type(uint64).max;
    }

    /// @dev Reverts unless `rows` are those of groups `group` and following.
    function _requireRows(Context memory context, uint256 group, uint256[] calldata rows) private view {
        uint256 size = 16 * context.rowSize;
        uint256 from;
        do {
            uint256 to = from + size < rows.length ? from + size : rows.length;
            if (OrderWords.hash(rows[from:to]) != market.groupHash(context.session, group)) {
                revert SuppliedDataMismatch(context.session, "rows");
            }
            (from, group) = (to, group + 1);
        } while (from < rows.length);
    }

    /// @dev Reverts unless every batch is one that was proven for the session.
    function _requireProven(Context memory context, uint256[][] calldata batches) private view {
        for (uint256 i; i < batches.length; ++i) {
            if (!context.deliveries.proven(context.session, OrderWords.hash(batches[i]))) revert BatchNotProven(context.session, i);
        }
    }

    /// @dev Reverts unless the picks end with the last one used.
    function _requireUsed(uint256 used, uint256[] calldata picks) private pure {
        uint256 rest = used & 7;
        if (picks.length != (used + 7) / 8 || (rest != 0 && picks[picks.length - 1] >> (32 * rest) != 0)) {
            revert PicksLeftOver(used, picks.length);
        }
    }

    /// @dev Marks rows as settled, in one word or two.
    function _markSettled(uint256 session, uint256 group, uint256 which) private {
        uint256 shift = 16 * (group & 15);
        _markWord(session, group, group >> 4, which << shift);
        if (shift != 0 && which >> (256 - shift) != 0) _markWord(session, group, (group >> 4) + 1, which >> (256 - shift));
    }

    function _markWord(uint256 session, uint256 group, uint256 word, uint256 bits) private {
        uint256 before = _settled[session][word];
        if (before & bits != 0) revert RowsAlreadySettled(session, group, before & bits);
        _settled[session][word] = before | bits;
    }

    function _context(uint256 session, uint256[] calldata certificate, uint256[] calldata rules)
        private
        view
        returns (Context memory context)
    {
        FlexMarket.Progress memory progress = market.progress(session);
        if (!progress.cleared || progress.uncommitted != 0) revert GroupsUncommitted(session, progress.uncommitted);
        if (OrderWords.hash(certificate) != market.certificateHash(session)) revert SuppliedDataMismatch(session, "certificate");
        Terms memory terms = market.terms(session);
        if (OrderWords.hash(rules) != terms.rulesHash) revert SuppliedDataMismatch(session, "rules");
        context.session = session;
        context.terms = terms;
        context.sellersLeft = progress.sellersLeft;
        context.number = terms.intervals;
        context.rowSize = 1 + (uint256(terms.intervals) + 7) / 8;
        context.entryWords = 1 + (uint256(terms.dayIntervals) + 8) / 9;
        context.deliveries = Deliveries(terms.deliveries);
        context.afterDeadline = block.timestamp > terms.proofDeadline;
        context.sign = terms.direction == 0 ? 1 : type(uint256).max;
        context.curves = RuleSet.load(rules);
        context.intervals = _intervals(session, terms.mask, certificate);
    }

    /// @dev Lays out the session's intervals from mask, certificate and the refunds so far.
    function _intervals(uint256 session, uint256 mask, uint256[] calldata certificate) private view returns (uint256 first) {
        uint256 total = certificate.length;
        uint256 word;
        uint256 t;
        assembly ("memory-safe") {
            first := mload(0x40)
            mstore(0x40, add(first, mul(INTERVAL, total)))
        }
        unchecked {
            for (uint256 j; j < total; ++j) {
                if (j & 3 == 0) word = _refunds[session][j >> 2];
                while ((mask >> t) & 1 == 0) ++t;
                uint256 result = certificate[j];
                assembly ("memory-safe") {
                    let interval := add(first, mul(INTERVAL, j))
                    mstore(interval, shl(t, 1))
                    mstore(add(interval, 0x20), shl(5, div(t, 9)))
                    mstore(add(interval, 0x40), mul(26, mod(t, 9)))
                    mstore(add(interval, 0x60), shr(1, add(and(result, 0xffffffff), and(shr(32, result), 0xffffffff))))
                    mstore(add(interval, 0x80), and(shr(64, result), 0xffffffffff))
                    mstore(add(interval, 0xa0), and(shr(shl(6, and(j, 3)), word), 0xffffffffffffffff))
                }
                ++t;
            }
        }
    }

    function _hasFill(uint256[] calldata row) private pure returns (bool) {
        for (uint256 k = 1; k < row.length; ++k) if (row[k] != 0) return true;
        return false;
    }

    /// @dev Settles a seller's row; returns its move in the vault.
    function _seller(Context memory context, uint256[] calldata row, uint256[][] calldata batches, uint256[] calldata picks)
        private
        returns (uint256 move)
    {
        uint256 account = row[0] & type(uint32).max;
        Row memory result;
        result.lock = (row[0] >> 64) & type(uint96).max;
        uint256 deviations;
        (result.mask, deviations) = _recorded(context, account, batches, picks);
        uint256 interval = context.intervals;
        uint256 promised; // intervals of the day
        unchecked {
            for (uint256 k = 1; k < row.length; ++k) {
                uint256 from = interval;
                for (uint256 fills = row[k]; fills != 0; fills >>= 32) {
                    uint256 fill = fills & type(uint32).max;
                    if (fill != 0) {
                        assembly ("memory-safe") {
                            promised := or(promised, mload(from))
                        }
                        _earn(context, result, from, fill, deviations);
                    }
                    from += INTERVAL;
                }
                interval += 8 * INTERVAL;
            }
        }
        uint256 missing = promised & ~result.mask;
        if (missing != 0 && !context.afterDeadline) {
            revert SellerNotFinal(context.session, account, missing, context.terms.proofDeadline);
        }
        emit SellerSettled(context.session, account, result.earned, result.unpaid, result.penalty);
        return account | (result.lock << 64) | ((result.earned + result.lock - result.penalty) << 160);
    }

    /// @dev One interval of a seller: adds to the row, and to the interval's refund what the row leaves.
    /// @param interval memory pointer
    /// @param deviations memory pointer to the D words
    function _earn(Context memory context, Row memory result, uint256 interval, uint256 fill, uint256 deviations) private pure {
        unchecked {
            uint256 price;
            uint256 delivered;
            (uint256 sign, uint256 mask) = (context.sign, result.mask);
            assembly ("memory-safe") {
                price := mload(add(interval, 0x60))
                // the slot holds `baseline - metered + 2^25`; what counts is `s * (baseline - metered)`, at least 0, where it is recorded
                let slot := shr(mload(add(interval, 0x40)), mload(add(deviations, mload(add(interval, 0x20)))))
                delivered := mul(sign, sub(and(slot, 0x3ffffff), 0x2000000))
                delivered := mul(delivered, and(sgt(delivered, 0), iszero(iszero(and(mask, mload(interval))))))
            }
            (uint256 earned, uint256 unpaid, uint256 penalty) = RuleSet.interval(context.curves, fill, price, delivered);
            if (penalty != 0) {
                uint256 left = result.lock - result.penalty;
                if (penalty > left) penalty = left;
                result.penalty += penalty;
            }
            result.earned += earned;
            if (unpaid + penalty == 0) return;
            result.unpaid += unpaid;
            assembly ("memory-safe") {
                let refund := add(interval, 0xa0)
                mstore(refund, add(mload(refund), add(unpaid, penalty)))
            }
        }
    }

    /// @dev Joins the entries that the row's picks name. They are the account's, no two share an interval, and together they are all that is
    /// recorded for it: none can be left out and none used twice. Returns the recorded intervals and a memory pointer to D words.
    function _recorded(Context memory context, uint256 account, uint256[][] calldata batches, uint256[] calldata picks)
        private
        view
        returns (uint256 mask, uint256 deviations)
    {
        uint256 size = context.entryWords;
        assembly ("memory-safe") {
            deviations := mload(0x40)
            mstore(0x40, add(deviations, shl(5, size)))
            calldatacopy(deviations, calldatasize(), shl(5, size)) // zeros
        }
        uint256 used = context.used;
        uint256 supplied = 8 * picks.length;
        if (used >= supplied) revert PicksIncomplete(1, 0);
        uint256 number = _pick(picks, used++);
        if (number > supplied - used) revert PicksIncomplete(number, supplied - used);
        context.used = used + number;
        for (; used < context.used; ++used) {
            uint256 pick = _pick(picks, used);
            (uint256 batch, uint256 from) = (pick & type(uint16).max, (pick >> 16) * size);
            if (batch >= batches.length || from >= batches[batch].length) revert PickOutOfRange(batch, pick >> 16);
            uint256[] calldata entry = batches[batch][from:from + size];
            if (entry[0] & type(uint32).max != account) revert PickOfOtherAccount(entry[0] & type(uint32).max, account);
            uint256 own = entry[0] >> 64;
            if (own & mask != 0) revert PickOverlaps(account, own & mask);
            mask |= own;
            assembly ("memory-safe") {
                // zero outside the entry's mask, which is a part of the proven statement
                for { let i := 1 } lt(i, size) { i := add(i, 1) } {
                    let word := add(deviations, shl(5, sub(i, 1)))
                    mstore(word, or(mload(word), calldataload(add(entry.offset, shl(5, i)))))
                }
            }
        }
        uint256 known = context.deliveries.recordedOf(context.session, account);
        if (mask != known) revert RecordsLeftOut(context.session, account, known & ~mask);
    }

    function _pick(uint256[] calldata picks, uint256 i) private pure returns (uint256) {
        return (picks[i >> 3] >> (32 * (i & 7))) & type(uint32).max;
    }

    /// @dev Settles a buyer's row: its share of what sellers left, rounded down per interval.
    function _buyer(Context memory context, uint256[] calldata row) private returns (uint256 move) {
        uint256 account = row[0] & type(uint32).max;
        uint256 refund;
        uint256 interval = context.intervals;
        unchecked {
            for (uint256 k = 1; k < row.length; ++k) {
                uint256 from = interval;
                for (uint256 fills = row[k]; fills != 0; fills >>= 32) {
                    assembly ("memory-safe") {
                        // a fill of 0 has a share of 0, and division by a volume of 0 gives 0
                        refund := add(refund, div(mul(mload(add(from, 0xa0)), and(fills, 0xffffffff)), mload(add(from, 0x80))))
                    }
                    from += INTERVAL;
                }
                interval += 8 * INTERVAL;
            }
        }
        emit BuyerSettled(context.session, account, row[0] >> 160, refund);
        return account | (refund << 160);
    }

    function _storeRefunds(Context memory context) private {
        mapping(uint256 word => uint256) storage stored = _refunds[context.session];
        unchecked {
            for (uint256 j; j < context.number; j += 4) {
                uint256 word;
                for (uint256 k; k < 4 && j + k < context.number; ++k) {
                    uint256 interval = context.intervals + (j + k) * INTERVAL;
                    uint256 refund;
                    assembly ("memory-safe") {
                        refund := mload(add(interval, 0xa0))
                    }
                    word |= refund << (64 * k);
                }
                if (word != stored[j >> 2]) stored[j >> 2] = word;
            }
        }
    }
}
