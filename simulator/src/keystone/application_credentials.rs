//! Application credentials: some of a user's roles on one project, with a secret of their own.
//!
//! The secret is shown once, in answer to the request that makes the credential, and kept hashed.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::call::{Answer, Call, Caller, Methods, change, created, no_content, ok, show};
use super::collection::{Fields, check, check_query, document, fresh_id, listed};
use super::error::Refusal;
use super::expiry;
use super::policy::Target;
use super::schema::{
    BOOLEAN, Choice, ID, NAME, Pattern, Schema, TEXT, TEXT_OR_NULL, choice, list, object, text,
};
use super::users::secret;
use crate::draws::Draws;
use crate::identity::{Directory, Kind, Record, fields};
use crate::state::State as Memory;

const MANY: &str = "application_credentials";

pub(super) const ROLE: Schema = Schema {
    min_properties: Some(1),
    max_properties: Some(1),
    is_closed: true,
    ..object(&[("id", ID), ("name", NAME)])
};
const RULE: Schema = object(&[
    ("id", ID),
    ("path", Schema { pattern: Some(Pattern::Path), ..text(0, 225) }),
    ("service", ID),
    (
        "method",
        choice(&[
            Choice::Text("DELETE"),
            Choice::Text("GET"),
            Choice::Text("HEAD"),
            Choice::Text("PATCH"),
            Choice::Text("POST"),
            Choice::Text("PUT"),
        ]),
    ),
]);
const CREATE: Schema = Schema {
    required: Some(&["application_credential"]),
    is_closed: true,
    ..object(&[(
        "application_credential",
        Schema {
            required: Some(&["name"]),
            is_closed: true,
            ..object(&[
                ("id", TEXT),
                ("secret", TEXT_OR_NULL),
                ("name", NAME),
                ("description", TEXT_OR_NULL),
                ("expires_at", TEXT_OR_NULL),
                ("project_id", TEXT),
                ("access_rules", list(&RULE)),
                ("unrestricted", Schema { kinds: &["boolean", "null"], ..BOOLEAN }),
                ("system", TEXT_OR_NULL),
                ("roles", list(&ROLE)),
            ])
        },
    )])
};
const QUERY: Schema = object(&[("name", TEXT)]);

/// The methods of a user's credentials.
pub(super) fn all() -> Methods {
    show(list_all).merge(change("POST", create))
}

/// The methods of one credential.
pub(super) fn one() -> Methods {
    show(get).merge(change("DELETE", delete))
}

/// The rules that a user's credentials are made with.
pub(super) fn rules() -> Methods {
    show(|call, state| {
        let target = Target::owned_by(call.param("id"));
        check_delegation(call.allow("identity:list_access_rules", &target)?)?;
        let rules = state.identity.directory().of(Kind::AccessRule, "user_id", call.param("id"));
        let filters = ["service", "path", "method"];
        listed(call, "access_rules", &filters, rules.map(Cow::Borrowed).collect(), |rule| {
            rule_document(call, rule)
        })
    })
}

/// The methods of one rule.
pub(super) fn rule() -> Methods {
    show(|call, state| {
        let target = Target::owned_by(call.param("id"));
        check_delegation(call.allow("identity:get_access_rule", &target)?)?;
        let rule = sought_rule(call, state.identity.directory())?;
        Ok(ok(json!({"access_rule": rule_document(call, rule)})))
    })
    .merge(change("DELETE", |call, state: &mut Memory| {
        let target = Target::owned_by(call.param("id"));
        check_delegation(call.allow("identity:delete_access_rule", &target)?)?;
        let directory = state.identity.directory();
        let id = sought_rule(call, directory)?.id.clone();
        let mut credentials = directory.all(Kind::ApplicationCredential).iter();
        if credentials.any(|one| one.texts("access_rules").any(|rule| rule == id)) {
            return Err(Refusal::Denied("May not delete access rule in use".to_owned()));
        }
        state.identity.delete(Kind::AccessRule, &id);
        Ok(no_content())
    }))
}

fn sought_rule<'a>(call: &Call<'_>, directory: &'a Directory) -> Result<&'a Record, Refusal> {
    let id = call.param("rule_id");
    let found = directory.find(Kind::AccessRule, id);
    let own = found.filter(|rule| rule.text("user_id") == Some(call.param("id")));
    own.ok_or_else(|| Refusal::not_found(Kind::AccessRule, id))
}

fn rule_document(call: &Call<'_>, rule: &Record) -> Fields {
    let mut shown = document(call, "access_rules", rule);
    shown.remove("user_id");
    shown
}

/// A trust is not a way to what outlives it.
fn check_delegation(caller: &Caller) -> Result<(), Refusal> {
    if caller.token.trust_id.is_some() { Err(Refusal::OutOfScope) } else { Ok(()) }
}

/// Credentials beget credentials only when they are unrestricted.
fn check_unrestricted(directory: &Directory, caller: &Caller) -> Result<(), Refusal> {
    let Some(id) = &caller.token.application_credential_id else { return Ok(()) };
    let credential = directory.find(Kind::ApplicationCredential, id);
    if credential.and_then(|one| one.flag("unrestricted")) == Some(true) {
        return Ok(());
    }
    let text = "Using method 'application_credential' is not allowed for managing additional \
                application credentials.";
    Err(Refusal::Forbidden(text.to_owned()))
}

fn list_all(call: &Call<'_>, state: &Memory) -> Answer {
    check_query(&QUERY, call)?;
    let user_id = call.param("id");
    let target = Target::owned_by(user_id);
    check_delegation(call.allow("identity:list_application_credentials", &target)?)?;
    let directory = state.identity.directory();
    let found = directory.of(Kind::ApplicationCredential, "user_id", user_id);
    listed(call, MANY, &["name"], found.map(Cow::Borrowed).collect(), |one| {
        shown(call, directory, one)
    })
}

/// The credential of the path; whose it is decides, not what the path says.
fn sought<'a>(
    call: &Call<'_>,
    directory: &'a Directory,
    verb: &str,
) -> Result<&'a Record, Refusal> {
    let id = call.param("credential_id");
    let found = directory.find(Kind::ApplicationCredential, id);
    let owner = found.and_then(|one| one.text("user_id")).unwrap_or(call.param("id"));
    let action = format!("identity:{verb}_application_credential");
    let caller = call.allow(&action, &Target::owned_by(owner))?;
    check_delegation(caller)?;
    if verb == "delete" {
        check_unrestricted(directory, caller)?;
    }
    found.ok_or_else(|| Refusal::not_found(Kind::ApplicationCredential, id))
}

fn get(call: &Call<'_>, state: &Memory) -> Answer {
    let directory = state.identity.directory();
    let found = sought(call, directory, "get")?;
    Ok(ok(json!({"application_credential": shown(call, directory, found)})))
}

fn delete(call: &Call<'_>, state: &mut Memory) -> Answer {
    let id = sought(call, state.identity.directory(), "delete")?.id.clone();
    state.identity.delete(Kind::ApplicationCredential, &id);
    Ok(no_content())
}

fn create(call: &Call<'_>, state: &mut Memory) -> Answer {
    check(&CREATE, &call.body)?;
    let user_id = call.param("id");
    let target = Target::owned_by(user_id);
    let caller = call.allow("identity:create_application_credential", &target)?;
    check_delegation(caller)?;
    let (directory, given) = (state.identity.directory(), call.member("application_credential"));
    check_unrestricted(directory, caller)?;
    let mut draws = state.draws.clone();
    let mut record = Record::new(fresh_id(&mut draws), fields(json!({"user_id": user_id})));
    let text = given.get("secret").and_then(Value::as_str).filter(|text| !text.is_empty());
    let text = text.map(str::to_owned);
    let text = text.unwrap_or_else(|| URL_SAFE_NO_PAD.encode(draws.bytes(64)));
    record.secret = secret(Some(&Value::from(text.as_str())), &mut draws);
    let roles = granted(directory, caller, given.get("roles"))?;
    let expires_at = expiry::of(given.get("expires_at"), call.now)?;
    let project = caller.bearer.project.as_ref().map(|project| project.id.as_str());
    let asked = |key: &str| given.get(key).cloned().unwrap_or_default();
    record.fields.append(&mut fields(json!({
        "name": asked("name"),
        "description": asked("description"),
        "expires_at": expires_at,
        "project_id": project,
        "system": null,
        "unrestricted": asked("unrestricted"),
        "roles": roles,
    })));
    check_name(directory, &record)?;
    let (ids, new) = access_rules(directory, user_id, &given, &mut draws);
    record.fields.insert("access_rules".to_owned(), json!(ids));
    state.draws = draws;
    let directory = state.identity.directory_mut();
    new.into_iter().for_each(|rule| directory.add(Kind::AccessRule, rule));
    let mut body = shown(call, directory, &record);
    body.insert("secret".to_owned(), Value::from(text));
    directory.add(Kind::ApplicationCredential, record);
    Ok(created(json!({"application_credential": body})))
}

fn check_name(directory: &Directory, record: &Record) -> Result<(), Refusal> {
    let user_id = record.text("user_id").unwrap_or_default();
    let mut own = directory.of(Kind::ApplicationCredential, "user_id", user_id);
    if own.all(|one| one.name() != record.name()) {
        return Ok(());
    }
    let details = format!("Duplicate entry found with name {}", record.name());
    Err(Refusal::Conflict { kind: "application_credential", details })
}

/// The ids of the roles that are asked for and what they imply; without any, all of the caller's.
fn granted(
    directory: &Directory,
    caller: &Caller,
    asked: Option<&Value>,
) -> Result<Vec<String>, Refusal> {
    let held = |name: &str| caller.bearer.has_role(name);
    let asked = asked.and_then(Value::as_array).filter(|asked| !asked.is_empty());
    let Some(asked) = asked else {
        let roles = directory.all(Kind::Role).iter();
        let own = roles.filter(|role| role.domain_id().is_none() && held(role.name()));
        return Ok(own.map(|role| role.id.clone()).collect());
    };
    let ids = asked.iter().map(|role| role_id(directory, role)).collect::<Result<Vec<_>, _>>()?;
    let roles = directory.with_implied(ids.iter().map(String::as_str).collect());
    let is_known = |id: &String| roles.iter().any(|role| role.id == *id);
    if ids.iter().all(is_known) && roles.iter().all(|role| held(role.name())) {
        return Ok(roles.into_iter().map(|role| role.id.clone()).collect());
    }
    let text = "Invalid application credential: Cannot create an application credential with \
                unassigned role";
    Err(Refusal::Malformed(text.to_owned()))
}

/// The id of a role that is given by its id or by its name.
pub(super) fn role_id(directory: &Directory, given: &Value) -> Result<String, Refusal> {
    let text = |key: &str| given.get(key).and_then(Value::as_str);
    if let Some(id) = text("id") {
        return Ok(id.to_owned());
    }
    let name = text("name").unwrap_or_default();
    let found = directory.named(Kind::Role, name, None);
    let lost = || Refusal::Absent(format!("Role {name} is not defined"));
    found.map(|role| role.id.clone()).ok_or_else(lost)
}

/// The rules of a new credential: the ids of all, and those that the user does not have yet.
fn access_rules(
    directory: &Directory,
    user_id: &str,
    given: &Fields,
    draws: &mut Draws,
) -> (Vec<String>, Vec<Record>) {
    let (mut ids, mut new) = (Vec::new(), Vec::new());
    let asked = given.get("access_rules").and_then(Value::as_array).into_iter().flatten();
    for rule in asked {
        let mut rule = fields(rule.clone());
        let id = rule.remove("id").and_then(|id| id.as_str().map(str::to_owned));
        rule.insert("user_id".to_owned(), Value::from(user_id));
        let own = directory.of(Kind::AccessRule, "user_id", user_id);
        let known = own.chain(&new).find(|one| Some(&one.id) == id.as_ref() || one.fields == rule);
        match known.map(|one| one.id.clone()) {
            Some(id) => ids.push(id),
            None => {
                let record = Record::new(id.unwrap_or_else(|| fresh_id(draws)), rule);
                ids.push(record.id.clone());
                new.push(record);
            }
        }
    }
    (ids, new)
}

fn shown(call: &Call<'_>, directory: &Directory, record: &Record) -> Fields {
    let mut shown = document(call, MANY, record);
    let roles = record.texts("roles").filter_map(|id| directory.find(Kind::Role, id));
    let roles: Vec<Value> = roles.map(|role| Value::Object(role.shown())).collect();
    shown.insert("roles".to_owned(), Value::from(roles));
    shown.remove("access_rules");
    let rules = rules_of(directory, record);
    if !rules.is_empty() {
        shown.insert("access_rules".to_owned(), Value::from(rules));
    }
    shown
}

/// The access rules of a credential, as they are shown with it.
pub(super) fn rules_of(directory: &Directory, credential: &Record) -> Vec<Value> {
    let rules = credential.texts("access_rules");
    let rules = rules.filter_map(|id| directory.find(Kind::AccessRule, id)).map(|rule| {
        let mut shown = rule.shown();
        shown.remove("user_id");
        Value::Object(shown)
    });
    rules.collect()
}
