//! The block storage as Cinder's clients see it: bodies, statuses, roles, keys, quotas, faults.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod changes;
mod cloud;
mod refusals;
mod types;
mod views;
mod volumes;
