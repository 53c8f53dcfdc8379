//! Barbican's refusals.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use crate::state::StateFileError;

/// Why Barbican refuses, in its own words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{}", not_allowed(.0))]
    NotAllowed(&'static str),
    #[error("Secret not found.")]
    SecretNotFound,
    #[error("Not Found. Provided secret id is invalid.")]
    InvalidSecretId,
    #[error("Not Found. Sorry but your secret has no payload.")]
    NoPayload,
    #[error("Secret already has data, cannot modify it.")]
    HasData,
    #[error("Order not found.")]
    OrderNotFound,
    #[error("Order update is not supported.")]
    OrderUpdate,
    #[error("{0}")]
    NotFound(Cow<'static, str>),
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("{0}")]
    Conflict(&'static str),
    #[error("{0}")]
    Forbidden(&'static str),
    /// The description is empty.
    #[error("")]
    Method,
    #[error("Consumer not found.")]
    ConsumerNotFound,
    #[error("Not Found. Provided consumer id is invalid.")]
    InvalidConsumerId,
    #[error("URI provided invalid query string parameters.")]
    BadQuery,
    #[error("Malformed JSON")]
    MalformedJson,
    #[error(
        "Provided object does not match schema '{schema}': {reason}. Invalid property: '{property}'"
    )]
    InvalidObject { schema: &'static str, reason: String, property: &'static str },
    #[error("Provided field value is not supported")]
    UnsupportedField,
    #[error("Unexpected content type. Expected content types are: [{0}]")]
    ContentType(&'static str),
    /// The description is null.
    #[error("not acceptable")]
    NotAcceptable,
    #[error("Provided information too large to process")]
    TooLarge,
    /// An issue that an operation ran into.
    #[error("{0} issue seen - {1}.")]
    Issue(&'static str, Issue),
    #[error("{}", failure(.0))]
    Failure(&'static str),
}

/// What an operation may run into on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Issue {
    #[error("No data supplied to process.")]
    NoData,
    #[error("Provided information too large to process")]
    TooLarge,
    #[error("Wrong payload content-type")]
    Accept,
    #[error("Text-based binary secret payloads must specify a content-encoding of 'base64'")]
    Encoding,
    #[error("Secret cannot be deleted as it has consumers.")]
    Consumers,
    #[error("Provided transport key was not found.")]
    TransportKey,
    #[error("Creation not allowed because a quota has been reached")]
    Quota,
}

/// The description of a 403.
pub(crate) fn not_allowed(operation: &str) -> String {
    format!("{operation} attempt not allowed - please review your user/project privileges")
}

/// The description of a 500.
pub(crate) fn failure(operation: &str) -> String {
    format!("{operation} failure seen - please contact site administrator.")
}

impl Refusal {
    pub(super) const fn not_found(said: &'static str) -> Self {
        Self::NotFound(Cow::Borrowed(said))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::NotAllowed(_) | Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::SecretNotFound
            | Self::InvalidSecretId
            | Self::NoPayload
            | Self::OrderNotFound
            | Self::ConsumerNotFound
            | Self::InvalidConsumerId
            | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::HasData | Self::Conflict(_) => StatusCode::CONFLICT,
            Self::OrderUpdate | Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadQuery
            | Self::BadRequest(_)
            | Self::MalformedJson
            | Self::InvalidObject { .. }
            | Self::UnsupportedField => StatusCode::BAD_REQUEST,
            Self::ContentType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Issue(_, issue) => match issue {
                Issue::NoData | Issue::Encoding | Issue::Consumers | Issue::TransportKey => {
                    StatusCode::BAD_REQUEST
                }
                Issue::Quota => StatusCode::FORBIDDEN,
                Issue::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                Issue::Accept => StatusCode::NOT_ACCEPTABLE,
            },
            Self::Failure(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<StateFileError> for Refusal {
    fn from(error: StateFileError) -> Self {
        tracing::error!(%error, "a change was made but not kept");
        Self::Failure("System")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let title = if status == StatusCode::PAYLOAD_TOO_LARGE {
            // Python's name for it.
            Some("Request Entity Too Large")
        } else {
            status.canonical_reason()
        };
        let description =
            if self == Self::NotAcceptable { Value::Null } else { Value::String(self.to_string()) };
        let body = json!({"code": status.as_u16(), "title": title, "description": description});
        (status, Json(body)).into_response()
    }
}
