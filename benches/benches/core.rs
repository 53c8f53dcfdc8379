//! What the protocol itself costs: one acceptance from claim to commit, with 1, 3 and 16 keys.
//!
//! Every state is written to journal text and read back, as a driver that persists before it acts
//! and restarts at every step would; so this is the most that the state machine and its journal
//! can add to a hand-over. It grows faster than the number of keys: each step writes the row of all
//! of them. Database, key manager and network are not in it.

use criterion::{BenchmarkId, Criterion, Throughput};
use std::hint::black_box;
use transfer_core::{Debt, Effect, Event, HandOver, Operation, Parties, Pending, SecretId};

/// A UUID's text, as OpenStack's ids are.
fn uuid(kind: u32, number: usize) -> String {
    format!("{kind:08x}-5f0b-4f3e-8a44-{number:012x}")
}

fn claim(keys: &[SecretId]) -> HandOver {
    HandOver::claim(
        uuid(1, 0).as_str().into(),
        Operation::Accept,
        uuid(2, 0).as_str().into(),
        uuid(3, 0).as_str().into(),
        Parties {
            donor: "f0c1a2b3c4d5e6f708192a3b4c5d6e7f".into(),
            caller: "0a1b2c3d4e5f60718293a4b5c6d7e8f9".into(),
            user: "9e8d7c6b5a49382716050f1e2d3c4b5a".into(),
        },
        keys.iter().cloned(),
    )
}

/// Does what is pending until nothing is, every state by way of its journal text.
fn drive(keys: &[SecretId]) -> Vec<Debt> {
    let mut state = claim(keys);
    let mut made = 0;
    loop {
        let events = match state.pending() {
            Pending::Effects(effects) => effects
                .into_iter()
                .map(|effect| match effect {
                    Effect::CreateShell { like, .. } => {
                        made += 1;
                        Event::ShellCreated { old: like, shell: SecretId::new(uuid(5, made)) }
                    }
                    Effect::Fill { from, .. } => Event::Filled { old: from },
                })
                .collect(),
            Pending::Commit => vec![Event::Committed],
            Pending::Abort => vec![Event::Aborted],
            Pending::Rest => return state.debts(),
        };
        for event in events {
            state.apply(event).expect("what is pending may happen");
            let row = state.to_journal().expect("every state can be written");
            state = HandOver::from_journal(black_box(&row)).expect("what was written loads");
        }
    }
}

pub(crate) fn benches(criterion: &mut Criterion) {
    steps(criterion);
    let mut group = criterion.benchmark_group("core");
    for count in [1, 3, 16] {
        let keys: Vec<SecretId> = (0..count).map(|n| SecretId::new(uuid(4, n))).collect();
        assert_eq!(drive(&keys).len(), count, "every old secret is owed after the commit");
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(
            BenchmarkId::new("accept of so many keys", count),
            &keys,
            |bencher, keys| {
                bencher.iter(|| drive(black_box(keys)));
            },
        );
    }
    group.finish();
}

/// One step, and the text of a state with three keys, written and read.
fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core");
    let keys: Vec<SecretId> = (0..3).map(|n| SecretId::new(uuid(4, n))).collect();
    let claimed = claim(&keys);
    let created = Event::ShellCreated { old: keys[0].clone(), shell: SecretId::new(uuid(5, 1)) };
    group.bench_function("step", |bencher| {
        bencher.iter_batched(
            || (claimed.clone(), created.clone()),
            |(mut state, event)| state.apply(event),
            criterion::BatchSize::SmallInput,
        );
    });
    let row = claimed.to_journal().expect("every state can be written");
    group.bench_function("journal encode", |bencher| bencher.iter(|| claimed.to_journal()));
    group.bench_function("journal decode", |bencher| {
        bencher.iter(|| HandOver::from_journal(black_box(&row)));
    });
    group.finish();
}
