//! A bounded number of operations, so many at a time, and how long each took.

use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Initiate,
    Accept,
    Cancel,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initiate => "initiate",
            Self::Accept => "accept",
            Self::Cancel => "cancel",
        })
    }
}

/// Something that carries operations out.
pub(crate) trait Contender: Clone + Send + Sync + 'static {
    /// What an operation is done to; no two at once to the same.
    type Item: Send + 'static;

    fn run(
        &self,
        operation: Operation,
        item: &mut Self::Item,
    ) -> impl Future<Output = Result<()>> + Send;

    /// Waits for what an operation leaves behind, if that is known here.
    fn settle(&self) -> impl Future<Output = Result<()>> + Send;
}

/// A batch that has ended.
pub(crate) struct Batch<T> {
    /// From the first request to the last answer.
    pub(crate) wall: Duration,
    /// Of those that succeeded.
    pub(crate) latencies: Vec<Duration>,
    /// Those that succeeded.
    pub(crate) items: Vec<T>,
    /// Those that were not begun in time.
    pub(crate) left: Vec<T>,
    pub(crate) errors: Vec<String>,
}

impl<T> Batch<T> {
    fn new() -> Self {
        Self {
            wall: Duration::ZERO,
            latencies: Vec::new(),
            items: Vec::new(),
            left: Vec::new(),
            errors: Vec::new(),
        }
    }
}

/// Does `operation` once to each item, `concurrency` at a time; begins with none after `within`.
pub(crate) async fn batch<C: Contender>(
    contender: &C,
    operation: Operation,
    items: Vec<C::Item>,
    concurrency: usize,
    within: Option<Duration>,
) -> Result<Batch<C::Item>> {
    let queue = Arc::new(Mutex::new(items.into_iter()));
    let begun = Instant::now();
    let until = within.and_then(|within| begun.checked_add(within));
    let workers: Vec<_> = (0..concurrency)
        .map(|_| tokio::spawn(work(contender.clone(), operation, Arc::clone(&queue), until)))
        .collect();
    let mut done = Batch::new();
    for worker in workers {
        let own = worker.await?;
        done.latencies.extend(own.latencies);
        done.items.extend(own.items);
        done.errors.extend(own.errors);
    }
    done.wall = begun.elapsed();
    done.left.extend(queue.lock().unwrap_or_else(PoisonError::into_inner).by_ref());
    Ok(done)
}

async fn work<C: Contender>(
    contender: C,
    operation: Operation,
    queue: Arc<Mutex<std::vec::IntoIter<C::Item>>>,
    until: Option<Instant>,
) -> Batch<C::Item> {
    let next = || {
        let is_late = until.is_some_and(|until| Instant::now() >= until);
        let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
        if is_late { None } else { queue.next() }
    };
    let mut done = Batch::new();
    while let Some(mut item) = next() {
        let begun = Instant::now();
        match contender.run(operation, &mut item).await {
            Ok(()) => {
                done.latencies.push(begun.elapsed());
                done.items.push(item);
            }
            Err(error) => done.errors.push(format!("{error:#}")),
        }
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does everything at once.
    #[derive(Clone)]
    struct Steady;

    impl Contender for Steady {
        type Item = usize;

        async fn run(&self, _operation: Operation, _item: &mut usize) -> Result<()> {
            Ok(())
        }

        async fn settle(&self) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_not_begun_in_time_is_left_and_not_counted() {
        for (within, begun) in [(None, 50), (Some(Duration::MAX), 50), (Some(Duration::ZERO), 0)] {
            let items = (0..50).collect();
            let done = batch(&Steady, Operation::Initiate, items, 2, within).await.unwrap();
            assert_eq!((done.items.len(), done.latencies.len()), (begun, begun), "{within:?}");
            let mut all: Vec<usize> = done.items.into_iter().chain(done.left).collect();
            all.sort_unstable();
            assert_eq!(all, (0..50).collect::<Vec<_>>());
        }
    }
}
