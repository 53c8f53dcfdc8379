//! A turnstile that lets everybody through and writes down which statements pass.

use async_trait::async_trait;
use cinder_db::{Passage, Store, Turnstile};
use std::sync::{Arc, Mutex};

#[derive(Debug, Default)]
pub(crate) struct Listener(Mutex<Vec<String>>);

impl Listener {
    /// A listener, and the store that it listens to.
    pub(crate) fn on(store: &Store) -> (Arc<Self>, Store) {
        let listener = Arc::new(Self::default());
        let watched = store.with_turnstile(Arc::<Self>::clone(&listener));
        (listener, watched)
    }

    /// What has passed since it was asked last.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("whole"))
    }
}

#[async_trait]
impl Turnstile for Listener {
    async fn enter(&self) -> Passage {
        Passage::Free
    }

    fn begins(&self) {}

    fn statement(&self, sql: &str) {
        self.0.lock().expect("whole").push(sql.to_owned());
    }

    fn over(&self, _committed: bool) {}

    async fn leave(&self) {}
}
