// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {OrderWords} from "./OrderWords.sol";
import {IAccounts, IMarket, IVault, Mode, SessionRequest, State, Terms} from "./Protocol.sol";
import {RequestList} from "./RequestList.sol";
import {Results} from "./Results.sol";

/// @title FlexRequests: a network operator asks for a profile, and a coalition of members that all agreed delivers it
/// @notice docs/protocol.md section 13. A request is a session whose result is not found by a clearing but signed: by the DSO
/// as a whole, by each member for itself. From then on it is a session like every other.
contract FlexRequests is Results, EIP712 {
    /// @notice Held by whoever may open requests: a request keeps its intervals from every other session, which nobody else may
    /// do.
    bytes32 public constant DSO_ROLE = keccak256("DSO");
    bytes32 public constant CONSENT_TYPEHASH = keccak256(
        "Consent(uint256 session,uint256 account,uint256 agent,bool agentPays,uint256[] promises,uint256[] prices,"
        "uint256 nonce,uint256 deadline)"
    );
    bytes32 public constant AWARD_TYPEHASH = keccak256("Award(uint256 session,uint256[] list,uint256 nonce,uint256 deadline)");

    uint256 private constant PPM = 1_000_000;
    uint256 private constant M32 = type(uint32).max;

    struct Request {
        uint32 account; // the DSO's
        uint32 tolerancePpm;
        bytes32 target; // hash of its words
    }

    /// @notice A list with everybody's signatures.
    struct Award {
        uint256[] list; // see RequestList
        bytes[] consents; // the members' signatures, in the list's order
        uint256 nonce; // of the DSO's signature
        uint256 deadline;
        bytes signature; // the DSO's; ignored where the DSO calls itself
    }

    mapping(uint256 session => Request) public requestOf;
    mapping(address signer => mapping(uint256 word => uint256)) private _invalidNonces;

    event RequestOpened(uint256 indexed session, uint256 indexed account, uint256 tolerancePpm, uint256[] target);
    event Awarded(uint256 indexed session, address indexed submitter, uint256[] list, uint256[] certificate);
    event NoncesInvalidated(address indexed signer, uint256 word, uint256 bits);

    error NotOwner(uint256 account, address caller);
    error NotDso(address caller);
    error NotRequestMode(uint256 mode);
    error ToleranceOutOfRange(uint256 tolerancePpm, uint256 largest);
    error UnknownRequest(uint256 session);
    error NotAwardable(uint256 session, State state);
    error TargetMismatch(uint256 session);
    error ConsentsLength(uint256 consents, uint256 members);
    error ConsentRefused(uint256 account, address signer);
    error OrderRefused(uint256 session, address signer);
    error NonceUsed(address signer, uint256 nonce);
    error DeadlinePassed(uint256 deadline, uint256 timestamp);

    constructor(IMarket market_, IAccounts accounts_, IVault vault_)
        Results(market_, accounts_, vault_)
        EIP712("Wattproof", "1")
    {}

    /// @notice Opens a request by the owner of the DSO's account.
    /// @param target Wh per interval of the session, 32 bits each, eight a word
    /// @param tolerancePpm how far the promises of an interval may lie from the target, ppm of it
    /// @param rules the rule set's words
    function open(
        uint256 account,
        SessionRequest calldata wanted,
        uint256[] calldata target,
        uint256 tolerancePpm,
        uint256[] calldata rules
    ) external returns (uint256 session) {
        if (accounts.ownerOf(account) != msg.sender) revert NotOwner(account, msg.sender);
        if (!IAccessControl(address(market)).hasRole(DSO_ROLE, msg.sender)) revert NotDso(msg.sender);
        if (wanted.mode != uint256(Mode.Request)) revert NotRequestMode(wanted.mode);
        if (tolerancePpm > PPM) revert ToleranceOutOfRange(tolerancePpm, PPM);
        session = market.openRequest(wanted, rules);
        RequestList.checkTarget(target, market.terms(session).intervals);
        requestOf[session] = Request(uint32(account), uint32(tolerancePpm), OrderWords.hash(target));
        emit RequestOpened(session, account, tolerancePpm, target);
    }

    /// @notice Withdraws a request that has not been awarded; by the owner of the DSO's account.
    function withdraw(uint256 session, string calldata reason) external {
        uint256 account = _known(session).account;
        if (accounts.ownerOf(account) != msg.sender) revert NotOwner(account, msg.sender);
        market.cancelRequest(session, reason);
    }

    /// @notice Awards a request to a coalition, between gate close and delivery start; by anyone who has everybody's
    /// signatures. Locks the members' collateral and the DSO's cost and writes the promises, or does nothing at all.
    /// @param target the request's words
    function award(uint256 session, uint256[] calldata target, Award calldata award_) external {
        Request memory asked = _known(session);
        State reached = market.state(session);
        if (reached != State.Open && reached != State.Closed) revert NotAwardable(session, reached);
        if (OrderWords.hash(target) != asked.target) revert TargetMismatch(session);
        Terms memory agreed = market.terms(session);
        RequestList.Ask memory ask = RequestList.askOf(asked.account, asked.tolerancePpm, agreed);
        RequestList.Deal memory deal = RequestList.check(ask, target, award_.list);
        _requireOrder(session, asked.account, award_);
        _requireConsents(session, agreed, award_, deal.entries);
        vault.lock(session, 0, deal.entries);
        _keep(session, OrderWords.hash(award_.list), deal);
        market.cleared(session, deal.groups.length, false, 0);
        emit Awarded(session, msg.sender, award_.list, deal.certificate);
        for (uint256 g; g < deal.groups.length; ++g) this.commit(session, g, deal.groups[g]);
    }

    /// @notice Makes signatures of the caller with these nonces void: bit `n` of `bits` is nonce `256 * word + n`.
    function invalidateNonces(uint256 word, uint256 bits) external {
        _invalidNonces[msg.sender][word] |= bits;
        emit NoncesInvalidated(msg.sender, word, bits);
    }

    /// @notice Whether signatures of `signer` with `nonce` are void.
    function nonceUsed(address signer, uint256 nonce) public view returns (bool) {
        return (_invalidNonces[signer][nonce >> 8] >> (nonce & 255)) & 1 == 1;
    }

    /// @notice The 32 bytes that a member signs.
    /// @param member its words in the list
    function consentDigest(uint256 session, uint256[] calldata member) public view returns (bytes32) {
        uint256 header = member[0];
        uint256 width = (member.length - 1) / 2;
        return _hashTypedDataV4(
            keccak256(
                abi.encode(
                    CONSENT_TYPEHASH,
                    session,
                    header & M32,
                    (header >> 32) & M32,
                    (header >> 168) & 1,
                    OrderWords.hash(member[1:1 + width]),
                    OrderWords.hash(member[1 + width:]),
                    _nonceOf(header),
                    _deadlineOf(header)
                )
            )
        );
    }

    /// @notice The 32 bytes that the DSO signs.
    function awardDigest(uint256 session, uint256[] calldata list, uint256 nonce, uint256 deadline)
        public
        view
        returns (bytes32)
    {
        return _hashTypedDataV4(keccak256(abi.encode(AWARD_TYPEHASH, session, OrderWords.hash(list), nonce, deadline)));
    }

    function _known(uint256 session) private view returns (Request memory asked) {
        asked = requestOf[session];
        if (asked.account == 0) revert UnknownRequest(session);
    }

    /// @dev Reverts unless the DSO calls itself or has signed the list.
    function _requireOrder(uint256 session, uint256 account, Award calldata award_) private view {
        address owner = accounts.ownerOf(account);
        if (owner == msg.sender) return;
        _requireUsable(owner, award_.nonce, award_.deadline);
        bytes32 digest = awardDigest(session, award_.list, award_.nonce, award_.deadline);
        if (!SignatureChecker.isValidSignatureNowCalldata(owner, digest, award_.signature)) revert OrderRefused(session, owner);
    }

    /// @dev Reverts unless every member may offer on the day, and its owner, or its delegate's, has signed its words.
    function _requireConsents(uint256 session, Terms memory agreed, Award calldata award_, uint256[] memory entries)
        private
        view
    {
        uint256 members = entries.length - 1;
        if (award_.consents.length != members) revert ConsentsLength(award_.consents.length, members);
        uint256 size = RequestList.memberWords(agreed.intervals);
        uint256[] memory one = new uint256[](1);
        for (uint256 i; i < members; ++i) {
            uint256[] calldata member = award_.list[i * size:(i + 1) * size];
            uint256 entry = entries[i];
            uint256 actor = (entry >> 32) & M32;
            address signer = accounts.ownerOf(actor == 0 ? entry & M32 : actor);
            one[0] = entry;
            accounts.requireRights(signer, agreed.zone, agreed.day, one);
            _requireUsable(signer, _nonceOf(member[0]), _deadlineOf(member[0]));
            if (!SignatureChecker.isValidSignatureNowCalldata(signer, consentDigest(session, member), award_.consents[i])) {
                revert ConsentRefused(entry & M32, signer);
            }
        }
    }

    function _requireUsable(address signer, uint256 nonce, uint256 deadline) private view {
        if (block.timestamp > deadline) revert DeadlinePassed(deadline, block.timestamp);
        if (nonceUsed(signer, nonce)) revert NonceUsed(signer, nonce);
    }

    /// @dev Takes what the list comes to as the session's result.
    function _keep(uint256 session, bytes32 key, RequestList.Deal memory deal) private {
        for (uint256 g; g < deal.groups.length; ++g) _groups[session][key][g] = _hash(deal.groups[g]);
        _accept(session, key, _hash(deal.certificate));
    }

    function _hash(uint256[] memory words) private pure returns (bytes32 result) {
        assembly ("memory-safe") {
            result := keccak256(add(words, 0x20), shl(5, mload(words)))
        }
    }

    function _nonceOf(uint256 header) private pure returns (uint256) {
        return (header >> 64) & type(uint64).max;
    }

    function _deadlineOf(uint256 header) private pure returns (uint256) {
        return (header >> 128) & type(uint40).max;
    }
}
