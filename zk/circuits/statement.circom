// SPDX-License-Identifier: GPL-3.0
//
// The statement of docs/protocol.md section 9: from the meter's signed log of daily windows follow the baseline and the metered
// net load, and inside the proven intervals the deviations are exactly the public ones.
//
// T intervals a day (24, 48, 96), N accounts, 14 days of history. Compiled behind a generated main, `Statement(T, N)` with
// gamma public: the public signals are (C, y, gamma). zk/statement.py is the plain-integer twin.
//
// What is trusted: the meter signs what it measured, so that the packed readings of a window it signed are 24-bit slots. What
// is not: every private input, which the prover chooses.
pragma circom 2.1.6;

include "circomlib/circuits/bitify.circom";
include "circomlib/circuits/poseidon.circom";
include "deviation.circom";
include "log.circom";
include "signature.circom";
include "slots.circom";

// One account: its windows of day - 14 .. day, today's under the meter's signature, and the words that follow from them.
template Account(T) {
    var W = historyDays();
    var E = elements(T);

    // Public, through the words.
    signal input account;
    signal input admissible;
    signal input session;
    signal input day;
    signal input mask;
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

    // The proven intervals. That they are a part of the session's is the contract's to check, which knows both masks: here the
    // words carry both as they are, and outside the session there is no promise.
    component proven = Mask(T);
    proven.word <== mask;

    // Today's readings. Without the range check a reading could borrow from its neighbour in the packed element. Readings at
    // validity 0 are fixed by the signature like all others and used nowhere, so that they need no rule of their own.
    component readingBits[T];
    component today = PackSlots(T, 28);
    var validityToday = 0;
    for (var t = 0; t < T; t++) {
        readingBits[t] = Num2Bits(24);
        readingBits[t].in <== readings[t];
        today.values[t] <== readings[t];
        // Two rules in one. Outside the mask, valid is a bit, so that the validity in the signed word has one reading. Inside,
        // it is 1: without this a gap, packed as 0, would be paid as a huge export.
        (valid[t] - proven.bits[t]) * (valid[t] - 1) === 0;
        validityToday += valid[t] * (1 << t);
    }

    // The chain of heads. Earlier windows carry the final tag 5, so that no provisional window enters a baseline; days are
    // counted from today's, so that no window stands for another day.
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

    component meter = MeterKey();
    meter.Ax <== Ax;
    meter.Ay <== Ay;
    key <== meter.word;
    component signature = MeterSignature();
    signature.head <== windows[W].head;
    signature.Ax <== Ax;
    signature.Ay <== Ay;
    signature.minusFour <== meter.minusFour;
    signature.R8x <== R8x;
    signature.R8y <== R8y;
    signature.S <== S;

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
    result.mask <== proven.bits;
    result.mean <== mean;
    result.reading <== readings;
    result.promise <== promise;
    deviations <== result.words;
}

// Many public words behind three public signals: C is a Poseidon chain over the words, y their Horner value at gamma.
//
// The contract takes C, computes gamma = keccak(C, its own words) and y from its own words. Words here that differ from the
// contract's would need a gamma at which two different polynomials of that degree agree, and C fixed the words here before
// gamma was known. The number of words is fixed by the circuit and each is below the field's order, so that no two lists share
// a C.
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

// N accounts of one session and day.
template Statement(T, N) {
    var W = historyDays();
    var E = elements(T);

    // Chain id and Deliveries address enter the words only: they tie the proof to one contract on one chain.
    signal input chainId;
    signal input deliveries;
    signal input session;
    signal input day;
    signal input sessionMask;
    signal input gamma;
    signal output C;
    signal output y;

    signal input account[N];
    signal input admissible[N];
    signal input mask[N];
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

    component offered = Mask(T);
    offered.word <== sessionMask;

    component words = Compression(T, N);
    words.shared[0] <== chainId;
    words.shared[1] <== deliveries;
    words.shared[2] <== session;
    words.shared[3] <== day;
    words.shared[4] <== sessionMask;
    words.gamma <== gamma;

    component accounts[N];
    for (var n = 0; n < N; n++) {
        accounts[n] = Account(T);
        accounts[n].account <== account[n];
        accounts[n].admissible <== admissible[n];
        accounts[n].session <== session;
        accounts[n].day <== day;
        accounts[n].mask <== mask[n];
        accounts[n].sessionMask <== offered.bits;
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
        words.accounts[n][3] <== mask[n];
        words.accounts[n][4] <== accounts[n].count;
        words.accounts[n][5] <== accounts[n].commitment;
        for (var e = 0; e < E; e++) {
            words.accounts[n][6 + e] <== accounts[n].deviations[e];
        }
    }
    C <== words.C;
    y <== words.y;
}
