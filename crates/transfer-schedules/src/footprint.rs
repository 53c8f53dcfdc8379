//! What a step touched: the ground on which two steps of different actors are independent.
//!
//! A step's footprint is recorded while it runs: the gate that it passed, and whatever its actor
//! read from there up to its next gate.

use std::collections::BTreeSet;

/// Something that steps share.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Resource {
    /// A table of the database.
    Table(String),
    /// One secret.
    Secret(String),
    /// The existence of secrets that this actor creates. Their ids are not known before.
    Created(usize),
    /// Every secret, as a list shows them.
    Listing,
    /// The one fault that a schedule may have.
    Fault,
}

/// What was read and written.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Footprint {
    reads: BTreeSet<Resource>,
    writes: BTreeSet<Resource>,
    commits: bool,
}

impl Footprint {
    pub(crate) fn read(&mut self, resource: Resource) {
        self.reads.insert(resource);
    }

    pub(crate) fn write(&mut self, resource: Resource) {
        self.writes.insert(resource);
    }

    /// A transaction has committed.
    pub(crate) fn commit(&mut self) {
        self.commits = true;
    }

    /// Whether any transaction has committed.
    pub(crate) fn commits(&self) -> bool {
        self.commits
    }

    /// Whatever was read or written.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &Resource> {
        self.reads.union(&self.writes)
    }

    /// Whether the rows are as before.
    pub(crate) fn leaves_rows(&self) -> bool {
        !self.writes.iter().any(|one| matches!(one, Resource::Table(_)))
    }

    /// Whether rows of this table may be others than before.
    pub(crate) fn writes_table(&self, table: &str) -> bool {
        self.writes.iter().any(|one| matches!(one, Resource::Table(name) if name == table))
    }

    /// Whether neither writes what the other touches, so that their order makes no difference.
    pub(crate) fn is_independent_of(&self, other: &Self) -> bool {
        !self.disturbs(other) && !other.disturbs(self)
    }

    fn disturbs(&self, other: &Self) -> bool {
        self.writes.iter().any(|written| {
            other.reads.iter().chain(&other.writes).any(|touched| overlap(written, touched))
        })
    }
}

/// The tables that a statement names, the one that it writes first.
pub(crate) fn tables(sql: &str) -> impl Iterator<Item = &str> {
    let mut words = sql.split([' ', '(', ')', ',']).filter(|word| !word.is_empty());
    std::iter::from_fn(move || {
        words.find(|word| ["FROM", "INTO", "UPDATE", "JOIN"].contains(word))?;
        words.next().map(|table| table.trim_matches('"'))
    })
}

/// Whether a statement writes the first table that it names.
pub(crate) fn writes(sql: &str) -> bool {
    !sql.starts_with("SELECT")
}

fn overlap(one: &Resource, other: &Resource) -> bool {
    use Resource::{Created, Fault, Listing, Secret, Table};
    match (one, other) {
        (Listing, Secret(_) | Created(_)) | (Secret(_) | Created(_), Listing) => true,
        (Table(_) | Secret(_) | Created(_) | Listing | Fault, _) => one == other,
    }
}
