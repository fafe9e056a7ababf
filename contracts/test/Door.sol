// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {FlexMarket} from "../src/FlexMarket.sol";
import {IResults, SessionRequest} from "../src/Protocol.sol";
import {Vault} from "../src/Vault.sol";
import {Zones} from "../src/Zones.sol";
import {DevEuro} from "../src/dev/DevEuro.sol";
import {Checked} from "./Cheats.sol";

/// @title Door: a market as far as its order log, and people in it
/// @notice For tests of orders, accounts and money. Proofs and results are nobody's; World has all contracts.
abstract contract Door is Checked {
    uint256 internal constant OFFSET = 3600;
    /// @dev 06:00 standard time on Wednesday 2017-03-01.
    uint256 internal constant GENESIS = 17_226 days - OFFSET + 6 hours;
    uint256 internal constant ACCOUNT = type(uint32).max;
    uint256 internal constant CAP = 500_000;
    uint256 internal constant COLLATERAL = 600_000;

    address internal constant OPERATOR = address(0x09);
    address internal constant METERING = address(0x0e);

    DevEuro internal token;
    Zones internal zones;
    Accounts internal accounts;
    Vault internal vault;
    FlexMarket internal market;

    /// @dev Also the results of every mode, and the contract that takes proofs, as far as the market asks it.
    function intervals() external pure returns (uint256) {
        return 24;
    }

    function buildDoor() internal {
        vm.warp(GENESIS);
        bytes memory admin = abi.encode(address(this));
        token = DevEuro(vm.deployCode("artifacts/DevEuro.json"));
        zones = Zones(vm.deployCode("artifacts/Zones.json", admin));
        accounts = Accounts(vm.deployCode("artifacts/Accounts.json", abi.encode(address(this), zones)));
        vault = Vault(vm.deployCode("artifacts/Vault.json", abi.encode(address(this), token, accounts)));
        market = FlexMarket(vm.deployCode("artifacts/FlexMarket.json", abi.encode(address(this), accounts, zones, vault)));
        zones.grantRole(zones.OPERATOR_ROLE(), OPERATOR);
        accounts.grantRole(accounts.METERING_ROLE(), METERING);
        vault.grantRole(vault.MARKET_ROLE(), address(market));
        market.grantRole(market.OPERATOR_ROLE(), OPERATOR);
        vm.prank(OPERATOR);
        zones.add(int256(OFFSET), 60);
    }

    /// @dev This contract stands for every contract of results and of proofs.
    function buildResults() internal {
        market.grantRole(market.DELIVERIES_ROLE(), address(this));
        for (uint256 mode; mode < 4; ++mode) market.setResults(mode, IResults(address(this)));
    }

    /// @dev An account of `owner` with a meter key in force since today and `money` in the vault.
    function member(address owner, uint256 money) internal returns (uint256 account) {
        account = accounts.register(owner);
        uint256 today = zones.dayOf(1, vm.getBlockTimestamp());
        vm.prank(METERING);
        accounts.bindMeter(account, 1, uint256(keccak256(abi.encode("meter", account))) >> 8, today);
        if (money != 0) fund(owner, account, money);
    }

    function fund(address owner, uint256 account, uint256 money) internal {
        token.mint(owner, money);
        vm.prank(owner);
        token.approve(address(vault), money);
        vm.prank(owner);
        vault.deposit(account, money);
    }

    /// @dev pay 0 below, 30 % at half, all at whole; penalty from 50 % down to 0; 5 % tolerance; collateral 60 %; replaced after 2 intervals
    /// below half.
    function rules() internal pure returns (uint256[] memory words) {
        words = new uint256[](6);
        words[0] = 1 | (3 << 8) | (2 << 16) | (50_000 << 32) | (COLLATERAL << 64);
        (words[2], words[3], words[4]) = (500_000 | (300_000 << 32), 1_000_000 | (1_000_000 << 32), 500_000 << 32);
        words[5] = 1_000_000;
    }

    /// @dev A session `ahead` days from now whose gate is open for an hour from now on.
    function request(uint256 ahead, uint96 mask) internal view virtual returns (SessionRequest memory wanted) {
        uint256 day = zones.dayOf(1, vm.getBlockTimestamp()) + ahead;
        uint256 end = zones.intervalStart(1, day, 24);
        wanted.zone = 1;
        wanted.day = uint32(day);
        wanted.mask = mask;
        (wanted.gateOpen, wanted.gateClose) = (uint40(vm.getBlockTimestamp()), uint40(vm.getBlockTimestamp() + 1 hours));
        (wanted.exemptionDeadline, wanted.proofDeadline) = (uint40(end + 1 hours), uint40(end + 2 hours));
        (wanted.priceCap, wanted.minQuantity) = (uint32(CAP), 10);
        wanted.deliveries = address(this);
    }

    function open(SessionRequest memory wanted) internal returns (uint256) {
        vm.prank(OPERATOR);
        return market.openSession(wanted, rules());
    }

    // ----------------------------------------------------------------------------------------------------------------- entries

    uint256 internal constant OFFER = 1 << 255;
    uint256 internal constant AGENT_PAYS = 1 << 130;

    /// @dev An entry of one step with the same quantity and limit in every interval; `kind` are the header's flags.
    function entry(uint256 account, uint256 agent, uint256 kind, uint256 quantity, uint256 limit, uint256 number)
        internal
        pure
        returns (uint256[] memory words)
    {
        words = new uint256[](1 + (number + 3) / 4);
        uint256 lock = kind & OFFER == 0
            ? number * ((quantity * limit + 999) / 1000)
            : (COLLATERAL * number * quantity * CAP + 999_999_999) / 1_000_000_000;
        words[0] = account | (agent << 32) | (lock << 64) | kind;
        for (uint256 j; j < number; ++j) words[1 + j / 4] |= (quantity | (limit << 24)) << (56 * (j % 4));
    }

    function append(uint256[] memory left, uint256[] memory right) internal pure returns (uint256[] memory both) {
        both = new uint256[](left.length + right.length);
        for (uint256 i; i < left.length; ++i) both[i] = left[i];
        for (uint256 i; i < right.length; ++i) both[left.length + i] = right[i];
    }
}
