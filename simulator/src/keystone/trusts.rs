//! Trusts: a user lets another one have some of his roles on a project.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::application_credentials::{ROLE, role_id};
use super::call::{Answer, Call, Caller, Methods, change, created, no_content, ok, show};
use super::collection::{Fields, Resource as _, check, check_query, document, fresh_id, listed};
use super::error::Refusal;
use super::expiry;
use super::policy::Target;
use super::roles::Roles;
use super::schema::{BOOLEAN, Schema, TEXT, TEXT_OR_NULL, list, object};
use crate::identity::{Directory, Identity, Kind, Record, Scope, fields};
use crate::state::State as Memory;

/// How often a trust may be handed on (keystone: `[trust] max_redelegation_count`).
const MAX_REDELEGATION: i64 = 3;
const COLLECTION: &str = "OS-TRUST/trusts";

const NUMBER: Schema = Schema { kinds: &["integer", "null"], ..TEXT };
const CREATE: Schema = Schema {
    required: Some(&["trust"]),
    is_closed: true,
    ..object(&[(
        "trust",
        Schema {
            required: Some(&["trustor_user_id", "trustee_user_id", "impersonation"]),
            ..object(&[
                ("trustor_user_id", TEXT),
                ("trustee_user_id", TEXT),
                ("impersonation", BOOLEAN),
                ("project_id", TEXT_OR_NULL),
                ("remaining_uses", Schema { minimum: Some(1), ..NUMBER }),
                ("expires_at", Schema { kinds: &["null", "string"], ..TEXT }),
                ("allow_redelegation", Schema { kinds: &["boolean", "null"], ..BOOLEAN }),
                ("redelegation_count", Schema { minimum: Some(0), ..NUMBER }),
                ("redelegated_trust_id", TEXT_OR_NULL),
                ("roles", list(&ROLE)),
            ])
        },
    )])
};
const QUERY: Schema = object(&[("trustor_user_id", TEXT), ("trustee_user_id", TEXT)]);

/// The methods of all trusts.
pub(super) fn all() -> Methods {
    show(list_all).merge(change("POST", create))
}

/// The methods of one trust.
pub(super) fn one() -> Methods {
    show(|call, state| {
        let trust = sought(call, &state.identity, "identity:get_trust")?;
        Ok(ok(json!({"trust": shown(call, state.identity.directory(), trust)})))
    })
    .merge(change("DELETE", |call, state: &mut Memory| {
        let id = sought(call, &state.identity, "identity:delete_trust")?.id.clone();
        state.identity.delete(Kind::Trust, &id);
        Ok(no_content())
    }))
}

/// The roles that a trust delegates.
pub(super) fn roles() -> Methods {
    show(|call, state| {
        let trust = sought(call, &state.identity, "identity:list_roles_for_trust")?;
        let shown = shown(call, state.identity.directory(), trust);
        Ok(ok(json!({"roles": shown.get("roles"), "links": shown.get("roles_links")})))
    })
}

/// One of the roles that a trust delegates.
pub(super) fn role() -> Methods {
    show(|call, state| {
        let trust = sought(call, &state.identity, "identity:get_role_for_trust")?;
        let id = call.param("role_id");
        let directory = state.identity.directory();
        let role = trust.texts("roles").find(|role| *role == id);
        let role = role.and_then(|id| directory.find(Kind::Role, id));
        let role = role.ok_or_else(|| Refusal::not_found(Kind::Role, id))?;
        Ok(ok(json!({"role": Roles::document(call, directory, role)})))
    })
}

/// What is delegated already gives no say over trusts.
fn check_delegation(caller: &Caller) -> Result<(), Refusal> {
    if caller.token.application_credential_id.is_none() {
        return Ok(());
    }
    Err(Refusal::Forbidden("Delegated tokens cannot manage trusts.".to_owned()))
}

/// A trust that is spent or past its end is not there any more.
pub(super) fn live<'a>(
    identity: &'a Identity,
    id: &str,
    now: time::OffsetDateTime,
) -> Result<&'a Record, Refusal> {
    let found = identity.directory().find(Kind::Trust, id).filter(|trust| {
        let end = trust.text("expires_at").and_then(expiry::read);
        let is_spent = trust.fields.get("remaining_uses").and_then(Value::as_i64) == Some(0);
        end.is_none_or(|end| end > now) && !is_spent
    });
    let trust = found.ok_or_else(|| Refusal::not_found(Kind::Trust, id))?;
    let agents = identity.pedigree(trust).into_iter().skip(1);
    for parent in agents {
        let agent = parent.text("trustee_user_id").and_then(|id| identity.user(id));
        if !agent.is_some_and(Record::is_enabled) {
            return Err(Refusal::OutOfScope);
        }
    }
    Ok(trust)
}

/// The trust of the path; an unknown one is told before the policy.
fn sought<'a>(
    call: &Call<'_>,
    identity: &'a Identity,
    action: &str,
) -> Result<&'a Record, Refusal> {
    if call.caller.is_none() {
        return Err(Refusal::Unauthorized);
    }
    let trust = live(identity, call.param("id"), call.now)?;
    let parties: &[&str] = match action {
        "identity:delete_trust" => &["trustor_user_id"],
        _ => &["trustor_user_id", "trustee_user_id"],
    };
    let owners = parties.iter().filter_map(|party| trust.text(party)).collect();
    check_delegation(call.allow(action, &Target { owners, ..Target::default() })?)?;
    Ok(trust)
}

fn list_all(call: &Call<'_>, state: &Memory) -> Answer {
    check_query(&QUERY, call)?;
    let (trustor, trustee) = (call.asked("trustor_user_id"), call.asked("trustee_user_id"));
    let caller = match (trustor, trustee) {
        (Some(id), _) => call.allow("identity:list_trusts_for_trustor", &Target::owned_by(id)),
        (None, Some(id)) => call.allow("identity:list_trusts_for_trustee", &Target::owned_by(id)),
        (None, None) => call.allow("identity:list_trusts", &Target::default()),
    }?;
    check_delegation(caller)?;
    let all = state.identity.directory().all(Kind::Trust).iter();
    let found = all.filter(|one| match (trustor, trustee) {
        (Some(id), _) => one.text("trustor_user_id") == Some(id),
        (None, Some(id)) => one.text("trustee_user_id") == Some(id),
        (None, None) => call.query.is_empty(),
    });
    listed(call, "trusts", &[], found.map(Cow::Borrowed).collect(), |one| {
        let mut shown = shown(call, state.identity.directory(), one);
        shown.remove("roles");
        shown.remove("roles_links");
        shown
    })
}

fn create(call: &Call<'_>, state: &mut Memory) -> Answer {
    check(&CREATE, &call.body)?;
    let given = call.member("trust");
    let text = |key: &str| given.get(key).and_then(Value::as_str);
    let trustor = text("trustor_user_id").unwrap_or_default();
    let caller = call.allow("identity:create_trust", &Target::owned_by(trustor))?;
    check_delegation(caller)?;
    let directory = state.identity.directory();
    let asked = given.get("roles").and_then(Value::as_array).cloned().unwrap_or_default();
    let project = text("project_id").filter(|id| !id.is_empty());
    if project.is_some() && asked.is_empty() {
        return Err(Refusal::Forbidden("At least one role should be specified".to_owned()));
    }
    let trustee = text("trustee_user_id").unwrap_or_default();
    directory.find(Kind::User, trustee).ok_or_else(|| Refusal::not_found(Kind::User, trustee))?;
    let ids = asked.iter().map(|role| role_id(directory, role)).collect::<Result<Vec<_>, _>>()?;
    check_roles(directory, trustor, project, &ids)?;
    let end = expiry::of(given.get("expires_at"), call.now)?;
    let end = end.as_str().and_then(expiry::read).and_then(|at| at.replace_nanosecond(0).ok());
    let mut draws = state.draws.clone();
    let mut record = Record::new(
        fresh_id(&mut draws),
        fields(json!({
            "trustor_user_id": trustor,
            "trustee_user_id": trustee,
            "impersonation": given.get("impersonation"),
            "project_id": project,
            "remaining_uses": given.get("remaining_uses"),
            "expires_at": end.map(expiry::shown),
            "deleted_at": null,
            "roles": ids,
        })),
    );
    settle_redelegation(&state.identity, caller, &given, &mut record)?;
    check_unique(directory, &record)?;
    state.draws = draws;
    let shown = shown(call, state.identity.directory(), &record);
    state.identity.directory_mut().add(Kind::Trust, record);
    Ok(created(json!({"trust": shown})))
}

/// Only what the trustor has on the project can be delegated.
fn check_roles(
    directory: &Directory,
    trustor: &str,
    project: Option<&str>,
    ids: &[String],
) -> Result<(), Refusal> {
    let held = match project {
        Some(id) => {
            directory
                .find(Kind::Project, id)
                .ok_or_else(|| Refusal::not_found(Kind::Project, id))?;
            directory.roles_of(trustor, &Scope::Project(id.to_owned()))
        }
        None => Vec::new(),
    };
    let lacking = ids.iter().find(|id| !held.iter().any(|role| role.id == **id));
    lacking.map_or(Ok(()), |id| Err(Refusal::not_found(Kind::Role, id.as_str())))
}

/// How often the trust may be handed on, and what it is handed on from.
fn settle_redelegation(
    identity: &Identity,
    caller: &Caller,
    given: &Fields,
    record: &mut Record,
) -> Result<(), Refusal> {
    let asked = given.get("redelegation_count").and_then(Value::as_i64);
    let allows = given.get("allow_redelegation") == Some(&Value::Bool(true)) && asked != Some(0);
    if allows && asked.is_some_and(|count| count > MAX_REDELEGATION) {
        return Err(Refusal::OutOfScope);
    }
    if allows && given.get("remaining_uses").is_some_and(|uses| !uses.is_null()) {
        let text = "remaining_uses must not be set if redelegation is allowed";
        return Err(Refusal::Malformed(text.to_owned()));
    }
    let find = |id: &String| identity.directory().find(Kind::Trust, id);
    let source = caller.token.trust_id.as_ref().and_then(find);
    let left = |trust: &Record| trust.fields.get("redelegation_count").and_then(Value::as_i64);
    let remaining = source.map_or(MAX_REDELEGATION, |source| left(source).unwrap_or(0) - 1);
    let count = if allows { asked.unwrap_or(remaining) } else { 0 };
    if source.is_some() && allows && count != remaining {
        return Err(Refusal::OutOfScope);
    }
    for parent in source.map(|source| identity.pedigree(source)).unwrap_or_default() {
        check_redelegation(parent, record)?;
    }
    if let Some(source) = source.filter(|_| record.text("expires_at").is_none()) {
        let end = source.fields.get("expires_at").cloned().unwrap_or_default();
        record.fields.insert("expires_at".to_owned(), end);
    }
    let source = source.map(|source| source.id.as_str());
    record.fields.append(&mut fields(json!({
        "redelegation_count": count,
        "redelegated_trust_id": source,
    })));
    Ok(())
}

/// A trust that is handed on gives no more than the one that it comes from.
fn check_redelegation(parent: &Record, record: &Record) -> Result<(), Refusal> {
    let left = parent.fields.get("redelegation_count").and_then(Value::as_i64).unwrap_or(0);
    let end = |trust: &Record| trust.text("expires_at").and_then(expiry::read);
    let ends_later = end(parent).is_some_and(|latest| end(record).is_some_and(|at| at > latest));
    let mut roles = record.texts("roles");
    let impersonates = |trust: &Record| trust.flag("impersonation") == Some(true);
    let uses = record.fields.get("remaining_uses").is_some_and(|uses| !uses.is_null());
    let is_more = !(1..=MAX_REDELEGATION).contains(&left)
        || uses
        || ends_later
        || roles.any(|role| !parent.texts("roles").any(|one| one == role))
        || (impersonates(record) && !impersonates(parent));
    if is_more { Err(Refusal::OutOfScope) } else { Ok(()) }
}

/// The same parties, project and end make the same trust; without an end each is another.
fn check_unique(directory: &Directory, record: &Record) -> Result<(), Refusal> {
    let key = ["trustor_user_id", "trustee_user_id", "project_id", "impersonation", "expires_at"];
    let is_same =
        |one: &&Record| key.iter().all(|key| one.fields.get(*key) == record.fields.get(*key));
    let has_end = record.text("expires_at").is_some();
    if !has_end || !directory.all(Kind::Trust).iter().any(|one| is_same(&one)) {
        return Ok(());
    }
    let details = format!("Duplicate entry found with ID {}", record.id);
    Err(Refusal::Conflict { kind: "trust", details })
}

fn shown(call: &Call<'_>, directory: &Directory, record: &Record) -> Fields {
    let mut shown = document(call, COLLECTION, record);
    let roles = record.texts("roles").filter_map(|id| directory.find(Kind::Role, id));
    let roles: Vec<Value> =
        roles.map(|role| Value::Object(Roles::document(call, directory, role))).collect();
    shown.insert("roles".to_owned(), Value::from(roles));
    // The address that the real one gives leaves the collection out.
    let link = call.link(&format!("{}/roles", record.id));
    let links = json!({"self": link, "next": null, "previous": null});
    shown.insert("roles_links".to_owned(), links);
    shown
}
