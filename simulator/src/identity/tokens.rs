//! The tokens that were issued, under the SHA-256 of their text, so that neither a dump nor the
//! state file can be used to log in.
//!
//! The last [`CAPACITY`] are remembered, so that a cloud that runs for long does not grow with each
//! log-in; one that is older, or past its time, is as good as one that was never issued.

use std::collections::{BTreeMap, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

use super::{Scope, hex};
use crate::draws::Draws;

/// How long after its end Keystone still shows a token to a caller that asks with `allow_expired`
/// (keystone: `[token] allow_expired_window`).
pub(super) const ALLOW_EXPIRED_WINDOW: Duration = Duration::hours(48);

/// How many are remembered.
const CAPACITY: usize = 1 << 16;

/// What is known of a token; its text is known to its holder alone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Token {
    /// Whoever proved to be that user: of a trust, the trustee.
    pub(crate) user_id: String,
    pub(crate) scope: Scope,
    pub(crate) methods: Vec<String>,
    /// The token's own audit id, then the one of the token that the chain began with.
    pub(crate) audit_ids: Vec<String>,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) issued_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) expires_at: OffsetDateTime,
    pub(crate) revoked: bool,
    pub(crate) application_credential_id: Option<String>,
    pub(crate) trust_id: Option<String>,
}

/// The tokens, and the order in which they were issued.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tokens {
    by_text: BTreeMap<String, Token>,
    order: VecDeque<String>,
}

impl Tokens {
    /// Keeps a new token and returns its text. Of those before it, the oldest go whose time is
    /// over, or that are too many.
    pub(super) fn issue(&mut self, token: Token, draws: &mut Draws) -> String {
        let now = token.issued_at;
        while let Some(first) = self.order.front() {
            let ended = |token: &Token| token.expires_at + ALLOW_EXPIRED_WINDOW <= now;
            if self.order.len() < CAPACITY && !self.by_text.get(first).is_none_or(ended) {
                break;
            }
            self.by_text.remove(first);
            self.order.pop_front();
        }
        let text = format!("gAAAAA{}", URL_SAFE.encode(draws.bytes(129)));
        let kept_as = fingerprint(&text);
        self.order.push_back(kept_as.clone());
        self.by_text.insert(kept_as, token);
        text
    }

    pub(super) fn get(&self, text: &str) -> Option<&Token> {
        self.by_text.get(&fingerprint(text))
    }

    pub(super) fn get_mut(&mut self, text: &str) -> Option<&mut Token> {
        self.by_text.get_mut(&fingerprint(text))
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Token> {
        self.by_text.values_mut()
    }
}

fn fingerprint(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Draws, Duration, OffsetDateTime, Scope, Token, Tokens};

    fn token(at: OffsetDateTime) -> Token {
        Token {
            user_id: "x".to_owned(),
            scope: Scope::Unscoped,
            methods: Vec::new(),
            audit_ids: Vec::new(),
            issued_at: at,
            expires_at: at + Duration::HOUR,
            revoked: false,
            application_credential_id: None,
            trust_id: None,
        }
    }

    #[test]
    fn no_more_than_so_many_are_remembered_and_the_oldest_go_first() {
        let (mut tokens, mut draws) = (Tokens::default(), Draws::new(1));
        let now = OffsetDateTime::UNIX_EPOCH;
        let texts: Vec<_> =
            (0..CAPACITY + 2).map(|_| tokens.issue(token(now), &mut draws)).collect();
        assert_eq!((tokens.by_text.len(), tokens.order.len()), (CAPACITY, CAPACITY));
        let known: Vec<_> = texts[..4].iter().map(|text| tokens.get(text).is_some()).collect();
        assert_eq!(known, [false, false, true, true]);
    }

    #[test]
    fn a_token_is_forgotten_when_nobody_may_see_it_any_more() {
        let (mut tokens, mut draws) = (Tokens::default(), Draws::new(1));
        let now = OffsetDateTime::UNIX_EPOCH;
        let text = tokens.issue(token(now), &mut draws);
        for (hours, known) in [(48, true), (49, false)] {
            tokens.issue(token(now + Duration::hours(hours)), &mut draws);
            assert_eq!(tokens.get(&text).is_some(), known, "{hours}");
        }
    }
}
