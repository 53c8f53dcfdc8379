//! Expired offers: whose call takes them back, what that does to others on the same volume, and
//! what it leaves alone.

use crate::bench::{Bench, SOON, caller, options, together};
use crate::keeper::Keeper;
use crate::scene::{Ask, COPYING, Scene};
use cinder_db::{AuthKey, CancelClaim, ClaimError, NewVolume, Passage, QuotaLimits, Scope};
use simulator::faults::Action;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use transfer_core::invariants::OfferFate;
use transfer_core::{Operation, VolumeId};
use transfer_engine::{Caller, Engine, Offer, Options, TransferError};

const SECRETS: &str = "/v1/secrets";
const OVER: &str = "UPDATE transfers SET expires_at = '2026-01-01 00:00:00.000000'";

/// What a call of this caller's project does by the way.
async fn round(engine: &Engine, caller: &Caller) -> JoinHandle<()> {
    engine.look_for_expired().await.unwrap();
    engine.take_back_expired(caller.clone(), |_offer| true).expect("a round")
}

fn is_in_progress(outcome: &Result<(), TransferError>) -> bool {
    matches!(outcome, Err(TransferError::Claim(ClaimError::InProgress(_))))
}

fn is_not_found(outcome: &Result<(), TransferError>) -> bool {
    matches!(outcome, Err(TransferError::Claim(ClaimError::TransferNotFound(_))))
}

#[tokio::test]
async fn an_offer_expires_when_the_options_say_so() {
    for after in [None, Some(SOON)] {
        let bench = Bench::with(Options { expire_after: after, ..options() }, true).await;
        let offered = bench.initiate().await.unwrap();
        // Time passes for the offers that it matters to.
        bench.sql(&format!("{OVER} WHERE expires_at IS NOT NULL")).await;
        let accepted = bench.accept(&offered).await;
        assert_eq!(accepted.is_ok(), after.is_none(), "{accepted:?}");
        assert_eq!(is_not_found(&accepted), after.is_some(), "{accepted:?}");
        bench.at_rest().await;
    }
}

#[tokio::test]
async fn the_next_call_of_its_project_takes_an_expired_offer_back_and_nobody_elses() {
    let scene = Scene::new(Operation::Cancel).await;
    let bench = &scene.bench;
    bench.engine.look_for_expired().await.unwrap();
    bench.sql(OVER).await;
    let unasked = bench.engine.take_back_expired(bench.x.clone(), |_offer| true);
    assert!(unasked.is_none(), "as long as nobody has looked, a call costs nothing");
    round(&bench.engine, &bench.y).await.await.unwrap();
    let one_who_may_not = bench.engine.take_back_expired(bench.x.clone(), |_offer| false);
    one_who_may_not.expect("a round").await.unwrap();
    assert_eq!(scene.asked(Ask::Metadata), 0);
    round(&bench.engine, &bench.x).await.await.unwrap();
    assert_eq!(scene.asked(Ask::Metadata), 1);
    scene.done().await;
}

/// What comes first on an offer that expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum First {
    Accept,
    Cancel,
    Expiry,
}

#[tokio::test]
async fn of_accept_cancel_and_expiry_the_first_to_claim_wins() {
    for first in [First::Accept, First::Cancel, First::Expiry] {
        for ask in COPYING {
            let accepts = first == First::Accept;
            let operation = if accepts { Operation::Accept } else { Operation::Cancel };
            let scene = Scene::new(operation).await;
            let bench = &scene.bench;
            let held = scene.fault(ask, Action::HoldBefore);
            let others = async {
                held.reached().await;
                bench.sql(OVER).await;
                let hasty = Options { recovery_period: Duration::ZERO, ..options() };
                let other = bench.another_engine(hasty);
                round(&other, &bench.x).await.await.unwrap();
                let offered = scene.offer().unwrap();
                let key = AuthKey::new(offered.auth_key.reveal());
                let late = other.accept(bench.y.clone(), offered.transfer.clone(), key).await;
                assert!(is_not_found(&late), "{first:?} {ask:?}: {late:?}");
                let busy = scene.cancel_on(&other).await;
                assert!(is_in_progress(&busy), "{first:?} {ask:?}: {busy:?}");
                held.release();
            };
            let begun = async {
                if first == First::Expiry {
                    bench.sql(OVER).await;
                    round(&bench.engine, &bench.x).await.await.unwrap();
                    return Ok(());
                }
                scene.run().await
            };
            together(begun, others).await.unwrap();
            scene.done().await;
            assert_eq!(scene.asked(Ask::Shell), 1, "{first:?} {ask:?}");
        }
    }
}

#[tokio::test]
async fn an_expiry_that_loses_its_driver_is_begun_again_by_the_next_call() {
    for ask in COPYING {
        let hasty = Options { lease: Duration::ZERO, ..options() };
        let scene = Scene::with(Operation::Cancel, hasty).await;
        let bench = &scene.bench;
        bench.sql(OVER).await;
        let held = scene.fault(ask, Action::HoldBefore);
        let _lost = round(&bench.engine, &bench.x).await;
        held.reached().await;
        let next = bench.another_engine(options());
        round(&next, &bench.x).await.await.unwrap();
        assert!(next.shut_down(SOON).await);
        held.release();
        assert!(bench.engine.shut_down(SOON).await);
        bench.everybody_pays().await;
        let after = bench.at_rest().await;
        assert_eq!(after.offers[0].fate, OfferFate::Cancelled, "{ask:?}");
        assert_eq!(after.volumes[0].row.project, bench.x.project);
        assert_eq!((after.secrets.len(), after.debts.len()), (1, 0), "{ask:?}");
    }
}

/// X's encrypted volume is the first; the second to the fifth are x's, too, the sixth is y's.
async fn six_offers(bench: &Bench) {
    bench.initiate().await.unwrap();
    for number in 2..=6 {
        let owner = if number == 6 { &bench.y } else { &bench.x };
        let new = NewVolume {
            id: volume(number),
            project: owner.project.clone(),
            user: owner.user.clone(),
            size_gb: 1,
            status: "available".to_owned(),
            name: None,
            description: None,
            volume_type: None,
            key: None,
            snapshot_id: None,
            source_volume_id: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
        };
        bench.store.create_volume(&new, &QuotaLimits::default()).await.unwrap();
        let offer = Offer { volume: volume(number), ..bench.offer_of() };
        bench.engine.initiate(owner.clone(), offer).await.unwrap();
    }
}

fn volume(number: u32) -> VolumeId {
    VolumeId::new(format!("11111111-1111-4111-8111-11111111110{number}"))
}

/// The volumes that still await a transfer.
async fn awaiting(bench: &Bench) -> Vec<u32> {
    let mut awaiting = Vec::new();
    for number in 1..=6 {
        let row = bench.store.volume(&Scope::All, &volume(number)).await.unwrap().unwrap();
        if row.status == "awaiting-transfer" {
            awaiting.push(number);
        }
    }
    awaiting
}

/// What is in the way of the first of x's offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trouble {
    Nothing,
    /// Its key is gone for good.
    KeyIsGone,
    /// Somebody else is at it.
    IsClaimed,
    /// The token, which is not the offer's fault.
    Token,
    /// The key manager, which does not answer.
    KeyManager,
    /// The database, likewise.
    Database,
}

#[tokio::test]
async fn a_round_goes_page_by_page_and_past_what_fails_for_a_reason_of_its_own() {
    for (trouble, left) in [
        (Trouble::Nothing, &[4, 6][..]),
        (Trouble::KeyIsGone, &[1, 4, 6]),
        (Trouble::IsClaimed, &[1, 4, 6]),
        (Trouble::Token, &[1, 2, 3, 4, 5, 6]),
        (Trouble::KeyManager, &[1, 2, 3, 4, 5, 6]),
        (Trouble::Database, &[1, 2, 3, 4, 5, 6]),
    ] {
        let bench = Bench::new().await;
        six_offers(&bench).await;
        bench.sql(OVER).await;
        // A round goes by the ids of the offers.
        bench.sql("UPDATE transfers SET id = volume_id").await;
        let unlucky = if trouble == Trouble::Database { Passage::NoBegin } else { Passage::Free };
        let store = bench.store.with_turnstile(Keeper::new(&[unlucky], Passage::Free));
        let options = Options {
            debts_per_pass: 2,
            recovery_period: Duration::ZERO,
            patience: Duration::ZERO,
            ..options()
        };
        let engine = bench.another_engine_on(&store, options);
        match trouble {
            Trouble::Nothing | Trouble::Database => {}
            Trouble::KeyIsGone => {
                let key = bench.world().await.volumes[0].row.key.clone().unwrap();
                let service = caller(&bench.simulator, "cinder", "service").await;
                bench.delete(&service, &key).await;
            }
            Trouble::IsClaimed => claim(&bench).await,
            Trouble::Token => {
                bench.fail(Action::Answer { status: 401, retry_after: None }, "POST", SECRETS);
            }
            Trouble::KeyManager => {
                bench.fail(Action::DropBefore, "POST", SECRETS);
            }
        }
        engine.look_for_expired().await.unwrap();
        let round = engine.take_back_expired(bench.x.clone(), |offer| offer.volume != volume(4));
        round.expect("a round").await.unwrap();
        assert!(engine.shut_down(SOON).await);
        assert_eq!(awaiting(&bench).await, left, "{trouble:?}");
    }
}

/// X's own cancel of the first offer, whose driver is gone.
async fn claim(bench: &Bench) {
    let claim = CancelClaim {
        hand_over_id: "h".into(),
        transfer: volume(1).as_str().into(),
        caller: cinder_db::Caller {
            project: bench.x.project.clone(),
            user: bench.x.user.clone(),
            is_admin: false,
        },
        lease: SOON,
    };
    bench.store.claim_cancel(&claim).await.unwrap();
}

#[tokio::test]
async fn an_offer_that_somebody_else_has_ended_meanwhile_is_no_failure_of_the_round() {
    let scene = Scene::new(Operation::Cancel).await;
    let bench = &scene.bench;
    bench.sql(OVER).await;
    let keeper = Keeper::new(&[], Passage::Free);
    let store = bench.store.with_turnstile(Arc::<Keeper>::clone(&keeper));
    let pausing = Options { recovery_period: 100 * SOON, ..options() };
    let engine = bench.another_engine_on(&store, pausing);
    keeper.close();
    let round = round(&engine, &bench.x).await;
    let cancel = async {
        keeper.reached().await;
        scene.cancel_on(&bench.engine).await.unwrap();
        keeper.open();
    };
    together(round, cancel).await.expect("ends without a pause");
    assert!(engine.shut_down(SOON).await);
    scene.done().await;
}

#[tokio::test]
async fn a_round_that_failed_is_not_followed_by_another_at_once() {
    let scene = Scene::new(Operation::Cancel).await;
    let bench = &scene.bench;
    bench.sql(OVER).await;
    scene.fault(Ask::Shell, Action::Answer { status: 403, retry_after: None });
    let _pausing = round(&bench.engine, &bench.x).await;
    let failed = async {
        while scene.asked(Ask::Shell) == 0 || !bench.store.claims().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, failed).await.expect("fails");
    for _call in 0..100 {
        let next = bench.engine.take_back_expired(bench.x.clone(), |_offer| true);
        assert!(next.is_none(), "it pauses");
        tokio::task::yield_now().await;
    }
    // The pause is in the way of nothing, and no other replica's.
    let other = bench.another_engine(options());
    round(&other, &bench.x).await.await.unwrap();
    assert!(other.shut_down(SOON).await);
    scene.done().await;
}
