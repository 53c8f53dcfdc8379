//! What a check has to show: a run step by step, and how often everything was visited.
//!
//! The model and the schedules of the real stack both tell their runs as a [`Trace`] and their
//! visits as a [`Coverage`]; reports know these two and nothing of where they come from.

use std::collections::BTreeMap;
use transfer_core::{ProjectId, Violation, World};

/// A lane of a sequence diagram.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lane {
    /// Somebody who sends requests, by the name of the project: `X`, `Y`, `Z`.
    Caller(String),
    /// What serves requests, or recovers: `service`, `replica 1`.
    Replica(String),
    /// The database.
    Database,
    /// The key manager: secrets that belong to this project.
    Secrets(ProjectId),
}

/// One step of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Whose step it is: `accept by Y`, `recovery 1`.
    pub actor: String,
    /// Where it begins.
    pub from: Lane,
    /// Where it takes effect.
    pub to: Lane,
    /// What is done, in a few words: `fill the shell of key A`.
    pub what: String,
    /// What went wrong with it, if anything did: `reply lost`.
    pub fault: Option<String>,
    /// The world after the step.
    pub world: World,
    /// What this step broke.
    pub broken: Vec<Violation>,
}

/// One run, from its beginning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// The protocol's name.
    pub protocol: String,
    /// What the run is an example of.
    pub scenario: String,
    /// What `--replay` takes to run it again.
    pub replay: String,
    /// How people call the projects of the world.
    pub names: BTreeMap<ProjectId, String>,
    /// The world before the first step.
    pub start: World,
    /// The steps.
    pub steps: Vec<Step>,
}

impl Trace {
    /// What the run broke, in order.
    pub fn broken(&self) -> impl Iterator<Item = &Violation> {
        self.steps.iter().flat_map(|step| &step.broken)
    }
}

/// How often everything was visited.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Coverage {
    /// By step (`create a shell`) and by what became of it (`done`, `refused`, `crash after`).
    pub steps: BTreeMap<String, BTreeMap<String, u64>>,
    /// Situations that must come about, and how often they did: phases, debts, races both ways.
    pub situations: BTreeMap<String, u64>,
}

impl Coverage {
    /// Counts one visit of a step.
    pub fn step(&mut self, step: &str, outcome: &str) {
        self.add_steps(step, outcome, 1);
    }

    /// Counts visits of a step.
    pub fn add_steps(&mut self, step: &str, outcome: &str, times: u64) {
        let outcomes = self.steps.entry(step.to_owned()).or_default();
        *outcomes.entry(outcome.to_owned()).or_default() += times;
    }

    /// Counts a situation; with 0, says that it is expected.
    pub fn situation(&mut self, name: &str, times: u64) {
        *self.situations.entry(name.to_owned()).or_default() += times;
    }

    /// Adds what another worker visited.
    pub fn merge(&mut self, other: &Self) {
        for (step, outcomes) in &other.steps {
            for (outcome, times) in outcomes {
                self.add_steps(step, outcome, *times);
            }
        }
        for (name, times) in &other.situations {
            self.situation(name, *times);
        }
    }

    /// Situations that never came about.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.situations.iter().filter(|(_, times)| **times == 0).map(|(name, _)| name.as_str())
    }
}
