//! A key manager that is too slow for those who ask: some are served, the others are told to come
//! again, and afterwards everything is as if they had come one after another.

use crate::bench::{Bench, options};
use cinder_db::{NewVolume, QuotaLimits};
use futures::future::join_all;
use simulator::Service;
use simulator::faults::{Action, Rule};
use std::collections::BTreeMap;
use std::time::Duration;
use transfer_core::{SecretId, VolumeId};
use transfer_engine::{Offer, Options, TransferError};

/// Callers at the same moment.
const CALLERS: usize = 200;
/// How long the key manager takes for each call.
const SLOW: Duration = Duration::from_millis(50);

async fn volume(bench: &Bench, number: usize) -> VolumeId {
    let id = VolumeId::new(format!("33333333-3333-4333-8333-{number:012}"));
    let new = NewVolume {
        id: id.clone(),
        project: bench.x.project.clone(),
        user: bench.x.user.clone(),
        size_gb: 1,
        status: "available".to_owned(),
        name: None,
        description: None,
        volume_type: None,
        key: Some(bench.key().await),
        snapshot_id: None,
        source_volume_id: None,
        availability_zone: None,
        metadata: BTreeMap::new(),
    };
    let limits = QuotaLimits {
        volumes: -1,
        gigabytes: -1,
        use_default_quota_class: false,
        ..QuotaLimits::default()
    };
    bench.store.create_volume(&new, &limits).await.unwrap();
    id
}

#[tokio::test]
async fn a_slow_key_manager_makes_some_wait_and_sends_the_rest_away() {
    let few = Options {
        hand_overs_at_once: 8,
        hand_overs_waiting: 40,
        longest_wait: Duration::from_millis(500),
        ..options()
    };
    let bench = Bench::with(few, true).await;
    let mut volumes = Vec::new();
    for number in 0..CALLERS {
        volumes.push(volume(&bench, number).await);
    }
    let before = bench.world().await;
    let delay = Rule::on(Service::Barbican, Action::Delay { from: SLOW, to: SLOW }).standing();
    let slow = bench.simulator.faults().add(delay);
    let initiate = |volume: &VolumeId| {
        let offer = Offer {
            volume: volume.clone(),
            name: None,
            no_snapshots: false,
            encrypted_allowed: true,
        };
        bench.engine.initiate(bench.x.clone(), offer)
    };
    let told = join_all(volumes.iter().map(initiate)).await;
    let mut again = Vec::new();
    for (volume, told) in volumes.iter().zip(told) {
        match told {
            Ok(_offered) => {}
            Err(TransferError::Busy) => again.push(volume.clone()),
            Err(other) => panic!("{volume}: {other}"),
        }
    }
    let served = CALLERS - again.len();
    assert!(served >= 8, "only {served} were served");
    assert!(again.len() >= CALLERS - 48, "{} waited, more than there is room for", served);
    bench.simulator.faults().remove(&slow);
    // Nothing of theirs has begun, so each can begin anew.
    while let Some(volume) = again.pop() {
        initiate(&volume).await.unwrap();
    }
    let world = bench.at_rest().await;
    assert_eq!(world.offers.len(), CALLERS);
    assert_eq!(world.secrets.len(), before.secrets.len(), "no copy stays");
    let named: Vec<SecretId> =
        world.volumes.iter().filter_map(|volume| volume.row.key.clone()).collect();
    assert_eq!(named.len(), CALLERS + 1);
}
