// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {State} from "../src/Protocol.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {World} from "./World.sol";

/// @notice Forge's record of events.
interface Logs {
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory);
}

/// @title Stage: people, sessions as an indexer would know them, and a look at all money after every act
/// @notice Nobody's available money falls but by its own or its agent's act, nobody's money in all but by a session's rules. What
/// is locked and what sessions hold is counted here from entries, rows and events alone. Only settlement rates.
abstract contract Stage is World {
    using Dice for Dice.State;

    uint256 internal constant PEOPLE = 4;
    uint256 internal constant MEMBERS = 7; // accounts with meters; people from the first on own two, but the last
    uint256 internal constant AGENT = 4; // the account of the last, who acts for some others
    uint256 internal constant DSO = 8;
    uint256 internal constant FEES = 9; // gets the operator's fees
    uint256 internal constant CLEARER = 10; // gets intake fees
    uint256 internal constant ACCOUNTS = 10;
    uint256 internal constant RECENT = 10; // sessions that are still looked after
    uint256 internal constant KEYS = 0xa11a00; // who owns account 1 signs with this, the next with the next

    /// @dev Every quantity of a cooperative session is a multiple, so that it can be cleared unit for unit.
    uint256 internal constant UNIT = 250_000;

    /// @dev What an indexer would know of a session.
    struct Held {
        uint256 id;
        uint256 day;
        uint256 mask;
        uint256 intervals;
        uint256 mode;
        uint256 fee; // of intake
        uint256 due; // what its escrow has to hold
        uint256 surplus; // of that, what is nobody's when all is settled, apart from rounding
        uint256 beneficiary;
        uint256[] sizes; // of batches, in words
        uint256[] counts; // of batches, in entries
        uint256[] words;
        bytes32[] logs; // before each batch
        uint256[] excluded;
        uint256[] chunk; // the state that a pass has left
        uint256 taken; // batches that it took
        uint256[] rows;
        uint256[] certificate;
        uint256[][] batches; // of deliveries
        bool frozen; // no seller row is left
        uint256[] refunds; // then
        uint256[] target; // of a request
    }

    Held[] internal _held;
    mapping(uint256 session => Books.Order[]) internal _orders;
    /// @dev Rows that were settled, `session << 32 | row`.
    uint256[] public settledRows;
    /// @dev What each account has locked, counted from the entries alone.
    mapping(uint256 account => uint256) public locks;
    /// @dev What the accounts for fees must have got.
    uint256 public operatorFees;
    uint256 public intakeFees;
    uint256 public donated;
    /// @dev Acts out of turn that were refused as they must be.
    uint256 public refusals;
    /// @dev How often each act did something, so that a run that does nothing is seen.
    mapping(string act => uint256) public done;

    address[ACCOUNTS + 1] internal _owners;
    mapping(uint256 account => uint256) private _available;
    mapping(uint256 account => uint256) private _total;
    mapping(uint256 account => uint256) internal _reputation;

    // What the act at hand may do: whose available money it may lower (a bit an account), everybody's money, ratings.
    uint256 internal _actors;
    bool internal _moves;
    bool internal _rates;

    function start() external {
        // prices lie between 0 and 12: after a day of history more than two off the median is too much
        build(Band(1_000_000, 2, 0, 1, UNIT));
        for (uint256 i = 1; i <= ACCOUNTS; ++i) {
            _owners[i] = vm.addr(keyOf(i));
            if (i <= MEMBERS) require(member(_owners[i], 3e6) == i, "accounts count from 1");
            else require(accounts.register(_owners[i]) == i, "accounts count from 1");
            // the last member's devices can do nothing that a cooperative session could rely on
            if (i >= MEMBERS) continue;
            vm.prank(METERING);
            accounts.setEnvelope(i, 20 * UNIT);
        }
        fund(_owners[DSO], DSO, 5e6);
        bytes32 role = requests.DSO_ROLE();
        vm.prank(OPERATOR);
        market.grantRole(role, _owners[DSO]);
        uint256[3] memory led = [uint256(1), 2, 5];
        for (uint256 i; i < 3; ++i) {
            vm.prank(_owners[led[i]]);
            accounts.setDelegate(led[i], AGENT);
        }
    }

    /// @dev Whoever signs for the account.
    function keyOf(uint256 account) internal pure returns (uint256) {
        return KEYS + (account <= MEMBERS ? (account - 1) % PEOPLE : account);
    }

    // ------------------------------------------------------------------------------------------------------------ looking on

    modifier watched() {
        (_actors, _moves, _rates) = (0, false, false);
        for (uint256 account = 1; account <= ACCOUNTS; ++account) {
            (uint256 available, uint256 locked, uint256 reputation) = vault.balanceOf(account);
            (_available[account], _total[account], _reputation[account]) = (available, available + locked, reputation);
        }
        _;
        for (uint256 account = 1; account <= ACCOUNTS; ++account) _look(account);
        uint256 number = _held.length < RECENT ? _held.length : RECENT;
        for (uint256 i; i < number; ++i) {
            Held storage held = _held[_held.length - 1 - i];
            same(vault.escrow(held.id), held.due, "the escrow is what fees and results put there");
        }
    }

    function _look(uint256 account) private view {
        (uint256 available, uint256 locked, uint256 reputation) = vault.balanceOf(account);
        bool own = (_actors >> account) & 1 == 1;
        vm.assertTrue(own || available >= _available[account], "available money fell without its owner's act");
        vm.assertTrue(own || _moves || available + locked >= _total[account], "money fell without its owner or a session");
        same(locked, locks[account], "locked is what entries lock");
        vm.assertTrue(_rates || reputation == _reputation[account], "rated by something else than settlement");
        vm.assertTrue(reputation <= 10_001 && (reputation != 0 || _reputation[account] == 0), "no such reputation");
    }

    /// @dev The accounts that `signer` may act for, a bit each.
    function _actsFor(address signer) internal view returns (uint256 actors) {
        for (uint256 account = 1; account <= ACCOUNTS; ++account) {
            uint256 agent = accounts.delegateOf(account);
            if (_owners[account] == signer || (agent != 0 && _owners[agent] == signer)) actors |= 1 << account;
        }
    }

    function refused(bytes4 selector) internal override {
        ++refusals;
        super.refused(selector);
    }

    function _did(string memory action) internal {
        ++done[action];
    }

    // ------------------------------------------------------------------------------------------------------------ sessions

    /// @dev A session in the state `wanted`, if there is one.
    function _pick(Dice.State memory dice, State wanted, bool request_) internal view returns (bool, uint256) {
        if (_held.length == 0) return (false, 0);
        uint256 number = _held.length < RECENT ? _held.length : RECENT;
        uint256 first = dice.roll(0, number - 1);
        for (uint256 i; i < number; ++i) {
            uint256 index = _held.length - 1 - (first + i) % number;
            if ((_held[index].mode == 3) == request_ && market.state(_held[index].id) == wanted) return (true, index);
        }
        return (false, 0);
    }

    /// @dev A session that was cleared and is not settled, if there is one; now and then any. There must be one at all.
    function _recent(Dice.State memory dice) internal view returns (uint256 index) {
        uint256 number = _held.length < RECENT ? _held.length : RECENT;
        uint256 first = dice.roll(0, number - 1);
        bool any = dice.once(5);
        for (uint256 i; i < number; ++i) {
            index = _held.length - 1 - (first + i) % number;
            State state = market.state(_held[index].id);
            if (any || state == State.Cleared || state == State.Delivering || state == State.Settling) return index;
        }
    }

    /// @dev Time leaps to `to`; mostly not while a session is before its clearing's end, which it would miss.
    function _leap(Dice.State memory dice, uint256 to) internal {
        uint256 now_ = vm.getBlockTimestamp();
        for (uint256 i; i < RECENT && i < _held.length && to > now_ + 1 hours; ++i) {
            State state = market.state(_held[_held.length - 1 - i].id);
            bool early = state == State.Open || state == State.Closed || state == State.UnderReview;
            if (early && !dice.once(6)) return;
        }
        if (to > now_) vm.warp(to);
    }

    /// @dev Bits of the day as bits of the session's intervals.
    function _inSession(uint256 mask, uint256 bits) internal pure returns (uint256 result) {
        uint256 j;
        for (uint256 t; t < 24; ++t) {
            if ((mask >> t) & 1 == 0) continue;
            if ((bits >> t) & 1 == 1) result |= 1 << j;
            ++j;
        }
    }

    /// @dev Bits of the session's intervals as bits of the day.
    function _inDay(uint256 mask, uint256 bits) internal pure returns (uint256 result) {
        uint256 j;
        for (uint256 t; t < 24; ++t) if ((mask >> t) & 1 == 1 && (bits >> j++) & 1 == 1) result |= 1 << t;
    }

    /// @dev The clearing stands: whoever completed it gets the intake fees, if it named an account.
    function _decided(Held storage held) internal {
        uint256 fees = held.fee * _orders[held.id].length;
        if (held.beneficiary == 0) {
            held.surplus += fees;
        } else {
            (held.due, intakeFees) = (held.due - fees, intakeFees + fees);
        }
    }

    // ------------------------------------------------------------------------------------------------------------ rows

    function _lockIn(uint256 header) internal pure returns (uint256) {
        return (header >> 64) & type(uint64).max;
    }

    function _costIn(uint256 header) internal pure returns (uint256) {
        return (header >> 128) & type(uint64).max;
    }

    function _payerIn(uint256 header) internal pure returns (uint256) {
        return (header >> 32) & ACCOUNT;
    }

    function _fillAt(uint256[] memory rows, uint256 from, uint256 j) internal pure returns (uint256) {
        return (rows[from + 1 + j / 8] >> (32 * (j % 8))) & ACCOUNT;
    }

    /// @return bits of the session's intervals in which the row has a fill
    function _filled(uint256[] memory rows, uint256 from, uint256 intervals_) internal pure returns (uint256 bits) {
        for (uint256 j; j < intervals_; ++j) if (_fillAt(rows, from, j) != 0) bits |= 1 << j;
    }

    /// @dev Live offers with fills and live reserves stay to be settled.
    function _sells(uint256[] memory rows, uint256 from, uint256 intervals_) internal pure returns (bool) {
        if ((rows[from] >> 192) & 3 != 3) return false;
        return (rows[from] >> 195) & 1 == 1 || _filled(rows, from, intervals_) != 0;
    }

    /// @dev So do live bids with fills.
    function _buys(uint256[] memory rows, uint256 from, uint256 intervals_) internal pure returns (bool) {
        return (rows[from] >> 192) & 3 == 2 && _filled(rows, from, intervals_) != 0;
    }
}
