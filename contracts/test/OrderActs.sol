// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FlexMarket} from "../src/FlexMarket.sol";
import {SessionRequest, State} from "../src/Protocol.sol";
import {Sessions} from "../src/Sessions.sol";
import {Vault} from "../src/Vault.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {Stage} from "./Stage.sol";

/// @title OrderActs: sessions that open, end early and unwind, and the orders in between
abstract contract OrderActs is Stage {
    using Dice for Dice.State;

    /// @dev A batch to place, and why it has to be refused, if so.
    struct Plan {
        uint256 index;
        address signer;
        uint256 agent; // who signs for others, 0 for the owner itself
        uint256 person; // the owner
        Books.Order[] orders;
        uint256[ACCOUNTS + 1] needed;
        uint256[PEOPLE] sides; // in a cooperative session: bit 0 bids, bit 1 offers
        bytes4 why;
    }

    /// @dev In cooperative sessions the sides on which a person is.
    mapping(uint256 session => mapping(uint256 person => uint256)) private _sides;

    function openSession(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        if (market.paused() || _unfinished() >= 4) return;
        uint256 mask;
        uint256 mode = dice.roll(0, 1);
        for (uint256 n = dice.once(3) ? 1 : dice.roll(1, mode == 1 ? 3 : 5); n != 0; --n) mask |= 1 << dice.roll(8, 13);
        SessionRequest memory wanted = request(dice.roll(20, 22), uint96(mask));
        (wanted.priceCap, wanted.minQuantity) = (uint32(Books.TOP), uint24(dice.roll(0, 1) * 10));
        (wanted.direction, wanted.mode) = (uint8(dice.roll(0, 1)), uint8(mode));
        if (dice.once(2)) (wanted.feePpm, wanted.feeAccount) = (uint24(dice.roll(1, 100_000)), uint32(FEES));
        if (dice.once(2)) wanted.intakeFee = uint32(dice.roll(1, 500));
        if (market.auctioned(1, wanted.day) & mask != 0) {
            uint256[] memory words = rules();
            refused(Sessions.IntervalsUnderAuction.selector);
            vm.prank(OPERATOR);
            market.openSession(wanted, words);
            return;
        }
        _keep(open(wanted), wanted);
        _did("open");
    }

    function _keep(uint256 id, SessionRequest memory wanted) internal returns (Held storage held) {
        held = _held.push();
        (held.id, held.day, held.mask, held.mode) = (id, wanted.day, wanted.mask, wanted.mode);
        (held.intervals, held.fee) = (market.terms(id).intervals, wanted.intakeFee);
    }

    function _unfinished() internal view returns (uint256 number) {
        for (uint256 i = _held.length; i != 0 && i + RECENT > _held.length; --i) {
            State state = market.state(_held[i - 1].id);
            if (state != State.Settled && state != State.Cancelled) ++number;
        }
    }

    // ------------------------------------------------------------------------------------------------------------ orders

    function order(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        Plan memory plan;
        bool found;
        (found, plan.index) = _pick(dice, State.Open, false);
        if (!found || market.paused()) return;
        Held storage held = _held[plan.index];
        plan.person = dice.roll(0, PEOPLE - 1);
        if (dice.once(3)) (plan.agent, plan.person) = (AGENT, AGENT - 1);
        plan.signer = _owners[plan.person + 1];
        for (uint256 p; p < PEOPLE; ++p) plan.sides[p] = _sides[held.id][p];
        plan.orders = new Books.Order[](dice.roll(1, held.mode == 1 ? 3 : 5));
        for (uint256 i; i < plan.orders.length; ++i) plan.orders[i] = _order(dice, plan, held);
        uint256[] memory words = Books.encode(plan.orders, held.intervals);
        if (plan.why == 0) _requireMoney(plan, held.fee);
        if (plan.why != 0) refused(plan.why);
        vm.prank(plan.signer);
        market.place(held.id, words);
        if (plan.why == 0) _placed(plan, held, words);
    }

    function _requireMoney(Plan memory plan, uint256 fee) private view {
        for (uint256 i; i < plan.orders.length; ++i) plan.needed[_payerOf(plan.orders[i])] += plan.orders[i].lock + fee;
        for (uint256 account = 1; account <= MEMBERS; ++account) {
            (uint256 available,,) = vault.balanceOf(account);
            if (plan.needed[account] > available) plan.why = Vault.NotEnoughAvailable.selector;
        }
    }

    function _payerOf(Books.Order memory made) internal pure returns (uint256) {
        return made.agentPays ? made.agent : made.account;
    }

    function _placed(Plan memory plan, Held storage held, uint256[] memory words) private {
        _actors = _actsFor(plan.signer);
        for (uint256 i; i < plan.orders.length; ++i) {
            _orders[held.id].push(plan.orders[i]);
            locks[_payerOf(plan.orders[i])] += plan.orders[i].lock;
        }
        for (uint256 p; p < PEOPLE; ++p) _sides[held.id][p] = plan.sides[p];
        held.due += held.fee * plan.orders.length;
        held.logs.push(held.sizes.length == 0 ? bytes32(0) : _logBefore(held));
        held.sizes.push(words.length);
        held.counts.push(plan.orders.length);
        for (uint256 i; i < words.length; ++i) held.words.push(words[i]);
        _did(plan.agent == 0 ? "order" : "agent");
    }

    /// @dev Hash of the log with all batches that are kept.
    function _logBefore(Held storage held) private view returns (bytes32) {
        uint256 last = held.sizes[held.sizes.length - 1];
        uint256[] memory batch = new uint256[](last);
        for (uint256 k; k < last; ++k) batch[k] = held.words[held.words.length - last + k];
        return keccak256(abi.encode(held.logs[held.logs.length - 1], keccak256(abi.encodePacked(batch))));
    }

    function _order(Dice.State memory dice, Plan memory plan, Held storage held) private view returns (Books.Order memory made) {
        (made.side, made.steps) = (dice.roll(0, 1), dice.roll(1, 2));
        if (plan.agent == 0 || dice.once(4)) {
            made.account = plan.person + 1 + (plan.person + 1 + PEOPLE <= MEMBERS && dice.once(2) ? PEOPLE : 0);
        } else {
            (made.account, made.agent, made.agentPays) = ([1, 2, 5][dice.roll(0, 2)], AGENT, dice.once(2));
        }
        uint256 cells = made.steps * held.intervals;
        if (dice.once(10)) {
            // a cancellation
            (made.steps, cells) = (1, held.intervals);
            (made.quantities, made.limits) = (new uint256[](cells), new uint256[](cells));
            return made;
        }
        bool small = dice.once(3);
        if (held.mode == 1) _choose(dice, plan, made);
        made.reserve = made.side == 1 && dice.once(3);
        (made.quantities, made.limits) = (new uint256[](cells), new uint256[](cells));
        for (uint256 k; k < cells; ++k) {
            if (k != 0 && dice.once(4)) continue;
            if (held.mode == 1) made.quantities[k] = UNIT * (made.reserve ? 3 : dice.roll(1, 3));
            else if (made.reserve) made.quantities[k] = dice.roll(1_000_000, 4_000_000);
            else made.quantities[k] = small ? dice.roll(11, 40) : dice.roll(11, 3_000_000);
            made.limits[k] = made.side == 0 ? dice.roll(4, Books.TOP) : made.reserve ? dice.roll(7, Books.TOP) : dice.roll(0, 9);
        }
        made.lock = Books.lockOf(made, Books.TOP, COLLATERAL);
    }

    /// @dev Takes the side of a cooperative session on which the payer's owner is; now and then the other, or an offer beyond the envelope.
    function _choose(Dice.State memory dice, Plan memory plan, Books.Order memory made) private pure {
        uint256 person = (_payerOf(made) - 1) % PEOPLE;
        uint256 sides = plan.sides[person];
        if (sides != 0 && !dice.once(25)) made.side = sides - 1;
        else if (sides == 0 && made.account == MEMBERS && !dice.once(5)) made.side = 0;
        if (plan.why != 0) return;
        if (sides | (1 << made.side) == 3) plan.why = FlexMarket.BothSides.selector;
        else if (made.side == 1 && made.account == MEMBERS) plan.why = FlexMarket.EnvelopeExceeded.selector;
        if (sides == 0) plan.sides[person] = 1 << made.side;
    }

    // ------------------------------------------------------------------------------------------------------------ ends

    function cancel(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        if (!dice.once(6)) return;
        (bool found, uint256 index) = _pick(dice, State.Open, false);
        if (!found) return;
        vm.prank(OPERATOR);
        market.cancel(_held[index].id, "chance");
        _did("cancel");
    }

    function pauseOrResume(uint256 seed) external watched {
        bool paused = market.paused();
        if (!paused && seed % 16 != 0) return;
        vm.prank(OPERATOR);
        market.setPaused(!paused);
        _did("pause");
    }

    /// @dev The last batch of a cancelled session: its locks and fees come back, once.
    function release(uint256 seed) external watched {
        uint256 index;
        bool found;
        for (uint256 i; i < RECENT && i < _held.length && !found; ++i) {
            index = _held.length - 1 - (i + seed % RECENT) % (_held.length < RECENT ? _held.length : RECENT);
            found = market.state(_held[index].id) == State.Cancelled
                && (_held[index].sizes.length != 0 || market.progress(_held[index].id).underAuction);
        }
        if (!found) return;
        Held storage held = _held[index];
        if (held.sizes.length == 0) {
            market.releaseAuction(held.id);
            _did("release auction");
            return;
        }
        uint256[] memory batch = new uint256[](held.sizes[held.sizes.length - 1]);
        for (uint256 i = batch.length; i != 0; --i) {
            batch[i - 1] = held.words[held.words.length - 1];
            held.words.pop();
        }
        bytes32 before = held.logs[held.logs.length - 1];
        for (uint256 left = held.counts[held.counts.length - 1]; left != 0; --left) {
            Books.Order memory last = _orders[held.id][_orders[held.id].length - 1];
            locks[_payerOf(last)] -= last.lock;
            held.due -= held.fee;
            _orders[held.id].pop();
        }
        held.sizes.pop();
        held.counts.pop();
        held.logs.pop();
        market.releaseCancelled(held.id, before, batch);
        refused(FlexMarket.LogMismatch.selector);
        market.releaseCancelled(held.id, before, batch);
        _did(market.progress(held.id).cleared ? "release reviewed" : "release");
    }

    /// @dev Orders outside the gate, in whatever state the session is.
    function outOfTurn(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        if (_held.length == 0 || market.paused()) return;
        Held storage held = _held[_recent(dice)];
        State state = market.state(held.id);
        if (state == State.Open && held.mode != 3) return;
        uint256[] memory words = entry(1, 0, 0, 0, 0, held.intervals);
        address owner = _owners[1];
        refused(state == State.Open ? Sessions.ModeNotSupported.selector : Sessions.WrongState.selector);
        vm.prank(owner);
        market.place(held.id, words);
        if (state == State.Cancelled) return;
        if (held.sizes.length == 0) return;
        refused(Sessions.WrongState.selector);
        market.releaseCancelled(held.id, 0, words);
        _did("out of turn");
    }
}
