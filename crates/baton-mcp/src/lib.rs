//! Baton calls the world: tools of MCP servers, and the registry of these servers.
//!
//! It decides nothing about when they are called, and keeps nothing on disk.

mod bounded;
mod call;
mod config;
mod connection;
mod elicitation;
mod output;
mod record;
mod server;
mod state;
mod tools;
mod toolset;

pub use config::{ServerConfig, ServerFault, ServersConfig, ToolConfig};
pub use connection::Guard;
pub use record::{Latencies, ServerView, Trouble};
pub use state::{Change, Lease, ServerState, ServerStatus};
pub use tools::{McpError, McpTools};
