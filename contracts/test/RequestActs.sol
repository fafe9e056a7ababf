// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {FlexRequests} from "../src/FlexRequests.sol";
import {SessionRequest, State} from "../src/Protocol.sol";
import {RequestList} from "../src/RequestList.sol";
import {Sessions} from "../src/Sessions.sol";
import {Vault} from "../src/Vault.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {OrderActs} from "./OrderActs.sol";

/// @title RequestActs: a network operator asks, two members answer together, or nobody does
abstract contract RequestActs is OrderActs {
    using Dice for Dice.State;

    uint256 private constant PROMISE = 400_000; // Wh, of each of two members

    /// @dev Two members' answer, and why it has to be refused, if so.
    struct Answer {
        uint256[2] account;
        uint256[2] agent;
        uint256[2] payer;
        uint256[2] price;
        uint256[2] lock;
        uint256[] list;
        uint256[] rows;
        uint256[] certificate;
        uint256 cost;
        bytes4 why;
    }

    function openRequest(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        if (_unfinished() >= 4 || !dice.once(3)) return;
        uint256 mask = (1 << dice.roll(8, 13)) | (1 << dice.roll(8, 13));
        SessionRequest memory wanted = request(dice.roll(20, 22), uint96(mask));
        (wanted.mode, wanted.priceCap, wanted.direction) = (3, uint32(Books.TOP), uint8(dice.roll(0, 1)));
        if (dice.once(2)) (wanted.feePpm, wanted.feeAccount) = (uint24(dice.roll(1, 100_000)), uint32(FEES));
        bool shut = market.auctioned(1, wanted.day) & mask != 0;
        uint256[] memory target = new uint256[](1);
        target[0] = 2 * PROMISE;
        if (mask & (mask - 1) != 0) target[0] |= target[0] << 32;
        uint256[] memory words = rules();
        if (shut) refused(Sessions.IntervalsUnderAuction.selector);
        vm.prank(_owners[DSO]);
        uint256 id = requests.open(DSO, wanted, target, 100_000, words);
        if (shut) return;
        _keep(id, wanted).target = target;
        _did("open request");
    }

    function withdrawRequest(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        (bool found, uint256 index) = _pick(dice, dice.once(2) ? State.Open : State.Closed, true);
        if (!found || !dice.once(3)) return;
        vm.prank(_owners[DSO]);
        requests.withdraw(_held[index].id, "not needed any more");
        _did("withdraw request");
    }

    function award(uint256 seed) external watched {
        Dice.State memory dice = Dice.State(seed);
        (bool found, uint256 index) = _pick(dice, State.Open, true);
        if (!found) (found, index) = _pick(dice, State.Closed, true);
        if (!found) return;
        Held storage held = _held[index];
        Answer memory made = _answer(dice, held);
        FlexRequests.Award memory given = _sign(dice, held, made);
        if (made.why == 0) _requireMoney(held, made);
        if (made.why != 0) refused(made.why);
        else (_actors, _moves) = ((1 << DSO) | (1 << made.payer[0]) | (1 << made.payer[1]), true);
        uint256[] memory target = held.target;
        if (given.signature.length == 0) vm.prank(_owners[DSO]);
        requests.award(held.id, target, given);
        if (made.why != 0) return;
        (held.rows, held.certificate) = (made.rows, made.certificate);
        held.due += made.cost;
        for (uint256 i; i < 2; ++i) locks[made.payer[i]] += made.lock[i];
        bytes32 rows = keccak256(abi.encodePacked(made.rows));
        vm.assertTrue(requests.groupHash(held.id, 0) == rows, "rows of an award");
        _did("award");
    }

    // ------------------------------------------------------------------------------------------------------------ answers

    function _answer(Dice.State memory dice, Held storage held) private view returns (Answer memory made) {
        made.account[0] = dice.roll(1, MEMBERS - 1);
        made.account[1] = dice.roll(made.account[0] + 1, MEMBERS);
        uint256 promised = PROMISE;
        if (dice.once(8)) (promised, made.why) = (PROMISE / 2, RequestList.TargetMissed.selector);
        uint256 k = held.intervals;
        (made.list, made.certificate) = (new uint256[](6), new uint256[](2 * k));
        made.rows = new uint256[](9); // header, fills, gross of three
        for (uint256 i; i < 2; ++i) {
            uint256 account = made.account[i];
            made.price[i] = dice.roll(0, Books.TOP);
            made.payer[i] = account;
            if (accounts.delegateOf(account) != 0 && dice.once(2)) {
                made.agent[i] = AGENT;
                if (dice.once(2)) made.payer[i] = AGENT;
            }
            made.lock[i] = Books.up(COLLATERAL * k * promised * Books.TOP, 10 ** 9);
            made.list[3 * i] = account | (made.agent[i] << 32) | ((vm.getBlockTimestamp() + 1) << 128)
                | (made.payer[i] != account ? 1 << 168 : 0);
            made.rows[3 * i] = account | (made.payer[i] << 32) | (made.lock[i] << 64) | (7 << 192);
            for (uint256 j; j < k; ++j) _cell(made, i, j, promised);
        }
        made.rows[6] = DSO | (DSO << 32) | (made.cost << 64) | (made.cost << 128) | (6 << 192);
    }

    /// @dev One interval of one member; after the second, what both come to.
    function _cell(Answer memory made, uint256 i, uint256 j, uint256 promised) private pure {
        uint256 gross = promised * made.price[i];
        made.list[3 * i + 1] |= promised << (32 * j);
        made.list[3 * i + 2] |= made.price[i] << (32 * j);
        made.rows[3 * i + 1] |= promised << (32 * j);
        made.rows[3 * i + 2] |= gross << (64 * j);
        made.rows[7] += promised << (32 * j);
        made.rows[8] += gross << (64 * j);
        made.certificate[2 * j] += promised << 64;
        made.certificate[2 * j + 1] += gross | (gross << 80);
        if (i == 1) made.cost += Books.up(promised * (made.price[0] + made.price[1]), 1000);
    }

    /// @dev Everybody's signatures, now and then one by somebody else.
    function _sign(Dice.State memory dice, Held storage held, Answer memory made)
        private
        view
        returns (FlexRequests.Award memory given)
    {
        (given.list, given.consents) = (made.list, new bytes[](2));
        given.deadline = vm.getBlockTimestamp() + 1;
        bool forged = dice.once(8);
        for (uint256 i; i < 2; ++i) {
            uint256[] memory own = new uint256[](3);
            for (uint256 n; n < 3; ++n) own[n] = made.list[3 * i + n];
            uint256 key = keyOf(made.agent[i] == 0 ? made.account[i] : AGENT);
            given.consents[i] = signed(forged && i == 1 ? keyOf(DSO) : key, requests.consentDigest(held.id, own));
        }
        if (forged && made.why == 0) made.why = FlexRequests.ConsentRefused.selector;
        // the operator itself, or anybody with its signature
        if (dice.once(2)) return given;
        given.signature = signed(keyOf(DSO), requests.awardDigest(held.id, made.list, given.nonce, given.deadline));
    }

    function _requireMoney(Held storage held, Answer memory made) private view {
        for (uint256 i; i < 2; ++i) {
            if (accounts.sold(made.account[i], held.day) & held.mask != 0) made.why = Accounts.AlreadySold.selector;
        }
        (uint256 first,,) = vault.balanceOf(made.payer[0]);
        (uint256 second,,) = vault.balanceOf(made.payer[1]);
        (uint256 dso,,) = vault.balanceOf(DSO);
        uint256 together = made.payer[0] == made.payer[1] ? made.lock[0] : 0;
        if (made.lock[0] > first || made.lock[1] + together > second || made.cost > dso) {
            made.why = Vault.NotEnoughAvailable.selector;
        }
    }
}
