// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Pass} from "../src/ClearingPass.sol";
import {Deliveries} from "../src/Deliveries.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {Cooperation} from "./Cooperation.sol";
import {Homes} from "./Homes.sol";

/// @title Gas of a session's life, as transactions of their own cost it, kept in gas-snapshot/
/// @notice 50 bids and 50 offers of one step in every hour, on the whole market. Every call is a transaction (isolate), priced by
/// the rules of Prague, where calldata has a floor (EIP-7623). Pairings are left out: proofs are FakeVerifier's. GasOrders has the
/// entry of orders.
/// forge-config: default.isolate = true
/// forge-config: default.evm_version = "prague"
contract GasTest is Homes {
    using Dice for Dice.State;

    function setUp() external {
        furnish();
    }

    function test_gas_money() external {
        token.mint(address(this), 2e6);
        token.approve(address(vault), 2e6);
        uint256 account = accounts.register(address(this));
        vault.deposit(account, 1e6);
        note("deposit, first");
        vault.deposit(account, 1e6);
        note("deposit, further");
        vault.withdraw(account, 5e5, address(0xbe11));
        note("withdraw to a new holder");
        vault.withdraw(account, 5e5, address(0xbe11));
        note("withdraw, further");
    }

    function test_gas_delivered_in_full() external {
        _life(1000, 1300, "delivered in full");
    }

    function test_gas_delivered_by_half() external {
        _life(300, 1000, "delivered by 30 to 100 %");
    }

    /// @dev Deliveries between `low` and `high` thousandths of the promise.
    function _life(uint256 low, uint256 high, string memory what) private {
        uint256 session = openAfterAMonth(0);
        place(session);
        (Pass memory pass, Books.Cleared memory result) = (passOf(), cleared());
        pass.certificate = result.certificate;
        clearing.clear(session, pass);
        note("clear 100 x 24");
        uint256[] memory rows = Books.rows(orders, result);
        for (uint256 group; group < 7; ++group) {
            clearing.commit(session, group, Books.groupOf(rows, group, 24));
            if (group == 1) note("commit 16 rows, 8 promises");
        }
        vm.warp(market.terms(session).deliveryEnd);
        uint256[] memory entries = _deliver(session, low, high);
        uint256[][] memory batches = new uint256[][](1);
        batches[0] = entries;
        uint256 which;
        uint256[] memory picks = Books.packed(HOMES, 32);
        for (uint256 i; i < HOMES; i += 2) {
            which |= 2 << i;
            Books.put(picks, i, 32, 1);
            Books.put(picks, i + 1, 32, (i / 2) << 16);
        }
        settlement.settle(session, 0, which, rows, result.certificate, rules(), batches, picks);
        note(string.concat("settle 50 sellers x 24, ", what));
        settlement.settle(session, 0, which >> 1, rows, result.certificate, rules(), new uint256[][](0), new uint256[](0));
        note(string.concat("settle 50 buyers x 24, ", what));
        same(market.progress(session).buyersLeft, 0, "settled");
    }

    /// @dev The sellers' 50 proofs in one.
    function _deliver(uint256 session, uint256 low, uint256 high) private returns (uint256[] memory entries) {
        Dice.State memory dice = Dice.State(7);
        entries = new uint256[](2 * HOMES);
        for (uint256 i; i < HOMES / 2; ++i) {
            entries[4 * i] = _head(session, 2 * i + 2);
            for (uint256 t; t < 24; ++t) {
                uint256 delivered = orders[2 * i + 1].quantities[t] * dice.roll(low, high) / 1000;
                entries[4 * i + 1 + t / 9] |= ((1 << 25) + delivered) << (26 * (t % 9));
            }
        }
        _prove(session, entries);
    }

    function test_gas_prove_100() external {
        uint256 session = openAfterAMonth(0);
        place(session);
        (Pass memory pass, Books.Cleared memory result) = (passOf(), cleared());
        pass.certificate = result.certificate;
        clearing.clear(session, pass);
        uint256[] memory rows = Books.rows(orders, result);
        for (uint256 group; group < 7; ++group) clearing.commit(session, group, Books.groupOf(rows, group, 24));
        vm.warp(market.terms(session).deliveryEnd);
        Dice.State memory dice = Dice.State(7);
        uint256[] memory entries = new uint256[](4 * HOMES);
        for (uint256 i; i < HOMES; ++i) {
            entries[4 * i] = _head(session, i + 1);
            for (uint256 t; t < 24; ++t) {
                entries[4 * i + 1 + t / 9] |= ((1 << 25) + dice.roll(0, 6000) - 3000) << (26 * (t % 9));
            }
        }
        _prove(session, entries);
        note("prove 100 accounts, without pairings");
    }

    function _head(uint256 session, uint256 account) private view returns (uint256) {
        return account | (complete(session, account) << 32) | (uint256(DAY) << 64);
    }

    function _prove(uint256 session, uint256[] memory entries) private {
        Deliveries.Batch[] memory batches = new Deliveries.Batch[](1);
        batches[0] = proven(session, 7, entries);
        deliveries.prove(session, batches);
    }

    function test_gas_clear_together() external {
        uint256 session = openAfterAMonth(1);
        place(session);
        Pass memory pass = passOf();
        (pass.certificate, pass.levels) = (new uint256[](48), new uint256[](0));
        for (uint256 j; j < 24; ++j) _share(pass, j);
        pass.levelsHash = Cooperation.chain(pass.levels, 0);
        clearing.clear(session, pass);
        note("clear 100 x 24, cooperative");
    }

    /// @dev Certificate and levels of one interval in which everything trades.
    function _share(Pass memory pass, uint256 j) private view {
        uint256[] memory levels = new uint256[](HOMES);
        (uint256 number, uint256 volume, uint256 surplus, uint256 share) = (0, 0, 0, 0);
        for (uint256 i; i < HOMES; ++i) {
            (uint256 q, uint256 limit) = (orders[i].quantities[j], orders[i].limits[j]);
            number = _level(levels, number, limit, q << (i % 2 == 0 ? 32 : 96));
            if (i % 2 == 0) (volume, surplus) = (volume + q, surplus + q * limit);
            else surplus -= q * limit;
        }
        share = surplus / (2 * volume);
        levels[number - 1] |= 1 << 160;
        uint256[] memory exact = new uint256[](number);
        for (uint256 n; n < number; ++n) exact[n] = levels[n];
        pass.levels = Books.join(pass.levels, exact);
        (uint256 buyers, uint256 sellers) = (0, 0);
        for (uint256 i; i < HOMES; ++i) {
            (uint256 q, uint256 limit) = (orders[i].quantities[j], orders[i].limits[j]);
            if (i % 2 == 0) buyers += q * (limit - share);
            else sellers += q * (limit + share);
        }
        uint256 word = cleared().certificate[j];
        pass.certificate[2 * j] =
            ((word >> 32) & Books.MAX) | ((word & Books.MAX) << 32) | ((word >> 64) << 64) | (share << 184);
        pass.certificate[2 * j + 1] = buyers | (sellers << 80);
    }

    /// @dev Adds a quantity to the level of a price; levels ascend.
    function _level(uint256[] memory levels, uint256 number, uint256 limit, uint256 quantity) private pure returns (uint256) {
        uint256 place_;
        while (place_ < number && levels[place_] & Books.MAX < limit) ++place_;
        if (place_ == number || levels[place_] & Books.MAX != limit) {
            for (uint256 k = number++; k > place_; --k) levels[k] = levels[k - 1];
            levels[place_] = limit;
        }
        levels[place_] += quantity;
        return number;
    }
}
