//! Keystone's API, as far as clients of Cinder and Barbican need it.
//!
//! Source: keystone 30, `api/auth.py`, `api/discovery.py`, `auth/core.py` and
//! `common/policies/token.py`.

mod auth;
mod catalog;
mod directory;
mod error;
mod schema;
mod tokens;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{LOCATION, VARY, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::Simulator;
use crate::authtoken::{self, Bearer, header};
use crate::routes::Routes;
use error::Refusal;

pub(crate) use auth::wanted;

pub(crate) fn routes() -> Routes {
    let tokens = post(tokens::issue)
        .get(tokens::validate)
        .delete(tokens::revoke)
        .fallback(method_not_allowed);
    Routes::new()
        .at("/", get(versions))
        .at("/v3", get(version))
        .at("/v3/auth/tokens", tokens)
        .at("/v3/auth/catalog", get(catalog::show))
        .at("/v3/auth/projects", get(directory::own_projects))
        .at("/v3/projects", get(directory::projects))
        .at("/v3/projects/{id}", get(directory::project))
        .at("/v3/users", get(directory::users))
        .at("/v3/users/{id}", get(directory::user))
        .at("/v3/users/{id}/projects", get(directory::projects_of_user))
        .map(|router| {
            let router = router.method_not_allowed_fallback(wrong_method);
            router.fallback(not_found).layer(from_fn(vary))
        })
}

/// A refusal, with the challenge that a 401 carries.
struct Denied(Refusal, String);

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let unauthorized = self.0 == Refusal::Unauthorized;
        let mut response = self.0.into_response();
        if unauthorized && let Ok(challenge) = HeaderValue::from_str(&self.1) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Denied {
    fn by(simulator: &Simulator) -> impl Fn(Refusal) -> Self {
        let challenge = authtoken::challenge(simulator);
        move |refusal| Self(refusal, challenge.clone())
    }
}

/// The holder of the token in `X-Auth-Token`.
fn caller(simulator: &Simulator, headers: &HeaderMap) -> Result<Bearer, Refusal> {
    let now = simulator.clock().now();
    let text = header(headers, "x-auth-token").ok_or(Refusal::Unauthorized)?;
    simulator.read(|state| Bearer::of(state, text, now, false)).map_err(|_| Refusal::Unauthorized)
}

async fn vary(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(VARY, HeaderValue::from_static("X-Auth-Token"));
    response
}

fn version_document(simulator: &Simulator) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{}/v3/", simulator.urls().identity)}],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.identity-v3+json",
        }],
    })
}

async fn versions(State(simulator): State<Simulator>) -> Response {
    let body = json!({"versions": {"values": [version_document(&simulator)]}});
    let location = format!("{}/v3/", simulator.urls().identity);
    (StatusCode::MULTIPLE_CHOICES, [(LOCATION, location)], Json(body)).into_response()
}

async fn version(State(simulator): State<Simulator>) -> Response {
    Json(json!({"version": version_document(&simulator)})).into_response()
}

async fn method_not_allowed() -> Response {
    let body = json!({"message": "The method is not allowed for the requested URL."});
    (StatusCode::METHOD_NOT_ALLOWED, Json(body)).into_response()
}

async fn wrong_method() -> Response {
    let page = "<!doctype html>\n<html lang=en>\n<title>405 Method Not Allowed</title>\n\
         <h1>Method Not Allowed</h1>\n<p>The method is not allowed for the requested URL.</p>\n";
    (StatusCode::METHOD_NOT_ALLOWED, Html(page)).into_response()
}

async fn not_found() -> Response {
    let page = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n\
         <h1>Not Found</h1>\n<p>The requested URL was not found on the server. If you entered the \
         URL manually please check your spelling and try again.</p>\n";
    (StatusCode::NOT_FOUND, Html(page)).into_response()
}
