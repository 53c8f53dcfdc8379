//! Keystone's API: tokens, who and what there is, who may do what where, and the catalogue.
//!
//! Source: keystone 30, `api/*.py`, its managers (`*/core.py`) and `common/policies/*.py`. What is
//! not here: federation, OAuth, EC2 and other credentials, limits, policies, domain configuration,
//! endpoint filters and inherited roles.

mod application_credentials;
mod auth;
mod call;
mod catalog;
mod collection;
mod domains;
mod error;
mod expiry;
mod grants;
mod groups;
mod policy;
mod project_tags;
mod projects;
mod registry;
mod role_assignments;
mod roles;
mod schema;
mod scopes;
mod tokens;
mod trusts;
mod users;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::{LOCATION, VARY};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::Simulator;
use crate::routes::Routes;
use collection::{collection, member};

pub(crate) use auth::wanted;

pub(crate) fn routes() -> Routes {
    let routes = Routes::new()
        .at("/", get(versions))
        .at("/v3", get(version))
        .at("/v3/auth/tokens", resource(tokens::methods()))
        .at("/v3/auth/catalog", resource(call::show(catalog::show)))
        .at("/v3/auth/projects", resource(call::show(scopes::projects)))
        .at("/v3/auth/domains", resource(call::show(scopes::domains)))
        .at("/v3/auth/system", resource(call::show(scopes::system)))
        .at("/v3/role_assignments", resource(role_assignments::all()))
        .at("/v3/role_inferences", resource(roles::inferences()))
        .at("/v3/roles/{id}/implies", resource(roles::implied()))
        .at("/v3/roles/{id}/implies/{implied_id}", resource(roles::implication()))
        .at("/v3/projects/{id}/tags", resource(project_tags::all()))
        .at("/v3/projects/{id}/tags/{tag}", resource(project_tags::one()))
        .at("/v3/groups/{id}/users", resource(groups::users()))
        .at("/v3/groups/{id}/users/{user_id}", resource(groups::membership()))
        .at("/v3/OS-TRUST/trusts", resource(trusts::all()))
        .at("/v3/OS-TRUST/trusts/{id}", resource(trusts::one()))
        .at("/v3/OS-TRUST/trusts/{id}/roles", resource(trusts::roles()))
        .at("/v3/OS-TRUST/trusts/{id}/roles/{role_id}", resource(trusts::role()))
        .merge(of_users())
        .merge(collections());
    grants::routes(routes, resource).map(|router| {
        let router = router.method_not_allowed_fallback(wrong_method);
        router.fallback(not_found).layer(from_fn(vary))
    })
}

fn of_users() -> Routes {
    use application_credentials as credentials;
    Routes::new()
        .at("/v3/users/{id}/password", resource(users::password()))
        .at("/v3/users/{id}/projects", resource(users::projects()))
        .at("/v3/users/{id}/groups", resource(users::groups()))
        .at("/v3/users/{id}/application_credentials", resource(credentials::all()))
        .at("/v3/users/{id}/application_credentials/{credential_id}", resource(credentials::one()))
        .at("/v3/users/{id}/access_rules", resource(credentials::rules()))
        .at("/v3/users/{id}/access_rules/{rule_id}", resource(credentials::rule()))
}

fn collections() -> Routes {
    Routes::new()
        .at("/v3/domains", resource(collection::<domains::Domains>()))
        .at("/v3/domains/{id}", resource(member::<domains::Domains>()))
        .at("/v3/projects", resource(collection::<projects::Projects>()))
        .at("/v3/projects/{id}", resource(member::<projects::Projects>()))
        .at("/v3/users", resource(collection::<users::Users>()))
        .at("/v3/users/{id}", resource(member::<users::Users>()))
        .at("/v3/groups", resource(collection::<groups::Groups>()))
        .at("/v3/groups/{id}", resource(member::<groups::Groups>()))
        .at("/v3/roles", resource(collection::<roles::Roles>()))
        .at("/v3/roles/{id}", resource(member::<roles::Roles>()))
        .at("/v3/regions", resource(collection::<registry::Regions>()))
        .at(
            "/v3/regions/{id}",
            resource(member::<registry::Regions>().merge(registry::region_at())),
        )
        .at("/v3/services", resource(collection::<registry::Services>()))
        .at("/v3/services/{id}", resource(member::<registry::Services>()))
        .at("/v3/endpoints", resource(collection::<registry::Endpoints>()))
        .at("/v3/endpoints/{id}", resource(member::<registry::Endpoints>()))
}

/// Completes the methods of a resource: others are refused in its own way.
fn resource(methods: MethodRouter<Simulator>) -> MethodRouter<Simulator> {
    methods.fallback(method_not_allowed)
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
