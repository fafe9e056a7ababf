//! The Poseidon hash over BN254's scalar field, equal to circomlib's and to zk/poseidon.py, which explains it.

use ark_bn254::Fr;
use ark_ff::{BigInt, BigInteger, Field, PrimeField, Zero};
use std::sync::OnceLock;

pub const MAX_INPUTS: usize = 16;
const BITS: u32 = 254;
const FULL_ROUNDS: usize = 8;
const PARTIAL_ROUNDS: [usize; MAX_INPUTS] = [56, 57, 56, 60, 60, 63, 64, 63, 60, 66, 60, 65, 70, 60, 64, 68];

struct Parameters {
    /// A row of `width` constants per round.
    constants: Vec<Fr>,
    /// By rows.
    matrix: Vec<Fr>,
}

/// Poseidon of 1 to 16 elements.
pub fn poseidon(inputs: &[Fr]) -> Fr {
    static PARAMETERS: [OnceLock<Parameters>; MAX_INPUTS] = [const { OnceLock::new() }; MAX_INPUTS];
    let width = inputs.len() + 1;
    let partial = PARTIAL_ROUNDS[width - 2];
    let parameters = PARAMETERS[width - 2].get_or_init(|| generate(width, partial));
    let mut state = [Fr::zero(); MAX_INPUTS + 1];
    state[1..width].copy_from_slice(inputs);
    let mut next = state;
    for (round, constants) in parameters.constants.chunks_exact(width).enumerate() {
        for (value, constant) in state.iter_mut().zip(constants) {
            *value += constant;
        }
        let full = round < FULL_ROUNDS / 2 || round >= FULL_ROUNDS / 2 + partial;
        for value in &mut state[..if full { width } else { 1 }] {
            *value *= value.square().square();
        }
        for (value, row) in next.iter_mut().zip(parameters.matrix.chunks_exact(width)) {
            *value = row.iter().zip(&state).map(|(m, x)| *m * x).sum();
        }
        std::mem::swap(&mut state, &mut next);
    }
    state[0]
}

/// Constants and Cauchy matrix from one stream of the Grain generator.
fn generate(width: usize, partial: usize) -> Parameters {
    let mut grain = Grain::new(width, partial);
    let mut constants = Vec::with_capacity((FULL_ROUNDS + partial) * width);
    while constants.len() < constants.capacity() {
        constants.extend(Fr::from_bigint(grain.number()));
    }
    loop {
        let points: Vec<Fr> = (0..2 * width).map(|_| Fr::from_le_bytes_mod_order(&grain.number().to_bytes_le())).collect();
        let distinct = (0..points.len()).all(|i| !points[..i].contains(&points[i]));
        let sums: Vec<Fr> = points[..width].iter().flat_map(|x| points[width..].iter().map(move |y| *x + y)).collect();
        if distinct && sums.iter().all(|sum| !sum.is_zero()) {
            let matrix = sums.iter().map(|sum| sum.inverse().expect("not zero")).collect();
            return Parameters { constants, matrix };
        }
    }
}

/// The self-shrunk linear feedback register; the oldest bit is the lowest.
struct Grain(u128);

impl Grain {
    fn new(width: usize, partial: usize) -> Self {
        let mut state = 0u128;
        let mut length = 0;
        for (value, bits) in [(1u128, 2), (0, 4), (BITS as u128, 12), (width as u128, 12), (8, 10), (partial as u128, 10)] {
            for i in (0..bits).rev() {
                state |= (value >> i & 1) << length;
                length += 1;
            }
        }
        state |= ((1 << 30) - 1) << length;
        let mut grain = Grain(state);
        for _ in 0..160 {
            grain.clock();
        }
        grain
    }

    fn clock(&mut self) -> bool {
        let s = self.0;
        let bit = (s ^ s >> 13 ^ s >> 23 ^ s >> 38 ^ s >> 51 ^ s >> 62) & 1;
        self.0 = s >> 1 | bit << 79;
        bit == 1
    }

    fn bit(&mut self) -> bool {
        loop {
            let (take, bit) = (self.clock(), self.clock());
            if take {
                return bit;
            }
        }
    }

    fn number(&mut self) -> BigInt<4> {
        let mut limbs = [0u64; 4];
        for i in (0..BITS as usize).rev() {
            limbs[i / 64] |= (self.bit() as u64) << (i % 64);
        }
        BigInt::new(limbs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_value() {
        let expected = "7853200120776062878684798364095072458815029376092732009249414926327459813530";
        assert_eq!(poseidon(&[Fr::from(1u64), Fr::from(2u64)]).to_string(), expected);
    }
}
