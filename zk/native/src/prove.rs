//! Groth16 proofs with the quotient evaluated as snarkjs does: on the roots half a step from the domain's.
//!
//! Groth, "On the Size of Pairing-based Non-interactive Arguments" (2016), section 3.2.

use crate::field::{g1_words, g2_words, random_scalar, reduced, Scalar};
use crate::msm::sum;
use crate::zkey::ProvingKey;
use ark_bn254::{g1, g2, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::CurveGroup;
use ark_ff::{BigInt, PrimeField};
use rayon::prelude::*;

pub struct Proof {
    pub a: G1Affine,
    pub b: G2Affine,
    pub c: G1Affine,
}

impl Proof {
    /// Eight words in the contracts' order.
    pub fn words(&self) -> Vec<u8> {
        [g1_words(&self.a), g2_words(&self.b), g1_words(&self.c)].concat()
    }
}

/// A witness from 32 little-endian bytes a wire, checked for length, the leading 1 and elements beyond the field.
pub fn read_witness(key: &ProvingKey, bytes: &[u8]) -> Result<Vec<Scalar>, String> {
    if bytes.len() != 32 * key.wires {
        return Err(format!("witness: expected {} elements of 32 bytes, got {} bytes", key.wires, bytes.len()));
    }
    let witness: Vec<Scalar> = bytes.chunks_exact(32).map(crate::field::limbs).collect();
    if witness[0] != [1, 0, 0, 0] {
        return Err("witness: expected the constant 1 as its first element".into());
    }
    match witness.iter().position(|value| !reduced::<Fr>(value)) {
        Some(at) => Err(format!("witness: expected elements of the field, number {at} is beyond it")),
        None => Ok(witness),
    }
}

/// A fresh, blinded proof for a witness that satisfies the circuit; for one that does not, a proof that no verifier accepts.
pub fn prove(key: &ProvingKey, witness: &[Scalar]) -> Result<Proof, String> {
    let (r, s) = (random_scalar()?, random_scalar()?);
    // In the order of their weight: the second group first, so that the cores end together.
    let (b2, (h, (a, (c, b1)))) = rayon::join(
        || sum::<g2::Config>(&key.b2, witness),
        || {
            rayon::join(
                || sum::<g1::Config>(&key.h, &quotient(key, witness)),
                || {
                    rayon::join(
                        || sum::<g1::Config>(&key.a, witness),
                        || rayon::join(|| sum::<g1::Config>(&key.c, witness), || sum::<g1::Config>(&key.b1, witness)),
                    )
                },
            )
        },
    );
    let a = a + key.alpha1 + key.delta1 * r;
    let b1 = b1 + key.beta1 + key.delta1 * s;
    let b2 = b2 + key.beta2 + key.delta2 * s;
    let c = c + h + a * s + b1 * r - key.delta1 * (r * s);
    let affine = G1Projective::normalize_batch(&[a, c]);
    Ok(Proof { a: affine[0], b: b2.into_affine(), c: affine[1] })
}

/// The quotient's values on the shifted roots, as plain integers.
fn quotient(key: &ProvingKey, witness: &[Scalar]) -> Vec<Scalar> {
    let plain: Vec<Fr> = witness.iter().map(|value| Fr::new_unchecked(BigInt::new(*value))).collect();
    let (mut a, mut b) = rayon::join(|| key.left.times(&key.values, &plain), || key.right.times(&key.values, &plain));
    let mut c: Vec<Fr> = a.par_iter().zip(&b).map(|(x, y)| *x * y).collect();
    rayon::join(|| key.domain.to_coset(&mut a), || rayon::join(|| key.domain.to_coset(&mut b), || key.domain.to_coset(&mut c)));
    a.par_iter().zip(&b).zip(&c).map(|((x, y), z)| (*x * y - z).into_bigint().0).collect()
}
