//! A cloud with a database of its own, and requests to its block storage.

use axum::body::Body;
use cinder_db::{Store, StoreConfig};
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use simulator::faults::{Broken, FaultyService};
use simulator::{Config, Simulator};
use tower::ServiceExt as _;

const PASSWORD: &str = "secret";

pub(crate) struct Cloud {
    _folder: tempfile::TempDir,
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) microversion: Option<String>,
    pub(crate) body: Value,
}

pub(crate) async fn send(service: FaultyService, request: Request<Body>) -> Result<Reply, Broken> {
    let (parts, body) = service.oneshot(request).await?.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let header = parts.headers.get("openstack-api-version");
    Ok(Reply {
        status: parts.status.as_u16(),
        microversion: header.map(|value| value.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    })
}

impl Cloud {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:///{}?mode=rwc", folder.path().join("cinder.sqlite").display());
        let store = Store::connect(&StoreConfig { url, max_connections: 2 }).await.unwrap();
        store.create_cinder_tables().await.unwrap();
        store.migrate().await.unwrap();
        let simulator = Simulator::new(Config::new(PASSWORD)).unwrap();
        Self { _folder: folder, simulator, store }
    }

    pub(crate) async fn token(&self, user: &str, project: &str) -> String {
        let domain = json!({"name": "Default"});
        let user = json!({"name": user, "domain": domain, "password": PASSWORD});
        let body = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": project, "domain": domain}},
        }});
        let request = Request::post("/v3/auth/tokens")
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let reply = self.simulator.keystone_service().oneshot(request).await.unwrap();
        reply.headers()["x-subject-token"].to_str().unwrap().to_owned()
    }

    pub(crate) async fn attempt(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<Reply, Broken> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-auth-token", token)
            .header("openstack-api-version", "volume 3.71")
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        send(self.simulator.block_storage_service(&self.store), request).await
    }

    pub(crate) async fn ask(&self, token: &str, method: &str, path: &str, body: &str) -> Reply {
        self.attempt(token, method, path, body).await.unwrap()
    }

    /// The type `luks`, made as the clients make it.
    pub(crate) async fn encrypted_type(&self) -> String {
        let admin = self.token("admin", "admin").await;
        let body = json!({"volume_type": {"name": "luks"}}).to_string();
        let made = self.ask(&admin, "POST", "/v3/types", &body).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let id = made.body["volume_type"]["id"].as_str().unwrap().to_owned();
        let body = json!({"encryption": {
            "provider": "luks",
            "cipher": "aes-xts-plain64",
            "key_size": 256,
            "control_location": "front-end",
        }});
        let path = format!("/v3/types/{id}/encryption");
        let made = self.ask(&admin, "POST", &path, &body.to_string()).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let shown = self.ask(&admin, "GET", &path, "").await;
        assert_eq!(shown.body["cipher"], "aes-xts-plain64");
        id
    }

    pub(crate) async fn volume(&self, token: &str, kind: Option<&str>) -> Value {
        let body = json!({"volume": {"name": "v", "size": 1, "volume_type": kind}}).to_string();
        let made = self.ask(token, "POST", "/v3/volumes", &body).await;
        assert_eq!(made.status, 202, "{}", made.body);
        made.body["volume"].clone()
    }
}
