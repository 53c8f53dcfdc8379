//! A body, of a request or of a reply: JSON, text, or bytes in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What is sent or was received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// As a request, sent with `Content-Type: application/json` unless the step names another.
    Json(Value),
    /// UTF-8. Its content type is the one that the step names, or none.
    Text(String),
    /// Any bytes.
    Base64(String),
}

impl Body {
    /// The body of a reply, as its content type and its bytes have it; `None` when it is empty.
    pub(crate) fn received(content_type: Option<&str>, bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return None;
        }
        if content_type.is_some_and(|name| name.contains("json"))
            && let Ok(json) = serde_json::from_slice(bytes)
        {
            return Some(Self::Json(json));
        }
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(STANDARD.encode(bytes)),
        })
    }
}
