//! One request to Keystone, from the socket to the answer.
//!
//! A request is read whole, then judged and answered under the lock of the state: nothing comes
//! between the policy and the effect.

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::{RawPathParams, Request, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use url::form_urlencoded;

use super::error::Refusal;
use super::policy::{self, Target};
use crate::Simulator;
use crate::authtoken::{self, Bearer, header};
use crate::identity::{Token, TokenFault};
use crate::state::State as Memory;

/// oslo.middleware: `[oslo_middleware] max_request_body_size`.
const BODY_LIMIT: usize = 114_688;

pub(super) type Answer = Result<Response, Refusal>;

/// The holder of the token in `X-Auth-Token`.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) bearer: Bearer,
    pub(super) token: Token,
    /// The domain that the token's project is in.
    pub(super) project_domain: Option<String>,
}

/// A request, and who sends it.
pub(super) struct Call<'a> {
    pub(super) simulator: &'a Simulator,
    pub(super) caller: Option<Caller>,
    pub(super) now: OffsetDateTime,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Map<String, Value>,
    path: Vec<(String, String)>,
}

impl Call<'_> {
    /// A parameter of the path; the empty text when the path has none of that name.
    pub(super) fn param(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The first value of a parameter of the query, unless it is empty.
    pub(super) fn asked(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A flag of the query: set by its name alone, and off only when it is `0`.
    pub(super) fn is_asked(&self, name: &str) -> bool {
        self.query.iter().find(|(known, _)| known == name).is_some_and(|(_, value)| value != "0")
    }

    /// The object under that key of the body; empty when there is none.
    pub(super) fn member(&self, key: &str) -> Map<String, Value> {
        self.body.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// Lets the caller pass, or says by which rule not.
    pub(super) fn allow(&self, action: &str, target: &Target<'_>) -> Result<&Caller, Refusal> {
        let caller = self.caller.as_ref().ok_or(Refusal::Unauthorized)?;
        if policy::allows(action, caller, target) {
            return Ok(caller);
        }
        Err(Refusal::Forbidden(action.to_owned()))
    }

    /// Under the versioned address of this Keystone.
    pub(super) fn link(&self, path: &str) -> String {
        format!("{}/v3/{path}", self.simulator.urls().identity)
    }

    /// Where the request itself went.
    pub(super) fn self_link(&self) -> String {
        format!("{}{}", self.simulator.urls().identity, self.uri)
    }
}

/// What a resource does for the methods that it has.
pub(super) struct Methods {
    router: MethodRouter<Simulator>,
    allowed: Vec<&'static str>,
}

impl Methods {
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.allowed.extend(other.allowed);
        Self { router: self.router.merge(other.router), ..self }
    }

    /// The methods with an answer to all others, which names these.
    pub(super) fn finish(mut self) -> MethodRouter<Simulator> {
        self.allowed.push("OPTIONS");
        let allowed = self.allowed.join(", ");
        self.router.fallback(async move |method: Method| {
            if method == Method::OPTIONS {
                return ([(ALLOW, allowed)], Html("")).into_response();
            }
            let body = json!({"message": "The method is not allowed for the requested URL."});
            (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, allowed)], Json(body)).into_response()
        })
    }
}

/// Answers a GET, and a HEAD, from the state.
pub(super) fn show<F>(act: F) -> Methods
where
    F: Fn(&Call<'_>, &Memory) -> Answer + Clone + Send + Sync + 'static,
{
    let answer =
        async move |State(simulator): State<Simulator>, path: RawPathParams, request: Request| {
            let read = read(&simulator, &path, request).await;
            respond(&simulator, read, |mut call| {
                simulator.read(|state| {
                    call.caller = caller(state, &call)?;
                    act(&call, state)
                })
            })
        };
    Methods { router: get(answer), allowed: vec!["GET", "HEAD"] }
}

/// Answers a request of `method` that changes the state.
pub(super) fn change<F>(method: &'static str, act: F) -> Methods
where
    F: Fn(&Call<'_>, &mut Memory) -> Answer + Clone + Send + Sync + 'static,
{
    let answer =
        async move |State(simulator): State<Simulator>, path: RawPathParams, request: Request| {
            let read = read(&simulator, &path, request).await;
            respond(&simulator, read, |mut call| {
                simulator.change(|state| {
                    call.caller = caller(state, &call)?;
                    act(&call, state)
                })
            })
        };
    let filter = match method {
        "POST" => MethodFilter::POST,
        "PUT" => MethodFilter::PUT,
        "PATCH" => MethodFilter::PATCH,
        "HEAD" => MethodFilter::HEAD,
        _ => MethodFilter::DELETE,
    };
    Methods { router: on(filter, answer), allowed: vec![method] }
}

/// A request that cannot be read: refused, or answered by what stands in front of Keystone.
enum Unread {
    Refused(Refusal),
    TooLarge,
}

async fn read<'a>(
    simulator: &'a Simulator,
    path: &RawPathParams,
    request: Request,
) -> Result<Call<'a>, Unread> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| Unread::TooLarge)?;
    let query = parts.uri.query().unwrap_or_default();
    let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let body = object(&parts.headers, &body).map_err(Unread::Refused)?;
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(Call {
        simulator,
        caller: None,
        now: simulator.clock().now(),
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        query,
        body,
        path,
    })
}

/// keystone: server/flask/request_processing/json_body.py.
fn object(headers: &HeaderMap, body: &Bytes) -> Result<Map<String, Value>, Refusal> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    let given = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default().to_lowercase();
    let kind = given.split(';').next().unwrap_or_default().trim();
    let is_json =
        kind.starts_with("application/") && (kind.ends_with("/json") || kind.ends_with("+json"));
    if !given.is_empty() && !is_json {
        return Err(Refusal::missing("application/json", "Content-Type header"));
    }
    serde_json::from_slice(body).map_err(|_| Refusal::missing("valid JSON", "request body"))
}

fn caller(state: &Memory, call: &Call<'_>) -> Result<Option<Caller>, Refusal> {
    // Whoever asks for a token need not have one, and one that is sent all the same is not read.
    let asks_for_token = call.method == Method::POST && call.uri.path() == "/v3/auth/tokens";
    let text = header(&call.headers, "x-auth-token").filter(|_| !asks_for_token);
    let Some(text) = text else { return Ok(None) };
    let standing = state.identity.standing(text, call.now, false).map_err(|fault| match fault {
        TokenFault::Unrecognized | TokenFault::Invalid | TokenFault::Powerless => {
            Refusal::Unauthorized
        }
        TokenFault::Gone(..) | TokenFault::Disabled(..) | TokenFault::Undelegated => {
            fault_of(fault, text)
        }
    })?;
    if state.identity.has_access_rules(standing.token) && !supports_access_rules(&call.headers) {
        return Err(Refusal::Unauthorized);
    }
    let project_domain = standing.project.and_then(|one| one.domain_id()).map(str::to_owned);
    let token = standing.token.clone();
    Ok(Some(Caller { bearer: Bearer::from(&standing), token, project_domain }))
}

/// What Keystone says of a token that is shown to it.
pub(super) fn fault_of(fault: TokenFault, text: &str) -> Refusal {
    match fault {
        TokenFault::Unrecognized => Refusal::Unrecognized,
        TokenFault::Invalid => Refusal::InvalidToken,
        TokenFault::Powerless => Refusal::Absent(format!("Could not find token: {text}.")),
        TokenFault::Gone(kind, id) => Refusal::not_found(kind, id),
        TokenFault::Disabled(kind, id) => Refusal::Absent(format!(
            "Unable to validate token because {} {id} is disabled",
            kind.word()
        )),
        TokenFault::Undelegated => Refusal::OutOfScope,
    }
}

/// Whether the request comes from a service that checks access rules.
pub(super) fn supports_access_rules(headers: &HeaderMap) -> bool {
    headers.contains_key("openstack-identity-access-rules")
}

fn respond<'a>(
    simulator: &Simulator,
    read: Result<Call<'a>, Unread>,
    act: impl FnOnce(Call<'a>) -> Answer,
) -> Response {
    let refusal = match read {
        Ok(call) => match act(call) {
            Ok(response) => return response,
            Err(refusal) => refusal,
        },
        Err(Unread::Refused(refusal)) => refusal,
        Err(Unread::TooLarge) => {
            let text = "413 Request Entity Too Large\n\nRequest is too large. Larger than \
                        max_request_body_size (%s).\n\n   ";
            let kind = [(CONTENT_TYPE, "text/plain; charset=UTF-8")];
            return (StatusCode::PAYLOAD_TOO_LARGE, kind, text).into_response();
        }
    };
    let mut response = refusal.into_response();
    if response.status() == StatusCode::UNAUTHORIZED
        && let Ok(challenge) = HeaderValue::from_str(&authtoken::challenge(simulator))
    {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

pub(super) fn ok(body: Value) -> Response {
    Json(body).into_response()
}

pub(super) fn created(body: Value) -> Response {
    (StatusCode::CREATED, Json(body)).into_response()
}

pub(super) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}
