// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Accounts} from "./Accounts.sol";
import {ClearingCheck, ISold} from "./ClearingCheck.sol";
import {OrderWords} from "./OrderWords.sol";
import {Pauses} from "./Pauses.sol";
import {SessionRequest, SessionTerms, State, Terms} from "./SessionTerms.sol";
import {Vault} from "./Vault.sol";
import {Zones} from "./Zones.sol";

/// @title FlexMarket: sessions, their order log, and the clearing that anyone may submit
/// @notice docs/protocol.md sections 5 to 7. The chain keeps one hash of the order log and one per 16 result rows; whoever acts
/// supplies the data again.
contract FlexMarket is AccessControl, EIP712 {
    using Pauses for Pauses.History;

    bytes32 public constant OPERATOR_ROLE = keccak256("OPERATOR");
    bytes32 public constant SETTLEMENT_ROLE = keccak256("SETTLEMENT");
    /// @notice Held by the contracts that may take a session's proofs.
    bytes32 public constant DELIVERIES_ROLE = keccak256("DELIVERIES");
    bytes32 public constant ORDER_BATCH_TYPEHASH =
        keccak256("OrderBatch(uint256 session,uint256[] words,uint256 nonce,uint256 deadline)");

    /// @notice A signed batch of entries; anyone may carry it.
    struct Batch {
        uint256 session;
        uint256[] words;
        uint256 nonce;
        uint256 deadline;
        address signer;
        bytes signature;
    }

    /// @notice How far a session has come, one slot.
    struct Progress {
        bool cancelled;
        bool cleared;
        bool underAuction;
        uint32 entries; // of the log
        uint32 groups; // of result rows
        uint32 uncommitted; // groups
        uint32 sellersLeft; // committed seller rows to settle
        uint32 buyersLeft; // committed buyer rows to settle
    }

    Accounts public immutable accounts;
    Zones public immutable zones;
    Vault public immutable vault;

    /// @notice Number of sessions; they count from 1.
    uint256 public count;

    mapping(uint256 session => Terms) private _terms;
    mapping(uint256 session => Progress) private _progress;
    /// @notice Hash of the order log.
    mapping(uint256 session => bytes32) public log;
    mapping(uint256 session => bytes32) public certificateHash;
    mapping(uint256 session => mapping(uint256 group => bytes32)) public groupHash;
    mapping(uint256 session => mapping(uint256 word => uint256)) private _committed;
    mapping(uint256 zone => mapping(uint256 day => uint256)) private _auctioned;
    /// @dev A bit per day on which a session of the zone is under auction.
    mapping(uint256 zone => mapping(uint256 word => uint256)) private _auctionDays;
    mapping(address signer => mapping(uint256 word => uint256)) private _usedNonces;
    Pauses.History private _pauses;

    event SessionOpened(uint256 indexed session, Terms terms, uint256[] rules);
    event SessionCancelled(uint256 indexed session, string reason);
    event AuctionReleased(uint256 indexed session);
    event IntakePaused();
    event IntakeResumed();
    event Orders(uint256 indexed session, address indexed signer, uint256 first, uint256[] words);
    event NoncesInvalidated(address indexed signer, uint256 word, uint256 bits);
    event Cleared(uint256 indexed session, address indexed submitter, uint256[] certificate);
    event GroupCommitted(uint256 indexed session, uint256 group);
    event LocksReleased(uint256 indexed session, bytes32 previous);
    event Settled(uint256 indexed session, uint256 rounding);

    error UnknownSession(uint256 session);
    error DeliveriesNotAdmitted(address deliveries);
    error IntervalsUnderAuction(uint256 zone, uint256 day, uint256 intervals);
    error WrongState(uint256 session, State state, State expected);
    error GateAlreadyClosed(uint256 session, uint256 gateClose);
    error IntakeIsPaused();
    error PauseUnchanged(bool paused);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error NonceUsed(address signer, uint256 nonce);
    error SignatureRefused(address signer);
    error LogMismatch(uint256 session, bytes32 log, bytes32 supplied);
    error SizesMismatch(uint256 sum, uint256 words);
    error RowsMismatch(uint256 session, uint256 group);
    error GroupOutOfRange(uint256 group, uint256 groups);
    error GroupAlreadyCommitted(uint256 session, uint256 group);
    error NotUnderAuction(uint256 session);

    constructor(address admin, Accounts accounts_, Zones zones_, Vault vault_) EIP712("Wattproof", "1") {
        accounts = accounts_;
        zones = zones_;
        vault = vault_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    // ---------------------------------------------------------------------------------------------------------------- sessions

    /// @notice Opens a session. Refused over intervals of the zone's day that another session holds under auction.
    /// @param rules the rule set's words; the session keeps their hash and the collateral rate
    function openSession(SessionRequest calldata wanted, uint256[] calldata rules)
        external
        onlyRole(OPERATOR_ROLE)
        returns (uint256 session)
    {
        if (!hasRole(DELIVERIES_ROLE, wanted.deliveries)) revert DeliveriesNotAdmitted(wanted.deliveries);
        Terms memory agreed = SessionTerms.derive(wanted, rules, zones);
        uint256 held = _auctioned[agreed.zone][agreed.day];
        if (held & agreed.mask != 0) revert IntervalsUnderAuction(agreed.zone, agreed.day, held & agreed.mask);
        _auctioned[agreed.zone][agreed.day] = held | agreed.mask;
        if (held == 0) _auctionDays[agreed.zone][agreed.day >> 8] |= 1 << (agreed.day & 255);
        session = ++count;
        _terms[session] = agreed;
        _progress[session].underAuction = true;
        emit SessionOpened(session, agreed, rules);
    }

    /// @notice Cancels a session whose gate has not closed.
    function cancel(uint256 session, string calldata reason) external onlyRole(OPERATOR_ROLE) {
        Terms storage found = _known(session);
        if (block.timestamp >= found.gateClose) revert GateAlreadyClosed(session, found.gateClose);
        // A pause may have cancelled it, and its intervals may be another session's by now.
        if (state(session) == State.Cancelled) revert WrongState(session, State.Cancelled, State.Open);
        _progress[session].cancelled = true;
        emit SessionCancelled(session, reason);
        _leaveAuction(session);
    }

    /// @notice Stops or resumes the intake of orders. A pause while a session's gate is open cancels that session, so that nobody can
    /// be shut out after others were let in. Withdrawals know no pause.
    function setPaused(bool paused_) external onlyRole(OPERATOR_ROLE) {
        if (_pauses.paused() == paused_) revert PauseUnchanged(paused_);
        if (paused_) {
            _pauses.begin();
            emit IntakePaused();
        } else {
            _pauses.end();
            emit IntakeResumed();
        }
    }

    /// @notice Takes the intervals of a cancelled session out of the auction, so that they can be opened again; by anyone.
    function releaseAuction(uint256 session) external {
        _require(session, State.Cancelled);
        if (!_progress[session].underAuction) revert NotUnderAuction(session);
        _leaveAuction(session);
    }

    // ------------------------------------------------------------------------------------------------------------------ orders

    /// @notice Places a batch of entries for accounts of which the caller is owner or delegate.
    function place(uint256 session, uint256[] calldata words) external {
        _take(session, msg.sender, words, OrderWords.hash(words));
    }

    /// @notice Places batches that others signed (EIP-712; ERC-1271 for contracts); all or none.
    function placeSigned(Batch[] calldata batches) external {
        for (uint256 i; i < batches.length; ++i) {
            Batch calldata batch = batches[i];
            if (block.timestamp > batch.deadline) revert DeadlinePassed(batch.deadline, block.timestamp);
            _useNonce(batch.signer, batch.nonce);
            bytes32 words = OrderWords.hash(batch.words);
            bytes32 digest = _hashTypedDataV4(
                keccak256(abi.encode(ORDER_BATCH_TYPEHASH, batch.session, words, batch.nonce, batch.deadline))
            );
            if (!SignatureChecker.isValidSignatureNowCalldata(batch.signer, digest, batch.signature)) {
                revert SignatureRefused(batch.signer);
            }
            _take(batch.session, batch.signer, batch.words, words);
        }
    }

    /// @notice Makes the caller's nonces `256 * word + k`, for every set bit k of `bits`, unusable.
    function invalidateNonces(uint256 word, uint256 bits) external {
        _usedNonces[msg.sender][word] |= bits;
        emit NoncesInvalidated(msg.sender, word, bits);
    }

    function nonceUsed(address signer, uint256 nonce) external view returns (bool) {
        return (_usedNonces[signer][nonce >> 8] >> (nonce & 255)) & 1 == 1;
    }

    function _useNonce(address signer, uint256 nonce) private {
        uint256 used = _usedNonces[signer][nonce >> 8];
        uint256 bit = 1 << (nonce & 255);
        if (used & bit != 0) revert NonceUsed(signer, nonce);
        _usedNonces[signer][nonce >> 8] = used | bit;
    }

    /// @dev Checks rights and words, locks the money, extends the log.
    function _take(uint256 session, address signer, uint256[] calldata words, bytes32 hash) private {
        if (_pauses.paused()) revert IntakeIsPaused();
        _require(session, State.Open);
        Terms storage found = _terms[session];
        uint256[] memory entries = OrderWords.check(words, _rules(found));
        accounts.requireRights(signer, found.zone, found.day, entries);
        vault.lock(entries);
        log[session] = keccak256(abi.encode(log[session], hash));
        uint256 first = _progress[session].entries;
        _progress[session].entries = uint32(first + entries.length);
        emit Orders(session, signer, first, words);
    }

    // ---------------------------------------------------------------------------------------------------------------- clearing

    /// @notice Accepts the one right clearing of the log; by anyone, between gate close and delivery.
    /// @param sizes lengths of the log's batches in words
    /// @param words the whole log
    /// @param certificate a word per interval, see ClearingCheck
    /// @param live the live entries, `position:31 | side:1 | account:32`, four a word, ascending by (account, side)
    /// @param hints each entry's row in `live`, 32 bits, eight a word
    function clear(
        uint256 session,
        uint256[] calldata sizes,
        uint256[] calldata words,
        uint256[] calldata certificate,
        uint256[] calldata live,
        uint256[] calldata hints
    ) external {
        _require(session, State.Closed);
        _requireLog(session, sizes, words);
        Terms storage found = _terms[session];
        Progress storage reached = _progress[session];
        ClearingCheck.Book memory book = ClearingCheck.Book({
            mask: found.mask,
            day: found.day,
            entries: reached.entries,
            accounts: ISold(address(accounts)),
            anySold: accounts.soldInZone(found.zone, found.day) & found.mask != 0
        });
        uint256 groups = ClearingCheck.run(book, _rules(found), words, certificate, live, hints, groupHash[session]);
        certificateHash[session] = OrderWords.hash(certificate);
        reached.cleared = true;
        reached.groups = uint32(groups);
        reached.uncommitted = uint32(groups);
        emit Cleared(session, msg.sender, certificate);
        if (groups == 0) _leaveAuction(session);
        _settledIfDone(session);
    }

    /// @dev Reverts unless `words`, cut into `sizes`, are the session's log.
    function _requireLog(uint256 session, uint256[] calldata sizes, uint256[] calldata words) private view {
        bytes32 supplied;
        uint256 from;
        for (uint256 i; i < sizes.length; ++i) {
            if (sizes[i] > words.length - from) revert SizesMismatch(from + sizes[i], words.length);
            supplied = keccak256(abi.encode(supplied, OrderWords.hash(words[from:from + sizes[i]])));
            from += sizes[i];
        }
        if (from != words.length) revert SizesMismatch(from, words.length);
        if (supplied != log[session]) revert LogMismatch(session, log[session], supplied);
    }

    /// @notice Turns the result rows of one group into money and promises; by anyone, once. Bids pay their cost to the escrow, offers with
    /// fills become promises and keep their lock, everything else is released.
    function commit(uint256 session, uint256 group, uint256[] calldata rows) external {
        Progress memory reached = _progressOf(session);
        if (group >= reached.groups) revert GroupOutOfRange(group, reached.groups);
        uint256 bit = 1 << (group & 255);
        if (_committed[session][group >> 8] & bit != 0) revert GroupAlreadyCommitted(session, group);
        if (OrderWords.hash(rows) != groupHash[session][group]) revert RowsMismatch(session, group);
        _committed[session][group >> 8] |= bit;
        (uint256 sellers, uint256 buyers) = _commitRows(session, rows);
        reached.uncommitted -= 1;
        reached.sellersLeft += uint32(sellers);
        reached.buyersLeft += uint32(buyers);
        _progress[session] = reached;
        emit GroupCommitted(session, group);
        if (reached.uncommitted == 0) _leaveAuction(session);
        _settledIfDone(session);
    }

    function _commitRows(uint256 session, uint256[] calldata rows) private returns (uint256 sellers, uint256 buyers) {
        Terms memory agreed = _terms[session];
        uint256 size = 1 + (uint256(agreed.intervals) + 7) / 8;
        uint256[] memory moves = new uint256[](rows.length / size);
        uint256 moved;
        for (uint256 cursor; cursor < rows.length; cursor += size) {
            uint256 header = rows[cursor];
            uint256 lock = (header >> 64) & type(uint96).max;
            uint256 credit = lock;
            if ((header >> 33) & 1 == 1) {
                if ((header >> 32) & 1 == 0) {
                    credit = lock - (header >> 160);
                    if (header >> 160 != 0) ++buyers;
                } else if (_promise(session, agreed, header & type(uint32).max, rows[cursor + 1:cursor + size])) {
                    ++sellers;
                    continue;
                }
            }
            if (lock != 0) moves[moved++] = (header & type(uint32).max) | (lock << 64) | (credit << 160);
        }
        assembly ("memory-safe") {
            mstore(moves, moved)
        }
        vault.move(session, moves);
    }

    /// @dev Commits the fills of an offer, if it has any.
    function _promise(uint256 session, Terms memory agreed, uint256 account, uint256[] calldata fills) private returns (bool) {
        uint256 intervals;
        bool eventDay;
        uint256 j;
        for (uint256 rest = agreed.mask; rest != 0; rest &= rest - 1) {
            uint256 fill = (fills[j >> 3] >> (32 * (j & 7))) & type(uint32).max;
            if (fill != 0) {
                intervals |= rest & (~rest + 1);
                if (fill >= agreed.minQuantity) eventDay = true;
            }
            ++j;
        }
        if (intervals == 0) return false;
        accounts.commitPromise(session, account, agreed.zone, agreed.day, intervals, eventDay, 0, fills);
        return true;
    }

    /// @notice Settlement reports seller and buyer rows that it has settled.
    function rowsSettled(uint256 session, uint256 sellers, uint256 buyers) external onlyRole(SETTLEMENT_ROLE) {
        Progress storage reached = _progress[session];
        reached.sellersLeft -= uint32(sellers);
        reached.buyersLeft -= uint32(buyers);
        _settledIfDone(session);
    }

    /// @notice Releases the locks of the last batch of a cancelled session's log and shortens the log by it; by anyone.
    /// @param previous hash of the log before that batch
    function releaseCancelled(uint256 session, bytes32 previous, uint256[] calldata words) external {
        _require(session, State.Cancelled);
        bytes32 supplied = keccak256(abi.encode(previous, OrderWords.hash(words)));
        if (supplied != log[session]) revert LogMismatch(session, log[session], supplied);
        log[session] = previous;
        uint256[] memory moves = OrderWords.check(words, _rules(_terms[session]));
        for (uint256 i; i < moves.length; ++i) moves[i] |= (moves[i] >> 64) << 160;
        vault.move(session, moves);
        emit LocksReleased(session, previous);
        if (_progress[session].underAuction) _leaveAuction(session);
    }

    // ------------------------------------------------------------------------------------------------------------------- views

    function terms(uint256 session) external view returns (Terms memory) {
        return _known(session);
    }

    function progress(uint256 session) external view returns (Progress memory) {
        return _progressOf(session);
    }

    function committed(uint256 session, uint256 group) external view returns (bool) {
        return (_committed[session][group >> 8] >> (group & 255)) & 1 == 1;
    }

    /// @return Bits of the day's intervals that sessions of the zone hold under auction.
    function auctioned(uint256 zone, uint256 day) external view returns (uint256) {
        return _auctioned[zone][day];
    }

    /// @notice What a contract asks that takes proofs: the session's terms and state, and the first of the `days_` days before the session's
    /// on which a session of the zone is still under auction, 0 where none is.
    function forProofs(uint256 session, uint256 days_) external view returns (Terms memory agreed, State reached, uint256 open) {
        agreed = _known(session);
        reached = state(session);
        uint256 word = type(uint256).max;
        uint256 bits;
        for (uint256 day = agreed.day - days_; day < agreed.day; ++day) {
            if (day >> 8 != word) {
                word = day >> 8;
                bits = _auctionDays[agreed.zone][word];
            }
            if ((bits >> (day & 255)) & 1 == 1) return (agreed, reached, day);
        }
    }

    /// @notice Whether intake is paused now.
    function paused() external view returns (bool) {
        return _pauses.paused();
    }

    function state(uint256 session) public view returns (State) {
        Terms storage found = _known(session);
        Progress memory reached = _progress[session];
        if (reached.cancelled) return State.Cancelled;
        if (reached.cleared) {
            if (_done(reached)) return State.Settled;
            if (block.timestamp < found.deliveryStart) return State.Cleared;
            return block.timestamp < found.deliveryEnd ? State.Delivering : State.Settling;
        }
        if (_pauses.overlap(found.gateOpen, found.gateClose)) return State.Cancelled;
        if (block.timestamp < found.gateOpen) return State.Scheduled;
        if (block.timestamp < found.gateClose) return State.Open;
        return block.timestamp < found.deliveryStart ? State.Closed : State.Cancelled;
    }

    function _known(uint256 session) private view returns (Terms storage found) {
        found = _terms[session];
        if (found.mask == 0) revert UnknownSession(session);
    }

    function _progressOf(uint256 session) private view returns (Progress memory) {
        _known(session);
        return _progress[session];
    }

    function _require(uint256 session, State expected) private view {
        State found = state(session);
        if (found != expected) revert WrongState(session, found, expected);
    }

    function _rules(Terms storage found) private view returns (OrderWords.Rules memory) {
        return OrderWords.Rules(found.intervals, found.priceCap, found.minQuantity, found.collateralPpm);
    }

    function _done(Progress memory reached) private pure returns (bool) {
        return reached.cleared && reached.uncommitted == 0 && reached.sellersLeft == 0 && reached.buyersLeft == 0;
    }

    function _settledIfDone(uint256 session) private {
        if (_done(_progress[session])) emit Settled(session, vault.escrow(session));
    }

    function _leaveAuction(uint256 session) private {
        Terms storage found = _terms[session];
        (uint256 zone, uint256 day) = (found.zone, found.day);
        uint256 left = _auctioned[zone][day] & ~uint256(found.mask);
        _auctioned[zone][day] = left;
        if (left == 0) _auctionDays[zone][day >> 8] &= ~(1 << (day & 255));
        _progress[session].underAuction = false;
        emit AuctionReleased(session);
    }
}
