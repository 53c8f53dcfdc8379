//! The watcher: what was seen from outside, in the terms of the invariants.

use std::collections::BTreeSet;
use transfer_core::invariants::{Answer, History, Told, check, check_at_rest};
use transfer_core::{Operation, ProjectId, TransferId, VolumeId, World};

#[derive(Default)]
pub(crate) struct Watcher(History);

impl Watcher {
    /// Takes down rows that are new. A snapshot that shares its volume's key shares its past.
    pub(crate) fn see(&mut self, world: &World) {
        let known: BTreeSet<_> = self.0.keys.keys().cloned().collect();
        self.0.observe(world);
        for volume in world.volumes.iter().filter(|volume| volume.row.key.is_some()) {
            let Some(past) = self.0.keys.get(&volume.row.id).cloned() else { continue };
            let entitled = self.0.entitled.get(&volume.row.id).cloned().unwrap_or_default();
            for row in volume.snapshots.iter().filter(|row| row.key == volume.row.key) {
                if !known.contains(&row.id) {
                    self.0.keys.insert(row.id.clone(), past.clone());
                    self.0.entitled.insert(row.id.clone(), entitled.clone());
                }
            }
        }
    }

    /// A project shows the auth key of an offer of this volume: it may hold all keys of it, those
    /// of deleted rows included.
    pub(crate) fn showed_auth_key(
        &mut self,
        world: &World,
        volume: &VolumeId,
        project: &ProjectId,
    ) {
        self.0.showed_auth_key(world, volume, project);
        let offered = world.volumes.iter().filter(|view| view.id() == Some(volume));
        let keys: BTreeSet<_> = offered
            .flat_map(|view| view.rows())
            .filter_map(|row| self.0.keys.get(&row.id).map(|(_, material)| material))
            .collect();
        for (row, (_, material)) in &self.0.keys {
            if keys.contains(material) {
                self.0.entitled.entry(row.clone()).or_default().insert(project.clone());
            }
        }
    }

    /// Somebody was told something, or nothing, of an accept.
    pub(crate) fn accepted(&mut self, offer: TransferId, caller: ProjectId, told: Told) {
        self.0.answers.push(Answer { offer, operation: Operation::Accept, caller, told });
    }

    /// As [`Watcher::accepted`], of a cancel. Rows do not tell who took an offer back, so that
    /// anybody's success explains a refusal: all count as the same caller's.
    pub(crate) fn cancelled(&mut self, offer: TransferId, told: Told) {
        let caller = ProjectId::new("anybody");
        self.0.answers.push(Answer { offer, operation: Operation::Cancel, caller, told });
    }

    /// What is wrong while something may still be owed.
    pub(crate) fn broken(&self, world: &World) -> Vec<String> {
        check(world, &self.0).iter().map(ToString::to_string).collect()
    }

    /// What is wrong when everything should be done.
    pub(crate) fn broken_at_rest(&self, world: &World) -> Vec<String> {
        let owed = world.debts.iter().map(|debt| format!("{debt:?} is still owed"));
        let broken = check_at_rest(world, &self.0);
        broken.iter().map(ToString::to_string).chain(owed).collect()
    }
}
