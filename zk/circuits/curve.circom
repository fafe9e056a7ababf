// SPDX-License-Identifier: GPL-3.0
//
// Points of BabyJubJub in Montgomery form, v^2 = u^3 + 168698 u^2 + u, added without the checks that complete formulas make.
//
// An addition is one line through two points: slope * (u2 - u1) = v2 - v1. If both points are the same, that reads
// slope * 0 = 0, the slope is free and so is the "sum". If they are opposite, it reads slope * 0 = 2 v, which nothing satisfies as
// long as v is not 0, that is, for every point of odd order. So whoever uses the templates below has to show one thing of each
// addition: the two points are never the same. docs/circuits.md does so for each of them.
pragma circom 2.1.6;

// Montgomery coefficient of BabyJubJub; the other one is 1.
function montgomeryA() { return 168698; }

// (2^-7 mod l) * B8 in Montgomery form, l the order of B8. Known to be right because the tests double it seven times.
function eighthOfEighth() {
    return [
        20168630200783937032797203402570166799523218140853487372669877755013836024614,
        13410895416957893757922236759791411926204179327540526054308398084393327887740
    ];
}

// p + q and 2 p at compile time, for constants.
function constantSum(p, q) {
    var slope = (q[1] - p[1]) / (q[0] - p[0]);
    var u = slope * slope - montgomeryA() - p[0] - q[0];
    return [u, slope * (p[0] - u) - p[1]];
}

function constantDouble(p) {
    var slope = (3 * p[0] * p[0] + 2 * montgomeryA() * p[0] + 1) / (2 * p[1]);
    var u = slope * slope - montgomeryA() - 2 * p[0];
    return [u, slope * (p[0] - u) - p[1]];
}

// 2^n * p at compile time.
function constantShift(p, n) {
    var result[2] = p;
    for (var i = 0; i < n; i++) {
        result = constantDouble(result);
    }
    return result;
}

// P, 3 P, 5 P, ..., 15 P for window `number` of a multiplication of B8 by a scalar: P = 16^number * B8 / 2, or for number = -1 the
// constant point above. Called where a template's parameters stand and nowhere else: there it is evaluated by the compiler, in a
// template's body by every prover again.
function windowTable(number) {
    var p[2] = constantShift(eighthOfEighth(), number == -1 ? 0 : 6 + 4 * number);
    var result[8][2];
    var two[2] = constantDouble(p);
    result[0] = p;
    for (var i = 1; i < 8; i++) {
        result[i] = constantSum(result[i - 1], two);
    }
    return result;
}

// Coefficients of the polynomial with the roots u of entries `from` to `from` + 3 of a table, without the leading 1, lowest first.
function quartic(table, from) {
    var a = table[from][0];
    var b = table[from + 1][0];
    var c = table[from + 2][0];
    var d = table[from + 3][0];
    return [
        a * b * c * d,
        -(a * b * c + a * b * d + a * c * d + b * c * d),
        a * b + a * c + a * d + b * c + b * d + c * d,
        -(a + b + c + d)
    ];
}

// p + q, where the caller shows that p and q are never the same point.
template IncompleteAdd() {
    signal input p[2];
    signal input q[2];
    signal output out[2];

    signal slope;
    slope <-- (q[1] - p[1]) / (q[0] - p[0]);
    slope * (q[0] - p[0]) === q[1] - p[1];
    out[0] <== slope * slope - montgomeryA() - p[0] - q[0];
    out[1] <== slope * (p[0] - out[0]) - p[1];
}

// 2 p + q as (p + q) + p, where the caller shows that p and q are never the same point.
//
// The second addition has the same points only if q is neutral, which has no place in this form. Its slope is found from p's v
// alone, so that the v of p + q is never computed: five constraints where doubling and adding take seven.
template IncompleteDoubleAdd() {
    signal input p[2];
    signal input q[2];
    signal output out[2];

    signal first;
    first <-- (q[1] - p[1]) / (q[0] - p[0]);
    first * (q[0] - p[0]) === q[1] - p[1];
    signal middle;
    middle <== first * first - montgomeryA() - p[0] - q[0];
    signal second;
    second <-- 2 * p[1] / (p[0] - middle) - first;
    (first + second) * (p[0] - middle) === 2 * p[1];
    out[0] <== second * second - montgomeryA() - p[0] - middle;
    out[1] <== second * (p[0] - out[0]) - p[1];
}

// One of the sixteen odd multiples -15 P .. 15 P of a constant point P, of which TABLE holds P, 3 P, .., 15 P: the prover's choice,
// `hint` = 0..15 for -15, -13, .., 15. LOW and HIGH are the quartics over the two halves of the table.
//
// A point whose u is that of P, 3 P, .. or 15 P, and which lies on the curve, is one of them or its opposite: no bit and no sign
// has to be looked at. Without the curve's equation v would be free, without the product u would be.
template OddMultiple(TABLE, LOW, HIGH) {
    signal input hint;
    signal output out[2];

    var u = 0;
    var v = 0;
    for (var i = 0; i < 8; i++) {
        u += ((hint == 8 + i) + (hint == 7 - i)) * TABLE[i][0];
        v += ((hint == 8 + i) - (hint == 7 - i)) * TABLE[i][1];
    }
    out[0] <-- u;
    out[1] <-- v;

    signal square;
    signal cube;
    signal fourth;
    square <== out[0] * out[0];
    cube <== square * out[0];
    fourth <== square * square;
    (fourth + LOW[3] * cube + LOW[2] * square + LOW[1] * out[0] + LOW[0])
        * (fourth + HIGH[3] * cube + HIGH[2] * square + HIGH[1] * out[0] + HIGH[0]) === 0;
    out[1] * out[1] === cube + montgomeryA() * square + out[0];
}
