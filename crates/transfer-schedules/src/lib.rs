//! The real stack under a scheduler that says at every effect who goes next and what fails.
//!
//! Engine, SQL on SQLite, HTTP and JSON run in one process, without sockets and without waiting.
//! Every writing transaction and every request that changes a secret is a gate. Between two choices
//! nothing moves; a *schedule* is the sequence of choices, and [`run`] enumerates every schedule of
//! every pair and every triple of operations with at most one fault, crash or pause. [`Depth`] says
//! in which worlds. A schedule is written down as a string that [`replay`] runs again.
//!
//! After each step the invariants of `transfer-core` are asked; at the end late effects land,
//! leases run out, recovery runs and every project pays, and the world has to be at rest.
//!
//! Schedules that come to the same are run once, and no world is left out by it:
//! - of two steps that do not touch what the other writes only one order is run;
//! - a situation that has been seen is not continued again (`matching` says what one is);
//! - of two equal actors that have not begun, the first one begins;
//! - a fault at a commit that does not come is left out: it makes no difference.
//!
//! The module `search` says what each of these relies on, and its tests hold each against the
//! search without it.
//!
//! **Not covered here:** more than one fault in a schedule, more than three operations at once, a
//! volume with more than two keys, real time, other databases, two transactions that run at the
//! same moment (SQLite has one writer), and the hand-overs by which damage is repaired.

mod choice;
mod cloud;
mod doors;
mod footprint;
mod gates;
mod labels;
mod matching;
mod names;
mod rows;
mod run;
mod scenario;
mod search;
mod situations;
mod stage;
mod telling;

pub use choice::ReplayError;
pub use run::{Depth, Options, Progress, Report, ScenarioReport, replay, run};
pub use scenario::Planted;

/// The stack, or what the scheduler takes for granted about it, failed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Broken {
    /// A part of the stack does not work at all.
    #[error("the stack does not work: {0}")]
    Stack(String),
    /// An actor neither came to a gate nor ended.
    #[error("an actor came neither to a gate nor to its end")]
    Stuck,
    /// The same choices led elsewhere.
    #[error("{0} could be chosen once, and cannot be chosen again")]
    NotRepeatable(String),
    /// One of these, and in which schedule.
    #[error("{why}, in schedule {schedule}")]
    In {
        /// What happened.
        why: Box<Self>,
        /// The schedule up to there.
        schedule: String,
    },
}
