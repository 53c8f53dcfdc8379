//! A database, a cloud, and the damage that a test wants in them.

use axum::body::Body;
use barbican_client::Barbican;
use base64::Engine as _;
use bytes::Bytes;
use cinder_db::{InitiateClaim, NewSnapshot, NewVolume, QuotaLimits, Scope, Store, StoreConfig};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use keystone_client::{
    Clock, Credentials, DomainRef, Keystone, ProjectRef, ServiceSession, UserRef,
};
use openstack_http::{Exchange, InProcess, Limits, Password};
use simulator::faults::FaultyService;
use simulator::{Config, Simulator};
use sqlx::Connection as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tower::ServiceExt as _;
use transfer_audit::{
    Audit, Event, Finding, Images, Options, Outcome, Repairs, Summary, Viewer, Viewers,
};
use transfer_core::{ProjectId, SecretId, UserId, VolumeId};
use transfer_engine::Engine;

const PASSWORD: &str = "correct horse";

/// Made once, for making it is most of what a test takes.
static EMPTY: OnceCell<Vec<u8>> = OnceCell::const_new();

/// A user of each project.
pub(crate) const USERS: [(&str, &str); 5] =
    [("service", "cinder"), ("donor", "x"), ("recipient", "y"), ("third", "z"), ("admin", "admin")];

pub(crate) struct Bench {
    _folder: tempfile::TempDir,
    url: String,
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
    numbers: Mutex<u32>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cinder.sqlite");
        std::fs::write(&file, EMPTY.get_or_init(empty_database).await).unwrap();
        let url = format!("sqlite:///{}", file.display());
        let store = connect(&url).await;
        let simulator = Simulator::new(Config::new(PASSWORD)).unwrap();
        let bench = Self { _folder: folder, url, simulator, store, numbers: Mutex::new(0) };
        bench.sql("UPDATE quota_classes SET hard_limit = -1").await;
        bench
    }

    pub(crate) fn project(&self, name: &str) -> ProjectId {
        ProjectId::new(self.simulator.project_id(name).unwrap())
    }

    fn user(&self, name: &str) -> UserId {
        UserId::new(self.simulator.user_id(name).unwrap())
    }

    fn number(&self) -> u32 {
        let mut numbers = self.numbers.lock().unwrap();
        *numbers += 1;
        *numbers
    }

    /// A volume of a project, with snapshots, all of which name a key.
    pub(crate) async fn volume(&self, owner: &str, key: &SecretId, snapshots: u32) -> VolumeId {
        let id = VolumeId::new(format!("11111111-1111-4111-8111-{:012}", self.number()));
        let (_, user) = USERS.into_iter().find(|(project, _)| *project == owner).unwrap();
        let limits =
            QuotaLimits { volumes: -1, snapshots: -1, gigabytes: -1, ..QuotaLimits::default() };
        let new = NewVolume {
            id: id.clone(),
            project: self.project(owner),
            user: self.user(user),
            size_gb: 1,
            status: "available".to_owned(),
            name: None,
            description: None,
            volume_type: None,
            key: Some(key.clone()),
            snapshot_id: None,
            source_volume_id: None,
            availability_zone: None,
            metadata: std::collections::BTreeMap::new(),
        };
        self.store.create_volume(&new, &limits).await.unwrap();
        for _ in 0..snapshots {
            let snapshot = NewSnapshot {
                id: format!("22222222-2222-4222-8222-{:012}", self.number()).as_str().into(),
                volume: id.clone(),
                user: self.user(user),
                status: "available".to_owned(),
                name: None,
                description: None,
                force: false,
            };
            self.store.create_snapshot(&Scope::All, &snapshot, &limits).await.unwrap();
        }
        id
    }

    /// An open offer, as Cinder makes it.
    pub(crate) async fn offer(&self, volume: &VolumeId) {
        let id = format!("33333333-3333-4333-8333-{:012}", self.number());
        self.sql(&format!(
            "INSERT INTO transfers (id, volume_id, display_name, salt, crypt_hash, deleted, \
             created_at, no_snapshots, accepted) VALUES ('{id}', '{volume}', 'n', 'salt', 'hash', \
             FALSE, '2026-01-01 00:00:00.000000', FALSE, FALSE)"
        ))
        .await;
        self.status(volume, "awaiting-transfer").await;
    }

    /// An offer by the donor that is being made.
    pub(crate) async fn claim(&self, volume: &VolumeId, lease: Duration) {
        let claim = InitiateClaim {
            hand_over_id: "44444444-4444-4444-8444-444444444444".into(),
            transfer_id: "t".into(),
            volume: volume.clone(),
            caller: cinder_db::Caller {
                project: self.project("donor"),
                user: "x".into(),
                is_admin: false,
            },
            name: None,
            no_snapshots: false,
            encrypted_allowed: true,
            expire_after: None,
            lengths: cinder_db::Lengths::default(),
            lease,
        };
        self.store.claim_initiate(&claim).await.unwrap();
    }

    pub(crate) async fn status(&self, volume: &VolumeId, status: &str) {
        self.sql(&format!("UPDATE volumes SET status = '{status}' WHERE id = '{volume}'")).await;
    }

    pub(crate) async fn snapshots_name(&self, volume: &VolumeId, key: &SecretId) {
        let set = format!("UPDATE snapshots SET encryption_key_id = '{key}'");
        self.sql(&format!("{set} WHERE volume_id = '{volume}'")).await;
    }

    pub(crate) async fn sql(&self, statement: &str) {
        let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A secret of a project, as Cinder's key manager stores it.
    pub(crate) async fn secret(&self, project: &str, bytes: [u8; 32]) -> SecretId {
        let payload = base64::engine::general_purpose::STANDARD.encode(bytes);
        let body = serde_json::json!({
            "secret_type": "symmetric", "algorithm": "AES", "bit_length": 256,
            "payload": payload, "payload_content_type": "application/octet-stream",
            "payload_content_encoding": "base64",
        });
        self.post(project, &body).await
    }

    /// An empty secret of that name.
    pub(crate) async fn shell(&self, project: &str, name: &str) -> SecretId {
        self.post(project, &serde_json::json!({"secret_type": "symmetric", "name": name})).await
    }

    async fn post(&self, project: &str, body: &serde_json::Value) -> SecretId {
        let request = Request::post("/v1/secrets").header("content-type", "application/json");
        let text = self.ask(project, request, Bytes::from(body.to_string()), 201).await;
        let created: serde_json::Value = serde_json::from_slice(&text).unwrap();
        SecretId::new(created["secret_ref"].as_str().unwrap().rsplit('/').next().unwrap())
    }

    /// A secret that was there and is no more.
    pub(crate) async fn gone(&self, project: &str) -> SecretId {
        let secret = self.secret(project, [9; 32]).await;
        self.delete(project, &secret).await;
        secret
    }

    pub(crate) async fn delete(&self, project: &str, secret: &SecretId) {
        let request = Request::delete(format!("/v1/secrets/{secret}"));
        self.ask(project, request, Bytes::new(), 204).await;
    }

    async fn ask(
        &self,
        project: &str,
        request: http::request::Builder,
        body: Bytes,
        status: u16,
    ) -> Bytes {
        let session = self.session(project);
        let token = session.token().await.unwrap().token.expose().to_owned();
        let mut request = request.header("x-auth-token", token).body(Full::new(body)).unwrap();
        let url = format!("{}{}", self.simulator.urls().key_manager, request.uri());
        *request.uri_mut() = url.parse().unwrap();
        let service = self.simulator.barbican_service();
        let reply = service.oneshot(request.map(Body::new)).await.unwrap();
        assert_eq!(reply.status().as_u16(), status);
        reply.into_body().collect().await.unwrap().to_bytes()
    }

    pub(crate) fn session(&self, project: &str) -> Arc<ServiceSession> {
        let (_, user) = USERS.into_iter().find(|(of, _)| *of == project).unwrap();
        let identity = self.simulator.urls().identity.parse().unwrap();
        let keystone = Keystone::new(&identity, exchange(self.simulator.keystone_service()));
        let domain = || DomainRef::Name("Default".to_owned());
        let credentials = Credentials::Password {
            user: UserRef::Name { name: user.to_owned(), domain: domain() },
            password: Password::new(PASSWORD),
            project: ProjectRef::Name { name: project.to_owned(), domain: domain() },
        };
        Arc::new(ServiceSession::new(keystone, credentials, clock()))
    }

    /// An audit by the service and these projects.
    pub(crate) async fn audit_by(&self, projects: &[&str]) -> Audit {
        let mut viewers = Vec::new();
        for project in ["service"].iter().chain(projects) {
            viewers.push(Viewer::open(project, self.session(project)).await.unwrap());
        }
        let service = viewers.remove(0);
        let pause = Duration::from_millis(1);
        let viewers = Viewers::new(self.barbican(), service, viewers, pause).await.unwrap();
        let options = Options { older_than: Duration::ZERO, page: 3, ..Options::default() };
        // A moment ahead: what has just been made is old enough.
        let clock: Clock = Arc::new(|| OffsetDateTime::now_utc() + Duration::from_secs(5));
        Audit::new(self.store.clone(), viewers, clock, options)
    }

    /// An audit by everybody.
    pub(crate) async fn audit(&self) -> (Summary, Vec<Finding>) {
        self.run(&self.audit_by(&["donor", "recipient", "third", "admin"]).await).await
    }

    pub(crate) async fn run(&self, audit: &Audit) -> (Summary, Vec<Finding>) {
        let found = Mutex::new(Vec::new());
        let tell = |event| {
            if let Event::Found(finding) = event {
                found.lock().unwrap().push(finding);
            }
        };
        let summary = audit.run(None, &tell).await.unwrap();
        (summary, found.into_inner().unwrap())
    }

    pub(crate) async fn repairs_by(&self, projects: &[&str]) -> Repairs {
        let images =
            Images::new(exchange(self.simulator.keystone_service()), "public".to_owned(), None);
        Repairs::new(self.audit_by(projects).await, self.engine(), images)
    }

    /// Mends what there is, with everybody's credentials.
    pub(crate) async fn repair(&self, mut findings: Vec<Finding>) -> Vec<(Finding, Outcome)> {
        let mut repairs = self.repairs_by(&["donor", "recipient", "third", "admin"]).await;
        Repairs::in_order(&mut findings);
        let mut outcomes = Vec::new();
        for finding in findings {
            let outcome = repairs.mend(&finding, true).await;
            outcomes.push((finding, outcome));
        }
        assert!(repairs.finish().await);
        outcomes
    }

    pub(crate) fn engine(&self) -> Engine {
        let options = transfer_engine::Options {
            pause: Duration::from_millis(1),
            ..transfer_engine::Options::default()
        };
        Engine::new(
            self.store.clone(),
            self.barbican(),
            self.session("service"),
            QuotaLimits::default(),
            options,
        )
    }

    fn barbican(&self) -> Barbican {
        let url = self.simulator.urls().key_manager.parse().unwrap();
        Barbican::new(&url, exchange(self.simulator.barbican_service()))
    }

    /// The bytes of a secret as a project reads them, for those who may.
    pub(crate) async fn bytes(&self, project: &str, secret: &SecretId) -> Option<Vec<u8>> {
        let token = self.session(project).token().await.unwrap().token.clone();
        let payload = self.barbican().payload(&token, secret).await.ok()?;
        Some(payload.expose().to_vec())
    }
}

/// The names of the kinds, sorted.
pub(crate) fn kinds(findings: &[Finding]) -> Vec<&'static str> {
    let mut kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
    kinds.sort_unstable();
    kinds
}

pub(crate) fn clock() -> Clock {
    Arc::new(OffsetDateTime::now_utc)
}

fn exchange(service: FaultyService) -> Arc<dyn Exchange> {
    let service = service.map_request(|request: Request<Full<Bytes>>| request.map(Body::new));
    Arc::new(InProcess::new(service, Limits::default()))
}

async fn connect(url: &str) -> Store {
    Store::connect(&StoreConfig { url: url.to_owned(), max_connections: 4 }).await.unwrap()
}

async fn empty_database() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cinder.sqlite");
    let store = connect(&format!("sqlite:///{}?mode=rwc", file.display())).await;
    store.create_cinder_tables().await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    std::fs::read(file).unwrap()
}
