//! Keystone's refusals.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::identity::Kind;
use crate::state::StateFileError;

/// What a page is that stands in the place of a reply; no reply of Keystone's own is this.
pub(super) const CRASHED: &str = "text/html";

/// Why Keystone refuses, in its own words (keystone: exception.py).
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// Wrong password, unknown user, unknown project, no role: never told apart.
    #[error("The request you have made requires authentication.")]
    Unauthorized,
    /// The same, from what stands before Keystone.
    #[error("The request you have made requires authentication.")]
    Barred,
    /// A method of authentication that says more, and what it says.
    #[error("{0}")]
    Method(String, Value),
    /// The policy's rule, such as `identity:validate_token`, or a sentence.
    #[error("You are not authorized to perform the requested action: {0}.")]
    Forbidden(String),
    /// Without a rule: an unscoped token where a scope is needed, and all that is kept to itself.
    #[error("You are not authorized to perform the requested action.")]
    OutOfScope,
    /// What the request asks for is not to be had, for a reason that may be told.
    #[error("{0}")]
    Denied(String),
    #[error("Could not recognize Fernet token")]
    Unrecognized,
    #[error("Failed to validate token")]
    InvalidToken,
    #[error("Could not find {}: {id}.", kind.word())]
    NotFound { kind: Kind, id: String },
    #[error("{0}")]
    Absent(String),
    #[error("Conflict occurred attempting to store {kind} - {details}.")]
    Conflict { kind: &'static str, details: String },
    #[error(
        "Expecting to find {attribute} in {target}. The server could not comply with the request \
         since it is either malformed or otherwise incorrect. The client is assumed to be in error."
    )]
    Missing { attribute: String, target: &'static str },
    /// The message of a schema, or of a check beside it.
    #[error("{0}")]
    Malformed(String),
    #[error("An unexpected error prevented the server from fulfilling your request.")]
    Unexpected,
    /// Where the real one stumbles over a mistake of its own.
    #[error("Internal Server Error")]
    Crash,
}

impl Refusal {
    pub(super) fn missing(attribute: impl Into<String>, target: &'static str) -> Self {
        Self::Missing { attribute: attribute.into(), target }
    }

    pub(super) fn not_found(kind: Kind, id: impl Into<String>) -> Self {
        Self::NotFound { kind, id: id.into() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized | Self::Barred | Self::Method(..) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::OutOfScope | Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::Unrecognized | Self::InvalidToken | Self::NotFound { .. } | Self::Absent(_) => {
                StatusCode::NOT_FOUND
            }
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Missing { .. } | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Unexpected | Self::Crash => StatusCode::INTERNAL_SERVER_ERROR,
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
        if self == Self::Crash {
            let page = "<html>\n  <head>\n    <title>Internal Server Error</title>\n  </head>\n  \
                 <body>\n    <h1><p>Internal Server Error</p></h1>\n    \n  </body>\n</html>\n";
            return (status, [(CONTENT_TYPE, CRASHED)], page).into_response();
        }
        let mut error = json!({
            "code": status.as_u16(),
            "message": self.to_string(),
            "title": status.canonical_reason(),
        });
        if let Self::Method(_, identity) = self {
            error["identity"] = identity;
        }
        (status, Json(json!({"error": error}))).into_response()
    }
}
