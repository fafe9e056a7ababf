//! From the values of a polynomial on the roots of unity to its values half a step further: what the quotient needs.
//!
//! Inverse transform with decimation in frequency, multiplication by powers of the shift, transform with decimation in time: the
//! middle is in bit-reversed order, so that nothing has to be sorted.

use ark_bn254::Fr;
use ark_ff::{Field, One, PrimeField};
use rayon::prelude::*;

/// Largest power of two that divides r - 1.
pub const TWO_ADICITY: u32 = 28;
/// Below this size a transform stays on its thread.
const PARALLEL: usize = 1 << 12;

/// A root of unity of order 2^bits, the one that snarkjs takes: a power of 5.
pub fn root_of_unity(bits: u32) -> Fr {
    let exponent = (Fr::MODULUS_MINUS_ONE_DIV_TWO).0;
    // 5^((r-1)/2^28), then squared until the order is right.
    let mut odd = ark_ff::BigInt::<4>::new(exponent);
    odd >>= TWO_ADICITY - 1;
    let mut root = Fr::from(5u64).pow(odd);
    for _ in bits..TWO_ADICITY {
        root.square_in_place();
    }
    root
}

/// Tables for one domain of 2^bits roots.
pub struct Domain {
    pub size: usize,
    /// Per level k the first 2^k powers of the root of order 2^(k+1).
    roots: Vec<Vec<Fr>>,
    inverse_roots: Vec<Vec<Fr>>,
    /// shift^i / size in bit-reversed order of i; the shift is the root of order twice the size.
    shift: Vec<Fr>,
}

impl Domain {
    pub fn new(bits: u32) -> Self {
        let size = 1usize << bits;
        let tables = |root: Fr| {
            let mut levels = vec![powers(root, size / 2)];
            while levels.last().is_some_and(|level| level.len() > 1) {
                let next = levels[levels.len() - 1].iter().step_by(2).copied().collect();
                levels.push(next);
            }
            levels.reverse();
            levels
        };
        let root = root_of_unity(bits);
        let factor = Fr::from(size as u64).inverse().expect("a power of two is invertible");
        let plain = powers(root_of_unity(bits + 1), size);
        let shift = (0..size).map(|i| plain[i.reverse_bits() >> (usize::BITS - bits)] * factor).collect();
        let inverse = root.inverse().expect("a root is not zero");
        Domain { size, roots: tables(root), inverse_roots: tables(inverse), shift }
    }

    /// Replaces the values on the roots by those on the roots times the shift.
    pub fn to_coset(&self, values: &mut [Fr]) {
        split(values, &self.inverse_roots);
        values.par_iter_mut().zip(&self.shift).with_min_len(PARALLEL).for_each(|(value, factor)| *value *= factor);
        merge(values, &self.roots);
    }
}

/// The first `count` powers of `base`.
pub fn powers(base: Fr, count: usize) -> Vec<Fr> {
    std::iter::successors(Some(Fr::one()), |last| Some(*last * base)).take(count).collect()
}

/// Decimation in frequency: natural order in, bit-reversed order out.
fn split(values: &mut [Fr], levels: &[Vec<Fr>]) {
    let half = values.len() / 2;
    if half == 0 {
        return;
    }
    let (roots, rest) = levels.split_last().expect("a level for every size");
    let (low, high) = values.split_at_mut(half);
    let butterfly = |((a, b), root): ((&mut Fr, &mut Fr), &Fr)| {
        let difference = *a - *b;
        *a += &*b;
        *b = difference * root;
    };
    if half < PARALLEL {
        low.iter_mut().zip(high.iter_mut()).zip(roots).for_each(butterfly);
        split(low, rest);
        split(high, rest);
    } else {
        low.par_iter_mut().zip(high.par_iter_mut()).zip(roots).with_min_len(PARALLEL / 2).for_each(butterfly);
        rayon::join(|| split(low, rest), || split(high, rest));
    }
}

/// Decimation in time: bit-reversed order in, natural order out.
fn merge(values: &mut [Fr], levels: &[Vec<Fr>]) {
    let half = values.len() / 2;
    if half == 0 {
        return;
    }
    let (roots, rest) = levels.split_last().expect("a level for every size");
    let (low, high) = values.split_at_mut(half);
    let butterfly = |((a, b), root): ((&mut Fr, &mut Fr), &Fr)| {
        let product = *b * root;
        *b = *a - product;
        *a += product;
    };
    if half < PARALLEL {
        merge(low, rest);
        merge(high, rest);
        low.iter_mut().zip(high.iter_mut()).zip(roots).for_each(butterfly);
    } else {
        rayon::join(|| merge(low, rest), || merge(high, rest));
        low.par_iter_mut().zip(high.par_iter_mut()).zip(roots).with_min_len(PARALLEL / 2).for_each(butterfly);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(coefficients: &[Fr], x: Fr) -> Fr {
        coefficients.iter().rev().fold(Fr::from(0u64), |sum, c| sum * x + c)
    }

    #[test]
    fn values_move_to_the_shifted_roots() {
        for bits in [1u32, 3, 6] {
            let size = 1usize << bits;
            let coefficients: Vec<Fr> = (0..size).map(|i| Fr::from((i * i + 7) as u64)).collect();
            let root = root_of_unity(bits);
            let shift = root_of_unity(bits + 1);
            assert_eq!(shift.square(), root);
            let mut values: Vec<Fr> = powers(root, size).into_iter().map(|x| at(&coefficients, x)).collect();
            Domain::new(bits).to_coset(&mut values);
            let expected: Vec<Fr> = powers(root, size).into_iter().map(|x| at(&coefficients, x * shift)).collect();
            assert_eq!(values, expected);
        }
    }
}
