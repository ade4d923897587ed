//! The world calls Baton: the local socket, by which other processes reach the owner of a store.

pub mod client;
pub mod local;
pub mod wire;
