//! What a caller is told of an operation that did not succeed.
//!
//! The only place where errors of the layers below become statuses and words. Cinder's texts
//! come with the errors of the claims; what Cinder has no words for is said here in a sentence
//! that tells whether anything has changed. Internal details go to the log.

use crate::fault::Fault;
use cinder_db::{ClaimError, DbError, OverQuota};
use http::StatusCode;
use transfer_core::{Refusal, Step};
use transfer_engine::TransferError;

impl From<TransferError> for Fault {
    fn from(error: TransferError) -> Self {
        tracing::info!(%error, "not done");
        match error {
            TransferError::Claim(error) => error.into(),
            TransferError::Refused { step, refusal } => refused(step, &refusal),
            TransferError::Unavailable { last: _ } => Self::unavailable(
                "The key manager gave no usable answer. Nothing has changed; try again later.",
            ),
            TransferError::TakenOver => Self::unavailable(
                "The operation took too long and was taken back. Nothing has changed; try again \
                 later.",
            ),
            TransferError::Conflict => Self::bad_request(
                "Invalid volume: its encryption keys were changed by another operation \
                 meanwhile. Nothing has changed.",
            ),
            TransferError::Database(error) => error.into(),
            TransferError::InDoubt => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "The database did not answer at the last step: it is not known whether the \
                 operation took place. Look at the volume before trying again.",
            ),
            TransferError::Busy => Self::unavailable(
                "Too many operations are waiting for the key manager. Nothing has changed; try \
                 again later.",
            ),
            TransferError::ShuttingDown => Self::unavailable(
                "The service is shutting down. Nothing has changed; try again later.",
            ),
        }
    }
}

impl From<ClaimError> for Fault {
    fn from(error: ClaimError) -> Self {
        let message = error.to_string();
        match error {
            ClaimError::VolumeNotFound(_)
            | ClaimError::TransferNotFound(_)
            | ClaimError::VolumeTypeNotFound(_) => Self::not_found(message),
            ClaimError::InvalidVolume(_)
            | ClaimError::InvalidSnapshot(_)
            | ClaimError::InvalidAuthKey(_)
            | ClaimError::FixedKey(_) => Self::bad_request(message),
            // Cinder answers 400 to every conflict of states; see the volume's status.
            ClaimError::InProgress(_) => Self::bad_request(format!("Invalid volume: {message}")),
            ClaimError::ForeignProject(_) => Self::forbidden(message),
            ClaimError::OverQuota(error) => over_quota(&error),
            ClaimError::Db(error) => error.into(),
        }
    }
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "database");
        match error {
            DbError::Database(_) | DbError::Interrupted(_) | DbError::Duplicate => {
                Self::unavailable("The database failed. Nothing has changed; try again later.")
            }
            DbError::Malformed { .. }
            | DbError::Journal(_)
            | DbError::Illegal(_)
            | DbError::TooNew { .. } => Self::erred(),
        }
    }
}

/// Cinder's controller catches the gigabytes; its outer middleware names the class of the others.
fn over_quota(error: &OverQuota) -> Fault {
    let class = match error {
        OverQuota::Gigabytes { .. } => "",
        OverQuota::Volumes { .. } => "VolumeLimitExceeded: ",
        OverQuota::Snapshots { .. } => "SnapshotLimitExceeded: ",
        OverQuota::VolumeSize { .. } => "VolumeSizeExceedsLimit: ",
        OverQuota::Overflow { .. } => "QuotaUsageOverflow: ",
    };
    Fault::over_limit(format!("{class}{error}"))
}

fn refused(step: Step, refusal: &Refusal) -> Fault {
    let act = match step {
        Step::CreateShell => "prepare the copy of the encryption key",
        Step::Fill => "copy the encryption key",
    };
    let words = refusal.message.trim_end_matches('.');
    match refusal.status {
        401 => Fault::new(
            StatusCode::UNAUTHORIZED,
            format!(
                "The key manager no longer accepted the token when it was to {act}. Nothing has \
                 changed; authenticate and try again."
            ),
        ),
        403 => Fault::forbidden(format!(
            "The key manager refused to {act}: {words}. Nothing has changed. Reading and storing \
             a key takes a role such as member or creator in the project."
        )),
        404 => Fault::bad_request(format!(
            "Invalid volume: its encryption key is not in the key manager ({words}). Nothing has \
             changed."
        )),
        _ => {
            tracing::error!(%refusal, "unexpected refusal of the key manager");
            Fault::erred()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;
    use cinder_db::{ClaimError, DbError, OverQuota};
    use transfer_core::{Refusal, Step};
    use transfer_engine::TransferError;

    #[test]
    fn every_error_has_a_status_and_words() {
        let quota = |error| TransferError::Claim(ClaimError::OverQuota(error));
        let refused = |status| TransferError::Refused {
            step: Step::Fill,
            refusal: Refusal { status, message: "Because.".to_owned() },
        };
        let db = || DbError::Database("secret detail".to_owned());
        for (error, status, words) in [
            (ClaimError::VolumeNotFound("v".into()).into(), 404, "Volume v could not be found."),
            (ClaimError::TransferNotFound("t".into()).into(), 404, "Transfer t could not be"),
            (ClaimError::VolumeTypeNotFound("y".into()).into(), 404, "Volume type y could not be"),
            (ClaimError::InvalidVolume("w".into()).into(), 400, "Invalid volume: w"),
            (ClaimError::InvalidSnapshot("w".into()).into(), 400, "Invalid snapshot: w"),
            (
                ClaimError::InvalidAuthKey("t".into()).into(),
                400,
                "Invalid auth key: Attempt to transfer t with invalid auth key.",
            ),
            (ClaimError::FixedKey("v".into()).into(), 400, "migrate the key"),
            (ClaimError::ForeignProject("v".into()).into(), 403, "only its own project"),
            (ClaimError::InProgress("v".into()).into(), 400, "Invalid volume: Another transfer"),
            (ClaimError::Db(db()).into(), 503, "Nothing has changed"),
            (
                quota(OverQuota::Gigabytes {
                    name: "gigabytes".to_owned(),
                    requested: 2,
                    consumed: 2,
                    quota: 3,
                }),
                413,
                "Requested volume or snapshot exceeds allowed gigabytes quota. Requested 2G, \
                 quota is 3G and 2G has been consumed.",
            ),
            (
                quota(OverQuota::Volumes { name: "volumes".to_owned(), allowed: 10 }),
                413,
                "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota \
                 'volumes'.",
            ),
            (
                quota(OverQuota::Snapshots { allowed: 1 }),
                413,
                "SnapshotLimitExceeded: Maximum number of snapshots allowed (1) exceeded",
            ),
            (
                quota(OverQuota::Overflow {
                    names: vec!["gigabytes".to_owned(), "volumes".to_owned()],
                }),
                413,
                "QuotaUsageOverflow: Quota usage would overflow for resources: ['gigabytes', \
                 'volumes']. The requested operation would exceed the maximum allowed value \
                 (2147483647) for quota tracking.",
            ),
            (
                quota(OverQuota::VolumeSize { size_gb: 2, limit_gb: 1 }),
                413,
                "VolumeSizeExceedsLimit: Requested volume size 2G is larger than maximum allowed \
                 limit 1G.",
            ),
            (refused(401), 401, "authenticate and try again"),
            (refused(403), 403, "refused to copy the encryption key: Because. Nothing has"),
            (refused(404), 400, "not in the key manager (Because)"),
            (refused(409), 500, "The server has either erred"),
            (TransferError::Unavailable { last: "x".to_owned() }, 503, "Nothing has changed"),
            (TransferError::TakenOver, 503, "Nothing has changed"),
            (TransferError::Conflict, 400, "Nothing has changed"),
            (TransferError::Database(db()), 503, "Nothing has changed"),
            (TransferError::InDoubt, 503, "it is not known whether"),
            (TransferError::Busy, 503, "Nothing has changed; try again later"),
            (TransferError::ShuttingDown, 503, "Nothing has changed"),
        ] {
            let said = error.to_string();
            let fault = Fault::from(error);
            assert_eq!(fault.status.as_u16(), status, "{said}");
            assert!(fault.message.contains(words), "{said}: {}", fault.message);
            assert!(!fault.message.contains("secret detail"), "{said}: {}", fault.message);
            let again = fault.message.contains("try again later");
            assert_eq!(fault.try_again, again, "{said}: {}", fault.message);
        }
    }
}
