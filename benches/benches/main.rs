//! What each part costs, from one step of the protocol to ten thousand volumes.
//!
//! Everything runs in one process, and the key manager is the simulator. `cargo xtask bench` makes
//! `docs/benchmarks.md` of it. As a test (`cargo test -p benches --bench all`) each runs once, and
//! small.

mod core;
mod hand_overs;
mod key_manager;
mod model;
mod stack;
mod store;

use criterion::{criterion_group, criterion_main};

/// Whether this is a test, and nothing is measured: cargo says `--bench` where something is.
fn is_quick() -> bool {
    std::env::args().all(|argument| argument != "--bench")
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
