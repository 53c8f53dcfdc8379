//! The versions of the API: `/` and `/v3/`.
//!
//! cinder: `api/versions.py`, `api/views/versions.py`.

use crate::Api;
use crate::links::Links;
use crate::microversion::Microversion;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;

/// `/`: 300, whatever the method.
pub(crate) async fn all(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    (StatusCode::MULTIPLE_CHOICES, Json(view(&api, &headers))).into_response()
}

/// `/v3/`: 200, whatever the method.
pub(crate) async fn index(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    Json(view(&api, &headers)).into_response()
}

/// `/v3`: leads to `/v3/`.
pub(crate) async fn redirect(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let location = links(&api, &headers).versions();
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

fn links(api: &Api, headers: &HeaderMap) -> Links {
    Links::new(api.config.public_endpoint.as_ref(), headers, None)
}

fn view(api: &Api, headers: &HeaderMap) -> Value {
    json!({"versions": [{
        "id": "v3.0",
        "status": "CURRENT",
        "version": Microversion::MAX.number(),
        "min_version": Microversion::MIN.number(),
        "updated": "2023-08-31T00:00:00Z",
        "links": [
            {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"},
            {"rel": "self", "href": links(api, headers).versions()},
        ],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.volume+json;version=3",
        }],
    }]})
}
