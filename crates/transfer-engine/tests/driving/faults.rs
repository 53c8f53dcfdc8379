//! What an operation makes of failures: lost replies, refusals, expired tokens, lost claims.

use crate::bench::{Bench, options};
use simulator::faults::Action;
use std::time::Duration;
use transfer_core::{Authority, Step};
use transfer_engine::{Options, TransferError};

const SECRET: &str = "/v1/secrets/{id}";
const PAYLOAD: &str = "/v1/secrets/{id}/payload";
const SECRETS: &str = "/v1/secrets";
const STEPS: [(&str, &str); 4] =
    [("GET", SECRET), ("GET", PAYLOAD), ("POST", SECRETS), ("PUT", SECRET)];

#[tokio::test]
async fn a_single_unknown_outcome_at_any_step_is_tried_again() {
    let unavailable = |status| Action::Answer { status, retry_after: None };
    for action in [
        Action::DropBefore,
        Action::DropAfter,
        Action::Cut,
        Action::Garbage,
        unavailable(500),
        unavailable(503),
        unavailable(429),
    ] {
        for (method, template) in STEPS.into_iter().chain([("DELETE", SECRET)]) {
            let bench = Bench::new().await;
            bench.fail(action, method, template);
            let offered = bench.initiate().await;
            assert!(offered.is_ok(), "{action:?} at {method} {template}: {offered:?}");
            bench.engine.shut_down(Duration::from_secs(30)).await;
            let next = bench.another_engine(options());
            next.pay_debts_of(bench.x.clone()).await;
            next.recover().await.unwrap();
            assert!(next.shut_down(Duration::from_secs(30)).await);
            let world = bench.at_rest().await;
            assert_eq!(world.debts, [], "{action:?} at {method} {template}");
            assert_eq!(world.secrets.len(), 1, "{action:?} at {method} {template}");
        }
    }
}

#[tokio::test]
async fn a_refusal_at_any_step_changes_nothing() {
    for (method, template) in STEPS {
        let bench = Bench::new().await;
        let before = bench.world().await;
        bench.fail(Action::Answer { status: 403, retry_after: None }, method, template);
        if (method, template) == ("GET", PAYLOAD) {
            // A failed read ahead is judged when the shell is to be filled.
            bench.fail(Action::Answer { status: 403, retry_after: None }, method, template);
        }
        match bench.initiate().await {
            Err(TransferError::Refused { refusal, step }) => {
                assert_eq!(refusal.status, 403);
                let fill = method == "PUT" || template == PAYLOAD;
                assert_eq!(step, if fill { Step::Fill } else { Step::CreateShell });
            }
            other => panic!("{method} {template}: {other:?}"),
        }
        bench.nothing_happened(&before).await;
    }
}

#[tokio::test]
async fn patience_ends_and_nothing_has_changed() {
    for (method, template) in STEPS.into_iter().filter(|(_, template)| *template != PAYLOAD) {
        let bench = Bench::with(Options { patience: Duration::ZERO, ..options() }, true).await;
        let before = bench.world().await;
        bench.fail(Action::DropBefore, method, template);
        let failed = bench.initiate().await;
        assert!(matches!(failed, Err(TransferError::Unavailable { .. })), "{failed:?}");
        bench.nothing_happened(&before).await;
    }
}

#[tokio::test]
async fn a_refused_service_token_is_renewed_and_a_refused_caller_told() {
    let unauthorized = Action::Answer { status: 401, retry_after: None };
    let bench = Bench::new().await;
    bench.fail(unauthorized, "POST", SECRETS);
    bench.initiate().await.unwrap();
    bench.at_rest().await;

    let bench = Bench::new().await;
    let before = bench.world().await;
    bench.fail(unauthorized, "GET", SECRET);
    match bench.initiate().await {
        Err(TransferError::Refused { refusal, .. }) => assert_eq!(refusal.status, 401),
        other => panic!("{other:?}"),
    }
    bench.nothing_happened(&before).await;
}

#[tokio::test]
async fn a_driver_that_was_taken_over_changes_nothing_when_it_comes_back() {
    for (action, method, template) in [
        // The shell comes to be after the recovery has swept: only its driver knows of it.
        (Action::HoldBefore, "POST", SECRETS),
        (Action::HoldAfter, "POST", SECRETS),
        (Action::HoldBefore, "PUT", SECRET),
        (Action::HoldAfter, "PUT", SECRET),
    ] {
        let bench = Bench::with(Options { lease: Duration::ZERO, ..options() }, true).await;
        let before = bench.world().await;
        let held = bench.fail(action, method, template);
        let take_over = async {
            held.reached().await;
            let recovered = bench.another_engine(options()).recover().await.unwrap();
            assert_eq!(recovered.taken_over, 1);
            held.release();
        };
        let (offered, ()) = tokio::join!(bench.initiate(), take_over);
        assert!(matches!(offered, Err(TransferError::TakenOver)), "{offered:?}");
        assert!(bench.engine.shut_down(Duration::from_secs(30)).await);
        let next = bench.another_engine(options());
        next.recover().await.unwrap();
        bench.nothing_happened(&before).await;
    }
}

#[tokio::test]
async fn a_refused_delete_is_a_debt_of_its_project_and_no_failure() {
    let bench = Bench::new().await;
    bench.fail(Action::Answer { status: 403, retry_after: None }, "DELETE", SECRET);
    bench.initiate().await.unwrap();
    let world = bench.at_rest().await;
    assert_eq!(world.debts.len(), 1);
    assert_eq!(world.debts[0].authority, Authority::Project(bench.x.project.clone()));
    let next = bench.another_engine(options());
    next.pay_debts_of(bench.y.clone()).await;
    next.pay_debts_of(bench.x.clone()).await;
    assert!(next.shut_down(Duration::from_secs(30)).await);
    assert_eq!(bench.world().await.debts, []);
}

#[tokio::test]
async fn a_secret_that_a_row_names_is_never_deleted() {
    let bench = Bench::new().await;
    let world = bench.world().await;
    let key = world.volumes[0].row.key.clone().unwrap();
    let debt = transfer_core::Debt {
        hand_over: "h".into(),
        authority: Authority::Project(bench.x.project.clone()),
        garbage: transfer_core::Garbage::Secret(key),
    };
    bench.store.owe(std::slice::from_ref(&debt)).await.unwrap();
    bench.engine.pay_debts_of(bench.x.clone()).await;
    let world = bench.at_rest().await;
    assert_eq!(world.debts, [debt], "the debt stays, with the reason");
    assert_eq!(world.secrets.len(), 1);
}

#[tokio::test]
async fn a_shell_that_holds_other_bytes_is_not_taken_for_the_key() {
    let bench = Bench::new().await;
    let before = bench.world().await;
    let fill = bench.fail(Action::HoldBefore, "PUT", SECRET);
    let interfere = async {
        fill.reached().await;
        bench.fill_the_shell_with_something_else().await;
        fill.release();
    };
    let (offered, ()) = tokio::join!(bench.initiate(), interfere);
    match offered {
        Err(TransferError::Refused { refusal, step: Step::Fill }) => {
            assert!(refusal.message.contains("other data"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    bench.nothing_happened(&before).await;
}

#[tokio::test]
async fn a_key_whose_metadata_is_wrong_is_copied_as_it_is() {
    let bench = Bench::with_key_of(options(), "c2hvcnQ=").await;
    bench.initiate().await.unwrap();
    assert_eq!(bench.at_rest().await.secrets.len(), 1);
}
