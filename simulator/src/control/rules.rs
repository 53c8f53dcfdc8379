//! A rule as JSON.
//!
//! `{"service": "barbican", "method": "DELETE", "template": "/v1/secrets/{id}", "project": "donor",
//! "nth": 2, "standing": true, "probability": 0.05, "action": {"answer": {"status": 503,
//! "retry_after": 2}}}`; all but `service` and `action` may be left out.

use std::time::Duration;

use serde::Deserialize;

use crate::Service;
use crate::faults::{Action, Early, Rule};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleDocument {
    service: ServiceName,
    method: Option<String>,
    template: Option<String>,
    project: Option<String>,
    user: Option<String>,
    nth: Option<u32>,
    #[serde(default)]
    standing: bool,
    probability: Option<f64>,
    action: ActionDocument,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ServiceName {
    Keystone,
    Barbican,
    BlockStorage,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum ActionDocument {
    Answer { status: u16, retry_after: Option<u32> },
    Delay { from_ms: u64, to_ms: Option<u64> },
    HoldBefore,
    HoldAfter,
    DropBefore,
    DropAfter,
    Garbage,
    Cut,
    Late(EarlyDocument),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum EarlyDocument {
    Unavailable,
    Drop,
}

impl RuleDocument {
    /// The rule, or what is wrong with it.
    pub(super) fn rule(self) -> Result<Rule, String> {
        let service = match self.service {
            ServiceName::Keystone => Service::Keystone,
            ServiceName::Barbican => Service::Barbican,
            ServiceName::BlockStorage => Service::BlockStorage,
        };
        let mut rule = Rule::on(service, self.action.action()?);
        if let Some(method) = self.method {
            rule = rule.method(&method.to_ascii_uppercase());
        }
        if let Some(template) = self.template {
            rule = rule.template(&template);
        }
        if let Some(project) = self.project {
            rule = rule.project(&project);
        }
        if let Some(user) = self.user {
            rule = rule.user(&user);
        }
        if let Some(nth) = self.nth {
            if nth == 0 {
                return Err("nth: requests are counted from 1".to_owned());
            }
            rule = rule.nth(nth);
        }
        if let Some(probability) = self.probability {
            if !(0.0..=1.0).contains(&probability) {
                return Err(format!("probability: {probability} is not between 0 and 1"));
            }
            rule = rule.probability(probability);
        }
        Ok(if self.standing { rule.standing() } else { rule })
    }
}

impl ActionDocument {
    fn action(self) -> Result<Action, String> {
        Ok(match self {
            Self::Answer { status, retry_after } => {
                if !(400..600).contains(&status) {
                    return Err(format!("status: {status} is no error, which is 400 to 599"));
                }
                Action::Answer { status, retry_after }
            }
            Self::Delay { from_ms, to_ms } => Action::Delay {
                from: Duration::from_millis(from_ms),
                to: Duration::from_millis(to_ms.unwrap_or(from_ms)),
            },
            Self::HoldBefore => Action::HoldBefore,
            Self::HoldAfter => Action::HoldAfter,
            Self::DropBefore => Action::DropBefore,
            Self::DropAfter => Action::DropAfter,
            Self::Garbage => Action::Garbage,
            Self::Cut => Action::Cut,
            Self::Late(EarlyDocument::Unavailable) => Action::Late(Early::Unavailable),
            Self::Late(EarlyDocument::Drop) => Action::Late(Early::Drop),
        })
    }
}
