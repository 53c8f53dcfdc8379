//! The schema of a request for a token, and jsonschema's words for what does not fit it.
//!
//! Source: keystone auth/schema.py `token_issue`; jsonschema's `ValidationError`;
//! Python's `pprint` at a width of 72. The fields of an object in the request are printed in
//! alphabetical order, not in the order in which they were sent.

use serde_json::Value;

use crate::pyrepr::repr;

/// What a value has to be.
struct Schema {
    kinds: &'static [&'static str],
    items: Option<&'static Schema>,
    properties: &'static [(&'static str, Schema)],
    required: &'static [&'static str],
    choices: &'static [Value],
}

const ANY: Schema =
    Schema { kinds: &[], items: None, properties: &[], required: &[], choices: &[] };
const TEXT: Schema = Schema { kinds: &["string"], ..ANY };
const FLAG: Schema = Schema {
    kinds: &["boolean"],
    choices: &[Value::Bool(true), Value::Bool(false), Value::Null],
    ..ANY
};

const fn object(properties: &'static [(&'static str, Schema)]) -> Schema {
    Schema { kinds: &["object"], properties, ..ANY }
}

const ID_AND_NAME: Schema = object(&[("id", TEXT), ("name", TEXT)]);

const USER: Schema =
    object(&[("id", TEXT), ("name", TEXT), ("password", TEXT), ("domain", ID_AND_NAME)]);

const IDENTITY: Schema = Schema {
    required: &["methods"],
    ..object(&[
        ("methods", Schema { kinds: &["array"], items: Some(&TEXT), ..ANY }),
        ("password", object(&[("user", USER)])),
        ("token", Schema { required: &["id"], ..object(&[("id", TEXT)]) }),
    ])
};

const SCOPE: Schema = Schema {
    kinds: &["object", "string"],
    ..object(&[
        ("project", object(&[("name", TEXT), ("id", TEXT), ("domain", ID_AND_NAME)])),
        ("domain", ID_AND_NAME),
        ("OS-TRUST:trust", object(&[("id", TEXT)])),
        ("system", object(&[("all", FLAG)])),
    ])
};

const TOKEN_ISSUE: Schema =
    Schema { required: &["identity"], ..object(&[("identity", IDENTITY), ("scope", SCOPE)]) };

/// What is wrong with the value of `auth`, in full: the first fault, depth first.
pub(super) fn fault(auth: &Value) -> Option<String> {
    check(&TOKEN_ISSUE, auth, &Place::default()).map(|fault| fault.message())
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
    fn message(&self) -> String {
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
            printed(&Shown::schema(self.schema)),
            instance.collect::<String>(),
            printed(&Shown::value(self.value)),
        )
    }
}

fn check<'a>(schema: &'static Schema, value: &'a Value, place: &Place) -> Option<Fault<'a>> {
    let fail = |keyword, text| Some(Fault { place: place.clone(), schema, value, keyword, text });
    if !schema.kinds.is_empty() && !schema.kinds.iter().any(|kind| is_a(value, kind)) {
        let kinds: Vec<String> = schema.kinds.iter().map(|kind| format!("'{kind}'")).collect();
        return fail("type", format!("{} is not of type {}", repr(value), kinds.join(", ")));
    }
    if !schema.choices.is_empty() && !schema.choices.contains(value) {
        let choices = repr(&Value::from(schema.choices));
        return fail("enum", format!("{} is not one of {choices}", repr(value)));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        let place = place.inside(&index.to_string(), &["items"]);
        let found = schema.items.and_then(|inner| check(inner, item, &place));
        if found.is_some() {
            return found;
        }
    }
    let fields = value.as_object()?;
    for (key, inner) in schema.properties {
        let place = place.inside(key, &["properties", key]);
        let found = fields.get(*key).and_then(|value| check(inner, value, &place));
        if found.is_some() {
            return found;
        }
    }
    let missing = schema.required.iter().find(|key| !fields.contains_key(**key))?;
    fail("required", format!("'{missing}' is a required property"))
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        _ => false,
    }
}

/// A value as Python prints it, its fields in an order of their own.
enum Shown {
    Plain(String),
    List(Vec<Shown>),
    Fields(Vec<(String, Shown)>),
}

impl Shown {
    fn schema(schema: &Schema) -> Self {
        let quoted = |name: &str| Self::Plain(format!("'{name}'"));
        let list = |names: &[&str]| Self::List(names.iter().map(|name| quoted(name)).collect());
        let mut fields = Vec::new();
        let mut add = |name: &str, shown| fields.push((format!("'{name}'"), shown));
        match schema.kinds {
            [kind] => add("type", quoted(kind)),
            kinds => add("type", list(kinds)),
        }
        if !schema.choices.is_empty() {
            add("enum", Self::List(schema.choices.iter().map(Self::value).collect()));
        }
        if let Some(items) = schema.items {
            add("items", Self::schema(items));
        }
        if !schema.properties.is_empty() {
            let inner = schema.properties.iter();
            let inner = inner.map(|(name, inner)| (format!("'{name}'"), Self::schema(inner)));
            add("properties", Self::Fields(inner.collect()));
        }
        if !schema.required.is_empty() {
            add("required", list(schema.required));
        }
        Self::Fields(fields)
    }

    fn value(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::value).collect()),
            Value::Object(fields) => {
                let fields = fields.iter();
                let name = |name: &String| repr(&Value::from(name.as_str()));
                Self::Fields(fields.map(|(key, one)| (name(key), Self::value(one))).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Self::Plain(repr(value))
            }
        }
    }

    fn on_one_line(&self) -> String {
        let join = |parts: Vec<String>| parts.join(", ");
        match self {
            Self::Plain(text) => text.clone(),
            Self::List(items) => {
                format!("[{}]", join(items.iter().map(Self::on_one_line).collect()))
            }
            Self::Fields(fields) => {
                let fields = fields.iter();
                let fields = fields.map(|(name, value)| format!("{name}: {}", value.on_one_line()));
                format!("{{{}}}", join(fields.collect()))
            }
        }
    }

    /// pprint's `_format`: at this indentation, with so much to follow on the last line.
    fn print(&self, indent: usize, allowance: usize, page: &mut String) {
        const WIDTH: usize = 72;
        let line = self.on_one_line();
        if line.chars().count() + indent + allowance <= WIDTH {
            page.push_str(&line);
            return;
        }
        let (open, close, parts): (_, _, Vec<(&str, &Self)>) = match self {
            Self::Plain(text) => return page.push_str(text),
            Self::List(items) => ('[', ']', items.iter().map(|item| ("", item)).collect()),
            Self::Fields(fields) => {
                ('{', '}', fields.iter().map(|(name, value)| (name.as_str(), value)).collect())
            }
        };
        page.push(open);
        let last = parts.len();
        for (number, (name, value)) in parts.into_iter().enumerate() {
            if number > 0 {
                page.push_str(",\n");
                page.extend(std::iter::repeat_n(' ', indent + 1));
            }
            let label = if name.is_empty() { String::new() } else { format!("{name}: ") };
            page.push_str(&label);
            let follows = if number + 1 == last { allowance + 1 } else { 1 };
            value.print(indent + 1 + label.chars().count(), follows, page);
        }
        page.push(close);
    }
}

/// The lines of a value, all but the first indented by four.
fn printed(shown: &Shown) -> String {
    let mut page = String::new();
    shown.print(0, 0, &mut page);
    page.replace('\n', "\n    ")
}
