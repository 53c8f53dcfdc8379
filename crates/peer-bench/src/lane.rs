//! One contender, what it works on, and what was measured of it.

use crate::block_storage::{BlockStorage, Volume};
use crate::figures::Measured;
use crate::ground::{Logins, Ready, Storage};
use crate::load::{Contender, Operation, batch};
use crate::processes::Usage;
use crate::requests::Requests;
use crate::wire::Wire;
use anyhow::{Result, ensure};
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Of the operations of a round, those that are measured, in order: what is offered is accepted,
/// and what is offered again is taken back, so that the next round finds what this one found.
const ROUND: [Operation; BATCHES as usize] =
    [Operation::Initiate, Operation::Accept, Operation::Initiate, Operation::Cancel];

/// How many operations a batch has.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// As many as take about so long.
    Seconds(f64),
    /// So many, if more than run at once.
    Operations(usize),
}

/// Batches of a round.
const BATCHES: u32 = 4;

impl Bound {
    /// After which time no more operations of a batch are begun: a contender may have become far
    /// slower than its last batch was.
    fn within(self) -> Option<Duration> {
        match self {
            Self::Seconds(seconds) => Duration::try_from_secs_f64(2.0 * seconds).ok(),
            Self::Operations(_) => None,
        }
    }
}

/// Operation and concurrency.
pub(crate) type Cell = (Operation, usize);

/// A contender.
pub(crate) struct Lane<C: Contender> {
    name: String,
    contender: C,
    items: VecDeque<C::Item>,
    /// Its processes, and those of the key manager.
    pids: [Vec<u32>; 2],
    /// Of initiate, most recently.
    rate: f64,
    /// What rounds have taken, by concurrency.
    spent: BTreeMap<usize, Duration>,
    pub(crate) measured: BTreeMap<Cell, Measured>,
}

impl Lane<BlockStorage> {
    pub(crate) fn of(storage: &Storage, ready: &Ready, wire: &Wire, logins: &Logins) -> Self {
        let contender = BlockStorage::new(wire.clone(), logins.clone(), storage);
        let volumes = storage.volumes.iter().map(|id| Volume::of_donor(id));
        let pids = [storage.pids(), ready.key_manager_pids.clone()];
        Self::new(&storage.name, contender, volumes, pids)
    }
}

impl<C: Contender> Lane<C> {
    pub(crate) fn new(
        name: &str,
        contender: C,
        items: impl IntoIterator<Item = C::Item>,
        pids: [Vec<u32>; 2],
    ) -> Self {
        let (name, items) = (name.to_owned(), items.into_iter().collect());
        Self {
            name,
            contender,
            items,
            pids,
            rate: 0.0,
            spent: BTreeMap::new(),
            measured: BTreeMap::new(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// One round that is measured. A contender of which rounds at this concurrency have taken far
    /// longer than they were to take is left out: one is enough of it.
    pub(crate) async fn round(
        &mut self,
        concurrency: usize,
        bound: Bound,
        requests: &Requests,
    ) -> Result<()> {
        let within = bound.within();
        let spent = self.spent.entry(concurrency).or_default();
        if within.is_some_and(|within| *spent > within * BATCHES) {
            return Ok(());
        }
        let begun = Instant::now();
        self.operate(concurrency, bound, requests).await?;
        *self.spent.entry(concurrency).or_default() += begun.elapsed();
        Ok(())
    }

    async fn operate(
        &mut self,
        concurrency: usize,
        bound: Bound,
        requests: &Requests,
    ) -> Result<()> {
        let count = self.count(concurrency, bound);
        let mut items: Vec<_> = self.items.drain(..count).collect();
        for operation in ROUND {
            let before = self.usage();
            let asked = requests.at_rest().await?;
            // What has been offered is ended, however long that takes.
            let within = bound.within().filter(|_| operation == Operation::Initiate);
            let mut batch = batch(&self.contender, operation, items, concurrency, within).await?;
            self.items.extend(batch.left.drain(..));
            self.contender.settle().await?;
            let asked = requests.at_rest().await? - asked;
            let usage = self.usage() - before;
            if operation == Operation::Initiate {
                self.rate = batch.latencies.len() as f64 / batch.wall.as_secs_f64();
            }
            let cell = self.measured.entry((operation, concurrency)).or_default();
            cell.add(&batch, asked, usage);
            items = batch.items;
            let first = batch.errors.first();
            ensure!(!items.is_empty(), "{}: {operation} at {concurrency}: {first:?}", self.name);
        }
        self.items.extend(items);
        Ok(())
    }

    /// A round that is not measured: connections, caches, and a first idea of the rate. Whatever
    /// fails in it is wrong with the ground.
    pub(crate) async fn warm_up(
        &mut self,
        concurrency: usize,
        operations: usize,
        requests: &Requests,
    ) -> Result<()> {
        self.round(concurrency, Bound::Operations(operations), requests).await?;
        self.spent.clear();
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

    fn usage(&self) -> Usage {
        let [own, key_manager] = &self.pids;
        Usage::now(own, key_manager)
    }
}
