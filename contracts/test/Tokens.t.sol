// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {Accounts} from "../src/Accounts.sol";
import {Reputation} from "../src/Reputation.sol";
import {Vault} from "../src/Vault.sol";
import {FeeToken} from "../src/test/Tokens.sol";
import {Checked, Dice} from "./Cheats.sol";

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
    using Dice for Dice.State;

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
        address zones = vm.deployCode("artifacts/Zones.json", abi.encode(address(this)));
        accounts_ = Accounts(vm.deployCode("artifacts/Accounts.json", abi.encode(address(this), zones)));
        vault_ = Vault(vm.deployCode("artifacts/Vault.json", abi.encode(address(this), held, accounts_)));
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
        accounts.setDelegate(anna, ben);
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

    function test_only_the_markets_contracts_move_money(address caller, uint256 word) external {
        vm.assume(caller != address(this));
        uint256[] memory words = new uint256[](1);
        words[0] = (word << 32) | anna;
        bytes4 unauthorized = bytes4(keccak256("AccessControlUnauthorizedAccount(address,bytes32)"));
        refused(unauthorized);
        vm.prank(caller);
        vault.move(1, words);
        refused(unauthorized);
        vm.prank(caller);
        vault.lock(1, 0, words);
    }

    function test_the_vault_ends_at_56_bits(uint128 amount) external {
        uint256 beyond = within(amount, type(uint56).max - 2e9 + 1, type(uint128).max);
        token.mint(ANNA, beyond);
        vm.expectRevert(abi.encodeWithSelector(Vault.VaultFull.selector, 2e9 + beyond));
        vm.prank(ANNA);
        vault.deposit(anna, beyond);
    }

    /// @dev Two accounts share a word: whatever is locked, moved and rated, each ends where simple sums say, and so does the escrow.
    function test_neighbours_do_not_touch_each_other(uint256 seed) external {
        vault.grantRole(vault.MARKET_ROLE(), address(this));
        Dice.State memory dice = Dice.State(seed);
        uint256[4] memory available = [uint256(1e9), 1e9, 0, 0];
        uint256[4] memory locked;
        uint256[4] memory reputation;
        uint256 escrow;
        accounts.register(ANNA);
        accounts.register(BEN);
        for (uint256 round; round < 12; ++round) {
            uint256[] memory words = new uint256[](dice.roll(1, 5));
            bool moves = dice.once(2);
            uint256 fee = dice.roll(0, 3);
            for (uint256 i; i < words.length; ++i) {
                uint256 who = dice.roll(0, 3);
                if (!moves) {
                    if (available[who] < fee) {
                        assembly ("memory-safe") {
                            mstore(words, i)
                        }
                        break;
                    }
                    uint256 amount = dice.roll(0, available[who] - fee);
                    words[i] = dice.once(2) ? (who + 1) | (amount << 64) : 9 | ((who + 1) << 32) | (amount << 64) | (1 << 130);
                    available[who] -= amount + fee;
                    locked[who] += amount;
                    escrow += fee;
                } else {
                    uint256 unlock = dice.roll(0, locked[who]);
                    uint256 credit = dice.roll(0, escrow + unlock);
                    uint256 rating = dice.once(2) ? dice.roll(1, 10_001) : 0;
                    words[i] = (who + 1) | (unlock << 32) | (credit << 96) | (rating << 160);
                    locked[who] -= unlock;
                    available[who] += credit;
                    escrow = escrow + unlock - credit;
                    if (rating != 0) reputation[who] = reputation[who] == 0 ? rating : (3 * reputation[who] + rating + 2) / 4;
                }
            }
            if (moves) vault.move(5, words);
            else vault.lock(5, fee, words);
        }
        same(vault.escrow(5), escrow, "escrow");
        for (uint256 who; who < 4; ++who) {
            (uint256 a, uint256 l, uint256 r) = vault.balanceOf(who + 1);
            same(a, available[who], "available");
            same(l, locked[who], "locked");
            same(r, reputation[who], "reputation");
        }
    }

    function test_nothing_is_locked_or_moved_beyond_what_there_is(uint64 beyond) external {
        vault.grantRole(vault.MARKET_ROLE(), address(this));
        uint256[] memory words = new uint256[](2);
        uint256 amount = 1e9 + 1 + uint256(beyond) % (type(uint64).max - 1e9);
        (words[0], words[1]) = (ben | (5 << 64), anna | (amount << 64));
        vm.expectRevert(abi.encodeWithSelector(Vault.NotEnoughAvailable.selector, anna, 1e9, amount));
        vault.lock(1, 0, words);
        (words[0], words[1]) = (ben, anna | (amount << 32));
        vm.expectRevert(abi.encodeWithSelector(Vault.NotEnoughLocked.selector, anna, 0, amount));
        vault.move(1, words);
        words[1] = anna | (amount << 96);
        vm.expectRevert(abi.encodeWithSelector(Vault.NotEnoughEscrow.selector, 1, 0, amount));
        vault.move(1, words);
        words[1] = anna | (10_002 << 160);
        vm.expectRevert(abi.encodeWithSelector(Reputation.RatingOutOfRange.selector, 10_002, 10_001));
        vault.move(1, words);
        _owed(1e9, 1e9);
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
