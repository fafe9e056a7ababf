// SPDX-License-Identifier: GPL-3.0
//
// The meter's log (docs/protocol.md section 8): the head of a day's window and the signature over it. zk/windows.py writes it.
pragma circom 2.1.6;

include "circomlib/circuits/babyjub.circom";
include "circomlib/circuits/eddsaposeidon.circom";
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

// The meter's signature over today's head, and the key word Poseidon(4, Ax, Ay) under which the key is registered.
template MeterSignature() {
    signal input head;
    signal input Ax;
    signal input Ay;
    signal input R8x;
    signal input R8y;
    signal input S;
    signal output key;

    // Registration checks that the key is on the curve and in the prime subgroup. R8 is the prover's choice and the verifier
    // below does not check it; off the curve the addition law proves nothing.
    component keyOnCurve = BabyCheck();
    keyOnCurve.x <== Ax;
    keyOnCurve.y <== Ay;
    component nonceOnCurve = BabyCheck();
    nonceOnCurve.x <== R8x;
    nonceOnCurve.y <== R8y;

    // Without the signature anybody's numbers would be a meter's.
    component signature = EdDSAPoseidonVerifier();
    signature.enabled <== 1;
    signature.Ax <== Ax;
    signature.Ay <== Ay;
    signature.R8x <== R8x;
    signature.R8y <== R8y;
    signature.S <== S;
    signature.M <== head;

    // Without the key word another meter's signature would do. 4 is the domain tag.
    component word = Poseidon(3);
    word.inputs[0] <== 4;
    word.inputs[1] <== Ax;
    word.inputs[2] <== Ay;
    key <== word.out;
}
