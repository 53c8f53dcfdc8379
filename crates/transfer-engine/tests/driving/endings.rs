//! A database that fails at the very end: what became of a commit is looked up, and a caller is
//! told of success, of failure, or that nobody knows.

use crate::bench::options;
use crate::keeper::Keeper;
use crate::scene::{Ask, OPERATIONS, Scene};
use cinder_db::Passage;
use simulator::faults::Action;
use std::time::{Duration, Instant};
use transfer_core::Operation;
use transfer_engine::{Options, TransferError};

/// A claim and the record of its shell come before the end.
const BEFORE: [Passage; 2] = [Passage::Free; 2];

/// Carries the operation out on a database of which the ends come to this.
async fn ends(
    scene: &Scene,
    options: Options,
    ends: &[Passage],
    last: Passage,
) -> Result<(), TransferError> {
    let keeper = Keeper::new(&[&BEFORE, ends].concat(), last);
    let store = scene.bench.store.with_turnstile(keeper);
    let engine = scene.bench.another_engine_on(&store, options);
    let outcome = scene.run_on(&engine).await;
    assert!(engine.shut_down(crate::bench::SOON).await);
    outcome
}

#[tokio::test]
async fn a_commit_whose_reply_was_lost_is_found() {
    for operation in OPERATIONS {
        let scene = Scene::new(operation).await;
        ends(&scene, options(), &[Passage::ReplyLost], Passage::Free).await.unwrap();
        scene.done().await;
    }
}

#[tokio::test]
async fn a_commit_that_did_not_happen_is_made_impossible_before_it_is_told() {
    for operation in OPERATIONS {
        let scene = Scene::new(operation).await;
        let failed = ends(&scene, options(), &[Passage::NoCommit], Passage::Free).await;
        assert!(matches!(failed, Err(TransferError::Database(_))), "{operation}: {failed:?}");
        scene.undone().await;
    }
}

#[tokio::test]
async fn what_nobody_can_find_out_is_in_doubt_after_pauses_that_double() {
    let pause = Duration::from_millis(8);
    for last in [Passage::NoBegin, Passage::NoCommit] {
        let hasty = Options { pause, lease: Duration::ZERO, ..options() };
        let scene = Scene::new(Operation::Accept).await;
        let begun = Instant::now();
        let doubtful = ends(&scene, hasty, &[Passage::NoCommit], last).await;
        assert!(matches!(doubtful, Err(TransferError::InDoubt)), "{doubtful:?}");
        assert!(begun.elapsed() >= pause * (1 + 2 + 4 + 8 + 16));
        scene.undone().await;
    }
}

#[tokio::test]
async fn an_abort_that_failed_is_left_to_recovery_and_nothing_is_in_doubt() {
    for end in [Passage::NoBegin, Passage::NoCommit, Passage::ReplyLost] {
        let scene = Scene::new(Operation::Accept).await;
        scene.fault(Ask::Fill, Action::Answer { status: 403, retry_after: None });
        let hasty = Options { lease: Duration::ZERO, ..options() };
        let failed = ends(&scene, hasty, &[end], Passage::Free).await;
        assert!(matches!(failed, Err(TransferError::Database(_))), "{end:?}: {failed:?}");
        let left = scene.bench.store.claims().await.unwrap().len();
        assert_eq!(left, usize::from(end != Passage::ReplyLost), "{end:?}");
        scene.undone().await;
    }
}
