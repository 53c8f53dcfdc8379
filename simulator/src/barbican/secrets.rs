//! Secrets: create in one or two steps, read, fill, delete.
//!
//! A secret is looked up whatever its project, so that a stranger's is a 403 and a missing one a
//! 404; both come before anything that is wrong with the request itself.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, UtcOffset};
use uuid::{Uuid, Version};

use super::asked::Asked;
use super::content::{self, OCTETS, TEXT};
use super::error::{Issue, Refusal};
use super::{Caller, policy, quotas, validate};
use crate::authtoken::header;
use crate::key_manager::{Attributes, Filling, KeyManager, Secret};
use crate::payload::Payload;
use crate::query::{Query, strict_bool};
use crate::state::State as Memory;
use crate::{Simulator, StateFileError};

pub(super) async fn create(
    State(simulator): State<Simulator>,
    asked: Asked,
) -> Result<Response, Refusal> {
    asked.admit_role(&policy::SECRETS_POST)?;
    let now = simulator.clock().now();
    let body = asked.json(&validate::SECRET)?;
    let (attributes, filling) = validate::secret(&body, now)?;
    let transport_key = body.fields().get("transport_key_id").and_then(Value::as_str);
    let id = simulator.change::<_, Refusal>(|state| {
        let own = &asked.caller.project.id;
        quotas::enforce(&state.key_manager, &asked.caller, "secrets", |key_manager| {
            let secrets = key_manager.secrets.values();
            secrets.filter(|secret| secret.project_id == *own && secret.is_live(now)).count()
        })?;
        if filling.is_some() {
            know_transport_key(&state.key_manager, &asked.caller, transport_key)?;
        }
        Ok(insert(state, &asked.caller, now, attributes, filling))
    })?;
    let link = href(&simulator, "secrets", &id);
    let body = Json(json!({"secret_ref": link}));
    Ok((StatusCode::CREATED, [(LOCATION, link)], body).into_response())
}

pub(super) async fn show(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let now = simulator.clock().now();
    let accept = header(&asked.headers, ACCEPT.as_str());
    simulator.read(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        if let None | Some("application/json" | "*/*") = accept {
            asked.caller.check(&policy::SECRET_GET, secret)?;
            return Ok(Json(document(&simulator, secret, &asked.caller)).into_response());
        }
        // The deprecated way to the payload.
        decrypt(secret, &asked.caller, accept)
    })
}

pub(super) async fn payload(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    method: Method,
    asked: Asked,
) -> Result<Response, Refusal> {
    let now = simulator.clock().now();
    simulator.read(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        let payload = decrypt(secret, &asked.caller, header(&asked.headers, ACCEPT.as_str()));
        // The policy comes first, whatever the method.
        let is_refused = matches!(payload, Err(Refusal::NotAllowed(_)));
        if method == Method::GET || is_refused { payload } else { Err(Refusal::Method) }
    })
}

pub(super) async fn fill(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    let now = simulator.clock().now();
    simulator.change(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        asked.caller.check(&policy::SECRET_PUT, secret)?;
        let filling = filling(secret, &asked)?;
        let transport_key = asked.query.get("transport_key_id");
        know_transport_key(&state.key_manager, &asked.caller, transport_key)?;
        if let Some(secret) = state.key_manager.secrets.get_mut(&id) {
            secret.filling = Some(filling);
            secret.updated = now;
        }
        Ok(StatusCode::NO_CONTENT)
    })
}

pub(super) async fn delete(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    remove(&simulator, &asked.caller, &id, &asked.query)
}

/// Copies a secret within this process; none when its caller may not read it, or store one.
pub(super) fn copy_for(
    simulator: &Simulator,
    caller: &Caller,
    id: &str,
) -> Result<Option<String>, StateFileError> {
    let now = simulator.clock().now();
    simulator.change(|state| {
        let Ok(secret) = find(&state.key_manager, id, now) else { return Ok(None) };
        let may_read = caller.check(&policy::SECRET_DECRYPT, secret).is_ok();
        if !may_read || caller.check_role(&policy::SECRETS_POST).is_err() {
            return Ok(None);
        }
        let (attributes, filling) = (secret.attributes.clone(), secret.filling.clone());
        Ok(Some(insert(state, caller, now, attributes, filling)))
    })
}

/// Deletes a secret within this process; false when it is refused.
pub(super) fn delete_for(simulator: &Simulator, caller: &Caller, id: &str) -> bool {
    remove(simulator, caller, id, &Query::default()).is_ok()
}

fn remove(
    simulator: &Simulator,
    caller: &Caller,
    id: &str,
    query: &Query,
) -> Result<StatusCode, Refusal> {
    let now = simulator.clock().now();
    simulator.change(|state| {
        let secret = find(&state.key_manager, id, now)?;
        caller.check(&policy::SECRET_DELETE, secret)?;
        // Up to 1.1 a secret is deleted whoever consumes it, and `force` is not looked at.
        if caller.microversion.is_at_least(2) {
            let force = match query.all("force").first() {
                Some(text) => strict_bool(text).ok_or(Refusal::BadQuery)?,
                None => false,
            };
            if !force && secret.usages().next().is_some() {
                return Err(Refusal::Issue(caller.operation, Issue::Consumers));
            }
        }
        state.key_manager.remove_secret(id);
        Ok(StatusCode::NO_CONTENT)
    })
}

/// Lets a filling pass that is not said to be wrapped by a key that nobody has added.
fn know_transport_key(
    key_manager: &KeyManager,
    caller: &Caller,
    id: Option<&str>,
) -> Result<(), Refusal> {
    if id.is_none_or(|id| key_manager.transport_keys.contains_key(id)) {
        return Ok(());
    }
    Err(Refusal::Issue(caller.operation, Issue::TransportKey))
}

/// Adds a secret of the caller's project and returns its id.
pub(super) fn insert(
    state: &mut Memory,
    caller: &Caller,
    now: OffsetDateTime,
    attributes: Attributes,
    filling: Option<Filling>,
) -> String {
    let id = state.draws.uuid().to_string();
    let secret = Secret {
        id: id.clone(),
        seq: state.key_manager.next_seq(),
        project_id: caller.project.id.clone(),
        creator_id: caller.bearer.user.id.clone(),
        attributes,
        created: now,
        updated: now,
        filling,
        consumers: Vec::new(),
        metadata: BTreeMap::new(),
        acl: None,
    };
    state.key_manager.secrets.insert(id.clone(), secret);
    id
}

/// The secret of that id, whoever owns it.
pub(super) fn find<'a>(
    key_manager: &'a KeyManager,
    id: &str,
    now: OffsetDateTime,
) -> Result<&'a Secret, Refusal> {
    if !is_canonical(id) {
        return Err(Refusal::InvalidSecretId);
    }
    key_manager.live(id, now).ok_or(Refusal::SecretNotFound)
}

/// Barbican takes a UUID of version 4 in its canonical spelling only.
pub(super) fn is_canonical(id: &str) -> bool {
    Uuid::try_parse(id).is_ok_and(|uuid| {
        uuid.get_version() == Some(Version::Random) && uuid.hyphenated().to_string() == id
    })
}

/// The reference to a member of a collection.
pub(super) fn href(simulator: &Simulator, collection: &str, id: &str) -> String {
    format!("{}/v1/{collection}/{id}", simulator.urls().key_manager)
}

/// The metadata of a secret.
pub(super) fn document(simulator: &Simulator, secret: &Secret, caller: &Caller) -> Value {
    let attributes = &secret.attributes;
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| body.insert(key.to_owned(), value);
    set("created", isoformat(secret.created).into());
    set("updated", isoformat(secret.updated).into());
    set("status", "ACTIVE".into());
    set("name", attributes.name.clone().into());
    set("secret_type", attributes.secret_type.clone().into());
    set("expiration", attributes.expiration.map(isoformat).into());
    set("algorithm", attributes.algorithm.clone().into());
    set("bit_length", attributes.bit_length.into());
    set("mode", attributes.mode.clone().into());
    set("creator_id", secret.creator_id.clone().into());
    if caller.microversion.is_at_least(1) {
        let usages = secret.usages().map(|usage| json!(usage));
        set("consumers", usages.collect());
    }
    if let Some(filling) = &secret.filling {
        set("content_types", json!({"default": filling.content_type}));
    }
    set("secret_ref", href(simulator, "secrets", &secret.id).into());
    Value::Object(body)
}

/// Python's `isoformat()` of a time in UTC: microseconds, unless they are zero.
pub(super) fn isoformat(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let to_seconds =
        time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let mut text = at.format(to_seconds).unwrap_or_default();
    if at.microsecond() != 0 {
        text.push_str(&format!(".{:06}", at.microsecond()));
    }
    text
}

fn decrypt(secret: &Secret, caller: &Caller, accept: Option<&str>) -> Result<Response, Refusal> {
    caller.check(&policy::SECRET_DECRYPT, secret)?;
    let filling = secret.filling.as_ref().ok_or(Refusal::NoPayload)?;
    let accept = accept.filter(|accept| !accept.is_empty()).unwrap_or(OCTETS);
    let wrong = Refusal::Issue(caller.operation, Issue::Accept);
    let wanted = if accept == "*/*" { filling.content_type.as_str() } else { accept };
    let Some(wanted) = content::normalize(wanted) else { return Err(wrong) };
    if wanted == TEXT && std::str::from_utf8(filling.payload.as_bytes()).is_err() {
        return Err(wrong);
    }
    let body = filling.payload.to_body();
    if body.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let shown = if accept == TEXT { "text/plain; charset=UTF-8" } else { accept };
    Ok(([(CONTENT_TYPE, shown.to_owned())], body).into_response())
}

/// The second step of a secret.
fn filling(secret: &Secret, asked: &Asked) -> Result<Filling, Refusal> {
    let (headers, body, operation): (&HeaderMap, &Bytes, _) =
        (&asked.headers, &asked.body, asked.caller.operation);
    let content_type = content::of_request(headers);
    if content_type != OCTETS && content_type != TEXT {
        return Err(Refusal::ContentType("'application/octet-stream', 'text/plain'"));
    }
    if body.is_empty() {
        return Err(Refusal::Issue(operation, Issue::NoData));
    }
    if body.len() > validate::SECRET_LIMIT {
        return Err(Refusal::Issue(operation, Issue::TooLarge));
    }
    if secret.filling.is_some() {
        return Err(Refusal::HasData);
    }
    let encoding = header(headers, CONTENT_ENCODING.as_str()).filter(|given| !given.is_empty());
    let bytes = match encoding {
        // An encoding of text is not looked at.
        Some(encoding) if content_type == OCTETS => {
            if !encoding.eq_ignore_ascii_case("base64") {
                return Err(Refusal::Issue(operation, Issue::Encoding));
            }
            // What is not base64 is kept as it is, and found out when it is read.
            content::decode_base64(body).unwrap_or_else(|| body.to_vec())
        }
        Some(_) | None => body.to_vec(),
    };
    Ok(Filling { payload: Payload::new(bytes), content_type: content_type.to_owned() })
}
