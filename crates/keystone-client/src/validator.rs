//! Whose a caller's token is, remembered for a short while.
//!
//! A service that acts for its user sends a token of its own beside the user's, which may have
//! ended meanwhile: it is believed nevertheless, as far as Keystone still knows it
//! (keystonemiddleware: `auth_token/__init__.py` `process_request`).
//!
//! Invariants: the cache holds digests, never tokens; it holds at most `capacity` identities,
//! none for longer than `max_age` and none past its token's end; a refused or failed validation
//! is not remembered. A revoked token may pass for up to `max_age`, as it does with
//! keystonemiddleware (`token_cache_time`).

use crate::Clock;
use crate::identity::Identity;
use crate::keystone::{Keystone, ValidateError};
use crate::session::ServiceSession;
use openstack_http::Token;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use time::OffsetDateTime;

/// How much is remembered, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLimits {
    /// Most identities remembered; zero remembers none.
    pub capacity: usize,
    /// Longest time for which an identity is believed without asking again.
    pub max_age: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { capacity: 4096, max_age: Duration::from_secs(300) }
    }
}

/// Whose tokens may stand beside a user's. The names are those of `[keystone_authtoken]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTokens {
    /// `service_token_roles`: one of these lets the user's token have ended.
    pub roles: Vec<String>,
    /// `service_token_roles_required`: whether a token without any of them is refused, and the
    /// request with it.
    pub roles_required: bool,
}

impl Default for ServiceTokens {
    fn default() -> Self {
        Self { roles: vec!["service".to_owned()], roles_required: true }
    }
}

/// Validates callers' tokens with the service's own.
pub struct Validator {
    keystone: Keystone,
    session: Arc<ServiceSession>,
    clock: Clock,
    limits: CacheLimits,
    service_tokens: ServiceTokens,
    known: Mutex<HashMap<[u8; 32], Known>>,
}

struct Known {
    identity: Arc<Identity>,
    until: OffsetDateTime,
}

impl Validator {
    /// A validator that knows nobody yet.
    pub fn new(
        keystone: Keystone,
        session: Arc<ServiceSession>,
        clock: Clock,
        limits: CacheLimits,
        service_tokens: ServiceTokens,
    ) -> Self {
        Self { keystone, session, clock, limits, service_tokens, known: Mutex::default() }
    }

    /// The owner of `subject`, beside which the token of a service may have been sent.
    ///
    /// # Errors
    /// As [`Keystone::validate`], of either token; the service's own token is renewed once before
    /// [`ValidateError::OwnTokenRefused`] is returned.
    pub async fn validate(
        &self,
        subject: &Token,
        beside: Option<&Token>,
    ) -> Result<Arc<Identity>, ValidateError> {
        let may_have_ended = match beside {
            Some(beside) => self.vouches(&*self.look_up(beside, false).await?)?,
            None => false,
        };
        self.look_up(subject, may_have_ended).await
    }

    /// Whether whoever sent a token beside a user's may vouch for one that has ended.
    fn vouches(&self, sender: &Identity) -> Result<bool, ValidateError> {
        let ServiceTokens { roles, roles_required } = &self.service_tokens;
        match sender.roles.iter().any(|role| roles.contains(role)) {
            false if *roles_required => Err(ValidateError::InvalidToken),
            has_role => Ok(has_role),
        }
    }

    async fn look_up(
        &self,
        subject: &Token,
        ended_too: bool,
    ) -> Result<Arc<Identity>, ValidateError> {
        let digest: [u8; 32] = Sha256::digest(subject.expose()).into();
        if let Some(known) = self.known().get(&digest)
            && (self.clock)() < known.until
        {
            return Ok(known.identity.clone());
        }
        let identity =
            match self.ask(subject, ended_too).await {
                Err(ValidateError::OwnTokenRefused) => self.ask(subject, ended_too).await?,
                outcome @ (Ok(_)
                | Err(ValidateError::InvalidToken | ValidateError::Unavailable(_))) => outcome?,
            };
        let now = (self.clock)();
        let identity = Arc::new(identity);
        if identity.expires_at > now {
            self.remember(digest, &identity, now);
        } else if !ended_too {
            return Err(ValidateError::InvalidToken);
        }
        Ok(identity)
    }

    async fn ask(&self, subject: &Token, ended_too: bool) -> Result<Identity, ValidateError> {
        let own = self.session.token().await.map_err(ValidateError::Unavailable)?;
        let answer = self.keystone.validate(&own.token, subject, ended_too).await;
        if matches!(answer, Err(ValidateError::OwnTokenRefused)) {
            self.session.invalidate(&own.token);
        }
        answer
    }

    fn remember(&self, digest: [u8; 32], identity: &Arc<Identity>, now: OffsetDateTime) {
        let until = identity.expires_at.min(now + self.limits.max_age);
        let mut known = self.known();
        if known.len() >= self.limits.capacity && !known.contains_key(&digest) {
            known.retain(|_, known| now < known.until);
        }
        while known.len() >= self.limits.capacity && !known.contains_key(&digest) {
            let first = known.iter().min_by_key(|(_, known)| known.until).map(|(key, _)| *key);
            let Some(first) = first else { return };
            known.remove(&first);
        }
        known.insert(digest, Known { identity: identity.clone(), until });
    }

    /// No caller panics while it holds the lock, so what it guards is whole.
    fn known(&self) -> MutexGuard<'_, HashMap<[u8; 32], Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
