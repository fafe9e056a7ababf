// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Zones} from "./Zones.sol";

/// @title Accounts: who may act, whose meter counts, which intervals are sold
/// @notice docs/protocol.md section 3. An account is a 32-bit index from 1 with one owner and at most one delegate. The first meter
/// key fixes the account's zone, so that nobody sells one device's flexibility in two zones.
contract Accounts is AccessControl {
    bytes32 public constant METERING_ROLE = keccak256("METERING");
    bytes32 public constant MARKET_ROLE = keccak256("MARKET");

    /// @dev Order of the BN254 scalar field: a meter key is a word of the proven statement.
    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    struct Account {
        address owner;
        uint16 zone;
        uint16 keys;
        uint32 firstDay;
        uint32 lastDay;
    }

    struct MeterKey {
        uint256 key;
        uint256 fromDay;
    }

    Zones public immutable zones;

    /// @notice Number of accounts; they count from 1.
    uint256 public count;

    mapping(uint256 account => Account) private _accounts;
    mapping(uint256 account => address) public delegateOf;
    mapping(uint256 account => mapping(uint256 version => MeterKey)) private _keys;
    mapping(uint256 key => uint256 account) public accountOfKey;
    mapping(uint256 account => mapping(uint256 day => uint256)) private _sold;
    mapping(uint256 zone => mapping(uint256 day => uint256)) private _soldInZone;
    mapping(uint256 account => mapping(uint256 word => uint256)) private _eventDays;

    event AccountRegistered(uint256 indexed account, address indexed owner);
    event DelegateSet(uint256 indexed account, address indexed delegate);
    event MeterBound(uint256 indexed account, uint256 zone, uint256 key, uint256 fromDay);
    /// @notice A promise: Wh per session interval, 32 bits each, eight a word; or a commitment to a hidden one.
    event FlexibilityTargetSet(uint256 indexed session, uint256 indexed account, uint256 commitment, uint256[] target);

    error NoOwner();
    error TooManyAccounts(uint256 count);
    error UnknownAccount(uint256 account);
    error NotOwner(uint256 account, address caller);
    error NotAllowed(uint256 account, address signer);
    error NoMeterKey(uint256 account, uint256 day);
    error WrongZone(uint256 account, uint256 zone, uint256 expected);
    error KeyOutOfRange(uint256 key);
    error KeyTaken(uint256 key, uint256 account);
    error TooManyKeys(uint256 account);
    error KeyDayNotLater(uint256 fromDay, uint256 lastDay);
    error KeyDayInPast(uint256 fromDay, uint256 earliest);
    error AlreadySold(uint256 account, uint256 day, uint256 intervals);

    constructor(address admin, Zones zones_) {
        zones = zones_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Opens an account for `owner`; anyone may do so for anyone.
    function register(address owner) external returns (uint256 account) {
        if (owner == address(0)) revert NoOwner();
        if (count == type(uint32).max) revert TooManyAccounts(count);
        account = ++count;
        _accounts[account].owner = owner;
        emit AccountRegistered(account, owner);
    }

    /// @notice Lets `delegate` place orders for the account (not withdraw); the zero address ends it.
    function setDelegate(uint256 account, address delegate) external {
        if (ownerOf(account) != msg.sender) revert NotOwner(account, msg.sender);
        delegateOf[account] = delegate;
        emit DelegateSet(account, delegate);
    }

    /// @notice Binds the next version of the account's meter key, in force from `fromDay` on.
    function bindMeter(uint256 account, uint256 zone, uint256 key, uint256 fromDay) external onlyRole(METERING_ROLE) {
        ownerOf(account);
        Account storage bound = _accounts[account];
        zones.get(zone);
        if (bound.keys != 0 && bound.zone != zone) revert WrongZone(account, zone, bound.zone);
        if (bound.keys == type(uint16).max) revert TooManyKeys(account);
        if (key == 0 || key >= R) revert KeyOutOfRange(key);
        if (accountOfKey[key] != 0) revert KeyTaken(key, accountOfKey[key]);
        if (fromDay <= bound.lastDay || fromDay > type(uint32).max) revert KeyDayNotLater(fromDay, bound.lastDay);
        uint256 earliest = block.timestamp / 1 days - 1; // one day of slack for the zone's offset
        if (fromDay < earliest) revert KeyDayInPast(fromDay, earliest);
        accountOfKey[key] = account;
        _keys[account][bound.keys] = MeterKey(key, fromDay);
        if (bound.keys == 0) (bound.zone, bound.firstDay) = (uint16(zone), uint32(fromDay));
        bound.keys += 1;
        bound.lastDay = uint32(fromDay);
        emit MeterBound(account, zone, key, fromDay);
    }

    /// @notice Writes a promise: the one way in which intervals are sold and event days arise.
    /// @param intervals bits of the day's intervals with a nonzero promise
    function commitPromise(
        uint256 session,
        uint256 account,
        uint256 zone,
        uint256 day,
        uint256 intervals,
        bool eventDay,
        uint256 commitment,
        uint256[] calldata target
    ) external onlyRole(MARKET_ROLE) {
        uint256 before = _sold[account][day];
        if (before & intervals != 0) revert AlreadySold(account, day, before & intervals);
        _sold[account][day] = before | intervals;
        uint256 inZone = _soldInZone[zone][day];
        if (inZone | intervals != inZone) _soldInZone[zone][day] = inZone | intervals;
        if (eventDay) _eventDays[account][day >> 8] |= 1 << (day & 255);
        emit FlexibilityTargetSet(session, account, commitment, target);
    }

    /// @notice Reverts unless `signer` may place every entry: owner or delegate of the account and, for offers, a key of the zone in
    /// force on the day.
    /// @param entries words `account:32 | side:1 | ...`
    function requireRights(address signer, uint256 zone, uint256 day, uint256[] calldata entries) external view {
        for (uint256 i; i < entries.length; ++i) {
            uint256 account = entries[i] & type(uint32).max;
            Account memory held = _accounts[account];
            if (held.owner == address(0)) revert UnknownAccount(account);
            if (held.owner != signer && delegateOf[account] != signer) revert NotAllowed(account, signer);
            if ((entries[i] >> 32) & 1 == 0) continue;
            if (held.keys == 0 || held.firstDay > day) revert NoMeterKey(account, day);
            if (held.zone != zone) revert WrongZone(account, zone, held.zone);
        }
    }

    function ownerOf(uint256 account) public view returns (address owner) {
        owner = _accounts[account].owner;
        if (owner == address(0)) revert UnknownAccount(account);
    }

    /// @notice Owner, zone (0 before the first meter key) and number of key versions.
    function get(uint256 account) external view returns (address owner, uint256 zone, uint256 keys) {
        Account memory held = _accounts[account];
        return (ownerOf(account), held.zone, held.keys);
    }

    /// @return key the meter key in force on `day`; 0 where there is none
    /// @return fromDay the first day of that key
    function keyAt(uint256 account, uint256 day) public view returns (uint256 key, uint256 fromDay) {
        Account memory held = _accounts[account];
        if (held.keys == 0 || day < held.firstDay) return (0, 0);
        uint256 version = held.keys - 1;
        if (day >= held.lastDay) return (_keys[account][version].key, held.lastDay);
        while (_keys[account][--version].fromDay > day) {}
        return (_keys[account][version].key, _keys[account][version].fromDay);
    }

    /// @return Bits of the day's intervals that the account has sold.
    function sold(uint256 account, uint256 day) external view returns (uint256) {
        return _sold[account][day];
    }

    /// @return Bits of the day's intervals that anybody in the zone has sold.
    function soldInZone(uint256 zone, uint256 day) external view returns (uint256) {
        return _soldInZone[zone][day];
    }

    /// @return bits bit k: day `first + k` is an event day of the account, for `days_` days (at most 256)
    function eventDays(uint256 account, uint256 first, uint256 days_) public view returns (uint256 bits) {
        bits = _eventDays[account][first >> 8] >> (first & 255);
        if ((first & 255) + days_ > 256) bits |= _eventDays[account][(first >> 8) + 1] << (256 - (first & 255));
        bits &= (1 << days_) - 1;
    }

    /// @notice What a proof of delivery on `day` needs of the accounts.
    /// @param entries words `account:32 | ...`
    /// @return states per account two words: meter key in force on `day`, and `zone:16 | first day of that key:32 | event days:14` with bit
    /// k of the event days for `day - 14 + k`
    function metersOn(uint256 day, uint256[] calldata entries) external view returns (uint256[] memory states) {
        states = new uint256[](2 * entries.length);
        for (uint256 i; i < entries.length; ++i) {
            uint256 account = entries[i] & type(uint32).max;
            (uint256 key, uint256 fromDay) = keyAt(account, day);
            if (key == 0) revert NoMeterKey(account, day);
            states[2 * i] = key;
            states[2 * i + 1] = _accounts[account].zone | (fromDay << 16) | (eventDays(account, day - 14, 14) << 48);
        }
    }
}
