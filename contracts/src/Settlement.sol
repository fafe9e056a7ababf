// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {OrderWords} from "./OrderWords.sol";
import {IDeliveries, IMarket, IResults, IVault, Mode, Progress, Terms} from "./Protocol.sol";
import {RuleSet} from "./RuleSet.sol";

/// @notice What settlement asks of Deliveries besides.
interface IRecords is IDeliveries {
    /// @return Intervals of the day that are recorded for accounts `word * (256 / T)` and following, T bits each.
    function recordedWord(uint256 session, uint256 word) external view returns (uint256);
}

/// @title Settlement: pays sellers what they delivered, gives buyers back the rest
/// @notice docs/protocol.md section 10. Sellers' rows come first; what they leave unpaid and what they forfeit is kept per interval and
/// goes back to the buyers once no seller row is left.
contract Settlement {
    bytes32 private constant GUARDIAN_ROLE = keccak256("GUARDIAN");

    uint256 private constant PPM = 1_000_000;
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant M56 = type(uint56).max;
    uint256 private constant M64 = type(uint64).max;
    uint256 private constant GROUP_ROWS = 16;
    uint256 private constant MAX_ROWS = 256;

    // Bits of a row's header: account:32 | payer:32 | lock:64 | cost:64 | side:1 | live:1 | priced:1 | reserve:1 | steps-1:2.
    uint256 private constant SIDE = 1 << 192;
    uint256 private constant LIVE = 1 << 193;
    uint256 private constant PRICED = 1 << 194;
    uint256 private constant RESERVE = 1 << 195;

    // A session's interval in memory: 32 bytes a field.
    uint256 private constant INTERVAL = 0x100;
    uint256 private constant WORD = 0x00; // pointer to its deviation word
    uint256 private constant SHIFT = 0x20; // to the left, which brings its slot to the top
    uint256 private constant PRICE = 0x40; // micro-euro per kWh
    uint256 private constant GROSS = 0x60; // of the row at hand, where it is priced
    uint256 private constant REFUND = 0x80; // sellers: what this call adds; buyers: all of it
    uint256 private constant BIT = 0xa0; // of the day
    uint256 private constant VOLUME = 0xc0; // Wh
    uint256 private constant BOUGHT = 0xe0; // buyers' gross, where rows are priced

    /// @dev A slot of 26 bits holds `baseline - metered + HALF`.
    uint256 private constant HALF = 1 << 25;
    uint256 private constant SLOT = (1 << 26) - 1;
    /// @dev Bits below a slot at the top of a word.
    uint256 private constant TOP = 230;
    /// @dev Bits of a word's eight fills that nobody can deliver.
    uint256 private constant HUGE = 0xfe000000fe000000fe000000fe000000fe000000fe000000fe000000fe000000;

    IMarket public immutable market;
    IVault public immutable vault;

    /// @dev Four intervals a word, 56 bits each, micro-euro: all money in the vault has 56 bits. Bit 224 of word 0: somebody is exempted.
    mapping(uint256 session => mapping(uint256 word => uint256)) private _refunds;
    /// @dev A bit per row of a group, 16 groups a word.
    mapping(uint256 session => mapping(uint256 word => uint256)) private _settled;
    /// @notice Intervals of the day that the guardian has exempted.
    mapping(uint256 session => mapping(uint256 account => uint256)) public exempted;

    /// @param rows `account:32 | payer:32 | earned:56 | unpaid:56 | penalty:56 | rating:16`
    event SellersSettled(uint256 indexed session, uint256[] rows);
    /// @param rows `account:32 | payer:32 | cost:64 | refund:64`
    event BuyersSettled(uint256 indexed session, uint256[] rows);
    event Exempted(uint256 indexed session, uint256 indexed account, uint256 intervals, string reason);

    error NotGuardian(address caller);
    error NotCleared(uint256 session);
    error ExemptionTooLate(uint256 session, uint256 deadline, uint256 timestamp);
    error ExemptionNotInSession(uint256 session, uint256 intervals, uint256 mask);
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
    error ReserveNotFinal(uint256 session, uint256 account, uint256 deliveryEnd);

    /// @dev What all rows of one call share.
    struct Context {
        uint256 session;
        uint256 group; // the first
        uint256 sellersLeft;
        uint256 fillWords;
        uint256 base; // a slot, for DOWN its complement, less this is what is delivered
        uint256 lanes; // accounts that share a word of recorded intervals
        uint256 table; // memory pointer to K intervals of INTERVAL bytes
        uint256 deviations; // memory pointer to D words
        uint256 dayWords; // D
        uint256 used; // picks, each 32 bits
        uint256 recordedAt; // which word of the recorded intervals is at hand
        uint256 recorded;
        uint256 fees;
        bool exemptions;
        IRecords deliveries;
        uint256[] batches; // calldata `offset:64 | bytes:64`
        uint256[] moves;
        uint256 nextMove; // memory pointer
        uint256 lastPaid; // memory pointer: the move of the payer who was paid last
        RuleSet.Curves curves;
        Terms terms;
    }

    /// @dev What one seller row comes to; the fields' order is relied on below.
    struct Row {
        uint256 account;
        uint256 left; // of the lock, after penalties
        uint256 exempted; // intervals of the day
        uint256 promised; // Wh that a rating is of
        uint256 short; // Wh of it that were not delivered
        uint256 earned;
        uint256 unpaid;
        uint256 lock;
        uint256 base; // the context's
        RuleSet.Curves curves;
        uint256 once; // 1 where the row has its own gross
    }

    constructor(IMarket market_, IVault vault_) {
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
        context.group = group;
        uint256[] memory places = _places(session, group, rows, context.terms);
        if (which == 0 || (places.length < MAX_ROWS && which >> places.length != 0)) revert RowOutOfRange(which, places.length);
        _requireProven(context, batches);
        _markSettled(session, group, which);
        bool buyers = context.sellersLeft == 0;
        uint256[] memory told = buyers ? _buyers(context, places, which) : _sellers(context, places, which, picks);
        _requireUsed(context.used, picks);
        if (buyers) {
            emit BuyersSettled(session, told);
        } else {
            _storeRefunds(context);
            if (context.fees != 0) _move(context, context.terms.feeAccount | (context.fees << 96));
            emit SellersSettled(session, told);
        }
        (uint256[] memory moves, uint256 end) = (context.moves, context.nextMove);
        assembly ("memory-safe") {
            mstore(moves, sub(shr(5, sub(end, moves)), 1))
        }
        vault.move(session, moves);
        market.rowsSettled(session, buyers ? 0 : told.length, buyers ? told.length : 0);
    }

    /// @notice Exempts intervals of one seller row from penalty and rating; by the guardian, before the exemption deadline and before the
    /// row is settled.
    /// @param group whose rows these are
    /// @param row of the group
    /// @param intervals bits of the day
    function exempt(
        uint256 session,
        uint256 group,
        uint256 row,
        uint256[] calldata rows,
        uint256 intervals,
        string calldata reason
    ) external {
        if (!IAccessControl(address(market)).hasRole(GUARDIAN_ROLE, msg.sender)) revert NotGuardian(msg.sender);
        Progress memory reached = market.progress(session);
        if (!reached.cleared || reached.underReview || reached.cancelled) revert NotCleared(session);
        Terms memory terms = market.terms(session);
        if (block.timestamp >= terms.exemptionDeadline) {
            revert ExemptionTooLate(session, terms.exemptionDeadline, block.timestamp);
        }
        if (intervals == 0 || intervals & ~uint256(terms.mask) != 0) revert ExemptionNotInSession(session, intervals, terms.mask);
        uint256[] memory places = _places(session, group, rows, terms);
        if (row >= GROUP_ROWS || row >= places.length) revert RowOutOfRange(row, places.length);
        if (settled(session, group, row)) revert RowsAlreadySettled(session, group, 1 << row);
        uint256 header = _word(places[row]);
        if (!_sells(places[row], header, (uint256(terms.intervals) + 7) / 8)) revert RowNotToSettle(session, group, row);
        exempted[session][header & M32] |= intervals;
        _refunds[session][0] |= 1 << 224;
        emit Exempted(session, header & M32, intervals, reason);
    }

    /// @return Whether the row's money has been settled here.
    function settled(uint256 session, uint256 group, uint256 row) public view returns (bool) {
        return (_settled[session][group >> 4] >> (16 * (group & 15) + row)) & 1 == 1;
    }

    /// @return Micro-euro that buyers of the session's interval `j` get back together.
    function refunds(uint256 session, uint256 j) external view returns (uint256) {
        return (_refunds[session][j >> 2] >> (56 * (j & 3))) & M56;
    }

    // ----------------------------------------------------------------------------------------------------------- what is supplied

    /// @dev Calldata offsets of the rows, which are those of groups `group` and following, or a revert.
    function _places(uint256 session, uint256 group, uint256[] calldata rows, Terms memory terms)
        private
        view
        returns (uint256[] memory places)
    {
        IResults results = market.resultsOf(terms.mode);
        places = new uint256[](MAX_ROWS);
        uint256 count;
        uint256 from; // words
        uint256 next;
        unchecked {
            uint256 fixedWords = 1 + (uint256(terms.intervals) + 7) / 8;
            uint256 four = (uint256(terms.intervals) + 3) / 4;
            do {
                for (uint256 end = count + GROUP_ROWS; count < end && next < rows.length; ++count) {
                    if (count == MAX_ROWS) revert RowOutOfRange(count, MAX_ROWS);
                    uint256 header;
                    assembly ("memory-safe") {
                        let place := add(rows.offset, shl(5, next))
                        mstore(add(add(places, 0x20), shl(5, count)), place)
                        header := calldataload(place)
                    }
                    next += fixedWords;
                    if (header & (PRICED | RESERVE) != 0) {
                        if (header & PRICED != 0) next += four;
                        if (header & (LIVE | RESERVE) == LIVE | RESERVE) next += (((header >> 196) & 3) + 1) * four;
                    }
                }
                if (next > rows.length || OrderWords.hash(rows[from:next]) != results.groupHash(session, group)) {
                    revert SuppliedDataMismatch(session, "rows");
                }
                (from, group) = (next, group + 1);
            } while (next < rows.length);
        }
        assembly ("memory-safe") {
            mstore(places, count)
        }
    }

    /// @dev Reverts unless every batch is one that was proven for the session.
    function _requireProven(Context memory context, uint256[][] calldata batches) private view {
        context.batches = new uint256[](batches.length);
        for (uint256 i; i < batches.length; ++i) {
            uint256[] calldata batch = batches[i];
            if (!context.deliveries.proven(context.session, OrderWords.hash(batch))) revert BatchNotProven(context.session, i);
            uint256 offset;
            assembly ("memory-safe") {
                offset := batch.offset
            }
            context.batches[i] = offset | (batch.length << 69);
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
        if (bits == 0) return;
        uint256 before = _settled[session][word];
        if (before & bits != 0) revert RowsAlreadySettled(session, group, before & bits);
        _settled[session][word] = before | bits;
    }

    function _context(uint256 session, uint256[] calldata certificate, uint256[] calldata rules)
        private
        view
        returns (Context memory context)
    {
        Progress memory progress = market.progress(session);
        if (!progress.cleared || progress.uncommitted != 0) revert GroupsUncommitted(session, progress.uncommitted);
        Terms memory terms = market.terms(session);
        if (OrderWords.hash(certificate) != market.resultsOf(terms.mode).certificateHash(session)) {
            revert SuppliedDataMismatch(session, "certificate");
        }
        if (OrderWords.hash(rules) != terms.rulesHash) revert SuppliedDataMismatch(session, "rules");
        context.session = session;
        context.terms = terms;
        context.sellersLeft = progress.sellersLeft;
        context.fillWords = (uint256(terms.intervals) + 7) / 8;
        context.dayWords = (uint256(terms.dayIntervals) + 8) / 9;
        context.deliveries = IRecords(terms.deliveries);
        context.base = terms.direction == 0 ? HALF : HALF - 1;
        context.lanes = 256 / uint256(terms.dayIntervals);
        context.curves = RuleSet.load(rules);
        context.recordedAt = type(uint256).max;
        _layOut(context, certificate);
    }

    /// @dev Lays out the session's intervals from mask, certificate and, for buyers, the refunds.
    function _layOut(Context memory context, uint256[] calldata certificate) private view {
        (uint256 mask, uint256 mode) = (context.terms.mask, context.terms.mode);
        bool priced = mode == uint256(Mode.Cooperative) || mode == uint256(Mode.Request);
        uint256 total = context.terms.intervals;
        (uint256 table, uint256 deviations, uint256 size) = (0, 0, 32 * context.dayWords);
        assembly ("memory-safe") {
            deviations := mload(0x40)
            table := add(deviations, size)
            // whole words of fills are looked at, so that there are intervals beyond the last one, all zero
            let bytes_ := mul(INTERVAL, and(add(total, 7), 0xf8))
            calldatacopy(table, calldatasize(), bytes_)
            mstore(0x40, add(table, bytes_))
        }
        (context.table, context.deviations) = (table, deviations);
        uint256 word = _refunds[context.session][0];
        context.exemptions = word >> 224 != 0;
        unchecked {
            uint256 t;
            for (uint256 j; j < total; ++j) {
                if (j != 0 && j & 3 == 0 && context.sellersLeft == 0) word = _refunds[context.session][j >> 2];
                while ((mask >> t) & 1 == 0) ++t;
                uint256 result = certificate[priced ? 2 * j : j];
                uint256 bought = priced ? certificate[2 * j + 1] : 0;
                uint256 refund = context.sellersLeft == 0 ? (word >> (56 * (j & 3))) & M56 : 0;
                uint256 price = priced ? 0 : ((result & M32) + ((result >> 32) & M32)) / 2;
                assembly ("memory-safe") {
                    mstore(add(table, WORD), add(deviations, shl(5, div(t, 9))))
                    mstore(add(table, SHIFT), sub(TOP, mul(26, mod(t, 9))))
                    mstore(add(table, PRICE), price)
                    mstore(add(table, REFUND), refund)
                    mstore(add(table, BIT), shl(t, 1))
                    mstore(add(table, VOLUME), and(shr(64, result), 0xffffffffff))
                    mstore(add(table, BOUGHT), and(bought, 0xffffffffffffffffffff))
                }
                table += INTERVAL;
                ++t;
            }
        }
    }

    // -------------------------------------------------------------------------------------------------------------------- sellers

    function _sellers(Context memory context, uint256[] memory places, uint256 which, uint256[] calldata picks)
        private
        view
        returns (uint256[] memory told)
    {
        told = new uint256[](places.length);
        _makeMoves(context, 2 * places.length + 1);
        Row memory row;
        uint256 count;
        unchecked {
            for (uint256 i; which >> i != 0; ++i) {
                if ((which >> i) & 1 == 0) continue;
                uint256 place = _lane(places, i);
                uint256 header = _word(place);
                if (!_sells(place, header, context.fillWords)) {
                    if (_buys(place, header, context.fillWords)) {
                        revert SellersFirst(context.session, context.sellersLeft);
                    }
                    revert RowNotToSettle(context.session, context.group, i);
                }
                _begin(context, row, header);
                _prove(context, row, place, picks);
                _earn(context, row, place, header);
                uint256 result = _pay(context, row, (header >> 32) & M32);
                assembly ("memory-safe") {
                    count := add(count, 1)
                    mstore(add(told, shl(5, count)), result)
                }
            }
        }
        assembly ("memory-safe") {
            mstore(told, count)
        }
    }

    function _makeMoves(Context memory context, uint256 most) private pure {
        uint256[] memory moves = new uint256[](most);
        uint256 next;
        assembly ("memory-safe") {
            next := add(moves, 0x20)
        }
        (context.moves, context.nextMove, context.lastPaid) = (moves, next, next);
    }

    function _move(Context memory context, uint256 word) private pure {
        uint256 next = context.nextMove;
        assembly ("memory-safe") {
            mstore(next, word)
        }
        unchecked {
            context.nextMove = next + 32;
        }
    }

    /// @dev Whether a row is a live offer with fills or a live reserve.
    function _sells(uint256 place, uint256 header, uint256 fillWords) private pure returns (bool) {
        if (header & (LIVE | SIDE) != LIVE | SIDE) return false;
        return header & RESERVE != 0 || _filled(place, fillWords);
    }

    /// @dev Whether a row is a live bid with fills, whatever they cost.
    function _buys(uint256 place, uint256 header, uint256 fillWords) private pure returns (bool) {
        return header & (LIVE | SIDE) == LIVE && _filled(place, fillWords);
    }

    /// @dev Whether a row has a fill in any interval.
    function _filled(uint256 place, uint256 fillWords) private pure returns (bool) {
        unchecked {
            for (uint256 k; k < fillWords; ++k) {
                place += 32;
                if (_word(place) != 0) return true;
            }
        }
        return false;
    }

    function _begin(Context memory context, Row memory row, uint256 header) private view {
        row.account = header & M32;
        row.lock = (header >> 64) & M64;
        row.left = row.lock;
        (row.short, row.earned, row.unpaid) = (0, 0, 0);
        if (context.exemptions) row.exempted = exempted[context.session][row.account];
        if (header & RESERVE == 0) return;
        if (block.timestamp < context.terms.deliveryEnd) {
            revert ReserveNotFinal(context.session, row.account, context.terms.deliveryEnd);
        }
    }

    /// @dev Joins the entries that the row's picks name. They are the account's, no two share an interval, and together they are all that is
    /// recorded for it: none can be left out and none used twice.
    function _prove(Context memory context, Row memory row, uint256 place, uint256[] calldata picks) private view {
        unchecked {
            (uint256 used, uint256 supplied) = (context.used, 8 * picks.length);
            if (used >= supplied) revert PicksIncomplete(1, 0);
            uint256 number = _pick(picks, used++);
            if (number > supplied - used) revert PicksIncomplete(number, supplied - used);
            number += used;
            uint256 mask;
            uint256 deviations = context.deviations;
            uint256 size = 32 * context.dayWords;
            if (number == used) _clear(deviations, size);
            for (; used < number; ++used) {
                (uint256 head, uint256 entry) = _entry(context, _pick(picks, used), size);
                if (head & M32 != row.account) revert PickOfOtherAccount(head & M32, row.account);
                head >>= 64;
                if (head & mask != 0) revert PickOverlaps(row.account, head & mask);
                assembly ("memory-safe") {
                    switch mask
                    case 0 { calldatacopy(deviations, entry, size) }
                    default {
                        // zero outside the entry's mask, which is a part of the proven statement
                        for { let i := 0 } lt(i, size) { i := add(i, 0x20) } {
                            let word := add(deviations, i)
                            mstore(word, or(mload(word), calldataload(add(entry, i))))
                        }
                    }
                }
                mask |= head;
            }
            context.used = used;
            if (context.base != HALF) _complement(deviations, size);
            uint256 known = _recordedOf(context, row.account);
            if (mask != known) revert RecordsLeftOut(context.session, row.account, known & ~mask);
            mask = context.terms.mask & ~mask;
            if (mask == 0) return;
            _unrecorded(context, row, place, mask);
        }
    }

    /// @return head the picked entry's first word
    /// @return entry calldata offset of its deviations
    function _entry(Context memory context, uint256 pick, uint256 size) private pure returns (uint256 head, uint256 entry) {
        unchecked {
            uint256 batch = pick & type(uint16).max;
            uint256 from = (pick >> 16) * (size + 32);
            if (batch >= context.batches.length || from >= context.batches[batch] >> 64) revert PickOutOfRange(batch, pick >> 16);
            entry = (context.batches[batch] & M64) + from;
            head = _word(entry);
            entry += 32;
        }
    }

    /// @dev Intervals that are recorded for the account; neighbours share an answer.
    function _recordedOf(Context memory context, uint256 account) private view returns (uint256) {
        unchecked {
            uint256 perDay = context.terms.dayIntervals;
            (uint256 lanes, uint256 word, uint256 shift) = (context.lanes, 0, 0);
            assembly ("memory-safe") {
                word := div(account, lanes)
                shift := mul(mod(account, lanes), perDay)
            }
            if (word != context.recordedAt) {
                context.recordedAt = word;
                context.recorded = context.deliveries.recordedWord(context.session, word);
            }
            return (context.recorded >> shift) & ((1 << perDay) - 1);
        }
    }

    /// @dev Puts a delivery of 0 where nothing is recorded; reverts where a proof may still come.
    function _unrecorded(Context memory context, Row memory row, uint256 place, uint256 missing) private view {
        unchecked {
            (uint256 interval, uint256 base) = (context.table, context.base);
            uint256 unproven;
            for (uint256 j; j < context.terms.intervals; ++j) {
                uint256 bit;
                assembly ("memory-safe") {
                    bit := and(missing, mload(add(interval, BIT)))
                    if bit {
                        let word := mload(interval)
                        let shift := sub(TOP, mload(add(interval, SHIFT)))
                        mstore(word, or(and(mload(word), not(shl(shift, SLOT))), shl(shift, base)))
                    }
                }
                if (bit != 0 && (_word(place + 32 + 32 * (j >> 3)) >> (32 * (j & 7))) & M32 != 0) unproven |= bit;
                interval += INTERVAL;
            }
            unproven &= ~row.exempted;
            if (unproven != 0 && block.timestamp <= context.terms.proofDeadline) {
                revert SellerNotFinal(context.session, row.account, unproven, context.terms.proofDeadline);
            }
        }
    }

    function _clear(uint256 memory_, uint256 size) private pure {
        assembly ("memory-safe") {
            calldatacopy(memory_, calldatasize(), size)
        }
    }

    /// @dev Turns the sign of all deviations: of a slot's complement the base is one less.
    function _complement(uint256 words, uint256 size) private pure {
        assembly ("memory-safe") {
            for { let end := add(words, size) } lt(words, end) { words := add(words, 0x20) } { mstore(words, not(mload(words))) }
        }
    }

    /// @dev All intervals of a seller. Who delivers at least its fill under plain curves earns its gross, which is most of what there is to
    /// settle; `_fall` has the rest.
    function _earn(Context memory context, Row memory row, uint256 place, uint256 header) private pure {
        unchecked {
            uint256 words = context.fillWords;
            uint256 seen;
            uint256 promised;
            for (uint256 k = 1; k <= words; ++k) {
                uint256 fills = _word(place + 32 * k);
                seen |= fills;
                promised += _sum(fills);
            }
            row.promised = promised;
            uint256 behind = type(uint256).max; // a bit per interval, the last one lowest
            if (header & PRICED != 0) _spread(context, place);
            else if (context.curves.plain && row.exempted == 0 && seen & HUGE == 0) {
                (row.earned, behind) = _inFull(context.table, context.base, place, words);
            }
            if (behind == 0) return;
            (row.once, row.base, row.curves) = ((header >> 194) & 1, context.base, context.curves);
            _earnRest(row, context.table, place, behind << (256 - 8 * words));
        }
    }

    /// @dev The intervals of a row that have a bit in `behind`, from the highest bit on, by the curves.
    function _earnRest(Row memory row, uint256 interval, uint256 place, uint256 behind) private pure {
        if (behind == 0) return; // not inlined, see _inFull
        unchecked {
            uint256 fills;
            for (uint256 j; behind != 0; ++j) {
                if (j & 7 == 0) {
                    place += 32;
                    fills = _word(place);
                }
                if (behind >> 255 == 1) _fall(row, interval, fills & M32);
                fills >>= 32;
                behind <<= 1;
                interval += INTERVAL;
            }
        }
    }

    /// @dev Intervals of a row where no less than the fill is delivered, eight a turn: what they earn together, and which the others are.
    function _inFull(uint256 interval, uint256 base, uint256 place, uint256 words)
        private
        pure
        returns (uint256 earned, uint256 behind)
    {
        if (words == 0) return (0, 0); // not inlined, see RuleSet.interval
        assembly ("memory-safe") {
            for { let end := add(place, shl(5, words)) } lt(place, end) {} {
                place := add(place, 0x20)
                let fills := calldataload(place)
                for { let half := add(interval, 0x400) } 1 {} {
                    // the slot at the top of a word is less than what it takes, whatever is below it
                    let fill := and(fills, 0xffffffff)
                    let less := lt(shl(mload(add(interval, 0x20)), mload(mload(interval))), shl(TOP, add(fill, base)))
                    earned := add(earned, mul(iszero(less), div(mul(fill, mload(add(interval, 0x40))), 1000)))
                    behind := or(shl(1, behind), less)
                    fill := and(shr(32, fills), 0xffffffff)
                    less := lt(shl(mload(add(interval, 0x120)), mload(mload(add(interval, 0x100)))), shl(TOP, add(fill, base)))
                    earned := add(earned, mul(iszero(less), div(mul(fill, mload(add(interval, 0x140))), 1000)))
                    behind := or(shl(1, behind), less)
                    fill := and(shr(64, fills), 0xffffffff)
                    less := lt(shl(mload(add(interval, 0x220)), mload(mload(add(interval, 0x200)))), shl(TOP, add(fill, base)))
                    earned := add(earned, mul(iszero(less), div(mul(fill, mload(add(interval, 0x240))), 1000)))
                    behind := or(shl(1, behind), less)
                    fill := and(shr(96, fills), 0xffffffff)
                    less := lt(shl(mload(add(interval, 0x320)), mload(mload(add(interval, 0x300)))), shl(TOP, add(fill, base)))
                    earned := add(earned, mul(iszero(less), div(mul(fill, mload(add(interval, 0x340))), 1000)))
                    behind := or(shl(1, behind), less)
                    fills := shr(128, fills)
                    interval := add(interval, 0x400)
                    if gt(interval, half) { break }
                }
            }
        }
    }

    /// @dev Sum of a word's eight fills.
    function _sum(uint256 fills) private pure returns (uint256 sum) {
        assembly ("memory-safe") {
            let low := 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff
            // four lanes of 64 bits, whose sum is what is left modulo 2^64 - 1
            sum := mod(add(and(fills, low), and(shr(32, fills), low)), 0xffffffffffffffff)
        }
    }

    /// @dev Lays a priced row's gross beside the intervals.
    function _spread(Context memory context, uint256 place) private pure {
        (uint256 interval, uint256 number) = (context.table, context.terms.intervals);
        unchecked {
            place += 32 * (1 + context.fillWords);
            uint256 word;
            for (uint256 j; j < number; ++j) {
                if (j & 3 == 0) {
                    word = _word(place);
                    place += 32;
                }
                assembly ("memory-safe") {
                    mstore(add(interval, GROSS), and(word, 0xffffffffffffffff))
                }
                word >>= 64;
                interval += INTERVAL;
            }
        }
    }

    function _fall(Row memory row, uint256 interval, uint256 fill) private pure {
        if (fill == 0) return; // not inlined, see _inFull
        (uint256 delivered, uint256 gross) = (0, 0);
        assembly ("memory-safe") {
            delivered := sub(shr(TOP, shl(mload(add(interval, SHIFT)), mload(mload(interval)))), mload(add(row, 0x100)))
            delivered := mul(delivered, iszero(shr(255, delivered)))
            switch mload(add(row, 0x140))
            case 0 { gross := mul(fill, mload(add(interval, PRICE))) }
            default { gross := mload(add(interval, GROSS)) }
        }
        (uint256 earned, uint256 unpaid, uint256 penalty) = RuleSet.interval(row.curves, fill, gross, delivered);
        assembly ("memory-safe") {
            // the row: account, lock that is left, exempted, promised, short, earned, unpaid
            switch and(mload(add(row, 0x40)), mload(add(interval, BIT)))
            case 0 {
                let left := mload(add(row, 0x20))
                if gt(penalty, left) { penalty := left }
                if penalty { mstore(add(row, 0x20), sub(left, penalty)) }
                if lt(delivered, fill) { mstore(add(row, 0x80), add(mload(add(row, 0x80)), sub(fill, delivered))) }
            }
            default {
                penalty := 0
                mstore(add(row, 0x60), sub(mload(add(row, 0x60)), fill))
            }
            if earned { mstore(add(row, 0xa0), add(mload(add(row, 0xa0)), earned)) }
            let refund := add(unpaid, penalty)
            if refund {
                mstore(add(row, 0xc0), add(mload(add(row, 0xc0)), unpaid))
                mstore(add(interval, REFUND), add(mload(add(interval, REFUND)), refund))
            }
        }
    }

    /// @dev The moves of a row: money to the payer, whose neighbouring rows share a move, the rating to the account.
    function _pay(Context memory context, Row memory row, uint256 payer) private pure returns (uint256) {
        unchecked {
            uint256 rating = row.promised == 0 ? 0 : 1 + 10_000 * (row.promised - row.short) / row.promised;
            uint256 fee = row.earned * context.terms.feePpm / PPM;
            context.fees += fee;
            uint256 money = (row.lock << 32) | ((row.earned - fee + row.left) << 96);
            if (payer == row.account) {
                _move(context, payer | money | (rating << 160));
            } else {
                _pay(context, payer, money);
                if (rating != 0) _move(context, row.account | (rating << 160));
            }
            money = (row.earned << 64) | (row.unpaid << 120) | ((row.lock - row.left) << 176);
            return row.account | (payer << 32) | money | (rating << 232);
        }
    }

    /// @dev Adds to the move of the payer that was paid last, or makes one.
    function _pay(Context memory context, uint256 payer, uint256 money) private pure {
        uint256 last = context.lastPaid;
        uint256 before;
        assembly ("memory-safe") {
            before := mload(last)
        }
        if (before & M32 == payer) {
            assembly ("memory-safe") {
                mstore(last, add(before, money))
            }
        } else {
            context.lastPaid = context.nextMove;
            _move(context, payer | money);
        }
    }

    function _storeRefunds(Context memory context) private {
        mapping(uint256 word => uint256) storage stored = _refunds[context.session];
        (uint256 interval, uint256 number) = (context.table, context.terms.intervals);
        unchecked {
            uint256 word;
            for (uint256 j; j < number; ++j) {
                uint256 refund;
                assembly ("memory-safe") {
                    refund := mload(add(interval, REFUND))
                }
                word |= refund << (56 * (j & 3));
                if (word != 0 && (j & 3 == 3 || j == number - 1)) {
                    stored[j >> 2] += word;
                    word = 0;
                }
                interval += INTERVAL;
            }
        }
    }

    // --------------------------------------------------------------------------------------------------------------------- buyers

    function _buyers(Context memory context, uint256[] memory places, uint256 which) private pure returns (uint256[] memory told) {
        told = new uint256[](places.length);
        _makeMoves(context, places.length);
        uint256 count;
        unchecked {
            for (uint256 i; i < places.length; ++i) {
                if ((which >> i) & 1 == 0) continue;
                uint256 header = _word(places[i]);
                uint256 cost = (header >> 128) & M64;
                if (!_buys(places[i], header, context.fillWords)) revert RowNotToSettle(context.session, context.group, i);
                uint256 refund = header & PRICED == 0 ? _share(context, places[i]) : _pricedShare(context, places[i]);
                uint256 payer = (header >> 32) & M32;
                if (refund != 0) _move(context, payer | (refund << 96));
                told[count++] = (header & M32) | (payer << 32) | (cost << 64) | (refund << 128);
            }
        }
        assembly ("memory-safe") {
            mstore(told, count)
        }
    }

    /// @dev A buyer's share of what sellers left, by its fills, rounded down per interval.
    function _share(Context memory context, uint256 place) private pure returns (uint256 refund) {
        unchecked {
            uint256 interval = context.table;
            for (uint256 end = place + 32 * context.fillWords; place < end;) {
                place += 32;
                uint256 here = interval;
                for (uint256 fills = _word(place); fills != 0; fills >>= 32) {
                    assembly ("memory-safe") {
                        // a fill of 0 has a share of 0, and division by a volume of 0 gives 0
                        refund := add(refund, div(mul(mload(add(here, REFUND)), and(fills, 0xffffffff)), mload(add(here, VOLUME))))
                    }
                    here += INTERVAL;
                }
                interval += 8 * INTERVAL;
            }
        }
    }

    /// @dev Likewise by what it pays, in sessions where every row has its own prices; by its fills where no buyer pays anything.
    function _pricedShare(Context memory context, uint256 place) private pure returns (uint256 refund) {
        _spread(context, place);
        (uint256 here, uint256 number) = (context.table, context.terms.intervals);
        unchecked {
            uint256 fills;
            for (uint256 j; j < number; ++j) {
                if (j & 7 == 0) {
                    place += 32;
                    fills = _word(place);
                }
                assembly ("memory-safe") {
                    let part := mload(add(here, GROSS))
                    let all := mload(add(here, BOUGHT))
                    if iszero(all) {
                        part := and(fills, 0xffffffff)
                        all := mload(add(here, VOLUME))
                    }
                    refund := add(refund, div(mul(mload(add(here, REFUND)), part), all))
                }
                fills >>= 32;
                here += INTERVAL;
            }
        }
    }

    // -------------------------------------------------------------------------------------------------------------------- calldata

    function _lane(uint256[] memory words, uint256 i) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(words, 0x20), shl(5, i)))
        }
    }

    function _word(uint256 place) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(place)
        }
    }

    function _pick(uint256[] calldata picks, uint256 i) private pure returns (uint256 pick) {
        assembly ("memory-safe") {
            pick := and(shr(shl(5, and(i, 7)), calldataload(add(picks.offset, shl(5, shr(3, i))))), 0xffffffff)
        }
    }
}
