// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Terms} from "../src/Protocol.sol";
import {Replacement} from "../src/Replacement.sol";
import {Settling} from "./Settling.sol";

/// @title ReplacementBench: a member that fails, reserves that could take over, and the word that is needed for it
/// @notice A session of four hours from 08:00 at 100,000 micro-euro per kWh. Account 1 sells 100 Wh an hour; account 2, a reserve, offers 60 Wh
/// at 90,000 and 60 Wh at 150,000; account 3, a reserve, has sold 100 Wh in every hour.
abstract contract ReplacementBench is Settling {
    uint256 internal constant KEY = 0xa11a;
    uint256 internal constant LOCK = 24_000;
    uint256 internal constant HOURS = 0xf << 8;

    Replacement internal replacement;
    Terms internal agreed;
    address internal owner;
    uint256[] internal certificate;
    uint256[] internal rowsA; // group 0: account 1
    uint256[] internal rowsB; // group 1: accounts 2 and 3

    function setUp() external {
        build(24);
        replacement = Replacement(
            vm.deployCode("artifacts/Replacement.json", abi.encode(market, accounts, vault, settlement))
        );
        vault.grantRole(vault.MARKET_ROLE(), address(replacement));
        owner = vm.addr(KEY);
        agreed = terms(0, 0, HOURS, rules());
        market.setTerms(SESSION, agreed);
        market.setProgress(SESSION, cleared(3, 1));
        for (uint256 j; j < 4; ++j) certificate.push(100_000 | (100_000 << 32) | (200 << 64));
        market.setCertificate(SESSION, hash(certificate));
        for (uint256 account = 1; account <= 3; ++account) {
            accounts.set(account, account == 1 ? owner : address(uint160(account)), 0);
            fund(account, LOCK);
            lock(account, LOCK);
        }
        fund(7, 80_000);
        lock(7, 80_000);
        unlock(7, 80_000, 80_000);
        uint256 fills = 100 | (100 << 32) | (100 << 64) | (100 << 96);
        rowsA = [1 | (1 << 32) | (LOCK << 64) | (3 << 192), fills];
        uint256 cheap = 60 | (90_000 << 24);
        uint256 dear = 60 | (150_000 << 24);
        uint256 flags = (3 << 192) | (1 << 195);
        rowsB = [
            2 | (2 << 32) | (LOCK << 64) | flags | (1 << 196),
            0,
            dear | (dear << 56) | (dear << 112) | (dear << 168),
            cheap | (cheap << 56) | (cheap << 112) | (cheap << 168),
            3 | (3 << 32) | (LOCK << 64) | flags,
            fills,
            dear | (dear << 56) | (dear << 112) | (dear << 168)
        ];
        market.amend(SESSION, 0, hash(rowsA));
        market.amend(SESSION, 1, hash(rowsB));
    }

    /// @dev A proven record of account 1's first two hours.
    function _delivered(uint256 first, uint256 second) internal returns (uint256[][] memory batches, uint256[] memory picks) {
        batches = new uint256[][](1);
        batches[0] = new uint256[](4);
        batches[0][0] = 1 | (9 << 32) | (0x300 << 64);
        batches[0][1] = ((1 << 25) + first) << 208;
        batches[0][2] = (1 << 25) + second;
        deliveries.record(SESSION, batches[0]);
        picks = new uint256[](1);
    }

    function _change(uint256 intervals) internal view returns (Replacement.Change memory change) {
        (change.session, change.intervals) = (SESSION, intervals);
        change.failing = Replacement.Place(0, 0, rowsA);
        change.reserve = Replacement.Place(1, 0, rowsB);
        (change.certificate, change.rules) = (certificate, rules());
    }

    function _replace(uint256 intervals, uint256 most) internal {
        replacement.replaceByConsent(_change(intervals), _consent(intervals, 1, most, owner));
    }

    function _refuses(uint256 intervals, Replacement.Consent memory consent, bytes4 selector) internal {
        refused(selector);
        this.tryConsent(intervals, consent);
    }

    function tryConsent(uint256 intervals, Replacement.Consent calldata consent) external {
        replacement.replaceByConsent(_change(intervals), consent);
    }

    function tryProof(uint256 intervals, uint256[][] calldata batches, uint256[] calldata picks) external {
        replacement.replaceByProof(_change(intervals), batches, picks);
    }

    function _consent(uint256 intervals, uint256 nonce, uint256 most, address signer)
        internal
        view
        returns (Replacement.Consent memory)
    {
        return _sign(intervals, 2, nonce, most, signer);
    }

    function _sign(uint256 intervals, uint256 reserve, uint256 nonce, uint256 most, address signer)
        internal
        view
        returns (Replacement.Consent memory consent)
    {
        consent = Replacement.Consent(signer, most, nonce, START + 10 hours, "");
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
            abi.encode(replacement.CONSENT_TYPEHASH(), SESSION, 1, reserve, intervals, most, nonce, consent.deadline)
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, keccak256(abi.encodePacked(hex"1901", domain, content)));
        consent.signature = abi.encodePacked(r, s, v);
    }
}
