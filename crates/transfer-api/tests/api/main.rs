//! The API on the real stack in one process: engine, SQLite, clients, and the simulator.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod cloud;
mod expiry;
mod lists;
mod logs;
mod operations;
mod outages;
mod permissions;
mod personas;
mod protocol;
mod stack;
mod upstream;
