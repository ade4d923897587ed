//! Baton calls the world: the built-in tools, confined to declared roots and hosts.
//!
//! It holds no rule about workflows, no thread pool and no store: a call comes in, a JSON value or a
//! classified failure goes out.

#![allow(dead_code, reason = "the writing tools follow")]

mod base64;
mod beneath;
mod builtin;
mod child;
mod config;
mod core;
mod fs;
mod git;
mod guard;
mod schema;
mod search;
mod text;
mod tool;
mod walk;

pub use builtin::{BuiltinTools, disabled};
pub use config::{HttpConfig, Limits, Permit, ShellConfig, ToolsConfig, ToolsError};
pub use guard::{GUARD_WORD, guard_main};
