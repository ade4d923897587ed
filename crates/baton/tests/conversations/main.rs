//! Conversations over HTTP, with the real binary: asked, planned, reviewed, run, followed and stopped, by
//! one and by many, and killed in between.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "clippy knows tests, not what they share, and each test file uses its part"
)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod crash;
mod following;
#[path = "../streams/listening.rs"]
mod listening;
mod many;
mod owners;
mod playbook;
#[path = "../common/server.rs"]
mod server;
