//! Providers over the network, against a local server that speaks their documented wire formats, well
//! and badly. No provider of the world is asked.

#![expect(clippy::expect_used, reason = "helpers of tests stand outside of test functions")]

mod answers;
mod connections;
mod endings;
mod failures;
mod limits;
mod requests;
mod server;
