// SPDX-License-Identifier: GPL-3.0
//
// From the windows to the deviations: counted days, baseline, promise (docs/protocol.md section 9).
pragma circom 2.1.6;

include "circomlib/circuits/bitify.circom";
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
    signal counted[W];
    signal inverse[W];
    var total = 0;
    for (var k = 0; k < W; k++) {
        var missing = validity[k] - ((1 << T) - 1);
        counted[k] <-- missing == 0 ? bits.out[k] : 0;
        inverse[k] <-- missing == 0 ? 0 : bits.out[k] / missing;
        // Incomplete: counted is 0. Complete: counted is the day's bit of `admissible`; otherwise the inverse makes up for it.
        counted[k] * missing === 0;
        inverse[k] * missing === bits.out[k] - counted[k];
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
// Promises lie between -2^24 and 2^24 - 1, in every interval of the day.
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

    component bits[T];
    component plain = PackSlots(T, 28);
    component offset = PackSlots(T, 28);
    for (var t = 0; t < T; t++) {
        // Without the range a promise could borrow from its neighbour in the packed element, and a deviation overflow its slot.
        bits[t] = Num2Bits(25);
        bits[t].in <== promise[t] + (1 << 24);
        // A promise outside the session is no promise: without this it would hide there and come back in another proof of the
        // day.
        promise[t] * (1 - sessionMask[t]) === 0;
        plain.values[t] <== promise[t];
        offset.values[t] <== promise[t] + (1 << 27);
    }

    // hidden = 0 forces a zero promise: a sum of numbers of at most 2^24 in size, 28 bits apart, is zero only if each of them is.
    // Without this a market session's deviation could be shifted at will, under the commitment 0 that the contract expects.
    for (var e = 0; e < E; e++) {
        (1 - hidden) * plain.packed[e] === 0;
    }

    // account < 2^32 and session < 2^64 (the contract's indices), so that their sum names one pair: a commitment cannot be used
    // for another account or session. 7 is the domain tag; promise + 2^27 lies below 2^28, so that the packing is injective.
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
//
// Mean and reading lie between 0 and 2^24 - 1 (Baseline, Account), the promise between -2^24 and 2^24 - 1 (Promise). So the
// deviation lies between -2^25 + 2 and 2^25 - 1 and fits its slot without a check of its own.
template Deviations(T) {
    var E = elements(T);
    signal input mask[T];
    signal input mean[T];
    signal input reading[T];
    signal input promise[T];
    signal output words[E];

    component pack = PackSlots(T, 26);
    for (var t = 0; t < T; t++) {
        // Without the mask a proof of a few intervals would tell the consumption of the whole day.
        pack.values[t] <== mask[t] * (mean[t] - reading[t] - promise[t] + (1 << 25));
    }
    for (var e = 0; e < E; e++) {
        words[e] <== pack.packed[e];
    }
}
