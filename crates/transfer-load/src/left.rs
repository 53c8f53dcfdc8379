//! What a check has left: is it what was to come about, once, and is nothing else there?

use std::collections::BTreeMap;
use transfer_core::invariants::{History, OfferFate, VolumeView, World, check_at_rest};
use transfer_core::{ProjectId, VolumeId};

/// How a volume was to end.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) volume: VolumeId,
    /// With whom.
    pub(crate) project: ProjectId,
    /// With this status.
    pub(crate) status: &'static str,
    /// With so many snapshots.
    pub(crate) snapshots: usize,
    /// After so many accepts that took effect.
    pub(crate) accepts: usize,
}

/// What is wrong in a world that should have come to rest.
pub(crate) fn findings(world: &World, history: &History, expected: &[Expected]) -> Vec<String> {
    let mut found: Vec<String> =
        check_at_rest(world, history).iter().map(ToString::to_string).collect();
    let debts = world.debts.iter().map(|debt| format!("debt {} is open", debt.id().as_str()));
    found.extend(debts);
    let volumes: BTreeMap<_, _> =
        world.volumes.iter().filter_map(|view| Some((view.id()?, view))).collect();
    let mut offers: BTreeMap<&VolumeId, (usize, usize)> = BTreeMap::new();
    for offer in &world.offers {
        let (open, accepted) = offers.entry(&offer.volume).or_default();
        match &offer.fate {
            OfferFate::Open => *open += 1,
            OfferFate::Accepted(_) => *accepted += 1,
            OfferFate::Cancelled => {}
        }
    }
    for one in expected {
        let offers = offers.get(&one.volume).copied().unwrap_or_default();
        found.extend(wrong(one, volumes.get(&one.volume).copied(), offers));
    }
    found
}

fn wrong(one: &Expected, view: Option<&VolumeView>, offers: (usize, usize)) -> Option<String> {
    let Expected { volume, project, status, snapshots, accepts } = one;
    let Some(view) = view else { return Some(format!("volume {volume} is gone")) };
    let elsewhere = view.rows().filter(|row| row.project != *project).count();
    let open = usize::from(*status == "awaiting-transfer");
    let as_expected = elsewhere == 0
        && view.status == *status
        && view.snapshots.len() == *snapshots
        && offers == (open, *accepts);
    (!as_expected).then(|| {
        format!(
            "volume {volume} is {}, with {} snapshots, {elsewhere} rows are not of {project}, \
             {} offers are open, {} accepts took effect; expected: {status}, {snapshots}, 0, \
             {open}, {accepts}",
            view.status,
            view.snapshots.len(),
            offers.0,
            offers.1
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use transfer_core::invariants::{Material, OfferView, Row, RowId, SecretView};
    use transfer_core::{Authority, Debt, Garbage};

    /// A volume with a snapshot that has arrived at y, and what a watcher knows of it.
    fn world() -> (World, History) {
        let row = |id: RowId| Row {
            id,
            project: "y".into(),
            key: Some("k".into()),
            size_gb: 1,
            uses_quota: true,
        };
        let secret = SecretView { owner: "y".into(), material: Some(Material("m".to_owned())) };
        let world = World {
            service: "service".into(),
            volumes: vec![VolumeView {
                row: row(RowId::Volume("v".into())),
                status: "available".to_owned(),
                type_name: None,
                snapshots: vec![row(RowId::Snapshot("s".into()))],
            }],
            secrets: [("k".into(), secret)].into(),
            offers: vec![offer("t", OfferFate::Accepted("y".into()))],
            hand_overs: Vec::new(),
            debts: Vec::new(),
            usages: BTreeMap::new(),
        };
        let mut history = History::default();
        history.observe(&world);
        (world, history)
    }

    fn offer(id: &str, fate: OfferFate) -> OfferView {
        OfferView { id: id.into(), volume: "v".into(), fate }
    }

    fn found(change: impl FnOnce(&mut World)) -> Vec<String> {
        let (mut world, history) = world();
        change(&mut world);
        let expected = Expected {
            volume: "v".into(),
            project: "y".into(),
            status: "available",
            snapshots: 1,
            accepts: 1,
        };
        findings(&world, &history, &[expected])
    }

    #[test]
    fn a_volume_that_has_arrived_is_left_in_peace() {
        assert_eq!(found(|_| {}), [] as [&str; 0]);
        let cancelled_before = offer("t0", OfferFate::Cancelled);
        assert_eq!(found(|world| world.offers.push(cancelled_before)), [] as [&str; 0]);
    }

    #[test]
    fn whatever_is_not_as_expected_is_noticed() {
        type Planted = fn(&mut World);
        let planted: [(Planted, &str); 7] = [
            (|w| w.volumes.clear(), "volume v is gone"),
            (|w| w.volumes[0].status = "error".to_owned(), "volume v is error"),
            (|w| w.volumes[0].snapshots[0].project = "x".into(), "1 rows are not of y"),
            (|w| w.volumes[0].snapshots.clear(), "with 0 snapshots"),
            (|w| w.offers.push(offer("t2", OfferFate::Open)), "1 offers are open"),
            (
                |w| w.offers.push(offer("t2", OfferFate::Accepted("y".into()))),
                "2 accepts took effect",
            ),
            (
                |w| {
                    w.debts.push(Debt {
                        hand_over: "h".into(),
                        authority: Authority::Project("x".into()),
                        garbage: Garbage::Secret("old".into()),
                    });
                },
                "is open",
            ),
        ];
        for (plant, words) in planted {
            let found = found(plant);
            assert!(found.iter().any(|what| what.contains(words)), "{words}: {found:?}");
        }
        // What has no key any more is for the invariants.
        assert!(!found(|world| world.secrets.clear()).is_empty());
    }
}
