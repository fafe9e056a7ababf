// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccounts, IDeliveries, Mode, SessionRequest, Terms} from "./Protocol.sol";
import {RuleSet} from "./RuleSet.sol";
import {Zones} from "./Zones.sol";

/// @title SessionTerms: which terms a session may have
/// @notice docs/protocol.md section 5.
library SessionTerms {
    uint256 private constant MAX_FEE_PPM = 100_000;
    uint256 private constant MAX_INTAKE_FEE = 1_000_000;
    /// @dev Nobody may make buyers wait for a silent seller's penalty for ever.
    uint256 private constant LONGEST_PROOF = 60 days;
    /// @dev Nobody may keep intervals of years to come from other sessions.
    uint256 private constant FARTHEST_DAY = 366;

    error FieldOutOfRange(string field, uint256 value, uint256 largest);
    error MaskOutOfRange(uint256 mask, uint256 dayIntervals);
    error GateInPast(uint256 gateClose, uint256 timestamp);
    error TimesOutOfOrder(string earlier, uint256 earlierTime, string later, uint256 laterTime);
    error DeliveriesForOtherDays(address deliveries, uint256 dayIntervals, uint256 expected);

    /// @notice The whole terms of a session as requested, or a revert.
    function derive(SessionRequest calldata wanted, uint256[] calldata rules, Zones zones, IAccounts accounts)
        internal
        view
        returns (Terms memory terms)
    {
        if (wanted.kind > 2) revert FieldOutOfRange("kind", wanted.kind, 2);
        if (wanted.direction > 1) revert FieldOutOfRange("direction", wanted.direction, 1);
        if (wanted.feePpm > MAX_FEE_PPM) revert FieldOutOfRange("feePpm", wanted.feePpm, MAX_FEE_PPM);
        if (wanted.intakeFee > MAX_INTAKE_FEE) revert FieldOutOfRange("intakeFee", wanted.intakeFee, MAX_INTAKE_FEE);
        if (wanted.feeAccount != 0 || wanted.feePpm != 0) accounts.ownerOf(wanted.feeAccount);
        uint256 dayIntervals = zones.intervals(wanted.zone);
        uint256 farthest = zones.dayOf(wanted.zone, block.timestamp) + FARTHEST_DAY;
        if (wanted.day > farthest) revert FieldOutOfRange("day", wanted.day, farthest);
        uint256 mask = wanted.mask;
        if (mask == 0 || mask >> dayIntervals != 0) revert MaskOutOfRange(mask, dayIntervals);
        uint256 proven = IDeliveries(wanted.deliveries).intervals();
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
            challengeEnd: wanted.challengeEnd,
            feePpm: wanted.feePpm,
            feeAccount: wanted.feeAccount,
            intakeFee: wanted.intakeFee,
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
        if (terms.proofDeadline > terms.deliveryEnd + LONGEST_PROOF) {
            revert FieldOutOfRange("proofDeadline", terms.proofDeadline, terms.deliveryEnd + LONGEST_PROOF);
        }
        if (terms.mode != uint8(Mode.Block)) {
            if (terms.challengeEnd != 0) revert FieldOutOfRange("challengeEnd", terms.challengeEnd, 0);
        } else if (terms.challengeEnd <= terms.gateClose) {
            revert TimesOutOfOrder("gateClose", terms.gateClose, "challengeEnd", terms.challengeEnd);
        } else if (terms.challengeEnd >= terms.deliveryStart) {
            revert TimesOutOfOrder("challengeEnd", terms.challengeEnd, "deliveryStart", terms.deliveryStart);
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
