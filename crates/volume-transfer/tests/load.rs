//! The checks of `cargo xtask bulk`, `overload` and `audit-growth`, as small as tests can bear.

use std::path::Path;
use transfer_load::{audit, bulk, overload};

const PROGRAM: &str = env!("CARGO_BIN_EXE_volume-transfer");

/// With a seed at which a resumed run once looked for a volume while its accept got through, and
/// took it for nobody's.
const SEED: u64 = 12_099_176_387_400_488_643;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bulk_that_is_killed_at_random_moments_brings_every_volume_once() {
    let plan = bulk::Plan { volumes: 60, snapshots: 2, kills: 2, jobs: 8, seed: Some(SEED) };
    let report = bulk::run(&plan, Path::new(PROGRAM)).await.expect("it is run");
    assert_eq!(report.findings, [] as [&str; 0], "{report:?}");
    assert_eq!((report.volumes, report.snapshots), (60, 120));
    assert!(report.kills > 0, "{report:?}");
}

/// A turn does not come within ten seconds to those behind the first two times 64.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_clients_than_a_slow_barbican_can_serve_are_served_afterwards() {
    let plan = overload::Plan { clients: 160, delay_ms: 3_000 };
    let report = overload::run(&plan, Path::new(PROGRAM)).await.expect("it is run");
    assert_eq!(report.findings, [] as [&str; 0], "{report:?}");
    let slow: Vec<u16> = report.slow.values().flat_map(|told| told.keys().copied()).collect();
    assert!(slow.contains(&202) && slow.contains(&503), "{report:?}");
    let served: usize = [&report.slow, &report.quick]
        .into_iter()
        .flat_map(|phase| phase.values().filter_map(|told| told.get(&202)))
        .sum();
    assert_eq!(served, plan.clients);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_of_many_volumes_finds_what_is_planted_and_holds_little() {
    let plan = audit::Plan { volumes: 3_000, encrypted: 8 };
    let report = audit::run(&plan, Path::new(PROGRAM)).await.expect("it is run");
    assert_eq!(report.findings, [] as [&str; 0], "{report:?}");
    assert_eq!((report.volumes, report.planted), (3_008, 11));
    assert!(report.clean.peak_mib > 1.0, "{report:?}");
}
