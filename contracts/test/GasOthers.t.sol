// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BlockClearing} from "../src/BlockClearing.sol";
import {Pass} from "../src/ClearingPass.sol";
import {FlexRequests} from "../src/FlexRequests.sol";
import {SessionRequest} from "../src/Protocol.sol";
import {Replacement} from "../src/Replacement.sol";
import {Blocks} from "./Blocks.sol";
import {Books} from "./Books.sol";
import {Homes} from "./Homes.sol";

/// @title Gas of what few sessions need: exemptions, replacements, awards, block proposals, each a transaction, kept in gas-snapshot/
/// @notice All of 24 hours, on the whole market, priced by the rules of Prague. Products without earlier prices, so that the guard has no say.
/// forge-config: default.isolate = true
/// forge-config: default.evm_version = "prague"
contract GasOthersTest is Homes {
    uint256 private constant ENTRIES = 16;
    uint256 private constant MEMBERS = 20;
    uint256 private constant PROMISE = 1000;

    uint256 private session;
    Books.Order[] private made;
    uint256[] private rows;
    uint256[] private certificate;

    function setUp() external {
        furnish();
    }

    function test_gas_exemption() external {
        _group();
        vm.prank(GUARDIAN);
        settlement.exempt(session, 0, 1, rows, DAY, "the line is being repaired");
        note("exempt a row of 16, first of a session");
        vm.prank(GUARDIAN);
        settlement.exempt(session, 0, 3, rows, DAY, "the line is being repaired");
        note("exempt a row of 16, further");
    }

    function test_gas_replacement() external {
        _group();
        Replacement.Change memory change;
        (change.session, change.intervals) = (session, DAY);
        change.failing = Replacement.Place(0, 1, rows);
        change.reserve = Replacement.Place(0, ENTRIES - 1, new uint256[](0));
        (change.certificate, change.rules) = (certificate, rules());
        Replacement.Consent memory consent = Replacement.Consent(vm.addr(BEN), 1e9, 1, vm.getBlockTimestamp() + 1 hours, "");
        consent.signature = signed(BEN, consentDigest(session, 2, ENTRIES, DAY, consent));
        replacement.replaceByConsent(change, consent);
        note("replace 24 intervals by consent, a group of 16 rows");
    }

    /// @dev Bids at 10 and offers at 2 in turn, all of the last hour's kind; the last offer is a reserve that is too dear. Cleared and committed.
    function _group() private {
        SessionRequest memory wanted = request(20, DAY);
        (wanted.kind, wanted.priceCap) = (1, uint32(Books.TOP));
        session = open(wanted);
        for (uint256 i; i < ENTRIES; ++i) {
            Books.Order memory one;
            (one.account, one.side, one.steps, one.agent) = (i + 1, i % 2, 1, agent);
            (one.quantities, one.limits) = (new uint256[](24), new uint256[](24));
            for (uint256 j; j < 24; ++j) (one.quantities[j], one.limits[j]) = (10_000, i % 2 == 0 ? 10 : 2);
            one.reserve = i + 1 == ENTRIES;
            for (uint256 j; j < 24 && one.reserve; ++j) one.limits[j] = 11;
            one.lock = Books.lockOf(one, Books.TOP, COLLATERAL);
            made.push(one);
        }
        Pass memory pass;
        (pass.words, pass.sizes) = (Books.encode(made, 24), new uint256[](1));
        pass.sizes[0] = pass.words.length;
        vm.prank(AGGREGATOR);
        market.place(session, pass.words);
        vm.warp(market.terms(session).gateClose);
        (pass.live, pass.hints) = Books.table(made);
        Books.Cleared memory result = Books.clear(made, 24, new uint256[](ENTRIES));
        (rows, certificate, pass.certificate) = (Books.rows(made, result), result.certificate, result.certificate);
        clearing.clear(session, pass);
        clearing.commit(session, 0, rows);
        note("commit 16 rows, 7 promises and a reserve");
    }

    // ------------------------------------------------------------------------------------------------------------ requests

    function test_gas_award() external {
        bytes32 role = requests.DSO_ROLE();
        vm.prank(OPERATOR);
        market.grantRole(role, AGGREGATOR);
        uint256[] memory target = new uint256[](3);
        uint256[] memory list = new uint256[](7 * MEMBERS);
        for (uint256 j; j < 24; ++j) {
            target[j / 8] |= (MEMBERS * PROMISE) << (32 * (j % 8));
            for (uint256 i; i < MEMBERS; ++i) {
                list[7 * i + 1 + j / 8] |= PROMISE << (32 * (j % 8));
                list[7 * i + 4 + j / 8] |= (100_000 + i) << (32 * (j % 8));
            }
        }
        SessionRequest memory wanted = request(20, DAY);
        wanted.mode = 3;
        uint256[] memory rules_ = rules();
        vm.prank(AGGREGATOR);
        session = requests.open(agent, wanted, target, 0, rules_);
        note("open a request of 24 intervals");
        FlexRequests.Award memory given;
        (given.list, given.consents) = (list, new bytes[](MEMBERS));
        for (uint256 i; i < MEMBERS; ++i) {
            list[7 * i] = (i + 1) | ((vm.getBlockTimestamp() + 1 hours) << 128);
            uint256[] memory own = new uint256[](7);
            for (uint256 k; k < 7; ++k) own[k] = list[7 * i + k];
            given.consents[i] = signed(i % 2 == 0 ? ANNA : BEN, requests.consentDigest(session, own));
        }
        vm.prank(AGGREGATOR);
        requests.award(session, target, given);
        note("award 20 members x 24");
    }

    // ------------------------------------------------------------------------------------------------------------ blocks

    function test_gas_proposal() external {
        SessionRequest memory wanted = request(20, DAY);
        (wanted.mode, wanted.priceCap, wanted.challengeEnd) = (2, uint32(Blocks.CAP), wanted.gateClose + 1 hours);
        session = open(wanted);
        Blocks.Order[] memory all = new Blocks.Order[](ENTRIES);
        uint256[] memory words = new uint256[](0);
        for (uint256 i; i < ENTRIES; ++i) {
            (all[i].account, all[i].side, all[i].agent, all[i].live) = (i + 1, i % 2, agent, true);
            (all[i].minFill, all[i].quantities, all[i].limits) = (1_000_000, new uint256[](24), new uint256[](24));
            for (uint256 j; j < 24; ++j) (all[i].quantities[j], all[i].limits[j]) = (10_000, i % 2 == 0 ? 6 : 2);
            words = append(words, Blocks.encode(all[i]));
        }
        vm.prank(AGGREGATOR);
        market.place(session, words);
        note("place 16 blocks of 24 intervals, one payer");
        vm.warp(wanted.gateClose);
        Blocks.Choice memory choice;
        (choice.prices, choice.ratios, choice.ups) = (new uint256[](24), new uint256[](ENTRIES), new uint256[](ENTRIES));
        for (uint256 j; j < 24; ++j) choice.prices[j] = 4;
        for (uint256 i; i < ENTRIES; ++i) choice.ratios[i] = 1_000_000;
        BlockClearing.Solution memory solution;
        BlockClearing.Chunk memory chunk;
        (solution, chunk.hints) = Blocks.propose(all, choice);
        (solution.account, solution.logs) = (agent, new bytes32[](1));
        solution.logs[0] = market.log(session);
        (chunk.sizes, chunk.words) = (new uint256[](1), words);
        chunk.sizes[0] = words.length;
        vm.prank(AGGREGATOR);
        blocks.propose(session, solution, chunk);
        note("propose for 16 blocks of 24 intervals");
        vm.warp(wanted.challengeEnd);
        blocks.accept(session, solution.certificate);
        note("accept a proposal of 24 intervals");
    }
}
