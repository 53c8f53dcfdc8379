//! Fences: a driver that was taken over changes nothing, and exactly one recovery takes it over.

use crate::fixture::{Fixture, LEASE, accept, copied, given_up, initiate};
use async_trait::async_trait;
use cinder_db::{EndError, FenceError, Passage, Store, Turnstile};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use transfer_core::{AbortCause, HandOver, Phase};

/// An accept whose driver has stalled past its lease, and which recovery has ended.
async fn taken_over() -> (Fixture, HandOver) {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    fixture.snapshot("s", "v").await;
    let (transfer, key) = fixture.offer("o", "v", "x").await;
    let mut claim = accept("h", &transfer, &key, "y");
    claim.lease = Duration::ZERO;
    let claimed = fixture.store.claim_accept(&claim).await.expect("claimed").into_inner();
    let ended = fixture.store.take_over_expired(10).await.expect("recovered");
    assert_eq!(ended.len(), 1);
    assert_eq!(*ended[0].hand_over.phase(), Phase::Aborted(AbortCause::TakenOver));
    (fixture, claimed)
}

#[tokio::test]
async fn a_driver_that_was_taken_over_changes_nothing() {
    let (fixture, late) = taken_over().await;
    let before = fixture.everything().await;
    let saved = fixture.store.save(late.clone(), LEASE).await.expect_err("fenced");
    assert!(matches!(saved, FenceError::Fenced), "{saved}");
    let committed = fixture.store.commit(copied(late.clone())).await.expect_err("fenced");
    assert!(matches!(committed, EndError::Fenced), "{committed}");
    let aborted = fixture.store.abort(given_up(late)).await.expect_err("fenced");
    assert!(matches!(aborted, EndError::Fenced), "{aborted}");
    assert_eq!(fixture.everything().await, before);
}

#[tokio::test]
async fn a_take_over_gives_the_quota_back_and_owes_the_shells() {
    let (fixture, _late) = taken_over().await;
    let reserved = "SELECT sum(reserved) FROM quota_usages";
    assert_eq!(fixture.value(reserved).await, "0");
    let held = "SELECT count(*) FROM reservations WHERE deleted = FALSE";
    assert_eq!(fixture.value(held).await, "0");
    let debts = "SELECT id, project_id FROM volume_transfer_debts ORDER BY id";
    assert_eq!(
        fixture.rows(debts).await,
        ["id=secret:k project_id=x", "id=shells:volume-transfer-h project_id=y"]
    );
}

#[tokio::test]
async fn an_initiate_that_was_taken_over_sets_the_volume_free() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    let before = fixture.rows_of_cinder().await;
    let mut claim = initiate("h", "v", "x");
    claim.lease = Duration::ZERO;
    fixture.store.claim_initiate(&claim).await.expect("claimed");
    assert_ne!(fixture.rows_of_cinder().await, before);
    fixture.store.take_over_expired(10).await.expect("recovered");
    assert_eq!(fixture.rows_of_cinder().await, before);
}

#[tokio::test]
async fn saving_renews_the_lease() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    let mut claim = initiate("h", "v", "x");
    claim.lease = Duration::ZERO;
    let offered = fixture.store.claim_initiate(&claim).await.expect("claimed");
    assert!(fixture.store.claims().await.expect("claims")[0].lease_is_over);
    let kept = fixture.store.save(offered.hand_over.into_inner(), LEASE).await.expect("saved");
    assert!(!fixture.store.claims().await.expect("claims")[0].lease_is_over);
    assert!(fixture.store.take_over_expired(10).await.expect("looked").is_empty());
    fixture.store.commit(copied(kept.into_inner())).await.expect("committed");
}

#[tokio::test]
async fn a_lease_that_is_over_fences_nobody_as_long_as_nobody_takes_over() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    let mut claim = initiate("h", "v", "x");
    claim.lease = Duration::ZERO;
    let offered = fixture.store.claim_initiate(&claim).await.expect("claimed");
    fixture.store.commit(copied(offered.hand_over.into_inner())).await.expect("committed");
    assert!(fixture.store.take_over_expired(10).await.expect("looked").is_empty());
}

#[tokio::test]
async fn each_expired_claim_is_taken_over_once_however_many_replicas_try() {
    let fixture = Fixture::new().await;
    for volume in ["v1", "v2", "v3"] {
        fixture.volume(volume, "x", Some(&format!("k-{volume}"))).await;
        let mut claim = initiate(&format!("h-{volume}"), volume, "x");
        claim.lease = Duration::ZERO;
        fixture.store.claim_initiate(&claim).await.expect("claimed");
    }
    let other = fixture.another_store().await;
    let (here, there) =
        tokio::join!(fixture.store.take_over_expired(10), other.take_over_expired(10));
    assert_eq!(here.expect("here").len() + there.expect("there").len(), 3);
}

#[tokio::test]
async fn recovery_takes_no_more_than_it_was_asked_to() {
    let fixture = Fixture::new().await;
    for volume in ["v1", "v2", "v3"] {
        fixture.volume(volume, "x", None).await;
        let mut claim = initiate(&format!("h-{volume}"), volume, "x");
        claim.lease = Duration::ZERO;
        fixture.store.claim_initiate(&claim).await.expect("claimed");
    }
    assert_eq!(fixture.store.take_over_expired(2).await.expect("two").len(), 2);
    let counts = fixture.store.counts().await.expect("counts");
    assert_eq!((counts.claims, counts.expired_claims), (1, 1));
}

/// Recovery has listed both hand-overs when it ends the first; the second renews its lease before
/// its turn.
#[derive(Debug)]
struct Renewal {
    store: Store,
    kept: HandOver,
    entries: AtomicU32,
}

#[async_trait]
impl Turnstile for Renewal {
    async fn enter(&self) -> Passage {
        if self.entries.fetch_add(1, Ordering::Relaxed) == 1 {
            self.store.save(self.kept.clone(), LEASE).await.expect("renewed");
        }
        Passage::Free
    }

    fn begins(&self) {}

    fn statement(&self, _sql: &str) {}

    fn over(&self, _committed: bool) {}

    async fn leave(&self) {}
}

#[tokio::test]
async fn a_driver_that_comes_back_while_recovery_runs_keeps_its_claim() {
    let fixture = Fixture::new().await;
    let mut claims = Vec::new();
    for volume in ["v1", "v2"] {
        fixture.volume(volume, "x", None).await;
        let mut claim = initiate(&format!("h-{volume}"), volume, "x");
        claim.lease = Duration::ZERO;
        let offered = fixture.store.claim_initiate(&claim).await.expect("claimed");
        claims.push(offered.hand_over.into_inner());
    }
    fixture
        .sql("UPDATE volume_transfer_hand_overs SET lease_expires_at_ms = 1 WHERE id = 'h-v1'")
        .await;
    let kept = claims.pop().expect("the second");
    let renewal = Renewal { store: fixture.store.clone(), kept, entries: AtomicU32::new(0) };
    let recovery = fixture.store.with_turnstile(Arc::new(renewal));
    let ended = recovery.take_over_expired(10).await.expect("recovered");
    assert_eq!(ended.len(), 1);
    assert_eq!(fixture.store.claims().await.expect("claims")[0].hand_over.version(), 1);
}
