//! The claims: every check of an operation, and the journal row that excludes all others.
//!
//! Each is one transaction. A claim whose lease is over is taken over in it. The checks stand in
//! the order in which Cinder makes them, and the texts are Cinder's.

mod accept;
mod cancel;
mod initiate;
mod restore;

pub use accept::AcceptClaim;
pub use cancel::CancelClaim;
pub use initiate::{InitiateClaim, Offered};
pub use restore::RestoreClaim;

use crate::db::{Interruptible, Txn};
use crate::volumes::{Scope, Snapshot, Volume, find_volume, snapshots_of};
use crate::{DbError, OverQuota, commit, journal};
use transfer_core::{SecretId, TransferId, VolumeId};

/// Why a claim was not granted. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// No such volume, or the caller may not see it.
    #[error("Volume {0} could not be found.")]
    VolumeNotFound(VolumeId),
    /// No such open offer, or the caller may not see it, or it is to be accepted and has expired.
    #[error("Transfer {0} could not be found.")]
    TransferNotFound(TransferId),
    /// The recipient's project has no access to the volume's type.
    #[error("Volume type {0} could not be found.")]
    VolumeTypeNotFound(String),
    /// Cinder's `InvalidVolume`.
    #[error("Invalid volume: {0}")]
    InvalidVolume(String),
    /// Cinder's `InvalidSnapshot`.
    #[error("Invalid snapshot: {0}")]
    InvalidSnapshot(String),
    /// The auth key is not that of the offer.
    #[error("Invalid auth key: Attempt to transfer {0} with invalid auth key.")]
    InvalidAuthKey(TransferId),
    /// The recipient's quota is too small.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// The key is the one fixed key of the deployment, which nobody can hand over.
    #[error(
        "Invalid volume: volume {0} is encrypted with the fixed key of the deployment; migrate \
         the key to the key manager first"
    )]
    FixedKey(VolumeId),
    /// Only the project that owns an encrypted volume can offer it or take it back: its key comes
    /// from, or returns to, that project.
    #[error("Volume {0} is encrypted: only its own project can offer it or take it back.")]
    ForeignProject(VolumeId),
    /// Another operation holds the volume.
    #[error("Another transfer operation on volume {0} is in progress.")]
    InProgress(VolumeId),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Interruptible for ClaimError {
    fn is_interruption(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_interruption())
    }
}

impl ClaimError {
    fn volume(reason: impl Into<String>) -> Self {
        Self::InvalidVolume(reason.into())
    }
}

/// A volume that nobody has a claim on, and its snapshots.
struct Unclaimed {
    volume: Volume,
    snapshots: Vec<Snapshot>,
}

/// Makes way for a claim on a volume whose lock is held: none may be live, and one whose lease is
/// over is ended first.
async fn make_way(txn: &mut Txn, volume: Volume) -> Result<Unclaimed, ClaimError> {
    let (snapshots, claim) = journal::around(txn, &volume.id).await?;
    let Some(claim) = claim else { return Ok(Unclaimed { volume, snapshots }) };
    if !claim.lease_is_over {
        return Err(ClaimError::InProgress(volume.id));
    }
    // Under its own lock: the driver may have come back at this moment.
    if let Some(claim) = journal::claim_on(txn, &volume.id).await? {
        if !claim.lease_is_over {
            return Err(ClaimError::InProgress(volume.id));
        }
        commit::take_over(txn, claim).await?;
    }
    let as_before = find_volume(txn, &Scope::All, &volume.id).await?;
    let volume = as_before.ok_or_else(|| ClaimError::VolumeNotFound(volume.id.clone()))?;
    let snapshots = snapshots_of(txn, &volume.id).await?;
    Ok(Unclaimed { volume, snapshots })
}

/// The keys that the rows of a volume name, the volume's first.
fn keys_of(volume: &Volume, snapshots: &[Snapshot]) -> Vec<SecretId> {
    let snapshots = snapshots.iter().filter_map(|snapshot| snapshot.key.clone());
    volume.key.clone().into_iter().chain(snapshots).collect()
}

fn refuse_fixed_key(volume: &VolumeId, keys: &[SecretId]) -> Result<(), ClaimError> {
    if keys.iter().any(SecretId::is_fixed_key) {
        return Err(ClaimError::FixedKey(volume.clone()));
    }
    Ok(())
}

/// Somebody on another connection claimed the volume after [`make_way`] had looked.
fn lost_race(error: DbError, volume: &VolumeId) -> ClaimError {
    if matches!(error, DbError::Duplicate) {
        ClaimError::InProgress(volume.clone())
    } else {
        ClaimError::Db(error)
    }
}
