//! An OpenStack service at its endpoint, the requests to it, and its replies.
//!
//! A [`Call`] collects method, path, headers and body; [`Call::send`] makes one exchange and
//! judges it against the statuses that mean success. Whatever authenticates the request is
//! remembered as secret; a service's message that quotes it is dropped.

use crate::exchange::Exchange;
use crate::failure::{Failure, Refusal, Unknown};
use crate::request_id::RequestId;
use crate::secret_text::Token;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;
use url::Url;
use zeroize::Zeroizing;

/// The header that carries the caller's token.
const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// The header that carries the token of a service that acts for the caller.
const SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");
/// The header that carries a request id across services (oslo.middleware: `request_id.py`).
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A service: where it is, and how to reach it. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    base: Url,
    exchange: Arc<dyn Exchange>,
}

impl Service {
    /// The service at `endpoint`, as a catalogue or a configuration file spells it: the path
    /// ends with the API's `version` (`v3`), which is added where it is missing. Credentials,
    /// query and fragment of the URL are dropped.
    pub fn new(endpoint: &Url, version: &str, exchange: Arc<dyn Exchange>) -> Self {
        let mut base = endpoint.clone();
        // Both fail only for a URL without a host, which has neither.
        let _ = base.set_username("");
        let _ = base.set_password(None);
        base.set_query(None);
        base.set_fragment(None);
        let path = base.path().trim_end_matches('/').to_owned();
        if path.rsplit('/').next() == Some(version) {
            base.set_path(&path);
        } else {
            base.set_path(&format!("{path}/{version}"));
        }
        Self { base, exchange }
    }

    /// Where the service's paths begin, version included.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Begins a request, under the id of the task that runs. `path` begins with a slash, stands
    /// below the version and needs no further escaping.
    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        let mut headers = HeaderMap::new();
        if let Some(id) = RequestId::current() {
            headers.insert(REQUEST_ID, id.header().clone());
        }
        Call {
            service: self,
            method,
            url,
            headers,
            body: Bytes::new(),
            secrets: vec![],
            flaw: None,
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.base.as_str()).finish()
    }
}

/// A request under construction.
#[must_use = "a call does nothing until it is sent"]
pub struct Call<'a> {
    service: &'a Service,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
    /// What must not appear in a message, whoever quotes it.
    secrets: Vec<Bytes>,
    /// Why the request cannot be sent at all.
    flaw: Option<Refusal>,
}

impl Call<'_> {
    /// Authenticates the request, with the token of the service beside the user's if there is one.
    pub fn token(self, token: &Token) -> Self {
        let call = self.secret_header(AUTH_TOKEN, token);
        match token.companion() {
            Some(beside) => call.secret_header(SERVICE_TOKEN, &beside),
            None => call,
        }
    }

    /// Adds a header that carries a token. One that no header can carry is refused with 401, as
    /// the service would, without being sent.
    pub fn secret_header(mut self, name: HeaderName, token: &Token) -> Self {
        match HeaderValue::from_str(token.expose()) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.headers.insert(name, value);
                self.secret(token.expose().as_bytes())
            }
            Err(_) => {
                let message = "the token holds characters that no header carries".to_owned();
                self.flaw = Some(Refusal { status: 401, message });
                self
            }
        }
    }

    /// Adds a header, in place of an earlier one of the same name.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Adds a query parameter, escaped.
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sends a JSON document.
    pub fn json(self, document: &Value) -> Self {
        self.body(JSON, Zeroizing::new(document.to_string().into_bytes()))
    }

    /// Sends bytes of this content type; they are wiped once sent.
    pub fn body(mut self, content_type: HeaderValue, bytes: Zeroizing<Vec<u8>>) -> Self {
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body = Bytes::from_owner(bytes);
        self
    }

    /// Drops the service's message, should it quote `secret`.
    pub fn secret(mut self, secret: &[u8]) -> Self {
        if !secret.is_empty() {
            self.secrets.push(Bytes::from_owner(Zeroizing::new(secret.to_vec())));
        }
        self
    }

    /// Makes one exchange. A status among `expected` is success.
    ///
    /// # Errors
    /// [`Failure::Refused`] when nothing happened, [`Failure::Unknown`] when nobody knows.
    pub async fn send(self, expected: &[StatusCode]) -> Result<Reply, Failure> {
        if let Some(flaw) = self.flaw {
            return Err(flaw.into());
        }
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = self.headers;
        *request.uri_mut() = self
            .url
            .as_str()
            .parse()
            .map_err(|_| Refusal { status: 400, message: "the url cannot be sent".to_owned() })?;
        let begun = Instant::now();
        let outcome = self.service.exchange.exchange(request).await;
        let status = outcome.as_ref().ok().map(|reply| reply.status().as_u16());
        tracing::debug!(
            method = %self.method,
            url = %self.url,
            status,
            millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            "exchange"
        );
        let (head, body) = outcome.map_err(Unknown::from)?.into_parts();
        if expected.contains(&head.status) {
            return Ok(Reply { status: head.status, headers: head.headers, body });
        }
        let secrets = self.secrets.iter().map(AsRef::as_ref);
        Err(Failure::judge(head.status, &head.headers, &body, secrets))
    }
}

/// A reply with an expected status.
pub struct Reply {
    /// The status, one of those expected.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body, wiped when dropped.
    pub body: Bytes,
}

impl Reply {
    /// Reads the body as JSON.
    ///
    /// # Errors
    /// [`Unknown::Unreadable`] naming `what` was expected; the parser's own words are left out,
    /// for they quote the body.
    pub fn json<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, Failure> {
        // serde_json looks at the letters of what is read only
        let text = std::str::from_utf8(&self.body).ok();
        text.and_then(|text| serde_json::from_str(text).ok()).ok_or(Failure::unreadable(what))
    }
}
