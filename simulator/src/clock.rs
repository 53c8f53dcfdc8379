//! The time the simulated cloud lives by.
//!
//! Every expiry (tokens, secrets) and every timestamp in a reply is read from one [`Clock`], so
//! that a test moves time instead of waiting for it. Delays of fault rules are tokio's time, not
//! this one.

use std::sync::{Arc, Mutex, PoisonError};

use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// A shared clock: clones show and move the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Reading>>);

/// How a clock goes, and where it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reading {
    /// Runs with the machine's clock, this much ahead of it.
    Running { ahead: Duration },
    /// Stands still until it is advanced.
    Frozen { at: OffsetDateTime },
}

impl Clock {
    /// No clock is moved beyond this: what is due some time after it can be written down, too.
    pub const END: OffsetDateTime = datetime!(9000-01-01 00:00 UTC);

    /// A clock that runs with the machine's.
    pub fn running() -> Self {
        Self(Arc::new(Mutex::new(Reading::Running { ahead: Duration::ZERO })))
    }

    /// A clock that stands at `at` and moves by [`Clock::advance`] alone.
    pub fn frozen(at: OffsetDateTime) -> Self {
        Self(Arc::new(Mutex::new(Reading::Frozen { at: at.min(Self::END) })))
    }

    /// The time in UTC.
    pub fn now(&self) -> OffsetDateTime {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Reading::Running { ahead } => OffsetDateTime::now_utc() + *ahead,
            Reading::Frozen { at } => *at,
        }
    }

    /// Moves the clock on, to [`Clock::END`] at most; a running clock goes on running from there.
    pub fn advance(&self, by: Duration) {
        let left = Self::END - self.now();
        let by = by.min(left);
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Reading::Running { ahead } => *ahead += by,
            Reading::Frozen { at } => *at += by,
        }
    }

    pub(crate) fn reading(&self) -> Reading {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on as it went when it was read.
    pub(crate) fn set(&self, reading: Reading) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reading;
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::running()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stops_where_there_is_no_more_time_to_tell() {
        let long = Duration::days(365 * 5000);
        for clock in [Clock::running(), Clock::frozen(datetime!(2026-01-01 0:00 UTC))] {
            let before = clock.reading();
            for _ in 0..3 {
                clock.advance(long);
                assert!(clock.now() <= Clock::END + Duration::minutes(1), "{}", clock.now());
            }
            assert!(clock.now() >= Clock::END);
            clock.set(before);
            assert!(clock.now().year() < 3000);
        }
        assert_eq!(Clock::frozen(datetime!(9999-12-31 0:00 UTC)).now(), Clock::END);
    }
}
