//! The bodies of requests: what Barbican's schemas take, and what it says of the rest.
//!
//! Of several faults jsonschema reports the one whose path is the shortest and then the last in
//! alphabetical order; so does this.

use std::ops::Deref;

use serde_json::{Map, Value};
use time::format_description::well_known::Iso8601;
use time::{Date, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};
use zeroize::Zeroize as _;

use super::content::{self, SUPPORTED, TEXT};
use super::error::Refusal;
use crate::key_manager::{Attributes, Filling};
use crate::payload::Payload;
use crate::pyrepr::repr;

/// `[DEFAULT] max_allowed_request_size_in_bytes`: what is read of a JSON body.
const BODY_LIMIT: usize = 25_000;
/// `[DEFAULT] max_allowed_secret_in_bytes`, of the payload as it is sent.
pub(super) const SECRET_LIMIT: usize = 20_000;
/// The largest `bit_length`.
const BITS_LIMIT: i64 = 32_767;

const SECRET_TYPES: &[&str] =
    &["symmetric", "passphrase", "private", "public", "certificate", "opaque"];

/// A JSON body, which may hold a payload: its strings are wiped when it is dropped.
pub(super) struct Body(Value);

impl Deref for Body {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        each_string(&mut self.0, &mut String::zeroize);
    }
}

/// Reads a JSON body and strips the blanks around every string in it.
pub(super) fn body(bytes: &[u8]) -> Result<Body, Refusal> {
    let read = &bytes[..bytes.len().min(BODY_LIMIT)];
    let mut body = Body(serde_json::from_slice(read).map_err(|_| Refusal::MalformedJson)?);
    if body.is_array() || body.is_object() {
        each_string(&mut body.0, &mut |text| {
            if text.trim().len() < text.len() {
                let trimmed = text.trim().to_owned();
                text.zeroize();
                *text = trimmed;
            }
        });
    }
    Ok(body)
}

fn each_string(value: &mut Value, act: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => act(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_string(item, act)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_string(field, act)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a JSON value has to be.
enum Kind {
    Text { or_null: bool, longest: usize, shortest: usize },
    Choice(&'static [&'static str]),
    Bits,
    Object,
}

const SHORT: Kind = Kind::Text { or_null: false, longest: 255, shortest: 0 };
const ANY_TEXT: Kind = Kind::Text { or_null: false, longest: usize::MAX, shortest: 0 };
const SHORT_OR_NULL: Kind = Kind::Text { or_null: true, longest: 255, shortest: 0 };

const SECRET: &[(&str, Kind)] = &[
    ("name", SHORT_OR_NULL),
    ("algorithm", SHORT),
    ("mode", SHORT),
    ("bit_length", Kind::Bits),
    ("expiration", SHORT),
    ("payload", ANY_TEXT),
    ("secret_type", Kind::Choice(SECRET_TYPES)),
    ("payload_content_type", SHORT_OR_NULL),
    ("payload_content_encoding", Kind::Choice(&["base64"])),
    ("transport_key_needed", Kind::Choice(&["true", "false"])),
    ("transport_key_id", ANY_TEXT),
];

const FILLED: Kind = Kind::Text { or_null: false, longest: 255, shortest: 1 };
const CONSUMER: &[(&str, Kind)] = &[
    ("service", FILLED),
    ("resource_type", FILLED),
    ("resource_id", Kind::Text { or_null: false, longest: usize::MAX, shortest: 1 }),
];

const ORDER: &[(&str, Kind)] =
    &[("meta", Kind::Object), ("type", Kind::Choice(&["key", "asymmetric"]))];

/// A new secret, from the body of `POST /v1/secrets`.
pub(super) fn secret(
    body: &Body,
    now: OffsetDateTime,
) -> Result<(Attributes, Option<Filling>), Refusal> {
    let fields = object(body, "Secret", SECRET)?;
    let attributes = attributes(fields, "Secret", now)?;
    if fields.contains_key("payload") {
        return Ok((attributes, Some(filling(fields, "Secret")?)));
    }
    if fields.contains_key("payload_content_type") {
        let reason = "payload must be provided when payload_content_type is specified";
        return Err(invalid("Secret", reason, "payload"));
    }
    Ok((attributes, None))
}

/// A new order, from the body of `POST /v1/orders`: its type, its meta data and its secret's.
pub(super) fn order(
    body: &Body,
    now: OffsetDateTime,
) -> Result<(String, Map<String, Value>, Attributes), Refusal> {
    let fields = object(body, "Order", ORDER)?;
    let text = |fields: &Map<String, Value>, key: &str| {
        fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let kind = text(fields, "type");
    let none = Value::Null;
    let meta = fields.get("meta").unwrap_or(&none);
    let meta = object(meta, "Secret' within 'Order", SECRET)?;
    let schema = "Secret' within 'Order";
    let attributes = attributes(meta, schema, now)?;
    if meta.contains_key("payload") {
        filling(meta, schema)?;
    } else if let Some(given) = meta.get("payload_content_type").and_then(Value::as_str)
        && !given.is_empty()
        && content::normalize(given).is_none()
    {
        let reason = format!("payload_content_type is not one of {SUPPORTED}");
        return Err(invalid(schema, reason, "payload_content_type"));
    }
    let words = if kind == "key" { "key" } else { "asymmetric key" };
    if meta.contains_key("payload") {
        let reason = format!("'payload' not allowed for {kind} type order");
        return Err(invalid("Order", reason, "meta"));
    }
    if attributes.algorithm.as_deref().unwrap_or_default().is_empty() {
        let reason = format!("'algorithm' is required field for {words} type order");
        return Err(invalid("Order", reason, "meta"));
    }
    let Some(bits) = attributes.bit_length else {
        let reason = format!("'bit_length' is required field for {words} type order");
        return Err(invalid("Order", reason, "meta"));
    };
    if bits % 8 != 0 {
        return Err(Refusal::UnsupportedField);
    }
    Ok((kind, meta.clone(), attributes))
}

/// Service, type and id of a consumer.
pub(super) fn consumer(body: &Body) -> Result<[String; 3], Refusal> {
    let fields = object(body, "Secret Consumer", CONSUMER)?;
    Ok(["service", "resource_type", "resource_id"]
        .map(|key| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()))
}

/// A time as Barbican takes it: ISO 8601, in UTC unless it says otherwise.
pub(super) fn instant(text: &str) -> Option<OffsetDateTime> {
    let text = text.trim().replacen(' ', "T", 1);
    let zoned = OffsetDateTime::parse(&text, &Iso8601::PARSING);
    let local =
        || PrimitiveDateTime::parse(&text, &Iso8601::PARSING).map(PrimitiveDateTime::assume_utc);
    let day = || {
        Date::parse(&text, &Iso8601::PARSING).map(|day| day.with_time(Time::MIDNIGHT).assume_utc())
    };
    zoned.or_else(|_| local()).or_else(|_| day()).ok().map(|at| at.to_offset(UtcOffset::UTC))
}

fn invalid(schema: &'static str, reason: impl Into<String>, property: &'static str) -> Refusal {
    Refusal::InvalidObject { schema, reason: reason.into(), property }
}

/// The fields of an object that fits the schema.
fn object<'a>(
    value: &'a Value,
    schema: &'static str,
    kinds: &'static [(&'static str, Kind)],
) -> Result<&'a Map<String, Value>, Refusal> {
    let Some(fields) = value.as_object() else {
        let reason = format!("{} is not of type 'object'", repr(value));
        return Err(invalid(schema, reason, "None"));
    };
    let missing = kinds.iter().map(|(key, _)| *key).find(|key| !fields.contains_key(*key));
    let absent = |key: &str| format!("'{key}' is a required property");
    if let (Some(key), "Secret Consumer") = (missing, schema) {
        return Err(invalid(schema, absent(key), "None"));
    }
    let mut faults: Vec<(&str, String, &'static str)> = kinds
        .iter()
        .filter_map(|(key, kind)| Some((*key, fault(fields.get(*key)?, kind)?, *key)))
        .collect();
    // The draft-3 schema of an order enters a missing property under the path `required`.
    if let (Some(key), "Order") = (missing, schema) {
        faults.push(("required", absent(key), key));
    }
    match faults.into_iter().max_by_key(|(path, _, _)| *path) {
        Some((_, reason, property)) => Err(invalid(schema, reason, property)),
        None => Ok(fields),
    }
}

/// What is wrong with a value.
fn fault(value: &Value, kind: &Kind) -> Option<String> {
    let mistyped = |expected: &str| Some(format!("{} is not of type {expected}", repr(value)));
    match kind {
        Kind::Object if value.is_object() => None,
        Kind::Object => mistyped("'object'"),
        Kind::Text { or_null, longest, shortest } => {
            let Some(text) = value.as_str() else {
                return match (value.is_null(), or_null) {
                    (true, true) => None,
                    (_, true) => mistyped("'string', 'null'"),
                    (_, false) => mistyped("'string'"),
                };
            };
            let length = text.chars().count();
            if length > *longest {
                return Some(format!("{} is too long", repr(value)));
            }
            (length < *shortest).then(|| format!("{} should be non-empty", repr(value)))
        }
        Kind::Choice(known) => {
            let Some(text) = value.as_str() else { return mistyped("'string'") };
            let known_values = known.iter().map(|name| Value::from(*name)).collect();
            (!known.contains(&text))
                .then(|| format!("{} is not one of {}", repr(value), repr(&known_values)))
        }
        Kind::Bits => {
            let Some(bits) = value.as_i64() else { return mistyped("'integer'") };
            if bits < 1 {
                return Some(format!("{bits} is less than the minimum of 1"));
            }
            (bits > BITS_LIMIT)
                .then(|| format!("{bits} is greater than the maximum of {BITS_LIMIT}"))
        }
    }
}

fn attributes(
    fields: &Map<String, Value>,
    schema: &'static str,
    now: OffsetDateTime,
) -> Result<Attributes, Refusal> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let expiration = match text("expiration").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let wrong = || invalid(schema, "Invalid date for 'expiration'", "expiration");
            let end = instant(&text).ok_or_else(wrong)?;
            if end <= now {
                let reason = "'expiration' is before current time";
                return Err(invalid(schema, reason, "expiration"));
            }
            Some(end)
        }
    };
    Ok(Attributes {
        name: text("name"),
        secret_type: text("secret_type").unwrap_or_else(|| "opaque".to_owned()),
        algorithm: text("algorithm"),
        bit_length: fields.get("bit_length").and_then(Value::as_i64),
        mode: text("mode"),
        expiration,
    })
}

fn filling(fields: &Map<String, Value>, schema: &'static str) -> Result<Filling, Refusal> {
    let given = fields.get("payload_content_type").and_then(Value::as_str).ok_or_else(|| {
        let reason = "If 'payload' is supplied, 'payload_content_type' must also be supplied.";
        invalid(schema, reason, "payload_content_type")
    })?;
    let content_type = content::normalize(given).ok_or_else(|| {
        let reason = format!("payload_content_type is not one of {SUPPORTED}");
        invalid(schema, reason, "payload_content_type")
    })?;
    let is_encoded = fields.contains_key("payload_content_encoding");
    if is_encoded == (content_type == TEXT) {
        let known = if content_type == TEXT { "None" } else { "['base64', 'binary']" };
        let reason = format!("payload_content_encoding is not one of {known}");
        return Err(invalid(schema, reason, "payload_content_encoding"));
    }
    let payload = fields.get("payload").and_then(Value::as_str).unwrap_or_default();
    if payload.len() > SECRET_LIMIT {
        return Err(Refusal::TooLarge);
    }
    if payload.is_empty() {
        let reason = "If 'payload' specified, must be non empty";
        return Err(invalid(schema, reason, "payload"));
    }
    let bytes = if is_encoded {
        content::decode_base64(payload.as_bytes()).ok_or_else(|| {
            invalid(schema, "Invalid payload for payload_content_encoding", "payload")
        })?
    } else {
        payload.as_bytes().to_vec()
    };
    Ok(Filling { payload: Payload::new(bytes), content_type: content_type.to_owned() })
}
