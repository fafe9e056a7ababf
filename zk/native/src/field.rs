//! Field elements and points as bytes, and random field elements.

use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ff::{BigInt, BigInteger, PrimeField, Zero};
use zeroize::Zeroize;

/// An integer of 256 bits, limbs from the lowest.
pub type Scalar = [u64; 4];

/// Limbs of 32 little-endian bytes.
pub fn limbs(bytes: &[u8]) -> Scalar {
    let mut out = [0; 4];
    for (limb, part) in out.iter_mut().zip(bytes.chunks_exact(8)) {
        *limb = u64::from_le_bytes(part.try_into().expect("eight bytes"));
    }
    out
}

/// Whether `value` is below the modulus of `F`.
pub fn reduced<F: PrimeField<BigInt = BigInt<4>>>(value: &Scalar) -> bool {
    BigInt::new(*value) < F::MODULUS
}

/// The element written in 32 little-endian bytes, if it is reduced.
pub fn element<F: PrimeField<BigInt = BigInt<4>>>(bytes: &[u8]) -> Option<F> {
    F::from_bigint(BigInt::new(limbs(bytes)))
}

/// The element as 32 little-endian bytes.
pub fn element_bytes<F: PrimeField<BigInt = BigInt<4>>>(value: &F) -> Vec<u8> {
    value.into_bigint().to_bytes_le()
}

/// A random scalar from the system's generator, below 2^-250 from uniform.
pub fn random_scalar() -> Result<Fr, String> {
    let mut wide = [0u8; 64];
    getrandom::fill(&mut wide).map_err(|error| format!("the system's random generator failed: {error}"))?;
    let value = Fr::from_le_bytes_mod_order(&wide);
    wide.zeroize();
    Ok(value)
}

/// As `random_scalar`, never zero.
pub fn random_nonzero() -> Result<Fr, String> {
    loop {
        let value = random_scalar()?;
        if !value.is_zero() {
            return Ok(value);
        }
    }
}

fn word(value: &Fq) -> Vec<u8> {
    value.into_bigint().to_bytes_be()
}

fn read_word(bytes: &[u8]) -> Option<Fq> {
    let mut little: [u8; 32] = bytes.try_into().ok()?;
    little.reverse();
    element(&little)
}

/// A point of G1 as two words of EIP-197, the neutral element as zeros.
pub fn g1_words(point: &G1Affine) -> Vec<u8> {
    if point.infinity {
        return vec![0; 64];
    }
    [word(&point.x), word(&point.y)].concat()
}

/// A point of G2 as four words of EIP-197 (the coefficient of i first), the neutral element as zeros.
pub fn g2_words(point: &G2Affine) -> Vec<u8> {
    if point.infinity {
        return vec![0; 128];
    }
    [word(&point.x.c1), word(&point.x.c0), word(&point.y.c1), word(&point.y.c0)].concat()
}

/// The point behind 64 bytes, if its coordinates are reduced and it lies on the curve, whose order is prime.
pub fn read_g1(bytes: &[u8]) -> Option<G1Affine> {
    let (x, y) = (read_word(&bytes[..32])?, read_word(&bytes[32..64])?);
    if x.is_zero() && y.is_zero() {
        return Some(G1Affine::identity());
    }
    let point = G1Affine::new_unchecked(x, y);
    point.is_on_curve().then_some(point)
}

/// The point behind 128 bytes, if its coordinates are reduced and it lies on the curve and in the subgroup of prime order.
pub fn read_g2(bytes: &[u8]) -> Option<G2Affine> {
    let mut part = bytes.chunks_exact(32).map(read_word);
    let (x1, x0, y1, y0) = (part.next()??, part.next()??, part.next()??, part.next()??);
    let (x, y) = (Fq2::new(x0, x1), Fq2::new(y0, y1));
    if x.is_zero() && y.is_zero() {
        return Some(G2Affine::identity());
    }
    let point = G2Affine::new_unchecked(x, y);
    (point.is_on_curve() && point.is_in_correct_subgroup_assuming_on_curve()).then_some(point)
}
