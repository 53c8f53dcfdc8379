//! A simulated cloud for one test, asked in the process.

use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use simulator::faults::{Broken, FaultyService};
use simulator::{BarbicanPolicy, Clock, Config, Service, Simulator};
use time::macros::datetime;
use tower::ServiceExt as _;

pub(crate) const PASSWORD: &str = "correct horse";
pub(crate) const CONTENT: &str = "application/octet-stream";

pub(crate) struct Cloud {
    pub(crate) simulator: Simulator,
    /// Made once: its routes take longer than a request.
    barbican: FaultyService,
}

impl From<Simulator> for Cloud {
    fn from(simulator: Simulator) -> Self {
        Self { barbican: simulator.barbican_service(), simulator }
    }
}

/// A reply whose body was read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Barbican's description, or Keystone's message.
    pub(crate) fn said(&self) -> String {
        let body = self.json();
        let said = body.get("description").or_else(|| body.pointer("/error/message"));
        said.and_then(Value::as_str).unwrap_or("(null)").to_owned()
    }
}

/// A request that is put together step by step.
pub(crate) struct Ask<'a> {
    cloud: &'a Cloud,
    service: Service,
    request: http::request::Builder,
}

impl Ask<'_> {
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) async fn json(self, body: Value) -> Reply {
        self.with("content-type", "application/json").body(body.to_string()).await
    }

    pub(crate) async fn empty(self) -> Reply {
        self.body("").await
    }

    pub(crate) async fn body(self, body: impl Into<Body>) -> Reply {
        self.attempt(body).await.expect("the connection holds")
    }

    pub(crate) async fn attempt(self, body: impl Into<Body>) -> Result<Reply, Broken> {
        let service = match self.service {
            Service::Keystone => self.cloud.simulator.keystone_service(),
            Service::Barbican => self.cloud.barbican.clone(),
            Service::BlockStorage => panic!("not simulated here"),
        };
        let request: Request<Body> = self.request.body(body.into()).unwrap();
        let (parts, body) = service.oneshot(request).await?.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }
}

impl Cloud {
    /// A cloud whose clock stands still at 2026-11-24T03:55:05.
    pub(crate) fn new() -> Self {
        Self::under(BarbicanPolicy::New)
    }

    /// The same cloud under one of Barbican's policies.
    pub(crate) fn under(barbican_policy: BarbicanPolicy) -> Self {
        let config = Config {
            clock: Clock::frozen(datetime!(2026-11-24 03:55:05 UTC)),
            barbican_policy,
            ..Config::new(PASSWORD)
        };
        Simulator::new(config).unwrap().into()
    }

    pub(crate) fn keystone(&self, method: &str, path: &str) -> Ask<'_> {
        self.ask(Service::Keystone, method, path)
    }

    pub(crate) fn barbican(&self, method: &str, path: &str) -> Ask<'_> {
        self.ask(Service::Barbican, method, path)
    }

    fn ask(&self, service: Service, method: &str, path: &str) -> Ask<'_> {
        let request = Request::builder().method(method).uri(path);
        Ask { cloud: self, service, request }
    }

    /// A token of that user on that project.
    pub(crate) async fn token(&self, user: &str, project: &str) -> String {
        let reply = self.keystone("POST", "/v3/auth/tokens").json(login(user, project)).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.header("x-subject-token").unwrap().to_owned()
    }

    /// A token of the user on the project that is the user's own.
    pub(crate) async fn own_token(&self, user: &str) -> String {
        let project = match user {
            "x" => "donor",
            "y" => "recipient",
            "z" => "third",
            "cinder" => "service",
            other => other,
        };
        self.token(user, project).await
    }

    /// Barbican's reply to a request with that body, or with none where it is null.
    pub(crate) async fn tell(&self, token: &str, method: &str, path: &str, body: Value) -> Reply {
        let ask = self.barbican(method, path).with("x-auth-token", token);
        if body.is_null() { ask.empty().await } else { ask.json(body).await }
    }

    /// Makes something below a collection and returns its path.
    pub(crate) async fn make(&self, token: &str, collection: &str, body: Value) -> String {
        let reply = self.tell(token, "POST", collection, body).await;
        assert!(reply.status.is_success(), "{collection}: {}", reply.text());
        path_of(reply.header("location").unwrap())
    }

    /// Stores a secret and returns its path.
    pub(crate) async fn store(&self, token: &str, body: Value) -> String {
        let reply =
            self.barbican("POST", "/v1/secrets").with("x-auth-token", token).json(body).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        path_of(reply.json()["secret_ref"].as_str().unwrap())
    }
}

/// The path in a reference.
pub(crate) fn path_of(reference: &str) -> String {
    reference.strip_prefix("http://127.0.0.1:9311").unwrap().to_owned()
}

/// A key as castellan sends it: 32 bytes of `K`.
pub(crate) fn key(name: &str) -> Value {
    json!({
        "name": name,
        "algorithm": "AES",
        "bit_length": 256,
        "secret_type": "symmetric",
        "payload": "S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0s=",
        "payload_content_type": "application/octet-stream",
        "payload_content_encoding": "base64",
    })
}

pub(crate) fn login(user: &str, project: &str) -> Value {
    json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": user, "domain": {"name": "Default"}, "password": PASSWORD,
        }}},
        "scope": {"project": {"name": project, "domain": {"id": "default"}}},
    }})
}
