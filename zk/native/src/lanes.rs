//! Sums of many lists of points, eight additions at a time, with the processor's multiplication of 52-bit integers (AVX-512
//! IFMA).
//!
//! An element is five limbs of 52 bits, times 2^260 (Montgomery), one of eight in each vector. Between operations it may lie
//! beyond the modulus q: every function says what it takes and gives. What is kept in memory is below q, so that equal points
//! have equal limbs. Products are below 2q where the factors' bounds multiply to at most 84 q^2, because 2^260 > 84 q.

use crate::msm::{Add, Point};
use ark_bn254::{Fq, Fq2};
use ark_ff::{BigInt, Field, PrimeField};
use std::arch::x86_64::*;

type Vector = __m512i;

const LIMBS: usize = 5;
const MASK: u64 = (1 << 52) - 1;
/// q and twice and four times as much.
const Q1: [u64; LIMBS] = split(Fq::MODULUS.0);
const Q2: [u64; LIMBS] = double(Q1);
const Q4: [u64; LIMBS] = double(Q2);
/// -1/q modulo 2^52.
const INVERSE: u64 = {
    let mut inverse = 1u64;
    let mut step = 0;
    while step < 6 {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(Q1[0].wrapping_mul(inverse)));
        step += 1;
    }
    inverse.wrapping_neg() & MASK
};

const fn split(value: [u64; 4]) -> [u64; LIMBS] {
    let [a, b, c, d] = value;
    [a & MASK, (a >> 52 | b << 12) & MASK, (b >> 40 | c << 24) & MASK, (c >> 28 | d << 36) & MASK, d >> 16]
}

const fn join(value: &[u64]) -> [u64; 4] {
    let (a, b, c, d, e) = (value[0], value[1], value[2], value[3], value[4]);
    [a | b << 52, b >> 12 | c << 40, c >> 24 | d << 28, d >> 36 | e << 16]
}

const fn double(value: [u64; LIMBS]) -> [u64; LIMBS] {
    let mut out = [0; LIMBS];
    let mut carry = 0;
    let mut i = 0;
    while i < LIMBS {
        let sum = 2 * value[i] + carry;
        out[i] = sum & MASK;
        carry = sum >> 52;
        i += 1;
    }
    out
}

#[inline(always)]
fn all(value: u64) -> Vector {
    unsafe { _mm512_set1_epi64(value as i64) }
}

/// Eight elements of a field.
pub trait Lanes: Copy {
    type Field: Field;
    /// Words that one element takes.
    const WORDS: usize;
    fn pack(value: &Self::Field, out: &mut Vec<u64>);
    /// From words below q.
    fn unpack(words: &[u64]) -> Self::Field;
    /// The same element eight times.
    fn same(words: &[u64]) -> Self;
    /// # Safety
    /// `base + index + 0..WORDS` must be readable for all eight indices.
    unsafe fn load(base: *const u64, index: Vector) -> Self;
    /// # Safety
    /// `base + index + 0..WORDS` must be writable for all eight indices.
    unsafe fn store(&self, base: *mut u64, index: Vector);
    /// The lanes whose words are equal.
    fn equal(&self, other: &Self) -> u8;
    /// `other` in the lanes of `mask`.
    fn replace(&self, mask: u8, other: &Self) -> Self;
    /// a + 2q - b, for b up to 2q.
    fn minus(&self, other: &Self) -> Self;
    /// Product below 2q, for one factor below 2q and one below 3q.
    fn times(&self, other: &Self) -> Self;
    /// The same element below q, for one below 8q.
    fn reduced(&self) -> Self;
}

/// Eight elements of the base field.
#[derive(Clone, Copy)]
pub struct Lanes1([Vector; LIMBS]);

impl Lanes1 {
    /// Limbs brought to 52 bits; they may be signed, the whole is not.
    #[inline(always)]
    fn carried(mut limbs: [Vector; LIMBS]) -> Self {
        for i in 0..LIMBS - 1 {
            unsafe {
                limbs[i + 1] = _mm512_add_epi64(limbs[i + 1], _mm512_srai_epi64::<52>(limbs[i]));
                limbs[i] = _mm512_and_si512(limbs[i], all(MASK));
            }
        }
        Lanes1(limbs)
    }

    #[inline(always)]
    fn plus(&self, other: &Self) -> Self {
        Self::carried(std::array::from_fn(|i| unsafe { _mm512_add_epi64(self.0[i], other.0[i]) }))
    }

    /// Less by `limbs` where that does not become negative.
    #[inline(always)]
    fn less(&self, limbs: [u64; LIMBS]) -> Self {
        let rest = Self::carried(std::array::from_fn(|i| unsafe { _mm512_sub_epi64(self.0[i], all(limbs[i])) }));
        let negative = unsafe { _mm512_movepi64_mask(rest.0[LIMBS - 1]) };
        rest.replace(negative, self)
    }

    /// Below 2q, for one below 8q.
    #[inline(always)]
    fn below_two(&self) -> Self {
        self.less(Q4).less(Q2)
    }
}

impl Lanes for Lanes1 {
    type Field = Fq;
    const WORDS: usize = LIMBS;

    fn pack(value: &Fq, out: &mut Vec<u64>) {
        // The field's own form is times 2^256.
        out.extend(split((*value * Fq::from(16u64)).0 .0));
    }

    fn unpack(words: &[u64]) -> Fq {
        const SIXTEENTH: Fq = ark_ff::MontFp!("12312136615409592312513603231707217237391675025980025810262583815737939742328");
        Fq::new_unchecked(BigInt::new(join(words))) * SIXTEENTH
    }

    #[inline(always)]
    fn same(words: &[u64]) -> Self {
        Lanes1(std::array::from_fn(|i| all(words[i])))
    }

    #[inline(always)]
    unsafe fn load(base: *const u64, index: Vector) -> Self {
        Lanes1(std::array::from_fn(|i| unsafe { _mm512_i64gather_epi64::<8>(index, base.add(i).cast()) }))
    }

    #[inline(always)]
    unsafe fn store(&self, base: *mut u64, index: Vector) {
        for (i, limb) in self.0.iter().enumerate() {
            unsafe { _mm512_i64scatter_epi64::<8>(base.add(i).cast(), index, *limb) };
        }
    }

    #[inline(always)]
    fn equal(&self, other: &Self) -> u8 {
        let limbs = self.0.iter().zip(&other.0);
        limbs.fold(0xFF, |mask, (a, b)| mask & unsafe { _mm512_cmpeq_epi64_mask(*a, *b) })
    }

    #[inline(always)]
    fn replace(&self, mask: u8, other: &Self) -> Self {
        Lanes1(std::array::from_fn(|i| unsafe { _mm512_mask_mov_epi64(self.0[i], mask, other.0[i]) }))
    }

    #[inline(always)]
    fn minus(&self, other: &Self) -> Self {
        Self::carried(std::array::from_fn(|i| unsafe { _mm512_sub_epi64(_mm512_add_epi64(self.0[i], all(Q2[i])), other.0[i]) }))
    }

    #[inline(always)]
    fn times(&self, other: &Self) -> Self {
        unsafe {
            let zero = _mm512_setzero_si512();
            let mut sum = [zero; 2 * LIMBS];
            for i in 0..LIMBS {
                for j in 0..LIMBS {
                    sum[i + j] = _mm512_madd52lo_epu64(sum[i + j], self.0[i], other.0[j]);
                    sum[i + j + 1] = _mm512_madd52hi_epu64(sum[i + j + 1], self.0[i], other.0[j]);
                }
                // A multiple of q that makes the lowest limb vanish.
                let factor = _mm512_madd52lo_epu64(zero, sum[i], all(INVERSE));
                for j in 0..LIMBS {
                    sum[i + j] = _mm512_madd52lo_epu64(sum[i + j], factor, all(Q1[j]));
                    sum[i + j + 1] = _mm512_madd52hi_epu64(sum[i + j + 1], factor, all(Q1[j]));
                }
                sum[i + 1] = _mm512_add_epi64(sum[i + 1], _mm512_srli_epi64::<52>(sum[i]));
            }
            Self::carried(std::array::from_fn(|i| sum[LIMBS + i]))
        }
    }

    #[inline(always)]
    fn reduced(&self) -> Self {
        self.below_two().less(Q1)
    }
}

/// Eight elements of the quadratic extension, a + b i with i^2 = -1.
#[derive(Clone, Copy)]
pub struct Lanes2(Lanes1, Lanes1);

impl Lanes for Lanes2 {
    type Field = Fq2;
    const WORDS: usize = 2 * LIMBS;

    fn pack(value: &Fq2, out: &mut Vec<u64>) {
        Lanes1::pack(&value.c0, out);
        Lanes1::pack(&value.c1, out);
    }

    fn unpack(words: &[u64]) -> Fq2 {
        Fq2::new(Lanes1::unpack(&words[..LIMBS]), Lanes1::unpack(&words[LIMBS..]))
    }

    #[inline(always)]
    fn same(words: &[u64]) -> Self {
        Lanes2(Lanes1::same(&words[..LIMBS]), Lanes1::same(&words[LIMBS..]))
    }

    #[inline(always)]
    unsafe fn load(base: *const u64, index: Vector) -> Self {
        unsafe { Lanes2(Lanes1::load(base, index), Lanes1::load(base.add(LIMBS), index)) }
    }

    #[inline(always)]
    unsafe fn store(&self, base: *mut u64, index: Vector) {
        unsafe {
            self.0.store(base, index);
            self.1.store(base.add(LIMBS), index);
        }
    }

    #[inline(always)]
    fn equal(&self, other: &Self) -> u8 {
        self.0.equal(&other.0) & self.1.equal(&other.1)
    }

    #[inline(always)]
    fn replace(&self, mask: u8, other: &Self) -> Self {
        Lanes2(self.0.replace(mask, &other.0), self.1.replace(mask, &other.1))
    }

    #[inline(always)]
    fn minus(&self, other: &Self) -> Self {
        Lanes2(self.0.minus(&other.0), self.1.minus(&other.1))
    }

    /// Karatsuba; sums of a factor's halves are below 6q and 4q.
    #[inline(always)]
    fn times(&self, other: &Self) -> Self {
        let (low, high) = (self.0.times(&other.0), self.1.times(&other.1));
        let cross = self.0.plus(&self.1).times(&other.0.plus(&other.1));
        Lanes2(low.minus(&high).below_two(), cross.minus(&low).minus(&high).below_two())
    }

    #[inline(always)]
    fn reduced(&self) -> Self {
        Lanes2(self.0.reduced(), self.1.reduced())
    }
}

/// Adds many lists of points at once; its memory is used again.
pub struct Adder<L> {
    work: Vec<u64>,
    next: Vec<u64>,
    lengths: Vec<u32>,
    /// Numbers of a pair's first point and of its sum.
    pairs: Vec<(u32, u32)>,
    products: Vec<L>,
}

impl<L> Default for Adder<L> {
    fn default() -> Self {
        Adder { work: vec![], next: vec![], lengths: vec![], pairs: vec![], products: vec![] }
    }
}

impl<L: Lanes> Add<L::Field> for Adder<L> {
    fn keep(store: &mut Vec<u64>, point: &Point<L::Field>) {
        L::pack(&point.x, store);
        L::pack(&point.y, store);
    }

    fn kept(store: &[u64], at: usize) -> Point<L::Field> {
        let words = &store[2 * L::WORDS * at..2 * L::WORDS * (at + 1)];
        Point { x: L::unpack(&words[..L::WORDS]), y: L::unpack(&words[L::WORDS..]) }
    }

    fn sums(&mut self, store: &[u64], entries: &[u32], lengths: impl Iterator<Item = u32>) -> Vec<Point<L::Field>> {
        self.work.clear();
        for &entry in entries {
            let at = (entry >> 1) as usize * 2 * L::WORDS;
            self.work.extend_from_slice(&store[at..at + 2 * L::WORDS]);
            if entry & 1 == 1 {
                let end = self.work.len();
                self.work[end - L::WORDS..].chunks_exact_mut(LIMBS).for_each(negate);
            }
        }
        self.lengths.clear();
        self.lengths.extend(lengths);
        while self.lengths.iter().any(|&length| length > 1) {
            self.halve();
        }
        let mut at = 0;
        let sum = |&length: &u32| {
            at += length as usize;
            if length == 0 {
                Point::neutral()
            } else {
                Self::kept(&self.work, at - 1)
            }
        };
        self.lengths.iter().map(sum).collect()
    }
}

impl<L: Lanes> Adder<L> {
    /// Adds neighbours of every list, so that it is half as long.
    fn halve(&mut self) {
        let point = 2 * L::WORDS;
        self.pairs.clear();
        let (mut at, mut to) = (0usize, 0usize);
        self.next.resize(self.work.len(), 0);
        for length in self.lengths.iter_mut() {
            for _ in 0..*length / 2 {
                self.pairs.push((at as u32, to as u32));
                (at, to) = (at + 2, to + 1);
            }
            if *length % 2 == 1 {
                self.next[to * point..(to + 1) * point].copy_from_slice(&self.work[at * point..(at + 1) * point]);
                (at, to) = (at + 1, to + 1);
            }
            *length = length.div_ceil(2);
        }
        // The last pair again where eight are not full: the same sum is written to the same place.
        while !self.pairs.len().is_multiple_of(8) {
            self.pairs.extend_from_within(self.pairs.len() - 1..);
        }
        let mut words = vec![];
        L::pack(&L::Field::ONE, &mut words);
        let one = L::same(&words);

        self.products.clear();
        let mut product = one;
        for group in self.pairs.chunks_exact(8) {
            let (x1, x2, _) = self.first(group);
            let difference = x2.minus(&x1).replace(special(&x1, &x2), &one);
            self.products.push(product);
            product = product.times(&difference);
        }
        let mut inverse = invert(&product);
        for (number, group) in self.pairs.chunks_exact(8).enumerate().rev() {
            let (x1, x2, from) = self.first(group);
            let odd = special(&x1, &x2);
            let difference = x2.minus(&x1).replace(odd, &one);
            let own = self.products[number].times(&inverse);
            inverse = inverse.times(&difference);
            // Safety: `first` has checked the pairs, and the sums' numbers are smaller than the points'.
            unsafe {
                let base = self.work.as_ptr();
                let y1 = L::load(base.add(L::WORDS), from);
                let y2 = L::load(base.add(3 * L::WORDS), from);
                let slope = own.times(&y2.minus(&y1));
                let x = slope.times(&slope).minus(&x1).minus(&x2).reduced();
                let y = slope.times(&x1.minus(&x)).minus(&y1).reduced();
                let to = indices(group, |pair| pair.1, point);
                assert!(group.iter().all(|pair| (pair.1 as usize + 1) * point <= self.next.len()));
                x.store(self.next.as_mut_ptr(), to);
                y.store(self.next.as_mut_ptr().add(L::WORDS), to);
            }
            for (lane, &(from, to)) in group.iter().enumerate() {
                if odd >> lane & 1 == 1 {
                    let from = from as usize;
                    let sum = add(Self::kept(&self.work, from), Self::kept(&self.work, from + 1));
                    let mut words = vec![];
                    Self::keep(&mut words, &sum);
                    self.next[to as usize * point..(to as usize + 1) * point].copy_from_slice(&words);
                }
            }
        }
        self.next.truncate(to * point);
        std::mem::swap(&mut self.work, &mut self.next);
    }

    /// The first coordinates of eight pairs' points, and where the first points begin.
    #[inline(always)]
    fn first(&self, group: &[(u32, u32)]) -> (L, L, Vector) {
        let point = 2 * L::WORDS;
        assert!(group.len() == 8 && group.iter().all(|pair| (pair.0 as usize + 2) * point <= self.work.len()));
        let from = indices(group, |pair| pair.0, point);
        // Safety: both points of every pair lie within `work`.
        unsafe { (L::load(self.work.as_ptr(), from), L::load(self.work.as_ptr().add(point), from), from) }
    }
}

#[inline(always)]
fn indices(group: &[(u32, u32)], number: impl Fn(&(u32, u32)) -> u32, size: usize) -> Vector {
    let words: [i64; 8] = std::array::from_fn(|lane| number(&group[lane]) as i64 * size as i64);
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// Lanes for which the chord's formula does not hold: equal first coordinates, or one that is 0, as the neutral element's is.
#[inline(always)]
fn special<L: Lanes>(x1: &L, x2: &L) -> u8 {
    let zero = L::same(&[0; 2 * LIMBS]);
    x1.equal(x2) | x1.equal(&zero) | x2.equal(&zero)
}

/// The sum of any two points.
fn add<F: Field>(p: Point<F>, q: Point<F>) -> Point<F> {
    if p.is_neutral() {
        return q;
    }
    if q.is_neutral() {
        return p;
    }
    let (rise, run) = if p.x != q.x {
        (q.y - p.y, q.x - p.x)
    } else if p.y == q.y {
        (p.x.square() + p.x.square().double(), p.y.double())
    } else {
        return Point::neutral();
    };
    let slope = rise * run.inverse().expect("no point has order two");
    let x = slope.square() - p.x - q.x;
    Point { x, y: slope * (p.x - x) - p.y }
}

/// The inverses of eight elements below 2q, none of them zero.
fn invert<L: Lanes>(value: &L) -> L {
    let mut words = vec![0u64; 8 * L::WORDS];
    let places: [i64; 8] = std::array::from_fn(|lane| (lane * L::WORDS) as i64);
    // Safety: the eight places have room for an element each.
    unsafe {
        let places = _mm512_loadu_si512(places.as_ptr().cast());
        value.reduced().store(words.as_mut_ptr(), places);
        let mut elements: Vec<L::Field> = words.chunks_exact(L::WORDS).map(L::unpack).collect();
        ark_ff::batch_inversion(&mut elements);
        words.clear();
        elements.iter().for_each(|element| L::pack(element, &mut words));
        L::load(words.as_ptr(), places)
    }
}

/// q less the element in five limbs below q; zero stays.
fn negate(limbs: &mut [u64]) {
    if limbs.iter().all(|&limb| limb == 0) {
        return;
    }
    let mut borrow = 0;
    for (limb, modulus) in limbs.iter_mut().zip(Q1) {
        let rest = modulus.wrapping_sub(*limb).wrapping_sub(borrow);
        *limb = rest & MASK;
        borrow = rest >> 63;
    }
}
