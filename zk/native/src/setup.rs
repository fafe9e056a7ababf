//! A development key from a constraint system and a random secret: the same formulas and file as zk/development.py.
//!
//! The secret and everything that it could be computed from is overwritten before this returns.

use crate::fft::{powers, root_of_unity};
use crate::field::{limbs, random_nonzero};
use crate::verify::VerifyingKey;
use ark_bn254::{Fq, Fr, G1Affine, G1Projective, G2Affine, G2Projective};
use ark_ec::scalar_mul::BatchMulPreprocessing;
use ark_ec::PrimeGroup;
use ark_ff::{batch_inversion, BigInt, BigInteger, Field, One, PrimeField, Zero};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use zeroize::{Zeroize, Zeroizing};

type Term = (u32, Fr);

/// A constraint system in iden3's r1cs format.
struct System {
    wires: usize,
    public: usize,
    constraints: Vec<[Vec<Term>; 3]>,
}

/// Makes the key of the system in `r1cs` and writes it to `zkey`; returns the verifying key's words.
pub fn make_key(r1cs: &str, zkey: &str) -> Result<Vec<u8>, String> {
    let content = std::fs::read(r1cs).map_err(|error| format!("{r1cs}: {error}"))?;
    let system = parse(&content).ok_or(format!("{r1cs}: not a whole constraint system over BN254"))?;
    drop(content);
    let public = system.public + 1;
    let count = system.constraints.len();
    let bits = usize::BITS - (count + system.public).leading_zeros();
    let size = 1usize << bits;
    let [alpha, beta, delta, tau] = [(); 4].map(|_| random_nonzero().map(Zeroizing::new));
    let (alpha, beta, delta, tau) = (alpha?, beta?, delta?, tau?);
    let by_delta = Zeroizing::new(delta.inverse().expect("not zero"));

    let basis = Zeroizing::new(lagrange(bits, *tau));
    let mut a = Zeroizing::new(vec![Fr::zero(); system.wires]);
    let mut b = a.clone();
    let mut combined = a.clone();
    let mut coefficients = Coefficients::default();
    for (row, (terms, at)) in system.constraints.iter().zip(basis.iter()).enumerate() {
        for (matrix, values) in [&mut a, &mut b, &mut combined].into_iter().enumerate() {
            for (wire, value) in &terms[matrix] {
                values[*wire as usize] += if value.is_one() { *at } else { *value * at };
                if matrix < 2 {
                    coefficients.push(matrix as u32, row as u32, *wire, value);
                }
            }
        }
    }
    // One more row for each public signal, so that their polynomials are independent.
    for wire in 0..public {
        a[wire] += basis[count + wire];
        coefficients.push(0, (count + wire) as u32, wire as u32, &Fr::one());
    }
    for (sum, (x, y)) in combined.iter_mut().zip(a.iter().zip(b.iter())) {
        *sum += *beta * x + *alpha * y;
    }
    for value in &mut combined[public..] {
        *value *= *by_delta;
    }
    // The quotient is given by its values on the odd half of the domain of twice the size.
    let mut quotient = Zeroizing::new(lagrange(bits + 1, *tau));
    for i in 0..size {
        quotient[i] = quotient[2 * i + 1] * *by_delta;
    }
    quotient[size..].iter_mut().for_each(Zeroize::zeroize);

    let table = BatchMulPreprocessing::new(G1Projective::generator(), 4 * system.wires);
    let first = |scalars: &[Fr]| table.batch_mul(scalars);
    let table2 = BatchMulPreprocessing::new(G2Projective::generator(), system.wires);
    let fixed1 = first(&[*alpha, *beta, *delta]);
    let fixed2 = table2.batch_mul(&[*beta, Fr::one(), *delta]);
    let ic = first(&combined[..public]);

    let mut header = Vec::new();
    header.extend(32u32.to_le_bytes());
    header.extend(Fq::MODULUS.to_bytes_le());
    header.extend(32u32.to_le_bytes());
    header.extend(Fr::MODULUS.to_bytes_le());
    for value in [system.wires, system.public, size] {
        header.extend((value as u32).to_le_bytes());
    }
    header.extend([g1_stored(&fixed1[0]), g1_stored(&fixed1[1])].concat());
    header.extend([g2_stored(&fixed2[0]), g2_stored(&fixed2[1])].concat());
    header.extend([g1_stored(&fixed1[2]), g2_stored(&fixed2[2])].concat());

    let write = || -> std::io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(zkey)?);
        file.write_all(b"zkey")?;
        file.write_all(&1u32.to_le_bytes())?;
        file.write_all(&10u32.to_le_bytes())?;
        let mut section = |number: u32, content: &[u8]| -> std::io::Result<()> {
            file.write_all(&number.to_le_bytes())?;
            file.write_all(&(content.len() as u64).to_le_bytes())?;
            file.write_all(content)
        };
        section(1, &1u32.to_le_bytes())?;
        section(2, &header)?;
        section(3, &concat(&ic, g1_stored))?;
        section(4, &coefficients.section())?;
        section(5, &concat(&first(&a), g1_stored))?;
        section(6, &concat(&first(&b), g1_stored))?;
        section(7, &concat(&table2.batch_mul(&b), g2_stored))?;
        section(8, &concat(&first(&combined[public..]), g1_stored))?;
        section(9, &concat(&first(&quotient[..size]), g1_stored))?;
        // No contributions: a hash of nothing and a count of zero.
        section(10, &[0; 68])?;
        file.into_inner()?.sync_all()
    };
    write().map_err(|error| format!("{zkey}: {error}"))?;
    Ok(VerifyingKey::from_points(fixed1[0], fixed2[0], fixed2[1], fixed2[2], ic).words())
}

/// Section 4 as it is written: values in Montgomery form twice over.
#[derive(Default)]
struct Coefficients {
    count: u32,
    bytes: Vec<u8>,
    stored: HashMap<Fr, [u8; 32]>,
}

impl Coefficients {
    fn push(&mut self, matrix: u32, row: u32, wire: u32, value: &Fr) {
        for number in [matrix, row, wire] {
            self.bytes.extend(number.to_le_bytes());
        }
        // The element that holds `value * 2^256` holds it once in Montgomery form; its inner limbs are the second time.
        let stored = self.stored.entry(*value).or_insert_with(|| stored(&(*value * Fr::new_unchecked(Fr::R2)).0));
        self.bytes.extend(*stored);
        self.count += 1;
    }

    fn section(&self) -> Vec<u8> {
        [&self.count.to_le_bytes()[..], &self.bytes].concat()
    }
}

fn stored(value: &BigInt<4>) -> [u8; 32] {
    value.to_bytes_le().try_into().expect("32 bytes")
}

fn g1_stored(point: &G1Affine) -> Vec<u8> {
    if point.infinity {
        return vec![0; 64];
    }
    [stored(&point.x.0), stored(&point.y.0)].concat()
}

fn g2_stored(point: &G2Affine) -> Vec<u8> {
    if point.infinity {
        return vec![0; 128];
    }
    [stored(&point.x.c0.0), stored(&point.x.c1.0), stored(&point.y.c0.0), stored(&point.y.c1.0)].concat()
}

fn concat<P>(points: &[P], bytes: impl Fn(&P) -> Vec<u8>) -> Vec<u8> {
    points.iter().flat_map(bytes).collect()
}

/// Values at `at` of the Lagrange polynomials of the domain of 2^bits roots.
fn lagrange(bits: u32, at: Fr) -> Vec<Fr> {
    let size = 1u64 << bits;
    let roots = powers(root_of_unity(bits), size as usize);
    let mut values: Vec<Fr> = roots.iter().map(|root| at - root).collect();
    batch_inversion(&mut values);
    let mut power = at.pow([size]);
    power -= Fr::one();
    let mut factor = power * Fr::from(size).inverse().expect("not zero");
    for (value, root) in values.iter_mut().zip(&roots) {
        *value *= *root * factor;
    }
    factor.zeroize();
    power.zeroize();
    values
}

fn parse(content: &[u8]) -> Option<System> {
    let number = |data: &[u8], at: usize| Some(u32::from_le_bytes(data.get(at..at + 4)?.try_into().ok()?) as usize);
    if content.get(..4)? != b"r1cs" {
        return None;
    }
    let mut sections: HashMap<usize, &[u8]> = HashMap::new();
    let mut at = 12usize;
    for _ in 0..number(content, 8)? {
        let size = u64::from_le_bytes(content.get(at + 4..at + 12)?.try_into().ok()?) as usize;
        let end = (at + 12).checked_add(size)?;
        sections.insert(number(content, at)?, content.get(at + 12..end)?);
        at = end;
    }
    let header = sections.get(&1)?;
    if number(header, 0)? != 32 || limbs(header.get(4..36)?) != Fr::MODULUS.0 {
        return None;
    }
    let [wires, outputs, inputs] = [36, 40, 44].map(|at| number(header, at));
    let (wires, public) = (wires?, outputs? + inputs?);
    let count = number(header, 60)?;
    let data = sections.get(&2)?;
    let mut at = 0;
    let mut constraints = Vec::with_capacity(count.min(data.len() / 12));
    for _ in 0..count {
        let mut row: [Vec<Term>; 3] = Default::default();
        for terms in &mut row {
            let length = number(data, at)?;
            let body = data.get(at + 4..(at + 4).checked_add(length.checked_mul(36)?)?)?;
            at += 4 + body.len();
            for entry in body.chunks_exact(36) {
                let wire = u32::from_le_bytes(entry[..4].try_into().ok()?);
                let value = Fr::from_bigint(BigInt::new(limbs(&entry[4..])))?;
                if wire as usize >= wires {
                    return None;
                }
                terms.push((wire, value));
            }
        }
        constraints.push(row);
    }
    (public < wires).then_some(System { wires, public, constraints })
}
