//! "Persist before act" as a type: what an executor acts on came out of the database.

use std::ops::Deref;
use transfer_core::{Debt, Effect, HandOver, Payment, Pending};

/// Something that is in the database. Only this crate makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Committed<T>(T);

impl<T> Committed<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    /// Gives up the proof.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Committed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Committed<HandOver> {
    /// The effects that the state in the journal asks for; none when it asks for its end.
    pub fn effects(&self) -> Vec<Committed<Effect>> {
        match self.0.pending() {
            Pending::Effects(effects) => effects.into_iter().map(Committed).collect(),
            Pending::Commit | Pending::Abort | Pending::Rest => Vec::new(),
        }
    }
}

impl Committed<Debt> {
    /// What pays the debt.
    pub fn payment(&self) -> Committed<Payment> {
        Committed(self.0.pending())
    }
}
