//! Metadata of volumes and of snapshots: texts by name.

use super::{BlockStorageError, snapshots, volumes};
use crate::db::{Txn, utc_now};
use crate::volumes::{Scope, touch};
use crate::{DbError, Store, dialect};
use sea_query::{Expr, ExprTrait, Query, UpdateStatement};
use std::collections::BTreeMap;
use transfer_core::{SnapshotId, VolumeId};

/// Texts by name.
type Metadata = BTreeMap<String, String>;

/// What has metadata.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Described {
    /// A volume.
    Volume(VolumeId),
    /// A snapshot.
    Snapshot(SnapshotId),
}

/// The statuses in which the metadata of a volume stays as it is.
const BUSY: [&str; 2] = ["maintenance", "uploading"];

impl Described {
    /// The table, its column that names the thing, and the name.
    fn place(&self) -> (&'static str, &'static str, &str) {
        match self {
            Self::Volume(id) => ("volume_metadata", "volume_id", id.as_str()),
            Self::Snapshot(id) => ("snapshot_metadata", "snapshot_id", id.as_str()),
        }
    }

    /// The rows that count of it, to be deleted.
    fn end(&self) -> UpdateStatement {
        let (table, column, id) = self.place();
        touch(table)
            .value("deleted", true)
            .value("deleted_at", dialect::datetime(utc_now()))
            .and_where(Expr::col(column).eq(id))
            .and_where(Expr::col("deleted").eq(false))
            .take()
    }

    /// Whether the scope shows it, and it may be changed.
    async fn check(
        &self,
        txn: &mut Txn,
        scope: &Scope,
        doing: &str,
    ) -> Result<(), BlockStorageError> {
        match self {
            Self::Volume(id) => {
                let status = volumes::get(txn, scope, id).await?.status;
                if BUSY.contains(&status.as_str()) {
                    return Err(BlockStorageError::InvalidStatus(format!(
                        "Invalid volume: {doing} volume metadata is not allowed for volumes in \
                         {status} status."
                    )));
                }
            }
            Self::Snapshot(id) => drop(snapshots::get(txn, scope, id).await?),
        }
        Ok(())
    }
}

impl Store {
    /// The metadata of a volume or a snapshot; none where there is no such thing.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn metadata(&self, of: &Described) -> Result<Metadata, DbError> {
        read(&mut self.db.read().await?, of).await
    }

    /// Sets metadata. What is not named stays, unless `rest_goes`. Returns all there is then.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn set_metadata(
        &self,
        scope: &Scope,
        of: &Described,
        set: &Metadata,
        rest_goes: bool,
    ) -> Result<Metadata, BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                of.check(&mut txn, scope, "Updating").await?;
                let mut all = if rest_goes { Metadata::new() } else { read(&mut txn, of).await? };
                all.extend(set.clone());
                replace(&mut txn, of, &all).await?;
                txn.commit().await?;
                Ok(all)
            })
            .await
    }

    /// Deletes one text; false when there is none of that name.
    ///
    /// # Errors
    /// [`BlockStorageError`].
    pub async fn delete_metadatum(
        &self,
        scope: &Scope,
        of: &Described,
        key: &str,
    ) -> Result<bool, BlockStorageError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                of.check(&mut txn, scope, "Deleting").await?;
                let one = of.end().and_where(Expr::col("key").eq(key)).take();
                let there = txn.execute(&one).await? > 0;
                txn.commit().await?;
                Ok(there)
            })
            .await
    }
}

async fn read(txn: &mut Txn, of: &Described) -> Result<Metadata, DbError> {
    let (table, column, id) = of.place();
    let select = Query::select()
        .columns(["key", "value"])
        .from(table)
        .and_where(Expr::col(column).eq(id))
        .and_where(Expr::col("deleted").eq(false))
        .take();
    let mut metadata = Metadata::new();
    for row in txn.all(&select).await? {
        metadata.insert(row.text("key")?, row.opt_text("value")?.unwrap_or_default());
    }
    Ok(metadata)
}

/// Has exactly this metadata in the place of what there was.
pub(super) async fn replace(
    txn: &mut Txn,
    of: &Described,
    metadata: &Metadata,
) -> Result<(), DbError> {
    txn.execute(&of.end()).await?;
    let (table, column, id) = of.place();
    for (key, value) in metadata {
        let insert = Query::insert()
            .into_table(table)
            .columns(["created_at", "deleted", column, "key", "value"])
            .values_panic([
                dialect::datetime(utc_now()).into(),
                false.into(),
                id.into(),
                key.as_str().into(),
                value.as_str().into(),
            ])
            .take();
        txn.execute(&insert).await?;
    }
    Ok(())
}
