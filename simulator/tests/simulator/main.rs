//! The simulator as its clients see it. What the tables expect was recorded from Keystone 30 and
//! Barbican 23, the latter with either of its default policies.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;

mod barbican_acls;
mod barbican_consumers;
mod barbican_containers;
mod barbican_metadata;
mod barbican_orders;
mod barbican_policy;
mod barbican_quotas;
mod barbican_secrets;
mod console;
mod control;
mod discovery;
mod faults;
mod keystone;
mod keystone_ends;
mod keystone_keeps;
mod keystone_sweep;
mod lists;
mod policy;
mod restart;
mod scenario;
mod sockets;
