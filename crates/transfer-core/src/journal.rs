//! The journal's text form of a hand-over, with a schema version.
//!
//! Rows outlive the program that wrote them: golden files in `tests/golden` pin every phase, and
//! an old row must load for as long as its schema is listed here.

use crate::HandOver;
use serde::{Deserialize, Serialize};

/// The schema that this version writes.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    schema: u32,
    hand_over: &'a HandOver,
}

#[derive(Deserialize)]
struct Header {
    schema: u32,
}

#[derive(Deserialize)]
struct Read {
    hand_over: HandOver,
}

/// Why a journal row cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Written by a newer program.
    #[error("journal schema {found} is newer than {SCHEMA}, the newest this program reads")]
    TooNew {
        /// The row's schema.
        found: u32,
    },
    /// Not a journal row.
    #[error("journal row does not parse: {0}")]
    Malformed(#[from] serde_json::Error),
}

impl HandOver {
    /// The text to keep in the journal.
    ///
    /// # Errors
    /// [`JournalError::Malformed`] if it cannot be serialised, which no state can cause.
    pub fn to_journal(&self) -> Result<String, JournalError> {
        Ok(serde_json::to_string(&Written { schema: SCHEMA, hand_over: self })?)
    }

    /// Reads a journal row of any known schema.
    ///
    /// # Errors
    /// [`JournalError`] when the row is of a newer schema or does not parse.
    pub fn from_journal(text: &str) -> Result<Self, JournalError> {
        let Header { schema } = serde_json::from_str(text)?;
        if schema > SCHEMA {
            return Err(JournalError::TooNew { found: schema });
        }
        let Read { hand_over } = serde_json::from_str(text)?;
        Ok(hand_over)
    }
}
