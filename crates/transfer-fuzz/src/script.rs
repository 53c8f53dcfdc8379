//! A service that says whatever an input has it say.
//!
//! Replies come in the input's order; where there are none left, and where one begins with no
//! status, the connection breaks.

use crate::message::Message;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use openstack_http::{Broken, Exchange};
use serde::de::IgnoredAny;
use serde_json::Value;
use std::sync::{Mutex, PoisonError};

/// The replies that a client is going to get.
pub(crate) struct Script {
    replies: Vec<Option<Said>>,
    /// How many of them it got.
    played: Mutex<usize>,
}

/// One reply.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Script {
    pub(crate) fn read(parts: &[&[u8]]) -> Self {
        let replies = parts.iter().map(|part| Said::read(part)).collect();
        Self { replies, played: Mutex::new(0) }
    }

    /// What was said to the client.
    pub(crate) fn played(&self) -> Vec<Said> {
        let played = *self.played.lock().unwrap_or_else(PoisonError::into_inner);
        self.replies.iter().take(played).flatten().cloned().collect()
    }
}

impl Said {
    /// Reads a reply, but for one that a typed reader takes and [`Value`] does not: of numbers
    /// beyond an `f64`, lone surrogates and deep nests, where nobody reads them.
    pub(crate) fn read(part: &[u8]) -> Option<Self> {
        let Message { first, headers, body } = Message::read(part);
        let status = StatusCode::from_u16(first.trim().parse().ok()?).ok()?;
        if let Ok(text) = std::str::from_utf8(&body)
            && serde_json::from_str::<Value>(text).is_err()
            && serde_json::from_str::<IgnoredAny>(text).is_ok()
        {
            return None;
        }
        Some(Self { status, headers, body: body.into() })
    }

    /// Whether it is this status with a document, and which.
    pub(crate) fn document(&self, status: u16) -> Option<Value> {
        (self.status == status).then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }
}

#[async_trait]
impl Exchange for Script {
    async fn exchange(
        &self,
        _request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Broken> {
        let at = {
            let mut played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
            *played += 1;
            *played - 1
        };
        let Some(Some(said)) = self.replies.get(at).cloned() else {
            return Err(Broken::Closed("as the input has it".to_owned()));
        };
        let mut reply = http::Response::new(said.body);
        *reply.status_mut() = said.status;
        *reply.headers_mut() = said.headers;
        Ok(reply)
    }
}
