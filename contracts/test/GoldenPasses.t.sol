// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Clearing} from "../src/Clearing.sol";
import {Pass} from "../src/ClearingPass.sol";
import {State, Terms} from "../src/Protocol.sol";
import {ClearingRoom, Recorder} from "./ClearingRoom.sol";
import {Cooperation} from "./Cooperation.sol";

interface Files {
    function readFile(string calldata path) external view returns (string memory);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonUintArray(string calldata json, string calldata key) external pure returns (uint256[] memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key) external pure returns (bytes32[] memory);
}

/// @title GoldenPasses: what Python says of whole clearings, batch by batch, is what the contract leaves
/// @notice tests/cases/passes/golden.json, which tests/market/test_golden_passes.py computes.
contract GoldenPassesTest is ClearingRoom {
    Files private constant FILES = Files(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint256 private constant CASES = 8;

    string private _json;
    string private _case;

    function test_every_state_and_every_group_is_as_python_has_it() external {
        _json = FILES.readFile("../tests/cases/passes/golden.json");
        for (uint256 i; i < CASES; ++i) {
            furnish();
            _case = string(abi.encodePacked(".case", bytes1(uint8(48 + i))));
            _check(1);
        }
    }

    function _check(uint256 session) private {
        Pass memory taken;
        (taken.certificate, taken.levels) = (_words("certificate"), new uint256[](0));
        uint256[] memory levels = _words("levels");
        taken.levelsHash = taken.levelsLeft = Cooperation.chain(levels, 0);
        vm.assertTrue(taken.levelsHash == FILES.parseJsonBytes32(_json, _path("levelsHash")), "levels");
        taken.marks = FILES.parseJsonBytes32Array(_json, _path("marks"));
        (taken.live, taken.excluded) = (_words("live"), _words("excluded"));
        uint256[] memory sizes = _words("sizes");
        bytes32[] memory hashes = _open(session, sizes);
        if (taken.excluded.length != 0) _review(session, taken.excluded);
        taken.state = new uint256[](0);
        uint256[3] memory from; // words, hints, states
        for (uint256 i; i < sizes.length; ++i) {
            taken.sizes = new uint256[](1);
            taken.sizes[0] = sizes[i];
            taken.words = _slice(_words("words"), from[0], sizes[i]);
            taken.hints = _slice(_words("hints"), from[1], _words("hintSizes")[i]);
            taken.rest = new bytes32[](sizes.length - 1 - i);
            for (uint256 k; k < taken.rest.length; ++k) taken.rest[k] = hashes[i + 1 + k];
            uint256[] memory expected = _slice(_words("states"), from[2], _words("stateSizes")[i]);
            taken.state = _advance(session, taken);
            vm.assertTrue(keccak256(abi.encode(taken.state)) == keccak256(abi.encode(expected)), "state");
            (from[0], from[1], from[2]) = (from[0] + sizes[i], from[1] + taken.hints.length, from[2] + expected.length);
        }
        (taken.sizes, taken.words, taken.hints) = (new uint256[](0), new uint256[](0), new uint256[](0));
        _levels(session, taken, levels, from[2]);
        clearing.clear(session, taken);
        vm.assertTrue(clearing.acceptedKey(session) == FILES.parseJsonBytes32(_json, _path("key")), "key");
        bytes32[] memory groups = FILES.parseJsonBytes32Array(_json, _path("groups"));
        for (uint256 g; g < groups.length; ++g) vm.assertTrue(clearing.groupHash(session, g) == groups[g], "group");
    }

    /// @dev Checks the levels in the portions of the case, all but the last, which stays in `taken`.
    function _levels(uint256 session, Pass memory taken, uint256[] memory levels, uint256 states) private {
        uint256[] memory portions = _words("portions");
        uint256 from;
        for (uint256 i; i < portions.length; ++i) {
            taken.levels = _slice(levels, from, portions[i]);
            from += portions[i];
            taken.levelsLeft = Cooperation.chain(levels, from);
            if (i + 1 == portions.length) break;
            uint256 size = _words("stateSizes")[_words("sizes").length + i];
            uint256[] memory expected = _slice(_words("states"), states, size);
            taken.state = _advance(session, taken);
            vm.assertTrue(keccak256(abi.encode(taken.state)) == keccak256(abi.encode(expected)), "state of the levels");
            states += size;
        }
    }

    function _open(uint256 session, uint256[] memory sizes) private returns (bytes32[] memory hashes) {
        uint256[] memory sold = _words("sold");
        for (uint256 i; i < sold.length; i += 2) accounts.setSold(sold[i], sold[i + 1]);
        uint256[] memory words = _words("words");
        hashes = new bytes32[](sizes.length);
        bytes32 log;
        uint256 from;
        for (uint256 i; i < sizes.length; ++i) {
            hashes[i] = hashOf(_slice(words, from, sizes[i]));
            log = keccak256(abi.encode(log, hashes[i]));
            from += sizes[i];
        }
        Terms memory agreed;
        (agreed.zone, agreed.day, agreed.mode) = (1, 20_000, uint8(FILES.parseJsonUint(_json, _path("mode"))));
        agreed.mask = uint96(FILES.parseJsonUint(_json, _path("mask")));
        agreed.intervals = uint8(FILES.parseJsonUint(_json, _path("intervals")));
        market.close(session, agreed, log);
    }

    function _review(uint256 session, uint256[] memory excluded) private {
        market.put(session, State.UnderReview);
        market.grant(keccak256("GUARDIAN"), address(this));
        clearing.exclude(session, excluded, bytes32(0));
    }

    function _advance(uint256 session, Pass memory taken) private returns (uint256[] memory) {
        Recorder(address(vm)).recordLogs();
        clearing.take(session, taken);
        Recorder.Log[] memory logs = Recorder(address(vm)).getRecordedLogs();
        vm.assertTrue(logs[logs.length - 1].topics[0] == Clearing.ClearingContinued.selector, "goes on");
        return abi.decode(logs[logs.length - 1].data, (uint256[]));
    }

    function _words(string memory key) private view returns (uint256[] memory) {
        return FILES.parseJsonUintArray(_json, _path(key));
    }

    function _path(string memory key) private view returns (string memory) {
        return string(abi.encodePacked(_case, ".", key));
    }

    function _slice(uint256[] memory words, uint256 from, uint256 size) private pure returns (uint256[] memory part) {
        part = new uint256[](size);
        for (uint256 i; i < size; ++i) part[i] = words[from + i];
    }
}
