//! One whole service on a database of its own, and the requests that tests send to it.

use crate::cloud::{Cloud, Reply, answer};
use axum::Router;
use axum::body::Body;
use cinder_db::{NewVolume, QuotaLimits, Scope, Store};
use http::Request;
use serde_json::{Value, json};
use simulator::{SecretView, Simulator};
use sqlx::Connection as _;
use std::collections::BTreeMap;
use std::time::Duration;
use transfer_api::ApiConfig;
use transfer_core::invariants::World;
use transfer_core::{ProjectId, SecretId, VolumeId};
use transfer_engine::Engine;

/// A key of 256 bits in base64.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// How long an engine may take to stop.
const STOPPING: Duration = Duration::from_secs(60);

/// A service without sockets, whose time stands still.
pub(crate) struct Stack {
    cloud: Cloud,
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    router: Router,
}

impl Reply {
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
        let cloud = Cloud::new().await;
        let store = cloud.store().await;
        let (engine, router) = cloud.replica(&store, limits(), config);
        Self { simulator: cloud.simulator.clone(), cloud, store, engine, router }
    }

    pub(crate) fn ask<'a>(&'a self, method: &str, path: &str) -> Ask<'a> {
        let request = Request::builder().method(method).uri(path).header("host", "volume.test");
        Ask { stack: self, request, body: Vec::new() }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        answer(self.router.clone(), request).await
    }

    pub(crate) fn project(&self, name: &str) -> ProjectId {
        self.cloud.project(name)
    }

    /// A token of this user in this project.
    pub(crate) async fn token(&self, user: &str, project: &str) -> String {
        self.cloud.token(user, project).await
    }

    pub(crate) async fn issue(&self, user: &str, scope: Value) -> String {
        self.cloud.issue(user, scope).await
    }

    /// An available volume of user x in project donor, 2 GiB.
    pub(crate) async fn volume(&self, id: &str) -> VolumeId {
        self.volume_with(id, None).await
    }

    /// As [`Stack::volume`], encrypted with a key of its own.
    pub(crate) async fn encrypted_volume(&self, id: &str) -> VolumeId {
        let token = self.token("x", "donor").await;
        let key = self.cloud.key(&token, KEY).await;
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
        let (engine, router) = self.cloud.replica(&self.store, limits(), ApiConfig::default());
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

    /// What somebody else writes into the database.
    pub(crate) async fn sql(&self, statement: &str) {
        let mut connection = sqlx::SqliteConnection::connect(&self.cloud.database).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    pub(crate) async fn is_open(&self, transfer: &str) -> bool {
        self.store.transfer(&Scope::All, &transfer.into()).await.unwrap().is_some()
    }

    /// Waits until an offer is over.
    pub(crate) async fn until_ended(&self, transfer: &str) {
        let ended = async {
            while self.is_open(transfer).await {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(STOPPING, ended).await.expect("ended");
    }

    /// Everything that a request could have changed.
    pub(crate) async fn everything(&self) -> (World, Vec<SecretView>) {
        let mut rows = self.store.world_rows(&self.project("service")).await.unwrap();
        // A usage of nothing is as good as none.
        rows.usages.retain(|_resource, used| *used != (0, 0));
        (rows, self.simulator.secrets())
    }

    /// Waits until what requests left to do in the background is done. The engine takes no more.
    /// The request ids that services were told since they were last taken.
    pub(crate) fn take_request_ids(&self) -> Vec<String> {
        std::mem::take(&mut self.cloud.told.lock().unwrap())
    }

    pub(crate) async fn come_to_rest(&self) {
        assert!(self.engine.shut_down(STOPPING).await);
    }
}

/// So few that a recipient soon has too much.
fn limits() -> QuotaLimits {
    QuotaLimits {
        volumes: 2,
        gigabytes: 5,
        use_default_quota_class: false,
        ..QuotaLimits::default()
    }
}

/// The id of the n-th volume of a test.
pub(crate) fn volume_id(n: u8) -> String {
    format!("11111111-1111-4111-8111-1111111111{n:02}")
}
