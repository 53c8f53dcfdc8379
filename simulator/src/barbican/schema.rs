//! JSON bodies and the schemas that they have to fit.
//!
//! Of several faults jsonschema reports the one whose path is the shortest and then the last in
//! alphabetical order; so does this.

use std::ops::Deref;
use std::sync::LazyLock;

use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use super::error::Refusal;
use crate::pyrepr::repr;

/// `[DEFAULT] max_allowed_request_size_in_bytes`: what is read of a JSON body.
const BODY_LIMIT: usize = 25_000;

/// A JSON body, which may hold a payload: its strings are wiped when it is dropped.
pub(super) struct Body(Value);

impl Body {
    /// Reads a JSON body and strips the blanks around every string in it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let read = &bytes[..bytes.len().min(BODY_LIMIT)];
        // What is not text is found out before the API sees it.
        if std::str::from_utf8(bytes).is_err() {
            return Err(Refusal::BadRequest(""));
        }
        let mut body = Self(serde_json::from_slice(read).map_err(|_| Refusal::MalformedJson)?);
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

    /// The fields of a body that fits a schema.
    pub(super) fn fields(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.0.as_object().unwrap_or(&NONE)
    }
}

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

fn each_string(value: &mut Value, act: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => act(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_string(item, act)),
        Value::Object(fields) => fields.values_mut().for_each(|field| each_string(field, act)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a JSON value has to be.
pub(super) enum Kind {
    Text {
        or_null: bool,
        longest: usize,
        shortest: usize,
    },
    Choice(&'static [&'static str]),
    Integer {
        least: i64,
        most: i64,
    },
    Boolean,
    Object(Shape),
    /// A list; of its items each is looked at, or the first alone.
    List {
        of: &'static Kind,
        first_alone: bool,
    },
}

/// What an object has to hold.
pub(super) struct Shape {
    pub(super) fields: &'static [(&'static str, Kind)],
    pub(super) required: &'static [&'static str],
    /// Whether there may be other fields.
    pub(super) closed: bool,
}

/// A shape under the name by which upstream speaks of it.
pub(super) struct Schema {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// Draft 3 of JSON schema enters a missing field under its own path.
    pub(super) draft_3: bool,
}

impl Schema {
    /// Refuses a value that does not fit.
    pub(super) fn check(&self, value: &Value) -> Result<(), Refusal> {
        let mut faults = Vec::new();
        look_into(value, &self.shape, &[], &mut faults);
        let Some(fault) = self.worst(faults) else { return Ok(()) };
        let property = fault.property.unwrap_or("None");
        Err(Refusal::InvalidObject { schema: self.name, reason: fault.reason, property })
    }

    fn worst(&self, faults: Vec<Fault>) -> Option<Fault> {
        let rank = |fault: &Fault| (usize::MAX - fault.path.len(), fault.path.clone());
        let mut worst: Option<Fault> = None;
        for mut fault in faults {
            if self.draft_3
                && let Some(missing) = fault.missing
            {
                fault.path.push(missing.to_owned());
                fault.property = fault.property.or(Some(missing));
            }
            // Of equals the first.
            if worst.as_ref().is_none_or(|worst| rank(&fault) > rank(worst)) {
                worst = Some(fault);
            }
        }
        worst
    }
}

struct Fault {
    path: Vec<String>,
    reason: String,
    /// The field of the body in which the fault lies.
    property: Option<&'static str>,
    /// The field that is not there.
    missing: Option<&'static str>,
}

/// Where a value stands: its name in the path, and the field of the schema that it belongs to.
#[derive(Clone)]
struct Step {
    name: String,
    field: Option<&'static str>,
}

fn fault(path: &[Step], reason: String) -> Fault {
    Fault {
        path: path.iter().map(|step| step.name.clone()).collect(),
        reason,
        property: path.first().and_then(|step| step.field),
        missing: None,
    }
}

/// The path one step further.
fn under(path: &[Step], name: String, field: Option<&'static str>) -> Vec<Step> {
    path.iter().cloned().chain([Step { name, field }]).collect()
}

fn look_into(value: &Value, shape: &Shape, path: &[Step], faults: &mut Vec<Fault>) {
    let Some(found) = value.as_object() else {
        faults.push(fault(path, mistyped(value, "'object'")));
        return;
    };
    for (name, kind) in shape.fields {
        if let Some(value) = found.get(*name) {
            look_at(value, kind, &under(path, (*name).to_owned(), Some(name)), faults);
        }
    }
    for name in shape.required.iter().filter(|name| !found.contains_key(**name)) {
        let reason = format!("'{name}' is a required property");
        faults.push(Fault { missing: Some(name), ..fault(path, reason) });
    }
    let is_known = |name: &str| shape.fields.iter().any(|(known, _)| *known == name);
    let mut unknown: Vec<&str> =
        found.keys().map(String::as_str).filter(|name| !is_known(name)).collect();
    if shape.closed && !unknown.is_empty() {
        unknown.sort_unstable();
        let verb = if unknown.len() == 1 { "was" } else { "were" };
        let unknown: Vec<String> = unknown.into_iter().map(|name| repr(&name.into())).collect();
        let unknown = unknown.join(", ");
        let reason = format!("Additional properties are not allowed ({unknown} {verb} unexpected)");
        faults.push(fault(path, reason));
    }
}

fn look_at(value: &Value, kind: &Kind, path: &[Step], faults: &mut Vec<Fault>) {
    let reason = match kind {
        Kind::Object(shape) => return look_into(value, shape, path, faults),
        Kind::List { of, first_alone } => match value.as_array() {
            None => Some(mistyped(value, "'array'")),
            Some(items) => {
                let count = if *first_alone { items.len().min(1) } else { items.len() };
                for (place, item) in items.iter().take(count).enumerate() {
                    look_at(item, of, &under(path, format!("{place:020}"), None), faults);
                }
                None
            }
        },
        Kind::Text { or_null, longest, shortest } => {
            text_fault(value, *or_null, *longest, *shortest)
        }
        Kind::Choice(known) => choice_fault(value, known),
        Kind::Integer { least, most } => integer_fault(value, *least, *most),
        Kind::Boolean => (!value.is_boolean()).then(|| mistyped(value, "'boolean'")),
    };
    faults.extend(reason.map(|reason| fault(path, reason)));
}

fn mistyped(value: &Value, expected: &str) -> String {
    format!("{} is not of type {expected}", repr(value))
}

fn text_fault(value: &Value, or_null: bool, longest: usize, shortest: usize) -> Option<String> {
    let Some(text) = value.as_str() else {
        return match (value.is_null(), or_null) {
            (true, true) => None,
            (_, true) => Some(mistyped(value, "'string', 'null'")),
            (_, false) => Some(mistyped(value, "'string'")),
        };
    };
    let length = text.chars().count();
    if length > longest {
        return Some(format!("{} is too long", repr(value)));
    }
    (length < shortest).then(|| format!("{} should be non-empty", repr(value)))
}

fn choice_fault(value: &Value, known: &[&str]) -> Option<String> {
    let Some(text) = value.as_str() else { return Some(mistyped(value, "'string'")) };
    let names = known.iter().map(|name| Value::from(*name)).collect();
    (!known.contains(&text)).then(|| format!("{} is not one of {}", repr(value), repr(&names)))
}

fn integer_fault(value: &Value, least: i64, most: i64) -> Option<String> {
    let Some(number) = value.as_f64().filter(|number| number.fract() == 0.0) else {
        return Some(mistyped(value, "'integer'"));
    };
    let is_beyond = |limit: i64| match integer(value) {
        Some(number) => number.cmp(&limit),
        None => number.total_cmp(&0.0),
    };
    if is_beyond(least).is_lt() {
        return Some(format!("{} is less than the minimum of {least}", repr(value)));
    }
    is_beyond(most)
        .is_gt()
        .then(|| format!("{} is greater than the maximum of {most}", repr(value)))
}

/// A whole number, in whatever way it is written; `None` when it is too large to be kept.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        format!("{number:.0}").parse().ok()
    })
}
