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
mod gate;
mod rule;
mod service;

pub use gate::Fault;
pub use rule::{Action, Early, Rule};
pub use service::{Broken, FaultyService};

use std::sync::{Arc, Mutex, PoisonError};

use gate::Gate;
use rule::{Asked, Entry};

/// The rules of one simulator, in order.
#[derive(Debug)]
pub struct Faults(Mutex<Rules>);

#[derive(Debug)]
struct Rules {
    seed: u64,
    last_id: u64,
    entries: Vec<Entry>,
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
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Rules { seed, last_id: 0, entries: Vec::new() }))
    }

    /// Appends a rule. The handle tells when it strikes and lets go of what it holds.
    pub fn add(&self, rule: Rule) -> Fault {
        let gate = Arc::new(Gate::new());
        self.with(|rules| {
            rules.last_id += 1;
            rules.entries.push(Entry::new(rules.last_id, rule, Arc::clone(&gate)));
        });
        Fault::new(gate)
    }

    /// Removes every rule and lets go of every request that is held.
    pub fn clear(&self) {
        self.with(|rules| {
            for entry in rules.entries.drain(..) {
                entry.gate.open();
            }
        });
    }

    /// As at the start: no rules, and the next one is the first again.
    pub(crate) fn restart(&self) {
        self.clear();
        self.with(|rules| rules.last_id = 0);
    }

    /// Removes one rule and lets go of every request that it holds.
    pub fn remove(&self, fault: &Fault) {
        self.with(|rules| rules.entries.retain(|entry| !fault.is_of(&entry.gate)));
        fault.open();
    }

    /// How many requests a rule has fitted, and whether it has struck; none when it was removed.
    pub fn met(&self, fault: &Fault) -> Option<(u32, bool)> {
        self.with(|rules| {
            let entry = rules.entries.iter().find(|entry| fault.is_of(&entry.gate))?;
            Some((entry.seen, entry.struck))
        })
    }

    /// Counts a request and says what is to be done to it.
    fn strike(&self, asked: &Asked<'_>) -> Option<Strike> {
        self.with(|rules| {
            let mut struck = None;
            // The whole list is walked: rules behind the one that strikes count the request, too.
            for entry in rules.entries.iter_mut().filter(|entry| entry.rule.fits(asked)) {
                entry.seen += 1;
                if struck.is_none() && entry.is_due(rules.seed) {
                    entry.struck = true;
                    struck = Some(Strike {
                        action: entry.rule.action(),
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
