// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {IAccounts} from "./Protocol.sol";
import {Reputation} from "./Reputation.sol";

/// @title Vault: the money of accounts and sessions
/// @notice docs/protocol.md section 4. Two accounts share a word, so that neighbours in a batch share a write. Always: token balance >= sum(available) + sum(locked) + sum(escrow). Withdrawals are pulled by
/// the owner and cannot be paused.
contract Vault is AccessControl, ReentrancyGuard {
    using SafeERC20 for IERC20Metadata;

    /// @notice Held by the contracts that lock and move money by the protocol's rules.
    bytes32 public constant MARKET_ROLE = keccak256("MARKET");

    uint256 private constant M32 = type(uint32).max;
    uint256 private constant M64 = type(uint64).max;
    /// @dev Largest sum of money, micro-euro; the vault never holds more, so that no sum leaves 56 bits.
    uint256 private constant M56 = type(uint56).max;

    IERC20Metadata public immutable token;
    IAccounts public immutable accounts;

    /// @dev `available:56 | locked:56 | reputation:16` of two accounts a word.
    mapping(uint256 pair => uint256) private _balances;

    /// @notice Micro-euro that a session holds: buyers' costs and sellers' penalties until they are paid out, its rounding afterwards.
    mapping(uint256 session => uint256) public escrow;

    event Deposited(uint256 indexed account, address indexed from, uint256 amount);
    event Withdrawn(uint256 indexed account, address indexed to, uint256 amount);

    error TokenDecimals(uint256 decimals);
    error NothingReceived(uint256 account);
    error VaultFull(uint256 balance);
    error NotOwner(uint256 account, address caller);
    error NotEnoughAvailable(uint256 account, uint256 available, uint256 needed);
    error NotEnoughLocked(uint256 account, uint256 locked, uint256 needed);
    error NotEnoughEscrow(uint256 session, uint256 escrow, uint256 needed);

    constructor(address admin, IERC20Metadata token_, IAccounts accounts_) {
        if (token_.decimals() != 6) revert TokenDecimals(token_.decimals());
        token = token_;
        accounts = accounts_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Credits `account` with what really arrives of `amount`. The vault holds at most 2^56-1 micro-euro, so that no sum overflows.
    function deposit(uint256 account, uint256 amount) external nonReentrant {
        accounts.ownerOf(account);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 balance = token.balanceOf(address(this));
        if (balance <= before) revert NothingReceived(account);
        if (balance > M56) revert VaultFull(balance);
        _balances[account >> 1] += (balance - before) << _lane(account);
        emit Deposited(account, msg.sender, balance - before);
    }

    /// @notice Pays `amount` of the account's available balance to `to`.
    function withdraw(uint256 account, uint256 amount, address to) external nonReentrant {
        if (accounts.ownerOf(account) != msg.sender) revert NotOwner(account, msg.sender);
        (uint256 available,,) = balanceOf(account);
        if (amount > available) revert NotEnoughAvailable(account, available, amount);
        _balances[account >> 1] -= amount << _lane(account);
        emit Withdrawn(account, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @notice Locks what each entry states and takes `fee` with it: of the payer `available -= lock + fee; locked += lock`, and the fees go
    /// to the session's escrow.
    /// @param entries words `account:32 | agent:32 | lock:64 | side:1 | cancels:1 | agent pays:1`
    function lock(uint256 session, uint256 fee, uint256[] calldata entries) external onlyRole(MARKET_ROLE) {
        (uint256 pair, uint256 word) = (type(uint256).max, 0);
        // the payer of the entries before, what it has left, and what was locked of it
        (uint256 last, uint256 available, uint256 locked) = (type(uint256).max, 0, 0);
        (uint256 cursor, uint256 end) = (0, 0);
        assembly ("memory-safe") {
            cursor := entries.offset
            end := add(cursor, shl(5, entries.length))
        }
        unchecked {
            for (; cursor != end; cursor += 32) {
                (uint256 payer, uint256 amount) = (0, 0);
                assembly ("memory-safe") {
                    let entry := calldataload(cursor)
                    payer := and(shr(and(shr(125, entry), 32), entry), 0xffffffff) // the agent's account where the agent pays
                    amount := and(shr(64, entry), 0xffffffffffffffff)
                }
                if (payer != last) {
                    word = _locked(word, last, available, locked);
                    if (payer >> 1 != pair) {
                        if (pair != type(uint256).max) _balances[pair] = word;
                        pair = payer >> 1;
                        word = _balances[pair];
                    }
                    (last, available, locked) = (payer, (word >> _lane(payer)) & M56, 0);
                }
                if (amount + fee > available) revert NotEnoughAvailable(payer, available, amount + fee);
                available -= amount + fee;
                locked += amount;
            }
            if (pair != type(uint256).max) _balances[pair] = _locked(word, last, available, locked);
        }
        if (fee != 0) escrow[session] += fee * entries.length;
    }

    /// @notice `locked -= unlock; available += credit; escrow[session] += unlock - credit`, and reputation where there is a rating; move by
    /// move.
    /// @param moves words `account:32 | unlock:64 | credit:64 | rating:16`
    function move(uint256 session, uint256[] calldata moves) external onlyRole(MARKET_ROLE) {
        (uint256 pair, uint256 word) = (type(uint256).max, 0);
        (uint256 unlocked, uint256 credited) = (0, 0);
        unchecked {
            for (uint256 i; i < moves.length; ++i) {
                uint256 entry;
                assembly ("memory-safe") {
                    mstore(0, calldataload(add(moves.offset, shl(5, i)))) // or the compiler would load it again at every use
                    entry := mload(0)
                }
                uint256 account = entry & M32;
                if (account >> 1 != pair) {
                    if (pair != type(uint256).max) _balances[pair] = word;
                    pair = account >> 1;
                    word = _balances[pair];
                }
                uint256 lane = _lane(account);
                uint256 unlock = (entry >> 32) & M64;
                uint256 credit = (entry >> 96) & M64;
                uint256 locked = (word >> (lane + 56)) & M56;
                if (unlock > locked) revert NotEnoughLocked(account, locked, unlock);
                // all credits together come from what was unlocked or lay in the escrow, which is checked below: within 56 bits
                word = word - (unlock << (lane + 56)) + (credit << lane);
                if (entry >> 160 != 0) word = _rate(word, lane + 112, entry >> 160);
                unlocked += unlock;
                credited += credit;
            }
            if (pair != type(uint256).max) _balances[pair] = word;
        }
        if (unlocked == credited) return;
        uint256 held = escrow[session] + unlocked;
        if (credited > held) revert NotEnoughEscrow(session, escrow[session], credited - unlocked);
        escrow[session] = held - credited;
    }

    /// @return available micro-euro
    /// @return locked micro-euro
    /// @return reputation see Reputation
    function balanceOf(uint256 account) public view returns (uint256 available, uint256 locked, uint256 reputation) {
        uint256 balance = _balances[account >> 1] >> _lane(account);
        return (balance & M56, (balance >> 56) & M56, (balance >> 112) & type(uint16).max);
    }

    /// @dev The word of a pair with what is left available to one of them and what is locked besides: it was available, so that neither field
    /// leaves its bits.
    function _locked(uint256 word, uint256 account, uint256 available, uint256 more) private pure returns (uint256) {
        unchecked {
            uint256 lane = _lane(account);
            return word + ((available - ((word >> lane) & M56) + (more << 56)) << lane);
        }
    }

    function _rate(uint256 word, uint256 shift, uint256 rating) private pure returns (uint256) {
        uint256 before = (word >> shift) & type(uint16).max;
        return (word & ~(uint256(type(uint16).max) << shift)) | (Reputation.rated(before, rating) << shift);
    }

    function _lane(uint256 account) private pure returns (uint256) {
        return 128 * (account & 1);
    }
}
