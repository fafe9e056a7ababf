// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Progress, State, Terms} from "../src/Protocol.sol";

/// @title FakeMarket: every session has the same terms and the same log
contract FakeMarket {
    Terms private _terms;
    bytes32 public logged;
    mapping(uint256 session => State) public state;
    mapping(uint256 session => Progress) private _progress;
    mapping(bytes32 role => mapping(address account => bool)) public hasRole;
    mapping(uint256 session => uint256) public beneficiaryOf;

    function set(Terms calldata agreed, bytes32 log_) external {
        (_terms, logged) = (agreed, log_);
    }

    function setState(uint256 session, State to) external {
        state[session] = to;
    }

    function grant(bytes32 role, address account) external {
        hasRole[role][account] = true;
    }

    function log(uint256) external view returns (bytes32) {
        return logged;
    }

    function terms(uint256) external view returns (Terms memory) {
        return _terms;
    }

    function progress(uint256 session) external view returns (Progress memory) {
        return _progress[session];
    }

    function cleared(uint256 session, uint256 groups, bool underReview, uint256 beneficiary) external {
        Progress storage reached = _progress[session];
        (reached.cleared, reached.underReview, reached.groups) = (true, underReview, uint32(groups));
        state[session] = underReview ? State.UnderReview : State.Cleared;
        beneficiaryOf[session] = beneficiary;
    }

    function released(uint256 session) external {
        _progress[session].underReview = false;
        state[session] = State.Cleared;
    }

    function cancelReviewed(uint256 session, string calldata) external {
        state[session] = State.Cancelled;
    }

    function committed(uint256 session, uint256 sellers, uint256 buyers) external {
        _progress[session].sellersLeft += uint32(sellers);
        _progress[session].buyersLeft += uint32(buyers);
    }
}

/// @title FakeAccounts: owners and sold intervals as told
contract FakeAccounts {
    mapping(uint256 account => address) public ownerOf;
    mapping(uint256 account => uint256) private _sold;
    uint256 public promises;
    uint256 public soldSomewhere;

    function setOwner(uint256 account, address owner) external {
        ownerOf[account] = owner;
    }

    function setSold(uint256 account, uint256 bits) external {
        _sold[account] = bits;
        soldSomewhere |= bits;
    }

    function sold(uint256 account, uint256) external view returns (uint256) {
        return _sold[account];
    }

    function soldInZone(uint256, uint256) external view returns (uint256) {
        return soldSomewhere;
    }

    function commitPromise(uint256, uint256, uint256, uint256, uint256, bool, uint256, uint256[] calldata) external {
        ++promises;
    }
}

/// @title FakeVault: balances by section 4, everybody may move them
contract FakeVault {
    mapping(uint256 account => uint256) public available;
    mapping(uint256 account => uint256) public locked;
    mapping(uint256 session => uint256) public escrow;

    function fund(uint256 account, uint256 amount) external {
        available[account] += amount;
    }

    function lock(uint256 session, uint256 fee, uint256[] calldata entries) external {
        for (uint256 i; i < entries.length; ++i) {
            uint256 payer = (entries[i] >> 130 & 1 == 1 ? entries[i] >> 32 : entries[i]) & type(uint32).max;
            uint256 amount = (entries[i] >> 64) & type(uint64).max;
            available[payer] -= amount + fee;
            locked[payer] += amount;
            escrow[session] += fee;
        }
    }

    function move(uint256 session, uint256[] calldata moves) external {
        uint256 held = escrow[session];
        uint256 credited;
        for (uint256 i; i < moves.length; ++i) {
            (uint256 account, uint256 unlock) = (moves[i] & type(uint32).max, (moves[i] >> 32) & type(uint64).max);
            uint256 credit = (moves[i] >> 96) & type(uint64).max;
            locked[account] -= unlock;
            available[account] += credit;
            held += unlock;
            credited += credit;
        }
        escrow[session] = held - credited;
    }
}

/// @title FakeGuard: prices above a line are outside
contract FakeGuard {
    uint256 public line = type(uint256).max;
    uint256 public records;

    function setLine(uint256 to) external {
        line = to;
    }

    function inBand(Terms calldata, uint256[] calldata prices, uint256[] calldata volumes) external view returns (bool) {
        for (uint256 j; j < prices.length; ++j) {
            if (volumes[j] != 0 && prices[j] > line) return false;
        }
        return true;
    }

    function record(uint256, Terms calldata, uint256[] calldata, uint256[] calldata) external {
        ++records;
    }
}
