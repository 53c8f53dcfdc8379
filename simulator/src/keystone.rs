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
use axum::extract::{OriginalUri, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION, VARY};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

use crate::Simulator;
use crate::routes::Routes;
use collection::{collection, member};

pub(crate) use auth::wanted;

pub(crate) fn routes() -> Routes {
    let routes = Routes::new()
        .at("/", get(versions))
        .at("/v3", get(version))
        .at("/v3/auth/tokens", tokens::methods().finish())
        .at("/v3/auth/catalog", call::show(catalog::show).finish())
        .at("/v3/auth/projects", call::show(scopes::projects).finish())
        .at("/v3/auth/domains", call::show(scopes::domains).finish())
        .at("/v3/auth/system", call::show(scopes::system).finish())
        .at("/v3/role_assignments", role_assignments::all().finish())
        .at("/v3/role_inferences", roles::inferences().finish())
        .at("/v3/roles/{id}/implies", roles::implied().finish())
        .at("/v3/roles/{id}/implies/{implied_id}", roles::implication().finish())
        .at("/v3/projects/{id}/tags", project_tags::all().finish())
        .at("/v3/projects/{id}/tags/{tag}", project_tags::one().finish())
        .at("/v3/groups/{id}/users", groups::users().finish())
        .at("/v3/groups/{id}/users/{user_id}", groups::membership().finish())
        .at("/v3/OS-TRUST/trusts", trusts::all().finish())
        .at("/v3/OS-TRUST/trusts/{id}", trusts::one().finish())
        .at("/v3/OS-TRUST/trusts/{id}/roles", trusts::roles().finish())
        .at("/v3/OS-TRUST/trusts/{id}/roles/{role_id}", trusts::role().finish())
        .merge(of_users())
        .merge(collections());
    grants::routes(routes).map(|router| {
        let router = router.method_not_allowed_fallback(wrong_method);
        router.fallback(not_found).layer(from_fn(vary))
    })
}

fn of_users() -> Routes {
    use application_credentials as credentials;
    Routes::new()
        .at("/v3/users/{id}/password", users::password().finish())
        .at("/v3/users/{id}/projects", users::projects().finish())
        .at("/v3/users/{id}/groups", users::groups().finish())
        .at("/v3/users/{id}/application_credentials", credentials::all().finish())
        .at("/v3/users/{id}/application_credentials/{credential_id}", credentials::one().finish())
        .at("/v3/users/{id}/access_rules", credentials::rules().finish())
        .at("/v3/users/{id}/access_rules/{rule_id}", credentials::rule().finish())
}

fn collections() -> Routes {
    Routes::new()
        .at("/v3/domains", collection::<domains::Domains>().finish())
        .at("/v3/domains/{id}", member::<domains::Domains>().finish())
        .at("/v3/projects", collection::<projects::Projects>().finish())
        .at("/v3/projects/{id}", member::<projects::Projects>().finish())
        .at("/v3/users", collection::<users::Users>().finish())
        .at("/v3/users/{id}", member::<users::Users>().finish())
        .at("/v3/groups", collection::<groups::Groups>().finish())
        .at("/v3/groups/{id}", member::<groups::Groups>().finish())
        .at("/v3/roles", collection::<roles::Roles>().finish())
        .at("/v3/roles/{id}", member::<roles::Roles>().finish())
        .at("/v3/regions", collection::<registry::Regions>().finish())
        .at("/v3/regions/{id}", member::<registry::Regions>().merge(registry::region_at()).finish())
        .at("/v3/services", collection::<registry::Services>().finish())
        .at("/v3/services/{id}", member::<registry::Services>().finish())
        .at("/v3/endpoints", collection::<registry::Endpoints>().finish())
        .at("/v3/endpoints/{id}", member::<registry::Endpoints>().finish())
}

async fn vary(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    // What is too large does not reach Keystone, and a crash is not told by it.
    let crashed = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == error::CRASHED);
    if response.status() != StatusCode::PAYLOAD_TOO_LARGE && !crashed {
        response.headers_mut().insert(VARY, HeaderValue::from_static("X-Auth-Token"));
    }
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

async fn wrong_method(method: Method) -> Response {
    let allowed = [(ALLOW, "GET, HEAD, OPTIONS")];
    if method == Method::OPTIONS {
        return (allowed, Html("")).into_response();
    }
    let page = "<!doctype html>\n<html lang=en>\n<title>405 Method Not Allowed</title>\n\
         <h1>Method Not Allowed</h1>\n<p>The method is not allowed for the requested URL.</p>\n";
    (StatusCode::METHOD_NOT_ALLOWED, allowed, Html(page)).into_response()
}

/// Slashes that follow each other are one, by way of a detour.
async fn not_found(State(simulator): State<Simulator>, OriginalUri(uri): OriginalUri) -> Response {
    if uri.path().contains("//") {
        let steps: Vec<&str> = uri.path().split('/').filter(|step| !step.is_empty()).collect();
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let place = format!("{}/{}{query}", simulator.urls().identity, steps.join("/"));
        let page = format!(
            "<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n\
             <h1>Redirecting...</h1>\n<p>You should be redirected automatically to \
             the target URL: <a href=\"{place}\">{place}</a>. If not, click the link.\n"
        );
        return (StatusCode::PERMANENT_REDIRECT, [(LOCATION, place)], Html(page)).into_response();
    }
    let page = "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n\
         <h1>Not Found</h1>\n<p>The requested URL was not found on the server. If you entered the \
         URL manually please check your spelling and try again.</p>\n";
    (StatusCode::NOT_FOUND, Html(page)).into_response()
}
