//! What is done for a project by the way, when one of its requests comes: one round at a time.

use crate::Engine;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use transfer_core::ProjectId;

/// The projects of which a round is under way. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Rounds(Arc<Mutex<BTreeSet<ProjectId>>>);

/// A round that is under way until it is dropped.
pub(crate) struct Round {
    rounds: Rounds,
    project: ProjectId,
}

impl Rounds {
    fn begin(&self, project: &ProjectId) -> Option<Round> {
        let is_first = self.projects().insert(project.clone());
        is_first.then(|| Round { rounds: self.clone(), project: project.clone() })
    }

    fn projects(&self) -> MutexGuard<'_, BTreeSet<ProjectId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.rounds.projects().remove(&self.project);
    }
}

impl Engine {
    /// Begins a round, unless one is under way or the engine is stopping.
    pub(crate) fn begin_round(&self, rounds: &Rounds, project: &ProjectId) -> Option<Round> {
        if self.0.stopping.is_cancelled() { None } else { rounds.begin(project) }
    }
}
