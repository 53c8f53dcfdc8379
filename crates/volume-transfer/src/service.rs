//! The transfer service: database, clients, engine and API, put together from settings.

use crate::healthcheck::{self, Dependencies, Peer};
use crate::listening::serve_until;
use crate::measured::Measured;
use crate::metrics;
use crate::ready::{self, Ready};
use crate::settings::Settings;
use crate::traces::{Traced, traced};
use anyhow::Context as _;
use axum::Router;
use barbican_client::Barbican;
use cinder_db::{ConnectError, Scope, Store};
use keystone_client::{CacheLimits, Clock, Keystone, ServiceSession, Validator};
use openstack_http::{Exchange, Failure, Limits, Tls, Wire};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use transfer_api::Api;
use transfer_core::VolumeId;
use transfer_engine::{Accounts, Engine};
use url::Url;

/// The pieces of a service that is not listening yet.
pub struct Service {
    /// The driver of hand-overs; its recovery is not running yet.
    pub engine: Engine,
    /// The API on top of it.
    pub router: Router,
    /// Keystone's address.
    pub identity: Url,
    /// Barbican's address.
    pub key_manager: Url,
}

impl Service {
    /// Connects to the database and, unless the key manager's address is given, asks Keystone's
    /// catalogue for it.
    ///
    /// # Errors
    /// What is wrong with the settings, the database or Keystone, and what to do about it.
    pub async fn build(settings: &Settings) -> anyhow::Result<Self> {
        let store = connect(settings).await?;
        Self::on_store(settings, store).await
    }

    /// As [`Service::build`], on a database that is already connected.
    ///
    /// # Errors
    /// As [`Service::build`].
    pub async fn on_store(settings: &Settings, store: Store) -> anyhow::Result<Self> {
        let config = settings.api()?;
        let peers = Peers::reach(settings).await?;
        let health = peers.health(settings, store.clone())?;
        let engine = peers.engine(settings, store)?;
        let Peers { identity, keystone, session, key_manager, .. } = peers;
        let (limits, service_tokens) = (CacheLimits::default(), settings.service_tokens()?);
        let validator = Validator::new(keystone, session, clock(), limits, service_tokens);
        let router = transfer_api::router(Api {
            engine: engine.clone(),
            validator: Arc::new(validator),
            config,
        });
        let router = if settings.otlp_endpoint()?.is_some() { traced(router) } else { router };
        let router = router.merge(healthcheck::router(health));
        Ok(Self { engine, router, identity, key_manager })
    }
}

/// The services beside this one, and the account that it has there.
pub struct Peers {
    /// Keystone's address.
    pub identity: Url,
    /// Keystone.
    pub keystone: Keystone,
    /// The service's own account.
    pub session: Arc<ServiceSession>,
    /// The account whose token goes to Barbican beside a user's, if any does.
    pub beside_users: Option<Arc<ServiceSession>>,
    /// Barbican's address.
    pub key_manager: Url,
    /// Barbican.
    pub barbican: Barbican,
}

impl Peers {
    /// Asks Keystone's catalogue for Barbican, unless its address is given.
    ///
    /// # Errors
    /// What is wrong with the settings or Keystone, and what to do about it.
    pub async fn reach(settings: &Settings) -> anyhow::Result<Self> {
        let limits = settings.limits()?;
        let identity = settings.auth_url()?;
        let to_keystone = to_peer("keystone", settings, wire(&settings.keystone_tls()?, limits)?)?;
        let keystone = Keystone::new(&identity, to_keystone);
        let credentials = settings.credentials()?;
        let session = Arc::new(ServiceSession::new(keystone.clone(), credentials, clock()));
        let beside_users = beside_users(settings, limits)?;
        let key_manager = match settings.key_manager()? {
            Some(url) => url,
            None => find_key_manager(settings, &identity, &session).await?,
        };
        let to_barbican = to_peer("barbican", settings, wire(&settings.barbican_tls()?, limits)?)?;
        let barbican = Barbican::new(&key_manager, to_barbican);
        Ok(Self { identity, keystone, session, beside_users, key_manager, barbican })
    }

    /// What the service cannot do without.
    fn health(&self, settings: &Settings, store: Store) -> anyhow::Result<Dependencies> {
        let peer = |name, url: &Url, tls: &Tls| {
            let exchange = wire(tls, healthcheck::LIMITS)?;
            anyhow::Ok(Peer { name, url: url.clone(), exchange })
        };
        Ok(Dependencies {
            store,
            peers: vec![
                peer("keystone", &self.identity, &settings.keystone_tls()?)?,
                peer("barbican", &self.key_manager, &settings.barbican_tls()?)?,
            ],
            disabled_by: settings.disable_by_file()?,
        })
    }

    /// An engine on a database, with this account.
    ///
    /// # Errors
    /// When the settings of quotas or times are wrong.
    pub fn engine(&self, settings: &Settings, store: Store) -> anyhow::Result<Engine> {
        let accounts =
            Accounts { own: self.session.clone(), beside_users: self.beside_users.clone() };
        let barbican = self.barbican.clone();
        Ok(Engine::new(store, barbican, accounts, settings.quotas()?, settings.engine()?))
    }
}

fn beside_users(
    settings: &Settings,
    limits: Limits,
) -> anyhow::Result<Option<Arc<ServiceSession>>> {
    let Some((url, tls, credentials)) = settings.beside_users()? else { return Ok(None) };
    let exchange = to_peer("keystone", settings, wire(&tls, limits)?)?;
    let session = ServiceSession::new(Keystone::new(&url, exchange), credentials, clock());
    Ok(Some(Arc::new(session)))
}

/// The wall clock.
pub fn clock() -> Clock {
    Arc::new(OffsetDateTime::now_utc)
}

/// Connections over TCP and TLS.
///
/// # Errors
/// When the certificates cannot be read.
pub fn wire(tls: &Tls, limits: Limits) -> anyhow::Result<Arc<dyn Exchange>> {
    Ok(Arc::new(Wire::new(tls, limits).context("TLS setup failed")?))
}

/// Calls to a peer as they are watched: counted, and traced where the settings say so.
fn to_peer(
    peer: &'static str,
    settings: &Settings,
    wire: Arc<dyn Exchange>,
) -> anyhow::Result<Arc<dyn Exchange>> {
    let measured = Measured::over(peer, wire);
    let traced = settings.otlp_endpoint()?.is_some();
    Ok(if traced { Traced::over(peer, measured) } else { measured })
}

/// Asks for every setting as the service does before it speaks to anybody.
///
/// # Errors
/// The first that it would not take.
pub fn check_settings(settings: &Settings) -> anyhow::Result<()> {
    settings.database()?;
    settings.auth_url()?;
    settings.credentials()?;
    let limits = settings.limits()?;
    wire(&settings.keystone_tls()?, limits)?;
    wire(&settings.barbican_tls()?, limits)?;
    beside_users(settings, limits)?;
    settings.key_manager()?;
    settings.interface()?;
    settings.region()?;
    settings.quotas()?;
    settings.api()?;
    settings.grace()?;
    settings.disable_by_file()?;
    settings.otlp_endpoint()?;
    settings.metrics_listen()?;
    Ok(())
}

/// Connects to the database and makes the tables of our own.
///
/// # Errors
/// When the database cannot be opened, or holds no Cinder and was not to be given one.
pub async fn connect(settings: &Settings) -> anyhow::Result<Store> {
    let config = settings.database()?;
    let store = Store::connect(&config).await.context("the database cannot be opened")?;
    if settings.create_tables()? {
        store.create_cinder_tables().await.context("Cinder's tables could not be made")?;
    }
    // Before anything is made: a wrong path to some other file must not look like a database.
    check(&store).await?;
    store.migrate().await.context(
        "the service's own tables could not be made; is this Cinder's database, and may this \
         account create tables in it?",
    )?;
    Ok(store)
}

/// Connects to the database as it is: nothing is made or changed.
///
/// # Errors
/// When the database cannot be opened, holds no Cinder, or has never seen this service.
pub async fn connect_as_it_is(settings: &Settings) -> anyhow::Result<Store> {
    let config = settings.database()?;
    let store = Store::connect(&config).await.context("the database cannot be opened")?;
    check(&store).await?;
    store.counts().await.context(
        "the service's own tables are not in this database; `volume-transfer recover` makes them",
    )?;
    Ok(store)
}

async fn check(store: &Store) -> anyhow::Result<()> {
    store.volume(&Scope::All, &VolumeId::new("")).await.context(
        "this is not Cinder's database: it has no readable table of volumes; \
         for development, --create-tables makes Cinder's tables",
    )?;
    Ok(())
}

async fn find_key_manager(
    settings: &Settings,
    identity: &Url,
    session: &ServiceSession,
) -> anyhow::Result<Url> {
    let issued = session.token().await.with_context(|| {
        format!("no token from Keystone at {identity}; check its address and the credentials")
    })?;
    let (interface, region) = (settings.interface()?, settings.region()?);
    let region = region.as_deref();
    issued.identity.catalog.endpoint(&["key-manager"], &interface, region).with_context(|| {
        format!(
            "the catalogue has no {interface} key-manager endpoint in region {}; \
             say --key-manager-url, --interface or --region-name",
            region.unwrap_or("(any)")
        )
    })
}

/// Whether what kept the service from starting may pass by itself: nobody has to change a setting.
pub fn is_out_of_reach(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let unanswered = matches!(cause.downcast_ref(), Some(Failure::Unknown(_)));
        let closed = matches!(cause.downcast_ref(), Some(ConnectError::Open { .. }));
        let taken = cause.downcast_ref().is_some_and(|error: &std::io::Error| {
            matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable)
        });
        unanswered || closed || taken
    })
}

/// Runs the service until it is told to stop; then finishes or parks what is in progress.
///
/// # Errors
/// What kept it from starting.
pub async fn run(
    settings: &Settings,
    ready_file: Option<&Path>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    ready::begin(ready_file)?;
    let service = Service::build(settings).await?;
    let (host, port) = settings.listen()?;
    let listener = TcpListener::bind((host.as_str(), port)).await.with_context(|| {
        format!("cannot listen on {host}, port {port}; say --listen or [volume_transfer] listen")
    })?;
    let own = Url::parse(&format!("http://{}", listener.local_addr()?))?;
    for (option, why) in settings.in_vain() {
        tracing::info!(option, why, "set, and not used");
    }
    tracing::info!(listen = %own, key_manager = %service.key_manager, "serving");
    let engine = service.engine.clone();
    let metrics = metrics::begin(settings, engine.store(), &stop).await?;
    engine.start_recovery();
    if let Some(path) = ready_file {
        let urls = Ready {
            identity: service.identity.to_string(),
            key_manager: service.key_manager.to_string(),
            block_storage: own.as_str().trim_end_matches('/').to_owned(),
            metrics,
        };
        urls.write(path)?;
    }
    let grace = settings.grace()?;
    serve_until(listener, service.router, stop, grace).await?;
    if !engine.shut_down(grace).await {
        tracing::warn!("operations still in progress; recovery takes over when their leases end");
    }
    tracing::info!("stopped");
    Ok(())
}
