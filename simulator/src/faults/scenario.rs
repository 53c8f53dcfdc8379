//! A script of faults and time, as a TOML file.
//!
//! ```toml
//! seed = 7                                    # what ids, keys and draws follow from
//! time = "2026-01-01T00:00:00Z"               # the clock stands there, and moves by steps alone
//!
//! [[steps]]                                   # no `when`: at once
//! faults = ["barbican POST /v1/secrets drop_after"]
//!
//! [[steps]]                                   # as this request comes, before it is judged
//! when = "barbican GET /v1/secrets/{id}/payload nth=3"
//! clear_faults = true                         # first; requests that were held go on
//! advance_seconds = 7200                      # then
//! faults = ["keystone standing probability=0.2 status=503"]
//! ```
//!
//! Steps are taken in order. One that waits counts requests from when the step before it was taken,
//! and a request lets at most one waiting step go.

use std::str::FromStr;

use serde::Deserialize;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::document::{Condition, RuleError};
use super::rule::Rule;
use crate::Clock;

/// The longest step of the clock in seconds: about 30 years.
pub(crate) const LONGEST_STEP: i64 = 1_000_000_000;

/// A script, or none.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    pub(crate) seed: Option<u64>,
    pub(crate) time: Option<OffsetDateTime>,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) when: Option<Condition>,
    pub(super) clear_faults: bool,
    pub(super) advance: Duration,
    pub(super) faults: Vec<Rule>,
}

/// What is wrong with a script.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It is not TOML, or has another form.
    #[error(transparent)]
    Form(#[from] toml::de::Error),
    /// The time it begins at.
    #[error("time: {0} is not as in 2026-01-01T00:00:00Z, before the year 9000")]
    Time(String),
    /// A step of the clock.
    #[error("step {step}: advance_seconds: from 0 to {LONGEST_STEP}")]
    Advance {
        /// Counted from 1.
        step: usize,
    },
    /// A line of one of its steps.
    #[error("step {step}: {line:?}: {why}")]
    Line {
        /// Counted from 1.
        step: usize,
        /// As it stands there.
        line: String,
        /// What is wrong with it.
        why: RuleError,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    seed: Option<u64>,
    time: Option<String>,
    #[serde(default)]
    steps: Vec<StepDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepDocument {
    when: Option<String>,
    #[serde(default)]
    clear_faults: bool,
    #[serde(default)]
    advance_seconds: i64,
    #[serde(default)]
    faults: Vec<String>,
}

impl FromStr for Scenario {
    type Err = ScenarioError;

    fn from_str(text: &str) -> Result<Self, ScenarioError> {
        let document: Document = toml::from_str(text)?;
        let time = |text: String| match OffsetDateTime::parse(&text, &Rfc3339) {
            Ok(time) if time < Clock::END => Ok(time),
            Ok(_) | Err(_) => Err(ScenarioError::Time(text)),
        };
        let steps = document.steps.into_iter().enumerate();
        Ok(Self {
            seed: document.seed,
            time: document.time.map(time).transpose()?,
            steps: steps.map(|(at, step)| step.step(at + 1)).collect::<Result<_, _>>()?,
        })
    }
}

impl StepDocument {
    fn step(self, step: usize) -> Result<Step, ScenarioError> {
        if !(0..=LONGEST_STEP).contains(&self.advance_seconds) {
            return Err(ScenarioError::Advance { step });
        }
        Ok(Step {
            when: self.when.map(|line| read(step, line)).transpose()?,
            clear_faults: self.clear_faults,
            advance: Duration::seconds(self.advance_seconds),
            faults: self
                .faults
                .into_iter()
                .map(|line| read(step, line))
                .collect::<Result<_, _>>()?,
        })
    }
}

fn read<T: FromStr<Err = RuleError>>(step: usize, line: String) -> Result<T, ScenarioError> {
    line.parse().map_err(|why| ScenarioError::Line { step, line, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_means_nothing_is_refused_with_its_step() {
        for (text, words) in [
            ("seed = 'x'", "expected u64"),
            ("step = []", "unknown field `step`"),
            ("time = 'noon'", "noon is not as in 2026"),
            ("time = '9999-12-31T23:00:00Z'", "before the year 9000"),
            ("[[steps]]\nadvance_seconds = -1", "step 1: advance_seconds"),
            ("[[steps]]\n[[steps]]\nfaults = ['nova cut']", "step 2: \"nova cut\": unknown"),
            ("[[steps]]\nwhen = 'barbican cut'", "a condition has"),
        ] {
            let error = text.parse::<Scenario>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
