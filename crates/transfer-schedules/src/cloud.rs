//! A database and a cloud in memory, prepared once and taken back to that moment for each run.
//!
//! The database is SQLite's own in-memory file system, shared by the store's connection and one
//! for statements that nobody's store would make. Both live as long as the cloud, so that compiled
//! statements are reused from run to run.

use crate::Broken;
use crate::gates::{KnownOffer, STUCK};
use crate::rows::{self, RawSql, RowText};
use crate::scenario::Start;
use barbican_client::Barbican;
use bytes::Bytes;
use cinder_db::{NewSnapshot, NewVolume, QuotaLimits, Scope, Store, StoreConfig};
use http::Request;
use http_body_util::Full;
use keystone_client::{
    Clock, Credentials, DomainRef, Keystone, ProjectRef, ServiceSession, UserRef,
};
use openstack_http::{Exchange, InProcess, Limits, Password, Token};
use simulator::faults::FaultyService;
use simulator::{Checkpoint, Config, Simulator};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use tower::ServiceExt as _;
use transfer_core::{ProjectId, SecretId, UserId, VolumeId, World};
use transfer_engine::{Caller, Engine, Offer, Options};

const PASSWORD: &str = "correct horse";
/// Two keys of 256 bits in base64.
const KEYS: [&str; 2] = [
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=",
];
const VOLUME: &str = "11111111-1111-4111-8111-111111111101";
const SNAPSHOTS: [&str; 2] =
    ["22222222-2222-4222-8222-222222222201", "22222222-2222-4222-8222-222222222202"];
/// Letters of callers, and who they are in the simulator.
const PEOPLE: [(char, &str, &str); 3] =
    [('X', "x", "donor"), ('Y', "y", "recipient"), ('Z', "z", "third")];
/// So many moments can be kept at once, the start among them.
const MOMENTS: usize = 24;
/// No run takes as long; the key manager asks for a longer wait than this.
const HOUR: Duration = Duration::from_secs(3600);
/// No run takes as long.
const DAY: Duration = Duration::from_secs(86_400);

/// A world to act in.
pub(crate) struct Cloud {
    pub(crate) raw: RawSql,
    pub(crate) store: Store,
    pub(crate) simulator: Simulator,
    /// The way to Barbican; to Keystone.
    pub(crate) barbican: InProcess,
    keystone: InProcess,
    /// The moment before anybody acts.
    pub(crate) start: Moment,
    /// The statements that give the rows that runs write, by table.
    looks: BTreeMap<&'static str, String>,
    tokens: Tokens,
    /// The world at the start.
    pub(crate) world: World,
    /// The offer at the start, if there is one.
    pub(crate) offer: Option<KnownOffer>,
}

/// A moment of a cloud: the copies of its rows, and all that its services remember.
#[derive(Clone)]
pub(crate) struct Moment {
    place: usize,
    checkpoint: Checkpoint,
}

/// Callers with tokens of their own: one for each actor, and one for whoever comes back later.
struct Tokens(BTreeMap<char, Vec<Caller>>);

/// Names of databases in memory are shared by the process.
static DATABASES: AtomicU64 = AtomicU64::new(0);

impl Cloud {
    /// X's encrypted volume with two snapshots, offered or not.
    pub(crate) async fn prepare(start: Start) -> Result<Self, Broken> {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("/schedules-{number}");
        let raw = RawSql::open(&name)?;
        let url = format!("sqlite:///{name}?vfs=memdb&mode=rwc");
        let store = Store::connect(&StoreConfig { url, max_connections: 1 }).await;
        let store = store.map_err(broken)?;
        store.create_cinder_tables().await.map_err(broken)?;
        store.migrate().await.map_err(broken)?;
        let mut config = Config::new(PASSWORD);
        config.token_life = DAY;
        let simulator = Simulator::new(config).map_err(broken)?;
        let mut cloud = Self {
            raw,
            barbican: in_process(simulator.barbican_service()),
            keystone: in_process(simulator.keystone_service()),
            start: Moment { place: 0, checkpoint: simulator.checkpoint() },
            looks: BTreeMap::new(),
            tokens: Tokens(BTreeMap::new()),
            world: store.world_rows(&ProjectId::new("")).await.map_err(broken)?,
            offer: None,
            store,
            simulator,
        };
        cloud.issue_tokens().await?;
        cloud.make_rows(start).await?;
        if start.offered {
            cloud.make_offer().await?;
        }
        cloud.world = cloud.simulator.world(&cloud.store).await.map_err(broken)?;
        cloud.raw.make_room(MOMENTS)?;
        cloud.start = cloud.copy(0)?;
        for table in rows::WRITTEN {
            cloud.looks.insert(table, cloud.raw.all_rows(table)?);
        }
        cloud.idle().await?;
        Ok(cloud)
    }

    /// Waits for the store's connection to be back in its pool. It goes there in a task of its own,
    /// and would be on its way for ever if its runtime stood still now, or lost if it went down.
    pub(crate) async fn idle(&self) -> Result<(), Broken> {
        let begun = Instant::now();
        while !self.store.is_idle() {
            if begun.elapsed() > STUCK {
                return Err(Broken::Stuck);
            }
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
        Ok(())
    }

    /// The rows that runs write, in words, by table; of these tables only.
    pub(crate) fn rows(
        &self,
        of: impl Fn(&str) -> bool,
    ) -> Result<Vec<(&'static str, Vec<RowText>)>, Broken> {
        let looks = self.looks.iter().filter(|(table, _)| of(table));
        looks.map(|(table, look)| Ok((*table, self.raw.rows(look)?))).collect()
    }

    /// Ids of people and projects.
    pub(crate) fn constants(&self) -> Vec<String> {
        let callers = self.tokens.0.values().flatten();
        let ids = callers.flat_map(|one| [one.project.as_str(), one.user.as_str()]);
        let service = self.world.service.as_str();
        ids.chain([service]).map(str::to_owned).collect()
    }

    /// Keeps this moment; `None` where there is no such place.
    pub(crate) fn keep(&self, place: usize) -> Result<Option<Moment>, Broken> {
        // The first place is the start's.
        let place = place + 1;
        if place < MOMENTS { self.copy(place).map(Some) } else { Ok(None) }
    }

    fn copy(&self, place: usize) -> Result<Moment, Broken> {
        self.raw.keep(place)?;
        Ok(Moment { place, checkpoint: self.simulator.checkpoint() })
    }

    /// Goes back to a moment.
    pub(crate) fn restore(&self, moment: &Moment) -> Result<(), Broken> {
        self.simulator.restore(&moment.checkpoint);
        self.raw.restore(moment.place)
    }

    /// An engine of its own on this store and this way to Barbican.
    pub(crate) fn engine(
        &self,
        store: Store,
        exchange: Arc<dyn Exchange>,
    ) -> Result<Engine, Broken> {
        let urls = self.simulator.urls();
        let barbican = Barbican::new(&urls.key_manager.parse().map_err(broken)?, exchange);
        let clock: Clock = Arc::new(OffsetDateTime::now_utc);
        let session =
            ServiceSession::new(self.keystone()?, credentials("cinder", "service"), clock);
        // Nothing waits for time to pass, and none passes, should the whole process stand still.
        let options =
            Options { pause: Duration::ZERO, lease: DAY, patience: HOUR, ..Options::default() };
        Ok(Engine::new(store, barbican, Arc::new(session), QuotaLimits::default(), options))
    }

    /// The caller of this letter, with the token that this actor (or, beyond all actors, whoever
    /// comes back) has.
    pub(crate) fn caller(&self, letter: char, actor: usize) -> Result<Caller, Broken> {
        let caller = self.tokens.0.get(&letter).and_then(|callers| callers.get(actor));
        caller.cloned().ok_or_else(|| broken(format!("nobody is called {letter}")))
    }

    pub(crate) fn service(&self) -> ProjectId {
        self.world.service.clone()
    }

    /// How people call the projects.
    pub(crate) fn names(&self) -> BTreeMap<ProjectId, String> {
        let named = self.tokens.0.iter().filter_map(|(letter, callers)| {
            Some((callers.first()?.project.clone(), letter.to_string()))
        });
        named.chain([(self.service(), "service".to_owned())]).collect()
    }

    pub(crate) fn offer_of(&self) -> Offer {
        Offer {
            volume: VolumeId::new(VOLUME),
            name: None,
            no_snapshots: false,
            encrypted_allowed: true,
        }
    }

    fn keystone(&self) -> Result<Keystone, Broken> {
        let url = self.simulator.urls().identity.parse().map_err(broken)?;
        Ok(Keystone::new(&url, Arc::new(self.keystone.clone())))
    }

    async fn issue_tokens(&mut self) -> Result<(), Broken> {
        let keystone = self.keystone()?;
        for (letter, user, project) in PEOPLE {
            let mut callers = Vec::new();
            for _actor in 0..=crate::scenario::MOST_ACTORS {
                let issued = keystone.issue(&credentials(user, project)).await.map_err(broken)?;
                let unknown = || broken(format!("no user {user} in project {project}"));
                callers.push(Caller {
                    project: ProjectId::new(
                        self.simulator.project_id(project).ok_or_else(unknown)?,
                    ),
                    user: UserId::new(self.simulator.user_id(user).ok_or_else(unknown)?),
                    is_admin: false,
                    token: Token::new(issued.token.expose()),
                });
            }
            self.tokens.0.insert(letter, callers);
        }
        Ok(())
    }

    /// The volume and the first snapshot share a key; the second snapshot may have its own.
    async fn make_rows(&self, start: Start) -> Result<(), Broken> {
        let x = self.caller('X', 0)?;
        let first = self.store_key(&x, KEYS[0]).await?;
        let limits = QuotaLimits::default();
        let volume = NewVolume {
            id: VolumeId::new(VOLUME),
            project: x.project.clone(),
            user: x.user.clone(),
            size_gb: 1,
            status: "available".to_owned(),
            name: None,
            description: None,
            volume_type: None,
            key: Some(first),
            snapshot_id: None,
            source_volume_id: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
        };
        self.store.create_volume(&volume, &limits).await.map_err(broken)?;
        for id in SNAPSHOTS {
            let snapshot = NewSnapshot {
                id: id.into(),
                volume: volume.id.clone(),
                user: x.user.clone(),
                status: "available".to_owned(),
                name: None,
                description: None,
                force: false,
            };
            self.store.create_snapshot(&Scope::All, &snapshot, &limits).await.map_err(broken)?;
        }
        if start.two_keys {
            let second = self.store_key(&x, KEYS[1]).await?;
            let [_, snapshot] = SNAPSHOTS;
            let rekey = format!(
                "UPDATE snapshots SET encryption_key_id = '{second}' WHERE id = '{snapshot}'"
            );
            self.raw.run(&rekey)?;
        }
        Ok(())
    }

    async fn make_offer(&mut self) -> Result<(), Broken> {
        let engine = self.engine(self.store.clone(), Arc::new(self.barbican.clone()))?;
        let offered = engine.initiate(self.caller('X', 0)?, self.offer_of()).await;
        let offered = offered.map_err(broken)?;
        if !engine.shut_down(DAY).await {
            return Err(Broken::Stuck);
        }
        self.offer = Some(KnownOffer {
            transfer: offered.transfer,
            auth_key: offered.auth_key.reveal().to_owned(),
        });
        Ok(())
    }

    async fn store_key(&self, owner: &Caller, payload: &str) -> Result<SecretId, Broken> {
        let body = format!(
            "{{\"secret_type\": \"symmetric\", \"algorithm\": \"aes\", \"bit_length\": 256, \
              \"payload\": \"{payload}\", \"payload_content_type\": \"application/octet-stream\", \
              \"payload_content_encoding\": \"base64\"}}"
        );
        let request = Request::post(format!("{}/v1/secrets", self.simulator.urls().key_manager))
            .header("content-type", "application/json")
            .header("x-auth-token", owner.token.expose())
            .body(Bytes::from(body))
            .map_err(broken)?;
        let reply = self.barbican.exchange(request).await.map_err(broken)?;
        let stored = self.simulator.secrets();
        let newest = stored.last().filter(|_| reply.status() == http::StatusCode::CREATED);
        let newest = newest.ok_or_else(|| broken(format!("a key got {}", reply.status())))?;
        Ok(SecretId::new(newest.id.as_str()))
    }
}

fn credentials(user: &str, project: &str) -> Credentials {
    let domain = || DomainRef::Name("Default".to_owned());
    Credentials::Password {
        user: UserRef::Name { name: user.to_owned(), domain: domain() },
        password: Password::new(PASSWORD),
        project: ProjectRef::Name { name: project.to_owned(), domain: domain() },
    }
}

fn in_process(service: FaultyService) -> InProcess {
    let service =
        service.map_request(|request: Request<Full<Bytes>>| request.map(axum::body::Body::new));
    InProcess::new(service, Limits::default())
}

fn broken(error: impl Display) -> Broken {
    Broken::Stack(error.to_string())
}
