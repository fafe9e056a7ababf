// SPDX-License-Identifier: GPL-3.0
//
// Sizes of the statement, and values packed nine to a field element.
pragma circom 2.1.6;

include "circomlib/circuits/bitify.circom";

// Days of history behind a baseline.
function historyDays() { return 14; }

// Field elements that T slots take, nine a field element.
function elements(T) { return (T + 8) \ 9; }

// Public words of one account: account, meter key, admissible, mask, count, commitment and the deviations.
function accountWords(T) { return 6 + elements(T); }

// T values in slots of BITS bits, nine a field element, value t in element t / 9 at bit BITS * (t % 9). The caller bounds the
// values: a slot that overflows would read as another value next to it.
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

// A mask as T bits, interval t at bit t.
//
// That it has T bits and no more is part of the rule: without it a mask could name intervals that the day does not have, and they
// would count as recorded. T <= 96, so there is one decomposition.
template Mask(T) {
    signal input word;
    signal output bits[T];

    // Without bits an "interval" could be any number: a fraction of one would be proven, or a promise hidden outside the session.
    component split = Num2Bits(T);
    split.in <== word;
    bits <== split.out;
}
