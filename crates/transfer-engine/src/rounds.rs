//! What is under way in this process, so that it is not begun twice: of a hand-over its payments,
//! of a project that which is done by the way when one of its requests comes, a round at a time.

use crate::Engine;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use transfer_core::ProjectId;

/// Those of whom a round is under way. Clones share them.
pub(crate) struct Rounds<K>(Arc<Mutex<BTreeSet<K>>>);

/// A round that is under way until it is dropped.
pub(crate) struct Round<K: Ord> {
    rounds: Rounds<K>,
    of: K,
}

impl<K> Default for Rounds<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Clone> Rounds<K> {
    /// Begins one, unless one is under way.
    pub(crate) fn begin(&self, of: &K) -> Option<Round<K>> {
        let is_first = self.under_way().insert(of.clone());
        is_first.then(|| Round { rounds: Self(Arc::clone(&self.0)), of: of.clone() })
    }

    pub(crate) fn is_under_way(&self, of: &K) -> bool {
        self.under_way().contains(of)
    }
}

impl<K> Rounds<K> {
    fn under_way(&self) -> MutexGuard<'_, BTreeSet<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Drop for Round<K> {
    fn drop(&mut self) {
        self.rounds.under_way().remove(&self.of);
    }
}

impl Engine {
    /// Begins a round of a project, unless one is under way or the engine is stopping.
    pub(crate) fn begin_round(
        &self,
        rounds: &Rounds<ProjectId>,
        project: &ProjectId,
    ) -> Option<Round<ProjectId>> {
        if self.0.stopping.is_cancelled() { None } else { rounds.begin(project) }
    }
}
