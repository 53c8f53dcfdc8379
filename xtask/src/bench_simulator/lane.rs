//! A connection that is kept, and what is asked over it: of the simulator, or of the real ones.

use anyhow::{Context, Result, ensure};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// Of every user.
pub(super) const PASSWORD: &str = "secret";

/// A connection.
pub(super) struct Lane {
    host: String,
    sender: SendRequest<Full<Bytes>>,
}

impl Lane {
    pub(super) async fn open(url: &str) -> Result<Self> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = rest.split('/').next().unwrap_or_default().to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { host, sender })
    }

    async fn ask(
        &mut self,
        expected: StatusCode,
        request: http::request::Builder,
        body: String,
    ) -> Result<(http::HeaderMap, Bytes)> {
        let request = request.header("host", &self.host).header("content-type", "application/json");
        let request = request.body(Full::new(Bytes::from(body)))?;
        let what = format!("{} {}", request.method(), request.uri());
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        let shown = || String::from_utf8_lossy(&body).into_owned();
        ensure!(head.status == expected, "{what}: {}: {}", head.status, shown());
        Ok((head.headers, body))
    }

    /// Asks Keystone for what needs no token.
    pub(super) async fn versions(&mut self) -> Result<()> {
        self.ask(StatusCode::OK, Request::get("/v3"), String::new()).await.map(drop)
    }

    /// A token of the donor.
    pub(super) async fn log_in(&mut self) -> Result<String> {
        let domain = json!({"id": "default"});
        let user = json!({"name": "x", "domain": domain, "password": PASSWORD});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "donor", "domain": domain}},
        }});
        let request = Request::post("/v3/auth/tokens");
        let (headers, _) = self.ask(StatusCode::CREATED, request, body.to_string()).await?;
        let token = headers.get("x-subject-token").context("no token in the reply")?;
        Ok(token.to_str()?.to_owned())
    }

    /// Stores a key of 256 bits and returns its path.
    pub(super) async fn store(&mut self, token: &str) -> Result<String> {
        let body = json!({
            "name": "bench", "secret_type": "symmetric", "algorithm": "aes", "bit_length": 256,
            "payload": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        });
        let request = Request::post("/v1/secrets").header("x-auth-token", token);
        let (_, reply) = self.ask(StatusCode::CREATED, request, body.to_string()).await?;
        let reply: Value = serde_json::from_slice(&reply)?;
        let (_, id) = reply["secret_ref"]
            .as_str()
            .and_then(|reference| reference.rsplit_once('/'))
            .context("no reference in the reply")?;
        Ok(format!("/v1/secrets/{id}"))
    }

    /// Reads its payload.
    pub(super) async fn payload(&mut self, token: &str, secret: &str) -> Result<()> {
        let request = Request::get(format!("{secret}/payload"))
            .header("x-auth-token", token)
            .header("accept", "application/octet-stream");
        self.ask(StatusCode::OK, request, String::new()).await.map(drop)
    }

    /// Deletes it.
    pub(super) async fn delete(&mut self, token: &str, secret: &str) -> Result<()> {
        let request = Request::delete(secret).header("x-auth-token", token);
        self.ask(StatusCode::NO_CONTENT, request, String::new()).await.map(drop)
    }
}
