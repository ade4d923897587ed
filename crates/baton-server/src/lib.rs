//! The world calls Baton: the HTTP API, the pages, and the local socket, by which other processes of this
//! machine reach the owner of a store.

pub mod client;
pub mod http;
pub mod local;
mod pages;
pub mod secret;
pub mod wire;
