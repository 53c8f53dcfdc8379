//! One whole service on a database of its own, and the requests that tests send to it.

use axum::Router;
use axum::body::{Body, Bytes};
use barbican_client::Barbican;
use cinder_db::{NewVolume, QuotaLimits, Store, StoreConfig};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use keystone_client::{
    CacheLimits, Clock, Credentials, DomainRef, Keystone, ProjectRef, ServiceSession, UserRef,
    Validator,
};
use openstack_http::{Exchange, InProcess, Limits, Password};
use serde_json::{Value, json};
use simulator::faults::FaultyService;
use simulator::{Config, SecretView, Simulator};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use time::macros::datetime;
use tower::ServiceExt;
use transfer_api::{Api, ApiConfig};
use transfer_core::invariants::World;
use transfer_core::{ProjectId, SecretId, VolumeId};
use transfer_engine::{Engine, Options};

const PASSWORD: &str = "secret";

/// How long an engine may take to stop.
const STOPPING: Duration = Duration::from_secs(60);

/// A service without sockets, whose time stands still.
pub(crate) struct Stack {
    _folder: tempfile::TempDir,
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    keystone: InProcess,
    barbican: InProcess,
    router: Router,
}

/// A reply, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The message of a fault of this name, which has to agree with the status.
    pub(crate) fn fault(&self, name: &str) -> String {
        let body = self.json();
        let fault = body.get(name).unwrap_or_else(|| panic!("no {name}: {body}"));
        assert_eq!(fault["code"], self.status, "{body}");
        fault["message"].as_str().unwrap().to_owned()
    }
}

/// A request to the service, in the making.
pub(crate) struct Ask<'a> {
    stack: &'a Stack,
    request: http::request::Builder,
    body: Vec<u8>,
}

impl Ask<'_> {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("x-auth-token", token)
    }

    pub(crate) fn version(self, version: &str) -> Self {
        self.header("openstack-api-version", &format!("volume {version}"))
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("content-type", content_type).header("content-length", &length)
    }

    pub(crate) async fn send(self) -> Reply {
        let request = self.request.body(Body::from(self.body)).unwrap();
        self.stack.send(request).await
    }
}

impl Stack {
    pub(crate) async fn new() -> Self {
        Self::with_config(ApiConfig::default()).await
    }

    pub(crate) async fn with_config(config: ApiConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("cinder.sqlite").display());
        let store = Store::connect(&StoreConfig { url, max_connections: 4 }).await.unwrap();
        store.create_cinder_tables().await.unwrap();
        store.migrate().await.unwrap();
        let simulator = Simulator::new(Config {
            clock: simulator::Clock::frozen(datetime!(2026-01-01 0:00 UTC)),
            ..Config::new(PASSWORD)
        })
        .unwrap();
        let keystone = in_process(simulator.keystone_service());
        let barbican = in_process(simulator.barbican_service());
        let (engine, router) = replica(&simulator, &store, config);
        Self { _folder: folder, simulator, store, engine, keystone, barbican, router }
    }

    pub(crate) fn ask<'a>(&'a self, method: &str, path: &str) -> Ask<'a> {
        let request = Request::builder().method(method).uri(path).header("host", "volume.test");
        Ask { stack: self, request, body: Vec::new() }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        answer(self.router.clone(), request).await
    }

    pub(crate) fn project(&self, name: &str) -> ProjectId {
        ProjectId::new(self.simulator.project_id(name).unwrap())
    }

    /// A token of this user in this project.
    pub(crate) async fn token(&self, user: &str, project: &str) -> String {
        let domain = json!({"id": "default"});
        self.issue(user, json!({"project": {"name": project, "domain": domain}})).await
    }

    pub(crate) async fn issue(&self, user: &str, scope: Value) -> String {
        let user = json!({"name": user, "domain": {"id": "default"}, "password": PASSWORD});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let body = json!({"auth": {"identity": identity, "scope": scope}});
        let url = format!("{}/v3/auth/tokens", self.simulator.urls().identity);
        let reply = post(&self.keystone, &url, None, &body).await;
        reply.headers()["x-subject-token"].to_str().unwrap().to_owned()
    }

    /// A key of AES-256 in the project of the token.
    async fn key(&self, token: &str) -> SecretId {
        let body = json!({
            "name": null,
            "secret_type": "symmetric",
            "algorithm": "aes",
            "bit_length": 256,
            "payload": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        });
        let url = format!("{}/v1/secrets", self.simulator.urls().key_manager);
        let reply = post(&self.barbican, &url, Some(token), &body).await;
        let created: Value = serde_json::from_slice(reply.body()).unwrap();
        let (_, id) = created["secret_ref"].as_str().unwrap().rsplit_once('/').unwrap();
        SecretId::new(id)
    }

    /// An available volume of user x in project donor, 2 GiB.
    pub(crate) async fn volume(&self, id: &str) -> VolumeId {
        self.volume_with(id, None).await
    }

    /// As [`Stack::volume`], encrypted with a key of its own.
    pub(crate) async fn encrypted_volume(&self, id: &str) -> VolumeId {
        let token = self.token("x", "donor").await;
        let key = self.key(&token).await;
        self.volume_with(id, Some(key)).await
    }

    pub(crate) async fn volume_with(&self, id: &str, key: Option<SecretId>) -> VolumeId {
        let new = NewVolume {
            id: VolumeId::new(id),
            project: self.project("donor"),
            user: self.simulator.user_id("x").unwrap().as_str().into(),
            size_gb: 2,
            status: "available".to_owned(),
            name: None,
            description: None,
            volume_type: None,
            key,
            snapshot_id: None,
            source_volume_id: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
        };
        let roomy = QuotaLimits {
            volumes: -1,
            gigabytes: -1,
            use_default_quota_class: false,
            ..QuotaLimits::default()
        };
        self.store.create_volume(&new, &roomy).await.unwrap().id
    }

    /// Offers the volume as x; the offer's id and auth key. Nothing is left to do in the
    /// background: the replica that does it has stopped.
    pub(crate) async fn offer(&self, volume: &VolumeId) -> (String, String) {
        let (engine, router) = replica(&self.simulator, &self.store, ApiConfig::default());
        let request = Request::post("/v3/volume-transfers")
            .header("x-auth-token", self.token("x", "donor").await)
            .header("openstack-api-version", "volume 3.70")
            .header("content-type", "application/json")
            .body(Body::from(json!({"transfer": {"volume_id": volume.as_str()}}).to_string()));
        let reply = answer(router, request.unwrap()).await;
        assert_eq!(reply.status, 202, "{reply:?}");
        assert!(engine.shut_down(STOPPING).await);
        let transfer = &reply.json()["transfer"];
        let text = |field: &str| transfer[field].as_str().unwrap().to_owned();
        (text("id"), text("auth_key"))
    }

    /// Everything that a request could have changed.
    pub(crate) async fn everything(&self) -> (World, Vec<SecretView>) {
        let mut rows = self.store.world_rows(&self.project("service")).await.unwrap();
        // A usage of nothing is as good as none.
        rows.usages.retain(|_resource, used| *used != (0, 0));
        (rows, self.simulator.secrets())
    }

    /// Waits until what requests left to do in the background is done. The engine takes no more.
    pub(crate) async fn come_to_rest(&self) {
        assert!(self.engine.shut_down(STOPPING).await);
    }
}

/// The service once more, on the same database and cloud.
fn replica(simulator: &Simulator, store: &Store, config: ApiConfig) -> (Engine, Router) {
    let urls = simulator.urls();
    let exchange: Arc<dyn Exchange> = Arc::new(in_process(simulator.keystone_service()));
    let keystone = Keystone::new(&urls.identity.parse().unwrap(), exchange);
    let exchange: Arc<dyn Exchange> = Arc::new(in_process(simulator.barbican_service()));
    let barbican = Barbican::new(&urls.key_manager.parse().unwrap(), exchange);
    let time = simulator.clock().clone();
    let clock: Clock = Arc::new(move || time.now());
    let domain = || DomainRef::Id("default".to_owned());
    let credentials = Credentials::Password {
        user: UserRef::Name { name: "cinder".to_owned(), domain: domain() },
        password: Password::new(PASSWORD),
        project: ProjectRef::Name { name: "service".to_owned(), domain: domain() },
    };
    let session = Arc::new(ServiceSession::new(keystone.clone(), credentials, clock.clone()));
    let limits = QuotaLimits {
        volumes: 2,
        gigabytes: 5,
        use_default_quota_class: false,
        ..QuotaLimits::default()
    };
    // No patience: an unknown outcome ends the operation at once, without a wait.
    let options = Options { patience: Duration::ZERO, ..Options::default() };
    let engine = Engine::new(store.clone(), barbican, session.clone(), limits, options);
    let validator = Validator::new(keystone, session, clock, CacheLimits::default());
    let validator = Arc::new(validator);
    let router = transfer_api::router(Api { engine: engine.clone(), validator, config });
    (engine, router)
}

async fn answer(router: Router, request: Request<Body>) -> Reply {
    let Ok(reply) = router.oneshot(request).await;
    let (head, body) = reply.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn in_process(service: FaultyService) -> InProcess {
    let service = service.map_request(|request: Request<Full<Bytes>>| request.map(Body::new));
    InProcess::new(service, Limits::default())
}

async fn post(
    service: &InProcess,
    url: &str,
    token: Option<&str>,
    body: &Value,
) -> Response<Bytes> {
    let mut request = Request::post(url).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("x-auth-token", token);
    }
    let body = Bytes::from(body.to_string());
    let reply = service.exchange(request.body(body).unwrap()).await.unwrap();
    assert_eq!(reply.status(), 201, "{url}");
    reply
}

/// The id of the n-th volume of a test.
pub(crate) fn volume_id(n: u8) -> String {
    format!("11111111-1111-4111-8111-1111111111{n:02}")
}
