//! Error bodies in Cinder's two shapes, and in keystonemiddleware's.
//!
//! cinder: `api/openstack/wsgi.py` `Fault`; webob's plain text for what no controller answers;
//! keystonemiddleware: `auth_token/__init__.py` for 401. A message never holds internal details:
//! whoever makes a fault of an error chooses words for the caller.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// What webob says when a request is wrong in a way that nobody explains.
pub(crate) const NOT_COMPLIANT: &str = "The server could not comply with the request since it is \
                                        either malformed or otherwise incorrect.";

/// What webob says of an error that is nobody's business.
pub(crate) const ERRED: &str =
    "The server has either erred or is incapable of performing the requested operation.";

/// What webob says when there is nothing at a path.
pub(crate) const NO_RESOURCE: &str = "The resource could not be found.";

/// What Cinder says of text that is not UTF-8.
pub(crate) const NOT_DECODED: &str = "Error decoding your request. Either the URL or the request \
                                      body contained characters that could not be decoded by \
                                      Cinder.";

/// What Cinder says of a body that is not JSON.
pub(crate) const MALFORMED_BODY: &str = "Malformed request body";

/// An error reply: `{"<name>": {"code": …, "message": "…"}}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// The reply's status.
    pub(crate) status: StatusCode,
    /// Words for the caller.
    pub(crate) message: String,
    /// Whether the same request may succeed in a while.
    pub(crate) try_again: bool,
}

/// When, in seconds.
const LATER: HeaderValue = HeaderValue::from_static("5");

impl Fault {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), try_again: false }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn over_limit(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        let fault = Self::new(StatusCode::SERVICE_UNAVAILABLE, message);
        Self { try_again: true, ..fault }
    }

    pub(crate) fn erred() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, ERRED)
    }

    fn name(&self) -> &'static str {
        match self.status.as_u16() {
            400 => "badRequest",
            401 => "unauthorized",
            403 => "forbidden",
            404 => "itemNotFound",
            405 => "badMethod",
            409 => "conflictingRequest",
            413 => "overLimit",
            415 => "badMediaType",
            501 => "notImplemented",
            503 => "serviceUnavailable",
            _ => "computeFault",
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut fault = json!({"code": self.status.as_u16(), "message": self.message});
        let over_limit = self.status == StatusCode::PAYLOAD_TOO_LARGE;
        if over_limit {
            // Cinder's only 413s are quotas, which no wait changes.
            fault["retryAfter"] = json!("0");
        }
        let body = Map::from_iter([(self.name().to_owned(), fault)]);
        let mut response = (self.status, Json(Value::Object(body))).into_response();
        if over_limit {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("0"));
        }
        if self.try_again {
            response.headers_mut().insert(header::RETRY_AFTER, LATER);
        }
        response
    }
}

/// webob's plain text, which Cinder sends where no controller is involved.
pub(crate) fn plain(status: StatusCode, explanation: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    // HTTP's newer name of 413 is not the one that webob knows.
    let reason =
        if status == StatusCode::PAYLOAD_TOO_LARGE { "Request Entity Too Large" } else { reason };
    let text = format!("{} {reason}\n\n{explanation}\n\n   ", status.as_u16());
    let plain_text = HeaderValue::from_static("text/plain; charset=UTF-8");
    (status, [(header::CONTENT_TYPE, plain_text)], text).into_response()
}

/// The reply to a body over the limit, whether announced or found out.
pub(crate) fn body_too_large(max_body: usize) -> Response {
    let explanation =
        format!("Request is too large. Larger than max_request_body_size ({max_body}).");
    plain(StatusCode::PAYLOAD_TOO_LARGE, &explanation)
}

/// The reply to a missing, unknown or expired token.
pub(crate) fn unauthorized() -> Response {
    let error = json!({"error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }});
    (StatusCode::UNAUTHORIZED, Json(error)).into_response()
}

/// Says with a 401 where tokens come from.
pub(crate) fn challenge(mut response: Response, www_authenticate_uri: &str) -> Response {
    if response.status() == StatusCode::UNAUTHORIZED {
        let challenge = format!("Keystone uri=\"{www_authenticate_uri}\"");
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}
