// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockClearing} from "../src/BlockClearing.sol";
import {Clearing} from "../src/Clearing.sol";
import {Deliveries} from "../src/Deliveries.sol";
import {FlexRequests} from "../src/FlexRequests.sol";
import {Forks} from "../src/Forks.sol";
import {PriceGuard} from "../src/PriceGuard.sol";
import {SessionRequest} from "../src/Protocol.sol";
import {Replacement} from "../src/Replacement.sol";
import {Settlement} from "../src/Settlement.sol";
import {IVerifier} from "../src/Verifiers.sol";
import {Door} from "./Door.sol";

/// @title World: a market with all its contracts, as contracts/blueprint.py has them
/// @notice Proofs are FakeVerifier's: these are tests of the contracts around the proofs.
abstract contract World is Door {
    /// @dev What the price guard is made of.
    struct Band {
        uint256 kPpm;
        uint256 madFloor;
        uint256 madFloorPpm;
        uint256 minHistory;
        uint256 minVolume;
    }

    uint256 internal constant BLOCK_IMPROVEMENT = 1000;
    uint256 internal constant BLOCK_BOND = 1_000_000;
    bytes32 internal constant MARKET = keccak256("MARKET");

    address internal constant GUARDIAN = address(0x6a);

    PriceGuard internal guard;
    Clearing internal clearing;
    BlockClearing internal blocks;
    FlexRequests internal requests;
    Deliveries internal deliveries;
    Settlement internal settlement;
    Replacement internal replacement;
    Forks internal forks;

    function build() internal {
        build(Band(5_000_000, 10_000, 100_000, 7, 500));
    }

    function build(Band memory band) internal {
        buildDoor();
        bytes memory room = abi.encode(market, accounts, vault);
        guard = PriceGuard(
            vm.deployCode(
                "artifacts/PriceGuard.json",
                abi.encode(market, zones, band.kPpm, band.madFloor, band.madFloorPpm, band.minHistory, band.minVolume)
            )
        );
        clearing = Clearing(vm.deployCode("artifacts/Clearing.json", bytes.concat(room, abi.encode(guard))));
        blocks = BlockClearing(
            vm.deployCode(
                "artifacts/BlockClearing.json", bytes.concat(room, abi.encode(guard, BLOCK_IMPROVEMENT, BLOCK_BOND))
            )
        );
        requests = FlexRequests(vm.deployCode("artifacts/FlexRequests.json", room));
        _buildDelivery(room);
        _grant();
    }

    function _buildDelivery(bytes memory room) private {
        Deliveries.Circuit[] memory circuits =
            _circuits(IVerifier(vm.deployCode("artifacts/test/FakeVerifier.json", abi.encode(true))));
        deliveries = Deliveries(
            vm.deployCode("artifacts/Deliveries.json", abi.encode(accounts, zones, market, 24, circuits))
        );
        settlement = Settlement(vm.deployCode("artifacts/Settlement.json", abi.encode(market, vault)));
        replacement = Replacement(vm.deployCode("artifacts/Replacement.json", bytes.concat(room, abi.encode(settlement))));
        forks = Forks(vm.deployCode("artifacts/Forks.json", abi.encode(accounts, zones, new Deliveries.Circuit[](0))));
    }

    function _grant() private {
        accounts.grantRole(keccak256("FORKS"), address(forks));
        address[4] memory promisers = [address(clearing), address(blocks), address(requests), address(replacement)];
        for (uint256 i; i < 4; ++i) {
            accounts.grantRole(MARKET, promisers[i]);
            vault.grantRole(MARKET, promisers[i]);
        }
        vault.grantRole(MARKET, address(settlement));
        market.grantRole(keccak256("GUARDIAN"), GUARDIAN);
        market.grantRole(keccak256("SETTLEMENT"), address(settlement));
        market.grantRole(keccak256("SETTLEMENT"), address(replacement));
        market.grantRole(keccak256("DELIVERIES"), address(deliveries));
        market.grantRole(keccak256("REPLACEMENT"), address(replacement));
        market.setResults(0, clearing);
        market.setResults(1, clearing);
        market.setResults(2, blocks);
        market.setResults(3, requests);
    }

    /// @dev Circuits for 1, 2, 4, 50 and 100 accounts.
    function _circuits(IVerifier verifier) private pure returns (Deliveries.Circuit[] memory circuits) {
        circuits = new Deliveries.Circuit[](5);
        uint256[5] memory sizes = [uint256(1), 2, 4, 50, 100];
        for (uint256 i; i < 5; ++i) circuits[i] = Deliveries.Circuit(sizes[i], verifier);
    }

    /// @inheritdoc Door
    function request(uint256 ahead, uint96 mask) internal view override returns (SessionRequest memory wanted) {
        wanted = super.request(ahead, mask);
        wanted.deliveries = address(deliveries);
    }

    /// @dev A proof that FakeVerifier takes, for entries as `Deliveries.prove` wants them.
    function proven(uint256 session, uint256 chain, uint256[] memory entries)
        internal
        view
        returns (Deliveries.Batch memory batch)
    {
        (batch.chain, batch.entries) = (chain, entries);
        (uint256 gamma, uint256 y) = deliveries.compress(chain, deliveries.words(session, entries));
        (batch.proof[0], batch.proof[1], batch.proof[2]) = (chain, y, gamma);
    }

    /// @dev Complete days that the account may claim: all admissible ones.
    function complete(uint256 session, uint256 account) internal view returns (uint256 number) {
        uint256 bits = deliveries.admissible(1, account, market.terms(session).day);
        for (; bits != 0; bits &= bits - 1) ++number;
    }

    /// @dev Signs a digest as a key's owner does.
    function signed(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev What `signer` signs for a replacement.
    function consentDigest(uint256 session, uint256 account, uint256 reserve, uint256 taken, Replacement.Consent memory consent)
        internal
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Wattproof"),
                keccak256("1"),
                block.chainid,
                replacement
            )
        );
        bytes32 content = keccak256(
            abi.encode(
                replacement.CONSENT_TYPEHASH(), session, account, reserve, taken, consent.most, consent.nonce, consent.deadline
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, content));
    }
}
