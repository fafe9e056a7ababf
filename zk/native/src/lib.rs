//! The native core of Wattproof: Groth16 over BN254 with snarkjs' keys, Poseidon and EdDSA on BabyJubJub.
//!
//! `python` is the face that zk/core.py types. Everything below it knows nothing of Python.

#[cfg(not(target_feature = "avx512ifma"))]
mod adder;
pub mod babyjub;
pub mod fft;
pub mod field;
#[cfg(target_feature = "avx512ifma")]
mod lanes;
pub mod msm;
pub mod pool;
pub mod poseidon;
pub mod prove;
pub mod setup;
pub mod verify;
pub mod zkey;

#[cfg(feature = "python")]
mod python;
