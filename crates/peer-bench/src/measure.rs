//! All rounds on one ground, the contenders in alternation.

use crate::block_storage::{BlockStorage, Volume};
use crate::figures::rounded;
use crate::floor::{Floor, Key};
use crate::ground::{Logins, Ready, Storage};
use crate::lane::{Bound, Lane};
use crate::load::{Contender, Operation};
use crate::processes;
use crate::requests::Requests;
use crate::wire::Wire;
use anyhow::{Context as _, Result};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// At once in the round before the first.
const WARM: usize = 8;
/// At once when Barbican's bare requests are counted.
const BARE: usize = 8;

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Requests at once, one after the other.
    pub concurrencies: Vec<usize>,
    /// How many operations a batch has.
    pub bound: Bound,
    /// Rounds at each concurrency.
    pub rounds: usize,
    /// Keys of the floor.
    pub keys: usize,
    /// Leaves upstream, which takes the most time, out.
    pub without_upstream: bool,
}

impl Contender for BlockStorage {
    type Item = Volume;

    async fn run(&self, operation: Operation, volume: &mut Volume) -> Result<()> {
        match operation {
            Operation::Initiate => self.initiate(volume).await,
            Operation::Accept => self.accept(volume).await,
            Operation::Cancel => self.cancel(volume).await,
        }
    }

    async fn settle(&self) -> Result<()> {
        Ok(())
    }
}

impl Contender for Floor {
    type Item = Key;

    async fn run(&self, operation: Operation, key: &mut Key) -> Result<()> {
        match operation {
            Operation::Initiate => self.initiate(key).await,
            Operation::Accept => self.accept(key).await,
            Operation::Cancel => self.cancel(key).await,
        }
    }

    async fn settle(&self) -> Result<()> {
        self.drain().await
    }
}

/// All contenders.
struct Lanes {
    storages: Vec<Lane<BlockStorage>>,
    floor: Lane<Floor>,
}

/// Measures, and tells all figures of the ground: those until then after every round, so that a
/// run which ends early leaves what it has found.
///
/// # Errors
/// When a contender does not do its work at all, or `tell` fails.
pub async fn measure(
    ready: &Ready,
    plan: Plan,
    mut tell: impl FnMut(&Value) -> Result<()>,
) -> Result<()> {
    let wire = Wire::new();
    let logins = Logins::of(&wire, ready).await?;
    let requests = Requests::of(&wire, ready).await?;
    let is_wanted = |one: &&Storage| one.name != "upstream" || !plan.without_upstream;
    let storages: Vec<&Storage> = ready.storages.iter().filter(is_wanted).collect();
    let floor = Floor::new(wire.clone(), &ready.barbican, logins.clone());
    let made = stream::iter(0..plan.keys).map(|_| floor.key()).buffer_unordered(BARE);
    let keys: Vec<Key> = made.try_collect().await.context("keys of the floor")?;
    let floor_pids = [Vec::new(), ready.key_manager_pids.clone()];
    let mut lanes = Lanes {
        storages: storages.iter().map(|one| Lane::of(one, ready, &wire, &logins)).collect(),
        floor: Lane::new("floor", floor.clone(), keys, floor_pids),
    };
    let load = load_average();
    let bare = bare(&floor, plan.keys).await?;
    for lane in &mut lanes.storages {
        lane.warm_up(WARM, WARM, &requests).await?;
    }
    lanes.floor.warm_up(WARM, WARM, &requests).await?;
    let count = lanes.storages.len() + 1;
    for &concurrency in &plan.concurrencies {
        for round in 0..plan.rounds {
            for turn in 0..count {
                lanes.turn((round + turn) % count, concurrency, plan.bound, &requests).await?;
            }
            tell(&lanes.tell(&plan.concurrencies, &storages, &bare, &load))?;
        }
    }
    Ok(())
}

impl Lanes {
    async fn turn(
        &mut self,
        whose: usize,
        concurrency: usize,
        bound: Bound,
        requests: &Requests,
    ) -> Result<()> {
        match self.storages.get_mut(whose) {
            Some(storage) => storage.round(concurrency, bound, requests).await,
            None => self.floor.round(concurrency, bound, requests).await,
        }
    }

    fn tell(
        &self,
        concurrencies: &[usize],
        storages: &[&Storage],
        bare: &Value,
        load: &str,
    ) -> Value {
        let mut told = Map::new();
        for operation in [Operation::Initiate, Operation::Accept, Operation::Cancel] {
            let mut cells = Map::new();
            for &concurrency in concurrencies {
                let (mut cell, place) = (Map::new(), (operation, concurrency));
                let lanes = self.storages.iter().map(|lane| (lane.name(), &lane.measured));
                let lanes = lanes.chain([(self.floor.name(), &self.floor.measured)]);
                for (name, measured) in lanes {
                    if let Some(measured) = measured.get(&place) {
                        measured.tell(name, &mut cell);
                    }
                }
                cells.insert(format!("c{concurrency}"), Value::Object(cell));
            }
            told.insert(operation.to_string(), Value::Object(cells));
        }
        let peak = |of: &Storage| rounded(of.pids().into_iter().map(processes::peak_mib).sum());
        let peaks = storages.iter().map(|one| (one.name.clone(), json!(peak(one))));
        told.insert("peak_mib".to_owned(), Value::Object(peaks.collect()));
        told.insert("bare_barbican".to_owned(), bare.clone());
        told.insert("load_average".to_owned(), json!([load, load_average()]));
        Value::Object(told)
    }
}

/// Single kinds of requests to Barbican: what one simulator is to the real one.
async fn bare(floor: &Floor, count: usize) -> Result<Value> {
    let begun = Instant::now();
    let made = stream::iter(0..count).map(|_| floor.key()).buffer_unordered(BARE);
    let keys: Vec<Key> = made.try_collect().await?;
    let posts = count as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let read = stream::iter(&keys).map(|key| floor.read(key)).buffer_unordered(BARE);
    read.try_collect::<Vec<()>>().await?;
    let gets = count as f64 / begun.elapsed().as_secs_f64();
    Ok(json!({"post_secret_per_s": rounded(posts), "get_payload_per_s": rounded(gets)}))
}

/// 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}
