//! What a commit does to Cinder's rows.

use super::EndError;
use crate::db::Txn;
use crate::journal::Details;
use crate::volumes::{
    AVAILABLE, AWAITING_TRANSFER, Scope, Snapshot, Volume, find_volume, snapshots_of, swap_status,
    touch,
};
use crate::{DbError, transfers};
use sea_query::{Expr, ExprTrait};
use std::collections::{BTreeMap, BTreeSet};
use transfer_core::{HandOver, SecretId, SnapshotId};

/// Lets the volume and its snapshots name the new secrets, key by key; a restore, its only one.
///
/// A row that names a key which was not copied is a conflict: it would stay behind with a key of
/// the wrong project. A copy that no row would name is one too: it would be stray key material.
///
/// Gives the volume and the snapshots as they were found.
pub(super) async fn repoint(
    txn: &mut Txn,
    hand_over: &HandOver,
) -> Result<(Volume, Vec<Snapshot>), EndError> {
    let copies = hand_over.keys().iter().filter_map(|key| Some((&key.old, key.shell.as_ref()?)));
    let mut new: BTreeMap<&SecretId, &SecretId> = copies.collect();
    if let Some(shell) = hand_over.keys().first().and_then(|key| key.shell.as_ref()) {
        // Of a restore, which has one key.
        new.extend(hand_over.replaced().iter().map(|replaced| (&replaced.secret, shell)));
    }
    let volume = find_volume(txn, &Scope::All, hand_over.volume())
        .await?
        .ok_or(EndError::ConflictingRows)?;
    let snapshots = snapshots_of(txn, hand_over.volume()).await?;
    let mut unnamed: BTreeSet<&SecretId> = new.keys().copied().collect();
    // By table and key: one statement for all rows that name it.
    let mut naming: BTreeMap<(&'static str, &SecretId), Vec<&str>> = BTreeMap::new();
    let volume_row = ("volumes", volume.id.as_str(), &volume.key);
    let snapshot_rows = snapshots.iter().map(|s| ("snapshots", s.id.as_str(), &s.key));
    for (table, id, key) in std::iter::once(volume_row).chain(snapshot_rows) {
        if let Some(old) = key {
            naming.entry((table, old)).or_default().push(id);
        }
    }
    for ((table, old), ids) in naming {
        let shell = new.get(old).ok_or(EndError::ConflictingRows)?;
        unnamed.remove(old);
        let mut update = touch(table);
        update
            .value("encryption_key_id", shell.as_str())
            .and_where(Expr::col("id").is_in(ids.iter().copied()))
            .and_where(Expr::col("encryption_key_id").eq(old.as_str()));
        if txn.execute(&update).await? != rows(&ids) {
            return Err(EndError::ConflictingRows);
        }
    }
    if unnamed.is_empty() { Ok((volume, snapshots)) } else { Err(EndError::ConflictingRows) }
}

fn rows<T>(of: &[T]) -> u64 {
    u64::try_from(of.len()).unwrap_or(u64::MAX)
}

/// The offer becomes visible. The volume has been `awaiting-transfer` since the claim.
pub(super) async fn make_offer(
    txn: &mut Txn,
    hand_over: &HandOver,
    volume: &Volume,
    details: &Details,
) -> Result<(), EndError> {
    if volume.status != AWAITING_TRANSFER {
        return Err(EndError::ConflictingRows);
    }
    let offer = details.offer.as_ref().ok_or_else(|| DbError::Malformed {
        column: "details".to_owned(),
        expected: "offer of an initiate",
    })?;
    let donor = &hand_over.parties().donor;
    transfers::insert(txn, hand_over.transfer(), hand_over.volume(), donor, offer).await?;
    Ok(())
}

/// The volume, and the snapshots that go along, change their owner (cinder: `db/api.py`
/// `transfer_accept`).
pub(super) async fn change_owner(
    txn: &mut Txn,
    hand_over: &HandOver,
    snapshots: &[Snapshot],
    details: &Details,
) -> Result<(), EndError> {
    let parties = hand_over.parties();
    let mut update = touch("volumes");
    update
        .value("status", AVAILABLE)
        .value("user_id", parties.user.as_str())
        .value("project_id", parties.caller.as_str())
        .and_where(Expr::col("id").eq(hand_over.volume().as_str()))
        .and_where(Expr::col("status").eq(AWAITING_TRANSFER))
        .and_where(Expr::col("project_id").eq(parties.donor.as_str()))
        .and_where(Expr::col("deleted").eq(false));
    if txn.execute(&update).await? != 1 {
        return Err(EndError::ConflictingRows);
    }
    let offer = transfers::find(txn, &Scope::All, hand_over.transfer())
        .await?
        .ok_or(EndError::ConflictingRows)?;
    if offer.transfer.no_snapshots != Some(true) {
        // The quota was reserved for those that were there at the claim, in those projects.
        let now: BTreeSet<&SnapshotId> = snapshots.iter().map(|snapshot| &snapshot.id).collect();
        if now != details.snapshots.iter().collect() {
            return Err(EndError::ConflictingRows);
        }
        let mut update = touch("snapshots");
        update
            .value("user_id", parties.user.as_str())
            .value("project_id", parties.caller.as_str())
            .and_where(Expr::col("id").is_in(now.iter().map(|id| id.as_str())))
            .and_where(Expr::col("status").eq(AVAILABLE))
            .and_where(Expr::col("deleted").eq(false));
        if !snapshots.is_empty() && txn.execute(&update).await? != rows(snapshots) {
            return Err(EndError::ConflictingRows);
        }
    }
    if !transfers::end(txn, hand_over.transfer(), Some(&parties.caller)).await? {
        return Err(EndError::ConflictingRows);
    }
    Ok(())
}

/// A restore changes nothing but key ids. The key has gone to whoever had to have it at the claim:
/// that must still be so, and nobody may have begun to use the volume.
pub(super) async fn keep_custody(txn: &mut Txn, hand_over: &HandOver) -> Result<(), EndError> {
    let volume = find_volume(txn, &Scope::All, hand_over.volume()).await?;
    let volume = volume.filter(|volume| [AVAILABLE, AWAITING_TRANSFER].contains(&&*volume.status));
    let volume = volume.ok_or(EndError::ConflictingRows)?;
    let custodian = transfers::custodian(txn, &volume).await?;
    if custodian == hand_over.receiver() { Ok(()) } else { Err(EndError::ConflictingRows) }
}

/// The offer is over (cinder: `db/api.py` `transfer_destroy`). A volume that is not
/// `awaiting-transfer` any more keeps its status.
pub(super) async fn take_back(txn: &mut Txn, hand_over: &HandOver) -> Result<(), EndError> {
    swap_status(txn, hand_over.volume(), AWAITING_TRANSFER, AVAILABLE).await?;
    if !transfers::end(txn, hand_over.transfer(), None).await? {
        return Err(EndError::ConflictingRows);
    }
    Ok(())
}
