// SPDX-License-Identifier: GPL-3.0
//
// From the windows to the deviations: counted days, baseline, promise (docs/protocol.md section 9).
pragma circom 2.1.6;

include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/comparators.circom";
include "circomlib/circuits/poseidon.circom";
include "slots.circom";

// The admissible days whose window is complete: how many they are, and the sum of their packed readings, slot by slot.
template CountedDays(T) {
    var W = historyDays();
    var E = elements(T);
    signal input admissible;
    signal input validity[W];
    signal input packed[W][E];
    signal output count;
    signal output sums[E];

    // 14 bits and no more: a bit above would be a day that is in the public word and nowhere here.
    component bits = Num2Bits(W);
    bits.in <== admissible;

    // A day counts if and only if it is admissible and complete. A free choice would let the prover pick the days that flatter
    // the baseline; a day with gaps would add zeros (that is, huge exports) to the mean.
    // `validity` needs no decomposition: all ones together with the tag and the day of the word under the head can only be the
    // word of that day's final window with all T bits (see WindowHead), and any other value counts nothing.
    component complete[W];
    signal counted[W];
    var total = 0;
    for (var k = 0; k < W; k++) {
        complete[k] = IsEqual();
        complete[k].in[0] <== validity[k];
        complete[k].in[1] <== (1 << T) - 1;
        counted[k] <== bits.out[k] * complete[k].out;
        total += counted[k];
    }
    count <== total;

    // At most 14 slots of 24 bits add up below 2^28, so no slot carries into the next.
    signal partial[E][W + 1];
    for (var e = 0; e < E; e++) {
        partial[e][0] <== 0;
        for (var k = 0; k < W; k++) {
            partial[e][k + 1] <== partial[e][k] + counted[k] * packed[k][e];
        }
        sums[e] <== partial[e][W];
    }
}

// Proves mean[t] = floor(sum[t] / count) for the sums packed in `sums`, by sum[t] = count * mean[t] + remainder[t].
template Baseline(T) {
    var E = elements(T);
    signal input count;
    signal input sums[E];
    signal input mean[T];
    signal input remainder[T];

    component meanBits[T];
    component remainderBits[T];
    component belowCount[T];
    component pack = PackSlots(T, 28);
    for (var t = 0; t < T; t++) {
        // mean < 2^24 and remainder < 16 keep each slot below 15 * 2^24 < 2^28: without the bounds value could move between the
        // slots of an element, from one interval to another.
        meanBits[t] = Num2Bits(24);
        meanBits[t].in <== mean[t];
        remainderBits[t] = Num2Bits(4);
        remainderBits[t].in <== remainder[t];
        // 0 <= count - 1 - remainder: without it a smaller mean with a larger remainder would pass. It also refuses a count of
        // 0.
        belowCount[t] = Num2Bits(4);
        belowCount[t].in <== count - 1 - remainder[t];
        pack.values[t] <== count * mean[t] + remainder[t];
    }
    // Ties the means to the signed readings; without it they are free.
    for (var e = 0; e < E; e++) {
        pack.packed[e] === sums[e];
    }
}

// Commitment to a hidden promise, bound to (account, session), or 0 for a promise that is zero.
//
// Takes |promise[t]| < 2^26 from the range check in Deviations, which holds for every t whatever the mask.
template Promise(T) {
    var E = elements(T);
    signal input account;
    signal input session;
    signal input sessionMask[T];
    signal input hidden;
    signal input salt;
    signal input promise[T];
    signal output commitment;

    // Without this a fraction of the hash would be a commitment that nobody can compare.
    hidden * (hidden - 1) === 0;

    component plain = PackSlots(T, 28);
    component offset = PackSlots(T, 28);
    for (var t = 0; t < T; t++) {
        // A promise outside the session is no promise: without this it would hide there and come back in another proof of the
        // day.
        promise[t] * (1 - sessionMask[t]) === 0;
        plain.values[t] <== promise[t];
        offset.values[t] <== promise[t] + (1 << 27);
    }

    // hidden = 0 forces a zero promise: a sum of numbers below 2^27 in size, 28 bits apart, is zero only if each of them is.
    // Without this a market session's deviation could be shifted at will, under the commitment 0 that the contract expects.
    for (var e = 0; e < E; e++) {
        (1 - hidden) * plain.packed[e] === 0;
    }

    // account < 2^32 and session < 2^64 (the contract's indices), so that their sum names one pair: a commitment cannot be used
    // for another account or session. 7 is the domain tag; promise + 2^27 lies in 1..2^28-1, so that the packing is injective.
    component hash = Poseidon(3 + E);
    hash.inputs[0] <== 7;
    hash.inputs[1] <== salt;
    hash.inputs[2] <== account + session * (1 << 32);
    for (var e = 0; e < E; e++) {
        hash.inputs[3 + e] <== offset.packed[e];
    }
    commitment <== hidden * hash.out;
}

// deviation[t] = mean[t] - reading[t] - promise[t], offset by 2^25, packed nine a word, zero outside the mask. The readings'
// own offsets (2^23 each) cancel.
template Deviations(T) {
    var E = elements(T);
    signal input mask[T];
    signal input mean[T];
    signal input reading[T];
    signal input promise[T];
    signal output words[E];

    component bits[T];
    component pack = PackSlots(T, 26);
    for (var t = 0; t < T; t++) {
        // The range is checked before the mask is applied. So every deviation fits its slot, and every promise is bounded,
        // inside the mask or not: mean and reading are below 2^24, hence |promise| <= 2^25 + 2^24 < 2^26.
        bits[t] = Num2Bits(26);
        bits[t].in <== mean[t] - reading[t] - promise[t] + (1 << 25);
        // Without the mask a proof of a few intervals would tell the consumption of the whole day.
        pack.values[t] <== mask[t] * (mean[t] - reading[t] - promise[t] + (1 << 25));
    }
    for (var e = 0; e < E; e++) {
        words[e] <== pack.packed[e];
    }
}
