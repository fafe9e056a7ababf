// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {OrderWords} from "./OrderWords.sol";
import {IAccounts, IDeliveries, IMarket, IResults, IVault, Mode, Progress, Terms} from "./Protocol.sol";
import {RuleSet} from "./RuleSet.sol";

/// @notice What replacement asks of FlexMarket besides.
interface IAuctions {
    /// @return Bits of the day's intervals that sessions of the zone hold under auction.
    function auctioned(uint256 zone, uint256 day) external view returns (uint256);
}

/// @notice What replacement asks of Settlement.
interface ISettled {
    function settled(uint256 session, uint256 group, uint256 row) external view returns (bool);
    function exempted(uint256 session, uint256 account) external view returns (uint256);
}

/// @title Replacement: a reserve takes over intervals of a member that fails
/// @notice docs/protocol.md section 14. With the member's consent, or where its proven deliveries show that it fails; only intervals that
/// have not begun. What the reserve costs more is the failing member's; buyers notice nothing.
contract Replacement is EIP712 {
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant M64 = type(uint64).max;
    uint256 private constant GROUP_ROWS = 16;

    // Bits of a row's header: account:32 | payer:32 | lock:64 | cost:64 | side:1 | live:1 | priced:1 | reserve:1 | steps-1:2.
    uint256 private constant LIVE = 1 << 193;
    uint256 private constant OFFER = LIVE | (1 << 192);
    uint256 private constant PRICED = 1 << 194;
    uint256 private constant RESERVE = 1 << 195;

    bytes32 public constant CONSENT_TYPEHASH = keccak256(
        "ReplacementConsent(uint256 session,uint256 account,uint256 reserve,uint256 intervals,uint256 most,uint256 nonce,uint256 deadline)"
    );

    /// @notice A row of a group, with all the group's rows.
    struct Place {
        uint256 group;
        uint256 row;
        uint256[] rows;
    }

    /// @notice Which intervals go from one row to the other.
    struct Change {
        uint256 session;
        uint256 intervals; // bits of the day
        Place failing;
        Place reserve; // in the failing row's group: no rows
        uint256[] certificate;
        uint256[] rules;
    }

    /// @notice The failing member's, or its delegate's, word for it.
    struct Consent {
        address signer;
        uint256 most; // micro-euro that it may cost the member beyond what it passes on
        uint256 nonce;
        uint256 deadline;
        bytes signature;
    }

    /// @dev What a change is about, and what it comes to.
    struct Work {
        Terms terms;
        IResults results;
        uint256[] failingRows;
        uint256[] reserveRows;
        uint256 failing; // word of the row in failingRows
        uint256 reserve; // word of the row in reserveRows
        bool together; // both rows in one group
        uint256 taken; // intervals of the day
        uint256 moved; // Wh
        bool eventDay;
        uint256 extra; // micro-euro
        uint256 limit; // ppm of the part that is passed on, that it may cost beyond
    }

    IMarket public immutable market;
    IAccounts public immutable accounts;
    IVault public immutable vault;
    ISettled public immutable settlement;

    /// @notice Whether the signer has used the nonce.
    mapping(address signer => mapping(uint256 nonce => bool)) public used;

    event ConsentVoided(address indexed signer, uint256 nonce);
    event Replaced(
        uint256 indexed session, uint256 indexed account, uint256 indexed reserve, uint256 intervals, uint256 extra, bool consented
    );

    error NotReplaceable(uint256 session);
    error SuppliedDataMismatch(uint256 session, string what);
    error RowOutOfRange(uint256 which, uint256 rows);
    error SameRow(uint256 account);
    error NotASeller(uint256 account);
    error NotAReserve(uint256 account);
    error RowSettled(uint256 session, uint256 group, uint256 row);
    error IntervalsRefused(uint256 session, uint256 intervals, uint256 mask);
    error IntervalBegun(uint256 session, uint256 interval, uint256 start);
    error IntervalsUnderAuction(uint256 zone, uint256 day, uint256 intervals);
    error NothingToReplace(uint256 account, uint256 interval);
    error NothingOffered(uint256 reserve, uint256 interval);
    error ReserveTaken(uint256 reserve, uint256 interval);
    error ReserveHasSold(uint256 reserve, uint256 intervals);
    error TooDear(uint256 session, uint256 interval, uint256 extra, uint256 most);
    error ExtraAboveLock(uint256 account, uint256 extra, uint256 lock);
    error ExtraAboveConsent(uint256 extra, uint256 most);
    error ConsentExpired(uint256 deadline, uint256 timestamp);
    error NonceUsed(address signer, uint256 nonce);
    error ConsentNotSigned(address signer);
    error NotAllowed(uint256 account, address signer);
    error ReplacementNotForced(uint256 session);
    error BatchNotProven(uint256 session, uint256 batch);
    error PickOutOfRange(uint256 batch, uint256 entry);
    error PickOfOtherAccount(uint256 account, uint256 expected);
    error PickOverlaps(uint256 account, uint256 intervals);
    error TooFewFailures(uint256 account, uint256 failures, uint256 needed);

    constructor(IMarket market_, IAccounts accounts_, IVault vault_, ISettled settlement_) EIP712("Wattproof", "1") {
        (market, accounts, vault, settlement) = (market_, accounts_, vault_, settlement_);
    }

    /// @notice Makes a consent of the caller with this nonce unusable.
    function void(uint256 nonce) external {
        used[msg.sender][nonce] = true;
        emit ConsentVoided(msg.sender, nonce);
    }

    /// @notice Replaces a member that agrees; by anyone who has its word.
    function replaceByConsent(Change calldata change, Consent calldata consent) external {
        Work memory work = _open(change);
        _requireConsent(change, consent, _account(work.failingRows[work.failing]), _account(work.reserveRows[work.reserve]));
        used[consent.signer][consent.nonce] = true;
        work.limit = type(uint256).max;
        _take(change, work);
        if (work.extra > consent.most) revert ExtraAboveConsent(work.extra, consent.most);
        _finish(change, work, true);
    }

    /// @notice Replaces a member whose proven deliveries show as many failed intervals as the rule set asks for; by anyone. It costs the member
    /// no more than the penalty for delivering nothing.
    /// @param batches batches that were proven for the session: the words of their recorded entries
    /// @param picks `batch:16 | entry:16` a record of the failing account
    function replaceByProof(Change calldata change, uint256[][] calldata batches, uint256[] calldata picks) external {
        Work memory work = _open(change);
        _requireFailures(change, work, batches, picks);
        work.limit = RuleSet.largestDue(change.rules);
        _take(change, work);
        _finish(change, work, false);
    }

    // ------------------------------------------------------------------------------------------------------------------ conditions

    function _open(Change calldata change) private view returns (Work memory work) {
        uint256 session = change.session;
        Progress memory reached = market.progress(session);
        if (!reached.cleared || reached.underReview || reached.cancelled || reached.uncommitted != 0) revert NotReplaceable(session);
        work.terms = market.terms(session);
        work.results = market.resultsOf(work.terms.mode);
        if (OrderWords.hash(change.certificate) != work.results.certificateHash(session)) {
            revert SuppliedDataMismatch(session, "certificate");
        }
        if (OrderWords.hash(change.rules) != work.terms.rulesHash) revert SuppliedDataMismatch(session, "rules");
        _requireIntervals(change, work.terms);
        work.failingRows = _rows(session, work.results, change.failing);
        work.together = change.reserve.group == change.failing.group;
        if (!work.together) {
            work.reserveRows = _rows(session, work.results, change.reserve);
        } else {
            if (change.reserve.rows.length != 0) revert SuppliedDataMismatch(session, "reserve rows");
            work.reserveRows = work.failingRows;
        }
        work.failing = _find(work.failingRows, change.failing.row, work.terms.intervals);
        work.reserve = _find(work.reserveRows, change.reserve.row, work.terms.intervals);
        (uint256 failing, uint256 reserve) = (work.failingRows[work.failing], work.reserveRows[work.reserve]);
        if (_account(failing) == _account(reserve)) revert SameRow(_account(failing));
        if (failing & OFFER != OFFER) revert NotASeller(_account(failing));
        if (reserve & (OFFER | RESERVE) != OFFER | RESERVE) revert NotAReserve(_account(reserve));
        _requireUnsettled(session, change.failing);
        _requireUnsettled(session, change.reserve);
    }

    function _requireUnsettled(uint256 session, Place calldata place) private view {
        if (settlement.settled(session, place.group, place.row)) revert RowSettled(session, place.group, place.row);
    }

    /// @dev Reverts unless the intervals are the session's, have not begun, and are nowhere under auction: there, who has sold an interval must
    /// not change before the clearing.
    function _requireIntervals(Change calldata change, Terms memory terms) private view {
        uint256 intervals = change.intervals;
        if (intervals == 0 || intervals & ~uint256(terms.mask) != 0) revert IntervalsRefused(change.session, intervals, terms.mask);
        (uint256 first, uint256 wanted) = (0, 0);
        while ((uint256(terms.mask) >> first) & 1 == 0) ++first;
        while ((intervals >> wanted) & 1 == 0) ++wanted;
        uint256 start = terms.deliveryStart + (wanted - first) * (1 days / uint256(terms.dayIntervals));
        if (start <= block.timestamp) revert IntervalBegun(change.session, wanted, start);
        uint256 held = IAuctions(address(market)).auctioned(terms.zone, terms.day) & intervals;
        if (held != 0) revert IntervalsUnderAuction(terms.zone, terms.day, held);
    }

    function _rows(uint256 session, IResults results, Place calldata place) private view returns (uint256[] memory) {
        if (OrderWords.hash(place.rows) != results.groupHash(session, place.group)) revert SuppliedDataMismatch(session, "rows");
        return place.rows;
    }

    function _requireConsent(Change calldata change, Consent calldata consent, uint256 account, uint256 reserve) private view {
        if (block.timestamp > consent.deadline) revert ConsentExpired(consent.deadline, block.timestamp);
        address signer = consent.signer;
        if (used[signer][consent.nonce]) revert NonceUsed(signer, consent.nonce);
        if (accounts.ownerOf(account) != signer) {
            uint256 agent = accounts.delegateOf(account);
            if (agent == 0 || accounts.ownerOf(agent) != signer) revert NotAllowed(account, signer);
        }
        bytes32 content = keccak256(
            abi.encode(
                CONSENT_TYPEHASH,
                change.session,
                account,
                reserve,
                change.intervals,
                consent.most,
                consent.nonce,
                consent.deadline
            )
        );
        if (!SignatureChecker.isValidSignatureNowCalldata(signer, _hashTypedDataV4(content), consent.signature)) {
            revert ConsentNotSigned(signer);
        }
    }

    /// @dev Counts intervals of proven records in which the member fell short of the rule set's share of its fill. Each is recorded once, so
    /// that no record can count twice; those that the guardian has exempted do not count.
    function _requireFailures(Change calldata change, Work memory work, uint256[][] calldata batches, uint256[] calldata picks)
        private
        view
    {
        (uint256 below, uint256 needed) = RuleSet.replacement(change.rules);
        if (needed == 0) revert ReplacementNotForced(change.session);
        IDeliveries deliveries = IDeliveries(work.terms.deliveries);
        for (uint256 i; i < batches.length; ++i) {
            if (!deliveries.proven(change.session, OrderWords.hash(batches[i]))) revert BatchNotProven(change.session, i);
        }
        uint256 account = _account(work.failingRows[work.failing]);
        uint256 size = 1 + (uint256(work.terms.dayIntervals) + 8) / 9;
        uint256 exempted = settlement.exempted(change.session, account);
        uint256 counted;
        uint256 failures;
        for (uint256 i; i < picks.length; ++i) {
            (uint256 batch, uint256 from) = (picks[i] & type(uint16).max, (picks[i] >> 16) * size);
            if (picks[i] >> 32 != 0 || batch >= batches.length || from >= batches[batch].length) {
                revert PickOutOfRange(batch, picks[i] >> 16);
            }
            uint256[] calldata entry = batches[batch][from:from + size];
            if (entry[0] & M32 != account) revert PickOfOtherAccount(entry[0] & M32, account);
            uint256 mask = entry[0] >> 64;
            if (mask & counted != 0) revert PickOverlaps(account, mask & counted);
            counted |= mask;
            failures += _failures(work, entry, mask & ~exempted, below);
        }
        if (failures < needed) revert TooFewFailures(account, failures, needed);
    }

    /// @dev Failed intervals of one record.
    function _failures(Work memory work, uint256[] calldata entry, uint256 mask, uint256 below)
        private
        pure
        returns (uint256 failures)
    {
        uint256 j;
        for (uint256 t; t < work.terms.dayIntervals; ++t) {
            if ((uint256(work.terms.mask) >> t) & 1 == 0) continue;
            uint256 fill = _fill(work.failingRows, work.failing, j++);
            if ((mask >> t) & 1 == 0 || fill == 0) continue;
            int256 delivered = int256((entry[1 + t / 9] >> (26 * (t % 9))) & 0x3ffffff) - 0x2000000;
            if (work.terms.direction == 1) delivered = -delivered;
            if (delivered <= 0 || uint256(delivered) * 1_000_000 < below * fill) ++failures;
        }
    }

    // -------------------------------------------------------------------------------------------------------------------- the change

    /// @dev Moves the chosen intervals from the failing row to the reserve's, in memory.
    function _take(Change calldata change, Work memory work) private pure {
        uint256[] memory certificate = change.certificate;
        _price(work, certificate);
        uint256 j;
        for (uint256 t; t < work.terms.dayIntervals; ++t) {
            if ((uint256(work.terms.mask) >> t) & 1 == 0) continue;
            if ((change.intervals >> t) & 1 == 1) _takeInterval(change, work, certificate, t, j);
            ++j;
        }
        // what is left of the lock has to stand for what is left of the promise
        uint256 header = work.failingRows[work.failing];
        uint256 left;
        for (uint256 k; k < work.terms.intervals; ++k) left += _fill(work.failingRows, work.failing, k);
        uint256 most = ((header >> 64) & M64) * work.moved / (work.moved + left);
        if (work.extra > most) revert ExtraAboveLock(_account(header), work.extra, most);
        work.failingRows[work.failing] = header - (work.extra << 64);
    }

    /// @dev One interval: as much as the one has promised and the other offers, step by step, cheapest first, each at no less than the price.
    function _takeInterval(Change calldata change, Work memory work, uint256[] memory certificate, uint256 t, uint256 j) private pure {
        uint256[] memory rows = work.failingRows;
        uint256 fill = _fill(rows, work.failing, j);
        if (fill == 0) revert NothingToReplace(_account(rows[work.failing]), t);
        if (_fill(work.reserveRows, work.reserve, j) != 0) revert ReserveTaken(_account(work.reserveRows[work.reserve]), t);
        bool priced = rows[work.failing] & PRICED != 0;
        uint256 whole = priced ? _gross(rows, work.failing, work.terms.intervals, j) : fill * _priceOf(work.terms, certificate, j);
        (uint256 taken, uint256 gross) = _offered(work, j, fill, whole / fill);
        if (taken == 0) revert NothingOffered(_account(work.reserveRows[work.reserve]), t);
        uint256 part = whole * taken / fill;
        if (gross < part) gross = part;
        uint256 extra = (gross - part + 999) / 1000;
        if (work.limit != type(uint256).max) {
            uint256 most = (part * work.limit + 999_999_999) / 1_000_000_000;
            if (extra > most) revert TooDear(change.session, t, extra, most);
        }
        work.extra += extra;
        _put(rows, work.failing + 1 + j / 8, 32 * (j % 8), M32, fill - taken);
        if (priced) _put(rows, _grossAt(work.failing, work.terms.intervals, j), 64 * (j % 4), M64, whole - part);
        _put(work.reserveRows, work.reserve + 1 + j / 8, 32 * (j % 8), M32, taken);
        _put(work.reserveRows, _grossAt(work.reserve, work.terms.intervals, j), 64 * (j % 4), M64, gross);
        work.taken |= 1 << t;
        work.moved += taken;
        if (taken >= work.terms.minQuantity) work.eventDay = true;
    }

    /// @return taken Wh of the reserve's steps, at most `wanted`
    /// @return gross what they cost at `price` or, where that is more, their limit
    function _offered(Work memory work, uint256 j, uint256 wanted, uint256 price) private pure returns (uint256 taken, uint256 gross) {
        uint256[] memory rows = work.reserveRows;
        uint256 four = (uint256(work.terms.intervals) + 3) / 4;
        uint256 steps = ((rows[work.reserve] >> 196) & 3) + 1;
        // a live reserve whose row is priced by now: header, fills, gross, body
        uint256 body = work.reserve + 1 + (uint256(work.terms.intervals) + 7) / 8 + four + j / 4;
        uint256 done; // a bit per step
        while (taken < wanted && done != (1 << steps) - 1) {
            (uint256 best, uint256 limit, uint256 quantity) = (0, type(uint256).max, 0);
            for (uint256 s; s < steps; ++s) {
                uint256 offer = rows[body + s * four] >> (56 * (j % 4));
                if ((done >> s) & 1 == 0 && ((offer >> 24) & M32) < limit) {
                    (best, limit, quantity) = (s, (offer >> 24) & M32, offer & 0xffffff);
                }
            }
            done |= 1 << best;
            if (quantity > wanted - taken) quantity = wanted - taken;
            taken += quantity;
            gross += quantity * (limit > price ? limit : price);
        }
    }

    /// @dev Gives the reserve's row prices of its own where it has none, so that what it gets may differ from the session's price.
    function _price(Work memory work, uint256[] memory certificate) private pure {
        uint256[] memory rows = work.reserveRows;
        uint256 header = rows[work.reserve];
        if (header & PRICED != 0) return;
        uint256 four = (uint256(work.terms.intervals) + 3) / 4;
        uint256 insert = work.reserve + 1 + (uint256(work.terms.intervals) + 7) / 8;
        uint256[] memory wider = new uint256[](rows.length + four);
        for (uint256 i; i < rows.length; ++i) wider[i < insert ? i : i + four] = rows[i];
        wider[work.reserve] = header | PRICED;
        for (uint256 j; j < work.terms.intervals; ++j) {
            uint256 fill = _fill(wider, work.reserve, j);
            if (fill != 0) wider[insert + j / 4] |= (fill * _priceOf(work.terms, certificate, j)) << (64 * (j % 4));
        }
        work.reserveRows = wider;
        if (work.together) {
            work.failingRows = wider;
            if (work.failing > work.reserve) work.failing += four;
        }
    }

    /// @dev Money, promise and hashes. A failing row that has nothing left to deliver, and is no reserve, is settled by this.
    function _finish(Change calldata change, Work memory work, bool consented) private {
        uint256 session = change.session;
        uint256 header = work.failingRows[work.failing];
        uint256 reserve = _account(work.reserveRows[work.reserve]);
        uint256 sold = accounts.sold(reserve, work.terms.day) & work.taken;
        if (sold != 0) revert ReserveHasSold(reserve, sold);
        bool done = header & RESERVE == 0 && _empty(work);
        uint256 rest = done ? (header >> 64) & M64 : 0;
        uint256[] memory target = new uint256[]((uint256(work.terms.intervals) + 7) / 8);
        for (uint256 k; k < target.length; ++k) target[k] = work.reserveRows[work.reserve + 1 + k];
        emit Replaced(session, _account(header), reserve, work.taken, work.extra, consented);
        work.results.amend(session, change.failing.group, keccak256(abi.encodePacked(work.failingRows)));
        if (!work.together) {
            work.results.amend(session, change.reserve.group, keccak256(abi.encodePacked(work.reserveRows)));
        }
        accounts.commitPromise(session, reserve, work.terms.zone, work.terms.day, work.taken, work.eventDay, 0, target);
        if (work.extra + rest != 0) {
            uint256[] memory moves = new uint256[](1);
            moves[0] = ((header >> 32) & M32) | ((work.extra + rest) << 32) | (rest << 96);
            vault.move(session, moves);
        }
        if (done) market.rowsSettled(session, 1, 0);
    }

    function _empty(Work memory work) private pure returns (bool) {
        uint256 words = (uint256(work.terms.intervals) + 7) / 8;
        for (uint256 k = 1; k <= words; ++k) if (work.failingRows[work.failing + k] != 0) return false;
        return true;
    }

    // -------------------------------------------------------------------------------------------------------------------------- rows

    /// @return at_ word of row `row`
    function _find(uint256[] memory rows, uint256 row, uint256 intervals) private pure returns (uint256 at_) {
        uint256 i;
        for (; i < row && at_ < rows.length; ++i) {
            uint256 header = rows[at_];
            at_ += 1 + (intervals + 7) / 8;
            if (header & PRICED != 0) at_ += (intervals + 3) / 4;
            if (header & (LIVE | RESERVE) == LIVE | RESERVE) at_ += (((header >> 196) & 3) + 1) * ((intervals + 3) / 4);
        }
        if (row >= GROUP_ROWS || at_ >= rows.length) revert RowOutOfRange(1 << row, i);
    }

    function _account(uint256 header) private pure returns (uint256) {
        return header & M32;
    }

    function _fill(uint256[] memory rows, uint256 row, uint256 j) private pure returns (uint256) {
        return (rows[row + 1 + j / 8] >> (32 * (j % 8))) & M32;
    }

    function _grossAt(uint256 row, uint256 intervals, uint256 j) private pure returns (uint256) {
        return row + 1 + (intervals + 7) / 8 + j / 4;
    }

    function _gross(uint256[] memory rows, uint256 row, uint256 intervals, uint256 j) private pure returns (uint256) {
        return (rows[_grossAt(row, intervals, j)] >> (64 * (j % 4))) & M64;
    }

    function _put(uint256[] memory words, uint256 at_, uint256 shift, uint256 lane, uint256 value) private pure {
        words[at_] = (words[at_] & ~(lane << shift)) | (value << shift);
    }

    /// @return The session's price, micro-euro per kWh; 0 where every row has its own.
    function _priceOf(Terms memory terms, uint256[] memory certificate, uint256 j) private pure returns (uint256) {
        if (terms.mode == uint256(Mode.Cooperative) || terms.mode == uint256(Mode.Request)) return 0;
        return ((certificate[j] & M32) + ((certificate[j] >> 32) & M32)) / 2;
    }
}
