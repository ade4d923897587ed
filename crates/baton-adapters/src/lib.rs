//! Baton calls the world: the built-in tools, confined to declared roots and hosts.
//!
//! It holds no rule about workflows, no thread pool and no store: a call comes in, a JSON value or a
//! classified failure goes out.

mod base64;
mod beneath;
mod builtin;
mod child;
mod config;
mod core;
mod csv;
mod fs;
mod git;
mod guard;
mod http;
mod schema;
mod search;
mod shell;
mod text;
mod tool;
mod walk;
mod write;

pub use builtin::{BuiltinTools, disabled};
pub use config::{HttpConfig, Limits, Permit, ShellConfig, ToolsConfig, ToolsError};
pub use guard::{GUARD_WORD, RELAY_WORD, guard_main};
