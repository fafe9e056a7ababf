// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Pauses: when intake was paused, and whether that touched a session's gate
library Pauses {
    struct Pause {
        uint64 from;
        uint64 until; // 0 while it lasts
    }

    struct History {
        Pause[] pauses; // one after the other
    }

    function paused(History storage history) internal view returns (bool) {
        uint256 number = history.pauses.length;
        return number != 0 && history.pauses[number - 1].until == 0;
    }

    function begin(History storage history) internal {
        history.pauses.push(Pause(uint64(block.timestamp), 0));
    }

    /// @dev The second in which a pause ends belongs to it.
    function end(History storage history) internal {
        history.pauses[history.pauses.length - 1].until = uint64(block.timestamp + 1);
    }

    /// @notice Whether a pause overlapped, or by now overlaps, `[gateOpen, gateClose)`.
    /// @dev As pauses follow each other, the last one begun before the gate closed ended latest: found by halving, so that no number of
    /// pauses makes a session's state unreadable.
    function overlap(History storage history, uint256 gateOpen, uint256 gateClose) internal view returns (bool) {
        Pause[] storage pauses = history.pauses;
        uint256 low;
        uint256 high = pauses.length;
        while (low < high) {
            uint256 middle = (low + high) / 2;
            if (pauses[middle].from < gateClose) low = middle + 1;
            else high = middle;
        }
        if (low == 0) return false;
        uint256 until = pauses[low - 1].until;
        return until == 0 ? block.timestamp >= gateOpen : until > gateOpen;
    }
}
