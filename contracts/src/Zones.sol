// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title Zones: standard time, intervals and the calendar of each market zone
/// @notice docs/protocol.md section 2. A day is `(timestamp + offset) / 86400`; offset and interval length of a zone never change.
contract Zones is AccessControl {
    bytes32 public constant OPERATOR_ROLE = keccak256("OPERATOR");

    /// @dev Bit k: day k of weeks that begin on a Monday is a weekday.
    uint256 private constant WEEKDAYS = 0x03e7cf9f3e7cf9f3e7cf9f3e7cf9f3e7cf9f3e7cf9f3e7cf9f3e7cf9f3e7cf9f;

    struct Zone {
        int32 offset;
        uint8 intervalMinutes;
    }

    /// @notice Number of zones; they count from 1.
    uint256 public count;

    mapping(uint256 zone => Zone) private _zones;
    mapping(uint256 zone => mapping(uint256 word => uint256)) private _holidays;

    event ZoneAdded(uint256 indexed zone, int256 offset, uint256 intervalMinutes);
    event HolidaySet(uint256 indexed zone, uint256 indexed day, bool holiday);

    error UnknownZone(uint256 zone);
    error OffsetOutOfRange(int256 offset);
    error IntervalNotSupported(uint256 intervalMinutes);
    error TooManyZones(uint256 count);
    error HolidayNotInFuture(uint256 day, uint256 today);

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @param offset standard-time offset in seconds, at most 14 hours either way
    /// @param intervalMinutes 15, 30 or 60
    function add(int256 offset, uint256 intervalMinutes) external onlyRole(OPERATOR_ROLE) returns (uint256 zone) {
        if (offset < -14 hours || offset > 14 hours) revert OffsetOutOfRange(offset);
        if (intervalMinutes != 15 && intervalMinutes != 30 && intervalMinutes != 60) revert IntervalNotSupported(intervalMinutes);
        if (count == type(uint16).max) revert TooManyZones(count);
        zone = ++count;
        _zones[zone] = Zone(int32(offset), uint8(intervalMinutes));
        emit ZoneAdded(zone, offset, intervalMinutes);
    }

    /// @notice Declares days of the zone as holidays, or takes that back; future days only, so that no past day changes its kind.
    function setHolidays(uint256 zone, uint256[] calldata holidays, bool holiday) external onlyRole(OPERATOR_ROLE) {
        uint256 today = dayOf(zone, block.timestamp);
        for (uint256 i; i < holidays.length; ++i) {
            uint256 day = holidays[i];
            if (day <= today) revert HolidayNotInFuture(day, today);
            uint256 bit = 1 << (day & 255);
            if (holiday) _holidays[zone][day >> 8] |= bit;
            else _holidays[zone][day >> 8] &= ~bit;
            emit HolidaySet(zone, day, holiday);
        }
    }

    /// @return offset standard-time offset in seconds
    /// @return intervalMinutes length of an interval
    function get(uint256 zone) public view returns (int256 offset, uint256 intervalMinutes) {
        Zone memory found = _zones[zone];
        if (found.intervalMinutes == 0) revert UnknownZone(zone);
        return (found.offset, found.intervalMinutes);
    }

    /// @return T, the number of intervals of a day: 96, 48 or 24
    function intervals(uint256 zone) external view returns (uint256) {
        (, uint256 intervalMinutes) = get(zone);
        return 1440 / intervalMinutes;
    }

    function dayOf(uint256 zone, uint256 timestamp) public view returns (uint256) {
        (int256 offset,) = get(zone);
        return uint256(int256(timestamp) + offset) / 1 days;
    }

    /// @return When interval `t` of `day` starts; `t = T` gives the end of the day.
    function intervalStart(uint256 zone, uint256 day, uint256 t) external view returns (uint256) {
        (int256 offset, uint256 intervalMinutes) = get(zone);
        return uint256(int256(day * 1 days + t * intervalMinutes * 60) - offset);
    }

    function isWorkingDay(uint256 zone, uint256 day) external view returns (bool) {
        return workingDays(zone, day, 1) == 1;
    }

    /// @return bits bit k: day `first + k` is a working day, for `days_` days (at most 128)
    function workingDays(uint256 zone, uint256 first, uint256 days_) public view returns (uint256 bits) {
        if (_zones[zone].intervalMinutes == 0) revert UnknownZone(zone);
        uint256 holidays = _holidays[zone][first >> 8] >> (first & 255);
        if ((first & 255) + days_ > 256) holidays |= _holidays[zone][(first >> 8) + 1] << (256 - (first & 255));
        bits = (WEEKDAYS >> ((first + 3) % 7)) & ~holidays & ((1 << days_) - 1);
    }
}
