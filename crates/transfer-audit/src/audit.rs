//! One audit: the records, then volume after volume, then what nothing names.

use crate::judge::{Judgement, judgement};
use crate::{Finding, Sight, Viewers, records};
use cinder_db::{AuditedVolume, DbError, Store};
use futures::stream::{self, Stream, TryStreamExt as _};
use keystone_client::Clock;
use openstack_http::Failure;
use serde::Serialize;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;
use transfer_core::{Authority, ProjectId, SecretId, VolumeId};

/// How often a volume that moves is looked at before it counts as not answered for.
const LOOKS: u32 = 5;

/// How an audit goes about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many volumes are looked at at the same time.
    pub jobs: NonZeroUsize,
    /// How many volumes are read at a time.
    pub page: u64,
    /// Debts, expired offers and unnamed secrets that are younger are left out: somebody may be at
    /// work on them.
    pub older_than: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: const { NonZeroUsize::new(8).unwrap() },
            page: 500,
            older_than: Duration::from_secs(3600),
        }
    }
}

/// What an audit tells while it runs.
#[derive(Clone, Debug)]
pub enum Event {
    /// So many volumes are going to be looked at.
    Volumes(u64),
    /// One more has been.
    Volume,
    /// Volumes are done; now secrets that nothing names are looked for.
    Strays,
    /// Something is wrong.
    Found(Finding),
}

/// Why an audit ends early.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// Barbican or Keystone failed where there is no going on.
    #[error("secrets cannot be listed as {viewer}: {failure}")]
    List {
        /// Who asked.
        viewer: String,
        /// Its words.
        failure: Failure,
    },
}

/// What an audit came to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Summary {
    /// Live volumes that were looked at.
    pub volumes: u64,
    /// Those with a key, their own or a snapshot's.
    pub encrypted: u64,
    /// Distinct secrets of each volume, added up.
    pub keys: u64,
    /// Keys that exist and whose owner nobody who looked can tell.
    pub not_visible: u64,
    /// Those, by the project that should own them.
    pub not_visible_by_project: BTreeMap<ProjectId, u64>,
    /// Keys about which there was no answer, and volumes that moved all the time.
    pub unanswered: u64,
    /// Rows with the fixed key of the deployment, which is not in Barbican.
    pub fixed_keys: u64,
    /// Findings.
    pub findings: u64,
    /// Findings by the name of the invariant.
    pub by_invariant: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// Whether nothing is wrong, as far as could be seen, and everything was answered.
    pub fn is_clean(&self) -> bool {
        self.findings == 0 && self.unanswered == 0
    }

    pub(crate) fn found(&mut self, finding: &Finding) {
        self.findings += 1;
        *self.by_invariant.entry(finding.invariant).or_default() += 1;
    }
}

/// Compares rows, records and secrets. Cheap to clone.
#[derive(Clone)]
pub struct Audit {
    pub(crate) store: Store,
    pub(crate) viewers: Viewers,
    pub(crate) clock: Clock,
    pub(crate) options: Options,
}

impl Audit {
    /// An audit of this database by those who look at its secrets.
    pub fn new(store: Store, viewers: Viewers, clock: Clock, options: Options) -> Self {
        Self { store, viewers, clock, options }
    }

    /// Looks at everything, or at one volume and nothing else.
    ///
    /// # Errors
    /// [`AuditError`]; what was told until then holds.
    pub async fn run(
        &self,
        only: Option<&VolumeId>,
        tell: &(dyn Fn(Event) + Send + Sync),
    ) -> Result<Summary, AuditError> {
        let mut summary = Summary::default();
        let found = |summary: &mut Summary, finding: Finding| {
            summary.found(&finding);
            tell(Event::Found(finding));
        };
        let Some(only) = only else {
            tell(Event::Volumes(self.store.count_volumes().await?));
            for finding in records::wrong(self).await? {
                found(&mut summary, finding);
            }
            let mut judged = std::pin::pin!(
                self.volumes()
                    .map_ok(|volume| async move { Ok((self.judge(&volume).await?, volume)) })
                    .try_buffered(self.options.jobs.get())
            );
            while let Some((judgement, volume)) = judged.try_next().await? {
                tell(Event::Volume);
                for finding in summary.add(&volume, judgement) {
                    found(&mut summary, finding);
                }
            }
            tell(Event::Strays);
            for finding in self.strays(&mut summary.unanswered).await? {
                found(&mut summary, finding);
            }
            return Ok(summary);
        };
        if let Some(volume) = self.store.audited_volume(only).await? {
            let judgement = self.judge(&volume).await?;
            for finding in summary.add(&volume, judgement) {
                found(&mut summary, finding);
            }
        }
        Ok(summary)
    }

    /// All live volumes, page by page.
    pub(crate) fn volumes(&self) -> impl Stream<Item = Result<AuditedVolume, DbError>> {
        let pages = stream::try_unfold(None, move |after: Option<VolumeId>| async move {
            let page = self.store.audited_volumes(after.as_ref(), self.options.page).await?;
            let Some(last) = page.last() else { return Ok::<_, DbError>(None) };
            let last = last.id.clone();
            Ok(Some((stream::iter(page.into_iter().map(Ok)), Some(last))))
        });
        pages.try_flatten()
    }

    /// What is wrong with a volume. A finding counts only if the rows are the same afterwards: a
    /// key that has moved on meanwhile looks as if it were gone.
    pub(crate) async fn judge(&self, volume: &AuditedVolume) -> Result<Judgement, DbError> {
        let mut volume = volume.clone();
        for _look in 0..LOOKS {
            let sights = self.look(&volume).await;
            let judged = judgement(&volume, &sights, self.viewers.service().project());
            if judged.findings.is_empty() {
                return Ok(judged);
            }
            match self.store.audited_volume(&volume.id).await? {
                None => return Ok(Judgement::default()),
                Some(again) if again == volume => return Ok(judged),
                Some(again) => volume = again,
            }
        }
        Ok(Judgement { unanswered: 1, ..Judgement::default() })
    }

    /// What can be seen of a volume's secrets.
    pub(crate) async fn look(&self, volume: &AuditedVolume) -> BTreeMap<SecretId, Sight> {
        let custodian = self.custodian(volume);
        let mut sights = BTreeMap::new();
        for key in volume.keys().into_iter().filter(|key| !key.is_fixed_key()) {
            sights.insert(key.clone(), self.viewers.look(key, &custodian).await);
        }
        sights
    }

    /// The project that has to have a volume's keys.
    pub(crate) fn custodian(&self, volume: &AuditedVolume) -> ProjectId {
        match volume.custodian() {
            Authority::Service => self.viewers.service().project().clone(),
            Authority::Project(project) => project,
        }
    }
}

impl Summary {
    /// Counts a volume in, and gives what is wrong with it.
    fn add(&mut self, volume: &AuditedVolume, judged: Judgement) -> Vec<Finding> {
        self.volumes += 1;
        let keys = volume.keys().len() as u64;
        self.encrypted += u64::from(keys > 0);
        self.keys += keys;
        self.not_visible += judged.not_visible;
        if judged.not_visible > 0 {
            let project = volume.project().clone();
            *self.not_visible_by_project.entry(project).or_default() += judged.not_visible;
        }
        self.unanswered += judged.unanswered;
        self.fixed_keys += judged.fixed_keys;
        judged.findings
    }
}
