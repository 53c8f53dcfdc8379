//! Engine, database and simulated services in one process, and encrypted volumes of donor.

use barbican_client::{Attributes, Barbican, ContentType, KeyBytes, SecretType};
use cinder_db::{NewVolume, QuotaLimits, Store, StoreConfig};
use keystone_client::{
    Clock, Credentials, DomainRef, Keystone, ProjectRef, ServiceSession, UserRef,
};
use openstack_http::{Exchange, InProcess, Limits, Password, Token};
use simulator::faults::FaultyService;
use simulator::{Config, Simulator};
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use transfer_core::{ProjectId, SecretId, UserId, VolumeId};
use transfer_engine::{Caller, Engine, Offer, Options};

pub(crate) const PASSWORD: &str = "correct horse";

/// No quota is in the way.
pub(crate) fn unlimited() -> QuotaLimits {
    QuotaLimits {
        volumes: -1,
        snapshots: -1,
        gigabytes: -1,
        use_default_quota_class: false,
        ..QuotaLimits::default()
    }
}

/// What async code runs on.
pub(crate) fn runtime() -> Runtime {
    Runtime::new().expect("a runtime")
}

/// What hand-overs go through, and who takes part.
pub(crate) struct Stack {
    _folder: tempfile::TempDir,
    barbican: Barbican,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) donor: Caller,
    pub(crate) recipient: Caller,
}

impl Stack {
    /// On a file of SQLite, or a database that is there.
    pub(crate) async fn new(database: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = format!("sqlite:///{}/cinder.sqlite?mode=rwc", folder.path().display());
        let url = database.map_or(file, ToOwned::to_owned);
        let store = Store::connect(&StoreConfig { url, max_connections: 8 }).await.expect("opens");
        store.create_cinder_tables().await.expect("Cinder's tables");
        store.migrate().await.expect("our tables");
        let simulator = Simulator::new(Config::new(PASSWORD)).expect("starts");
        let barbican = Barbican::new(
            &simulator.urls().key_manager.parse().expect("an address"),
            in_process(simulator.barbican_service()),
        );
        let clock: Clock = Arc::new(OffsetDateTime::now_utc);
        let service =
            ServiceSession::new(keystone(&simulator), credentials("cinder", "service"), clock);
        let engine = Engine::new(
            store.clone(),
            barbican.clone(),
            Arc::new(service),
            unlimited(),
            Options::default(),
        );
        let donor = caller(&simulator, "x", "donor").await;
        let recipient = caller(&simulator, "y", "recipient").await;
        Self { _folder: folder, barbican, store, engine, donor, recipient }
    }

    /// A volume of donor, encrypted or plain.
    pub(crate) async fn volume(&self, encrypted: bool) -> VolumeId {
        let key = if encrypted { Some(self.key().await) } else { None };
        let id = VolumeId::new(uuid::Uuid::new_v4().to_string());
        let new = NewVolume {
            id: id.clone(),
            project: self.donor.project.clone(),
            user: self.donor.user.clone(),
            size_gb: 1,
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
        self.store.create_volume(&new, &unlimited()).await.expect("a volume");
        id
    }

    async fn key(&self) -> SecretId {
        let token = &self.donor.token;
        let attributes = Attributes {
            secret_type: SecretType::Symmetric,
            algorithm: Some("aes".to_owned()),
            bit_length: Some(256),
            mode: None,
            expiration: None,
        };
        let key = self.barbican.create_shell(token, "key", &attributes).await.expect("a secret");
        let bytes = KeyBytes::new(vec![7; 32]);
        self.barbican.fill(token, &key, ContentType::OctetStream, &bytes).await.expect("filled");
        key
    }
}

/// An offer of it.
pub(crate) fn offer(volume: &VolumeId) -> Offer {
    Offer { volume: volume.clone(), name: None, no_snapshots: false, encrypted_allowed: true }
}

fn in_process(service: FaultyService) -> Arc<dyn Exchange> {
    let service =
        service.map_request(|request: http::Request<http_body_util::Full<bytes::Bytes>>| {
            request.map(axum::body::Body::new)
        });
    Arc::new(InProcess::new(service, Limits::default()))
}

fn keystone(simulator: &Simulator) -> Keystone {
    let url = simulator.urls().identity.parse().expect("an address");
    Keystone::new(&url, in_process(simulator.keystone_service()))
}

fn credentials(user: &str, project: &str) -> Credentials {
    let domain = || DomainRef::Name("Default".to_owned());
    Credentials::Password {
        user: UserRef::Name { name: user.to_owned(), domain: domain() },
        password: Password::new(PASSWORD),
        project: ProjectRef::Name { name: project.to_owned(), domain: domain() },
    }
}

/// A user with a token.
pub(crate) async fn caller(simulator: &Simulator, user: &str, project: &str) -> Caller {
    let issued = keystone(simulator).issue(&credentials(user, project)).await.expect("a token");
    Caller {
        project: ProjectId::new(simulator.project_id(project).expect("a project")),
        user: UserId::new(simulator.user_id(user).expect("a user")),
        is_admin: false,
        token: Token::new(issued.token.expose()),
    }
}
