//! The crash matrix: the shipped server is killed, refused, failed and left without a reply at
//! every external step of initiate, accept and cancel.
//!
//! The steps are not a list in this file: a run without faults shows them, in the simulator's log.
//! The simulator holds the reply while the server is killed, so the server needs no crash switches.
//! Afterwards the server is started again, recovery runs, the users call once more, and the story
//! is told to its end: whatever was interrupted can be repeated, and nothing is left behind.
//!
//! On SQLite, or on the server that `VOLUME_TRANSFER_TEST_DATABASE` names; every case, or every
//! n-th of them as `VOLUME_TRANSFER_TEST_EVERY` says.

#![expect(clippy::print_stdout, reason = "the figures are what is wanted of these tests")]

mod crash_matrix {
    pub(crate) mod case;
    pub(crate) mod story;
}

use crash_matrix::case::{Case, Fault, Step};
use crash_matrix::story::{Keys, Story};
use futures::StreamExt as _;
use std::path::PathBuf;
use std::time::Duration;
use transfer_core::Operation;

/// Stages at work at the same time: they mostly wait for leases.
const LANES: usize = 12;

/// How long one case may take, its database made and removed; a case that hangs ended badly.
const PATIENCE: Duration = Duration::from_secs(240);

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_volume-transfer"))
}

/// Every step of every operation, seen in a run without faults.
async fn all_cases(keys: Keys) -> Vec<Case> {
    let mut cases = Vec::new();
    for operation in [Operation::Initiate, Operation::Accept, Operation::Cancel] {
        let steps = Story::begin(binary(), keys)
            .await
            .expect("a stage")
            .steps_of(operation)
            .await
            .unwrap_or_else(|error| panic!("{operation} without faults: {error:#}"));
        assert!(steps.len() >= 5, "{operation} has the steps {steps:?}");
        for step in steps {
            for fault in Fault::ALL {
                cases.push(Case { operation, keys, step: step.clone(), fault });
            }
        }
    }
    cases
}

async fn run_matrix(keys: Keys) {
    let cases: Vec<Case> =
        all_cases(keys).await.into_iter().step_by(test_database::every()).collect();
    let total = cases.len();
    let outcomes: Vec<(String, Result<(), String>)> = futures::stream::iter(cases)
        .map(|case| async move {
            // In a task of its own: one that stands still keeps no other from going on.
            let shown = case.to_string();
            let playing = async move { case.play(binary()).await.map_err(|e| format!("{e:#}")) };
            let outcome = match tokio::spawn(tokio::time::timeout(PATIENCE, playing)).await {
                Ok(Ok(outcome)) => outcome,
                Ok(Err(_)) => {
                    Err("the step is never reached, or nothing moves any more".to_owned())
                }
                Err(panicked) => Err(panicked.to_string()),
            };
            (shown, outcome)
        })
        .buffer_unordered(LANES)
        .collect()
        .await;
    let bad: Vec<String> = outcomes
        .into_iter()
        .filter_map(|(case, outcome)| outcome.err().map(|error| format!("{case}: {error}")))
        .collect();
    println!("crash matrix ({keys}): {total} cases, {} ended inconsistent", bad.len());
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_at_any_step_leaves_a_key_with_the_wrong_owner() {
    run_matrix(Keys::Shared).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_when_volume_and_snapshots_have_distinct_keys() {
    run_matrix(Keys::Distinct).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_matrix_notices_a_key_that_is_gone() {
    let story = Story::begin(binary(), Keys::Shared).await.expect("a stage");
    let error = story.lose_the_key().await.expect_err("a volume without its key is inconsistent");
    assert!(error.to_string().contains("referenced_key_is_live"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_sends_barbican_four_requests_or_five_and_keystone_none() {
    for operation in [Operation::Initiate, Operation::Accept, Operation::Cancel] {
        for is_known in [true, false] {
            let story = Story::begin(binary(), Keys::Shared).await.expect("a stage");
            let warm = story.warm_steps_of(operation, is_known).await;
            let steps: Vec<Step> = warm.expect("a warm run");
            let mut sent: Vec<String> = steps.iter().map(ToString::to_string).collect();
            sent.sort();
            let verbs: Vec<_> = sent.iter().map(|s| s.split(' ').nth(1).unwrap_or("")).collect();
            // What a key is has to be asked by whoever has not made it.
            let expected: &[_] = match is_known {
                true => &["DELETE", "GET", "POST", "PUT"],
                false => &["DELETE", "GET", "GET", "POST", "PUT"],
            };
            assert_eq!(verbs, expected, "{operation}, {is_known}: {sent:?}");
        }
    }
}
