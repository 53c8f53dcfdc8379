//! Quotas: what a project may have, and what was set for it.
//!
//! Source: barbican 23, `api/controllers/quotas.py`, `common/quota.py`. The defaults of
//! `[quotas]` are no limits.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::error::{Issue, Refusal};
use super::page::Page;
use super::schema::{Kind, Schema, Shape, integer};
use super::{Caller, content, policy};
use crate::Simulator;
use crate::key_manager::{KeyManager, Quotas, RESOURCES};

const NOT_FOUND: Refusal = Refusal::not_found("Project quotas not found.");
const ANY_INTEGER: Kind = Kind::Integer { least: i64::MIN, most: i64::MAX };

const PROJECT_QUOTA: Schema = Schema {
    name: "Project Quota",
    shape: Shape {
        fields: &[(
            "project_quotas",
            Kind::Object(Shape {
                fields: &[
                    ("secrets", ANY_INTEGER),
                    ("orders", ANY_INTEGER),
                    ("containers", ANY_INTEGER),
                    ("consumers", ANY_INTEGER),
                    ("cas", ANY_INTEGER),
                ],
                required: &[],
                closed: true,
            }),
        )],
        required: &["project_quotas"],
        closed: true,
    },
    draft_3: false,
};

/// Refuses to make one more of a resource of which the caller's project has `count`.
pub(super) fn enforce(
    key_manager: &KeyManager,
    caller: &Caller,
    resource: &str,
    count: impl FnOnce(&KeyManager) -> usize,
) -> Result<(), Refusal> {
    let Some(quotas) = key_manager.quotas.get(&caller.project.id) else { return Ok(()) };
    let Ok(limit) = usize::try_from(quotas.limit(resource)) else { return Ok(()) };
    if count(key_manager) < limit {
        return Ok(());
    }
    Err(Refusal::Issue(caller.operation, Issue::Quota))
}

/// What holds for the caller's own project.
pub(super) async fn effective(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    asked.admit_role(&policy::QUOTAS_GET)?;
    simulator.read(|state| {
        let quotas = state.key_manager.quotas.get(&asked.caller.project.id);
        let limit = |name: &&str| quotas.map_or(-1, |quotas| quotas.limit(name));
        let limits = RESOURCES.iter().map(|name| ((*name).to_owned(), limit(name).into()));
        Ok(Json(json!({"quotas": limits.collect::<Map<_, _>>()})))
    })
}

pub(super) async fn list(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    asked.admit_role(&policy::PROJECT_QUOTAS)?;
    asked.once(&["limit", "offset"])?;
    let page = Page::of(&asked.query);
    simulator.read(|state| {
        let mut all: Vec<_> = state.key_manager.quotas.iter().collect();
        all.sort_by_key(|(_, quotas)| quotas.seq);
        let shown = all.into_iter().map(|(project_id, quotas)| {
            json!({"project_id": project_id, "project_quotas": configured(quotas)})
        });
        let shown: Vec<Value> = shown.collect();
        // Unlike every other list this one looks back from beyond its end.
        let links = page.links(&simulator, "project_quotas", shown.len(), "");
        Ok(Json(page.with_links(links, "project_quotas", shown)))
    })
}

pub(super) async fn show(
    State(simulator): State<Simulator>,
    Path(project_id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    asked.admit_role(&policy::PROJECT_QUOTAS)?;
    simulator.read(|state| {
        let quotas = state.key_manager.quotas.get(&project_id);
        let quotas = quotas.ok_or(NOT_FOUND)?;
        Ok(Json(json!({"project_quotas": configured(quotas)})))
    })
}

/// Sets what is given and leaves the rest, for a project that need not exist.
pub(super) async fn set(
    State(simulator): State<Simulator>,
    Path(project_id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    asked.admit_role(&policy::PROJECT_QUOTAS)?;
    content::expect_json(&asked.headers)?;
    if asked.body.is_empty() {
        return Err(Refusal::Issue(asked.caller.operation, Issue::NoData));
    }
    let body = asked.json(&PROJECT_QUOTA)?;
    let given = body.fields().get("project_quotas").and_then(Value::as_object);
    let mut limits = [None; 5];
    for (limit, name) in limits.iter_mut().zip(RESOURCES) {
        let Some(value) = given.and_then(|given| given.get(name)) else { continue };
        // The column is as wide as an `i32`.
        let number = integer(value).filter(|number| i32::try_from(*number).is_ok());
        *limit = Some(number.ok_or(Refusal::Failure(asked.caller.operation))?);
    }
    simulator.change(|state| {
        let key_manager = &mut state.key_manager;
        let fresh = Quotas { seq: key_manager.next_seq(), limits: [None; 5] };
        let quotas = key_manager.quotas.entry(project_id).or_insert(fresh);
        for (old, new) in quotas.limits.iter_mut().zip(limits) {
            *old = new.or(*old);
        }
        Ok(StatusCode::NO_CONTENT)
    })
}

pub(super) async fn delete(
    State(simulator): State<Simulator>,
    Path(project_id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    // Whatever the caller accepts.
    asked.caller.check_role(&policy::PROJECT_QUOTAS)?;
    simulator.change(|state| {
        let gone = state.key_manager.quotas.remove(&project_id);
        gone.map(|_| StatusCode::NO_CONTENT).ok_or(NOT_FOUND)
    })
}

fn configured(quotas: &Quotas) -> Value {
    let limits = RESOURCES.iter().zip(quotas.limits);
    limits.map(|(name, limit)| ((*name).to_owned(), limit.into())).collect::<Map<_, _>>().into()
}
