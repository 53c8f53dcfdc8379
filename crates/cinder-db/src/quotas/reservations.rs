//! Reserving, committing and rolling back.

use super::{Charge, Exceeded, Kind, Limits, QuotaLimits, Resource};
use crate::db::{Txn, utc_now};
use crate::volumes::touch;
use crate::{DbError, dialect};
use sea_query::{CaseStatement, Expr, ExprTrait, Order, Query, SelectStatement};
use std::cmp::{max, min};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use transfer_core::ProjectId;

/// One row of `quota_usages`.
#[derive(PartialEq, Eq)]
struct Usage {
    id: i64,
    in_use: i64,
    reserved: i64,
}

impl Usage {
    /// What a limit is compared with.
    fn total(&self) -> i64 {
        self.in_use + self.reserved
    }
}

/// Usages by project and resource.
type Usages = BTreeMap<(String, String), Usage>;

/// What one project is charged, all of it or nothing.
#[derive(Clone, Copy)]
pub(crate) struct Demand<'a> {
    pub(crate) project: &'a ProjectId,
    pub(crate) charge: &'a Charge,
}

impl Demand<'_> {
    /// The charge by the resources' names.
    fn by_name(&self) -> BTreeMap<String, (&Resource, i64)> {
        self.charge.0.iter().map(|(of, amount)| (of.to_string(), (of, *amount))).collect()
    }
}

/// Reserves what is demanded, one demand after the other, or nothing; gives the reservations'
/// uuids, or what the first demand that is too high exceeds, and its place.
///
/// Only increases are checked, and only they are held as `reserved`: a project that is over its
/// quota may still give away. The usages of all projects are locked at once, by ascending id: two
/// who move something in opposite directions do not each hold what the other needs. They are read
/// and written once, since others wait for them.
pub(crate) async fn reserve(
    txn: &mut Txn,
    limits: &Limits,
    demands: &[Demand<'_>],
) -> Result<Result<Vec<String>, (usize, Exceeded)>, DbError> {
    let mut usages = counted_usages(txn, limits, demands).await?;
    let mut reserved = Vec::new();
    let mut grown = BTreeSet::new();
    for (place, demand) in demands.iter().enumerate() {
        let by_name = demand.by_name();
        let place_of = |name: &String| (demand.project.as_str().to_owned(), name.clone());
        let overs: Vec<(String, i64, i64)> = by_name
            .iter()
            .filter_map(|(name, (_, delta))| {
                let quota = limits.of(demand.project, name);
                let total = usages.get(&place_of(name))?.total();
                (quota >= 0 && *delta >= 0 && quota < delta + total)
                    .then(|| (name.clone(), quota, total))
            })
            .collect();
        if !overs.is_empty() {
            return Ok(Err((place, Exceeded { overs })));
        }
        for (name, (_, delta)) in by_name {
            let Some(usage) = usages.get_mut(&place_of(&name)) else { continue };
            if delta > 0 {
                usage.reserved += delta;
                grown.insert(usage.id);
            }
            reserved.push((demand.project, name, usage.id, delta));
        }
    }
    write_usages(txn, usages.values().filter(|usage| grown.contains(&usage.id))).await?;
    insert_reservations(txn, limits, reserved).await.map(Ok)
}

async fn insert_reservations(
    txn: &mut Txn,
    limits: &Limits,
    reserved: Vec<(&ProjectId, String, i64, i64)>,
) -> Result<Vec<String>, DbError> {
    let expire = utc_now() + Duration::from_secs(limits.configured.reservation_expire_s.into());
    let mut insert = Query::insert()
        .into_table("reservations")
        .columns([
            "created_at",
            "deleted",
            "uuid",
            "usage_id",
            "project_id",
            "resource",
            "delta",
            "expire",
        ])
        .take();
    let mut uuids = Vec::new();
    for (project, resource, usage_id, delta) in reserved {
        let uuid = uuid::Uuid::new_v4().to_string();
        insert.values_panic([
            dialect::datetime(utc_now()).into(),
            false.into(),
            uuid.clone().into(),
            usage_id.into(),
            project.as_str().into(),
            resource.into(),
            delta.into(),
            dialect::datetime(expire).into(),
        ]);
        uuids.push(uuid);
    }
    if !uuids.is_empty() {
        txn.execute(&insert).await?;
    }
    Ok(uuids)
}

/// The usages that are demanded of, each of them there and not negative.
async fn counted_usages(
    txn: &mut Txn,
    limits: &Limits,
    demands: &[Demand<'_>],
) -> Result<Usages, DbError> {
    let mut select = usage_rows(txn);
    select
        .and_where(Expr::col("project_id").is_in(demands.iter().map(|of| of.project.as_str())))
        .and_where(
            Expr::col("resource").is_in(demands.iter().flat_map(|of| of.by_name().into_keys())),
        );
    let mut usages = read_usages(txn, &select).await?;
    for demand in demands {
        for (name, (resource, _)) in demand.by_name() {
            let place = (demand.project.as_str().to_owned(), name);
            let found = usages.get(&place);
            if found.is_some_and(|usage| usage.in_use >= 0) {
                continue;
            }
            let in_use = count(txn, &limits.configured, demand.project, resource).await?;
            match found {
                Some(usage) => write_usages(txn, [&Usage { in_use, ..*usage }]).await?,
                None => create_usage(txn, demand.project, &place.1, in_use).await?,
            }
            usages = read_usages(txn, &select).await?;
        }
    }
    Ok(usages)
}

/// Turns reservations into usage. Usage never becomes negative.
pub(crate) async fn commit(txn: &mut Txn, uuids: &[String]) -> Result<(), DbError> {
    settle(txn, uuids, |usage, delta| {
        let in_use = usage.in_use + delta;
        Usage { in_use: if delta < 0 { max(in_use, 0) } else { in_use }, ..release(usage, delta) }
    })
    .await
}

/// Lets reservations go.
pub(crate) async fn roll_back(txn: &mut Txn, uuids: &[String]) -> Result<(), DbError> {
    settle(txn, uuids, release).await
}

fn release(usage: &Usage, delta: i64) -> Usage {
    let reserved = usage.reserved - min(max(delta, 0), usage.reserved);
    Usage { id: usage.id, in_use: usage.in_use, reserved }
}

async fn settle(
    txn: &mut Txn,
    uuids: &[String],
    change: impl Fn(&Usage, i64) -> Usage,
) -> Result<(), DbError> {
    if uuids.is_empty() {
        return Ok(());
    }
    let held = Query::select()
        .columns(["usage_id", "delta"])
        .from("reservations")
        .and_where(Expr::col("deleted").eq(false))
        .and_where(Expr::col("uuid").is_in(uuids))
        .order_by("id", Order::Asc)
        .take();
    let mut deltas = Vec::new();
    for row in txn.all(&held).await? {
        deltas.push((row.int("usage_id")?, row.int("delta")?));
    }
    let mut select = usage_rows(txn);
    select.and_where(Expr::col("id").is_in(deltas.iter().map(|(id, _)| *id)));
    let mut usages: BTreeMap<i64, Usage> =
        read_usages(txn, &select).await?.into_values().map(|usage| (usage.id, usage)).collect();
    for (id, delta) in deltas {
        if let Some(usage) = usages.get_mut(&id) {
            *usage = change(usage, delta);
        }
    }
    write_usages(txn, usages.values()).await?;
    let strike = Query::update()
        .table("reservations")
        .value("deleted", true)
        .value("deleted_at", dialect::datetime(utc_now()))
        .and_where(Expr::col("deleted").eq(false))
        .and_where(Expr::col("uuid").is_in(uuids))
        .take();
    txn.execute(&strike).await.map(|_rows| ())
}

/// Usages are locked by ascending id, and before reservations, as Cinder does it.
fn usage_rows(txn: &Txn) -> SelectStatement {
    let mut select = Query::select()
        .columns(["id", "project_id", "resource", "in_use", "reserved"])
        .from("quota_usages")
        .and_where(Expr::col("deleted").eq(false))
        .order_by("id", Order::Asc)
        .take();
    txn.lock(&mut select);
    select
}

async fn read_usages(txn: &mut Txn, select: &SelectStatement) -> Result<Usages, DbError> {
    let mut found = BTreeMap::new();
    for row in txn.all(select).await? {
        let usage = Usage {
            id: row.int("id")?,
            in_use: row.int("in_use")?,
            reserved: row.int("reserved")?,
        };
        found.insert((row.text("project_id")?, row.text("resource")?), usage);
    }
    Ok(found)
}

async fn create_usage(
    txn: &mut Txn,
    project: &ProjectId,
    resource: &str,
    in_use: i64,
) -> Result<(), DbError> {
    let insert = Query::insert()
        .into_table("quota_usages")
        .columns([
            "created_at",
            "deleted",
            "project_id",
            "resource",
            "in_use",
            "reserved",
            "race_preventer",
        ])
        .values_panic([
            dialect::datetime(utc_now()).into(),
            false.into(),
            project.as_str().into(),
            resource.into(),
            in_use.into(),
            0.into(),
            true.into(),
        ])
        .take();
    match txn.execute(&insert).await {
        // Somebody on another connection has made it since we looked.
        Err(DbError::Duplicate) => Err(DbError::Interrupted("a usage was made twice".to_owned())),
        done => done.map(|_rows| ()),
    }
}

/// All of them in one statement.
async fn write_usages<'a>(
    txn: &mut Txn,
    usages: impl IntoIterator<Item = &'a Usage>,
) -> Result<(), DbError> {
    let (mut in_use, mut reserved, mut ids) = (CaseStatement::new(), CaseStatement::new(), vec![]);
    for usage in usages {
        in_use = in_use.case(Expr::col("id").eq(usage.id), usage.in_use);
        reserved = reserved.case(Expr::col("id").eq(usage.id), usage.reserved);
        ids.push(usage.id);
    }
    if ids.is_empty() {
        return Ok(());
    }
    let mut update = touch("quota_usages");
    update
        .value("in_use", in_use.finally(Expr::col("in_use")))
        .value("reserved", reserved.finally(Expr::col("reserved")))
        .and_where(Expr::col("id").is_in(ids));
    txn.execute(&update).await.map(|_rows| ())
}

/// What a project really has (cinder: `db/api.py` `_sync_volumes`, `_sync_gigabytes`,
/// `_sync_snapshots`). Rows with `use_quota` false do not count.
async fn count(
    txn: &mut Txn,
    limits: &QuotaLimits,
    project: &ProjectId,
    resource: &Resource,
) -> Result<i64, DbError> {
    let volumes = sum(txn, project, resource, "volumes", "size").await?;
    let snapshots = sum(txn, project, resource, "snapshots", "volume_size").await?;
    Ok(match resource.kind {
        Kind::Volumes => volumes.0,
        Kind::Snapshots => snapshots.0,
        Kind::Gigabytes if limits.no_snapshot_gb_quota => volumes.1,
        Kind::Gigabytes => volumes.1 + snapshots.1,
    })
}

async fn sum(
    txn: &mut Txn,
    project: &ProjectId,
    resource: &Resource,
    table: &'static str,
    size: &'static str,
) -> Result<(i64, i64), DbError> {
    let mut select = Query::select()
        .expr_as(Expr::col("id").count(), "rows")
        .expr_as(Expr::col(size).sum(), "gigabytes")
        .from(table)
        .and_where(Expr::col("deleted").eq(false))
        .and_where(Expr::col("use_quota").eq(true))
        .and_where(Expr::col("project_id").eq(project.as_str()))
        .take();
    if let Some(of_type) = &resource.of_type {
        let is_of_type = Expr::col(("volumes", "volume_type_id")).eq(of_type.id.as_str());
        if table == "volumes" {
            select.and_where(is_of_type);
        } else {
            // A snapshot counts for the type that its volume has now.
            let own = Query::select()
                .expr(Expr::val(1))
                .from("volumes")
                .and_where(Expr::col(("volumes", "id")).equals((table, "volume_id")))
                .and_where(is_of_type)
                .take();
            select.and_where(Expr::exists(own));
        }
    }
    match txn.first(&select).await? {
        Some(row) => Ok((row.int("rows")?, row.int("gigabytes")?)),
        None => Ok((0, 0)),
    }
}
