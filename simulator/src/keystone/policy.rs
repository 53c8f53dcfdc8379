//! Who may do what: Keystone's default policy with its new defaults and scopes enforced.
//!
//! Source: keystone `common/policies/*.py`. A rule is a list of those who may pass; the first line
//! that names an action is its rule, and what no line names nobody may do.

use super::call::Caller;
use crate::identity::Scope;

/// Those who may pass.
#[derive(Clone, Copy)]
enum Who {
    Anyone,
    Admin,
    /// A service user.
    Service,
    SystemReader,
    /// Whoever the thing belongs to.
    Owner,
    /// A token of the project that it is about.
    Member,
    /// A token of the domain, or of a project in it.
    Inhabitant,
    /// A token of the domain that all of it is in, with this role.
    Domain(&'static str),
    /// The same, about a role that is common or the domain's own.
    DomainWithRole(&'static str),
    /// A manager of the domain, about one of the roles that managers may hand on.
    DomainManagerOfRole,
    /// A manager anywhere, about such a role.
    ManagerOfRole,
    /// A manager with a token of a domain.
    ManagerOfAnyDomain,
}

use Who::{
    Admin, Anyone, Domain, DomainManagerOfRole, DomainWithRole, Inhabitant, ManagerOfAnyDomain,
    ManagerOfRole, Member, Owner, Service, SystemReader,
};

/// The kinds of tokens that a rule is for at all.
#[derive(Clone, Copy)]
enum Scopes {
    All,
    NoDomain,
    ProjectOnly,
}

use Scopes::{All, NoDomain, ProjectOnly};

type Rule = (&'static [&'static str], Scopes, &'static [Who]);

/// Actions without their `identity:`.
const RULES: &[Rule] = &[
    (
        &["get_auth_catalog", "get_auth_projects", "get_auth_domains", "get_auth_system"],
        All,
        &[Anyone],
    ),
    (&["get_region", "list_regions"], All, &[Anyone]),
    (&["check_token"], All, &[Admin, SystemReader, Owner]),
    (&["validate_token"], All, &[Admin, SystemReader, Service, Owner]),
    (&["revoke_token"], All, &[Admin, Owner]),
    (&["get_domain"], All, &[Admin, SystemReader, Inhabitant]),
    (
        &["get_project", "list_project_tags", "get_project_tag"],
        All,
        &[Admin, SystemReader, Domain("reader"), Member],
    ),
    (
        &["get_user", "list_user_projects", "list_groups_for_user"],
        All,
        &[Admin, SystemReader, Domain("reader"), Owner],
    ),
    (
        &[
            "list_domains",
            "list_projects",
            "list_users",
            "list_groups",
            "get_group",
            "list_users_in_group",
            "check_user_in_group",
            "list_role_assignments",
            "list_role_assignments_for_tree",
            "list_grants",
        ],
        All,
        &[Admin, SystemReader, Domain("reader")],
    ),
    (
        &[
            "create_project",
            "update_project",
            "delete_project",
            "create_project_tag",
            "update_project_tags",
            "delete_project_tag",
            "delete_project_tags",
            "create_user",
            "update_user",
            "delete_user",
            "create_group",
            "update_group",
            "delete_group",
            "add_user_to_group",
            "remove_user_from_group",
        ],
        All,
        &[Admin, Domain("manager")],
    ),
    (&["check_grant"], All, &[Admin, SystemReader, DomainWithRole("reader")]),
    (
        &["create_grant", "revoke_grant"],
        All,
        &[Admin, DomainWithRole("admin"), DomainManagerOfRole],
    ),
    (&["get_role"], All, &[Admin, SystemReader, ManagerOfRole]),
    (&["list_roles"], All, &[Admin, SystemReader, ManagerOfAnyDomain]),
    (
        &[
            "get_domain_role",
            "list_domain_roles",
            "get_implied_role",
            "check_implied_role",
            "list_implied_roles",
            "list_role_inference_rules",
            "get_service",
            "list_services",
            "get_endpoint",
            "list_endpoints",
            "list_trusts",
            "list_system_grants_for_user",
            "check_system_grant_for_user",
            "list_system_grants_for_group",
            "check_system_grant_for_group",
        ],
        NoDomain,
        &[Admin, SystemReader],
    ),
    (
        &[
            "create_domain",
            "update_domain",
            "delete_domain",
            "create_role",
            "update_role",
            "delete_role",
            "create_domain_role",
            "update_domain_role",
            "delete_domain_role",
            "create_implied_role",
            "delete_implied_role",
            "create_region",
            "update_region",
            "delete_region",
            "create_service",
            "update_service",
            "delete_service",
            "create_endpoint",
            "update_endpoint",
            "delete_endpoint",
            "create_system_grant_for_user",
            "revoke_system_grant_for_user",
            "create_system_grant_for_group",
            "revoke_system_grant_for_group",
        ],
        NoDomain,
        &[Admin],
    ),
    (
        &[
            "get_application_credential",
            "list_application_credentials",
            "list_trusts_for_trustor",
            "list_trusts_for_trustee",
            "get_trust",
            "list_roles_for_trust",
            "get_role_for_trust",
        ],
        NoDomain,
        &[Admin, SystemReader, Owner],
    ),
    (&["delete_application_credential", "delete_trust"], NoDomain, &[Admin, Owner]),
    (&["get_access_rule", "list_access_rules"], NoDomain, &[SystemReader, Owner]),
    (&["delete_access_rule"], NoDomain, &[Owner]),
    (&["create_application_credential", "create_trust"], ProjectOnly, &[Owner]),
];

/// The roles that managers of a domain may assign.
const MANAGED: &[&str] = &["manager", "member", "reader"];

/// What a request is about, as far as a rule asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Target<'a> {
    /// The users that it belongs to.
    pub(super) owners: Vec<&'a str>,
    pub(super) project_id: Option<&'a str>,
    /// The domains of everything that it touches; none when that is not known.
    pub(super) domain_ids: Vec<Option<&'a str>>,
    /// The name of a role and the domain that it is of.
    pub(super) role: Option<(&'a str, Option<&'a str>)>,
}

impl<'a> Target<'a> {
    pub(super) fn owned_by(owner: &'a str) -> Self {
        Self { owners: vec![owner], ..Self::default() }
    }

    pub(super) fn in_domain(domain_id: Option<&'a str>) -> Self {
        Self { domain_ids: vec![domain_id], ..Self::default() }
    }
}

/// Whether the caller may do `action`, such as `identity:get_user`, to `target`.
pub(super) fn allows(action: &str, caller: &Caller, target: &Target<'_>) -> bool {
    let action = action.strip_prefix("identity:").unwrap_or(action);
    let rule = RULES.iter().find(|(actions, _, _)| actions.contains(&action));
    rule.is_some_and(|(_, scopes, whos)| {
        in_scope(*scopes, &caller.token.scope)
            && whos.iter().any(|who| passes(*who, caller, target))
    })
}

fn in_scope(scopes: Scopes, scope: &Scope) -> bool {
    match (scopes, scope) {
        (All, _) | (NoDomain, Scope::System) => true,
        // oslo.policy takes an unscoped token for one of a project.
        (NoDomain | ProjectOnly, Scope::Project(_) | Scope::Unscoped) => true,
        (NoDomain, Scope::Domain(_)) | (ProjectOnly, Scope::Domain(_) | Scope::System) => false,
    }
}

fn passes(who: Who, caller: &Caller, target: &Target<'_>) -> bool {
    let scope = &caller.token.scope;
    let has = |role| caller.bearer.has_role(role);
    let own_domain = match scope {
        Scope::Domain(id) => Some(id.as_str()),
        Scope::Unscoped | Scope::Project(_) | Scope::System => None,
    };
    let in_domain = || {
        own_domain.is_some()
            && !target.domain_ids.is_empty()
            && target.domain_ids.iter().all(|id| *id == own_domain)
    };
    let managed = || target.role.is_some_and(|(name, _)| MANAGED.contains(&name));
    match who {
        Anyone => true,
        Admin => has("admin"),
        Service => has("service"),
        SystemReader => *scope == Scope::System && has("reader"),
        Owner => target.owners.contains(&caller.bearer.user.id.as_str()),
        Member => {
            let own = caller.bearer.project.as_ref();
            own.is_some_and(|own| target.project_id == Some(own.id.as_str()))
        }
        Inhabitant => {
            let own = own_domain.or(caller.project_domain.as_deref());
            own.is_some() && target.domain_ids.contains(&own)
        }
        Domain(role) => has(role) && in_domain(),
        DomainWithRole(role) => {
            let fits = target
                .role
                .is_some_and(|(_, domain)| domain.is_none_or(|id| own_domain == Some(id)));
            has(role) && in_domain() && fits
        }
        DomainManagerOfRole => has("manager") && in_domain() && managed(),
        ManagerOfRole => has("manager") && managed(),
        ManagerOfAnyDomain => has("manager") && own_domain.is_some(),
    }
}
