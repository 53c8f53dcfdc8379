//! The keys beside each step: a column for each owner, a chip for each secret.
//!
//! A chip says which rows name the secret; what the step changed is marked by a word and a frame.

use crate::cast::{Cast, row_name, short, worlds};
use crate::holdings::{Change, Held, Holdings};
use crate::signs;
use maud::{Markup, html};
use std::collections::BTreeSet;
use transfer_core::invariants::{Material, RowId};
use transfer_core::{ProjectId, SecretId};
use transfer_model::Trace;

/// The columns: whoever owns a secret or should, at any time.
pub(crate) struct Columns<'a> {
    cast: &'a Cast<'a>,
    owners: Vec<&'a ProjectId>,
    /// Whether a row ever names a secret that does not exist.
    dangling: bool,
    /// The keys that go round, in the order in which they appear.
    materials: Vec<&'a Material>,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(cast: &'a Cast<'a>, trace: &'a Trace) -> Self {
        let mut owners = BTreeSet::from([&trace.start.service]);
        let mut materials = Vec::new();
        let mut dangling = false;
        for holdings in worlds(trace).map(Holdings::of) {
            owners.extend(holdings.custodians.keys());
            for held in holdings.secrets.values() {
                owners.extend(held.owner);
                dangling |= held.owner.is_none();
                materials.extend(held.material.filter(|one| !materials.contains(one)));
            }
        }
        let mut owners: Vec<_> = owners.into_iter().collect();
        owners.sort_by_key(|id| cast.place(id));
        Self { cast, owners, dangling, materials }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.owners.len() + usize::from(self.dangling)
    }

    /// The heads of the columns.
    pub(crate) fn head(&self) -> Markup {
        html! {
            @for owner in &self.owners {
                th.owner scope="col" {
                    span class={ "name " (self.cast.colour(owner)) } { (self.cast.name(owner)) }
                }
            }
            @if self.dangling { th.owner scope="col" { span.name.plain { "nobody" } } }
        }
    }

    /// The cells of a row: the world after a step, and what it was before.
    pub(crate) fn cells(&self, before: &Holdings<'a>, after: &Holdings<'a>) -> Markup {
        let ids: BTreeSet<&SecretId> =
            before.secrets.keys().chain(after.secrets.keys()).copied().collect();
        let entries: Vec<_> = ids
            .into_iter()
            .map(|id| Entry { id, before: before.secrets.get(id), after: after.secrets.get(id) })
            .collect();
        let owners = self.owners.iter().map(|owner| Some(*owner));
        html! {
            @for owner in owners.chain(self.dangling.then_some(None)) {
                td.keys {
                    @if let Some(owner) = owner { (self.custodian(owner, before, after)) }
                    @for entry in entries.iter().filter(|entry| entry.stands_with(owner)) {
                        (self.chip(entry, owner))
                    }
                }
            }
        }
    }

    fn custodian(&self, owner: &ProjectId, before: &Holdings<'_>, after: &Holdings<'_>) -> Markup {
        let volumes = after.custodians.get(owner);
        let class = if before.custodians.get(owner) == volumes { "" } else { "changed" };
        html! {
            @if let Some(volumes) = volumes {
                p.custodian.(class) {
                    "custodian"
                    @if after.custodians.len() > 1 { " of " (names(volumes)) }
                }
            }
        }
    }

    fn chip(&self, entry: &Entry<'a, '_>, owner: Option<&ProjectId>) -> Markup {
        let none = Held::default();
        let change = Change::between(entry.before, entry.after);
        let gone = change == Change::Deleted && owner.is_some();
        let (before, after) = (entry.before.unwrap_or(&none), entry.after.unwrap_or(&none));
        let shown = if gone { before } else { after };
        let changed = change != Change::Same || before.rows != after.rows;
        let mut class = vec![owner.map_or("missing", |owner| self.cast.colour(owner))];
        class.extend(changed.then_some("changed"));
        class.extend(gone.then_some("gone"));
        class.extend((owner.is_some() && shown.material.is_none()).then_some("empty"));
        html! {
            div class={ "chip " (class.join(" ")) } {
                span.secret title=(entry.id) { (signs::key()) (short(entry.id.as_str())) }
                (self.content(shown, owner))
                @if let (Some(word), Some(_)) = (change.word(), owner) { span.tag { (word) } }
                @if !gone { (rows(before, after)) }
                @if !gone && shown.astray {
                    p.astray title="who owns it is not the custodian" { "≠ custodian" }
                }
            }
        }
    }

    /// What is in it: a word for an empty shell, and which key where there are several.
    fn content(&self, held: &Held<'_>, owner: Option<&ProjectId>) -> Markup {
        let number = held.material.and_then(|one| self.materials.iter().position(|m| *m == one));
        html! {
            @match (owner, number) {
                (None, _) => span.content { "does not exist" },
                (Some(_), None) => span.content { "empty" },
                (Some(_), Some(number)) if self.materials.len() > 1 => {
                    span.content title=(self.materials[number].0) { "bytes " (number + 1) }
                },
                (Some(_), Some(_)) => {},
            }
        }
    }
}

/// A secret before and after a step.
struct Entry<'a, 'h> {
    id: &'a SecretId,
    before: Option<&'h Held<'a>>,
    after: Option<&'h Held<'a>>,
}

impl Entry<'_, '_> {
    /// Whether it is shown in this column. A deleted secret is shown once more where it was, and
    /// with nobody as long as a row names it.
    fn stands_with(&self, column: Option<&ProjectId>) -> bool {
        let owner = |held: Option<&Held<'_>>| held.and_then(|held| held.owner.cloned());
        match (owner(self.after), owner(self.before), column) {
            (Some(owner), _, Some(column)) => owner == *column,
            (None, Some(before), Some(column)) => before == *column,
            (None, _, None) => self.after.is_some(),
            (None, None, Some(_)) | (Some(_), _, None) => false,
        }
    }
}

/// The rows that name a secret, and those that no longer do.
fn rows(before: &Held<'_>, after: &Held<'_>) -> Markup {
    html! {
        @if !after.rows.is_empty() || !before.rows.is_empty() {
            ul.rows {
                @for row in &after.rows {
                    li.came[!before.rows.contains(row)] { (row_name(row)) }
                }
                @for row in before.rows.difference(&after.rows) { li { del { (row_name(row)) } } }
            }
        }
    }
}

fn names(rows: &BTreeSet<&RowId>) -> String {
    rows.iter().map(|row| row_name(row)).collect::<Vec<_>>().join(", ")
}
