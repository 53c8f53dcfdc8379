//! Stands at the turnstile of one engine's database: says what becomes of each transaction that
//! writes, and can hold it back.

use cinder_db::{Passage, Turnstile};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::Semaphore;

#[derive(Debug)]
pub(crate) struct Keeper {
    /// Of those that are still to come; after them, `last` for all.
    passages: Mutex<VecDeque<Passage>>,
    last: Passage,
    arrived: Semaphore,
    gate: Semaphore,
}

impl Keeper {
    pub(crate) fn new(passages: &[Passage], last: Passage) -> Arc<Self> {
        Arc::new(Self {
            passages: Mutex::new(passages.iter().copied().collect()),
            last,
            arrived: Semaphore::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }

    /// Holds back whoever comes, until [`Keeper::open`].
    pub(crate) fn close(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS);
    }

    /// Waits until somebody has come whom nobody has waited for yet.
    pub(crate) async fn reached(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }
}

#[async_trait::async_trait]
impl Turnstile for Keeper {
    async fn enter(&self) -> Passage {
        self.arrived.add_permits(1);
        self.gate.acquire().await.unwrap().forget();
        self.passages.lock().unwrap().pop_front().unwrap_or(self.last)
    }

    fn begins(&self) {}

    fn statement(&self, _sql: &str) {}

    fn over(&self, _committed: bool) {}

    async fn leave(&self) {}
}
