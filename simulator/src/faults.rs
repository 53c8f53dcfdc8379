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
use std::time::Duration;

use crate::draws::Draws;
use gate::Gate;
use rule::{Asked, Entry};

/// The rules of one simulator, in order.
#[derive(Debug)]
pub struct Faults(Mutex<Rules>);

#[derive(Debug)]
struct Rules {
    entries: Vec<Entry>,
    draws: Draws,
}

impl Faults {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Rules { entries: Vec::new(), draws: Draws::new(seed) }))
    }

    /// Appends a rule. The handle tells when it strikes and lets go of what it holds.
    pub fn add(&self, rule: Rule) -> Fault {
        let gate = Arc::new(Gate::new());
        self.with(|rules| rules.entries.push(Entry::new(rule, Arc::clone(&gate))));
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
    fn strike(&self, asked: &Asked<'_>) -> Option<(Action, Arc<Gate>)> {
        self.with(|rules| {
            let mut struck = None;
            // The whole list is walked: rules behind the one that strikes count the request, too.
            for entry in rules.entries.iter_mut().filter(|entry| entry.rule.fits(asked)) {
                entry.seen += 1;
                if struck.is_none() && entry.is_due() {
                    entry.struck = true;
                    struck = Some((entry.rule.action(), Arc::clone(&entry.gate)));
                }
            }
            struck
        })
    }

    /// A duration between the two, drawn from the seed; `from` when there is nothing between.
    fn draw(&self, from: Duration, to: Duration) -> Duration {
        let span = u64::try_from(to.saturating_sub(from).as_micros()).unwrap_or(u64::MAX);
        if span == 0 {
            return from;
        }
        self.with(|rules| from + Duration::from_micros(rules.draws.below(span)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Rules) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
