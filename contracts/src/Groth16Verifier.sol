// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Groth16Verifier: one verifying key on BN254 with three public signals
/// @notice Key words: alpha.x, alpha.y, beta.x.c1, beta.x.c0, beta.y.c1, beta.y.c0, gamma (likewise 4), delta (likewise 4), IC[0..3] (x, y).
/// A claim holds when `e(A, B) = e(alpha, beta) * e(IC[0] + sum signal_i * IC[i+1], gamma) * e(C, delta)`.
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

    /// @param claims each the three public signals, then A.x, A.y, B.x.c1, B.x.c0, B.y.c1, B.y.c0, C.x, C.y
    /// @return Whether all claims hold, which one pairing product tells (docs/protocol.md section 9); none, a malformed point or signal
    /// are false, not a revert.
    function verify(uint256[11][] calldata claims) external view returns (bool) {
        uint256 total = claims.length;
        if (total == 0) return false;
        uint256[] memory pairs = new uint256[](6 * (total + 3));
        bytes32 seed = total == 1 ? bytes32(0) : _hash(claims);
        uint256[4] memory sums; // of the coefficients, then of the coefficients times each signal
        (uint256 cx, uint256 cy) = (claims[0][9], claims[0][10]);
        bool ok;
        unchecked {
            for (uint256 i; i < total; ++i) {
                uint256[11] calldata claim = claims[i];
                if (claim[0] >= R || claim[1] >= R || claim[2] >= R || claim[4] >= Q) return false;
                (uint256 ax, uint256 ay) = (claim[3], claim[4] == 0 ? 0 : Q - claim[4]);
                uint256 rho = 1;
                if (i != 0) {
                    rho = uint128(uint256(keccak256(abi.encode(seed, i))));
                    (ok, ax, ay) = _addScaled(0, 0, ax, ay, rho);
                    if (!ok) return false;
                    (ok, cx, cy) = _addScaled(cx, cy, claim[9], claim[10], rho);
                    if (!ok) return false;
                }
                assembly ("memory-safe") {
                    let pair := add(add(pairs, 0x20), mul(i, 192))
                    mstore(pair, ax)
                    mstore(add(pair, 0x20), ay)
                    calldatacopy(add(pair, 0x40), add(claim, 0xa0), 0x80)
                    mstore(sums, add(mload(sums), rho))
                    for { let k := 0 } lt(k, 0x60) {} {
                        let signal := calldataload(add(claim, k))
                        k := add(k, 0x20)
                        let sum := add(sums, k)
                        mstore(sum, addmod(mload(sum), mulmod(rho, signal, R), R))
                    }
                }
            }
        }
        return _product(pairs, total, sums, cx, cy);
    }

    function _hash(uint256[11][] calldata claims) private pure returns (bytes32 result) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            calldatacopy(free, claims.offset, mul(352, claims.length))
            result := keccak256(free, mul(352, claims.length))
        }
    }

    /// @dev Fills in what the key gives to the product, behind the `total` pairs of the claims, and asks whether it is one.
    function _product(uint256[] memory pairs, uint256 total, uint256[4] memory sums, uint256 cx, uint256 cy)
        private
        view
        returns (bool ok)
    {
        (uint256 x, uint256 y, uint256 alphaX, uint256 alphaY) = (IC0_X, IC0_Y, ALPHA_X, ALPHA_Y);
        if (total != 1) {
            (ok, x, y) = _addScaled(0, 0, x, y, sums[0]);
            if (!ok) return false;
            (ok, alphaX, alphaY) = _addScaled(0, 0, alphaX, alphaY, sums[0]);
            if (!ok) return false;
        }
        (ok, x, y) = _addScaled(x, y, IC1_X, IC1_Y, sums[1]);
        if (!ok) return false;
        (ok, x, y) = _addScaled(x, y, IC2_X, IC2_Y, sums[2]);
        if (!ok) return false;
        (ok, x, y) = _addScaled(x, y, IC3_X, IC3_Y, sums[3]);
        if (!ok) return false;
        uint256[18] memory own = [
            alphaX, alphaY, BETA_X1, BETA_X0, BETA_Y1, BETA_Y0,
            x, y, GAMMA_X1, GAMMA_X0, GAMMA_Y1, GAMMA_Y0,
            cx, cy, DELTA_X1, DELTA_X0, DELTA_Y1, DELTA_Y0
        ];
        assembly ("memory-safe") {
            mcopy(add(add(pairs, 32), mul(total, 192)), own, 576)
            ok := staticcall(gas(), 8, add(pairs, 32), mul(add(total, 3), 192), 0, 32)
            ok := and(ok, eq(mload(0), 1))
        }
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
