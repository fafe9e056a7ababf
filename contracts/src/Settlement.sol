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
    error RowAlreadySettled(uint256 session, uint256 group, uint256 row);
    error RowNotToSettle(uint256 session, uint256 group, uint256 row);
    error SellersFirst(uint256 session, uint256 sellersLeft);
    error RecordsIncomplete(uint256 needed, uint256 supplied);
    error RecordsLeftOver(uint256 used, uint256 supplied);
    error RecordMismatch(uint256 session, uint256 account);
    error SellerNotFinal(uint256 session, uint256 account, uint256 missing, uint256 proofDeadline);

    /// @dev What all rows of one call share.
    struct Context {
        uint256 session;
        uint256 sellersLeft;
        uint256 rowSize;
        uint256 deviationWords;
        bool afterDeadline;
        uint256[] intervals; // per j: t, the interval of the day
        uint256[] prices; // per j
        uint256[] volumes; // per j
        uint256[] refunds; // per j
        RuleSet.Curves curves;
        Terms terms;
    }

    /// @dev What one seller row comes to.
    struct Row {
        uint256 lock;
        uint256 mask; // intervals of the day that are recorded
        uint256 missing; // intervals with a fill and without a record
        uint256 earned;
        uint256 unpaid;
        uint256 penalty;
    }

    constructor(FlexMarket market_, Vault vault_) {
        market = market_;
        vault = vault_;
    }

    /// @notice Settles chosen rows of one group; by anyone.
    /// @param which a bit per row
    /// @param rows the group's result rows
    /// @param certificate the session's certificate
    /// @param rules the session's rule set
    /// @param records per chosen seller row, in turn: the number of records, then each as `mask` and its D deviation words
    function settle(
        uint256 session,
        uint256 group,
        uint256 which,
        uint256[] calldata rows,
        uint256[] calldata certificate,
        uint256[] calldata rules,
        uint256[] calldata records
    ) external {
        Context memory context = _context(session, certificate, rules);
        if (OrderWords.hash(rows) != market.groupHash(session, group)) revert SuppliedDataMismatch(session, "rows");
        uint256 number = rows.length / context.rowSize;
        if (which >> number != 0) revert RowOutOfRange(which, number);
        _markSettled(session, group, which);
        uint256[] memory moves = new uint256[](number);
        uint256 moved;
        uint256 sellers;
        uint256 used;
        for (uint256 i; which >> i != 0; ++i) {
            if ((which >> i) & 1 == 0) continue;
            uint256[] calldata row = rows[i * context.rowSize:(i + 1) * context.rowSize];
            if ((row[0] >> 33) & 1 == 0) revert RowNotToSettle(session, group, i);
            if ((row[0] >> 32) & 1 == 1) {
                if (!_hasFill(row)) revert RowNotToSettle(session, group, i);
                (moves[moved++], used) = _seller(context, row, records, used);
                ++sellers;
            } else {
                if (context.sellersLeft != 0) revert SellersFirst(session, context.sellersLeft);
                if (row[0] >> 160 == 0) revert RowNotToSettle(session, group, i);
                moves[moved++] = _buyer(context, row);
            }
        }
        if (used != records.length) revert RecordsLeftOver(used, records.length);
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

    function _markSettled(uint256 session, uint256 group, uint256 which) private {
        uint256 before = _settled[session][group >> 4];
        uint256 bits = which << (16 * (group & 15));
        if (before & bits != 0) {
            uint256 row;
            while (((before & bits) >> (16 * (group & 15) + row)) & 1 == 0) ++row;
            revert RowAlreadySettled(session, group, row);
        }
        _settled[session][group >> 4] = before | bits;
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
        uint256 number = terms.intervals;
        context.session = session;
        context.terms = terms;
        context.sellersLeft = progress.sellersLeft;
        context.rowSize = 1 + (number + 7) / 8;
        context.deviationWords = (uint256(terms.dayIntervals) + 8) / 9;
        context.afterDeadline = block.timestamp > terms.proofDeadline;
        context.curves = RuleSet.load(rules);
        context.intervals = new uint256[](number);
        context.prices = new uint256[](number);
        context.volumes = new uint256[](number);
        context.refunds = new uint256[](number);
        uint256 t;
        for (uint256 j; j < number; ++j) {
            while ((terms.mask >> t) & 1 == 0) ++t;
            context.intervals[j] = t++;
            uint256 word = certificate[j];
            context.prices[j] = ((word & type(uint32).max) + ((word >> 32) & type(uint32).max)) / 2;
            context.volumes[j] = (word >> 64) & type(uint40).max;
            context.refunds[j] = (_refunds[session][j >> 2] >> (64 * (j & 3))) & type(uint64).max;
        }
    }

    function _hasFill(uint256[] calldata row) private pure returns (bool) {
        for (uint256 k = 1; k < row.length; ++k) if (row[k] != 0) return true;
        return false;
    }

    /// @dev Settles a seller's row; returns its move in the vault and how many words of `records` are used.
    function _seller(Context memory context, uint256[] calldata row, uint256[] calldata records, uint256 used)
        private
        returns (uint256 move, uint256)
    {
        uint256 account = row[0] & type(uint32).max;
        Row memory result;
        result.lock = (row[0] >> 64) & type(uint96).max;
        uint256[] memory deviations;
        (result.mask, deviations, used) = _recorded(context, account, records, used);
        _earn(context, row, deviations, result);
        if (result.missing != 0 && !context.afterDeadline) {
            revert SellerNotFinal(context.session, account, result.missing, context.terms.proofDeadline);
        }
        emit SellerSettled(context.session, account, result.earned, result.unpaid, result.penalty);
        return (account | (result.lock << 64) | ((result.earned + result.lock - result.penalty) << 160), used);
    }

    /// @dev Runs over the intervals of a seller's row and adds what it leaves to the refunds.
    function _earn(Context memory context, uint256[] calldata row, uint256[] memory deviations, Row memory result) private pure {
        bool up = context.terms.direction == 0;
        for (uint256 j; j < context.prices.length; ++j) {
            uint256 fill = (row[1 + (j >> 3)] >> (32 * (j & 7))) & type(uint32).max;
            if (fill == 0) continue;
            uint256 t = context.intervals[j];
            uint256 delivered;
            if ((result.mask >> t) & 1 == 0) {
                result.missing |= 1 << t;
            } else {
                delivered = _delivered(deviations, t, up);
            }
            (uint256 earned, uint256 unpaid, uint256 penalty) = RuleSet.interval(context.curves, fill, context.prices[j], delivered);
            if (penalty > result.lock - result.penalty) penalty = result.lock - result.penalty;
            result.earned += earned;
            result.unpaid += unpaid;
            result.penalty += penalty;
            context.refunds[j] += unpaid + penalty;
        }
    }

    /// @dev `s * (baseline - metered)` of interval t, at least 0, from the 26-bit slot `deviation + 2^25`.
    function _delivered(uint256[] memory deviations, uint256 t, bool up) private pure returns (uint256) {
        unchecked {
            uint256 slot = (deviations[t / 9] >> (26 * (t % 9))) & 0x3ffffff;
            if (up) return slot > 1 << 25 ? slot - (1 << 25) : 0;
            return slot < 1 << 25 ? (1 << 25) - slot : 0;
        }
    }

    /// @dev Holds the supplied records against the stored hash and joins them. Returns the recorded intervals and D deviation words.
    function _recorded(Context memory context, uint256 account, uint256[] calldata records, uint256 used)
        private
        view
        returns (uint256 mask, uint256[] memory deviations, uint256)
    {
        (uint256 recordedMask, uint256 recordedHash) = Deliveries(context.terms.deliveries).record(context.session, account);
        if (used >= records.length) revert RecordsIncomplete(used + 1, records.length);
        uint256 number = records[used++];
        uint256 size = 1 + context.deviationWords;
        if (number > (records.length - used) / size) revert RecordsIncomplete(used + number * size, records.length);
        deviations = new uint256[](context.deviationWords);
        uint256 hash;
        for (uint256 i; i < number; ++i) {
            uint256[] calldata one = records[used:used + size];
            hash = uint256(keccak256(abi.encodePacked(hash, one))) & type(uint160).max;
            mask |= one[0];
            _join(deviations, one, context.terms.dayIntervals);
            used += size;
        }
        if (hash != recordedHash || mask != recordedMask) revert RecordMismatch(context.session, account);
        return (mask, deviations, used);
    }

    /// @dev Copies the slots of a record's intervals; records of one account never share an interval.
    function _join(uint256[] memory deviations, uint256[] calldata one, uint256 dayIntervals) private pure {
        unchecked {
            uint256 mask = one[0];
            for (uint256 t; t < dayIntervals; ++t) {
                if ((mask >> t) & 1 == 0) continue;
                uint256 slot = uint256(0x3ffffff) << (26 * (t % 9));
                deviations[t / 9] |= one[1 + t / 9] & slot;
            }
        }
    }

    /// @dev Settles a buyer's row: its share of what sellers left, rounded down per interval.
    function _buyer(Context memory context, uint256[] calldata row) private returns (uint256 move) {
        uint256 account = row[0] & type(uint32).max;
        uint256 refund;
        for (uint256 j; j < context.volumes.length; ++j) {
            uint256 fill = (row[1 + (j >> 3)] >> (32 * (j & 7))) & type(uint32).max;
            if (fill != 0) refund += (context.refunds[j] * fill) / context.volumes[j];
        }
        emit BuyerSettled(context.session, account, row[0] >> 160, refund);
        return account | (refund << 160);
    }

    function _storeRefunds(Context memory context) private {
        uint256[] memory totals = context.refunds;
        for (uint256 j; j < totals.length; j += 4) {
            uint256 word;
            for (uint256 k; k < 4 && j + k < totals.length; ++k) word |= totals[j + k] << (64 * k);
            if (word != _refunds[context.session][j >> 2]) _refunds[context.session][j >> 2] = word;
        }
    }
}
