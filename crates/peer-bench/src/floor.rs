//! The floor: the requests to Barbican that an operation needs, and nothing else.
//!
//! They are sent in the order and with the overlap of the service: metadata, unless the key was
//! made here; then the shell while the payload is read, then the fill; the old secret is deleted
//! behind the operation's end. No row is written, no token is checked, nothing is looked at:
//! whoever copies a key through Barbican's API cannot be faster.

use crate::ground::{Login, Logins};
use crate::wire::{Parts, Reply, Wire};
use anyhow::{Context as _, Result};
use base64::Engine as _;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinSet;

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const OCTETS: &[(&str, &str)] = &[("content-type", "application/octet-stream")];

/// A key, and who holds it.
pub(crate) struct Key {
    secret: String,
    is_donors: bool,
    /// Whether it was made here, so that it need not be asked what it is.
    is_known: bool,
}

/// Bare Barbican.
#[derive(Clone)]
pub(crate) struct Floor {
    pub(crate) wire: Wire,
    /// With the version.
    pub(crate) url: String,
    pub(crate) logins: Logins,
    deletions: Arc<Mutex<JoinSet<Result<Reply>>>>,
}

#[derive(Deserialize)]
struct Made {
    secret_ref: String,
}

impl Floor {
    pub(crate) fn new(wire: Wire, barbican: &str, logins: Logins) -> Self {
        let deletions = Arc::default();
        Self { wire, url: format!("{barbican}/v1/secrets"), logins, deletions }
    }

    /// A key of donor.
    pub(crate) async fn key(&self) -> Result<Key> {
        let payload = base64::engine::general_purpose::STANDARD.encode([7; 32]);
        let body = json!({
            "algorithm": "aes", "bit_length": 256, "secret_type": "symmetric", "payload": payload,
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        });
        let secret = self.post(&self.logins.donor, body).await?;
        Ok(Key { secret, is_donors: true, is_known: false })
    }

    /// The payload of a key of its owner.
    pub(crate) async fn read(&self, key: &Key) -> Result<()> {
        self.payload(&key.secret, self.owner(key)).await.map(drop)
    }

    /// From its owner to the service.
    pub(crate) async fn initiate(&self, key: &mut Key) -> Result<()> {
        let owner = self.owner(key).clone();
        self.copy(key, &owner, &self.logins.service).await
    }

    /// From the service to the other project.
    pub(crate) async fn accept(&self, key: &mut Key) -> Result<()> {
        key.is_donors = !key.is_donors;
        self.cancel(key).await
    }

    /// From the service back to its owner.
    pub(crate) async fn cancel(&self, key: &mut Key) -> Result<()> {
        let owner = self.owner(key).clone();
        self.copy(key, &self.logins.service, &owner).await
    }

    /// Waits for the deletions.
    pub(crate) async fn drain(&self) -> Result<()> {
        let mut deletions = std::mem::take(&mut *self.deletions());
        while let Some(deleted) = deletions.join_next().await {
            deleted??;
        }
        Ok(())
    }

    async fn copy(&self, key: &mut Key, giver: &Login, receiver: &Login) -> Result<()> {
        let place = format!("{}/{}", self.url, key.secret);
        if !key.is_known {
            let about = Parts { token: &giver.token, ..Parts::default() };
            self.wire.send(Method::GET, &place, StatusCode::OK, about).await?;
        }
        let shell = json!({
            "name": "shell", "algorithm": "aes", "bit_length": 256, "secret_type": "symmetric",
        });
        let (shell, payload) =
            tokio::join!(self.post(receiver, shell), self.payload(&key.secret, giver));
        let shell = shell?;
        let fill = Parts { token: &receiver.token, headers: OCTETS, body: payload? };
        let filled = format!("{}/{shell}", self.url);
        self.wire.send(Method::PUT, &filled, StatusCode::NO_CONTENT, fill).await?;
        let (wire, token) = (self.wire.clone(), giver.token.clone());
        self.deletions().spawn(async move {
            let parts = Parts { token: &token, ..Parts::default() };
            wire.send(Method::DELETE, &place, StatusCode::NO_CONTENT, parts).await
        });
        (key.secret, key.is_known) = (shell, true);
        Ok(())
    }

    async fn payload(&self, secret: &str, login: &Login) -> Result<Bytes> {
        let parts = Parts { token: &login.token, ..Parts::default() };
        let url = format!("{}/{secret}/payload", self.url);
        Ok(self.wire.send(Method::GET, &url, StatusCode::OK, parts).await?.body)
    }

    async fn post(&self, login: &Login, body: serde_json::Value) -> Result<String> {
        let parts =
            Parts { token: &login.token, headers: JSON, body: Bytes::from(body.to_string()) };
        let reply = self.wire.send(Method::POST, &self.url, StatusCode::CREATED, parts).await?;
        let made: Made = reply.json()?;
        let (_, id) = made.secret_ref.rsplit_once('/').context("no id in a secret's reference")?;
        Ok(id.to_owned())
    }

    fn owner(&self, key: &Key) -> &Login {
        if key.is_donors { &self.logins.donor } else { &self.logins.recipient }
    }

    fn deletions(&self) -> std::sync::MutexGuard<'_, JoinSet<Result<Reply>>> {
        self.deletions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
