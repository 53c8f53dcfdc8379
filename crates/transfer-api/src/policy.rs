//! Who may do what: Cinder's default rules.
//!
//! cinder: `policies/volume_transfer.py` with `enforce_new_defaults`. An admin of any project may
//! do everything; anybody else needs a role in the project of the token. Which rows are visible
//! is decided before, by [`crate::context::Context::scope`]: what a project does not see is 404,
//! so that the target's project is the token's wherever a rule is checked.

use crate::context::Context;
use crate::fault::Fault;

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
    /// The rule's name, and the role that it asks for.
    fn definition(self) -> (&'static str, &'static str) {
        match self {
            Self::Get => ("volume:get_transfer", "reader"),
            Self::GetAll => ("volume:get_all_transfers", "reader"),
            Self::Create => ("volume:create_transfer", "member"),
            Self::Accept => ("volume:accept_transfer", "member"),
            Self::Delete => ("volume:delete_transfer", "member"),
        }
    }

    /// Checks the rule.
    ///
    /// # Errors
    /// A 403 in Cinder's words.
    pub(crate) fn check(self, context: &Context) -> Result<(), Fault> {
        let (name, role) = self.definition();
        if context.is_admin() || (context.project().is_some() && context.has_role(role)) {
            return Ok(());
        }
        Err(Fault::forbidden(format!("Policy doesn't allow {name} to be performed.")))
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;
    use crate::context::Context;
    use keystone_client::{Catalog, Identity};
    use openstack_http::Token;
    use std::sync::Arc;
    use time::OffsetDateTime;

    fn allowed(roles: &[&str], project: Option<&str>) -> Vec<Rule> {
        let identity = Identity {
            user: "u".into(),
            user_name: "u".to_owned(),
            user_domain: "default".to_owned(),
            project: project.map(Into::into),
            project_name: None,
            project_domain: None,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            issued_at: OffsetDateTime::UNIX_EPOCH,
            expires_at: OffsetDateTime::UNIX_EPOCH,
            catalog: Catalog::default(),
        };
        let context = Context::new(Arc::new(identity), Token::new("t"));
        let rules = [Rule::Get, Rule::GetAll, Rule::Create, Rule::Accept, Rule::Delete];
        rules.into_iter().filter(|rule| rule.check(&context).is_ok()).collect()
    }

    #[test]
    fn readers_look_and_members_act() {
        let look = vec![Rule::Get, Rule::GetAll];
        let act = vec![Rule::Create, Rule::Accept, Rule::Delete];
        let all = [look.clone(), act.clone()].concat();
        for (roles, project, expected) in [
            (vec![], Some("p"), vec![]),
            (vec!["creator"], Some("p"), vec![]),
            (vec!["reader"], Some("p"), look),
            (vec!["Member"], Some("p"), act),
            (vec!["reader", "member"], Some("p"), all.clone()),
            (vec!["reader", "member"], None, vec![]),
            (vec!["admin"], Some("p"), all.clone()),
            (vec!["ADMIN"], None, all),
        ] {
            assert_eq!(allowed(&roles, project), expected, "{roles:?} {project:?}");
        }
    }
}
