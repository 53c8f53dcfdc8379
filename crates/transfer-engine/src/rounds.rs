//! What is under way in this process, so that it is not begun twice: of a hand-over its payments,
//! of a project that which is done by the way when one of its requests comes, a round at a time.

use crate::Engine;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;
use transfer_core::ProjectId;

/// Those of whom a round is under way, each with what tells of its end. Clones share them.
pub(crate) struct Rounds<K>(Arc<Mutex<BTreeMap<K, CancellationToken>>>);

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
        let mut under_way = self.under_way();
        if under_way.contains_key(of) {
            return None;
        }
        under_way.insert(of.clone(), CancellationToken::new());
        Some(Round { rounds: Self(Arc::clone(&self.0)), of: of.clone() })
    }

    /// The end of the one that is under way, if one is.
    pub(crate) fn end(&self, of: &K) -> Option<CancellationToken> {
        self.under_way().get(of).cloned()
    }
}

impl<K> Rounds<K> {
    fn under_way(&self) -> MutexGuard<'_, BTreeMap<K, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord> Drop for Round<K> {
    fn drop(&mut self) {
        if let Some(over) = self.rounds.under_way().remove(&self.of) {
            over.cancel();
        }
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
