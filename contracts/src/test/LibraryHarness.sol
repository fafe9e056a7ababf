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
    }

    mapping(uint256 account => uint256) private _sold;
    mapping(uint256 group => bytes32) private _groups;

    function sold(uint256 account, uint256) external view returns (uint256) {
        return _sold[account];
    }

    /// @notice Holds every certificate against every book; certificates are K words each, one after the other.
    function clearMany(BookCase[] calldata books, uint256[][] calldata certificates) external returns (bool[][] memory accepted) {
        accepted = new bool[][](books.length);
        for (uint256 i; i < books.length; ++i) {
            if (books[i].words.length != 0) OrderWords.check(books[i].words, books[i].rules);
            uint256 size = books[i].rules.intervals;
            accepted[i] = new bool[](certificates[i].length / size);
            for (uint256 k; k < accepted[i].length; ++k) {
                try this.check(books[i], certificates[i][k * size:(k + 1) * size]) {
                    accepted[i][k] = true;
                } catch {}
            }
        }
    }

    /// @notice One certificate; returns the hashes of the groups of rows.
    function check(BookCase calldata book, uint256[] calldata certificate) external returns (bytes32[] memory groups) {
        for (uint256 i; i < book.sold.length; i += 2) _sold[book.sold[i]] = book.sold[i + 1];
        ClearingCheck.Book memory known = ClearingCheck.Book(book.mask, 0, book.entries, ISold(address(this)), book.sold.length != 0);
        uint256 number = ClearingCheck.run(known, book.rules, book.words, certificate, book.live, book.hints, _groups);
        for (uint256 i; i < book.sold.length; i += 2) delete _sold[book.sold[i]];
        groups = new bytes32[](number);
        for (uint256 i; i < number; ++i) groups[i] = _groups[i];
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
        BaselineDays.requireCount(1, count, mask, BaselineDays.population(mask));
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
            (results[3 * i], results[3 * i + 1], results[3 * i + 2]) = RuleSet.interval(
                curves, fills[i], fills[i] * prices[i], delivered[i]
            );
        }
    }
}
