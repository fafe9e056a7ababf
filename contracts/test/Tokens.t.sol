// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {Accounts} from "../src/Accounts.sol";
import {Vault} from "../src/Vault.sol";
import {FeeToken} from "../src/test/Tokens.sol";
import {Checked} from "./Cheats.sol";

/// @title OddToken: an ERC-20 that answers, charges and calls back as it is told
contract OddToken {
    enum Answer {
        True,
        False,
        Nothing,
        Revert
    }

    uint8 public constant decimals = 6;
    mapping(address holder => uint256) public balanceOf;

    Answer public answer;
    bool public keep; // moves nothing
    bytes private _call;
    address private _target;
    bool public called;
    bool public callSucceeded;
    bytes4 public refusal;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function be(Answer answer_, bool keep_) external {
        (answer, keep) = (answer_, keep_);
    }

    /// @notice Calls `target` once within the next transfer, and swallows what comes of it.
    function arm(address target, bytes calldata data) external {
        (_target, _call) = (target, data);
    }

    function transferFrom(address from, address to, uint256 amount) external {
        _move(from, to, amount);
    }

    function transfer(address to, uint256 amount) external {
        _move(msg.sender, to, amount);
    }

    function _move(address from, address to, uint256 amount) private {
        if (_call.length != 0) {
            bytes memory once = _call;
            delete _call;
            bytes memory why;
            (callSucceeded, why) = _target.call(once);
            called = true;
            if (why.length >= 4) refusal = bytes4(why);
        }
        if (!keep) {
            balanceOf[from] -= amount;
            balanceOf[to] += amount;
        }
        Answer how = answer;
        if (how == Answer.Revert) revert("no");
        if (how == Answer.Nothing) return;
        assembly ("memory-safe") {
            mstore(0, iszero(how))
            return(0, 32)
        }
    }
}

/// @title Tokens: whatever the token does, nobody is credited with what did not arrive and nobody is paid twice
contract TokensTest is Checked {
    address private constant ANNA = address(0xa11a);
    address private constant BEN = address(0xbe11);

    Accounts private accounts;
    Vault private vault;
    OddToken private token;
    uint256 private anna;
    uint256 private ben;

    function setUp() external {
        token = new OddToken();
        (accounts, vault) = _vaultOn(address(token));
        (anna, ben) = (accounts.register(ANNA), accounts.register(BEN));
        token.mint(ANNA, 1e12);
        token.mint(BEN, 1e12);
        vm.prank(BEN);
        vault.deposit(ben, 1e9);
        vm.prank(ANNA);
        vault.deposit(anna, 1e9);
    }

    function _vaultOn(address held) private returns (Accounts accounts_, Vault vault_) {
        address zones = vm.deployCode("Zones.sol:Zones", abi.encode(address(this)));
        accounts_ = Accounts(vm.deployCode("Accounts.sol:Accounts", abi.encode(address(this), zones)));
        vault_ = Vault(vm.deployCode("Vault.sol:Vault", abi.encode(address(this), held, accounts_)));
    }

    function test_a_token_that_answers_nothing_works(uint64 amount) external {
        token.be(OddToken.Answer.Nothing, false);
        vm.prank(ANNA);
        vault.withdraw(anna, amount % 1e9, ANNA);
        _owed(1e9 - amount % 1e9, 1e9);
    }

    function test_a_token_that_says_false_moves_no_credit() external {
        token.be(OddToken.Answer.False, false);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
        vm.prank(ANNA);
        vault.deposit(anna, 1);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
        vm.prank(ANNA);
        vault.withdraw(anna, 1, ANNA);
        _owed(1e9, 1e9);
    }

    function test_a_token_that_reverts_moves_no_credit() external {
        token.be(OddToken.Answer.Revert, false);
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "no"));
        vm.prank(ANNA);
        vault.deposit(anna, 1);
        vm.expectRevert(abi.encodeWithSignature("Error(string)", "no"));
        vm.prank(ANNA);
        vault.withdraw(anna, 1, ANNA);
        _owed(1e9, 1e9);
    }

    function test_a_token_that_says_true_and_moves_nothing_gives_no_credit(uint64 amount) external {
        token.be(OddToken.Answer.True, true);
        vm.expectRevert(abi.encodeWithSelector(Vault.NothingReceived.selector, anna));
        vm.prank(ANNA);
        vault.deposit(anna, amount);
        _owed(1e9, 1e9);
    }

    function test_a_fee_is_not_credited(uint56 amount) external {
        FeeToken fee = new FeeToken();
        (Accounts accounts_, Vault vault_) = _vaultOn(address(fee));
        uint256 account = accounts_.register(ANNA);
        fee.mint(ANNA, uint256(amount) + 1);
        vm.prank(ANNA);
        fee.approve(address(vault_), type(uint256).max);
        vm.prank(ANNA);
        vault_.deposit(account, uint256(amount) + 1);
        (uint256 available,,) = vault_.balanceOf(account);
        same(available, fee.balanceOf(address(vault_)), "what arrived");
        vm.prank(ANNA);
        vault_.withdraw(account, available, ANNA);
        same(fee.balanceOf(address(vault_)), 0, "all can be withdrawn");
    }

    function test_the_vault_is_closed_from_within_a_deposit(uint256 which, uint64 amount) external {
        _arm(which, amount % 1e9);
        vm.prank(ANNA);
        vault.deposit(anna, 1e9);
        _attackFailed();
        _owed(2e9, 1e9);
    }

    function test_the_vault_is_closed_from_within_a_withdrawal(uint256 which, uint64 amount) external {
        _arm(which, amount % 1e9);
        vm.prank(ANNA);
        vault.withdraw(anna, 4e8, ANNA);
        _attackFailed();
        _owed(6e8, 1e9);
    }

    /// @dev The token itself owns an account, so that only the guard stands between it and the money.
    function _arm(uint256 which, uint256 amount) private {
        uint256 own = accounts.register(address(token));
        token.mint(address(token), 1e12);
        vm.prank(address(token));
        vault.deposit(own, 1e9);
        if (which % 3 == 0) token.arm(address(vault), abi.encodeCall(Vault.deposit, (own, amount + 1)));
        else if (which % 3 == 1) token.arm(address(vault), abi.encodeCall(Vault.withdraw, (own, amount, BEN)));
        else token.arm(address(vault), abi.encodeCall(Vault.withdraw, (ben, amount, BEN)));
    }

    function _attackFailed() private view {
        vm.assertTrue(token.called() && !token.callSucceeded(), "the call from within is refused");
        vm.assertTrue(token.refusal() == ReentrancyGuard.ReentrancyGuardReentrantCall.selector, "by the guard");
    }

    function test_nobody_withdraws_what_is_anothers(address caller, uint64 amount, address to) external {
        vm.assume(caller != ANNA);
        vm.expectRevert(abi.encodeWithSelector(Vault.NotOwner.selector, anna, caller));
        vm.prank(caller);
        vault.withdraw(anna, amount, to);
        _owed(1e9, 1e9);
    }

    function test_nor_does_a_delegate() external {
        vm.prank(ANNA);
        accounts.setDelegate(anna, BEN);
        vm.expectRevert(abi.encodeWithSelector(Vault.NotOwner.selector, anna, BEN));
        vm.prank(BEN);
        vault.withdraw(anna, 1, BEN);
    }

    function test_nobody_withdraws_more_than_is_available(uint256 amount) external {
        amount = within(amount, 1e9 + 1, type(uint256).max);
        vm.expectRevert(abi.encodeWithSelector(Vault.NotEnoughAvailable.selector, anna, 1e9, amount));
        vm.prank(ANNA);
        vault.withdraw(anna, amount, ANNA);
    }

    function test_only_market_and_settlement_move_money(address caller, uint256 word) external {
        uint256[] memory words = new uint256[](1);
        words[0] = (word << 32) | anna;
        vm.expectRevert(abi.encodeWithSelector(Vault.MoverNotAllowed.selector, caller));
        vm.prank(caller);
        vault.move(1, words);
        refused(bytes4(keccak256("AccessControlUnauthorizedAccount(address,bytes32)")));
        vm.prank(caller);
        vault.lock(words);
    }

    function test_the_vault_ends_at_64_bits(uint128 amount) external {
        uint256 beyond = within(amount, type(uint64).max - 2e9 + 1, type(uint128).max);
        token.mint(ANNA, beyond);
        vm.expectRevert(abi.encodeWithSelector(Vault.VaultFull.selector, 2e9 + beyond));
        vm.prank(ANNA);
        vault.deposit(anna, beyond);
    }

    /// @dev Whatever came before: what is owed is there.
    function _owed(uint256 annas, uint256 bens) private view {
        (uint256 hers,,) = vault.balanceOf(anna);
        (uint256 his,,) = vault.balanceOf(ben);
        same(hers, annas, "anna");
        same(his, bens, "ben");
        uint256 owed = hers + his;
        for (uint256 account = ben + 1; account <= accounts.count(); ++account) {
            (uint256 available,,) = vault.balanceOf(account);
            owed += available;
        }
        same(token.balanceOf(address(vault)), owed, "the vault holds what it owes");
    }
}
