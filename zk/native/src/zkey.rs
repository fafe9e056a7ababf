//! A proving key in snarkjs' file format (see zk/zkey.py), read in one pass over the file and hashed on the way.
//!
//! Points are taken as they lie in the file, in Montgomery form. Sizes and indices are always checked, the points themselves
//! by `ProvingKey::check_points`, which takes longer and need be done once for a content.

use crate::fft::{Domain, TWO_ADICITY};
use crate::field::{limbs, reduced};
use crate::msm::{Bases, Point};
use ark_bn254::{Fq, Fq2, Fr, G1Affine, G2Affine};
use ark_ff::{BigInt, PrimeField, Zero};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

pub const NAMES: [&str; 11] = [
    "",
    "protocol",
    "header",
    "points of the public signals",
    "coefficients",
    "points A",
    "points B1",
    "points B2",
    "points C",
    "points H",
    "contributions",
];
const HEADER_BYTES: u64 = 4 + 32 + 4 + 32 + 12 + 3 * 64 + 3 * 128;
const COEFFICIENT_BYTES: u64 = 44;

/// The rows of A or B: row i has the terms from `starts[i]` to `starts[i + 1]`.
#[derive(Default)]
pub struct Matrix {
    pub starts: Vec<u32>,
    /// Wire, and position of the coefficient in `ProvingKey::values`.
    pub terms: Vec<(u32, u32)>,
}

pub struct ProvingKey {
    pub sha256: String,
    pub wires: usize,
    pub public: usize,
    pub domain: Domain,
    pub alpha1: G1Affine,
    pub beta1: G1Affine,
    pub beta2: G2Affine,
    pub gamma2: G2Affine,
    pub delta1: G1Affine,
    pub delta2: G2Affine,
    pub ic: Vec<G1Affine>,
    pub a: Bases<Fq>,
    pub b1: Bases<Fq>,
    pub b2: Bases<Fq2>,
    pub c: Bases<Fq>,
    pub h: Bases<Fq>,
    pub left: Matrix,
    pub right: Matrix,
    /// The different coefficients, times 2^512: multiplied in Montgomery form by a plain integer they give Montgomery form.
    pub values: Vec<Fr>,
}

/// Coordinates of points as the file holds them.
trait Coordinate: Copy + Send {
    const BYTES: usize;
    fn stored(bytes: &[u8]) -> Self;
}

impl Coordinate for Fq {
    const BYTES: usize = 32;
    fn stored(bytes: &[u8]) -> Self {
        Fq::new_unchecked(BigInt::new(limbs(bytes)))
    }
}

impl Coordinate for Fq2 {
    const BYTES: usize = 64;
    fn stored(bytes: &[u8]) -> Self {
        Fq2::new(Fq::stored(&bytes[..32]), Fq::stored(&bytes[32..]))
    }
}

fn points<F: Coordinate>(bytes: &[u8]) -> Vec<Point<F>> {
    let point = |part: &[u8]| Point { x: F::stored(&part[..F::BYTES]), y: F::stored(&part[F::BYTES..]) };
    bytes.chunks_exact(2 * F::BYTES).map(point).collect()
}

fn g1(bytes: &[u8]) -> G1Affine {
    points::<Fq>(bytes)[0].to_affine()
}

fn g2(bytes: &[u8]) -> G2Affine {
    points::<Fq2>(bytes)[0].to_affine()
}

struct Reader<'a> {
    path: &'a str,
    file: File,
    hash: Sha256,
    at: u64,
    total: u64,
}

impl Reader<'_> {
    fn read(&mut self, size: u64) -> Result<Vec<u8>, String> {
        if self.total - self.at < size {
            return Err(format!("expected {size} bytes, the file ends after {}", self.total - self.at));
        }
        let mut content = vec![0; size as usize];
        // In pieces, so that what is hashed is still in the cache.
        for piece in content.chunks_mut(1 << 18) {
            self.file.read_exact(piece).map_err(|error| error.to_string())?;
            self.hash.update(&*piece);
        }
        self.at += size;
        Ok(content)
    }

    fn integer<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], String> {
        Ok(self.read(BYTES as u64)?.try_into().expect("as many bytes as asked for"))
    }

    fn fail(&self, number: usize, message: String) -> String {
        format!("{}: section {number} ({}): {message}", self.path, NAMES[number])
    }
}

impl ProvingKey {
    /// Reads and checks everything but the points. `sha256`, where given, must be the content's.
    pub fn read(path: &str, sha256: Option<&str>) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| format!("{path}: {error}"))?;
        let total = file.metadata().map_err(|error| format!("{path}: {error}"))?.len();
        let mut reader = Reader { path, file, hash: Sha256::new(), at: 0, total };
        let start: [u8; 12] = reader.integer().map_err(|_| format!("{path}: not a zkey file"))?;
        if &start[..4] != b"zkey" || u32_at(&start, 4) != 1 {
            return Err(format!("{path}: not a zkey file of version 1"));
        }
        // Section 4 is turned into rows at once, all others are kept as they are.
        let mut content: Vec<Option<Vec<u8>>> = vec![None; NAMES.len()];
        for _ in 0..u32_at(&start, 8) {
            let missing = (1..NAMES.len()).find(|&number| content[number].is_none()).unwrap_or(10);
            let head: [u8; 12] = reader.integer().map_err(|_| reader_end(path, missing, total))?;
            let number = u32_at(&head, 0) as usize;
            let size = u64::from_le_bytes(head[4..].try_into().expect("eight bytes"));
            if number == 0 || number >= NAMES.len() || content[number].is_some() {
                return Err(format!("{path}: section {number}: unknown or there twice"));
            }
            let data = reader.read(size).map_err(|message| reader.fail(number, message))?;
            content[number] = Some(data);
        }
        if reader.at != total {
            return Err(format!("{path}: expected {} bytes, got {total}", reader.at));
        }
        let found = reader.hash.finalize_reset().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        if let Some(expected) = sha256.filter(|expected| *expected != found) {
            return Err(format!("{path}: expected SHA-256 {expected}, got {found}"));
        }
        for number in 1..NAMES.len() {
            if content[number].is_none() {
                return Err(format!("{path}: section {number} ({}) is missing", NAMES[number]));
            }
        }
        Self::from_sections(&reader, found, content.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn from_sections(reader: &Reader, sha256: String, mut content: Vec<Vec<u8>>) -> Result<Self, String> {
        let fail = |number: usize, message: String| Err(reader.fail(number, message));
        if content[1] != 1u32.to_le_bytes() {
            return fail(1, "expected Groth16".into());
        }
        let header = std::mem::take(&mut content[2]);
        if header.len() as u64 != HEADER_BYTES {
            return fail(2, format!("expected {HEADER_BYTES} bytes, got {}", header.len()));
        }
        if limbs(&header[4..36]) != Fq::MODULUS.0 || limbs(&header[40..72]) != Fr::MODULUS.0 {
            return fail(2, "expected the fields of BN254".into());
        }
        let [wires, public, size] = [72, 76, 80].map(|at| u32_at(&header, at) as usize);
        if !size.is_power_of_two() || !(2..=1 << TWO_ADICITY).contains(&size) {
            return fail(2, format!("expected a domain that is a power of two up to 2^{TWO_ADICITY}, got {size}"));
        }
        if wires <= public || public >= size || wires > u32::MAX as usize / 2 {
            return fail(2, format!("expected more wires than public signals, got {wires} and {public}"));
        }
        let lengths = [
            (3, 64 * (public + 1)),
            (5, 64 * wires),
            (6, 64 * wires),
            (7, 128 * wires),
            (8, 64 * (wires - public - 1)),
            (9, 64 * size),
        ];
        for (number, length) in lengths {
            if content[number].len() != length {
                return fail(number, format!("expected {length} bytes, got {}", content[number].len()));
            }
        }
        for number in [3, 5, 6, 7, 8, 9] {
            if !content[number].par_chunks_exact(32).all(|part| reduced::<Fq>(&limbs(part))) {
                return fail(number, "expected coordinates below the field's order, one is beyond it".into());
            }
        }
        if !header[84..].chunks_exact(32).all(|part| reduced::<Fq>(&limbs(part))) {
            return fail(2, "expected coordinates below the field's order, one is beyond it".into());
        }
        let (left, right, values) = matrices(&content[4], wires, size).map_err(|message| reader.fail(4, message))?;
        let fixed = &header[84..];
        let mut taken = |number: usize| std::mem::take(&mut content[number]);
        let sections = [taken(5), taken(6), taken(8), taken(9)];
        let b2 = taken(7);
        let firsts = [0, 0, public as u32 + 1, 0];
        let ((bases, b2), domain): ((Vec<Bases<Fq>>, _), _) = rayon::join(
            || {
                rayon::join(
                    || sections.into_par_iter().zip(firsts).map(|(data, first)| Bases::new(&points(&data), first)).collect(),
                    || Bases::new(&points(&b2), 0),
                )
            },
            || Domain::new(size.trailing_zeros()),
        );
        let mut bases = bases.into_iter();
        let mut next = || bases.next().expect("four sets of points");
        Ok(ProvingKey {
            sha256,
            wires,
            public,
            domain,
            alpha1: g1(&fixed[..64]),
            beta1: g1(&fixed[64..128]),
            beta2: g2(&fixed[128..256]),
            gamma2: g2(&fixed[256..384]),
            delta1: g1(&fixed[384..448]),
            delta2: g2(&fixed[448..576]),
            ic: points::<Fq>(&content[3]).into_iter().map(Point::to_affine).collect(),
            a: next(),
            b1: next(),
            b2,
            c: next(),
            h: next(),
            left,
            right,
            values,
        })
    }

    /// Checks that every point is reduced, on its curve and in the subgroup of prime order.
    pub fn check_points(&self) -> Result<(), String> {
        let good1 = |p: &Point<Fq>| p.to_affine::<ark_bn254::g1::Config>().is_on_curve();
        let good2 = |p: &Point<Fq2>| {
            let affine = p.to_affine::<ark_bn254::g2::Config>();
            affine.is_on_curve() && affine.is_in_correct_subgroup_assuming_on_curve()
        };
        let fixed1: Vec<_> = [self.alpha1, self.beta1, self.delta1].map(|p| Point { x: p.x, y: p.y }).into();
        let ic: Vec<_> = self.ic.iter().filter(|p| !p.infinity).map(|p| Point { x: p.x, y: p.y }).collect();
        for (number, points) in [
            (2, &fixed1[..]),
            (3, &ic),
            (5, &self.a.points()),
            (6, &self.b1.points()),
            (8, &self.c.points()),
            (9, &self.h.points()),
        ] {
            if !points.par_iter().all(good1) {
                return Err(format!("section {number} ({}): expected points of G1, one is not on the curve", NAMES[number]));
            }
        }
        let fixed2: Vec<_> = [self.beta2, self.gamma2, self.delta2].map(|p| Point { x: p.x, y: p.y }).into();
        for (number, points) in [(2, &fixed2[..]), (7, &self.b2.points())] {
            if !points.par_iter().all(good2) {
                return Err(format!("section {number} ({}): expected points of G2, one is not in the group", NAMES[number]));
            }
        }
        Ok(())
    }
}

fn reader_end(path: &str, number: usize, total: u64) -> String {
    format!("{path}: section {number} ({}): the file ends before it, at {total} bytes", NAMES[number])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Section 4 by rows.
fn matrices(content: &[u8], wires: usize, rows: usize) -> Result<(Matrix, Matrix, Vec<Fr>), String> {
    let count = if content.len() < 4 { 0 } else { u32_at(content, 0) as u64 };
    if content.len() as u64 != 4 + count * COEFFICIENT_BYTES {
        return Err(format!("expected {} bytes, got {}", 4 + count * COEFFICIENT_BYTES, content.len()));
    }
    let entries = || content[4..].chunks_exact(COEFFICIENT_BYTES as usize);
    let mut both = [Matrix::default(), Matrix::default()];
    for matrix in &mut both {
        matrix.starts = vec![0; rows + 1];
    }
    for (i, entry) in entries().enumerate() {
        let [matrix, row, wire] = [0, 4, 8].map(|at| u32_at(entry, at) as usize);
        if matrix > 1 || row >= rows || wire >= wires {
            return Err(format!(
                "coefficient {i}: expected matrix 0 or 1, a constraint below {rows} and a wire below {wires}, got {matrix}, {row}, {wire}"
            ));
        }
        both[matrix].starts[row + 1] += 1;
    }
    for matrix in &mut both {
        for row in 0..rows {
            matrix.starts[row + 1] += matrix.starts[row];
        }
        matrix.terms = vec![(0, 0); matrix.starts[rows] as usize];
    }
    let mut values = Vec::new();
    let mut known: HashMap<&[u8], u32> = HashMap::new();
    let mut next = [both[0].starts.clone(), both[1].starts.clone()];
    for (i, entry) in entries().enumerate() {
        let [matrix, row, wire] = [0, 4, 8].map(|at| u32_at(entry, at) as usize);
        let value = match known.get(&entry[12..]) {
            Some(&at) => at,
            None => {
                let stored = limbs(&entry[12..]);
                if !reduced::<Fr>(&stored) {
                    return Err(format!("coefficient {i}: expected an element of the field, got one beyond it"));
                }
                let at = values.len() as u32;
                values.push(Fr::new_unchecked(BigInt::new(stored)));
                known.insert(&entry[12..], at);
                at
            }
        };
        let slot = &mut next[matrix][row];
        both[matrix].terms[*slot as usize] = (wire as u32, value);
        *slot += 1;
    }
    let [left, right] = both;
    Ok((left, right, values))
}

impl Matrix {
    /// The rows' values for a witness in plain integers that are read as if in Montgomery form.
    pub fn times(&self, values: &[Fr], witness: &[Fr]) -> Vec<Fr> {
        self.starts
            .par_windows(2)
            .with_min_len(1 << 10)
            .map(|range| {
                self.terms[range[0] as usize..range[1] as usize]
                    .iter()
                    .map(|&(wire, value)| (witness[wire as usize], values[value as usize]))
                    .filter(|(wire, _)| !wire.is_zero())
                    .map(|(wire, value)| wire * value)
                    .sum()
            })
            .collect()
    }
}
