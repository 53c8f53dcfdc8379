//! The store of `cinder-db` against the model's: random walks of the model, step for step on a
//! real database, must lead to the same rows, offers, hand-overs, debts and quotas.
//!
//! The model says what happens next, faults and crashes included; [`Mirror`] does the same on the
//! database, where every name is a fresh one, and the worlds of both are compared. What the model
//! does not let happen, a claim in vain, a late commit that will not get through, or the payment
//! of a debt whose secret is in use, is tried on the database and must be refused there.

mod compare;
mod mirror;

use crate::Setting;
use crate::action::Action;
use crate::world::State;
use mirror::Mirror;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRng, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Steps of one walk.
const STEPS: std::ops::Range<usize> = 40..140;

/// Both stores along one walk, up to the first difference.
async fn walk(choices: &[u16], visited: &RefCell<BTreeSet<(usize, usize)>>) -> Result<(), String> {
    let setting = Setting::everything(3, 3).unreduced();
    let mut state = setting.start_state();
    let mut mirror = Mirror::new().await;
    let mut gone: Vec<Action> = Vec::new();
    for choice in choices {
        let mut actions = Vec::new();
        setting.actions(&state, &mut actions);
        if actions.is_empty() {
            break;
        }
        let action = choose(&actions, usize::from(*choice));
        let next = setting.step(&state, action);
        gone.push(action);
        visited.borrow_mut().insert(action.visit());
        let differ = |what: String| {
            let steps: Vec<String> = gone.iter().map(|action| format!("{action:?}")).collect();
            format!("{what}\nafter\n{}", steps.join("\n"))
        };
        mirror.follow(&setting, &state, action, &next).await.map_err(differ)?;
        mirror.try_in_vain(&setting, &next, usize::from(*choice)).await.map_err(differ)?;
        mirror.compare(&next).await.map_err(differ)?;
        state = next;
    }
    Ok(())
}

/// One of the actions; mostly one by which somebody gets on.
fn choose(actions: &[Action], choice: usize) -> Action {
    let disturbs = |action: &Action| {
        let takes_over = matches!(action, Action::TakeOver { .. });
        takes_over || action.fault().is_some_and(|fault| fault != "lands late")
    };
    let calm: Vec<Action> = actions.iter().filter(|action| !disturbs(action)).copied().collect();
    let (choice, often) = (choice / 16, !choice.is_multiple_of(16));
    let among = if often && !calm.is_empty() { &calm } else { actions };
    among[choice % among.len()]
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), STEPS)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn the_store_follows_the_model() {
    let config = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(config.rng_algorithm));
    let (runtime, visited) = (runtime(), RefCell::default());
    let outcome = runner.run(&choices(), |choices| {
        runtime.block_on(walk(&choices, &visited)).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, _)) => panic!("{why}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
    // The walks are worth something only if they get around.
    let seen = visited.into_inner();
    let steps: BTreeSet<usize> = seen.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, (0..12).collect(), "every step of the protocol was taken: {seen:?}");
    assert!(seen.len() >= 24, "with what can become of it: {seen:?}");
}

/// Whether `tamper` can be told apart at some moment of an offer that nothing disturbs.
async fn is_noticed(tamper: &str) -> bool {
    let setting = Setting::everything(0, 0).unreduced();
    let mut state: State = setting.start_state();
    let mut mirror = Mirror::new().await;
    for _ in 0..12 {
        let mut actions = Vec::new();
        setting.actions(&state, &mut actions);
        let next = setting.step(&state, actions[0]);
        mirror.follow(&setting, &state, actions[0], &next).await.unwrap();
        mirror.compare(&next).await.unwrap();
        state = next;
        mirror.sql(tamper).await;
        if mirror.compare(&state).await.is_err() {
            return true;
        }
    }
    false
}

#[test]
fn a_store_that_does_anything_else_is_noticed() {
    let runtime = runtime();
    for tamper in [
        "UPDATE snapshots SET encryption_key_id = 'other' WHERE id = 'snapshot-2'",
        "UPDATE volumes SET project_id = 'Y' WHERE id = 'another-volume'",
        "UPDATE volumes SET status = 'error' WHERE id = 'volume'",
        "UPDATE quota_usages SET reserved = reserved + 1 WHERE resource = 'volumes'",
        "UPDATE transfers SET deleted = 1",
        "DELETE FROM volume_transfer_hand_overs",
        "DELETE FROM volume_transfer_debts",
    ] {
        assert!(runtime.block_on(is_noticed(tamper)), "{tamper}");
    }
    assert!(!runtime.block_on(is_noticed("SELECT 1")));
}
