//! Keystone's refusals.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::state::StateFileError;

/// Why Keystone refuses, in its own words (keystone: exception.py).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Wrong password, unknown user, unknown project, no role: never told apart.
    #[error("The request you have made requires authentication.")]
    Unauthorized,
    /// The policy's rule, such as `identity:validate_token`.
    #[error("You are not authorized to perform the requested action: {0}.")]
    Forbidden(&'static str),
    /// An unscoped token where a scope is needed.
    #[error("You are not authorized to perform the requested action.")]
    OutOfScope,
    #[error("Could not recognize Fernet token")]
    Unrecognized,
    #[error("Failed to validate token")]
    InvalidToken,
    #[error("Could not find {kind}: {id}.")]
    NotFound { kind: &'static str, id: String },
    #[error(
        "Expecting to find {attribute} in {target}. The server could not comply with the request \
         since it is either malformed or otherwise incorrect. The client is assumed to be in error."
    )]
    Missing { attribute: String, target: &'static str },
    /// The message of a schema.
    #[error("{0}")]
    Malformed(String),
    #[error("An unexpected error prevented the server from fulfilling your request.")]
    Unexpected,
}

impl Refusal {
    pub(super) fn missing(attribute: impl Into<String>, target: &'static str) -> Self {
        Self::Missing { attribute: attribute.into(), target }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::OutOfScope => StatusCode::FORBIDDEN,
            Self::Unrecognized | Self::InvalidToken | Self::NotFound { .. } => {
                StatusCode::NOT_FOUND
            }
            Self::Missing { .. } | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unexpected => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<StateFileError> for Refusal {
    fn from(error: StateFileError) -> Self {
        tracing::error!(%error, "a change was made but not kept");
        Self::Unexpected
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = json!({"error": {
            "code": status.as_u16(),
            "message": self.to_string(),
            "title": status.canonical_reason(),
        }});
        (status, Json(body)).into_response()
    }
}
