//! Hostile sources.
