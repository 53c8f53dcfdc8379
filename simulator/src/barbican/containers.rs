//! Containers: named references to secrets of the same project.
//!
//! Source: barbican 23, `api/controllers/containers.py`, `common/validators.py`. One thing is
//! simpler here: a secret that was taken out of a container can be put back under the same name,
//! which upstream answers with an internal error.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::asked::Asked;
use super::error::Refusal;
use super::like::like;
use super::page::Page;
use super::secrets::{href, is_canonical, isoformat};
use super::{Caller, content, policy, quotas, validate};
use crate::Simulator;
use crate::key_manager::{Container, Entry, KeyManager};
use crate::state::State as Memory;

pub(super) const NOT_FOUND: Refusal = Refusal::not_found("Secrets container not found.");
const INVALID_ID: Refusal = Refusal::not_found("Not Found. Provided container id is invalid.");
const KINDS: &[&str] = &["generic", "rsa", "dsa", "certificate"];

pub(super) async fn create(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Response, Refusal> {
    asked.admit_role(&policy::CONTAINERS_POST)?;
    let body = asked.json(&validate::CONTAINER)?;
    let (name, kind, entries) = validate::container(&body, &simulator.urls().key_manager)?;
    let now = simulator.clock().now();
    let id = simulator.change::<_, Refusal>(|state| {
        let own = &asked.caller.project.id;
        quotas::enforce(&state.key_manager, &asked.caller, "containers", |key_manager| {
            key_manager.containers.values().filter(|one| one.project_id == *own).count()
        })?;
        for entry in &entries {
            if !is_own_secret(&state.key_manager, &asked.caller, &entry.secret_id, now) {
                let name = entry.name.as_deref().unwrap_or("None");
                let said = format!("Secret provided for '{name}' doesn't exist.");
                return Err(Refusal::NotFound(said.into()));
            }
        }
        Ok(insert(state, &asked.caller, now, name, kind, entries))
    })?;
    Ok(created(&simulator, &id))
}

pub(super) async fn list(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    asked.admit_role(&policy::CONTAINERS_GET)?;
    asked.once(&["limit", "offset", "name", "type"])?;
    let (name, kind) = (asked.query.get("name"), asked.query.get("type"));
    if kind.is_some_and(|kind| !KINDS.contains(&kind)) {
        return Err(Refusal::Failure(asked.caller.operation));
    }
    let fits = |container: &&Container| {
        container.project_id == asked.caller.project.id
            && kind.is_none_or(|kind| kind == container.kind)
            && name.is_none_or(|name| container.name.as_ref().is_some_and(|own| like(name, own)))
    };
    simulator.read(|state| {
        let mut found: Vec<_> = state.key_manager.containers.values().filter(fits).collect();
        found.sort_by_key(|container| container.seq);
        let shown = found.into_iter().map(|container| document(&simulator, container)).collect();
        let page = Page::of(&asked.query);
        Ok(Json(page.body(&simulator, "containers", "containers", shown, "")))
    })
}

pub(super) async fn show(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    simulator.read(|state| {
        let container = find(&state.key_manager, &id)?;
        asked.admit(&policy::CONTAINER_GET, container)?;
        Ok(Json(document(&simulator, container)))
    })
}

/// The secrets stay.
pub(super) async fn delete(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    simulator.change(|state| {
        asked.caller.check(&policy::CONTAINER_DELETE, find(&state.key_manager, &id)?)?;
        state.key_manager.containers.remove(&id);
        Ok(StatusCode::NO_CONTENT)
    })
}

pub(super) async fn add_secret(
    State(simulator): State<Simulator>,
    Path(path): Path<Vec<(String, String)>>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let id = id_of(path);
    let now = simulator.clock().now();
    simulator.change::<_, Refusal>(|state| {
        let container = find(&state.key_manager, &id)?;
        asked.admit(&policy::CONTAINER_SECRET, container)?;
        content::expect_json(&asked.headers)?;
        if container.kind != "generic" {
            let only = "Only 'generic' containers can be modified.";
            return Err(Refusal::BadRequest(only));
        }
        let (entry, _) = entry(&asked)?;
        if !is_own_secret(&state.key_manager, &asked.caller, &entry.secret_id, now) {
            return Err(Refusal::not_found("Secret provided doesn't exist."));
        }
        if container.entries.contains(&entry) {
            return Err(Refusal::Conflict(
                "Conflict. A secret with that name and ID is already stored in this container. \
                 The same secret can exist in a container as long as the name is unique.",
            ));
        }
        if let Some(container) = state.key_manager.containers.get_mut(&id) {
            container.entries.push(entry);
        }
        Ok(())
    })?;
    Ok(created(&simulator, &id))
}

/// Takes a secret out of a container of any type.
pub(super) async fn remove_secret(
    State(simulator): State<Simulator>,
    Path(path): Path<Vec<(String, String)>>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    let id = id_of(path);
    let now = simulator.clock().now();
    simulator.change(|state| {
        let container = find(&state.key_manager, &id)?;
        asked.caller.check(&policy::CONTAINER_SECRET, container)?;
        let (entry, reference) = entry(&asked)?;
        if !is_own_secret(&state.key_manager, &asked.caller, &entry.secret_id, now) {
            let name = entry.name.as_deref().unwrap_or("None");
            let said = format!("Secret '{name}' with reference '{reference}' doesn't exist.");
            return Err(Refusal::NotFound(said.into()));
        }
        if !container.entries.contains(&entry) {
            return Err(Refusal::not_found("Secret provided is not in the container"));
        }
        if let Some(container) = state.key_manager.containers.get_mut(&id) {
            container.entries.retain(|kept| *kept != entry);
        }
        Ok(StatusCode::NO_CONTENT)
    })
}

/// The container of that id, whoever owns it.
pub(super) fn find<'a>(key_manager: &'a KeyManager, id: &str) -> Result<&'a Container, Refusal> {
    if !is_canonical(id) {
        return Err(INVALID_ID);
    }
    key_manager.containers.get(id).ok_or(NOT_FOUND)
}

/// Adds a container of the caller's project and returns its id.
pub(super) fn insert(
    state: &mut Memory,
    caller: &Caller,
    now: OffsetDateTime,
    name: Option<String>,
    kind: String,
    entries: Vec<Entry>,
) -> String {
    let id = state.draws.uuid().to_string();
    let container = Container {
        id: id.clone(),
        seq: state.key_manager.next_seq(),
        project_id: caller.project.id.clone(),
        creator_id: caller.bearer.user.id.clone(),
        name,
        kind,
        entries,
        consumers: Vec::new(),
        acl: None,
        created: now,
        updated: now,
    };
    state.key_manager.containers.insert(id.clone(), container);
    id
}

/// How a container is shown.
pub(super) fn document(simulator: &Simulator, container: &Container) -> Value {
    let reference = |entry: &Entry| {
        let link = href(simulator, "secrets", &entry.secret_id);
        json!({"name": entry.name, "secret_ref": link})
    };
    let usages = container.usages().map(|usage| json!(usage));
    json!({
        "created": isoformat(container.created),
        "updated": isoformat(container.updated),
        "status": "ACTIVE",
        "name": container.name,
        "type": container.kind,
        "creator_id": container.creator_id,
        "secret_refs": container.entries.iter().map(reference).collect::<Value>(),
        "consumers": usages.collect::<Value>(),
        "container_ref": href(simulator, "containers", &container.id),
    })
}

fn created(simulator: &Simulator, id: &str) -> Response {
    let link = href(simulator, "containers", id);
    let body = Json(json!({"container_ref": link}));
    (StatusCode::CREATED, [(LOCATION, link)], body).into_response()
}

/// What stands behind `/secrets` in the path is not looked at.
fn id_of(path: Vec<(String, String)>) -> String {
    path.into_iter().find(|(name, _)| name == "id").map(|(_, id)| id).unwrap_or_default()
}

/// What a body names, and the reference in it: the id is what follows the last slash.
fn entry(asked: &Asked) -> Result<(Entry, String), Refusal> {
    let body = asked.unchecked_json(&validate::CONTAINER_SECRET)?;
    let text = |name: &str| body.fields().get(name).and_then(Value::as_str).map(str::to_owned);
    let reference = text("secret_ref").unwrap_or_default();
    let (_, id) = reference.rsplit_once('/').ok_or(Refusal::Failure(asked.caller.operation))?;
    Ok((Entry { name: text("name"), secret_id: id.to_owned() }, reference))
}

fn is_own_secret(key_manager: &KeyManager, caller: &Caller, id: &str, now: OffsetDateTime) -> bool {
    key_manager.live(id, now).is_some_and(|secret| secret.project_id == caller.project.id)
}
