//! Reading requests: bodies, ids in paths, booleans, and Cinder's words for what is wrong
//! (cinder: `api/validation/`, which words what jsonschema finds).

use axum::body::Bytes;
use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Display;

use super::fault::Fault;
use crate::pyrepr::repr;
use crate::query::strict_bool;

/// Longest name or description (cinder: `validation/parameter_types.py`).
const TEXT_LIMIT: usize = 255;

/// Beside a volume, hints for a scheduler that is not here.
const HINTS: &str = "OS-SCH-HNT:scheduler_hints";

/// What the schema takes for a boolean (cinder: `validation/parameter_types.py`).
const FLAGS: &str = "[True, 'True', 'TRUE', 'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes', \
                     'y', 't', False, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', 'off', 'NO', \
                     'No', 'no', 'n', 'f']";

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

/// The `{id}` of a path and the `{key}` of something below it.
pub(super) struct Item(pub(super) String, pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Item {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Fault> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Fault::bad("Malformed request url"))?;
        let param = |wanted: &str| {
            let found = params.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.to_owned())
        };
        let both = param("id").zip(param("key"));
        both.map(|(id, key)| Self(id, key)).ok_or_else(|| Fault::bad("Malformed request url"))
    }
}

/// A value that the schema refuses.
pub(super) fn invalid(name: &str, value: &Value, complaint: impl Display) -> Fault {
    let shown = value.as_str().map_or_else(|| repr(value), str::to_owned);
    Fault::bad(format!("Invalid input for field/attribute {name}. Value: {shown}. {complaint}"))
}

fn mistyped(name: &str, value: &Value, kinds: &str) -> Fault {
    invalid(name, value, format_args!("{} is not of type {kinds}", repr(value)))
}

/// The whole body, which is JSON.
pub(super) fn json(bytes: &Bytes) -> Result<Value, Fault> {
    serde_json::from_slice(bytes).map_err(|_| Fault::bad("Malformed request body"))
}

/// The whole body, which is an object.
pub(super) fn object(bytes: &Bytes) -> Result<Map<String, Value>, Fault> {
    match json(bytes)? {
        Value::Object(top) => Ok(top),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)) => Err(Fault::bad(format!("{} is not of type 'object'", repr(&other)))),
    }
}

/// The object under `key`, the only thing that the body is to hold.
pub(super) fn body(bytes: &Bytes, key: &str) -> Result<Map<String, Value>, Fault> {
    let mut top = object(bytes)?;
    let inner =
        top.remove(key).ok_or_else(|| Fault::bad(format!("'{key}' is a required property")))?;
    if let Some(complaint) = unexpected(&top, &[HINTS]) {
        return Err(Fault::bad(complaint));
    }
    match inner {
        Value::Object(inner) => Ok(inner),
        other @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)) => Err(mistyped(key, &other, "'object'")),
    }
}

/// Refuses what the schema does not know.
pub(super) fn only(from: &Map<String, Value>, key: &str, known: &[&str]) -> Result<(), Fault> {
    match unexpected(from, known) {
        None => Ok(()),
        Some(complaint) => Err(invalid(key, &Value::Object(from.clone()), complaint)),
    }
}

fn unexpected(from: &Map<String, Value>, known: &[&str]) -> Option<String> {
    let extra: Vec<String> = from
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| repr(&Value::from(name.as_str())))
        .collect();
    let verb = if extra.len() == 1 { "was" } else { "were" };
    let said = || {
        format!("Additional properties are not allowed ({} {verb} unexpected)", extra.join(", "))
    };
    (!extra.is_empty()).then(said)
}

/// An optional text, without white space around it; null is none.
pub(super) fn text(from: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => {
            let text = text.trim();
            let length = text.chars().count();
            if length > TEXT_LIMIT {
                return Err(Fault::bad(format!(
                    "Invalid input received: {name} has {length} characters, more than 255."
                )));
            }
            Ok(Some(text.to_owned()))
        }
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
            Err(mistyped(name, other, "'string', 'null'"))
        }
    }
}

/// A text that has to be there, in the object that the body holds under `key`.
pub(super) fn required(from: &Map<String, Value>, key: &str, name: &str) -> Result<String, Fault> {
    let missing = || {
        let whole = Value::Object(from.clone());
        invalid(key, &whole, format_args!("'{name}' is a required property"))
    };
    text(from, name)?.ok_or_else(missing)
}

/// A name that has to be there and says something.
pub(super) fn required_name(
    from: &Map<String, Value>,
    key: &str,
    name: &str,
) -> Result<String, Fault> {
    let given = from.get(name).filter(|value| value.is_string());
    let complaint = match given.and_then(Value::as_str) {
        Some(text) if text.trim().is_empty() => "should be non-empty",
        Some(text) if text.chars().count() > TEXT_LIMIT => "is too long",
        Some(_) | None => return required(from, key, name),
    };
    let value = given.unwrap_or(&Value::Null);
    Err(invalid(name, value, format_args!("{} {complaint}", repr(value))))
}

/// An optional name that has at least one character.
pub(super) fn some_name(from: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match from.get(name) {
        Some(value @ Value::String(text)) if text.is_empty() => {
            Err(invalid(name, value, format_args!("{} should be non-empty", repr(value))))
        }
        // a name of blanks is one for the schema
        Some(Value::String(text)) if text.trim().is_empty() => Ok(Some(text.clone())),
        _ => text(from, name),
    }
}

/// The value of an extra spec: a text, or null.
pub(super) fn spec(key: &str, value: &Value) -> Result<Option<String>, Fault> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() > TEXT_LIMIT => {
            Err(invalid(key, value, format_args!("{} is too long", repr(value))))
        }
        Value::String(text) => Ok(Some(text.clone())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(mistyped(key, value, "'string', 'null'"))
        }
    }
}

/// The id of something, as a UUID, that has to be there. Null is there, and names nothing.
pub(super) fn required_uuid(
    from: &Map<String, Value>,
    key: &str,
    name: &str,
) -> Result<String, Fault> {
    if from.get(name) == Some(&Value::Null) {
        return Ok("None".to_owned());
    }
    let id = required(from, key, name)?;
    if uuid::Uuid::parse_str(&id).is_err() {
        return Err(fits_no_schema(name, &Value::from(id)));
    }
    Ok(id)
}

/// What the schema says of a value for which it has several and none fits.
pub(super) fn fits_no_schema(name: &str, value: &Value) -> Fault {
    let complaint = format!("{} is not valid under any of the given schemas", repr(value));
    invalid(name, value, complaint)
}

/// An optional boolean, as a boolean or as oslo.utils reads its text.
pub(super) fn flag(from: &Map<String, Value>, name: &str) -> Result<Option<bool>, Fault> {
    let (value, read) = match from.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value @ Value::Bool(flag)) => (value, Some(*flag)),
        Some(value @ Value::String(text)) => (value, strict_bool(text)),
        Some(value @ (Value::Number(_) | Value::Array(_) | Value::Object(_))) => (value, None),
    };
    let refused = || invalid(name, value, format_args!("{} is not one of {FLAGS}", repr(value)));
    read.map(Some).ok_or_else(refused)
}

/// A whole number of at least 1, as a number or as text.
pub(super) fn size(from: &Map<String, Value>, name: &str) -> Result<Option<i64>, Fault> {
    let (value, number) = match from.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value @ Value::Number(number)) => (value, number.as_i64()),
        Some(value @ Value::String(text)) => {
            let number = text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
            if number.is_none() {
                let complaint = format!("{} does not match '^[0-9]+$'", repr(value));
                return Err(invalid(name, value, complaint));
            }
            (value, number)
        }
        Some(value @ (Value::Bool(_) | Value::Array(_) | Value::Object(_))) => (value, None),
    };
    let most = i64::from(i32::MAX);
    let complaint = match number {
        None => return Err(mistyped(name, value, "'integer', 'string', 'null'")),
        Some(number) if number < 1 => "less than the minimum of 1".to_owned(),
        Some(number) if number > most => format!("greater than the maximum of {most}"),
        Some(number) => return Ok(Some(number)),
    };
    Err(invalid(name, value, format_args!("{} is {complaint}", repr(value))))
}

/// An optional map of texts.
pub(super) fn metadata(
    from: &Map<String, Value>,
    name: &str,
) -> Result<BTreeMap<String, String>, Fault> {
    match from.get(name) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(given)) => texts(given),
        Some(other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_))) => {
            Err(mistyped(name, other, "'object', 'null'"))
        }
    }
}

/// A map of texts.
pub(super) fn texts(given: &Map<String, Value>) -> Result<BTreeMap<String, String>, Fault> {
    given.iter().map(|(key, value)| Ok((key.clone(), metadatum(key, value)?))).collect()
}

fn metadatum(key: &str, value: &Value) -> Result<String, Fault> {
    let text = value.as_str().ok_or_else(|| mistyped(key, value, "'string'"))?;
    if key.chars().count() > TEXT_LIMIT || text.chars().count() > TEXT_LIMIT {
        return Err(invalid(key, value, format_args!("{} is too long", repr(value))));
    }
    Ok(text.to_owned())
}
