//! Tokens that end or are refused in the middle of an operation: the service's is renewed, a
//! caller's is not, and neither is taken for the other.

use crate::bench::{Bench, options, together};
use crate::scene::{Ask, COPYING, OPERATIONS, Scene};
use simulator::Service;
use simulator::faults::{Action, Rule};
use std::time::Duration;
use transfer_core::Operation;
use transfer_engine::{Options, TransferError};

const UNAUTHORIZED: Action = Action::Answer { status: 401, retry_after: None };

/// Longer than any token lives.
const LONG: time::Duration = time::Duration::hours(2);

/// Whose request it is.
fn is_the_services(operation: Operation, ask: Ask) -> bool {
    let givers = [Ask::Metadata, Ask::Payload, Ask::Delete].contains(&ask);
    givers != (operation == Operation::Initiate)
}

fn renewals(bench: &Bench) -> usize {
    bench.simulator.count(|event| {
        event.service == Service::Keystone && event.user.as_deref() == Some("cinder")
    })
}

/// Barbican says 403 to this request, every time, and the caller is told so.
async fn is_forbidden(scene: &Scene, ask: Ask) {
    let forbidden = Action::Answer { status: 403, retry_after: None };
    scene.bench.simulator.faults().add(scene.rule(ask, forbidden).standing());
    match scene.run().await {
        Err(TransferError::Refused { refusal, .. }) => assert_eq!(refusal.status, 403, "{ask:?}"),
        other => panic!("{ask:?}: {other:?}"),
    }
}

#[tokio::test]
async fn a_refused_token_of_the_service_is_renewed_once() {
    for operation in OPERATIONS {
        for ask in COPYING.into_iter().filter(|ask| is_the_services(operation, *ask)) {
            let scene = Scene::new(operation).await;
            let before = renewals(&scene.bench);
            scene.fault(ask, UNAUTHORIZED);
            scene.run().await.unwrap();
            assert_eq!(renewals(&scene.bench) - before, 2, "{operation} {ask:?}");
            scene.done().await;
        }
    }
}

#[tokio::test]
async fn a_refusal_that_a_renewed_token_meets_too_is_told_as_it_is() {
    for operation in OPERATIONS {
        for ask in [Ask::Metadata, Ask::Shell, Ask::Fill] {
            if !is_the_services(operation, ask) {
                continue;
            }
            for renewed in [0, 1] {
                let scene = Scene::new(operation).await;
                let before = renewals(&scene.bench);
                if renewed == 1 {
                    scene.fault(ask, UNAUTHORIZED);
                }
                is_forbidden(&scene, ask).await;
                assert_eq!(scene.asked(ask), 1 + renewed, "{operation} {ask:?}");
                assert_eq!(renewals(&scene.bench) - before, 1 + renewed, "{operation} {ask:?}");
                scene.undone().await;
            }
        }
    }
}

#[tokio::test]
async fn tokens_that_expire_in_the_middle_stop_the_caller_but_not_the_service() {
    for operation in OPERATIONS {
        for ask in COPYING {
            // While the service creates a shell, the caller may have read the key or not.
            if (operation, ask) == (Operation::Initiate, Ask::Shell) {
                continue;
            }
            let scene = Scene::new(operation).await;
            let held = scene.fault(ask, Action::HoldBefore);
            let expire = async {
                held.reached().await;
                scene.bench.simulator.clock().advance(LONG);
                held.release();
            };
            let outcome = together(scene.run(), expire).await;
            // Filling an initiate's shell takes the service's token alone.
            if (operation, ask) == (Operation::Initiate, Ask::Fill) {
                outcome.unwrap();
                scene.done().await;
                continue;
            }
            match outcome {
                Err(TransferError::Refused { refusal, .. }) => assert_eq!(refusal.status, 401),
                other => panic!("{operation} {ask:?}: {other:?}"),
            }
            scene.undone().await;
        }
    }
}

#[tokio::test]
async fn with_the_services_token_beside_it_a_callers_token_may_end_in_the_middle() {
    for operation in OPERATIONS {
        for ask in COPYING {
            let mut scene = Scene::new(operation).await;
            scene.bench.send_service_tokens(options());
            let held = scene.fault(ask, Action::HoldBefore);
            let expire = async {
                held.reached().await;
                scene.bench.simulator.clock().advance(LONG);
                held.release();
            };
            let outcome = together(scene.run(), expire).await;
            outcome.unwrap_or_else(|error| panic!("{operation} {ask:?}: {error}"));
            scene.done().await;
        }
    }
}

#[tokio::test]
async fn with_the_services_token_beside_it_another_refusal_is_told_as_it_is() {
    for operation in OPERATIONS {
        for ask in [Ask::Metadata, Ask::Shell, Ask::Fill] {
            if is_the_services(operation, ask) {
                continue;
            }
            let mut scene = Scene::new(operation).await;
            scene.bench.send_service_tokens(options());
            is_forbidden(&scene, ask).await;
            assert_eq!(scene.asked(ask), 1, "{operation} {ask:?}");
            scene.undone().await;
        }
    }
}

#[tokio::test]
async fn refused_credentials_of_the_service_are_an_outage_and_not_the_callers_fault() {
    for operation in OPERATIONS {
        for (service, statuses) in
            [(Service::Keystone, &[401, 403, 404, 400][..]), (Service::Barbican, &[401])]
        {
            for &status in statuses {
                let options = Options { patience: Duration::from_millis(5), ..options() };
                let scene = Scene::with(operation, options).await;
                let action = Action::Answer { status, retry_after: None };
                let rule = Rule::on(service, action).user("cinder").standing();
                scene.bench.simulator.faults().add(rule);
                match scene.run().await {
                    Err(TransferError::Unavailable { last }) => {
                        assert!(last.contains("the service's own credentials"), "{last}");
                    }
                    other => panic!("{operation} {service:?} {status}: {other:?}"),
                }
                scene.undone().await;
            }
        }
    }
}

#[tokio::test]
async fn the_debt_of_an_expired_token_waits_for_a_fresh_one() {
    let scene = Scene::new(Operation::Accept).await;
    let held = scene.fault(Ask::Fill, Action::HoldBefore);
    let expire = async {
        held.reached().await;
        scene.bench.simulator.clock().advance(LONG);
        held.release();
    };
    let failed = together(scene.run(), expire).await;
    assert!(matches!(failed, Err(TransferError::Refused { .. })), "{failed:?}");
    assert!(scene.bench.engine.shut_down(crate::bench::SOON).await);
    let debts = scene.bench.store.debts().await.unwrap();
    assert_eq!(debts.len(), 1);
    assert_eq!(debts[0].attempts, 1);
    assert!(debts[0].last_error.as_ref().is_some_and(|why| why.starts_with("401")), "{debts:?}");
    scene.undone().await;
}
