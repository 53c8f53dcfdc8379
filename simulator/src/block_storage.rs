//! A small block storage for developers: Cinder's API for types, volumes and snapshots, on Cinder's
//! own tables.
//!
//! Source: cinder 29, `api/v3/`. There is no backend: what is asked for is there at once. The key
//! of an encrypted volume comes from a Barbican order under the *user's* authority, as in Cinder,
//! and goes with the volume. Transfers are not here; they are what `transfer-api` is for.

mod fault;
mod input;
mod snapshots;
mod types;
mod versions;
mod views;
mod volumes;

use axum::extract::{Extension, RawPathParams, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use cinder_db::{QuotaLimits, Scope, Store};
use http::{HeaderValue, StatusCode};
use transfer_core::{ProjectId, UserId};

use crate::Simulator;
use crate::authtoken::{self, Bearer};
use crate::identity::Named;
use crate::routes::Routes;
use fault::Fault;
use versions::Microversion;

/// Who asks, in which version, and the tables that are asked about.
#[derive(Clone)]
struct Caller {
    bearer: Bearer,
    project: Named,
    microversion: Microversion,
    store: Store,
    limits: QuotaLimits,
}

impl Caller {
    fn is_admin(&self) -> bool {
        self.bearer.has_role("admin")
    }

    /// What an administrator sees is everybody's.
    fn scope(&self) -> Scope {
        if self.is_admin() { Scope::All } else { self.own() }
    }

    fn own(&self) -> Scope {
        Scope::Project(ProjectId::new(self.project.id.as_str()))
    }

    fn user(&self) -> UserId {
        UserId::new(self.bearer.user.id.as_str())
    }

    /// Cinder's words for an action that only administrators may do, or members.
    fn must_be_admin(&self, action: &str) -> Result<(), Fault> {
        if self.is_admin() { Ok(()) } else { Err(Fault::policy(action)) }
    }

    fn must_be_member(&self, action: &str) -> Result<(), Fault> {
        if self.bearer.has_role("member") { Ok(()) } else { Err(Fault::policy(action)) }
    }
}

/// Each path stands with and without a project id in front (cinder: `project_id` is optional).
macro_rules! both {
    ($routes:ident, $($path:literal => $methods:expr),* $(,)?) => {
        $(
            $routes = $routes
                .at(concat!("/v3/{project_id}", $path), $methods)
                .at(concat!("/v3", $path), $methods);
        )*
    };
}

pub(crate) fn routes(simulator: &Simulator, store: &Store) -> Routes {
    let mut v3 = Routes::new();
    both!(v3,
        "/types" => get(types::list).post(types::create),
        "/types/{id}" => get(types::show).delete(types::delete),
        "/types/{id}/encryption" => get(types::show_encryption).post(types::encrypt),
        "/types/{id}/extra_specs" => get(types::extra_specs),
        "/volumes" => get(volumes::list).post(volumes::create),
        "/volumes/detail" => get(volumes::detail),
        "/volumes/{id}" => volume(),
        "/volumes/{id}/action" => post(volumes::act),
        "/snapshots" => get(snapshots::list).post(snapshots::create),
        "/snapshots/detail" => get(snapshots::detail),
        "/snapshots/{id}" => get(snapshots::show).delete(snapshots::delete),
        "/snapshots/{id}/action" => post(snapshots::act),
    );
    let behind_token = (simulator.clone(), store.clone());
    let v3 = v3
        .at("/v3/", get(versions::v3))
        .map(|router| router.layer(from_fn_with_state(behind_token, pipeline)));
    Routes::new()
        .at("/", get(versions::all))
        .merge(v3)
        .map(|router| router.fallback(not_found).method_not_allowed_fallback(not_allowed))
}

fn volume() -> MethodRouter<Simulator> {
    get(volumes::show).put(volumes::update).delete(volumes::delete)
}

/// The paste pipeline: authtoken, the microversion, and the project in the path.
async fn pipeline(
    State((simulator, store)): State<(Simulator, Store)>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(bearer) = authtoken::authenticate(&simulator, request.headers()) else {
        return authtoken::unauthorized(&simulator);
    };
    let microversion = match Microversion::of(request.headers()) {
        Ok(microversion) => microversion,
        Err(fault) => return fault.into_response(),
    };
    let Some(project) = bearer.project.clone() else {
        return Fault::policy("volume:get_all").into_response();
    };
    let foreign = params.iter().any(|(name, id)| name == "project_id" && id != project.id);
    let mut response = if foreign {
        Fault::bad("Malformed request url").into_response()
    } else {
        let limits = QuotaLimits::default();
        request.extensions_mut().insert(Caller { bearer, project, microversion, store, limits });
        next.run(request).await
    };
    microversion.sign(response.headers_mut());
    let id = simulator.change::<_, crate::StateFileError>(|state| Ok(state.draws.uuid()));
    if let Ok(id) = id
        && let Ok(value) = HeaderValue::from_str(&format!("req-{id}"))
    {
        response.headers_mut().insert("x-openstack-request-id", value.clone());
        response.headers_mut().insert("x-compute-request-id", value);
    }
    response
}

type Asked = Extension<Caller>;

async fn not_found() -> Response {
    let text = "404 Not Found\n\nThe resource could not be found.\n\n   ";
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn not_allowed() -> Fault {
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, "badMethod", "The method is not allowed.")
}
