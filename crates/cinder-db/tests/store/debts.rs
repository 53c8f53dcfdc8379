//! Debts stay until they are paid, and what is named is never garbage.

use cinder_db::{Ages, InitiateClaim, SettledEnd};
use std::time::Duration;

use crate::fixture::{Fixture, accept, copied, given_up, initiate};
use transfer_core::{Authority, Debt, Garbage, Refusal, SecretId, Settlement};

fn debt(authority: Authority, secret: &str) -> Debt {
    Debt { hand_over: "h".into(), authority, garbage: Garbage::Secret(secret.into()) }
}

#[tokio::test]
async fn a_debt_is_struck_out_only_when_it_is_paid() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let owed = debt(Authority::Service, "k");
    store.owe(std::slice::from_ref(&owed)).await.expect("recorded");
    let refusal = Refusal { status: 409, message: "has consumers".to_owned() };
    store.settle(&owed, &Settlement::Refused(refusal)).await.expect("settled");
    store.settle(&owed, &Settlement::Unknown("timed out".to_owned())).await.expect("settled");
    let rows = store.debts().await.expect("debts");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].debt, owed);
    assert_eq!(rows[0].attempts, 2);
    assert_eq!(rows[0].last_error.as_deref(), Some("timed out"));
    assert!(rows[0].due_at_ms > rows[0].created_at_ms);
    store.settle(&owed, &Settlement::Paid).await.expect("settled");
    assert!(store.debts().await.expect("debts").is_empty());
    store.settle(&owed, &Settlement::Paid).await.expect("paying twice is paying once");
}

#[tokio::test]
async fn at_the_end_of_a_hand_over_only_what_is_paid_is_struck_out() {
    let fixture = Fixture::new().await;
    let owed = ["k1", "k2", "k3"].map(|secret| debt(Authority::Service, secret));
    fixture.store.owe(&owed).await.expect("recorded");
    let refusal = Refusal { status: 409, message: "has consumers".to_owned() };
    let [paid, refused, unknown] = owed;
    let debts = vec![
        (paid, Settlement::Paid),
        (refused.clone(), Settlement::Refused(refusal)),
        (unknown.clone(), Settlement::Unknown("timed out".to_owned())),
    ];
    let ends = [SettledEnd { hand_over: "h".into(), debts }];
    fixture.store.settle_ends(&ends).await.expect("settled");
    let rows = fixture.store.debts().await.expect("debts");
    let left: Vec<_> = rows.iter().map(|row| (&row.debt, row.attempts)).collect();
    assert_eq!(left, [(&refused, 1), (&unknown, 1)]);
    assert_eq!(rows[1].last_error.as_deref(), Some("timed out"));
}

#[tokio::test]
async fn each_authority_sees_its_own_debts() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let owed = [
        debt(Authority::Service, "k1"),
        debt(Authority::Project("x".into()), "k2"),
        debt(Authority::Project("y".into()), "k3"),
    ];
    store.owe(&owed).await.expect("recorded");
    for debt in &owed {
        let found = store.debts_of(&debt.authority, 10).await.expect("looked up");
        assert_eq!(found.len(), 1);
        assert_eq!(*found[0], *debt);
    }
    let due = store.due_service_debts(10).await.expect("looked up");
    assert_eq!(due.len(), 1);
    assert_eq!(*due[0], owed[0]);
    let counts = store.counts().await.expect("counts");
    assert_eq!((counts.service_debts, counts.project_debts), (1, 2));
}

#[tokio::test]
async fn a_failed_payment_is_not_due_for_a_while_but_its_project_may_try_at_once() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let owed = [debt(Authority::Service, "k1"), debt(Authority::Project("x".into()), "k2")];
    store.owe(&owed).await.expect("recorded");
    for debt in &owed {
        store.settle(debt, &Settlement::Unknown("503".to_owned())).await.expect("settled");
    }
    assert!(store.due_service_debts(10).await.expect("looked up").is_empty());
    let of_x = Authority::Project("x".into());
    assert_eq!(store.debts_of(&of_x, 10).await.expect("looked up").len(), 1);
}

#[tokio::test]
async fn a_debt_that_is_recorded_twice_is_one() {
    let fixture = Fixture::new().await;
    let owed = debt(Authority::Service, "k");
    fixture.store.owe(std::slice::from_ref(&owed)).await.expect("recorded");
    let failed = Settlement::Unknown("503".to_owned());
    fixture.store.settle(&owed, &failed).await.expect("settled");
    fixture.store.owe(&[owed]).await.expect("recorded");
    let rows = fixture.store.debts().await.expect("debts");
    assert_eq!((rows.len(), rows[0].attempts), (1, 1));
}

#[tokio::test]
async fn a_long_refusal_is_cut() {
    let fixture = Fixture::new().await;
    let owed = debt(Authority::Service, "k");
    fixture.store.owe(std::slice::from_ref(&owed)).await.expect("recorded");
    let failed = Settlement::Unknown("ü".repeat(5000));
    fixture.store.settle(&owed, &failed).await.expect("settled");
    let rows = fixture.store.debts().await.expect("debts");
    assert_eq!(rows[0].last_error.as_ref().map(|text| text.chars().count()), Some(1000));
}

#[tokio::test]
async fn a_secret_is_named_as_long_as_a_row_or_a_live_hand_over_names_it() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let named = async |secret: &str| store.is_named(&SecretId::from(secret)).await.expect("named");
    fixture.volume("v", "x", Some("k")).await;
    fixture.snapshot("s", "v").await;
    assert!(named("k").await, "by the volume");
    assert!(!named("k+").await);

    let claim = initiate("h", "v", "x");
    let offered = store.claim_initiate(&claim).await.expect("claimed");
    let copied_state = copied(offered.hand_over.into_inner());
    let saved = store.save(copied_state, crate::fixture::LEASE).await.expect("saved");
    assert!(named("k").await && named("k+").await, "by the journal");
    store.commit(saved.into_inner()).await.expect("committed");
    assert!(named("k+").await, "by the rows");
    assert!(!named("k").await, "the old key is garbage now");

    let claim = accept("i", &claim.transfer_id, &offered.auth_key, "y");
    let claimed = store.claim_accept(&claim).await.expect("claimed");
    let aborted = given_up(copied(claimed.into_inner()));
    store.abort(aborted).await.expect("aborted");
    assert!(named("k+").await && !named("k++").await);

    fixture.sql("UPDATE volumes SET deleted = TRUE").await;
    assert!(named("k+").await, "by the snapshot");
    fixture.sql("UPDATE snapshots SET deleted = TRUE").await;
    assert!(!named("k+").await);

    fixture
        .sql(
            "INSERT INTO backups (id, volume_id, deleted, encryption_key_id)
             VALUES ('b', 'v', FALSE, 'k+')",
        )
        .await;
    assert!(named("k+").await, "by the backup");
    fixture.sql("UPDATE backups SET deleted = TRUE").await;
    assert!(!named("k+").await);
}

#[tokio::test]
async fn a_live_hand_over_names_its_keys_and_shells_though_no_row_does() {
    for key in ["k", "a \"key\" of 100 % \\ü"] {
        let fixture = Fixture::new().await;
        let store = &fixture.store;
        let named = async |id: &str| store.is_named(&SecretId::from(id)).await.expect("named");
        fixture.volume("v", "x", Some(key)).await;
        let offered = store.claim_initiate(&initiate("h", "v", "x")).await.expect("claimed");
        let state = copied(offered.hand_over.into_inner());
        let saved = store.save(state, crate::fixture::LEASE).await.expect("saved");
        fixture.sql("UPDATE volumes SET encryption_key_id = NULL").await;
        assert!(named(key).await && named(&format!("{key}+")).await, "{key}");
        assert!(!named("h").await, "that is the hand-over's own id");
        store.abort(given_up(saved.into_inner())).await.expect("aborted");
        assert!(!named(key).await && !named(&format!("{key}+")).await, "{key}");
    }
}

#[tokio::test]
async fn a_debt_is_left_to_its_driver_while_the_lease_lasts() {
    for (lease, due) in [(Duration::from_secs(60), 0), (Duration::ZERO, 1)] {
        let fixture = Fixture::new().await;
        fixture.volume("v", "x", Some("key")).await;
        let claim = InitiateClaim { lease, ..initiate("h", "v", "x") };
        fixture.store.claim_initiate(&claim).await.expect("claimed");
        let owed = debt(Authority::Service, "k");
        fixture.store.owe(&[owed]).await.expect("recorded");
        let found = fixture.store.due_service_debts(10).await.expect("looked up");
        assert_eq!(found.len(), due, "{lease:?}");
    }
}

#[tokio::test]
async fn what_stands_is_counted_by_who_can_pay_and_by_age() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let hour = Duration::from_secs(3600);
    let ages = [Duration::ZERO, hour, 24 * hour];
    let nothing = store.standing(&ages).await.expect("looked up");
    assert_eq!(nothing.open_offers, 0);
    assert_eq!(
        (&nothing.service_debts, &nothing.project_debts.oldest),
        (&Ages { at_least: vec![0, 0, 0], oldest: Duration::ZERO }, &Duration::ZERO)
    );
    fixture.volume("v1", "x", None).await;
    fixture.offer("t1", "v1", "x").await;
    let owed = [
        debt(Authority::Service, "k1"),
        debt(Authority::Project("x".into()), "k2"),
        debt(Authority::Project("y".into()), "k3"),
    ];
    store.owe(&owed).await.expect("recorded");
    fixture
        .sql(
            "UPDATE volume_transfer_debts SET created_at_ms = created_at_ms - 7200000 \
             WHERE target = 'k2'",
        )
        .await;
    let standing = store.standing(&ages).await.expect("looked up");
    assert_eq!(standing.open_offers, 1);
    assert_eq!((standing.counts.service_debts, standing.counts.project_debts), (1, 2));
    assert_eq!(standing.service_debts.at_least, [1, 0, 0]);
    assert!(standing.service_debts.oldest < hour);
    assert_eq!(standing.project_debts.at_least, [2, 1, 0]);
    assert!(standing.project_debts.oldest >= 2 * hour);
}
