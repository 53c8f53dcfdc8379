//! Keystone's state: the directory, and tokens.
//!
//! Roles are looked up when a token is used, not when it is issued, as Keystone
//! does. The directory is shared between copies of the state until one of them changes it.

mod assignment;
mod directory;
mod record;
mod seed;
mod tokens;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::draws::Draws;

pub(crate) use assignment::{Actor, Assignment, Effect, Scope};
pub(crate) use directory::Directory;
pub(crate) use record::{Kind, Record, Secret};
pub(crate) use seed::{BLOCK_STORAGE_URL, DEFAULT_DOMAIN, IDENTITY_URL, KEY_MANAGER_URL, fields};
pub(crate) use tokens::Token;
use tokens::{ALLOW_EXPIRED_WINDOW, Tokens};

/// A project or a user, as the other services know it.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) id: String,
}

impl From<&Record> for Party {
    fn from(record: &Record) -> Self {
        Self { id: record.id.clone() }
    }
}

/// Why a token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// Never issued.
    Unrecognized,
    /// Revoked, or past its end.
    Invalid,
    /// Its user has no role any more where it is good for.
    Powerless,
    /// The trust or the application credential that it was issued by is no more.
    Gone(Kind, String),
    Disabled(Kind, String),
    /// What its trust delegates is not the trustor's any more.
    Undelegated,
}

/// A good token and what it means now.
#[derive(Debug)]
pub(crate) struct Standing<'a> {
    pub(crate) token: &'a Token,
    /// Whom it speaks for: of a trust with impersonation, the trustor.
    pub(crate) user: &'a Record,
    pub(crate) project: Option<&'a Record>,
    pub(crate) roles: Vec<&'a Record>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Identity {
    #[serde(serialize_with = "shared::write", deserialize_with = "shared::read")]
    directory: Arc<Directory>,
    tokens: Tokens,
}

impl Identity {
    /// The projects, users and roles every simulator starts with.
    pub(crate) fn seeded(seed: u64, region: &str) -> Self {
        Self { directory: Arc::new(Directory::seeded(seed, region)), tokens: Tokens::default() }
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The directory, to be changed.
    pub(crate) fn directory_mut(&mut self) -> &mut Directory {
        Arc::make_mut(&mut self.directory)
    }

    /// Adds roles that are not there yet.
    pub(crate) fn add_roles(&mut self, seed: u64, names: &[&str]) {
        for name in names {
            if self.directory.named(Kind::Role, name, None).is_none() {
                self.directory_mut().add_role(seed, name);
            }
        }
    }

    pub(crate) fn user(&self, id: &str) -> Option<&Record> {
        self.directory.find(Kind::User, id)
    }

    pub(crate) fn project(&self, id: &str) -> Option<&Record> {
        self.directory.find(Kind::Project, id)
    }

    /// The user, or the project, of that name in the default domain.
    pub(crate) fn named(&self, kind: Kind, name: &str) -> Option<&Record> {
        self.directory.named(kind, name, Some(DEFAULT_DOMAIN))
    }

    /// Replaces the roles that `user` has on `project`; false when one of the names is unknown.
    pub(crate) fn set_roles(&mut self, user: &str, project: &str, roles: &[&str]) -> bool {
        let user_id = self.named(Kind::User, user).map(|user| user.id.clone());
        let project_id = self.named(Kind::Project, project).map(|project| project.id.clone());
        let role = |name: &&str| self.directory.named(Kind::Role, name, None);
        let roles: Option<Vec<_>> =
            roles.iter().map(|name| role(name).map(|role| role.id.clone())).collect();
        let (Some(user_id), Some(project_id), Some(roles)) = (user_id, project_id, roles) else {
            return false;
        };
        let (actor, scope) = (Actor::User(user_id.clone()), Scope::Project(project_id));
        let directory = self.directory_mut();
        directory.assignments.retain(|one| one.actor != actor || one.scope != scope);
        directory.assign(&user_id, &scope, roles);
        true
    }

    /// Deletes a record with all that depends on it, and the tokens that end with it.
    pub(crate) fn delete(&mut self, kind: Kind, id: &str) {
        for (kind, id) in self.directory_mut().delete(kind, id) {
            match kind {
                Kind::User => self.revoke_where(|token| token.user_id == id),
                Kind::Project => {
                    self.revoke_where(|token| token.scope == Scope::Project(id.clone()));
                }
                Kind::Domain
                | Kind::Group
                | Kind::Role
                | Kind::Region
                | Kind::Service
                | Kind::Endpoint
                | Kind::ApplicationCredential
                | Kind::AccessRule
                | Kind::Trust => {}
            }
        }
    }

    /// Keeps a new token and returns its text.
    pub(crate) fn keep_token(&mut self, token: Token, draws: &mut Draws) -> String {
        self.tokens.issue(token, draws)
    }

    /// Looks a token up; with `allow_expired` also one that ended within the last 48 hours.
    pub(crate) fn standing(
        &self,
        text: &str,
        now: OffsetDateTime,
        allow_expired: bool,
    ) -> Result<Standing<'_>, TokenFault> {
        let token = self.tokens.get(text).ok_or(TokenFault::Unrecognized)?;
        let grace = if allow_expired { ALLOW_EXPIRED_WINDOW } else { Duration::ZERO };
        if token.revoked || now >= token.expires_at + grace {
            return Err(TokenFault::Invalid);
        }
        self.meaning(token)
    }

    /// What a token that has not ended is good for.
    pub(crate) fn meaning<'a>(&'a self, token: &'a Token) -> Result<Standing<'a>, TokenFault> {
        let directory = self.directory();
        let find = |kind, id: &str| {
            directory.find(kind, id).ok_or_else(|| TokenFault::Gone(kind, id.to_owned()))
        };
        let trust = token.trust_id.as_ref().map(|id| find(Kind::Trust, id)).transpose()?;
        let credential = token.application_credential_id.as_ref();
        let credential = credential.map(|id| find(Kind::ApplicationCredential, id)).transpose()?;
        let project = match &token.scope {
            Scope::Project(id) => Some(find(Kind::Project, id)?),
            Scope::Unscoped | Scope::Domain(_) | Scope::System => None,
        };
        let mut user = find(Kind::User, &token.user_id)?;
        self.check_enabled(token, user, project)?;
        let roles = match (trust, credential) {
            (Some(trust), _) => {
                let (delegated, trustor) = self.delegation(token, trust)?;
                if trust.flag("impersonation") == Some(true) {
                    user = trustor;
                }
                delegated
            }
            (None, Some(credential)) => {
                let granted: Vec<&str> = credential.texts("roles").collect();
                let mut held = directory.roles_of(&token.user_id, &token.scope);
                held.retain(|role| granted.contains(&role.id.as_str()));
                held
            }
            (None, None) => directory.roles_of(&token.user_id, &token.scope),
        };
        if roles.is_empty() && token.scope != Scope::Unscoped {
            return Err(TokenFault::Powerless);
        }
        Ok(Standing { token, user, project, roles })
    }

    fn check_enabled(
        &self,
        token: &Token,
        user: &Record,
        project: Option<&Record>,
    ) -> Result<(), TokenFault> {
        if let Some(project) = project.filter(|project| !project.is_enabled()) {
            return Err(TokenFault::Disabled(Kind::Project, project.id.clone()));
        }
        let scoped = match &token.scope {
            Scope::Domain(id) => Some(id.as_str()),
            Scope::Unscoped | Scope::Project(_) | Scope::System => None,
        };
        let domains = [project.and_then(Record::domain_id), user.domain_id(), scoped];
        for id in domains.into_iter().flatten() {
            match self.directory.find(Kind::Domain, id) {
                None => return Err(TokenFault::Gone(Kind::Domain, id.to_owned())),
                Some(domain) if !domain.is_enabled() => {
                    return Err(TokenFault::Disabled(Kind::Domain, id.to_owned()));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The roles that a trust gives, as long as the first trustor has all of them, and the trustor.
    fn delegation<'a>(
        &'a self,
        token: &Token,
        trust: &'a Record,
    ) -> Result<(Vec<&'a Record>, &'a Record), TokenFault> {
        let is_trustee = trust.text("trustee_user_id") == Some(token.user_id.as_str());
        let trustor = trust.text("trustor_user_id").and_then(|id| self.user(id));
        let trustor = trustor.filter(|user| is_trustee && user.is_enabled());
        let trustor = trustor.ok_or(TokenFault::Undelegated)?;
        let first = self.pedigree(trust).last().copied().unwrap_or(trust);
        let held = first.text("trustor_user_id").unwrap_or_default();
        let held = self.directory.roles_of(held, &token.scope);
        let delegated = self.directory.with_implied(trust.texts("roles").collect());
        let has = |role: &&Record| held.iter().any(|one| one.id == role.id);
        if delegated.iter().all(has) {
            Ok((delegated, trustor))
        } else {
            Err(TokenFault::Undelegated)
        }
    }

    /// A trust, the one that it was redelegated from, and so on.
    pub(crate) fn pedigree<'a>(&'a self, trust: &'a Record) -> Vec<&'a Record> {
        let from =
            |one: &&'a Record| self.directory.find(Kind::Trust, one.text("redelegated_trust_id")?);
        std::iter::successors(Some(trust), from).collect()
    }

    /// Whether only services that check access rules may take this token.
    pub(crate) fn has_access_rules(&self, token: &Token) -> bool {
        let id = token.application_credential_id.as_deref().unwrap_or_default();
        let credential = self.directory.find(Kind::ApplicationCredential, id);
        credential.is_some_and(|one| one.texts("access_rules").next().is_some())
    }

    /// The token of that text whether it is still good or not: who it was.
    pub(crate) fn token_ever(&self, text: &str) -> Option<&Token> {
        self.tokens.get(text)
    }

    /// Has the time of one token be over.
    pub(crate) fn expire(&mut self, text: &str, now: OffsetDateTime) {
        if let Some(token) = self.tokens.get_mut(text) {
            token.expires_at = token.expires_at.min(now);
        }
    }

    /// Ends one token; with `chain` also those that were made with it.
    pub(crate) fn revoke(&mut self, text: &str, chain: bool) {
        let Some(token) = self.tokens.get_mut(text) else { return };
        token.revoked = true;
        // Keystone ends a chain by the audit id that it began with, which a child's end leaves
        // alone: its parent goes on.
        if let ([first], true) = (token.audit_ids.as_slice(), chain) {
            let first = first.clone();
            self.revoke_where(|token| token.audit_ids.last() == Some(&first));
        }
    }

    pub(crate) fn revoke_where(&mut self, ends: impl Fn(&Token) -> bool) {
        self.tokens.all_mut().filter(|token| ends(token)).for_each(|token| token.revoked = true);
    }
}

/// A fresh audit id (keystone: `random_urlsafe_str`).
pub(crate) fn audit_id(draws: &mut Draws) -> String {
    URL_SAFE_NO_PAD.encode(draws.bytes(16))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The directory in the state file.
mod shared {
    use super::{Arc, Deserialize, Directory, Serialize};

    pub(super) fn write<S: serde::Serializer>(
        directory: &Arc<Directory>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Directory::serialize(directory, serializer)
    }

    pub(super) fn read<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Arc<Directory>, D::Error> {
        Directory::deserialize(deserializer).map(Arc::new)
    }
}
