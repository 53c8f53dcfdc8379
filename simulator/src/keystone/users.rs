//! Users and their passwords.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::call::{Answer, Call, Methods, change, no_content, show};
use super::collection::{Fields, Resource, fresh_id, is_on, listed, own_domain, settle_domain};
use super::domains::{apply, options};
use super::error::Refusal;
use super::groups::Groups;
use super::policy::Target;
use super::projects::Projects;
use super::schema::Choice;
use super::schema::{
    ID, NAME, OPTION, SWITCH, Schema, TEXT, TEXT_OR_NULL, choice, fault_in_full, list, object,
};
use crate::draws::Draws;
use crate::identity::{Identity, Kind, Record, Secret, Token, fields, hex};
use crate::state::State as Memory;

const FACTORS: Schema = Schema { min_properties: None, is_set: true, ..list(&TEXT) };
const OPTIONS: Schema = Schema {
    is_closed: true,
    ..object(&[
        ("ignore_change_password_upon_first_use", OPTION),
        ("ignore_password_expiry", OPTION),
        ("ignore_lockout_failure_attempts", OPTION),
        ("lock_password", OPTION),
        ("ignore_user_inactivity", OPTION),
        (
            "multi_factor_auth_rules",
            Schema { kinds: &["array", "null"], is_set: true, ..list(&FACTORS) },
        ),
        ("multi_factor_auth_enabled", OPTION),
    ])
};
const PASSWORD_CHANGE: Schema = Schema {
    required: Some(&["original_password", "password"]),
    is_closed: true,
    ..object(&[("original_password", TEXT), ("password", TEXT)])
};

pub(super) struct Users;

impl Resource for Users {
    const KIND: Kind = Kind::User;
    const ONE: &'static str = "user";
    const MANY: &'static str = "users";
    const CREATE: &'static Schema = &Schema {
        required: Some(&["user"]),
        is_closed: true,
        ..object(&[(
            "user",
            Schema {
                required: Some(&["name"]),
                ..object(&[
                    ("domain_id", ID),
                    ("default_project_id", TEXT_OR_NULL),
                    ("description", TEXT_OR_NULL),
                    ("enabled", SWITCH),
                    ("name", NAME),
                    ("password", TEXT_OR_NULL),
                    ("options", OPTIONS),
                ])
            },
        )])
    };
    const UPDATE: &'static Schema = &Schema {
        required: Some(&["user"]),
        is_closed: true,
        ..object(&[(
            "user",
            Schema {
                min_properties: Some(1),
                ..object(&[
                    ("default_project_id", TEXT_OR_NULL),
                    ("description", TEXT_OR_NULL),
                    ("domain_id", ID),
                    ("enabled", SWITCH),
                    ("name", NAME),
                    ("password", TEXT_OR_NULL),
                    ("options", OPTIONS),
                ])
            },
        )])
    };
    const QUERY: &'static Schema = &object(&[
        ("domain_id", ID),
        ("enabled", SWITCH),
        ("name", NAME),
        ("sort_dir", choice(&[Choice::Text("asc"), Choice::Text("desc")])),
    ]);
    const FILTERS: &'static [&'static str] = &["domain_id", "enabled", "name"];
    const COLUMNS: Option<&'static [&'static str]> = Some(&[
        "name",
        "domain_id",
        "enabled",
        "default_project_id",
        "password_expires_at",
        "options",
    ]);

    fn home<'a>(_: &'a str, fields: &'a Fields) -> Option<&'a str> {
        fields.get("domain_id").and_then(Value::as_str)
    }

    fn target<'a>(id: &'a str, fields: &'a Fields) -> Target<'a> {
        Target { owners: vec![id], ..Target::in_domain(Self::home(id, fields)) }
    }

    fn draft(
        call: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        mut given: Fields,
    ) -> Result<Record, Refusal> {
        settle_domain(call, &mut given);
        check_domain(identity, &given)?;
        check_default_project(identity, &given)?;
        let password = given.remove("password");
        let mut all = fields(json!({"password_expires_at": null}));
        all.append(&mut given);
        let enabled = is_on(all.get("enabled"));
        let options = options(all.get("options"));
        let name = all.get("name").and_then(Value::as_str).unwrap_or_default().trim().to_owned();
        all.append(&mut fields(json!({"name": name, "enabled": enabled, "options": options})));
        let mut record = Record::new(fresh_id(draws), all);
        record.secret = secret(password.as_ref(), draws);
        check_unique(identity, Self::KIND, &record, true)?;
        Ok(record)
    }

    fn amend(
        _: &Call<'_>,
        identity: &Identity,
        draws: &mut Draws,
        record: &mut Record,
        mut changes: Fields,
    ) -> Result<(), Refusal> {
        keep_domain(record, &changes)?;
        check_default_project(identity, &changes)?;
        if let Some(password) = changes.remove("password") {
            record.secret = secret(Some(&password), draws);
        }
        changes.remove("id");
        apply(record, changes);
        check_unique(identity, Self::KIND, record, false)
    }

    fn ends(before: &Record, after: &Record, token: &Token) -> bool {
        let is_disabled = before.is_enabled() && !after.is_enabled();
        let hash = |record: &Record| match &record.secret {
            Some(Secret::Hashed { hash, .. }) => Some(hash.clone()),
            Some(Secret::OfTheCloud) | None => None,
        };
        token.user_id == after.id && (is_disabled || hash(before) != hash(after))
    }
}

/// The hash of a password.
pub(super) fn secret(text: Option<&Value>, draws: &mut Draws) -> Option<Secret> {
    let text = text.and_then(Value::as_str)?;
    Some(Secret::of(text, hex(&draws.bytes(16))))
}

/// The domain of a new user or group exists.
pub(super) fn check_domain(identity: &Identity, given: &Fields) -> Result<(), Refusal> {
    let id = given.get("domain_id").and_then(Value::as_str).unwrap_or_default();
    let found = identity.directory().find(Kind::Domain, id);
    found.map(|_| ()).ok_or_else(|| Refusal::not_found(Kind::Domain, id))
}

/// Users, groups and the like stay in their domain.
pub(super) fn keep_domain(record: &Record, changes: &Fields) -> Result<(), Refusal> {
    let domain = changes.get("domain_id");
    if domain.is_some_and(|domain| record.fields.get("domain_id") != Some(domain)) {
        return Err(Refusal::Malformed("Cannot change Domain ID".to_owned()));
    }
    Ok(())
}

/// A name is given once within its domain.
pub(super) fn check_unique(
    identity: &Identity,
    kind: Kind,
    record: &Record,
    names_domain: bool,
) -> Result<(), Refusal> {
    let taken = identity.directory().named(kind, record.name(), record.domain_id());
    if taken.is_none_or(|one| one.id == record.id) {
        return Ok(());
    }
    let domain = record.domain_id().filter(|_| names_domain);
    let place = domain.map(|id| format!(" at domain ID {id}")).unwrap_or_default();
    let details = format!("Duplicate entry found with name {}{place}", record.name());
    Err(Refusal::Conflict { kind: kind.word(), details })
}

fn check_default_project(identity: &Identity, given: &Fields) -> Result<(), Refusal> {
    let id = given.get("default_project_id").and_then(Value::as_str).unwrap_or_default();
    if identity.directory().find(Kind::Domain, id).is_none() {
        return Ok(());
    }
    Err(Refusal::Malformed(format!("User's default project ID cannot be a domain ID: {id}")))
}

/// The methods of a user's password.
pub(super) fn password() -> Methods {
    change("POST", change_password)
}

/// Whoever knows the password may change it: no token is needed.
fn change_password(call: &Call<'_>, state: &mut Memory) -> Answer {
    let given = Value::Object(call.member("user"));
    if let Some(fault) = fault_in_full(&PASSWORD_CHANGE, &given) {
        return Err(Refusal::Malformed(fault));
    }
    let text = |key: &str| given.get(key).and_then(Value::as_str).unwrap_or_default();
    let of_the_cloud = call.simulator.config().password.as_str();
    let is_right = |user: &&Record| {
        let known = user.secret.as_ref();
        known.is_some_and(|known| known.is(text("original_password"), of_the_cloud))
    };
    let directory = state.identity.directory();
    let user = directory.find(Kind::User, call.param("id")).filter(is_right);
    let user = user.filter(|user| directory.is_enabled(user)).ok_or(Refusal::Unauthorized)?;
    let id = user.id.clone();
    let secret = secret(given.get("password"), &mut state.draws);
    if let Some(user) = state.identity.directory_mut().find_mut(Kind::User, &id) {
        user.secret = secret;
    }
    state.identity.revoke_where(|token| token.user_id == id);
    Ok(no_content())
}

/// The projects that a user has a role on.
pub(super) fn projects() -> Methods {
    show(|call, state| {
        let user = member_of(call, state, "identity:list_user_projects")?;
        let directory = state.identity.directory();
        let found = directory.reachable(&user.id, Kind::Project).into_iter().map(Cow::Borrowed);
        let filters = ["domain_id", "enabled", "name"];
        listed(call, Projects::MANY, &filters, found.collect(), |one| {
            Projects::document(call, directory, one)
        })
    })
}

/// The groups that a user is in.
pub(super) fn groups() -> Methods {
    show(|call, state| {
        let user = member_of(call, state, "identity:list_groups_for_user")?;
        let directory = state.identity.directory();
        let found = directory.all(Kind::Group).iter().filter(|group| {
            directory.is_member(&user.id, &group.id)
                && own_domain(call).is_none_or(|own| group.domain_id() == Some(own))
        });
        listed(call, Groups::MANY, &["name"], found.map(Cow::Borrowed).collect(), |one| {
            let mut shown = Groups::document(call, directory, one);
            shown.insert("membership_expires_at".to_owned(), Value::Null);
            shown
        })
    })
}

fn member_of<'a>(call: &Call<'_>, state: &'a Memory, action: &str) -> Result<&'a Record, Refusal> {
    let id = call.param("id");
    let found = state.identity.user(id);
    let target = found.map(|user| Users::target(&user.id, &user.fields));
    call.allow(action, &target.unwrap_or_default())?;
    found.ok_or_else(|| Refusal::not_found(Kind::User, id))
}
