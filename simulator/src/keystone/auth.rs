//! Reading a request for a token: what is malformed, who asks, and for what scope.
//!
//! The order of the checks is Keystone's (auth/schema.py, then auth/core.py `AuthInfo`): types,
//! then methods, then scope, then the user.

use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::error::Refusal;
use super::schema;
use crate::Simulator;
use crate::identity::{Identity, Named, Scope, Token, TokenFault};

const DOMAIN_ID: &str = "default";
const DOMAIN_NAME: &str = "Default";
/// oslo.middleware: `[oslo_middleware] max_request_body_size`.
pub(super) const BODY_LIMIT: usize = 114_688;

/// A request that proved who sends it.
pub(super) struct Proven {
    pub(super) user_id: String,
    pub(super) methods: Vec<String>,
    pub(super) scope: Scope,
    /// The token that it was proven with.
    pub(super) parent: Option<Token>,
}

/// Reads the body of `POST /v3/auth/tokens`.
pub(super) fn parse(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
        return Err(Refusal::missing("valid JSON", "request body"));
    };
    match body.remove("auth") {
        None | Some(Value::Null) => Err(Refusal::missing("auth", "request body")),
        Some(auth) => check(auth),
    }
}

/// The schema, and what Keystone checks beside it (auth/schema.py).
fn check(auth: Value) -> Result<Map<String, Value>, Refusal> {
    if let Some(fault) = schema::fault(&auth) {
        return Err(Refusal::Malformed(fault));
    }
    for at in [
        "identity/password/user",
        "identity/password/user/domain",
        "scope/project",
        "scope/project/domain",
        "scope/domain",
    ] {
        if let Some(entry) = auth.pointer(&format!("/{at}"))
            && entry.get("id").or_else(|| entry.get("name")).is_none()
        {
            let text = format!("Invalid input for field {at}: id or name must be present.");
            return Err(Refusal::Malformed(text));
        }
    }
    match auth {
        Value::Object(auth) => Ok(auth),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Refusal::missing("auth", "request body"))
        }
    }
}

/// Checks a parsed request against the users, roles and tokens.
pub(super) fn prove(
    identity: &Identity,
    auth: &Map<String, Value>,
    password: &str,
    now: OffsetDateTime,
) -> Result<Proven, Refusal> {
    let section = auth.get("identity").and_then(Value::as_object);
    let section = section.ok_or_else(|| Refusal::missing("identity", "auth"))?;
    let methods = methods(section);
    for method in &methods {
        if section.get(method).is_none_or(Value::is_null) {
            return Err(Refusal::missing(method, "identity"));
        }
    }
    let scope = scope(identity, auth)?;
    let mut proven: Option<(String, Option<Token>)> = None;
    let mut used: Vec<String> = Vec::new();
    for method in methods {
        let (user_id, parent) = match method.as_str() {
            "password" => (by_password(identity, section, password)?, None),
            "token" => by_token(identity, section, now).map(|(id, token)| (id, Some(token)))?,
            _ => return Err(Refusal::Unauthorized),
        };
        let earlier = proven.take();
        if earlier.as_ref().is_some_and(|(id, _)| *id != user_id) {
            return Err(Refusal::Unauthorized);
        }
        let inherited = parent.iter().flat_map(|token| token.methods.clone());
        for method in std::iter::once(method).chain(inherited) {
            if !used.contains(&method) {
                used.push(method);
            }
        }
        proven = Some((user_id, parent.or(earlier.and_then(|(_, parent)| parent))));
    }
    let (user_id, parent) = proven.ok_or(Refusal::Unauthorized)?;
    if scope != Scope::Unscoped && identity.roles_of(&user_id, &scope).is_empty() {
        return Err(Refusal::Unauthorized);
    }
    Ok(Proven { user_id, methods: used, scope, parent })
}

/// Names of the user and the project that a request for a token is about, right or wrong.
pub(crate) fn wanted(simulator: &Simulator, body: &[u8]) -> (Option<String>, Option<String>) {
    let Ok(auth) = parse(body) else { return (None, None) };
    let auth = Value::Object(auth);
    simulator.read(|state| {
        let name = |at: &str, known: &[Named]| {
            let entry = auth.pointer(at)?;
            let id = entry.get("id").and_then(Value::as_str);
            let by_id = known.iter().find(|one| Some(one.id.as_str()) == id);
            let given = entry.get("name").and_then(Value::as_str);
            by_id.map(|one| one.name.clone()).or_else(|| given.map(str::to_owned))
        };
        (
            name("/identity/password/user", &state.identity.users),
            name("/scope/project", &state.identity.projects),
        )
    })
}

fn methods(section: &Map<String, Value>) -> Vec<String> {
    let mut methods: Vec<String> = Vec::new();
    let listed = section.get("methods").and_then(Value::as_array).into_iter().flatten();
    for method in listed.filter_map(Value::as_str) {
        if !methods.iter().any(|known| known == method) {
            methods.push(method.to_owned());
        }
    }
    methods
}

fn by_password(
    identity: &Identity,
    section: &Map<String, Value>,
    password: &str,
) -> Result<String, Refusal> {
    let given = section.get("password").and_then(Value::as_object);
    let user = given
        .and_then(|given| given.get("user"))
        .and_then(Value::as_object)
        .ok_or_else(|| Refusal::missing("user", "None"))?;
    let found = match user.get("id").and_then(Value::as_str) {
        Some(id) => identity.user(id),
        None => {
            let domain = user.get("domain").and_then(Value::as_object);
            let domain = domain.ok_or_else(|| Refusal::missing("domain", "user"))?;
            let name = user.get("name").and_then(Value::as_str).unwrap_or_default();
            identity.user_named(name).filter(|_| is_default(domain))
        }
    };
    let right = user.get("password").and_then(Value::as_str) == Some(password);
    found.filter(|_| right).map(|user| user.id.clone()).ok_or(Refusal::Unauthorized)
}

fn by_token(
    identity: &Identity,
    section: &Map<String, Value>,
    now: OffsetDateTime,
) -> Result<(String, Token), Refusal> {
    let given = section.get("token").and_then(|token| token.get("id")).and_then(Value::as_str);
    match identity.token(given.unwrap_or_default(), now, false) {
        Ok(token) => Ok((token.user_id.clone(), token.clone())),
        Err(TokenFault::Unrecognized) => Err(Refusal::Unrecognized),
        Err(TokenFault::Invalid) => Err(Refusal::InvalidToken),
    }
}

/// A scope that does not exist is as unauthorized as one that is not the user's.
fn scope(identity: &Identity, auth: &Map<String, Value>) -> Result<Scope, Refusal> {
    const KINDS: [&str; 5] = ["system", "project", "domain", "OS-TRUST:trust", "unscoped"];
    let ambiguous = || {
        let attribute = "system, project, domain, OS-TRUST:trust or unscoped";
        Refusal::missing(attribute, "scope")
    };
    let Some(scope) = auth.get("scope") else { return Ok(Scope::Unscoped) };
    if scope.as_str() == Some("unscoped") {
        return Ok(Scope::Unscoped);
    }
    let scope = scope.as_object().ok_or_else(ambiguous)?;
    if KINDS.iter().filter(|kind| scope.contains_key(**kind)).count() != 1 {
        return Err(ambiguous());
    }
    if scope.contains_key("unscoped") {
        return Ok(Scope::Unscoped);
    }
    if scope.contains_key("system") {
        return Ok(Scope::System);
    }
    let project = scope.get("project").and_then(Value::as_object).ok_or(Refusal::Unauthorized)?;
    let found = match project.get("id").and_then(Value::as_str) {
        Some(id) => identity.project(id),
        None => {
            let domain = project.get("domain").and_then(Value::as_object);
            let domain = domain.ok_or_else(|| Refusal::missing("domain", "project"))?;
            let name = project.get("name").and_then(Value::as_str).unwrap_or_default();
            identity.project_named(name).filter(|_| is_default(domain))
        }
    };
    found.map(|project| Scope::Project(project.id.clone())).ok_or(Refusal::Unauthorized)
}

fn is_default(domain: &Map<String, Value>) -> bool {
    match domain.get("id").and_then(Value::as_str) {
        Some(id) => id == DOMAIN_ID,
        None => domain.get("name").and_then(Value::as_str) == Some(DOMAIN_NAME),
    }
}
