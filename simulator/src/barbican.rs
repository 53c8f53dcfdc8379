//! Barbican's API: secrets with their payloads, metadata, access lists and consumers; containers;
//! orders for keys and pairs of keys; quotas; transport keys.
//!
//! Source: barbican 23, `api/controllers/`, `common/validators.py`, `common/policies/`. Not
//! simulated: several secret stores at once, secrets wrapped by a transport key, and ordered pairs
//! that are locked by a passphrase.

mod acls;
mod asked;
mod backends;
mod consumers;
mod containers;
mod content;
mod discovery;
mod error;
mod holder;
mod instant;
mod like;
mod list;
mod metadata;
mod microversion;
mod orders;
mod page;
mod pairs;
mod policy;
mod quotas;
mod routes;
mod schema;
mod secrets;
mod validate;
mod webob;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;

use crate::authtoken::{self, Bearer};
use crate::identity::Party;
use crate::routes::Routes;
use crate::{Simulator, StateFileError};
use microversion::Microversion;

pub(crate) use error::{failure, not_allowed};
pub use policy::{BarbicanPolicy, UnknownPolicy};
pub(crate) use routes::operation;

/// Who sends a request, for which operation, and in which version of the API.
#[derive(Clone, Debug)]
struct Caller {
    bearer: Bearer,
    project: Party,
    microversion: Microversion,
    policy: BarbicanPolicy,
    /// As it is called in Barbican's error texts.
    operation: &'static str,
}

impl Caller {
    /// The same caller in a version that shows consumers: their own API shows them in any.
    fn with_consumers(&self) -> Self {
        Self { microversion: Microversion::LATEST, ..self.clone() }
    }
}

pub(crate) fn routes(simulator: &Simulator) -> Routes {
    let root =
        get(discovery::versions).head(discovery::root_method).fallback(discovery::root_method);
    let simulator = simulator.clone();
    Routes::new().at("/", root).merge(routes::v1()).map(|router| {
        router.fallback(discovery::not_found).layer(from_fn_with_state(simulator, pipeline))
    })
}

/// The paste pipelines: authtoken, then the microversion; discovery has the latter only.
async fn pipeline(
    State(simulator): State<Simulator>,
    mut request: Request,
    next: Next,
) -> Response {
    let (method, is_v1) = (request.method().clone(), is_v1(request.uri().path()));
    let bearer = match authtoken::authenticate(&simulator, request.headers()) {
        None if is_v1 => return authtoken::unauthorized(&simulator),
        bearer => bearer.filter(|_| is_v1),
    };
    let microversion = match Microversion::of(request.headers()) {
        Ok(microversion) => microversion,
        Err(notice) => return notice.to(&method, request.headers()),
    };
    if let Some(bearer) = bearer {
        let Some(project) = bearer.project.clone() else {
            return discovery::unscoped(&simulator, &method, request.headers());
        };
        let template = request.extensions().get::<MatchedPath>();
        let operation = operation(&method, template.map_or("", MatchedPath::as_str));
        let policy = simulator.config().barbican_policy;
        let caller = Caller { bearer, project, microversion, policy, operation };
        request.extensions_mut().insert(caller);
    }
    request.extensions_mut().insert(microversion);
    let mut response = next.run(request).await;
    microversion.sign(response.headers_mut());
    response
}

fn is_v1(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/")
}

/// A caller of the newest version within this process: Cinder, with its user's token.
fn within(simulator: &Simulator, bearer: &Bearer, operation: &'static str) -> Option<Caller> {
    let project = bearer.project.clone()?;
    Some(Caller {
        bearer: bearer.clone(),
        project,
        microversion: Microversion::LATEST,
        policy: simulator.config().barbican_policy,
        operation,
    })
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
    match within(simulator, bearer, "Order creation") {
        Some(caller) => orders::key_for(simulator, &caller, algorithm, bits),
        None => Ok(None),
    }
}

/// Copies a secret for `bearer`, under the same rules as reading and storing over HTTP, and returns
/// the copy's id; `None` when Barbican refuses either.
pub(crate) fn copy_key(
    simulator: &Simulator,
    bearer: &Bearer,
    id: &str,
) -> Result<Option<String>, StateFileError> {
    match within(simulator, bearer, "Secret creation") {
        Some(caller) => secrets::copy_for(simulator, &caller, id),
        None => Ok(None),
    }
}

/// Deletes a secret for `bearer`, under the same rules as over HTTP; false when Barbican refuses.
pub(crate) fn delete_key(simulator: &Simulator, bearer: &Bearer, id: &str) -> bool {
    within(simulator, bearer, "Secret deletion")
        .is_some_and(|caller| secrets::delete_for(simulator, &caller, id))
}
