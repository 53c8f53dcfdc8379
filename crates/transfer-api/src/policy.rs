//! Who may do what: Cinder's rules, and what they are told of callers and volumes.
//!
//! cinder: `policies/volume_transfer.py`, `policies/base.py`, `context.py` `authorize`. By default
//! an admin of any project may do everything, and anybody else needs a role in the project; policy
//! files say otherwise. Which rows are visible is decided by [`crate::context::Context::scope`]:
//! what a project does not see is 404 before any rule is checked on it.
//!
//! Of a volume the rules are told its project and its user; a rule that asks for more of it
//! refuses.

use crate::context::Context;
use crate::fault::Fault;
use keystone_client::Identity;
use oslo_policy::{Attributes, DeprecatedRule, Enforcer, RuleDefault};
use serde_json::{Value, json};
use transfer_core::{ProjectId, UserId};

/// A policy rule, by the operation that it guards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    Get,
    GetAll,
    Create,
    Accept,
    Delete,
}

impl Rule {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "volume:get_transfer",
            Self::GetAll => "volume:get_all_transfers",
            Self::Create => "volume:create_transfer",
            Self::Accept => "volume:accept_transfer",
            Self::Delete => "volume:delete_transfer",
        }
    }

    /// Checks the rule on what is the caller's own.
    ///
    /// # Errors
    /// A 403 in Cinder's words.
    pub(crate) fn check(self, context: &Context) -> Result<(), Fault> {
        let caller = context.credentials();
        let of_caller = |name: &str| caller.get(name).cloned().unwrap_or_default();
        self.check_target(context, of_caller("project_id"), of_caller("user_id"))
    }

    /// Checks the rule on a volume of this project and user.
    ///
    /// # Errors
    /// As [`Rule::check`].
    pub(crate) fn check_on(
        self,
        context: &Context,
        project: &ProjectId,
        user: &UserId,
    ) -> Result<(), Fault> {
        self.check_target(context, project.as_str().into(), user.as_str().into())
    }

    fn check_target(self, context: &Context, project: Value, user: Value) -> Result<(), Fault> {
        let target = attributes([("project_id", project), ("user_id", user)]);
        let name = self.name();
        if context.policy().enforce(name, &target, context.credentials()) {
            return Ok(());
        }
        Err(Fault::forbidden(format!("Policy doesn't allow {name} to be performed.")))
    }
}

/// The rules of Cinder 29 that transfers need, with those that they refer to.
pub fn default_rules() -> Vec<RuleDefault> {
    const ADMIN_OR_OWNER: &str = "rule:admin_or_owner";
    const READER: &str = "rule:xena_system_admin_or_project_reader";
    const MEMBER: &str = "rule:xena_system_admin_or_project_member";
    let referred = [
        (
            "admin_or_owner",
            "is_admin:True or (role:admin and is_admin_project:True) or project_id:%(project_id)s",
        ),
        (
            "system_or_domain_or_project_admin",
            "(role:admin and system_scope:all) or (role:admin and domain_id:%(domain_id)s) or \
             (role:admin and project_id:%(project_id)s)",
        ),
        (IS_ADMIN, "role:admin"),
        ("admin_api", "is_admin:True or (role:admin and is_admin_project:True)"),
        (
            "xena_system_admin_or_project_reader",
            "(role:admin) or (role:reader and project_id:%(project_id)s)",
        ),
        (
            "xena_system_admin_or_project_member",
            "(role:admin) or (role:member and project_id:%(project_id)s)",
        ),
    ];
    let enforced = [
        (Rule::GetAll, READER, ADMIN_OR_OWNER),
        (Rule::Create, MEMBER, ADMIN_OR_OWNER),
        (Rule::Get, READER, ADMIN_OR_OWNER),
        (Rule::Accept, MEMBER, ""),
        (Rule::Delete, MEMBER, ADMIN_OR_OWNER),
    ];
    let referred = referred.into_iter().map(|(name, text)| RuleDefault::new(name, text));
    let enforced = enforced.into_iter().map(|(rule, text, before)| {
        RuleDefault::new(rule.name(), text).replaces(DeprecatedRule::new(rule.name(), before))
    });
    referred.chain(enforced).collect()
}

/// The rule that makes an admin.
const IS_ADMIN: &str = "context_is_admin";

/// What rules are told of a caller, and whether the caller is an admin. There is nothing to tell of
/// a service that asks on somebody's behalf: its token is not read.
pub(crate) fn credentials(policy: &Enforcer, identity: &Identity) -> (Attributes, bool) {
    let mut credentials = attributes([
        ("user_id", json!(identity.user.as_str())),
        ("user_domain_id", json!(identity.user_domain)),
        ("project_id", json!(identity.project.as_ref().map(ProjectId::as_str))),
        ("project_domain_id", json!(identity.project_domain)),
        ("domain_id", json!(identity.domain)),
        ("system_scope", json!(identity.is_system.then_some("all"))),
        ("roles", json!(identity.roles)),
        ("is_admin_project", json!(identity.is_admin_project)),
        ("service_user_id", Value::Null),
        ("service_user_domain_id", Value::Null),
        ("service_project_id", Value::Null),
        ("service_project_domain_id", Value::Null),
        ("service_roles", json!([])),
        ("is_admin", Value::Null),
    ]);
    let is_admin = policy.enforce(IS_ADMIN, &credentials, &credentials);
    credentials.insert("is_admin".to_owned(), json!(is_admin));
    (credentials, is_admin)
}

fn attributes<const N: usize>(attributes: [(&str, Value); N]) -> Attributes {
    attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Rule, credentials, default_rules};
    use crate::context::Context;
    use keystone_client::{Catalog, Identity};
    use openstack_http::Token;
    use oslo_policy::{Attributes, DeprecatedRule, Enforcer, Options, RuleDefault};
    use serde::Deserialize;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Instant;
    use time::OffsetDateTime;

    /// What Cinder decides; `conformance/policy_tables.py` records it.
    #[derive(Deserialize)]
    struct Table {
        defaults: Vec<Default>,
        personas: Vec<(String, Persona)>,
        credentials: BTreeMap<String, Attributes>,
        volume: BTreeMap<String, String>,
        cases: Vec<Case>,
    }

    /// A name, a rule, no scopes, and the name and the rule that were before.
    type Default = (String, String, Option<()>, Option<(String, String)>);

    #[derive(Deserialize)]
    struct Persona {
        project_id: Option<String>,
        domain_id: Option<String>,
        system_scope: Option<String>,
        is_admin_project: Option<bool>,
        roles: Vec<String>,
    }

    #[derive(Deserialize)]
    struct Case {
        file: BTreeMap<String, String>,
        enforce_new_defaults: bool,
        /// A letter for each persona.
        is_admin: String,
        decided: BTreeMap<String, String>,
    }

    fn table() -> Table {
        serde_json::from_str(include_str!("../tests/tables/cinder.json")).unwrap()
    }

    fn identity(name: &str, persona: &Persona) -> Identity {
        Identity {
            user: name.into(),
            user_name: name.to_owned(),
            user_domain: "default".to_owned(),
            project: persona.project_id.as_deref().map(Into::into),
            project_name: None,
            project_domain: None,
            domain: persona.domain_id.clone(),
            is_system: persona.system_scope.is_some(),
            is_admin_project: persona.is_admin_project.unwrap_or(true),
            roles: persona.roles.clone(),
            issued_at: OffsetDateTime::UNIX_EPOCH,
            expires_at: OffsetDateTime::UNIX_EPOCH,
            catalog: Catalog::default(),
        }
    }

    #[test]
    fn the_defaults_are_cinders() {
        let cinders = table().defaults.into_iter().map(|(name, text, _scopes, before)| {
            let default = RuleDefault::new(&name, &text);
            match before {
                Some((name, text)) => default.replaces(DeprecatedRule::new(&name, &text)),
                None => default,
            }
        });
        let cinders: Vec<_> = cinders.map(|default| format!("{default:?}")).collect();
        let ours: Vec<_> = default_rules().iter().map(|default| format!("{default:?}")).collect();
        assert_eq!(ours, cinders);
    }

    #[test]
    fn rules_are_told_what_cinders_are_told() {
        let Table { personas, credentials: expected, .. } = table();
        let policy = Enforcer::of_defaults(default_rules());
        let told = personas.iter().filter_map(|(name, persona)| {
            let told = credentials(&policy, &identity(name, persona)).0;
            expected.contains_key(name).then(|| (name.clone(), told))
        });
        assert_eq!(told.collect::<BTreeMap<_, _>>(), expected);
    }

    #[test]
    fn personas_may_do_what_cinder_lets_them() {
        let Table { personas, volume, cases, .. } = table();
        let home = tempfile::tempdir().unwrap();
        let policy_file = home.path().join("policy.yaml");
        let letter = |allowed| if allowed { 't' } else { 'f' };
        for Case { file, enforce_new_defaults, is_admin, decided } in cases {
            std::fs::write(&policy_file, serde_json::to_string(&file).unwrap()).unwrap();
            let options = Options {
                policy_file: Some(policy_file.clone()),
                enforce_new_defaults,
                ..Options::default()
            };
            let policy = Enforcer::new(default_rules(), options, Arc::new(Instant::now)).unwrap();
            let policy = Arc::new(policy);
            let contexts: Vec<_> = personas
                .iter()
                .map(|(name, persona)| Arc::new(identity(name, persona)))
                .map(|identity| Context::new(identity, Token::new("t"), policy.clone()))
                .collect();
            let admins = contexts.iter().map(|context| letter(context.is_admin()));
            assert_eq!(admins.collect::<String>(), is_admin, "{file:?} {enforce_new_defaults}");
            let (project, user) =
                (volume["project_id"].as_str().into(), volume["user_id"].as_str().into());
            let rules = [Rule::Get, Rule::GetAll, Rule::Create, Rule::Accept, Rule::Delete];
            assert_eq!(rules.len(), decided.len());
            for rule in rules {
                let check = |context: &Context| match rule {
                    Rule::Get | Rule::GetAll | Rule::Accept => rule.check(context),
                    Rule::Create | Rule::Delete => rule.check_on(context, &project, &user),
                };
                let ours: String = contexts.iter().map(|c| letter(check(c).is_ok())).collect();
                let what = format!("{rule:?} {file:?} new: {enforce_new_defaults}");
                assert_eq!(ours, decided[rule.name()], "{what}");
            }
        }
    }
}
