//! Every interleaving of hand-overs, in a world as small as it can be.
//!
//! [`Setting::explore`] visits every state that concurrent callers, faults, crashes and late
//! effects can lead to, with [stateright](https://docs.rs/stateright), and asks the invariants of
//! `transfer-core` of each. The hand-over is `transfer-core` itself; what surrounds it (claims,
//! transactions, the key manager, recovery) is written down once more here, in a few lines each.
//! [`Protocol`] names protocols that are known to be bad: the check is worth something because it
//! rejects them.
//!
//! **Requests.** There is no end to them: a request that is over may come again. There is an end to
//! how many of a kind are under way at once: two offers of the volume, two accepts by Y and one by
//! Z, two cancels by X and one by an administrator, and an offer of another encrypted volume of X.
//! A refusal at the claim changes nothing and is no step.
//!
//! **Faults** (refused, token expired, failed without effect, reply lost, lands late) may strike
//! every effect and every transaction, **crashes** come before and after each, and a driver may
//! sleep past its lease. How many of them strike in one run is bounded; nothing else is, and every
//! exploration goes to closure.
//!
//! **Reductions.** Unless [`Setting::unreduced`] is asked for, what nobody can tell apart counts as
//! one: a debt that no driver with a claim can touch is paid before anything else happens, requests
//! of every project come by to pay, and a driver that has lost its claim is over, since the
//! database refuses whatever it writes. Always, names are used again, and what can have no effect
//! any more is forgotten. Tests hold the reduced exploration against the other one: the same worlds
//! at rest, and the same bad protocols rejected.
//!
//! **Not covered here:** SQL, HTTP and JSON (see `transfer-schedules`), more than two distinct keys
//! of a volume, rows that others change, a payload that arrives garbled, and quotas that are too
//! small. States are told apart by 64-bit fingerprints: two of them are taken for one with a
//! probability of about n²/2⁶⁵ for n states.

mod action;
mod explore;
mod known_bad;
mod memo;
mod model;
mod payments;
mod protocol;
#[cfg(test)]
mod refinement;
mod replay;
mod setting;
mod situations;
mod telling;
mod trace;
mod upstream;
mod verdict;
mod view;
mod world;

pub use explore::{Explored, Progress};
pub use known_bad::{Scenario, scenarios};
pub use replay::{ReplayError, replay};
pub use setting::{Protocol, Setting, Start};
pub use trace::{Coverage, Lane, Step, Trace};
