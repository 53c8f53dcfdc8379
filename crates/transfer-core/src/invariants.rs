//! The invariants: named once, checked everywhere.
//!
//! Each is a function over a [`World`] (rows, secrets, hand-overs, debts as they stand) and a
//! [`History`] (what a watcher saw from outside: the keys at the start, who showed an auth key,
//! what each caller was told). The model, the property tests, the schedules on the real stack, the
//! crash and race tests and `demo` all call these.

mod keys;
mod outcomes;
mod world;

pub use world::{
    Answer, History, Material, OfferFate, OfferView, Row, RowId, SecretView, Told, VolumeView,
    World,
};

use std::fmt;

/// A property that must hold in every world, or, for [`Invariant::Drains`], in every world at rest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Invariant {
    /// Every key id on a live volume or snapshot names a secret that exists and is filled.
    ReferencedKeyIsLive,
    /// Volume and snapshots were repointed together, key by key.
    RowsAgree,
    /// The secret belongs to the volume's project, or to the service while an offer is open.
    CustodianOwnsKey,
    /// Every filled copy of a key is named by a row, the journal or a debt.
    NoStrayKeyMaterial,
    /// The bytes and attributes that arrive are those that left.
    KeyBytesPreserved,
    /// Of all accepts and cancels of an offer at most one takes effect; what callers were told is
    /// true.
    OneOutcome,
    /// Only the donor, the service, and a project that showed the auth key ever hold a copy.
    NoUnauthorisedCopy,
    /// What the donor loses the recipient gains, once.
    QuotaConserved,
    /// With faults off, every reachable state comes to rest with no claim and no payable debt.
    Drains,
}

/// A broken invariant, and where.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// Where and how, in words, with the ids.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant.name(), self.what)
    }
}

impl Invariant {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::ReferencedKeyIsLive,
        Self::RowsAgree,
        Self::CustodianOwnsKey,
        Self::NoStrayKeyMaterial,
        Self::KeyBytesPreserved,
        Self::OneOutcome,
        Self::NoUnauthorisedCopy,
        Self::QuotaConserved,
        Self::Drains,
    ];

    /// The name by which reports and documents call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReferencedKeyIsLive => "referenced_key_is_live",
            Self::RowsAgree => "rows_agree",
            Self::CustodianOwnsKey => "custodian_owns_key",
            Self::NoStrayKeyMaterial => "no_stray_key_material",
            Self::KeyBytesPreserved => "key_bytes_preserved",
            Self::OneOutcome => "one_outcome",
            Self::NoUnauthorisedCopy => "no_unauthorised_copy",
            Self::QuotaConserved => "quota_conserved",
            Self::Drains => "drains",
        }
    }

    /// Where the world breaks it; empty when it holds.
    pub fn check(self, world: &World, history: &History) -> Vec<Violation> {
        let found = match self {
            Self::ReferencedKeyIsLive => keys::referenced_key_is_live(world),
            Self::RowsAgree => keys::rows_agree(world, history),
            Self::CustodianOwnsKey => keys::custodian_owns_key(world),
            Self::NoStrayKeyMaterial => keys::no_stray_key_material(world, history),
            Self::KeyBytesPreserved => keys::key_bytes_preserved(world, history),
            Self::OneOutcome => outcomes::one_outcome(world, history),
            Self::NoUnauthorisedCopy => keys::no_unauthorised_copy(world, history),
            Self::QuotaConserved => outcomes::quota_conserved(world),
            Self::Drains => outcomes::drains(world),
        };
        found.into_iter().map(|what| Violation { invariant: self, what }).collect()
    }
}

/// Everything that is wrong in a world that may still be moving: all but [`Invariant::Drains`].
pub fn check(world: &World, history: &History) -> Vec<Violation> {
    Invariant::ALL
        .into_iter()
        .filter(|invariant| *invariant != Invariant::Drains)
        .flat_map(|invariant| invariant.check(world, history))
        .collect()
}

/// Everything that is wrong in a world that should have come to rest.
pub fn check_at_rest(world: &World, history: &History) -> Vec<Violation> {
    Invariant::ALL.into_iter().flat_map(|invariant| invariant.check(world, history)).collect()
}
