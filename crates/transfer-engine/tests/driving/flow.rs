//! How an operation runs when nothing fails: order, overlap, and what goes on without its caller.

use crate::bench::{Bench, SOON, options, together};
use simulator::Service;
use simulator::faults::{Action, Rule};
use std::time::Duration;
use transfer_core::invariants::OfferFate;
use transfer_engine::TransferError;

const SECRET: &str = "/v1/secrets/{id}";
const PAYLOAD: &str = "/v1/secrets/{id}/payload";
const SECRETS: &str = "/v1/secrets";

#[tokio::test]
async fn the_key_goes_to_the_service_and_then_to_whoever_ends_the_offer() {
    for (accepts, keys) in [(true, 1), (false, 1), (true, 3), (false, 3)] {
        let bench = match keys {
            1 => Bench::new().await,
            _ => Bench::with_three_keys(options()).await,
        };
        let offered = bench.initiate().await.unwrap();
        if accepts {
            bench.accept(&offered).await.unwrap();
        } else {
            bench.cancel(&offered.transfer).await.unwrap();
        }
        let world = bench.at_rest().await;
        let owner = if accepts { &bench.y.project } else { &bench.x.project };
        assert_eq!(world.volumes[0].row.project, *owner);
        assert_eq!(world.secrets.len(), keys, "each key once, and no copy of it");
        assert_eq!(world.hand_overs, [], "forgotten once it is paid");
        assert_eq!(world.debts, []);
        let fate = if accepts {
            OfferFate::Accepted(bench.y.project.clone())
        } else {
            OfferFate::Cancelled
        };
        assert_eq!(world.offers[0].fate, fate);
    }
}

#[tokio::test]
async fn a_plain_volume_takes_the_same_path_without_the_key_manager() {
    let bench = Bench::with(options(), false).await;
    let offered = bench.initiate().await.unwrap();
    bench.accept(&offered).await.unwrap();
    let world = bench.at_rest().await;
    assert_eq!(world.volumes[0].row.project, bench.y.project);
    assert_eq!(bench.simulator.count(|event| event.service == Service::Barbican), 0);
}

/// As they are made, so they lie in the index.
#[tokio::test]
async fn an_offer_that_comes_later_has_a_greater_id() {
    let bench = Bench::with(options(), false).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let offered = bench.initiate().await.unwrap();
        bench.cancel(&offered.transfer).await.unwrap();
        ids.push(offered.transfer);
    }
    assert!(ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn the_old_key_is_read_while_its_shell_is_created() {
    let bench = Bench::new().await;
    let read = bench.fail(Action::HoldBefore, "GET", PAYLOAD);
    let create = bench.fail(Action::HoldBefore, "POST", SECRETS);
    let both = async {
        tokio::join!(read.reached(), create.reached());
        read.release();
        create.release();
    };
    let offered = together(bench.initiate(), both).await;
    offered.unwrap();
    bench.at_rest().await;
}

#[tokio::test]
async fn the_old_secret_is_deleted_off_the_callers_path() {
    let bench = Bench::new().await;
    let delete = bench.fail(Action::HoldBefore, "DELETE", SECRET);
    bench.initiate().await.unwrap();
    delete.reached().await;
    assert_eq!(bench.world().await.debts.len(), 1, "the caller has its answer, the debt stands");
    delete.release();
    assert_eq!(bench.at_rest().await.debts, []);
}

/// While a request pays, the next one of its project leaves it alone, and tries once more what came
/// to nothing.
#[tokio::test]
async fn a_debt_is_not_paid_twice_at_the_same_time() {
    let forbidden = Action::Answer { status: 403, retry_after: None };
    for (fails, deletes) in [(false, 3), (true, 4)] {
        let bench = Bench::with_three_keys(options()).await;
        if fails {
            bench.fail(forbidden, "DELETE", SECRET);
        }
        let last = Rule::on(Service::Barbican, Action::HoldBefore).method("DELETE");
        let last = bench.simulator.faults().add(last.template(SECRET).nth(2));
        bench.initiate().await.unwrap();
        last.reached().await;
        bench.engine.pay_debts_of(bench.x.clone()).await;
        last.release();
        assert!(bench.engine.shut_down(SOON).await);
        assert_eq!(bench.world().await.debts, []);
        assert_eq!(asked(&bench, "DELETE", SECRET), deletes);
    }
}

/// Whoever made a secret knows what it is: only a key that this engine has not made is asked for.
#[tokio::test]
async fn what_a_key_is_is_asked_for_once() {
    let bench = Bench::new().await;
    for (ask, count) in [(false, 1), (true, 2)] {
        let offered = bench.initiate().await.unwrap();
        bench.cancel(&offered.transfer).await.unwrap();
        let offered = bench.initiate().await.unwrap();
        let another = bench.another_engine(options());
        let engine = if ask { &another } else { &bench.engine };
        engine.cancel(bench.x.clone(), offered.transfer).await.unwrap();
        assert!(another.shut_down(SOON).await);
        assert_eq!(asked(&bench, "GET", SECRET), count);
    }
    bench.at_rest().await;
}

fn asked(bench: &Bench, method: &str, template: &str) -> usize {
    bench.simulator.count(|event| event.method == method && event.template == template)
}

#[tokio::test]
async fn an_operation_goes_on_when_its_caller_is_gone() {
    let bench = Bench::new().await;
    let fill = bench.fail(Action::HoldBefore, "PUT", SECRET);
    tokio::select! {
        _ = bench.initiate() => panic!("it is held"),
        () = fill.reached() => {}
    }
    fill.release();
    let world = bench.at_rest().await;
    assert_eq!(world.offers.len(), 1, "the offer stands although nobody waited for it");
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_in_progress_and_begins_nothing() {
    let bench = Bench::new().await;
    let fill = bench.fail(Action::HoldBefore, "PUT", SECRET);
    let stop = async {
        fill.reached().await;
        let stopping = bench.engine.shut_down(SOON);
        let release = async {
            let refused = bench.cancel(&"t".into()).await;
            assert!(matches!(refused, Err(TransferError::ShuttingDown)), "{refused:?}");
            fill.release();
        };
        let (stopped, ()) = tokio::join!(stopping, release);
        assert!(stopped);
    };
    let offered = together(bench.initiate(), stop).await;
    offered.unwrap();
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_an_unknown_outcome() {
    let patient = transfer_engine::Options {
        pause: Duration::from_secs(3600),
        patience: Duration::from_secs(7200),
        ..options()
    };
    let bench = Bench::with(patient, true).await;
    let before = bench.world().await;
    let lost = bench.fail(Action::DropBefore, "PUT", SECRET);
    let stop = async {
        lost.reached().await;
        assert!(bench.engine.shut_down(SOON).await);
    };
    let offered = together(bench.initiate(), stop).await;
    assert!(matches!(offered, Err(TransferError::Unavailable { .. })), "{offered:?}");
    let after = bench.world().await;
    assert_eq!(after.volumes, before.volumes);
}
