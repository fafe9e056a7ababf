//! Sums of multiples of fixed points: Pippenger's method over affine points.
//!
//! The points of a window are sorted by bucket and added in pairs, thousands of additions with one inversion, until a bucket
//! holds one point (`adder`, or `lanes` where the processor can do eight at a time). A pair costs about six multiplications,
//! and zero digits cost nothing, which is most of what bits and small numbers have.

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

/// What adds points: a way to keep them, and sums of many lists of them at once.
pub trait Add<F>: Default {
    /// Appends a point to those kept in `store`.
    fn keep(store: &mut Vec<u64>, point: &Point<F>);
    /// Point number `at` of those kept.
    fn kept(store: &[u64], at: usize) -> Point<F>;
    /// One sum for each list. The lists, of the given lengths, lie one after the other in `entries`: twice a point's number,
    /// and one more where it is to be subtracted.
    fn sums(&mut self, store: &[u64], entries: &[u32], lengths: impl Iterator<Item = u32>) -> Vec<Point<F>>;
}

/// The base field of one of the two groups, with the fastest way to add its points that this machine has.
pub trait Base: Field {
    type Adder: Add<Self>;
}

#[cfg(not(target_feature = "avx512ifma"))]
impl<F: crate::adder::Words> Base for F {
    type Adder = crate::adder::Adder<F>;
}

#[cfg(target_feature = "avx512ifma")]
impl Base for ark_bn254::Fq {
    type Adder = crate::lanes::Adder<crate::lanes::Lanes1>;
}

#[cfg(target_feature = "avx512ifma")]
impl Base for ark_bn254::Fq2 {
    type Adder = crate::lanes::Adder<crate::lanes::Lanes2>;
}

/// Points, none of them neutral, each with the position of its scalar.
pub struct Bases<F> {
    store: Vec<u64>,
    positions: Vec<u32>,
    field: std::marker::PhantomData<F>,
}

impl<F: Base> Bases<F> {
    /// Point i belongs to the scalar at `first + i`; neutral ones are left out.
    pub fn new(all: &[Point<F>], first: u32) -> Self {
        let (mut store, mut positions) = (Vec::new(), Vec::new());
        for (point, position) in all.iter().zip(first..).filter(|(point, _)| !point.is_neutral()) {
            F::Adder::keep(&mut store, point);
            positions.push(position);
        }
        Bases { store, positions, field: std::marker::PhantomData }
    }

    /// The points that are not neutral.
    pub fn points(&self) -> Vec<Point<F>> {
        (0..self.positions.len()).into_par_iter().map(|at| F::Adder::kept(&self.store, at)).collect()
    }
}

/// The sum of all points, each times its scalar. Scalars are plain integers below the groups' order.
pub fn sum<P: SWCurveConfig<BaseField: Base>>(bases: &Bases<P::BaseField>, scalars: &[Scalar]) -> Projective<P> {
    let bits = window_bits(bases.positions.len());
    let windows = SCALAR_BITS.div_ceil(bits);
    let shifted: Vec<[u64; 5]> = bases.positions.iter().map(|&at| shift_digits(&scalars[at as usize], bits, windows)).collect();
    let sums: Vec<Projective<P>> =
        (0..windows).into_par_iter().map(|window| window_sum::<P>(&bases.store, &shifted, bits, window)).collect();
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

fn window_sum<P: SWCurveConfig<BaseField: Base>>(
    store: &[u64],
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
    let mut adder = <P::BaseField as Base>::Adder::default();
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
        let sums = adder.sums(store, entries, lengths);
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

#[cfg(test)]
mod tests {
    use super::*;
    use ark_bn254::{g1, g2, Fr, G1Projective};
    use ark_ec::{CurveGroup, PrimeGroup};
    use ark_ff::{BigInt, One, PrimeField};

    fn check<P: SWCurveConfig<ScalarField = Fr, BaseField: Base>>(count: u64) {
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
        let points: Vec<Point<P::BaseField>> = multiples
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
        assert_eq!(sum::<P>(&Bases::new(&points, 2), &plain), expected);
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
        let bases = Bases::new(&[Point { x: point.x, y: point.y }], 0);
        assert_eq!(sum::<g1::Config>(&bases, &[largest.0]), -G1Projective::generator());
    }
}
