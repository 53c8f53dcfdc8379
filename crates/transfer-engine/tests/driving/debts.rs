//! What is left is on record until it is paid, and nothing that is named is ever paid with.

use crate::bench::{Bench, SOON, caller, options, together};
use crate::scene::{Ask, Scene};
use simulator::faults::Action;
use transfer_core::{Authority, Debt, Garbage, Operation, SecretId};

const FORBIDDEN: Action = Action::Answer { status: 403, retry_after: None };

fn owed(authority: Authority, secret: &SecretId) -> Debt {
    Debt { hand_over: "h".into(), authority, garbage: Garbage::Secret(secret.clone()) }
}

#[tokio::test]
async fn a_refused_delete_is_a_debt_of_its_project_and_no_failure() {
    let scene = Scene::new(Operation::Initiate).await;
    let bench = &scene.bench;
    scene.fault(Ask::Delete, FORBIDDEN);
    scene.run().await.unwrap();
    assert!(bench.engine.shut_down(SOON).await);
    let debts = bench.store.debts().await.unwrap();
    assert_eq!(debts.len(), 1);
    assert_eq!(debts[0].debt.authority, Authority::Project(bench.x.project.clone()));
    assert_eq!(debts[0].attempts, 1);
    let why = debts[0].last_error.clone().unwrap();
    assert!(why.starts_with("403: Secret deletion attempt not allowed"), "{why}");
    assert_eq!(bench.store.counts().await.unwrap().project_debts, 1);
    // Nobody else's token pays it.
    let next = bench.another_engine(options());
    next.pay_debts_of(bench.y.clone()).await;
    next.recover().await.unwrap();
    assert!(next.shut_down(SOON).await);
    assert_eq!(scene.asked(Ask::Delete), 1);
    scene.done().await;
}

#[tokio::test]
async fn a_recovery_for_a_caller_pays_what_its_project_owes_due_or_not() {
    let scene = Scene::new(Operation::Initiate).await;
    let bench = &scene.bench;
    scene.fault(Ask::Delete, FORBIDDEN);
    scene.run().await.unwrap();
    assert!(bench.engine.shut_down(SOON).await);
    let next = bench.another_engine(options());
    for (whose, paid, left) in [(&bench.y, 0, 1), (&bench.x, 1, 0), (&bench.x, 0, 0)] {
        let payments = next.recover_for(whose).await.unwrap();
        assert_eq!((payments.paid, payments.refused, payments.unknown), (paid, 0, 0));
        assert_eq!(bench.store.debts().await.unwrap().len(), left);
    }
    scene.done().await;
}

#[tokio::test]
async fn a_refused_delete_by_the_service_is_recoverys() {
    for operation in [Operation::Accept, Operation::Cancel] {
        let scene = Scene::new(operation).await;
        scene.fault(Ask::Delete, FORBIDDEN);
        scene.run().await.unwrap();
        assert!(scene.bench.engine.shut_down(SOON).await);
        assert_eq!(scene.bench.store.counts().await.unwrap().service_debts, 1);
        // Its pause is not over yet.
        scene.bench.another_engine(options()).recover().await.unwrap();
        assert_eq!(scene.asked(Ask::Delete), 1);
        scene.done().await;
    }
}

#[tokio::test]
async fn a_secret_with_consumers_is_not_forced_but_stays_a_debt() {
    let scene = Scene::new(Operation::Initiate).await;
    let bench = &scene.bench;
    let old = bench.world().await.volumes[0].row.key.clone().unwrap();
    bench.consumer("POST", &bench.x, &old).await;
    scene.run().await.unwrap();
    bench.engine.shut_down(SOON).await;
    for attempts in 1..=2 {
        let debts = bench.store.debts().await.unwrap();
        assert_eq!(debts.len(), 1);
        assert_eq!(debts[0].attempts, attempts);
        let why = debts[0].last_error.clone().unwrap();
        assert!(why.starts_with("400: ") && why.contains("it has consumers"), "{why}");
        assert!(bench.world().await.secrets.contains_key(&old));
        bench.everybody_pays().await;
    }
    bench.consumer("DELETE", &bench.x, &old).await;
    scene.done().await;
}

#[tokio::test]
async fn a_secret_that_a_row_names_is_never_deleted() {
    for service in [false, true] {
        let bench = Bench::new().await;
        let operation = if service { Operation::Accept } else { Operation::Initiate };
        let scene = Scene::on(bench, operation).await;
        let bench = &scene.bench;
        let key = bench.world().await.volumes[0].row.key.clone().unwrap();
        let project = Authority::Project(bench.x.project.clone());
        let debt = owed(if service { Authority::Service } else { project }, &key);
        bench.store.owe(std::slice::from_ref(&debt)).await.unwrap();
        bench.everybody_pays().await;
        let debts = bench.store.debts().await.unwrap();
        assert_eq!(debts[0].debt, debt, "it stays, with the reason");
        assert!(debts[0].last_error.as_ref().unwrap().contains("still named"), "{debts:?}");
        assert_eq!(scene.asked(Ask::Delete), 0);
    }
}

#[tokio::test]
async fn a_shell_that_a_live_hand_over_names_is_never_deleted() {
    let scene = Scene::new(Operation::Accept).await;
    let bench = &scene.bench;
    let fill = scene.fault(Ask::Fill, Action::HoldBefore);
    let interfere = async {
        fill.reached().await;
        let secrets = bench.simulator.secrets();
        let shell = secrets.iter().find(|secret| !secret.filled).unwrap();
        let y = Authority::Project(bench.y.project.clone());
        bench.store.owe(&[owed(y, &SecretId::new(shell.id.clone()))]).await.unwrap();
        let engine = bench.another_engine(options());
        engine.pay_debts_of(bench.y.clone()).await;
        assert!(engine.shut_down(SOON).await);
        assert_eq!(scene.asked(Ask::Clear), 0);
        // Not a debt that a hand-over would leave: the shell is about to be the key.
        bench.sql("DELETE FROM volume_transfer_debts").await;
        fill.release();
    };
    let outcome = together(scene.run(), interfere).await;
    outcome.unwrap();
    scene.done().await;
}

#[tokio::test]
async fn rounds_of_payment_do_not_disturb_each_other() {
    let scene = Scene::new(Operation::Initiate).await;
    let bench = &scene.bench;
    scene.fault(Ask::Delete, FORBIDDEN);
    scene.run().await.unwrap();
    assert!(bench.engine.shut_down(SOON).await);
    let x = caller(&bench.simulator, "x", "donor").await;
    let (one, other) = (bench.another_engine(options()), bench.another_engine(options()));
    let held = scene.fault(Ask::Delete, Action::HoldBefore);
    one.pay_debts_of(x.clone()).await;
    held.reached().await;
    // The same engine makes one round at a time.
    one.pay_debts_of(x.clone()).await;
    other.pay_debts_of(x.clone()).await;
    assert!(other.shut_down(SOON).await);
    assert_eq!(bench.store.debts().await.unwrap(), [], "the other engine has paid");
    held.release();
    assert!(one.shut_down(SOON).await);
    assert_eq!(scene.asked(Ask::Delete), 3);
    scene.done().await;
}
