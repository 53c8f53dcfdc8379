//! The bodies of requests: what Barbican's schemas take, and what it checks besides.
//!
//! Source: barbican 23, `common/validators.py`.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::content::{self, SUPPORTED, TEXT};
use super::error::Refusal;
use super::instant::instant;
use super::schema::{Body, Kind, Schema, Shape, integer};
use crate::key_manager::{Attributes, Entry, Filling};
use crate::payload::Payload;

/// `[DEFAULT] max_allowed_secret_in_bytes`, of the payload as it is sent.
pub(super) const SECRET_LIMIT: usize = 20_000;
/// The most characters that most columns take.
pub(super) const LONGEST: usize = 255;
/// The largest `bit_length`.
const BITS_LIMIT: i64 = 32_767;

const SECRET_TYPES: &[&str] =
    &["symmetric", "passphrase", "private", "public", "certificate", "opaque"];

pub(super) const SHORT: Kind = Kind::Text { or_null: false, longest: LONGEST, shortest: 0 };
pub(super) const ANY_TEXT: Kind = Kind::Text { or_null: false, longest: usize::MAX, shortest: 0 };
/// Not empty.
pub(super) const FILLED: Kind = Kind::Text { or_null: false, longest: LONGEST, shortest: 1 };
const REFERENCE: Kind = Kind::Text { or_null: false, longest: usize::MAX, shortest: 1 };
const SHORT_OR_NULL: Kind = Kind::Text { or_null: true, longest: LONGEST, shortest: 0 };

const SECRET_FIELDS: &[(&str, Kind)] = &[
    ("name", SHORT_OR_NULL),
    ("algorithm", SHORT),
    ("mode", SHORT),
    ("bit_length", Kind::Integer { least: 1, most: BITS_LIMIT }),
    ("expiration", SHORT),
    ("payload", ANY_TEXT),
    ("secret_type", Kind::Choice(SECRET_TYPES)),
    ("payload_content_type", SHORT_OR_NULL),
    ("payload_content_encoding", Kind::Choice(&["base64"])),
    ("transport_key_needed", Kind::Choice(&["true", "false"])),
    ("transport_key_id", ANY_TEXT),
];

pub(super) const SECRET: Schema = secret_as("Secret");
const SECRET_IN_ORDER: Schema = secret_as("Secret' within 'Order");

const fn secret_as(name: &'static str) -> Schema {
    let shape = Shape { fields: SECRET_FIELDS, required: &[], closed: false };
    Schema { name, shape, draft_3: false }
}

pub(super) const ORDER: Schema = Schema {
    name: "Order",
    shape: Shape {
        fields: &[
            ("meta", Kind::Object(Shape { fields: &[], required: &[], closed: false })),
            ("type", Kind::Choice(&["key", "asymmetric"])),
        ],
        required: &["meta", "type"],
        closed: false,
    },
    draft_3: true,
};

pub(super) const CONTAINER: Schema = Schema {
    name: "Container",
    shape: Shape {
        fields: &[
            ("name", SHORT_OR_NULL),
            ("type", Kind::Choice(&["generic", "rsa", "certificate"])),
            ("secret_refs", Kind::List { of: &CONTAINER_ENTRY, first_alone: false }),
        ],
        required: &["type"],
        closed: false,
    },
    draft_3: false,
};

const CONTAINER_ENTRY: Kind = Kind::Object(Shape {
    fields: &[("name", SHORT_OR_NULL), ("secret_ref", REFERENCE)],
    required: &["secret_ref"],
    closed: false,
});

pub(super) const CONTAINER_SECRET: Schema = Schema {
    name: "ContainerSecret",
    shape: Shape {
        fields: &[("name", SHORT), ("secret_ref", REFERENCE)],
        required: &["secret_ref"],
        closed: false,
    },
    draft_3: false,
};

/// A new secret, from the body of `POST /v1/secrets`.
pub(super) fn secret(
    body: &Body,
    now: OffsetDateTime,
) -> Result<(Attributes, Option<Filling>), Refusal> {
    let fields = body.fields();
    let attributes = attributes(fields, &SECRET, now)?;
    if fields.contains_key("payload") {
        return Ok((attributes, Some(filling(fields, SECRET.name)?)));
    }
    if fields.contains_key("payload_content_type") {
        let reason = "payload must be provided when payload_content_type is specified";
        return Err(invalid(SECRET.name, reason, "payload"));
    }
    Ok((attributes, None))
}

/// A new order, from the body of `POST /v1/orders`: its type, its meta data and its secret's.
pub(super) fn order(
    body: &Body,
    now: OffsetDateTime,
) -> Result<(String, Map<String, Value>, Attributes), Refusal> {
    let kind = body.fields().get("type").and_then(Value::as_str).unwrap_or_default();
    let none = Value::Null;
    let meta = body.fields().get("meta").unwrap_or(&none);
    SECRET_IN_ORDER.check(meta)?;
    let meta = meta.as_object().cloned().unwrap_or_default();
    let schema = SECRET_IN_ORDER.name;
    let attributes = attributes(&meta, &SECRET_IN_ORDER, now)?;
    if meta.contains_key("payload") {
        filling(&meta, schema)?;
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
    let algorithm = attributes.algorithm.as_deref().unwrap_or_default().to_lowercase();
    if algorithm.is_empty() {
        let reason = format!("'algorithm' is required field for {words} type order");
        return Err(invalid("Order", reason, "meta"));
    }
    let Some(bits) = attributes.bit_length else {
        let reason = format!("'bit_length' is required field for {words} type order");
        return Err(invalid("Order", reason, "meta"));
    };
    let fits = if algorithm == "ec" { matches!(bits, 256 | 384 | 521) } else { bits % 8 == 0 };
    if fits { Ok((kind.to_owned(), meta, attributes)) } else { Err(Refusal::UnsupportedField) }
}

/// A new container, from the body of `POST /v1/containers`: its name, its type and its secrets,
/// whose references have to begin with `host`.
pub(super) fn container(
    body: &Body,
    host: &str,
) -> Result<(Option<String>, String, Vec<Entry>), Refusal> {
    let text = |fields: &Map<String, Value>, name: &str| {
        fields.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    let kind = text(body.fields(), "type").unwrap_or_default();
    let name = text(body.fields(), "name");
    let given = body.fields().get("secret_refs").and_then(Value::as_array);
    let given: Vec<_> = given.into_iter().flatten().filter_map(Value::as_object).collect();
    let entries: Vec<Entry> = given
        .iter()
        .map(|fields| {
            let reference = text(fields, "secret_ref").unwrap_or_default();
            Entry { name: text(fields, "name"), secret_id: last_segment(&reference).to_owned() }
        })
        .collect();
    let refused = |reason: &str| invalid(CONTAINER.name, reason, "secret_refs");
    // A name of null is another one than no name, which is as good as an empty one.
    let name_of = |fields: &Map<String, Value>| fields.get("name").cloned().unwrap_or("".into());
    if has_twins(given.iter().map(|fields| name_of(fields))) {
        return Err(refused("Duplicate reference names are not allowed"));
    }
    if has_twins(entries.iter().map(|entry| &entry.secret_id)) {
        return Err(refused("Duplicate secret ids are not allowed"));
    }
    let is_ours = |reference: String| reference.starts_with(host);
    if !given.iter().all(|fields| text(fields, "secret_ref").is_some_and(is_ours)) {
        return Err(Refusal::UnsupportedField);
    }
    if !entries.is_empty() {
        named_as_required(&kind, &entries).map_err(refused)?;
    }
    Ok((name, kind, entries))
}

fn has_twins<T: PartialEq>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = Vec::new();
    for item in items {
        if seen.contains(&item) {
            return true;
        }
        seen.push(item);
    }
    false
}

/// What a container of this type has to hold, and may hold.
fn named_as_required(kind: &str, entries: &[Entry]) -> Result<(), &'static str> {
    let (required, optional, few, many): (&[&str], &[&str], _, _) = match kind {
        "rsa" => (
            &["public_key", "private_key"],
            &["private_key_passphrase"],
            "The minimum required reference names are 'public_key' and'private_key' for RSA type",
            "only 'private_key', 'public_key' and 'private_key_passphrase' reference names are \
             allowed for RSA type",
        ),
        "certificate" => (
            &["certificate"],
            &["private_key", "private_key_passphrase", "intermediates"],
            "The minimum required reference name is 'certificate' for Certificate type",
            "only 'private_key', 'certificate' , 'private_key_passphrase',  or 'intermediates' \
             reference names are allowed for Certificate type",
        ),
        _ => return Ok(()),
    };
    let names: Vec<&str> =
        entries.iter().map(|entry| entry.name.as_deref().unwrap_or_default()).collect();
    if names.iter().any(|name| !required.contains(name) && !optional.contains(name)) {
        return Err(many);
    }
    if required.iter().all(|name| names.contains(name)) { Ok(()) } else { Err(few) }
}

/// The id at the end of a reference, which may have a slash behind it.
fn last_segment(reference: &str) -> &str {
    let trimmed = reference.strip_suffix('/').unwrap_or(reference);
    trimmed.rsplit('/').next().unwrap_or_default()
}

pub(super) fn invalid(
    schema: &'static str,
    reason: impl Into<String>,
    property: &'static str,
) -> Refusal {
    Refusal::InvalidObject { schema, reason: reason.into(), property }
}

fn attributes(
    fields: &Map<String, Value>,
    schema: &Schema,
    now: OffsetDateTime,
) -> Result<Attributes, Refusal> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_owned);
    let expiration = match text("expiration").filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => {
            let wrong = || invalid(schema.name, "Invalid date for 'expiration'", "expiration");
            let end = instant(&text).ok_or_else(wrong)?;
            if end <= now {
                let reason = "'expiration' is before current time";
                return Err(invalid(schema.name, reason, "expiration"));
            }
            Some(end)
        }
    };
    Ok(Attributes {
        name: text("name"),
        secret_type: text("secret_type").unwrap_or_else(|| "opaque".to_owned()),
        algorithm: text("algorithm"),
        bit_length: fields.get("bit_length").and_then(integer),
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
