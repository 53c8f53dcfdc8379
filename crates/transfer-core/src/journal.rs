//! The journal's text form of a hand-over, with a schema version.
//!
//! Rows outlive the program that wrote them: golden files in `tests/golden` pin every phase, and
//! an old row must load for as long as its schema is listed here. What loads is a state that events
//! lead to: recovery acts on it without asking again.

use crate::{HandOver, Operation, Phase, SecretId};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
        if schema == 0 {
            return Err(serde_json::Error::custom("schema 0 never was").into());
        }
        let Read { hand_over } = serde_json::from_str(text)?;
        if !is_reachable(&hand_over) {
            return Err(serde_json::Error::custom("no events lead to this state").into());
        }
        Ok(hand_over)
    }
}

/// Whether events can have led from a claim to this state, as far as they bind its fields: each
/// secret is named once, only a shell is filled, only filled shells are committed, and a restore
/// knows what it restores.
fn is_reachable(hand_over: &HandOver) -> bool {
    let keys = hand_over.keys();
    let named = || {
        let of_keys = keys.iter().flat_map(|key| std::iter::once(&key.old).chain(&key.shell));
        of_keys.chain(hand_over.replaced().iter().map(|replaced| &replaced.secret))
    };
    let distinct: BTreeSet<&SecretId> = named().collect();
    hand_over.version() >= 1
        && (hand_over.operation() == Operation::Restore) == hand_over.is_restoration()
        && distinct.len() == named().count()
        && keys.iter().all(|key| key.shell.is_some() || !key.filled)
        && (*hand_over.phase() != Phase::Committed || keys.iter().all(|key| key.filled))
}
