// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Accounts} from "./Accounts.sol";
import {IVerifier, Verifiers} from "./Verifiers.sol";
import {Zones} from "./Zones.sol";

/// @title Forks: a meter key that signed two contradicting heads is suspended
/// @notice docs/protocol.md section 8. Anyone reports a fork by a proof that shows no reading; nobody can report what is none.
contract Forks {
    /// @notice The circuit for days of `intervals` intervals.
    struct Circuit {
        uint256 intervals;
        IVerifier verifier;
    }

    Accounts public immutable accounts;
    Zones public immutable zones;

    mapping(uint256 intervals => IVerifier) public verifierOf;

    event ForkReported(uint256 indexed key, uint256 day, uint256 t, address indexed reporter);

    error ForkCircuitRefused(uint256 intervals, address verifier);
    error NoForkCircuit(uint256 intervals);
    error ForkIntervalOutOfRange(uint256 t, uint256 intervals);
    error ForkProofRefused(uint256 key, uint256 day, uint256 t);

    constructor(Accounts accounts_, Zones zones_, Circuit[] memory circuits) {
        accounts = accounts_;
        zones = zones_;
        for (uint256 i; i < circuits.length; ++i) {
            (uint256 number, IVerifier verifier) = (circuits[i].intervals, circuits[i].verifier);
            if ((number != 24 && number != 48 && number != 96) || address(verifierOf[number]) != address(0)) {
                revert ForkCircuitRefused(number, address(verifier));
            }
            Verifiers.requireUsable(verifier);
            verifierOf[number] = verifier;
        }
    }

    /// @notice Suspends the meter key `key`; by anyone who can prove that it signed two heads for `day` which differ in interval `t`, or
    /// as a whole where `t` is the number of intervals of a day.
    /// @param proof A.x, A.y, B.x.c1, B.x.c0, B.y.c1, B.y.c0, C.x, C.y
    function report(uint256 key, uint256 day, uint256 t, uint256[8] calldata proof) external {
        uint256 intervals = zones.intervals(accounts.zoneOfKey(key));
        if (t > intervals) revert ForkIntervalOutOfRange(t, intervals);
        IVerifier verifier = verifierOf[intervals];
        if (address(verifier) == address(0)) revert NoForkCircuit(intervals);
        uint256[11][] memory claims = new uint256[11][](1);
        (claims[0][0], claims[0][1], claims[0][2]) = (key, day, t);
        for (uint256 i; i < 8; ++i) claims[0][3 + i] = proof[i];
        if (!verifier.verify(claims)) revert ForkProofRefused(key, day, t);
        accounts.suspendKey(key);
        emit ForkReported(key, day, t, msg.sender);
    }
}
