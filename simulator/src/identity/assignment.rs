//! Who has which role where, and what follows from it: through groups and implied roles.

use serde::{Deserialize, Serialize};

use super::directory::Directory;
use super::record::{Kind, Record};

/// What a token, or a role assignment, is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    Unscoped,
    Project(String),
    Domain(String),
    System,
}

impl Scope {
    /// The id of the target, as refusals name it.
    pub(crate) fn target(&self) -> &str {
        match self {
            Self::Unscoped => "",
            Self::Project(id) | Self::Domain(id) => id,
            Self::System => "system",
        }
    }
}

/// Whoever a role is assigned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Actor {
    User(String),
    Group(String),
}

impl Actor {
    pub(crate) fn id(&self) -> &str {
        match self {
            Self::User(id) | Self::Group(id) => id,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) actor: Actor,
    pub(crate) scope: Scope,
    pub(crate) role_id: String,
}

/// A role of a user and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) user_id: String,
    pub(crate) scope: Scope,
    pub(crate) role_id: String,
    /// The group that the user has it through.
    pub(crate) group_id: Option<String>,
    /// The role that implies it.
    pub(crate) prior_id: Option<String>,
}

impl Directory {
    /// The roles of a user in a scope, implied ones included, in the order of creation. Roles of
    /// one domain alone give what they imply and are not roles of a token.
    pub(crate) fn roles_of(&self, user_id: &str, scope: &Scope) -> Vec<&Record> {
        let held = self.assignments.iter().filter(|one| {
            one.scope == *scope
                && match &one.actor {
                    Actor::User(id) => id == user_id,
                    Actor::Group(id) => self.is_member(user_id, id),
                }
        });
        self.with_implied(held.map(|one| one.role_id.as_str()).collect())
    }

    /// These roles and what they imply; see [`Directory::roles_of`].
    pub(crate) fn with_implied<'a>(&'a self, mut ids: Vec<&'a str>) -> Vec<&'a Record> {
        let mut next = 0;
        while let Some(prior) = ids.get(next).copied() {
            next += 1;
            let implied = self.implications.iter().filter(|(id, _)| id == prior);
            for (_, implied) in implied {
                if !ids.contains(&implied.as_str()) {
                    ids.push(implied);
                }
            }
        }
        let roles = self.all(Kind::Role).iter();
        roles.filter(|role| ids.contains(&role.id.as_str()) && role.domain_id().is_none()).collect()
    }

    /// The projects, or the domains, that a user has a role on.
    pub(crate) fn reachable(&self, user_id: &str, kind: Kind) -> Vec<&Record> {
        let is_domain = kind == Kind::Domain;
        let scope = |id: String| if is_domain { Scope::Domain(id) } else { Scope::Project(id) };
        let all = self.all(kind).iter();
        all.filter(|one| !self.roles_of(user_id, &scope(one.id.clone())).is_empty()).collect()
    }

    /// What one assignment gives to each user that it reaches.
    pub(crate) fn effects(&self, assignment: &Assignment) -> Vec<Effect> {
        let (users, group_id) = match &assignment.actor {
            Actor::User(id) => (vec![id.clone()], None),
            Actor::Group(id) => {
                let members = self.memberships.iter().filter(|(group, _)| group == id);
                (members.map(|(_, user)| user.clone()).collect(), Some(id.clone()))
            }
        };
        let mut roles = vec![(assignment.role_id.clone(), None)];
        let mut next = 0;
        while let Some((prior, _)) = roles.get(next).cloned() {
            next += 1;
            for (_, implied) in self.implications.iter().filter(|(id, _)| *id == prior) {
                if !roles.iter().any(|(known, _)| known == implied) {
                    roles.push((implied.clone(), Some(prior.clone())));
                }
            }
        }
        let of_domain =
            |id: &str| self.find(Kind::Role, id).is_some_and(|role| role.domain_id().is_some());
        roles.retain(|(id, _)| !of_domain(id));
        let each = users.into_iter().flat_map(|user_id| {
            let group_id = group_id.clone();
            roles.clone().into_iter().map(move |(role_id, prior_id)| Effect {
                user_id: user_id.clone(),
                scope: assignment.scope.clone(),
                role_id,
                group_id: group_id.clone(),
                prior_id,
            })
        });
        each.collect()
    }
}
