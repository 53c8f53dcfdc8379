//! Volumes of the embedded block storage.

use super::metadata::{self, Described};
use super::{BlockStorageError, charge, cost, quota_type, snapshots};
use crate::db::{Txn, utc_now};
use crate::quotas::{Charge, Kind, Limits, QuotaLimits};
use crate::volumes::{Scope, Snapshot, Volume, find_volume, live_volumes, snapshots_of, touch};
use crate::{DbError, Store, dialect, volume_types};
use sea_query::{Expr, ExprTrait, Order, Query};
use std::collections::BTreeMap;
use transfer_core::{ProjectId, SecretId, UserId, VolumeId};

/// The statuses in which Cinder deletes a volume.
const DELETABLE: [&str; 5] =
    ["available", "error", "error_restoring", "error_extending", "error_managing"];

/// A volume to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewVolume {
    /// A fresh id.
    pub id: VolumeId,
    /// Its project.
    pub project: ProjectId,
    /// Its user.
    pub user: UserId,
    /// Size in GiB.
    pub size_gb: i64,
    /// Its first status.
    pub status: String,
    /// Display name.
    pub name: Option<String>,
    /// Display description.
    pub description: Option<String>,
    /// The id or name of its type; `None` for the default type.
    pub volume_type: Option<String>,
    /// The secret that holds its key.
    pub key: Option<SecretId>,
    /// The snapshot that it is made from.
    pub snapshot_id: Option<String>,
    /// The volume that it is cloned from.
    pub source_volume_id: Option<String>,
    /// Availability zone.
    pub availability_zone: Option<String>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
}

/// What is to be changed of a volume; `None` leaves it as it is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VolumeChange {
    /// Display name.
    pub name: Option<String>,
    /// Display description.
    pub description: Option<String>,
    /// Metadata; replaces all of it.
    pub metadata: Option<BTreeMap<String, String>>,
}

impl Store {
    /// Makes a volume's row and charges its project.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn create_volume(
        &self,
        new: &NewVolume,
        limits: &QuotaLimits,
    ) -> Result<Volume, BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let asked = new.volume_type.as_deref().unwrap_or(crate::schema::DEFAULT_TYPE);
                let scope = Scope::Project(new.project.clone());
                let volume_type = volume_types::find(&mut txn, &scope, asked)
                    .await?
                    .ok_or_else(|| BlockStorageError::VolumeTypeNotFound(asked.to_owned()))?;
                let sizes = Charge::names([]);
                Limits::read(&mut txn, limits, [&new.project], &sizes)
                    .await?
                    .check_volume_size(&new.project, new.size_gb)?;
                let of_type = quota_type(&mut txn, Some(&volume_type.id)).await?;
                let amounts = cost(limits, of_type.as_ref(), Kind::Volumes, 1, new.size_gb);
                charge(&mut txn, limits, &new.project, &amounts)
                    .await?
                    .map_err(|exceeded| exceeded.explain(Kind::Volumes, new.size_gb))?;
                insert(&mut txn, new, &volume_type.id).await?;
                let made = Described::Volume(new.id.clone());
                metadata::replace(&mut txn, &made, &new.metadata).await?;
                let made = get(&mut txn, &Scope::All, &new.id).await?;
                txn.commit().await?;
                Ok(made)
            })
            .await
    }

    /// The live volumes of a scope, newest first.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn volumes(&self, scope: &Scope) -> Result<Vec<Volume>, DbError> {
        let mut select = live_volumes(scope);
        select.order_by("created_at", Order::Desc).order_by("id", Order::Desc);
        let rows = self.db.read().await?.all(&select).await?;
        rows.iter().map(Volume::read).collect()
    }

    /// Deletes a volume that nobody uses and that has no snapshots, and gives its quota back. The
    /// answer is the row as it was: the secret that it named is the caller's to delete.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn delete_volume(
        &self,
        scope: &Scope,
        id: &VolumeId,
        limits: &QuotaLimits,
    ) -> Result<Volume, BlockStorageError> {
        self.delete(scope, id, limits, Deletion::Plain).await
    }

    /// The same, and its snapshots, which have to be at rest.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn delete_volume_and_snapshots(
        &self,
        scope: &Scope,
        id: &VolumeId,
        limits: &QuotaLimits,
    ) -> Result<Volume, BlockStorageError> {
        self.delete(scope, id, limits, Deletion::Cascade).await
    }

    /// Deletes a volume that has no snapshots, whatever its status.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn force_delete_volume(
        &self,
        id: &VolumeId,
        limits: &QuotaLimits,
    ) -> Result<Volume, BlockStorageError> {
        self.delete(&Scope::All, id, limits, Deletion::Forced).await
    }

    async fn delete(
        &self,
        scope: &Scope,
        id: &VolumeId,
        limits: &QuotaLimits,
        how: Deletion,
    ) -> Result<Volume, BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let volume = get(&mut txn, scope, id).await?;
                let taken = snapshots_of(&mut txn, id).await?;
                let is_at_rest = |snapshot: &Snapshot| {
                    let is_own = *scope == Scope::All || snapshot.project == volume.project;
                    is_own && ["available", "error", "deleting"].contains(&&*snapshot.status)
                };
                let may_go = match how {
                    Deletion::Plain | Deletion::Forced => taken.is_empty(),
                    Deletion::Cascade => taken.iter().all(is_at_rest),
                };
                let is_forced = how == Deletion::Forced;
                if !may_go || !(is_forced || DELETABLE.contains(&volume.status.as_str())) {
                    return Err(not_deletable(is_forced));
                }
                for snapshot in &taken {
                    snapshots::remove(&mut txn, snapshot, limits).await?;
                }
                remove(&mut txn, &volume, limits).await?;
                txn.commit().await?;
                Ok(volume)
            })
            .await
    }

    /// Sets a status, whatever it was, as Cinder's `os-reset_status` does.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn set_volume_status(
        &self,
        scope: &Scope,
        id: &VolumeId,
        status: &str,
    ) -> Result<(), BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                get(&mut txn, scope, id).await?;
                let update = touch("volumes")
                    .value("status", status)
                    .and_where(Expr::col("id").eq(id.as_str()))
                    .take();
                txn.execute(&update).await?;
                Ok(txn.commit().await?)
            })
            .await
    }

    /// Changes what a user may change.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn update_volume(
        &self,
        scope: &Scope,
        id: &VolumeId,
        change: &VolumeChange,
    ) -> Result<Volume, BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                get(&mut txn, scope, id).await?;
                let mut update = touch("volumes");
                for (column, value) in
                    [("display_name", &change.name), ("display_description", &change.description)]
                {
                    if let Some(value) = value {
                        update.value(column, value.as_str());
                    }
                }
                update.and_where(Expr::col("id").eq(id.as_str()));
                txn.execute(&update).await?;
                if let Some(metadata) = &change.metadata {
                    metadata::replace(&mut txn, &Described::Volume(id.clone()), metadata).await?;
                }
                let changed = get(&mut txn, scope, id).await?;
                txn.commit().await?;
                Ok(changed)
            })
            .await
    }
}

pub(super) async fn get(
    txn: &mut Txn,
    scope: &Scope,
    id: &VolumeId,
) -> Result<Volume, BlockStorageError> {
    find_volume(txn, scope, id).await?.ok_or_else(|| BlockStorageError::VolumeNotFound(id.clone()))
}

/// How a volume is deleted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deletion {
    Plain,
    /// With its snapshots.
    Cascade,
    /// Whatever its status.
    Forced,
}

fn not_deletable(is_forced: bool) -> BlockStorageError {
    let status = match is_forced {
        true => String::new(),
        false => format!("status must be {} and", DELETABLE.join(" or ")),
    };
    BlockStorageError::InvalidStatus(format!(
        "Invalid volume: Volume {status} must not be migrating, attached, belong to a group, have \
         snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer."
    ))
}

async fn remove(
    txn: &mut Txn,
    volume: &Volume,
    limits: &QuotaLimits,
) -> Result<(), BlockStorageError> {
    let update = touch("volumes")
        .value("status", "deleted")
        .value("deleted", true)
        .value("deleted_at", dialect::datetime(utc_now()))
        .and_where(Expr::col("id").eq(volume.id.as_str()))
        .take();
    txn.execute(&update).await?;
    if volume.use_quota {
        let of_type = quota_type(txn, volume.volume_type_id.as_deref()).await?;
        let amounts = cost(limits, of_type.as_ref(), Kind::Volumes, -1, volume.size_gb);
        charge(txn, limits, &volume.project, &amounts)
            .await?
            .map_err(|exceeded| exceeded.explain(Kind::Volumes, 0))?;
    }
    Ok(())
}

async fn insert(txn: &mut Txn, new: &NewVolume, type_id: &str) -> Result<(), DbError> {
    let insert = Query::insert()
        .into_table("volumes")
        .columns([
            "created_at",
            "deleted",
            "id",
            "user_id",
            "project_id",
            "size",
            "availability_zone",
            "status",
            "attach_status",
            "display_name",
            "display_description",
            "volume_type_id",
            "encryption_key_id",
            "snapshot_id",
            "source_volid",
            "bootable",
            "multiattach",
            "use_quota",
        ])
        .values_panic([
            dialect::datetime(utc_now()).into(),
            false.into(),
            new.id.as_str().into(),
            new.user.as_str().into(),
            new.project.as_str().into(),
            new.size_gb.into(),
            new.availability_zone.clone().into(),
            new.status.as_str().into(),
            "detached".into(),
            new.name.clone().into(),
            new.description.clone().into(),
            type_id.into(),
            new.key.as_ref().map(SecretId::as_str).into(),
            new.snapshot_id.clone().into(),
            new.source_volume_id.clone().into(),
            false.into(),
            false.into(),
            true.into(),
        ])
        .take();
    txn.execute(&insert).await.map(|_rows| ())
}
