// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {Accounts} from "./Accounts.sol";

/// @title Vault: the money of accounts and sessions
/// @notice docs/protocol.md section 4. Always: token balance >= sum(available) + sum(locked) + sum(escrow). Withdrawals are pulled by
/// the owner and cannot be paused.
contract Vault is AccessControl, ReentrancyGuard {
    using SafeERC20 for IERC20Metadata;

    bytes32 public constant MARKET_ROLE = keccak256("MARKET");
    bytes32 public constant SETTLEMENT_ROLE = keccak256("SETTLEMENT");

    uint256 private constant M96 = type(uint96).max;

    /// @dev One slot.
    struct Balance {
        uint96 available;
        uint96 locked;
        uint64 reputation;
    }

    IERC20Metadata public immutable token;
    Accounts public immutable accounts;

    mapping(uint256 account => Balance) private _balances;

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
    error MoverNotAllowed(address caller);

    constructor(address admin, IERC20Metadata token_, Accounts accounts_) {
        if (token_.decimals() != 6) revert TokenDecimals(token_.decimals());
        token = token_;
        accounts = accounts_;
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Credits `account` with what really arrives of `amount`. The vault holds at most 2^64-1 micro-euro, so that no sum overflows.
    function deposit(uint256 account, uint256 amount) external nonReentrant {
        accounts.ownerOf(account);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 balance = token.balanceOf(address(this));
        if (balance <= before) revert NothingReceived(account);
        if (balance > type(uint64).max) revert VaultFull(balance);
        _balances[account].available += uint96(balance - before);
        emit Deposited(account, msg.sender, balance - before);
    }

    /// @notice Pays `amount` of the account's available balance to `to`.
    function withdraw(uint256 account, uint256 amount, address to) external nonReentrant {
        if (accounts.ownerOf(account) != msg.sender) revert NotOwner(account, msg.sender);
        uint256 available = _balances[account].available;
        if (amount > available) revert NotEnoughAvailable(account, available, amount);
        _balances[account].available = uint96(available - amount);
        emit Withdrawn(account, to, amount);
        token.safeTransfer(to, amount);
    }

    /// @notice Moves each entry's lock from available to locked.
    /// @param entries words `account:32 | zero or side:32 | lock:96`
    function lock(uint256[] calldata entries) external onlyRole(MARKET_ROLE) {
        for (uint256 i; i < entries.length; ++i) {
            uint256 account = entries[i] & type(uint32).max;
            uint256 amount = (entries[i] >> 64) & M96;
            Balance memory balance = _balances[account];
            if (amount > balance.available) revert NotEnoughAvailable(account, balance.available, amount);
            unchecked {
                balance.available -= uint96(amount);
                balance.locked += uint96(amount);
            }
            _balances[account] = balance;
        }
    }

    /// @notice `locked -= unlock; available += credit; escrow[session] += unlock - credit`, move by move.
    /// @param moves words `account:32 | zero or side:32 | unlock:96 | credit:96`
    function move(uint256 session, uint256[] calldata moves) external {
        if (!hasRole(MARKET_ROLE, msg.sender) && !hasRole(SETTLEMENT_ROLE, msg.sender)) revert MoverNotAllowed(msg.sender);
        uint256 unlocked;
        uint256 credited;
        for (uint256 i; i < moves.length; ++i) {
            uint256 account = moves[i] & type(uint32).max;
            uint256 unlock = (moves[i] >> 64) & M96;
            uint256 credit = moves[i] >> 160;
            Balance memory balance = _balances[account];
            if (unlock > balance.locked) revert NotEnoughLocked(account, balance.locked, unlock);
            balance.locked -= uint96(unlock);
            balance.available += uint96(credit);
            _balances[account] = balance;
            unlocked += unlock;
            credited += credit;
        }
        if (unlocked == credited) return;
        uint256 held = escrow[session] + unlocked;
        if (credited > held) revert NotEnoughEscrow(session, escrow[session], credited - unlocked);
        escrow[session] = held - credited;
    }

    function balanceOf(uint256 account) external view returns (uint256 available, uint256 locked, uint256 reputation) {
        Balance memory balance = _balances[account];
        return (balance.available, balance.locked, balance.reputation);
    }
}
