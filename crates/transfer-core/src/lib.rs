//! The encrypted volume hand-over as a sans-IO protocol, and the invariants it keeps.
//!
//! A hand-over copies each distinct key of one volume from a *giver* to a *receiver* and repoints
//! the volume's rows in one database transaction, the only moment at which ownership changes:
//!
//! ```text
//! claim ──► shell ──► fill ──► COMMIT ──► debts: old secrets
//!   └─────────┴─────────┴────► ABORT  ──► debts: shells
//! ```
//!
//! - [`HandOver`] is the durable state: [`HandOver::apply`] takes an [`Event`] and
//!   [`HandOver::pending`] says what comes next, a pure function of that state. Recovery is
//!   therefore: load the row, apply [`Event::TakenOver`], ask `pending()`.
//! - A [`Debt`] is garbage that the commit or the abort left: a secret to delete and the authority
//!   that it takes. Commit and abort record debts in their own transaction, so that neither side
//!   of that moment can lose track of a copy of the key.
//! - [`Invariant`] names what must hold in every [`World`].
//!
//! **Not here:** I/O, async, clocks, randomness, logging, and the bytes of any secret. The crate
//! holds secret *references* only.

mod debt;
mod effect;
mod hand_over;
mod ids;
mod journal;

pub mod invariants;

pub use debt::{Debt, DebtId, Garbage, Settlement};
pub use effect::{Authority, Effect, Payment, Refusal, Step};
pub use hand_over::{
    AbortCause, Event, HandOver, IllegalEvent, KeyCopy, Operation, Parties, Pending, Phase,
    Replaced, Restoration,
};
pub use ids::{
    FIXED_KEY_ID, HandOverId, ProjectId, SecretId, SnapshotId, TransferId, UserId, VolumeId,
};
pub use invariants::{History, Invariant, Violation, World};
pub use journal::{JournalError, SCHEMA};
