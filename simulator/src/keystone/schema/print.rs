//! Schemas and values as Python's `pprint` shows them at a width of 72.

use serde_json::Value;

use super::Schema;
use crate::pyrepr::repr;

/// A value as Python prints it, its fields in an order of their own.
pub(super) enum Shown {
    Plain(String),
    List(Vec<Shown>),
    Fields(Vec<(String, Shown)>),
}

impl From<&Schema> for Shown {
    fn from(schema: &Schema) -> Self {
        let quoted = |name: &str| Self::Plain(format!("'{name}'"));
        let list = |names: &[&str]| Self::List(names.iter().map(|name| quoted(name)).collect());
        let number = |number: usize| Self::Plain(number.to_string());
        let mut fields = Vec::new();
        let mut add = |name: &str, shown: Option<Self>| {
            fields.extend(shown.map(|shown| (format!("'{name}'"), shown)));
        };
        add(
            "type",
            match schema.kinds {
                [] => None,
                [kind] => Some(quoted(kind)),
                kinds => Some(list(kinds)),
            },
        );
        add("minLength", schema.min_length.map(number));
        add("maxLength", schema.max_length.map(number));
        let pattern = schema.pattern.map(|pattern| Value::from(pattern.text()));
        add("pattern", pattern.map(|pattern| Self::Plain(repr(&pattern))));
        let choices = schema.choices.iter().map(|one| Self::from(&Value::from(*one)));
        add("enum", (!schema.choices.is_empty()).then(|| Self::List(choices.collect())));
        add("items", schema.items.map(Self::from));
        let inner = schema.properties.iter();
        let inner = inner.map(|(name, inner)| (format!("'{name}'"), Self::from(inner)));
        add("properties", (!schema.properties.is_empty()).then(|| Self::Fields(inner.collect())));
        add("required", schema.required.map(list));
        add("maxItems", schema.max_items.map(number));
        add("uniqueItems", schema.is_set.then(|| Self::Plain("True".to_owned())));
        let closed = schema.is_closed.then(|| Self::Plain("False".to_owned()));
        add("additionalProperties", closed);
        Self::Fields(fields)
    }
}

impl From<&Value> for Shown {
    fn from(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(fields) => {
                let fields = fields.iter();
                let name = |name: &String| repr(&Value::from(name.as_str()));
                Self::Fields(fields.map(|(key, one)| (name(key), Self::from(one))).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Self::Plain(repr(value))
            }
        }
    }
}

impl Shown {
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
pub(super) fn printed(shown: impl Into<Shown>) -> String {
    let mut page = String::new();
    shown.into().print(0, 0, &mut page);
    page.replace('\n', "\n    ")
}
