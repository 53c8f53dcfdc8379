//! Projects and users, to be read by name or id.

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Uri};
use serde_json::{Value, json};

use super::error::Refusal;
use super::{Denied, caller};
use crate::Simulator;
use crate::authtoken::Bearer;
use crate::identity::Named;
use crate::query::Query;

type Answer = Result<Response, Denied>;

pub(super) async fn own_projects(
    State(simulator): State<Simulator>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Answer {
    let caller = caller(&simulator, &headers).map_err(Denied::by(&simulator))?;
    Ok(list_projects_of(&simulator, &uri, &caller.user.id))
}

pub(super) async fn projects_of_user(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Answer {
    allow(&simulator, &headers, "identity:list_user_projects", |caller| caller.user.id == id)?;
    Ok(list_projects_of(&simulator, &uri, &id))
}

pub(super) async fn projects(
    State(simulator): State<Simulator>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Answer {
    allow(&simulator, &headers, "identity:list_projects", |_| false)?;
    let projects = simulator.read(|state| state.identity.projects.clone());
    Ok(list(&simulator, &uri, "projects", projects, project_document))
}

pub(super) async fn project(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let is_own = |caller: &Bearer| caller.project.as_ref().is_some_and(|own| own.id == id);
    allow(&simulator, &headers, "identity:get_project", is_own)?;
    let found = simulator.read(|state| state.identity.project(&id).cloned());
    show(&simulator, "project", &id, found, project_document)
}

pub(super) async fn users(
    State(simulator): State<Simulator>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Answer {
    allow(&simulator, &headers, "identity:list_users", |_| false)?;
    let users = simulator.read(|state| state.identity.users.clone());
    Ok(list(&simulator, &uri, "users", users, user_document))
}

pub(super) async fn user(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    allow(&simulator, &headers, "identity:get_user", |caller| caller.user.id == id)?;
    let found = simulator.read(|state| state.identity.user(&id).cloned());
    show(&simulator, "user", &id, found, user_document)
}

/// Lets administrators pass, and whoever `is_own` says.
fn allow(
    simulator: &Simulator,
    headers: &HeaderMap,
    rule: &'static str,
    is_own: impl Fn(&Bearer) -> bool,
) -> Result<(), Denied> {
    let caller = caller(simulator, headers).map_err(Denied::by(simulator))?;
    if caller.has_role("admin") || is_own(&caller) {
        return Ok(());
    }
    Err(Denied::by(simulator)(Refusal::Forbidden(rule)))
}

fn list_projects_of(simulator: &Simulator, uri: &Uri, user_id: &str) -> Response {
    let projects =
        simulator.read(|state| state.identity.projects_of(user_id).into_iter().cloned().collect());
    list(simulator, uri, "projects", projects, project_document)
}

fn list(
    simulator: &Simulator,
    uri: &Uri,
    kind: &str,
    all: Vec<Named>,
    document: fn(&Simulator, &Named) -> Value,
) -> Response {
    let query = Query::parse(uri.query());
    let wanted = query.get("name");
    let found = all.iter().filter(|one| wanted.is_none_or(|name| one.name == name));
    let found: Value = found.map(|one| document(simulator, one)).collect();
    let link = format!("{}{uri}", simulator.urls().identity);
    let links = json!({"next": null, "self": link, "previous": null});
    Json(json!({kind: found, "links": links})).into_response()
}

fn show(
    simulator: &Simulator,
    kind: &'static str,
    id: &str,
    found: Option<Named>,
    document: fn(&Simulator, &Named) -> Value,
) -> Answer {
    let missing = Refusal::NotFound { kind, id: id.to_owned() };
    let found = found.ok_or(missing).map_err(Denied::by(simulator))?;
    Ok(Json(json!({kind: document(simulator, &found)})).into_response())
}

fn project_document(simulator: &Simulator, project: &Named) -> Value {
    json!({
        "id": project.id,
        "name": project.name,
        "domain_id": "default",
        "description": "",
        "enabled": true,
        "parent_id": "default",
        "is_domain": false,
        "tags": [],
        "options": {},
        "links": {"self": format!("{}/v3/projects/{}", simulator.urls().identity, project.id)},
    })
}

fn user_document(simulator: &Simulator, user: &Named) -> Value {
    json!({
        "id": user.id,
        "name": user.name,
        "domain_id": "default",
        "enabled": true,
        "password_expires_at": null,
        "options": {},
        "links": {"self": format!("{}/v3/users/{}", simulator.urls().identity, user.id)},
    })
}
