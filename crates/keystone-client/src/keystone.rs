//! Single calls to Keystone: issue a token, validate one.
//!
//! Owns the paths, headers and statuses of `/v3/auth/tokens`. Keeps nothing.

use crate::credentials::Credentials;
use crate::identity::{Identity, TokenDocument};
use http::header::HeaderName;
use http::{Method, StatusCode};
use openstack_http::{Exchange, Failure, Reply, Service, Token};
use std::sync::Arc;
use url::Url;

const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");
const PATH: &str = "/auth/tokens";

/// Keystone at its endpoint. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Keystone {
    service: Service,
}

/// A fresh token and whose it is.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token.
    pub token: Token,
    /// Its owner, with the catalogue.
    pub identity: Identity,
}

/// Why a caller's token was not found good.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// Unknown, expired, revoked, or of a disabled user: the caller has to authenticate.
    #[error("the token is not valid")]
    InvalidToken,
    /// Keystone does not accept the token that the service itself presented.
    #[error("the service's own token was refused")]
    OwnTokenRefused,
    /// Keystone gave no usable answer; the caller's token may be good.
    #[error("the token could not be validated: {0}")]
    Unavailable(#[source] Failure),
}

impl Keystone {
    /// Keystone at `auth_url`, with or without `/v3`.
    pub fn new(auth_url: &Url, exchange: Arc<dyn Exchange>) -> Self {
        Self { service: Service::new(auth_url, "v3", exchange) }
    }

    /// Gets a token: `POST /v3/auth/tokens`.
    ///
    /// # Errors
    /// [`Failure::Refused`] with 401 when the credentials are wrong or have no role in the
    /// project (Keystone does not say which).
    pub async fn issue(&self, credentials: &Credentials) -> Result<Issued, Failure> {
        let call = self.service.call(Method::POST, PATH).secret(credentials.secret());
        let reply = call.json(&credentials.body()).send(&[StatusCode::CREATED]).await?;
        let token = reply
            .headers
            .get(SUBJECT_TOKEN)
            .and_then(|token| token.to_str().ok())
            .filter(|token| !token.is_empty())
            .map(Token::new)
            .ok_or(Failure::unreadable("an issued token without x-subject-token"))?;
        Ok(Issued { token, identity: identity(&reply)? })
    }

    /// Asks whose `subject` is, authenticated by `own`: `GET /v3/auth/tokens?nocatalog`. Keystone
    /// tells of a token that has ended only where `ended_too` asks for it.
    ///
    /// # Errors
    /// [`ValidateError::InvalidToken`] for Keystone's 404, [`ValidateError::OwnTokenRefused`] for
    /// its 401 (keystonemiddleware: `auth_token/_identity.py`), anything else is unavailable.
    pub async fn validate(
        &self,
        own: &Token,
        subject: &Token,
        ended_too: bool,
    ) -> Result<Identity, ValidateError> {
        let mut call = self.service.call(Method::GET, PATH).query("nocatalog", "");
        if ended_too {
            call = call.query("allow_expired", "1");
        }
        let call = call.token(own).secret_header(SUBJECT_TOKEN, subject);
        let reply = call.send(&[StatusCode::OK]).await.map_err(|failure| {
            if failure.is_refusal(404) {
                ValidateError::InvalidToken
            } else if failure.is_refusal(401) {
                ValidateError::OwnTokenRefused
            } else {
                ValidateError::Unavailable(failure)
            }
        })?;
        identity(&reply).map_err(ValidateError::Unavailable)
    }
}

fn identity(reply: &Reply) -> Result<Identity, Failure> {
    const WHAT: &str = "a keystone token document";
    reply.json::<TokenDocument>(WHAT)?.identity().ok_or(Failure::unreadable(WHAT))
}
