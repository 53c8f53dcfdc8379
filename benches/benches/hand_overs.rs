//! Whole hand-overs: one of each kind, and many volumes, so many at a time.

use crate::stack::{Stack, offer, runtime};
use criterion::{BenchmarkId, Criterion, Throughput};
use futures::stream::{self, StreamExt as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use transfer_core::VolumeId;
use transfer_engine::{Caller, Offered};

/// Hand-overs at once in a bulk.
const AT_ONCE: usize = 16;

pub(crate) fn benches(criterion: &mut Criterion) {
    one(criterion);
    bulk(criterion);
}

/// The three operations, timed apart; what a round offers it accepts or takes back.
fn one(criterion: &mut Criterion) {
    let runtime = runtime();
    let mut group = criterion.benchmark_group("one hand-over");
    for (kind, encrypted) in [("encrypted", true), ("plain", false)] {
        let (stack, volume) = runtime.block_on(async {
            let stack = Stack::new(None).await;
            let volume = stack.volume(encrypted).await;
            (stack, volume)
        });
        for operation in ["initiate", "accept", "cancel"] {
            group.bench_function(BenchmarkId::new(operation, kind), |bencher| {
                bencher.to_async(&runtime).iter_custom(|rounds| {
                    let (stack, volume) = (&stack, &volume);
                    async move {
                        let mut spent = Duration::ZERO;
                        for _ in 0..rounds {
                            spent += round(stack, volume, operation).await;
                        }
                        spent
                    }
                });
            });
        }
    }
    group.finish();
}

async fn round(stack: &Stack, volume: &VolumeId, timed: &str) -> Duration {
    let (donor, recipient) = (&stack.donor, &stack.recipient);
    let (offered, initiating) = initiate(stack, donor, volume).await;
    match timed {
        "accept" => {
            let accepting = accept(stack, recipient, offered).await;
            let (offered, _) = initiate(stack, recipient, volume).await;
            accept(stack, donor, offered).await;
            accepting
        }
        _ => {
            let begun = Instant::now();
            stack.engine.cancel(donor.clone(), offered.transfer).await.expect("cancelled");
            if timed == "cancel" { begun.elapsed() } else { initiating }
        }
    }
}

async fn initiate(stack: &Stack, by: &Caller, volume: &VolumeId) -> (Offered, Duration) {
    let begun = Instant::now();
    let offered = stack.engine.initiate(by.clone(), offer(volume)).await.expect("offered");
    (offered, begun.elapsed())
}

async fn accept(stack: &Stack, by: &Caller, offered: Offered) -> Duration {
    let begun = Instant::now();
    let accepted = stack.engine.accept(by.clone(), offered.transfer, offered.auth_key).await;
    accepted.expect("accepted");
    begun.elapsed()
}

/// All volumes of a project, offered and accepted.
fn bulk(criterion: &mut Criterion) {
    let runtime = runtime();
    let sizes: &[usize] = if crate::is_quick() { &[100] } else { &[100, 1_000, 10_000] };
    let mut group = criterion.benchmark_group("bulk");
    group.sample_size(10);
    for size in sizes {
        group.throughput(Throughput::Elements(*size as u64));
        let (stack, volumes) = runtime.block_on(async {
            let stack = Stack::new(None).await;
            let mut volumes = Vec::new();
            for _ in 0..*size {
                volumes.push(stack.volume(true).await);
            }
            (stack, volumes)
        });
        // There and back again, so that each round finds them all on one side.
        let is_back = AtomicBool::new(true);
        group.bench_function(BenchmarkId::new("volumes", size), |bencher| {
            bencher.to_async(&runtime).iter(|| async {
                let (mut from, mut to) = (&stack.donor, &stack.recipient);
                if !is_back.fetch_not(Ordering::Relaxed) {
                    (from, to) = (to, from);
                }
                move_all(&stack, &volumes, from, to).await;
            });
        });
    }
    group.finish();
}

async fn move_all(stack: &Stack, volumes: &[VolumeId], from: &Caller, to: &Caller) {
    let moved = stream::iter(volumes).map(|volume| async move {
        let (offered, _) = initiate(stack, from, volume).await;
        accept(stack, to, offered).await
    });
    moved.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
}
