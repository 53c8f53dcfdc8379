//! The replicas, and what is done to them: killed and started again, paused past their leases.
//!
//! What is next follows from the seed; how far the clients are then does not. One replica at least
//! is always at work.

use anyhow::Context as _;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use volume_transfer::stage::{Server, ServerOptions, Stage};

/// Between two disturbances.
const PERIOD: Duration = Duration::from_secs(1);

/// How often a client asks a replica that stands still, where another one is at work.
const ASKS_A_PAUSED_ONE: f64 = 0.1;

/// Where a replica is, and whether it answers.
#[derive(Clone, Debug, Default)]
enum Place {
    /// At this URL.
    Up(String),
    /// There, but standing still.
    Paused(String),
    /// Dead, or on its way up.
    #[default]
    Down,
}

/// All replicas of a run.
pub(crate) struct Fleet {
    places: Mutex<Vec<Place>>,
    pub(crate) kills: AtomicU32,
    pub(crate) pauses: AtomicU32,
}

impl Fleet {
    pub(crate) fn new(replicas: usize) -> Self {
        Self {
            places: Mutex::new(vec![Place::Down; replicas]),
            kills: AtomicU32::new(0),
            pauses: AtomicU32::new(0),
        }
    }

    /// A replica for a client's next request.
    pub(crate) fn pick(&self, dice: &mut StdRng) -> Option<String> {
        let anyone = dice.random_bool(ASKS_A_PAUSED_ONE);
        self.with(|places| {
            let urls: Vec<&String> = places
                .iter()
                .filter_map(|place| match place {
                    Place::Up(url) => Some(url),
                    Place::Paused(url) => anyone.then_some(url),
                    Place::Down => None,
                })
                .collect();
            (!urls.is_empty()).then(|| urls[dice.random_range(0..urls.len())].clone())
        })
    }

    /// Every replica that answers.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.with(|places| {
            let up = places.iter().filter_map(|place| match place {
                Place::Up(url) => Some(url.clone()),
                Place::Paused(_) | Place::Down => None,
            });
            up.collect()
        })
    }

    fn set(&self, index: usize, place: Place) {
        self.with(|places| places[index] = place);
    }

    fn with<T>(&self, act: impl FnOnce(&mut Vec<Place>) -> T) -> T {
        act(&mut self.places.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Which replica is disturbed next: any, but the last one at work.
    fn victim(&self, dice: &mut StdRng) -> Option<(usize, bool)> {
        self.with(|places| {
            let is_up = |place: &Place| matches!(place, Place::Up(_));
            let others = places.iter().filter(|place| is_up(place)).count() > 1;
            let candidates: Vec<usize> = (0..places.len())
                .filter(|index| match places[*index] {
                    Place::Up(_) => others,
                    Place::Paused(_) => !others,
                    Place::Down => false,
                })
                .collect();
            let kill = dice.random_bool(0.5);
            let index = dice.random_range(0..candidates.len().max(1));
            candidates.get(index).map(|victim| (*victim, kill || !is_up(&places[*victim])))
        })
    }
}

/// What is to be done to one replica.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Kill,
    Pause,
}

/// Starts the replicas and disturbs one each period until `calm`; then all of them are up, and
/// stay so until the returned servers are stopped.
pub(crate) async fn keep(
    fleet: Arc<Fleet>,
    stage: Arc<Stage>,
    options: ServerOptions,
    seed: u64,
    calm: CancellationToken,
) -> anyhow::Result<Vec<Server>> {
    let replicas = fleet.with(|places| places.len());
    let mut orders = Vec::new();
    let mut keepers = Vec::new();
    for index in 0..replicas {
        let (order, ordered) = mpsc::unbounded_channel();
        orders.push(order);
        let keeper =
            Keeper { fleet: fleet.clone(), stage: stage.clone(), options: options.clone() };
        let server = keeper.start(index).await?;
        keepers.push(tokio::spawn(keeper.keep(index, server, ordered)));
    }
    let mut dice = StdRng::seed_from_u64(seed);
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = calm.cancelled() => break,
        }
        if let Some((index, kill)) = fleet.victim(&mut dice) {
            let order = if kill { Disturbance::Kill } else { Disturbance::Pause };
            orders[index].send(order).context("a replica is without its keeper")?;
        }
    }
    drop(orders);
    let mut servers = Vec::new();
    for keeper in keepers {
        servers.push(keeper.await??);
    }
    Ok(servers)
}

/// Who starts, kills and pauses one replica.
struct Keeper {
    fleet: Arc<Fleet>,
    stage: Arc<Stage>,
    options: ServerOptions,
}

impl Keeper {
    async fn start(&self, index: usize) -> anyhow::Result<Server> {
        let server = self.stage.start_server(&self.options).await?;
        self.fleet.set(index, Place::Up(server.url().to_owned()));
        Ok(server)
    }

    /// A replica that cannot start, for instance without its database, is started again.
    async fn start_again(&self, index: usize) -> anyhow::Result<Server> {
        const ATTEMPTS: u32 = 60;
        for _attempt in 1..ATTEMPTS {
            match self.start(index).await {
                Ok(server) => return Ok(server),
                Err(_failed) => tokio::time::sleep(PERIOD).await,
            }
        }
        self.start(index).await
    }

    async fn keep(
        self,
        index: usize,
        mut server: Server,
        mut ordered: mpsc::UnboundedReceiver<Disturbance>,
    ) -> anyhow::Result<Server> {
        // Past the lease of whatever was under way.
        let pause = Duration::from_millis(self.options.lease_ms) + PERIOD / 2;
        while let Some(order) = ordered.recv().await {
            let mut kill = matches!(order, Disturbance::Kill);
            if !kill {
                self.fleet.set(index, Place::Paused(server.url().to_owned()));
                server.pause().await?;
                self.fleet.pauses.fetch_add(1, Ordering::Relaxed);
                let next = tokio::time::timeout(pause, ordered.recv()).await;
                kill = matches!(next, Ok(Some(_)));
                if !kill {
                    if next.is_ok() {
                        // All is to be calm: but the lease ends first.
                        tokio::time::sleep(pause).await;
                    }
                    server.resume().await?;
                    self.fleet.set(index, Place::Up(server.url().to_owned()));
                }
            }
            if kill {
                self.fleet.set(index, Place::Down);
                server.kill().await?;
                self.fleet.kills.fetch_add(1, Ordering::Relaxed);
                server = self.start_again(index).await?;
            }
        }
        Ok(server)
    }
}
