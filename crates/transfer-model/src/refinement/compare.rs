//! Whether the database and the model say the same.

use super::mirror::{Mirror, volume_id, words};
use crate::view;
use crate::world::{Fate, Project, State};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use transfer_core::invariants::{OfferFate, RowId, World};
use transfer_core::{
    AbortCause, HandOver, Operation, Phase, ProjectId, SecretId, TransferId, VolumeId,
};

/// A row's project, key and, for a volume, status.
type Rows = BTreeMap<RowId, (ProjectId, Option<SecretId>, Option<String>)>;

/// What a live hand-over is, whatever it is called.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Shape {
    version: u64,
    operation: Operation,
    volume: VolumeId,
    phase: Phase,
    keys: Vec<(SecretId, Option<SecretId>, bool)>,
    shell_in_doubt: bool,
}

/// Fails when two views of one thing differ.
pub(super) fn agree<T: PartialEq + Debug>(what: &str, mine: &T, model: &T) -> Result<(), String> {
    if mine == model {
        return Ok(());
    }
    Err(format!("{what}: the database says {mine:?}, the model {model:?}"))
}

impl Mirror {
    /// Whether both worlds are the same, but for names.
    pub(super) async fn compare(&self, state: &State) -> Result<(), String> {
        let mine = self.store.world_rows(&"service".into()).await.map_err(words)?;
        let model = view::world(state);
        agree("rows", &rows(&mine, Clone::clone), &rows(&model, |key| self.called(key)))?;
        agree("open offers", &open_offers(&mine), &self.open_offers(state))?;
        let of_model = state.journal.iter().enumerate().filter_map(|(slot, entry)| {
            let saved = &entry.as_ref()?.held.info().hand_over;
            (!saved.has_ended()).then(|| (self.hand_overs[slot].clone(), self.shape(saved)))
        });
        let live = mine.hand_overs.iter().filter(|saved| !saved.has_ended());
        let live = live.map(|saved| (Some(saved.id().clone()), shape(saved, Clone::clone)));
        agree("hand-overs", &live.collect(), &of_model.collect::<BTreeMap<_, _>>())?;
        let debts: BTreeSet<_> =
            mine.debts.into_iter().map(|debt| (debt.authority, debt.garbage)).collect();
        let of_model =
            state.debts.iter().map(|owed| (owed.authority.authority(), self.garbage(owed.due)));
        agree("debts", &debts, &of_model.collect())?;
        for (project, usage) in Project::TENANTS.iter().zip(state.usages) {
            let of = (project.id(), "volumes".to_owned());
            let counts = mine.usages.get(&of).copied().unwrap_or_default();
            let of_model = (i64::from(usage.in_use), i64::from(usage.reserved));
            agree(&format!("volumes of {}", project.name()), &counts, &of_model)?;
        }
        Ok(())
    }

    fn called(&self, key: &SecretId) -> SecretId {
        self.secrets.get(key).unwrap_or(key).clone()
    }

    fn shape(&self, hand_over: &HandOver) -> Shape {
        shape(hand_over, |key| self.called(key))
    }

    fn open_offers(&self, state: &State) -> BTreeSet<(TransferId, VolumeId)> {
        let open = state.offers.iter().enumerate().filter_map(|(at, offer)| {
            let offer = (*offer)?;
            let (id, _) = self.offers[at].clone()?;
            let is_open = matches!(offer.fate, Fate::Open { .. });
            is_open.then(|| (id, volume_id(offer.volume)))
        });
        open.collect()
    }
}

fn rows(world: &World, called: impl Fn(&SecretId) -> SecretId) -> Rows {
    let mut rows = Rows::new();
    for volume in &world.volumes {
        let own = std::iter::once((&volume.row, Some(volume.status.clone())));
        let snapshots = volume.snapshots.iter().map(|row| (row, None));
        for (row, status) in own.chain(snapshots) {
            let key = row.key.as_ref().map(&called);
            rows.insert(row.id.clone(), (row.project.clone(), key, status));
        }
    }
    rows
}

fn open_offers(world: &World) -> BTreeSet<(TransferId, VolumeId)> {
    let open = world.offers.iter().filter(|offer| offer.fate == OfferFate::Open);
    open.map(|offer| (offer.id.clone(), offer.volume.clone())).collect()
}

fn shape(hand_over: &HandOver, called: impl Fn(&SecretId) -> SecretId) -> Shape {
    let keys = hand_over.keys().iter();
    Shape {
        version: hand_over.version(),
        operation: hand_over.operation(),
        volume: hand_over.volume().clone(),
        phase: if matches!(hand_over.phase(), Phase::Aborting(_)) {
            Phase::Aborting(AbortCause::GaveUp)
        } else {
            hand_over.phase().clone()
        },
        keys: keys
            .map(|key| (called(&key.old), key.shell.as_ref().map(&called), key.filled))
            .collect(),
        shell_in_doubt: hand_over.shell_in_doubt(),
    }
}
