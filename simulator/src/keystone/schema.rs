//! What a request has to look like, and jsonschema's words for what does not fit.
//!
//! Source: jsonschema's `ValidationError` and its iteration: the first fault, depth first, a
//! schema's keywords in the order in which they are declared upstream. The fields of an object in
//! the request are printed in alphabetical order, not in the order in which they were sent.

mod print;

use serde_json::Value;

use crate::pyrepr::repr;
use print::printed;

/// What a value has to be.
pub(super) struct Schema {
    pub(super) kinds: &'static [&'static str],
    pub(super) min_length: Option<usize>,
    pub(super) max_length: Option<usize>,
    pub(super) pattern: Option<Pattern>,
    pub(super) choices: &'static [Choice],
    pub(super) is_uuid: bool,
    pub(super) minimum: Option<i64>,
    pub(super) items: Option<&'static Schema>,
    pub(super) properties: &'static [(&'static str, Schema)],
    pub(super) min_properties: Option<usize>,
    pub(super) max_properties: Option<usize>,
    pub(super) required: Option<&'static [&'static str]>,
    pub(super) max_items: Option<usize>,
    pub(super) is_set: bool,
    /// Whether fields that are not declared are refused.
    pub(super) is_closed: bool,
}

pub(super) const ANY: Schema = Schema {
    kinds: &[],
    min_length: None,
    max_length: None,
    pattern: None,
    choices: &[],
    is_uuid: false,
    minimum: None,
    items: None,
    properties: &[],
    min_properties: None,
    max_properties: None,
    required: None,
    max_items: None,
    is_set: false,
    is_closed: false,
};

pub(super) const TEXT: Schema = Schema { kinds: &["string"], ..ANY };
pub(super) const TEXT_OR_NULL: Schema = Schema { kinds: &["string", "null"], ..ANY };
pub(super) const BOOLEAN: Schema = Schema { kinds: &["boolean"], ..ANY };
pub(super) const ID: Schema = Schema { pattern: Some(Pattern::Id), ..text(1, 64) };
pub(super) const ID_OR_NULL: Schema = Schema { kinds: &["string", "null"], ..ID };
pub(super) const NAME: Schema = Schema { pattern: Some(Pattern::NonBlank), ..text(1, 255) };
/// A boolean that may be spelled in many ways.
pub(super) const SWITCH: Schema = Schema {
    kinds: &["boolean", "string", "null"],
    choices: &[
        Choice::Bool(true),
        Choice::Text("True"),
        Choice::Text("TRUE"),
        Choice::Text("true"),
        Choice::Bool(false),
        Choice::Text("False"),
        Choice::Text("FALSE"),
        Choice::Text("false"),
        Choice::Text(""),
        Choice::Text("1"),
        Choice::Text("0"),
        Choice::Text("y"),
        Choice::Text("Y"),
        Choice::Text("n"),
        Choice::Text("N"),
        Choice::Text("on"),
        Choice::Text("ON"),
        Choice::Text("off"),
        Choice::Text("OFF"),
        Choice::Text("yes"),
        Choice::Text("no"),
    ],
    ..ANY
};
/// An option of a resource.
pub(super) const OPTION: Schema = Schema {
    kinds: &["boolean", "null"],
    choices: &[Choice::Bool(true), Choice::Bool(false), Choice::Null],
    ..ANY
};
pub(super) const IMMUTABLE: Schema = Schema { is_closed: true, ..object(&[("immutable", OPTION)]) };

pub(super) const fn object(properties: &'static [(&'static str, Schema)]) -> Schema {
    Schema { kinds: &["object"], properties, ..ANY }
}

pub(super) const fn list(items: &'static Schema) -> Schema {
    Schema { kinds: &["array"], items: Some(items), ..ANY }
}

pub(super) const fn text(min_length: usize, max_length: usize) -> Schema {
    let (min_length, max_length) = (Some(min_length), Some(max_length));
    Schema { kinds: &["string"], min_length, max_length, ..ANY }
}

pub(super) const fn choice(choices: &'static [Choice]) -> Schema {
    Schema { kinds: &["string"], choices, ..ANY }
}

/// A value out of a list.
#[derive(Clone, Copy)]
pub(super) enum Choice {
    Bool(bool),
    Null,
    Text(&'static str),
}

impl From<Choice> for Value {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Bool(is) => Self::Bool(is),
            Choice::Null => Self::Null,
            Choice::Text(text) => Self::from(text),
        }
    }
}

/// The regular expressions of Keystone.
#[derive(Clone, Copy)]
pub(super) enum Pattern {
    NonBlank,
    Id,
    Tag,
    Url,
    Path,
}

impl Pattern {
    fn text(self) -> &'static str {
        match self {
            Self::NonBlank => r"[\S]+",
            Self::Id => "^[a-zA-Z0-9-]+$",
            Self::Tag => "^[^,/]*$",
            Self::Url => "^[a-zA-Z0-9+.-]+:.+",
            Self::Path => r"^/\.*",
        }
    }

    fn fits(self, text: &str) -> bool {
        match self {
            Self::NonBlank => text.chars().any(|letter| !letter.is_whitespace()),
            Self::Id => {
                let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
                !text.is_empty() && text.chars().all(fits)
            }
            Self::Tag => !text.contains([',', '/']),
            Self::Url => text.split_once(':').is_some_and(|(scheme, rest)| {
                let fits = |letter: char| letter.is_ascii_alphanumeric() || "+.-".contains(letter);
                !scheme.is_empty() && scheme.chars().all(fits) && !rest.is_empty()
            }),
            Self::Path => text.starts_with('/'),
        }
    }
}

/// What is wrong with a value, with the schema and the value in full (keystone:
/// common/validation/validators.py).
pub(super) fn fault_in_full(schema: &'static Schema, value: &Value) -> Option<String> {
    check(schema, value, &Place::default()).map(|fault| fault.in_full())
}

/// What is wrong with a value, in a line (keystone: api/validation/validators.py).
pub(super) fn fault_in_short(schema: &'static Schema, value: &Value) -> Option<String> {
    check(schema, value, &Place::default()).map(|fault| fault.in_short())
}

/// Where in the request and where in the schema.
#[derive(Clone, Default)]
struct Place {
    instance: Vec<String>,
    schema: Vec<String>,
}

impl Place {
    fn inside(&self, step: &str, schema: &[&str]) -> Self {
        let mut place = self.clone();
        place.instance.push(step.to_owned());
        place.schema.extend(schema.iter().map(|step| (*step).to_owned()));
        place
    }
}

struct Fault<'a> {
    place: Place,
    schema: &'static Schema,
    value: &'a Value,
    keyword: &'static str,
    text: String,
}

impl Fault<'_> {
    fn in_full(&self) -> String {
        let field = match self.place.instance.as_slice() {
            [] => String::new(),
            path => format!("Invalid input for field '{}': ", path.join("/")),
        };
        let instance = self.place.instance.iter().map(|step| match step.parse::<usize>() {
            Ok(place) => format!("[{place}]"),
            Err(_) => format!("['{step}']"),
        });
        let schema = self.place.schema.iter().map(|step| format!("['{step}']"));
        format!(
            "{field}{}\n\nFailed validating '{}' in schema{}:\n    {}\n\nOn instance{}:\n    {}",
            self.text,
            self.keyword,
            schema.collect::<String>(),
            printed(self.schema),
            instance.collect::<String>(),
            printed(self.value),
        )
    }

    fn in_short(&self) -> String {
        let Some(field) = self.place.instance.last() else { return self.text.clone() };
        let value = self.value.as_str().map_or_else(|| repr(self.value), str::to_owned);
        format!("Invalid input for field/attribute {field}. Value: {value}. {}", self.text)
    }
}

fn check<'a>(schema: &'static Schema, value: &'a Value, place: &Place) -> Option<Fault<'a>> {
    let own = match fault_of_type(schema, value) {
        None => fault_of_text(schema, value).or_else(|| fault_of_number(schema, value)),
        fault => fault,
    };
    let fail = |(keyword, text)| Fault { place: place.clone(), schema, value, keyword, text };
    if let Some(fault) = own {
        return Some(fail(fault));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let place = place.inside(&index.to_string(), &["items"]);
        let found = schema.items.and_then(|inner| check(inner, item, &place));
        if found.is_some() {
            return found;
        }
    }
    for (key, inner) in schema.properties {
        let place = place.inside(key, &["properties", key]);
        let found = value.get(key).and_then(|value| check(inner, value, &place));
        if found.is_some() {
            return found;
        }
    }
    fault_of_fields(schema, value).or_else(|| fault_of_items(schema, value)).map(fail)
}

/// A keyword and what it finds.
type Found = Option<(&'static str, String)>;

fn fault_of_type(schema: &Schema, value: &Value) -> Found {
    if schema.kinds.is_empty() || schema.kinds.iter().any(|kind| is_a(value, kind)) {
        return None;
    }
    let kinds: Vec<String> = schema.kinds.iter().map(|kind| format!("'{kind}'")).collect();
    Some(("type", format!("{} is not of type {}", repr(value), kinds.join(", "))))
}

fn fault_of_text(schema: &Schema, value: &Value) -> Found {
    if let Some(text) = value.as_str() {
        let length = text.chars().count();
        if schema.min_length.is_some_and(|least| length < least) {
            return Some(("minLength", format!("{} should be non-empty", repr(value))));
        }
        if schema.max_length.is_some_and(|most| length > most) {
            return Some(("maxLength", format!("{} is too long", repr(value))));
        }
        if let Some(pattern) = schema.pattern.filter(|pattern| !pattern.fits(text)) {
            let pattern = repr(&Value::from(pattern.text()));
            return Some(("pattern", format!("{} does not match {pattern}", repr(value))));
        }
        if schema.is_uuid && uuid::Uuid::parse_str(text).is_err() {
            return Some(("format", format!("{} is not a 'uuid'", repr(value))));
        }
    }
    if schema.choices.is_empty() || schema.choices.iter().any(|one| Value::from(*one) == *value) {
        return None;
    }
    let choices: Value = schema.choices.iter().map(|one| Value::from(*one)).collect();
    Some(("enum", format!("{} is not one of {}", repr(value), repr(&choices))))
}

fn fault_of_number(schema: &Schema, value: &Value) -> Found {
    let least = schema.minimum?;
    let number = value.as_i64().filter(|number| *number < least)?;
    Some(("minimum", format!("{number} is less than the minimum of {least}")))
}

fn fault_of_fields(schema: &Schema, value: &Value) -> Found {
    let fields = value.as_object()?;
    if schema.min_properties.is_some_and(|least| fields.len() < least) {
        return Some(("minProperties", format!("{} should be non-empty", repr(value))));
    }
    if schema.max_properties.is_some_and(|most| fields.len() > most) {
        return Some(("maxProperties", format!("{} has too many properties", repr(value))));
    }
    let required = schema.required.unwrap_or_default();
    if let Some(missing) = required.iter().find(|key| !fields.contains_key(**key)) {
        return Some(("required", format!("'{missing}' is a required property")));
    }
    let declared = |key: &&String| schema.properties.iter().any(|(name, _)| name == key);
    let extra = fields.keys().filter(|key| !declared(key));
    let extra: Vec<String> = extra.map(|key| repr(&Value::from(key.as_str()))).collect();
    if !schema.is_closed || extra.is_empty() {
        return None;
    }
    let verb = if extra.len() == 1 { "was" } else { "were" };
    let names = extra.join(", ");
    let text = format!("Additional properties are not allowed ({names} {verb} unexpected)");
    Some(("additionalProperties", text))
}

fn fault_of_items(schema: &Schema, value: &Value) -> Found {
    let items = value.as_array()?;
    if schema.max_items.is_some_and(|most| items.len() > most) {
        return Some(("maxItems", format!("{} is too long", repr(value))));
    }
    let repeats = items.iter().enumerate().any(|(place, item)| items[..place].contains(item));
    let text = || format!("{} has non-unique elements", repr(value));
    (schema.is_set && repeats).then(|| ("uniqueItems", text()))
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        _ => false,
    }
}
