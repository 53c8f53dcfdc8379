//! Cinder's tables, and the journal and debts of hand-overs beside them.
//!
//! [`Store`] is the handle. Every operation of it is one transaction. The claims
//! ([`Store::claim_initiate`], [`Store::claim_accept`], [`Store::claim_cancel`]) make every check
//! and exclude everybody else; [`Store::commit`] and [`Store::abort`] end what they began.
//!
//! Invariants:
//! - ownership changes in the commit only, together with the journal row and the debts;
//! - whoever writes a hand-over's state holds its version: a driver that was taken over changes
//!   nothing;
//! - what an executor acts on is [`Committed`]: it came out of the database;
//! - salts, hashes and auth keys are in no error and no `Debug`.
//!
//! Does not: make HTTP requests, decide policies, or know what is in a secret. Statements are the
//! same for every database; the modules `db` and `dialect` alone know which one it is.

mod audit;
mod auth_key;
mod block_storage;
mod claims;
mod commit;
mod committed;
mod db;
mod debts;
mod dialect;
mod error;
mod expiry;
mod journal;
mod listing;
mod quotas;
mod reports;
mod schema;
mod standing;
mod store;
mod transfers;
mod turnstile;
mod volume_types;
mod volumes;

pub use audit::{AuditedRow, AuditedVolume};
pub use auth_key::{AuthKey, Lengths};
pub use block_storage::{BlockStorageError, Described, NewSnapshot, NewVolume, VolumeChange};
pub use claims::{AcceptClaim, CancelClaim, ClaimError, InitiateClaim, Offered, RestoreClaim};
pub use commit::{EndError, Ended, FenceError};
pub use committed::Committed;
pub use debts::{DebtRow, SettledEnd};
pub use error::{ConnectError, DbError};
pub use expiry::ExpiredOffer;
pub use listing::{Direction, ListError, TransferQuery};
pub use quotas::{OverQuota, QuotaLimits, QuotaOwner};
pub use reports::{ClaimRow, Counts};
pub use standing::{Ages, Standing};
pub use store::{Store, StoreConfig};
pub use transfers::Transfer;
pub use turnstile::{Passage, Turnstile};
pub use volume_types::{
    Encryption, EncryptionChange, VolumeType, VolumeTypeChange, VolumeTypeError,
};
pub use volumes::{Caller, Scope, Snapshot, Volume};
