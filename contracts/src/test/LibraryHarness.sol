// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BaselineDays} from "../BaselineDays.sol";
import {ClearingCheck, ISold} from "../ClearingCheck.sol";
import {OrderWords} from "../OrderWords.sol";
import {RuleSet} from "../RuleSet.sol";

/// @title LibraryHarness: many cases of a pure rule in one call, for the tests
contract LibraryHarness is ISold {
    struct BookCase {
        uint256 mask;
        OrderWords.Rules rules;
        uint256 entries;
        uint256[] words;
        uint256[] live;
        uint256[] hints;
        uint256[] sold; // pairs account, intervals sold
        uint256[][] certificates;
    }

    mapping(uint256 account => uint256) private _sold;
    mapping(uint256 group => bytes32) private _groups;

    function sold(uint256 account, uint256) external view returns (uint256) {
        return _sold[account];
    }

    /// @notice Checks the words of the book, then holds every certificate against it.
    function clear(BookCase calldata book) external returns (bool[] memory accepted, bytes32 firstGroup) {
        OrderWords.check(book.words, book.rules);
        for (uint256 i; i < book.sold.length; i += 2) _sold[book.sold[i]] = book.sold[i + 1];
        accepted = new bool[](book.certificates.length);
        for (uint256 i; i < book.certificates.length; ++i) {
            try this.check(book, i) returns (bytes32 group) {
                accepted[i] = true;
                firstGroup = group;
            } catch {}
        }
        for (uint256 i; i < book.sold.length; i += 2) delete _sold[book.sold[i]];
    }

    function clearMany(BookCase[] calldata books) external returns (bool[][] memory accepted, bytes32[] memory firstGroups) {
        accepted = new bool[][](books.length);
        firstGroups = new bytes32[](books.length);
        for (uint256 i; i < books.length; ++i) (accepted[i], firstGroups[i]) = this.clear(books[i]);
    }

    /// @notice One certificate; returns the hash of the first group of rows.
    function check(BookCase calldata book, uint256 index) external returns (bytes32) {
        ClearingCheck.Book memory known = ClearingCheck.Book(book.mask, 0, book.entries, ISold(address(this)), book.sold.length != 0);
        ClearingCheck.run(known, book.rules, book.words, book.certificates[index], book.live, book.hints, _groups);
        return _groups[0];
    }

    function orders(uint256[] calldata words, OrderWords.Rules calldata rules) external pure returns (uint256[] memory) {
        return OrderWords.check(words, rules);
    }

    function admissible(uint256[] calldata working, uint256[] calldata events, uint256[] calldata day, uint256[] calldata fromDay)
        external
        pure
        returns (uint256[] memory masks)
    {
        masks = new uint256[](working.length);
        for (uint256 i; i < working.length; ++i) {
            masks[i] = BaselineDays.admissible(working[i], events[i], day[i], fromDay[i]);
        }
    }

    function requireCount(uint256 count, uint256 mask) external pure {
        BaselineDays.requireCount(1, count, mask);
    }

    function validateRules(uint256[] calldata rules) external pure returns (uint256) {
        return RuleSet.validate(rules);
    }

    /// @notice earned, unpaid and penalty of many intervals.
    function intervals(uint256[] calldata rules, uint256[] calldata fills, uint256[] calldata prices, uint256[] calldata delivered)
        external
        pure
        returns (uint256[] memory results)
    {
        RuleSet.Curves memory curves = RuleSet.load(rules);
        results = new uint256[](3 * fills.length);
        for (uint256 i; i < fills.length; ++i) {
            (results[3 * i], results[3 * i + 1], results[3 * i + 2]) = RuleSet.interval(curves, fills[i], prices[i], delivered[i]);
        }
    }
}
