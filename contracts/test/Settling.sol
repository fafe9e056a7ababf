// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IResults, Progress, Terms} from "../src/Protocol.sol";
import {Settlement} from "../src/Settlement.sol";
import {Vault} from "../src/Vault.sol";
import {DevEuro} from "../src/dev/DevEuro.sol";
import {Checked} from "./Cheats.sol";

/// @title FakeMarket: the sessions that a test says there are, and their results
contract FakeMarket {
    mapping(uint256 session => Terms) private _terms;
    mapping(uint256 session => Progress) private _progress;
    mapping(uint256 session => bytes32) public certificateHash;
    mapping(uint256 session => mapping(uint256 group => bytes32)) public groupHash;
    mapping(bytes32 role => mapping(address who => bool)) public hasRole;
    mapping(uint256 zone => mapping(uint256 day => uint256)) public auctioned;

    function setTerms(uint256 session, Terms calldata terms_) external {
        _terms[session] = terms_;
    }

    function setProgress(uint256 session, Progress calldata progress_) external {
        _progress[session] = progress_;
    }

    function setCertificate(uint256 session, bytes32 hash) external {
        certificateHash[session] = hash;
    }

    function amend(uint256 session, uint256 group, bytes32 hash) external {
        groupHash[session][group] = hash;
    }

    function grant(string calldata role, address who) external {
        hasRole[keccak256(bytes(role))][who] = true;
    }

    function setAuctioned(uint256 zone, uint256 day, uint256 intervals) external {
        auctioned[zone][day] = intervals;
    }

    function resultsOf(uint256) external view returns (IResults) {
        return IResults(address(this));
    }

    function terms(uint256 session) external view returns (Terms memory) {
        return _terms[session];
    }

    function progress(uint256 session) external view returns (Progress memory) {
        return _progress[session];
    }

    function rowsSettled(uint256 session, uint256 sellers, uint256 buyers) external {
        Progress storage reached = _progress[session];
        (reached.sellersLeft, reached.buyersLeft) =
            (reached.sellersLeft - uint32(sellers), reached.buyersLeft - uint32(buyers));
    }
}

/// @title FakeAccounts: everybody is there; what is sold is kept
contract FakeAccounts {
    mapping(uint256 account => address) public owners;
    mapping(uint256 account => uint256) public delegateOf;
    mapping(uint256 account => mapping(uint256 day => uint256)) public sold;
    uint256 public promises;
    bool public lastEvent;

    error IntervalsSoldAlready(uint256 account, uint256 day, uint256 intervals);

    function set(uint256 account, address owner, uint256 delegate) external {
        (owners[account], delegateOf[account]) = (owner, delegate);
    }

    function ownerOf(uint256 account) external view returns (address) {
        return owners[account];
    }

    function commitPromise(
        uint256,
        uint256 account,
        uint256,
        uint256 day,
        uint256 intervals,
        bool eventDay,
        uint256,
        uint256[] calldata
    ) external {
        if (sold[account][day] & intervals != 0) revert IntervalsSoldAlready(account, day, intervals);
        sold[account][day] |= intervals;
        ++promises;
        lastEvent = eventDay;
    }
}

/// @title FakeDeliveries: takes every batch for proven that it is told
contract FakeDeliveries {
    uint256 public immutable intervals;
    mapping(uint256 session => mapping(uint256 word => uint256)) public recordedWord;
    mapping(uint256 session => mapping(bytes32 batch => bool)) public proven;

    constructor(uint256 intervals_) {
        intervals = intervals_;
    }

    function record(uint256 session, uint256[] calldata entries) external {
        proven[session][keccak256(abi.encodePacked(entries))] = true;
        uint256 lanes = 256 / intervals;
        for (uint256 i; i < entries.length; i += 1 + (intervals + 8) / 9) {
            uint256 account = uint32(entries[i]);
            recordedWord[session][account / lanes] |= (entries[i] >> 64) << (account % lanes * intervals);
        }
    }
}

/// @title Settling: a vault with money, sessions that a test makes up, and their settlement
abstract contract Settling is Checked {
    uint256 internal constant SESSION = 5;
    uint256 internal constant DAY = 17_226;
    uint256 internal constant START = DAY * 1 days - 3600;
    address internal constant GUARDIAN = address(0x6a);

    FakeMarket internal market;
    FakeAccounts internal accounts;
    FakeDeliveries internal deliveries;
    Vault internal vault;
    Settlement internal settlement;
    DevEuro private _token;

    /// @param dayIntervals T
    function build(uint256 dayIntervals) internal {
        vm.warp(START - 1 days);
        market = new FakeMarket();
        accounts = new FakeAccounts();
        deliveries = new FakeDeliveries(dayIntervals);
        _token = DevEuro(vm.deployCode("artifacts/DevEuro.json"));
        vault = Vault(vm.deployCode("artifacts/Vault.json", abi.encode(address(this), _token, accounts)));
        settlement = Settlement(vm.deployCode("artifacts/Settlement.json", abi.encode(market, vault)));
        vault.grantRole(vault.MARKET_ROLE(), address(this));
        vault.grantRole(vault.MARKET_ROLE(), address(settlement));
        market.grant("GUARDIAN", GUARDIAN);
        _token.mint(address(this), 1e15);
        _token.approve(address(vault), 1e15);
    }

    function fund(uint256 account, uint256 amount) internal {
        vault.deposit(account, amount);
    }

    /// @dev Locks of an account, as an entry of the log makes them.
    function lock(uint256 account, uint256 amount) internal {
        uint256[] memory entries = new uint256[](1);
        entries[0] = account | (amount << 64);
        vault.lock(SESSION, 0, entries);
    }

    /// @dev Unlocks `amount` of an account, `kept` of which goes to the escrow.
    function unlock(uint256 account, uint256 amount, uint256 kept) internal {
        uint256[] memory moves = new uint256[](1);
        moves[0] = account | (amount << 32) | ((amount - kept) << 96);
        vault.move(SESSION, moves);
    }

    /// @dev pay 0 below, 30 % at half, all at whole; penalty from 50 % down to 0; 5 % tolerance; collateral 60 %; replacement below half after
    /// two intervals.
    function rules() internal pure returns (uint256[] memory words) {
        words = new uint256[](6);
        words[0] = 1 | (3 << 8) | (2 << 16) | (50_000 << 32) | (600_000 << 64) | (500_000 << 96) | (2 << 128);
        (words[2], words[3], words[4]) = (500_000 | (300_000 << 32), 1_000_000 | (1_000_000 << 32), 500_000 << 32);
        words[5] = 1_000_000;
    }

    function terms(uint256 mode, uint256 direction, uint256 mask, uint256[] memory rules_) internal view returns (Terms memory made) {
        made.zone = 1;
        (made.direction, made.mode) = (uint8(direction), uint8(mode));
        (made.dayIntervals, made.day, made.mask) = (uint8(deliveries.intervals()), uint32(DAY), uint96(mask));
        for (uint256 rest = mask; rest != 0; rest &= rest - 1) ++made.intervals;
        (made.priceCap, made.minQuantity) = (500_000, 10);
        uint256 first;
        while ((mask >> first) & 1 == 0) ++first;
        uint256 last = first;
        while (mask >> last != 0) ++last;
        made.gateOpen = uint40(START - 2 days);
        made.gateClose = uint40(START - 1 days);
        made.deliveryStart = uint40(START + first * 86_400 / made.dayIntervals);
        made.deliveryEnd = uint40(START + last * 86_400 / made.dayIntervals);
        (made.exemptionDeadline, made.proofDeadline) = (made.deliveryEnd + 3600, made.deliveryEnd + 7200);
        made.deliveries = address(deliveries);
        made.collateralPpm = uint32(rules_[0] >> 64);
        made.rulesHash = hash(rules_);
    }

    function hash(uint256[] memory words) internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(words));
    }

    function cleared(uint256 sellers, uint256 buyers) internal pure returns (Progress memory reached) {
        reached.cleared = true;
        (reached.sellersLeft, reached.buyersLeft) = (uint32(sellers), uint32(buyers));
    }
}
