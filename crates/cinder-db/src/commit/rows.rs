//! What a commit does to Cinder's rows.
//!
//! The rows are locked by then, so that what is read is still true when it is written. Every write
//! says so all the same, and counts what it matches.

use super::EndError;
use crate::db::Txn;
use crate::journal::Details;
use crate::volumes::{AVAILABLE, AWAITING_TRANSFER, Snapshot, Volume, snapshots_of, touch};
use crate::{DbError, transfers};
use sea_query::{Expr, ExprTrait, UpdateStatement};
use std::collections::{BTreeMap, BTreeSet};
use transfer_core::{HandOver, Operation, Parties, SecretId, SnapshotId};

/// Secrets by those that they replace.
type NewKeys<'a> = BTreeMap<&'a SecretId, &'a SecretId>;

/// Lets the volume and its snapshots name the new secrets, and does beside that what the operation
/// does: each row is written once.
pub(super) async fn change(
    txn: &mut Txn,
    hand_over: &HandOver,
    volume: &Volume,
    details: &Details,
) -> Result<(), EndError> {
    let snapshots = snapshots_of(txn, &volume.id).await?;
    let new = new_keys(hand_over, volume, &snapshots)?;
    match hand_over.operation() {
        Operation::Initiate => {
            if volume.status != AWAITING_TRANSFER {
                return Err(EndError::ConflictingRows);
            }
            write_volume(txn, volume, &new, None, None).await?;
            write_snapshots(txn, &snapshots, &new, None).await?;
            make_offer(txn, hand_over, details).await
        }
        // cinder: `db/api.py` `transfer_accept`
        Operation::Accept => {
            check_accepted(hand_over, volume, &snapshots, details)?;
            let to = Some(hand_over.parties());
            let along = to.filter(|_| !details.no_snapshots);
            write_volume(txn, volume, &new, Some(AVAILABLE), to).await?;
            write_snapshots(txn, &snapshots, &new, along).await?;
            end_offer(txn, hand_over, to).await
        }
        // cinder: `db/api.py` `transfer_destroy`
        Operation::Cancel => {
            // One that is not `awaiting-transfer` any more keeps its status.
            let status = (volume.status == AWAITING_TRANSFER).then_some(AVAILABLE);
            write_volume(txn, volume, &new, status, None).await?;
            write_snapshots(txn, &snapshots, &new, None).await?;
            end_offer(txn, hand_over, None).await
        }
        Operation::Restore => {
            write_volume(txn, volume, &new, None, None).await?;
            write_snapshots(txn, &snapshots, &new, None).await?;
            check_custody(txn, hand_over, volume).await
        }
    }
}

/// What the rows are to name, key by key; of a restore, its only copy.
///
/// A row that names a key which was not copied is a conflict: it would stay behind with a key of
/// the wrong project. A copy that no row would name is one too: it would be stray key material.
fn new_keys<'a>(
    hand_over: &'a HandOver,
    volume: &Volume,
    snapshots: &[Snapshot],
) -> Result<NewKeys<'a>, EndError> {
    let copies = hand_over.keys().iter().filter_map(|key| Some((&key.old, key.shell.as_ref()?)));
    let mut new: NewKeys<'_> = copies.collect();
    if let Some(shell) = hand_over.keys().first().and_then(|key| key.shell.as_ref()) {
        // Of a restore, which has one key.
        new.extend(hand_over.replaced().iter().map(|replaced| (&replaced.secret, shell)));
    }
    let of_snapshots = snapshots.iter().filter_map(|snapshot| snapshot.key.as_ref());
    let named: BTreeSet<&SecretId> = volume.key.iter().chain(of_snapshots).collect();
    if new.keys().copied().eq(named) { Ok(new) } else { Err(EndError::ConflictingRows) }
}

async fn write_volume(
    txn: &mut Txn,
    volume: &Volume,
    new: &NewKeys<'_>,
    status: Option<&str>,
    to: Option<&Parties>,
) -> Result<(), EndError> {
    if volume.key.is_none() && status.is_none() && to.is_none() {
        return Ok(());
    }
    let mut update = rewritten("volumes", volume.key.as_ref(), new, to);
    if let Some(status) = status {
        update.value("status", status);
    }
    update.and_where(Expr::col("status").eq(volume.status.as_str()));
    write(txn, update, &[volume.id.as_str()]).await
}

/// The snapshots that name the same key, or none, are written together.
async fn write_snapshots(
    txn: &mut Txn,
    snapshots: &[Snapshot],
    new: &NewKeys<'_>,
    to: Option<&Parties>,
) -> Result<(), EndError> {
    let mut by_key: BTreeMap<Option<&SecretId>, Vec<&str>> = BTreeMap::new();
    for snapshot in snapshots {
        by_key.entry(snapshot.key.as_ref()).or_default().push(snapshot.id.as_str());
    }
    for (key, ids) in by_key {
        if key.is_none() && to.is_none() {
            continue;
        }
        let mut update = rewritten("snapshots", key, new, to);
        if to.is_some() {
            update.and_where(Expr::col("status").eq(AVAILABLE));
        }
        write(txn, update, &ids).await?;
    }
    Ok(())
}

/// An update of rows that name `key`, if they name any.
fn rewritten(
    table: &'static str,
    key: Option<&SecretId>,
    new: &NewKeys<'_>,
    to: Option<&Parties>,
) -> UpdateStatement {
    let mut update = touch(table);
    if let Some((old, new)) = key.and_then(|key| new.get_key_value(key)) {
        update
            .value("encryption_key_id", new.as_str())
            .and_where(Expr::col("encryption_key_id").eq(old.as_str()));
    }
    if let Some(to) = to {
        update.value("user_id", to.user.as_str()).value("project_id", to.caller.as_str());
    }
    update.and_where(Expr::col("deleted").eq(false));
    update
}

async fn write(txn: &mut Txn, mut update: UpdateStatement, ids: &[&str]) -> Result<(), EndError> {
    update.and_where(Expr::col("id").is_in(ids.iter().copied()));
    let rows = u64::try_from(ids.len()).unwrap_or(u64::MAX);
    if txn.execute(&update).await? == rows { Ok(()) } else { Err(EndError::ConflictingRows) }
}

/// The offer becomes visible. The volume has been `awaiting-transfer` since the claim.
async fn make_offer(
    txn: &mut Txn,
    hand_over: &HandOver,
    details: &Details,
) -> Result<(), EndError> {
    let offer = details.offer.as_ref().ok_or_else(|| DbError::Malformed {
        column: "details".to_owned(),
        expected: "offer of an initiate",
    })?;
    let donor = &hand_over.parties().donor;
    transfers::insert(txn, hand_over.transfer(), hand_over.volume(), donor, offer).await?;
    Ok(())
}

/// The volume is still on offer by its donor, and those snapshots are there which the quota was
/// reserved for.
fn check_accepted(
    hand_over: &HandOver,
    volume: &Volume,
    snapshots: &[Snapshot],
    details: &Details,
) -> Result<(), EndError> {
    let is_offered =
        volume.status == AWAITING_TRANSFER && volume.project == hand_over.parties().donor;
    let now: BTreeSet<&SnapshotId> = snapshots.iter().map(|snapshot| &snapshot.id).collect();
    let are_those = details.no_snapshots || now == details.snapshots.iter().collect();
    if is_offered && are_those { Ok(()) } else { Err(EndError::ConflictingRows) }
}

async fn end_offer(
    txn: &mut Txn,
    hand_over: &HandOver,
    accepted_by: Option<&Parties>,
) -> Result<(), EndError> {
    let accepted_by = accepted_by.map(|by| &by.caller);
    let ended = transfers::end(txn, hand_over.transfer(), accepted_by).await?;
    if ended { Ok(()) } else { Err(EndError::ConflictingRows) }
}

/// A restore changes nothing but key ids. The key has gone to whoever had to have it at the claim:
/// that must still be so, and nobody may have begun to use the volume.
async fn check_custody(
    txn: &mut Txn,
    hand_over: &HandOver,
    volume: &Volume,
) -> Result<(), EndError> {
    let is_unused = [AVAILABLE, AWAITING_TRANSFER].contains(&volume.status.as_str());
    let custodian = transfers::custodian(txn, volume).await?;
    if is_unused && custodian == hand_over.receiver() {
        Ok(())
    } else {
        Err(EndError::ConflictingRows)
    }
}
