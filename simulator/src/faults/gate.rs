//! The meeting point of a test and the requests that a rule strikes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// Counts strikes and passes, so that neither side has to be there first.
#[derive(Debug)]
pub(super) struct Gate {
    /// The rule's.
    pub(super) id: u64,
    waiting: AtomicUsize,
    strikes: Semaphore,
    passes: Semaphore,
}

impl Gate {
    pub(super) fn new(id: u64) -> Self {
        let (strikes, passes) = (Semaphore::new(0), Semaphore::new(0));
        Self { id, waiting: AtomicUsize::new(0), strikes, passes }
    }

    /// How many requests it holds.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn strike(&self) {
        self.strikes.add_permits(1);
    }

    /// Waits for a release, or for the gate to be opened for good.
    pub(super) async fn pass(&self) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Ok(permit) = self.passes.acquire().await {
            permit.forget();
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Lets everything through from now on.
    pub(super) fn open(&self) {
        self.passes.close();
    }
}

/// A rule that was added.
#[derive(Clone, Debug)]
pub struct Fault(Arc<Gate>);

impl Fault {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self(gate)
    }

    /// The number that the rule has among those of its simulator, from 1.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Waits until the rule has struck once more than this was awaited before. Where the action has
    /// its effect before it holds or breaks anything, that effect has then been had.
    pub async fn reached(&self) {
        if let Ok(permit) = self.0.strikes.acquire().await {
            permit.forget();
        }
    }

    /// Lets one request go that the rule holds, or the next one that it would.
    pub fn release(&self) {
        self.0.passes.add_permits(1);
    }

    /// Lets everything through from now on.
    pub(super) fn open(&self) {
        self.0.open();
    }
}
