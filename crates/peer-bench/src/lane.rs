//! One contender, what it works on, and what was measured of it.

use crate::block_storage::{BlockStorage, Volume};
use crate::figures::Measured;
use crate::ground::{Logins, Storage};
use crate::load::{Contender, Operation, batch};
use crate::processes;
use crate::requests::Requests;
use crate::wire::Wire;
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, VecDeque};

/// Of the operations of a round, those that are measured, in order: what is offered is accepted,
/// and what is offered again is taken back, so that the next round finds what this one found.
const ROUND: [Operation; 4] =
    [Operation::Initiate, Operation::Accept, Operation::Initiate, Operation::Cancel];

/// How many operations a batch has.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// As many as take about so long.
    Seconds(f64),
    /// So many, if more than run at once.
    Operations(usize),
}

/// Operation and concurrency.
pub(crate) type Cell = (Operation, usize);

/// A contender.
pub(crate) struct Lane<C: Contender> {
    name: String,
    contender: C,
    items: VecDeque<C::Item>,
    /// The processes whose CPU time counts.
    pids: Vec<u32>,
    /// Of initiate, most recently.
    rate: f64,
    pub(crate) measured: BTreeMap<Cell, Measured>,
}

impl Lane<BlockStorage> {
    pub(crate) fn of(storage: &Storage, wire: &Wire, logins: &Logins) -> Self {
        let contender = BlockStorage::new(wire.clone(), logins.clone(), storage);
        let volumes = storage.volumes.iter().map(|id| Volume::of_donor(id));
        Self::new(&storage.name, contender, volumes, storage.pids())
    }
}

impl<C: Contender> Lane<C> {
    pub(crate) fn new(
        name: &str,
        contender: C,
        items: impl IntoIterator<Item = C::Item>,
        pids: Vec<u32>,
    ) -> Self {
        let (name, items) = (name.to_owned(), items.into_iter().collect());
        Self { name, contender, items, pids, rate: 0.0, measured: BTreeMap::new() }
    }

    /// One round that is measured.
    pub(crate) async fn round(
        &mut self,
        concurrency: usize,
        bound: Bound,
        requests: &Requests,
    ) -> Result<()> {
        let count = self.count(concurrency, bound);
        let mut items: Vec<_> = self.items.drain(..count).collect();
        for operation in ROUND {
            let cpu = self.cpu();
            let asked = requests.at_rest().await?;
            let batch = batch(&self.contender, operation, items, concurrency).await?;
            self.contender.settle().await?;
            let asked = requests.at_rest().await? - asked;
            let cpu = self.cpu() - cpu;
            if operation == Operation::Initiate {
                self.rate = batch.latencies.len() as f64 / batch.wall.as_secs_f64();
            }
            let cell = self.measured.entry((operation, concurrency)).or_default();
            cell.add(&batch, asked, cpu);
            items = batch.items;
            let first = batch.errors.first();
            ensure!(!items.is_empty(), "{}: {operation} at {concurrency}: {first:?}", self.name);
        }
        self.items.extend(items);
        Ok(())
    }

    /// A round that is not measured: connections, caches, and a first idea of the rate. Whatever
    /// fails in it is wrong with the ground.
    pub(crate) async fn warm_up(&mut self, concurrency: usize, requests: &Requests) -> Result<()> {
        self.round(concurrency, Bound::Operations(concurrency), requests).await?;
        for (cell, measured) in std::mem::take(&mut self.measured) {
            let failed = measured.first_error();
            ensure!(failed.is_none(), "{}, warming up: {cell:?}: {failed:?}", self.name);
        }
        Ok(())
    }

    /// Operations of the next batch: never fewer than run at once, nor than a few.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive, and a float that is too large becomes the largest integer"
    )]
    fn count(&self, concurrency: usize, bound: Bound) -> usize {
        let wanted = match bound {
            Bound::Seconds(seconds) => (self.rate * seconds) as usize,
            Bound::Operations(count) => count,
        };
        wanted.max(concurrency).max(3).min(self.items.len())
    }

    fn cpu(&self) -> f64 {
        self.pids.iter().copied().map(processes::cpu_seconds).sum()
    }
}
