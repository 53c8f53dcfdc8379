//! Consumers: who says that it uses a secret.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::LOCATION;
use serde_json::{Value, json};

use super::error::Refusal;
use super::list::Page;
use super::secrets::{document, find, is_canonical, isoformat};
use super::{Caller, content, validate};
use crate::Simulator;
use crate::key_manager::Consumer;
use crate::query::Query;

const RETRIEVAL: &str = "SecretConsumers(s) retrieval";
const CREATION: &str = "SecretConsumer creation";
const DELETION: &str = "SecretConsumer deletion";

pub(super) async fn list(
    State(simulator): State<Simulator>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    let page = Page::of(&Query::parse(query.as_deref()));
    simulator.read(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        content::accept_json(&headers)?;
        allow(&caller, &secret.project_id, RETRIEVAL)?;
        let entries = secret.consumers.iter().map(|consumer| {
            json!({
                "created": isoformat(consumer.created),
                "updated": isoformat(consumer.created),
                "status": "ACTIVE",
                "service": consumer.service,
                "resource_type": consumer.resource_type,
                "resource_id": consumer.resource_id,
            })
        });
        let path = format!("secrets/{id}/consumers");
        Ok(Json(page.body(&simulator, "consumers", &path, entries.collect(), "")))
    })
}

pub(super) async fn show(
    Path((id, consumer_id)): Path<(String, String)>,
    State(simulator): State<Simulator>,
) -> Result<Response, Refusal> {
    let now = simulator.clock().now();
    simulator.read(|state| find(&state.key_manager, &id, now).map(|_| ()))?;
    // No reply tells a consumer's id, so there is none to be known.
    Err(if is_canonical(&consumer_id) {
        Refusal::ConsumerNotFound
    } else {
        Refusal::InvalidConsumerId
    })
}

pub(super) async fn add(
    State(simulator): State<Simulator>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let now = simulator.clock().now();
    let shown = simulator.change::<_, Refusal>(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        let [service, resource_type, resource_id] =
            read(&caller, &secret.project_id, CREATION, &headers, &body)?;
        let consumer = Consumer { service, resource_type, resource_id, created: now };
        let secret = state.key_manager.secrets.get_mut(&id).ok_or(Refusal::SecretNotFound)?;
        if !secret.consumers.iter().any(|known| is_same(known, &consumer)) {
            secret.consumers.push(consumer);
            secret.updated = now;
        }
        Ok(document(&simulator, secret, &caller.with_consumers()))
    })?;
    // So it is spelt by barbican common/hrefs.py convert_consumer_to_href.
    let link = format!("{}/v1/consumers/{id}/consumers", simulator.urls().key_manager);
    Ok(([(LOCATION, link)], Json(shown)).into_response())
}

pub(super) async fn remove(
    State(simulator): State<Simulator>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    simulator.change(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        let [service, resource_type, resource_id] =
            read(&caller, &secret.project_id, DELETION, &headers, &body)?;
        let wanted = Consumer { service, resource_type, resource_id, created: now };
        let secret = state.key_manager.secrets.get_mut(&id).ok_or(Refusal::SecretNotFound)?;
        let place = secret.consumers.iter().position(|known| is_same(known, &wanted));
        secret.consumers.remove(place.ok_or(Refusal::ConsumerNotFound)?);
        Ok(Json(document(&simulator, secret, &caller.with_consumers())))
    })
}

fn allow(caller: &Caller, project_id: &str, operation: &'static str) -> Result<(), Refusal> {
    if caller.is_member_of(project_id) { Ok(()) } else { Err(Refusal::NotAllowed(operation)) }
}

fn read(
    caller: &Caller,
    project_id: &str,
    operation: &'static str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<[String; 3], Refusal> {
    content::accept_json(headers)?;
    allow(caller, project_id, operation)?;
    content::expect_json(headers)?;
    validate::consumer(&validate::body(body)?)
}

fn is_same(one: &Consumer, other: &Consumer) -> bool {
    one.service == other.service
        && one.resource_type == other.resource_type
        && one.resource_id == other.resource_id
}
