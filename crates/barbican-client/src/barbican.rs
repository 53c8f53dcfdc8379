//! Single calls to Barbican's secrets.
//!
//! Owns paths, headers and statuses of `/v1/secrets`. Payloads always come as
//! `application/octet-stream`: that yields the stored bytes of any secret unchanged, where
//! `text/plain` answers 406 for bytes that are not UTF-8 (barbican: `plugin/util/translations.py`
//! denormalize_after_decryption). No type is asked for by name, here or elsewhere: each is what
//! Barbican chooses by itself, and a name takes it some milliseconds to look up (pecan: `core.py`
//! find_controller, `webob.acceptparse`).

use crate::key_bytes::KeyBytes;
use crate::secret::{Attributes, ContentType, Metadata, SecretDocument, is_canonical, referenced};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use openstack_http::{Call, Exchange, Failure, Refusal, Reply, Service, Token};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use transfer_core::SecretId;
use url::Url;
use zeroize::Zeroizing;

const API_VERSION: HeaderName = HeaderName::from_static("openstack-api-version");
/// From here on Barbican shows a secret's consumers.
const SHOWS_CONSUMERS: HeaderValue = HeaderValue::from_static("key-manager 1.1");
/// From here on Barbican refuses to delete a secret with consumers.
const GUARDS_CONSUMERS: HeaderValue = HeaderValue::from_static("key-manager 1.2");
/// An empty `Accept` asks for the bytes as they are stored (barbican: `api/controllers/secrets.py`
/// _on_get_secret_payload); `*/*`, which stands where there is none, for their own type.
const STORED_BYTES: HeaderValue = HeaderValue::from_static("");
/// Barbican's longest page (barbican: `common/config.py` max_limit_paging).
const PAGE: usize = 100;
/// Pages after which a list is not believed to end.
const PAGES: usize = 1000;

/// Barbican at its endpoint. Cheap to clone. Every method takes the token of whoever has the
/// authority; a 401 means that this token has ended.
#[derive(Clone, Debug)]
pub struct Barbican {
    service: Service,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretsPage {
    /// The secrets, without their bytes.
    pub secrets: Vec<Metadata>,
    /// Whether the list ends here.
    pub is_last: bool,
}

/// Why a shell was not filled by this call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FillFailure {
    /// The secret has a payload already: this one if an earlier reply was lost. Read it back.
    #[error("the secret already has a payload")]
    AlreadyFilled,
    /// Anything else; 404 when the shell is gone.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl Barbican {
    /// Barbican at `endpoint`, with or without `/v1`.
    pub fn new(endpoint: &Url, exchange: Arc<dyn Exchange>) -> Self {
        Self { service: Service::new(endpoint, "v1", exchange) }
    }

    /// What `id` is: `GET /v1/secrets/{id}`.
    ///
    /// # Errors
    /// Refused with 404 for no such secret (or an expired one), 403 for another project's.
    pub async fn metadata(&self, token: &Token, id: &SecretId) -> Result<Metadata, Failure> {
        const WHAT: &str = "a secret's metadata";
        let reply = self.secret(Method::GET, id, "")?.token(token).send(&[StatusCode::OK]).await?;
        reply.json::<SecretDocument>(WHAT)?.metadata().ok_or(Failure::unreadable(WHAT))
    }

    /// The bytes of `id`: `GET /v1/secrets/{id}/payload`.
    ///
    /// # Errors
    /// Refused with 404 for no such secret and for a shell; unknown for an empty reply and for
    /// one that is not a payload.
    pub async fn payload(&self, token: &Token, id: &SecretId) -> Result<KeyBytes, Failure> {
        let call = self.secret(Method::GET, id, "/payload")?.token(token);
        let call = call.header(ACCEPT, STORED_BYTES);
        let reply = call.send(&[StatusCode::OK]).await?;
        if !ContentType::OctetStream.is(reply.headers.get(CONTENT_TYPE)) {
            return Err(Failure::unreadable("a payload of the wrong content type"));
        }
        if reply.body.is_empty() {
            return Err(Failure::unreadable("an empty payload"));
        }
        Ok(KeyBytes::new(reply.body.to_vec()))
    }

    /// Creates a secret without payload: `POST /v1/secrets`. After a lost reply it is found
    /// again by its name.
    ///
    /// # Errors
    /// Refused with 403 when the token may not store secrets or a quota is reached.
    pub async fn create_shell(
        &self,
        token: &Token,
        name: &str,
        attributes: &Attributes,
    ) -> Result<SecretId, Failure> {
        #[derive(Deserialize)]
        struct Created {
            secret_ref: String,
        }
        const WHAT: &str = "a created secret's reference";
        let mut document = json!(attributes);
        document["name"] = json!(name);
        let call = self.service.call(Method::POST, "/secrets").token(token).json(&document);
        let created: Created = call.send(&[StatusCode::CREATED]).await?.json(WHAT)?;
        referenced(&created.secret_ref).ok_or(Failure::unreadable(WHAT))
    }

    /// Gives a shell its bytes: `PUT /v1/secrets/{id}`.
    ///
    /// # Errors
    /// [`FillFailure::AlreadyFilled`] for Barbican's 409; the bytes it has are not told.
    pub async fn fill(
        &self,
        token: &Token,
        id: &SecretId,
        content_type: ContentType,
        key: &KeyBytes,
    ) -> Result<(), FillFailure> {
        let bytes = Zeroizing::new(key.expose().to_vec());
        let call = self.secret(Method::PUT, id, "")?.token(token).secret(key.expose());
        let call = call.body(content_type.of_fill(), bytes);
        match call.send(&[StatusCode::NO_CONTENT]).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_refusal(409) => Err(FillFailure::AlreadyFilled),
            Err(failure) => Err(failure.into()),
        }
    }

    /// Deletes `id`, whether or not it is still there, or ever was: `DELETE /v1/secrets/{id}`.
    ///
    /// A Barbican that knows no microversion 1.2 answers 406 to it and deletes regardless of
    /// consumers, so there they are looked at first.
    ///
    /// # Errors
    /// Refused with 400 when the secret has consumers, 403 when the token may not delete it.
    pub async fn delete(&self, token: &Token, id: &SecretId) -> Result<(), Failure> {
        const CONSUMERS: &str = "a secret's consumers";
        if !is_canonical(id.as_str()) {
            return Ok(());
        }
        match self.delete_at(token, id, GUARDS_CONSUMERS).await {
            Err(failure) if failure.is_refusal(406) => {}
            outcome => return outcome,
        }
        let call = self.secret(Method::GET, id, "")?.token(token);
        let call = call.header(API_VERSION, SHOWS_CONSUMERS);
        let reply = call.send(&[StatusCode::OK, StatusCode::NOT_FOUND]).await?;
        if reply.status == StatusCode::NOT_FOUND {
            return gone(&reply);
        }
        let document: SecretDocument = reply.json(CONSUMERS)?;
        if !document.consumers.ok_or(Failure::unreadable(CONSUMERS))?.is_empty() {
            let message = "secret cannot be deleted as it has consumers".to_owned();
            return Err(Refusal { status: 400, message }.into());
        }
        self.delete_at(token, id, SHOWS_CONSUMERS).await
    }

    /// Whether `id` belongs to the token's project: `GET /v1/secrets/{id}/acl`, which is that
    /// project's alone, where an administrator reads the metadata of any secret and an access list
    /// may open it to anybody. A secret that is private to another user of the project looks like
    /// another project's, unless the token is an administrator's.
    ///
    /// # Errors
    /// Refused with 404 for no such secret.
    pub async fn is_own(&self, token: &Token, id: &SecretId) -> Result<bool, Failure> {
        match self.secret(Method::GET, id, "/acl")?.token(token).send(&[StatusCode::OK]).await {
            Ok(_access) => Ok(true),
            Err(failure) if failure.is_refusal(403) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Every secret of the token's project that is called exactly `name`.
    ///
    /// # Errors
    /// As any call; nothing is returned unless the list was read to its end.
    pub async fn list_by_name(&self, token: &Token, name: &str) -> Result<Vec<Metadata>, Failure> {
        // Barbican decodes the filter twice and matches it with LIKE, where `_` stands for any
        // character: so it is asked widely, and answered exactly.
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let pattern: String = name.chars().map(plain).collect();
        let mut found = Vec::new();
        for number in 0..PAGES {
            let page = self.page(token, number, &[("name", &pattern)]).await?;
            let is_it = |secret: &Metadata| secret.name.as_deref() == Some(name);
            found.extend(page.secrets.into_iter().filter(is_it));
            if page.is_last {
                return Ok(found);
            }
        }
        Err(Failure::unreadable("a list of secrets without end"))
    }

    /// One page of the secrets of the token's project that are older than `before` (ISO 8601, UTC
    /// without a zone), the oldest first.
    ///
    /// # Errors
    /// As any call.
    pub async fn list_older(
        &self,
        token: &Token,
        before: &str,
        number: usize,
    ) -> Result<SecretsPage, Failure> {
        self.page(token, number, &[("created", &format!("lt:{before}"))]).await
    }

    async fn page(
        &self,
        token: &Token,
        number: usize,
        filters: &[(&str, &str)],
    ) -> Result<SecretsPage, Failure> {
        #[derive(Deserialize)]
        struct Page {
            secrets: Vec<SecretDocument>,
            next: Option<String>,
        }
        const WHAT: &str = "a list of secrets";
        let mut call = self.service.call(Method::GET, "/secrets").token(token);
        for (filter, value) in filters {
            call = call.query(filter, value);
        }
        let call = call.query("sort", "created:asc").query("limit", &PAGE.to_string());
        let call = call.query("offset", &(number * PAGE).to_string());
        let page: Page = call.send(&[StatusCode::OK]).await?.json(WHAT)?;
        let is_last = page.next.is_none() || page.secrets.is_empty();
        let secrets = page.secrets.into_iter().map(SecretDocument::metadata);
        let secrets = secrets.collect::<Option<_>>().ok_or(Failure::unreadable(WHAT))?;
        Ok(SecretsPage { secrets, is_last })
    }

    /// Begins a request about one secret. An id that is no UUID names no secret: Barbican would
    /// answer 404, and a path must not be built of it.
    fn secret(&self, method: Method, id: &SecretId, below: &str) -> Result<Call<'_>, Failure> {
        if !is_canonical(id.as_str()) {
            let message = "not the id of a secret".to_owned();
            return Err(Refusal { status: 404, message }.into());
        }
        Ok(self.service.call(method, &format!("/secrets/{id}{below}")))
    }

    async fn delete_at(
        &self,
        token: &Token,
        id: &SecretId,
        version: HeaderValue,
    ) -> Result<(), Failure> {
        let call = self.secret(Method::DELETE, id, "")?.token(token).header(API_VERSION, version);
        let reply = call.send(&[StatusCode::NO_CONTENT, StatusCode::NOT_FOUND]).await?;
        if reply.status == StatusCode::NOT_FOUND { gone(&reply) } else { Ok(()) }
    }
}

/// A 404 means that a secret is gone only in Barbican's own words: a proxy's page for a wrong
/// path says nothing about it, and taking it for done would forget a copy of a key.
fn gone(reply: &Reply) -> Result<(), Failure> {
    const WHAT: &str = "a 404 that is not barbican's";
    let answer: Value = reply.json(WHAT)?;
    let barbican = answer["code"] == 404 && answer["description"].is_string();
    if barbican { Ok(()) } else { Err(Failure::unreadable(WHAT)) }
}
