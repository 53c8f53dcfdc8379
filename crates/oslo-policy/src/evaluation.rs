//! Decides a rule for a caller and a target.
//!
//! oslo.policy: `_checks.py`. Decided from left to right and no further than needed. Where Python
//! would raise, the whole rule cannot be decided, whatever stands around the check.

use crate::attributes::{Attributes, is_set, text};
use crate::check::{Attribute, Check, Subject};
use crate::rules::Rules;
use crate::template::{Filled, Template};
use serde_json::Value;

/// Most checks within each other, those of referred rules included.
const MAX_DEPTH: usize = 500;

/// Why a rule is neither true nor false.
#[derive(PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Undecidable {
    #[error("rule {0} refers to itself")]
    Cyclic(String),
    #[error("checks stand more than {MAX_DEPTH} deep within each other")]
    TooDeep,
    #[error("{0} is malformed, or does not fit the attributes")]
    Malformed(String),
}

/// One caller's rules, and where their evaluation stands.
pub(crate) struct Evaluation<'a> {
    rules: &'a Rules,
    target: &'a Attributes,
    credentials: &'a Attributes,
    /// The rules that are being decided, the outermost first.
    within: Vec<&'a str>,
    depth: usize,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(
        rules: &'a Rules,
        target: &'a Attributes,
        credentials: &'a Attributes,
    ) -> Self {
        Self { rules, target, credentials, within: Vec::new(), depth: 0 }
    }

    /// Decides the rule of this name; one that nobody defines is false.
    pub(crate) fn rule(&mut self, name: &str) -> Result<bool, Undecidable> {
        let Some((name, check)) = self.rules.find(name) else { return Ok(false) };
        if self.within.contains(&name) {
            return Err(Undecidable::Cyclic(name.to_owned()));
        }
        self.within.push(name);
        let decided = self.check(check);
        self.within.pop();
        decided
    }

    fn check(&mut self, check: &'a Check) -> Result<bool, Undecidable> {
        if self.depth == MAX_DEPTH {
            return Err(Undecidable::TooDeep);
        }
        self.depth += 1;
        let decided = match check {
            Check::True => Ok(true),
            Check::False => Ok(false),
            Check::Not(check) => self.check(check).map(|decided| !decided),
            Check::And(all) => self.until(all, false),
            Check::Or(any) => self.until(any, true),
            Check::Rule(name) => self.rule(name),
            Check::Role(role) => self.fill(role, check).map(|role| self.has_role(role)),
            Check::Attribute(attribute) => self.attribute(attribute, check),
            Check::Remote(_) => Err(malformed(check)),
        };
        self.depth -= 1;
        decided
    }

    /// Decides the checks up to the first that is `end`; without one it is the opposite.
    fn until(&mut self, checks: &'a [Check], end: bool) -> Result<bool, Undecidable> {
        for check in checks {
            if self.check(check)? == end {
                return Ok(end);
            }
        }
        Ok(!end)
    }

    /// The text of a template; none where the target lacks an attribute.
    fn fill(&self, template: &Template, check: &Check) -> Result<Option<String>, Undecidable> {
        match template.fill(self.target) {
            Filled::Text(text) => Ok(Some(text)),
            Filled::Missing => Ok(None),
            Filled::Malformed => Err(malformed(check)),
        }
    }

    fn has_role(&self, role: Option<String>) -> bool {
        let Some(role) = role.map(|role| role.to_lowercase()) else { return false };
        let held = self.credentials.get("roles").and_then(Value::as_array);
        held.into_iter()
            .flatten()
            .any(|held| held.as_str().is_some_and(|held| held.to_lowercase() == role))
    }

    fn attribute(&self, attribute: &Attribute, check: &Check) -> Result<bool, Undecidable> {
        let Some(wanted) = self.fill(&attribute.template, check)? else { return Ok(false) };
        match &attribute.subject {
            Subject::Literal(literal) => Ok(*literal == wanted),
            Subject::Path(path) => {
                let [first, rest @ ..] = path.as_slice() else { return Ok(false) };
                self.credential(first)
                    .map_or(Some(false), |value| holds(value, rest, &wanted))
                    .ok_or_else(|| malformed(check))
            }
            Subject::Malformed => Err(malformed(check)),
        }
    }

    /// An attribute of the caller. The scope has an older name, too.
    fn credential(&self, name: &str) -> Option<&'a Value> {
        let scope = self.credentials.get("system_scope").filter(|scope| is_set(Some(scope)));
        match scope {
            Some(scope) if name == "system" => Some(scope),
            _ => self.credentials.get(name),
        }
    }
}

fn malformed(check: &Check) -> Undecidable {
    Undecidable::Malformed(check.to_string())
}

/// Whether what the path leads to is `wanted`: one of it where there are several. `None` where the
/// path leads into what has no members.
fn holds(value: &Value, path: &[String], wanted: &str) -> Option<bool> {
    match (value, path) {
        (Value::Array(items), _) => {
            for item in items {
                if within(item, path, wanted)? {
                    return Some(true);
                }
            }
            Some(false)
        }
        (_, _) => within(value, path, wanted),
    }
}

fn within(value: &Value, path: &[String], wanted: &str) -> Option<bool> {
    match (value, path) {
        (_, []) => Some(text(value).is_some_and(|text| text == wanted)),
        (Value::Object(members), [first, rest @ ..]) => {
            members.get(first).map_or(Some(false), |value| holds(value, rest, wanted))
        }
        (_, _) => None,
    }
}
