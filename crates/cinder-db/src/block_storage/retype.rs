//! Volumes that become of another type (cinder: `volume/api.py` retype). No data moves: types that
//! encrypt are not for this.

use super::{BlockStorageError, charge, cost, quota_type, volumes};
use crate::quotas::{Kind, QuotaLimits};
use crate::volumes::{AVAILABLE, Scope, touch};
use crate::{Store, volume_types};
use sea_query::{Expr, ExprTrait};
use transfer_core::VolumeId;

impl Store {
    /// Gives a volume another type, and charges its project for one of that type.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn retype_volume(
        &self,
        scope: &Scope,
        id: &VolumeId,
        type_id: &str,
        limits: &QuotaLimits,
    ) -> Result<(), BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let volume = volumes::get(&mut txn, scope, id).await?;
                let is_new = volume.volume_type_id.as_deref() != Some(type_id);
                if !is_new || ![AVAILABLE, "in-use"].contains(&volume.status.as_str()) {
                    return Err(BlockStorageError::InvalidStatus(
                        "Invalid volume: Retype needs volume to be in available or in-use state, \
                         not be part of an active migration or a consistency group, requested \
                         type has to be different that the one from the volume, and for in-use \
                         volumes front-end qos specs cannot change."
                            .to_owned(),
                    ));
                }
                for old_or_new in [volume.volume_type_id.as_deref(), Some(type_id)] {
                    let Some(of) = old_or_new else { continue };
                    let found = volume_types::find(&mut txn, &Scope::All, of).await?;
                    if found.is_none_or(|found| found.encryption.is_some()) {
                        return Err(BlockStorageError::InvalidStatus(
                            "Invalid input received: a type that encrypts is not changed here"
                                .to_owned(),
                        ));
                    }
                }
                let old = quota_type(&mut txn, volume.volume_type_id.as_deref()).await?;
                let new = quota_type(&mut txn, Some(type_id)).await?;
                for (of_type, count) in [(&old, -1), (&new, 1)] {
                    let amounts =
                        cost(limits, of_type.as_ref(), Kind::Volumes, count, volume.size_gb);
                    charge(&mut txn, limits, &volume.project, &amounts)
                        .await?
                        .map_err(|exceeded| exceeded.explain(Kind::Volumes, volume.size_gb))?;
                }
                let update = touch("volumes")
                    .value("volume_type_id", type_id)
                    .and_where(Expr::col("id").eq(id.as_str()))
                    .take();
                txn.execute(&update).await?;
                Ok(txn.commit().await?)
            })
            .await
    }
}
