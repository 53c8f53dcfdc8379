//! Domains: whatever is enabled is not deleted, and a deleted one takes its members along.

use serde_json::{Value, json};

use super::call::Call;
use super::collection::{Fields, Resource, fresh_id, is_on};
use super::error::Refusal;
use super::projects::TAGS;
use super::schema::{ID, IMMUTABLE, NAME, SWITCH, Schema, TEXT_OR_NULL, object};
use crate::draws::Draws;
use crate::identity::{Directory, Identity, Kind, Record, fields};

/// The name that keystone keeps for users from elsewhere (`[federation] federated_domain_name`).
const FEDERATED: &str = "federated";

pub(super) const PROJECT_NAME: Schema = Schema { max_length: Some(64), ..NAME };
/// Attributes of the project that a domain acts as, and the id that a domain may ask for.
pub(super) const NOT_A_DOMAINS: &[&str] =
    &["id", "explicit_domain_id", "domain_id", "parent_id", "is_domain"];
const DESCRIPTION: Schema = Schema { max_length: Some(255), ..TEXT_OR_NULL };

pub(super) struct Domains;

impl Resource for Domains {
    const KIND: Kind = Kind::Domain;
    const ONE: &'static str = "domain";
    const MANY: &'static str = "domains";
    const CREATE: &'static Schema = &Schema {
        required: Some(&["domain"]),
        is_closed: true,
        ..object(&[(
            "domain",
            Schema {
                required: Some(&["name"]),
                ..object(&[
                    ("explicit_domain_id", ID),
                    ("description", DESCRIPTION),
                    ("enabled", SWITCH),
                    ("name", PROJECT_NAME),
                    ("options", IMMUTABLE),
                    ("tags", TAGS),
                ])
            },
        )])
    };
    const UPDATE: &'static Schema = &Schema {
        required: Some(&["domain"]),
        is_closed: true,
        ..object(&[(
            "domain",
            Schema {
                min_properties: Some(1),
                ..object(&[
                    ("description", DESCRIPTION),
                    ("enabled", SWITCH),
                    ("name", PROJECT_NAME),
                    ("options", IMMUTABLE),
                    ("tags", TAGS),
                ])
            },
        )])
    };
    const QUERY: &'static Schema = &object(&[("enabled", SWITCH), ("name", PROJECT_NAME)]);
    const FILTERS: &'static [&'static str] = &["name", "enabled"];
    const UNKNOWN_FIRST: &'static [&'static str] = &["update", "delete"];

    fn home<'a>(id: &'a str, _: &'a Fields) -> Option<&'a str> {
        Some(id)
    }

    fn draft(
        _: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        mut given: Fields,
    ) -> Result<Record, Refusal> {
        let id = match given.get("explicit_domain_id").and_then(Value::as_str) {
            None => fresh_id(draws),
            Some(id) if id.len() == 32 && uuid::Uuid::parse_str(id).is_ok() => id.to_owned(),
            Some(_) => {
                let text = "Domain ID does not conform to required UUID format.";
                return Err(Refusal::Malformed(text.to_owned()));
            }
        };
        let name = given.get("name").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        check_name(identity, &name, &id)?;
        let mut all = fields(json!({"description": "", "tags": []}));
        all.append(&mut given);
        all.retain(|key, _| !NOT_A_DOMAINS.contains(&key.as_str()));
        let enabled = is_on(all.get("enabled"));
        let options = options(all.get("options"));
        all.append(&mut fields(json!({"name": name, "enabled": enabled, "options": options})));
        Ok(Record::new(id, all))
    }

    fn amend(
        _: &Call<'_>,
        identity: &Identity,
        _: &mut Draws,
        record: &mut Record,
        mut changes: Fields,
    ) -> Result<(), Refusal> {
        check_mutable(record, "update", Self::ONE, Some(&changes))?;
        if let Some(name) = changes.get("name").and_then(Value::as_str) {
            check_federated(name)?;
            check_unique(identity, name.trim(), &record.id)?;
        }
        changes.retain(|key, _| !NOT_A_DOMAINS.contains(&key.as_str()));
        apply(record, changes);
        Ok(())
    }

    fn check_removal(_: &Directory, record: &Record) -> Result<(), Refusal> {
        check_mutable(record, "delete", Self::ONE, None)?;
        if record.is_enabled() {
            let text = "Cannot delete a domain that is enabled, please disable it first.";
            return Err(Refusal::Denied(text.to_owned()));
        }
        Ok(())
    }
}

pub(super) fn check_name(identity: &Identity, name: &str, id: &str) -> Result<(), Refusal> {
    check_federated(name)?;
    check_unique(identity, name, id)
}

/// Upstream makes sure of this by an assertion.
fn check_federated(name: &str) -> Result<(), Refusal> {
    if name.to_lowercase() == FEDERATED { Err(Refusal::Crash) } else { Ok(()) }
}

fn check_unique(identity: &Identity, name: &str, id: &str) -> Result<(), Refusal> {
    let mut domains = identity.directory().all(Kind::Domain).iter();
    if domains.any(|one| one.id != id && one.name() == name) {
        let details = format!(
            "it is not permitted to have two projects acting as domains with the same name: {name}"
        );
        return Err(Refusal::Conflict { kind: "project", details });
    }
    Ok(())
}

/// The options that are set.
pub(super) fn options(given: Option<&Value>) -> Value {
    let mut options = given.and_then(Value::as_object).cloned().unwrap_or_default();
    options.retain(|_, value| !value.is_null());
    Value::Object(options)
}

/// Takes over the changes, enabled-or-not as a boolean and options one by one.
pub(super) fn apply(record: &mut Record, changes: Fields) {
    for (key, value) in changes {
        let value = match (key.as_str(), value) {
            ("name", Value::String(name)) => Value::String(name.trim().to_owned()),
            ("enabled", value) => Value::Bool(is_on(Some(&value))),
            ("options", value) => {
                let mut all = record.fields.remove("options").unwrap_or_else(|| json!({}));
                for (key, value) in value.as_object().into_iter().flatten() {
                    all[key] = value.clone();
                }
                options(Some(&all))
            }
            (_, value) => value,
        };
        record.fields.insert(key, value);
    }
}

/// What is immutable has to be made mutable first, by a change that makes nothing else.
pub(super) fn check_mutable(
    record: &Record,
    verb: &str,
    kind: &str,
    changes: Option<&Fields>,
) -> Result<(), Refusal> {
    let option = |fields: Option<&Fields>| {
        let options = fields.and_then(|fields| fields.get("options"))?;
        options.get("immutable").cloned()
    };
    let is_immutable = option(Some(&record.fields)) == Some(Value::Bool(true));
    let frees = changes.is_some_and(|changes| changes.len() == 1)
        && option(changes).is_some_and(|value| value != Value::Bool(true));
    if !is_immutable || frees {
        return Ok(());
    }
    Err(Refusal::Denied(format!(
        "Unable to {verb} immutable {kind} resource: `{}. Set resource option \"immutable\" to \
         false first.",
        record.id
    )))
}
