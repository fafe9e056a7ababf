// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Zones} from "./Zones.sol";

/// @title Accounts: who may act, whose meter counts, which intervals are sold
/// @notice docs/protocol.md section 3. An account is a 32-bit index from 1 with one owner and at most one delegate, another account. The
/// first meter key fixes the account's zone, so that nobody sells one device's flexibility in two zones.
contract Accounts is AccessControl {
    bytes32 public constant METERING_ROLE = keccak256("METERING");
    bytes32 public constant MARKET_ROLE = keccak256("MARKET");
    bytes32 public constant FORKS_ROLE = keccak256("FORKS");

    /// @dev Order of the BN254 scalar field: a meter key is a word of the proven statement.
    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;

    /// @dev Marks a key as suspended; keys are below R and so below 2^254.
    uint256 private constant SUSPENDED = 1 << 255;
    /// @dev No day: the account may offer on none.
    uint256 private constant NEVER = 0xffff;

    /// @dev What an order that the owner places needs to know of its account, one slot.
    struct Account {
        address owner;
        uint16 zone; // 0 before the first key
        uint16 offersFrom; // first day on which the account may offer: that of the first key after the last suspended one
    }

    struct MeterKey {
        uint256 key; // with SUSPENDED
        uint256 fromDay;
    }

    Zones public immutable zones;

    /// @notice Number of accounts; they count from 1.
    uint256 public count;

    mapping(uint256 account => Account) private _accounts;
    /// @dev Delegates, 32 bits each of eight accounts a word: an aggregator's batch reads many accounts, and those that lie together share
    /// the read.
    mapping(uint256 eight => uint256) private _delegates;
    /// @dev What an offer by a delegate needs besides, `zone:16 | offersFrom:16` of eight accounts a word.
    mapping(uint256 eight => uint256) private _offerers;
    /// @dev Wh an interval, 32 bits each of eight accounts a word.
    mapping(uint256 eight => uint256) private _envelopes;
    /// @dev `zone:16 | key versions:16 | first day of the last version:32` of four accounts a word: a proof reads many accounts, and those
    /// that lie together share the read.
    mapping(uint256 four => uint256) private _meters;
    /// @dev By `account:32 | version:16`.
    mapping(uint256 version => MeterKey) private _keys;
    mapping(uint256 key => uint256 account) public accountOfKey;
    mapping(uint256 account => mapping(uint256 day => uint256)) private _sold;
    mapping(uint256 zone => mapping(uint256 day => uint256)) private _soldInZone;
    /// @dev 32 days of eight accounts a word, for the same reason; by `day / 32 | account / 8 << 32`.
    mapping(uint256 word => uint256) private _eventDays;

    event AccountRegistered(uint256 indexed account, address indexed owner);
    /// @notice `delegate` is an account, 0 where there is none any more.
    event DelegateSet(uint256 indexed account, uint256 indexed delegate);
    event EnvelopeSet(uint256 indexed account, uint256 wh);
    event KeySuspended(uint256 indexed account, uint256 indexed key);
    event MeterBound(uint256 indexed account, uint256 zone, uint256 key, uint256 fromDay);
    /// @notice A promise: Wh per session interval, 32 bits each, eight a word; or a commitment to a hidden one.
    event FlexibilityTargetSet(uint256 indexed session, uint256 indexed account, uint256 commitment, uint256[] target);

    error NoOwner();
    error TooManyAccounts(uint256 count);
    error UnknownAccount(uint256 account);
    error NotOwner(uint256 account, address caller);
    error NotAllowed(uint256 account, address signer);
    error NotDelegate(uint256 account, uint256 agent);
    error DelegateIsSelf(uint256 account);
    error EnvelopeOutOfRange(uint256 wh);
    error NoMeterKey(uint256 account, uint256 day);
    error WrongZone(uint256 account, uint256 zone, uint256 expected);
    error KeyOutOfRange(uint256 key);
    error KeyTaken(uint256 key, uint256 account);
    error UnknownKey(uint256 key);
    error KeyAlreadySuspended(uint256 key);
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

    /// @notice Lets the owner of the account `delegate` place orders for the account (not withdraw); 0 ends it.
    function setDelegate(uint256 account, uint256 delegate) external {
        if (ownerOf(account) != msg.sender) revert NotOwner(account, msg.sender);
        if (delegate == account) revert DelegateIsSelf(account);
        if (delegate != 0) ownerOf(delegate);
        _setEighth(_delegates, account, delegate);
        emit DelegateSet(account, delegate);
    }

    /// @notice Declares how much the account's devices can move in an interval, in Wh; offers in cooperative sessions end there.
    function setEnvelope(uint256 account, uint256 wh) external onlyRole(METERING_ROLE) {
        ownerOf(account);
        if (wh > type(uint32).max) revert EnvelopeOutOfRange(wh);
        _setEighth(_envelopes, account, wh);
        emit EnvelopeSet(account, wh);
    }

    /// @notice Binds the next version of the account's meter key, in force from `fromDay` on.
    function bindMeter(uint256 account, uint256 zone, uint256 key, uint256 fromDay) external onlyRole(METERING_ROLE) {
        ownerOf(account);
        zones.get(zone);
        (uint256 boundZone, uint256 keys, uint256 lastDay) = _meterOf(account);
        if (keys != 0 && boundZone != zone) revert WrongZone(account, zone, boundZone);
        if (keys == type(uint16).max) revert TooManyKeys(account);
        if (key == 0 || key >= R) revert KeyOutOfRange(key);
        if (accountOfKey[key] != 0) revert KeyTaken(key, accountOfKey[key]);
        if (fromDay <= lastDay || fromDay >= NEVER) revert KeyDayNotLater(fromDay, lastDay);
        uint256 earliest = block.timestamp / 1 days - 1; // one day of slack for the zone's offset
        if (fromDay < earliest) revert KeyDayInPast(fromDay, earliest);
        accountOfKey[key] = account;
        _keys[_version(account, keys)] = MeterKey(key, fromDay);
        uint256 lane = 64 * (account & 3);
        _meters[account >> 2] = (_meters[account >> 2] & ~(uint256(type(uint64).max) << lane))
            | ((zone | ((keys + 1) << 16) | (fromDay << 32)) << lane);
        if (keys == 0 || _accounts[account].offersFrom == NEVER) _offersFrom(account, zone, fromDay);
        emit MeterBound(account, zone, key, fromDay);
    }

    /// @notice Takes a key out of force on every day; it stays taken. The account offers again from the first day of the version after it.
    function suspendKey(uint256 key) external onlyRole(FORKS_ROLE) {
        uint256 account = accountOfKey[key];
        if (account == 0) revert UnknownKey(key);
        (, uint256 version,) = _meterOf(account);
        uint256 following = NEVER;
        MeterKey storage held = _keys[_version(account, --version)];
        while (held.key & ~SUSPENDED != key) {
            following = held.fromDay;
            held = _keys[_version(account, --version)];
        }
        if (held.key != key) revert KeyAlreadySuspended(key);
        held.key = key | SUSPENDED;
        if (_accounts[account].offersFrom < following) _offersFrom(account, _accounts[account].zone, following);
        emit KeySuspended(account, key);
    }

    /// @dev Writes from when the account may offer, in both places that orders read.
    function _offersFrom(uint256 account, uint256 zone, uint256 day) private {
        (_accounts[account].zone, _accounts[account].offersFrom) = (uint16(zone), uint16(day));
        _setEighth(_offerers, account, zone | (day << 16));
    }

    /// @dev The account's 32 bits in a mapping that has eight accounts a word.
    function _eighth(uint256 word, uint256 account) private pure returns (uint256) {
        return (word >> (32 * (account & 7))) & type(uint32).max;
    }

    function _setEighth(mapping(uint256 eight => uint256) storage words, uint256 account, uint256 value) private {
        uint256 lane = 32 * (account & 7);
        words[account >> 3] = (words[account >> 3] & ~(uint256(type(uint32).max) << lane)) | (value << lane);
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
        if (eventDay) _eventDays[_eventWord(account, day)] |= 1 << (32 * (account & 7) + (day & 31));
        emit FlexibilityTargetSet(session, account, commitment, target);
    }

    /// @notice Reverts unless `signer` may place every entry: as owner of the account, or as owner of the agent's account that is the
    /// account's delegate; and, for offers, unless a key of the zone is in force on the day.
    /// @param entries words `account:32 | agent:32 | lock:64 | side:1 | cancels:1 | ...`
    function requireRights(address signer, uint256 zone, uint256 day, uint256[] calldata entries) external view {
        uint256 actor = type(uint256).max; // the last agent that was found to be the signer's
        (uint256 eight, uint256 delegates) = (type(uint256).max, 0);
        (uint256 eightOffer, uint256 offerers) = (type(uint256).max, 0);
        (uint256 cursor, uint256 end) = (0, 0);
        assembly ("memory-safe") {
            cursor := entries.offset
            end := add(cursor, shl(5, entries.length))
        }
        unchecked {
            for (; cursor != end; cursor += 32) {
                (uint256 account, uint256 agent, uint256 offers) = (0, 0, 0);
                assembly ("memory-safe") {
                    let entry := calldataload(cursor)
                    account := and(entry, 0xffffffff)
                    agent := and(shr(32, entry), 0xffffffff)
                    offers := eq(and(shr(128, entry), 3), 1) // and cancels nothing: who loses its key must be able to take its offer back
                }
                if (agent != actor) {
                    if (agent == 0) {
                        Account memory held = _accounts[account];
                        if (held.owner != signer) _refuse(account, signer, held.owner);
                        if (offers != 0) _requireKey(account, held.zone, held.offersFrom, zone, day);
                        continue;
                    }
                    if (ownerOf(agent) != signer) revert NotAllowed(agent, signer);
                    actor = agent;
                }
                if (account >> 3 != eight) {
                    eight = account >> 3;
                    delegates = _delegates[eight];
                }
                uint256 lane = (account & 7) << 5;
                if ((delegates >> lane) & type(uint32).max != agent) revert NotDelegate(account, agent);
                if (offers == 0) continue;
                if (eight != eightOffer) {
                    eightOffer = eight;
                    offerers = _offerers[eight];
                }
                uint256 bound = offerers >> lane;
                _requireKey(account, bound & type(uint16).max, (bound >> 16) & type(uint16).max, zone, day);
            }
        }
    }

    function _requireKey(uint256 account, uint256 inZone, uint256 from, uint256 zone, uint256 day) private pure {
        uint256 refused;
        assembly ("memory-safe") {
            refused := or(or(iszero(inZone), xor(inZone, zone)), or(gt(from, day), eq(from, NEVER)))
        }
        if (refused == 0) return;
        if (inZone == 0 || from > day || from == NEVER) revert NoMeterKey(account, day);
        revert WrongZone(account, zone, inZone);
    }

    function _refuse(uint256 account, address signer, address owner) private pure {
        if (owner == address(0)) revert UnknownAccount(account);
        revert NotAllowed(account, signer);
    }

    /// @return The account whose owner may place orders for `account`, 0 where there is none.
    function delegateOf(uint256 account) external view returns (uint256) {
        return _eighth(_delegates[account >> 3], account);
    }

    /// @return Wh an interval that the account may offer in a cooperative session.
    function envelopeOf(uint256 account) external view returns (uint256) {
        return _eighth(_envelopes[account >> 3], account);
    }

    function ownerOf(uint256 account) public view returns (address owner) {
        owner = _accounts[account].owner;
        if (owner == address(0)) revert UnknownAccount(account);
    }

    /// @notice Owner, zone (0 before the first meter key) and number of key versions.
    function get(uint256 account) external view returns (address owner, uint256 zone, uint256 keys) {
        owner = ownerOf(account);
        (zone, keys,) = _meterOf(account);
    }

    /// @return zone of the account that holds the key; reverts where none does
    function zoneOfKey(uint256 key) external view returns (uint256 zone) {
        if (accountOfKey[key] == 0) revert UnknownKey(key);
        (zone,,) = _meterOf(accountOfKey[key]);
    }

    /// @return key the meter key in force on `day`; 0 where there is none, or a suspended one
    /// @return fromDay the first day of that key
    function keyAt(uint256 account, uint256 day) external view returns (uint256 key, uint256 fromDay) {
        (, uint256 keys, uint256 lastDay) = _meterOf(account);
        return _keyAt(account, day, keys, lastDay);
    }

    function _keyAt(uint256 account, uint256 day, uint256 keys, uint256 lastDay) private view returns (uint256 key, uint256 fromDay) {
        fromDay = lastDay;
        while (keys != 0 && fromDay > day) {
            --keys;
            if (keys != 0) fromDay = _keys[_version(account, keys - 1)].fromDay;
        }
        if (keys == 0) return (0, 0);
        key = _keys[_version(account, keys - 1)].key;
        if (key & SUSPENDED != 0) return (0, 0);
    }

    /// @dev `version:16 | account:32` as one number.
    function _version(uint256 account, uint256 version) private pure returns (uint256) {
        return account | (version << 32);
    }

    function _meterOf(uint256 account) private view returns (uint256 zone, uint256 keys, uint256 lastDay) {
        return _meterIn(_meters[account >> 2], account);
    }

    function _meterIn(uint256 four, uint256 account) private pure returns (uint256 zone, uint256 keys, uint256 lastDay) {
        uint256 meter = four >> (64 * (account & 3));
        return (meter & type(uint16).max, (meter >> 16) & type(uint16).max, (meter >> 32) & type(uint32).max);
    }

    function _eventWord(uint256 account, uint256 day) private pure returns (uint256) {
        return (day >> 5) | ((account >> 3) << 32);
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
    function eventDays(uint256 account, uint256 first, uint256 days_) external view returns (uint256 bits) {
        for (uint256 k; k < days_; ++k) {
            uint256 day = first + k;
            if ((_eventDays[_eventWord(account, day)] >> (32 * (account & 7) + (day & 31))) & 1 == 1) bits |= 1 << k;
        }
    }

    /// @notice What proofs of delivery on `day` need of the accounts. Accounts that lie together share reads, best in ascending order.
    /// @param entries each `size` words, the first of them `account:32 | ...`
    /// @return states per entry two words of 32 bytes: meter key in force on `day`, and `zone:16 | first day of that key:32 | event days:14`
    /// with bit k of the event days for `day - 14 + k`
    function metersOn(uint256 day, uint256[] calldata entries, uint256 size) external view returns (bytes memory states) {
        uint256 number = entries.length / size;
        states = new bytes(64 * number);
        (uint256 four, uint256 meters) = (type(uint256).max, 0);
        (uint256 eight, uint256 before, uint256 after_) = (type(uint256).max, 0, 0);
        uint256 first = day - 14;
        unchecked {
            for (uint256 i; i < number; ++i) {
                uint256 account;
                assembly ("memory-safe") {
                    account := and(calldataload(add(entries.offset, shl(5, mul(i, size)))), 0xffffffff)
                }
                if (account >> 2 != four) {
                    four = account >> 2;
                    meters = _meters[four];
                }
                if (account >> 3 != eight) {
                    eight = account >> 3;
                    before = _eventDays[_eventWord(account, first)];
                    if (first & 31 > 18) after_ = _eventDays[_eventWord(account, day)];
                }
                uint256 meter = meters >> (64 * (account & 3));
                uint256 keys = (meter >> 16) & type(uint16).max;
                uint256 fromDay = (meter >> 32) & type(uint32).max;
                uint256 key;
                if (keys != 0 && fromDay <= day) key = _keys[_version(account, keys - 1)].key;
                else (key, fromDay) = _keyAt(account, day, keys, fromDay);
                if (key == 0 || key & SUSPENDED != 0) revert NoMeterKey(account, day);
                uint256 lane = 32 * (account & 7);
                uint256 events = ((before >> lane) & type(uint32).max) | (((after_ >> lane) & type(uint32).max) << 32);
                events = (events >> (first & 31)) & 0x3fff;
                assembly ("memory-safe") {
                    let to := add(add(states, 0x20), shl(6, i))
                    mstore(to, key)
                    mstore(add(to, 0x20), or(or(and(meter, 0xffff), shl(16, fromDay)), shl(48, events)))
                }
            }
        }
    }
}
