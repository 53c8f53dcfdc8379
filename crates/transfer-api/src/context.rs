//! Who a validated request comes from.

use crate::fault::Fault;
use crate::policy;
use cinder_db::Scope;
use keystone_client::Identity;
use openstack_http::Token;
use oslo_policy::{Attributes, Enforcer};
use std::sync::Arc;
use transfer_core::ProjectId;
use transfer_engine::Caller;

/// The owner of the request's token, and the token.
#[derive(Clone)]
pub(crate) struct Context {
    identity: Arc<Identity>,
    token: Token,
    policy: Arc<Enforcer>,
    credentials: Arc<Attributes>,
    is_admin: bool,
}

impl Context {
    pub(crate) fn new(identity: Arc<Identity>, token: Token, policy: Arc<Enforcer>) -> Self {
        let (credentials, is_admin) = policy::credentials(&policy, &identity);
        Self { identity, token, policy, credentials: Arc::new(credentials), is_admin }
    }

    /// Decides what the caller may do.
    pub(crate) fn policy(&self) -> &Enforcer {
        &self.policy
    }

    /// What rules are told of the caller.
    pub(crate) fn credentials(&self) -> &Attributes {
        &self.credentials
    }

    /// The project of the token, if it has one.
    pub(crate) fn project(&self) -> Option<&ProjectId> {
        self.identity.project.as_ref()
    }

    /// What Cinder's rule `context_is_admin` said of the caller.
    pub(crate) fn is_admin(&self) -> bool {
        self.is_admin
    }

    /// The caller as the engine wants it, with a project.
    pub(crate) fn caller(&self) -> Option<Caller> {
        Some(Caller {
            project: self.project()?.clone(),
            user: self.identity.user.clone(),
            is_admin: self.is_admin(),
            token: self.token.clone(),
        })
    }

    /// The caller of what needs a project.
    ///
    /// # Errors
    /// Cinder's 403 for tokens without one.
    pub(crate) fn project_caller(&self) -> Result<Caller, Fault> {
        self.caller().ok_or_else(|| Fault::forbidden("Not authorized."))
    }

    /// The rows that the caller sees.
    ///
    /// # Errors
    /// As [`Context::project_caller`], unless an admin asks.
    pub(crate) fn scope(&self) -> Result<Scope, Fault> {
        match self.project() {
            _ if self.is_admin() => Ok(Scope::All),
            Some(project) => Ok(Scope::Project(project.clone())),
            None => Err(Fault::forbidden("Not authorized.")),
        }
    }

    /// Writes the caller into the request's span.
    pub(crate) fn record(&self, span: &tracing::Span) {
        span.record("user", self.identity.user.as_str());
        if let Some(project) = self.project() {
            span.record("project", project.as_str());
        }
    }
}
