//! The service, its developer stack, its demo and its tests' stage, as a library for the binary.
//!
//! [`service`] puts the crates together into the transfer service; [`dev_stack`] puts it beside
//! the simulator in one process; [`stage`] puts it beside the simulator as a *process* that can be
//! killed, for `demo` and for the crash and race tests; [`check`] runs the model.
//!
//! Does not: hold any logic of the protocol, the API or the simulator.

pub mod audit;
pub mod bulk;
pub mod check;
pub mod clouds;
pub mod config;
pub mod demo;
pub mod dev_stack;
pub mod healthcheck;
pub mod listening;
pub mod logs;
pub mod measured;
pub mod metrics;
pub mod ready;
pub mod recover;
pub mod repair;
pub mod service;
pub mod settings;
pub mod stage;
pub mod traces;
