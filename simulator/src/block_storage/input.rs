//! Reading requests: bodies, ids in paths, booleans, and Cinder's words for what is wrong.

use axum::body::Bytes;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::fault::Fault;
use crate::query::strict_bool;

/// Longest name or description (cinder: `validation/parameter_types.py`).
const TEXT_LIMIT: usize = 255;

/// The `{id}` of a path.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Fault::bad("Malformed request url"))?;
        let id = params.iter().find(|(name, _)| *name == "id");
        id.map(|(_, id)| Self(id.to_owned())).ok_or_else(|| Fault::bad("Malformed request url"))
    }
}

/// The object under `key`, the only thing that the body is to hold.
pub(super) fn body(bytes: &Bytes, key: &str) -> Result<Map<String, Value>, Fault> {
    let document: Value =
        serde_json::from_slice(bytes).map_err(|_| Fault::bad("Malformed request body"))?;
    match document {
        Value::Object(mut top) => match top.remove(key) {
            Some(Value::Object(inner)) => Ok(inner),
            Some(_) => Err(wrong(key, "an object")),
            None => Err(Fault::bad(format!("Missing required element '{key}' in request body."))),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Fault::bad("Malformed request body"))
        }
    }
}

fn wrong(name: &str, kind: &str) -> Fault {
    Fault::bad(format!("Invalid input for field/attribute {name}. The value is not {kind}."))
}

/// An optional text; null is none.
pub(super) fn text(from: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() > TEXT_LIMIT => Err(Fault::bad(format!(
            "{name} has {} characters, more than 255.",
            text.chars().count()
        ))),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(wrong(name, "of type 'string', 'null'"))
        }
    }
}

/// A text that has to be there.
pub(super) fn required(from: &Map<String, Value>, name: &str) -> Result<String, Fault> {
    let missing = || {
        Fault::bad(format!("Invalid input for field/attribute. '{name}' is a required property"))
    };
    text(from, name)?.ok_or_else(missing)
}

/// An optional boolean, as a boolean or as oslo.utils reads its text.
pub(super) fn flag(from: &Map<String, Value>, name: &str, default: bool) -> Result<bool, Fault> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(Value::String(text)) => strict_bool(text).ok_or_else(|| wrong(name, "a boolean")),
        Some(Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(wrong(name, "a boolean"))
        }
    }
}

/// A whole number of at least 1, as a number or as text.
pub(super) fn size(from: &Map<String, Value>, name: &str) -> Result<Option<i64>, Fault> {
    let number = match from.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    match number {
        Some(number) if (1..=i64::from(i32::MAX)).contains(&number) => Ok(Some(number)),
        Some(_) | None => Err(Fault::bad(format!("{name} must be an integer and greater than 0"))),
    }
}

/// An optional map of texts.
pub(super) fn metadata(
    from: &Map<String, Value>,
    name: &str,
) -> Result<BTreeMap<String, String>, Fault> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(given)) => given
            .iter()
            .map(|(key, value)| match value.as_str() {
                Some(value) if key.len() <= TEXT_LIMIT && value.len() <= TEXT_LIMIT => {
                    Ok((key.clone(), value.to_owned()))
                }
                Some(_) | None => Err(wrong(key, "of type 'string'")),
            })
            .collect(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(wrong(name, "of type 'object'"))
        }
    }
}
