//! Whose a token is: user, project, roles, life, and the catalogue that comes with it.
//!
//! Reads the `token` document (keystone: `common/render_token.py`). A document without user or
//! times is unreadable; one without project is unscoped, or scoped to a domain or the system.

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use transfer_core::{ProjectId, UserId};
use url::Url;

/// The owner of a token, as Keystone describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub user: UserId,
    /// The user's name.
    pub user_name: String,
    /// The id of the domain that owns the user.
    pub user_domain: String,
    /// The project that the token is scoped to, if it is scoped to one.
    pub project: Option<ProjectId>,
    /// That project's name.
    pub project_name: Option<String>,
    /// The id of the domain that owns that project.
    pub project_domain: Option<String>,
    /// The id of the domain that the token is scoped to, if it is scoped to one.
    pub domain: Option<String>,
    /// Whether the token is scoped to the whole deployment.
    pub is_system: bool,
    /// Whether the project is the one for administration; always, where Keystone knows of none.
    pub is_admin_project: bool,
    /// Names of the roles in that scope, implied ones included.
    pub roles: Vec<String>,
    /// When the token was issued.
    pub issued_at: OffsetDateTime,
    /// When the token ends.
    pub expires_at: OffsetDateTime,
    /// Where the services are; empty for a validated token.
    pub catalog: Catalog,
}

/// The service catalogue of a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Catalog(Vec<CatalogEntry>);

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct CatalogEntry {
    #[serde(rename = "type")]
    service_type: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Endpoint {
    interface: String,
    region_id: Option<String>,
    url: String,
}

impl Catalog {
    /// The endpoint of the first of `service_types` that has one with this interface (`public`,
    /// `internal`, `admin`) in this region, or in any where `region` is none.
    pub fn endpoint(
        &self,
        service_types: &[&str],
        interface: &str,
        region: Option<&str>,
    ) -> Option<Url> {
        let fits = |endpoint: &&Endpoint| {
            endpoint.interface == interface
                && region.is_none_or(|region| endpoint.region_id.as_deref() == Some(region))
        };
        service_types.iter().find_map(|wanted| {
            let entries = self.0.iter().filter(|entry| entry.service_type == *wanted);
            let mut urls = entries.flat_map(|entry| &entry.endpoints).filter(fits);
            urls.find_map(|endpoint| Url::parse(&endpoint.url).ok())
        })
    }
}

/// The reply to issuing and to validating a token.
#[derive(Deserialize)]
pub(crate) struct TokenDocument {
    token: TokenBody,
}

#[derive(Deserialize)]
struct TokenBody {
    user: Named,
    project: Option<Named>,
    domain: Option<Domain>,
    system: Option<System>,
    is_admin_project: Option<bool>,
    #[serde(default)]
    roles: Vec<Role>,
    issued_at: String,
    expires_at: String,
    #[serde(default)]
    catalog: Catalog,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
    domain: Domain,
}

#[derive(Deserialize)]
struct Domain {
    id: String,
}

#[derive(Deserialize)]
struct System {
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

impl TokenDocument {
    /// The identity, or nothing where a time is not one.
    pub(crate) fn identity(self) -> Option<Identity> {
        let token = self.token;
        let (project, project_name, project_domain) = match token.project {
            Some(project) => {
                (Some(ProjectId::new(project.id)), Some(project.name), Some(project.domain.id))
            }
            None => (None, None, None),
        };
        Some(Identity {
            user: UserId::new(token.user.id),
            user_name: token.user.name,
            user_domain: token.user.domain.id,
            project,
            project_name,
            project_domain,
            domain: token.domain.map(|domain| domain.id),
            is_system: token.system.is_some_and(|system| system.all),
            is_admin_project: token.is_admin_project.unwrap_or(true),
            roles: token.roles.into_iter().map(|role| role.name).collect(),
            issued_at: OffsetDateTime::parse(&token.issued_at, &Rfc3339).ok()?,
            expires_at: OffsetDateTime::parse(&token.expires_at, &Rfc3339).ok()?,
            catalog: token.catalog,
        })
    }
}
