//! A small block storage for developers: Cinder's API for types, volumes and snapshots, on Cinder's
//! own tables.
//!
//! Source: cinder 29, `api/v3/`. There is no backend: what is asked for is there at once. The key
//! of an encrypted volume comes from a Barbican order under the *user's* authority, as in Cinder,
//! and goes with the volume. Transfers are not here; they are what `transfer-api` is for.

mod actions;
mod encryption;
mod extra_specs;
mod fault;
mod input;
mod metadata;
mod page;
mod quotas;
mod snapshots;
mod sources;
mod type_access;
mod types;
mod versions;
mod views;
mod volume_actions;
mod volumes;

use axum::Json;
use axum::extract::{Extension, RawPathParams, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use cinder_db::{QuotaLimits, Scope, Store};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use transfer_core::{ProjectId, UserId};

use crate::Simulator;
use crate::authtoken::{self, Bearer};
use crate::identity::Party;
use crate::query::{Query, strict_bool};
use crate::routes::Routes;
use fault::Fault;
use metadata::Of;
use versions::Microversion;

/// Who asks, in which version, and the tables that are asked about.
#[derive(Clone)]
struct Caller {
    bearer: Bearer,
    project: Party,
    microversion: Microversion,
    store: Store,
    limits: QuotaLimits,
    /// Where this service is, without a trailing slash.
    host: String,
    path: String,
    query: Query,
    /// Whether the path names the project: links then do so too.
    names_project: bool,
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

    /// Everybody's with `all_tenants`, as far as the caller may see them.
    fn listed(&self) -> Scope {
        let everybody = self.query.get("all_tenants").and_then(strict_bool).unwrap_or(false);
        if everybody { self.scope() } else { self.own() }
    }

    /// Whether a listed thing is one of those that the query's filter `name` asks for.
    fn asks_for(&self, name: &str, found: Option<&str>) -> bool {
        self.query.get(name).is_none_or(|wanted| found == Some(wanted))
    }

    fn link_to_page_after(&self, marker: &str) -> String {
        let kept = self.query.without(&["marker"]);
        format!("{}{}?{kept}{}marker={marker}", self.host, self.path, and(&kept))
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

fn and(query: &str) -> &'static str {
    if query.is_empty() { "" } else { "&" }
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
        "/types/{id}" => get(types::show).put(types::update).delete(types::delete),
        "/types/{id}/action" => post(type_access::act),
        "/types/{id}/encryption" => get(encryption::show).post(encryption::create),
        "/types/{id}/encryption/{key}" =>
            get(encryption::show_one).put(encryption::update).delete(encryption::delete),
        "/types/{id}/extra_specs" => get(extra_specs::list).post(extra_specs::create),
        "/types/{id}/extra_specs/{key}" =>
            get(extra_specs::show).put(extra_specs::update).delete(extra_specs::delete),
        "/types/{id}/os-volume-type-access" => get(type_access::list),
        "/volumes" => get(volumes::list).post(volumes::create),
        "/volumes/detail" => get(volumes::detail),
        "/volumes/{id}" => volume(),
        "/volumes/summary" => get(volumes::summary),
        "/volumes/{id}/action" => post(volume_actions::act),
        "/volumes/{id}/metadata" => metadata::all(Of::Volume),
        "/volumes/{id}/metadata/{key}" => metadata::one(Of::Volume),
        "/snapshots" => get(snapshots::list).post(snapshots::create),
        "/snapshots/detail" => get(snapshots::detail),
        "/snapshots/{id}" =>
            get(snapshots::show).put(snapshots::update).delete(snapshots::delete),
        "/snapshots/{id}/action" => post(snapshots::act),
        "/snapshots/{id}/metadata" => metadata::all(Of::Snapshot),
        "/snapshots/{id}/metadata/{key}" => metadata::one(Of::Snapshot),
        "/os-availability-zone" => get(volumes::zones),
        "/os-quota-sets/{id}" => get(quotas::show).put(quotas::update).delete(quotas::delete),
        "/os-quota-sets/{id}/defaults" => get(quotas::defaults),
        "/os-quota-class-sets/{id}" => get(quotas::show_class).put(quotas::update_class),
        "/limits" => get(quotas::limits),
    );
    let behind_token = (simulator.clone(), store.clone());
    let v3 = v3
        .at("/v3/", get(versions::v3))
        .map(|router| router.layer(from_fn_with_state(behind_token, pipeline)));
    Routes::new()
        .at("/", get(versions::all))
        .merge(v3)
        .map(|router| router.fallback(not_found).method_not_allowed_fallback(not_found))
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
        Err((fault, signed)) => {
            let mut refusal = fault.into_response();
            if let Some(microversion) = signed {
                microversion.sign(refusal.headers_mut());
            }
            return refusal;
        }
    };
    let Some(project) = bearer.project.clone() else {
        return Fault::policy("volume:get_all").into_response();
    };
    let named = params.iter().find(|(name, _)| *name == "project_id").map(|(_, id)| id);
    let mut response = if named.is_some_and(|id| id != project.id) {
        Fault::bad("Malformed request url").into_response()
    } else {
        let caller = Caller {
            names_project: named.is_some(),
            host: simulator.urls().block_storage,
            path: request.uri().path().to_owned(),
            query: Query::parse(request.uri().query()),
            limits: QuotaLimits::default(),
            bearer,
            project,
            microversion,
            store,
        };
        request.extensions_mut().insert(caller);
        next.run(request).await
    };
    microversion.sign(response.headers_mut());
    response
}

type Asked = Extension<Caller>;

/// What webob answers where no route fits, by path or by method: JSON to whoever asks for it.
async fn not_found(headers: HeaderMap) -> Response {
    let status = StatusCode::NOT_FOUND;
    if authtoken::header(&headers, "accept").is_some_and(|types| types.contains("json")) {
        let body = json!({
            "code": "404 Not Found",
            "message": "The resource could not be found.<br /><br />\n\n\n",
            "title": "Not Found",
        });
        return (status, Json(body)).into_response();
    }
    (status, "404 Not Found\n\nThe resource could not be found.\n\n   ").into_response()
}
