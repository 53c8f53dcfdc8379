//! Fuzzing as a library: what a target does with an input, and what must come of it.
//!
//! [`run`] takes any bytes and panics when a promise is broken; `fuzz/` hands libFuzzer's
//! inputs to it, and this crate's tests the committed ones. Bytes that are no input of a target
//! (a text that is not UTF-8, for one) are passed over.
//!
//! - `hand_over` and `journal` feed the state machine of `transfer-core`, and hold it against the
//!   promises of its documentation (`promises`).
//! - `barbican` and `keystone` play any replies to the clients. An input is a text like HTTP's, so
//!   that a changed byte spoils one line and leaves the others (`message`).
//! - `api` sends any request to the service on a stack of its own; an input is a text again.
//! - `lists` asks for lists in pages, in any order and at any microversion.
//! - `simulated_barbican`, `simulated_keystone` and `control` send any requests to the simulator;
//!   `rules` reads its rules of faults and its scenarios.
//!
//! Invariants: an input reproduces its run (no clock, no number that is drawn shows in what is
//! checked); every check is shown a planted mistake in its own tests.

#![expect(clippy::unwrap_used, reason = "a finding is a panic")]

mod api;
mod barbican;
#[path = "../../transfer-api/tests/api/cloud.rs"]
mod cloud;
mod documents;
mod failures;
mod ground;
mod hand_over;
mod journal;
mod keystone;
mod lists;
mod message;
#[cfg(test)]
mod objection;
mod promises;
mod replies;
mod runtime;
mod script;
mod simulated;
mod stumbles;

/// What is done with an input.
type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus too.
const TARGETS: &[(&str, Target)] = &[
    ("hand_over", hand_over::check),
    ("journal", journal::check),
    ("barbican", barbican::check),
    ("keystone", keystone::check),
    ("api", api::check),
    ("lists", lists::check),
    ("simulated_barbican", simulated::barbican),
    ("simulated_keystone", simulated::keystone),
    ("control", simulated::control),
    ("rules", simulated::rules),
];

/// The names of the targets.
pub fn targets() -> impl Iterator<Item = &'static str> {
    TARGETS.iter().map(|(name, _)| *name)
}

/// Hands an input to a target.
///
/// # Panics
/// When a promise is broken, and when there is no such target.
pub fn run(target: &str, input: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, check) = found.unwrap_or_else(|| panic!("no fuzz target {target}"));
    check(input);
}
