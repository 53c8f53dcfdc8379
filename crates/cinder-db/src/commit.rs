//! The end of a hand-over: the commit, which alone changes ownership, and the abort.
//!
//! Invariants: each is one transaction, fenced by the journal row's version and its live claim;
//! the rows, the quota, the journal and the debts change together or not at all.

mod rows;

use crate::db::{Interruptible, Txn};
use crate::journal::{self, Entry};
use crate::volumes::{AVAILABLE, AWAITING_TRANSFER, Scope, find_volume, swap_status};
use crate::{Committed, DbError, Store, debts, quotas, volumes};
use std::time::Duration;
use transfer_core::{Debt, Event, HandOver, HandOverId, Operation, VolumeId};

/// A hand-over that has ended, and the debts that it left.
#[derive(Debug)]
pub struct Ended {
    /// Its last state.
    pub hand_over: Committed<HandOver>,
    /// Its debts that are still on record.
    pub debts: Vec<Committed<Debt>>,
}

/// Why a state was not saved.
#[derive(Debug, thiserror::Error)]
pub enum FenceError {
    /// Somebody else has ended the hand-over.
    #[error("the hand-over has been ended by somebody else")]
    Fenced,
    /// The database failed; nothing has changed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Interruptible for FenceError {
    fn is_interruption(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_interruption())
    }
}

/// Why a hand-over was not ended. Except for [`EndError::Unknown`], nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// Somebody else has ended the hand-over.
    #[error("the hand-over has been ended by somebody else")]
    Fenced,
    /// The rows are no longer as they were at the claim: a key id, a status or a snapshot.
    #[error("the rows were changed by somebody else since the claim")]
    ConflictingRows,
    /// The database failed at the very end: it may or may not have happened. [`Store::ended`]
    /// tells.
    #[error("nobody knows whether the hand-over was ended: {0}")]
    Unknown(DbError),
    /// The database failed before that.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Interruptible for EndError {
    fn is_interruption(&self) -> bool {
        matches!(self, Self::Db(error) | Self::Unknown(error) if error.is_interruption())
    }
}

impl Store {
    /// Saves the state of a live hand-over and renews its lease.
    ///
    /// # Errors
    /// [`FenceError`].
    pub async fn save(
        &self,
        hand_over: HandOver,
        lease: Duration,
    ) -> Result<Committed<HandOver>, FenceError> {
        self.db
            .uninterrupted(|| async {
                let renewal = journal::renewal(&self.db, &hand_over, lease)?;
                if self.db.write_once(&renewal).await? != 1 {
                    return Err(FenceError::Fenced);
                }
                Ok(Committed::new(hand_over.clone()))
            })
            .await
    }

    /// Commits: key ids, owner, status, offer, quota, journal and debts in one transaction.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn commit(&self, hand_over: HandOver) -> Result<Ended, EndError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let volume = find_volume(&mut txn, &Scope::All, hand_over.volume()).await?;
                let entry = journal::fenced(&mut txn, &hand_over).await?.ok_or(EndError::Fenced)?;
                let volume = volume.ok_or(EndError::ConflictingRows)?;
                let mut ended = hand_over.clone();
                ended.apply(Event::Committed).map_err(DbError::from)?;
                rows::change(&mut txn, &ended, &volume, &entry.details).await?;
                let ended = close(&mut txn, ended).await?;
                // Last: nobody else may change these projects' usages from here to the end.
                quotas::commit(&mut txn, &entry.details.reservations).await?;
                txn.commit().await.map_err(EndError::Unknown)?;
                Ok(ended)
            })
            .await
    }

    /// Aborts: the rows go back to what they were before the claim, the shells become debts.
    ///
    /// # Errors
    /// [`EndError`].
    pub async fn abort(&self, hand_over: HandOver) -> Result<Ended, EndError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                volumes::lock(&mut txn, hand_over.volume()).await?;
                let entry = journal::fenced(&mut txn, &hand_over).await?.ok_or(EndError::Fenced)?;
                let ended =
                    abort(&mut txn, Entry { hand_over: hand_over.clone(), ..entry }).await?;
                txn.commit().await.map_err(EndError::Unknown)?;
                Ok(ended)
            })
            .await
    }

    /// Ends hand-overs whose lease is over, one transaction each. Any number of replicas may do so
    /// at once; each hand-over is ended by one of them.
    ///
    /// # Errors
    /// [`DbError`]; hand-overs that were ended before it stay so.
    pub async fn take_over_expired(&self, limit: u64) -> Result<Vec<Ended>, DbError> {
        let expired = journal::expired(&mut self.db.read().await?, limit).await?;
        let mut all = Vec::new();
        for (id, volume) in expired {
            all.extend(self.take_over_if_expired(&id, &volume).await?);
        }
        Ok(all)
    }

    /// Ends one hand-over whose lease is over; `None` when it is not, or no longer.
    ///
    /// # Errors
    /// [`DbError`]; nothing has changed then.
    pub async fn take_over_if_expired(
        &self,
        id: &HandOverId,
        volume: &VolumeId,
    ) -> Result<Option<Ended>, DbError> {
        self.db.uninterrupted(|| self.take_over(id, volume)).await
    }

    async fn take_over(
        &self,
        id: &HandOverId,
        volume: &VolumeId,
    ) -> Result<Option<Ended>, DbError> {
        let mut txn = self.db.write().await?;
        volumes::lock(&mut txn, volume).await?;
        let entry = journal::find(&mut txn, id).await?;
        // Its driver may have come back, or another replica been faster.
        match entry.filter(|entry| entry.lease_is_over && !entry.hand_over.has_ended()) {
            None => Ok(None),
            Some(entry) => {
                let ended = take_over(&mut txn, entry).await?;
                txn.commit().await?;
                Ok(Some(ended))
            }
        }
    }

    /// A hand-over that has ended, with its debts that are still on record; `None` while it is
    /// live, or when it is not in the journal.
    ///
    /// # Errors
    /// [`DbError`].
    pub async fn ended(&self, id: &HandOverId) -> Result<Option<Ended>, DbError> {
        let mut txn = self.db.read().await?;
        match journal::find(&mut txn, id).await? {
            Some(entry) if entry.hand_over.has_ended() => Ok(Some(Ended {
                debts: debts::of_hand_over(&mut txn, id).await?,
                hand_over: Committed::new(entry.hand_over),
            })),
            Some(_) | None => Ok(None),
        }
    }
}

/// Ends a hand-over whose lease is over, in the caller's transaction.
pub(crate) async fn take_over(txn: &mut Txn, mut entry: Entry) -> Result<Ended, DbError> {
    entry.hand_over.apply(Event::TakenOver)?;
    abort(txn, entry).await
}

async fn abort(txn: &mut Txn, entry: Entry) -> Result<Ended, DbError> {
    let Entry { mut hand_over, details, .. } = entry;
    hand_over.apply(Event::Aborted)?;
    if hand_over.operation() == Operation::Initiate {
        // An administrator who has set another status meanwhile has the last word.
        let back = swap_status(txn, hand_over.volume(), AWAITING_TRANSFER, AVAILABLE);
        if !back.await? {
            tracing::warn!(volume = %hand_over.volume(), "status was changed by somebody else");
        }
    }
    let ended = close(txn, hand_over).await?;
    quotas::roll_back(txn, &details.reservations).await?;
    Ok(ended)
}

async fn close(txn: &mut Txn, hand_over: HandOver) -> Result<Ended, DbError> {
    let owed = hand_over.debts();
    journal::close(txn, &hand_over).await?;
    debts::record(txn, &owed).await?;
    Ok(Ended {
        hand_over: Committed::new(hand_over),
        debts: owed.into_iter().map(Committed::new).collect(),
    })
}
