//! Commits and aborts: what they do to Cinder's rows, and that they do it whole or not at all.

use crate::fixture::{Fixture, LEASE, Log, accept, cancel, copied, given_up, initiate};
use cinder_db::{EndError, OverQuota, SettledEnd};
use transfer_core::{Authority, Garbage, Phase, Step};

const VOLUME: &str =
    "SELECT status, user_id, project_id, encryption_key_id, updated_at IS NULL AS untouched
     FROM volumes";
const SNAPSHOTS: &str =
    "SELECT id, status, user_id, project_id, encryption_key_id FROM snapshots ORDER BY id";
const TRANSFER: &str =
    "SELECT volume_id, display_name, deleted, deleted_at IS NULL AS never_deleted, updated_at,
            expires_at, no_snapshots, source_project_id, destination_project_id, accepted,
            length(salt) AS salt, length(crypt_hash) AS hash
     FROM transfers";

async fn encrypted() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k")).await;
    fixture.snapshot("s1", "v").await;
    fixture.snapshot("s2", "v").await;
    fixture
}

#[tokio::test]
async fn a_committed_initiate_leaves_the_rows_that_cinder_would() {
    let fixture = encrypted().await;
    fixture.offer("o", "v", "x").await;
    assert_eq!(
        fixture.rows(VOLUME).await,
        ["status=awaiting-transfer user_id=user-x project_id=x encryption_key_id=k+ untouched=0"]
    );
    assert_eq!(
        fixture.rows(SNAPSHOTS).await,
        [
            "id=s1 status=available user_id=user-x project_id=x encryption_key_id=k+",
            "id=s2 status=available user_id=user-x project_id=x encryption_key_id=k+",
        ]
    );
    assert_eq!(
        fixture.rows(TRANSFER).await,
        ["volume_id=v display_name=an offer deleted=0 never_deleted=1 updated_at=NULL \
          expires_at=NULL no_snapshots=0 source_project_id=x destination_project_id=NULL \
          accepted=0 salt=8 hash=40"]
    );
}

#[tokio::test]
async fn a_committed_accept_leaves_the_rows_that_cinder_would() {
    let fixture = encrypted().await;
    let (transfer, key) = fixture.offer("o", "v", "x").await;
    let claimed = fixture.store.claim_accept(&accept("h", &transfer, &key, "y")).await;
    let claimed = copied(claimed.expect("claimed").into_inner());
    let ended = fixture.store.commit(claimed).await.expect("committed");
    assert_eq!(*ended.hand_over.phase(), Phase::Committed);
    assert_eq!(ended.debts.len(), 1);
    assert_eq!(ended.debts[0].authority, Authority::Service);
    assert_eq!(ended.debts[0].garbage, Garbage::Secret("k+".into()));
    assert_eq!(
        fixture.rows(VOLUME).await,
        ["status=available user_id=user-y project_id=y encryption_key_id=k++ untouched=0"]
    );
    assert_eq!(
        fixture.rows(SNAPSHOTS).await,
        [
            "id=s1 status=available user_id=user-y project_id=y encryption_key_id=k++",
            "id=s2 status=available user_id=user-y project_id=y encryption_key_id=k++",
        ]
    );
    assert_eq!(
        fixture.rows(TRANSFER).await,
        ["volume_id=v display_name=an offer deleted=1 never_deleted=0 updated_at=NULL \
          expires_at=NULL no_snapshots=0 source_project_id=x destination_project_id=y \
          accepted=1 salt=8 hash=40"]
    );
}

#[tokio::test]
async fn a_committed_cancel_leaves_the_rows_that_cinder_would() {
    let fixture = encrypted().await;
    let (transfer, _key) = fixture.offer("o", "v", "x").await;
    let claimed = fixture.store.claim_cancel(&cancel("h", &transfer, "x")).await;
    let claimed = copied(claimed.expect("claimed").into_inner());
    fixture.store.commit(claimed).await.expect("committed");
    assert_eq!(
        fixture.rows(VOLUME).await,
        ["status=available user_id=user-x project_id=x encryption_key_id=k++ untouched=0"]
    );
    assert_eq!(
        fixture.rows(TRANSFER).await,
        ["volume_id=v display_name=an offer deleted=1 never_deleted=0 updated_at=NULL \
          expires_at=NULL no_snapshots=0 source_project_id=x destination_project_id=NULL \
          accepted=0 salt=8 hash=40"]
    );
}

#[tokio::test]
async fn a_cancel_leaves_a_status_that_somebody_else_has_set() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    let (transfer, _key) = fixture.offer("o", "v", "x").await;
    fixture.sql("UPDATE volumes SET status = 'error'").await;
    let claimed = fixture.store.claim_cancel(&cancel("h", &transfer, "x")).await;
    fixture.store.commit(claimed.expect("claimed").into_inner()).await.expect("committed");
    assert_eq!(fixture.value("SELECT status FROM volumes").await, "error");
    assert_eq!(fixture.value("SELECT deleted FROM transfers").await, "1");
}

#[tokio::test]
async fn an_offer_that_somebody_else_has_ended_is_not_ended_again() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    let (transfer, _key) = fixture.offer("o", "v", "x").await;
    let claimed = fixture.store.claim_cancel(&cancel("h", &transfer, "x")).await;
    fixture
        .sql("UPDATE transfers SET deleted = TRUE, deleted_at = '2026-01-01 00:00:00.000000'")
        .await;
    let before = fixture.everything().await;
    let refused = fixture.store.commit(claimed.expect("claimed").into_inner()).await;
    let refused = refused.expect_err("ended");
    assert!(matches!(refused, EndError::ConflictingRows), "{refused}");
    assert_eq!(fixture.everything().await, before);
}

#[tokio::test]
async fn snapshots_that_stay_behind_keep_their_owner() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    fixture.snapshot("s", "v").await;
    let mut claim = initiate("o", "v", "x");
    claim.no_snapshots = true;
    let offered = fixture.store.claim_initiate(&claim).await.expect("claimed");
    fixture.store.commit(offered.hand_over.into_inner()).await.expect("committed");
    let claim = accept("h", &claim.transfer_id, &offered.auth_key, "y");
    let claimed = fixture.store.claim_accept(&claim).await.expect("claimed");
    fixture.store.commit(claimed.into_inner()).await.expect("committed");
    assert_eq!(fixture.value("SELECT project_id FROM volumes").await, "y");
    assert_eq!(fixture.value("SELECT project_id FROM snapshots").await, "x");
}

#[tokio::test]
async fn distinct_keys_stay_distinct() {
    let fixture = encrypted().await;
    fixture.sql("UPDATE snapshots SET encryption_key_id = 'l' WHERE id = 's2'").await;
    fixture.offer("o", "v", "x").await;
    let keys = "SELECT encryption_key_id FROM volumes UNION ALL
                SELECT encryption_key_id FROM snapshots";
    assert_eq!(
        fixture.rows(keys).await,
        ["encryption_key_id=k+", "encryption_key_id=k+", "encryption_key_id=l+"]
    );
    let debts = "SELECT id, project_id FROM volume_transfer_debts ORDER BY id";
    assert_eq!(fixture.rows(debts).await, ["id=secret:k project_id=x", "id=secret:l project_id=x"]);
}

#[tokio::test]
async fn an_aborted_hand_over_leaves_the_rows_as_they_were() {
    let fixture = encrypted().await;
    let store = &fixture.store;
    let before = fixture.rows_of_cinder().await;
    let offered = store.claim_initiate(&initiate("h", "v", "x")).await.expect("claimed");
    store.abort(given_up(offered.hand_over.into_inner())).await.expect("aborted");
    assert_eq!(fixture.rows_of_cinder().await, before, "initiate");

    let (transfer, key) = fixture.offer("o", "v", "x").await;
    let before = fixture.rows_of_cinder().await;
    let claimed = store.claim_accept(&accept("i", &transfer, &key, "y")).await.expect("claimed");
    assert_ne!(fixture.rows_of_cinder().await, before, "quota is reserved");
    store.abort(given_up(claimed.into_inner())).await.expect("aborted");
    assert_eq!(fixture.rows_of_cinder().await, before, "accept");

    let claimed = store.claim_cancel(&cancel("j", &transfer, "x")).await.expect("claimed");
    store.abort(given_up(claimed.into_inner())).await.expect("aborted");
    assert_eq!(fixture.rows_of_cinder().await, before, "cancel");
}

#[tokio::test]
async fn an_abort_leaves_a_status_that_somebody_else_has_set_and_says_so() {
    for (change, status, warnings) in [
        ("UPDATE volumes SET status = 'error'", "error", 1),
        ("UPDATE volumes SET status = status", "available", 0),
    ] {
        let fixture = encrypted().await;
        let claimed = fixture.store.claim_initiate(&initiate("h", "v", "x")).await;
        let claimed = claimed.expect("claimed").hand_over.into_inner();
        fixture.sql(change).await;
        let log = Log::default();
        let listening = log.listen();
        fixture.store.abort(given_up(claimed)).await.expect("aborted");
        drop(listening);
        assert_eq!(fixture.value("SELECT status FROM volumes").await, status);
        assert_eq!(log.count("status was changed by somebody else"), warnings, "{change}");
    }
}

#[tokio::test]
async fn the_shells_of_an_aborted_hand_over_become_debts() {
    let fixture = encrypted().await;
    let store = &fixture.store;
    let (transfer, key) = fixture.offer("o", "v", "x").await;
    let claimed = store.claim_accept(&accept("h", &transfer, &key, "y")).await.expect("claimed");
    let copied = copied(claimed.into_inner());
    let refusal = transfer_core::Refusal { status: 403, message: "no".to_owned() };
    let mut refused = copied.clone();
    refused.apply(transfer_core::Event::Refused { step: Step::Fill, refusal }).expect("refused");
    let ended = store.abort(refused).await.expect("aborted");
    assert_eq!(ended.debts[0].authority, Authority::Project("y".into()));
    assert_eq!(ended.debts[0].garbage, Garbage::Secret("k++".into()));
    let late = store.commit(copied).await.expect_err("too late");
    assert!(matches!(late, EndError::Fenced), "{late}");
}

#[tokio::test]
async fn rows_that_were_changed_since_the_claim_are_a_conflict_and_nothing_changes() {
    let cases = [
        "UPDATE volumes SET encryption_key_id = 'other'",
        "UPDATE volumes SET encryption_key_id = NULL WHERE id = 'v'; \
         UPDATE snapshots SET deleted = TRUE",
        "UPDATE snapshots SET encryption_key_id = 'other' WHERE id = 's1'",
        "UPDATE snapshots SET status = 'deleting' WHERE id = 's1'",
        "UPDATE snapshots SET deleted = TRUE WHERE id = 's1'",
        "INSERT INTO snapshots (id, volume_id, volume_type_id, status, deleted, encryption_key_id)
         VALUES ('s3', 'v', 't', 'available', FALSE, 'k+')",
        "UPDATE volumes SET status = 'available'",
        "UPDATE volumes SET project_id = 'z'",
        "UPDATE volumes SET deleted = TRUE",
        "UPDATE transfers SET deleted = TRUE",
    ];
    for change in cases {
        let fixture = encrypted().await;
        let store = &fixture.store;
        let (transfer, key) = fixture.offer("o", "v", "x").await;
        let claim = accept("h", &transfer, &key, "y");
        let claimed = store.claim_accept(&claim).await.expect("claimed").into_inner();
        fixture.sql(change).await;
        let before = fixture.everything().await;
        let refused = store.commit(copied(claimed.clone())).await.expect_err(change);
        assert!(matches!(refused, EndError::ConflictingRows), "{change}: {refused}");
        assert_eq!(fixture.everything().await, before, "{change}");
        store.abort(given_up(copied(claimed))).await.expect("aborted");
        let reserved = "SELECT coalesce(sum(reserved), 0) FROM quota_usages";
        assert_eq!(fixture.value(reserved).await, "0", "{change}");
    }
}

#[tokio::test]
async fn a_copy_that_no_row_would_name_is_a_conflict() {
    for change in [
        "UPDATE snapshots SET deleted = TRUE WHERE id = 's2'",
        "UPDATE snapshots SET encryption_key_id = 'k' WHERE id = 's2'",
    ] {
        let fixture = encrypted().await;
        fixture.sql("UPDATE snapshots SET encryption_key_id = 'l' WHERE id = 's2'").await;
        let claim = initiate("h", "v", "x");
        let offered = fixture.store.claim_initiate(&claim).await.expect("claimed");
        fixture.sql(change).await;
        let before = fixture.everything().await;
        let copied = copied(offered.hand_over.into_inner());
        let refused = fixture.store.commit(copied).await.expect_err(change);
        assert!(matches!(refused, EndError::ConflictingRows), "{change}: {refused}");
        assert_eq!(fixture.everything().await, before, "{change}");
    }
}

#[tokio::test]
async fn a_commit_before_the_copy_is_done_is_an_error() {
    let fixture = encrypted().await;
    let offered = fixture.store.claim_initiate(&initiate("h", "v", "x")).await.expect("claimed");
    let before = fixture.everything().await;
    let claimed = offered.hand_over.into_inner();
    fixture.store.commit(claimed.clone()).await.expect_err("nothing copied");
    fixture.store.abort(claimed).await.expect_err("not given up");
    assert_eq!(fixture.everything().await, before);
}

#[tokio::test]
async fn a_lost_commit_can_be_read_back_until_it_is_forgotten() {
    let fixture = encrypted().await;
    let store = &fixture.store;
    let offered = store.claim_initiate(&initiate("h", "v", "x")).await.expect("claimed");
    let id = offered.hand_over.id().clone();
    let end = [SettledEnd { hand_over: id.clone(), debts: Vec::new() }];
    assert!(store.ended(&id).await.expect("looked up").is_none(), "live");
    store.settle_ends(&end).await.expect("a live hand-over is not forgotten");
    store.forget_ended(std::time::Duration::ZERO).await.expect("nor here");
    store.commit(copied(offered.hand_over.into_inner())).await.expect("committed");
    let ended = store.ended(&id).await.expect("looked up").expect("ended");
    assert_eq!(*ended.hand_over.phase(), Phase::Committed);
    assert_eq!(ended.debts.len(), 1);
    store.forget_ended(LEASE).await.expect("too young");
    assert!(store.ended(&id).await.expect("looked up").is_some());
    store.settle_ends(&end).await.expect("forgotten");
    assert!(store.ended(&id).await.expect("looked up").is_none());
    assert_eq!(store.debts().await.expect("debts").len(), 1, "debts outlive it");
}

#[tokio::test]
async fn the_journal_keeps_no_salt_and_no_hash_of_an_ended_hand_over() {
    let fixture = encrypted().await;
    fixture.offer("o", "v", "x").await;
    let details = "SELECT details FROM volume_transfer_hand_overs";
    assert_eq!(fixture.value(details).await, "{}");
}

#[tokio::test]
async fn over_quota_speaks_in_cinders_words() {
    for (over, words) in [
        (
            OverQuota::Gigabytes { name: "gigabytes".into(), requested: 2, consumed: 2, quota: 3 },
            "Requested volume or snapshot exceeds allowed gigabytes quota. Requested 2G, quota is \
             3G and 2G has been consumed.",
        ),
        (
            OverQuota::Volumes { name: "volumes_lvm".into(), allowed: 10 },
            "Maximum number of volumes allowed (10) exceeded for quota 'volumes_lvm'.",
        ),
        (OverQuota::Snapshots { allowed: 1 }, "Maximum number of snapshots allowed (1) exceeded"),
        (
            OverQuota::VolumeSize { size_gb: 2, limit_gb: 1 },
            "Requested volume size 2G is larger than maximum allowed limit 1G.",
        ),
    ] {
        assert_eq!(over.to_string(), words);
    }
}
