// SPDX-License-Identifier: GPL-3.0
//
// The statement of docs/protocol.md section 9: from the meter's signed log of daily windows follow the baseline and the metered net
// load, and inside the proven intervals the deviations are exactly the public ones.
//
// T intervals a day (24, 48, 96), N accounts, 14 days of history. Compiled behind a generated main, `Statement(T, N)` with gamma public:
// the public signals are (C, y, gamma). zk/statement.py is the plain-integer twin of this file.
//
// What is trusted: the meter signs what it measured, so that the packed readings of a window it signed are 24-bit slots. What is not:
// every private input, which the prover chooses.
pragma circom 2.1.6;

include "circomlib/circuits/babyjub.circom";
include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/comparators.circom";
include "circomlib/circuits/eddsaposeidon.circom";
include "circomlib/circuits/poseidon.circom";

// Days of history behind a baseline.
function historyDays() { return 14; }

// Field elements that T slots take, nine a field element.
function elements(T) { return (T + 8) \ 9; }

// Public words of one account: account, meter key, admissible, count, commitment and the deviations.
function accountWords(T) { return 5 + elements(T); }

// T values in slots of BITS bits, nine a field element, value t in element t / 9 at bit BITS * (t % 9). The caller bounds the values:
// a slot that overflows would read as another value next to it.
template PackSlots(T, BITS) {
    var E = elements(T);
    signal input values[T];
    signal output packed[E];

    for (var e = 0; e < E; e++) {
        var sum = 0;
        for (var t = 9 * e; t < T && t < 9 * e + 9; t++) {
            sum += values[t] * (1 << (BITS * (t - 9 * e)));
        }
        packed[e] <== sum;
    }
}

// The mask word `proven mask + 2^96 * session mask` as two lists of T bits.
template MaskWord(T) {
    signal input word;
    signal output proven[T];
    signal output session[T];

    var sum = 0;
    for (var t = 0; t < T; t++) {
        proven[t] <-- (word >> t) & 1;
        session[t] <-- (word >> (96 + t)) & 1;
        // Without these a "bit" could be any number: a fraction of an interval would be proven, or a promise hidden outside the session.
        proven[t] * (proven[t] - 1) === 0;
        session[t] * (session[t] - 1) === 0;
        sum += proven[t] * (1 << t) + session[t] * (1 << (96 + t));
    }
    // The sum stays below 2^192, so there is one decomposition. Bits T..95 of either mask are absent here: without that a mask could name
    // intervals that the day does not have, and they would count as recorded.
    sum === word;
}

// Head of one day's window: Poseidon(previous head, tag + 8 * day + 2^40 * validity, salt, packed readings).
//
// Heads are collision resistant, so what the meter hashed is what is hashed here. The word cannot be read in two ways: tag < 8,
// day < 2^36 (the contract's days are below 2^32) and validity < 2^96 keep it far below the field's order, and the caller fixes the tag
// and the day.
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

    // Registration checks that the key is on the curve and in the prime subgroup. R8 is the prover's choice and the verifier below does
    // not check it; off the curve the addition law proves nothing.
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

    // A day counts if and only if it is admissible and complete. A free choice would let the prover pick the days that flatter the
    // baseline; a day with gaps would add zeros (that is, huge exports) to the mean.
    // `validity` needs no decomposition: all ones together with the tag and the day of the word under the head can only be the word of
    // that day's final window with all T bits (see WindowHead), and any other value counts nothing.
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
        // mean < 2^24 and remainder < 16 keep each slot below 15 * 2^24 < 2^28: without the bounds value could move between the slots
        // of an element, from one interval to another.
        meanBits[t] = Num2Bits(24);
        meanBits[t].in <== mean[t];
        remainderBits[t] = Num2Bits(4);
        remainderBits[t].in <== remainder[t];
        // 0 <= count - 1 - remainder: without it a smaller mean with a larger remainder would pass. It also refuses a count of 0.
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
        // A promise outside the session is no promise: without this it would hide there and come back in another proof of the day.
        promise[t] * (1 - sessionMask[t]) === 0;
        plain.values[t] <== promise[t];
        offset.values[t] <== promise[t] + (1 << 27);
    }

    // hidden = 0 forces a zero promise: a sum of numbers below 2^27 in size, 28 bits apart, is zero only if each of them is. Without this
    // a market session's deviation could be shifted at will, under the commitment 0 that the contract expects.
    for (var e = 0; e < E; e++) {
        (1 - hidden) * plain.packed[e] === 0;
    }

    // account < 2^32 and session < 2^64 (the contract's indices), so that their sum names one pair: a commitment cannot be used for
    // another account or session. 7 is the domain tag; promise + 2^27 lies in 1..2^28-1, so that the packing is injective.
    component hash = Poseidon(3 + E);
    hash.inputs[0] <== 7;
    hash.inputs[1] <== salt;
    hash.inputs[2] <== account + session * (1 << 32);
    for (var e = 0; e < E; e++) {
        hash.inputs[3 + e] <== offset.packed[e];
    }
    commitment <== hidden * hash.out;
}

// deviation[t] = mean[t] - reading[t] - promise[t], offset by 2^25, packed nine a word, zero outside the mask. The readings' own offsets
// (2^23 each) cancel.
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
        // The range is checked before the mask is applied. So every deviation fits its slot, and every promise is bounded, inside the mask
        // or not: mean and reading are below 2^24, hence |promise| <= 2^25 + 2^24 < 2^26.
        bits[t] = Num2Bits(26);
        bits[t].in <== mean[t] - reading[t] - promise[t] + (1 << 25);
        // Without the mask a proof of a few intervals would tell the consumption of the whole day.
        pack.values[t] <== mask[t] * (mean[t] - reading[t] - promise[t] + (1 << 25));
    }
    for (var e = 0; e < E; e++) {
        words[e] <== pack.packed[e];
    }
}

// One account: its windows of day - 14 .. day, today's under the meter's signature, and the words that follow from them.
template Account(T) {
    var W = historyDays();
    var E = elements(T);

    // Public, through the words.
    signal input account;
    signal input admissible;
    signal input session;
    signal input day;
    signal input mask[T];
    signal input sessionMask[T];
    signal output key;
    signal output count;
    signal output commitment;
    signal output deviations[E];

    // The log: the head before the first window, then salt, validity and packed readings of each.
    signal input firstHead;
    signal input salts[W + 1];
    signal input validity[W];
    signal input packed[W][E];
    // Today's window: offset readings and validity bits by interval, 1 if the window is final and 0 if it is provisional.
    signal input readings[T];
    signal input valid[T];
    signal input final;
    // Quotient and remainder of the baseline.
    signal input mean[T];
    signal input remainder[T];
    // The promise, signed by direction.
    signal input hidden;
    signal input promiseSalt;
    signal input promise[T];
    // The meter's key and signature.
    signal input Ax;
    signal input Ay;
    signal input R8x;
    signal input R8y;
    signal input S;

    // Today's readings. Without the range check a reading could borrow from its neighbour in the packed element. Readings at validity 0
    // are fixed by the signature like all others and used nowhere, so that they need no rule of their own.
    component readingBits[T];
    component today = PackSlots(T, 28);
    var validityToday = 0;
    for (var t = 0; t < T; t++) {
        readingBits[t] = Num2Bits(24);
        readingBits[t].in <== readings[t];
        today.values[t] <== readings[t];
        // Two rules in one. Outside the mask, valid is a bit, so that the validity in the signed word has one reading. Inside, it is 1:
        // without this a gap, packed as 0, would be paid as a huge export.
        (valid[t] - mask[t]) * (valid[t] - 1) === 0;
        validityToday += valid[t] * (1 << t);
    }

    // The chain of heads. Earlier windows carry the final tag 5, so that no provisional window enters a baseline; days are counted from
    // today's, so that no window stands for another day.
    component windows[W + 1];
    for (var k = 0; k < W; k++) {
        windows[k] = WindowHead(T);
        windows[k].previous <== k == 0 ? firstHead : windows[k - 1].head;
        windows[k].tag <== 5;
        windows[k].day <== day - W + k;
        windows[k].validity <== validity[k];
        windows[k].salt <== salts[k];
        windows[k].packed <== packed[k];
    }
    // Tag 5 or 6 and no other: other tags of a head mean something else.
    final * (final - 1) === 0;
    windows[W] = WindowHead(T);
    windows[W].previous <== windows[W - 1].head;
    windows[W].tag <== 6 - final;
    windows[W].day <== day;
    windows[W].validity <== validityToday;
    windows[W].salt <== salts[W];
    windows[W].packed <== today.packed;

    component signature = MeterSignature();
    signature.head <== windows[W].head;
    signature.Ax <== Ax;
    signature.Ay <== Ay;
    signature.R8x <== R8x;
    signature.R8y <== R8y;
    signature.S <== S;
    key <== signature.key;

    component counted = CountedDays(T);
    counted.admissible <== admissible;
    counted.validity <== validity;
    counted.packed <== packed;
    count <== counted.count;

    component baseline = Baseline(T);
    baseline.count <== counted.count;
    baseline.sums <== counted.sums;
    baseline.mean <== mean;
    baseline.remainder <== remainder;

    component promised = Promise(T);
    promised.account <== account;
    promised.session <== session;
    promised.sessionMask <== sessionMask;
    promised.hidden <== hidden;
    promised.salt <== promiseSalt;
    promised.promise <== promise;
    commitment <== promised.commitment;

    component result = Deviations(T);
    result.mask <== mask;
    result.mean <== mean;
    result.reading <== readings;
    result.promise <== promise;
    deviations <== result.words;
}

// Many public words behind three public signals: C is a Poseidon chain over the words, y their Horner value at gamma.
//
// The contract takes C, computes gamma = keccak(C, its own words) and y from its own words. Words here that differ from the contract's
// would need a gamma at which two different polynomials of that degree agree, and C fixed the words here before gamma was known. The
// number of words is fixed by the circuit and each is below the field's order, so that no two lists share a C.
template Compression(T, N) {
    var A = accountWords(T);
    var COUNT = 5 + N * A;
    signal input shared[5];
    signal input accounts[N][A];
    signal input gamma;
    signal output C;
    signal output y;

    // Poseidon takes 16 inputs, one of them the chain's value: an account's words are absorbed 15 at a time.
    var BLOCKS = (A + 14) \ 15;
    component first = Poseidon(5);
    first.inputs <== shared;
    signal chain[N * BLOCKS + 1];
    chain[0] <== first.out;
    component absorb[N * BLOCKS];
    for (var n = 0; n < N; n++) {
        for (var b = 0; b < BLOCKS; b++) {
            var from = 15 * b;
            var size = A - from < 15 ? A - from : 15;
            var link = n * BLOCKS + b;
            absorb[link] = Poseidon(size + 1);
            absorb[link].inputs[0] <== chain[link];
            for (var i = 0; i < size; i++) {
                absorb[link].inputs[i + 1] <== accounts[n][from + i];
            }
            chain[link + 1] <== absorb[link].out;
        }
    }
    C <== chain[N * BLOCKS];

    signal horner[COUNT + 1];
    horner[0] <== 0;
    for (var i = 0; i < 5; i++) {
        horner[i + 1] <== horner[i] * gamma + shared[i];
    }
    for (var n = 0; n < N; n++) {
        for (var i = 0; i < A; i++) {
            horner[5 + n * A + i + 1] <== horner[5 + n * A + i] * gamma + accounts[n][i];
        }
    }
    y <== horner[COUNT];
}

// N accounts of one session, day and mask.
template Statement(T, N) {
    var W = historyDays();
    var E = elements(T);

    // Chain id and Deliveries address enter the words only: they tie the proof to one contract on one chain.
    signal input chainId;
    signal input deliveries;
    signal input session;
    signal input day;
    signal input masks;
    signal input gamma;
    signal output C;
    signal output y;

    signal input account[N];
    signal input admissible[N];
    signal input firstHead[N];
    signal input salts[N][W + 1];
    signal input validity[N][W];
    signal input packed[N][W][E];
    signal input readings[N][T];
    signal input valid[N][T];
    signal input final[N];
    signal input mean[N][T];
    signal input remainder[N][T];
    signal input hidden[N];
    signal input promiseSalt[N];
    signal input promise[N][T];
    signal input Ax[N];
    signal input Ay[N];
    signal input R8x[N];
    signal input R8y[N];
    signal input S[N];

    component mask = MaskWord(T);
    mask.word <== masks;

    component words = Compression(T, N);
    words.shared[0] <== chainId;
    words.shared[1] <== deliveries;
    words.shared[2] <== session;
    words.shared[3] <== day;
    words.shared[4] <== masks;
    words.gamma <== gamma;

    component accounts[N];
    for (var n = 0; n < N; n++) {
        accounts[n] = Account(T);
        accounts[n].account <== account[n];
        accounts[n].admissible <== admissible[n];
        accounts[n].session <== session;
        accounts[n].day <== day;
        accounts[n].mask <== mask.proven;
        accounts[n].sessionMask <== mask.session;
        accounts[n].firstHead <== firstHead[n];
        accounts[n].salts <== salts[n];
        accounts[n].validity <== validity[n];
        accounts[n].packed <== packed[n];
        accounts[n].readings <== readings[n];
        accounts[n].valid <== valid[n];
        accounts[n].final <== final[n];
        accounts[n].mean <== mean[n];
        accounts[n].remainder <== remainder[n];
        accounts[n].hidden <== hidden[n];
        accounts[n].promiseSalt <== promiseSalt[n];
        accounts[n].promise <== promise[n];
        accounts[n].Ax <== Ax[n];
        accounts[n].Ay <== Ay[n];
        accounts[n].R8x <== R8x[n];
        accounts[n].R8y <== R8y[n];
        accounts[n].S <== S[n];

        words.accounts[n][0] <== account[n];
        words.accounts[n][1] <== accounts[n].key;
        words.accounts[n][2] <== admissible[n];
        words.accounts[n][3] <== accounts[n].count;
        words.accounts[n][4] <== accounts[n].commitment;
        for (var e = 0; e < E; e++) {
            words.accounts[n][5 + e] <== accounts[n].deviations[e];
        }
    }
    C <== words.C;
    y <== words.y;
}
