//! The meeting point of a test and the requests that a rule strikes.

use std::sync::Arc;

use tokio::sync::Semaphore;

/// Counts strikes and passes, so that neither side has to be there first.
#[derive(Debug)]
pub(super) struct Gate {
    strikes: Semaphore,
    passes: Semaphore,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { strikes: Semaphore::new(0), passes: Semaphore::new(0) }
    }

    pub(super) fn strike(&self) {
        self.strikes.add_permits(1);
    }

    /// Waits for a release, or for the gate to be opened for good.
    pub(super) async fn pass(&self) {
        if let Ok(permit) = self.passes.acquire().await {
            permit.forget();
        }
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

    /// Whether this is the rule with that gate.
    pub(super) fn is_of(&self, gate: &Arc<Gate>) -> bool {
        Arc::ptr_eq(&self.0, gate)
    }
}
