// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "../src/Accounts.sol";
import {FlexMarket} from "../src/FlexMarket.sol";
import {FlexRequests} from "../src/FlexRequests.sol";
import {SessionRequest} from "../src/Protocol.sol";
import {Vault} from "../src/Vault.sol";
import {Zones} from "../src/Zones.sol";
import {DevEuro} from "../src/dev/DevEuro.sol";
import {Checked} from "./Cheats.sol";

/// @title Coalition: a market with a DSO, its requests, and members that sign
abstract contract Coalition is Checked {
    uint256 internal constant OFFSET = 3600;
    /// @dev 06:00 standard time on Wednesday 2017-03-01.
    uint256 internal constant GENESIS = 17_226 days - OFFSET + 6 hours;
    uint256 internal constant DSO_KEY = 0xd50;
    uint256 internal constant CAP = 500_000;
    uint256 internal constant COLLATERAL = 600_000;
    uint256 internal constant FUNDS = 1e12;

    /// @dev A member's part of a list, and the key that signs it.
    struct Part {
        uint256 account;
        uint256 agent;
        bool agentPays;
        uint256 nonce;
        uint256 deadline;
        uint256[] promises;
        uint256[] prices;
        uint256 key;
    }

    DevEuro internal token;
    Zones internal zones;
    Accounts internal accounts;
    Vault internal vault;
    FlexMarket internal market;
    FlexRequests internal requests;
    uint256 internal dso; // its account

    function build() internal {
        vm.warp(GENESIS);
        token = DevEuro(vm.deployCode("artifacts/DevEuro.json"));
        zones = Zones(vm.deployCode("artifacts/Zones.json", abi.encode(address(this))));
        accounts = Accounts(vm.deployCode("artifacts/Accounts.json", abi.encode(address(this), zones)));
        vault = Vault(vm.deployCode("artifacts/Vault.json", abi.encode(address(this), token, accounts)));
        market = FlexMarket(vm.deployCode("artifacts/FlexMarket.json", abi.encode(address(this), accounts, zones, vault)));
        requests = FlexRequests(vm.deployCode("artifacts/FlexRequests.json", abi.encode(market, accounts, vault)));
        zones.grantRole(zones.OPERATOR_ROLE(), address(this));
        accounts.grantRole(accounts.METERING_ROLE(), address(this));
        accounts.grantRole(accounts.FORKS_ROLE(), address(this));
        accounts.grantRole(accounts.MARKET_ROLE(), address(requests));
        vault.grantRole(vault.MARKET_ROLE(), address(requests));
        vault.grantRole(vault.MARKET_ROLE(), address(market));
        market.grantRole(market.OPERATOR_ROLE(), address(this));
        market.grantRole(market.DELIVERIES_ROLE(), address(this));
        market.grantRole(requests.DSO_ROLE(), vm.addr(DSO_KEY));
        market.setResults(3, requests);
        zones.add(int256(OFFSET), 60);
        dso = funded(vm.addr(DSO_KEY));
    }

    /// @notice The contract stands in for Deliveries too.
    function intervals() external pure returns (uint256) {
        return 24;
    }

    function funded(address owner) internal returns (uint256 account) {
        account = accounts.register(owner);
        token.mint(address(this), FUNDS);
        token.approve(address(vault), FUNDS);
        vault.deposit(account, FUNDS);
    }

    /// @dev A funded account with a meter.
    function member(address owner) internal returns (uint256 account) {
        account = funded(owner);
        accounts.bindMeter(account, 1, uint256(keccak256(abi.encode("meter", account))) >> 8, today());
    }

    function today() internal view returns (uint256) {
        return zones.dayOf(1, vm.getBlockTimestamp());
    }

    /// @dev pay 0 below, all at whole; penalty from 50 % down to 0; 5 % tolerance.
    function rules() internal pure returns (uint256[] memory words) {
        words = new uint256[](5);
        words[0] = 1 | (2 << 8) | (2 << 16) | (50_000 << 32) | (COLLATERAL << 64);
        (words[1], words[2]) = (0, 1_000_000 | (1_000_000 << 32));
        (words[3], words[4]) = (500_000 << 32, 1_000_000);
    }

    /// @dev A request for the day after tomorrow whose gate is open for an hour.
    function asked(uint96 mask) internal view returns (SessionRequest memory wanted) {
        (wanted.zone, wanted.mode, wanted.day, wanted.mask) = (1, 3, uint32(today() + 2), mask);
        uint256 end = zones.intervalStart(1, wanted.day, 24);
        (wanted.gateOpen, wanted.gateClose) = (uint40(vm.getBlockTimestamp()), uint40(vm.getBlockTimestamp() + 1 hours));
        (wanted.exemptionDeadline, wanted.proofDeadline) = (uint40(end + 1 hours), uint40(end + 2 hours));
        (wanted.priceCap, wanted.minQuantity) = (uint32(CAP), 10);
        wanted.deliveries = address(this);
    }

    function opened(uint96 mask, uint256[] memory target, uint256 tolerancePpm) internal returns (uint256) {
        SessionRequest memory wanted = asked(mask);
        vm.prank(vm.addr(DSO_KEY));
        return requests.open(dso, wanted, packed(target), tolerancePpm, rules());
    }

    /// @dev A part with the same promise and price in each of `k` intervals.
    function part(uint256 account, uint256 key, uint256 k, uint256 promised, uint256 price)
        internal
        view
        returns (Part memory made)
    {
        (made.account, made.key, made.deadline) = (account, key, vm.getBlockTimestamp() + 1 days);
        (made.promises, made.prices) = (flat(k, promised), flat(k, price));
    }

    function flat(uint256 k, uint256 value) internal pure returns (uint256[] memory values) {
        values = new uint256[](k);
        for (uint256 j; j < k; ++j) values[j] = value;
    }

    /// @dev 32 bits each, eight a word.
    function packed(uint256[] memory values) internal pure returns (uint256[] memory words) {
        words = new uint256[]((values.length + 7) / 8);
        for (uint256 j; j < values.length; ++j) words[j / 8] |= values[j] << (32 * (j % 8));
    }

    function words_(Part memory one) internal pure returns (uint256[] memory words) {
        uint256[] memory promises = packed(one.promises);
        uint256[] memory prices = packed(one.prices);
        words = new uint256[](1 + 2 * promises.length);
        words[0] = one.account | (one.agent << 32) | (one.nonce << 64) | (one.deadline << 128) | (one.agentPays ? 1 << 168 : 0);
        for (uint256 i; i < promises.length; ++i) {
            words[1 + i] = promises[i];
            words[1 + promises.length + i] = prices[i];
        }
    }

    function listOf(Part[] memory parts) internal pure returns (uint256[] memory list) {
        uint256 size = words_(parts[0]).length;
        list = new uint256[](size * parts.length);
        for (uint256 i; i < parts.length; ++i) {
            uint256[] memory words = words_(parts[i]);
            for (uint256 k; k < size; ++k) list[i * size + k] = words[k];
        }
    }

    function signed(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev The parts as a list that every member and the DSO have signed.
    function agreed(uint256 session, Part[] memory parts) internal view returns (FlexRequests.Award memory made) {
        made.list = listOf(parts);
        made.deadline = vm.getBlockTimestamp() + 1 days;
        made.consents = new bytes[](parts.length);
        for (uint256 i; i < parts.length; ++i) {
            made.consents[i] = signed(parts[i].key, requests.consentDigest(session, words_(parts[i])));
        }
        made.signature = signed(DSO_KEY, requests.awardDigest(session, made.list, made.nonce, made.deadline));
    }

    /// @dev Puts the DSO's signature anew under `made`, after something of it was changed.
    function ordered(uint256 session, FlexRequests.Award memory made) internal view returns (FlexRequests.Award memory) {
        made.signature = signed(DSO_KEY, requests.awardDigest(session, made.list, made.nonce, made.deadline));
        return made;
    }
}

/// @title OneRequest: a request for four intervals, and two members that answer it
abstract contract OneRequest is Coalition {
    uint256 internal constant ANNA = 0xa11a;
    uint256 internal constant BEN = 0xbe11;
    uint256 internal constant OTHER = 0x0dd;
    uint96 internal constant MASK = 0xf << 10; // four intervals

    uint256 internal anna;
    uint256 internal ben;
    uint256 internal session;
    uint256[] internal target;

    function setUp() public virtual {
        build();
        (anna, ben) = (member(vm.addr(ANNA)), member(vm.addr(BEN)));
        target = flat(4, 1000);
        session = opened(MASK, target, 100_000);
    }

    /// @dev Anna promises 600 Wh at 200000, Ben 400 Wh at 100001, in each interval.
    function _parts() internal view returns (Part[] memory parts) {
        parts = new Part[](2);
        parts[0] = part(anna, ANNA, 4, 600, 200_000);
        parts[1] = part(ben, BEN, 4, 400, 100_001);
    }

    function _award(FlexRequests.Award memory made) internal {
        requests.award(session, packed(target), made);
    }

    function _refused(Part[] memory parts, bytes memory why) internal {
        FlexRequests.Award memory made = agreed(session, parts);
        vm.expectRevert(why);
        _award(made);
        _nothingHappened();
    }

    function _nothingHappened() internal view {
        (, uint256 locked,) = vault.balanceOf(anna);
        same(locked + vault.escrow(session) + accounts.sold(anna, today() + 2), 0, "nothing happened");
        vm.assertTrue(!market.progress(session).cleared, "not awarded");
    }
}
