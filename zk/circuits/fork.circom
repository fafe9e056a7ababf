// SPDX-License-Identifier: GPL-3.0
//
// Fork evidence (docs/protocol.md section 8): one meter key signed two heads for one day that contradict each other, shown without
// showing a reading. zk/forks.py makes its inputs.
//
// Compiled behind a generated main, `ForkEvidence(T)` with day and t public: the public signals are (key word, day, t). An honest
// meter must be safe from everybody: what is trusted is that it signs readings packed as 24-bit slots, one final head a day, and
// an interval's reading once.
pragma circom 2.1.6;

include "circomlib/circuits/bitify.circom";
include "log.circom";
include "signature.circom";
include "slots.circom";

// 1 at `index` and 0 elsewhere, for an index below SIZE.
template OneHot(SIZE) {
    signal input index;
    signal output hot[SIZE];

    var number = 0;
    var place = 0;
    for (var i = 0; i < SIZE; i++) {
        hot[i] <-- index == i;
        // Bits, one of them 1, at the place of the index: without any of the three a mixture of places could be looked at.
        hot[i] * (hot[i] - 1) === 0;
        number += hot[i];
        place += i * hot[i];
    }
    number === 1;
    place === index;
}

// The packed reading of the one interval that `hot` marks; 0 if it marks none.
template ReadingAt(T) {
    var E = elements(T);
    signal input packed[E];
    signal input hot[T];
    signal output reading;

    // The element with the interval. Unpacking this one alone is enough: the meter packed every element alike.
    signal chosen[E + 1];
    chosen[0] <== 0;
    for (var e = 0; e < E; e++) {
        var here = 0;
        for (var t = 9 * e; t < T && t < 9 * e + 9; t++) {
            here += hot[t];
        }
        chosen[e + 1] <== chosen[e] + here * packed[e];
    }

    signal slots[9];
    signal found[10];
    component bits[9];
    component pack = PackSlots(9, 28);
    found[0] <== 0;
    for (var j = 0; j < 9; j++) {
        slots[j] <-- (chosen[E] >> (28 * j)) & ((1 << 28) - 1);
        // Without the range a slot could borrow from its neighbour, and two windows with the same readings seem to differ.
        bits[j] = Num2Bits(24);
        bits[j].in <== slots[j];
        pack.values[j] <== slots[j];
        var here = 0;
        for (var t = j; t < T; t += 9) {
            here += hot[t];
        }
        found[j + 1] <== found[j] + here * slots[j];
    }
    // Ties the slots to what the meter signed; without it the readings are free.
    pack.packed[0] === chosen[E];
    reading <== found[9];
}

template ForkEvidence(T) {
    var E = elements(T);
    signal output key;
    signal input day;
    signal input t;

    signal input Ax;
    signal input Ay;
    // The two windows: what their heads hash, and the signatures over them.
    signal input previous[2];
    signal input final[2];
    signal input salt[2];
    signal input valid[2][T];
    signal input packed[2][E];
    signal input R8x[2];
    signal input R8y[2];
    signal input S[2];

    // Anyone reports, with any day: one beyond 32 bits would leave a signed word a second reading, with another validity.
    component dayBits = Num2Bits(32);
    dayBits.in <== day;

    component place = OneHot(T + 1);
    place.index <== t;

    component meter = MeterKey();
    meter.Ax <== Ax;
    meter.Ay <== Ay;
    key <== meter.word;

    component windows[2];
    component signatures[2];
    component readings[2];
    for (var w = 0; w < 2; w++) {
        // Tag 5 or 6 and no other, and validity bits: so that the signed word has one reading.
        final[w] * (final[w] - 1) === 0;
        var validity = 0;
        for (var i = 0; i < T; i++) {
            valid[w][i] * (valid[w][i] - 1) === 0;
            validity += valid[w][i] * (1 << i);
        }
        windows[w] = WindowHead(T);
        windows[w].previous <== previous[w];
        windows[w].tag <== 6 - final[w];
        windows[w].day <== day;
        windows[w].validity <== validity;
        windows[w].salt <== salt[w];
        windows[w].packed <== packed[w];

        // Without either signature anybody could accuse anybody.
        signatures[w] = MeterSignature();
        signatures[w].head <== windows[w].head;
        signatures[w].Ax <== Ax;
        signatures[w].Ay <== Ay;
        signatures[w].minusFour <== meter.minusFour;
        signatures[w].R8x <== R8x[w];
        signatures[w].R8y <== R8y[w];
        signatures[w].S <== S[w];

        readings[w] = ReadingAt(T);
        readings[w].packed <== packed[w];
        for (var i = 0; i < T; i++) {
            readings[w].hot[i] <== place.hot[i];
        }

        // As a whole only final windows contradict each other: provisional ones grow through the day.
        place.hot[T] * (1 - final[w]) === 0;
    }
    // In an interval only where both have a reading: a gap is packed as 0 and contradicts nothing.
    for (var i = 0; i < T; i++) {
        place.hot[i] * (2 - valid[0][i] - valid[1][i]) === 0;
    }
    // The two readings, or for t = T the two heads, differ: without the inverse any two windows would be a fork.
    signal heads;
    heads <== place.hot[T] * (windows[0].head - windows[1].head);
    signal inverse;
    inverse <-- 1 / (heads + readings[0].reading - readings[1].reading);
    inverse * (heads + readings[0].reading - readings[1].reading) === 1;
}
