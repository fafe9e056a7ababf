//! EdDSA with Poseidon on BabyJubJub, equal to circomlib's and to zk/eddsa.py, which derives keys and nonces.

use crate::field::{reduced, Scalar};
use crate::poseidon::poseidon;
use ark_bn254::Fr;
use ark_ff::{AdditiveGroup, Field, MontConfig, MontFp, One, PrimeField, Zero};
use std::sync::OnceLock;

/// Integers modulo the prime order of the base point's subgroup.
#[derive(MontConfig)]
#[modulus = "2736030358979909402780800718157159386076813972158567259200215660948447373041"]
#[generator = "31"]
pub struct SubgroupConfig;
pub type Subgroup = ark_ff::Fp256<ark_ff::MontBackend<SubgroupConfig, 4>>;

const A: Fr = MontFp!("168700");
const D: Fr = MontFp!("168696");
const BASE: (Fr, Fr) = (
    MontFp!("5299619240641551281634865583518297030282874472190772894086521144482721001553"),
    MontFp!("16950150798460657717958625567821834550301663161624707787222815936182638968203"),
);

/// A point (X/Z, Y/Z). The addition law is complete: A is a square, D is not.
#[derive(Clone, Copy)]
pub struct Point {
    x: Fr,
    y: Fr,
    z: Fr,
}

impl Point {
    const NEUTRAL: Point = Point { x: Fr::ZERO, y: Fr::ONE, z: Fr::ONE };

    /// The point with these coordinates if it is on the curve.
    pub fn new(x: Fr, y: Fr) -> Option<Self> {
        let (x2, y2) = (x.square(), y.square());
        (A * x2 + y2 == Fr::one() + D * x2 * y2).then_some(Point { x, y, z: Fr::one() })
    }

    fn add(&self, other: &Self) -> Self {
        let z = self.z * other.z;
        let zz = z.square();
        let (x, y) = (self.x * other.x, self.y * other.y);
        let cross = (self.x + self.y) * (other.x + other.y) - x - y;
        let xy = D * x * y;
        let (minus, plus) = (zz - xy, zz + xy);
        Point { x: z * minus * cross, y: z * plus * (y - A * x), z: minus * plus }
    }

    fn multiply(&self, scalar: &Scalar) -> Self {
        let mut result = Self::NEUTRAL;
        for i in (0..256).rev() {
            result = result.add(&result);
            if scalar[i / 64] >> (i % 64) & 1 == 1 {
                result = result.add(self);
            }
        }
        result
    }

    fn equals(&self, other: &Self) -> bool {
        self.x * other.z == other.x * self.z && self.y * other.z == other.y * self.z
    }

    fn affine(&self) -> (Fr, Fr) {
        let inverse = self.z.inverse().expect("the curve has no points at infinity");
        (self.x * inverse, self.y * inverse)
    }
}

/// `scalar` times the base point: one addition a hexadecimal digit, from a table.
fn multiply_base(scalar: &Scalar) -> Point {
    static TABLE: OnceLock<Vec<[Point; 16]>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut power = Point { x: BASE.0, y: BASE.1, z: Fr::one() };
        (0..64)
            .map(|_| {
                let mut multiples = [Point::NEUTRAL; 16];
                for i in 1..16 {
                    multiples[i] = multiples[i - 1].add(&power);
                }
                power = multiples[15].add(&power);
                multiples
            })
            .collect()
    });
    let digits = scalar.iter().flat_map(|limb| (0..16).map(move |i| (limb >> (4 * i) & 15) as usize));
    digits.zip(table).fold(Point::NEUTRAL, |sum, (digit, multiples)| sum.add(&multiples[digit]))
}

/// The public key of a secret scalar.
pub fn public(scalar: &Scalar) -> (Fr, Fr) {
    multiply_base(scalar).affine()
}

/// R8.x, R8.y and S of the signature over `message`; the nonce must never serve for another message.
pub fn sign(scalar: &Scalar, nonce: &Scalar, key: (Fr, Fr), message: Fr) -> (Fr, Fr, Subgroup) {
    let (x, y) = multiply_base(nonce).affine();
    let challenge = poseidon(&[x, y, key.0, key.1, message]);
    let [challenge, scalar, nonce] = [&challenge.into_bigint().0, scalar, nonce].map(reduce);
    (x, y, nonce + Subgroup::from(8u64) * challenge * scalar)
}

/// Whether the signature is `key`'s over `message`. All coordinates are reduced already, `s` may be anything.
pub fn verify(key: (Fr, Fr), message: Fr, r8: (Fr, Fr), s: &Scalar) -> bool {
    if !reduced::<Subgroup>(s) {
        return false;
    }
    let (Some(point), Some(start)) = (Point::new(key.0, key.1), Point::new(r8.0, r8.1)) else {
        return false;
    };
    let eight = point.multiply(&[8, 0, 0, 0]);
    if eight.x.is_zero() {
        return false;
    }
    let challenge = poseidon(&[r8.0, r8.1, key.0, key.1, message]);
    multiply_base(s).equals(&start.add(&eight.multiply(&challenge.into_bigint().0)))
}

fn reduce(value: &Scalar) -> Subgroup {
    let bytes: Vec<u8> = value.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    Subgroup::from_le_bytes_mod_order(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ark_ff::BigInt;

    #[test]
    fn a_signature_is_of_one_key_and_one_message() {
        let (secret, message) = ([5, 6, 7, 8], Fr::from(77u64));
        let key = public(&secret);
        let (x, y, s) = sign(&secret, &[1, 2, 3, 4], key, message);
        let s = s.into_bigint().0;
        assert!(verify(key, message, (x, y), &s));
        assert!(!verify(key, message + Fr::one(), (x, y), &s));
        assert!(!verify(public(&[9, 0, 0, 0]), message, (x, y), &s));
        assert!(!verify(key, message, (-x, y), &s));
        let mut beyond = Subgroup::MODULUS;
        ark_ff::BigInteger::add_with_carry(&mut beyond, &BigInt::new(s));
        assert!(!verify(key, message, (x, y), &beyond.0));
    }
}
