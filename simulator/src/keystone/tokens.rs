//! Tokens: issue, validate, revoke.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use super::error::Refusal;
use super::{Denied, auth, caller, catalog};
use crate::Simulator;
use crate::authtoken::{Bearer, header};
use crate::identity::{Named, Scope, Token, TokenFault, audit_id};
use crate::query::{Query, strict_bool};
use crate::state::State as Memory;

pub(super) async fn issue(
    State(simulator): State<Simulator>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Denied> {
    if body.len() > auth::BODY_LIMIT {
        let text = "413 Request Entity Too Large\n\nRequest is too large. Larger than \
                    max_request_body_size (%s).\n\n   ";
        return Ok((StatusCode::PAYLOAD_TOO_LARGE, text).into_response());
    }
    let query = Query::parse(query.as_deref());
    let issued = check_content_type(&headers)
        .and_then(|()| auth::parse(&body))
        .and_then(|auth| grant(&simulator, &auth));
    let (text, token) = issued.map_err(Denied::by(&simulator))?;
    let body = simulator.read(|state| document(&simulator, state, &token, &query));
    Ok((StatusCode::CREATED, [("x-subject-token", text)], Json(body)).into_response())
}

pub(super) async fn validate(
    State(simulator): State<Simulator>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Denied> {
    let query = Query::parse(query.as_deref());
    let allow_expired = query.get("allow_expired").and_then(strict_bool).unwrap_or(false);
    let seen = subject(&simulator, &headers, allow_expired).and_then(|subject| {
        let allowed = subject.is_callers
            || subject.caller.has_role("admin")
            || subject.caller.has_role("service");
        let (text, token) = subject.known.filter(|_| allowed).ok_or(VALIDATE)?;
        Ok((text, token))
    });
    let (text, token) = seen.map_err(Denied::by(&simulator))?;
    let body = simulator.read(|state| document(&simulator, state, &token, &query));
    Ok(([("x-subject-token", text)], Json(body)).into_response())
}

pub(super) async fn revoke(
    State(simulator): State<Simulator>,
    headers: HeaderMap,
) -> Result<Response, Denied> {
    let revoked = subject(&simulator, &headers, false).and_then(|subject| {
        let allowed = subject.is_callers || subject.caller.has_role("admin");
        let (text, _) = subject.known.filter(|_| allowed).ok_or(REVOKE)?;
        simulator.change(|state| {
            state.identity.revoke(&text);
            Ok(())
        })
    });
    revoked.map_err(Denied::by(&simulator))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

const VALIDATE: Refusal = Refusal::Forbidden("identity:validate_token");
const REVOKE: Refusal = Refusal::Forbidden("identity:revoke_token");

/// The two tokens of a validation or a revocation.
struct Subject {
    caller: Bearer,
    known: Option<(String, Token)>,
    /// Whether the subject belongs to the user who asks.
    is_callers: bool,
}

/// Who asks about whom. An unknown subject is a 404 before any policy, a missing one is not.
fn subject(
    simulator: &Simulator,
    headers: &HeaderMap,
    allow_expired: bool,
) -> Result<Subject, Refusal> {
    let caller = caller(simulator, headers)?;
    let Some(text) = header(headers, "x-subject-token") else {
        return Ok(Subject { caller, known: None, is_callers: false });
    };
    let now = simulator.clock().now();
    let token = simulator
        .read(|state| {
            Bearer::of(state, text, now, allow_expired)?;
            state.identity.token(text, now, allow_expired).cloned()
        })
        .map_err(|fault| match fault {
            TokenFault::Unrecognized => Refusal::Unrecognized,
            TokenFault::Invalid => Refusal::InvalidToken,
        })?;
    let is_callers = token.user_id == caller.user.id;
    Ok(Subject { caller, known: Some((text.to_owned(), token)), is_callers })
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    match header(headers, CONTENT_TYPE.as_str()) {
        Some(given) if !given.starts_with("application/json") => {
            Err(Refusal::missing("application/json", "Content-Type header"))
        }
        Some(_) | None => Ok(()),
    }
}

fn grant(
    simulator: &Simulator,
    auth: &serde_json::Map<String, Value>,
) -> Result<(String, Token), Refusal> {
    let config = simulator.config();
    let now = simulator.clock().now();
    // Keystone's tokens count whole seconds.
    let issued_at = now.replace_nanosecond(0).unwrap_or(now);
    let life = Duration::try_from(config.token_life).unwrap_or(Duration::MAX);
    simulator.change(|state| {
        let proven = auth::prove(&state.identity, auth, &config.password, now)?;
        let mut audit_ids = vec![audit_id(&mut state.draws)];
        audit_ids.extend(proven.parent.iter().filter_map(|token| token.audit_ids.last().cloned()));
        let token = Token {
            user_id: proven.user_id,
            scope: proven.scope,
            methods: proven.methods,
            audit_ids,
            issued_at,
            expires_at: proven
                .parent
                .map_or(issued_at.saturating_add(life), |token| token.expires_at),
            revoked: false,
        };
        let text = state.identity.keep_token(token.clone(), &mut state.draws);
        Ok((text, token))
    })
}

/// The body that shows a token.
fn document(simulator: &Simulator, state: &Memory, token: &Token, query: &Query) -> Value {
    let identity = &state.identity;
    let domain = json!({"id": "default", "name": "Default"});
    let shown = |named: &Named| json!({"domain": domain, "id": named.id, "name": named.name});
    let mut user = identity.user(&token.user_id).map_or(Value::Null, shown);
    user["password_expires_at"] = Value::Null;
    let mut body = json!({
        "methods": token.methods,
        "user": user,
        "audit_ids": token.audit_ids,
        "expires_at": instant(token.expires_at),
        "issued_at": instant(token.issued_at),
    });
    let project = match &token.scope {
        Scope::Unscoped => return json!({"token": body}),
        Scope::System => {
            body["system"] = json!({"all": true});
            None
        }
        Scope::Project(id) => {
            body["project"] = identity.project(id).map_or(Value::Null, shown);
            body["is_domain"] = Value::Bool(false);
            Some(id.as_str())
        }
    };
    let roles = identity.roles_of(&token.user_id, &token.scope);
    let roles = roles.into_iter().map(|role| json!({"id": role.id, "name": role.name}));
    body["roles"] = roles.collect();
    if !query.has("nocatalog") {
        body["catalog"] = catalog::of(simulator, project);
    }
    json!({"token": body})
}

/// Such as `2026-11-24T03:55:02.000000Z`.
fn instant(at: OffsetDateTime) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
    );
    at.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}
