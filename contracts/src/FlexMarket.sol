// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {OrderWords} from "./OrderWords.sol";
import {Pauses} from "./Pauses.sol";
import {IAccounts, IVault, Mode, State, Terms} from "./Protocol.sol";
import {Sessions} from "./Sessions.sol";
import {Zones} from "./Zones.sol";

/// @title FlexMarket: the order log of every session
/// @notice docs/protocol.md section 6. The chain keeps one hash of a session's log; whoever acts supplies the log again.
contract FlexMarket is Sessions, EIP712 {
    using Pauses for Pauses.History;

    bytes32 public constant ORDER_BATCH_TYPEHASH =
        keccak256("OrderBatch(uint256 session,uint256[] words,uint256 nonce,uint256 counter,uint256 deadline)");

    /// @notice A signed batch of entries; anyone may carry it.
    struct Batch {
        uint256 session;
        uint256[] words;
        uint256 nonce;
        uint256 counter;
        uint256 deadline;
        address signer;
        bytes signature;
    }

    /// @notice Hash of the order log.
    mapping(uint256 session => bytes32) public log;
    /// @dev In cooperative sessions the sides on which an owner is: bit 0 bids, bit 1 offers.
    mapping(uint256 session => mapping(address owner => uint256)) private _sides;
    mapping(address signer => mapping(uint256 word => uint256)) private _usedNonces;
    /// @notice What a signed batch must name; one call makes all that were signed before unusable.
    mapping(address signer => uint256) public counterOf;

    event Orders(uint256 indexed session, address indexed signer, uint256 first, uint256[] words);
    event NoncesInvalidated(address indexed signer, uint256 word, uint256 bits);
    event CounterIncremented(address indexed signer, uint256 counter);
    event LocksReleased(uint256 indexed session, bytes32 previous);

    error IntakeIsPaused();
    error DeadlinePassed(uint256 deadline, uint256 timestamp);
    error NonceUsed(address signer, uint256 nonce);
    error SignatureRefused(address signer);
    error LogMismatch(uint256 session, bytes32 log, bytes32 supplied);
    error CounterMismatch(address signer, uint256 counter, uint256 supplied);
    error BothSides(uint256 session, address owner);
    error EnvelopeExceeded(uint256 account, uint256 quantity, uint256 envelope);

    constructor(address admin, IAccounts accounts_, Zones zones_, IVault vault_)
        EIP712("Wattproof", "1")
        Sessions(accounts_, zones_, vault_)
    {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _setRoleAdmin(DSO_ROLE, OPERATOR_ROLE);
    }

    /// @notice Places a batch of entries for accounts of which the caller is owner or delegate.
    function place(uint256 session, uint256[] calldata words) external {
        _take(session, msg.sender, words);
    }

    /// @notice Places batches that others signed (EIP-712; ERC-1271 for contracts); all or none.
    function placeSigned(Batch[] calldata batches) external {
        for (uint256 i; i < batches.length; ++i) {
            Batch calldata batch = batches[i];
            if (block.timestamp > batch.deadline) revert DeadlinePassed(batch.deadline, block.timestamp);
            _useNonce(batch.signer, batch.nonce);
            bytes32 words = OrderWords.hash(batch.words);
            uint256 counter = counterOf[batch.signer];
            if (batch.counter != counter) revert CounterMismatch(batch.signer, counter, batch.counter);
            bytes32 digest = _hashTypedDataV4(
                keccak256(abi.encode(ORDER_BATCH_TYPEHASH, batch.session, words, batch.nonce, counter, batch.deadline))
            );
            if (!SignatureChecker.isValidSignatureNowCalldata(batch.signer, digest, batch.signature)) {
                revert SignatureRefused(batch.signer);
            }
            _take(batch.session, batch.signer, batch.words);
        }
    }

    /// @notice Makes the caller's nonces `256 * word + k`, for every set bit k of `bits`, unusable.
    function invalidateNonces(uint256 word, uint256 bits) external {
        _usedNonces[msg.sender][word] |= bits;
        emit NoncesInvalidated(msg.sender, word, bits);
    }

    /// @notice Makes every batch that the caller has signed so far unusable.
    function incrementCounter() external returns (uint256 counter) {
        counter = ++counterOf[msg.sender];
        emit CounterIncremented(msg.sender, counter);
    }

    function nonceUsed(address signer, uint256 nonce) external view returns (bool) {
        return (_usedNonces[signer][nonce >> 8] >> (nonce & 255)) & 1 == 1;
    }

    function _useNonce(address signer, uint256 nonce) private {
        uint256 used = _usedNonces[signer][nonce >> 8];
        uint256 bit = 1 << (nonce & 255);
        if (used & bit != 0) revert NonceUsed(signer, nonce);
        _usedNonces[signer][nonce >> 8] = used | bit;
    }

    /// @dev Checks rights and words, locks the money, extends the log.
    function _take(uint256 session, address signer, uint256[] calldata batch) private {
        if (_pauses.paused()) revert IntakeIsPaused();
        _require(session, State.Open);
        Terms storage found = _terms[session];
        uint256 mode = found.mode;
        if (mode == uint256(Mode.Request)) revert ModeNotSupported(mode);
        uint256[] memory words = OrderWords.load(batch);
        uint256[] memory entries = OrderWords.check(
            words,
            OrderWords.Rules(
                found.intervals, found.priceCap, found.minQuantity, found.collateralPpm, mode == uint256(Mode.Block)
            )
        );
        _pass(
            address(accounts),
            abi.encodeWithSelector(IAccounts.requireRights.selector, signer, found.zone, found.day, 0x80),
            entries
        );
        if (mode == uint256(Mode.Cooperative)) _requireOneSide(session, words, entries);
        _pass(address(vault), abi.encodeWithSelector(IVault.lock.selector, session, found.intakeFee, 0x60), entries);
        log[session] = keccak256(abi.encode(log[session], OrderWords.hashInMemory(words)));
        uint256 first = _progress[session].entries;
        _progress[session].entries = uint32(first + entries.length);
        // Orders(session, signer, first, words), whose data is first, offset and words
        bytes32 topic = Orders.selector;
        assembly ("memory-safe") {
            let data := sub(words, 0x40)
            mstore(data, first)
            mstore(add(data, 0x20), 0x40)
            log3(data, add(0x60, shl(5, mload(words))), topic, session, signer)
        }
    }

    /// @dev Calls a contract with entries as the last argument, which is what the compiler's own encoding would copy word by word.
    /// @param head what comes before them, the offset included
    function _pass(address to, bytes memory head, uint256[] memory entries) private {
        assembly ("memory-safe") {
            let data := mload(0x40)
            let ahead := mload(head)
            let size := shl(5, add(mload(entries), 1))
            mcopy(data, add(head, 0x20), ahead)
            mcopy(add(data, ahead), entries, size)
            if or(iszero(extcodesize(to)), iszero(call(gas(), to, 0, data, add(ahead, size), 0, 0))) {
                returndatacopy(data, 0, returndatasize())
                revert(data, returndatasize())
            }
        }
    }

    /// @dev Who sold to itself would draw on the common surplus, and so would who offers what its devices cannot do.
    function _requireOneSide(uint256 session, uint256[] memory words, uint256[] memory entries) private {
        uint256 intervals = _terms[session].intervals;
        uint256 cursor;
        for (uint256 i; i < entries.length; ++i) {
            uint256 entry = entries[i];
            uint256 side = (entry >> 128) & 1;
            if (entry & (1 << 129) == 0) {
                uint256 payer = (entry >> 130) & 1 == 0 ? entry & type(uint32).max : (entry >> 32) & type(uint32).max;
                address owner = accounts.ownerOf(payer);
                uint256 sides = _sides[session][owner];
                if (sides | (1 << side) == 3) revert BothSides(session, owner);
                if (sides == 0) _sides[session][owner] = 1 << side;
                if (side == 1) {
                    uint256 envelope = accounts.envelopeOf(entry & type(uint32).max);
                    uint256 quantity = OrderWords.peak(words, cursor, intervals);
                    if (quantity > envelope) revert EnvelopeExceeded(entry & type(uint32).max, quantity, envelope);
                }
            }
            cursor += 1 + (((words[cursor] >> 128) & 3) + 1) * ((intervals + 3) / 4);
        }
    }

    /// @notice Releases the locks of the last batch of a cancelled session's log and shortens the log by it; by anyone. Intake fees come
    /// back too.
    /// @param previous hash of the log before that batch
    function releaseCancelled(uint256 session, bytes32 previous, uint256[] calldata words) external {
        _require(session, State.Cancelled);
        bytes32 supplied = keccak256(abi.encode(previous, OrderWords.hash(words)));
        if (supplied != log[session]) revert LogMismatch(session, log[session], supplied);
        log[session] = previous;
        emit LocksReleased(session, previous);
        Terms storage found = _terms[session];
        vault.move(session, OrderWords.releases(words, found.intervals, found.intakeFee));
        if (_progress[session].underAuction) _leaveAuction(session);
    }
}
