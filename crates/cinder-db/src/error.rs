//! What can go wrong with the database itself.
//!
//! Values that were read or written never appear in these errors: they may be secret.

use transfer_core::{IllegalEvent, JournalError};

/// A database operation failed. Unless the operation says otherwise, nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database refused, failed or did not answer.
    #[error("database: {0}")]
    Database(String),
    /// A row breaks a rule that a unique index guards: somebody else was first.
    #[error("database: a unique index refuses the row")]
    Duplicate,
    /// A value is missing or of another type than Cinder's schema says.
    #[error("column {column} holds no {expected}")]
    Malformed {
        /// The column.
        column: String,
        /// The type that was expected.
        expected: &'static str,
    },
    /// A journal row that this program cannot read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A hand-over was to end in a way that its state does not allow.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
    /// The tables were migrated by a newer program.
    #[error("the tables are at migration {found}, newer than {known}, the newest known here")]
    TooNew {
        /// The newest migration on record.
        found: i64,
        /// The newest one that this program knows.
        known: i64,
    },
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(refused) if refused.is_unique_violation() => Self::Duplicate,
            Some(refused) => Self::Database(refused.message().to_owned()),
            None => Self::Database(error.to_string()),
        }
    }
}

/// Why no connection can be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a database that this program speaks.
    #[error("database url with scheme {scheme:?} is not supported; supported: sqlite")]
    UnsupportedScheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// The URL's options do not parse, or the database does not open.
    #[error("database does not open: {0}")]
    Open(String),
}
