//! The journal: one row for each hand-over.
//!
//! `claimed_volume_id` is the claim: unique, set while the hand-over is live, NULL once it has
//! ended. Ended rows stay until they are forgotten, so that a lost reply can be read back. The
//! version of a live row is the fence: whoever writes must still hold it.

use crate::db::{Db, Row, Txn};
use crate::schema::HAND_OVERS;
use crate::volumes::{SNAPSHOT_COLUMNS, Snapshot};
use crate::{Committed, DbError};
use sea_query::{DeleteStatement, Expr, ExprTrait, Order, Query, SelectStatement, UpdateStatement};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use transfer_core::{HandOver, HandOverId, Phase, SnapshotId, VolumeId};

/// What the store has to remember between the claim and the end, beside the protocol's state.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Details {
    /// `reservations.uuid` of the quota that is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reservations: Vec<String>,
    /// The snapshots that go along with an accept: those that the quota was reserved for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) snapshots: Vec<SnapshotId>,
    /// Whether the snapshots stay behind.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) no_snapshots: bool,
    /// The row of `transfers` that the commit of an initiate inserts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offer: Option<OfferDetails>,
}

/// An offer that is not committed yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct OfferDetails {
    pub(crate) name: Option<String>,
    pub(crate) salt: String,
    pub(crate) crypt_hash: String,
    pub(crate) no_snapshots: bool,
    /// How many seconds after its commit it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expire_after_s: Option<u32>,
}

/// One row of the journal.
pub(crate) struct Entry {
    pub(crate) hand_over: HandOver,
    pub(crate) details: Details,
    pub(crate) lease_is_over: bool,
}

fn entries(txn: &Txn) -> SelectStatement {
    let mut select = Query::select();
    select.from(HAND_OVERS);
    ask(txn, &mut select);
    txn.lock(&mut select);
    select
}

/// What [`read`] reads.
fn ask(txn: &Txn, select: &mut SelectStatement) {
    let lease_is_over = Expr::col("lease_expires_at_ms").lte(txn.now_ms());
    select
        .columns(["state", "details"])
        .expr_as(Expr::case(lease_is_over, 1).finally(0), "lease_is_over");
}

fn read(row: &Row) -> Result<Entry, DbError> {
    let malformed = |_error| DbError::Malformed {
        column: "details".to_owned(),
        expected: "details of a hand-over",
    };
    Ok(Entry {
        hand_over: HandOver::from_journal(&row.text("state")?)?,
        details: serde_json::from_str(&row.text("details")?).map_err(malformed)?,
        lease_is_over: row.bool("lease_is_over")?,
    })
}

/// The snapshots of a volume, as [`snapshots_of`] gives them, and the live hand-over, which is not
/// locked. Of a volume that is locked nobody makes one meanwhile.
///
/// [`snapshots_of`]: crate::volumes::snapshots_of
pub(crate) async fn around(
    txn: &mut Txn,
    volume: &VolumeId,
) -> Result<(Vec<Snapshot>, Option<Entry>), DbError> {
    let of_volume = |table| Expr::col((table, "volume_id")).equals(("volumes", "id"));
    let live = Expr::col(("snapshots", "deleted")).eq(false);
    let claims = Expr::col("claimed_volume_id").equals(("volumes", "id"));
    let mut select = Query::select();
    select
        .columns(SNAPSHOT_COLUMNS.map(|column| ("snapshots", column)))
        .from("volumes")
        .left_join("snapshots", of_volume("snapshots").and(live))
        .left_join(HAND_OVERS, claims)
        .and_where(Expr::col(("volumes", "id")).eq(volume.as_str()));
    ask(txn, &mut select);
    let (mut snapshots, mut claim) = (Vec::new(), None);
    for row in txn.all(&select).await? {
        if row.opt_text("id")?.is_some() {
            snapshots.push(Snapshot::read(&row)?);
        }
        if claim.is_none() && row.opt_text("state")?.is_some() {
            claim = Some(read(&row)?);
        }
    }
    // Here and not there: MariaDB would sort in a file, since the texts of a journal row have no
    // place in its memory tables.
    snapshots.sort_by(|one, other| {
        (one.created_at, one.id.as_str()).cmp(&(other.created_at, other.id.as_str()))
    });
    Ok((snapshots, claim))
}

/// The live hand-over of a volume.
pub(crate) async fn claim_on(txn: &mut Txn, volume: &VolumeId) -> Result<Option<Entry>, DbError> {
    let mut select = entries(txn);
    select.and_where(Expr::col("claimed_volume_id").eq(volume.as_str()));
    txn.first(&select).await?.map(|row| read(&row)).transpose()
}

/// A hand-over, live or ended.
pub(crate) async fn find(txn: &mut Txn, id: &HandOverId) -> Result<Option<Entry>, DbError> {
    let mut select = entries(txn);
    select.and_where(Expr::col("id").eq(id.as_str()));
    txn.first(&select).await?.map(|row| read(&row)).transpose()
}

/// The hand-over, if it is live and at this version.
pub(crate) async fn fenced(txn: &mut Txn, held: &HandOver) -> Result<Option<Entry>, DbError> {
    let mut select = entries(txn);
    select
        .and_where(Expr::col("id").eq(held.id().as_str()))
        .and_where(Expr::col("version").eq(version(held)))
        .and_where(Expr::col("claimed_volume_id").is_not_null());
    txn.first(&select).await?.map(|row| read(&row)).transpose()
}

/// Ids and volumes of live hand-overs whose lease is over, the longest over first.
pub(crate) async fn expired(
    txn: &mut Txn,
    limit: u64,
) -> Result<Vec<(HandOverId, VolumeId)>, DbError> {
    let select = Query::select()
        .columns(["id", "volume_id"])
        .from(HAND_OVERS)
        .and_where(Expr::col("claimed_volume_id").is_not_null())
        .and_where(Expr::col("lease_expires_at_ms").lte(txn.now_ms()))
        .order_by("lease_expires_at_ms", Order::Asc)
        .limit(limit)
        .take();
    let read =
        |row: &Row| Ok((HandOverId::new(row.text("id")?), VolumeId::new(row.text("volume_id")?)));
    txn.all(&select).await?.iter().map(read).collect()
}

/// The ids of hand-overs, live or ended, whose drivers have not lost their lease.
pub(crate) fn at_work(txn: &Txn) -> SelectStatement {
    Query::select()
        .column("id")
        .from(HAND_OVERS)
        .and_where(Expr::col("lease_expires_at_ms").gt(txn.now_ms()))
        .take()
}

/// Opens a claim. [`DbError::Duplicate`] when somebody else has one on the volume.
pub(crate) async fn open(
    txn: &mut Txn,
    hand_over: HandOver,
    details: &Details,
    lease: Duration,
) -> Result<Committed<HandOver>, DbError> {
    let now = || txn.now_ms();
    let insert = Query::insert()
        .into_table(HAND_OVERS)
        .columns([
            "id",
            "claimed_volume_id",
            "volume_id",
            "version",
            "phase",
            "state",
            "details",
            "lease_expires_at_ms",
            "created_at_ms",
            "updated_at_ms",
        ])
        .values_panic([
            hand_over.id().as_str().into(),
            hand_over.volume().as_str().into(),
            hand_over.volume().as_str().into(),
            version(&hand_over).into(),
            phase(&hand_over).into(),
            hand_over.to_journal()?.into(),
            text(details)?.into(),
            now().add(millis(lease)),
            now(),
            now(),
        ])
        .take();
    txn.execute(&insert).await?;
    Ok(Committed::new(hand_over))
}

/// Writes the state of a live hand-over and renews its lease, if the fence is still there. Twice is
/// as good as once.
pub(crate) fn renewal(
    db: &Db,
    hand_over: &HandOver,
    lease: Duration,
) -> Result<UpdateStatement, DbError> {
    Ok(Query::update()
        .table(HAND_OVERS)
        .value("phase", phase(hand_over))
        .value("state", hand_over.to_journal()?)
        .value("lease_expires_at_ms", db.now_ms().add(millis(lease)))
        .value("updated_at_ms", db.now_ms())
        .and_where(Expr::col("id").eq(hand_over.id().as_str()))
        .and_where(Expr::col("version").eq(version(hand_over)))
        .and_where(Expr::col("claimed_volume_id").is_not_null())
        .take())
}

/// Ends a hand-over that [`fenced`] has just locked: writes its last state, releases the claim.
pub(crate) async fn close(txn: &mut Txn, hand_over: &HandOver) -> Result<(), DbError> {
    let update = Query::update()
        .table(HAND_OVERS)
        .value("claimed_volume_id", Option::<String>::None)
        .value("version", version(hand_over))
        .value("phase", phase(hand_over))
        .value("state", hand_over.to_journal()?)
        // The salt and the hash of an offer stand in its own row from now on.
        .value("details", text(&Details::default())?)
        .value("updated_at_ms", txn.now_ms())
        .and_where(Expr::col("id").eq(hand_over.id().as_str()))
        .take();
    txn.execute(&update).await.map(|_rows| ())
}

/// Forgets those of some hand-overs that have ended.
pub(crate) fn forgetting<'a>(ids: impl IntoIterator<Item = &'a HandOverId>) -> DeleteStatement {
    Query::delete()
        .from_table(HAND_OVERS)
        .and_where(Expr::col("id").is_in(ids.into_iter().map(HandOverId::as_str)))
        .and_where(Expr::col("claimed_volume_id").is_null())
        .take()
}

/// The states of live hand-overs that speak of this id, and perhaps others: the text is matched, in
/// which whatever JSON may write differently counts as anything.
pub(crate) fn live_with(id: &str) -> SelectStatement {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '%' };
    let pattern: String = id.chars().map(plain).collect();
    Query::select()
        .column("state")
        .from(HAND_OVERS)
        // Not NULL, in words for which SQLite uses the index.
        .and_where(Expr::col("claimed_volume_id").gt(""))
        .and_where(Expr::col("state").like(format!("%{pattern}%")))
        .take()
}

/// Every hand-over in the journal, oldest first.
pub(crate) async fn all(txn: &mut Txn) -> Result<Vec<HandOver>, DbError> {
    let mut select = entries(txn);
    select.order_by("created_at_ms", Order::Asc).order_by("id", Order::Asc);
    let rows = txn.all(&select).await?;
    rows.iter().map(|row| read(row).map(|entry| entry.hand_over)).collect()
}

/// Every hand-over that is at work.
pub(crate) async fn live(txn: &mut Txn) -> Result<Vec<HandOver>, DbError> {
    let mut select = entries(txn);
    // In words for which its index is used: what has ended is NULL.
    select.and_where(Expr::col("claimed_volume_id").gt(""));
    let rows = txn.all(&select).await?;
    rows.iter().map(|row| read(row).map(|entry| entry.hand_over)).collect()
}

fn text(details: &Details) -> Result<String, DbError> {
    serde_json::to_string(details).map_err(|_error| DbError::Malformed {
        column: "details".to_owned(),
        expected: "details of a hand-over",
    })
}

fn version(hand_over: &HandOver) -> i64 {
    i64::try_from(hand_over.version()).unwrap_or(i64::MAX)
}

pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4)
}

fn phase(hand_over: &HandOver) -> &'static str {
    match hand_over.phase() {
        Phase::Copying => "copying",
        Phase::Aborting(_) => "aborting",
        Phase::Committed => "committed",
        Phase::Aborted(_) => "aborted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_looked_for_as_far_as_json_writes_it_as_it_is() {
        for (id, pattern) in [("1f-2E", "%1f-2E%"), (r#"a "b" \ 100_%"#, "%a%%b%%%%100%%%")] {
            let sql = live_with(id).to_string(sea_query::SqliteQueryBuilder);
            assert!(sql.contains(&format!("LIKE '{pattern}'")), "{sql}");
        }
    }

    #[test]
    fn a_lease_of_any_length_is_in_milliseconds_and_ends_after_now() {
        assert_eq!(millis(Duration::from_secs(60)), 60_000);
        let (year, longest) = (365 * 24 * 3600 * 1000, millis(Duration::MAX));
        assert!(longest > 1000 * year);
        assert!(longest.checked_add(1000 * year).is_some());
    }
}
