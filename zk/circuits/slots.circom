// SPDX-License-Identifier: GPL-3.0
//
// Sizes of the statement, and values packed nine to a field element.
pragma circom 2.1.6;

// Days of history behind a baseline.
function historyDays() { return 14; }

// Field elements that T slots take, nine a field element.
function elements(T) { return (T + 8) \ 9; }

// Public words of one account: account, meter key, admissible, count, commitment and the deviations.
function accountWords(T) { return 5 + elements(T); }

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

// The mask word `proven mask + 2^96 * session mask` as two lists of T bits.
template MaskWord(T) {
    signal input word;
    signal output proven[T];
    signal output session[T];

    var sum = 0;
    for (var t = 0; t < T; t++) {
        proven[t] <-- (word >> t) & 1;
        session[t] <-- (word >> (96 + t)) & 1;
        // Without these a "bit" could be any number: a fraction of an interval would be proven, or a promise hidden outside the
        // session.
        proven[t] * (proven[t] - 1) === 0;
        session[t] * (session[t] - 1) === 0;
        sum += proven[t] * (1 << t) + session[t] * (1 << (96 + t));
    }
    // The sum stays below 2^192, so there is one decomposition. Bits T..95 of either mask are absent here: without that a mask
    // could name intervals that the day does not have, and they would count as recorded.
    sum === word;
}
