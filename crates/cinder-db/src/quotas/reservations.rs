//! Reserving, committing and rolling back.

use super::counting::count;
use super::{Charge, Exceeded, Limits, MOST_IN_USE, QuotaLimits, Resource};
use crate::db::{Txn, utc_now};
use crate::volumes::touch;
use crate::{DbError, dialect};
use sea_query::{CaseStatement, Expr, ExprTrait, Order, Query, SelectStatement};
use std::cmp::{max, min};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use time::PrimitiveDateTime;
use transfer_core::ProjectId;

/// One row of `quota_usages`.
#[derive(Clone, PartialEq, Eq)]
struct Usage {
    id: i64,
    in_use: i64,
    reserved: i64,
    /// How many more reservations there may be until it is counted anew.
    until_refresh: Option<i64>,
    updated_at: Option<PrimitiveDateTime>,
}

impl Usage {
    /// What a limit is compared with.
    fn total(&self) -> i64 {
        self.in_use + self.reserved
    }

    /// Notes that somebody reserves, and says whether to count anew. An end that lies farther off
    /// than is configured now, or that is missing, is set to what is configured.
    fn is_to_be_counted(&mut self, limits: &QuotaLimits) -> bool {
        let configured = (limits.until_refresh > 0).then(|| i64::from(limits.until_refresh));
        let due = match &mut self.until_refresh {
            _ if self.in_use < 0 => true,
            Some(left) => {
                *left -= 1;
                *left <= 0
            }
            None => self.updated_at.is_some_and(|updated| {
                limits.max_age_s > 0
                    && utc_now() - updated >= Duration::from_secs(limits.max_age_s.into())
            }),
        };
        let is_off = self.until_refresh.is_none() && configured.is_some();
        if due || is_off || self.until_refresh.unwrap_or(0) > configured.unwrap_or(0) {
            self.until_refresh = configured;
        }
        due
    }
}

/// Usages by project and resource.
type Usages = BTreeMap<(String, String), Usage>;

/// What one project is charged, all of it or nothing: one reservation of Cinder's.
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
    let there = usages_of(txn, limits, demands).await?;
    let mut usages = there.clone();
    let mut reserved = Vec::new();
    for (place, demand) in demands.iter().enumerate() {
        let by_name = demand.by_name();
        let place_of = |name: &String| (demand.project.as_str().to_owned(), name.clone());
        for (name, (resource, _)) in &by_name {
            let Some(usage) = usages.get_mut(&place_of(name)) else { continue };
            if usage.is_to_be_counted(&limits.configured) {
                usage.in_use = count(txn, &limits.configured, demand.project, resource).await?;
            }
        }
        if let Some(exceeded) = exceeded(limits, demand, &usages) {
            return Ok(Err((place, exceeded)));
        }
        for (name, (_, delta)) in by_name {
            let Some(usage) = usages.get_mut(&place_of(&name)) else { continue };
            usage.reserved += max(delta, 0);
            reserved.push((demand.project, name, usage.id, delta));
        }
    }
    let changed = usages.iter().filter(|(place, usage)| there.get(*place) != Some(*usage));
    write_usages(txn, changed.map(|(_, usage)| usage)).await?;
    insert_reservations(txn, limits, reserved).await.map(Ok)
}

/// What keeps a demand from being met, if anything does.
fn exceeded(limits: &Limits, demand: &Demand<'_>, usages: &Usages) -> Option<Exceeded> {
    let (mut overs, mut too_many) = (Vec::new(), Vec::new());
    for (name, (_, delta)) in demand.by_name() {
        let total = usages.get(&(demand.project.as_str().to_owned(), name.clone()))?.total();
        if delta > 0 && total + delta > MOST_IN_USE {
            too_many.push(name.clone());
        }
        let quota = limits.of(demand.project, &name);
        if quota >= 0 && delta >= 0 && quota < delta + total {
            overs.push((name, quota, total));
        }
    }
    if !too_many.is_empty() {
        return Some(Exceeded::Columns(too_many));
    }
    (!overs.is_empty()).then_some(Exceeded::Limits(overs))
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
        // Those of one time lie beside each other in the index: random ones are a page each.
        let uuid = uuid::Uuid::now_v7().to_string();
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

/// The usages that are demanded of; one that is not there is made, as its project's rows stand.
async fn usages_of(
    txn: &mut Txn,
    limits: &Limits,
    demands: &[Demand<'_>],
) -> Result<Usages, DbError> {
    let projects: BTreeSet<_> = demands.iter().map(|of| of.project.as_str()).collect();
    txn.line_up(projects.iter().copied()).await?;
    let mut select = usage_rows(txn);
    select.and_where(Expr::col("project_id").is_in(projects)).and_where(
        Expr::col("resource").is_in(demands.iter().flat_map(|of| of.by_name().into_keys())),
    );
    let mut usages = read_usages(txn, &select).await?;
    for demand in demands {
        for (name, (resource, _)) in demand.by_name() {
            let place = (demand.project.as_str().to_owned(), name);
            if usages.contains_key(&place) {
                continue;
            }
            let in_use = count(txn, &limits.configured, demand.project, resource).await?;
            let until_refresh = limits.configured.until_refresh;
            create_usage(txn, demand.project, &place.1, in_use, until_refresh).await?;
            usages = read_usages(txn, &select).await?;
        }
    }
    Ok(usages)
}

/// Turns reservations into usage, those too that have lapsed meanwhile and hold nothing any more:
/// the rows move all the same. Usage never becomes negative.
pub(crate) async fn commit(txn: &mut Txn, uuids: &[String]) -> Result<(), DbError> {
    settle(txn, uuids, |usage, held| {
        let in_use = usage.in_use + held.delta;
        let in_use = if held.delta < 0 { max(in_use, 0) } else { in_use };
        Usage { in_use, ..release(usage, held) }
    })
    .await
}

/// Lets reservations go.
pub(crate) async fn roll_back(txn: &mut Txn, uuids: &[String]) -> Result<(), DbError> {
    settle(txn, uuids, release).await
}

/// A reservation that is to end.
struct Held {
    id: i64,
    project: String,
    usage: i64,
    delta: i64,
    /// Whether Cinder has struck it out, and what it held, because its time was over.
    has_lapsed: bool,
}

fn release(usage: &Usage, held: &Held) -> Usage {
    let gain = if held.has_lapsed { 0 } else { max(held.delta, 0) };
    let reserved = usage.reserved - min(gain, usage.reserved);
    Usage { reserved, ..usage.clone() }
}

async fn settle(
    txn: &mut Txn,
    uuids: &[String],
    change: impl Fn(&Usage, &Held) -> Usage,
) -> Result<(), DbError> {
    if uuids.is_empty() {
        return Ok(());
    }
    let mut reserved = held(txn, uuids, false).await?;
    if reserved.len() < uuids.len() {
        reserved.extend(held(txn, uuids, true).await?);
    }
    reserved.sort_unstable_by_key(|held| held.id);
    let projects: BTreeSet<_> = reserved.iter().map(|held| held.project.as_str()).collect();
    txn.line_up(projects).await?;
    let mut select = usage_rows(txn);
    select.and_where(Expr::col("id").is_in(reserved.iter().map(|held| held.usage)));
    let mut usages: BTreeMap<i64, Usage> =
        read_usages(txn, &select).await?.into_values().map(|usage| (usage.id, usage)).collect();
    for held in reserved {
        if let Some(usage) = usages.get_mut(&held.usage) {
            *usage = change(usage, &held);
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

/// Those of these reservations that hold something, or those that have lapsed.
async fn held(txn: &mut Txn, uuids: &[String], has_lapsed: bool) -> Result<Vec<Held>, DbError> {
    let select = Query::select()
        .columns(["id", "project_id", "usage_id", "delta"])
        .from("reservations")
        .and_where(Expr::col("deleted").eq(has_lapsed))
        .and_where(Expr::col("uuid").is_in(uuids))
        .take();
    let found = txn.all(&select).await?;
    let read = found.iter().map(|row| {
        let (id, project) = (row.int("id")?, row.text("project_id")?);
        Ok(Held { id, project, usage: row.int("usage_id")?, delta: row.int("delta")?, has_lapsed })
    });
    read.collect()
}

/// Usages are locked by ascending id, and before reservations, as Cinder does it.
fn usage_rows(txn: &Txn) -> SelectStatement {
    let mut select = Query::select()
        .columns([
            "id",
            "project_id",
            "resource",
            "in_use",
            "reserved",
            "until_refresh",
            "updated_at",
        ])
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
            until_refresh: row.opt_int("until_refresh")?,
            updated_at: row.datetime("updated_at")?,
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
    until_refresh: u32,
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
            "until_refresh",
            "race_preventer",
        ])
        .values_panic([
            dialect::datetime(utc_now()).into(),
            false.into(),
            project.as_str().into(),
            resource.into(),
            in_use.into(),
            0.into(),
            (until_refresh > 0).then_some(i64::from(until_refresh)).into(),
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
    let [mut in_use, mut reserved, mut until_refresh] = [(); 3].map(|()| CaseStatement::new());
    let mut ids = Vec::new();
    for usage in usages {
        let this = || Expr::col("id").eq(usage.id);
        in_use = in_use.case(this(), usage.in_use);
        reserved = reserved.case(this(), usage.reserved);
        until_refresh = until_refresh.case(this(), usage.until_refresh);
        ids.push(usage.id);
    }
    if ids.is_empty() {
        return Ok(());
    }
    let mut update = touch("quota_usages");
    update
        .value("in_use", in_use.finally(Expr::col("in_use")))
        .value("reserved", reserved.finally(Expr::col("reserved")))
        .value("until_refresh", until_refresh.finally(Expr::col("until_refresh")))
        .and_where(Expr::col("id").is_in(ids));
    txn.execute(&update).await.map(|_rows| ())
}
