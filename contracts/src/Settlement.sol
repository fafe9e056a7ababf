// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {OrderWords} from "./OrderWords.sol";
import {IMarket, IResults, IVault, Progress, Terms} from "./Protocol.sol";
import {RuleSet} from "./RuleSet.sol";
import {SellerRow} from "./SellerRow.sol";
import {SettlementRecords} from "./SettlementRecords.sol";
import {SettlementRows} from "./SettlementRows.sol";
import {SettlementTable} from "./SettlementTable.sol";

/// @title Settlement: pays sellers what they delivered, gives buyers back the rest
/// @notice docs/protocol.md section 10. Sellers' rows come first; what they leave unpaid and what they forfeit is kept per interval and
/// goes back to the buyers once no seller row is left. Here are storage, order and money; rows, records, intervals and what a seller earns
/// are in libraries of their own.
contract Settlement {
    using SettlementRecords for SettlementRecords.Records;
    using SettlementTable for SettlementTable.Table;
    using SellerRow for SellerRow.Seller;

    bytes32 private constant GUARDIAN_ROLE = keccak256("GUARDIAN");

    uint256 private constant PPM = 1_000_000;
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant M56 = type(uint56).max;
    uint256 private constant M64 = type(uint64).max;

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
    error RowsAlreadySettled(uint256 session, uint256 group, uint256 bits);
    error RowNotToSettle(uint256 session, uint256 group, uint256 row);
    error SellersFirst(uint256 session, uint256 sellersLeft);
    error SellerNotFinal(uint256 session, uint256 account, uint256 missing, uint256 proofDeadline);
    error ReserveNotFinal(uint256 session, uint256 account, uint256 deliveryEnd);

    /// @dev What all rows of one call share.
    struct Context {
        uint256 session;
        uint256 group; // the first
        uint256 sellersLeft;
        uint256 feePpm;
        uint256 fees;
        bool exemptions;
        uint256[] moves;
        uint256 nextMove; // memory pointer
        uint256 lastPaid; // memory pointer: the move of the payer who was paid last
        RuleSet.Curves curves;
        SettlementRecords.Records records;
        SettlementTable.Table table;
        IResults results;
        Terms terms;
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
        uint256[] memory places = SettlementRows.locate(context.results, session, group, context.terms.intervals, rows);
        if (which == 0 || (places.length < SettlementRows.MAX_ROWS && which >> places.length != 0)) {
            revert SettlementRows.RowOutOfRange(which, places.length);
        }
        context.records.open(session, context.terms, batches);
        _markSettled(session, group, which);
        bool buyers = context.sellersLeft == 0;
        uint256[] memory told =
            buyers ? _buyers(context, places, which, certificate) : _sellers(context, places, which, certificate, picks);
        context.records.requireUsed(picks);
        if (buyers) emit BuyersSettled(session, told);
        else emit SellersSettled(session, told);
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
        uint256[] memory places =
            SettlementRows.locate(market.resultsOf(terms.mode), session, group, terms.intervals, rows);
        if (row >= SettlementRows.GROUP_ROWS || row >= places.length) revert SettlementRows.RowOutOfRange(row, places.length);
        if (settled(session, group, row)) revert RowsAlreadySettled(session, group, 1 << row);
        uint256 header = SettlementRows.wordAt(places[row]);
        uint256 seen = SettlementRows.fills(places[row], (uint256(terms.intervals) + 7) / 8);
        if (!SettlementRows.sells(header, seen)) revert RowNotToSettle(session, group, row);
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
        if (!progress.cleared) revert NotCleared(session);
        if (progress.uncommitted != 0) revert GroupsUncommitted(session, progress.uncommitted);
        Terms memory terms = market.terms(session);
        context.results = market.resultsOf(terms.mode);
        if (OrderWords.hash(certificate) != context.results.certificateHash(session)) {
            revert SettlementRows.SuppliedDataMismatch(session, "certificate");
        }
        if (OrderWords.hash(rules) != terms.rulesHash) revert SettlementRows.SuppliedDataMismatch(session, "rules");
        (context.session, context.terms, context.sellersLeft) = (session, terms, progress.sellersLeft);
        context.feePpm = terms.feePpm;
        context.curves = RuleSet.load(rules);
        context.table.open(terms);
    }

    // -------------------------------------------------------------------------------------------------------------------- sellers

    function _sellers(
        Context memory context,
        uint256[] memory places,
        uint256 which,
        uint256[] calldata certificate,
        uint256[] calldata picks
    ) private returns (uint256[] memory told) {
        mapping(uint256 word => uint256) storage stored = _refunds[context.session];
        context.exemptions = stored[0] >> 224 != 0;
        context.table.forSellers(certificate, context.terms.mode);
        told = new uint256[](places.length);
        _makeMoves(context, 2 * places.length + 1);
        SellerRow.Seller memory row;
        uint256 count;
        unchecked {
            for (uint256 i; which >> i != 0; ++i) {
                if ((which >> i) & 1 == 0) continue;
                uint256 result = _seller(context, row, _lane(places, i), i, picks);
                assembly ("memory-safe") {
                    count := add(count, 1)
                    mstore(add(told, shl(5, count)), result)
                }
            }
        }
        assembly ("memory-safe") {
            mstore(told, count)
        }
        context.table.storeRefunds(stored);
        if (context.fees != 0) _move(context, context.terms.feeAccount | (context.fees << 96));
    }

    /// @dev One seller row, from its place to its moves.
    /// @param i its number in the call
    /// @return What SellersSettled tells of it.
    function _seller(Context memory context, SellerRow.Seller memory row, uint256 place, uint256 i, uint256[] calldata picks)
        private
        view
        returns (uint256)
    {
        if (place == 0) return 0; // not inlined, see SellerRow
        SettlementTable.Table memory table = context.table;
        uint256 header = SettlementRows.wordAt(place);
        uint256 seen = SettlementRows.fills(place, table.words);
        if (!SettlementRows.sells(header, seen)) {
            if (SettlementRows.buys(header, seen)) revert SellersFirst(context.session, context.sellersLeft);
            revert RowNotToSettle(context.session, context.group, i);
        }
        _begin(context, row, header, place);
        _deliver(context, row, picks);
        row.earn(table, context.curves, seen);
        return _pay(context, row, (header >> 32) & M32);
    }

    function _begin(Context memory context, SellerRow.Seller memory row, uint256 header, uint256 place) private view {
        (row.account, row.place) = (header & M32, place);
        unchecked {
            row.grossAt = header & SettlementRows.PRICED == 0 ? 0 : place + 32 + 32 * context.table.words;
        }
        row.lock = (header >> 64) & M64;
        row.left = row.lock;
        if (context.exemptions) row.exempted = context.table.bySession(exempted[context.session][row.account]);
        if (header & SettlementRows.RESERVE == 0) return;
        if (block.timestamp < context.terms.deliveryEnd) {
            revert ReserveNotFinal(context.session, row.account, context.terms.deliveryEnd);
        }
    }

    /// @dev Lays the row's records beside its fills; reverts where a proof may still come, for exempted intervals too: what is delivered in
    /// them is paid.
    function _deliver(Context memory context, SellerRow.Seller memory row, uint256[] calldata picks) private view {
        uint256 missing = context.table.mask & ~context.records.take(picks, row.account);
        context.table.align(context.records.deviations, missing);
        if (missing == 0 || block.timestamp > context.terms.proofDeadline) return;
        missing &= context.table.filled(row.place);
        if (missing != 0) revert SellerNotFinal(context.session, row.account, missing, context.terms.proofDeadline);
    }

    /// @dev The moves of a row: money to the payer, whose neighbouring rows share a move, the rating to the account.
    function _pay(Context memory context, SellerRow.Seller memory row, uint256 payer) private pure returns (uint256) {
        unchecked {
            (uint256 account, uint256 rating, uint256 earned) = (row.account, row.rating, row.earned);
            (uint256 lock, uint256 left, uint256 fee) = (row.lock, row.left, 0);
            if (context.feePpm != 0) {
                fee = earned * context.feePpm / PPM;
                context.fees += fee;
            }
            uint256 money = (lock << 32) | ((earned - fee + left) << 96);
            if (payer == account) {
                _move(context, payer | money | (rating << 160));
            } else {
                _pay(context, payer, money);
                if (rating != 0) _move(context, account | (rating << 160));
            }
            return account | (payer << 32) | (earned << 64) | (row.unpaid << 120) | ((lock - left) << 176) | (rating << 232);
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

    // --------------------------------------------------------------------------------------------------------------------- buyers

    function _buyers(Context memory context, uint256[] memory places, uint256 which, uint256[] calldata certificate)
        private
        view
        returns (uint256[] memory told)
    {
        SettlementTable.Table memory table = context.table;
        table.forBuyers(certificate, context.terms.mode, _refunds[context.session]);
        told = new uint256[](places.length);
        _makeMoves(context, places.length);
        uint256 count;
        unchecked {
            for (uint256 i; which >> i != 0; ++i) {
                if ((which >> i) & 1 == 0) continue;
                uint256 place = _lane(places, i);
                uint256 header = SettlementRows.wordAt(place);
                uint256 seen = SettlementRows.fills(place, table.words);
                if (!SettlementRows.buys(header, seen)) revert RowNotToSettle(context.session, context.group, i);
                uint256 refund = header & SettlementRows.PRICED == 0 ? table.share(place) : table.pricedShare(place);
                if (refund != 0) _move(context, ((header >> 32) & M32) | (refund << 96));
                assembly ("memory-safe") {
                    // account, payer and cost as they stand in the header
                    let result := or(and(header, 0xffffffffffffffff), shl(64, and(shr(128, header), 0xffffffffffffffff)))
                    result := or(result, shl(128, refund))
                    count := add(count, 1)
                    mstore(add(told, shl(5, count)), result)
                }
            }
        }
        assembly ("memory-safe") {
            mstore(told, count)
        }
    }

    // ---------------------------------------------------------------------------------------------------------------------- moves

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

    function _lane(uint256[] memory words, uint256 i) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(add(words, 0x20), shl(5, i)))
        }
    }
}
