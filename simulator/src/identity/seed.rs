//! The world that every simulator starts with. Its ids follow from the seed.

use serde_json::{Map, Value, json};

use super::assignment::{Actor, Assignment, Scope};
use super::directory::Directory;
use super::record::{Kind, Record, Secret};
use crate::draws::named;

/// Id of the domain that everything is in (keystone: `[identity] default_domain_id`).
pub(crate) const DEFAULT_DOMAIN: &str = "default";

/// Stand in seeded URLs where the simulator does not know its addresses yet.
pub(crate) const IDENTITY_URL: &str = "$(simulator.identity)";
pub(crate) const KEY_MANAGER_URL: &str = "$(simulator.key_manager)";
pub(crate) const BLOCK_STORAGE_URL: &str = "$(simulator.block_storage)";

const ROLES: &[&str] = &["admin", "manager", "member", "reader", "service", "creator"];
/// Bootstrap makes these, and keeps them from being changed.
const IMMUTABLE: &[&str] = &["admin", "manager", "member", "reader", "service"];
/// Role, and the role that it implies (keystone: bootstrap).
const IMPLIED: &[(&str, &str)] =
    &[("admin", "manager"), ("manager", "member"), ("member", "reader")];
const PROJECTS: &[&str] = &["admin", "donor", "recipient", "third", "service"];
const USERS: &[(&str, &str, &[&str])] = &[
    ("admin", "admin", &["admin"]),
    ("x", "donor", &["member", "creator"]),
    ("y", "recipient", &["member", "creator"]),
    ("z", "third", &["member", "creator"]),
    ("cinder", "service", &["admin", "member", "service", "creator"]),
];
/// Type, name and URL, as DevStack registers them.
const SERVICES: &[(&str, &str, &str, &str)] = &[
    ("identity", "keystone", IDENTITY_URL, "/v3"),
    ("key-manager", "barbican", KEY_MANAGER_URL, ""),
    ("volumev3", "cinderv3", BLOCK_STORAGE_URL, "/v3/$(project_id)s"),
    ("block-storage", "cinder", BLOCK_STORAGE_URL, "/v3/$(project_id)s"),
];

impl Directory {
    pub(crate) fn seeded(seed: u64, region: &str) -> Self {
        let id = |kind: &str, name: &str| named(seed, kind, name).simple().to_string();
        let mut directory = Self::default();
        ROLES.iter().for_each(|name| directory.add_role(seed, name));
        let mut add = |kind, id: String, shown: Value| {
            directory.add(kind, Record::new(id, fields(shown)));
        };
        let default = json!({"name": "Default", "description": "The default domain",
            "enabled": true, "tags": [], "options": {}});
        add(Kind::Domain, DEFAULT_DOMAIN.to_owned(), default);
        for name in PROJECTS {
            let project = json!({"name": name, "domain_id": DEFAULT_DOMAIN, "description": "",
                "enabled": true, "parent_id": DEFAULT_DOMAIN, "is_domain": false, "tags": [],
                "options": {}});
            add(Kind::Project, id("project", name), project);
        }
        for (name, _, _) in USERS {
            let user = json!({"name": name, "domain_id": DEFAULT_DOMAIN, "enabled": true,
                "password_expires_at": null, "options": {}});
            add(Kind::User, id("user", name), user);
        }
        add(Kind::Region, region.to_owned(), json!({"description": "", "parent_region_id": null}));
        for (kind, name, base, path) in SERVICES {
            let service = json!({"type": kind, "name": name, "enabled": true});
            add(Kind::Service, id("service", kind), service);
            for interface in ["public", "internal", "admin"] {
                let endpoint = json!({"service_id": id("service", kind), "interface": interface,
                    "region_id": region, "region": region, "url": format!("{base}{path}"),
                    "enabled": true});
                add(Kind::Endpoint, id("endpoint", &format!("{kind}/{interface}")), endpoint);
            }
        }
        for (prior, implied) in IMPLIED {
            directory.implications.push((id("role", prior), id("role", implied)));
        }
        for (user, project, roles) in USERS {
            if let Some(user) = directory.find_mut(Kind::User, &id("user", user)) {
                user.secret = Some(Secret::OfTheCloud);
            }
            let scope = Scope::Project(id("project", project));
            directory.assign(&id("user", user), &scope, roles.iter().map(|role| id("role", role)));
        }
        directory.assign(&id("user", "admin"), &Scope::System, [id("role", "admin")]);
        directory
    }

    /// Makes a role whose id follows from the seed.
    pub(crate) fn add_role(&mut self, seed: u64, name: &str) {
        let is_immutable = IMMUTABLE.contains(&name);
        let options = if is_immutable { json!({"immutable": true}) } else { json!({}) };
        let role = json!({"name": name, "domain_id": null, "description": null,
            "options": options});
        let id = named(seed, "role", name).simple().to_string();
        self.add(Kind::Role, Record::new(id, fields(role)));
    }

    /// Gives these roles to a user.
    pub(crate) fn assign(
        &mut self,
        user_id: &str,
        scope: &Scope,
        role_ids: impl IntoIterator<Item = String>,
    ) {
        self.assignments.extend(role_ids.into_iter().map(|role_id| Assignment {
            actor: Actor::User(user_id.to_owned()),
            scope: scope.clone(),
            role_id,
        }));
    }
}

/// The attributes of an object; nothing else has any.
pub(crate) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}
