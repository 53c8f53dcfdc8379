//! Executes the effects of a copy: the old key is read while its shell is being created.
//!
//! Key bytes live here between the read and the fill, in [`KeyBytes`], for one hand-over only.

use crate::known::Kind;
use crate::measured::phase;
use crate::{Caller, Engine};
use barbican_client::{FillFailure, KeyBytes, SecretType};
use cinder_db::Committed;
use keystone_client::ServiceSession;
use openstack_http::{Failure, Token, Unknown};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use transfer_core::{Authority, Effect, Event, Refusal, SecretId, Step};

/// What an attempt at an effect came to.
pub(crate) struct Attempt {
    /// For the protocol.
    pub(crate) event: Event,
    /// For the driver: set when the outcome is unknown.
    pub(crate) trouble: Option<Trouble>,
}

/// Why an outcome is unknown.
pub(crate) struct Trouble {
    what: String,
    /// How long the service asked to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// The executor of one hand-over's copies.
pub(crate) struct Copying<'a> {
    engine: &'a Engine,
    callers: &'a [Caller],
    read: Mutex<BTreeMap<SecretId, Payload>>,
}

struct Payload {
    kind: Arc<Kind>,
    bytes: KeyBytes,
}

impl<'a> Copying<'a> {
    pub(crate) fn new(engine: &'a Engine, callers: &'a [Caller]) -> Self {
        Self { engine, callers, read: Mutex::new(BTreeMap::new()) }
    }

    /// Executes one effect, once.
    pub(crate) async fn attempt(&self, effect: &Committed<Effect>) -> Attempt {
        let (step, outcome) = match &**effect {
            Effect::CreateShell { like, giver, receiver, name } => {
                let shell = self.create_shell(like, giver, receiver, name);
                let outcome = phase("create_shell", shell).await;
                let created = |shell| Event::ShellCreated { old: like.clone(), shell };
                (Step::CreateShell, outcome.map(created))
            }
            Effect::Fill { from, giver, shell, receiver } => {
                let outcome = phase("fill", self.fill(from, giver, shell, receiver)).await;
                (Step::Fill, outcome.map(|()| Event::Filled { old: from.clone() }))
            }
        };
        match outcome {
            Ok(event) => Attempt { event, trouble: None },
            Err(Failure::Refused(no)) => {
                let refusal = Refusal { status: no.status, message: no.message };
                Attempt { event: Event::Refused { step, refusal }, trouble: None }
            }
            Err(Failure::Unknown(unknown)) => {
                let retry_after = match &unknown {
                    Unknown::Status { retry_after, .. } => *retry_after,
                    Unknown::Broken(_) | Unknown::Unreadable(_) => None,
                };
                let trouble = Trouble { what: unknown.to_string(), retry_after };
                Attempt { event: Event::Unknown { step }, trouble: Some(trouble) }
            }
        }
    }

    async fn create_shell(
        &self,
        like: &SecretId,
        giver: &Authority,
        receiver: &Authority,
        name: &str,
    ) -> Result<SecretId, Failure> {
        let barbican = &self.engine.0.barbican;
        let kind = self.kind(like, giver).await?;
        let attributes = &kind.attributes;
        let shell = self.engine.with_authority(receiver, self.callers, move |token| async move {
            barbican.create_shell(&token, name, attributes).await
        });
        let (shell, read) = tokio::join!(shell, self.read_payload(like, giver, &kind));
        // A failed read is noticed again, and judged, when the shell is to be filled.
        if let Err(failure) = read {
            tracing::debug!(secret = %like, %failure, "payload not read ahead");
        }
        shell
    }

    async fn fill(
        &self,
        from: &SecretId,
        giver: &Authority,
        shell: &SecretId,
        receiver: &Authority,
    ) -> Result<(), Failure> {
        if !self.holds(from) {
            let kind = self.kind(from, giver).await?;
            self.read_payload(from, giver, &kind).await?;
        }
        let Some(payload) = self.take(from) else {
            return Err(Failure::unreadable("payload"));
        };
        let filled = self.put(shell, receiver, &payload).await;
        if filled.is_ok() {
            self.engine.0.known.remember(shell.clone(), Arc::clone(&payload.kind));
        }
        self.keep(from, payload);
        filled
    }

    async fn put(
        &self,
        shell: &SecretId,
        receiver: &Authority,
        payload: &Payload,
    ) -> Result<(), Failure> {
        let barbican = &self.engine.0.barbican;
        let put = self.engine.with_authority(receiver, self.callers, move |token| async move {
            match barbican.fill(&token, shell, payload.kind.content_type, &payload.bytes).await {
                Ok(()) => Ok(true),
                Err(FillFailure::AlreadyFilled) => Ok(false),
                Err(FillFailure::Failed(failure)) => Err(failure),
            }
        });
        if put.await? {
            return Ok(());
        }
        // An earlier PUT landed although its reply was lost, or so it seems: look.
        let there = self.read_bytes(shell, receiver).await?;
        if there.ct_eq(&payload.bytes) {
            Ok(())
        } else {
            Err(Failure::Refused(openstack_http::Refusal {
                status: 409,
                message: format!("shell {shell} holds other data than the key"),
            }))
        }
    }

    /// What a secret is, and that it has a payload; asked for where that is not known.
    async fn kind(&self, secret: &SecretId, giver: &Authority) -> Result<Arc<Kind>, Failure> {
        if let Some(known) = self.engine.0.known.find(secret) {
            return Ok(known);
        }
        let barbican = &self.engine.0.barbican;
        let asking = self.engine.with_authority(giver, self.callers, move |token| async move {
            barbican.metadata(&token, secret).await
        });
        let no_payload = || openstack_http::Refusal {
            status: 404,
            message: format!("secret {secret} has no payload"),
        };
        Ok(Arc::new(Kind::of(asking.await?).ok_or_else(no_payload)?))
    }

    async fn read_payload(
        &self,
        secret: &SecretId,
        giver: &Authority,
        kind: &Arc<Kind>,
    ) -> Result<(), Failure> {
        let mut bytes = self.read_bytes(secret, giver).await?;
        // Nothing vouches for a payload. One whose length contradicts the metadata may have been
        // mangled on its way, or the metadata may have been wrong from the start: it is believed
        // when it comes twice.
        if contradicts(&bytes, kind) {
            let again = self.read_bytes(secret, giver).await?;
            if contradicts(&again, kind) && !again.ct_eq(&bytes) {
                return Err(Failure::unreadable("a payload that comes out differently each time"));
            }
            bytes = again;
        }
        self.keep(secret, Payload { kind: Arc::clone(kind), bytes });
        Ok(())
    }

    async fn read_bytes(
        &self,
        secret: &SecretId,
        authority: &Authority,
    ) -> Result<KeyBytes, Failure> {
        let barbican = &self.engine.0.barbican;
        self.engine
            .with_authority(authority, self.callers, move |token| async move {
                barbican.payload(&token, secret).await
            })
            .await
    }

    fn holds(&self, secret: &SecretId) -> bool {
        self.payloads().contains_key(secret)
    }

    fn take(&self, secret: &SecretId) -> Option<Payload> {
        self.payloads().remove(secret)
    }

    fn keep(&self, secret: &SecretId, payload: Payload) {
        self.payloads().insert(secret.clone(), payload);
    }

    fn payloads(&self) -> std::sync::MutexGuard<'_, BTreeMap<SecretId, Payload>> {
        self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Whether the length of a symmetric key is not the one that its metadata states.
fn contradicts(bytes: &KeyBytes, kind: &Kind) -> bool {
    let attributes = &kind.attributes;
    attributes.secret_type == SecretType::Symmetric
        && attributes.bit_length.is_some_and(|bits| {
            u64::try_from(bytes.expose().len()).is_ok_and(|length| length * 8 != u64::from(bits))
        })
}

impl Engine {
    /// Runs a call under an authority. A token of the service's is renewed once when it is refused;
    /// a project's authority is the token of one of the callers or nothing.
    pub(crate) async fn with_authority<T, F>(
        &self,
        authority: &Authority,
        callers: &[Caller],
        call: impl Fn(Token) -> F + Send,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        match authority {
            Authority::Service => {
                let own = &self.0.accounts.own;
                let token = service_token(own).await?;
                match call(token.clone()).await {
                    Err(failure) if failure.is_refusal(401) => {
                        own.invalidate(&token);
                        // Still refused: a matter of the deployment, not of this caller's token.
                        match call(service_token(own).await?).await {
                            Err(failure) if failure.is_refusal(401) => Err(not_the_callers()),
                            outcome => outcome,
                        }
                    }
                    outcome => outcome,
                }
            }
            Authority::Project(project) => match callers.iter().find(|c| c.project == *project) {
                Some(caller) => self.with_users_token(&caller.token, call).await,
                None => Err(Failure::Refused(openstack_http::Refusal {
                    status: 403,
                    message: format!("the authority of project {project} is not at hand"),
                })),
            },
        }
    }

    /// Runs a call with a user's token and, where the service has an account for that, its own
    /// token beside it. Which of the two a 401 is about nobody tells.
    async fn with_users_token<T, F>(
        &self,
        token: &Token,
        call: impl Fn(Token) -> F + Send,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let Some(session) = &self.0.accounts.beside_users else {
            return call(token.clone()).await;
        };
        let beside = service_token(session).await?;
        match call(token.beside(&beside)).await {
            Err(failure) if failure.is_refusal(401) => {
                session.invalidate(&beside);
                call(token.beside(&service_token(session).await?)).await
            }
            outcome => outcome,
        }
    }
}

async fn service_token(session: &ServiceSession) -> Result<Token, Failure> {
    match session.token().await {
        Ok(issued) => Ok(issued.token.clone()),
        Err(Failure::Refused(_)) => Err(not_the_callers()),
        Err(unknown @ Failure::Unknown(_)) => Err(unknown),
    }
}

/// The service's own credentials were refused, with whatever status: for the caller that is an
/// outage, and it must not read as if the caller's token or its key had been refused.
fn not_the_callers() -> Failure {
    Failure::Unknown(Unknown::Status {
        status: 503,
        message: "the service's own credentials were refused".to_owned(),
        retry_after: None,
    })
}
