//! The claim of a restore: a damaged volume's key is to go to its custodian, under one id.

use super::{ClaimError, Unclaimed, keys_of, lost_race, make_way, refuse_fixed_key};
use crate::journal::{self, Details};
use crate::volumes::{AVAILABLE, AWAITING_TRANSFER, Scope, find_volume};
use crate::{Committed, Store, transfers};
use std::collections::BTreeSet;
use std::time::Duration;
use transfer_core::{
    HandOver, HandOverId, Parties, ProjectId, Restoration, SecretId, TransferId, UserId, VolumeId,
};

/// What is to be set right, and what whoever decided that had seen.
#[derive(Clone, Debug)]
pub struct RestoreClaim {
    /// A fresh id.
    pub hand_over_id: HandOverId,
    /// The damaged volume.
    pub volume: VolumeId,
    /// The true key of the volume and its snapshots; one of their rows names it.
    pub key: SecretId,
    /// Whose it is, who has to have it, and every other secret that the rows name.
    pub restoration: Restoration,
    /// Who has it set right: a project and a user.
    pub by: (ProjectId, UserId),
    /// How long the claim holds without a sign of life.
    pub lease: Duration,
}

impl Store {
    /// Claims a damaged volume that nobody uses, if its rows still name exactly the secrets of the
    /// claim and the receiver is its custodian. Its status stays as it is.
    ///
    /// # Errors
    /// [`ClaimError`]; nothing has changed then.
    pub async fn claim_restore(
        &self,
        claim: &RestoreClaim,
    ) -> Result<Committed<HandOver>, ClaimError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let volume = find_volume(&mut txn, &Scope::All, &claim.volume)
                    .await?
                    .ok_or_else(|| ClaimError::VolumeNotFound(claim.volume.clone()))?;
                let Unclaimed { volume, snapshots } = make_way(&mut txn, volume).await?;
                if ![AVAILABLE, AWAITING_TRANSFER].contains(&volume.status.as_str()) {
                    return Err(ClaimError::volume(format!("status {} is in use", volume.status)));
                }
                let keys = keys_of(&volume, &snapshots);
                refuse_fixed_key(&volume.id, &keys)?;
                let custodian = transfers::custodian(&mut txn, &volume).await?;
                if !claim.names(&keys) || custodian != claim.restoration.receiver {
                    return Err(ClaimError::volume("its rows have changed since they were judged"));
                }
                let offer = transfers::of_volume(&mut txn, &volume.id).await?.pop();
                let nobodys = || TransferId::new(claim.hand_over_id.as_str());
                let hand_over = HandOver::restore(
                    claim.hand_over_id.clone(),
                    volume.id.clone(),
                    offer.unwrap_or_else(nobodys),
                    Parties {
                        donor: volume.project,
                        caller: claim.by.0.clone(),
                        user: claim.by.1.clone(),
                    },
                    claim.key.clone(),
                    claim.restoration.clone(),
                );
                let details = Details::default();
                let hand_over = journal::open(&mut txn, hand_over, &details, claim.lease)
                    .await
                    .map_err(|error| lost_race(error, &volume.id))?;
                txn.commit().await?;
                Ok(hand_over)
            })
            .await
    }
}

impl RestoreClaim {
    /// Whether these are the secrets of the claim, no more and no less.
    fn names(&self, keys: &[SecretId]) -> bool {
        let replaced = self.restoration.replaced.iter().map(|replaced| &replaced.secret);
        let known: BTreeSet<&SecretId> = std::iter::once(&self.key).chain(replaced).collect();
        known == keys.iter().collect()
    }
}
