//! Which copy of a volume's key is the true one, and where it has to go.
//!
//! A volume and its snapshots have one key. It can be told if every secret that their rows name is
//! either gone, or empty, or readable by somebody here, and all that are readable hold the same.

use super::{Mend, Outcome, Repairs, Stuck};
use crate::judge::judgement;
use crate::{Finding, Kind, Sight};
use barbican_client::KeyBytes;
use cinder_db::AuditedVolume;
use std::collections::BTreeMap;
use transfer_core::{Replaced, Restoration, SecretId, VolumeId};
use transfer_engine::Repair;

/// The statuses in which nobody uses a volume.
const AT_REST: [&str; 2] = ["available", "awaiting-transfer"];

/// Whether a restore of the volume is what mends it.
pub(super) fn is_restored(kind: Kind) -> bool {
    match kind {
        Kind::KeyGone
        | Kind::KeyEmpty
        | Kind::SnapshotKeyDiffers
        | Kind::KeyWithService
        | Kind::KeyNotWithService
        | Kind::KeyWithStranger => true,
        Kind::SnapshotKeyMissing
        | Kind::SnapshotProjectDiffers
        | Kind::StrayCopy
        | Kind::StrayKey
        | Kind::StrayShell
        | Kind::ClaimExpired
        | Kind::DebtUnpaid
        | Kind::AwaitingWithoutOffer
        | Kind::OfferWithoutAwaiting
        | Kind::OfferExpired
        | Kind::SeveralOffers => false,
    }
}

impl Repairs {
    pub(super) async fn plan_volume(&self, id: &VolumeId) -> Result<Mend, Stuck> {
        let left = |why: String| Err(Stuck::Left(why));
        let Some(volume) = self.audit.store.audited_volume(id).await? else {
            return Err(Stuck::Mended("the volume is gone".to_owned()));
        };
        let sights = self.audit.look(&volume).await;
        let judged = judgement(&volume, &sights, self.audit.viewers.service().project());
        if !judged.findings.iter().any(|finding: &Finding| is_restored(finding.of)) {
            return Err(Stuck::Mended("it is in order by now".to_owned()));
        }
        if volume.claim.is_some() {
            return left("an operation on the volume is in progress".to_owned());
        }
        let Some(true_key) = self.true_key(&volume, &sights).await? else {
            return Err(Stuck::Lost(
                "no secret that the volume or a snapshot names is there".to_owned(),
            ));
        };
        if !AT_REST.contains(&volume.status.as_str()) {
            return left(format!("the volume is {}: wait until it is available", volume.status));
        }
        let receiver = self.authority(&self.audit.custodian(&volume));
        self.need(&receiver)?;
        let owner = |secret: &SecretId| match sights.get(secret) {
            Some(Sight::There { owner, .. }) => owner.as_ref().map(|owner| self.authority(owner)),
            Some(Sight::Gone | Sight::Unanswered(_)) | None => None,
        };
        let Some(giver) = owner(&true_key) else { return left("nobody can read it".to_owned()) };
        let others = volume.keys().into_iter().filter(|key| **key != true_key);
        let replaced =
            others.map(|secret| Replaced { secret: secret.clone(), owner: owner(secret) });
        let service = self.audit.viewers.service();
        Ok(Mend::Restore(Repair {
            volume: volume.id.clone(),
            restoration: Restoration { giver, receiver, replaced: replaced.collect() },
            key: true_key,
            by: (service.project().clone(), service.user().clone()),
        }))
    }

    /// The first secret that holds the key; none when no row names one that is there.
    async fn true_key(
        &self,
        volume: &AuditedVolume,
        sights: &BTreeMap<SecretId, Sight>,
    ) -> Result<Option<SecretId>, Stuck> {
        let mut first: Option<(SecretId, KeyBytes)> = None;
        for key in volume.keys() {
            match sights.get(key) {
                Some(Sight::Gone | Sight::There { filled: Some(false), owner: Some(_), .. }) => {}
                Some(Sight::Unanswered(why)) => return Err(Stuck::Left(why.clone())),
                Some(sight @ Sight::There { .. }) => {
                    let Some(viewer) = self.audit.reader(sight) else {
                        let why = "needs credentials of the project that has secret";
                        return Err(Stuck::Left(format!("{why} {key}: say --cloud")));
                    };
                    let bytes = self.audit.viewers.payload(viewer, key).await?;
                    match &first {
                        None => first = Some((key.clone(), bytes)),
                        Some((_, before)) if before.ct_eq(&bytes) => {}
                        Some((other, _)) => {
                            return Err(Stuck::Left(format!(
                                "secrets {other} and {key} hold different keys; nobody can tell \
                                 which one is true"
                            )));
                        }
                    }
                }
                None => return Err(Stuck::Left("the fixed key is not in Barbican".to_owned())),
            }
        }
        Ok(first.map(|(key, _bytes)| key))
    }

    pub(super) async fn restore(&self, repair: &Repair) -> Result<Outcome, Stuck> {
        let Restoration { giver, receiver, replaced } = &repair.restoration;
        let others = replaced.iter().filter_map(|replaced| replaced.owner.as_ref());
        let callers = self.callers([giver, receiver].into_iter().chain(others)).await?;
        let restored = self.engine.restore(&callers, repair.clone()).await;
        restored.map_err(|error| Stuck::Left(error.to_string()))?;
        Ok(Outcome::Mended(self.words(&Mend::Restore(repair.clone()))))
    }
}
