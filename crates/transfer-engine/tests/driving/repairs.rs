//! What an operator has done: restores, take-overs, and debts paid one by one.

use crate::bench::{Bench, options, together};
use crate::scene::{Ask, OPERATIONS, Scene};
use simulator::faults::Action;
use std::time::Duration;
use transfer_core::{Authority, Debt, Garbage, Operation, Restoration, SecretId};
use transfer_engine::{Options, Payments, Repair, TransferError};

#[tokio::test]
async fn a_key_that_stayed_with_the_service_is_restored_to_its_project() {
    let bench = Bench::new().await;
    bench.initiate().await.unwrap();
    // As a cancel that does not care for the key leaves it.
    bench.sql("UPDATE volumes SET status = 'available'").await;
    bench.sql("UPDATE transfers SET deleted = TRUE").await;
    let before = bench.world().await;
    let key = before.volumes[0].row.key.clone().unwrap();
    assert_ne!(before.secrets[&key].owner, bench.x.project);
    let repair = Repair {
        volume: bench.volume.clone(),
        key,
        restoration: Restoration {
            giver: Authority::Service,
            receiver: Authority::Project(bench.x.project.clone()),
            replaced: Vec::new(),
        },
        by: (bench.x.project.clone(), bench.x.user.clone()),
    };
    let without_its_token = bench.engine.restore(&[], repair.clone()).await;
    assert!(matches!(without_its_token, Err(TransferError::Refused { .. })));
    bench.engine.restore(std::slice::from_ref(&bench.x), repair).await.unwrap();
    let after = bench.at_rest().await;
    let key = after.volumes[0].row.key.as_ref().unwrap();
    assert_eq!(after.secrets[key].owner, bench.x.project);
    assert_eq!((after.secrets.len(), after.debts.len()), (1, 0));
}

#[tokio::test]
async fn a_hand_over_is_taken_over_once_and_only_when_its_lease_is_over() {
    for operation in OPERATIONS {
        for (lease, is_over) in [(Duration::ZERO, true), (Duration::from_secs(3600), false)] {
            let scene = Scene::with(operation, Options { lease, ..options() }).await;
            let held = scene.fault(Ask::Fill, Action::HoldBefore);
            let take_over = async {
                held.reached().await;
                let claims = scene.bench.store.claims().await.unwrap();
                let (id, volume) = (claims[0].hand_over.id(), claims[0].hand_over.volume());
                let other = scene.bench.another_engine(options());
                assert_eq!(other.take_over(id, volume).await.unwrap(), is_over);
                assert!(!other.take_over(id, volume).await.unwrap(), "not twice");
                held.release();
            };
            let outcome = together(scene.run(), take_over).await;
            match (is_over, outcome) {
                (false, Ok(())) => scene.done().await,
                (true, Err(TransferError::TakenOver)) => scene.undone().await,
                (_, other) => panic!("{operation} {is_over}: {other:?}"),
            }
        }
    }
}

fn debt(authority: &Authority, secret: &SecretId) -> Debt {
    let garbage = Garbage::Secret(secret.clone());
    Debt { hand_over: "h".into(), authority: authority.clone(), garbage }
}

#[tokio::test]
async fn of_all_debts_only_the_one_that_is_meant_is_paid() {
    let bench = Bench::new().await;
    let x = Authority::Project(bench.x.project.clone());
    let callers = std::slice::from_ref(&bench.x);
    let (one, other) = (bench.key().await, bench.key().await);
    bench.store.owe(&[debt(&x, &other)]).await.unwrap();
    let paid = Payments { paid: 1, ..Payments::default() };
    assert_eq!(bench.engine.discard(debt(&x, &one), callers).await.unwrap(), paid);
    let left = bench.world().await.secrets;
    assert!(left.contains_key(&other) && !left.contains_key(&one));
    let again = bench.engine.pay_debt(&x, &debt(&x, &one).id(), callers).await.unwrap();
    assert_eq!(again, Payments::default(), "it is not on record any more");
    let refused = bench.engine.pay_debt(&x, &debt(&x, &other).id(), &[]).await.unwrap();
    assert_eq!(refused, Payments { refused: 1, ..Payments::default() }, "nobody's token");
    bench.engine.pay_debt(&x, &debt(&x, &other).id(), callers).await.unwrap();
    assert_eq!(bench.at_rest().await.debts, []);
}

#[tokio::test]
async fn recovery_tells_what_became_of_the_services_debts() {
    let scene = Scene::new(Operation::Accept).await;
    let owed: Vec<Debt> = (1..=6)
        .map(|number| format!("55555555-5555-4555-8555-55555555550{number}").as_str().into())
        .map(|secret| debt(&Authority::Service, &secret))
        .collect();
    scene.bench.store.owe(&owed).await.unwrap();
    let faults = scene.bench.simulator.faults();
    for nth in 1..=3 {
        let (status, retry_after) = (if nth == 1 { 403 } else { 503 }, None);
        faults.add(scene.rule(Ask::Delete, Action::Answer { status, retry_after }).nth(nth));
    }
    let recovered = scene.bench.another_engine(options()).recover().await.unwrap();
    // Secrets that are gone already are as good as deleted.
    assert_eq!(recovered.payments, Payments { paid: 3, refused: 1, unknown: 2 });
    assert_eq!(scene.bench.store.debts().await.unwrap().len(), 3);
}
