//! One database, one cloud, and as many engines on them as a test wants.

use barbican_client::Barbican;
use cinder_db::{NewSnapshot, NewVolume, QuotaLimits, Scope, Store, StoreConfig};
use http::Request;
use http_body_util::Full;
use keystone_client::{
    Clock, Credentials, DomainRef, Keystone, ProjectRef, ServiceSession, UserRef,
};
use openstack_http::{Exchange, InProcess, Limits, Password, Token};
use simulator::faults::{Action, FaultyService, Rule};
use simulator::{Config, Service, Simulator};
use sqlx::Connection as _;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::OnceCell;
use tower::ServiceExt as _;
use transfer_core::invariants::check_at_rest;
use transfer_core::{History, ProjectId, SecretId, TransferId, UserId, VolumeId, World};
use transfer_engine::{Accounts, Caller, Engine, Offer, Offered, Options, TransferError};

pub(crate) const PASSWORD: &str = "correct horse";
/// Three keys of 256 bits in base64.
pub(crate) const KEYS: [&str; 3] = [
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
    "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8=",
];
/// How long a test may wait for what has to come about: no test gets near it.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Made once, for making it is most of what a test takes.
static EMPTY: OnceCell<Vec<u8>> = OnceCell::const_new();

pub(crate) struct Bench {
    _folder: tempfile::TempDir,
    url: String,
    pub(crate) simulator: Simulator,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) x: Caller,
    pub(crate) y: Caller,
    pub(crate) volume: VolumeId,
    history: History,
}

/// Short pauses; the patience outlasts any single fault.
pub(crate) fn options() -> Options {
    Options { pause: Duration::from_millis(1), ..Options::default() }
}

impl Bench {
    /// X's encrypted volume with two snapshots on the same key.
    pub(crate) async fn new() -> Self {
        Self::with(options(), true).await
    }

    pub(crate) async fn with(options: Options, encrypted: bool) -> Self {
        Self::set_up(options, &KEYS[..usize::from(encrypted)]).await
    }

    /// As [`Bench::new`], with a key of its own for the volume and for each snapshot.
    pub(crate) async fn with_three_keys(options: Options) -> Self {
        Self::set_up(options, &KEYS).await
    }

    /// As [`Bench::new`], with these bytes, in base64, for a key that says it has 256 bits.
    pub(crate) async fn with_key_of(options: Options, payload: &str) -> Self {
        Self::set_up(options, &[payload]).await
    }

    /// The first key is the volume's, the others replace it in the snapshots.
    async fn set_up(options: Options, payloads: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cinder.sqlite");
        std::fs::write(&file, EMPTY.get_or_init(empty_database).await).unwrap();
        let url = format!("sqlite:///{}", file.display());
        let store = connect(&url).await;
        let simulator = Simulator::new(Config::new(PASSWORD)).unwrap();
        let engine = engine(&simulator, &store, options);
        let x = caller(&simulator, "x", "donor").await;
        let y = caller(&simulator, "y", "recipient").await;
        let mut keys = Vec::new();
        for payload in payloads {
            keys.push(store_key(&simulator, &x, payload).await);
        }
        let volume = make_volume(&store, &x, keys.first().cloned()).await;
        let mut bench = Self {
            _folder: folder,
            url,
            simulator,
            store,
            engine,
            x,
            y,
            volume,
            history: History::default(),
        };
        for (number, key) in keys.iter().enumerate().skip(1) {
            let id = snapshot_id(number);
            bench
                .sql(&format!("UPDATE snapshots SET encryption_key_id = '{key}' WHERE id = '{id}'"))
                .await;
        }
        let world = bench.world().await;
        bench.history.observe(&world);
        bench.history.showed_auth_key(&world, &bench.volume, &bench.y.project);
        bench
    }

    /// From now on a token of the service goes to Barbican beside a user's.
    pub(crate) fn send_service_tokens(&mut self, options: Options) {
        let (own, beside) = (session(&self.simulator), session(&self.simulator));
        let accounts = Accounts { own, beside_users: Some(beside) };
        self.engine = engine_as(accounts, &self.simulator, &self.store, options);
    }

    pub(crate) fn another_engine(&self, options: Options) -> Engine {
        self.another_engine_on(&self.store, options)
    }

    pub(crate) fn another_engine_on(&self, store: &Store, options: Options) -> Engine {
        engine(&self.simulator, store, options)
    }

    /// The database as another process opens it.
    pub(crate) async fn another_store(&self) -> Store {
        connect(&self.url).await
    }

    /// What somebody else writes into the database.
    pub(crate) async fn sql(&self, statement: &str) {
        let mut connection = sqlx::SqliteConnection::connect(&self.url).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Everybody with debts comes back with a fresh token, no service fails, and time has passed.
    pub(crate) async fn everybody_pays(&self) {
        self.simulator.faults().clear();
        self.everybody_pays_what_can_be_paid().await;
    }

    /// As [`Bench::everybody_pays`], while the faults stay.
    pub(crate) async fn everybody_pays_what_can_be_paid(&self) {
        self.sql("UPDATE volume_transfer_debts SET due_at_ms = 0").await;
        let engine = self.another_engine(options());
        engine.recover().await.unwrap();
        for (user, project) in [("x", "donor"), ("y", "recipient")] {
            engine.pay_debts_of(caller(&self.simulator, user, project).await).await;
        }
        assert!(engine.shut_down(SOON).await);
    }

    pub(crate) fn offer_of(&self) -> Offer {
        Offer {
            volume: self.volume.clone(),
            name: None,
            no_snapshots: false,
            encrypted_allowed: true,
        }
    }

    pub(crate) async fn initiate(&self) -> Result<Offered, TransferError> {
        self.engine.initiate(self.x.clone(), self.offer_of()).await
    }

    /// Another key of x.
    pub(crate) async fn key(&self) -> SecretId {
        store_key(&self.simulator, &self.x, KEYS[0]).await
    }

    pub(crate) async fn world(&self) -> World {
        self.simulator.world(&self.store).await.unwrap()
    }

    pub(crate) fn fail(
        &self,
        action: Action,
        method: &str,
        template: &str,
    ) -> simulator::faults::Fault {
        let rule = Rule::on(Service::Barbican, action).method(method).template(template);
        self.simulator.faults().add(rule)
    }

    /// Stops the engine, which finishes its background work; then everything has to be in order.
    pub(crate) async fn at_rest(&self) -> World {
        assert!(self.engine.shut_down(SOON).await);
        let world = self.world().await;
        assert_eq!(check_at_rest(&world, &self.history), []);
        world
    }

    /// What nobody should do: somebody of the service's project fills the open shell.
    pub(crate) async fn fill_the_shell_with_something_else(&self) {
        let secrets = self.simulator.secrets();
        let shell = secrets.iter().find(|secret| !secret.filled).unwrap();
        let service = caller(&self.simulator, "cinder", "service").await;
        let request = Request::put(format!("/{}", shell.id))
            .header("content-type", "application/octet-stream")
            .body(bytes::Bytes::from_static(b"something else"));
        let reply = ask_barbican(&self.simulator, &service, request.unwrap()).await;
        assert_eq!(reply.status(), 204);
    }

    /// Somebody of the caller's project begins (`POST`) or ends (`DELETE`) to use a secret.
    pub(crate) async fn consumer(&self, method: &str, caller: &Caller, secret: &SecretId) {
        let body = r#"{"service": "image", "resource_type": "image", "resource_id": "1"}"#;
        let request = Request::builder()
            .method(method)
            .uri(format!("/{secret}/consumers"))
            .header("content-type", "application/json")
            .header("openstack-api-version", "key-manager 1.1")
            .body(bytes::Bytes::from_static(body.as_bytes()));
        let reply = ask_barbican(&self.simulator, caller, request.unwrap()).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
    }

    /// Somebody of the caller's project deletes a secret.
    pub(crate) async fn delete(&self, caller: &Caller, secret: &SecretId) {
        let request = Request::delete(format!("/{secret}")).body(bytes::Bytes::new());
        let reply = ask_barbican(&self.simulator, caller, request.unwrap()).await;
        assert_eq!(reply.status(), 204, "{reply:?}");
    }

    pub(crate) async fn accept(&self, offered: &Offered) -> Result<(), TransferError> {
        let key = cinder_db::AuthKey::new(offered.auth_key.reveal());
        self.engine.accept(self.y.clone(), offered.transfer.clone(), key).await
    }

    pub(crate) async fn cancel(&self, transfer: &TransferId) -> Result<(), TransferError> {
        self.engine.cancel(self.x.clone(), transfer.clone()).await
    }
}

/// The file of a database with all tables and nothing in them.
async fn empty_database() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
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

fn snapshot_id(number: usize) -> String {
    format!("22222222-2222-4222-8222-22222222220{number}")
}

fn engine(simulator: &Simulator, store: &Store, options: Options) -> Engine {
    engine_as(session(simulator).into(), simulator, store, options)
}

fn engine_as(accounts: Accounts, simulator: &Simulator, store: &Store, options: Options) -> Engine {
    let url = simulator.urls().key_manager.parse().unwrap();
    let barbican = Barbican::new(&url, barbican_exchange(simulator));
    Engine::new(store.clone(), barbican, accounts, QuotaLimits::default(), options)
}

/// The service's account.
fn session(simulator: &Simulator) -> Arc<ServiceSession> {
    let exchange: Arc<dyn Exchange> = Arc::new(in_process(simulator.keystone_service()));
    let keystone = Keystone::new(&simulator.urls().identity.parse().unwrap(), exchange);
    let domain = || DomainRef::Name("Default".to_owned());
    let credentials = Credentials::Password {
        user: UserRef::Name { name: "cinder".to_owned(), domain: domain() },
        password: Password::new(PASSWORD),
        project: ProjectRef::Name { name: "service".to_owned(), domain: domain() },
    };
    let clock: Clock = Arc::new(OffsetDateTime::now_utc);
    Arc::new(ServiceSession::new(keystone, credentials, clock))
}

fn barbican_exchange(simulator: &Simulator) -> Arc<dyn Exchange> {
    Arc::new(in_process(simulator.barbican_service()))
}

fn in_process(service: FaultyService) -> InProcess {
    let service = service
        .map_request(|request: Request<Full<bytes::Bytes>>| request.map(axum::body::Body::new));
    InProcess::new(service, Limits::default())
}

/// A request of the test itself; its path stands below that of all secrets.
async fn ask_barbican(
    simulator: &Simulator,
    caller: &Caller,
    mut request: Request<bytes::Bytes>,
) -> http::Response<bytes::Bytes> {
    let url = format!("{}/v1/secrets{}", simulator.urls().key_manager, request.uri());
    *request.uri_mut() = url.trim_end_matches('/').parse().unwrap();
    request.headers_mut().insert("x-auth-token", caller.token.expose().parse().unwrap());
    barbican_exchange(simulator).exchange(request).await.unwrap()
}

/// An operation, and what meets it on its way. Fails where one waits for the other in vain.
pub(crate) async fn together<T>(operation: impl Future<Output = T>, test: impl Future) -> T {
    let both = async { tokio::join!(operation, test) };
    let (outcome, _met) = tokio::time::timeout(SOON, both).await.expect("both come to an end");
    outcome
}

/// A user with a fresh token.
pub(crate) async fn caller(simulator: &Simulator, user: &str, project: &str) -> Caller {
    let exchange: Arc<dyn Exchange> = Arc::new(in_process(simulator.keystone_service()));
    let keystone = Keystone::new(&simulator.urls().identity.parse().unwrap(), exchange);
    let domain = || DomainRef::Name("Default".to_owned());
    let issued = keystone
        .issue(&Credentials::Password {
            user: UserRef::Name { name: user.to_owned(), domain: domain() },
            password: Password::new(PASSWORD),
            project: ProjectRef::Name { name: project.to_owned(), domain: domain() },
        })
        .await
        .unwrap();
    Caller {
        project: ProjectId::new(simulator.project_id(project).unwrap()),
        user: UserId::new(simulator.user_id(user).unwrap()),
        is_admin: false,
        token: Token::new(issued.token.expose()),
    }
}

async fn store_key(simulator: &Simulator, owner: &Caller, payload: &str) -> SecretId {
    let body = format!(
        "{{\"secret_type\": \"symmetric\", \"algorithm\": \"aes\", \"bit_length\": 256, \
          \"payload\": \"{payload}\", \"payload_content_type\": \"application/octet-stream\", \
          \"payload_content_encoding\": \"base64\"}}"
    );
    let request = Request::post("/")
        .header("content-type", "application/json")
        .body(bytes::Bytes::from(body))
        .unwrap();
    let reply = ask_barbican(simulator, owner, request).await;
    assert_eq!(reply.status(), 201);
    SecretId::new(simulator.secrets().last().unwrap().id.clone())
}

async fn make_volume(store: &Store, owner: &Caller, key: Option<SecretId>) -> VolumeId {
    let limits = QuotaLimits::default();
    let id = VolumeId::new("11111111-1111-4111-8111-111111111101");
    let new = NewVolume {
        id: id.clone(),
        project: owner.project.clone(),
        user: owner.user.clone(),
        size_gb: 1,
        status: "available".to_owned(),
        name: None,
        description: None,
        volume_type: None,
        key,
        snapshot_id: None,
        source_volume_id: None,
        availability_zone: None,
        metadata: std::collections::BTreeMap::new(),
    };
    store.create_volume(&new, &limits).await.unwrap();
    for number in 1..=2 {
        let snapshot = NewSnapshot {
            id: snapshot_id(number).as_str().into(),
            volume: id.clone(),
            user: owner.user.clone(),
            status: "available".to_owned(),
            name: None,
            description: None,
            force: false,
        };
        store.create_snapshot(&Scope::All, &snapshot, &limits).await.unwrap();
    }
    id
}
