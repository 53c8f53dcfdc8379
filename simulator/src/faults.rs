//! Failures on demand: rules that say which request fails and how.
//!
//! ```
//! # use simulator::{Config, Service, Simulator, faults::{Action, Rule}};
//! # let simulator = Simulator::new(Config::new("secret")).unwrap();
//! let lost = Rule::on(Service::Barbican, Action::DropAfter)
//!     .method("DELETE")
//!     .template("/v1/secrets/{id}")
//!     .project("donor");
//! let fault = simulator.faults().add(lost);
//! ```
//!
//! Every rule counts every request that it fits. The first rule in order whose turn has come
//! decides alone about a request. A request that has arrived is carried through even when its
//! caller goes away, as a real service does.

mod answer;
mod document;
mod gate;
mod rule;
mod scenario;
mod service;

pub use document::RuleError;
pub use gate::Fault;
pub use rule::{Action, Early, Rule};
pub(crate) use scenario::LONGEST_STEP;
pub use scenario::{Scenario, ScenarioError};
pub use service::{Broken, FaultyService};

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::Clock;
use crate::clock::Reading;
use gate::Gate;
use rule::{Asked, Entry};

/// The rules of one simulator, in order.
#[derive(Debug)]
pub struct Faults(Mutex<Rules>);

#[derive(Debug)]
struct Rules {
    seed: u64,
    clock: Clock,
    /// As it was before the scenario began.
    began: Reading,
    /// Those that are there from the start.
    first: Vec<Rule>,
    scenario: Scenario,
    /// The step of the scenario that is next, and how many requests it was looking for have come.
    next_step: usize,
    awaited: u32,
    last_id: u64,
    entries: Vec<Entry>,
}

/// A rule in force, to look at.
#[derive(Clone, Debug, Serialize)]
pub struct RuleView {
    /// [`Fault::id`].
    pub id: u64,
    /// What was asked for.
    pub rule: Rule,
    /// How many requests it has fitted.
    pub seen: u32,
    /// Whether it has struck.
    pub struck: bool,
    /// How many requests it holds at this moment.
    pub held: usize,
}

/// What is done to a request.
#[derive(Debug)]
struct Strike {
    action: Action,
    gate: Arc<Gate>,
    /// Where between its limits a delay ends, from 0 up to 1.
    within: f64,
}

impl Faults {
    pub(crate) fn new(seed: u64, clock: Clock, first: Vec<Rule>, scenario: Scenario) -> Self {
        let faults = Self(Mutex::new(Rules {
            seed,
            began: clock.reading(),
            clock,
            first,
            scenario,
            next_step: 0,
            awaited: 0,
            last_id: 0,
            entries: Vec::new(),
        }));
        faults.restart();
        faults
    }

    /// Appends a rule. The handle tells when it strikes and lets go of what it holds.
    pub fn add(&self, rule: Rule) -> Fault {
        self.with(|rules| rules.add(rule))
    }

    /// Removes every rule and lets go of every request that is held. A scenario goes on.
    pub fn clear(&self) {
        self.with(Rules::clear);
    }

    /// As at the start: the time and the rules of then, the scenario at its beginning, and numbers
    /// from 1.
    pub fn restart(&self) {
        self.with(|rules| {
            rules.clear();
            rules.clock.set(rules.began);
            (rules.next_step, rules.awaited, rules.last_id) = (0, 0, 0);
            for rule in rules.first.clone() {
                rules.add(rule);
            }
            rules.proceed(None);
        });
    }

    /// Removes one rule and lets go of every request that it holds.
    pub fn remove(&self, fault: &Fault) {
        self.with(|rules| rules.entries.retain(|entry| entry.gate.id != fault.id()));
        fault.open();
    }

    /// Every rule in force, in order.
    pub fn list(&self) -> Vec<RuleView> {
        self.with(|rules| rules.entries.iter().map(Entry::view).collect())
    }

    /// The rule in force that has this id.
    pub fn get(&self, id: u64) -> Option<Fault> {
        self.with(|rules| {
            let entry = rules.entries.iter().find(|entry| entry.gate.id == id)?;
            Some(Fault::new(Arc::clone(&entry.gate)))
        })
    }

    /// Counts a request and says what is to be done to it.
    fn strike(&self, asked: &Asked<'_>) -> Option<Strike> {
        self.with(|rules| {
            rules.proceed(Some(asked));
            let mut struck = None;
            // The whole list is walked: rules behind the one that strikes count the request, too.
            for entry in rules.entries.iter_mut().filter(|entry| entry.rule.fits.fits(asked)) {
                entry.seen += 1;
                if struck.is_none() && entry.is_due(rules.seed) {
                    entry.struck = true;
                    struck = Some(Strike {
                        action: entry.rule.action,
                        gate: Arc::clone(&entry.gate),
                        within: entry.draw(rules.seed, "delay"),
                    });
                }
            }
            struck
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Rules) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Rules {
    fn add(&mut self, rule: Rule) -> Fault {
        self.last_id += 1;
        let gate = Arc::new(Gate::new(self.last_id));
        self.entries.push(Entry::new(rule, Arc::clone(&gate)));
        Fault::new(gate)
    }

    fn clear(&mut self) {
        for entry in self.entries.drain(..) {
            entry.gate.open();
        }
    }

    /// Takes the steps of the scenario whose turn has come with this request.
    fn proceed(&mut self, mut asked: Option<&Asked<'_>>) {
        while let Some(step) = self.scenario.steps.get(self.next_step) {
            if let Some(when) = &step.when {
                if !asked.is_some_and(|asked| when.fits(asked)) {
                    return;
                }
                self.awaited += 1;
                if self.awaited < when.nth {
                    return;
                }
                asked = None;
            }
            let step = step.clone();
            (self.next_step, self.awaited) = (self.next_step + 1, 0);
            if step.clear_faults {
                self.clear();
            }
            self.clock.advance(step.advance);
            for rule in step.faults {
                self.add(rule);
            }
        }
    }
}
