//! What proves an identity to Keystone, and the request body that says so.
//!
//! Follows keystone: `auth/schema.py`. Unscoped and domain-scoped tokens are of no use here and
//! cannot be asked for.

use openstack_http::{Password, Token};
use serde_json::{Value, json};
use transfer_core::{ProjectId, UserId};

/// A way to authenticate, and the project to act in.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A user's password.
    Password {
        /// Whose.
        user: UserRef,
        /// The password.
        password: Password,
        /// The project to act in.
        project: ProjectRef,
    },
    /// An application credential, which brings its project along.
    ApplicationCredential {
        /// Which one.
        credential: ApplicationCredential,
        /// Its secret.
        secret: Password,
    },
    /// A token exchanged for one in another project; its end stays the same.
    Token {
        /// The token to exchange.
        token: Token,
        /// The project to act in.
        project: ProjectRef,
    },
}

/// A user, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRef {
    /// The user's id.
    Id(UserId),
    /// The user's name, unique in its domain.
    Name {
        /// The name.
        name: String,
        /// The domain that owns the user.
        domain: DomainRef,
    },
}

/// A project, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProjectRef {
    /// The project's id.
    Id(ProjectId),
    /// The project's name, unique in its domain.
    Name {
        /// The name.
        name: String,
        /// The domain that owns the project.
        domain: DomainRef,
    },
}

/// A domain, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainRef {
    /// The domain's id.
    Id(String),
    /// The domain's name.
    Name(String),
}

/// An application credential, by id or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplicationCredential {
    /// The credential's id.
    Id(String),
    /// The credential's name, unique for its user.
    Name {
        /// The name.
        name: String,
        /// The user who owns the credential.
        user: UserRef,
    },
}

impl Credentials {
    /// The body of `POST /v3/auth/tokens`.
    pub(crate) fn body(&self) -> Value {
        match self {
            Self::Password { user, password, project } => {
                let mut user = user.body();
                user["password"] = json!(password.expose());
                let identity = json!({"methods": ["password"], "password": {"user": user}});
                json!({"auth": {"identity": identity, "scope": {"project": project.body()}}})
            }
            Self::ApplicationCredential { credential, secret } => {
                let mut credential = credential.body();
                credential["secret"] = json!(secret.expose());
                let methods = ["application_credential"];
                let identity = json!({"methods": methods, "application_credential": credential});
                json!({"auth": {"identity": identity}})
            }
            Self::Token { token, project } => {
                let identity = json!({"methods": ["token"], "token": {"id": token.expose()}});
                json!({"auth": {"identity": identity, "scope": {"project": project.body()}}})
            }
        }
    }

    /// What Keystone must not be quoted with.
    pub(crate) fn secret(&self) -> &[u8] {
        match self {
            Self::Password { password: secret, .. }
            | Self::ApplicationCredential { secret, .. } => secret.expose().as_bytes(),
            Self::Token { token, .. } => token.expose().as_bytes(),
        }
    }
}

impl UserRef {
    fn body(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name { name, domain } => json!({"name": name, "domain": domain.body()}),
        }
    }
}

impl ProjectRef {
    fn body(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name { name, domain } => json!({"name": name, "domain": domain.body()}),
        }
    }
}

impl DomainRef {
    fn body(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name(name) => json!({"name": name}),
        }
    }
}

impl ApplicationCredential {
    fn body(&self) -> Value {
        match self {
            Self::Id(id) => json!({"id": id}),
            Self::Name { name, user } => json!({"name": name, "user": user.body()}),
        }
    }
}
