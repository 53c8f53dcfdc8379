//! `/healthcheck`, as oslo.middleware's: 200 or 503, without a token.
//!
//! Says whether the database, Keystone and Barbican answer, each within a bounded time. The result
//! is kept for a moment, and whoever asks meanwhile waits for it: however many ask, the services
//! are asked once. It names no address and repeats no service's words; the log does.

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use bytes::Bytes;
use cinder_db::{Scope, Store};
use futures::future::join_all;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use openstack_http::{Exchange, Limits};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use transfer_core::VolumeId;
use url::Url;

/// The longest that one check takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a result holds.
const KEPT: Duration = Duration::from_secs(1);

/// What a check of a peer may take.
pub const LIMITS: Limits = Limits { connect: PATIENCE, total: PATIENCE, body_bytes: 1 << 16 };

/// A service that has to answer.
pub struct Peer {
    /// What it is called.
    pub name: &'static str,
    /// Where it is.
    pub url: Url,
    /// The way there, within [`LIMITS`].
    pub exchange: Arc<dyn Exchange>,
}

/// What is checked.
pub struct Dependencies {
    /// The database.
    pub store: Store,
    /// Keystone and Barbican.
    pub peers: Vec<Peer>,
    /// While this file exists, no more requests are wanted.
    pub disabled_by: Option<PathBuf>,
}

/// Whether one of them answers: its name, and what is wrong with it.
type Finding = (&'static str, Option<&'static str>);

struct Checks {
    dependencies: Dependencies,
    last: Mutex<Option<(Instant, Arc<[Finding]>)>>,
}

/// The route.
pub fn router(dependencies: Dependencies) -> Router {
    let checks = Arc::new(Checks { dependencies, last: Mutex::new(None) });
    Router::new().route("/healthcheck", any(answer)).with_state(checks)
}

async fn answer(State(checks): State<Arc<Checks>>, method: Method, headers: HeaderMap) -> Response {
    let disabled_by = checks.dependencies.disabled_by.as_ref();
    let findings = if disabled_by.is_some_and(|path| path.exists()) {
        Arc::from([("service", Some("DISABLED BY FILE"))])
    } else {
        checks.findings().await
    };
    let wrong = |(name, wrong): &Finding| wrong.map(|wrong| format!("{name}: {wrong}"));
    let reasons: Vec<String> = findings.iter().filter_map(wrong).collect();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let (kind, body) = if accept.is_some_and(|accept| accept.contains("application/json")) {
        let reasons: Vec<_> = findings
            .iter()
            .map(|(name, wrong)| json!({"class": name, "reason": wrong.unwrap_or("OK")}))
            .collect();
        ("application/json", json!({"detailed": true, "reasons": reasons}).to_string())
    } else {
        let text = if reasons.is_empty() { "OK".to_owned() } else { reasons.join("\n") };
        ("text/plain; charset=UTF-8", text)
    };
    let body = if method == Method::HEAD { String::new() } else { body };
    (status, [(CONTENT_TYPE, kind)], body).into_response()
}

impl Checks {
    async fn findings(&self) -> Arc<[Finding]> {
        let mut last = self.last.lock().await;
        if let Some((at, findings)) = &*last
            && at.elapsed() < KEPT
        {
            return findings.clone();
        }
        let Dependencies { store, peers, .. } = &self.dependencies;
        let (database, peers) = tokio::join!(database(store), join_all(peers.iter().map(reach)));
        let findings: Arc<[Finding]> = std::iter::once(database).chain(peers).collect();
        *last = Some((Instant::now(), findings.clone()));
        findings
    }
}

async fn database(store: &Store) -> Finding {
    let (scope, nobody) = (Scope::All, VolumeId::new(""));
    let wrong = match tokio::time::timeout(PATIENCE, store.volume(&scope, &nobody)).await {
        Ok(Ok(_none)) => None,
        Ok(Err(error)) => {
            tracing::warn!(%error, "healthcheck: the database");
            Some("FAILS")
        }
        Err(_late) => Some("NO ANSWER IN TIME"),
    };
    ("database", wrong)
}

/// Any reply below 500 will do: a 401 is what Barbican has to say to nobody.
async fn reach(peer: &Peer) -> Finding {
    let mut request = http::Request::new(Bytes::new());
    let uri = peer.url.as_str().parse();
    let wrong = match uri {
        Ok(uri) => {
            *request.uri_mut() = uri;
            match peer.exchange.exchange(request).await {
                Ok(reply) if reply.status().is_server_error() => Some("FAILS"),
                Ok(_reply) => None,
                Err(error) => {
                    tracing::warn!(peer = peer.name, %error, "healthcheck");
                    Some("NO ANSWER")
                }
            }
        }
        Err(_not_a_uri) => Some("NO ADDRESS"),
    };
    (peer.name, wrong)
}
