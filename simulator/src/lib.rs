//! Keystone, Barbican and a small block storage for developers, with faults on demand.
//!
//! One [`Simulator`] is one cloud: its users, tokens, secrets and orders, the rules by which its
//! services fail ([`faults`]) and the log of what they were asked ([`events`]); all of that over
//! HTTP, too, and on a page, where [`Config::control`] asks for it. The services are
//! tower services for use within a process, or are put on a socket by [`server`]. Status codes and
//! wording are those of Keystone 30 and Barbican 23 under either of Barbican's default policies.
//!
//! It shares no code with our clients, so that it cannot share their mistakes. It keeps no secret
//! safe: everything in it is there to be looked at, except in logs and `Debug` output.

mod authtoken;
mod barbican;
mod block_storage;
mod clock;
mod console;
mod control;
mod draws;
mod identity;
mod key_manager;
mod keystone;
mod payload;
mod pyrepr;
mod query;
mod routes;
mod simulator;
mod state;
mod world;

pub mod events;
pub mod faults;
pub mod server;

pub use barbican::{BarbicanPolicy, UnknownPolicy};
pub use clock::Clock;
pub use key_manager::SecretView;
pub use simulator::{Checkpoint, Config, Control, Simulator, Urls};
pub use state::StateFileError;

/// A simulated service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Identity.
    Keystone,
    /// Key manager.
    Barbican,
    /// Cinder.
    BlockStorage,
}

/// The page for those who want the simulator alone: its example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
