//! The watcher: what was seen from outside, in the terms of the invariants.

use transfer_core::invariants::{Answer, History, Told, check, check_at_rest};
use transfer_core::{Operation, ProjectId, TransferId, VolumeId, World};

#[derive(Default)]
pub(crate) struct Watcher(History);

impl Watcher {
    /// Takes down rows that are new.
    pub(crate) fn see(&mut self, world: &World) {
        self.0.observe(world);
    }

    /// A project shows the auth key of an offer of this volume.
    pub(crate) fn showed_auth_key(
        &mut self,
        world: &World,
        volume: &VolumeId,
        project: &ProjectId,
    ) {
        self.0.showed_auth_key(world, volume, project);
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
