// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Terms} from "../Protocol.sol";
import {PriceGuard} from "../PriceGuard.sol";

/// @title GuardBench: for tests; market, calendar and results in one, so that a price guard can be fed
contract GuardBench {
    /// @notice One session: an hour type's, on a day of the calendar.
    struct Session {
        uint256 today; // day of the calendar on which it is accepted
        bool working;
        Terms terms;
        uint256[] prices;
        uint256[] volumes;
    }

    uint256 private _today;
    bool private _working;

    function resultsOf(uint256) external view returns (address) {
        return address(this);
    }

    function dayOf(uint256, uint256) external view returns (uint256) {
        return _today;
    }

    function isWorkingDay(uint256, uint256) external view returns (bool) {
        return _working;
    }

    /// @notice Has the guard record sessions.
    function feed(PriceGuard guard, Session[] calldata sessions) external {
        for (uint256 i; i < sessions.length; ++i) {
            (_today, _working) = (sessions[i].today, sessions[i].working);
            guard.record(i, sessions[i].terms, sessions[i].prices, sessions[i].volumes);
        }
    }

    /// @notice Whether the guard finds nothing about a session.
    function inBand(PriceGuard guard, Session calldata one) external returns (bool) {
        (_today, _working) = (one.today, one.working);
        return guard.inBand(one.terms, one.prices, one.volumes);
    }
}
