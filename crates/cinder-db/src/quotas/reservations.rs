//! Reserving, committing and rolling back.

use super::{Charge, Exceeded, Kind, QuotaLimits, Resource, limits_of};
use crate::db::{Txn, utc_now};
use crate::volumes::touch;
use crate::{DbError, dialect};
use sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use std::cmp::{max, min};
use std::collections::BTreeMap;
use std::time::Duration;
use transfer_core::ProjectId;

/// One row of `quota_usages`.
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

/// Reserves a charge for a project, all of it or nothing; gives the reservations' uuids.
///
/// Only increases are checked, and only they are held as `reserved`: a project that is over its
/// quota may still give away.
pub(crate) async fn reserve(
    txn: &mut Txn,
    limits: &QuotaLimits,
    project: &ProjectId,
    charge: &Charge,
) -> Result<Result<Vec<String>, Exceeded>, DbError> {
    let by_name: BTreeMap<String, (&Resource, i64)> =
        charge.0.iter().map(|(of, amount)| (of.to_string(), (of, *amount))).collect();
    let names: Vec<String> = by_name.keys().cloned().collect();
    let quotas = limits_of(txn, limits, project, &names).await?;
    let mut usages = usages(txn, project, &names).await?;
    for (name, (resource, _)) in &by_name {
        match usages.get(name) {
            Some(usage) if usage.in_use >= 0 => continue,
            Some(usage) => {
                let in_use = count(txn, limits, project, resource).await?;
                write_usage(txn, &Usage { in_use, ..*usage }).await?;
            }
            None => {
                let in_use = count(txn, limits, project, resource).await?;
                create_usage(txn, project, name, in_use).await?;
            }
        }
        usages = self::usages(txn, project, &names).await?;
    }
    let overs: Vec<(String, i64, i64)> = by_name
        .iter()
        .filter_map(|(name, (_, delta))| {
            let quota = *quotas.get(name)?;
            let total = usages.get(name)?.total();
            (quota >= 0 && *delta >= 0 && quota < delta + total)
                .then(|| (name.clone(), quota, total))
        })
        .collect();
    if !overs.is_empty() {
        return Ok(Err(Exceeded { overs }));
    }
    let expire = utc_now() + Duration::from_secs(limits.reservation_expire_s.into());
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
    for (name, (_, delta)) in &by_name {
        let Some(usage) = usages.get(name) else { continue };
        let uuid = uuid::Uuid::new_v4().to_string();
        insert.values_panic([
            dialect::datetime(utc_now()).into(),
            false.into(),
            uuid.clone().into(),
            usage.id.into(),
            project.as_str().into(),
            name.clone().into(),
            (*delta).into(),
            dialect::datetime(expire).into(),
        ]);
        uuids.push(uuid);
        if *delta > 0 {
            write_usage(txn, &Usage { reserved: usage.reserved + delta, ..*usage }).await?;
        }
    }
    txn.execute(&insert).await?;
    Ok(Ok(uuids))
}

/// Locks all usages of these projects at once. Whoever is going to reserve for several of them does
/// so first: two who moved something in opposite directions would each hold what the other needs.
pub(crate) async fn lock(
    txn: &mut Txn,
    projects: impl IntoIterator<Item = &ProjectId>,
) -> Result<(), DbError> {
    if txn.has_rivals() {
        let mut select = usage_rows(txn);
        let projects = projects.into_iter().map(ProjectId::as_str);
        select.and_where(Expr::col("project_id").is_in(projects));
        txn.all(&select).await?;
    }
    Ok(())
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
    for usage in usages.values() {
        write_usage(txn, usage).await?;
    }
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

async fn usages(
    txn: &mut Txn,
    project: &ProjectId,
    names: &[String],
) -> Result<BTreeMap<String, Usage>, DbError> {
    let mut select = usage_rows(txn);
    select
        .and_where(Expr::col("project_id").eq(project.as_str()))
        .and_where(Expr::col("resource").is_in(names));
    let found = read_usages(txn, &select).await?;
    Ok(found.into_iter().map(|((_, resource), usage)| (resource, usage)).collect())
}

async fn read_usages(
    txn: &mut Txn,
    select: &SelectStatement,
) -> Result<BTreeMap<(String, String), Usage>, DbError> {
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

async fn write_usage(txn: &mut Txn, usage: &Usage) -> Result<(), DbError> {
    let mut update = touch("quota_usages");
    update
        .value("in_use", usage.in_use)
        .value("reserved", usage.reserved)
        .and_where(Expr::col("id").eq(usage.id));
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
