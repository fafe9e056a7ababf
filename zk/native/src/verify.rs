//! Verifying proofs, one or many with a common key in one product of pairings.

use crate::field::{element, g1_words, g2_words, random_scalar, read_g1, read_g2};
use crate::prove::Proof;
use crate::zkey::ProvingKey;
use ark_bn254::{Bn254, Fr, G1Affine, G1Projective, G2Affine};
use ark_ec::pairing::Pairing;
use ark_ec::{AffineRepr, CurveGroup};
use ark_ff::{BigInt, PrimeField, Zero};

pub struct VerifyingKey {
    alpha: G1Affine,
    beta: G2Affine,
    gamma: G2Affine,
    delta: G2Affine,
    ic: Vec<G1Affine>,
}

/// Bytes of a proof's eight words.
pub const PROOF_BYTES: usize = 256;
const FIXED_BYTES: usize = 64 + 3 * 128;

impl VerifyingKey {
    /// From words in the contracts' order: alpha, beta, gamma, delta, then the points of 1 and the public signals.
    pub fn read(words: &[u8]) -> Result<Self, String> {
        if words.len() < FIXED_BYTES + 64 || !(words.len() - FIXED_BYTES).is_multiple_of(64) {
            return Err(format!("verifying key: expected 14 words and two a point, got {} bytes", words.len()));
        }
        let second = |name: &str, at: usize| {
            read_g2(&words[at..at + 128])
                .filter(|point| !point.infinity)
                .ok_or(format!("verifying key: {name}: expected a point of G2 other than the neutral element"))
        };
        let mut ic = Vec::new();
        for (i, part) in words[FIXED_BYTES..].chunks_exact(64).enumerate() {
            ic.push(read_g1(part).ok_or(format!("verifying key: IC[{i}]: expected a point of G1"))?);
        }
        let alpha = read_g1(words)
            .filter(|point| !point.infinity)
            .ok_or("verifying key: alpha: expected a point of G1 other than the neutral element")?;
        Ok(VerifyingKey { alpha, beta: second("beta", 64)?, gamma: second("gamma", 192)?, delta: second("delta", 320)?, ic })
    }

    /// From points that are known to lie in their groups.
    pub fn from_points(alpha: G1Affine, beta: G2Affine, gamma: G2Affine, delta: G2Affine, ic: Vec<G1Affine>) -> Self {
        VerifyingKey { alpha, beta, gamma, delta, ic }
    }

    /// The part of a proving key that verifies.
    pub fn of(key: &ProvingKey) -> Self {
        Self::from_points(key.alpha1, key.beta2, key.gamma2, key.delta2, key.ic.clone())
    }

    pub fn words(&self) -> Vec<u8> {
        let mut out = g1_words(&self.alpha);
        for point in [&self.beta, &self.gamma, &self.delta] {
            out.extend(g2_words(point));
        }
        self.ic.iter().for_each(|point| out.extend(g1_words(point)));
        out
    }

    /// Number of public signals.
    pub fn public(&self) -> usize {
        self.ic.len() - 1
    }

    /// The point that stands for public signals, 32 little-endian bytes each; none if one is not reduced.
    fn signals(&self, public: &[u8]) -> Option<G1Projective> {
        if public.len() != 32 * self.public() {
            return None;
        }
        let mut total = self.ic[0].into_group();
        for (point, value) in self.ic[1..].iter().zip(public.chunks_exact(32)) {
            total += *point * element::<Fr>(value)?;
        }
        Some(total)
    }

    /// Whether every proof shows its public signals: one product of pairings for all, each proof times a random number of 128
    /// bits, so that wrong proofs cancel each other with a chance of 2^-128.
    pub fn verify(&self, batch: &[(&[u8], &[u8])]) -> Result<bool, String> {
        let mut firsts: Vec<G1Affine> = Vec::new();
        let mut seconds: Vec<G2Affine> = Vec::new();
        let (mut signals, mut c, mut weights) = (G1Projective::zero(), G1Projective::zero(), Fr::zero());
        for (i, (public, proof)) in batch.iter().enumerate() {
            let (Some(point), Some(proof)) = (self.signals(public), read_proof(proof)) else {
                return Ok(false);
            };
            let weight = if i == 0 { Fr::from(1u64) } else { half(random_scalar()?) };
            firsts.push((-(proof.a * weight)).into_affine());
            seconds.push(proof.b);
            signals += point * weight;
            c += proof.c * weight;
            weights += weight;
        }
        firsts.extend(G1Projective::normalize_batch(&[self.alpha * weights, signals, c]));
        seconds.extend([self.beta, self.gamma, self.delta]);
        Ok(Bn254::multi_pairing(firsts, seconds).is_zero())
    }
}

/// The low 128 bits.
fn half(value: Fr) -> Fr {
    let [low, high, ..] = value.into_bigint().0;
    Fr::from_bigint(BigInt::new([low, high, 0, 0])).expect("128 bits are below the order")
}

/// The proof behind eight words, if its points lie in their groups.
fn read_proof(bytes: &[u8]) -> Option<Proof> {
    if bytes.len() != PROOF_BYTES {
        return None;
    }
    Some(Proof { a: read_g1(&bytes[..64])?, b: read_g2(&bytes[64..192])?, c: read_g1(&bytes[192..])? })
}
