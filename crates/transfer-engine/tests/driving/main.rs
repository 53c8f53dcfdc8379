//! The engine on SQLite over the simulator, in one process and without sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod debts;
mod endings;
mod expiry;
mod faults;
mod flow;
mod keeper;
mod logs;
mod metrics;
mod overload;
mod repairs;
mod scene;
mod take_over;
mod tokens;
