//! Consumers: who says that it uses a secret or a container.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use serde_json::Value;

use super::asked::Asked;
use super::error::Refusal;
use super::holder::Holder;
use super::page::Page;
use super::secrets::{is_canonical, isoformat};
use super::{Caller, policy, quotas};
use crate::Simulator;
use crate::key_manager::{Consumer, Container, KeyManager, Secret};

const NOT_THE_CREATOR: &str = "Not Allowed. Sorry, only the creator of a consumer can delete it.";

pub(super) async fn list<H: Holder>(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    let page = Page::of(&asked.query);
    simulator.read(|state| {
        let holder = H::find(&state.key_manager, &id, now)?;
        asked.admit(&policy::CONSUMERS, holder.target())?;
        let mut consumers: Vec<_> = holder.consumers().iter().filter(|one| !one.released).collect();
        consumers.sort_by_key(|consumer| H::rank(&consumer.usage));
        let entries = consumers.into_iter().map(entry).collect();
        let path = format!("{}/{id}/consumers", H::COLLECTION);
        Ok(Json(page.body(&simulator, "consumers", &path, entries, "")))
    })
}

/// No reply tells a consumer's id, so there is none to be known.
pub(super) async fn of_secret(
    Path((id, consumer_id)): Path<(String, String)>,
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Response, Refusal> {
    // The rule asks about a container, and there is none.
    miss::<Secret>(&simulator, &id, &consumer_id, |_| {
        asked.caller.check_role(&policy::CONSUMER_GET)
    })
}

/// The same of a container.
pub(super) async fn of_container(
    Path((id, consumer_id)): Path<(String, String)>,
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Response, Refusal> {
    miss::<Container>(&simulator, &id, &consumer_id, |container| {
        asked.caller.check(&policy::CONSUMER_GET, container)
    })
}

pub(super) async fn add<H: Holder>(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let now = simulator.clock().now();
    let shown = simulator.change::<_, Refusal>(|state| {
        let usage = read::<H>(&state.key_manager, &id, &asked, now)?;
        quotas::enforce(&state.key_manager, &asked.caller, "consumers", |key_manager| {
            count::<H>(key_manager, &asked.caller)
        })?;
        let project_id = asked.caller.project.id.clone();
        if let Some(parts) = H::parts(&mut state.key_manager, &id) {
            if let Some(known) = parts.consumers.iter_mut().find(|known| known.usage == usage) {
                known.released = false;
            } else {
                parts.consumers.push(Consumer { usage, project_id, released: false, created: now });
                *parts.updated = now;
            }
        }
        Ok(H::find(&state.key_manager, &id, now)?.document(&simulator, &asked.caller))
    })?;
    // So it is spelt by barbican common/hrefs.py convert_consumer_to_href.
    let link = format!("{}/v1/consumers/{id}/consumers", simulator.urls().key_manager);
    Ok(([(LOCATION, link)], Json(shown)).into_response())
}

pub(super) async fn remove<H: Holder>(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    let own = &asked.caller.project.id;
    simulator.change(|state| {
        let usage = read::<H>(&state.key_manager, &id, &asked, now)?;
        let holder = H::find(&state.key_manager, &id, now)?;
        let place = holder.consumers().iter().position(|known| known.usage == usage);
        let place = place.ok_or(Refusal::ConsumerNotFound)?;
        if holder.consumers()[place].project_id != *own && holder.project_id() != *own {
            return Err(Refusal::Forbidden(NOT_THE_CREATOR));
        }
        if holder.consumers()[place].released {
            return Err(Refusal::ConsumerNotFound);
        }
        if let Some(parts) = H::parts(&mut state.key_manager, &id) {
            parts.consumers[place].released = true;
        }
        Ok(Json(H::find(&state.key_manager, &id, now)?.document(&simulator, &asked.caller)))
    })
}

fn read<H: Holder>(
    key_manager: &KeyManager,
    id: &str,
    asked: &Asked,
    now: time::OffsetDateTime,
) -> Result<H::Usage, Refusal> {
    asked.admit(&policy::CONSUMERS, H::find(key_manager, id, now)?.target())?;
    let body = asked.json(&H::CONSUMER)?;
    serde_json::from_value((*body).clone()).map_err(|_| Refusal::MalformedJson)
}

fn entry<U: serde::Serialize>(consumer: &Consumer<U>) -> Value {
    let mut entry = serde_json::to_value(&consumer.usage).unwrap_or_default();
    entry["created"] = isoformat(consumer.created).into();
    entry["updated"] = isoformat(consumer.created).into();
    entry["status"] = "ACTIVE".into();
    entry
}

fn miss<H: Holder>(
    simulator: &Simulator,
    id: &str,
    consumer_id: &str,
    allow: impl FnOnce(&H) -> Result<(), Refusal>,
) -> Result<Response, Refusal> {
    let now = simulator.clock().now();
    simulator.read(|state| {
        let holder = H::find(&state.key_manager, id, now)?;
        if !is_canonical(consumer_id) {
            return Err(Refusal::InvalidConsumerId);
        }
        allow(holder)?;
        Err(Refusal::ConsumerNotFound)
    })
}

/// How many consumers of such holders the caller's project has entered.
fn count<H: Holder>(key_manager: &KeyManager, caller: &Caller) -> usize {
    let own = |consumer: &&Consumer<H::Usage>| {
        !consumer.released && consumer.project_id == caller.project.id
    };
    H::all(key_manager).map(|holder| holder.consumers().iter().filter(own).count()).sum()
}
