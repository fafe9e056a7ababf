// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {Deliveries} from "../src/Deliveries.sol";
import {FlexMarket} from "../src/FlexMarket.sol";
import {SessionRequest, Terms} from "../src/SessionTerms.sol";
import {Settlement} from "../src/Settlement.sol";
import {Vault} from "../src/Vault.sol";
import {IVerifier} from "../src/Verifiers.sol";
import {Zones} from "../src/Zones.sol";
import {DevEuro} from "../src/dev/DevEuro.sol";
import {Checked} from "./Cheats.sol";

/// @title World: one market with all its contracts, deployed as contracts/deploy.py does, and people in it
/// @notice Proofs are FakeVerifier's: these are tests of the contracts around the proofs.
abstract contract World is Checked {
    uint256 internal constant OFFSET = 3600;
    /// @dev 06:00 standard time on Wednesday 2017-03-01.
    uint256 internal constant GENESIS = 17_226 days - OFFSET + 6 hours;
    uint256 internal constant ACCOUNT = type(uint32).max;

    address internal constant OPERATOR = address(0x09);
    address internal constant METERING = address(0x0e);

    DevEuro internal token;
    Zones internal zones;
    Accounts internal accounts;
    Vault internal vault;
    FlexMarket internal market;
    Deliveries internal deliveries;
    Settlement internal settlement;

    function build() internal {
        vm.warp(GENESIS);
        bytes memory admin = abi.encode(address(this));
        token = DevEuro(vm.deployCode("DevEuro.sol:DevEuro"));
        zones = Zones(vm.deployCode("Zones.sol:Zones", admin));
        accounts = Accounts(vm.deployCode("Accounts.sol:Accounts", abi.encode(address(this), zones)));
        vault = Vault(vm.deployCode("Vault.sol:Vault", abi.encode(address(this), token, accounts)));
        market = FlexMarket(vm.deployCode("FlexMarket.sol:FlexMarket", abi.encode(address(this), accounts, zones, vault)));
        address verifier = vm.deployCode("FakeVerifier.sol:FakeVerifier", abi.encode(true));
        bytes memory circuits = abi.encode(accounts, zones, market, 24, _circuits(verifier));
        deliveries = Deliveries(vm.deployCode("Deliveries.sol:Deliveries", circuits));
        settlement = Settlement(vm.deployCode("Settlement.sol:Settlement", abi.encode(market, vault)));
        zones.grantRole(zones.OPERATOR_ROLE(), OPERATOR);
        accounts.grantRole(accounts.METERING_ROLE(), METERING);
        accounts.grantRole(accounts.MARKET_ROLE(), address(market));
        vault.grantRole(vault.MARKET_ROLE(), address(market));
        vault.grantRole(vault.SETTLEMENT_ROLE(), address(settlement));
        market.grantRole(market.OPERATOR_ROLE(), OPERATOR);
        market.grantRole(market.SETTLEMENT_ROLE(), address(settlement));
        market.grantRole(market.DELIVERIES_ROLE(), address(deliveries));
        vm.prank(OPERATOR);
        zones.add(int256(OFFSET), 60);
    }

    /// @dev Circuits for 1, 2, 4 and 100 accounts.
    function _circuits(address verifier) private pure returns (Deliveries.Circuit[] memory circuits) {
        circuits = new Deliveries.Circuit[](4);
        uint256[4] memory sizes = [uint256(1), 2, 4, 100];
        for (uint256 i; i < 4; ++i) circuits[i] = Deliveries.Circuit(sizes[i], IVerifier(verifier));
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

    /// @dev pay 0 below, 30 % at half, all at whole; penalty from 50 % down to 0; 5 % tolerance; collateral 60 %.
    function rules() internal pure returns (uint256[] memory words) {
        words = new uint256[](6);
        words[0] = 1 | (3 << 8) | (2 << 16) | (50_000 << 32) | (600_000 << 64);
        (words[2], words[3], words[4]) = (500_000 | (300_000 << 32), 1_000_000 | (1_000_000 << 32), 500_000 << 32);
        words[5] = 1_000_000;
    }

    /// @dev A session `ahead` days from now whose gate is open for an hour from now on.
    function request(uint256 ahead, uint96 mask) internal view returns (SessionRequest memory wanted) {
        uint256 day = zones.dayOf(1, vm.getBlockTimestamp()) + ahead;
        uint256 end = zones.intervalStart(1, day, 24);
        wanted.zone = 1;
        wanted.day = uint32(day);
        wanted.mask = mask;
        (wanted.gateOpen, wanted.gateClose) = (uint40(vm.getBlockTimestamp()), uint40(vm.getBlockTimestamp() + 1 hours));
        (wanted.exemptionDeadline, wanted.proofDeadline) = (uint40(end + 1 hours), uint40(end + 2 hours));
        (wanted.priceCap, wanted.minQuantity) = (500_000, 10);
        wanted.deliveries = address(deliveries);
    }

    function open(SessionRequest memory wanted) internal returns (uint256) {
        vm.prank(OPERATOR);
        return market.openSession(wanted, rules());
    }

    /// @dev A proof that FakeVerifier takes, for entries as `Deliveries.prove` wants them.
    function proven(uint256 session, uint256 chain, uint256[] memory entries) internal view returns (Deliveries.Batch memory batch) {
        (batch.chain, batch.entries) = (chain, entries);
        (uint256 gamma, uint256 y) = deliveries.compress(chain, deliveries.words(session, entries));
        (batch.proof[0], batch.proof[1], batch.proof[2]) = (chain, y, gamma);
    }

    /// @dev Complete days that the account may claim: all admissible ones.
    function complete(uint256 session, uint256 account) internal view returns (uint256 number) {
        uint256 bits = deliveries.admissible(1, account, market.terms(session).day);
        for (; bits != 0; bits &= bits - 1) ++number;
    }
}
