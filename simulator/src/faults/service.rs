//! The way of a request through a service: log, rules, router, reply.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use futures::{StreamExt as _, stream};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

use super::gate::Gate;
use super::rule::{Action, Asked, Early};
use super::{Strike, answer};
use crate::authtoken::header;
use crate::events::Event;
use crate::identity::Scope;
use crate::routes::{Routes, template_of};
use crate::{Service, Simulator, draws, keystone};

/// More of a body than any service reads; the rest is not taken in, and the services refuse what
/// they get of it as too large.
const BODY_LIMIT: usize = 1 << 18;

/// The connection broke: there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("connection broken")]
pub struct Broken;

type Reply = Result<Response<Body>, Broken>;

/// A simulated service with its faults. Clones are handles to the same one.
#[derive(Clone)]
pub struct FaultyService {
    simulator: Simulator,
    service: Service,
    templates: Arc<[&'static str]>,
    router: Router,
}

impl FaultyService {
    pub(crate) fn new(simulator: &Simulator, service: Service, routes: Routes) -> Self {
        let (templates, router) = routes.finish(simulator.clone());
        Self { simulator: simulator.clone(), service, templates: templates.into(), router }
    }

    async fn handle(self, parts: Parts, body: Bytes, reply: oneshot::Sender<Reply>) {
        let template = template_of(&self.templates, parts.uri.path());
        let (user, project) = self.asker(&parts, &body);
        let template = template.unwrap_or(parts.uri.path()).to_owned();
        let struck = self.simulator.faults().strike(&Asked {
            service: self.service,
            method: parts.method.as_str(),
            template: &template,
            project: project.as_deref(),
            user: user.as_deref(),
        });
        let event = Event {
            seq: 0,
            at: self.simulator.clock().now(),
            service: self.service,
            method: parts.method.clone(),
            template,
            path: parts.uri.path().to_owned(),
            user,
            project,
            fault: struck.as_ref().map(|strike| strike.action.name()),
            status: None,
            effect: false,
        };
        let (method, template) = (event.method.clone(), event.template.clone());
        let seq = self.simulator.log().enter(event);
        let visit = Visit { host: self, seq, method, template, reply };
        match struck {
            None => {
                let response = visit.effect(parts, body).await;
                visit.tell(Ok(response));
            }
            Some(strike) => visit.fail(&strike, parts, body).await,
        }
    }

    /// Names of the user and the project that a request speaks for, as far as it tells.
    fn asker(&self, parts: &Parts, body: &Bytes) -> (Option<String>, Option<String>) {
        let Some(text) = header(&parts.headers, "x-auth-token") else {
            let asks_for_token = self.service == Service::Keystone && parts.method == Method::POST;
            return if asks_for_token {
                keystone::wanted(&self.simulator, body)
            } else {
                (None, None)
            };
        };
        self.simulator.read(|state| {
            let Some(token) = state.identity.token_ever(text) else { return (None, None) };
            let user = state.identity.user(&token.user_id).map(|user| user.name().to_owned());
            let project = match &token.scope {
                Scope::Unscoped | Scope::Domain(_) | Scope::System => None,
                Scope::Project(id) => state.identity.project(id).map(|one| one.name().to_owned()),
            };
            (user, project)
        })
    }
}

impl std::fmt::Debug for FaultyService {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FaultyService")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl tower::Service<Request<Body>> for FaultyService {
    type Response = Response<Body>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Reply> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let host = self.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if host.service != Service::BlockStorage {
                trim_slash(&mut parts.uri);
            }
            let body = read_body(body).await?;
            let (reply, told) = oneshot::channel();
            // A task of its own: what has arrived takes effect even when the caller goes away.
            tokio::spawn(host.handle(parts, body, reply));
            told.await.unwrap_or(Err(Broken))
        })
    }
}

/// One request on its way.
struct Visit {
    host: FaultyService,
    seq: u64,
    method: Method,
    template: String,
    reply: oneshot::Sender<Reply>,
}

impl Visit {
    async fn fail(self, strike: &Strike, parts: Parts, body: Bytes) {
        let gate = &strike.gate;
        match strike.action {
            Action::Answer { status, retry_after } => {
                gate.strike();
                let refusal = self.refusal(status, retry_after);
                self.tell(Ok(refusal));
            }
            Action::Delay { from, to } => {
                gate.strike();
                let span = to.saturating_sub(from);
                tokio::time::sleep(from + span.mul_f64(strike.within)).await;
                let response = self.effect(parts, body).await;
                self.tell(Ok(response));
            }
            Action::HoldBefore => {
                gate.strike();
                gate.pass().await;
                let response = self.effect(parts, body).await;
                self.tell(Ok(response));
            }
            Action::HoldAfter => {
                let response = self.effect(parts, body).await;
                gate.strike();
                gate.pass().await;
                self.tell(Ok(response));
            }
            Action::DropBefore => {
                gate.strike();
                self.tell(Err(Broken));
            }
            Action::DropAfter => {
                self.effect(parts, body).await;
                gate.strike();
                self.tell(Err(Broken));
            }
            Action::Garbage => {
                let response = self.effect(parts, body).await;
                gate.strike();
                self.tell(Ok(garble(response)));
            }
            Action::Cut => {
                let response = self.effect(parts, body).await;
                gate.strike();
                self.tell(cut(response).await);
            }
            Action::ExpireToken => {
                if let Some(text) = header(&parts.headers, "x-auth-token") {
                    self.host.simulator.expire_token(text);
                }
                gate.strike();
                let response = self.effect(parts, body).await;
                self.tell(Ok(response));
            }
            Action::Late(early) => {
                gate.strike();
                self.land_late(early, gate, parts, body).await;
            }
        }
    }

    async fn land_late(mut self, early: Early, gate: &Gate, parts: Parts, body: Bytes) {
        let given_up = match early {
            Early::Unavailable => Ok(self.refusal(503, None)),
            Early::Drop => Err(Broken),
        };
        let (nobody, _) = oneshot::channel();
        let caller = std::mem::replace(&mut self.reply, nobody);
        if let Ok(response) = &given_up {
            self.host.simulator.log().told(self.seq, response.status().as_u16());
        }
        // A caller that is gone already has not waited for this answer.
        drop(caller.send(given_up));
        gate.pass().await;
        self.effect(parts, body).await;
    }

    /// Has the service do what it is asked for.
    async fn effect(&self, parts: Parts, body: Bytes) -> Response<Body> {
        let request = Request::from_parts(parts, Body::from(body));
        let answered: Result<_, Infallible> = self.host.router.clone().oneshot(request).await;
        let Ok(mut response) = answered;
        let safe = self.method == Method::GET || self.method == Method::HEAD;
        if response.status().is_success() && !safe {
            self.host.simulator.log().took_effect(self.seq);
        }
        self.sign(&mut response);
        response
    }

    fn refusal(&self, status: u16, retry_after: Option<u32>) -> Response<Body> {
        let host = &self.host;
        let mut response = answer::error(
            &host.simulator,
            host.service,
            (&self.method, &self.template),
            status,
            retry_after,
        );
        self.sign(&mut response);
        response
    }

    fn sign(&self, response: &mut Response<Body>) {
        let seed = self.host.simulator.config().seed;
        let id = draws::named(seed, "request", &self.seq.to_string());
        if let Ok(value) = HeaderValue::from_str(&format!("req-{id}")) {
            response.headers_mut().insert("x-openstack-request-id", value);
        }
    }

    fn tell(self, reply: Reply) {
        if let Ok(response) = &reply {
            self.host.simulator.log().told(self.seq, response.status().as_u16());
        }
        // The caller may have gone away meanwhile; the effect stands all the same.
        drop(self.reply.send(reply));
    }
}

/// Keystone and Barbican take `/v1/secrets/` for `/v1/secrets`; Cinder has no such path.
fn trim_slash(uri: &mut Uri) {
    let path = uri.path().trim_end_matches('/');
    if path.len() == uri.path().len() || path.is_empty() {
        return;
    }
    let trimmed = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    if let Ok(trimmed) = trimmed.parse() {
        *uri = trimmed;
    }
}

/// Reads up to [`BODY_LIMIT`] bytes.
async fn read_body(body: Body) -> Result<Bytes, Broken> {
    // Room for all of it at once: a buffer that grows leaves copies of key material behind.
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(BODY_LIMIT);
    let mut read = Vec::with_capacity(announced.min(BODY_LIMIT));
    let mut chunks = body.into_data_stream();
    while read.len() < BODY_LIMIT {
        let Some(chunk) = chunks.next().await else { break };
        read.extend_from_slice(&chunk.map_err(|_| Broken)?);
    }
    read.truncate(BODY_LIMIT);
    Ok(Bytes::from_owner(zeroize::Zeroizing::new(read)))
}

fn garble(response: Response<Body>) -> Response<Body> {
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from("\u{0}<garbage>"))
}

/// The length as it was announced, and only half of the body. A reply without one is lost.
async fn cut(response: Response<Body>) -> Reply {
    let (mut parts, body) = response.into_parts();
    let whole = body.collect().await.map_err(|_| Broken)?.to_bytes();
    if whole.is_empty() {
        return Err(Broken);
    }
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let half = whole.slice(..whole.len() / 2);
    // Between the two a server gets to write out what it has.
    let broken = async {
        tokio::task::yield_now().await;
        Err(Broken)
    };
    let chunks = stream::iter([Ok(half)]).chain(stream::once(broken));
    Ok(Response::from_parts(parts, Body::from_stream(chunks)))
}
