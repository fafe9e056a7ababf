// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Progress, State, Terms} from "../src/Protocol.sol";

/// @title FakeMarket: sessions in whatever state a test puts them
contract FakeMarket {
    struct Report {
        uint256 groups;
        bool underReview;
        uint256 beneficiary;
        uint256 times;
    }

    mapping(uint256 session => Terms) private _terms;
    mapping(uint256 session => Progress) private _progress;
    mapping(uint256 session => State) public state;
    mapping(uint256 session => bytes32) public log;
    mapping(uint256 session => Report) public reports;
    mapping(bytes32 role => mapping(address => bool)) public hasRole;
    uint256 public sellers;
    uint256 public buyers;

    function close(uint256 session, Terms calldata agreed, bytes32 log_) external {
        (_terms[session], log[session], state[session]) = (agreed, log_, State.Closed);
    }

    function put(uint256 session, State state_) external {
        state[session] = state_;
    }

    function grant(bytes32 role, address to) external {
        hasRole[role][to] = true;
    }

    function terms(uint256 session) external view returns (Terms memory) {
        return _terms[session];
    }

    function progress(uint256 session) external view returns (Progress memory) {
        return _progress[session];
    }

    function cleared(uint256 session, uint256 groups, bool underReview, uint256 beneficiary) external {
        reports[session] = Report(groups, underReview, beneficiary, reports[session].times + 1);
        _progress[session].cleared = true;
        _progress[session].underReview = underReview;
        _progress[session].groups = uint32(groups);
        state[session] = underReview ? State.UnderReview : State.Cleared;
    }

    function released(uint256 session) external {
        _progress[session].underReview = false;
        state[session] = State.Cleared;
    }

    function cancelReviewed(uint256 session, string calldata) external {
        state[session] = State.Cancelled;
    }

    function committed(uint256, uint256 sellers_, uint256 buyers_) external {
        (sellers, buyers) = (sellers + sellers_, buyers + buyers_);
    }
}

/// @title FakeAccounts: who has sold what, as a test says
contract FakeAccounts {
    mapping(uint256 account => uint256) private _sold;
    uint256 private _anybody;
    uint256 public promises;

    function setSold(uint256 account, uint256 intervals) external {
        _sold[account] = intervals;
        _anybody |= intervals;
    }

    function sold(uint256 account, uint256) external view returns (uint256) {
        return _sold[account];
    }

    function soldInZone(uint256, uint256) external view returns (uint256) {
        return _anybody;
    }

    function commitPromise(uint256, uint256, uint256, uint256, uint256, bool, uint256, uint256[] calldata) external {
        ++promises;
    }
}

/// @title FakeVault: adds up what it is told to move
contract FakeVault {
    uint256 public unlocked;
    uint256 public credited;

    function move(uint256, uint256[] calldata moves) external {
        for (uint256 i; i < moves.length; ++i) {
            unlocked += (moves[i] >> 32) & type(uint64).max;
            credited += (moves[i] >> 96) & type(uint64).max;
        }
    }
}

/// @title FakeGuard: a band that holds what a test wants
contract FakeGuard {
    bool public outside;
    uint256 public recorded;
    bytes32 public last; // hash of the prices and volumes recorded last

    function set(bool outside_) external {
        outside = outside_;
    }

    function inBand(Terms calldata, uint256[] calldata, uint256[] calldata) external view returns (bool) {
        return !outside;
    }

    function record(uint256, Terms calldata, uint256[] calldata prices, uint256[] calldata volumes) external {
        ++recorded;
        last = keccak256(abi.encode(prices, volumes));
    }
}
