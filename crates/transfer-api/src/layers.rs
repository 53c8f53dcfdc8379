//! What happens to every request before its handler: a request id, a span and a count, the body's
//! limit, the token, the microversion.
//!
//! The order is that of Cinder's pipeline (`api-paste.ini`): request id, CORS, size limit, token.
//! A body is read only after the token was found good; before, its announced length is judged.

use crate::Api;
use crate::body;
use crate::call::PathParams;
use crate::context::Context;
use crate::fault::{self, Fault};
use crate::microversion::{self, Microversion, VersionError};
use crate::policy::Rule;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use keystone_client::ValidateError;
use openstack_http::{RequestId, Token};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{Instrument, Span, field};
use transfer_metrics::{API_DURATION, API_REQUESTS};

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
const COMPUTE_REQUEST_ID: HeaderName = HeaderName::from_static("x-compute-request-id");
/// The methods that metrics tell apart; a caller may invent any number of others.
static METHODS: [Method; 7] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::HEAD,
    Method::OPTIONS,
];

/// Gives the request an id and a span, and tells what came of it. Paths and queries are not
/// logged: the route's template is. Services that are asked meanwhile learn the caller's global
/// request id, or else this request's own.
pub(crate) async fn identify(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = format!("req-{}", uuid::Uuid::new_v4());
    let global =
        request.headers().get(REQUEST_ID).and_then(|id| RequestId::parse(id.to_str().ok()?));
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("", MatchedPath::as_str);
    let method = request.method().clone();
    let span = tracing::info_span!(
        "request",
        request_id = %id,
        global_request_id = global.as_ref().and_then(|id| id.header().to_str().ok()),
        %method,
        route,
        status = field::Empty,
        user = field::Empty,
        project = field::Empty,
        transfer = field::Empty,
    );
    let answering = RequestId::during(global.or_else(|| RequestId::parse(&id)), next.run(request));
    let mut response = answering.instrument(span.clone()).await;
    span.record("status", response.status().as_u16());
    span.in_scope(|| match route {
        // clients look for versions before each call, and learn nothing new
        "/" | "/v3" | "/v3/" => tracing::debug!("answered"),
        _ => tracing::info!("answered"),
    });
    count(route, &method, &response, begun.elapsed());
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(COMPUTE_REQUEST_ID, id.clone());
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Counts a request. With and without the project in the path it is the same route.
fn count(route: &str, method: &Method, response: &Response, took: Duration) {
    let route = match route {
        "" => "none".to_owned(),
        route => route.replace("/{project_id}", ""),
    };
    let method = METHODS.iter().find(|known| *known == method).map_or("other", Method::as_str);
    let status = response.status().as_str().to_owned();
    API_DURATION.record([route.clone()], took);
    API_REQUESTS.add([route, method.to_owned(), status], 1);
}

/// The reply to a request whose handler panicked; the panic itself is the panic hook's to report.
pub(crate) fn panicked(_panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Fault::erred().into_response()
}

/// Answers `OPTIONS` as Cinder's CORS filter does when no origin is configured, and refuses bodies
/// whose announced length is over the limit.
pub(crate) async fn limit(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    let (parts, mut body) = request.into_parts();
    match body::refused_by_length(&parts.headers, &mut body, api.config.max_body).await {
        Some(refused) => refused,
        None => next.run(Request::from_parts(parts, body)).await,
    }
}

/// Validates the token of everything below `/v3`. Whatever answers 401, the key manager's refusal
/// of the token included, says where to authenticate.
pub(crate) async fn authenticate(
    State(api): State<Arc<Api>>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let mut known = None;
    if path == "/v3" || path.starts_with("/v3/") {
        match validate(&api, request.headers()).await {
            Ok(context) => {
                request.extensions_mut().insert(context.clone());
                known = Some(context);
            }
            Err(reply) => return fault::challenge(reply, &api.config.www_authenticate_uri),
        }
    }
    let reply = next.run(request).await;
    if let Some(context) = known {
        take_back_expired(&api, context);
    }
    fault::challenge(reply, &api.config.www_authenticate_uri)
}

/// Lets the engine take back what the project of the token has had on offer for too long, as far
/// as the token may. The request itself is over by then: what it ends is not taken from it.
fn take_back_expired(api: &Api, context: Context) {
    let Some(caller) = context.caller() else { return };
    api.engine.take_back_expired(caller, move |offer| {
        Rule::Delete.check_on(&context, &offer.project, &offer.user).is_ok()
    });
}

/// Whose the request's token is. Lets the engine pay what the token's project owes.
async fn validate(api: &Api, headers: &HeaderMap) -> Result<Context, Response> {
    let token = token_in(headers, &AUTH_TOKEN).ok_or_else(fault::unauthorized)?;
    let beside = token_in(headers, &SERVICE_TOKEN);
    let identity = match api.validator.validate(&token, beside.as_ref()).await {
        Ok(identity) => identity,
        Err(ValidateError::InvalidToken) => return Err(fault::unauthorized()),
        Err(error @ (ValidateError::OwnTokenRefused | ValidateError::Unavailable(_))) => {
            tracing::error!(%error, "no token can be validated");
            let words = "The Keystone service is temporarily unavailable. Nothing has changed; \
                         try again later.";
            return Err(Fault::unavailable(words).into_response());
        }
    };
    let context = Context::new(identity, token, api.config.policy.clone());
    context.record(&Span::current());
    if let Some(caller) = context.caller() {
        api.engine.pay_debts_of(caller).await;
    }
    Ok(context)
}

fn token_in(headers: &HeaderMap, name: &HeaderName) -> Option<Token> {
    let token = headers.get(name)?.to_str().ok()?;
    Some(token).filter(|token| !token.is_empty()).map(Token::new)
}

/// Finds the microversion, leaves it to the handler, and says it in the reply. A path whose project
/// cannot be one (cinder: `project_id_regex`) leads nowhere.
pub(crate) async fn negotiate(path: PathParams, mut request: Request, next: Next) -> Response {
    let is_project = |id: &String| {
        id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-')) && !id.is_empty()
    };
    if !path.project.as_ref().is_none_or(is_project) {
        return fault::plain(StatusCode::NOT_FOUND, fault::NO_RESOURCE);
    }
    let (mut response, number) = match Microversion::requested(request.headers()) {
        Ok(version) => {
            request.extensions_mut().insert(version);
            (next.run(request).await, Some(version.number()))
        }
        Err(error) => {
            let number = match &error {
                // Cinder repeats what is too new, and not what is too old
                VersionError::OutOfRange(number) => {
                    Some(number.clone()).filter(|number| !number.starts_with(['1', '2']))
                }
                VersionError::NoVolume | VersionError::BadFormat(_) => None,
            };
            (Fault::from(error).into_response(), number)
        }
    };
    let number = number.and_then(|number| HeaderValue::try_from(format!("volume {number}")).ok());
    if let Some(number) = number {
        let headers = response.headers_mut();
        headers.insert(microversion::HEADER, number);
        headers.insert(header::VARY, HeaderValue::from_static("OpenStack-API-Version"));
    }
    response
}
