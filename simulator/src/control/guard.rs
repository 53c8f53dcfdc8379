//! What keeps pages of others, open in a browser on this machine, away from the control.
//!
//! A browser says where a request comes from that changes something ([`ORIGIN`]); a form cannot
//! send JSON; and a name that leads here, but is not this machine's, is not taken for it
//! (DNS rebinding).

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode};
use std::net::IpAddr;

use super::Refusal;
use axum::body::HttpBody as _;

/// Lets a request through, or says why not. `any_host`: other machines have names for this one.
pub(super) async fn check(State(any_host): State<bool>, request: Request, next: Next) -> Response {
    match refusal(any_host, &request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(any_host: bool, request: &Request) -> Option<Refusal> {
    let headers = request.headers();
    let host = text(headers, HOST.as_str()).unwrap_or_default();
    if !any_host && !is_ours(host) {
        let why = format!("{host} is a name: say localhost, or an address");
        return Some(Refusal(StatusCode::FORBIDDEN, why));
    }
    if request.method() == Method::GET || request.method() == Method::HEAD {
        return None;
    }
    if let Some(origin) = text(headers, ORIGIN.as_str())
        && origin.strip_prefix("http://") != Some(host)
    {
        let why = format!("asked by a page of {origin}, which is not this one");
        return Some(Refusal(StatusCode::FORBIDDEN, why));
    }
    let kind = text(headers, CONTENT_TYPE.as_str());
    let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    if kind.map_or(request.body().is_end_stream(), |kind| kind == "application/json") {
        return None;
    }
    let why = "the body has to be application/json (curl: --json)".to_owned();
    Some(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
}

/// A header's text; one that is not text is nobody's.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("(no text)"))
}

/// Whether a browser reaches this machine by that name whatever the name service says.
fn is_ours(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|digit| digit.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.is_empty() || name == "localhost" || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::is_ours;

    #[test]
    fn addresses_and_localhost_are_this_machine_and_other_names_are_not() {
        for (host, ours) in [
            ("", true),
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("[::1]:5000", true),
            ("[::1]", true),
            ("evil.example:5000", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:80", false),
            ("(no text)", false),
        ] {
            assert_eq!(is_ours(host), ours, "{host}");
        }
    }
}
