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
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tower::ServiceExt as _;
use transfer_core::invariants::check_at_rest;
use transfer_core::{History, ProjectId, SecretId, TransferId, UserId, VolumeId, World};
use transfer_engine::{Caller, Engine, Offer, Offered, Options, TransferError};

const PASSWORD: &str = "secret";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

pub(crate) struct Bench {
    _folder: tempfile::TempDir,
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
        Self::set_up(options, encrypted.then_some(KEY)).await
    }

    /// As [`Bench::new`], with these bytes, in base64, for a key that says it has 256 bits.
    pub(crate) async fn with_key_of(options: Options, payload: &str) -> Self {
        Self::set_up(options, Some(payload)).await
    }

    async fn set_up(options: Options, payload: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("cinder.sqlite").display());
        let store = Store::connect(&StoreConfig { url, max_connections: 4 }).await.unwrap();
        store.create_cinder_tables().await.unwrap();
        store.migrate().await.unwrap();
        let simulator = Simulator::new(Config::new(PASSWORD)).unwrap();
        let engine = engine(&simulator, &store, options);
        let x = caller(&simulator, "x", "donor").await;
        let y = caller(&simulator, "y", "recipient").await;
        let key = match payload {
            Some(payload) => Some(store_key(&simulator, &x, payload).await),
            None => None,
        };
        let volume = make_volume(&store, &x, key).await;
        let mut bench = Self {
            _folder: folder,
            simulator,
            store,
            engine,
            x,
            y,
            volume,
            history: History::default(),
        };
        let world = bench.world().await;
        bench.history.observe(&world);
        bench.history.showed_auth_key(&world, &bench.volume, &bench.y.project);
        bench
    }

    pub(crate) fn another_engine(&self, options: Options) -> Engine {
        engine(&self.simulator, &self.store, options)
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
        assert!(self.engine.shut_down(Duration::from_secs(30)).await);
        let world = self.world().await;
        assert_eq!(check_at_rest(&world, &self.history), []);
        world
    }

    /// As [`Bench::at_rest`], with nothing left behind and the volume as X had it.
    pub(crate) async fn nothing_happened(&self, before: &World) {
        let after = self.at_rest().await;
        assert_eq!(after.volumes, before.volumes);
        assert_eq!(after.offers, before.offers);
        assert_eq!(after.secrets, before.secrets);
        assert_eq!(after.debts, []);
    }

    /// What nobody should do: somebody of the service's project fills the open shell.
    pub(crate) async fn fill_the_shell_with_something_else(&self) {
        let secrets = self.simulator.secrets();
        let shell = secrets.iter().find(|secret| !secret.filled).unwrap();
        let service = caller(&self.simulator, "cinder", "service").await;
        let url = format!("{}/v1/secrets/{}", self.simulator.urls().key_manager, shell.id);
        let request = Request::put(url)
            .header("content-type", "application/octet-stream")
            .header("x-auth-token", service.token.expose())
            .body(bytes::Bytes::from_static(b"something else"))
            .unwrap();
        let reply = barbican_exchange(&self.simulator).exchange(request).await.unwrap();
        assert_eq!(reply.status(), 204);
    }

    pub(crate) async fn accept(&self, offered: &Offered) -> Result<(), TransferError> {
        let key = cinder_db::AuthKey::new(offered.auth_key.reveal());
        self.engine.accept(self.y.clone(), offered.transfer.clone(), key).await
    }

    pub(crate) async fn cancel(&self, transfer: &TransferId) -> Result<(), TransferError> {
        self.engine.cancel(self.x.clone(), transfer.clone()).await
    }
}

fn engine(simulator: &Simulator, store: &Store, options: Options) -> Engine {
    let urls = simulator.urls();
    let exchange: Arc<dyn Exchange> = Arc::new(in_process(simulator.keystone_service()));
    let keystone = Keystone::new(&urls.identity.parse().unwrap(), exchange);
    let barbican = Barbican::new(&urls.key_manager.parse().unwrap(), barbican_exchange(simulator));
    let domain = || DomainRef::Name("Default".to_owned());
    let credentials = Credentials::Password {
        user: UserRef::Name { name: "cinder".to_owned(), domain: domain() },
        password: Password::new(PASSWORD),
        project: ProjectRef::Name { name: "service".to_owned(), domain: domain() },
    };
    let clock: Clock = Arc::new(OffsetDateTime::now_utc);
    let session = Arc::new(ServiceSession::new(keystone, credentials, clock));
    Engine::new(store.clone(), barbican, session, QuotaLimits::default(), options)
}

fn barbican_exchange(simulator: &Simulator) -> Arc<dyn Exchange> {
    Arc::new(in_process(simulator.barbican_service()))
}

fn in_process(service: FaultyService) -> InProcess {
    let service = service
        .map_request(|request: Request<Full<bytes::Bytes>>| request.map(axum::body::Body::new));
    InProcess::new(service, Limits::default())
}

async fn caller(simulator: &Simulator, user: &str, project: &str) -> Caller {
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
    let request = Request::post(format!("{}/v1/secrets", simulator.urls().key_manager))
        .header("content-type", "application/json")
        .header("x-auth-token", owner.token.expose())
        .body(bytes::Bytes::from(body))
        .unwrap();
    let reply = barbican_exchange(simulator).exchange(request).await.unwrap();
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
            id: format!("22222222-2222-4222-8222-22222222220{number}").as_str().into(),
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
