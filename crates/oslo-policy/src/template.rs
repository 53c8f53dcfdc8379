//! The right side of a check: text with `%(name)s` for attributes of the target.
//!
//! Filled from left to right, as Python's `%` does it: a missing attribute ends the check with
//! `false` if it comes before what is malformed. Conversions other than `s`, flags, widths and `%s`
//! without a name count as malformed.

use crate::attributes::{Attributes, text};
use std::fmt;

/// Text with places for attributes of the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Attribute(String),
    Malformed,
}

/// What became of a template.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Filled {
    Text(String),
    /// The target lacks an attribute.
    Missing,
    /// Python would raise.
    Malformed,
}

impl Template {
    /// Reads a template; a malformed one is still a template.
    pub(crate) fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(before.to_owned()));
            rest = match after.strip_prefix('%') {
                Some(after) => {
                    pieces.push(Piece::Text("%".to_owned()));
                    after
                }
                None => match attribute(after) {
                    Some((name, after)) => {
                        pieces.push(Piece::Attribute(name.to_owned()));
                        after.strip_prefix('s').unwrap_or_else(|| {
                            pieces.push(Piece::Malformed);
                            ""
                        })
                    }
                    None => {
                        pieces.push(Piece::Malformed);
                        ""
                    }
                },
            };
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Self { text: text.to_owned(), pieces }
    }

    /// Whether no target can fill it.
    pub(crate) fn is_malformed(&self) -> bool {
        self.pieces.contains(&Piece::Malformed)
    }

    /// The text, with the target's attributes in their places.
    pub(crate) fn fill(&self, target: &Attributes) -> Filled {
        let mut filled = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Attribute(name) => match target.get(name).map(text) {
                    Some(Some(text)) => filled.push_str(&text),
                    Some(None) => return Filled::Malformed,
                    None => return Filled::Missing,
                },
                Piece::Malformed => return Filled::Malformed,
            }
        }
        Filled::Text(filled)
    }
}

/// The name of `(name)`, and what follows; parentheses within the name are paired.
fn attribute(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('(')?;
    let mut open = 1;
    for (place, letter) in inner.char_indices() {
        match letter {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return Some((inner.get(..place)?, inner.get(place + 1..)?));
        }
    }
    None
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Filled, Template};
    use serde_json::json;

    #[test]
    fn templates_are_filled_from_left_to_right() {
        let target = json!({"a": "x", "b(c)": 5, "n": null, "t": true, "l": ["x"], "": "e"});
        let target = target.as_object().unwrap();
        let filled = |text: &str| Filled::Text(text.to_owned());
        for (template, expected) in [
            ("", filled("")),
            ("plain", filled("plain")),
            ("%(a)s", filled("x")),
            ("p-%(a)s-%(b(c))s", filled("p-x-5")),
            ("%(n)s%(t)s%()s", filled("NoneTruee")),
            ("100%%%(a)s", filled("100%x")),
            ("%(a)sé", filled("xé")),
            ("%(z)s", Filled::Missing),
            ("%(z)s%", Filled::Missing),
            ("%(z)d", Filled::Missing),
            ("%(a)d", Filled::Malformed),
            ("%(a)s%", Filled::Malformed),
            ("%%(z)s%(", Filled::Malformed),
            ("%s", Filled::Malformed),
            ("%(a", Filled::Malformed),
            ("%(l)s", Filled::Malformed),
        ] {
            let read = Template::new(template);
            assert_eq!(read.fill(target), expected, "{template}");
            assert_eq!(read.to_string(), template);
        }
    }
}
