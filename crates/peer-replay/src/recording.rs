//! What one side answered: the replies of a case file, without what differs from run to run.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::body::Body;
use crate::case::CaseError;

/// The answers to one case file, in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// One for each script.
    pub scripts: Vec<ScriptRecording>,
}

/// The answers to one script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRecording {
    /// The script's name.
    pub name: String,
    /// One for each step.
    pub answers: Vec<Answer>,
}

/// The answer to one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The step's name.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The service replied.
    Reply(Reply),
    /// The request could not be sent.
    Unsent {
        /// The variable that no earlier reply has given.
        lacks: String,
    },
}

/// A reply, with placeholders for what differs from run to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Those that mean something to a client, by name.
    pub headers: BTreeMap<String, String>,
    /// The body, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// [`CaseError`] when there is none, or it is not one.
    pub fn read(path: &Path) -> Result<Self, CaseError> {
        let text = std::fs::read(path)
            .map_err(|source| CaseError::Unreadable { path: path.to_owned(), source })?;
        serde_json::from_slice(&text)
            .map_err(|source| CaseError::Malformed { path: path.to_owned(), source })
    }

    /// The recording as it stands in its file.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// The first step that could not be sent, and why: a recording has none.
    pub fn unsent(&self) -> Option<String> {
        let answers = self
            .scripts
            .iter()
            .flat_map(|script| script.answers.iter().map(move |answer| (&script.name, answer)));
        answers
            .filter_map(|(script, answer)| match &answer.outcome {
                Outcome::Reply(_) => None,
                Outcome::Unsent { lacks } => {
                    Some(format!("{script} / {}: nothing gave ${{{lacks}}}", answer.name))
                }
            })
            .next()
    }
}
