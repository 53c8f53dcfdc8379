//! Rows of `transfers`: what the API shows of them, and their beginning and end.

use crate::db::{Row, Txn, utc_now};
use crate::volumes::{Scope, Volume};
use crate::{DbError, Store, dialect, expiry, volumes};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use std::time::Duration;
use time::PrimitiveDateTime;
use transfer_core::{Authority, ProjectId, TransferId, VolumeId};

/// What is read of a row, and what a list may be sorted by.
const COLUMNS: [&str; 14] = [
    "id",
    "volume_id",
    "display_name",
    "salt",
    "crypt_hash",
    "no_snapshots",
    "source_project_id",
    "destination_project_id",
    "accepted",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
    "expires_at",
];

/// An open offer. Its salt and hash stay in the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Its id.
    pub id: TransferId,
    /// The volume on offer.
    pub volume: VolumeId,
    /// Display name.
    pub name: Option<String>,
    /// Naive UTC.
    pub created_at: Option<PrimitiveDateTime>,
    /// Whether the snapshots stay behind; NULL in rows older than the column, which means no.
    pub no_snapshots: Option<bool>,
    /// The project that made the offer; NULL in rows older than the column.
    pub source_project: Option<ProjectId>,
    /// The project that accepted it.
    pub destination_project: Option<ProjectId>,
    /// Whether it was accepted.
    pub accepted: bool,
}

/// An open offer with what it takes to check an auth key.
pub(crate) struct Offer {
    pub(crate) transfer: Transfer,
    pub(crate) salt: String,
    pub(crate) crypt_hash: String,
    pub(crate) has_expired: bool,
}

impl Store {
    /// An open offer (cinder: `db/api.py` `transfer_get`). A project sees the offers of the
    /// volumes that it owns.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn transfer(
        &self,
        scope: &Scope,
        id: &TransferId,
    ) -> Result<Option<Transfer>, DbError> {
        let rows = self.db.select(&by_id(scope, id)).await?;
        rows.first().map(Transfer::read).transpose()
    }

    /// The volume of an open offer, whoever asks: what the policy judges by.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn volume_of_transfer(&self, id: &TransferId) -> Result<Option<Volume>, DbError> {
        let mut txn = self.db.read().await?;
        let Some(offer) = find(&mut txn, &Scope::All, id).await? else { return Ok(None) };
        crate::volumes::find_volume(&mut txn, &Scope::All, &offer.transfer.volume).await
    }
}

/// Open offers within a scope. A deleted volume does not hide its offer.
pub(crate) fn open(scope: &Scope) -> SelectStatement {
    let mut select = Query::select();
    select.columns(COLUMNS).from("transfers").and_where(Expr::col("deleted").eq(false));
    if let Scope::Project(project) = scope {
        of_project(&mut select, project);
    }
    select.take()
}

fn by_id(scope: &Scope, id: &TransferId) -> SelectStatement {
    open(scope).and_where(Expr::col("id").eq(id.as_str())).take()
}

/// Leaves the offers of volumes of one project.
pub(crate) fn of_project(select: &mut SelectStatement, project: &ProjectId) {
    let own = Query::select()
        .expr(Expr::val(1))
        .from("volumes")
        .and_where(Expr::col(("volumes", "id")).equals(("transfers", "volume_id")))
        .and_where(Expr::col(("volumes", "project_id")).eq(project.as_str()))
        .take();
    select.and_where(Expr::exists(own));
}

/// The volume of an open offer, locked; `None` when either is not there.
pub(crate) async fn lock_volume(txn: &mut Txn, id: &TransferId) -> Result<Option<Volume>, DbError> {
    let offered = Query::select()
        .column("volume_id")
        .from("transfers")
        .and_where(Expr::col("id").eq(id.as_str()))
        .and_where(Expr::col("deleted").eq(false))
        .take();
    let mut select = volumes::live_volumes(&Scope::All);
    select.and_where(Expr::col("id").eq(Expr::from(offered)));
    txn.lock(&mut select);
    txn.first(&select).await?.map(|row| Volume::read(&row)).transpose()
}

/// An open offer, locked. Whoever writes locks its volume before ([`lock_volume`]).
pub(crate) async fn find(
    txn: &mut Txn,
    scope: &Scope,
    id: &TransferId,
) -> Result<Option<Offer>, DbError> {
    let mut select = by_id(scope, id);
    let is_over = expiry::is_over(txn, Duration::ZERO);
    select.expr_as(Expr::case(is_over, 1).finally(0), "has_expired");
    txn.lock(&mut select);
    let Some(row) = txn.first(&select).await? else { return Ok(None) };
    Ok(Some(Offer {
        transfer: Transfer::read(&row)?,
        salt: row.opt_text("salt")?.unwrap_or_default(),
        crypt_hash: row.opt_text("crypt_hash")?.unwrap_or_default(),
        has_expired: row.bool("has_expired")?,
    }))
}

/// The open offers of a volume. More than one is nothing that Cinder makes.
pub(crate) async fn of_volume(txn: &mut Txn, id: &VolumeId) -> Result<Vec<TransferId>, DbError> {
    let mut select = open(&Scope::All);
    select.and_where(Expr::col("volume_id").eq(id.as_str())).order_by("id", Order::Asc);
    txn.lock(&mut select);
    txn.all(&select).await?.iter().map(|row| Ok(TransferId::new(row.text("id")?))).collect()
}

/// Who has to have the keys of a volume: the service while an offer is open, else its project.
pub(crate) async fn custodian(txn: &mut Txn, volume: &Volume) -> Result<Authority, DbError> {
    let on_offer = !of_volume(txn, &volume.id).await?.is_empty();
    Ok(if on_offer { Authority::Service } else { Authority::Project(volume.project.clone()) })
}

/// Makes an offer (cinder: `db/api.py` `transfer_create`).
pub(crate) async fn insert(
    txn: &mut Txn,
    id: &TransferId,
    volume: &VolumeId,
    source: &ProjectId,
    offer: &crate::journal::OfferDetails,
) -> Result<(), DbError> {
    let insert = Query::insert()
        .into_table("transfers")
        .columns([
            "created_at",
            "deleted",
            "id",
            "volume_id",
            "display_name",
            "salt",
            "crypt_hash",
            "no_snapshots",
            "source_project_id",
            "accepted",
            "expires_at",
        ])
        .values_panic([
            dialect::datetime(utc_now()).into(),
            false.into(),
            id.as_str().into(),
            volume.as_str().into(),
            offer.name.clone().into(),
            offer.salt.as_str().into(),
            offer.crypt_hash.as_str().into(),
            offer.no_snapshots.into(),
            source.as_str().into(),
            false.into(),
            expiry::expires_at(txn, offer),
        ])
        .take();
    txn.execute(&insert).await.map(|_rows| ())
}

/// Ends an offer; false when it is not open. `updated_at` stays as it is (cinder: `db/api.py`
/// `transfer_accept`, `transfer_destroy`).
pub(crate) async fn end(
    txn: &mut Txn,
    id: &TransferId,
    accepted_by: Option<&ProjectId>,
) -> Result<bool, DbError> {
    let mut update = Query::update();
    update
        .table("transfers")
        .value("deleted", true)
        .value("deleted_at", dialect::datetime(utc_now()))
        .and_where(Expr::col("id").eq(id.as_str()))
        .and_where(Expr::col("deleted").eq(false));
    if let Some(project) = accepted_by {
        update.value("destination_project_id", project.as_str()).value("accepted", true);
    }
    Ok(txn.execute(&update).await? == 1)
}

impl Transfer {
    pub(crate) fn read(row: &Row) -> Result<Self, DbError> {
        Ok(Self {
            id: TransferId::new(row.text("id")?),
            volume: VolumeId::new(row.text("volume_id")?),
            name: row.opt_text("display_name")?,
            created_at: row.datetime("created_at")?,
            no_snapshots: row.opt_bool("no_snapshots")?,
            source_project: row.opt_text("source_project_id")?.map(ProjectId::new),
            destination_project: row.opt_text("destination_project_id")?.map(ProjectId::new),
            accepted: row.bool("accepted")?,
        })
    }
}
