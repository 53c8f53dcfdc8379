//! Claim and commit on each database: SQLite, and the servers that variables name.
//!
//! `VOLUME_TRANSFER_BENCH_POSTGRESQL` and `VOLUME_TRANSFER_BENCH_MARIADB` are addresses of empty
//! databases, as `cinder.conf` would have them; one that is not named is left out.

use crate::stack::{Stack, runtime};
use cinder_db::{CancelClaim, Ended, InitiateClaim, SettledEnd};
use criterion::Criterion;
use std::time::{Duration, Instant};
use transfer_core::{Event, HandOver, HandOverId, SecretId, TransferId, VolumeId};

const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn benches(criterion: &mut Criterion) {
    on(criterion, "SQLite", None);
    for (name, variable) in [
        ("PostgreSQL", "VOLUME_TRANSFER_BENCH_POSTGRESQL"),
        ("MariaDB", "VOLUME_TRANSFER_BENCH_MARIADB"),
    ] {
        match std::env::var(variable) {
            Ok(url) => on(criterion, name, Some(&url)),
            Err(_unset) => eprintln!("store, {name}: left out, {variable} names no database"),
        }
    }
}

fn on(criterion: &mut Criterion, name: &str, url: Option<&str>) {
    let runtime = runtime();
    let (stack, volume) = runtime.block_on(async {
        let stack = Stack::new(url).await;
        let volume = stack.volume(true).await;
        (stack, volume)
    });
    let mut group = criterion.benchmark_group(format!("store, {name}"));
    for (what, claims) in [("claim", true), ("commit", false)] {
        group.bench_function(what, |bencher| {
            bencher.to_async(&runtime).iter_custom(|rounds| {
                let (stack, volume) = (&stack, &volume);
                async move {
                    let mut spent = Duration::ZERO;
                    for _ in 0..rounds {
                        let (claiming, committing) = offer_and_cancel(stack, volume).await;
                        spent += if claims { claiming } else { committing };
                    }
                    spent
                }
            });
        });
    }
    group.finish();
}

/// How long the claim of the offer took, and its commit.
async fn offer_and_cancel(stack: &Stack, volume: &VolumeId) -> (Duration, Duration) {
    let (store, donor) = (&stack.store, &stack.donor);
    let caller = cinder_db::Caller {
        project: donor.project.clone(),
        user: donor.user.clone(),
        is_admin: false,
    };
    let transfer_id = TransferId::new(new_id());
    let claim = InitiateClaim {
        hand_over_id: HandOverId::new(new_id()),
        transfer_id: transfer_id.clone(),
        volume: volume.clone(),
        caller: caller.clone(),
        name: None,
        no_snapshots: false,
        encrypted_allowed: true,
        expire_after: None,
        lengths: cinder_db::Lengths::default(),
        lease: LEASE,
    };
    let begun = Instant::now();
    let offered = store.claim_initiate(&claim).await.expect("claimed");
    let claiming = begun.elapsed();
    let copied = copied(offered.hand_over.into_inner());
    let begun = Instant::now();
    let ended = store.commit(copied).await.expect("committed");
    let committing = begun.elapsed();
    store.settle_ends(&[settled(&ended)]).await.expect("forgotten");
    let hand_over_id = HandOverId::new(new_id());
    let back = CancelClaim { hand_over_id, transfer: transfer_id, caller, lease: LEASE };
    let back = self::copied(store.claim_cancel(&back).await.expect("claimed").into_inner());
    let ended = store.commit(back).await.expect("committed");
    store.settle_ends(&[settled(&ended)]).await.expect("forgotten");
    (claiming, committing)
}

fn settled(ended: &Ended) -> SettledEnd {
    SettledEnd { hand_over: ended.hand_over.id().clone(), debts: Vec::new() }
}

/// As if all keys had been copied.
fn copied(mut hand_over: HandOver) -> HandOver {
    for key in hand_over.keys().to_vec() {
        let shell = SecretId::new(new_id());
        hand_over.apply(Event::ShellCreated { old: key.old.clone(), shell }).expect("a shell");
        hand_over.apply(Event::Filled { old: key.old }).expect("filled");
    }
    hand_over
}

fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
