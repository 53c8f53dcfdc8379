//! What can be done about findings, and doing it.
//!
//! Everything is looked at again before it is decided, and what is decided is carried out by the
//! engine's hand-overs and debts: a repair that is interrupted is ended by recovery like any other
//! operation, and can be said again.

mod volumes;

use crate::{Audit, Finding, Images, Kind};
use cinder_db::DbError;
use openstack_http::Failure;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;
use transfer_core::{
    Authority, Debt, DebtId, Garbage, HandOverId, ProjectId, SecretId, TransferId, VolumeId,
};
use transfer_engine::{Engine, Payments, Repair};

/// How long the payments of what has been restored may take.
const PAYMENTS: Duration = Duration::from_secs(60);

/// What is to be done about a finding.
#[derive(Clone, Debug)]
pub enum Mend {
    /// Restore the volume.
    Restore(Repair),
    /// Take over an abandoned hand-over.
    TakeOver(HandOverId, VolumeId),
    /// Pay a debt.
    Pay(Authority, DebtId),
    /// Put something on record as garbage and delete it.
    Discard(Debt),
    /// Take back an offer of this project.
    TakeBack(TransferId, ProjectId),
}

/// What became of a finding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "outcome", content = "what", rename_all = "snake_case")]
pub enum Outcome {
    /// It is mended, or has been in order by now.
    Mended(String),
    /// It can be.
    WouldMend(String),
    /// It is not, and why.
    Left(String),
    /// The key is lost: no secret that a row names is there.
    Lost(String),
}

impl Outcome {
    /// Whether nothing is left to do.
    pub fn is_mended(&self) -> bool {
        matches!(self, Self::Mended(_))
    }
}

/// Why something is not mended.
enum Stuck {
    Left(String),
    Lost(String),
    Mended(String),
}

impl From<DbError> for Stuck {
    fn from(error: DbError) -> Self {
        Self::Left(error.to_string())
    }
}

impl From<Failure> for Stuck {
    fn from(failure: Failure) -> Self {
        Self::Left(failure.to_string())
    }
}

impl From<Stuck> for Outcome {
    fn from(stuck: Stuck) -> Self {
        match stuck {
            Stuck::Left(why) => Self::Left(why),
            Stuck::Lost(why) => Self::Lost(why),
            Stuck::Mended(why) => Self::Mended(why),
        }
    }
}

/// Decides, and does.
pub struct Repairs {
    audit: Audit,
    engine: Engine,
    images: Images,
    volumes: BTreeMap<VolumeId, Outcome>,
}

impl Repairs {
    /// Repairs of what this audit finds, by this engine.
    pub fn new(audit: Audit, engine: Engine, images: Images) -> Self {
        Self { audit, engine, images, volumes: BTreeMap::new() }
    }

    /// The order in which findings are best mended: a volume before the copies of its key.
    pub fn in_order(findings: &mut [Finding]) {
        findings.sort_by_key(|finding| match finding.of {
            Kind::ClaimExpired => 0,
            Kind::KeyGone
            | Kind::KeyEmpty
            | Kind::SnapshotKeyDiffers
            | Kind::SnapshotKeyMissing
            | Kind::SnapshotProjectDiffers
            | Kind::KeyWithService
            | Kind::KeyNotWithService
            | Kind::KeyWithStranger
            | Kind::AwaitingWithoutOffer
            | Kind::OfferWithoutAwaiting
            | Kind::SeveralOffers => 1,
            Kind::DebtUnpaid | Kind::OfferExpired => 2,
            Kind::StrayCopy | Kind::StrayKey | Kind::StrayShell => 3,
        });
    }

    /// Mends one finding, or says how it would.
    pub async fn mend(&mut self, finding: &Finding, apply: bool) -> Outcome {
        let restored = finding.volume.as_ref().filter(|_volume| volumes::is_restored(finding.of));
        if let Some(before) = restored.and_then(|volume| self.volumes.get(volume)) {
            return before.clone();
        }
        let outcome = match self.plan(finding).await {
            Err(stuck) => stuck.into(),
            Ok(mend) if apply => self.apply(&mend).await.unwrap_or_else(Outcome::from),
            Ok(mend) => Outcome::WouldMend(self.words(&mend)),
        };
        if let Some(volume) = restored {
            self.volumes.insert(volume.clone(), outcome.clone());
        }
        outcome
    }

    /// Waits for what is still being paid; false when it takes too long and is left to recovery.
    pub async fn finish(self) -> bool {
        self.engine.shut_down(PAYMENTS).await
    }

    async fn plan(&self, finding: &Finding) -> Result<Mend, Stuck> {
        let record = finding.record.as_deref().unwrap_or_default();
        match (finding.of, &finding.volume, &finding.secret, &finding.project) {
            (of, Some(volume), ..) if volumes::is_restored(of) => self.plan_volume(volume).await,
            (Kind::ClaimExpired, Some(volume), ..) => {
                Ok(Mend::TakeOver(HandOverId::new(record), volume.clone()))
            }
            (Kind::DebtUnpaid, _, _, Some(_)) => self.plan_debt(record).await,
            (Kind::OfferExpired, Some(_), _, Some(project)) => {
                self.need(&Authority::Project(project.clone()))?;
                Ok(Mend::TakeBack(TransferId::new(record), project.clone()))
            }
            (Kind::StrayShell, _, Some(_), Some(project)) => self.plan_shells(record, project),
            (Kind::StrayCopy, Some(volume), Some(copy), Some(project)) => {
                self.plan_copy(volume, copy, project).await
            }
            (_, _, _, _) => Err(Stuck::Left(format!("by hand: {}", finding.remedy))),
        }
    }

    async fn plan_debt(&self, id: &str) -> Result<Mend, Stuck> {
        let debts = self.audit.store.debts().await?;
        let Some(row) = debts.into_iter().find(|row| row.debt.id().as_str() == id) else {
            return Err(Stuck::Mended("it has been paid by now".to_owned()));
        };
        self.need(&row.debt.authority)?;
        Ok(Mend::Pay(row.debt.authority.clone(), row.debt.id()))
    }

    /// A debt of this name takes empty secrets only.
    fn plan_shells(&self, name: &str, project: &ProjectId) -> Result<Mend, Stuck> {
        let id = name.rsplit_once("volume-transfer-").map_or(name, |(_, id)| id);
        Ok(Mend::Discard(Debt {
            hand_over: HandOverId::new(id),
            authority: self.authority(project),
            garbage: Garbage::Shells { name: name.to_owned() },
        }))
    }

    /// A copy is deleted only if the volume's keys are in order and one of them has its bytes.
    async fn plan_copy(
        &self,
        volume: &VolumeId,
        copy: &SecretId,
        project: &ProjectId,
    ) -> Result<Mend, Stuck> {
        let left = |why: &str| Stuck::Left(why.to_owned());
        let viewer = self.audit.viewers.of(project).ok_or_else(|| left("nobody can read it"))?;
        let Some(volume) = self.audit.store.audited_volume(volume).await? else {
            return Err(left("the volume is gone"));
        };
        let judged = self.audit.judge(&volume).await?;
        let wrong = |of: &Finding| volumes::is_restored(of.of);
        if judged.findings.iter().any(wrong) || judged.unanswered > 0 {
            return Err(left("the volume's own key comes first"));
        }
        let sights = self.audit.look(&volume).await;
        let bytes = self.audit.viewers.payload(viewer, copy).await?;
        let mut is_copy = false;
        for (key, sight) in &sights {
            if let Some(reader) = self.audit.reader(sight).filter(|_reader| key != copy) {
                is_copy |= self.audit.viewers.payload(reader, key).await?.ct_eq(&bytes);
            }
        }
        if !is_copy {
            return Err(left("no key of the volume that can be read has its bytes"));
        }
        if !self.audit.store.named_among(std::slice::from_ref(copy)).await?.is_empty() {
            return Err(Stuck::Mended("something names it by now".to_owned()));
        }
        if self.images.name(viewer, copy).await? {
            return Err(left("an image is encrypted with it"));
        }
        Ok(Mend::Discard(Debt {
            hand_over: HandOverId::new(uuid::Uuid::new_v4().to_string()),
            authority: self.authority(project),
            garbage: Garbage::Secret(copy.clone()),
        }))
    }

    async fn apply(&self, mend: &Mend) -> Result<Outcome, Stuck> {
        let done = Outcome::Mended(self.words(mend));
        match mend {
            Mend::Restore(repair) => return self.restore(repair).await,
            Mend::TakeOver(id, volume) => {
                self.engine.take_over(id, volume).await?;
                for row in self.audit.store.debts().await? {
                    // What it leaves and nobody here can pay waits for its project.
                    if row.debt.hand_over == *id && self.need(&row.debt.authority).is_ok() {
                        self.pay(&row.debt.authority, &row.debt.id()).await?;
                    }
                }
            }
            Mend::Pay(authority, debt) => paid(self.pay(authority, debt).await?)?,
            Mend::Discard(debt) => {
                let callers = self.callers([&debt.authority]).await?;
                paid(self.engine.discard(debt.clone(), &callers).await?)?;
            }
            Mend::TakeBack(offer, project) => {
                let callers = self.callers([&Authority::Project(project.clone())]).await?;
                for caller in callers {
                    let ended = self.engine.cancel(caller, offer.clone()).await;
                    ended.map_err(|error| Stuck::Left(error.to_string()))?;
                }
            }
        }
        Ok(done)
    }

    async fn pay(&self, authority: &Authority, debt: &DebtId) -> Result<Payments, Stuck> {
        let callers = self.callers([authority]).await?;
        Ok(self.engine.pay_debt(authority, debt, &callers).await?)
    }

    /// Whether this authority is at hand.
    fn need(&self, authority: &Authority) -> Result<(), Stuck> {
        match authority {
            Authority::Project(project) if self.audit.viewers.of(project).is_none() => {
                Err(Stuck::Left(format!("needs credentials of project {project}: say --cloud")))
            }
            Authority::Project(_) | Authority::Service => Ok(()),
        }
    }

    fn authority(&self, project: &ProjectId) -> Authority {
        if project == self.audit.viewers.service().project() {
            Authority::Service
        } else {
            Authority::Project(project.clone())
        }
    }

    async fn callers<'a>(
        &self,
        authorities: impl IntoIterator<Item = &'a Authority>,
    ) -> Result<Vec<transfer_engine::Caller>, Stuck> {
        let projects = authorities.into_iter().filter_map(|authority| match authority {
            Authority::Project(project) => Some(project),
            Authority::Service => None,
        });
        Ok(self.audit.viewers.callers(&projects.collect::<Vec<_>>()).await?)
    }

    fn words(&self, mend: &Mend) -> String {
        match mend {
            Mend::Restore(repair) => format!(
                "copy secret {} from {} to {}, and let all rows name the copy",
                repair.key, repair.restoration.giver, repair.restoration.receiver
            ),
            Mend::TakeOver(id, _) => format!("abort hand-over {id}"),
            Mend::Pay(_, debt) => format!("pay debt {}", debt.as_str()),
            Mend::Discard(debt) => format!("delete {} as {}", debt.id().as_str(), debt.authority),
            Mend::TakeBack(offer, project) => format!("take back offer {offer} of {project}"),
        }
    }
}

fn paid(payments: Payments) -> Result<(), Stuck> {
    if payments.refused + payments.unknown == 0 {
        return Ok(());
    }
    Err(Stuck::Left(
        "it could not be deleted; it stays on record as a debt, with the reason".to_owned(),
    ))
}
