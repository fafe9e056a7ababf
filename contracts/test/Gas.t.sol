// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Pass} from "../src/ClearingPass.sol";
import {Deliveries} from "../src/Deliveries.sol";
import {SessionRequest, Terms} from "../src/Protocol.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {World} from "./World.sol";

/// @title Homes: a market with a month of prices and 100 homes that one aggregator acts for
/// @notice Bids and offers in turn; every bid is above every offer and a pair has the same quantities, so that all trade.
abstract contract Homes is World {
    using Dice for Dice.State;

    uint256 internal constant HOMES = 100;
    uint256 internal constant ANNA = 0xa11a; // owns the homes that buy
    uint256 internal constant BEN = 0xbe11; // and those that sell
    address internal constant AGGREGATOR = address(0xa99);
    uint96 internal constant DAY = (1 << 24) - 1;

    uint256 internal agent;
    Books.Order[] internal orders;

    function furnish() internal {
        build();
        for (uint256 i; i < HOMES; ++i) {
            member(vm.addr(i % 2 == 0 ? ANNA : BEN), 1e9);
            vm.prank(METERING);
            accounts.setEnvelope(i + 1, 10_000);
        }
        agent = member(AGGREGATOR, 1e12);
        for (uint256 i; i < HOMES; ++i) {
            vm.prank(vm.addr(i % 2 == 0 ? ANNA : BEN));
            accounts.setDelegate(i + 1, agent);
        }
        _schedules();
    }

    function _schedules() private {
        Dice.State memory dice = Dice.State(24);
        for (uint256 i; i < HOMES; ++i) {
            Books.Order memory made;
            (made.account, made.side, made.steps, made.agent) = (i + 1, i % 2, 1, agent);
            (made.quantities, made.limits) = (new uint256[](24), new uint256[](24));
            for (uint256 j; j < 24; ++j) {
                made.quantities[j] = i % 2 == 0 ? dice.roll(300, 3000) : orders[i - 1].quantities[j];
                made.limits[j] = i % 2 == 0 ? 50 * dice.roll(3000, 8000) : 50 * dice.roll(400, 2400);
            }
            made.lock = Books.lockOf(made, CAP, COLLATERAL);
            orders.push(made);
        }
    }

    /// @dev A session of all hours; earlier ones of 28 days have left their prices.
    function openAfterAMonth(uint256 mode) internal returns (uint256 session) {
        SessionRequest memory wanted = request(20, DAY);
        (wanted.mode, wanted.feePpm, wanted.feeAccount, wanted.intakeFee) = (uint8(mode), 10_000, uint32(agent), 1000);
        session = open(wanted);
        Terms memory agreed = market.terms(session);
        (uint256[] memory prices, uint256[] memory volumes) = (new uint256[](24), new uint256[](24));
        for (uint256 j; j < 24; ++j) (prices[j], volumes[j]) = (150_000, 80_000);
        for (uint256 day = 28; day != 0; --day) {
            vm.warp(GENESIS - (day - 1) * 1 days);
            vm.prank(address(clearing));
            guard.record(session, agreed, prices, volumes);
        }
    }

    function place(uint256 session) internal {
        vm.prank(AGGREGATOR);
        market.place(session, Books.encode(orders, 24));
        vm.warp(market.terms(session).gateClose);
    }

    function passOf() internal view returns (Pass memory pass) {
        (pass.live, pass.hints) = Books.table(orders);
        pass.words = Books.encode(orders, 24);
        (pass.sizes, pass.beneficiary) = (new uint256[](1), agent);
        pass.sizes[0] = pass.words.length;
    }

    /// @dev From the dearest offer to the cheapest bid.
    function cleared() internal view returns (Books.Cleared memory result) {
        result.certificate = new uint256[](24);
        (result.prices, result.volumes) = (new uint256[](24), new uint256[](24));
        (result.fills, result.live) = (new uint256[][](HOMES), new bool[](HOMES));
        for (uint256 i; i < HOMES; ++i) (result.fills[i], result.live[i]) = (orders[i].quantities, true);
        for (uint256 j; j < 24; ++j) {
            (uint256 lo, uint256 hi, uint256 volume, uint256 restBids, uint256 restOffers) = (0, Books.MAX, 0, 0, 0);
            for (uint256 i; i < HOMES; ++i) {
                (uint256 q, uint256 limit) = (orders[i].quantities[j], orders[i].limits[j]);
                if (i % 2 == 0) {
                    volume += q;
                    if (limit < hi) (hi, restBids) = (limit, 0);
                    if (limit == hi) restBids += q;
                } else {
                    if (limit > lo) (lo, restOffers) = (limit, 0);
                    if (limit == lo) restOffers += q;
                }
            }
            result.certificate[j] = lo | (hi << 32) | (volume << 64) | (restBids << 104) | (restOffers << 144);
            (result.prices[j], result.volumes[j]) = ((lo + hi) / 2, volume);
        }
    }

    function note(string memory name) internal {
        vm.snapshotGasLastCall("calls", name);
    }
}

/// @title Gas of a session's life, as transactions of their own cost it, kept in gas-snapshot/
/// @notice 50 bids and 50 offers of one step in every hour, on the whole market. Every call is a transaction (isolate), priced by the rules of
/// Prague, where calldata has a floor (EIP-7623). Pairings are left out: proofs are FakeVerifier's. GasOrders has the entry of orders.
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
        clearing.clear(session, pass);
        note("clear 100 x 24, cooperative");
    }

    /// @dev Certificate and levels of one interval in which everything trades.
    function _share(Pass memory pass, uint256 j) private view {
        uint256[] memory levels = new uint256[](HOMES);
        (uint256 number, uint256 volume, uint256 surplus, uint256 share) = (0, 0, 0, 0);
        for (uint256 i; i < HOMES; ++i) {
            (uint256 q, uint256 limit) = (orders[i].quantities[j], orders[i].limits[j]);
            number = _level(levels, number, limit, q << (i % 2 == 0 ? 32 : 72));
            if (i % 2 == 0) (volume, surplus) = (volume + q, surplus + q * limit);
            else surplus -= q * limit;
        }
        share = surplus / (2 * volume);
        levels[number - 1] |= 1 << 112;
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
