//! Baton's program: what the binary is made of, for itself, its tests and its benchmarks.

pub mod bench;
pub mod runtime;
