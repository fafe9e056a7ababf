// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DevelopmentChains} from "./dev/DevelopmentChains.sol";

/// @notice Groth16 verifier of one circuit with three public signals, see Groth16Verifier.
interface IVerifier {
    function development() external view returns (bool);
    function verify(uint256[11][] calldata claims) external view returns (bool);
}

/// @title Verifiers: which verifiers a contract may rely on
library Verifiers {
    error DevelopmentKeyRefused(uint256 chainId, address verifier);

    /// @notice Reverts for a development key off development chains.
    function requireUsable(IVerifier verifier) internal view {
        if (!DevelopmentChains.isDevelopment(block.chainid) && verifier.development()) {
            revert DevelopmentKeyRefused(block.chainid, address(verifier));
        }
    }
}
