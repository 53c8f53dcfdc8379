//! Attributes of callers and targets, and how Python prints them.
//!
//! Rules compare text. Does not print lists and objects: a rule that needs the text of one cannot
//! be decided.

use serde_json::{Map, Value};

/// What is known of a caller or of a target, by name.
pub type Attributes = Map<String, Value>;

/// Python's `str()` of a plain value.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("None".to_owned()),
        Value::Bool(true) => Some("True".to_owned()),
        Value::Bool(false) => Some("False".to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Python's `bool()` of what may be missing.
pub(crate) fn is_set(value: Option<&Value>) -> bool {
    value.is_some_and(|value| match value {
        Value::Null => false,
        Value::Bool(set) => *set,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    })
}
