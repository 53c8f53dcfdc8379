//! The time the simulated cloud lives by.
//!
//! Every expiry (tokens, secrets) and every timestamp in a reply is read from one [`Clock`], so
//! that a test moves time instead of waiting for it. Delays of fault rules are tokio's time, not
//! this one.

use std::sync::{Arc, Mutex, PoisonError};

use time::{Duration, OffsetDateTime};

/// A shared clock: clones show and move the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Debug)]
enum Reading {
    /// Runs with the machine's clock, this much ahead of it.
    Running { ahead: Duration },
    /// Stands still until it is advanced.
    Frozen { at: OffsetDateTime },
}

impl Clock {
    /// A clock that runs with the machine's.
    pub fn running() -> Self {
        Self(Arc::new(Mutex::new(Reading::Running { ahead: Duration::ZERO })))
    }

    /// A clock that stands at `at` and moves by [`Clock::advance`] alone.
    pub fn frozen(at: OffsetDateTime) -> Self {
        Self(Arc::new(Mutex::new(Reading::Frozen { at })))
    }

    /// The time in UTC.
    pub fn now(&self) -> OffsetDateTime {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Reading::Running { ahead } => OffsetDateTime::now_utc() + *ahead,
            Reading::Frozen { at } => *at,
        }
    }

    /// Moves the clock on; a running clock goes on running from there.
    pub fn advance(&self, by: Duration) {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Reading::Running { ahead } => *ahead += by,
            Reading::Frozen { at } => *at += by,
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::running()
    }
}
