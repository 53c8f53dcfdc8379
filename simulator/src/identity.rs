//! Keystone's state: projects, users, roles, who has which role where, and tokens.
//!
//! Tokens are kept under the SHA-256 of their text, so neither a dump nor the state file can be
//! used to log in. Roles are looked up when a token is used, not when it is issued, as Keystone
//! does.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use crate::draws::{Draws, named};

/// How long after its end Keystone still shows a token to a caller that asks with `allow_expired`
/// (keystone: `[token] allow_expired_window`).
const ALLOW_EXPIRED_WINDOW: Duration = Duration::hours(48);

/// Role, and the roles it implies (keystone: bootstrap).
const IMPLIED: &[(&str, &str)] =
    &[("admin", "manager"), ("manager", "member"), ("member", "reader")];
const ROLES: &[&str] = &["admin", "manager", "member", "reader", "service", "creator"];
const PROJECTS: &[&str] = &["admin", "donor", "recipient", "third", "service"];
const USERS: &[(&str, &str, &[&str])] = &[
    ("admin", "admin", &["admin"]),
    ("x", "donor", &["member", "creator"]),
    ("y", "recipient", &["member", "creator"]),
    ("z", "third", &["member", "creator"]),
    ("cinder", "service", &["admin", "member", "service", "creator"]),
];

/// A project, a user or a role: all of the domain `default`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// What a token, or a role assignment, is good for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    Unscoped,
    Project(String),
    System,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Assignment {
    user_id: String,
    scope: Scope,
    role: String,
}

/// What is known of a token; its text is known to its holder alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    pub(crate) user_id: String,
    pub(crate) scope: Scope,
    pub(crate) methods: Vec<String>,
    /// The token's own audit id, then the one of the token that the chain began with.
    pub(crate) audit_ids: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) issued_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) revoked: bool,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// Never issued.
    Unrecognized,
    /// Revoked, or past its end.
    Invalid,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) projects: Vec<Named>,
    pub(crate) users: Vec<Named>,
    pub(crate) roles: Vec<Named>,
    assignments: Vec<Assignment>,
    tokens: BTreeMap<String, Token>,
}

impl Identity {
    /// The projects, users and roles every simulator starts with.
    pub(crate) fn seeded(seed: u64) -> Self {
        let seeded = |kind: &str, name: &str| Named {
            id: named(seed, kind, name).simple().to_string(),
            name: name.to_owned(),
        };
        let mut identity = Self {
            projects: PROJECTS.iter().map(|name| seeded("project", name)).collect(),
            users: USERS.iter().map(|(name, _, _)| seeded("user", name)).collect(),
            roles: ROLES.iter().map(|name| seeded("role", name)).collect(),
            assignments: Vec::new(),
            tokens: BTreeMap::new(),
        };
        for (user, project, roles) in USERS {
            identity.set_roles(user, project, roles);
        }
        if let Some(admin) = identity.user_named("admin").map(|user| user.id.clone()) {
            let role = "admin".to_owned();
            identity.assignments.push(Assignment { user_id: admin, scope: Scope::System, role });
        }
        identity
    }

    /// Adds roles that are not there yet.
    pub(crate) fn add_roles(&mut self, seed: u64, names: &[&str]) {
        for name in names {
            if !self.roles.iter().any(|role| role.name == *name) {
                let id = named(seed, "role", name).simple().to_string();
                self.roles.push(Named { id, name: (*name).to_owned() });
            }
        }
    }

    pub(crate) fn project(&self, id: &str) -> Option<&Named> {
        self.projects.iter().find(|project| project.id == id)
    }

    pub(crate) fn project_named(&self, name: &str) -> Option<&Named> {
        self.projects.iter().find(|project| project.name == name)
    }

    pub(crate) fn user(&self, id: &str) -> Option<&Named> {
        self.users.iter().find(|user| user.id == id)
    }

    pub(crate) fn user_named(&self, name: &str) -> Option<&Named> {
        self.users.iter().find(|user| user.name == name)
    }

    /// Replaces the roles that `user` has on `project`; false when one of the names is unknown.
    pub(crate) fn set_roles(&mut self, user: &str, project: &str, roles: &[&str]) -> bool {
        let user_id = self.user_named(user).map(|user| user.id.clone());
        let project_id = self.project_named(project).map(|project| project.id.clone());
        let known = roles.iter().all(|role| self.roles.iter().any(|known| known.name == *role));
        let (Some(user_id), Some(project_id), true) = (user_id, project_id, known) else {
            return false;
        };
        let scope = Scope::Project(project_id);
        self.assignments.retain(|one| one.user_id != user_id || one.scope != scope);
        self.assignments.extend(roles.iter().map(|role| Assignment {
            user_id: user_id.clone(),
            scope: scope.clone(),
            role: (*role).to_owned(),
        }));
        true
    }

    /// The roles of a user in a scope, implied ones included, in the order in which the roles came.
    pub(crate) fn roles_of(&self, user_id: &str, scope: &Scope) -> Vec<&Named> {
        let mut names: Vec<&str> = self
            .assignments
            .iter()
            .filter(|one| one.user_id == user_id && one.scope == *scope)
            .map(|one| one.role.as_str())
            .collect();
        for (role, implied) in IMPLIED {
            if names.contains(role) && !names.contains(implied) {
                names.push(implied);
            }
        }
        self.roles.iter().filter(|role| names.contains(&role.name.as_str())).collect()
    }

    /// The projects a user has a role on.
    pub(crate) fn projects_of(&self, user_id: &str) -> Vec<&Named> {
        let has_role = |project: &&Named| {
            !self.roles_of(user_id, &Scope::Project(project.id.clone())).is_empty()
        };
        self.projects.iter().filter(has_role).collect()
    }

    /// Keeps a new token and returns its text. Tokens nobody may see any more are dropped.
    pub(crate) fn keep_token(&mut self, token: Token, draws: &mut Draws) -> String {
        let oldest = token.issued_at - ALLOW_EXPIRED_WINDOW;
        self.tokens.retain(|_, old| old.expires_at > oldest);
        let text = format!("gAAAAA{}", URL_SAFE.encode(draws.bytes(129)));
        self.tokens.insert(fingerprint(&text), token);
        text
    }

    /// Looks a token up; with `allow_expired` also one that ended within the last 48 hours.
    pub(crate) fn token(
        &self,
        text: &str,
        now: OffsetDateTime,
        allow_expired: bool,
    ) -> Result<&Token, TokenFault> {
        let token = self.tokens.get(&fingerprint(text)).ok_or(TokenFault::Unrecognized)?;
        let grace = if allow_expired { ALLOW_EXPIRED_WINDOW } else { Duration::ZERO };
        if token.revoked || now >= token.expires_at + grace {
            return Err(TokenFault::Invalid);
        }
        Ok(token)
    }

    /// The token of that text whether it is still good or not: who it was.
    pub(crate) fn token_ever(&self, text: &str) -> Option<&Token> {
        self.tokens.get(&fingerprint(text))
    }

    pub(crate) fn revoke(&mut self, text: &str) {
        if let Some(token) = self.tokens.get_mut(&fingerprint(text)) {
            token.revoked = true;
        }
    }
}

/// A fresh audit id (keystone: `random_urlsafe_str`).
pub(crate) fn audit_id(draws: &mut Draws) -> String {
    URL_SAFE_NO_PAD.encode(draws.bytes(16))
}

fn fingerprint(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
