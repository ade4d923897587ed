//! Baton's engine: makes it happen, in synchronous ticks, through ports.

pub mod ports;
pub mod store;
