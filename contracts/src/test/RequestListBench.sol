// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {RequestList} from "../RequestList.sol";

/// @title RequestListBench: for tests; what RequestList makes of a list
contract RequestListBench {
    function check(RequestList.Ask calldata ask, uint256[] calldata target, uint256[] calldata list)
        external
        pure
        returns (uint256[] memory entries, uint256[][] memory groups, uint256[] memory certificate)
    {
        RequestList.checkTarget(target, ask.intervals);
        RequestList.Deal memory deal = RequestList.check(ask, target, list);
        return (deal.entries, deal.groups, deal.certificate);
    }
}
