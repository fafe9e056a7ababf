// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RuleSet} from "./RuleSet.sol";
import {Zones} from "./Zones.sol";

/// @notice What a session needs to know of the contract that will take its proofs.
interface IDayLength {
    /// @return T of the days that it proves
    function intervals() external view returns (uint256);
}

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

/// @notice What the operator fixes of a session; everything else follows from it.
struct SessionRequest {
    uint16 zone;
    uint8 kind; // 0 electrical, 1 thermal, 2 comfort
    uint8 direction; // 0 UP, 1 DOWN
    uint8 mode; // 0 competitive
    uint32 day;
    uint96 mask; // intervals of the day
    uint40 gateOpen;
    uint40 gateClose;
    uint40 exemptionDeadline;
    uint40 proofDeadline;
    uint32 priceCap; // micro-euro per kWh
    uint24 minQuantity; // Wh
    address deliveries;
}

/// @notice The terms of a session, fixed at opening; four slots.
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
    bytes32 rulesHash;
}

/// @title SessionTerms: which terms a session may have
/// @notice docs/protocol.md section 5.
library SessionTerms {
    error FieldOutOfRange(string field, uint256 value, uint256 largest);
    error ModeNotSupported(uint256 mode);
    error MaskOutOfRange(uint256 mask, uint256 dayIntervals);
    error GateInPast(uint256 gateClose, uint256 timestamp);
    error TimesOutOfOrder(string earlier, uint256 earlierTime, string later, uint256 laterTime);
    error DeliveriesForOtherDays(address deliveries, uint256 dayIntervals, uint256 expected);

    /// @notice The whole terms of a session as requested, or a revert.
    function derive(SessionRequest calldata wanted, uint256[] calldata rules, Zones zones)
        internal
        view
        returns (Terms memory terms)
    {
        if (wanted.kind > 2) revert FieldOutOfRange("kind", wanted.kind, 2);
        if (wanted.direction > 1) revert FieldOutOfRange("direction", wanted.direction, 1);
        if (wanted.mode != 0) revert ModeNotSupported(wanted.mode);
        uint256 dayIntervals = zones.intervals(wanted.zone);
        uint256 mask = wanted.mask;
        if (mask == 0 || mask >> dayIntervals != 0) revert MaskOutOfRange(mask, dayIntervals);
        uint256 proven = IDayLength(wanted.deliveries).intervals();
        if (proven != dayIntervals) revert DeliveriesForOtherDays(wanted.deliveries, proven, dayIntervals);
        uint256 end = length(mask);
        terms = Terms({
            zone: wanted.zone,
            kind: wanted.kind,
            direction: wanted.direction,
            mode: wanted.mode,
            intervals: uint8(count(mask)),
            dayIntervals: uint8(dayIntervals),
            day: wanted.day,
            mask: wanted.mask,
            priceCap: wanted.priceCap,
            minQuantity: wanted.minQuantity,
            gateOpen: wanted.gateOpen,
            gateClose: wanted.gateClose,
            deliveryStart: uint40(zones.intervalStart(wanted.zone, wanted.day, length(mask & (~mask + 1)) - 1)),
            deliveryEnd: uint40(zones.intervalStart(wanted.zone, wanted.day, end)),
            exemptionDeadline: wanted.exemptionDeadline,
            proofDeadline: wanted.proofDeadline,
            deliveries: wanted.deliveries,
            collateralPpm: uint32(RuleSet.validate(rules)),
            rulesHash: keccak256(abi.encodePacked(rules))
        });
        _checkTimes(terms);
    }

    function _checkTimes(Terms memory terms) private view {
        if (terms.gateClose <= block.timestamp) revert GateInPast(terms.gateClose, block.timestamp);
        if (terms.gateOpen >= terms.gateClose) {
            revert TimesOutOfOrder("gateOpen", terms.gateOpen, "gateClose", terms.gateClose);
        }
        if (terms.gateClose > terms.deliveryStart) {
            revert TimesOutOfOrder("gateClose", terms.gateClose, "deliveryStart", terms.deliveryStart);
        }
        if (terms.deliveryEnd > terms.exemptionDeadline) {
            revert TimesOutOfOrder("deliveryEnd", terms.deliveryEnd, "exemptionDeadline", terms.exemptionDeadline);
        }
        if (terms.exemptionDeadline > terms.proofDeadline) {
            revert TimesOutOfOrder("exemptionDeadline", terms.exemptionDeadline, "proofDeadline", terms.proofDeadline);
        }
    }

    /// @return result number of set bits
    function count(uint256 bits) internal pure returns (uint256 result) {
        unchecked {
            for (; bits != 0; bits &= bits - 1) ++result;
        }
    }

    /// @return result one more than the highest set bit, 0 for 0
    function length(uint256 bits) internal pure returns (uint256 result) {
        unchecked {
            for (; bits != 0; bits >>= 1) ++result;
        }
    }
}
