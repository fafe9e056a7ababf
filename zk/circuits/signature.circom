// SPDX-License-Identifier: GPL-3.0
//
// The meter's key and its signature over a head: EdDSA with Poseidon on BabyJubJub, S * B8 = R8 + 8 * h * A with
// h = Poseidon(R8, A, head). Why each addition is safe: docs/circuits.md, "The signature".
pragma circom 2.1.6;

include "circomlib/circuits/babyjub.circom";
include "circomlib/circuits/montgomery.circom";
include "circomlib/circuits/poseidon.circom";
include "curve.circom";

// The key word Poseidon(4, Ax, Ay) under which the key is registered, and -4 A in Montgomery form.
template MeterKey() {
    signal input Ax;
    signal input Ay;
    signal output word;
    signal output minusFour[2];

    // Registration checks that the key is on the curve and in the prime subgroup, and the word below ties this point to it. Off
    // the curve the addition law proves nothing, so it is checked here as well.
    component onCurve = BabyCheck();
    onCurve.x <== Ax;
    onCurve.y <== Ay;

    component two = BabyDbl();
    two.x <== Ax;
    two.y <== Ay;
    component four = BabyDbl();
    four.x <== two.xout;
    four.y <== two.yout;

    // A key of order 1, 2, 4 or 8 would make every challenge alike: signatures under it are anybody's. It has 4 A = (0, 1) or
    // (0, -1), and no other point of the curve has x = 0. It also keeps the change of form below from dividing by 0.
    signal inverse;
    inverse <-- 1 / four.xout;
    inverse * four.xout === 1;

    component form = Edwards2Montgomery();
    form.in[0] <== four.xout;
    form.in[1] <== four.yout;
    minusFour[0] <== form.out[0];
    minusFour[1] <== -form.out[1];

    // Without the key word another meter's signature would do. 4 is the domain tag.
    component hash = Poseidon(3);
    hash.inputs[0] <== 4;
    hash.inputs[1] <== Ax;
    hash.inputs[2] <== Ay;
    word <== hash.out;
}

// The 254 bits of h as +q or -q, for a nonzero q: `signs[i]` is q where bit i is 1 and -q where it is 0.
//
// Bits are wanted as signs of one number, the v of a point: so the bit needs no constraint of its own beside its sign's.
template SignedBits() {
    signal input h;
    signal input q;
    signal output signs[254];

    signal square;
    square <== q * q;
    var sum = 0;
    for (var i = 0; i < 254; i++) {
        signs[i] <-- ((h >> i) & 1) * 2 * q - q;
        // Without it a "sign" could be any number, and the point that is added any point.
        signs[i] * signs[i] === square;
        sum += signs[i] * (1 << i);
    }
    // sum = q * sum of +-2^i = q * (2 h - (2^254 - 1)). Without it the signs would belong to another challenge.
    // (2^254 is written as a product: a shift by 254 bits leaves nothing.)
    (2 * h - (2 * (1 << 253) - 1)) * q === sum;

    // 254 bits hold h and, for some h, also h + r, which would be a second challenge to choose from. So the bits, as an integer,
    // must be below r: at the first place where they differ from those of r - 1, they have the 0. The upper 62 bits decide; a
    // challenge that shares them with r - 1 is refused (one in 2^62). `same` is not 0 if and only if the bits so far are those
    // of r - 1.
    var LAST = 254 - 62;
    signal same[63];
    same[62] <== 1;
    assert((-1 >> LAST) & 1);
    var ones = 0;
    for (var i = 253; i > LAST; i--) {
        if ((-1 >> i) & 1) {
            same[i - LAST] <== same[i - LAST + 1] * (signs[i] + q);
        } else {
            same[i - LAST] <== same[i - LAST + 1];
            // A run of zeros of r - 1: none of these bits may be 1. The sum is 2 q times their number.
            ones += signs[i] + q;
            if ((-1 >> (i - 1)) & 1) {
                same[i - LAST] * ones === 0;
                ones = 0;
            }
        }
    }
    // The last of the 62 is a 1 of r - 1: it has to differ.
    same[0] <== 0;
    same[1] * (signs[LAST] + q) === 0;
}

// EdDSA's equation S * B8 = R8 + 8 * h * A for a key from MeterKey.
//
// S only guides the prover's choice of window points. What is proven is that they are points of known multiples of B8: whoever
// knows the points knows their sum's multiple, and that is a signature's S. So S needs no range either: S and S + l are the same
// sum.
template MeterSignature() {
    signal input head;
    signal input Ax;
    signal input Ay;
    signal input minusFour[2];
    signal input R8x;
    signal input R8y;
    signal input S;

    // Without R8 and the key in the challenge, either could be chosen after it, and a signature found without a secret.
    component challenge = Poseidon(5);
    challenge.inputs[0] <== R8x;
    challenge.inputs[1] <== R8y;
    challenge.inputs[2] <== Ax;
    challenge.inputs[3] <== Ay;
    challenge.inputs[4] <== head;

    component bits = SignedBits();
    bits.h <== challenge.out;
    bits.q <== minusFour[1];

    // S * B8 = sum over 63 windows of d * 16^i * B8 / 2, each d odd from -15 to 15: S plus half of 16^63 - 1 has the digits
    // (d + 15) / 2.
    var digits = S + 2250487609176176405596192922442917427376280034721983996632941669773061614727;
    var WINDOWS = 62;
    component points[WINDOWS + 1];
    component sums[WINDOWS - 1];
    for (var i = 0; i < WINDOWS; i++) {
        points[i] = OddMultiple(windowTable(i), quartic(windowTable(i), 0), quartic(windowTable(i), 4));
        points[i].hint <-- (digits >> (4 * i)) & 15;
        if (i > 0) {
            // The multiple so far is below 16^i, the point's is 16^i or more, and both together below l.
            sums[i - 1] = IncompleteAdd();
            sums[i - 1].p <== i == 1 ? points[0].out : sums[i - 2].out;
            sums[i - 1].q <== points[i].out;
        }
    }

    // The window 62, in front of the ladder: 254 doublings later it is d * 16^62 * B8 / 2.
    points[WINDOWS] = OddMultiple(windowTable(-1), quartic(windowTable(-1), 0), quartic(windowTable(-1), 4));
    points[WINDOWS].hint <-- digits >> (4 * WINDOWS);

    // From the window's point minus 4 A, by doubling and adding -4 A for a 1 and 4 A for a 0, to that point's 2^254-fold minus
    // (2 h + 1) * 4 A. Should the points of an addition be the same, the prover's values tell the secret of the meter's key.
    component first = IncompleteAdd();
    first.p <== points[WINDOWS].out;
    first.q <== minusFour;
    component ladder[254];
    for (var i = 0; i < 254; i++) {
        ladder[i] = IncompleteDoubleAdd();
        ladder[i].p <== i == 0 ? first.out : ladder[i - 1].out;
        ladder[i].q[0] <== minusFour[0];
        ladder[i].q[1] <== bits.signs[253 - i];
    }
    // + 4 A.
    component last = IncompleteAdd();
    last.p <== ladder[253].out;
    last.q[0] <== minusFour[0];
    last.q[1] <== -minusFour[1];

    // S * B8 - 8 h A by the complete law: these two can be the same. R8 is that sum and so in the prime subgroup, whatever the
    // prover gave.
    component left = Montgomery2Edwards();
    left.in <== sums[WINDOWS - 2].out;
    component right = Montgomery2Edwards();
    right.in <== last.out;
    component nonce = BabyAdd();
    nonce.x1 <== left.out[0];
    nonce.y1 <== left.out[1];
    nonce.x2 <== right.out[0];
    nonce.y2 <== right.out[1];
    // Without the equality anybody's numbers would be a meter's.
    nonce.xout === R8x;
    nonce.yout === R8y;
}
