//! What an operation can end with other than success.

use cinder_db::{ClaimError, DbError};
use transfer_core::{Refusal, Step};

/// Why an operation did not succeed. Unless a variant says otherwise, the rows are as before.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The claim's checks said no.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// The key manager refused a step.
    #[error("the key manager refused to {}: {refusal}", verb(*step))]
    Refused {
        /// The step.
        step: Step,
        /// The key manager's words.
        refusal: Refusal,
    },
    /// The key manager, or Keystone for the service's own token, gave no usable answer in time.
    #[error("the key manager gave no usable answer: {last}")]
    Unavailable {
        /// The last thing that went wrong.
        last: String,
    },
    /// The lease ran out and another driver aborted the hand-over.
    #[error("the operation took longer than its lease and was taken back")]
    TakenOver,
    /// The rows no longer name the keys that were copied: somebody changed them meanwhile.
    #[error("the volume's encryption keys were changed by somebody else meanwhile")]
    Conflict,
    /// The database failed before the commit was tried; recovery releases the claim.
    #[error("the database failed before anything changed: {0}")]
    Database(#[from] DbError),
    /// The database vanished during the commit: it may or may not have happened.
    #[error("the database vanished during the commit; look at the volume before trying again")]
    InDoubt,
    /// Too many hand-overs are waiting for the key manager, or this one has waited too long.
    #[error("too many operations are waiting for the key manager")]
    Busy,
    /// The server is stopping and takes no new operation.
    #[error("the service is shutting down")]
    ShuttingDown,
}

impl TransferError {
    /// The kind in one word, as metrics have it.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Claim(ClaimError::Db(_)) | Self::Database(_) => "database",
            Self::Claim(_) => "rejected",
            Self::Refused { .. } => "refused",
            Self::Unavailable { .. } => "unavailable",
            Self::TakenOver => "taken_over",
            Self::Conflict => "conflict",
            Self::InDoubt => "in_doubt",
            Self::Busy => "busy",
            Self::ShuttingDown => "shutting_down",
        }
    }
}

fn verb(step: Step) -> &'static str {
    match step {
        Step::CreateShell => "prepare the copy of the key",
        Step::Fill => "copy the key",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_end_has_its_word_and_a_refusal_tells_its_step() {
        let database = || DbError::Database("gone".to_owned());
        let refused = |step| {
            let refusal = Refusal { status: 403, message: "no".to_owned() };
            TransferError::Refused { step, refusal }
        };
        for (error, word, says) in [
            (ClaimError::Db(database()).into(), "database", "gone"),
            (TransferError::Database(database()), "database", "before anything changed"),
            (ClaimError::VolumeNotFound("v".into()).into(), "rejected", "Volume v"),
            (refused(Step::CreateShell), "refused", "to prepare the copy of the key: 403"),
            (refused(Step::Fill), "refused", "refused to copy the key: 403"),
            (TransferError::Unavailable { last: "cut".to_owned() }, "unavailable", "answer: cut"),
            (TransferError::TakenOver, "taken_over", "longer than its lease"),
            (TransferError::Conflict, "conflict", "by somebody else"),
            (TransferError::InDoubt, "in_doubt", "look at the volume"),
            (TransferError::Busy, "busy", "too many"),
            (TransferError::ShuttingDown, "shutting_down", "shutting down"),
        ] {
            assert_eq!(error.outcome(), word);
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
