//! What changes rarely: domains, projects, users, groups, roles, assignments, the service registry,
//! application credentials and trusts.
//!
//! Every collection is a list in the order of creation. References are kept whole here: whatever
//! is deleted takes along what cannot be without it, as Keystone's managers do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::assignment::{Actor, Assignment, Scope};
use super::record::{Kind, Record};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Directory {
    records: BTreeMap<Kind, Vec<Record>>,
    pub(crate) assignments: Vec<Assignment>,
    /// Group, then user.
    pub(crate) memberships: Vec<(String, String)>,
    /// A role, then one that it implies.
    pub(crate) implications: Vec<(String, String)>,
}

impl Directory {
    pub(crate) fn all(&self, kind: Kind) -> &[Record] {
        self.records.get(&kind).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn find(&self, kind: Kind, id: &str) -> Option<&Record> {
        self.all(kind).iter().find(|one| one.id == id)
    }

    /// The record of that name; names are unique within a domain.
    pub(crate) fn named(&self, kind: Kind, name: &str, domain_id: Option<&str>) -> Option<&Record> {
        self.all(kind).iter().find(|one| one.name() == name && one.domain_id() == domain_id)
    }

    pub(crate) fn find_mut(&mut self, kind: Kind, id: &str) -> Option<&mut Record> {
        self.records.get_mut(&kind)?.iter_mut().find(|one| one.id == id)
    }

    pub(crate) fn add(&mut self, kind: Kind, record: Record) {
        self.records.entry(kind).or_default().push(record);
    }

    pub(crate) fn is_member(&self, user_id: &str, group_id: &str) -> bool {
        self.memberships.iter().any(|(group, user)| group == group_id && user == user_id)
    }

    /// Whether the record and the domain that it is in are enabled.
    pub(crate) fn is_enabled(&self, record: &Record) -> bool {
        let domain = record.domain_id().and_then(|id| self.find(Kind::Domain, id));
        record.is_enabled() && domain.is_none_or(Record::is_enabled)
    }

    /// The records whose `field` is `id`.
    pub(crate) fn of<'a>(
        &'a self,
        kind: Kind,
        field: &'a str,
        id: &'a str,
    ) -> impl Iterator<Item = &'a Record> {
        self.all(kind).iter().filter(move |one| one.text(field) == Some(id))
    }

    /// Deletes a record and what cannot be without it. Returns all that is gone.
    pub(crate) fn delete(&mut self, kind: Kind, id: &str) -> Vec<(Kind, String)> {
        let mut gone: Vec<(Kind, String)> = Vec::new();
        let mut next = vec![(kind, id.to_owned())];
        while let Some((kind, id)) = next.pop() {
            if self.find(kind, &id).is_none() {
                continue;
            }
            if let Some(records) = self.records.get_mut(&kind) {
                records.retain(|one| one.id != id);
            }
            self.forget_references(kind, &id);
            next.extend(self.dependents(kind, &id));
            gone.push((kind, id));
        }
        gone
    }

    /// What has to go once this record is gone.
    fn dependents(&self, kind: Kind, id: &str) -> Vec<(Kind, String)> {
        let fields: &[(Kind, &str)] = match kind {
            Kind::Domain => &[
                (Kind::User, "domain_id"),
                (Kind::Group, "domain_id"),
                (Kind::Project, "domain_id"),
            ],
            Kind::Project => &[(Kind::Trust, "project_id"), (Kind::Project, "parent_id")],
            Kind::User => &[
                (Kind::ApplicationCredential, "user_id"),
                (Kind::AccessRule, "user_id"),
                (Kind::Trust, "trustor_user_id"),
                (Kind::Trust, "trustee_user_id"),
            ],
            Kind::Service => &[(Kind::Endpoint, "service_id")],
            Kind::Region => &[(Kind::Region, "parent_region_id")],
            Kind::Trust => &[(Kind::Trust, "redelegated_trust_id")],
            Kind::Group
            | Kind::Role
            | Kind::Endpoint
            | Kind::ApplicationCredential
            | Kind::AccessRule => &[],
        };
        let found = fields.iter().flat_map(|(kind, field)| {
            self.of(*kind, field, id).map(|one| (*kind, one.id.clone())).collect::<Vec<_>>()
        });
        found.collect()
    }

    fn forget_references(&mut self, kind: Kind, id: &str) {
        match kind {
            Kind::User => {
                self.assignments.retain(|one| one.actor != Actor::User(id.to_owned()));
                self.memberships.retain(|(_, user)| user != id);
            }
            Kind::Group => {
                self.assignments.retain(|one| one.actor != Actor::Group(id.to_owned()));
                self.memberships.retain(|(group, _)| group != id);
            }
            Kind::Project => {
                self.assignments.retain(|one| one.scope != Scope::Project(id.to_owned()));
            }
            Kind::Domain => {
                self.assignments.retain(|one| one.scope != Scope::Domain(id.to_owned()));
            }
            Kind::Role => {
                self.assignments.retain(|one| one.role_id != id);
                self.implications.retain(|(prior, implied)| prior != id && implied != id);
            }
            Kind::Region
            | Kind::Service
            | Kind::Endpoint
            | Kind::ApplicationCredential
            | Kind::AccessRule
            | Kind::Trust => {}
        }
    }
}
