//! Documents of the services as an input has them, read a second time and by another way.

use serde_json::Value;

/// The id at the end of a reference, if it is a UUID as the services spell it.
pub(crate) fn referenced(reference: &Value) -> Option<&str> {
    let id = reference.as_str()?.trim_end_matches('/');
    let id = id.get(id.len().checked_sub(36)?..)?;
    let formed = id.char_indices().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => matches!(c, '0'..='9' | 'a'..='f'),
    });
    formed.then_some(id)
}

/// A member's text; none for null and for what is missing.
pub(crate) fn text<'a>(document: &'a Value, name: &str) -> Option<&'a str> {
    document.get(name).and_then(Value::as_str)
}
