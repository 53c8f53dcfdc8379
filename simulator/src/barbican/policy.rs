//! Who may do what: Barbican's rules by their upstream names, in the new wording and in the legacy
//! one.
//!
//! Source: barbican 23, `common/policies/`. A rule is a tree of checks, not code, so that the table
//! below can be read beside upstream's. Scopes are not checked: every token here is a project's.

use std::str::FromStr;

use Check::{All, Any, Created, Listed, Open, Owned, Role};

use super::Caller;
use super::error::Refusal;
use crate::key_manager::{Acl, Container, Order, Secret};

/// Which of its two sets of default rules Barbican enforces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BarbicanPolicy {
    /// Roles `member` and `admin` (`[oslo_policy] enforce_new_defaults = true`, as released).
    #[default]
    New,
    /// Roles `creator`, `observer`, `audit`, `key-manager:service-admin` and `admin`
    /// (`enforce_new_defaults = false`). Nobody has the three in the middle.
    Legacy,
}

impl FromStr for BarbicanPolicy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        match name {
            "new" => Ok(Self::New),
            "legacy" => Ok(Self::Legacy),
            _ => Err(UnknownPolicy(name.to_owned())),
        }
    }
}

/// A policy that Barbican does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no policy {0:?}; say one of: new, legacy")]
pub struct UnknownPolicy(String);

impl BarbicanPolicy {
    /// The roles that the rules speak of and that no cloud has unless somebody makes them.
    pub(crate) fn roles(self) -> &'static [&'static str] {
        match self {
            Self::New => &[],
            Self::Legacy => &["observer", "audit", "key-manager:service-admin"],
        }
    }
}

/// What has to be true of a caller.
#[derive(Debug)]
pub(super) enum Check {
    Role(&'static str),
    /// The target belongs to the caller's project.
    Owned,
    /// The caller made the target.
    Created,
    /// The target's access list leaves it to its project.
    Open,
    /// The target's access list names the caller.
    Listed,
    Any(&'static [Check]),
    All(&'static [Check]),
}

/// A rule in both wordings.
#[derive(Debug)]
pub(super) struct Rule {
    new: Check,
    legacy: Check,
}

const fn rule(new: Check, legacy: Check) -> Rule {
    Rule { new, legacy }
}

const MEMBER: Check = Role("member");
const READER: Check = Role("reader");
const ADMIN: Check = Role("admin");
const CREATOR: Check = Role("creator");
const OBSERVER: Check = Role("observer");
const AUDIT: Check = Role("audit");
const SERVICE_ADMIN: Check = Role("key-manager:service-admin");

const PROJECT_ADMIN: Check = All(&[ADMIN, Owned]);
/// A member of the project, unless the target is private and another's.
const CHANGE: Check = Any(&[PROJECT_ADMIN, All(&[MEMBER, Owned, Any(&[Created, Open])])]);
const READ: Check = Any(&[CHANGE, Listed]);
const ANY_ADMIN_OR_CHANGE: Check = Any(&[ADMIN, CHANGE]);
const ANY_ADMIN_OR_READ: Check = Any(&[ADMIN, READ]);
const ORDER: Check = All(&[MEMBER, Owned]);

const ALL_USERS: Check = Any(&[ADMIN, OBSERVER, CREATOR, AUDIT, SERVICE_ADMIN]);
const ALL_BUT_AUDIT: Check = Any(&[ADMIN, OBSERVER, CREATOR]);
const ADMIN_OR_CREATOR: Check = Any(&[ADMIN, CREATOR]);
const NON_PRIVATE_READ: Check = All(&[ALL_USERS, Owned, Open]);
const PROJECT_CREATOR: Check = All(&[CREATOR, Owned, Created]);
const CREATOR_OF_NON_PRIVATE: Check = All(&[CREATOR, Owned, Open]);
const OLD_CHANGE: Check = Any(&[PROJECT_ADMIN, PROJECT_CREATOR, CREATOR_OF_NON_PRIVATE]);
const OLD_READ: Check = Any(&[NON_PRIVATE_READ, PROJECT_CREATOR, PROJECT_ADMIN, Listed]);
const OLD_DECRYPT: Check =
    Any(&[All(&[ALL_BUT_AUDIT, Owned, Open]), PROJECT_CREATOR, PROJECT_ADMIN, Listed]);

pub(super) const SECRETS_POST: Rule = rule(MEMBER, ADMIN_OR_CREATOR);
pub(super) const SECRETS_GET: Rule = rule(MEMBER, ALL_BUT_AUDIT);
pub(super) const SECRET_GET: Rule = rule(ANY_ADMIN_OR_READ, OLD_READ);
pub(super) const SECRET_DECRYPT: Rule = rule(READ, OLD_DECRYPT);
pub(super) const SECRET_PUT: Rule = rule(CHANGE, All(&[ADMIN_OR_CREATOR, Owned]));
pub(super) const SECRET_DELETE: Rule = rule(ANY_ADMIN_OR_CHANGE, OLD_CHANGE);

pub(super) const SECRET_META_GET: Rule = rule(READ, OLD_READ);
pub(super) const SECRET_META_POST: Rule = rule(CHANGE, OLD_CHANGE);
pub(super) const SECRET_META_PUT: Rule = rule(CHANGE, OLD_CHANGE);
pub(super) const SECRET_META_DELETE: Rule = rule(CHANGE, OLD_CHANGE);

/// `secret_acls:get` and `container_acls:get`.
pub(super) const ACLS_GET: Rule = rule(CHANGE, All(&[ALL_BUT_AUDIT, Owned]));
/// `secret_acls:put_patch` and `container_acls:put_patch`.
pub(super) const ACLS_PUT_PATCH: Rule = rule(CHANGE, OLD_CHANGE);
/// `secret_acls:delete` and `container_acls:delete`.
pub(super) const ACLS_DELETE: Rule = rule(CHANGE, OLD_CHANGE);

/// The rules `:get`, `:post` and `:delete` of `secret_consumers` and `container_consumers`.
pub(super) const CONSUMERS: Rule = rule(READ, OLD_READ);
/// Asks about a container only, so that for a secret's consumer nothing but a role counts.
pub(super) const CONSUMER_GET: Rule = rule(
    Any(&[ADMIN, All(&[MEMBER, Owned, Any(&[Created, Open])]), Listed]),
    Any(&[ADMIN, OBSERVER, CREATOR, AUDIT, OLD_READ]),
);

pub(super) const CONTAINERS_POST: Rule = rule(MEMBER, ADMIN_OR_CREATOR);
pub(super) const CONTAINERS_GET: Rule = rule(MEMBER, ALL_BUT_AUDIT);
pub(super) const CONTAINER_GET: Rule = rule(READ, OLD_READ);
pub(super) const CONTAINER_DELETE: Rule = rule(CHANGE, Any(&[PROJECT_ADMIN, PROJECT_CREATOR]));
/// `container_secret:post` and `container_secret:delete`.
pub(super) const CONTAINER_SECRET: Rule = rule(CHANGE, OLD_CHANGE);

pub(super) const ORDERS_GET: Rule = rule(MEMBER, ALL_BUT_AUDIT);
pub(super) const ORDERS_POST: Rule = rule(MEMBER, ADMIN_OR_CREATOR);
pub(super) const ORDERS_PUT: Rule = rule(MEMBER, ADMIN_OR_CREATOR);
pub(super) const ORDER_GET: Rule = rule(ORDER, All(&[ALL_USERS, Owned]));
pub(super) const ORDER_DELETE: Rule = rule(ORDER, PROJECT_ADMIN);

pub(super) const QUOTAS_GET: Rule = rule(READER, ALL_USERS);
/// The rules `:get`, `:put` and `:delete` of `project_quotas`.
pub(super) const PROJECT_QUOTAS: Rule = rule(ADMIN, SERVICE_ADMIN);

/// The rules of `secretstores` and `transport_key` by which something is looked at.
pub(super) const BACKENDS_GET: Rule = rule(READER, ALL_USERS);
/// `transport_keys:post` and `transport_key:delete`.
pub(super) const TRANSPORT_KEYS_CHANGE: Rule = rule(ADMIN, SERVICE_ADMIN);

/// What a rule is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    project_id: &'a str,
    creator_id: &'a str,
    acl: Option<&'a Acl>,
}

impl<'a> From<&'a Secret> for Target<'a> {
    fn from(secret: &'a Secret) -> Self {
        Self {
            project_id: &secret.project_id,
            creator_id: &secret.creator_id,
            acl: secret.acl.as_deref(),
        }
    }
}

impl<'a> From<&'a Container> for Target<'a> {
    fn from(container: &'a Container) -> Self {
        Self {
            project_id: &container.project_id,
            creator_id: &container.creator_id,
            acl: container.acl.as_deref(),
        }
    }
}

impl<'a> From<&'a Order> for Target<'a> {
    fn from(order: &'a Order) -> Self {
        Self { project_id: &order.project_id, creator_id: &order.creator_id, acl: None }
    }
}

impl Caller {
    /// Refuses whoever may not do that to the target.
    pub(super) fn check<'a>(
        &self,
        rule: &Rule,
        target: impl Into<Target<'a>>,
    ) -> Result<(), Refusal> {
        self.decide(rule, Some(target.into()))
    }

    /// The same of a rule that has no target, such as the one of a list.
    pub(super) fn check_role(&self, rule: &Rule) -> Result<(), Refusal> {
        self.decide(rule, None)
    }

    fn decide(&self, rule: &Rule, target: Option<Target<'_>>) -> Result<(), Refusal> {
        let check = match self.policy {
            BarbicanPolicy::New => &rule.new,
            BarbicanPolicy::Legacy => &rule.legacy,
        };
        if self.passes(check, target) { Ok(()) } else { Err(Refusal::NotAllowed(self.operation)) }
    }

    fn passes(&self, check: &Check, target: Option<Target<'_>>) -> bool {
        let user_id = &self.bearer.user.id;
        match check {
            Role(name) => self.bearer.has_role(name),
            Owned => target.is_some_and(|target| target.project_id == self.project.id),
            Created => target.is_some_and(|target| target.creator_id == user_id),
            Open => target.is_some_and(|target| target.acl.is_none_or(|acl| acl.project_access)),
            Listed => target.and_then(|target| target.acl).is_some_and(|acl| acl.names(user_id)),
            Any(checks) => checks.iter().any(|check| self.passes(check, target)),
            All(checks) => checks.iter().all(|check| self.passes(check, target)),
        }
    }
}
