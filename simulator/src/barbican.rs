//! Barbican's API: secrets with their payloads and consumers, and orders for symmetric keys.
//!
//! Source: barbican 23, `api/controllers/`, `common/validators.py`, `common/policies/` (the new
//! defaults: `[oslo_policy] enforce_new_defaults = true`). Access lists, user metadata and
//! containers are not simulated; every secret is open to the members of its project.

mod consumers;
mod content;
mod error;
mod list;
mod microversion;
mod orders;
mod secrets;
mod validate;

use axum::Json;
use axum::extract::{Extension, RawQuery, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use http::header::{ALLOW, WWW_AUTHENTICATE};
use http::{Method, StatusCode, Uri};
use serde_json::{Value, json};

use crate::authtoken::{self, Bearer};
use crate::identity::Named;
use crate::query::Query;
use crate::routes::Routes;
use crate::{Simulator, StateFileError};
use error::Refusal;
use microversion::Microversion;

pub(crate) use error::{failure, not_allowed};

/// Who sends a request, and in which version of the API.
#[derive(Clone, Debug)]
struct Caller {
    bearer: Bearer,
    project: Named,
    microversion: Microversion,
}

impl Caller {
    fn is_member(&self) -> bool {
        self.bearer.has_role("member")
    }

    fn is_admin(&self) -> bool {
        self.bearer.has_role("admin")
    }

    /// The same caller in a version that shows consumers: their own API shows them in any.
    fn with_consumers(&self) -> Self {
        Self { microversion: Microversion::LATEST, ..self.clone() }
    }

    /// Whether the caller may work on what belongs to that project.
    fn is_member_of(&self, project_id: &str) -> bool {
        self.project.id == project_id && self.is_member()
    }
}

pub(crate) fn routes(simulator: &Simulator) -> Routes {
    let secret = get(secrets::show).put(secrets::fill).delete(secrets::delete);
    let consumers = get(consumers::list).post(consumers::add).delete(consumers::remove);
    let orders = get(list::orders).post(orders::create).put(orders::update);
    let order = get(orders::show).delete(orders::delete);
    let v1 = Routes::new()
        .at("/v1", allowing("GET", get(version)))
        .at("/v1/secrets", allowing("GET, POST", get(list::secrets).post(secrets::create)))
        .at("/v1/secrets/{id}", allowing("DELETE, GET, PUT", secret))
        .at("/v1/secrets/{id}/payload", any(secrets::payload))
        .at("/v1/secrets/{id}/consumers", allowing("DELETE, GET, POST", consumers))
        .at("/v1/secrets/{id}/consumers/{consumer_id}", any(consumers::show))
        .at("/v1/orders", allowing("GET, POST, PUT", orders))
        .at("/v1/orders/{id}", allowing("DELETE, GET", order));
    let root = get(versions).head(root_method).fallback(root_method);
    let simulator = simulator.clone();
    Routes::new()
        .at("/", root)
        .merge(v1)
        .map(|router| router.fallback(not_found).layer(from_fn_with_state(simulator, pipeline)))
}

/// The paste pipelines: authtoken, then the microversion; discovery has the latter only.
async fn pipeline(
    State(simulator): State<Simulator>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_v1 = is_v1(request.uri().path());
    if !is_v1 && request.uri().path() != "/" {
        return next.run(request).await;
    }
    let bearer = authtoken::authenticate(&simulator, request.headers());
    if is_v1 && bearer.is_none() {
        return authtoken::unauthorized(&simulator);
    }
    let microversion = match Microversion::of(request.headers()) {
        Ok(microversion) => microversion,
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(bearer) = bearer.filter(|_| is_v1) {
        let Some(project) = bearer.project.clone() else { return unscoped(&simulator) };
        request.extensions_mut().insert(Caller { bearer, project, microversion });
    }
    request.extensions_mut().insert(microversion);
    let mut response = next.run(request).await;
    microversion.sign(response.headers_mut());
    response
}

/// What a handler does for the methods it has, and a 405 that names them for all others; HEAD is
/// one of those.
fn allowing(methods: &'static str, router: MethodRouter<Simulator>) -> MethodRouter<Simulator> {
    let refuse = async move || ([(ALLOW, methods)], Refusal::Method);
    router.head(refuse).fallback(refuse)
}

/// What an operation is called in Barbican's error texts.
pub(crate) fn operation(method: &Method, template: &str) -> &'static str {
    match (method.as_str(), template) {
        ("POST", "/v1/secrets") => "Secret creation",
        ("GET", "/v1/secrets") => "Secret(s) retrieval",
        ("PUT", "/v1/secrets/{id}") => "Secret update",
        ("DELETE", "/v1/secrets/{id}") => "Secret deletion",
        ("GET", "/v1/secrets/{id}") => "Secret retrieval",
        ("GET", "/v1/secrets/{id}/payload") => "Secret payload retrieval",
        ("GET", "/v1/secrets/{id}/consumers") => "SecretConsumers(s) retrieval",
        ("POST", "/v1/secrets/{id}/consumers") => "SecretConsumer creation",
        ("DELETE", "/v1/secrets/{id}/consumers") => "SecretConsumer deletion",
        ("POST", "/v1/orders") => "Order creation",
        ("GET", "/v1/orders") => "Order(s) retrieval",
        ("GET", "/v1/orders/{id}") => "Order retrieval",
        ("DELETE", "/v1/orders/{id}") => "Order deletion",
        _ => "System",
    }
}

async fn versions(
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

async fn version(
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
fn unscoped(simulator: &Simulator) -> Response {
    let text = "401 Unauthorized\n\nThis server could not verify that you are authorized to access \
                the document you requested. Either you supplied the wrong credentials (e.g., bad \
                password), or your browser does not understand how to supply the credentials \
                required.\n\n   ";
    let challenge = [(WWW_AUTHENTICATE, authtoken::challenge(simulator))];
    (StatusCode::UNAUTHORIZED, challenge, text).into_response()
}

async fn root_method(method: Method) -> Response {
    let text = format!(
        "405 Method Not Allowed\n\nThe method {method} is not allowed for this resource. \n\n "
    );
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")], text).into_response()
}

async fn not_found(uri: Uri) -> Response {
    if is_v1(uri.path()) {
        let body = json!({"code": 404, "title": "Not Found", "description": ""});
        return (StatusCode::NOT_FOUND, Json(body)).into_response();
    }
    let text = "404 Not Found\n\nThe resource could not be found.\n\n   ";
    (StatusCode::NOT_FOUND, text).into_response()
}

fn is_v1(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// A caller of the newest version within this process: Cinder, with its user's token.
fn within(bearer: &Bearer) -> Option<Caller> {
    let project = bearer.project.clone()?;
    Some(Caller { bearer: bearer.clone(), project, microversion: Microversion::LATEST })
}

/// Makes a symmetric key for `bearer` by an order, under the same rules as over HTTP, and returns
/// the secret's id; `None` when Barbican refuses. The order itself does not stay (castellan:
/// `key_manager/barbican_key_manager.py` create_key).
pub(crate) fn order_key(
    simulator: &Simulator,
    bearer: &Bearer,
    algorithm: &str,
    bits: i64,
) -> Result<Option<String>, StateFileError> {
    match within(bearer) {
        Some(caller) if caller.is_member() => orders::key_for(simulator, &caller, algorithm, bits),
        Some(_) | None => Ok(None),
    }
}

/// Deletes a secret for `bearer`, under the same rules as over HTTP; false when Barbican refuses.
pub(crate) fn delete_key(simulator: &Simulator, bearer: &Bearer, id: &str) -> bool {
    within(bearer).is_some_and(|caller| secrets::delete_for(simulator, &caller, id))
}
