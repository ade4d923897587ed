//! Baton's program: what the binary is made of, for itself, its tests and its benchmarks.

pub mod admin;
mod agents;
pub mod bench;
mod catalog;
pub mod chaos;
pub mod cli;
pub mod commands;
pub mod config;
mod definitions;
mod descriptors;
pub mod display;
pub mod exit;
mod follow;
pub mod log;
mod outside;
pub mod place;
mod reading;
mod remote;
pub mod runtime;
mod session;
mod signals;
mod speaking;
mod telemetry;
pub mod text;
mod tokens;
pub mod toolbox;
pub mod web;
