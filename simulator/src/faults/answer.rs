//! The error bodies by which a rule's answer looks like the service's own.

use axum::body::Body;
use axum::response::IntoResponse as _;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::{Service, Simulator, authtoken, barbican};

/// The answer of `service` with this status to a request of that method and path template.
pub(super) fn error(
    simulator: &Simulator,
    service: Service,
    (method, template): (&Method, &str),
    status: u16,
    retry_after: Option<u32>,
) -> Response<Body> {
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    // A service behind keystonemiddleware never words a 401 itself.
    let mut response = if code == StatusCode::UNAUTHORIZED {
        authtoken::unauthorized(simulator)
    } else {
        let body = match service {
            Service::Keystone => keystone_body(code),
            Service::Barbican => barbican_body(code, method, template),
            Service::BlockStorage => cinder_body(code),
        };
        let json = [(CONTENT_TYPE, "application/json")];
        (code, json, body.to_string()).into_response()
    };
    let headers = response.headers_mut();
    if code == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::from_str(&authtoken::challenge(simulator))
    {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn title(code: StatusCode) -> &'static str {
    code.canonical_reason().unwrap_or("Error")
}

fn keystone_body(code: StatusCode) -> Value {
    let message = match code.as_u16() {
        403 => "You are not authorized to perform the requested action.",
        404 => "Failed to validate token",
        500 => "An unexpected error prevented the server from fulfilling your request.",
        _ => title(code),
    };
    json!({"error": {"code": code.as_u16(), "message": message, "title": title(code)}})
}

fn barbican_body(code: StatusCode, method: &Method, template: &str) -> Value {
    let operation = barbican::operation(method, template);
    let description = match code.as_u16() {
        403 => barbican::not_allowed(operation),
        404 if template.starts_with("/v1/orders") => "Order not found.".to_owned(),
        404 if template.starts_with("/v1/containers") => "Secrets container not found.".to_owned(),
        404 => "Secret not found.".to_owned(),
        409 => "Secret already has data, cannot modify it.".to_owned(),
        413 => format!("{operation} issue seen - Provided information too large to process."),
        500 => barbican::failure(operation),
        _ => title(code).to_owned(),
    };
    let title = if code == StatusCode::PAYLOAD_TOO_LARGE {
        "Request Entity Too Large"
    } else {
        title(code)
    };
    json!({"code": code.as_u16(), "title": title, "description": description})
}

/// The names are those of cinder/api/openstack/wsgi.py Fault._fault_names.
fn cinder_body(code: StatusCode) -> Value {
    let (name, message) = match code.as_u16() {
        400 => ("badRequest", "The server could not comply with the request."),
        403 => ("forbidden", "Policy doesn't allow the request to be performed."),
        404 => ("itemNotFound", "The resource could not be found."),
        405 => ("badMethod", "The method is not allowed."),
        409 => ("conflictingRequest", "There was a conflict."),
        413 | 429 => ("overLimit", "This request was rate-limited."),
        501 => ("notImplemented", "Not implemented."),
        503 => ("serviceUnavailable", "The service is unavailable."),
        _ => (
            "computeFault",
            "The server has either erred or is incapable of performing the requested operation.",
        ),
    };
    json!({name: {"code": code.as_u16(), "message": message}})
}
