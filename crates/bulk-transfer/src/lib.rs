//! Many volumes from one project to another: offered by the donor, accepted by the recipient.
//!
//! Speaks the public API alone, as two clouds of a `clouds.yaml`, so that it works before this
//! service and before any Cinder with encrypted transfers alike. [`Run`] moves what a [`Journal`]
//! says is left, or takes back what it has offered; [`foresee`] says beforehand what will fail.
//!
//! Invariants:
//! - whatever ends a run, the journal and the clouds together say how to go on: a volume arrives
//!   once, an offer whose auth key was lost is taken back and made again;
//! - only offers of the run's own name are ever taken back;
//! - an auth key is in the journal only while its offer is open, in a file that its owner alone
//!   can read, and in no log, error or report.
//!
//! Does not: talk to a terminal, or know how a transfer is carried out.

mod block_storage;
mod clouds;
mod foresight;
mod journal;
mod moving;
mod run;
mod selection;
mod taking_back;

pub use block_storage::{BlockStorage, ConnectError, Outage, Snapshot, Volume};
pub use clouds::{CloudSettings, Clouds, CloudsError};
pub use foresight::{Foresight, foresee};
pub use journal::{Journal, JournalError, Party, Place};
pub use moving::{Failed, SETTLING, Stopped};
pub use run::{Event, Run, Standing, Summary};
pub use selection::{Selection, SelectionError};
pub use taking_back::TakenBack;
