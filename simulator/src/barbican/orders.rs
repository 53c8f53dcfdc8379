//! Orders for symmetric keys. Without a queue Barbican works them off before it replies.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::error::Refusal;
use super::secrets::{href, insert, isoformat};
use super::{Caller, content, validate};
use crate::key_manager::{Attributes, Filling, Order, Outcome};
use crate::payload::Payload;
use crate::state::State as Memory;
use crate::{Simulator, StateFileError};

/// barbican: plugin/crypto/base.py PluginSupportTypes.
const ALGORITHMS: &[&str] =
    &["aes", "des", "3des", "hmacsha1", "hmacsha256", "hmacsha384", "hmacsha512"];
const KEY_LENGTHS: &[i64] = &[64, 128, 192, 256];

pub(super) async fn create(
    State(simulator): State<Simulator>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    content::accept_json(&headers)?;
    if !caller.is_member() {
        return Err(Refusal::NotAllowed("Order creation"));
    }
    content::expect_json(&headers)?;
    let now = simulator.clock().now();
    let (kind, mut meta, attributes) = validate::order(&validate::body(&body)?, now)?;
    meta.insert("name".to_owned(), attributes.name.clone().into());
    meta.insert("expiration".to_owned(), attributes.expiration.map(meta_instant).into());
    let id = simulator.change::<_, Refusal>(|state| {
        let id = state.draws.uuid().to_string();
        let order = Order {
            id: id.clone(),
            seq: state.key_manager.next_seq(),
            project_id: caller.project.id.clone(),
            creator_id: caller.bearer.user.id.clone(),
            outcome: work_off(state, &caller, &kind, attributes, now),
            kind,
            meta,
            created: now,
        };
        state.key_manager.orders.insert(id.clone(), order);
        Ok(id)
    })?;
    let link = order_href(&simulator, &id);
    let body = Json(json!({"order_ref": link}));
    Ok((StatusCode::ACCEPTED, [(LOCATION, link)], body).into_response())
}

/// The secret of an order that is asked for within this process; `None` when it cannot be made.
pub(super) fn key_for(
    simulator: &Simulator,
    caller: &Caller,
    algorithm: &str,
    bits: i64,
) -> Result<Option<String>, StateFileError> {
    let now = simulator.clock().now();
    let attributes = Attributes {
        name: None,
        secret_type: "symmetric".to_owned(),
        algorithm: Some(algorithm.to_owned()),
        bit_length: Some(bits),
        mode: None,
        expiration: None,
    };
    simulator.change(|state| {
        Ok(match work_off(state, caller, "key", attributes, now) {
            Outcome::Secret(id) => Some(id),
            Outcome::Failed { .. } => None,
        })
    })
}

pub(super) async fn show(
    State(simulator): State<Simulator>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    simulator.read(|state| {
        let order = find(state, &caller, &id)?;
        content::accept_json(&headers)?;
        if !caller.is_member() {
            return Err(Refusal::NotAllowed("Order retrieval"));
        }
        Ok(Json(document(&simulator, order)))
    })
}

/// There is no such thing.
pub(super) async fn update(Extension(caller): Extension<Caller>) -> Refusal {
    if caller.is_member() { Refusal::OrderUpdate } else { Refusal::NotAllowed("Order update") }
}

pub(super) async fn delete(
    State(simulator): State<Simulator>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    simulator.change(|state| {
        find(state, &caller, &id)?;
        if !caller.is_member() {
            return Err(Refusal::NotAllowed("Order deletion"));
        }
        state.key_manager.orders.remove(&id);
        Ok(StatusCode::NO_CONTENT)
    })
}

/// How an order is shown.
pub(super) fn document(simulator: &Simulator, order: &Order) -> Value {
    let mut body = json!({
        "created": isoformat(order.created),
        "updated": isoformat(order.created),
        "type": order.kind,
        "meta": order.meta,
        "creator_id": order.creator_id,
        "order_ref": order_href(simulator, &order.id),
    });
    match &order.outcome {
        Outcome::Secret(id) => {
            body["status"] = "ACTIVE".into();
            body["sub_status"] = "Unknown".into();
            body["sub_status_message"] = "Unknown".into();
            body["secret_ref"] = href(simulator, id).into();
        }
        Outcome::Failed { status, reason } => {
            body["status"] = "ERROR".into();
            body["error_status_code"] = status.to_string().into();
            body["error_reason"] = reason.clone().into();
        }
    }
    body
}

fn order_href(simulator: &Simulator, id: &str) -> String {
    format!("{}/v1/orders/{id}", simulator.urls().key_manager)
}

/// Unlike a secret, an order of another project is not there at all.
fn find<'a>(state: &'a Memory, caller: &Caller, id: &str) -> Result<&'a Order, Refusal> {
    let found = state.key_manager.orders.get(id);
    found.filter(|order| order.project_id == caller.project.id).ok_or(Refusal::OrderNotFound)
}

fn work_off(
    state: &mut Memory,
    caller: &Caller,
    kind: &str,
    attributes: Attributes,
    now: OffsetDateTime,
) -> Outcome {
    let algorithm = attributes.algorithm.as_deref().unwrap_or_default().to_lowercase();
    if kind != "key" || !ALGORITHMS.contains(&algorithm.as_str()) {
        let reason = "Process TypeOrder issue seen - Secret generate supported plugin not found..";
        return Outcome::Failed { status: 400, reason: reason.to_owned() };
    }
    let bits = attributes.bit_length.unwrap_or_default();
    if !KEY_LENGTHS.contains(&bits) {
        let reason = "Process TypeOrder failure seen - please contact site administrator.";
        return Outcome::Failed { status: 500, reason: reason.to_owned() };
    }
    let bytes = state.draws.bytes(usize::try_from(bits / 8).unwrap_or_default());
    let filling =
        Filling { payload: Payload::new(bytes), content_type: content::OCTETS.to_owned() };
    let attributes = Attributes { secret_type: "symmetric".to_owned(), ..attributes };
    Outcome::Secret(insert(state, caller, now, attributes, Some(filling)))
}

/// Within the meta data a time always has its microseconds.
fn meta_instant(at: OffsetDateTime) -> String {
    let text = isoformat(at);
    if text.contains('.') { text } else { text + ".000000" }
}
