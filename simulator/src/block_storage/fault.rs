//! Cinder's error bodies: `{"<name>": {"code", "message"}}` (cinder: `api/openstack/wsgi.py`).

use axum::Json;
use axum::response::{IntoResponse, Response};
use cinder_db::{BlockStorageError, DbError, OverQuota, VolumeTypeError};
use http::StatusCode;
use http::header::RETRY_AFTER;
use serde_json::json;

use crate::StateFileError;

/// An error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    status: StatusCode,
    name: &'static str,
    message: String,
}

impl Fault {
    pub(super) fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Self { status, name, message: message.into() }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "badRequest", message)
    }

    pub(super) fn malformed() -> Self {
        Self::bad(
            "The server could not comply with the request since it is either malformed or \
             otherwise incorrect.",
        )
    }

    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "itemNotFound", message)
    }

    pub(super) fn not_found(kind: &str, id: &str) -> Self {
        Self::missing(format!("{kind} {id} could not be found."))
    }

    pub(super) fn policy(action: &str) -> Self {
        let message = format!("Policy doesn't allow {action} to be performed.");
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub(super) fn conflict(message: String) -> Self {
        Self::new(StatusCode::CONFLICT, "conflictingRequest", message)
    }

    fn internal() -> Self {
        let message =
            "The server has either erred or is incapable of performing the requested operation.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "computeFault", message)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let code = self.status.as_u16();
        let mut document = json!({"code": code, "message": self.message});
        if self.status != StatusCode::PAYLOAD_TOO_LARGE {
            return (self.status, Json(json!({self.name: document}))).into_response();
        }
        document["retryAfter"] = json!("0");
        (self.status, [(RETRY_AFTER, "0")], Json(json!({self.name: document}))).into_response()
    }
}

impl From<BlockStorageError> for Fault {
    fn from(error: BlockStorageError) -> Self {
        let message = error.to_string();
        match error {
            BlockStorageError::VolumeNotFound(_)
            | BlockStorageError::SnapshotNotFound(_)
            | BlockStorageError::VolumeTypeNotFound(_) => Self::missing(message),
            BlockStorageError::InvalidStatus(_) => Self::bad(message),
            BlockStorageError::OverQuota(over) => over.into(),
            BlockStorageError::Db(error) => error.into(),
        }
    }
}

impl From<OverQuota> for Fault {
    fn from(over: OverQuota) -> Self {
        let class = match over {
            OverQuota::Gigabytes { .. } => "VolumeSizeExceedsAvailableQuota",
            OverQuota::Volumes { .. } => "VolumeLimitExceeded",
            OverQuota::Snapshots { .. } => "SnapshotLimitExceeded",
            OverQuota::VolumeSize { .. } => "VolumeSizeExceedsLimit",
            OverQuota::Overflow { .. } => "QuotaUsageOverflow",
        };
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "overLimit", format!("{class}: {over}"))
    }
}

impl From<VolumeTypeError> for Fault {
    fn from(error: VolumeTypeError) -> Self {
        let message = error.to_string();
        match error {
            VolumeTypeError::NotFound(_) => Self::missing(message),
            VolumeTypeError::Exists(name) => {
                Self::conflict(format!("Volume Type {name} already exists."))
            }
            VolumeTypeError::InUse(_) => Self::bad("Target volume type is still in use."),
            VolumeTypeError::Db(error) => error.into(),
        }
    }
}

impl From<DbError> for Fault {
    fn from(error: DbError) -> Self {
        tracing::error!(%error, "the database failed");
        Self::internal()
    }
}

impl From<StateFileError> for Fault {
    fn from(error: StateFileError) -> Self {
        tracing::error!(%error, "the state could not be kept");
        Self::internal()
    }
}
