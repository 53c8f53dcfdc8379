//! The claim of a cancel (cinder: `transfer/api.py` delete).

use super::{ClaimError, Unclaimed, keys_of, lost_race, make_way, refuse_fixed_key};
use crate::journal::{self, Details};
use crate::volumes::Caller;
use crate::{Committed, Store, transfers};
use std::time::Duration;
use transfer_core::{HandOver, HandOverId, Operation, Parties, TransferId};

/// What is to be taken back.
#[derive(Clone, Debug)]
pub struct CancelClaim {
    /// A fresh id.
    pub hand_over_id: HandOverId,
    /// The offer.
    pub transfer: TransferId,
    /// Who takes it back.
    pub caller: Caller,
    /// How long the claim holds without a sign of life.
    pub lease: Duration,
}

impl Store {
    /// Claims an offered volume in order to take the offer back. A volume that is no longer
    /// `awaiting-transfer` does not keep its offer alive.
    ///
    /// # Errors
    /// [`ClaimError`]; nothing has changed then.
    pub async fn claim_cancel(
        &self,
        claim: &CancelClaim,
    ) -> Result<Committed<HandOver>, ClaimError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let scope = claim.caller.scope();
                let volume = transfers::lock_volume(&mut txn, &claim.transfer).await?;
                let offer = transfers::find(&mut txn, &scope, &claim.transfer)
                    .await?
                    .ok_or_else(|| ClaimError::TransferNotFound(claim.transfer.clone()))?;
                let id = offer.transfer.volume;
                let volume = volume.ok_or_else(|| ClaimError::VolumeNotFound(id.clone()))?;
                let Unclaimed { volume, snapshots } = make_way(&mut txn, volume).await?;
                let keys = keys_of(&volume, &snapshots);
                if !keys.is_empty() && claim.caller.project != volume.project {
                    return Err(ClaimError::ForeignProject(id));
                }
                refuse_fixed_key(&id, &keys)?;
                let hand_over = HandOver::claim(
                    claim.hand_over_id.clone(),
                    Operation::Cancel,
                    id.clone(),
                    claim.transfer.clone(),
                    Parties {
                        donor: volume.project,
                        caller: claim.caller.project.clone(),
                        user: claim.caller.user.clone(),
                    },
                    keys,
                );
                let hand_over =
                    journal::open(&mut txn, hand_over, &Details::default(), claim.lease)
                        .await
                        .map_err(|error| lost_race(error, &id))?;
                txn.commit().await?;
                Ok(hand_over)
            })
            .await
    }
}
