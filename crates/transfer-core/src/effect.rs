//! External effects: what the protocol asks of the key manager, and under whose authority.
//!
//! Every effect is safe to repeat and safe to land late. Its outcome is *done*, *refused* (the
//! service said no and nothing happened) or *unknown* (a timeout, a 5xx, a broken connection),
//! and an unknown outcome moves no phase.

use crate::{ProjectId, SecretId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose credentials an effect needs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authority {
    /// The block-storage service's own, always at hand.
    Service,
    /// A user's token of this project, at hand only during that user's request.
    Project(ProjectId),
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service => f.write_str("the service"),
            Self::Project(project) => write!(f, "project {project}"),
        }
    }
}

/// One effect of a copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Effect {
    /// Create an empty secret with the attributes of `like`.
    ///
    /// Repeating it makes a second empty shell, which the sweep removes; it never copies a key.
    CreateShell {
        /// The secret whose attributes the shell gets.
        like: SecretId,
        /// Who may read `like`.
        giver: Authority,
        /// Who will own the shell.
        receiver: Authority,
        /// The shell's name: it carries the hand-over's id so that a sweep can find it.
        name: String,
    },
    /// Put the payload of `from` into the shell. "Already has data" means done, once the data has
    /// been read back and compared.
    Fill {
        /// The secret to read.
        from: SecretId,
        /// Who may read it.
        giver: Authority,
        /// The shell to fill.
        shell: SecretId,
        /// Who owns the shell.
        receiver: Authority,
    },
}

/// What pays a debt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Payment {
    /// Delete a secret that no row names. A secret that is already gone counts as deleted.
    Delete {
        /// The secret to delete.
        secret: SecretId,
        /// Who may delete it.
        authority: Authority,
    },
    /// Delete every *empty* secret of this name that no row names.
    Sweep {
        /// The exact name of the shells.
        name: String,
        /// Who owns them.
        authority: Authority,
    },
}

/// The effects of a copy by name, where an event has to say which one it answers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Answers [`Effect::CreateShell`].
    CreateShell,
    /// Answers [`Effect::Fill`].
    Fill,
}

/// A service's "no": nothing happened, and this is why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Refusal {
    /// The HTTP status of the answer.
    pub status: u16,
    /// The service's own words.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}
