//! The handle to one simulated cloud.
//!
//! All state stands behind one lock that is never held across an await: a request takes effect at
//! one moment, and requests take effect one after the other.

use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use cinder_db::Store;
use tokio_util::sync::CancellationToken;

use crate::barbican::BarbicanPolicy;
use crate::clock::{Clock, Reading};
use crate::events::{Event, Events};
use crate::faults::{Faults, FaultyService, Rule, Scenario};
use crate::identity::Kind;
use crate::key_manager::SecretView;
use crate::state::{self, State, StateFileError};
use crate::{Service, barbican, block_storage, control, keystone};

/// Where clients find the services; each without a trailing slash and without a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls {
    /// Keystone; the catalogue appends `/v3`.
    pub identity: String,
    /// Barbican: also the host of every secret reference.
    pub key_manager: String,
    /// Cinder; the catalogue appends `/v3/{project_id}`.
    pub block_storage: String,
}

impl Default for Urls {
    /// The ports that the services have by default, on loopback.
    fn default() -> Self {
        Self {
            identity: "http://127.0.0.1:5000".to_owned(),
            key_manager: "http://127.0.0.1:9311".to_owned(),
            block_storage: "http://127.0.0.1:8776".to_owned(),
        }
    }
}

/// What a simulator is made from.
#[derive(Clone)]
pub struct Config {
    /// The password of every user.
    pub password: String,
    /// The region of every endpoint.
    pub region: String,
    /// All ids, tokens and ordered keys follow from it.
    pub seed: u64,
    /// Where the services are, as far as it is known yet; see [`Simulator::set_urls`].
    pub urls: Urls,
    /// How long a token lives.
    pub token_life: Duration,
    /// Where the state is kept, if it is to survive a restart.
    pub state_file: Option<PathBuf>,
    /// Which of its policies Barbican enforces.
    pub barbican_policy: BarbicanPolicy,
    /// The time.
    pub clock: Clock,
    /// Whether Keystone's socket has [`Control`].
    pub control: Control,
    /// Rules that are there from the start.
    pub faults: Vec<Rule>,
    /// A script of faults and time; see [`Config::playing`].
    pub scenario: Scenario,
}

/// Whether `/_simulator` on Keystone's socket sets faults, moves the clock and tells what was asked
/// for, and `/` shows a browser the same: to whoever reaches it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// It is not there.
    #[default]
    Off,
    /// On loopback alone; another socket is refused.
    OnLoopback,
    /// On any socket.
    Anywhere,
}

impl Config {
    /// A cloud in RegionOne whose tokens live for an hour and which remembers nothing.
    pub fn new(password: impl Into<String>) -> Self {
        Self {
            password: password.into(),
            region: "RegionOne".to_owned(),
            seed: 0,
            urls: Urls::default(),
            token_life: Duration::from_secs(3600),
            state_file: None,
            barbican_policy: BarbicanPolicy::default(),
            clock: Clock::running(),
            control: Control::Off,
            faults: Vec::new(),
            scenario: Scenario::default(),
        }
    }

    /// The same cloud with a script, under its seed and at its time where it has them.
    #[must_use]
    pub fn playing(self, scenario: Scenario) -> Self {
        Self {
            seed: scenario.seed.unwrap_or(self.seed),
            clock: scenario.time.map_or(self.clock, Clock::frozen),
            scenario,
            ..self
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Config")
            .field("region", &self.region)
            .field("seed", &self.seed)
            .field("urls", &self.urls)
            .field("token_life", &self.token_life)
            .field("state_file", &self.state_file)
            .field("barbican_policy", &self.barbican_policy)
            .finish_non_exhaustive()
    }
}

/// All that a cloud remembers at one moment: tokens, secrets, how ids go on, and the time.
#[derive(Clone)]
pub struct Checkpoint(State, Reading);

/// A simulated cloud; clones are handles to the same one.
#[derive(Clone)]
pub struct Simulator(Arc<Cloud>);

struct Cloud {
    config: Config,
    urls: RwLock<Urls>,
    state: Mutex<State>,
    faults: Faults,
    events: Events,
    /// The tables of its block storage, once it has one.
    store: OnceLock<Store>,
    /// Keeps the state file from other simulators.
    _own: Option<File>,
}

impl Simulator {
    /// A cloud with its projects and users, or the one that the state file holds.
    ///
    /// # Errors
    /// [`StateFileError`] when there is a state file that cannot be read, or that another one uses.
    pub fn new(config: Config) -> Result<Self, StateFileError> {
        let own = config.state_file.as_deref().map(state::own).transpose()?;
        let kept = config.state_file.as_deref().map(state::load).transpose()?.flatten();
        let mut state = kept.unwrap_or_else(|| State::seeded(config.seed, &config.region));
        state.identity.add_roles(config.seed, config.barbican_policy.roles());
        Ok(Self(Arc::new(Cloud {
            urls: RwLock::new(config.urls.clone()),
            state: Mutex::new(state),
            faults: Faults::new(
                config.seed,
                config.clock.clone(),
                config.faults.clone(),
                config.scenario.clone(),
            ),
            events: Events::default(),
            store: OnceLock::new(),
            _own: own,
            config,
        })))
    }

    /// Keystone, with the faults that are asked for.
    pub fn keystone_service(&self) -> FaultyService {
        FaultyService::new(self, Service::Keystone, keystone::routes())
    }

    /// Barbican, with the faults that are asked for.
    pub fn barbican_service(&self) -> FaultyService {
        FaultyService::new(self, Service::Barbican, barbican::routes(self))
    }

    /// The block storage on the tables of `store`, with the faults that are asked for. The first
    /// one's tables are those that [`Control`] shows.
    pub fn block_storage_service(&self, store: &Store) -> FaultyService {
        self.0.store.get_or_init(|| store.clone());
        FaultyService::new(self, Service::BlockStorage, block_storage::routes(self, store))
    }

    /// What controls it over HTTP, without sockets and whether or not [`Config::control`] asks for
    /// it; a log that is followed has no end.
    pub fn control_service(&self) -> Router {
        control::routes(self, CancellationToken::new())
    }

    /// What the cloud remembers now.
    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint(self.read(State::clone), self.clock().reading())
    }

    /// Takes the cloud back to a checkpoint of its own: what came afterwards has never been. The
    /// log begins anew; rules of faults stay, and a state file is left alone.
    pub fn restore(&self, checkpoint: &Checkpoint) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone_from(&checkpoint.0);
        self.clock().set(checkpoint.1);
        self.0.events.clear();
    }

    /// The rules by which services fail.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The time this cloud lives by.
    pub fn clock(&self) -> &Clock {
        &self.0.config.clock
    }

    /// What the cloud was made from.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Where the services are.
    pub fn urls(&self) -> Urls {
        self.0.urls.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says where the services are, once their ports are known.
    pub fn set_urls(&self, urls: Urls) {
        *self.0.urls.write().unwrap_or_else(PoisonError::into_inner) = urls;
    }

    /// The requests so far, in order of arrival: the last [`CAPACITY`](crate::events::CAPACITY).
    pub fn events(&self) -> Vec<Event> {
        self.0.events.all()
    }

    /// How many of these requests `fit`.
    pub fn count(&self, fit: impl Fn(&Event) -> bool) -> usize {
        self.0.events.count(fit)
    }

    /// Every secret that Barbican holds, expired ones included, in the order of creation.
    pub fn secrets(&self) -> Vec<SecretView> {
        self.read(|state| {
            let mut secrets: Vec<_> = state.key_manager.secrets.values().collect();
            secrets.sort_by_key(|secret| secret.seq);
            secrets.into_iter().map(SecretView::from).collect()
        })
    }

    /// Id of the project of that name in the default domain.
    pub fn project_id(&self, name: &str) -> Option<String> {
        self.id_of(Kind::Project, name)
    }

    /// Id of the user of that name in the default domain.
    pub fn user_id(&self, name: &str) -> Option<String> {
        self.id_of(Kind::User, name)
    }

    /// Replaces the roles that a user has on a project; tokens that exist feel it at once. False,
    /// and no change, when the user, the project or a role is unknown.
    ///
    /// # Errors
    /// [`StateFileError`] when the change cannot be kept.
    pub fn set_roles(
        &self,
        user: &str,
        project: &str,
        roles: &[&str],
    ) -> Result<bool, StateFileError> {
        self.change(|state| Ok(state.identity.set_roles(user, project, roles)))
    }

    /// Has the time of a token be over.
    pub(crate) fn expire_token(&self, text: &str) {
        let now = self.clock().now();
        let kept = self.change::<_, StateFileError>(|state| {
            state.identity.expire(text, now);
            Ok(())
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "the end of a token is not kept");
        }
    }

    fn id_of(&self, kind: Kind, name: &str) -> Option<String> {
        self.read(|state| state.identity.named(kind, name).map(|named| named.id.clone()))
    }

    pub(crate) fn store(&self) -> Option<Store> {
        self.0.store.get().cloned()
    }

    pub(crate) fn log(&self) -> &Events {
        &self.0.events
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state in one step and keeps it. An act that fails must have changed nothing.
    pub(crate) fn change<T, E: From<StateFileError>>(
        &self,
        act: impl FnOnce(&mut State) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let done = act(&mut state)?;
        if let Some(path) = &self.0.config.state_file {
            state::save(path, &state)?;
        }
        Ok(done)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Checkpoint").finish_non_exhaustive()
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Simulator")
            .field("config", &self.0.config)
            .field("secrets", &self.read(|state| state.key_manager.secrets.len()))
            .field("events", &self.0.events.last())
            .finish_non_exhaustive()
    }
}
