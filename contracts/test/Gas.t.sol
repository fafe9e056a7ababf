// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FlexMarket} from "../src/FlexMarket.sol";
import {SessionRequest} from "../src/SessionTerms.sol";
import {Deliveries} from "../src/Deliveries.sol";
import {Books} from "./Books.sol";
import {Dice} from "./Cheats.sol";
import {World} from "./World.sol";

/// @title Gas of the main calls, as a transaction of its own costs it, kept in gas-snapshot/
/// @notice One session of 24 intervals, 50 bids and 50 offers of one step in every interval. Every call is a transaction (isolate),
/// priced by the rules of Prague, where calldata has a floor (EIP-7623). Pairings are left out: proofs are FakeVerifier's.
/// forge-config: default.isolate = true
/// forge-config: default.evm_version = "prague"
contract GasTest is World {
    using Dice for Dice.State;

    uint256 private constant HOMES = 100;
    uint256 private constant KEY = 0xa11a;
    address private constant DELEGATE = address(0xde);

    Books.Order[] private orders;
    address private anna;
    uint256 private session;

    function setUp() external {
        build();
        anna = vm.addr(KEY);
        Dice.State memory dice = Dice.State(24);
        for (uint256 i; i < HOMES; ++i) member(anna, 1e9);
        for (uint256 i; i < HOMES; ++i) {
            Books.Order memory made;
            (made.account, made.side, made.steps) = (i + 1, i % 2, 1);
            (made.quantities, made.limits) = (new uint256[](24), new uint256[](24));
            for (uint256 j; j < 24; ++j) {
                // the offer of a pair has the bid's quantity, so that both sides are as long
                made.quantities[j] = i % 2 == 0 ? dice.roll(300, 3000) : orders[i - 1].quantities[j];
                made.limits[j] = i % 2 == 0 ? dice.roll(150_000, 400_000) : dice.roll(20_000, 120_000);
            }
            orders.push(made);
        }
        SessionRequest memory wanted = request(20, uint96((1 << 24) - 1));
        session = open(wanted);
    }

    function test_gas_deposit() external {
        token.mint(address(this), 2e6);
        token.approve(address(vault), 2e6);
        uint256 account = accounts.register(address(this));
        vault.deposit(account, 1e6);
        _note("deposit, first");
        vault.deposit(account, 1e6);
        _note("deposit, further");
        vault.withdraw(account, 5e5, address(0xbe11));
        _note("withdraw to a new holder");
        vault.withdraw(account, 5e5, address(0xbe11));
        _note("withdraw, further");
    }

    function test_gas_place_own() external {
        uint256[] memory words = _words();
        vm.prank(anna);
        market.place(session, words);
        _note("place 100 x 24, by the owner");
    }

    function test_gas_place_by_delegate() external {
        uint256[] memory words = _words();
        for (uint256 account = 1; account <= HOMES; ++account) {
            vm.prank(anna);
            accounts.setDelegate(account, DELEGATE);
        }
        vm.prank(DELEGATE);
        market.place(session, words);
        _note("place 100 x 24, by a delegate");
    }

    function test_gas_place_relayed() external {
        FlexMarket.Batch[] memory batches = new FlexMarket.Batch[](1);
        batches[0] = _signed(_words(), 1);
        market.placeSigned(batches);
        _note("place 100 x 24, relayed, one signature");
    }

    function test_gas_place_relayed_one_by_one() external {
        FlexMarket.Batch[] memory batches = new FlexMarket.Batch[](HOMES);
        for (uint256 i; i < HOMES; ++i) batches[i] = _signed(Books.encode(orders[i], 24), i);
        market.placeSigned(batches);
        _note("place 100 x 24, relayed, a signature each");
    }

    function test_gas_session() external {
        uint256[] memory words = _words();
        vm.prank(anna);
        market.place(session, words);
        vm.warp(market.terms(session).gateClose);
        (uint256[] memory live, uint256[] memory hints) = Books.table(orders);
        Books.Cleared memory cleared = _cleared();
        uint256[] memory sizes = new uint256[](1);
        sizes[0] = words.length;
        market.clear(session, sizes, words, cleared.certificate, live, hints);
        _note("clear 100 x 24");
        uint256[] memory rows = Books.rows(orders, cleared, 500_000, 600_000);
        for (uint256 group; group < 7; ++group) {
            market.commit(session, group, Books.groupOf(rows, group, 24));
            if (group == 0) _note("commit 16 rows, 8 promises");
        }
        uint256[] memory entries = _deliver();
        _settle(cleared.certificate, rows, entries);
    }

    function _deliver() private returns (uint256[] memory entries) {
        vm.warp(market.terms(session).deliveryEnd);
        Dice.State memory dice = Dice.State(7);
        uint256 number = complete(session, 1);
        entries = new uint256[](4 * HOMES);
        for (uint256 i; i < HOMES; ++i) {
            entries[4 * i] = (i + 1) | (number << 32) | (((1 << 24) - 1) << 64);
            for (uint256 t; t < 24; ++t) {
                entries[4 * i + 1 + t / 9] |= ((1 << 25) + dice.roll(0, 6000) - 3000) << (26 * (t % 9));
            }
        }
        Deliveries.Batch[] memory batches = new Deliveries.Batch[](1);
        batches[0] = proven(session, 7, entries);
        deliveries.prove(session, batches);
        _note("prove 100 accounts, without pairings");
    }

    function _settle(uint256[] memory certificate, uint256[] memory rows, uint256[] memory entries) private {
        uint256[][] memory batches = new uint256[][](1);
        batches[0] = entries;
        uint256 which;
        uint256[] memory picks = Books.packed(HOMES, 32);
        for (uint256 i = 1; i < HOMES; i += 2) {
            which |= 1 << i;
            Books.put(picks, i - 1, 32, 1);
            Books.put(picks, i, 32, i << 16);
        }
        settlement.settle(session, 0, which, rows, certificate, rules(), batches, picks);
        _note("settle 50 sellers x 24");
        settlement.settle(session, 0, which >> 1, rows, certificate, rules(), new uint256[][](0), new uint256[](0));
        _note("settle 50 buyers x 24");
    }

    function _note(string memory name) private {
        vm.snapshotGasLastCall("calls", name);
    }

    function _words() private view returns (uint256[] memory) {
        return Books.encode(orders, 24);
    }

    function _signed(uint256[] memory words, uint256 nonce) private view returns (FlexMarket.Batch memory batch) {
        batch = FlexMarket.Batch(session, words, nonce, GENESIS + 3000, anna, "");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Wattproof"),
                keccak256("1"),
                block.chainid,
                market
            )
        );
        bytes32 content = keccak256(
            abi.encode(
                market.ORDER_BATCH_TYPEHASH(), batch.session, keccak256(abi.encodePacked(words)), batch.nonce, batch.deadline
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, keccak256(abi.encodePacked(hex"1901", domain, content)));
        batch.signature = abi.encodePacked(r, s, v);
    }

    /// @dev Every bid is above every offer and both sides are as long, so that all trade: from the dearest offer to the cheapest bid.
    function _cleared() private view returns (Books.Cleared memory cleared) {
        cleared.certificate = new uint256[](24);
        cleared.prices = new uint256[](24);
        cleared.fills = new uint256[][](HOMES);
        cleared.live = new bool[](HOMES);
        for (uint256 i; i < HOMES; ++i) (cleared.fills[i], cleared.live[i]) = (orders[i].quantities, true);
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
            cleared.certificate[j] = lo | (hi << 32) | (volume << 64) | (restBids << 104) | (restOffers << 144);
            cleared.prices[j] = (lo + hi) / 2;
        }
    }
}
