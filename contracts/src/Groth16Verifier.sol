// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Groth16Verifier: one verifying key on BN254 with three public signals
/// @notice Key words: alpha.x, alpha.y, beta.x.c1, beta.x.c0, beta.y.c1, beta.y.c0, gamma (likewise 4), delta (likewise 4), IC[0..3] (x, y).
/// Accepts when `e(A, B) = e(alpha, beta) * e(IC[0] + sum signal_i * IC[i+1], gamma) * e(C, delta)`.
contract Groth16Verifier {
    /// @dev Order of the groups.
    uint256 private constant R = 21888242871839275222246405745257275088548364400416034343698204186575808495617;
    /// @dev Modulus of the coordinates.
    uint256 private constant Q = 21888242871839275222246405745257275088696311157297823662689037894645226208583;

    /// @notice Made from a local secret that somebody may still know: for development chains only.
    bool public immutable development;

    uint256 private immutable ALPHA_X;
    uint256 private immutable ALPHA_Y;
    uint256 private immutable BETA_X1;
    uint256 private immutable BETA_X0;
    uint256 private immutable BETA_Y1;
    uint256 private immutable BETA_Y0;
    uint256 private immutable GAMMA_X1;
    uint256 private immutable GAMMA_X0;
    uint256 private immutable GAMMA_Y1;
    uint256 private immutable GAMMA_Y0;
    uint256 private immutable DELTA_X1;
    uint256 private immutable DELTA_X0;
    uint256 private immutable DELTA_Y1;
    uint256 private immutable DELTA_Y0;
    uint256 private immutable IC0_X;
    uint256 private immutable IC0_Y;
    uint256 private immutable IC1_X;
    uint256 private immutable IC1_Y;
    uint256 private immutable IC2_X;
    uint256 private immutable IC2_Y;
    uint256 private immutable IC3_X;
    uint256 private immutable IC3_Y;

    error KeyPointRefused(string point);

    constructor(uint256[22] memory key, bool development_) {
        development = development_;
        (ALPHA_X, ALPHA_Y) = (key[0], key[1]);
        (BETA_X1, BETA_X0, BETA_Y1, BETA_Y0) = (key[2], key[3], key[4], key[5]);
        (GAMMA_X1, GAMMA_X0, GAMMA_Y1, GAMMA_Y0) = (key[6], key[7], key[8], key[9]);
        (DELTA_X1, DELTA_X0, DELTA_Y1, DELTA_Y0) = (key[10], key[11], key[12], key[13]);
        (IC0_X, IC0_Y, IC1_X, IC1_Y) = (key[14], key[15], key[16], key[17]);
        (IC2_X, IC2_Y, IC3_X, IC3_Y) = (key[18], key[19], key[20], key[21]);
        _requireG1("alpha", key[0], key[1]);
        for (uint256 i = 14; i < 22; i += 2) _requireG1("IC", key[i], key[i + 1]);
        _requireG2("beta", key, 2);
        _requireG2("gamma", key, 6);
        _requireG2("delta", key, 10);
    }

    /// @param proof A.x, A.y, B.x.c1, B.x.c0, B.y.c1, B.y.c0, C.x, C.y
    /// @param signals the public signals
    /// @return Whether the proof holds; malformed points and signals are false, not a revert.
    function verify(uint256[8] calldata proof, uint256[3] calldata signals) external view returns (bool) {
        if (signals[0] >= R || signals[1] >= R || signals[2] >= R || proof[1] >= Q) return false;
        uint256 x = IC0_X;
        uint256 y = IC0_Y;
        bool ok;
        (ok, x, y) = _addScaled(x, y, IC1_X, IC1_Y, signals[0]);
        if (!ok) return false;
        (ok, x, y) = _addScaled(x, y, IC2_X, IC2_Y, signals[1]);
        if (!ok) return false;
        (ok, x, y) = _addScaled(x, y, IC3_X, IC3_Y, signals[2]);
        if (!ok) return false;
        uint256[24] memory pairs = [
            proof[0], proof[1] == 0 ? 0 : Q - proof[1], proof[2], proof[3], proof[4], proof[5],
            ALPHA_X, ALPHA_Y, BETA_X1, BETA_X0, BETA_Y1, BETA_Y0,
            x, y, GAMMA_X1, GAMMA_X0, GAMMA_Y1, GAMMA_Y0,
            proof[6], proof[7], DELTA_X1, DELTA_X0, DELTA_Y1, DELTA_Y0
        ];
        uint256 result;
        assembly ("memory-safe") {
            ok := staticcall(gas(), 8, pairs, 768, 0, 32)
            result := mload(0)
        }
        return ok && result == 1;
    }

    /// @dev `(x, y) + k * (px, py)`
    function _addScaled(uint256 x, uint256 y, uint256 px, uint256 py, uint256 k)
        private
        view
        returns (bool ok, uint256 rx, uint256 ry)
    {
        uint256[4] memory buffer = [px, py, k, 0];
        assembly ("memory-safe") {
            ok := staticcall(gas(), 7, buffer, 96, buffer, 64)
            mstore(add(buffer, 64), x)
            mstore(add(buffer, 96), y)
            ok := and(ok, staticcall(gas(), 6, buffer, 128, buffer, 64))
            rx := mload(buffer)
            ry := mload(add(buffer, 32))
        }
    }

    /// @dev Reverts unless the point lies on the curve.
    function _requireG1(string memory name, uint256 x, uint256 y) private view {
        (bool ok,,) = _addScaled(0, 0, x, y, 1);
        if (!ok || (x == 0 && y == 0)) revert KeyPointRefused(name);
    }

    /// @dev Reverts unless the point lies on the twisted curve and in its subgroup, which the pairing checks.
    function _requireG2(string memory name, uint256[22] memory key, uint256 cursor) private view {
        uint256[6] memory pair = [0, 0, key[cursor], key[cursor + 1], key[cursor + 2], key[cursor + 3]];
        bool ok;
        assembly ("memory-safe") {
            ok := staticcall(gas(), 8, pair, 192, 0, 32)
        }
        if (!ok || (key[cursor] | key[cursor + 1] | key[cursor + 2] | key[cursor + 3]) == 0) revert KeyPointRefused(name);
    }
}
