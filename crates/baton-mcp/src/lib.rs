//! Baton calls the world: tools of MCP servers. It decides nothing about when they are called.
