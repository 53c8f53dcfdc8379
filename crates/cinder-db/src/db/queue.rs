//! Queues for rows that everybody writes.
//!
//! Whoever waits for a row waits in the server, and that may cost more than the time: a statement
//! of PostgreSQL finds each row as it was when the statement began, and goes from there from change
//! to change to what it has become. So whoever is going to lock such rows waits here first, and the
//! server sees one at a time of each process.
//!
//! Invariants: a queue keeps nobody out, for the locks are the server's: after a while one goes on
//! without one's turn, long before a server gives up a transaction that stands still. Places are
//! taken in the order of their names, so that no two wait for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

/// How long one waits for one's turn.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many names may be there before those that nobody waits for are looked for.
const NAMES: usize = 64;

/// The queues of one database, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues(Arc<Mutex<BTreeMap<String, Weak<Queue<()>>>>>);

/// One's turn in a queue, until it is dropped.
pub(super) type Turn = OwnedMutexGuard<()>;

impl Queues {
    /// Waits for its turn in each of some queues; has those for which it has not waited too long.
    pub(super) async fn wait(&self, names: BTreeSet<String>) -> Vec<Turn> {
        let mut turns = Vec::new();
        for name in names {
            match tokio::time::timeout(PATIENCE, self.queue(name).lock_owned()).await {
                Ok(turn) => turns.push(turn),
                Err(_elapsed) => break,
            }
        }
        turns
    }

    fn queue(&self, name: String) -> Arc<Queue<()>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&name).and_then(Weak::upgrade) {
            return queue;
        }
        if queues.len() >= NAMES {
            queues.retain(|_name, queue| queue.strong_count() > 0);
        }
        let queue = Arc::default();
        queues.insert(name, Arc::downgrade(&queue));
        queue
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[tokio::test]
    async fn one_at_a_time_has_its_turn_and_others_are_not_kept() {
        let queues = Queues::default();
        let first = queues.wait(names(&["x", "y"])).await;
        assert_eq!(first.len(), 2);
        let mut second = Box::pin(queues.wait(names(&["y", "z"])));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(queues.wait(names(&["w"])).await.len(), 1);
        drop(first);
        assert_eq!(second.await.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_waited_too_long_goes_on() {
        let queues = Queues::default();
        let _first = queues.wait(names(&["x"])).await;
        assert_eq!(queues.wait(names(&["w", "x", "y"])).await.len(), 1);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_forgotten() {
        let queues = Queues::default();
        let kept = queues.wait(names(&["kept"])).await;
        for number in 0..10 * NAMES {
            queues.wait(names(&[&number.to_string()])).await;
        }
        assert!(queues.0.lock().unwrap().len() <= NAMES);
        assert!(queues.wait(names(&["kept"])).now_or_never().is_none());
        drop(kept);
    }
}
