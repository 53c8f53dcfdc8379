//! The log of every request that reached a simulated service.
//!
//! It holds who asked for what and what became of it, never a payload, a token or a password. Tests
//! count requests with it and enumerate the external steps of an operation.

use std::sync::{Mutex, PoisonError};

use http::Method;
use serde::Serialize;

use crate::Service;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// 1 for the first request of this simulator, whatever the service.
    pub seq: u64,
    /// The service that was asked.
    pub service: Service,
    /// The HTTP method.
    #[serde(serialize_with = "method_name")]
    pub method: Method,
    /// The path's template, such as `/v1/secrets/{id}`; the path itself where no template fits.
    pub template: String,
    /// The path as it was asked for, without its query.
    pub path: String,
    /// Name of the user behind the token (or of the user who asks for one).
    pub user: Option<String>,
    /// Name of the token's project (or of the project that is asked for).
    pub project: Option<String>,
    /// The status that was sent; `None` as long as nothing was, or when the connection broke.
    pub status: Option<u16>,
    /// Whether a request that changes something was carried out with success.
    pub effect: bool,
}

fn method_name<S: serde::Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(method.as_str())
}

#[derive(Debug, Default)]
pub(crate) struct Events(Mutex<Vec<Event>>);

impl Events {
    /// Enters a request; its number is set here and returned.
    pub(crate) fn enter(&self, mut event: Event) -> u64 {
        self.with(|events| {
            event.seq = events.last().map_or(1, |last| last.seq + 1);
            let seq = event.seq;
            events.push(event);
            seq
        })
    }

    pub(crate) fn told(&self, seq: u64, status: u16) {
        self.update(seq, |event| event.status = Some(status));
    }

    pub(crate) fn took_effect(&self, seq: u64) {
        self.update(seq, |event| event.effect = true);
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.with(|events| events.clone())
    }

    pub(crate) fn clear(&self) {
        self.with(Vec::clear);
    }

    fn update(&self, seq: u64, change: impl FnOnce(&mut Event)) {
        self.with(|events| {
            if let Ok(place) = events.binary_search_by_key(&seq, |event| event.seq) {
                change(&mut events[place]);
            }
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Event>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
