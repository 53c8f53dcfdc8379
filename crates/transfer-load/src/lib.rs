//! What the service and `bulk` have to bear: many volumes, a client that is killed again and again,
//! more clients than a slow Barbican can serve; and what `audit` has to look through.
//!
//! Each check is a function from a plan to a [`Report`], at any size: `cargo xtask bulk`,
//! `overload` and `audit-growth` run them large, the tests of `volume-transfer` small. Service and
//! `bulk` are the shipped program, as processes; what they leave is judged by `transfer-core`'s
//! invariants, by the program's own `audit`, and by what was to come about.
//!
//! Does not: measure speed. Seconds and memory are told, and only limits that were promised judged.

pub mod audit;
pub mod bulk;
pub mod overload;

mod followed;
mod gateway;
mod ground;
mod left;

/// The most memory that the service may hold, in MiB, however much it has to do; without
/// optimisation its stacks are larger.
pub const SERVICE_MIB: f64 = if cfg!(debug_assertions) { 128.0 } else { 64.0 };

/// What it may hold besides for each client whose request it has not answered yet, in MiB.
pub const CLIENT_MIB: f64 = SERVICE_MIB / 1024.0;

/// What a check came to.
pub trait Report: serde::Serialize {
    /// What is wrong, in words; nothing if all is as it should be.
    fn findings(&self) -> &[String];
}

/// What there is to say about the service's memory, where so many clients waited at once.
fn too_much_memory(service_mib: f64, clients: usize) -> Option<String> {
    let most = SERVICE_MIB + CLIENT_MIB * clients as f64;
    (service_mib > most)
        .then(|| format!("the service held {service_mib:.1} MiB, {most:.0} at most"))
}
