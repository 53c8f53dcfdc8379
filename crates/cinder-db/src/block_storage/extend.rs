//! Volumes that grow (cinder: `volume/api.py` extend).

use super::{BlockStorageError, charge, quota_type, volumes};
use crate::Store;
use crate::quotas::{Charge, Kind, Limits, QuotaLimits};
use crate::volumes::{AVAILABLE, Scope, touch};
use sea_query::{Expr, ExprTrait};
use transfer_core::VolumeId;

impl Store {
    /// Makes a volume that nobody uses larger, and charges its project for what it gains.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn extend_volume(
        &self,
        scope: &Scope,
        id: &VolumeId,
        size_gb: i64,
        limits: &QuotaLimits,
    ) -> Result<(), BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let volume = volumes::get(&mut txn, scope, id).await?;
                let gained_gb = size_gb - volume.size_gb;
                if gained_gb <= 0 {
                    return Err(BlockStorageError::InvalidStatus(format!(
                        "Invalid input received: New size for extend must be greater than \
                         current size. (current: {}, extended: {size_gb}).",
                        volume.size_gb
                    )));
                }
                if volume.status != AVAILABLE {
                    return Err(BlockStorageError::InvalidStatus(format!(
                        "Invalid volume: Volume {id} status must be '{{'status': 'available'}}' \
                         to extend, currently {}.",
                        volume.status
                    )));
                }
                Limits::read(&mut txn, limits, [&volume.project], &Charge::names([]))
                    .await?
                    .check_volume_size(&volume.project, size_gb)?;
                let of_type = quota_type(&mut txn, volume.volume_type_id.as_deref()).await?;
                let mut amounts = Charge::default();
                amounts.add(of_type.as_ref(), Kind::Gigabytes, gained_gb);
                charge(&mut txn, limits, &volume.project, &amounts)
                    .await?
                    .map_err(|exceeded| exceeded.explain(Kind::Gigabytes, gained_gb))?;
                let update = touch("volumes")
                    .value("size", size_gb)
                    .and_where(Expr::col("id").eq(id.as_str()))
                    .take();
                txn.execute(&update).await?;
                Ok(txn.commit().await?)
            })
            .await
    }
}
