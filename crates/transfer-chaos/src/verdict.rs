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

#[cfg(test)]
mod tests {
    use super::*;
    use transfer_core::Parties;
    use transfer_core::invariants::{Material, Row, RowId, SecretView, VolumeView};
    use transfer_core::{Authority, Debt, Garbage, Operation};

    /// One encrypted volume of x, as the watcher saw it at first.
    fn world() -> (World, History) {
        let row = Row {
            id: RowId::Volume("v".into()),
            project: "x".into(),
            key: Some("k".into()),
            size_gb: 1,
            uses_quota: true,
        };
        let secret = SecretView { owner: "x".into(), material: Some(Material("m".to_owned())) };
        let world = World {
            service: "service".into(),
            volumes: vec![VolumeView {
                row,
                status: "available".to_owned(),
                type_name: None,
                snapshots: Vec::new(),
            }],
            secrets: BTreeMap::from([("k".into(), secret)]),
            offers: Vec::new(),
            hand_overs: Vec::new(),
            debts: Vec::new(),
            usages: BTreeMap::new(),
        };
        let mut history = History::default();
        history.observe(&world);
        (world, history)
    }

    /// How much is found of each kind.
    fn found(change: impl FnOnce(&mut World)) -> [usize; 3] {
        let (mut world, history) = world();
        change(&mut world);
        let owners = BTreeMap::from([(VolumeId::new("v"), ProjectId::new("x"))]);
        let found = Findings::of(&Record::default(), &owners, &world, &history);
        [found.inconsistent.len(), found.untrue_answers.len(), found.left_over.len()]
    }

    #[test]
    fn a_world_in_order_is_left_in_peace() {
        assert_eq!(found(|_| {}), [0, 0, 0]);
    }

    #[test]
    fn a_key_that_is_gone_or_another_ones_is_noticed() {
        assert_eq!(found(|world| world.secrets.clear()), [1, 0, 0]);
        let stolen = |world: &mut World| {
            for secret in world.secrets.values_mut() {
                secret.owner = "y".into();
            }
        };
        // It is not x's any more, and y has no right to it.
        assert_eq!(found(stolen), [2, 0, 0]);
    }

    #[test]
    fn a_volume_that_went_to_somebody_without_an_accept_is_noticed() {
        assert_eq!(found(|world| world.volumes[0].row.project = "y".into()), [1, 1, 0]);
    }

    #[test]
    fn what_is_left_to_do_is_noticed() {
        let debt = |world: &mut World| {
            world.debts.push(Debt {
                hand_over: "h".into(),
                authority: Authority::Project("x".into()),
                garbage: Garbage::Secret("old".into()),
            });
        };
        assert_eq!(found(debt), [0, 0, 1]);
        let claim = |world: &mut World| {
            world.hand_overs.push(HandOver::claim(
                "h".into(),
                Operation::Initiate,
                "v".into(),
                "t".into(),
                Parties { donor: "x".into(), caller: "x".into(), user: "user".into() },
                ["k".into()],
            ));
        };
        assert_eq!(found(claim), [0, 0, 1]);
    }
}
