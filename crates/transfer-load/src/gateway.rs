//! What stands before the service and the block storage, as a proxy does for a cloud.

use anyhow::Context as _;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use volume_transfer::listening::serve_until;
use volume_transfer::stage::client;

const LARGEST_BODY: usize = 1 << 20;

/// Where requests go.
struct Ways {
    http: reqwest::Client,
    /// Those about transfers.
    service: String,
    /// All others.
    block_storage: String,
}

/// Begins to listen, until `stop`; returns the address.
pub(crate) async fn open(
    service: &str,
    block_storage: &str,
    stop: CancellationToken,
) -> anyhow::Result<String> {
    let ways = Ways {
        http: client()?,
        service: service.to_owned(),
        block_storage: block_storage.to_owned(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port")?;
    let url = format!("http://{}", listener.local_addr()?);
    let router = Router::new().fallback(forward).with_state(Arc::new(ways));
    tokio::spawn(serve_until(listener, router, stop, Duration::from_secs(1)));
    Ok(url)
}

async fn forward(State(ways): State<Arc<Ways>>, request: Request) -> Response {
    match ways.send(request).await {
        Ok(reply) => reply,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

impl Ways {
    async fn send(&self, request: Request) -> anyhow::Result<Response> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let is_transfer = ["/volume-transfers", "/os-volume-transfer"];
        let is_transfer = is_transfer.iter().any(|prefix| path.contains(prefix));
        let to = if is_transfer { &self.service } else { &self.block_storage };
        let path = head.uri.path_and_query().map_or(path, |path| path.as_str());
        let sent = self
            .http
            .request(head.method, format!("{to}{path}"))
            .headers(end_to_end(head.headers))
            .body(to_bytes(body, LARGEST_BODY).await?)
            .send()
            .await?;
        let (status, headers) = (sent.status(), end_to_end(sent.headers().clone()));
        let mut reply = Response::new(Body::from(sent.bytes().await?));
        *reply.status_mut() = status;
        *reply.headers_mut() = headers;
        Ok(reply)
    }
}

/// Without what is said of one connection alone.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [HOST, CONNECTION, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}
