// SPDX-License-Identifier: GPL-3.0
//
// The meter's log (docs/protocol.md section 8): the head of a day's window. zk/windows.py writes it.
pragma circom 2.1.6;

include "circomlib/circuits/poseidon.circom";
include "slots.circom";

// Head of one day's window: Poseidon(previous head, tag + 8 * day + 2^40 * validity, salt, packed readings).
//
// Heads are collision resistant, so what the meter hashed is what is hashed here. The word cannot be read in two ways: tag < 8,
// day < 2^36 (the contract's days are below 2^32) and validity < 2^96 keep it far below the field's order, and the caller fixes
// the tag and the day.
template WindowHead(T) {
    var E = elements(T);
    signal input previous;
    signal input tag;
    signal input day;
    signal input validity;
    signal input salt;
    signal input packed[E];
    signal output head;

    component hash = Poseidon(3 + E);
    hash.inputs[0] <== previous;
    hash.inputs[1] <== tag + 8 * day + validity * (1 << 40);
    hash.inputs[2] <== salt;
    for (var e = 0; e < E; e++) {
        hash.inputs[3 + e] <== packed[e];
    }
    head <== hash.out;
}
