//! A rule, read: the tree that the rule language describes.
//!
//! Printing a rule and reading it again gives the same rule, for every rule that was read from
//! text. Does not decide anything: that is [`crate::evaluation`].

use crate::parser;
use crate::template::Template;
use std::fmt;

/// A rule as a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Check {
    /// `@`, and the empty rule.
    True,
    /// `!`, and what is not understood.
    False,
    /// `not …`.
    Not(Box<Check>),
    /// `… and …`; two at least.
    And(Vec<Check>),
    /// `… or …`; two at least.
    Or(Vec<Check>),
    /// `rule:…`: whatever the rule of this name says.
    Rule(String),
    /// `role:…`: one of the caller's roles, without regard to case.
    Role(Template),
    /// Anything else with a colon: an attribute of the caller, or a literal, compared with text.
    Attribute(Attribute),
    /// `http:…` and `https:…`, which this crate does not ask.
    Remote(String),
}

/// The check of an attribute of the caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attribute {
    kind: String,
    pub(crate) subject: Subject,
    pub(crate) template: Template,
}

/// What a check of attributes compares.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// A Python literal: its `str()`.
    Literal(String),
    /// An attribute of the caller, by the names that lead to it.
    Path(Vec<String>),
    /// Neither; Python would raise.
    Malformed,
}

impl Check {
    /// Reads a rule of the rule language. What is not understood becomes [`Check::False`], and an
    /// error in the log.
    pub fn parse(rule: &str) -> Self {
        parser::rule(rule)
    }

    /// The check of `kind:template`, which is neither a rule nor a role.
    pub(crate) fn attribute(kind: &str, template: &str) -> Self {
        Self::Attribute(Attribute {
            kind: kind.to_owned(),
            subject: Subject::new(kind),
            template: Template::new(template),
        })
    }

    /// The checks below that hold no others, itself included.
    pub(crate) fn leaves(&self) -> Vec<&Self> {
        match self {
            Self::Not(check) => check.leaves(),
            Self::And(checks) | Self::Or(checks) => checks.iter().flat_map(Self::leaves).collect(),
            Self::True
            | Self::False
            | Self::Rule(_)
            | Self::Role(_)
            | Self::Attribute(_)
            | Self::Remote(_) => vec![self],
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |checks: &[Self], word: &str| {
            checks.iter().map(Self::to_string).collect::<Vec<_>>().join(word)
        };
        match self {
            Self::True => f.write_str("@"),
            Self::False => f.write_str("!"),
            Self::Not(check) => write!(f, "not {check}"),
            Self::And(checks) => write!(f, "({})", joined(checks, " and ")),
            Self::Or(checks) => write!(f, "({})", joined(checks, " or ")),
            Self::Rule(name) => write!(f, "rule:{name}"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Remote(url) => f.write_str(url),
            Self::Attribute(Attribute { kind, template, .. }) => {
                let text = format!("{kind}:{template}");
                // alone, this would be read as a quoted word
                if parser::is_quoted(&text) { write!(f, "({text})") } else { f.write_str(&text) }
            }
        }
    }
}

impl Subject {
    /// What `ast.literal_eval` takes for a literal (text without escapes, small whole numbers and
    /// constants), else names joined by dots.
    fn new(kind: &str) -> Self {
        let quoted = ['\'', '"'].into_iter().find_map(|quote| {
            let inner = kind.strip_prefix(quote)?.strip_suffix(quote)?;
            (!inner.contains([quote, '\\', '\n', '\r'])).then_some(inner)
        });
        if let Some(text) = quoted {
            return Self::Literal(text.to_owned());
        }
        if matches!(kind, "True" | "False" | "None") {
            return Self::Literal(kind.to_owned());
        }
        if let Ok(number) = kind.parse::<i64>() {
            let digits = kind.trim_start_matches(['+', '-']);
            let is_octal = number != 0 && digits.starts_with('0');
            return if is_octal { Self::Malformed } else { Self::Literal(number.to_string()) };
        }
        // a dash is a difference of names to Python, and then no literal either
        if kind.split(['.', '-']).all(is_name) {
            return Self::Path(kind.split('.').map(str::to_owned).collect());
        }
        Self::Malformed
    }
}

/// Python's keywords: they name no attribute.
const KEYWORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
        && !KEYWORDS.contains(&name)
}
