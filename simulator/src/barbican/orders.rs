//! Orders for symmetric keys and for pairs of keys. Without a queue Barbican works them off before
//! it replies.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::asked::Asked;
use super::error::Refusal;
use super::like::like;
use super::page::Page;
use super::pairs::pair;
use super::secrets::{href, insert, isoformat};
use super::{Caller, containers, content, policy, quotas, validate};
use crate::key_manager::{Attributes, Entry, Filling, KeyManager, Order, Outcome};
use crate::payload::Payload;
use crate::state::State as Memory;
use crate::{Simulator, StateFileError};

/// barbican: plugin/interface/secret_store.py KeyAlgorithm.
const KNOWN: &[&str] = &[
    "aes",
    "des",
    "desede",
    "hmacsha1",
    "hmacsha256",
    "hmacsha384",
    "hmacsha512",
    "diffie_hellman",
    "dsa",
    "rsa",
    "ec",
];
/// barbican: plugin/crypto/base.py PluginSupportTypes.
const SYMMETRIC: &[&str] = &["aes", "des", "hmacsha1", "hmacsha256", "hmacsha384", "hmacsha512"];
const ASYMMETRIC: &[&str] = &["rsa", "dsa"];
const KEY_LENGTHS: &[i64] = &[64, 128, 192, 256];

pub(super) async fn create(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Response, Refusal> {
    asked.admit_role(&policy::ORDERS_POST)?;
    let now = simulator.clock().now();
    let caller = &asked.caller;
    let (kind, mut meta, attributes) = validate::order(&asked.json(&validate::ORDER)?, now)?;
    meta.insert("name".to_owned(), attributes.name.clone().into());
    meta.insert("expiration".to_owned(), attributes.expiration.map(meta_instant).into());
    let id = simulator.change::<_, Refusal>(|state| {
        quotas::enforce(&state.key_manager, caller, "orders", |key_manager| {
            key_manager.orders.values().filter(|one| one.project_id == caller.project.id).count()
        })?;
        let id = state.draws.uuid().to_string();
        let order = Order {
            id: id.clone(),
            seq: state.key_manager.next_seq(),
            project_id: caller.project.id.clone(),
            creator_id: caller.bearer.user.id.clone(),
            outcome: work_off(state, caller, &kind, &meta, attributes, now),
            kind,
            meta,
            created: now,
        };
        state.key_manager.orders.insert(id.clone(), order);
        Ok(id)
    })?;
    let link = href(&simulator, "orders", &id);
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
    if caller.check_role(&policy::ORDERS_POST).is_err() {
        return Ok(None);
    }
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
        Ok(match work_off(state, caller, "key", &Map::new(), attributes, now) {
            Outcome::Secret(id) => Some(id),
            Outcome::Container(_) | Outcome::Failed { .. } => None,
        })
    })
}

pub(super) async fn list(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    asked.admit_role(&policy::ORDERS_GET)?;
    asked.once(&["limit", "offset"])?;
    let meta = pattern(asked.query.all("meta"));
    let fits = |order: &&Order| {
        order.project_id == asked.caller.project.id
            && meta.as_ref().is_none_or(|meta| like(meta, &dumps(&order.meta.clone().into())))
    };
    simulator.read(|state| {
        let mut found: Vec<_> = state.key_manager.orders.values().filter(fits).collect();
        found.sort_by_key(|order| order.seq);
        let shown = found.iter().map(|order| document(&simulator, order)).collect();
        Ok(Json(Page::of(&asked.query).body(&simulator, "orders", "orders", shown, "")))
    })
}

pub(super) async fn show(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    simulator.read(|state| {
        let order = find(&state.key_manager, &asked.caller, &id)?;
        asked.admit(&policy::ORDER_GET, order)?;
        Ok(Json(document(&simulator, order)))
    })
}

/// There is no such thing.
pub(super) async fn update(asked: Asked) -> Refusal {
    asked.admit_role(&policy::ORDERS_PUT).err().unwrap_or(Refusal::OrderUpdate)
}

pub(super) async fn delete(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    simulator.change(|state| {
        let order = find(&state.key_manager, &asked.caller, &id)?;
        asked.caller.check(&policy::ORDER_DELETE, order)?;
        state.key_manager.orders.remove(&id);
        Ok(StatusCode::NO_CONTENT)
    })
}

/// Unlike a secret, an order of another project is not there at all.
pub(super) fn find<'a>(
    key_manager: &'a KeyManager,
    caller: &Caller,
    id: &str,
) -> Result<&'a Order, Refusal> {
    let found = key_manager.orders.get(id);
    found.filter(|order| order.project_id == caller.project.id).ok_or(Refusal::OrderNotFound)
}

/// How an order is shown.
fn document(simulator: &Simulator, order: &Order) -> Value {
    let mut body = json!({
        "created": isoformat(order.created),
        "updated": isoformat(order.created),
        "type": order.kind,
        "meta": order.meta,
        "creator_id": order.creator_id,
        "order_ref": href(simulator, "orders", &order.id),
    });
    let (collection, id) = match &order.outcome {
        Outcome::Secret(id) => ("secret", id),
        Outcome::Container(id) => ("container", id),
        Outcome::Failed { status, reason } => {
            body["status"] = "ERROR".into();
            body["error_status_code"] = status.to_string().into();
            body["error_reason"] = reason.clone().into();
            return body;
        }
    };
    body["status"] = "ACTIVE".into();
    body["sub_status"] = "Unknown".into();
    body["sub_status_message"] = "Unknown".into();
    body[format!("{collection}_ref")] = href(simulator, &format!("{collection}s"), id).into();
    body
}

/// What an order comes to.
fn work_off(
    state: &mut Memory,
    caller: &Caller,
    kind: &str,
    meta: &Map<String, Value>,
    attributes: Attributes,
    now: OffsetDateTime,
) -> Outcome {
    let algorithm = attributes.algorithm.as_deref().unwrap_or_default().to_lowercase();
    let algorithm = algorithm.as_str();
    if !KNOWN.contains(&algorithm) {
        return refused("Secret generate supported plugin not found.");
    }
    let content_type = match meta.get("payload_content_type") {
        None => Some(content::OCTETS),
        Some(given) => given.as_str(),
    };
    let content_type = content_type.map(str::to_owned);
    let outcome = match kind {
        "key" if SYMMETRIC.contains(&algorithm) => {
            content_type.and_then(|kind| key(state, caller, attributes, kind, now))
        }
        "asymmetric" if ASYMMETRIC.contains(&algorithm) && !is_locked(meta) => {
            content_type.and_then(|kind| key_pair(state, caller, attributes, &kind, now))
        }
        "asymmetric" if ASYMMETRIC.contains(&algorithm) => None,
        _ => return refused("Requested algorithm is not supported"),
    };
    outcome.unwrap_or_else(|| Outcome::Failed {
        status: 500,
        reason: "Process TypeOrder failure seen - please contact site administrator.".to_owned(),
    })
}

fn refused(reason: &str) -> Outcome {
    Outcome::Failed { status: 400, reason: format!("Process TypeOrder issue seen - {reason}.") }
}

/// A pair that a passphrase locks cannot be made here.
fn is_locked(meta: &Map<String, Value>) -> bool {
    meta.get("passphrase").is_some_and(|given| given.as_str() != Some("") && !given.is_null())
}

/// `None` when there is no key of that length.
fn key(
    state: &mut Memory,
    caller: &Caller,
    attributes: Attributes,
    content_type: String,
    now: OffsetDateTime,
) -> Option<Outcome> {
    let bits = attributes.bit_length.unwrap_or_default();
    // The mode XTS splits a key in two.
    let is_split = attributes.mode.as_ref().is_some_and(|mode| mode.eq_ignore_ascii_case("xts"));
    let factor = if is_split { 2 } else { 1 };
    if !KEY_LENGTHS.iter().any(|length| length * factor == bits) {
        return None;
    }
    let payload = Payload::new(state.draws.bytes(usize::try_from(bits / 8).ok()?));
    let attributes = Attributes { secret_type: "symmetric".to_owned(), ..attributes };
    let filling = Some(Filling { payload, content_type });
    Some(Outcome::Secret(insert(state, caller, now, attributes, filling)))
}

/// Two secrets and a container of them; `None` when there is no pair of that length.
fn key_pair(
    state: &mut Memory,
    caller: &Caller,
    attributes: Attributes,
    content_type: &str,
    now: OffsetDateTime,
) -> Option<Outcome> {
    let algorithm = attributes.algorithm.as_deref().unwrap_or_default().to_lowercase();
    let pair = pair(&algorithm, attributes.bit_length.unwrap_or_default())?;
    let halves = [("private", "private_key"), ("public", "public_key")].into_iter().zip(pair);
    let entries = halves.map(|((secret_type, name), payload)| {
        let attributes = Attributes { secret_type: secret_type.to_owned(), ..attributes.clone() };
        let filling = Some(Filling { payload, content_type: content_type.to_owned() });
        let secret_id = insert(state, caller, now, attributes, filling);
        Entry { name: Some(name.to_owned()), secret_id }
    });
    let entries = entries.collect();
    let name = attributes.name;
    Some(Outcome::Container(containers::insert(state, caller, now, name, algorithm, entries)))
}

/// Within the meta data a time always has its microseconds.
fn meta_instant(at: OffsetDateTime) -> String {
    let text = isoformat(at);
    if text.contains('.') { text } else { text + ".000000" }
}

/// What the filter `meta` looks for in the column: a text as JSON spells it, or a list of them.
fn pattern(given: &[String]) -> Option<String> {
    let looked_for = match given {
        [] => return None,
        [one] if one.is_empty() => return None,
        [one] => dumps(&one.as_str().into()),
        several => dumps(&several.into()),
    };
    Some(format!("%{looked_for}%"))
}

/// JSON as Python writes it into the column.
fn dumps(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(dumps).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let field = |(name, value): (&String, _)| {
                format!("{}: {}", dumps(&name.as_str().into()), dumps(value))
            };
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
