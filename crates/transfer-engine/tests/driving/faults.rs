//! What an operation makes of failures: lost, garbled and cut replies, outages, refusals.

use crate::bench::{Bench, SOON, options, together};
use crate::scene::{Ask, COPYING, OPERATIONS, Scene};
use futures::FutureExt as _;
use simulator::faults::{Action, Early};
use std::time::Duration;
use transfer_core::{Operation, Step};
use transfer_engine::{Options, TransferError};

const HOUR: Duration = Duration::from_secs(3600);

const fn answer(status: u16) -> Action {
    Action::Answer { status, retry_after: None }
}

async fn a_single_unknown_outcome_is_tried_again(operation: Operation) {
    for action in [
        Action::DropBefore,
        Action::DropAfter,
        Action::Cut,
        Action::Garbage,
        answer(500),
        answer(503),
        answer(408),
        Action::Answer { status: 429, retry_after: Some(0) },
    ] {
        for ask in COPYING.into_iter().chain([Ask::Delete]) {
            let scene = Scene::new(operation).await;
            let fault = scene.fault(ask, action);
            let outcome = scene.run().await;
            assert!(outcome.is_ok(), "{action:?} at {ask:?}: {outcome:?}");
            // The delete comes after the answer.
            assert!(scene.bench.engine.shut_down(SOON).await);
            assert!(fault.reached().now_or_never().is_some(), "{action:?} at {ask:?}: not asked");
            scene.done().await;
        }
    }
}

#[tokio::test]
async fn a_single_unknown_outcome_of_an_initiate_is_tried_again() {
    a_single_unknown_outcome_is_tried_again(Operation::Initiate).await;
}

#[tokio::test]
async fn a_single_unknown_outcome_of_an_accept_is_tried_again() {
    a_single_unknown_outcome_is_tried_again(Operation::Accept).await;
}

#[tokio::test]
async fn a_single_unknown_outcome_of_a_cancel_is_tried_again() {
    a_single_unknown_outcome_is_tried_again(Operation::Cancel).await;
}

#[tokio::test]
async fn a_fill_whose_reply_was_lost_is_read_back_however_often_that_takes() {
    for operation in OPERATIONS {
        for action in [Action::DropAfter, Action::Cut, answer(503)] {
            let scene = Scene::new(operation).await;
            scene.fault(Ask::Fill, Action::DropAfter);
            scene.fault(Ask::ReadBack, action);
            scene.run().await.unwrap();
            assert_eq!((scene.asked(Ask::Fill), scene.asked(Ask::ReadBack)), (3, 2));
            assert_eq!(scene.asked(Ask::Payload), 1, "the key is read from its owner once");
            scene.done().await;
        }
    }
}

#[tokio::test]
async fn a_shell_that_comes_to_be_after_all_is_swept() {
    for operation in OPERATIONS {
        for early in [Early::Unavailable, Early::Drop] {
            let scene = Scene::new(operation).await;
            let late = scene.fault(Ask::Shell, Action::Late(early));
            let fill = scene.fault(Ask::Fill, Action::HoldBefore);
            let land = async {
                fill.reached().await;
                late.release();
                // Its effect is had at once; the fill waits for it.
                while scene.bench.world().await.secrets.len() < scene.before.secrets.len() + 2 {
                    tokio::task::yield_now().await;
                }
                fill.release();
            };
            let outcome = together(scene.run(), land).await;
            outcome.unwrap();
            scene.done().await;
        }
    }
}

#[tokio::test]
async fn a_refusal_at_any_step_is_told_and_changes_nothing() {
    for operation in OPERATIONS {
        for ask in COPYING {
            let scene = Scene::new(operation).await;
            // A failed read ahead is judged when the shell is to be filled, so it is made again.
            let rule = scene.rule(ask, answer(403)).standing();
            scene.bench.simulator.faults().add(rule);
            match scene.run().await {
                Err(TransferError::Refused { refusal, step }) => {
                    assert_eq!(refusal.status, 403);
                    assert!(refusal.message.contains("not allowed"), "{refusal}");
                    let fill = [Ask::Fill, Ask::Payload].contains(&ask);
                    assert_eq!(step, if fill { Step::Fill } else { Step::CreateShell });
                }
                other => panic!("{operation} {ask:?}: {other:?}"),
            }
            scene.undone().await;
        }
    }
}

#[tokio::test]
async fn a_refusal_is_told_at_once_although_another_outcome_is_unknown() {
    let bench = Bench::with_three_keys(Options { patience: 2 * HOUR, ..options() }).await;
    let scene = Scene::on(bench, Operation::Accept).await;
    scene.fault(Ask::Shell, Action::Answer { status: 503, retry_after: Some(3600) });
    let faults = scene.bench.simulator.faults();
    faults.add(scene.rule(Ask::Shell, answer(403)).nth(2));
    let failed = together(scene.run(), async {}).await;
    assert!(matches!(failed, Err(TransferError::Refused { .. })), "{failed:?}");
    scene.undone().await;
}

#[tokio::test]
async fn a_shell_that_cannot_be_deleted_is_a_debt_of_its_receiver() {
    for operation in [Operation::Accept, Operation::Cancel] {
        let scene = Scene::new(operation).await;
        scene.fault(Ask::Fill, answer(403));
        scene.fault(Ask::Clear, answer(403));
        assert!(matches!(scene.run().await, Err(TransferError::Refused { .. })));
        assert!(scene.bench.engine.shut_down(SOON).await);
        let counts = scene.bench.store.counts().await.unwrap();
        assert_eq!((counts.claims, counts.project_debts, counts.service_debts), (0, 1, 0));
        scene.undone().await;
    }
}

#[tokio::test]
async fn patience_ends_and_nothing_has_changed() {
    for operation in OPERATIONS {
        for action in [answer(503), Action::DropBefore, Action::DropAfter, Action::Garbage] {
            // A garbled payload contradicts its metadata the same way twice: it is believed.
            let asks = COPYING.into_iter().filter(|ask| (*ask, action) != GARBLED_TWICE);
            // A PUT has no body to garble, and one that landed is read back.
            for ask in asks.filter(|ask| *ask != Ask::Fill || action != Action::Garbage) {
                if ask == Ask::Fill && action == Action::DropAfter {
                    continue;
                }
                let patience = Duration::from_millis(5);
                let scene = Scene::with(operation, Options { patience, ..options() }).await;
                scene.bench.simulator.faults().add(scene.rule(ask, action).standing());
                let failed = scene.run().await;
                assert!(
                    matches!(failed, Err(TransferError::Unavailable { .. })),
                    "{operation} {ask:?} {action:?}: {failed:?}"
                );
                scene.undone().await;
            }
        }
    }
}

#[tokio::test]
async fn the_pause_between_two_tries_doubles() {
    let (pause, patience) = (Duration::from_millis(1), Duration::from_millis(256));
    let scene = Scene::with(Operation::Accept, Options { pause, patience, ..options() }).await;
    scene.bench.simulator.faults().add(scene.rule(Ask::Shell, answer(503)).standing());
    let failed = scene.run().await;
    assert!(matches!(failed, Err(TransferError::Unavailable { .. })), "{failed:?}");
    let asked = scene.asked(Ask::Shell);
    assert!((2..=9).contains(&asked), "after 1, 2, 4 ... 128 ms at most, but {asked} times");
    scene.undone().await;
}

/// What nobody can tell from a key whose metadata was wrong from the start.
const GARBLED_TWICE: (Ask, Action) = (Ask::Payload, Action::Garbage);

#[tokio::test]
async fn a_service_that_asks_to_be_left_alone_is_left_alone() {
    let scene = Scene::new(Operation::Accept).await;
    let hour = Action::Answer { status: 429, retry_after: Some(3600) };
    scene.fault(Ask::Shell, hour);
    let failed = scene.run().await;
    assert!(matches!(failed, Err(TransferError::Unavailable { .. })), "{failed:?}");
    assert_eq!(scene.asked(Ask::Shell), 1, "an hour is more than the patience");
    scene.undone().await;
}

#[tokio::test]
async fn a_shell_that_holds_other_bytes_is_not_taken_for_the_key() {
    let scene = Scene::new(Operation::Initiate).await;
    let fill = scene.fault(Ask::Fill, Action::HoldBefore);
    let interfere = async {
        fill.reached().await;
        scene.bench.fill_the_shell_with_something_else().await;
        fill.release();
    };
    let failed = together(scene.run(), interfere).await;
    match failed {
        Err(TransferError::Refused { refusal, step: Step::Fill }) => {
            assert!(refusal.message.contains("other data"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    scene.undone().await;
}

#[tokio::test]
async fn a_key_whose_metadata_is_wrong_is_copied_as_it_is() {
    let bench = Bench::with_key_of(options(), "c2hvcnQ=").await;
    bench.initiate().await.unwrap();
    assert_eq!(bench.at_rest().await.secrets.len(), 1);
}

#[tokio::test]
async fn keys_that_somebody_else_changed_meanwhile_are_left_as_they_are() {
    for operation in OPERATIONS {
        let scene = Scene::new(operation).await;
        let fill = scene.fault(Ask::Fill, Action::HoldBefore);
        let other = "33333333-3333-4333-8333-333333333333";
        let interfere = async {
            fill.reached().await;
            let rekey = format!("UPDATE volumes SET encryption_key_id = '{other}'");
            scene.bench.sql(&rekey).await;
            fill.release();
        };
        let failed = together(scene.run(), interfere).await;
        assert!(matches!(failed, Err(TransferError::Conflict)), "{operation}: {failed:?}");
        let after = scene.bench.world().await;
        assert_eq!(after.volumes[0].row.key, Some(other.into()));
        let old = scene.before.volumes[0].row.key.as_ref().unwrap();
        scene.bench.sql(&format!("UPDATE volumes SET encryption_key_id = '{old}'")).await;
        scene.undone().await;
    }
}
