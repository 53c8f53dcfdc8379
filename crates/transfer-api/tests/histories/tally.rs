//! What the histories of a run came across.

use crate::operation::Fault;
use std::collections::BTreeMap;
use std::fmt;

#[derive(Default, Debug)]
pub(crate) struct Tally(BTreeMap<String, u32>);

impl Tally {
    /// An act came out with this status.
    pub(crate) fn count(&mut self, act: &str, status: u16) {
        *self.0.entry(format!("{act} {status}")).or_insert(0) += 1;
    }

    /// A fault struck a request.
    pub(crate) fn met(&mut self, fault: Fault) {
        *self.0.entry(format!("{:?} {}", fault.service, fault.how.name())).or_insert(0) += 1;
    }

    /// How often something came up whose name holds these words.
    pub(crate) fn of(&self, words: &str) -> u32 {
        self.0.iter().filter(|(name, _)| name.contains(words)).map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.0 {
            writeln!(f, "{count:6} {name}")?;
        }
        Ok(())
    }
}
