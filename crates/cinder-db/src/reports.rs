//! What an operator or a checker wants to see, and the clearing of what nobody needs any more.

use crate::db::Txn;
use crate::schema::{DEBTS, HAND_OVERS};
use crate::volumes::{Scope, Snapshot, Volume, live_snapshots, live_volumes};
use crate::{DbError, Store, debts, journal};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use std::collections::BTreeMap;
use std::time::Duration;
use transfer_core::invariants::{OfferFate, OfferView, Row, RowId, VolumeView, World};
use transfer_core::{HandOver, ProjectId, TransferId, VolumeId};

/// A live hand-over as a report shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimRow {
    /// Its state.
    pub hand_over: HandOver,
    /// The database's clock when it was claimed, in ms since the epoch.
    pub created_at_ms: i64,
    /// When it may be taken over, in ms since the epoch.
    pub lease_expires_at_ms: i64,
    /// Whether that is now.
    pub lease_is_over: bool,
}

/// How much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Live hand-overs.
    pub claims: u64,
    /// Live hand-overs whose lease is over.
    pub expired_claims: u64,
    /// Debts that the service can pay.
    pub service_debts: u64,
    /// Debts that take a project's authority.
    pub project_debts: u64,
}

impl Store {
    /// Forgets the hand-overs that ended longer ago than this; gives their number.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn forget_ended(&self, older_than: Duration) -> Result<u64, DbError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.read().await?;
                let before = txn.now_ms().sub(journal::millis(older_than));
                let old = Expr::col("claimed_volume_id")
                    .is_null()
                    .and(Expr::col("updated_at_ms").lte(before));
                let look = Query::select()
                    .column("id")
                    .from(HAND_OVERS)
                    .and_where(old.clone())
                    .limit(1)
                    .take();
                if !txn.any(&look).await? {
                    return Ok(0);
                }
                drop(txn);
                let delete = Query::delete().from_table(HAND_OVERS).and_where(old).take();
                let mut txn = self.db.write().await?;
                let forgotten = txn.execute(&delete).await?;
                txn.commit().await?;
                Ok(forgotten)
            })
            .await
    }

    /// The live hand-overs, oldest first.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn claims(&self) -> Result<Vec<ClaimRow>, DbError> {
        let mut txn = self.db.read().await?;
        let select = Query::select()
            .columns(["state", "created_at_ms", "lease_expires_at_ms"])
            .expr_as(
                Expr::case(Expr::col("lease_expires_at_ms").lte(txn.now_ms()), 1).finally(0),
                "lease_is_over",
            )
            .from(HAND_OVERS)
            .and_where(Expr::col("claimed_volume_id").is_not_null())
            .order_by("created_at_ms", Order::Asc)
            .order_by("id", Order::Asc)
            .take();
        let mut claims = Vec::new();
        for row in txn.all(&select).await? {
            claims.push(ClaimRow {
                hand_over: HandOver::from_journal(&row.text("state")?)?,
                created_at_ms: row.int("created_at_ms")?,
                lease_expires_at_ms: row.int("lease_expires_at_ms")?,
                lease_is_over: row.bool("lease_is_over")?,
            });
        }
        Ok(claims)
    }

    /// Claims and debts, counted.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn counts(&self) -> Result<Counts, DbError> {
        let mut txn = self.db.read().await?;
        let claimed = || Expr::col("claimed_volume_id").is_not_null();
        let over = Expr::col("lease_expires_at_ms").lte(txn.now_ms());
        Ok(Counts {
            claims: count(&mut txn, HAND_OVERS, claimed()).await?,
            expired_claims: count(&mut txn, HAND_OVERS, claimed().and(over)).await?,
            service_debts: count(&mut txn, DEBTS, Expr::col("project_id").is_null()).await?,
            project_debts: count(&mut txn, DEBTS, Expr::col("project_id").is_not_null()).await?,
        })
    }

    /// Everything in the database that the invariants speak of, at one moment. `secrets` is empty:
    /// they are not here.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn world_rows(&self, service: &ProjectId) -> Result<World, DbError> {
        let mut txn = self.db.read().await?;
        Ok(World {
            service: service.clone(),
            volumes: volumes(&mut txn).await?,
            secrets: BTreeMap::new(),
            offers: offers(&mut txn).await?,
            hand_overs: journal::all(&mut txn).await?,
            debts: debts::all(&mut txn).await?.into_iter().map(|row| row.debt).collect(),
            usages: usages(&mut txn).await?,
        })
    }
}

pub(crate) async fn count(txn: &mut Txn, table: &'static str, which: Expr) -> Result<u64, DbError> {
    let select = Query::select()
        .expr_as(Expr::col("id").count(), "rows")
        .from(table)
        .and_where(which)
        .take();
    let rows = txn.first(&select).await?.map_or(Ok(0), |row| row.int("rows"))?;
    Ok(u64::try_from(rows).unwrap_or(0))
}

async fn volumes(txn: &mut Txn) -> Result<Vec<VolumeView>, DbError> {
    let mut snapshots: BTreeMap<VolumeId, Vec<Row>> = BTreeMap::new();
    for row in txn.all(&oldest_first(live_snapshots(&Scope::All))).await? {
        let snapshot = Snapshot::read(&row)?;
        snapshots.entry(snapshot.volume).or_default().push(Row {
            id: RowId::Snapshot(snapshot.id),
            project: snapshot.project,
            key: snapshot.key,
            size_gb: snapshot.size_gb,
            uses_quota: snapshot.use_quota,
        });
    }
    let select = Query::select().columns(["id", "name"]).from("volume_types").take();
    let mut type_names = BTreeMap::new();
    for row in txn.all(&select).await? {
        type_names.insert(row.text("id")?, row.text("name")?);
    }
    let mut views = Vec::new();
    for row in txn.all(&oldest_first(live_volumes(&Scope::All))).await? {
        let volume = Volume::read(&row)?;
        views.push(VolumeView {
            snapshots: snapshots.remove(&volume.id).unwrap_or_default(),
            row: Row {
                id: RowId::Volume(volume.id),
                project: volume.project,
                key: volume.key,
                size_gb: volume.size_gb,
                uses_quota: volume.use_quota,
            },
            status: volume.status,
            type_name: volume.volume_type_id.and_then(|id| type_names.get(&id).cloned()),
        });
    }
    Ok(views)
}

fn oldest_first(mut select: SelectStatement) -> SelectStatement {
    select.order_by("created_at", Order::Asc).order_by("id", Order::Asc);
    select
}

async fn offers(txn: &mut Txn) -> Result<Vec<OfferView>, DbError> {
    let select = Query::select()
        .columns(["id", "volume_id", "deleted", "accepted", "destination_project_id"])
        .from("transfers")
        .order_by("created_at", Order::Asc)
        .order_by("id", Order::Asc)
        .take();
    let mut offers = Vec::new();
    for row in txn.all(&select).await? {
        let recipient = row.opt_text("destination_project_id")?.map(ProjectId::new);
        offers.push(OfferView {
            id: TransferId::new(row.text("id")?),
            volume: VolumeId::new(row.text("volume_id")?),
            fate: match (row.bool("deleted")?, row.bool("accepted")?, recipient) {
                (false, _, _) => OfferFate::Open,
                (true, true, Some(project)) => OfferFate::Accepted(project),
                (true, _, _) => OfferFate::Cancelled,
            },
        });
    }
    Ok(offers)
}

async fn usages(txn: &mut Txn) -> Result<BTreeMap<(ProjectId, String), (i64, i64)>, DbError> {
    let select = Query::select()
        .columns(["project_id", "resource", "in_use", "reserved"])
        .from("quota_usages")
        .and_where(Expr::col("deleted").eq(false))
        .take();
    let mut usages = BTreeMap::new();
    for row in txn.all(&select).await? {
        let key = (ProjectId::new(row.text("project_id")?), row.text("resource")?);
        usages.insert(key, (row.int("in_use")?, row.int("reserved")?));
    }
    Ok(usages)
}
