//! Reading a request for a token: what is malformed, who asks, and for what scope.
//!
//! The order of the checks is Keystone's (auth/schema.py, then auth/core.py `AuthInfo`, then the
//! methods one by one): types, then methods, then scope, then the user.

mod methods;
mod request;

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::call::{Call, fault_of};
use super::error::Refusal;
use super::expiry;
use crate::Simulator;
use crate::identity::{Directory, Identity, Kind, Record, Scope, Token, TokenFault, audit_id};
use crate::state::State as Memory;
use request::Asked;

/// What keystone is configured to take (keystone: `[auth] methods`).
const METHODS: &[&str] = &[
    "external",
    "password",
    "token",
    "oauth1",
    "mapped",
    "application_credential",
    "ec2credential",
];

/// Whom a method proved, and what comes with it.
struct Proof {
    user_id: String,
    /// The token that it was proven with.
    parent: Option<Token>,
    application_credential_id: Option<String>,
}

/// What a request wants to be good for.
struct Wanted {
    scope: Scope,
    trust_id: Option<String>,
    /// Whether the user's own project will do.
    is_open: bool,
}

/// Grants a token, or refuses. An application credential may bring a scope of its own.
pub(super) fn grant(call: &Call<'_>, state: &Memory) -> Result<Token, Refusal> {
    let asked = request::parse(&call.body)?;
    asked.check_methods()?;
    for method in &asked.methods {
        if !METHODS.contains(&method.as_str()) {
            let text = "Attempted to authenticate with an unsupported method.".to_owned();
            return Err(Refusal::Method(text, json!({"methods": METHODS})));
        }
    }
    let identity = &state.identity;
    let wanted = wanted_scope(call, identity, &asked)?;
    let (proof, methods) = methods::prove(call, state, &asked)?;
    let scope = settled(identity, wanted, &proof.user_id);
    let now = call.now;
    // Keystone's tokens count whole seconds.
    let issued_at = now.replace_nanosecond(0).unwrap_or(now);
    let life = time::Duration::try_from(call.simulator.config().token_life);
    let own_end = issued_at.saturating_add(life.unwrap_or(time::Duration::MAX));
    let credential = proof.application_credential_id.as_ref();
    let latest = credential.and_then(|id| end_of(identity.directory(), id));
    let parent_end = proof.parent.as_ref().map(|parent| parent.expires_at);
    let expires_at = parent_end.unwrap_or(own_end);
    let chain = proof.parent.and_then(|parent| parent.audit_ids.last().cloned());
    let token = Token {
        user_id: proof.user_id,
        scope: scope.scope,
        methods,
        audit_ids: chain.into_iter().collect(),
        issued_at,
        expires_at: latest.map_or(expires_at, |latest| latest.min(expires_at)),
        revoked: false,
        application_credential_id: proof.application_credential_id,
        trust_id: scope.trust_id,
    };
    match identity.meaning(&token) {
        Ok(_) => Ok(token),
        Err(TokenFault::Powerless) => Err(Refusal::Unauthorized),
        Err(fault) => Err(fault_of(fault, "")),
    }
}

/// Keeps a token that was granted, and counts the use of its trust.
pub(super) fn keep(state: &mut Memory, mut token: Token) -> (String, Token) {
    token.audit_ids.insert(0, audit_id(&mut state.draws));
    let text = state.identity.keep_token(token.clone(), &mut state.draws);
    let trust = token.trust_id.as_ref();
    let trust = trust.filter(|id| remaining_uses(state, id).is_some()).cloned();
    if let Some(id) = trust {
        let left = remaining_uses(state, &id).unwrap_or(1) - 1;
        if let Some(trust) = state.identity.directory_mut().find_mut(Kind::Trust, &id) {
            trust.fields.insert("remaining_uses".to_owned(), Value::from(left));
        }
    }
    (text, token)
}

fn remaining_uses(state: &Memory, trust_id: &str) -> Option<i64> {
    let trust = state.identity.directory().find(Kind::Trust, trust_id)?;
    trust.fields.get("remaining_uses").and_then(Value::as_i64)
}

fn end_of(directory: &Directory, credential_id: &str) -> Option<OffsetDateTime> {
    let credential = directory.find(Kind::ApplicationCredential, credential_id)?;
    credential.text("expires_at").and_then(expiry::read)
}

/// Without a scope, the user's default project, if there is a role to be had on it.
fn settled(identity: &Identity, wanted: Wanted, user_id: &str) -> Wanted {
    let directory = identity.directory();
    let own = identity.user(user_id).and_then(|user| user.text("default_project_id"));
    let own = own.and_then(|id| identity.project(id)).filter(|one| directory.is_enabled(one));
    let scope = own.map(|project| Scope::Project(project.id.clone()));
    let scope = scope.filter(|scope| !directory.roles_of(user_id, scope).is_empty());
    match scope {
        Some(scope) if wanted.is_open => Wanted { scope, ..wanted },
        Some(_) | None => wanted,
    }
}

/// A scope that does not exist is as unauthorized as one that is not the user's.
fn wanted_scope(call: &Call<'_>, identity: &Identity, asked: &Asked) -> Result<Wanted, Refusal> {
    let directory = identity.directory();
    let of = |scope| Wanted { scope, trust_id: None, is_open: false };
    if asked.methods.iter().any(|method| method == "application_credential") {
        if asked.auth.get("scope").is_some() {
            let text = "Error authenticating with application credential: Application \
                        credentials cannot request a scope.";
            return Err(Refusal::Method(text.to_owned(), json!({})));
        }
        let credential = methods::credential(directory, asked)?;
        let project = credential.text("project_id").map(|id| Scope::Project(id.to_owned()));
        return Ok(of(project.unwrap_or(Scope::Unscoped)));
    }
    let Some(scope) = asked.auth.get("scope") else {
        return Ok(Wanted { scope: Scope::Unscoped, trust_id: None, is_open: true });
    };
    match request::kind_of_scope(scope)? {
        "system" => Ok(of(Scope::System)),
        "unscoped" => Ok(of(Scope::Unscoped)),
        "domain" => {
            let domain = domain(directory, scope.get("domain"))?;
            Ok(of(Scope::Domain(domain.id.clone())))
        }
        "project" => {
            let project = project(directory, scope.get("project"))?;
            Ok(of(Scope::Project(project.id.clone())))
        }
        _ => {
            let id = scope.pointer("/OS-TRUST:trust/id").and_then(Value::as_str);
            let id = id.filter(|id| !id.is_empty());
            let id = id.ok_or_else(|| Refusal::missing("trust_id", "trust"))?;
            let trust = super::trusts::live(identity, id, call.now).map_err(not_found_to_401)?;
            let project = trust.text("project_id");
            // The real one looks for the project that the trust does not name.
            let project = project.ok_or_else(|| Refusal::not_found(Kind::Project, "None"))?;
            let project = identity.project(project).filter(|one| directory.is_enabled(one));
            let scope = project.map(|project| Scope::Project(project.id.clone()));
            let scope = scope.ok_or(Refusal::Unauthorized)?;
            Ok(Wanted { scope, trust_id: Some(id.to_owned()), is_open: false })
        }
    }
}

fn not_found_to_401(refusal: Refusal) -> Refusal {
    if matches!(refusal, Refusal::NotFound { .. }) { Refusal::Unauthorized } else { refusal }
}

/// The enabled domain that a request names.
fn domain<'a>(directory: &'a Directory, given: Option<&Value>) -> Result<&'a Record, Refusal> {
    let (id, name) = request::id_and_name(given);
    let found = match (id, name) {
        (_, Some(name)) => directory.named(Kind::Domain, name, None),
        (Some(id), None) => directory.find(Kind::Domain, id),
        (None, None) => return Err(Refusal::missing("id or name", "domain")),
    };
    found.filter(|domain| domain.is_enabled()).ok_or(Refusal::Unauthorized)
}

/// The enabled project, of an enabled domain, that a request names.
fn project<'a>(directory: &'a Directory, given: Option<&Value>) -> Result<&'a Record, Refusal> {
    let found = match request::id_and_name(given) {
        (_, Some(name)) => {
            let home = given.and_then(|given| given.get("domain"));
            home.ok_or_else(|| Refusal::missing("domain", "project"))?;
            directory.named(Kind::Project, name, Some(&domain(directory, home)?.id))
        }
        (Some(id), None) => directory.find(Kind::Project, id),
        (None, None) => None,
    };
    found.filter(|project| directory.is_enabled(project)).ok_or(Refusal::Unauthorized)
}

/// Names of the user and the project that a request for a token is about, right or wrong.
pub(crate) fn wanted(simulator: &Simulator, body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return (None, None) };
    let Ok(asked) = request::parse(&body) else { return (None, None) };
    simulator.read(|state| {
        let name = |at: &str, kind: Kind| {
            let (id, name) = request::id_and_name(asked.auth.pointer(at));
            let known = id.and_then(|id| state.identity.directory().find(kind, id));
            known.map(|one| one.name().to_owned()).or_else(|| name.map(str::to_owned))
        };
        (name("/identity/password/user", Kind::User), name("/scope/project", Kind::Project))
    })
}
