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
    use crate::{ClaimError, EndError, FenceError};
    use sqlx::error::{DatabaseError, ErrorKind};
    use std::borrow::Cow;
    use std::error::Error;
    use std::fmt;

    /// What a server says, by its SQLSTATE.
    #[derive(Debug)]
    struct Said(&'static str);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "SQLSTATE {}", self.0)
        }
    }

    impl Error for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[test]
    fn an_interruption_is_one_whichever_operation_tells_of_it() {
        for (code, interrupted, at_commit) in [
            ("40001", true, true),
            ("40P01", true, true),
            ("55P03", true, true),
            ("57P01", true, false),
            ("25P03", true, false),
            ("22001", false, false),
        ] {
            let error = || DbError::from(sqlx::Error::from(Said(code)));
            assert_eq!(error().is_interruption(), interrupted, "{code}");
            assert_eq!(ClaimError::Db(error()).is_interruption(), interrupted, "{code}");
            assert_eq!(FenceError::Db(error()).is_interruption(), interrupted, "{code}");
            assert_eq!(EndError::Db(error()).is_interruption(), interrupted, "{code}");
            let of_commit = EndError::Unknown(DbError::of_commit(sqlx::Error::from(Said(code))));
            assert_eq!(of_commit.is_interruption(), at_commit, "{code}");
        }
        assert!(!ClaimError::InProgress("v".into()).is_interruption());
        assert!(!FenceError::Fenced.is_interruption());
        assert!(
            !EndError::Fenced.is_interruption() && !EndError::ConflictingRows.is_interruption()
        );
    }

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
