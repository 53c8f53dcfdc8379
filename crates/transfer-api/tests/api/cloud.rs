//! A cloud without sockets, whose time stands still, and services on it: database files, clients,
//! and the simulator. Shared by the test crates beside this one.

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use barbican_client::Barbican;
use cinder_db::{QuotaLimits, Store, StoreConfig};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use keystone_client::{
    CacheLimits, Clock, Credentials, DomainRef, Keystone, ProjectRef, ServiceSession,
    ServiceTokens, UserRef, Validator,
};
use openstack_http::{Broken, Exchange, InProcess, Limits, Password};
use serde_json::{Value, json};
use simulator::faults::FaultyService;
use simulator::{Config, Simulator};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::macros::datetime;
use tokio::sync::OnceCell;
use tower::ServiceExt;
use transfer_api::{Api, ApiConfig};
use transfer_core::{ProjectId, SecretId};
use transfer_engine::{Engine, Options};

pub(crate) const PASSWORD: &str = "secret";

/// Made once, for making it is most of what a short test takes.
static EMPTY: OnceCell<Vec<u8>> = OnceCell::const_new();

/// A database of its own, and the services that a volume service stands on.
pub(crate) struct Cloud {
    _folder: tempfile::TempDir,
    pub(crate) database: String,
    pub(crate) simulator: Simulator,
    keystone: InProcess,
    pub(crate) barbican: InProcess,
    /// The request ids that the services were told.
    pub(crate) told: Told,
}

/// Request ids, in the order in which services were told them.
pub(crate) type Told = Arc<Mutex<Vec<String>>>;

/// The way to a service, where somebody writes down under which id it is asked.
struct Overheard(InProcess, Told);

#[async_trait]
impl Exchange for Overheard {
    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, Broken> {
        let id = request.headers().get("x-openstack-request-id");
        let id = id.map_or("none", |id| id.to_str().unwrap()).to_owned();
        self.1.lock().unwrap().push(id);
        self.0.exchange(request).await
    }
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
}

impl Cloud {
    pub(crate) async fn new() -> Self {
        Self::at(simulator::Clock::frozen(datetime!(2026-01-01 0:00 UTC))).await
    }

    pub(crate) async fn at(clock: simulator::Clock) -> Self {
        let folder = folder();
        let file = folder.path().join("cinder.sqlite");
        std::fs::write(&file, EMPTY.get_or_init(empty_database).await).unwrap();
        let simulator = Simulator::new(Config { clock, ..Config::new(PASSWORD) }).unwrap();
        let keystone = in_process(simulator.keystone_service());
        let barbican = in_process(simulator.barbican_service());
        let database = format!("sqlite:///{}", file.display());
        Self { _folder: folder, database, simulator, keystone, barbican, told: Told::default() }
    }

    /// The database, as one more process opens it.
    pub(crate) async fn store(&self) -> Store {
        connect(&self.database).await
    }

    /// One more service on the same database and cloud.
    pub(crate) fn replica(
        &self,
        store: &Store,
        limits: QuotaLimits,
        config: ApiConfig,
    ) -> (Engine, Router) {
        let urls = self.simulator.urls();
        let overheard = |service| -> Arc<dyn Exchange> {
            Arc::new(Overheard(in_process(service), self.told.clone()))
        };
        let exchange = overheard(self.simulator.keystone_service());
        let keystone = Keystone::new(&urls.identity.parse().unwrap(), exchange);
        let exchange = overheard(self.simulator.barbican_service());
        let barbican = Barbican::new(&urls.key_manager.parse().unwrap(), exchange);
        let time = self.simulator.clock().clone();
        let clock: Clock = Arc::new(move || time.now());
        let domain = || DomainRef::Id("default".to_owned());
        let credentials = Credentials::Password {
            user: UserRef::Name { name: "cinder".to_owned(), domain: domain() },
            password: Password::new(PASSWORD),
            project: ProjectRef::Name { name: "service".to_owned(), domain: domain() },
        };
        let session = Arc::new(ServiceSession::new(keystone.clone(), credentials, clock.clone()));
        // No patience: an unknown outcome ends the operation at once, without a wait.
        let options = Options { patience: Duration::ZERO, ..Options::default() };
        let engine = Engine::new(store.clone(), barbican, session.clone(), limits, options);
        let validator = Validator::new(
            keystone,
            session,
            clock,
            CacheLimits::default(),
            ServiceTokens::default(),
        );
        let validator = Arc::new(validator);
        let router = transfer_api::router(Api { engine: engine.clone(), validator, config });
        (engine, router)
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

    /// A key of AES-256 in the project of the token, with these bytes in base64.
    pub(crate) async fn key(&self, token: &str, payload: &str) -> SecretId {
        let body = json!({
            "name": null,
            "secret_type": "symmetric",
            "algorithm": "aes",
            "bit_length": 256,
            "payload": payload,
            "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        });
        let url = format!("{}/v1/secrets", self.simulator.urls().key_manager);
        let reply = post(&self.barbican, &url, Some(token), &body).await;
        let created: Value = serde_json::from_slice(reply.body()).unwrap();
        let (_, id) = created["secret_ref"].as_str().unwrap().rsplit_once('/').unwrap();
        SecretId::new(id)
    }
}

/// What the service says.
pub(crate) async fn answer(router: Router, request: Request<Body>) -> Reply {
    let Ok(reply) = router.oneshot(request).await;
    let (head, body) = reply.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A folder for what nobody needs tomorrow: in memory where the system has files there, so that no
/// commit waits for a disk.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_no_such_place| tempfile::tempdir()).unwrap()
}

/// The file of a database with all tables and nothing in them.
async fn empty_database() -> Vec<u8> {
    let folder = folder();
    let file = folder.path().join("cinder.sqlite");
    let store = connect(&format!("sqlite:///{}?mode=rwc", file.display())).await;
    store.create_cinder_tables().await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    std::fs::read(file).unwrap()
}

async fn connect(url: &str) -> Store {
    Store::connect(&StoreConfig { url: url.to_owned(), max_connections: 4 }).await.unwrap()
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
