//! The claim of an accept (cinder: `transfer/api.py` accept).

use super::{ClaimError, Unclaimed, keys_of, lost_race, make_way, refuse_fixed_key};
use crate::db::Txn;
use crate::journal::{self, Details};
use crate::quotas::{self, Charge, Demand, Kind, Limits, QuotaLimits, QuotaType};
use crate::volumes::{AVAILABLE, AWAITING_TRANSFER, Caller, Scope, Snapshot, Volume};
use crate::{AuthKey, Committed, Store, transfers, volume_types};
use std::collections::BTreeMap;
use std::time::Duration;
use transfer_core::{HandOver, HandOverId, Operation, Parties, ProjectId, TransferId};

/// What is to be accepted.
#[derive(Clone, Debug)]
pub struct AcceptClaim {
    /// A fresh id.
    pub hand_over_id: HandOverId,
    /// The offer.
    pub transfer: TransferId,
    /// What the caller showed.
    pub auth_key: AuthKey,
    /// The recipient.
    pub caller: Caller,
    /// The deployment's quota limits.
    pub limits: QuotaLimits,
    /// How long the claim holds without a sign of life.
    pub lease: Duration,
}

impl Store {
    /// Claims an offered volume for its recipient, and reserves quota on both sides: for every row
    /// that changes its project, what the recipient gains its present project loses.
    ///
    /// # Errors
    /// [`ClaimError`]; nothing has changed then.
    pub async fn claim_accept(
        &self,
        claim: &AcceptClaim,
    ) -> Result<Committed<HandOver>, ClaimError> {
        self.db
            .uninterrupted(|| async {
                let mut txn = self.db.write().await?;
                let volume = transfers::lock_volume(&mut txn, &claim.transfer).await?;
                let offer = transfers::find(&mut txn, &Scope::All, &claim.transfer)
                    .await?
                    .ok_or_else(|| ClaimError::TransferNotFound(claim.transfer.clone()))?;
                // Here, and not before or at the commit, an accept is in time or too late.
                if offer.has_expired {
                    return Err(ClaimError::TransferNotFound(claim.transfer.clone()));
                }
                if !claim.auth_key.opens(&offer.salt, &offer.crypt_hash) {
                    return Err(ClaimError::InvalidAuthKey(claim.transfer.clone()));
                }
                let id = offer.transfer.volume;
                let volume = volume.ok_or_else(|| ClaimError::VolumeNotFound(id.clone()))?;
                let Unclaimed { volume, snapshots: all_snapshots } =
                    make_way(&mut txn, volume).await?;
                let no_snapshots = offer.transfer.no_snapshots == Some(true);
                let moving: &[Snapshot] = if no_snapshots { &[] } else { &all_snapshots };
                let reservations = reserve(&mut txn, claim, &volume, moving).await?;
                check_states(claim, &volume, moving)?;
                let keys = keys_of(&volume, &all_snapshots);
                if !keys.is_empty() && no_snapshots && !all_snapshots.is_empty() {
                    return Err(ClaimError::volume(
                        "transferring an encrypted volume without its snapshots is not supported",
                    ));
                }
                refuse_fixed_key(&id, &keys)?;
                let details = Details {
                    reservations,
                    snapshots: moving.iter().map(|snapshot| snapshot.id.clone()).collect(),
                    no_snapshots,
                    offer: None,
                };
                let hand_over = HandOver::claim(
                    claim.hand_over_id.clone(),
                    Operation::Accept,
                    id.clone(),
                    claim.transfer.clone(),
                    Parties {
                        donor: volume.project,
                        caller: claim.caller.project.clone(),
                        user: claim.caller.user.clone(),
                    },
                    keys,
                );
                let hand_over = journal::open(&mut txn, hand_over, &details, claim.lease)
                    .await
                    .map_err(|error| lost_race(error, &id))?;
                txn.commit().await?;
                Ok(hand_over)
            })
            .await
    }
}

/// What Cinder finds out last, when the driver has already been asked.
fn check_states(
    claim: &AcceptClaim,
    volume: &Volume,
    moving: &[Snapshot],
) -> Result<(), ClaimError> {
    if volume.status == "maintenance" {
        return Err(ClaimError::volume("The volume cannot accept transfer in maintenance mode."));
    }
    if volume.status != AWAITING_TRANSFER {
        return Err(ClaimError::volume(format!(
            "Transfer {}: Volume id {} expected in awaiting-transfer state.",
            claim.transfer, volume.id
        )));
    }
    match moving.iter().find(|snapshot| snapshot.status != AVAILABLE) {
        None => Ok(()),
        Some(snapshot) => Err(ClaimError::InvalidSnapshot(format!(
            "Transfer {}: Snapshot {} is not in the expected available state.",
            claim.transfer, snapshot.id
        ))),
    }
}

async fn reserve(
    txn: &mut Txn,
    claim: &AcceptClaim,
    volume: &Volume,
    moving: &[Snapshot],
) -> Result<Vec<String>, ClaimError> {
    if volume.consistency_group.is_some() {
        return Err(ClaimError::volume(format!(
            "Volume {} must not be part of a consistency group.",
            volume.id
        )));
    }
    let recipient = &claim.caller.project;
    let of_type = match volume.volume_type_id.as_deref().filter(|id| !id.is_empty()) {
        None => Ok(None),
        Some(type_id) => volume_types::quota_type(txn, &claim.caller.scope(), type_id)
            .await?
            .map(Some)
            .ok_or_else(|| ClaimError::VolumeTypeNotFound(type_id.to_owned())),
    };
    let mut moves = Moves {
        recipient,
        of_type: of_type.as_ref().ok().and_then(Option::as_ref),
        givers: BTreeMap::new(),
        snapshot_gigabytes: !claim.limits.no_snapshot_gb_quota,
    };
    let (volumes, size_gb) = moves.volume(volume);
    let (snapshots, snapshots_gb) = moves.snapshots(moving);
    let names = Charge::names([&volumes, &snapshots]);
    let projects: Vec<_> = moves.givers.keys().map(|(of, _)| of).chain([recipient]).collect();
    let limits = Limits::read(txn, &claim.limits, projects, &names).await?;
    limits.check_volume_size(recipient, volume.size_gb)?;
    let givers = moves.givers;
    of_type?;
    let gains = [(Kind::Volumes, &volumes, size_gb), (Kind::Snapshots, &snapshots, snapshots_gb)];
    let gains = gains.map(|(kind, charge, gb)| (kind, gb, Demand { project: recipient, charge }));
    let losses = givers.iter();
    let losses = losses.map(|((project, kind), charge)| (*kind, 0, Demand { project, charge }));
    let demands = gains.into_iter().chain(losses);
    let demands: Vec<_> = demands.filter(|(_, _, demand)| !demand.charge.is_empty()).collect();
    if demands.is_empty() {
        return Ok(Vec::new());
    }
    let only: Vec<_> = demands.iter().map(|(_, _, demand)| *demand).collect();
    match quotas::reserve(txn, &limits, &only).await? {
        Ok(reserved) => Ok(reserved),
        Err((place, exceeded)) => {
            let (kind, gb, _) = demands[place];
            Err(exceeded.explain(kind, gb).into())
        }
    }
}

/// Who loses what. Rows that are the recipient's already, and rows that quotas do not count,
/// move nothing. As with Cinder, a volume and snapshots are two reservations.
struct Moves<'a> {
    recipient: &'a ProjectId,
    of_type: Option<&'a QuotaType>,
    givers: BTreeMap<(ProjectId, Kind), Charge>,
    snapshot_gigabytes: bool,
}

impl Moves<'_> {
    /// The recipient's charge for the volume, and its GiB.
    fn volume(&mut self, volume: &Volume) -> (Charge, i64) {
        let mut charge = Charge::default();
        if volume.use_quota && volume.project != *self.recipient {
            let from = (volume.project.clone(), Kind::Volumes);
            self.shift(&mut charge, &from, Kind::Volumes, 1);
            self.shift(&mut charge, &from, Kind::Gigabytes, volume.size_gb);
        }
        (charge, volume.size_gb)
    }

    /// The recipient's charge for the snapshots, and their GiB.
    fn snapshots(&mut self, moving: &[Snapshot]) -> (Charge, i64) {
        let mut charge = Charge::default();
        let mut total_gb = 0;
        for snapshot in moving {
            if snapshot.use_quota && snapshot.project != *self.recipient {
                let from = (snapshot.project.clone(), Kind::Snapshots);
                self.shift(&mut charge, &from, Kind::Snapshots, 1);
                if self.snapshot_gigabytes {
                    self.shift(&mut charge, &from, Kind::Gigabytes, snapshot.size_gb);
                    total_gb += snapshot.size_gb;
                }
            }
        }
        (charge, total_gb)
    }

    fn shift(&mut self, gain: &mut Charge, giver: &(ProjectId, Kind), kind: Kind, amount: i64) {
        gain.add(self.of_type, kind, amount);
        self.givers.entry(giver.clone()).or_default().add(self.of_type, kind, -amount);
    }
}
