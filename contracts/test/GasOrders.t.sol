// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {FlexMarket} from "../src/FlexMarket.sol";
import {Dice} from "./Cheats.sol";
import {Door} from "./Door.sol";

/// @title Gas of order entry, as transactions of their own cost it, kept in gas-snapshot/
/// @notice 100 schedules of one step in 24 intervals, half of them bids, of accounts with neighbouring numbers. Every call is a transaction
/// (isolate), priced by the rules of Prague, where calldata has a floor (EIP-7623). One transaction before has opened the log.
/// forge-config: default.isolate = true
/// forge-config: default.evm_version = "prague"
contract GasOrdersTest is Door {
    using Dice for Dice.State;

    uint256 private constant HOMES = 100;
    uint256 private constant KEY = 0xa11a;
    address private constant AGGREGATOR = address(0xa99);

    address private anna;
    uint256 private session;
    uint256 private agent;

    function setUp() external {
        buildDoor();
        buildResults();
        anna = vm.addr(KEY);
        for (uint256 i; i < HOMES; ++i) member(anna, 1e9);
        agent = member(AGGREGATOR, 1e12);
        session = open(request(20, uint96((1 << 24) - 1)));
        for (uint256 account = 1; account <= HOMES; ++account) {
            vm.prank(anna);
            accounts.setDelegate(account, agent);
        }
        vm.prank(AGGREGATOR);
        market.place(session, entry(agent, 0, 0, 0, 0, 24));
        uint256[] memory warm = entry(1, 0, 0, 0, 0, 24);
        vm.prank(anna);
        market.place(session, warm);
    }

    function test_gas_place_own() external {
        _place(anna, 0, 0, 2, "place 100 x 24, by the owner");
    }

    function test_gas_place_by_delegate() external {
        _place(AGGREGATOR, agent, 0, 2, "place 100 x 24, by a delegate");
    }

    function test_gas_place_one_payer() external {
        _place(AGGREGATOR, agent, AGENT_PAYS, 2, "place 100 x 24, one payer");
    }

    function test_gas_place_one_payer_bids() external {
        _place(AGGREGATOR, agent, AGENT_PAYS, 0, "place 100 x 24, one payer, all bids");
    }

    function test_gas_place_one_payer_offers() external {
        _place(AGGREGATOR, agent, AGENT_PAYS, 1, "place 100 x 24, one payer, all offers");
    }

    function test_gas_place_relayed() external {
        FlexMarket.Batch[] memory batches = new FlexMarket.Batch[](1);
        batches[0] = _signed(_words(0, 0, 2), 1);
        market.placeSigned(batches);
        _note("place 100 x 24, relayed, one signature");
    }

    function test_gas_place_relayed_one_by_one() external {
        FlexMarket.Batch[] memory batches = new FlexMarket.Batch[](HOMES);
        Dice.State memory dice = Dice.State(24);
        for (uint256 i; i < HOMES; ++i) batches[i] = _signed(_schedule(dice, i + 1, 0, (i & 1) << 255), i);
        market.placeSigned(batches);
        _note("place 100 x 24, relayed, a signature each");
    }

    function _place(address who, uint256 by, uint256 kind, uint256 sides, string memory name) private {
        uint256[] memory words = _words(by, kind, sides);
        vm.prank(who);
        market.place(session, words);
        _note(name);
    }

    /// @param sides 0: bids, 1: offers, 2: in turn
    function _words(uint256 by, uint256 kind, uint256 sides) private pure returns (uint256[] memory words) {
        words = new uint256[](0);
        Dice.State memory dice = Dice.State(24);
        for (uint256 i; i < HOMES; ++i) {
            words = append(words, _schedule(dice, i + 1, by, kind | ((sides == 2 ? i & 1 : sides) << 255)));
        }
    }

    /// @dev Home-sized quantities and limits of three bytes: what a real log has.
    function _schedule(Dice.State memory dice, uint256 account, uint256 by, uint256 kind) private pure returns (uint256[] memory words) {
        words = new uint256[](7);
        uint256 lock;
        for (uint256 j; j < 24; ++j) {
            uint256 quantity = dice.roll(300, 3000);
            uint256 limit = dice.roll(100_000, 400_000);
            words[1 + j / 4] |= (quantity | (limit << 24)) << (56 * (j % 4));
            lock += kind & OFFER == 0 ? (quantity * limit + 999) / 1000 : quantity;
        }
        if (kind & OFFER != 0) lock = (COLLATERAL * lock * CAP + 999_999_999) / 1_000_000_000;
        words[0] = account | (by << 32) | (lock << 64) | kind;
    }

    function _signed(uint256[] memory words, uint256 nonce) private view returns (FlexMarket.Batch memory batch) {
        batch = FlexMarket.Batch(session, words, nonce, 0, GENESIS + 3000, anna, "");
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
                market.ORDER_BATCH_TYPEHASH(), session, keccak256(abi.encodePacked(words)), batch.nonce, 0, batch.deadline
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, keccak256(abi.encodePacked(hex"1901", domain, content)));
        batch.signature = abi.encodePacked(r, s, v);
    }

    function _note(string memory name) private {
        vm.snapshotGasLastCall("orders", name);
    }
}
