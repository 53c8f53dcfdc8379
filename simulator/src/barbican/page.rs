//! A window on a list, and the links to its neighbours.

use serde_json::{Map, Value};

use crate::Simulator;
use crate::query::Query;

/// `[DEFAULT] default_limit_paging` and `max_limit_paging`.
const DEFAULT_LIMIT: i128 = 10;
const MAX_LIMIT: i128 = 100;

/// A window on a list. What cannot be read is taken for the default.
pub(super) struct Page {
    limit: usize,
    offset: usize,
}

impl Page {
    pub(super) fn of(query: &Query) -> Self {
        let number = |name: &str| query.get(name).and_then(number);
        let limit = number("limit").unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
        // Beyond what an index may be in Python the list begins anew.
        let offset = number("offset").and_then(|offset| i64::try_from(offset.max(0)).ok());
        Self {
            limit: usize::try_from(limit).unwrap_or(1),
            offset: usize::try_from(offset.unwrap_or(0)).unwrap_or(usize::MAX),
        }
    }

    /// The window, with links to its neighbours that keep the other parameters in `rest`; none from
    /// a window that shows nothing.
    pub(super) fn body(
        &self,
        simulator: &Simulator,
        name: &str,
        path: &str,
        all: Vec<Value>,
        rest: &str,
    ) -> Value {
        let total = all.len();
        let is_beyond = self.offset >= total;
        let links = if is_beyond { Map::new() } else { self.links(simulator, path, total, rest) };
        self.with_links(links, name, all)
    }

    /// The window, with the links that are given.
    pub(super) fn with_links(
        &self,
        mut links: Map<String, Value>,
        name: &str,
        all: Vec<Value>,
    ) -> Value {
        links.insert("total".to_owned(), all.len().into());
        let shown: Vec<Value> = all.into_iter().skip(self.offset).take(self.limit).collect();
        links.insert(name.to_owned(), shown.into());
        Value::Object(links)
    }

    /// What comes before and behind the window on a list of `total` entries.
    pub(super) fn links(
        &self,
        simulator: &Simulator,
        path: &str,
        total: usize,
        rest: &str,
    ) -> Map<String, Value> {
        let link = |offset: usize| {
            let host = simulator.urls().key_manager;
            let separator = if rest.is_empty() { "" } else { "&" };
            Value::from(format!(
                "{host}/v1/{path}?limit={}&offset={offset}{separator}{rest}",
                self.limit,
            ))
        };
        let mut links = Map::new();
        if self.offset > 0 {
            links.insert("previous".to_owned(), link(self.offset.saturating_sub(self.limit)));
        }
        let end = self.offset.saturating_add(self.limit);
        if total > end {
            links.insert("next".to_owned(), link(end));
        }
        links
    }
}

/// A number as Python's `int()` reads it; one that is too large is the largest there is.
pub(super) fn number(text: &str) -> Option<i128> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (if text.starts_with('-') { -1 } else { 1 }, digits),
        None => (1, text),
    };
    let mut value = 0_i128;
    for group in digits.split('_') {
        if group.is_empty() || !group.bytes().all(|letter| letter.is_ascii_digit()) {
            return None;
        }
        for digit in group.bytes() {
            value = value.saturating_mul(10).saturating_add(i128::from(digit - b'0'));
        }
    }
    Some(sign * value)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_read_as_python_does() {
        for (text, expected) in [
            ("12", Some(12)),
            (" +12 ", Some(12)),
            ("-7", Some(-7)),
            ("1_0", Some(10)),
            ("99999999999999999999999999999999999999999", Some(i128::MAX)),
            ("1__0", None),
            ("_1", None),
            ("1.5", None),
            ("0x1", None),
            ("+", None),
            ("", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
