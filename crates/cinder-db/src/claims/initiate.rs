//! The claim of an offer (cinder: `transfer/api.py` create).

use super::{ClaimError, Unclaimed, keys_of, lost_race, make_way, refuse_fixed_key};
use crate::auth_key::{crypt_hash_of, generate_salt};
use crate::journal::{self, Details, OfferDetails};
use crate::volumes::{
    AVAILABLE, AWAITING_TRANSFER, Caller, Snapshot, Volume, find_volume, swap_status,
};
use crate::{AuthKey, Committed, DbError, Lengths, Store, expiry};
use std::time::Duration;
use transfer_core::{HandOver, HandOverId, Operation, Parties, SecretId, TransferId, VolumeId};

/// What is to be offered.
#[derive(Clone, Debug)]
pub struct InitiateClaim {
    /// A fresh id.
    pub hand_over_id: HandOverId,
    /// A fresh id for the offer.
    pub transfer_id: TransferId,
    /// The volume.
    pub volume: VolumeId,
    /// Who offers it.
    pub caller: Caller,
    /// The offer's display name.
    pub name: Option<String>,
    /// Whether the snapshots stay behind.
    pub no_snapshots: bool,
    /// Whether the route and the microversion allow an encrypted volume.
    pub encrypted_allowed: bool,
    /// How long the offer can be accepted, in whole seconds; without it, until it is taken back.
    pub expire_after: Option<Duration>,
    /// How long its auth key and the salt of that are.
    pub lengths: Lengths,
    /// How long the claim holds without a sign of life.
    pub lease: Duration,
}

/// A claimed offer. Nobody can accept it before the commit.
#[derive(Debug)]
pub struct Offered {
    /// The hand-over.
    pub hand_over: Committed<HandOver>,
    /// The auth key that the offer will have.
    pub auth_key: AuthKey,
}

impl Store {
    /// Claims a volume in order to offer it: it goes from `available` to `awaiting-transfer`. The
    /// row of `transfers` comes with the commit, so that an abort leaves nothing behind.
    ///
    /// # Errors
    /// [`ClaimError`]; nothing has changed then.
    pub async fn claim_initiate(&self, claim: &InitiateClaim) -> Result<Offered, ClaimError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let scope = claim.caller.scope();
                let volume = find_volume(&mut txn, &scope, &claim.volume)
                    .await?
                    .ok_or_else(|| ClaimError::VolumeNotFound(claim.volume.clone()))?;
                let Unclaimed { volume, snapshots } = make_way(&mut txn, volume).await?;
                let keys = check(claim, &volume, &snapshots)?;
                if !swap_status(&mut txn, &claim.volume, AVAILABLE, AWAITING_TRANSFER).await? {
                    return Err(ClaimError::volume(format!(
                        "Transfer {}: Volume id {} expected in available state.",
                        claim.transfer_id, claim.volume
                    )));
                }
                let no_randomness = |_failed| DbError::Database("no random bytes".to_owned());
                let auth_key = AuthKey::generate(claim.lengths.auth_key).map_err(no_randomness)?;
                let salt = generate_salt(claim.lengths.salt).map_err(no_randomness)?;
                let crypt_hash = crypt_hash_of(&salt, &auth_key);
                let details = Details {
                    offer: Some(OfferDetails {
                        name: claim.name.clone(),
                        salt,
                        crypt_hash,
                        no_snapshots: claim.no_snapshots,
                        expire_after_s: claim.expire_after.map(expiry::seconds),
                    }),
                    ..Details::default()
                };
                let hand_over = HandOver::claim(
                    claim.hand_over_id.clone(),
                    Operation::Initiate,
                    claim.volume.clone(),
                    claim.transfer_id.clone(),
                    Parties {
                        donor: volume.project,
                        caller: claim.caller.project.clone(),
                        user: claim.caller.user.clone(),
                    },
                    keys,
                );
                let hand_over = journal::open(&mut txn, hand_over, &details, claim.lease)
                    .await
                    .map_err(|error| lost_race(error, &claim.volume))?;
                txn.commit().await?;
                Ok(Offered { hand_over, auth_key })
            })
            .await
    }
}

fn check(
    claim: &InitiateClaim,
    volume: &Volume,
    snapshots: &[Snapshot],
) -> Result<Vec<SecretId>, ClaimError> {
    if volume.status != AVAILABLE {
        return Err(ClaimError::volume("status must be available"));
    }
    let keys = keys_of(volume, snapshots);
    if !keys.is_empty() {
        if !claim.encrypted_allowed {
            return Err(ClaimError::volume("transferring encrypted volume is not supported"));
        }
        if claim.no_snapshots {
            return Err(ClaimError::volume(
                "transferring an encrypted volume without its snapshots is not supported",
            ));
        }
        refuse_fixed_key(&volume.id, &keys)?;
        if claim.caller.project != volume.project {
            return Err(ClaimError::ForeignProject(volume.id.clone()));
        }
    }
    if !claim.no_snapshots {
        for snapshot in snapshots {
            if snapshot.status != AVAILABLE {
                return Err(ClaimError::InvalidSnapshot(format!(
                    "snapshot: {} status must be available",
                    snapshot.id
                )));
            }
        }
    }
    Ok(keys)
}
