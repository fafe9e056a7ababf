// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Deliveries} from "../src/Deliveries.sol";
import {FlexMarket} from "../src/FlexMarket.sol";
import {SessionRequest, State, Terms} from "../src/SessionTerms.sol";
import {Settlement} from "../src/Settlement.sol";
import {Vault} from "../src/Vault.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {World} from "./World.sol";

/// @title SessionHandler: people, an operator and strangers who use a market as chance has it
/// @notice Every action is one that must succeed, or one that must be refused for a known reason: none may revert otherwise. Each is
/// followed by a look at all balances: nobody's available money falls but by its owner's act, nobody's money but by a session's rules.
contract SessionHandler is World {
    using Dice for Dice.State;

    uint256 internal constant PEOPLE = 4;
    uint256 internal constant ACCOUNTS = 7; // people from the first on own two
    uint256 internal constant RECENT = 10; // sessions that are still looked after

    /// @dev What an indexer would know of a session.
    struct Held {
        uint256 id;
        uint256 day;
        uint256 mask;
        uint256 intervals;
        uint256[] sizes;
        uint256[] words;
        bytes32[] logs; // before each batch
        uint256[] rows;
        uint256[] certificate;
        uint256[][] batches;
        bool frozen; // no seller row is left
        uint256[] refunds; // then
    }

    Held[] internal _held;
    mapping(uint256 session => Books.Order[]) internal _orders;
    /// @dev Rows that were settled, `session << 32 | row`.
    uint256[] public settledRows;
    /// @dev What each account has locked, counted from the entries alone.
    mapping(uint256 account => uint256) public locks;
    uint256 public donated;
    /// @dev Acts out of turn that were refused as they must be.
    uint256 public refusals;
    /// @dev How often each act did something, so that a run that does nothing is seen.
    mapping(string act => uint256) public done;

    mapping(uint256 account => uint256) private _available;
    mapping(uint256 account => uint256) private _total;

    function start() external {
        build();
        for (uint256 i; i < ACCOUNTS; ++i) {
            uint256 account = member(ownerOf(i + 1), 3e6);
            require(account == i + 1, "accounts count from 1");
        }
        for (uint256 i; i < PEOPLE; ++i) token.mint(ownerOf(i + 1), 1e6);
        // the last person acts through a delegate as well
        vm.prank(ownerOf(PEOPLE));
        accounts.setDelegate(PEOPLE, address(0xde));
    }

    function ownerOf(uint256 account) public pure returns (address) {
        return address(uint160(0x1001 + (account - 1) % PEOPLE));
    }

    // ------------------------------------------------------------------------------------------------------------ looking on

    /// @param by whose available money the action may lower
    /// @param session whether the action is a session's, which may lower anybody's money
    modifier watched(address by, bool session) {
        for (uint256 account = 1; account <= ACCOUNTS; ++account) {
            (uint256 available, uint256 locked,) = vault.balanceOf(account);
            (_available[account], _total[account]) = (available, available + locked);
        }
        _;
        for (uint256 account = 1; account <= ACCOUNTS; ++account) {
            (uint256 available, uint256 locked,) = vault.balanceOf(account);
            bool own = ownerOf(account) == by;
            vm.assertTrue(own || available >= _available[account], "available money fell without its owner's act");
            vm.assertTrue(own || session || available + locked >= _total[account], "money fell without its owner or a session");
            same(locked, locks[account], "locked is what the entries lock");
        }
    }

    function refused(bytes4 selector) internal override {
        ++refusals;
        super.refused(selector);
    }

    function _did(string memory action) internal {
        ++done[action];
    }

    // ------------------------------------------------------------------------------------------------------------ money

    function deposit(uint256 who, uint256 amount) external watched(address(0), false) {
        uint256 account = within(who, 1, ACCOUNTS);
        address owner = ownerOf(account);
        amount = within(amount, 1, 1e6);
        token.mint(owner, amount);
        vm.prank(owner);
        token.approve(address(vault), amount);
        vm.prank(owner);
        vault.deposit(within(who >> 32, 1, ACCOUNTS), amount); // for anybody
        _did("deposit");
    }

    function withdraw(uint256 who, uint256 amount) external watched(ownerOf(within(who, 1, ACCOUNTS)), false) {
        uint256 account = within(who, 1, ACCOUNTS);
        (uint256 available,,) = vault.balanceOf(account);
        vm.prank(ownerOf(account));
        vault.withdraw(account, within(amount, 0, available / 4), ownerOf(account));
        _did("withdraw");
    }

    function steal(uint256 who, uint256 from, uint256 amount) external watched(address(0), false) {
        uint256 account = within(from, 1, ACCOUNTS);
        address thief = who % 2 == 0 ? ownerOf(account + 1) : address(0xde);
        vm.expectRevert(abi.encodeWithSelector(Vault.NotOwner.selector, account, thief));
        vm.prank(thief);
        vault.withdraw(account, amount, thief);
        uint256[] memory moves = new uint256[](1);
        moves[0] = account | (within(amount, 1, 1e6) << 160);
        vm.expectRevert(abi.encodeWithSelector(Vault.MoverNotAllowed.selector, thief));
        vm.prank(thief);
        vault.move(1, moves);
        _did("steal");
    }

    function donate(uint256 amount) external watched(address(0), false) {
        amount = within(amount, 1, 1000);
        token.mint(address(vault), amount);
        donated += amount;
    }

    // ------------------------------------------------------------------------------------------------------------ sessions

    function openSession(uint256 seed) external watched(address(0), false) {
        Dice.State memory dice = Dice.State(seed);
        if (market.paused() || _unfinished() >= 3) return;
        uint256 mask;
        for (uint256 n = dice.roll(1, 5); n != 0; --n) mask |= 1 << dice.roll(7, 20);
        SessionRequest memory wanted = request(dice.roll(20, 22), uint96(mask));
        (wanted.priceCap, wanted.minQuantity) = (uint32(Books.TOP), uint24(dice.roll(0, 1) * 10));
        wanted.direction = uint8(dice.roll(0, 1));
        uint256[] memory words = rules();
        if (market.auctioned(1, wanted.day) & mask != 0) {
            refused(FlexMarket.IntervalsUnderAuction.selector);
            vm.prank(OPERATOR);
            market.openSession(wanted, words);
            return;
        }
        vm.prank(OPERATOR);
        uint256 id = market.openSession(wanted, words);
        Held storage held = _held.push();
        (held.id, held.day, held.mask, held.intervals) = (id, wanted.day, mask, market.terms(id).intervals);
        _did("open");
    }

    function order(uint256 who, uint256 seed) external watched(ownerOf(within(who, 1, ACCOUNTS)), false) {
        Dice.State memory dice = Dice.State(seed);
        (bool found, uint256 index) = _pick(dice, State.Open);
        if (!found || market.paused()) return;
        Held storage held = _held[index];
        address owner = ownerOf(within(who, 1, ACCOUNTS));
        Books.Order[] memory orders = new Books.Order[](dice.roll(1, 5));
        uint256[ACCOUNTS + 1] memory needed;
        bool enough = true;
        for (uint256 i; i < orders.length; ++i) {
            uint256 account = within(who, 1, ACCOUNTS);
            if (dice.once(2)) account = (account - 1) % PEOPLE + 1; // the first account of this owner
            orders[i] = _order(dice, account, held.intervals, index);
            needed[account] += Books.lockOf(orders[i], Books.TOP, 600_000);
            (uint256 available,,) = vault.balanceOf(account);
            enough = enough && needed[account] <= available;
        }
        uint256[] memory words = Books.encode(orders, held.intervals);
        if (!enough) refused(Vault.NotEnoughAvailable.selector);
        bool delegate = within(who, 1, ACCOUNTS) == PEOPLE && dice.once(2);
        vm.prank(delegate ? address(0xde) : owner);
        market.place(held.id, words);
        if (!enough) return;
        for (uint256 i; i < orders.length; ++i) {
            _orders[held.id].push(orders[i]);
            locks[orders[i].account] += Books.lockOf(orders[i], Books.TOP, 600_000);
        }
        held.sizes.push(words.length);
        for (uint256 i; i < words.length; ++i) held.words.push(words[i]);
        held.logs.push(held.logs.length == 0 ? bytes32(0) : _log(held));
        _did("order");
    }

    /// @dev Hash of the log before the last batch.
    function _log(Held storage held) private view returns (bytes32 log) {
        uint256 from;
        for (uint256 i; i + 1 < held.sizes.length; ++i) {
            bytes memory batch;
            for (uint256 k; k < held.sizes[i]; ++k) batch = abi.encodePacked(batch, held.words[from + k]);
            from += held.sizes[i];
            log = keccak256(abi.encode(log, keccak256(batch)));
        }
    }

    function _order(Dice.State memory dice, uint256 account, uint256 intervals, uint256 index)
        private
        view
        returns (Books.Order memory made)
    {
        (made.account, made.side, made.steps) = (account, dice.roll(0, 1), dice.roll(1, 2));
        uint256 cells = made.steps * intervals;
        (made.quantities, made.limits) = (new uint256[](cells), new uint256[](cells));
        uint256 least = market.terms(_held[index].id).minQuantity;
        for (uint256 k; k < cells; ++k) {
            if (k != 0 && dice.once(4)) continue;
            made.quantities[k] = dice.once(3) ? dice.roll(least + 1, least + 40) : dice.roll(least + 1, 4_000_000);
            made.limits[k] = made.side == 0 ? dice.roll(4, Books.TOP) : dice.roll(0, 9);
        }
        if (dice.once(10)) (made.steps, made.quantities, made.limits) = (1, new uint256[](intervals), new uint256[](intervals));
    }

    function clear(uint256 seed) external watched(address(0), false) {
        Dice.State memory dice = Dice.State(seed);
        (bool found, uint256 index) = _pick(dice, State.Closed);
        if (!found) {
            (found, index) = _pick(dice, State.Open);
            if (!found || dice.once(2)) return;
            vm.warp(market.terms(_held[index].id).gateClose);
        }
        Held storage held = _held[index];
        if (market.state(held.id) != State.Closed) return;
        Books.Order[] memory orders = _orders[held.id];
        uint256[] memory sold = new uint256[](orders.length);
        for (uint256 i; i < orders.length; ++i) sold[i] = _inSession(held.mask, accounts.sold(orders[i].account, held.day));
        Books.Cleared memory cleared = Books.clear(orders, held.intervals, sold);
        (uint256[] memory live, uint256[] memory hints) = Books.table(orders);
        uint256[] memory right = cleared.certificate;
        if (dice.once(3)) {
            right[dice.roll(0, right.length - 1)] ^= 1 << dice.roll(0, 183);
            try market.clear(held.id, held.sizes, held.words, right, live, hints) {
                vm.assertTrue(false, "another certificate passes");
            } catch {}
            return;
        }
        market.clear(held.id, held.sizes, held.words, right, live, hints);
        held.certificate = right;
        held.rows = Books.rows(orders, cleared, Books.TOP, 600_000);
        _did("clear");
    }

    /// @dev Bits of the day as bits of the session's intervals.
    function _inSession(uint256 mask, uint256 bits) internal pure returns (uint256 result) {
        uint256 j;
        for (uint256 t; t < 96; ++t) {
            if ((mask >> t) & 1 == 0) continue;
            if ((bits >> t) & 1 == 1) result |= 1 << j;
            ++j;
        }
    }

    /// @dev Bits of the session's intervals as bits of the day.
    function _inDay(uint256 mask, uint256 bits) internal pure returns (uint256 result) {
        uint256 j;
        for (uint256 t; t < 96; ++t) if ((mask >> t) & 1 == 1 && (bits >> j++) & 1 == 1) result |= 1 << t;
    }

    function commit(uint256 seed) external watched(address(0), true) {
        Dice.State memory dice = Dice.State(seed);
        if (_held.length == 0) return;
        Held storage held = _held[_recent(dice)];
        FlexMarket.Progress memory reached = market.progress(held.id);
        if (reached.groups == 0) return;
        uint256 group = dice.roll(0, reached.groups - 1);
        uint256[] memory part = Books.groupOf(held.rows, group, held.intervals);
        if (market.committed(held.id, group)) {
            vm.expectRevert(abi.encodeWithSelector(FlexMarket.GroupAlreadyCommitted.selector, held.id, group));
            market.commit(held.id, group, part);
            return;
        }
        if (dice.once(3)) {
            part[dice.roll(0, part.length - 1)] ^= 1 << dice.roll(0, 255);
            vm.expectRevert(abi.encodeWithSelector(FlexMarket.RowsMismatch.selector, held.id, group));
            market.commit(held.id, group, part);
            return;
        }
        market.commit(held.id, group, part);
        uint256 size = Books.rowWords(held.intervals);
        for (uint256 i; i < part.length; i += size) {
            if (!_isSeller(part, i, size)) locks[part[i] & ACCOUNT] -= (part[i] >> 64) & type(uint96).max;
        }
        _did("commit");
    }

    function _isSeller(uint256[] memory rows, uint256 from, uint256 size) internal pure returns (bool) {
        if ((rows[from] >> 32) & 3 != 3) return false;
        for (uint256 k = 1; k < size; ++k) if (rows[from + k] != 0) return true;
        return false;
    }

    // ------------------------------------------------------------------------------------------------------------ delivery

    function prove(uint256 seed) external watched(address(0), false) {
        Dice.State memory dice = Dice.State(seed);
        if (_held.length == 0) return;
        Held storage held = _held[_recent(dice)];
        if (!market.progress(held.id).cleared) return;
        Terms memory agreed = market.terms(held.id);
        if (vm.getBlockTimestamp() < agreed.deliveryEnd && dice.once(2)) vm.warp(agreed.deliveryEnd);
        (, State state, uint256 undone) = market.forProofs(held.id, 14);
        uint256 number = 1 << dice.roll(0, 1);
        uint256[] memory entries = new uint256[](4 * number);
        uint256 fresh;
        for (uint256 i; i < number; ++i) {
            uint256 account = i == 0 ? dice.roll(1, ACCOUNTS) : entries[0] & ACCOUNT; // the second fills the batch up
            if (i == 0) fresh = _entry(dice, held, account, entries);
            else for (uint256 k; k < 4; ++k) entries[4 + k] = entries[k];
        }
        if (fresh == 0 || (entries[0] >> 32) & ACCOUNT < 3) return;
        Deliveries.Batch[] memory batches = new Deliveries.Batch[](1);
        batches[0] = proven(held.id, seed >> 8, entries);
        bool late = vm.getBlockTimestamp() > agreed.proofDeadline;
        bool early = vm.getBlockTimestamp() < zones.intervalStart(1, held.day, _length(entries[0] >> 64));
        if (state == State.Settled) refused(Deliveries.NotCleared.selector);
        else if (late) refused(Deliveries.ProofDeadlinePassed.selector);
        else if (early) refused(Deliveries.NotDeliveredYet.selector);
        else if (undone != 0) refused(Deliveries.EarlierDayUncommitted.selector);
        else if (dice.once(4)) {
            batches[0].entries[1] ^= 1;
            refused(Deliveries.ProofRefused.selector);
            deliveries.prove(held.id, batches);
            return;
        } else {
            deliveries.prove(held.id, batches);
            uint256[] memory kept = new uint256[](4);
            for (uint256 k; k < 4; ++k) kept[k] = entries[k];
            held.batches.push(kept);
            _did("prove");
            return;
        }
        deliveries.prove(held.id, batches);
    }

    /// @dev Writes an entry of the account for intervals that are not recorded yet; returns their mask.
    function _entry(Dice.State memory dice, Held storage held, uint256 account, uint256[] memory entries)
        private
        view
        returns (uint256 mask)
    {
        mask = held.mask & ~deliveries.recordedOf(held.id, account);
        if (dice.once(2)) mask &= dice.roll(0, 1 << 24);
        entries[0] = account | (complete(held.id, account) << 32) | (mask << 64);
        for (uint256 t; t < 24; ++t) {
            if ((mask >> t) & 1 == 0) continue;
            uint256 deviation = (1 << 25) + dice.roll(0, 6_000_000) - 3_000_000;
            entries[1 + t / 9] |= deviation << (26 * (t % 9));
        }
    }

    function _length(uint256 bits) private pure returns (uint256 result) {
        for (; bits != 0; bits >>= 1) ++result;
    }

    // ------------------------------------------------------------------------------------------------------------ settlement

    function settleSellers(uint256 seed) external watched(address(0), true) {
        _settle(Dice.State(seed), true);
    }

    function settleBuyers(uint256 seed) external watched(address(0), true) {
        _settle(Dice.State(seed), false);
    }

    struct Call {
        uint256 group;
        uint256 which;
        uint256 size;
        uint256[] part;
        uint256[] picks;
        uint256 picked;
        bool final_;
        bool again;
        uint256 left;
    }

    function _settle(Dice.State memory dice, bool sellers) private {
        if (_held.length == 0) return;
        Held storage held = _held[_recent(dice)];
        FlexMarket.Progress memory reached = market.progress(held.id);
        if (!reached.cleared || reached.uncommitted != 0 || reached.groups == 0) return;
        Terms memory agreed = market.terms(held.id);
        if (dice.once(8) && vm.getBlockTimestamp() <= agreed.proofDeadline) vm.warp(agreed.proofDeadline + 1);
        Call memory call;
        (call.group, call.left) = (dice.roll(0, reached.groups - 1), reached.sellersLeft);
        call.part = dice.once(2) ? Books.groupOf(held.rows, call.group, held.intervals) : _from(held.rows, call.group, held.intervals);
        _choose(dice, held, call, sellers, vm.getBlockTimestamp() > agreed.proofDeadline);
        if (call.which == 0) return;
        uint256[] memory picks = Books.packed(call.picked, 32);
        for (uint256 i; i < call.picked; ++i) Books.put(picks, i, 32, call.picks[i]);
        if (!sellers && call.left != 0) refused(Settlement.SellersFirst.selector);
        else if (call.again) refused(Settlement.RowsAlreadySettled.selector);
        else if (!call.final_) refused(Settlement.SellerNotFinal.selector);
        else {
            _settleAndCount(held, call, picks, sellers);
            return;
        }
        settlement.settle(held.id, call.group, call.which, call.part, held.certificate, rules(), held.batches, picks);
    }

    function _settleAndCount(Held storage held, Call memory call, uint256[] memory picks, bool sellers) private {
        settlement.settle(held.id, call.group, call.which, call.part, held.certificate, rules(), held.batches, picks);
        uint256 size = Books.rowWords(held.intervals);
        for (uint256 i; i < call.part.length / size; ++i) {
            if ((call.which >> i) & 1 == 0) continue;
            settledRows.push((held.id << 32) | (16 * call.group + i));
            if (sellers) locks[call.part[i * size] & ACCOUNT] -= (call.part[i * size] >> 64) & type(uint96).max;
        }
        if (!held.frozen && market.progress(held.id).sellersLeft == 0) {
            held.frozen = true;
            for (uint256 j; j < held.intervals; ++j) held.refunds.push(settlement.refunds(held.id, j));
        }
        _did(sellers ? "sellers" : "buyers");
    }

    function _from(uint256[] memory all, uint256 group, uint256 intervals) private pure returns (uint256[] memory part) {
        uint256 from = 16 * Books.rowWords(intervals) * group;
        part = new uint256[](all.length - from);
        for (uint256 i; i < part.length; ++i) part[i] = all[from + i];
        if (part.length / Books.rowWords(intervals) > 256) part = Books.groupOf(all, group, intervals);
    }

    /// @dev Chooses rows of one side, now and then with one that is settled or not final, and what picks they need.
    function _choose(Dice.State memory dice, Held storage held, Call memory call, bool sellers, bool afterDeadline) private view {
        call.size = Books.rowWords(held.intervals);
        call.picks = new uint256[](call.part.length / call.size * (2 + held.batches.length));
        call.final_ = true;
        bool odd = dice.once(5);
        for (uint256 i; i < call.part.length / call.size; ++i) {
            if (!_toSettle(call.part, i * call.size, call.size, sellers) || dice.once(4)) continue;
            bool again = settlement.settled(held.id, call.group + i / 16, i % 16);
            bool final_ = !sellers || afterDeadline || _missing(held, call.part, i * call.size) == 0;
            if ((again || !final_) && !odd) continue;
            call.again = call.again || again;
            call.final_ = call.final_ && final_;
            call.which |= 1 << i;
            if (sellers) _picksFor(held, call, call.part[i * call.size] & ACCOUNT);
        }
    }

    function _toSettle(uint256[] memory part, uint256 from, uint256 size, bool sellers) private pure returns (bool) {
        return sellers ? _isSeller(part, from, size) : (part[from] >> 32) & 3 == 2 && part[from] >> 160 != 0;
    }

    /// @return Intervals of the day that the row has promised and nobody has proven.
    function _missing(Held storage held, uint256[] memory part, uint256 from) private view returns (uint256) {
        uint256 promised;
        for (uint256 j; j < held.intervals; ++j) {
            if ((part[from + 1 + j / 8] >> (32 * (j % 8))) & ACCOUNT != 0) promised |= 1 << j;
        }
        return _inDay(held.mask, promised) & ~deliveries.recordedOf(held.id, part[from] & ACCOUNT);
    }

    function _picksFor(Held storage held, Call memory call, uint256 account) private view {
        uint256 number = call.picked++;
        for (uint256 b; b < held.batches.length; ++b) {
            if (held.batches[b][0] & ACCOUNT != account) continue;
            call.picks[call.picked++] = b;
            ++call.picks[number];
        }
    }

    // ------------------------------------------------------------------------------------------------------------ ends

    function cancel(uint256 seed) external watched(address(0), false) {
        Dice.State memory dice = Dice.State(seed);
        if (!dice.once(3)) return;
        (bool found, uint256 index) = _pick(dice, State.Open);
        if (!found) return;
        vm.prank(OPERATOR);
        market.cancel(_held[index].id, "chance");
        _did("cancel");
    }

    function pauseOrResume(uint256 seed) external watched(address(0), false) {
        bool paused = market.paused();
        if (!paused && seed % 8 != 0) return;
        vm.prank(OPERATOR);
        market.setPaused(!paused);
    }

    function release(uint256 seed) external watched(address(0), false) {
        (bool found, uint256 index) = _pick(Dice.State(seed), State.Cancelled);
        if (!found) return;
        Held storage held = _held[index];
        if (held.logs.length == 0) {
            if (market.progress(held.id).underAuction) market.releaseAuction(held.id);
            return;
        }
        uint256[] memory batch = new uint256[](held.sizes[held.sizes.length - 1]);
        for (uint256 i = batch.length; i != 0; --i) {
            batch[i - 1] = held.words[held.words.length - 1];
            held.words.pop();
        }
        held.sizes.pop();
        bytes32 before = held.logs[held.logs.length - 1];
        held.logs.pop();
        Books.Order[] storage orders = _orders[held.id];
        for (uint256 left = _entries(batch, held.intervals); left != 0; --left) {
            Books.Order memory last = orders[orders.length - 1];
            locks[last.account] -= Books.lockOf(last, Books.TOP, 600_000);
            orders.pop();
        }
        market.releaseCancelled(held.id, before, batch);
        refused(FlexMarket.LogMismatch.selector);
        market.releaseCancelled(held.id, before, batch);
        _did("release");
    }

    function _entries(uint256[] memory batch, uint256 intervals) private pure returns (uint256 number) {
        for (uint256 cursor; cursor < batch.length; ++number) {
            cursor += 1 + (((batch[cursor] >> 32) & 3) + 1) * Books.bodyWords(intervals);
        }
    }

    function pass(uint256 time) external watched(address(0), false) {
        vm.warp(vm.getBlockTimestamp() + within(time, 1, time % 7 == 0 ? 9 days : 20 minutes));
    }

    // ------------------------------------------------------------------------------------------------------------ looking

    /// @dev A session that was cleared and is not settled, if there is one; now and then any.
    function _recent(Dice.State memory dice) private view returns (uint256 index) {
        uint256 number = _held.length < RECENT ? _held.length : RECENT;
        uint256 first = dice.roll(0, number - 1);
        bool any = dice.once(5);
        for (uint256 i; i < number; ++i) {
            index = _held.length - 1 - (first + i) % number;
            State state = market.state(_held[index].id);
            if (any || state == State.Cleared || state == State.Delivering || state == State.Settling) return index;
        }
    }

    function _unfinished() private view returns (uint256 number) {
        for (uint256 i = _held.length; i != 0 && i + RECENT > _held.length; --i) {
            State state = market.state(_held[i - 1].id);
            if (state != State.Settled && state != State.Cancelled) ++number;
        }
    }

    /// @dev A session in the state `wanted`, if there is one.
    function _pick(Dice.State memory dice, State wanted) private view returns (bool, uint256) {
        if (_held.length == 0) return (false, 0);
        uint256 number = _held.length < RECENT ? _held.length : RECENT;
        uint256 first = dice.roll(0, number - 1);
        for (uint256 i; i < number; ++i) {
            uint256 index = _held.length - 1 - (first + i) % number;
            if (market.state(_held[index].id) == wanted) return (true, index);
        }
        return (false, 0);
    }

    function sums() external view returns (uint256 available, uint256 locked, uint256 escrow, uint256 balance) {
        for (uint256 account = 1; account <= ACCOUNTS; ++account) {
            (uint256 free, uint256 bound,) = vault.balanceOf(account);
            (available, locked) = (available + free, locked + bound);
        }
        for (uint256 session = 1; session <= market.count(); ++session) escrow += vault.escrow(session);
        balance = token.balanceOf(address(vault));
    }

    function settledStay() external view returns (bool) {
        for (uint256 i = settledRows.length > 300 ? settledRows.length - 300 : 0; i < settledRows.length; ++i) {
            uint256 row = settledRows[i] & ACCOUNT;
            if (!settlement.settled(settledRows[i] >> 32, row / 16, row % 16)) return false;
        }
        for (uint256 i; i < _held.length; ++i) {
            for (uint256 j; j < _held[i].refunds.length; ++j) {
                if (settlement.refunds(_held[i].id, j) != _held[i].refunds[j]) return false;
            }
        }
        return true;
    }

    /// @return Whether every act was done, a session with trade was settled, and acts out of turn were tried.
    function beenEverywhere() external view returns (bool) {
        string[12] memory acts =
            ["deposit", "withdraw", "steal", "open", "order", "cancel", "release", "clear", "commit", "prove", "sellers", "buyers"];
        for (uint256 i; i < acts.length; ++i) if (done[acts[i]] == 0) return false;
        for (uint256 i; i < _held.length; ++i) {
            if (_held[i].frozen && market.state(_held[i].id) == State.Settled) return refusals >= 10;
        }
        return false;
    }

    /// @return Whether every settled session has left no more than its rounding: below two micro-euro per row and interval.
    function roundingIsSmall() external view returns (bool) {
        for (uint256 i; i < _held.length; ++i) {
            if (market.state(_held[i].id) != State.Settled) continue;
            if (vault.escrow(_held[i].id) > 2 * _held[i].rows.length * _held[i].intervals) return false;
        }
        return true;
    }
}
