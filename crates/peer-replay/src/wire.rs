//! One HTTP request over a connection of its own, as the case has it.
//!
//! Nothing is added but Host and the length of the body, nothing is followed or tried again, and
//! the path is sent as it stands. Plain HTTP only.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a service may take for one reply.
const PATIENCE: Duration = Duration::from_secs(60);

/// A reply as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    /// A header's text; several of one name are joined.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The base URL is not `http://host:port`.
    #[error("{0} is not http://HOST:PORT")]
    Address(String),
    /// A part of the request cannot be put on the wire.
    #[error("not a request: {0}")]
    Request(#[from] http::Error),
    /// Nobody listens, or the connection broke.
    #[error("{0}")]
    Connection(#[from] std::io::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("{0}")]
    Exchange(#[from] hyper::Error),
    /// No reply in time.
    #[error("no reply within {} s", PATIENCE.as_secs())]
    Late(#[from] tokio::time::error::Elapsed),
}

/// Sends one request to `base`, and reads the reply to its end.
pub(crate) async fn send(
    base: &str,
    method: &str,
    path: &str,
    headers: &BTreeMap<String, String>,
    body: Bytes,
) -> Result<Received, WireError> {
    let authority = match base.strip_prefix("http://") {
        Some(authority) if !authority.contains('/') => authority,
        Some(_) | None => return Err(WireError::Address(base.to_owned())),
    };
    let method = Method::from_bytes(method.as_bytes()).map_err(http::Error::from)?;
    let uri: Uri = path.parse().map_err(http::Error::from)?;
    let mut request = Request::builder().method(method).uri(uri).header("host", authority);
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(http::Error::from)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(http::Error::from)?;
        request = request.header(name, value);
    }
    let request = request.body(Full::new(body))?;
    tokio::time::timeout(PATIENCE, exchange(authority, request)).await?
}

async fn exchange(authority: &str, request: Request<Full<Bytes>>) -> Result<Received, WireError> {
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let reply = sender.send_request(request).await?;
    let (parts, body) = reply.into_parts();
    let body = body.collect().await?.to_bytes();
    drop(sender);
    connection.abort();
    Ok(Received { status: parts.status.as_u16(), headers: parts.headers, body })
}
