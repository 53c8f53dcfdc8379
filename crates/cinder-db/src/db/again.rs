//! Running an interrupted transaction again.
//!
//! Invariants: only a transaction of which nothing has happened is run again, a bounded number of
//! times; a wait is different for each of those that were interrupted together.

use super::Db;
use crate::DbError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How often a transaction is begun before its interruption is an error.
const ATTEMPTS: u32 = 8;

/// The longest first pause; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(8);

/// An error of which the part that the database caused can be told.
pub(crate) trait Interruptible {
    /// Whether the database ended the transaction before anything of it had happened.
    fn is_interruption(&self) -> bool;
}

impl Interruptible for DbError {
    fn is_interruption(&self) -> bool {
        matches!(self, Self::Interrupted(_))
    }
}

/// Numbers those that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<AtomicU32>);

impl Turns {
    /// The pause of the next one that waits. Pauses of neighbours, in this process and in others,
    /// are far apart: their numbers are spread over the whole range.
    fn pause(&self, attempt: u32) -> Duration {
        let turn = self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id());
        let spread = turn.wrapping_mul(0x9E37_79B9) >> 16;
        FIRST_PAUSE * 2_u32.pow(attempt) * spread / (1 << 16)
    }
}

impl Db {
    /// Runs `transaction` until it is not interrupted.
    pub(crate) async fn uninterrupted<T, E, F>(&self, transaction: impl Fn() -> F) -> Result<T, E>
    where
        E: Interruptible,
        F: Future<Output = Result<T, E>>,
    {
        for attempt in 1..ATTEMPTS {
            match transaction().await {
                Err(error) if error.is_interruption() => {
                    tracing::debug!(attempt, "a transaction was interrupted");
                    tokio::time::sleep(self.turns.pause(attempt)).await;
                }
                done => return done,
            }
        }
        transaction().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_differ_from_neighbour_to_neighbour() {
        let turns = Turns::default();
        for attempt in 0..ATTEMPTS {
            let longest = FIRST_PAUSE * 2_u32.pow(attempt);
            let pauses: Vec<Duration> = (0..4).map(|_| turns.pause(attempt)).collect();
            for pair in pauses.windows(2) {
                assert!(pair[0].abs_diff(pair[1]) > longest / 4, "{attempt}: {pauses:?}");
            }
            assert!(pauses.iter().all(|pause| *pause < longest), "{attempt}: {pauses:?}");
        }
    }
}
