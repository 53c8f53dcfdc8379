//! What is wrong in the end: broken invariants, untrue answers, and what is left to do.

use crate::judge;
use crate::record::Record;
use simulator::Service;
use std::collections::BTreeMap;
use transfer_core::invariants::{History, World, check};
use transfer_core::{HandOver, ProjectId, VolumeId};
use volume_transfer::stage::Stage;

/// What was found, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Broken invariants.
    pub(crate) inconsistent: Vec<String>,
    /// Answers that were not true.
    pub(crate) untrue_answers: Vec<String>,
    /// What recovery, or the next call of a project, could have finished and did not.
    pub(crate) left_over: Vec<String>,
}

impl Findings {
    /// Looks at a world that should have come to rest.
    pub(crate) fn of(
        record: &Record,
        owners: &BTreeMap<VolumeId, ProjectId>,
        world: &World,
        history: &History,
    ) -> Self {
        let claims = world.hand_overs.iter().filter(|hand_over| !hand_over.has_ended());
        let claims = claims.map(|hand_over: &HandOver| {
            format!("hand-over {} still claims {}", hand_over.id(), hand_over.volume())
        });
        let debts = world.debts.iter().map(|debt| format!("debt {} is open", debt.id().as_str()));
        Self {
            inconsistent: check(world, history).iter().map(ToString::to_string).collect(),
            untrue_answers: judge::untrue_answers(record, owners, world),
            left_over: claims.chain(debts).collect(),
        }
    }
}

/// What was found, and how many of Barbican's requests failed.
pub(crate) fn judge(
    stage: &Stage,
    world: &World,
    record: &Record,
    owners: &BTreeMap<VolumeId, ProjectId>,
) -> (Findings, u64) {
    let findings = Findings::of(record, owners, world, &stage.history());
    let failed = stage.simulator.count(|event| {
        event.service == Service::Barbican && event.status.is_none_or(|status| status >= 500)
    });
    (findings, u64::try_from(failed).unwrap_or(u64::MAX))
}
