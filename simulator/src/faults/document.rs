//! A rule as data: JSON for `/_simulator`, and the same in a line of words.
//!
//! `{"service": "barbican", "method": "DELETE", "template": "/v1/secrets/{id}", "project": "donor",
//! "nth": 2, "standing": true, "probability": 0.05, "action": {"answer": {"status": 503,
//! "retry_after": 2}}}`; all but `service` and `action` may be left out.
//!
//! As a line: `barbican DELETE /v1/secrets/{id} project=donor nth=2 standing probability=0.05
//! status=503 retry_after=2`. First the service, then in any order a method, a template, and the
//! rest. Instead of `status` an action is `delay_ms=100`, `delay_ms=100..200`, `late=unavailable`,
//! `late=drop`, or its bare name.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::rule::{Action, Asked, Early, Fits, Rule};
use crate::Service;

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleDocument {
    service: Service,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nth: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    standing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<ActionDocument>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ActionDocument {
    Answer {
        status: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    Delay {
        from_ms: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        to_ms: Option<u64>,
    },
    HoldBefore,
    HoldAfter,
    DropBefore,
    DropAfter,
    Garbage,
    Cut,
    Late(EarlyDocument),
    ExpireToken,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EarlyDocument {
    Unavailable,
    Drop,
}

/// Actions that are said in one word.
const BARE: [&str; 7] =
    ["hold_before", "hold_after", "drop_before", "drop_after", "garbage", "cut", "expire_token"];

/// The longest delay: an hour. What is to wait for longer is held.
const LONGEST_DELAY_MS: u64 = 3_600_000;

/// The methods that a service is asked with. A rule for another one would never strike.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What is wrong with a rule that is said as data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It has not the form of one.
    #[error("{0}")]
    Form(String),
    /// No request has this method.
    #[error("method: {0} is none of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS")]
    Method(String),
    /// A template is a path.
    #[error("template: {0} does not begin with a slash")]
    Template(String),
    /// Nothing is to be done.
    #[error("action: a rule does something")]
    NoAction,
    /// Two things are to be done.
    #[error("{0}: a rule does one thing")]
    TwoActions(String),
    /// A condition does nothing itself.
    #[error("a condition has a service, a method, a template, a project, a user and nth, no more")]
    NotACondition,
    /// Counting begins with one.
    #[error("nth: requests are counted from 1")]
    Nth,
    /// Not a probability.
    #[error("probability: {0} is not between 0 and 1")]
    Probability(String),
    /// A status that services do not refuse with.
    #[error("status: {0} is no error, which is 400 to 599")]
    Status(u16),
    /// A delay that is over before it can begin.
    #[error("delay: {from_ms} to {to_ms} ms is no span of time of at most {LONGEST_DELAY_MS} ms")]
    Delay {
        /// The shortest.
        from_ms: u64,
        /// The longest, which is shorter.
        to_ms: u64,
    },
    /// A word of a line that means nothing.
    #[error(
        "{0}: what is that? say for instance: barbican GET /v1/secrets/{{id}} nth=2 status=503"
    )]
    Word(String),
}

impl RuleDocument {
    fn fits(&self) -> Result<Fits, RuleError> {
        let method = self.method.as_deref().map(str::to_ascii_uppercase);
        if let Some(unknown) = method.as_deref().filter(|method| !METHODS.contains(method)) {
            return Err(RuleError::Method(unknown.to_owned()));
        }
        if let Some(other) = self.template.as_deref().filter(|path| !path.starts_with('/')) {
            return Err(RuleError::Template(other.to_owned()));
        }
        Ok(Fits {
            service: self.service,
            method,
            template: self.template.clone(),
            project: self.project.clone(),
            user: self.user.clone(),
        })
    }

    fn nth(&self) -> Result<u32, RuleError> {
        self.nth.map_or(Ok(1), |nth| if nth == 0 { Err(RuleError::Nth) } else { Ok(nth) })
    }
}

impl TryFrom<RuleDocument> for Rule {
    type Error = RuleError;

    fn try_from(document: RuleDocument) -> Result<Self, RuleError> {
        let probability = document.probability.unwrap_or(1.0);
        if !(0.0..=1.0).contains(&probability) {
            return Err(RuleError::Probability(probability.to_string()));
        }
        Ok(Self {
            fits: document.fits()?,
            nth: document.nth()?,
            standing: document.standing,
            probability,
            action: document.action.ok_or(RuleError::NoAction)?.action()?,
        })
    }
}

impl From<Rule> for RuleDocument {
    fn from(rule: Rule) -> Self {
        let Fits { service, method, template, project, user } = rule.fits;
        Self {
            service,
            method,
            template,
            project,
            user,
            nth: (rule.nth != 1).then_some(rule.nth),
            standing: rule.standing,
            probability: (rule.probability < 1.0).then_some(rule.probability),
            action: Some(rule.action.into()),
        }
    }
}

impl ActionDocument {
    fn action(self) -> Result<Action, RuleError> {
        Ok(match self {
            Self::Answer { status, retry_after } => {
                if !(400..600).contains(&status) {
                    return Err(RuleError::Status(status));
                }
                Action::Answer { status, retry_after }
            }
            Self::Delay { from_ms, to_ms } => {
                let to_ms = to_ms.unwrap_or(from_ms);
                if to_ms < from_ms || to_ms > LONGEST_DELAY_MS {
                    return Err(RuleError::Delay { from_ms, to_ms });
                }
                let (from, to) = (Duration::from_millis(from_ms), Duration::from_millis(to_ms));
                Action::Delay { from, to }
            }
            Self::HoldBefore => Action::HoldBefore,
            Self::HoldAfter => Action::HoldAfter,
            Self::DropBefore => Action::DropBefore,
            Self::DropAfter => Action::DropAfter,
            Self::Garbage => Action::Garbage,
            Self::Cut => Action::Cut,
            Self::Late(EarlyDocument::Unavailable) => Action::Late(Early::Unavailable),
            Self::Late(EarlyDocument::Drop) => Action::Late(Early::Drop),
            Self::ExpireToken => Action::ExpireToken,
        })
    }
}

impl From<Action> for ActionDocument {
    fn from(action: Action) -> Self {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match action {
            Action::Answer { status, retry_after } => Self::Answer { status, retry_after },
            Action::Delay { from, to } => {
                Self::Delay { from_ms: ms(from), to_ms: (to > from).then(|| ms(to)) }
            }
            Action::HoldBefore => Self::HoldBefore,
            Action::HoldAfter => Self::HoldAfter,
            Action::DropBefore => Self::DropBefore,
            Action::DropAfter => Self::DropAfter,
            Action::Garbage => Self::Garbage,
            Action::Cut => Self::Cut,
            Action::Late(Early::Unavailable) => Self::Late(EarlyDocument::Unavailable),
            Action::Late(Early::Drop) => Self::Late(EarlyDocument::Drop),
            Action::ExpireToken => Self::ExpireToken,
        }
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    /// Reads a rule from one line, as in `barbican POST /v1/secrets nth=3 status=503`.
    fn from_str(line: &str) -> Result<Self, RuleError> {
        document(line)?.try_into()
    }
}

/// A request that something waits for, as in `barbican POST /v1/secrets nth=3`.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    fits: Fits,
    pub(super) nth: u32,
}

impl Condition {
    pub(super) fn fits(&self, asked: &Asked<'_>) -> bool {
        self.fits.fits(asked)
    }
}

impl FromStr for Condition {
    type Err = RuleError;

    fn from_str(line: &str) -> Result<Self, RuleError> {
        let document = document(line)?;
        if document.action.is_some() || document.standing || document.probability.is_some() {
            return Err(RuleError::NotACondition);
        }
        Ok(Self { fits: document.fits()?, nth: document.nth()? })
    }
}

fn document(line: &str) -> Result<RuleDocument, RuleError> {
    let mut words = line.split_whitespace();
    let mut said = Map::new();
    said.insert("service".to_owned(), words.next().unwrap_or_default().into());
    for word in words {
        let (name, value) = meaning(word)?;
        match said.get_mut(&name) {
            None => drop(said.insert(name, value)),
            // Status and Retry-After are two words for one answer.
            Some(Value::Object(action)) if action.contains_key("answer") => {
                let fresh = match (&mut action["answer"], value.get("answer")) {
                    (Value::Object(said), Some(Value::Object(more))) => {
                        let fresh = more.keys().all(|key| !said.contains_key(key));
                        said.extend(more.clone());
                        fresh
                    }
                    _ => false,
                };
                if !fresh {
                    return Err(RuleError::TwoActions(word.to_owned()));
                }
            }
            Some(_) if name == "action" => return Err(RuleError::TwoActions(word.to_owned())),
            Some(_) => return Err(RuleError::Word(word.to_owned())),
        }
    }
    serde_json::from_value(Value::Object(said)).map_err(|error| RuleError::Form(error.to_string()))
}

/// The field of a rule's document that a word sets.
fn meaning(word: &str) -> Result<(String, Value), RuleError> {
    let wrong = || RuleError::Word(word.to_owned());
    let number = |text: &str| text.parse::<u64>().map(Value::from).map_err(|_| wrong());
    let action = |action| Ok(("action".to_owned(), action));
    let Some((name, text)) = word.split_once('=').filter(|_| !word.starts_with('/')) else {
        return match word {
            "standing" => Ok((word.to_owned(), true.into())),
            path if path.starts_with('/') => Ok(("template".to_owned(), path.into())),
            bare if BARE.contains(&bare) => action(bare.into()),
            method if method.chars().all(|letter| letter.is_ascii_uppercase()) => {
                Ok(("method".to_owned(), method.into()))
            }
            _ => Err(wrong()),
        };
    };
    match name {
        "project" | "user" => Ok((name.to_owned(), text.into())),
        "nth" => Ok((name.to_owned(), number(text)?)),
        "probability" => Ok((name.to_owned(), text.parse::<f64>().map_err(|_| wrong())?.into())),
        "status" | "retry_after" => action(json!({"answer": {name: number(text)?}})),
        "late" => action(json!({ "late": text })),
        "delay_ms" => match text.split_once("..") {
            Some((from, to)) => {
                action(json!({"delay": {"from_ms": number(from)?, "to_ms": number(to)?}}))
            }
            None => action(json!({"delay": {"from_ms": number(text)?}})),
        },
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_its_document_says() {
        for (line, document) in [
            ("barbican cut", json!({"service": "barbican", "action": "cut"})),
            (
                "barbican POST /v1/secrets nth=3 status=503",
                json!({"service": "barbican", "method": "POST", "template": "/v1/secrets",
                    "nth": 3, "action": {"answer": {"status": 503}}}),
            ),
            (
                "keystone retry_after=2 user=x status=429 project=donor standing probability=0.05",
                json!({"service": "keystone", "project": "donor", "user": "x", "standing": true,
                    "probability": 0.05, "action": {"answer": {"status": 429, "retry_after": 2}}}),
            ),
            (
                "block_storage delay_ms=100..200",
                json!({"service": "block_storage", "action": {"delay": {"from_ms": 100,
                    "to_ms": 200}}}),
            ),
            (
                "barbican delay_ms=5",
                json!({"service": "barbican", "action": {"delay": {"from_ms": 5}}}),
            ),
            ("barbican late=drop", json!({"service": "barbican", "action": {"late": "drop"}})),
            ("barbican expire_token", json!({"service": "barbican", "action": "expire_token"})),
        ] {
            let rule: Rule = line.parse().unwrap();
            assert_eq!(serde_json::to_value(&rule).unwrap(), document, "{line}");
            let read: Rule = serde_json::from_value(document).unwrap();
            assert_eq!(read, rule, "{line}");
        }
        for action in BARE {
            let rule: Rule = format!("barbican {action}").parse().unwrap();
            assert_eq!(rule.action.name(), action);
        }
    }

    #[test]
    fn a_line_that_means_nothing_is_refused_with_its_reason() {
        for (line, words) in [
            ("", "unknown variant"),
            ("nova cut", "nova"),
            ("barbican", "does something"),
            ("barbican cut garbage", "garbage: a rule does one thing"),
            ("barbican status=503 status=500", "status=500: a rule does one thing"),
            ("barbican status=503 cut", "cut: a rule does one thing"),
            ("barbican cut status=503", "status=503: a rule does one thing"),
            ("barbican GET POST cut", "POST: what is that?"),
            ("barbican explode", "explode: what is that?"),
            ("barbican nth=x cut", "nth=x: what is that?"),
            ("barbican nth=0 cut", "from 1"),
            ("barbican status=200", "no error"),
            ("barbican retry_after=2", "status"),
            ("barbican probability=2 cut", "between 0 and 1"),
            ("barbican late=soon", "soon"),
            ("barbican delay_ms=1..x", "delay_ms=1..x: what is that?"),
            ("barbican delay_ms=500..1", "500 to 1 ms is no span"),
        ] {
            let error = line.parse::<Rule>().unwrap_err().to_string();
            assert!(error.contains(words), "{line}: {error}");
        }
        for line in ["barbican cut", "barbican standing", "barbican probability=0.5"] {
            assert_eq!(line.parse::<Condition>().unwrap_err(), RuleError::NotACondition, "{line}");
        }
    }
}
