//! Claims: every refusal in Cinder's words, and exclusion.

use crate::fixture::{Fixture, accept, caller, cancel, copied, initiate};
use cinder_db::{AuthKey, ClaimError};
use std::time::Duration;

/// A refusal: what is made so before the claim, by whom it is made, and the words.
type Case = (&'static [&'static str], &'static str, &'static str);

#[tokio::test]
async fn every_refusal_of_an_initiate_has_cinders_words_and_changes_nothing() {
    let cases: [Case; 8] = [
        (&[], "y", "Volume v could not be found."),
        (&["UPDATE volumes SET deleted = TRUE"], "x", "Volume v could not be found."),
        (
            &["UPDATE volumes SET status = 'in-use'"],
            "x",
            "Invalid volume: status must be available",
        ),
        (
            &["UPDATE volumes SET status = 'awaiting-transfer'"],
            "admin",
            "Invalid volume: status must be available",
        ),
        (
            &["UPDATE snapshots SET status = 'creating'"],
            "x",
            "Invalid snapshot: snapshot: s status must be available",
        ),
        (
            &["UPDATE volumes SET encryption_key_id = '00000000-0000-0000-0000-000000000000'"],
            "x",
            "Invalid volume: volume v is encrypted with the fixed key of the deployment; migrate \
             the key to the key manager first",
        ),
        (&[], "admin", "Volume v is encrypted: only its own project can offer it or take it back."),
        (
            &["UPDATE volumes SET encryption_key_id = NULL"],
            "admin",
            "Volume v is encrypted: only its own project can offer it or take it back.",
        ),
    ];
    for (setup, by, words) in cases {
        let fixture = Fixture::new().await;
        fixture.volume("v", "x", Some("k")).await;
        fixture.snapshot("s", "v").await;
        for statement in setup {
            fixture.sql(statement).await;
        }
        let before = fixture.everything().await;
        let refused = fixture.store.claim_initiate(&initiate("h", "v", by)).await;
        assert_eq!(refused.expect_err(words).to_string(), words);
        assert_eq!(fixture.everything().await, before, "{words}");
    }
}

#[tokio::test]
async fn an_encrypted_volume_needs_the_microversion_and_its_snapshots() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    let mut claim = initiate("h", "v", "x");
    claim.no_snapshots = true;
    let refused = fixture.store.claim_initiate(&claim).await.expect_err("without snapshots");
    assert_eq!(
        refused.to_string(),
        "Invalid volume: transferring an encrypted volume without its snapshots is not supported"
    );
    claim.encrypted_allowed = false;
    let refused = fixture.store.claim_initiate(&claim).await.expect_err("old microversion");
    assert_eq!(
        refused.to_string(),
        "Invalid volume: transferring encrypted volume is not supported"
    );
}

#[tokio::test]
async fn snapshots_that_stay_behind_may_have_any_status() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    fixture.snapshot("s", "v").await;
    fixture.sql("UPDATE snapshots SET status = 'error'").await;
    let mut claim = initiate("h", "v", "x");
    claim.no_snapshots = true;
    fixture.store.claim_initiate(&claim).await.expect("claimed");
}

#[tokio::test]
async fn every_refusal_of_an_accept_has_cinders_words_and_changes_nothing() {
    let cases: [Case; 11] = [
        (&["UPDATE transfers SET deleted = TRUE"], "y", "Transfer t-o could not be found."),
        (
            &["UPDATE transfers SET crypt_hash = 'other'"],
            "y",
            "Invalid auth key: Attempt to transfer t-o with invalid auth key.",
        ),
        (
            &["UPDATE transfers SET crypt_hash = '', salt = NULL"],
            "y",
            "Invalid auth key: Attempt to transfer t-o with invalid auth key.",
        ),
        (&["UPDATE volumes SET deleted = TRUE"], "y", "Volume v could not be found."),
        (
            &["UPDATE volumes SET consistencygroup_id = 'g'"],
            "y",
            "Invalid volume: Volume v must not be part of a consistency group.",
        ),
        (
            &["UPDATE quota_classes SET hard_limit = 1 WHERE resource = 'per_volume_gigabytes'"],
            "y",
            "Requested volume size 2G is larger than maximum allowed limit 1G.",
        ),
        (
            &[
                "UPDATE volume_types SET id = 't', is_public = FALSE",
                "UPDATE volumes SET volume_type_id = 't'",
            ],
            "y",
            "Volume type t could not be found.",
        ),
        (
            &["UPDATE volumes SET status = 'maintenance'"],
            "y",
            "Invalid volume: The volume cannot accept transfer in maintenance mode.",
        ),
        (
            &["UPDATE volumes SET status = 'available'"],
            "y",
            "Invalid volume: Transfer t-o: Volume id v expected in awaiting-transfer state.",
        ),
        (
            &["UPDATE snapshots SET status = 'deleting'"],
            "y",
            "Invalid snapshot: Transfer t-o: Snapshot s is not in the expected available state.",
        ),
        (
            &["UPDATE transfers SET no_snapshots = TRUE"],
            "y",
            "Invalid volume: transferring an encrypted volume without its snapshots is not \
             supported",
        ),
    ];
    for (setup, by, words) in cases {
        let fixture = Fixture::new().await;
        fixture.volume("v", "x", Some("k")).await;
        fixture.snapshot("s", "v").await;
        let (transfer, key) = fixture.offer("o", "v", "x").await;
        for statement in setup {
            fixture.sql(statement).await;
        }
        let before = fixture.everything().await;
        let refused = fixture.store.claim_accept(&accept("h", &transfer, &key, by)).await;
        assert_eq!(refused.expect_err(words).to_string(), words);
        assert_eq!(fixture.everything().await, before, "{words}");
    }
}

#[tokio::test]
async fn an_accept_sees_no_more_than_a_wrong_key_allows() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    let (transfer, key) = fixture.offer("o", "v", "x").await;
    fixture.store.claim_accept(&accept("h", &transfer, &key, "y")).await.expect("claimed");
    let wrong = accept("g", &transfer, &AuthKey::new("0123456789abcdef"), "z");
    let refused = fixture.store.claim_accept(&wrong).await.expect_err("wrong key");
    assert!(matches!(refused, ClaimError::InvalidAuthKey(_)), "{refused}");
}

#[tokio::test]
async fn a_recipient_with_access_to_a_private_type_may_accept() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    let (transfer, key) = fixture.offer("o", "v", "x").await;
    fixture.sql("UPDATE volume_types SET is_public = FALSE, deleted = TRUE").await;
    let claim = accept("h", &transfer, &key, "y");
    fixture.store.claim_accept(&claim).await.expect_err("no access");
    fixture
        .sql(
            "INSERT INTO volume_type_projects (volume_type_id, project_id, deleted)
              SELECT id, 'y', 0 FROM volume_types",
        )
        .await;
    fixture.store.claim_accept(&claim).await.expect("access, although the type is deleted");
}

#[tokio::test]
async fn every_refusal_of_a_cancel_has_its_words_and_changes_nothing() {
    let foreign = "Volume v is encrypted: only its own project can offer it or take it back.";
    let cases: [Case; 4] = [
        (&[], "y", "Transfer t-o could not be found."),
        (&["UPDATE transfers SET deleted = TRUE"], "x", "Transfer t-o could not be found."),
        (&["UPDATE volumes SET deleted = TRUE"], "x", "Volume v could not be found."),
        (&[], "admin", foreign),
    ];
    for (setup, by, words) in cases {
        let fixture = Fixture::new().await;
        fixture.volume("v", "x", Some("k")).await;
        let (transfer, _key) = fixture.offer("o", "v", "x").await;
        for statement in setup {
            fixture.sql(statement).await;
        }
        let before = fixture.everything().await;
        let refused = fixture.store.claim_cancel(&cancel("h", &transfer, by)).await;
        assert_eq!(refused.expect_err(words).to_string(), words);
        assert_eq!(fixture.everything().await, before, "{words}");
    }
}

#[tokio::test]
async fn an_administrator_may_offer_and_take_back_a_plain_volume_of_another_project() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    let (transfer, _key) = fixture.offer("o", "v", "admin").await;
    let source = "SELECT source_project_id FROM transfers";
    assert_eq!(fixture.value(source).await, "x");
    let claimed = fixture.store.claim_cancel(&cancel("c", &transfer, "admin")).await;
    fixture.store.commit(claimed.expect("claimed").into_inner()).await.expect("committed");
    assert_eq!(fixture.value("SELECT status FROM volumes").await, "available");
}

#[tokio::test]
async fn a_live_claim_excludes_every_other_operation_on_the_volume() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    let store = &fixture.store;
    let offered = store.claim_initiate(&initiate("a", "v", "x")).await.expect("claimed");
    let again = store.claim_initiate(&initiate("b", "v", "x")).await.expect_err("excluded");
    assert!(matches!(again, ClaimError::InProgress(_)), "{again}");
    store.commit(copied(offered.hand_over.into_inner())).await.expect("committed");
    let transfer = "t-a".into();
    store.claim_cancel(&cancel("c", &transfer, "x")).await.expect("claimed");
    let accepted = store.claim_accept(&accept("d", &transfer, &offered.auth_key, "y")).await;
    let cancelled = store.claim_cancel(&cancel("e", &transfer, "x")).await;
    for refused in [accepted.expect_err("excluded"), cancelled.expect_err("excluded")] {
        assert!(matches!(refused, ClaimError::InProgress(_)), "{refused}");
    }
}

#[tokio::test]
async fn an_offer_is_not_visible_before_its_commit() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    let claim = initiate("o", "v", "x");
    let offered = fixture.store.claim_initiate(&claim).await.expect("claimed");
    let early = accept("h", &claim.transfer_id, &offered.auth_key, "y");
    let refused = fixture.store.claim_accept(&early).await.expect_err("not committed");
    assert!(matches!(refused, ClaimError::TransferNotFound(_)), "{refused}");
}

#[tokio::test]
async fn an_expired_claim_makes_way_for_the_next_one() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    let mut dead = initiate("dead", "v", "x");
    dead.lease = Duration::ZERO;
    fixture.store.claim_initiate(&dead).await.expect("claimed");
    fixture.store.claim_initiate(&initiate("next", "v", "x")).await.expect("taken over");
    let journal = "SELECT id, claimed_volume_id, version, phase FROM volume_transfer_hand_overs
                   ORDER BY id";
    assert_eq!(
        fixture.rows(journal).await,
        [
            "id=dead claimed_volume_id=NULL version=2 phase=aborted",
            "id=next claimed_volume_id=v version=1 phase=copying",
        ]
    );
    let debts = "SELECT id FROM volume_transfer_debts";
    assert_eq!(fixture.value(debts).await, "shells:volume-transfer-dead");
}

#[tokio::test]
async fn of_concurrent_claims_exactly_one_wins() {
    for round in 0..8 {
        let fixture = Fixture::new().await;
        fixture.volume("v", "x", Some("k")).await;
        let (transfer, key) = fixture.offer("o", "v", "x").await;
        let other = fixture.another_store().await;
        let (y, z) = (accept("y", &transfer, &key, "y"), accept("z", &transfer, &key, "z"));
        let back = cancel("c", &transfer, "x");
        let (first, second, third) = tokio::join!(
            fixture.store.claim_accept(&y),
            other.claim_accept(&z),
            other.claim_cancel(&back),
        );
        let won = [&first, &second, &third].iter().filter(|claimed| claimed.is_ok()).count();
        assert_eq!(won, 1, "round {round}");
        for lost in [first, second, third].into_iter().filter_map(Result::err) {
            assert!(matches!(lost, ClaimError::InProgress(_)), "{lost}");
        }
    }
}

#[tokio::test]
async fn what_the_caller_needs_to_know_is_in_the_hand_over() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    fixture.snapshot("s", "v").await;
    fixture.sql("UPDATE snapshots SET encryption_key_id = 'l'").await;
    let (transfer, key) = fixture.offer("o", "v", "x").await;
    let claim = accept("h", &transfer, &key, "y");
    let claimed = fixture.store.claim_accept(&claim).await.expect("claimed");
    assert_eq!(claimed.parties().donor, "x".into());
    assert_eq!(claimed.parties().caller, "y".into());
    assert_eq!(claimed.parties().user, caller("y").user);
    let keys: Vec<&str> = claimed.keys().iter().map(|key| key.old.as_str()).collect();
    assert_eq!(keys, ["k+", "l+"]);
    assert_eq!(claimed.effects().len(), 2);
}
