//! Snapshots of the embedded block storage.

use super::volumes::get as get_volume;
use super::{BlockStorageError, charge, cost, quota_type};
use crate::db::{Txn, utc_now};
use crate::quotas::{Kind, QuotaLimits};
use crate::volumes::{AVAILABLE, Scope, Snapshot, live_snapshots, touch};
use crate::{DbError, Store, dialect};
use sea_query::{Expr, ExprTrait, Order, Query};
use transfer_core::{SecretId, SnapshotId, UserId, VolumeId};

/// A snapshot to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewSnapshot {
    /// A fresh id.
    pub id: SnapshotId,
    /// The volume that it is taken of; it lends its project, its key, its size and its type.
    pub volume: VolumeId,
    /// Its user.
    pub user: UserId,
    /// Its first status.
    pub status: String,
    /// Display name.
    pub name: Option<String>,
    /// Display description.
    pub description: Option<String>,
    /// Whether a volume that is in use may be taken a snapshot of.
    pub force: bool,
}

impl Store {
    /// Makes a snapshot's row and charges its project.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn create_snapshot(
        &self,
        scope: &Scope,
        new: &NewSnapshot,
        limits: &QuotaLimits,
    ) -> Result<Snapshot, BlockStorageError> {
        self.db.uninterrupted(|| async {
        let mut txn = self.db.write().await?;
        let volume = get_volume(&mut txn, scope, &new.volume).await?;
        if volume.status != AVAILABLE && !(new.force && volume.status == "in-use") {
            return Err(BlockStorageError::InvalidStatus(format!(
                "Invalid volume: Volume {} status must be available, but current status is: {}.",
                volume.id, volume.status
            )));
        }
        let of_type = quota_type(&mut txn, volume.volume_type_id.as_deref()).await?;
        let amounts = cost(limits, of_type.as_ref(), Kind::Snapshots, 1, volume.size_gb);
        charge(&mut txn, limits, &volume.project, &amounts)
            .await?
            .map_err(|exceeded| exceeded.explain(Kind::Snapshots, volume.size_gb))?;
        let insert = Query::insert()
            .into_table("snapshots")
            .columns([
                "created_at",
                "deleted",
                "id",
                "volume_id",
                "user_id",
                "project_id",
                "status",
                "progress",
                "volume_size",
                "display_name",
                "display_description",
                "volume_type_id",
                "encryption_key_id",
                "use_quota",
            ])
            .values_panic([
                dialect::datetime(utc_now()).into(),
                false.into(),
                new.id.as_str().into(),
                new.volume.as_str().into(),
                new.user.as_str().into(),
                volume.project.as_str().into(),
                new.status.as_str().into(),
                "100%".into(),
                volume.size_gb.into(),
                new.name.clone().into(),
                new.description.clone().into(),
                volume.volume_type_id.clone().unwrap_or_default().into(),
                volume.key.as_ref().map(SecretId::as_str).into(),
                true.into(),
            ])
            .take();
        txn.execute(&insert).await?;
        let made = get(&mut txn, &Scope::All, &new.id).await?;
        txn.commit().await?;
        Ok(made)
        }).await
    }

    /// A live snapshot; `None` when there is none or the scope does not show it.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn snapshot(
        &self,
        scope: &Scope,
        id: &SnapshotId,
    ) -> Result<Option<Snapshot>, DbError> {
        find(&mut self.db.read().await?, scope, id).await
    }

    /// The live snapshots of a scope, newest first.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn snapshots(&self, scope: &Scope) -> Result<Vec<Snapshot>, DbError> {
        let mut select = live_snapshots(scope);
        select.order_by("created_at", Order::Desc).order_by("id", Order::Desc);
        let rows = self.db.read().await?.all(&select).await?;
        rows.iter().map(Snapshot::read).collect()
    }

    /// Deletes a snapshot and gives its quota back.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn delete_snapshot(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        limits: &QuotaLimits,
    ) -> Result<Snapshot, BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let snapshot = get(&mut txn, scope, id).await?;
                if ![AVAILABLE, "error"].contains(&snapshot.status.as_str()) {
                    return Err(BlockStorageError::InvalidStatus(
                "Invalid snapshot: Snapshot status must be available or error, and must not be \
                 part of a group."
                    .to_owned(),
            ));
                }
                remove(&mut txn, &snapshot, limits).await?;
                txn.commit().await?;
                Ok(snapshot)
            })
            .await
    }

    /// Deletes a snapshot, whatever its status, and gives its quota back.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn force_delete_snapshot(
        &self,
        id: &SnapshotId,
        limits: &QuotaLimits,
    ) -> Result<(), BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let snapshot = get(&mut txn, &Scope::All, id).await?;
                remove(&mut txn, &snapshot, limits).await?;
                Ok(txn.commit().await?)
            })
            .await
    }

    /// Changes its names, as far as they are given.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn update_snapshot(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<Snapshot, BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                get(&mut txn, scope, id).await?;
                let mut update = touch("snapshots");
                for (column, value) in
                    [("display_name", name), ("display_description", description)]
                {
                    if let Some(value) = value {
                        update.value(column, value);
                    }
                }
                update.and_where(Expr::col("id").eq(id.as_str()));
                txn.execute(&update).await?;
                let changed = get(&mut txn, scope, id).await?;
                txn.commit().await?;
                Ok(changed)
            })
            .await
    }

    /// Says how far a snapshot is, as `80%`.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn set_snapshot_progress(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        progress: &str,
    ) -> Result<(), BlockStorageError> {
        self.set(scope, id, "progress", progress).await
    }

    /// Sets a status, whatever it was, as Cinder's `os-reset_status` does.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn set_snapshot_status(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        status: &str,
    ) -> Result<(), BlockStorageError> {
        self.set(scope, id, "status", status).await
    }

    async fn set(
        &self,
        scope: &Scope,
        id: &SnapshotId,
        column: &'static str,
        value: &str,
    ) -> Result<(), BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                get(&mut txn, scope, id).await?;
                let update = touch("snapshots")
                    .value(column, value)
                    .and_where(Expr::col("id").eq(id.as_str()))
                    .take();
                txn.execute(&update).await?;
                Ok(txn.commit().await?)
            })
            .await
    }
}

async fn find(txn: &mut Txn, scope: &Scope, id: &SnapshotId) -> Result<Option<Snapshot>, DbError> {
    let mut select = live_snapshots(scope);
    select.and_where(Expr::col("id").eq(id.as_str()));
    txn.lock(&mut select);
    txn.first(&select).await?.map(|row| Snapshot::read(&row)).transpose()
}

/// Deletes it, whatever its status, and gives its quota back.
pub(super) async fn remove(
    txn: &mut Txn,
    snapshot: &Snapshot,
    limits: &QuotaLimits,
) -> Result<(), BlockStorageError> {
    let update = touch("snapshots")
        .value("status", "deleted")
        .value("deleted", true)
        .value("deleted_at", dialect::datetime(utc_now()))
        .and_where(Expr::col("id").eq(snapshot.id.as_str()))
        .take();
    txn.execute(&update).await?;
    if snapshot.use_quota {
        let of_type = quota_type(txn, snapshot.volume_type_id.as_deref()).await?;
        let amounts = cost(limits, of_type.as_ref(), Kind::Snapshots, -1, snapshot.size_gb);
        charge(txn, limits, &snapshot.project, &amounts)
            .await?
            .map_err(|exceeded| exceeded.explain(Kind::Snapshots, 0))?;
    }
    Ok(())
}

pub(super) async fn get(
    txn: &mut Txn,
    scope: &Scope,
    id: &SnapshotId,
) -> Result<Snapshot, BlockStorageError> {
    find(txn, scope, id).await?.ok_or_else(|| BlockStorageError::SnapshotNotFound(id.clone()))
}
