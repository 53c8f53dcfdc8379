//! What users keep with a secret: text under lower-case keys.
//!
//! Source: barbican 23, `api/controllers/secretmeta.py`.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::error::Refusal;
use super::policy;
use super::schema::{Kind, Schema, Shape};
use super::secrets::{find, href};
use super::validate::{LONGEST, SHORT};
use crate::Simulator;

const NOT_FOUND: Refusal = Refusal::not_found("Secret metadata not found.");
const UNSAFE_KEY: Refusal = Refusal::BadRequest("Invalid Key. Key must be URL safe.");
const NOT_TEXT: Refusal = Refusal::BadRequest("Invalid Metadata. Keys and Values must be Strings.");

const METADATA: Schema = Schema {
    name: "SecretMetadata",
    shape: Shape {
        fields: &[("metadata", Kind::Object(Shape { fields: &[], required: &[], closed: false }))],
        required: &["metadata"],
        closed: false,
    },
    draft_3: true,
};

const METADATUM: Schema = Schema {
    name: "SecretMetadatum",
    shape: Shape {
        fields: &[("key", SHORT), ("value", SHORT)],
        required: &["key", "value"],
        closed: true,
    },
    draft_3: true,
};

pub(super) async fn list(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    simulator.read(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        asked.admit(&policy::SECRET_META_GET, secret)?;
        Ok(Json(json!({"metadata": secret.metadata})))
    })
}

pub(super) async fn replace(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let now = simulator.clock().now();
    simulator.change::<_, Refusal>(|state| {
        asked.admit(&policy::SECRET_META_PUT, find(&state.key_manager, &id, now)?)?;
        let body = asked.json(&METADATA)?;
        let given = body.fields().get("metadata").and_then(Value::as_object);
        let pairs = pairs(given.unwrap_or(&Map::new()))?;
        if pairs.iter().flat_map(|(key, value)| [key, value]).any(|text| is_too_long(text)) {
            return Err(Refusal::Failure(asked.caller.operation));
        }
        if let Some(secret) = state.key_manager.secrets.get_mut(&id) {
            secret.metadata = pairs.into_iter().collect();
        }
        Ok(())
    })?;
    let link = format!("{}/metadata", href(&simulator, "secrets", &id));
    Ok((StatusCode::CREATED, Json(json!({"metadata_ref": link}))).into_response())
}

pub(super) async fn add(
    State(simulator): State<Simulator>,
    Path(id): Path<String>,
    asked: Asked,
) -> Result<Response, Refusal> {
    let now = simulator.clock().now();
    let (key, value) = simulator.change::<_, Refusal>(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        asked.admit(&policy::SECRET_META_POST, secret)?;
        let (key, value) = datum(&asked)?;
        if secret.metadata.contains_key(&key) {
            let known = "Conflict. Key in request is already in the secret metadata";
            return Err(Refusal::Conflict(known));
        }
        if let Some(secret) = state.key_manager.secrets.get_mut(&id) {
            secret.metadata.insert(key.clone(), value.clone());
        }
        Ok((key, value))
    })?;
    let link = format!("{}/metadata/{key}", href(&simulator, "secrets", &id));
    let body = Json(json!({"key": key, "value": value}));
    Ok((StatusCode::CREATED, [(LOCATION, link)], body).into_response())
}

pub(super) async fn show_one(
    State(simulator): State<Simulator>,
    Path((id, key)): Path<(String, String)>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    simulator.read(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        asked.admit(&policy::SECRET_META_GET, secret)?;
        let value = secret.metadata.get(&key).ok_or(NOT_FOUND)?;
        Ok(Json(json!({"key": key, "value": value})))
    })
}

pub(super) async fn replace_one(
    State(simulator): State<Simulator>,
    Path((id, key)): Path<(String, String)>,
    asked: Asked,
) -> Result<Json<Value>, Refusal> {
    let now = simulator.clock().now();
    simulator.change(|state| {
        let secret = find(&state.key_manager, &id, now)?;
        // Whatever the caller accepts.
        asked.caller.check(&policy::SECRET_META_PUT, secret)?;
        let (given, value) = datum(&asked)?;
        if !secret.metadata.contains_key(&key) {
            return Err(NOT_FOUND);
        }
        if given != key {
            // Upstream's text ends here.
            return Err(Refusal::Conflict("Key in request data does not match key in the "));
        }
        if let Some(secret) = state.key_manager.secrets.get_mut(&id) {
            secret.metadata.insert(key.clone(), value.clone());
        }
        Ok(Json(json!({"key": key, "value": value})))
    })
}

/// A key that is not there is as good as deleted.
pub(super) async fn delete_one(
    State(simulator): State<Simulator>,
    Path((id, key)): Path<(String, String)>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    let now = simulator.clock().now();
    simulator.change(|state| {
        asked.admit(&policy::SECRET_META_DELETE, find(&state.key_manager, &id, now)?)?;
        if let Some(secret) = state.key_manager.secrets.get_mut(&id) {
            secret.metadata.remove(&key);
        }
        Ok(StatusCode::NO_CONTENT)
    })
}

fn is_too_long(text: &str) -> bool {
    text.chars().count() > LONGEST
}

fn is_url_safe(key: &str) -> bool {
    key.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'))
}

fn datum(asked: &Asked) -> Result<(String, String), Refusal> {
    let body = asked.json(&METADATUM)?;
    let text = |name: &str| body.fields().get(name).and_then(Value::as_str).unwrap_or_default();
    let key = text("key");
    if !is_url_safe(key) {
        return Err(UNSAFE_KEY);
    }
    Ok((key.to_lowercase(), text("value").to_owned()))
}

/// Keys in lower case; of two that then are the same, the one that was written in upper case.
fn pairs(given: &Map<String, Value>) -> Result<Vec<(String, String)>, Refusal> {
    let mut pairs = Vec::new();
    for (key, value) in given {
        if !is_url_safe(key) {
            return Err(UNSAFE_KEY);
        }
        let value = value.as_str().ok_or(NOT_TEXT)?;
        pairs.push((key.to_lowercase(), value.to_owned(), key.to_lowercase() != *key));
    }
    pairs.sort_by_key(|(_, _, is_upper)| *is_upper);
    Ok(pairs.into_iter().map(|(key, value, _)| (key, value)).collect())
}
