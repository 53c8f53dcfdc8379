//! Rows of `volumes` and `snapshots`, and who sees them.

use crate::db::{Row, Txn, utc_now};
use crate::{DbError, Store, dialect};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement, UpdateStatement};
use time::PrimitiveDateTime;
use transfer_core::{ProjectId, SecretId, SnapshotId, UserId, VolumeId};

/// The status of a volume that nobody uses.
pub(crate) const AVAILABLE: &str = "available";

/// The status of a volume on offer.
pub(crate) const AWAITING_TRANSFER: &str = "awaiting-transfer";

/// What [`Volume::read`] reads.
const VOLUME_COLUMNS: [&str; 19] = [
    "id",
    "project_id",
    "user_id",
    "size",
    "status",
    "display_name",
    "display_description",
    "volume_type_id",
    "encryption_key_id",
    "use_quota",
    "snapshot_id",
    "source_volid",
    "host",
    "availability_zone",
    "bootable",
    "multiattach",
    "created_at",
    "updated_at",
    "consistencygroup_id",
];

/// What [`Snapshot::read`] reads.
pub(crate) const SNAPSHOT_COLUMNS: [&str; 14] = [
    "id",
    "volume_id",
    "project_id",
    "user_id",
    "volume_size",
    "status",
    "progress",
    "display_name",
    "display_description",
    "volume_type_id",
    "encryption_key_id",
    "use_quota",
    "created_at",
    "updated_at",
];

/// Who asks: the project and user of a token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// The project of the token.
    pub project: ProjectId,
    /// The user of the token.
    pub user: UserId,
    /// Whether the token carries the `admin` role, of whichever project.
    pub is_admin: bool,
}

impl Caller {
    /// The rows that Cinder lets this caller see.
    pub fn scope(&self) -> Scope {
        if self.is_admin { Scope::All } else { Scope::Project(self.project.clone()) }
    }
}

/// Whose rows are visible.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Those of this project.
    Project(ProjectId),
    /// Everybody's: an administrator, or Cinder's "elevated" context.
    All,
}

/// A live volume.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// The project that owns it.
    pub project: ProjectId,
    /// The user who created or accepted it.
    pub user: UserId,
    /// Size in GiB.
    pub size_gb: i64,
    /// Cinder's status, as `available`.
    pub status: String,
    /// Display name.
    pub name: Option<String>,
    /// Display description.
    pub description: Option<String>,
    /// The id of its type.
    pub volume_type_id: Option<String>,
    /// The secret that holds its key, if it is encrypted.
    pub key: Option<SecretId>,
    /// Whether quotas count it.
    pub use_quota: bool,
    /// The snapshot that it was made from.
    pub snapshot_id: Option<String>,
    /// The volume that it was cloned from.
    pub source_volume_id: Option<String>,
    /// The host of the backend, as `host@backend#pool`.
    pub host: Option<String>,
    /// Availability zone.
    pub availability_zone: Option<String>,
    /// Whether a server can boot from it.
    pub bootable: bool,
    /// Whether several servers may attach it.
    pub multiattach: bool,
    /// Naive UTC.
    pub created_at: Option<PrimitiveDateTime>,
    /// Naive UTC.
    pub updated_at: Option<PrimitiveDateTime>,
    pub(crate) consistency_group: Option<String>,
}

/// A live snapshot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Its volume.
    pub volume: VolumeId,
    /// The project that owns it.
    pub project: ProjectId,
    /// The user who created or accepted it.
    pub user: UserId,
    /// Size of the volume in GiB.
    pub size_gb: i64,
    /// Cinder's status.
    pub status: String,
    /// How far it is, as `80%`.
    pub progress: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Display description.
    pub description: Option<String>,
    /// The id of the volume's type.
    pub volume_type_id: Option<String>,
    /// The secret that holds its key, if it is encrypted.
    pub key: Option<SecretId>,
    /// Whether quotas count it.
    pub use_quota: bool,
    /// Naive UTC.
    pub created_at: Option<PrimitiveDateTime>,
    /// Naive UTC.
    pub updated_at: Option<PrimitiveDateTime>,
}

impl Store {
    /// A live volume; `None` when there is none or the scope does not show it.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn volume(&self, scope: &Scope, id: &VolumeId) -> Result<Option<Volume>, DbError> {
        let rows = self.db.select(&volume_by_id(scope, id)).await?;
        rows.first().map(Volume::read).transpose()
    }

    /// The live snapshots of a volume, whoever owns them, oldest first.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn snapshots_of(&self, volume: &VolumeId) -> Result<Vec<Snapshot>, DbError> {
        snapshots_of(&mut self.db.read().await?, volume).await
    }
}

/// Live volumes within a scope.
pub(crate) fn live_volumes(scope: &Scope) -> SelectStatement {
    live("volumes", &VOLUME_COLUMNS, scope)
}

/// Live snapshots within a scope.
pub(crate) fn live_snapshots(scope: &Scope) -> SelectStatement {
    live("snapshots", &SNAPSHOT_COLUMNS, scope)
}

/// Columns by name, never all of them: Cinder may add some while this program runs, and a prepared
/// statement that suddenly finds more is an error on PostgreSQL.
fn live(table: &'static str, columns: &[&'static str], scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select.columns(columns.iter().copied()).from(table);
    select.and_where(Expr::col("deleted").eq(false));
    if let Scope::Project(project) = scope {
        select.and_where(Expr::col("project_id").eq(project.as_str()));
    }
    select.take()
}

fn volume_by_id(scope: &Scope, id: &VolumeId) -> SelectStatement {
    live_volumes(scope).and_where(Expr::col("id").eq(id.as_str())).take()
}

pub(crate) async fn find_volume(
    txn: &mut Txn,
    scope: &Scope,
    id: &VolumeId,
) -> Result<Option<Volume>, DbError> {
    let mut select = volume_by_id(scope, id);
    txn.lock(&mut select);
    txn.first(&select).await?.map(|row| Volume::read(&row)).transpose()
}

/// Takes the lock of a volume, live or not. Whoever locks other rows that concern it, in the
/// journal, of its offer or of its snapshots, takes this one first: they never wait for each other
/// in a circle.
pub(crate) async fn lock(txn: &mut Txn, id: &VolumeId) -> Result<(), DbError> {
    if !txn.has_rivals() {
        return Ok(());
    }
    let mut select = Query::select()
        .column("id")
        .from("volumes")
        .and_where(Expr::col("id").eq(id.as_str()))
        .take();
    txn.lock(&mut select);
    txn.first(&select).await.map(|_row| ())
}

pub(crate) async fn snapshots_of(
    txn: &mut Txn,
    volume: &VolumeId,
) -> Result<Vec<Snapshot>, DbError> {
    let mut select = live_snapshots(&Scope::All);
    select
        .and_where(Expr::col("volume_id").eq(volume.as_str()))
        .order_by("created_at", Order::Asc)
        .order_by("id", Order::Asc);
    txn.lock(&mut select);
    txn.all(&select).await?.iter().map(Snapshot::read).collect()
}

/// An update that, like every update of Cinder's, says when.
pub(crate) fn touch(table: &'static str) -> UpdateStatement {
    Query::update().table(table).value("updated_at", dialect::datetime(utc_now())).take()
}

/// Moves a live volume from one status to another; false when it is not in the first.
pub(crate) async fn swap_status(
    txn: &mut Txn,
    id: &VolumeId,
    from: &str,
    to: &str,
) -> Result<bool, DbError> {
    let mut update = touch("volumes");
    update
        .value("status", to)
        .and_where(Expr::col("id").eq(id.as_str()))
        .and_where(Expr::col("status").eq(from))
        .and_where(Expr::col("deleted").eq(false));
    Ok(txn.execute(&update).await? == 1)
}

pub(crate) fn secret(row: &Row) -> Result<Option<SecretId>, DbError> {
    Ok(row.opt_text("encryption_key_id")?.map(SecretId::new))
}

impl Volume {
    pub(crate) fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: VolumeId::new(row.text("id")?),
            project: ProjectId::new(row.opt_text("project_id")?.unwrap_or_default()),
            user: UserId::new(row.opt_text("user_id")?.unwrap_or_default()),
            size_gb: row.int("size")?,
            status: row.opt_text("status")?.unwrap_or_default(),
            name: row.opt_text("display_name")?,
            description: row.opt_text("display_description")?,
            volume_type_id: row.opt_text("volume_type_id")?,
            key: secret(row)?,
            use_quota: row.bool("use_quota")?,
            snapshot_id: row.opt_text("snapshot_id")?,
            source_volume_id: row.opt_text("source_volid")?,
            host: row.opt_text("host")?,
            availability_zone: row.opt_text("availability_zone")?,
            bootable: row.bool("bootable")?,
            multiattach: row.bool("multiattach")?,
            created_at: row.datetime("created_at")?,
            updated_at: row.datetime("updated_at")?,
            consistency_group: row.opt_text("consistencygroup_id")?.filter(|id| !id.is_empty()),
        })
    }
}

impl Snapshot {
    pub(crate) fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: SnapshotId::new(row.text("id")?),
            volume: VolumeId::new(row.text("volume_id")?),
            project: ProjectId::new(row.opt_text("project_id")?.unwrap_or_default()),
            user: UserId::new(row.opt_text("user_id")?.unwrap_or_default()),
            size_gb: row.int("volume_size")?,
            status: row.opt_text("status")?.unwrap_or_default(),
            progress: row.opt_text("progress")?,
            name: row.opt_text("display_name")?,
            description: row.opt_text("display_description")?,
            volume_type_id: row.opt_text("volume_type_id")?,
            key: secret(row)?,
            use_quota: row.bool("use_quota")?,
            created_at: row.datetime("created_at")?,
            updated_at: row.datetime("updated_at")?,
        })
    }
}
