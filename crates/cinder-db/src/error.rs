//! What can go wrong with the database itself.
//!
//! Values that were read or written never appear in these errors: they may be secret.

use crate::dialect;
use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
use transfer_core::{IllegalEvent, JournalError};

/// A database operation failed. Unless the operation says otherwise, nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The database refused, failed or did not answer.
    #[error("database: {0}")]
    Database(String),
    /// The database ended the transaction in favour of another one, or was lost before its commit.
    /// It can be tried again.
    #[error("database: the transaction was interrupted: {0}")]
    Interrupted(String),
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
            _other if dialect::is_interruption(&error) => Self::Interrupted(words(&error)),
            _other => Self::Database(words(&error)),
        }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error().map(|refused| refused.extended_code) {
            Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY) => Self::Duplicate,
            Some(_) | None => Self::Database(error.to_string()),
        }
    }
}

impl DbError {
    /// What a failed commit is. It is an interruption only when the server itself says that it has
    /// rolled back.
    pub(crate) fn of_commit(error: sqlx::Error) -> Self {
        if dialect::is_disconnection(&error) {
            return Self::Database(words(&error));
        }
        Self::from(error)
    }
}

fn words(error: &sqlx::Error) -> String {
    error.as_database_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}

/// Why no connection can be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a database that this program speaks.
    #[error(
        "database url with scheme {scheme:?} is not supported; supported: sqlite, \
         postgresql[+psycopg2], mysql[+pymysql]"
    )]
    UnsupportedScheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// An option that this program does not carry out.
    #[error("option {name:?} of the database url is not supported")]
    UnsupportedOption {
        /// Its name.
        name: String,
    },
    /// A part of the URL is not what it should be.
    #[error("the database url has a wrong {0}")]
    Url(&'static str),
    /// The URL's options do not parse, or the database does not open.
    #[error("{place} does not open: {why}")]
    Open {
        /// The file, or which kind of server.
        place: String,
        /// The reason.
        why: String,
    },
}
