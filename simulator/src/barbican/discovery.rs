//! The version documents, and what is answered beside them.

use axum::Json;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::microversion::Microversion;
use crate::query::Query;
use crate::{Simulator, authtoken};

pub(super) async fn versions(
    State(simulator): State<Simulator>,
    Extension(microversion): Extension<Microversion>,
    RawQuery(query): RawQuery,
) -> Response {
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
pub(super) fn unscoped(simulator: &Simulator) -> Response {
    let text = "401 Unauthorized\n\nThis server could not verify that you are authorized to access \
                the document you requested. Either you supplied the wrong credentials (e.g., bad \
                password), or your browser does not understand how to supply the credentials \
                required.\n\n   ";
    let challenge = [(WWW_AUTHENTICATE, authtoken::challenge(simulator))];
    (StatusCode::UNAUTHORIZED, challenge, text).into_response()
}

pub(super) async fn root_method(method: Method) -> Response {
    let text = format!(
        "405 Method Not Allowed\n\nThe method {method} is not allowed for this resource. \n\n "
    );
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")], text).into_response()
}

pub(super) async fn not_found(uri: Uri) -> Response {
    if super::is_v1(uri.path()) {
        let body = json!({"code": 404, "title": "Not Found", "description": ""});
        return (StatusCode::NOT_FOUND, Json(body)).into_response();
    }
    let text = "404 Not Found\n\nThe resource could not be found.\n\n   ";
    (StatusCode::NOT_FOUND, text).into_response()
}
