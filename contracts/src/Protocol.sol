// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What contracts of the market ask of each other: shared types, and one interface each, so that every contract can be read and
/// compiled without the others. docs/protocol.md has the rules.

/// @notice States of a session, docs/protocol.md section 5.
enum State {
    Scheduled,
    Open,
    Closed,
    Cleared,
    UnderReview,
    Delivering,
    Settling,
    Settled,
    Cancelled
}

/// @notice How a session is cleared.
enum Mode {
    Competitive,
    Cooperative,
    Block,
    Request
}

/// @notice What the operator fixes of a session; everything else follows from it.
struct SessionRequest {
    uint16 zone;
    uint8 kind; // 0 electrical, 1 thermal, 2 comfort
    uint8 direction; // 0 UP, 1 DOWN
    uint8 mode; // see Mode
    uint32 day;
    uint96 mask; // intervals of the day
    uint40 gateOpen;
    uint40 gateClose;
    uint40 challengeEnd; // block mode; otherwise 0
    uint40 exemptionDeadline;
    uint40 proofDeadline;
    uint32 priceCap; // micro-euro per kWh
    uint24 minQuantity; // Wh
    uint24 feePpm; // of what sellers earn
    uint32 feeAccount;
    uint32 intakeFee; // micro-euro an entry
    address deliveries;
}

/// @notice The terms of a session, fixed at opening; five slots.
struct Terms {
    uint16 zone;
    uint8 kind;
    uint8 direction;
    uint8 mode;
    uint8 intervals; // K, set bits of the mask
    uint8 dayIntervals; // T
    uint32 day;
    uint96 mask;
    uint32 priceCap;
    uint24 minQuantity;
    uint40 gateOpen;
    uint40 gateClose;
    uint40 deliveryStart;
    uint40 deliveryEnd;
    uint40 exemptionDeadline;
    uint40 proofDeadline;
    address deliveries;
    uint32 collateralPpm;
    uint40 challengeEnd;
    uint24 feePpm;
    uint32 feeAccount;
    uint32 intakeFee;
    bytes32 rulesHash;
}

/// @notice How far a session has come, one slot.
struct Progress {
    bool cancelled;
    bool cleared;
    bool underReview;
    bool underAuction;
    uint32 entries; // of the log
    uint32 groups; // of result rows
    uint32 uncommitted; // groups
    uint32 sellersLeft; // committed seller rows to settle
    uint32 buyersLeft; // committed buyer rows to settle
}

/// @notice Sessions and their order log: FlexMarket.
interface IMarket {
    function terms(uint256 session) external view returns (Terms memory);
    function progress(uint256 session) external view returns (Progress memory);
    function state(uint256 session) external view returns (State);
    function log(uint256 session) external view returns (bytes32);
    /// @return The contract that knows the results of sessions of this mode.
    function resultsOf(uint256 mode) external view returns (IResults);
    /// @notice By the results' contract of the session's mode, in state Closed, or UnderReview for a clearing without excluded orders: the
    /// clearing is complete. Pays the session's intake fees to `beneficiary` (0: they stay in the escrow).
    function cleared(uint256 session, uint256 groups, bool underReview, uint256 beneficiary) external;
    /// @notice By the results' contract: the guardian has decided for the clearing.
    function released(uint256 session) external;
    /// @notice By the results' contract: the guardian has decided against the session.
    function cancelReviewed(uint256 session, string calldata reason) external;
    /// @notice By the results' contract: one group has been committed.
    function committed(uint256 session, uint256 sellers, uint256 buyers) external;
    /// @notice By Settlement: rows have been settled.
    function rowsSettled(uint256 session, uint256 sellers, uint256 buyers) external;
    /// @notice By the results' contract of mode Request: opens a session of that mode.
    function openRequest(SessionRequest calldata wanted, uint256[] calldata rules) external returns (uint256 session);
    /// @notice By the results' contract of mode Request: cancels a session that is not cleared.
    function cancelRequest(uint256 session, string calldata reason) external;
}

/// @notice Results of sessions: clearings, proposals, requests.
interface IResults {
    /// @return Hash of the certificate words of the accepted result, 0 before.
    function certificateHash(uint256 session) external view returns (bytes32);
    /// @return Hash of the rows `16 group .. 16 group + 15` of the accepted result.
    function groupHash(uint256 session, uint256 group) external view returns (bytes32);
    /// @notice By Replacement: the rows of a committed group have changed.
    function amend(uint256 session, uint256 group, bytes32 hash) external;
}

/// @notice What results and orders ask of Accounts.
interface IAccounts {
    function ownerOf(uint256 account) external view returns (address);
    /// @return The account whose owner may act for `account`, 0 where there is none.
    function delegateOf(uint256 account) external view returns (uint256);
    /// @return Bits of the day's intervals that the account has sold.
    function sold(uint256 account, uint256 day) external view returns (uint256);
    /// @return Bits of the day's intervals that anybody in the zone has sold.
    function soldInZone(uint256 zone, uint256 day) external view returns (uint256);
    /// @return Wh an interval that the account may offer in a cooperative session.
    function envelopeOf(uint256 account) external view returns (uint256);
    /// @return key the meter key in force on `day`; 0 where there is none, or a suspended one
    /// @return fromDay the first day of that key
    function keyAt(uint256 account, uint256 day) external view returns (uint256 key, uint256 fromDay);
    /// @return owner of the account
    /// @return zone 0 before the first meter key
    /// @return keys number of key versions
    function get(uint256 account) external view returns (address owner, uint256 zone, uint256 keys);
    /// @notice Reverts unless `signer` may place every entry.
    /// @param entries as OrderWords.check makes them
    function requireRights(address signer, uint256 zone, uint256 day, uint256[] calldata entries) external view;
    /// @notice Writes a promise; `intervals` are bits of the day.
    function commitPromise(
        uint256 session,
        uint256 account,
        uint256 zone,
        uint256 day,
        uint256 intervals,
        bool eventDay,
        uint256 commitment,
        uint256[] calldata target
    ) external;
}

/// @notice What sessions and results ask of the Vault.
interface IVault {
    function escrow(uint256 session) external view returns (uint256);
    /// @param entries as OrderWords.check makes them
    function lock(uint256 session, uint256 fee, uint256[] calldata entries) external;
    /// @param moves words `account:32 | unlock:64 | credit:64 | rating:16`
    function move(uint256 session, uint256[] calldata moves) external;
}

/// @notice What settlement asks of Deliveries.
interface IDeliveries {
    /// @return T of the days that it proves
    function intervals() external view returns (uint256);
    function proven(uint256 session, bytes32 batch) external view returns (bool);
    function recordedOf(uint256 session, uint256 account) external view returns (uint256);
}

/// @notice Whether prices are like earlier ones: PriceGuard.
interface IPriceGuard {
    /// @param prices per interval of the session, ascending, micro-euro per kWh
    /// @param volumes likewise, Wh
    /// @return Whether every price that counts lies inside its band.
    function inBand(Terms calldata terms, uint256[] calldata prices, uint256[] calldata volumes) external view returns (bool);
    /// @notice By the results' contracts: takes the prices of an accepted session into the history.
    function record(uint256 session, Terms calldata terms, uint256[] calldata prices, uint256[] calldata volumes) external;
}
