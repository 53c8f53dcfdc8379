//! A driver that outstays its lease: others take its claim back, and it changes nothing any more.

use crate::bench::{Bench, SOON, options, together};
use crate::scene::{Ask, OPERATIONS, Scene};
use simulator::faults::{Action, Early};
use std::time::Duration;
use transfer_core::{Operation, invariants::OfferFate};
use transfer_engine::{Options, TransferError};

/// A lease that is over as soon as it has begun.
fn hasty() -> Options {
    Options { lease: Duration::ZERO, ..options() }
}

#[tokio::test]
async fn a_driver_that_was_taken_over_changes_nothing_when_it_comes_back() {
    for operation in OPERATIONS {
        for (ask, action) in [
            (Ask::Metadata, Action::HoldBefore),
            (Ask::Payload, Action::HoldBefore),
            // The shell comes to be after the recovery has swept: only its driver knows of it.
            (Ask::Shell, Action::HoldBefore),
            (Ask::Shell, Action::HoldAfter),
            (Ask::Fill, Action::HoldBefore),
            (Ask::Fill, Action::HoldAfter),
        ] {
            let scene = Scene::with(operation, hasty()).await;
            let held = scene.fault(ask, action);
            let take_over = async {
                held.reached().await;
                let recovered = scene.bench.another_engine(options()).recover().await.unwrap();
                assert_eq!(recovered.taken_over, 1, "{operation} {ask:?}");
                held.release();
            };
            let failed = together(scene.run(), take_over).await;
            assert!(
                matches!(failed, Err(TransferError::TakenOver)),
                "{operation} {ask:?} {action:?}: {failed:?}"
            );
            scene.undone().await;
        }
    }
}

#[tokio::test]
async fn an_accept_that_comes_back_finds_the_offer_cancelled() {
    for (ask, action) in [(Ask::Shell, Action::HoldAfter), (Ask::Fill, Action::HoldAfter)] {
        let scene = Scene::with(Operation::Accept, hasty()).await;
        let held = scene.fault(ask, action);
        let cancel = async {
            held.reached().await;
            // The next operation on the volume takes the claim over; nobody had to recover it.
            scene.cancel_on(&scene.bench.another_engine(options())).await.unwrap();
            held.release();
        };
        let failed = together(scene.run(), cancel).await;
        assert!(matches!(failed, Err(TransferError::TakenOver)), "{ask:?}: {failed:?}");
        assert!(scene.bench.engine.shut_down(SOON).await);
        scene.bench.everybody_pays().await;
        let after = scene.bench.at_rest().await;
        assert_eq!(after.offers[0].fate, OfferFate::Cancelled);
        assert_eq!(after.volumes[0].row.project, scene.bench.x.project);
        assert_eq!(after.secrets.len(), 1, "{ask:?}");
        assert_eq!(after.debts, []);
    }
}

/// One key's shell is in doubt and lands after the sweep, while the driver is held at another key.
#[tokio::test]
async fn a_driver_that_was_taken_over_has_its_doubtful_shells_swept_once_more() {
    for operation in OPERATIONS {
        let scene = Scene::on(Bench::with_three_keys(hasty()).await, operation).await;
        let late = scene.fault(Ask::Shell, Action::Late(Early::Unavailable));
        let faults = scene.bench.simulator.faults();
        let held = faults.add(scene.rule(Ask::Shell, Action::HoldAfter).nth(3));
        let take_over = async {
            late.reached().await;
            held.reached().await;
            let recovered = scene.bench.another_engine(options()).recover().await.unwrap();
            assert_eq!(recovered.taken_over, 1);
            scene.bench.everybody_pays_what_can_be_paid().await;
            let swept = scene.bench.world().await.secrets.len();
            late.release();
            while scene.bench.world().await.secrets.len() == swept {
                tokio::task::yield_now().await;
            }
            held.release();
        };
        let failed = together(scene.run(), take_over).await;
        assert!(matches!(failed, Err(TransferError::TakenOver)), "{operation}: {failed:?}");
        scene.undone().await;
    }
}

#[tokio::test]
async fn a_database_that_goes_away_before_the_commit_leaves_the_rows_as_they_were() {
    for operation in OPERATIONS {
        for ask in [Ask::Shell, Ask::Fill] {
            let scene = Scene::with(operation, hasty()).await;
            let next = scene.bench.another_store().await;
            let held = scene.fault(ask, Action::HoldAfter);
            let close = async {
                held.reached().await;
                scene.bench.store.close().await;
                held.release();
            };
            let failed = together(scene.run(), close).await;
            assert!(matches!(failed, Err(TransferError::Database(_))), "{operation}: {failed:?}");
            scene.undone_on(next).await;
        }
    }
}

#[tokio::test]
async fn recovery_runs_at_once_and_stops_with_its_engine() {
    let scene = Scene::with(Operation::Initiate, hasty()).await;
    let held = scene.fault(Ask::Fill, Action::HoldBefore);
    let cleared = scene.fault(Ask::Clear, Action::HoldAfter);
    let recovery = async {
        held.reached().await;
        let engine = scene.bench.another_engine(options());
        engine.start_recovery();
        cleared.reached().await;
        cleared.release();
        assert!(engine.shut_down(SOON).await);
        held.release();
    };
    let failed = together(scene.run(), recovery).await;
    assert!(matches!(failed, Err(TransferError::TakenOver)), "{failed:?}");
    scene.undone().await;
}
