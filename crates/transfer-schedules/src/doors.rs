//! How an actor's effects reach its gates, and what a fault does to them there.
//!
//! [`DatabaseDoor`] stands before writing transactions, [`SecretsDoor`] before requests that change
//! something in the key manager. Reads run through at once.

use crate::choice::{Fault, Patience};
use crate::footprint::{Resource, tables, writes};
use crate::gates::{Ask, Gates, Late};
use crate::rows::RawSql;
use crate::scenario::Planted;
use async_trait::async_trait;
use bytes::Bytes;
use cinder_db::{Passage, Turnstile};
use http::{Method, Request, Response, StatusCode};
use openstack_http::{Broken, Exchange, InProcess};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use transfer_core::{ProjectId, SecretId};

/// Longer than any driver's patience.
const TOO_LONG_SECONDS: &str = "86400";

/// An actor's way into the database.
pub(crate) struct DatabaseDoor {
    actor: usize,
    gates: Arc<Gates>,
    /// What the transaction under way has written.
    written: Mutex<BTreeSet<String>>,
    /// Whether a claim is what comes next.
    claims: AtomicBool,
}

impl DatabaseDoor {
    /// The door of an operation, which begins with a claim, or of recovery.
    pub(crate) fn new(actor: usize, gates: Arc<Gates>, claims: bool) -> Self {
        Self { actor, gates, written: Mutex::default(), claims: AtomicBool::new(claims) }
    }
}

impl fmt::Debug for DatabaseDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseDoor").field("actor", &self.actor).finish_non_exhaustive()
    }
}

#[async_trait]
impl Turnstile for DatabaseDoor {
    async fn enter(&self) -> Passage {
        let claims = self.claims.swap(false, Ordering::Relaxed);
        let ask = if claims { Ask::Claim } else { Ask::Write };
        match self.gates.stand(self.actor, ask).await {
            Some(Fault::NoBegin) => Passage::NoBegin,
            Some(Fault::NoCommit) => Passage::NoCommit,
            Some(Fault::CommitReplyLost) => Passage::ReplyLost,
            Some(
                Fault::Refused
                | Fault::Unavailable { .. }
                | Fault::ReplyLost { .. }
                | Fault::Late { .. }
                | Fault::TokenEnded
                | Fault::CrashBefore
                | Fault::CrashAfter,
            )
            | None => Passage::Free,
        }
    }

    fn begins(&self) {
        self.gates.begin_one();
    }

    fn statement(&self, sql: &str) {
        for (place, table) in tables(sql).enumerate() {
            self.gates.reads(Resource::Table(table.to_owned()));
            if place == 0 && writes(sql) {
                lock(&self.written).insert(table.to_owned());
            }
        }
    }

    fn over(&self, committed: bool) {
        let written = std::mem::take(&mut *lock(&self.written));
        if committed {
            self.gates.commits(written.into_iter().map(Resource::Table));
        }
        self.gates.over_one();
    }

    async fn leave(&self) {
        if self.gates.has_crashed(self.actor) {
            std::future::pending().await
        }
    }
}

/// An actor's way to the key manager.
pub(crate) struct SecretsDoor {
    pub(crate) actor: usize,
    pub(crate) gates: Arc<Gates>,
    pub(crate) inner: InProcess,
    /// The project of the caller's token, and that token; any other token is the service's.
    pub(crate) caller: Option<(String, ProjectId)>,
    pub(crate) service: ProjectId,
    pub(crate) mistake: Option<Mistake>,
}

/// A planted mistake, and what it takes to make it.
pub(crate) struct Mistake {
    pub(crate) planted: Planted,
    pub(crate) raw: RawSql,
    /// The request for the payload that is about to be copied.
    pub(crate) read: Mutex<Option<Request<Bytes>>>,
}

#[async_trait]
impl Exchange for SecretsDoor {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        let token = token_of(&request).to_owned();
        if self.gates.token_has_ended(self.actor, &token) {
            return Ok(reply(StatusCode::UNAUTHORIZED, "the token has ended", None));
        }
        let Some(ask) = self.ask(&request) else {
            self.touches(&request);
            self.remember(&request);
            return self.carry_out(request).await;
        };
        let fault = self.gates.stand(self.actor, ask.clone()).await;
        match fault {
            None => {
                let filled = secret_of(&request).filter(|_| request.method() == Method::PUT);
                let reply = self.effect(request, &ask).await;
                if let Some(shell) = filled {
                    self.blunder(&shell).await;
                }
                reply
            }
            Some(Fault::Refused) => Ok(reply(StatusCode::FORBIDDEN, "not allowed", None)),
            Some(Fault::Unavailable { patience }) => Ok(unavailable(patience)),
            Some(Fault::ReplyLost { patience }) => {
                drop(self.effect(request, &ask).await);
                lost(patience)
            }
            Some(Fault::Late { patience }) => {
                self.gates.delay(Late { actor: self.actor, ask, request });
                lost(patience)
            }
            Some(Fault::TokenEnded) => {
                self.gates.end_token(self.actor, &token);
                Ok(reply(StatusCode::UNAUTHORIZED, "the token has ended", None))
            }
            Some(Fault::CrashAfter) => {
                drop(self.effect(request, &ask).await);
                std::future::pending().await
            }
            Some(
                Fault::CrashBefore | Fault::NoBegin | Fault::NoCommit | Fault::CommitReplyLost,
            ) => std::future::pending().await,
        }
    }
}

impl SecretsDoor {
    /// What a request asks of its gate; `None` when it has none.
    fn ask(&self, request: &Request<Bytes>) -> Option<Ask> {
        let project = match &self.caller {
            Some((token, project)) if token_of(request) == token => project.clone(),
            Some(_) | None => self.service.clone(),
        };
        let secret = secret_of(request);
        match (request.method(), secret) {
            (&Method::POST, _) => Some(Ask::Create(project)),
            (&Method::PUT, Some(secret)) => Some(Ask::Fill(project, secret)),
            (&Method::DELETE, Some(secret)) => Some(Ask::Delete(project, secret)),
            (_, _) => None,
        }
    }

    fn touches(&self, request: &Request<Bytes>) {
        self.gates.reads(match secret_of(request) {
            Some(secret) => Resource::Secret(secret.as_str().to_owned()),
            None => Resource::Listing,
        });
    }

    async fn effect(&self, request: Request<Bytes>, ask: &Ask) -> Result<Response<Bytes>, Broken> {
        note_effect(&self.gates, self.actor, ask);
        self.carry_out(request).await
    }

    async fn carry_out(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        let _under_way = self.gates.under_way();
        self.inner.exchange(request).await
    }

    fn remember(&self, request: &Request<Bytes>) {
        if let Some(mistake) = &self.mistake
            && request.uri().path().ends_with("/payload")
        {
            *lock(&mistake.read) = Some(request.clone());
        }
    }

    /// Does what must not be done, now that the copy is filled.
    async fn blunder(&self, shell: &SecretId) {
        let Some(mistake) = &self.mistake else { return };
        let read = lock(&mistake.read).clone();
        let Some(mut request) = read else { return };
        let Some(old) = secret_of(&request) else { return };
        match mistake.planted {
            Planted::DeleteBeforeCommit => {
                let uri = request.uri().to_string();
                let Ok(uri) = uri.trim_end_matches("/payload").parse() else { return };
                *request.uri_mut() = uri;
                *request.method_mut() = Method::DELETE;
                self.gates.writes(Resource::Secret(old.as_str().to_owned()));
                drop(self.carry_out(request).await);
            }
            Planted::RepointVolumeFirst => {
                let _under_way = self.gates.under_way();
                self.gates.writes(Resource::Table("volumes".to_owned()));
                let repoint = format!(
                    "UPDATE volumes SET encryption_key_id = '{shell}' \
                     WHERE encryption_key_id = '{old}'"
                );
                // What comes of it shows in the world.
                drop(mistake.raw.run(&repoint));
            }
        }
    }
}

/// Records what an effect writes.
pub(crate) fn note_effect(gates: &Gates, actor: usize, ask: &Ask) {
    match ask {
        Ask::Create(_) => gates.writes(Resource::Created(actor)),
        Ask::Fill(_, secret) | Ask::Delete(_, secret) => {
            gates.writes(Resource::Secret(secret.as_str().to_owned()));
        }
        Ask::Begin | Ask::Claim | Ask::Write => {}
    }
}

/// Nobody panics while holding one of these.
fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn token_of(request: &Request<Bytes>) -> &str {
    let token = request.headers().get("x-auth-token");
    token.and_then(|token| token.to_str().ok()).unwrap_or_default()
}

/// The secret that a path of `/v1/secrets` is about.
fn secret_of(request: &Request<Bytes>) -> Option<SecretId> {
    let rest = request.uri().path().split_once("/secrets/")?.1;
    let id = rest.split('/').next()?;
    (!id.is_empty()).then(|| SecretId::new(id))
}

fn unavailable(patience: Patience) -> Response<Bytes> {
    let wait = match patience {
        Patience::Ends => Some(TOO_LONG_SECONDS),
        Patience::Lasts => None,
    };
    reply(StatusCode::SERVICE_UNAVAILABLE, "not available", wait)
}

/// The caller hears nothing, or a proxy's word for it.
fn lost(patience: Patience) -> Result<Response<Bytes>, Broken> {
    match patience {
        Patience::Ends => Ok(unavailable(patience)),
        Patience::Lasts => Err(Broken::Closed("the reply was lost".to_owned())),
    }
}

/// An error as Barbican tells it.
fn reply(status: StatusCode, description: &str, retry_after: Option<&str>) -> Response<Bytes> {
    let code = status.as_u16();
    let title = status.canonical_reason().unwrap_or_default();
    let body = format!(r#"{{"code": {code}, "title": "{title}", "description": "{description}"}}"#);
    let mut reply = Response::new(Bytes::from(body));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    if let Some(wait) = retry_after.and_then(|wait| wait.parse().ok()) {
        headers.insert(http::header::RETRY_AFTER, wait);
    }
    reply
}
