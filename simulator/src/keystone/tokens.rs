//! Tokens: issue, validate, revoke.

use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::application_credentials::rules_of;
use super::call::{
    Answer, Call, Methods, change, fault_of, no_content, ok, show, supports_access_rules,
};
use super::error::Refusal;
use super::policy::Target;
use super::{auth, catalog, expiry};
use crate::authtoken::header;
use crate::identity::{Directory, Kind, Record, Scope, Standing};
use crate::query::strict_bool;
use crate::state::State as Memory;

pub(super) fn methods() -> Methods {
    show(validate).merge(change("POST", issue)).merge(change("DELETE", revoke))
}

fn issue(call: &Call<'_>, state: &mut Memory) -> Answer {
    let token = auth::grant(call, state)?;
    let (text, token) = auth::keep(state, token);
    let standing = state.identity.meaning(&token).map_err(|fault| fault_of(fault, &text))?;
    let body = document(call, state, &standing);
    Ok((StatusCode::CREATED, [("x-subject-token", text)], axum::Json(body)).into_response())
}

fn validate(call: &Call<'_>, state: &Memory) -> Answer {
    let rule = if call.method == Method::HEAD { "check" } else { "validate" };
    let allow_expired = call.asked("allow_expired").and_then(strict_bool).unwrap_or(false);
    let (text, standing) = subject(call, state, rule, allow_expired)?;
    let mut response: Response = ok(document(call, state, &standing));
    if let Ok(text) = text.parse() {
        response.headers_mut().insert("x-subject-token", text);
    }
    Ok(response)
}

fn revoke(call: &Call<'_>, state: &mut Memory) -> Answer {
    let text = subject(call, state, "revoke", false)?.0.to_owned();
    let cascade = call.asked("cascade").and_then(strict_bool).unwrap_or(true);
    state.identity.revoke(&text, cascade);
    Ok(no_content())
}

/// The token that the request is about. An unknown one is told before any policy, a missing one
/// after it.
fn subject<'a>(
    call: &'a Call<'_>,
    state: &'a Memory,
    rule: &str,
    allow_expired: bool,
) -> Result<(&'a str, Standing<'a>), Refusal> {
    if call.caller.is_none() {
        return Err(Refusal::Unauthorized);
    }
    let action = format!("identity:{rule}_token");
    let Some(text) = header(&call.headers, "x-subject-token") else {
        call.allow(&action, &Target::default())?;
        return Err(Refusal::Absent("No token in the request".to_owned()));
    };
    let standing = state.identity.standing(text, call.now, allow_expired);
    let standing = standing.map_err(|fault| fault_of(fault, text))?;
    if state.identity.has_access_rules(standing.token) && !supports_access_rules(&call.headers) {
        return Err(Refusal::InvalidToken);
    }
    call.allow(&action, &Target::owned_by(&standing.token.user_id))?;
    Ok((text, standing))
}

/// The body that shows a token (keystone: common/render_token.py).
fn document(call: &Call<'_>, state: &Memory, standing: &Standing<'_>) -> Value {
    let (directory, token) = (state.identity.directory(), standing.token);
    let mut user = with_domain(directory, standing.user);
    user["password_expires_at"] = Value::Null;
    let mut body = json!({
        "methods": token.methods,
        "user": user,
        "audit_ids": token.audit_ids,
        "expires_at": expiry::shown(token.expires_at),
        "issued_at": expiry::shown(token.issued_at),
    });
    match &token.scope {
        Scope::Unscoped => {}
        Scope::System => body["system"] = json!({"all": true}),
        Scope::Domain(id) => {
            let name = directory.find(Kind::Domain, id).map(Record::name);
            body["domain"] = json!({"id": id, "name": name});
        }
        Scope::Project(_) => {
            body["project"] =
                standing.project.map_or(Value::Null, |one| with_domain(directory, one));
            if token.trust_id.is_none() {
                body["is_domain"] = Value::Bool(false);
            }
        }
    }
    delegation(directory, standing, &mut body);
    if token.scope == Scope::Unscoped {
        return json!({"token": body});
    }
    let roles = standing.roles.iter().map(|role| json!({"id": role.id, "name": role.name()}));
    body["roles"] = roles.collect();
    if !call.query.iter().any(|(key, _)| key == "nocatalog") {
        let project = standing.project.map(|project| project.id.as_str());
        body["catalog"] = catalog::of(call.simulator, directory, &standing.user.id, project);
    }
    json!({"token": body})
}

/// The trust, or the application credential, that a token comes from.
fn delegation(directory: &Directory, standing: &Standing<'_>, body: &mut Value) {
    let find = |kind, id: &Option<String>| directory.find(kind, id.as_ref()?);
    if let Some(trust) = find(Kind::Trust, &standing.token.trust_id) {
        body["OS-TRUST:trust"] = json!({
            "id": trust.id,
            "trustor_user": {"id": trust.text("trustor_user_id")},
            "trustee_user": {"id": trust.text("trustee_user_id")},
            "impersonation": trust.flag("impersonation"),
        });
    }
    let credential = &standing.token.application_credential_id;
    if let Some(credential) = find(Kind::ApplicationCredential, credential) {
        let is_restricted = credential.flag("unrestricted") != Some(true);
        body["application_credential"] = json!({
            "id": credential.id,
            "name": credential.name(),
            "restricted": is_restricted,
        });
        let rules = rules_of(directory, credential);
        if !rules.is_empty() {
            body["application_credential"]["access_rules"] = Value::from(rules);
        }
    }
}

/// A user or a project with the domain that it is in.
fn with_domain(directory: &Directory, record: &Record) -> Value {
    let domain = record.domain_id().and_then(|id| directory.find(Kind::Domain, id));
    let domain = domain.map(|domain| json!({"id": domain.id, "name": domain.name()}));
    json!({"domain": domain, "id": record.id, "name": record.name()})
}
