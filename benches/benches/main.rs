//! What each part costs, from one step of the protocol to ten thousand volumes.
//!
//! Everything runs in one process, and the key manager is the simulator. With
//! `VOLUME_TRANSFER_BENCH_QUICK` set, what takes long is left out. `cargo xtask bench` makes
//! `docs/benchmarks.md` of it.

mod core;
mod hand_overs;
mod key_manager;
mod model;
mod stack;
mod store;

use criterion::{criterion_group, criterion_main};

/// Whether only what is soon done is to run.
fn is_quick() -> bool {
    std::env::var_os("VOLUME_TRANSFER_BENCH_QUICK").is_some()
}

criterion_group!(
    all,
    core::benches,
    store::benches,
    key_manager::benches,
    hand_overs::benches,
    model::benches
);
criterion_main!(all);
