//! The rows of a small block storage for developers: volumes and snapshots, with their quotas.
//!
//! Does what Cinder's API does to its tables and nothing else: no backend, no keys. The caller
//! creates and deletes the secrets that the rows name.

mod extend;
mod metadata;
mod retype;
mod snapshots;
mod volumes;

pub use metadata::Described;
pub use snapshots::NewSnapshot;
pub use volumes::{NewVolume, VolumeChange};

use crate::db::{Interruptible, Txn};
use crate::quotas::{self, Charge, Demand, Kind, Limits, QuotaLimits, QuotaType};
use crate::{DbError, OverQuota};
use transfer_core::{ProjectId, SnapshotId, VolumeId};

/// Why a volume or a snapshot was not made or changed. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum BlockStorageError {
    /// No such live volume, or the scope does not show it.
    #[error("Volume {0} could not be found.")]
    VolumeNotFound(VolumeId),
    /// No such live snapshot, or the scope does not show it.
    #[error("Snapshot {0} could not be found.")]
    SnapshotNotFound(SnapshotId),
    /// No such volume type, or the project does not see it.
    #[error("Volume type {0} could not be found.")]
    VolumeTypeNotFound(String),
    /// The status does not allow it, or something depends on it. Cinder's text.
    #[error("{0}")]
    InvalidStatus(String),
    /// The project's quota is too small.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Interruptible for BlockStorageError {
    fn is_interruption(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_interruption())
    }
}

/// Charges a project at once, without a reservation that somebody has to come back to.
async fn charge(
    txn: &mut Txn,
    limits: &QuotaLimits,
    project: &ProjectId,
    amounts: &Charge,
) -> Result<Result<(), quotas::Exceeded>, DbError> {
    let limits = Limits::read(txn, limits, [project], &Charge::names([amounts])).await?;
    match quotas::reserve(txn, &limits, &[Demand { project, charge: amounts }]).await? {
        Ok(reserved) => quotas::commit(txn, &reserved).await.map(Ok),
        Err((_place, exceeded)) => Ok(Err(exceeded)),
    }
}

/// What a volume (`Kind::Volumes`) or a snapshot (`Kind::Snapshots`) costs; negative to give it
/// back.
fn cost(
    limits: &QuotaLimits,
    of_type: Option<&QuotaType>,
    kind: Kind,
    count: i64,
    size_gb: i64,
) -> Charge {
    let mut amounts = Charge::default();
    amounts.add(of_type, kind, count);
    if kind == Kind::Volumes || !limits.no_snapshot_gb_quota {
        amounts.add(of_type, Kind::Gigabytes, count * size_gb);
    }
    amounts
}

async fn quota_type(txn: &mut Txn, id: Option<&str>) -> Result<Option<QuotaType>, DbError> {
    match id.filter(|id| !id.is_empty()) {
        None => Ok(None),
        Some(id) => crate::volume_types::quota_type(txn, &crate::Scope::All, id).await,
    }
}
