// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {OrderWords} from "./OrderWords.sol";
import {IAccounts, IMarket, IResults, IVault, Progress, State, Terms} from "./Protocol.sol";

/// @title Results: result rows of sessions as hashes, and how they become promises and money
/// @notice docs/protocol.md section 7. What accepts results (Clearing, BlockClearing, FlexRequests) builds on this.
abstract contract Results is IResults {
    bytes32 internal constant REPLACEMENT_ROLE = keccak256("REPLACEMENT");

    uint256 internal constant GROUP_ROWS = 16;

    // Bits of a row's header: account:32 | payer:32 | lock:64 | cost:64 | side:1 | live:1 | priced:1 | reserve:1 | steps-1:2.
    uint256 internal constant SIDE = 1 << 192;
    uint256 internal constant LIVE = 1 << 193;
    uint256 internal constant PRICED = 1 << 194;
    uint256 internal constant RESERVE = 1 << 195;

    IMarket public immutable market;
    IAccounts public immutable accounts;
    IVault public immutable vault;

    /// @notice Which of a session's results was accepted, 0 before.
    mapping(uint256 session => bytes32) public acceptedKey;
    /// @inheritdoc IResults
    mapping(uint256 session => bytes32) public certificateHash;
    /// @dev Groups of results that are accepted, or may be.
    mapping(uint256 session => mapping(bytes32 key => mapping(uint256 group => bytes32))) internal _groups;
    mapping(uint256 session => mapping(uint256 word => uint256)) private _committed;

    event GroupCommitted(uint256 indexed session, uint256 group);
    event GroupAmended(uint256 indexed session, uint256 group, bytes32 hash);

    error NotCommittable(uint256 session, State state);
    error GroupOutOfRange(uint256 group, uint256 groups);
    error GroupAlreadyCommitted(uint256 session, uint256 group);
    error RowsMismatch(uint256 session, uint256 group);
    error NotReplacement(address caller);
    error WrongState(uint256 session, State state, State expected);

    constructor(IMarket market_, IAccounts accounts_, IVault vault_) {
        market = market_;
        accounts = accounts_;
        vault = vault_;
    }

    /// @inheritdoc IResults
    function groupHash(uint256 session, uint256 group) public view returns (bytes32) {
        return _groups[session][acceptedKey[session]][group];
    }

    function committed(uint256 session, uint256 group) external view returns (bool) {
        return (_committed[session][group >> 8] >> (group & 255)) & 1 == 1;
    }

    /// @notice Turns the result rows of one group into money and promises; by anyone, once. Bids pay their cost to the escrow, offers with
    /// fills become promises and keep their lock, live reserves keep it too, everything else is released.
    function commit(uint256 session, uint256 group, uint256[] calldata rows) external {
        Progress memory reached = market.progress(session);
        if (!reached.cleared || reached.underReview) revert NotCommittable(session, market.state(session));
        if (group >= reached.groups) revert GroupOutOfRange(group, reached.groups);
        uint256 bit = 1 << (group & 255);
        if (_committed[session][group >> 8] & bit != 0) revert GroupAlreadyCommitted(session, group);
        if (OrderWords.hash(rows) != groupHash(session, group)) revert RowsMismatch(session, group);
        _committed[session][group >> 8] |= bit;
        (uint256 sellers, uint256 buyers) = _commitRows(session, rows);
        emit GroupCommitted(session, group);
        market.committed(session, sellers, buyers);
    }

    /// @inheritdoc IResults
    function amend(uint256 session, uint256 group, bytes32 hash) external {
        if (!IAccessControl(address(market)).hasRole(REPLACEMENT_ROLE, msg.sender)) revert NotReplacement(msg.sender);
        _groups[session][acceptedKey[session]][group] = hash;
        emit GroupAmended(session, group, hash);
    }

    /// @dev Takes the result `key` as the session's.
    function _accept(uint256 session, bytes32 key, bytes32 certificate) internal {
        acceptedKey[session] = key;
        certificateHash[session] = certificate;
    }

    function _requireState(uint256 session, State expected) internal view {
        State found = market.state(session);
        if (found != expected) revert WrongState(session, found, expected);
    }

    /// @dev Words of a row with this header in a session of `intervals` intervals.
    function _rowSize(uint256 header, uint256 intervals) internal pure returns (uint256 size) {
        unchecked {
            size = 1 + (intervals + 7) / 8;
            if (header & PRICED != 0) size += (intervals + 3) / 4;
            if (header & (LIVE | RESERVE) == LIVE | RESERVE) size += (((header >> 196) & 3) + 1) * ((intervals + 3) / 4);
        }
    }

    function _commitRows(uint256 session, uint256[] calldata rows) internal returns (uint256 sellers, uint256 buyers) {
        Terms memory agreed = market.terms(session);
        uint256[] memory moves = new uint256[](GROUP_ROWS);
        uint256 moved;
        for (uint256 cursor; cursor < rows.length;) {
            uint256 header = rows[cursor];
            uint256 next = cursor + _rowSize(header, agreed.intervals);
            (uint256 move, bool holds) = _commitRow(session, agreed, header, rows[cursor + 1:next]);
            if (holds) {
                if (header & SIDE == 0) ++buyers;
                else ++sellers;
            }
            if (move != 0) moves[moved++] = move;
            cursor = next;
        }
        assembly ("memory-safe") {
            mstore(moves, moved)
        }
        vault.move(session, moves);
    }

    /// @param rest the row's words behind its header, fills first
    /// @return move what the vault has to do for the row, 0 for nothing
    /// @return holds whether it stays to be settled
    function _commitRow(uint256 session, Terms memory agreed, uint256 header, uint256[] calldata rest)
        private
        returns (uint256 move, bool holds)
    {
        uint256 credit = (header >> 64) & type(uint64).max;
        uint256 cost;
        if (header & LIVE != 0) {
            if (header & SIDE == 0) {
                cost = (header >> 128) & type(uint64).max;
                holds = _fills(agreed, rest); // whatever they cost: where the price is 0, refunds are theirs all the same
            } else if (_promise(session, agreed, header & type(uint32).max, rest) || header & RESERVE != 0) {
                return (0, true);
            }
        }
        if (credit != 0) move = ((header >> 32) & type(uint32).max) | (credit << 32) | ((credit - cost) << 96);
    }

    /// @dev Whether a row has a fill in any interval.
    /// @param rest the row's words behind its header, fills first
    function _fills(Terms memory agreed, uint256[] calldata rest) private pure returns (bool) {
        uint256 words = (uint256(agreed.intervals) + 7) / 8;
        for (uint256 k; k < words; ++k) if (rest[k] != 0) return true;
        return false;
    }

    /// @dev Commits the fills of an offer, if it has any.
    /// @param rest the row's words behind its header, fills first
    function _promise(uint256 session, Terms memory agreed, uint256 account, uint256[] calldata rest)
        internal
        returns (bool)
    {
        uint256[] calldata fills = rest[:(uint256(agreed.intervals) + 7) / 8];
        uint256 intervals;
        bool eventDay;
        uint256 j;
        for (uint256 left = agreed.mask; left != 0; left &= left - 1) {
            uint256 fill = (fills[j >> 3] >> (32 * (j & 7))) & type(uint32).max;
            if (fill != 0) {
                intervals |= left & (~left + 1);
                if (fill >= agreed.minQuantity) eventDay = true;
            }
            ++j;
        }
        if (intervals == 0) return false;
        accounts.commitPromise(session, account, agreed.zone, agreed.day, intervals, eventDay, 0, fills);
        return true;
    }
}
