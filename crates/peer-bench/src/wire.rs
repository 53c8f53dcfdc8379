//! Requests over connections that are kept and reused; nothing is followed or tried again.

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// How long a reply may take; a server that is asked too much takes long.
const PATIENCE: Duration = Duration::from_secs(300);
/// Below the time after which gunicorn here closes an idle connection.
const IDLE: Duration = Duration::from_secs(30);

/// A client; clones share their connections.
#[derive(Clone)]
pub(crate) struct Wire(Client<HttpConnector, Full<Bytes>>);

/// A reply whose status is the expected one.
pub(crate) struct Reply {
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).context("a reply of another shape")
    }
}

/// What is sent beside method and address.
#[derive(Default)]
pub(crate) struct Parts<'a> {
    pub(crate) token: &'a str,
    pub(crate) headers: &'a [(&'static str, &'static str)],
    pub(crate) body: Bytes,
}

impl Wire {
    pub(crate) fn new() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self(client)
    }

    /// Sends one request; any other status than `expected` is an error that shows the reply.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        expected: StatusCode,
        parts: Parts<'_>,
    ) -> Result<Reply> {
        let what = format!("{method} {url}");
        let mut request = Request::builder().method(method).uri(url);
        if !parts.token.is_empty() {
            request = request.header("x-auth-token", parts.token);
        }
        for (name, value) in parts.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(parts.body))?;
        let exchange = async {
            let reply = self.0.request(request).await?;
            let (head, body) = reply.into_parts();
            anyhow::Ok((head, body.collect().await?.to_bytes()))
        };
        let reply = tokio::time::timeout(PATIENCE, exchange).await;
        let (head, body) = reply.with_context(|| what.clone())?.with_context(|| what.clone())?;
        let shown = || String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        ensure!(head.status == expected, "{what}: {}: {}", head.status, shown());
        Ok(Reply { headers: head.headers, body })
    }
}
