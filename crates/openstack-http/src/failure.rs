//! The two ways in which a call does not succeed, told apart by what the caller may conclude.
//!
//! *Refused*: the service said no and nothing happened. *Unknown*: it may have happened, be
//! happening, or never happen. A caller that changes state on an unknown outcome is wrong.
//!
//! Invariant: a message holds at most one line of the service's own words, without any secret of
//! the request (Keystone quotes the request in its schema errors).

use crate::exchange::Broken;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use std::time::Duration;
use zeroize::Zeroizing;

/// Longest message kept, in characters.
const MESSAGE_CHARS: usize = 300;

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The service said no; nothing happened.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nobody knows whether it happened.
    #[error(transparent)]
    Unknown(#[from] Unknown),
}

/// A service's no: any 4xx but 408, 425 and 429.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused with status {status}: {message}")]
pub struct Refusal {
    /// The reply's status.
    pub status: u16,
    /// The service's own words, or the status's canonical reason where it had none.
    pub message: String,
}

/// Why the outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No whole reply arrived.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The reply's status says neither done nor refused: 5xx, 408, 425, 429, a redirect, or a
    /// success other than the expected one.
    #[error("answered with status {status}: {message}")]
    Status {
        /// The reply's status.
        status: u16,
        /// The service's own words, or the status's canonical reason where it had none.
        message: String,
        /// How long the service asks to be left alone (`Retry-After` in seconds; a date is not
        /// read, for want of a clock).
        retry_after: Option<Duration>,
    },
    /// The reply's status is the expected one and its content is not. Names what was missing.
    #[error("unreadable answer: {0}")]
    Unreadable(&'static str),
}

impl Failure {
    /// An expected status with a content that is not; `what` names what could not be read.
    pub fn unreadable(what: &'static str) -> Self {
        Self::Unknown(Unknown::Unreadable(what))
    }

    /// Whether the service said no with this very status.
    pub fn is_refusal(&self, status: u16) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == status)
    }

    /// Judges a reply whose status is not the expected one.
    pub(crate) fn judge<'a>(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        secrets: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let message = message(status, body, secrets);
        let again =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        let status = if status.is_client_error() && !again.contains(&status) {
            return Self::Refused(Refusal { status: status.as_u16(), message });
        } else {
            status.as_u16()
        };
        Self::Unknown(Unknown::Status { status, message, retry_after: retry_after(headers) })
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// The service's message in one line, or the status's canonical reason: where there is none (an
/// HTML page of a proxy says no more than that), and where it quotes a secret.
fn message<'a>(
    status: StatusCode,
    body: &[u8],
    secrets: impl IntoIterator<Item = &'a [u8]>,
) -> String {
    let reason = status.canonical_reason().unwrap_or("no reason given").to_lowercase();
    let Some(words) = words(body) else { return reason };
    let Some(line) = words.lines().map(str::trim).find(|line| !line.is_empty()) else {
        return reason;
    };
    if secrets.into_iter().any(|secret| quotes(line, secret)) {
        return reason;
    }
    line.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS).collect()
}

/// Whether a message holds a secret, be it with the escapes of a quotation: Keystone's schema
/// errors quote as Python's `repr()` does.
fn quotes(line: &str, secret: &[u8]) -> bool {
    let Ok(secret) = std::str::from_utf8(secret) else { return false };
    let letters = letters(secret);
    line.contains(secret) || (!letters.is_empty() && self::letters(line).contains(letters.as_str()))
}

/// A text without whatever escapes could stand between or in place of.
fn letters(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.chars().filter(|letter| letter.is_alphanumeric()).collect())
}

/// Keystone: `{"error": {"message"}}`; Cinder: `{"<fault>": {"message"}}`; Barbican:
/// `{"description"}`, null where it has nothing to say.
fn words(body: &[u8]) -> Option<String> {
    let Ok(Value::Object(top)) = serde_json::from_slice(body) else { return None };
    let barbican = top.get("description").and_then(Value::as_str);
    let nested = || top.values().find_map(|fault| fault.get("message")?.as_str());
    barbican.or_else(nested).map(str::to_owned)
}
