//! Who a validated request comes from.

use crate::fault::Fault;
use cinder_db::Scope;
use keystone_client::Identity;
use openstack_http::Token;
use std::sync::Arc;
use transfer_core::ProjectId;
use transfer_engine::Caller;

/// The owner of the request's token, and the token.
#[derive(Clone)]
pub(crate) struct Context {
    identity: Arc<Identity>,
    token: Token,
}

impl Context {
    pub(crate) fn new(identity: Arc<Identity>, token: Token) -> Self {
        Self { identity, token }
    }

    /// The project of the token, if it has one.
    pub(crate) fn project(&self) -> Option<&ProjectId> {
        self.identity.project.as_ref()
    }

    /// Whether the token carries the role; oslo.policy does not heed case.
    pub(crate) fn has_role(&self, role: &str) -> bool {
        self.identity.roles.iter().any(|held| held.eq_ignore_ascii_case(role))
    }

    /// Cinder's `context_is_admin`.
    pub(crate) fn is_admin(&self) -> bool {
        self.has_role("admin")
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
