//! The functions that Python sees. Bytes in, bytes out; field elements are 32 little-endian bytes, points are EIP-197 words.
//!
//! Long work runs without the interpreter's lock. A panic, which would be a defect here, becomes a RuntimeError.

use crate::field::{element, element_bytes, limbs, Scalar};
use crate::verify::{VerifyingKey as Verifying, PROOF_BYTES};
use crate::zkey::ProvingKey as Proving;
use crate::{babyjub, pool, prove, setup};
use ark_bn254::Fr;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::prelude::*;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Runs `work` on the pool, without the interpreter's lock.
fn outside<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, String> + Send) -> PyResult<T> {
    let done = py.detach(|| catch_unwind(AssertUnwindSafe(|| pool::run(work))));
    match done {
        Ok(result) => result.map_err(PyValueError::new_err),
        Err(panic) => {
            let reason = panic.downcast_ref::<String>().cloned();
            let reason = reason.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            Err(PyRuntimeError::new_err(format!("the native core failed: {}", reason.unwrap_or_default())))
        }
    }
}

#[pyclass(frozen)]
struct ProvingKey {
    key: Proving,
    verifying: Verifying,
}

#[pymethods]
impl ProvingKey {
    /// Reads a zkey file; with `points`, checks every point as well.
    #[staticmethod]
    #[pyo3(signature = (path, sha256, points))]
    fn load(py: Python<'_>, path: String, sha256: Option<String>, points: bool) -> PyResult<Self> {
        outside(py, || {
            let key = Proving::read(&path, sha256.as_deref())?;
            if points {
                key.check_points().map_err(|message| format!("{path}: {message}"))?;
            }
            let verifying = Verifying::of(&key);
            Ok(ProvingKey { key, verifying })
        })
    }

    #[getter]
    fn sha256(&self) -> &str {
        &self.key.sha256
    }

    /// Wires, public signals, size of the domain.
    #[getter]
    fn sizes(&self) -> (usize, usize, usize) {
        (self.key.wires, self.key.public, self.key.domain.size)
    }

    #[getter]
    fn verifying_key<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.verifying.words())
    }

    /// A proof of a witness. It is verified before it is returned.
    fn prove<'py>(&self, py: Python<'py>, witness: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let words = outside(py, || {
            let values = prove::read_witness(&self.key, witness)?;
            let words = prove::prove(&self.key, &values)?.words();
            if !self.verifying.verify(&[(&witness[32..32 * (self.key.public + 1)], &words)])? {
                return Err("witness: expected one that satisfies the circuit, its proof does not verify".into());
            }
            Ok(words)
        })?;
        Ok(PyBytes::new(py, &words))
    }
}

#[pyclass(frozen)]
struct VerifyingKey {
    key: Verifying,
}

#[pymethods]
impl VerifyingKey {
    #[new]
    fn new(py: Python<'_>, words: &[u8]) -> PyResult<Self> {
        Ok(VerifyingKey { key: outside(py, || Verifying::read(words))? })
    }

    /// Whether all proofs hold; `public` has the signals of one after the other, `proofs` eight words each.
    fn verify(&self, py: Python<'_>, public: &[u8], proofs: &[u8]) -> PyResult<bool> {
        outside(py, || {
            let width = 32 * self.key.public();
            let count = proofs.len() / PROOF_BYTES;
            if proofs.len() != count * PROOF_BYTES || public.len() != count * width {
                return Err(format!(
                    "proofs: expected {PROOF_BYTES} bytes and {width} of public signals each, got {} and {}",
                    proofs.len(),
                    public.len()
                ));
            }
            let batch: Vec<_> = (0..count)
                .map(|i| (&public[i * width..(i + 1) * width], &proofs[i * PROOF_BYTES..(i + 1) * PROOF_BYTES]))
                .collect();
            self.key.verify(&batch)
        })
    }
}

/// Makes a development key; returns the verifying key's words.
#[pyfunction]
fn make_key<'py>(py: Python<'py>, r1cs: String, zkey: String) -> PyResult<Bound<'py, PyBytes>> {
    let words = outside(py, || setup::make_key(&r1cs, &zkey))?;
    Ok(PyBytes::new(py, &words))
}

/// Elements of 32 bytes; an error names the first that is not below the field's order.
fn elements(name: &str, bytes: &[u8]) -> Result<Vec<Fr>, String> {
    if !bytes.len().is_multiple_of(32) {
        return Err(format!("{name}: expected a multiple of 32 bytes, got {}", bytes.len()));
    }
    let parts = bytes.chunks_exact(32).enumerate();
    parts.map(|(i, part)| element(part).ok_or(format!("{name}[{i}]: expected a field element (0 to r-1)"))).collect()
}

fn scalars(name: &str, bytes: &[u8], count: usize) -> Result<Vec<Scalar>, String> {
    if bytes.len() != 32 * count {
        return Err(format!("{name}: expected {count} of 32 bytes, got {} bytes", bytes.len()));
    }
    Ok(bytes.chunks_exact(32).map(limbs).collect())
}

fn pairs(name: &str, bytes: &[u8], count: usize) -> Result<Vec<(Fr, Fr)>, String> {
    let values = elements(name, bytes)?;
    if values.len() != 2 * count {
        return Err(format!("{name}: expected {count} of 64 bytes, got {} bytes", bytes.len()));
    }
    Ok(values.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Poseidon of every `width` elements.
#[pyfunction]
fn poseidon<'py>(py: Python<'py>, inputs: &[u8], width: usize) -> PyResult<Bound<'py, PyBytes>> {
    let hashes = outside(py, || {
        if !(1..=crate::poseidon::MAX_INPUTS).contains(&width) || !inputs.len().is_multiple_of(32 * width) {
            return Err(format!("inputs: expected 1 to 16 elements of 32 bytes a hash, got {} bytes", inputs.len()));
        }
        let values = elements("inputs", inputs)?;
        Ok(values.par_chunks(width).flat_map_iter(|row| element_bytes(&crate::poseidon::poseidon(row))).collect::<Vec<u8>>())
    })?;
    Ok(PyBytes::new(py, &hashes))
}

/// Public keys of secret scalars.
#[pyfunction]
fn public_keys<'py>(py: Python<'py>, secrets: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let keys = outside(py, || {
        let secrets = scalars("scalars", secrets, secrets.len() / 32)?;
        let points: Vec<_> = secrets.par_iter().map(babyjub::public).collect();
        Ok(points.iter().flat_map(|(x, y)| [element_bytes(x), element_bytes(y)].concat()).collect::<Vec<u8>>())
    })?;
    Ok(PyBytes::new(py, &keys))
}

/// Signatures R8.x, R8.y, S: 96 bytes each.
#[pyfunction]
fn sign<'py>(py: Python<'py>, secrets: &[u8], nonces: &[u8], keys: &[u8], messages: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let signatures = outside(py, || {
        let messages = elements("messages", messages)?;
        let count = messages.len();
        let (secrets, nonces) = (scalars("scalars", secrets, count)?, scalars("nonces", nonces, count)?);
        let keys = pairs("keys", keys, count)?;
        let one = |i: usize| {
            let (x, y, s) = babyjub::sign(&secrets[i], &nonces[i], keys[i], messages[i]);
            [element_bytes(&x), element_bytes(&y), element_bytes(&s)].concat()
        };
        Ok((0..count).into_par_iter().flat_map_iter(one).collect::<Vec<u8>>())
    })?;
    Ok(PyBytes::new(py, &signatures))
}

/// A byte 1 for every signature that holds, 0 for every other.
#[pyfunction]
fn verify_signatures<'py>(py: Python<'py>, keys: &[u8], messages: &[u8], signatures: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    let verdicts = outside(py, || {
        let count = messages.len() / 32;
        if messages.len() != 32 * count || keys.len() != 64 * count || signatures.len() != 96 * count {
            return Err(format!(
                "signatures: expected 64 bytes of key, 32 of message and 96 of signature each, got {}, {} and {}",
                keys.len(),
                messages.len(),
                signatures.len()
            ));
        }
        let good = |i: usize| {
            let at = |bytes: &[u8], start: usize| element::<Fr>(&bytes[start..start + 32]);
            let key = (at(keys, 64 * i)?, at(keys, 64 * i + 32)?);
            let r8 = (at(signatures, 96 * i)?, at(signatures, 96 * i + 32)?);
            let s = limbs(&signatures[96 * i + 64..96 * i + 96]);
            Some(babyjub::verify(key, at(messages, 32 * i)?, r8, &s))
        };
        Ok((0..count).into_par_iter().map(|i| good(i).unwrap_or(false) as u8).collect::<Vec<u8>>())
    })?;
    Ok(PyBytes::new(py, &verdicts))
}

#[pymodule]
fn wattproof_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<ProvingKey>()?;
    module.add_class::<VerifyingKey>()?;
    module.add_function(wrap_pyfunction!(make_key, module)?)?;
    module.add_function(wrap_pyfunction!(poseidon, module)?)?;
    module.add_function(wrap_pyfunction!(public_keys, module)?)?;
    module.add_function(wrap_pyfunction!(sign, module)?)?;
    module.add_function(wrap_pyfunction!(verify_signatures, module)?)
}
