//! What an audit reads: volume after volume in the order of their ids, each with all that concerns
//! its keys, and which secrets have a name anywhere.
//!
//! A page is one snapshot of the database and costs as many statements as it has kinds of rows,
//! however many volumes it has and wherever it begins.

use crate::db::{Row, Txn};
use crate::schema::{DEBTS, HAND_OVERS, KEY_HOLDERS};
use crate::{DbError, Store, journal, volumes};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use std::collections::{BTreeMap, BTreeSet};
use transfer_core::invariants::RowId;
use transfer_core::{Authority, HandOverId, ProjectId, SecretId, SnapshotId, TransferId, VolumeId};

/// A row that may name a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditedRow {
    /// Which.
    pub id: RowId,
    /// Its project.
    pub project: ProjectId,
    /// The secret that it names.
    pub key: Option<SecretId>,
}

/// A live volume and what concerns its keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditedVolume {
    /// Its id.
    pub id: VolumeId,
    /// Its status.
    pub status: String,
    /// Its own row first, then those of its live snapshots.
    pub rows: Vec<AuditedRow>,
    /// Its open offers.
    pub offers: Vec<TransferId>,
    /// The live hand-over that claims it.
    pub claim: Option<HandOverId>,
}

impl AuditedVolume {
    /// The project that owns it.
    pub fn project(&self) -> &ProjectId {
        &self.rows[0].project
    }

    /// Who has to have its keys.
    pub fn custodian(&self) -> Authority {
        if self.offers.is_empty() {
            Authority::Project(self.project().clone())
        } else {
            Authority::Service
        }
    }

    /// The distinct secrets that its rows name, its own first.
    pub fn keys(&self) -> Vec<&SecretId> {
        let mut keys = Vec::new();
        for key in self.rows.iter().filter_map(|row| row.key.as_ref()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

impl Store {
    /// The next live volumes after one, in the order of the database for ids.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn audited_volumes(
        &self,
        after: Option<&VolumeId>,
        limit: u64,
    ) -> Result<Vec<AuditedVolume>, DbError> {
        let mut select = live();
        if let Some(after) = after {
            select.and_where(Expr::col("id").gt(after.as_str()));
        }
        select.order_by("id", Order::Asc).limit(limit);
        read(&mut self.db.read().await?, &select).await
    }

    /// One live volume.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn audited_volume(&self, id: &VolumeId) -> Result<Option<AuditedVolume>, DbError> {
        let mut select = live();
        select.and_where(Expr::col("id").eq(id.as_str()));
        Ok(read(&mut self.db.read().await?, &select).await?.pop())
    }

    /// How many live volumes there are.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn count_volumes(&self) -> Result<u64, DbError> {
        let select = Query::select()
            .expr_as(Expr::col("id").count(), "rows")
            .from("volumes")
            .and_where(Expr::col("deleted").eq(false))
            .take();
        let row = self.db.read().await?.first(&select).await?;
        let rows = row.map_or(Ok(0), |row| row.int("rows"))?;
        Ok(u64::try_from(rows).unwrap_or(0))
    }

    /// Which of these secrets have a name: in a live volume, snapshot or backup, in a live
    /// hand-over, or in a debt.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn named_among(&self, secrets: &[SecretId]) -> Result<BTreeSet<SecretId>, DbError> {
        let mut named = BTreeSet::new();
        if secrets.is_empty() {
            return Ok(named);
        }
        let mut txn = self.db.read().await?;
        let ids = || secrets.iter().map(SecretId::as_str);
        for table in KEY_HOLDERS {
            let select = Query::select()
                .column("encryption_key_id")
                .from(table)
                .and_where(is_live())
                .and_where(Expr::col("encryption_key_id").is_in(ids()))
                .take();
            for row in txn.all(&select).await? {
                named.insert(SecretId::new(row.text("encryption_key_id")?));
            }
        }
        let select = Query::select()
            .column("target")
            .from(DEBTS)
            .and_where(Expr::col("kind").eq("secret"))
            .and_where(Expr::col("target").is_in(ids()))
            .take();
        for row in txn.all(&select).await? {
            named.insert(SecretId::new(row.text("target")?));
        }
        for hand_over in journal::live(&mut txn).await? {
            for key in hand_over.keys() {
                let both = std::iter::once(&key.old).chain(&key.shell);
                named.extend(both.filter(|id| secrets.contains(id)).cloned());
            }
        }
        Ok(named)
    }
}

fn live() -> SelectStatement {
    Query::select()
        .columns(["id", "project_id", "status", "encryption_key_id"])
        .from("volumes")
        .and_where(is_live())
        .take()
}

/// Whether a row is live, in words for which no index on that is used: SQLite, which does not know
/// that almost all rows are, would read all of them, or sort them, for each page.
fn is_live() -> Expr {
    Expr::col("deleted").not()
}

async fn read(txn: &mut Txn, select: &SelectStatement) -> Result<Vec<AuditedVolume>, DbError> {
    let mut found = Vec::new();
    let mut places = BTreeMap::new();
    for row in txn.all(select).await? {
        let id = VolumeId::new(row.text("id")?);
        places.insert(id.clone(), found.len());
        found.push(AuditedVolume {
            rows: vec![audited(RowId::Volume(id.clone()), &row)?],
            id,
            status: row.opt_text("status")?.unwrap_or_default(),
            offers: Vec::new(),
            claim: None,
        });
    }
    if found.is_empty() {
        return Ok(found);
    }
    let of_page = |column: &'static str| {
        Expr::col(column).is_in(found.iter().map(|volume| volume.id.as_str()).collect::<Vec<_>>())
    };
    let snapshots = Query::select()
        .columns(["id", "volume_id", "project_id", "encryption_key_id"])
        .from("snapshots")
        .and_where(is_live())
        .and_where(of_page("volume_id"))
        .order_by("created_at", Order::Asc)
        .order_by("id", Order::Asc)
        .take();
    let offers = Query::select()
        .columns(["id", "volume_id"])
        .from("transfers")
        .and_where(is_live())
        .and_where(of_page("volume_id"))
        .order_by("id", Order::Asc)
        .take();
    let claims = Query::select()
        .columns(["id", "claimed_volume_id"])
        .from(HAND_OVERS)
        .and_where(of_page("claimed_volume_id"))
        .take();
    let (snapshots, offers) = (txn.all(&snapshots).await?, txn.all(&offers).await?);
    let claims = txn.all(&claims).await?;
    let at = |row: &Row, column: &str| -> Result<Option<usize>, DbError> {
        Ok(places.get(&VolumeId::new(row.text(column)?)).copied())
    };
    for row in &snapshots {
        if let Some(at) = at(row, "volume_id")? {
            found[at].rows.push(audited(RowId::Snapshot(SnapshotId::new(row.text("id")?)), row)?);
        }
    }
    for row in &offers {
        if let Some(at) = at(row, "volume_id")? {
            found[at].offers.push(TransferId::new(row.text("id")?));
        }
    }
    for row in &claims {
        if let Some(at) = at(row, "claimed_volume_id")? {
            found[at].claim = Some(HandOverId::new(row.text("id")?));
        }
    }
    Ok(found)
}

fn audited(id: RowId, row: &Row) -> Result<AuditedRow, DbError> {
    Ok(AuditedRow {
        id,
        project: ProjectId::new(row.opt_text("project_id")?.unwrap_or_default()),
        key: volumes::secret(row)?,
    })
}
