// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The cheatcodes of forge that these tests use, by their names in forge.
interface Cheats {
    function addr(uint256 key) external pure returns (address);
    function assertEq(uint256 left, uint256 right, string calldata why) external pure;
    function assertLe(uint256 left, uint256 right, string calldata why) external pure;
    function assertTrue(bool condition, string calldata why) external pure;
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function deployCode(string calldata artifact) external returns (address);
    function deployCode(string calldata artifact, bytes calldata arguments) external returns (address);
    function expectPartialRevert(bytes4 selector) external;
    function expectRevert(bytes calldata data) external;
    /// @dev The optimizer takes `block.timestamp` for the same throughout a call; this is what `warp` has made of it.
    function getBlockTimestamp() external view returns (uint256);
    function prank(address sender) external;
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256);
    function warp(uint256 timestamp) external;
}

/// @title Checked: what every test contract has
abstract contract Checked {
    Cheats internal constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));

    function same(uint256 left, uint256 right, string memory why) internal pure {
        vm.assertEq(left, right, why);
    }

    /// @dev The next call must revert with the custom error `selector`, whatever its arguments.
    function refused(bytes4 selector) internal virtual {
        vm.expectPartialRevert(selector);
    }

    /// @dev `value` folded into [low, high].
    function within(uint256 value, uint256 low, uint256 high) internal pure returns (uint256) {
        return high - low == type(uint256).max ? value : low + value % (high - low + 1);
    }
}

/// @title Dice: a stream of numbers from one that the fuzzer chose
library Dice {
    struct State {
        uint256 seed;
    }

    /// @return A number in [low, high].
    function roll(State memory dice, uint256 low, uint256 high) internal pure returns (uint256) {
        dice.seed = uint256(keccak256(abi.encode(dice.seed)));
        return low + dice.seed % (high - low + 1);
    }

    /// @return True once in `times`.
    function once(State memory dice, uint256 times) internal pure returns (bool) {
        return roll(dice, 1, times) == 1;
    }
}
