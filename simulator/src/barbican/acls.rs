//! Access lists: who may read a secret or a container besides its project, or instead of it.
//!
//! Source: barbican 23, `api/controllers/acls.py`. A list is changed without a trace of who
//! changed it; where there is none, the one that is shown lets the whole project in.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::asked::Asked;
use super::error::Refusal;
use super::holder::Holder;
use super::policy;
use super::schema::{Body, Kind, Schema, Shape};
use super::secrets::{href, isoformat};
use super::validate::{LONGEST, SHORT};
use crate::Simulator;
use crate::key_manager::Acl;

const ACL: Schema = Schema {
    name: "ACL",
    shape: Shape {
        fields: &[(
            "read",
            Kind::Object(Shape {
                fields: &[
                    ("users", Kind::List { of: &SHORT, first_alone: true }),
                    ("project-access", Kind::Boolean),
                ],
                required: &[],
                closed: true,
            }),
        )],
        required: &[],
        closed: true,
    },
    draft_3: false,
};

pub(super) async fn show<H: Holder>(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    simulator.read(|state| {
        let holder = H::find(&state.key_manager, &id, now)?;
        asked.admit(&policy::ACLS_GET, holder.target())?;
        let Some(acl) = holder.acl() else {
            return Ok(Json(json!({"read": {"project-access": true}})));
        };
        Ok(Json(json!({"read": {
            "project-access": acl.project_access,
            "users": acl.users,
            "created": isoformat(acl.created),
            "updated": isoformat(acl.updated),
        }})))
    })
}

/// Puts the list that is given in the place of the old one, or takes the old one away.
pub(super) async fn replace<H: Holder>(
    state: State<Simulator>,
    path: Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    change::<H>(state, path, asked, |old, given, now| {
        given.map(|given| Acl {
            project_access: given.project_access.unwrap_or(true),
            users: given.users.unwrap_or_default(),
            created: old.map_or(now, |old| old.created),
            updated: now,
        })
    })
}

/// Changes what is given and leaves the rest.
pub(super) async fn merge<H: Holder>(
    state: State<Simulator>,
    path: Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    change::<H>(state, path, asked, |old, given, now| {
        let Some(given) = given else { return old };
        let fresh = Acl { project_access: true, users: Vec::new(), created: now, updated: now };
        let old = old.unwrap_or(fresh);
        Some(Acl {
            project_access: given.project_access.unwrap_or(old.project_access),
            users: given.users.unwrap_or(old.users),
            created: old.created,
            updated: now,
        })
    })
}

pub(super) async fn delete<H: Holder>(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    simulator.change(|state| {
        let holder = H::find(&state.key_manager, &id, now)?;
        asked.admit(&policy::ACLS_DELETE, holder.target())?;
        if let Some(parts) = H::parts(&mut state.key_manager, &id) {
            *parts.acl = None;
        }
        Ok(Json(Value::Null))
    })
}

fn change<H: Holder>(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
    combine: impl FnOnce(Option<Acl>, Option<Given>, OffsetDateTime) -> Option<Acl>,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    simulator.change::<_, Refusal>(|state| {
        let holder = H::find(&state.key_manager, &id, now)?;
        asked.admit(&policy::ACLS_PUT_PATCH, holder.target())?;
        let given = Given::of(&asked.json(&ACL)?, asked.caller.operation)?;
        if let Some(parts) = H::parts(&mut state.key_manager, &id) {
            if given.is_some() {
                *parts.updated = now;
            }
            let old = parts.acl.take().map(|old| *old);
            *parts.acl = combine(old, given, now).map(Box::new);
        }
        Ok(())
    })?;
    Ok(Json(json!({"acl_ref": format!("{}/acl", href(&simulator, H::COLLECTION, &id))})))
}

/// What a body says of the operation `read`.
struct Given {
    project_access: Option<bool>,
    users: Option<Vec<String>>,
}

impl Given {
    /// An empty object is as good as none.
    fn of(body: &Body, operation: &'static str) -> Result<Option<Self>, Refusal> {
        let read = body.fields().get("read").and_then(Value::as_object);
        let Some(read) = read.filter(|read| !read.is_empty()) else { return Ok(None) };
        let users = read.get("users").and_then(Value::as_array);
        let users = users.map(|users| distinct(users).ok_or(Refusal::Failure(operation)));
        let project_access = read.get("project-access").and_then(Value::as_bool);
        Ok(Some(Self { project_access, users: users.transpose()? }))
    }
}

/// Each user once; `None` when one of them cannot be kept, for the schema sees the first alone.
fn distinct(users: &[Value]) -> Option<Vec<String>> {
    let mut kept: Vec<String> = Vec::new();
    for user in users {
        let user = match user {
            Value::String(id) if id.chars().count() <= LONGEST => id.clone(),
            Value::Number(number) => number.to_string(),
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_) => return None,
        };
        if !kept.contains(&user) {
            kept.push(user);
        }
    }
    Some(kept)
}
