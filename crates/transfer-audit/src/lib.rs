//! Audit and repair: what is wrong with the keys of volumes, and how it is set right.
//!
//! An [`Audit`] compares the rows of Cinder's database, the journal and the debts beside them, and
//! what Barbican says about secrets, and tells every broken invariant as a [`Finding`]. It changes
//! nothing. A [`Repairs`] decides for each finding what can be done about it and, if asked to, does
//! it: by hand-overs and debts, as everything else is done.
//!
//! Invariants:
//! - what cannot be seen is counted and never taken for fine ([`Summary::not_visible`]);
//! - a finding about a volume is told only if its rows were the same before and after Barbican was
//!   asked;
//! - memory does not grow with the number of volumes: they come page by page, and what is found is
//!   handed on at once;
//! - no secret is deleted because it seems to be of no use: only one that is proved to be a copy of
//!   a key that is where it belongs.
//!
//! Does not: read settings, print, or judge what only a watcher could have seen (whose the bytes
//! once were, what a caller was told).

mod audit;
mod finding;
mod images;
mod judge;
mod records;
mod repair;
mod strays;
mod viewers;

pub use audit::{Audit, AuditError, Event, Options, Summary};
pub use finding::{Finding, Kind};
pub use images::Images;
pub use judge::{Sight, judge};
pub use repair::{Mend, Outcome, Repairs};
pub use viewers::{Viewer, ViewerError, Viewers};
