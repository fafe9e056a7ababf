//! Sums of multiples of fixed points: Pippenger's method over affine points.
//!
//! The points of a window are sorted by bucket and added in pairs, thousands of additions with one inversion, until a bucket
//! holds one point. A pair costs about six multiplications, and zero digits cost nothing, which is most of a witness that
//! consists of bits and small numbers.

use crate::field::Scalar;
use ark_ec::short_weierstrass::{Affine, Projective, SWCurveConfig};
use ark_ec::AdditiveGroup;
use ark_ff::{Field, Zero};
use rayon::prelude::*;

/// Points that are added together in one piece of work: they stay in the cache and share their inversions.
const PIECE: usize = 1 << 13;
/// Bits of a scalar, and one for the carry of signed digits.
const SCALAR_BITS: usize = 255;

/// An affine point; (0, 0), which is on neither curve, is the neutral element.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Point<F> {
    pub x: F,
    pub y: F,
}

impl<F: Field> Point<F> {
    pub fn neutral() -> Self {
        Point { x: F::ZERO, y: F::ZERO }
    }

    pub fn is_neutral(&self) -> bool {
        self.x.is_zero() && self.y.is_zero()
    }

    pub fn to_affine<P: SWCurveConfig<BaseField = F>>(self) -> Affine<P> {
        if self.is_neutral() {
            return Affine::identity();
        }
        Affine::new_unchecked(self.x, self.y)
    }
}

/// Points, none of them neutral, each with the position of its scalar.
pub struct Bases<F> {
    points: Vec<Point<F>>,
    positions: Vec<u32>,
}

impl<F: Field> Bases<F> {
    /// Point i belongs to the scalar at `first + i`; neutral ones are left out.
    pub fn new(all: Vec<Point<F>>, first: u32) -> Self {
        let positions: Vec<u32> = (0..).zip(&all).filter(|(_, p)| !p.is_neutral()).map(|(i, _)| i + first).collect();
        let points = all.into_iter().filter(|p| !p.is_neutral()).collect();
        Bases { points, positions }
    }

    pub fn points(&self) -> &[Point<F>] {
        &self.points
    }

    /// Positions of the scalars that this sum reads.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }
}

/// The sum of all points, each times its scalar. Scalars are plain integers below the groups' order.
pub fn sum<P: SWCurveConfig>(bases: &Bases<P::BaseField>, scalars: &[Scalar]) -> Projective<P> {
    let bits = window_bits(bases.points.len());
    let windows = SCALAR_BITS.div_ceil(bits);
    let shifted: Vec<[u64; 5]> = bases.positions.iter().map(|&at| shift_digits(&scalars[at as usize], bits, windows)).collect();
    let sums: Vec<Projective<P>> =
        (0..windows).into_par_iter().map(|window| window_sum::<P>(&bases.points, &shifted, bits, window)).collect();
    let mut total = Projective::<P>::zero();
    for part in sums.iter().rev() {
        for _ in 0..bits {
            total.double_in_place();
        }
        total += part;
    }
    total
}

/// The window's width with the fewest multiplications: six a point and window, about 27 a bucket.
fn window_bits(points: usize) -> usize {
    (2..=16)
        .min_by_key(|&bits| SCALAR_BITS.div_ceil(bits) * (6 * points + 27 * (1 << (bits - 1))))
        .expect("a range that is not empty")
}

/// Adds 2^(bits-1) to every digit, so that digit minus 2^(bits-1) is the signed one: no carries between windows.
fn shift_digits(scalar: &Scalar, bits: usize, windows: usize) -> [u64; 5] {
    let mut constant = [0u64; 5];
    for window in 0..windows {
        let at = window * bits + bits - 1;
        constant[at / 64] |= 1 << (at % 64);
    }
    let mut out = [0; 5];
    let mut carry = false;
    for (i, value) in out.iter_mut().enumerate() {
        let (partial, first) = constant[i].overflowing_add(scalar.get(i).copied().unwrap_or(0));
        let (whole, second) = partial.overflowing_add(carry as u64);
        *value = whole;
        carry = first || second;
    }
    out
}

fn digit(shifted: &[u64; 5], bits: usize, window: usize) -> i64 {
    let at = window * bits;
    let (limb, offset) = (at / 64, at % 64);
    let mut value = shifted[limb] >> offset;
    if offset + bits > 64 && limb < 4 {
        value |= shifted[limb + 1] << (64 - offset);
    }
    (value & ((1 << bits) - 1)) as i64 - (1 << (bits - 1))
}

fn window_sum<P: SWCurveConfig>(
    points: &[Point<P::BaseField>],
    shifted: &[[u64; 5]],
    bits: usize,
    window: usize,
) -> Projective<P> {
    let buckets = 1usize << (bits - 1);
    // Counting sort by bucket; an entry is the point's position and the digit's sign.
    let mut ends = vec![0u32; buckets + 1];
    let digits: Vec<i32> = shifted.iter().map(|value| digit(value, bits, window) as i32).collect();
    for d in &digits {
        ends[d.unsigned_abs() as usize] += 1;
    }
    ends[0] = 0;
    let mut total = 0;
    for end in ends.iter_mut() {
        let count = *end;
        *end = total;
        total += count;
    }
    let mut sorted = vec![0u32; total as usize];
    for (i, d) in digits.iter().enumerate().filter(|(_, d)| **d != 0) {
        let slot = &mut ends[d.unsigned_abs() as usize];
        sorted[*slot as usize] = (i as u32) << 1 | (*d < 0) as u32;
        *slot += 1;
    }
    // `ends[k]` is now where bucket k ends and bucket k + 1 begins.
    let mut adder = Adder::new();
    let mut running = Projective::<P>::zero();
    let mut result = Projective::<P>::zero();
    let mut high = buckets;
    while high > 0 {
        let mut low = high - 1;
        while low > 0 && ends[high] - ends[low - 1] <= PIECE as u32 {
            low -= 1;
        }
        let entries = &sorted[ends[low] as usize..ends[high] as usize];
        let lengths = (low + 1..=high).map(|bucket| ends[bucket] - ends[bucket - 1]);
        let sums = adder.sums(points, entries, lengths);
        for bucket in sums.iter().rev() {
            if !bucket.is_neutral() {
                running += Affine::<P>::new_unchecked(bucket.x, bucket.y);
            }
            result += running;
        }
        high = low;
    }
    result
}

/// Adds many lists of points at once; its memory is used again.
struct Adder<F> {
    work: Vec<Point<F>>,
    next: Vec<Point<F>>,
    lengths: Vec<u32>,
    pairs: Vec<(u32, u32)>,
    products: Vec<F>,
}

impl<F: Field> Adder<F> {
    fn new() -> Self {
        Adder { work: vec![], next: vec![], lengths: vec![], pairs: vec![], products: vec![] }
    }

    /// One sum for each list; the lists lie one after the other in `entries`.
    fn sums(&mut self, points: &[Point<F>], entries: &[u32], lengths: impl Iterator<Item = u32>) -> &[Point<F>] {
        self.work.clear();
        self.work.extend(entries.iter().map(|&entry| {
            let point = points[(entry >> 1) as usize];
            if entry & 1 == 1 {
                Point { x: point.x, y: -point.y }
            } else {
                point
            }
        }));
        self.lengths.clear();
        self.lengths.extend(lengths);
        while self.lengths.iter().any(|&length| length > 1) {
            self.halve();
        }
        self.next.clear();
        let mut at = 0;
        for &length in &self.lengths {
            self.next.push(if length == 0 { Point::neutral() } else { self.work[at] });
            at += length as usize;
        }
        &self.next
    }

    /// Adds neighbours of every list, so that it is half as long.
    fn halve(&mut self) {
        self.next.clear();
        self.pairs.clear();
        self.products.clear();
        let mut product = F::ONE;
        let mut at = 0usize;
        for length in self.lengths.iter_mut() {
            let end = at + *length as usize;
            while at + 1 < end {
                self.pairs.push((at as u32, self.next.len() as u32));
                self.products.push(product);
                product *= denominator(&self.work[at], &self.work[at + 1]);
                self.next.push(Point::neutral());
                at += 2;
            }
            if at < end {
                self.next.push(self.work[at]);
                at += 1;
            }
            *length = length.div_ceil(2);
        }
        let mut inverse = product.inverse().expect("no denominator is zero");
        for (&(from, to), before) in self.pairs.iter().zip(&self.products).rev() {
            let (p, q) = (&self.work[from as usize], &self.work[from as usize + 1]);
            self.next[to as usize] = add(p, q, inverse * before);
            inverse *= denominator(p, q);
        }
        std::mem::swap(&mut self.work, &mut self.next);
    }
}

/// What the slope of `p + q` is divided by; 1 where there is no slope.
fn denominator<F: Field>(p: &Point<F>, q: &Point<F>) -> F {
    if p.is_neutral() || q.is_neutral() {
        return F::ONE;
    }
    if p.x != q.x {
        return q.x - p.x;
    }
    if p.y == q.y {
        p.y.double()
    } else {
        F::ONE
    }
}

fn add<F: Field>(p: &Point<F>, q: &Point<F>, inverse: F) -> Point<F> {
    if p.is_neutral() {
        return *q;
    }
    if q.is_neutral() {
        return *p;
    }
    let slope = if p.x != q.x {
        (q.y - p.y) * inverse
    } else if p.y == q.y {
        let square = p.x.square();
        (square.double() + square) * inverse
    } else {
        return Point::neutral();
    };
    let x = slope.square() - p.x - q.x;
    Point { x, y: slope * (p.x - x) - p.y }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::{g1, g2, Fr, G1Projective};
    use ark_ec::{CurveGroup, PrimeGroup};
    use ark_ff::{BigInt, One, PrimeField};

    fn check<P: SWCurveConfig<ScalarField = Fr>>(count: u64) {
        let generator = Projective::<P>::generator();
        // Equal, opposite and neutral points among them; zeros, ones, small, negative and large scalars.
        let multiples: Vec<Fr> = (0..count)
            .map(|i| match i % 5 {
                0 => Fr::from(3u64),
                1 => -Fr::from(3u64),
                2 if i % 3 == 0 => Fr::zero(),
                _ => Fr::from(i * i + 1),
            })
            .collect();
        let scalars: Vec<Fr> = (0..count)
            .map(|i| match i % 7 {
                0 => Fr::zero(),
                1 | 2 => Fr::one(),
                3 => -Fr::from(i),
                4 => Fr::from(i) * Fr::from(u64::MAX).pow([3]),
                _ => Fr::from(i),
            })
            .collect();
        let points = multiples
            .iter()
            .map(|m| {
                let affine = (generator * m).into_affine();
                if affine.infinity {
                    Point::neutral()
                } else {
                    Point { x: affine.x, y: affine.y }
                }
            })
            .collect();
        let expected = generator * multiples.iter().zip(&scalars).map(|(m, s)| *m * s).sum::<Fr>();
        let mut plain: Vec<Scalar> = vec![[9; 4]; 2];
        plain.extend(scalars.iter().map(|s| s.into_bigint().0));
        assert_eq!(sum::<P>(&Bases::new(points, 2), &plain), expected);
    }

    #[test]
    fn equals_the_sum_of_products() {
        for count in [0, 1, 2, 17, 1000, 20_000] {
            check::<g1::Config>(count);
        }
        check::<g2::Config>(300);
    }

    #[test]
    fn the_largest_scalar() {
        let point = G1Projective::generator().into_affine();
        let mut largest = Fr::MODULUS;
        ark_ff::BigInteger::sub_with_borrow(&mut largest, &BigInt::from(1u64));
        let bases = Bases::new(vec![Point { x: point.x, y: point.y }], 0);
        assert_eq!(sum::<g1::Config>(&bases, &[largest.0]), -G1Projective::generator());
    }
}
