//! Scripts of requests, sent to a real service and to ours, and their replies compared.
//!
//! A [`CaseFile`] holds scripts; a [`Session`] sends them to one Keystone, one Barbican and, where
//! there is one, one Cinder, whichever these are, and returns a [`Recording`]: every reply with
//! ids, times, tokens and hosts replaced by placeholders. [`Verdict`] compares two recordings
//! under the differences that are [`Known`]. `conformance/peers/README.md` describes the format of
//! a case.
//!
//! It knows HTTP and JSON and nothing of our clients, our service or the simulator, so that it can
//! share the mistakes of none. It does not start services.

mod body;
mod case;
mod compare;
mod known;
mod names;
mod recording;
mod session;
mod variables;
mod verdict;
mod wire;

pub use body::Body;
pub use case::{CaseError, CaseFile, Policy, Script, Service, Step, Tag};
pub use compare::{Difference, differences};
pub use known::{Known, KnownError};
pub use recording::{Answer, Outcome, Recording, Reply, ScriptRecording};
pub use session::{BlockStorage, Endpoints, ReplayError, Session};
pub use verdict::{FileAgreement, Verdict};
