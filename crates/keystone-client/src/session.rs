//! The service's own token, renewed before it ends.
//!
//! Invariants: however many callers ask, at most one renewal is on its way and all of them get
//! its outcome; a renewal that fails does no harm while the token at hand is still good; a
//! renewal goes on when whoever began it hangs up.

use crate::Clock;
use crate::credentials::Credentials;
use crate::identity::Identity;
use crate::keystone::{Issued, Keystone};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use openstack_http::{Broken, Failure, Token, Unknown};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use time::{Duration, OffsetDateTime};

/// Longest time before a token's end at which it is renewed.
const MARGIN: Duration = Duration::minutes(5);

type Renewal = Shared<BoxFuture<'static, Result<Arc<Issued>, Failure>>>;

/// Keeps a token for credentials that are always at hand.
pub struct ServiceSession {
    keystone: Keystone,
    credentials: Arc<Credentials>,
    clock: Clock,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    current: Option<Arc<Issued>>,
    renewal: Option<Renewal>,
}

impl ServiceSession {
    /// A session without a token yet; the first caller gets one.
    pub fn new(keystone: Keystone, credentials: Credentials, clock: Clock) -> Self {
        let credentials = Arc::new(credentials);
        Self { keystone, credentials, clock, kept: Arc::default() }
    }

    /// A token that is good for a while, renewed if need be.
    ///
    /// # Errors
    /// The renewal's failure, when no good token is at hand.
    pub async fn token(&self) -> Result<Arc<Issued>, Failure> {
        let (current, renewal) = {
            let mut kept = lock(&self.kept);
            let now = (self.clock)();
            match &kept.current {
                Some(issued) if now < renew_at(&issued.identity) => return Ok(issued.clone()),
                Some(_) | None => {}
            }
            let renewal = match &kept.renewal {
                Some(renewal) => renewal.clone(),
                None => kept.renewal.insert(self.renew()).clone(),
            };
            (kept.current.clone(), renewal)
        };
        let renewed = renewal.await;
        match current {
            Some(issued) if renewed.is_err() && (self.clock)() < issued.identity.expires_at => {
                Ok(issued)
            }
            Some(_) | None => renewed,
        }
    }

    /// Tells that a service answered 401 to `token`: the next caller gets another one, unless
    /// that has happened meanwhile.
    pub fn invalidate(&self, token: &Token) {
        let mut kept = lock(&self.kept);
        if kept.current.as_ref().is_some_and(|issued| issued.token == *token) {
            kept.current = None;
        }
    }

    /// Begins a renewal as a task of its own; it takes itself off the list when it ends.
    fn renew(&self) -> Renewal {
        let (keystone, credentials) = (self.keystone.clone(), self.credentials.clone());
        let kept = self.kept.clone();
        let task = tokio::spawn(async move {
            let outcome = keystone.issue(&credentials).await.map(Arc::new);
            let mut kept = lock(&kept);
            kept.renewal = None;
            if let Ok(issued) = &outcome {
                kept.current = Some(issued.clone());
            }
            outcome
        });
        let ended = |_| {
            let ended = Broken::Closed("the renewal of the service's token ended".to_owned());
            Err(Unknown::from(ended).into())
        };
        task.map(move |joined| joined.unwrap_or_else(ended)).boxed().shared()
    }
}

/// A tenth of its life before a token's end, five minutes at most. Nothing says that Keystone's two
/// times are in order: a life may be negative.
fn renew_at(identity: &Identity) -> OffsetDateTime {
    let life = (identity.expires_at - identity.issued_at).max(Duration::ZERO);
    identity.expires_at.saturating_sub(MARGIN.min(life / 10))
}

/// No caller panics while it holds the lock, so what it guards is whole.
fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::renew_at;
    use crate::{Catalog, Identity};
    use time::OffsetDateTime;
    use time::macros::datetime;

    #[test]
    fn a_token_is_renewed_before_its_end_whatever_keystone_says_of_its_life() {
        for (issued_at, expires_at, expected) in [
            (datetime!(2026-01-01 0:00 UTC), datetime!(2026-01-01 1:00 UTC), "0:55:00.0"),
            (datetime!(2026-01-01 0:00 UTC), datetime!(2026-01-01 0:10 UTC), "0:09:00.0"),
            // its end before its beginning
            (datetime!(2026-01-01 1:00 UTC), datetime!(2026-01-01 0:00 UTC), "0:00:00.0"),
            (datetime!(9999-12-31 23:59:59 -23:59), datetime!(9999-12-31 23:59 UTC), "23:59:00.0"),
        ] {
            let at = renew_at(&identity(issued_at, expires_at));
            assert!(at <= expires_at);
            assert_eq!(at.time().to_string(), expected);
        }
    }

    fn identity(issued_at: OffsetDateTime, expires_at: OffsetDateTime) -> Identity {
        Identity {
            user: "u".into(),
            user_name: "u".to_owned(),
            user_domain: "d".to_owned(),
            project: None,
            project_name: None,
            project_domain: None,
            domain: None,
            is_system: false,
            is_admin_project: true,
            roles: vec![],
            issued_at,
            expires_at,
            catalog: Catalog::default(),
        }
    }
}
