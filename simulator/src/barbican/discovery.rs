//! The version documents, and what is answered beside them.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, ALLOW, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::content;
use super::error::Refusal;
use super::microversion::Microversion;
use super::webob::Notice;
use crate::Simulator;
use crate::authtoken::{self, header};
use crate::query::Query;

pub(super) async fn versions(
    State(simulator): State<Simulator>,
    Extension(microversion): Extension<Microversion>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if content::accept_json(&headers).is_err() {
        return not_acceptable(&Method::GET, &headers);
    }
    if Query::parse(query.as_deref()).has("build") {
        return Json(json!({"build": "23.0.0"})).into_response();
    }
    let document = version_document(&simulator, microversion);
    let versions =
        if microversion.is_at_least(1) { json!([document]) } else { json!({"values": [document]}) };
    (StatusCode::MULTIPLE_CHOICES, Json(json!({"versions": versions}))).into_response()
}

pub(super) async fn version(
    State(simulator): State<Simulator>,
    Extension(microversion): Extension<Microversion>,
) -> Response {
    Json(json!({"version": version_document(&simulator, microversion)})).into_response()
}

fn version_document(simulator: &Simulator, microversion: Microversion) -> Value {
    let links = json!([
        {"rel": "self", "href": format!("{}/v1/", simulator.urls().key_manager)},
        {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
    ]);
    if microversion.is_at_least(1) {
        return json!({
            "id": "v1",
            "status": "CURRENT",
            "min_version": "1.0",
            "max_version": "1.2",
            "links": links,
        });
    }
    json!({
        "id": "v1",
        "status": "stable",
        "links": links,
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.key-manager-v1+json",
        }],
    })
}

/// A token without a project: the context middleware wants one.
pub(super) fn unscoped(simulator: &Simulator, method: &Method, headers: &HeaderMap) -> Response {
    let mut response = Notice::unauthorized().to(method, headers);
    if let Ok(challenge) = HeaderValue::from_str(&authtoken::challenge(simulator)) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

/// A method that the root has not; it would answer in HTML.
pub(super) async fn root_method(method: Method, headers: HeaderMap) -> Response {
    let takes_html = match header(&headers, ACCEPT.as_str()) {
        Some(accept) => accept.contains("text/html") || accept.contains('*'),
        None => true,
    };
    if !takes_html {
        return not_acceptable(&method, &headers);
    }
    let mut response = Notice::method_not_allowed(&method).to(&method, &headers);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    response
}

pub(super) async fn not_found(uri: Uri, method: Method, headers: HeaderMap) -> Response {
    if super::is_v1(uri.path()) || is_json_alone(&headers) {
        return Refusal::not_found("").into_response();
    }
    if content::accept_json(&headers).is_err() {
        return not_acceptable(&method, &headers);
    }
    Notice::not_found().to(&method, &headers)
}

fn not_acceptable(method: &Method, headers: &HeaderMap) -> Response {
    if is_json_alone(headers) {
        return Refusal::NotAcceptable.into_response();
    }
    Notice::not_acceptable(headers, String::new()).to(method, headers)
}

/// Who takes JSON and nothing else is answered in JSON of Barbican's own.
fn is_json_alone(headers: &HeaderMap) -> bool {
    header(headers, ACCEPT.as_str()) == Some("application/json")
}
