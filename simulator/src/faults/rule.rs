//! A rule: which requests it fits, when its turn comes, and what it does.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::RuleView;
use super::document::RuleDocument;
use super::gate::Gate;
use crate::{Service, draws};

/// What is done to a request. "Effect" is what the service itself does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Answers with this status and the service's own error body; no effect. 429 and 503 carry
    /// `Retry-After` in seconds when one is given.
    Answer {
        /// An error status.
        status: u16,
        /// Seconds.
        retry_after: Option<u32>,
    },
    /// Waits before the effect: `from` exactly when `to` is not later, else a time between the two
    /// that follows from the simulator's seed.
    Delay {
        /// At least this long.
        from: Duration,
        /// Shorter than this.
        to: Duration,
    },
    /// Holds the request before its effect until it is released.
    HoldBefore,
    /// Holds the reply after the effect until it is released.
    HoldAfter,
    /// Breaks the connection; no effect.
    DropBefore,
    /// Breaks the connection after the effect: the reply is lost.
    DropAfter,
    /// Replies, after the effect, with the right status and a body that is not what it says it is.
    Garbage,
    /// Breaks the connection, after the effect, in the midst of the reply's body.
    Cut,
    /// Gives the caller up at once and lets the effect land when it is released.
    Late(Early),
    /// Ends the token that the request shows before the service looks at it, as if its time were
    /// over: this request and all later ones meet an expired token.
    ExpireToken,
}

impl Action {
    /// As it is called where rules are data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Delay { .. } => "delay",
            Self::HoldBefore => "hold_before",
            Self::HoldAfter => "hold_after",
            Self::DropBefore => "drop_before",
            Self::DropAfter => "drop_after",
            Self::Garbage => "garbage",
            Self::Cut => "cut",
            Self::Late(_) => "late",
            Self::ExpireToken => "expire_token",
        }
    }
}

/// What a caller is told whose request takes effect later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Early {
    /// 503.
    Unavailable,
    /// Nothing: the connection breaks.
    Drop,
}

/// Which requests, and what of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RuleDocument", into = "RuleDocument")]
pub struct Rule {
    pub(super) fits: Fits,
    pub(super) nth: u32,
    pub(super) standing: bool,
    pub(super) probability: f64,
    pub(super) action: Action,
}

/// Which requests; what is left open fits all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fits {
    pub(super) service: Service,
    pub(super) method: Option<String>,
    pub(super) template: Option<String>,
    pub(super) project: Option<String>,
    pub(super) user: Option<String>,
}

impl Rule {
    /// Strikes the first request to `service`, once; the other methods narrow that or widen it.
    pub fn on(service: Service, action: Action) -> Self {
        let fits = Fits { service, method: None, template: None, project: None, user: None };
        Self { fits, nth: 1, standing: false, probability: 1.0, action }
    }

    /// Fits this HTTP method only.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.fits.method = Some(method.to_owned());
        self
    }

    /// Fits the paths of this template only, such as `/v1/secrets/{id}/payload`.
    #[must_use]
    pub fn template(mut self, template: &str) -> Self {
        self.fits.template = Some(template.to_owned());
        self
    }

    /// Fits tokens of this project (its name) only, and at Keystone requests for such a token.
    #[must_use]
    pub fn project(mut self, name: &str) -> Self {
        self.fits.project = Some(name.to_owned());
        self
    }

    /// Fits tokens of this user (its name) only, and at Keystone requests for such a token.
    #[must_use]
    pub fn user(mut self, name: &str) -> Self {
        self.fits.user = Some(name.to_owned());
        self
    }

    /// Strikes at the n-th request that fits, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = nth;
        self
    }

    /// Strikes again and again, from the n-th request on.
    #[must_use]
    pub fn standing(mut self) -> Self {
        self.standing = true;
        self
    }

    /// Strikes a request whose turn it is with this probability, between 0 and 1. Which ones those
    /// are follows from the simulator's seed, the rule's id and how many requests it has fitted:
    /// what happens at other rules makes no difference.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}

impl Fits {
    pub(super) fn fits(&self, asked: &Asked<'_>) -> bool {
        let fits = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == found)
        };
        self.service == asked.service
            && fits(&self.method, Some(asked.method))
            && fits(&self.template, Some(asked.template))
            && fits(&self.project, asked.project)
            && fits(&self.user, asked.user)
    }
}

/// A request as the rules see it.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) service: Service,
    pub(super) method: &'a str,
    pub(super) template: &'a str,
    pub(super) project: Option<&'a str>,
    pub(super) user: Option<&'a str>,
}

/// A rule in force.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) rule: Rule,
    pub(super) gate: Arc<Gate>,
    pub(super) seen: u32,
    pub(super) struck: bool,
}

impl Entry {
    pub(super) fn new(rule: Rule, gate: Arc<Gate>) -> Self {
        Self { rule, gate, seen: 0, struck: false }
    }

    pub(super) fn view(&self) -> RuleView {
        let Self { rule, gate, seen, struck } = self;
        let (id, held) = (gate.id, gate.waiting());
        RuleView { id, rule: rule.clone(), seen: *seen, struck: *struck, held }
    }

    /// Whether the request that was counted last is to be struck.
    pub(super) fn is_due(&self, seed: u64) -> bool {
        self.seen >= self.rule.nth
            && (self.rule.standing || !self.struck)
            && self.draw(seed, "strike") < self.rule.probability
    }

    /// A number from 0 up to 1 for the request that was counted last: the same in every run.
    pub(super) fn draw(&self, seed: u64, what: &str) -> f64 {
        draws::fraction(seed, what, &format!("{} {}", self.gate.id, self.seen))
    }
}
