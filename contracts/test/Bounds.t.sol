// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {RequestList} from "../src/RequestList.sol";
import {Zones} from "../src/Zones.sol";
import {RequestListBench} from "../src/test/RequestListBench.sol";
import {Door} from "./Door.sol";

/// @notice What Accounts and Zones have in common here.
interface Counted {
    function count() external view returns (uint256);
}

/// @notice Forge's view of a contract's storage.
interface Storage {
    function accesses(address target) external returns (bytes32[] memory reads, bytes32[] memory writes);
    function record() external;
    function store(address target, bytes32 slot, bytes32 value) external;
}

/// @title Bounds: the last value that has a place in its field is taken, and the next one refused
contract BoundsTest is Door {
    uint256 private constant M32 = type(uint32).max;
    uint256 private constant MAX_QUANTITY = 0xffffff;

    RequestListBench private bench;

    function setUp() external {
        buildDoor();
        bench = RequestListBench(vm.deployCode("artifacts/test/RequestListBench.json"));
    }

    function test_accounts_are_numbered_in_32_bits() external {
        _set(address(accounts), M32 - 1);
        same(accounts.register(address(1)), M32, "the last account");
        vm.expectRevert(abi.encodeWithSelector(Accounts.TooManyAccounts.selector, M32));
        accounts.register(address(1));
    }

    function test_zones_are_numbered_in_16_bits() external {
        _set(address(zones), type(uint16).max - 1);
        vm.prank(OPERATOR);
        same(zones.add(0, 60), type(uint16).max, "the last zone");
        vm.expectRevert(abi.encodeWithSelector(Zones.TooManyZones.selector, type(uint16).max));
        vm.prank(OPERATOR);
        zones.add(0, 60);
    }

    function test_an_envelope_has_32_bits() external {
        uint256 account = accounts.register(address(1));
        vm.prank(METERING);
        accounts.setEnvelope(account, M32);
        vm.expectRevert(abi.encodeWithSelector(Accounts.EnvelopeOutOfRange.selector, M32 + 1));
        vm.prank(METERING);
        accounts.setEnvelope(account, M32 + 1);
    }

    /// @dev What a day was for baselines must not change once it has begun.
    function test_a_holiday_lies_in_the_future() external {
        uint256 today = zones.dayOf(1, vm.getBlockTimestamp());
        uint256[] memory days_ = new uint256[](2);
        days_[0] = today + 1;
        for (uint256 ago; ago < 2; ++ago) {
            days_[1] = today - ago;
            vm.expectRevert(abi.encodeWithSelector(Zones.HolidayNotInFuture.selector, today - ago, today));
            vm.prank(OPERATOR);
            zones.setHolidays(1, days_, true);
        }
        days_[1] = today + 2;
        vm.prank(OPERATOR);
        zones.setHolidays(1, days_, true);
    }

    /// @dev At the highest cap and collateral, 59 intervals of the largest promise lock what 64 bits hold.
    function test_a_members_lock_has_64_bits() external {
        uint256[] memory promises = new uint256[](96);
        for (uint256 j; j < 59; ++j) promises[j] = MAX_QUANTITY;
        RequestList.Ask memory ask = RequestList.Ask(9, 0, 96, 1, M32, M32);
        bench.check(ask, _packed(promises), _list(1, promises));
        promises[59] = MAX_QUANTITY;
        uint256 lock = (M32 * 60 * MAX_QUANTITY * M32 + 999_999_999) / 1e9;
        (uint256[] memory target, uint256[] memory list) = (_packed(promises), _list(1, promises));
        vm.expectRevert(abi.encodeWithSelector(RequestList.LockTooLarge.selector, 1, lock));
        bench.check(ask, target, list);
    }

    function test_the_buyers_fill_has_32_bits() external {
        uint256[] memory target = new uint256[](1);
        target[0] = M32;
        uint256[] memory promised = new uint256[](1);
        promised[0] = MAX_QUANTITY;
        RequestList.Ask memory ask = RequestList.Ask(999, 10_000, 1, 1, 1, 0);
        bench.check(ask, target, _list(256, promised));
        uint256[] memory list = _list(257, promised);
        vm.expectRevert(abi.encodeWithSelector(RequestList.SumTooLarge.selector, 0, 257 * MAX_QUANTITY, 0));
        bench.check(ask, target, list);
    }

    // ----------------------------------------------------------------------------------------------------------------- helpers

    /// @dev Makes a contract believe that it has counted to `number`, which would take a test days.
    function _set(address counted, uint256 number) private {
        Storage(address(vm)).record();
        Counted(counted).count();
        (bytes32[] memory reads,) = Storage(address(vm)).accesses(counted);
        same(reads.length, 1, "the slot of the count");
        Storage(address(vm)).store(counted, reads[0], bytes32(number));
    }

    /// @dev Members 1 to `members`, who promise the same for nothing.
    function _list(uint256 members, uint256[] memory promises) private pure returns (uint256[] memory list) {
        uint256[] memory words = _packed(promises);
        uint256 size = 1 + 2 * words.length;
        list = new uint256[](members * size);
        for (uint256 i; i < members; ++i) {
            list[i * size] = i + 1;
            for (uint256 k; k < words.length; ++k) list[i * size + 1 + k] = words[k];
        }
    }

    function _packed(uint256[] memory values) private pure returns (uint256[] memory words) {
        words = new uint256[]((values.length + 7) / 8);
        for (uint256 j; j < values.length; ++j) words[j / 8] |= values[j] << (32 * (j % 8));
    }
}
