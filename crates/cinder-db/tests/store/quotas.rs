//! Quotas at an accept, as Cinder counts them (cinder: `db/api.py` `quota_reserve`).

use crate::fixture::{Fixture, accept, copied, given_up, initiate};
use cinder_db::{AcceptClaim, QuotaLimits};

pub(crate) const USAGE: &str = "SELECT project_id, resource, in_use, reserved FROM quota_usages
                     WHERE resource NOT LIKE '%!_%' ESCAPE '!'
                       AND (in_use <> 0 OR reserved <> 0)
                     ORDER BY project_id, resource";

/// A plain volume of 2 GiB with one snapshot, on offer, and the claim of its accept by `y`.
pub(crate) async fn offered() -> (Fixture, AcceptClaim) {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    fixture.snapshot("s", "v").await;
    let (transfer, key) = fixture.offer("o", "v", "x").await;
    let claim = accept("h", &transfer, &key, "y");
    (fixture, claim)
}

async fn accepted(fixture: &Fixture, claim: &AcceptClaim) {
    let claimed = fixture.store.claim_accept(claim).await.expect("claimed");
    fixture.store.commit(copied(claimed.into_inner())).await.expect("committed");
}

#[tokio::test]
async fn what_the_donor_loses_the_recipient_gains() {
    let (fixture, claim) = offered().await;
    assert_eq!(
        fixture.rows(USAGE).await,
        [
            "project_id=x resource=gigabytes in_use=4 reserved=0",
            "project_id=x resource=snapshots in_use=1 reserved=0",
            "project_id=x resource=volumes in_use=1 reserved=0",
        ]
    );
    let claimed = fixture.store.claim_accept(&claim).await.expect("claimed");
    assert_eq!(
        fixture.rows(USAGE).await,
        [
            "project_id=x resource=gigabytes in_use=4 reserved=0",
            "project_id=x resource=snapshots in_use=1 reserved=0",
            "project_id=x resource=volumes in_use=1 reserved=0",
            "project_id=y resource=gigabytes in_use=0 reserved=4",
            "project_id=y resource=snapshots in_use=0 reserved=1",
            "project_id=y resource=volumes in_use=0 reserved=1",
        ]
    );
    fixture.store.commit(claimed.into_inner()).await.expect("committed");
    assert_eq!(
        fixture.rows(USAGE).await,
        [
            "project_id=y resource=gigabytes in_use=4 reserved=0",
            "project_id=y resource=snapshots in_use=1 reserved=0",
            "project_id=y resource=volumes in_use=1 reserved=0",
        ]
    );
    let of_type = "SELECT resource, in_use FROM quota_usages
                   WHERE project_id = 'y' AND resource LIKE '%DEFAULT%' ORDER BY resource";
    assert_eq!(
        fixture.rows(of_type).await,
        [
            "resource=gigabytes___DEFAULT__ in_use=4",
            "resource=snapshots___DEFAULT__ in_use=1",
            "resource=volumes___DEFAULT__ in_use=1",
        ]
    );
}

#[tokio::test]
async fn a_quota_that_is_too_small_refuses_in_cinders_words_and_reserves_nothing() {
    let quota = |resource: &str, limit: &str| {
        format!(
            "INSERT INTO quotas (project_id, resource, hard_limit, deleted)
             VALUES ('y', '{resource}', {limit}, FALSE)"
        )
    };
    let class = |resource: &str, limit: &str| {
        format!("UPDATE quota_classes SET hard_limit = {limit} WHERE resource = '{resource}'")
    };
    let gigabytes = |name: &str, requested: i64, quota: i64, consumed: i64| {
        format!(
            "Requested volume or snapshot exceeds allowed {name} quota. Requested {requested}G, \
             quota is {quota}G and {consumed}G has been consumed."
        )
    };
    let volumes =
        |name: &str| format!("Maximum number of volumes allowed (0) exceeded for quota '{name}'.");
    let snapshots = || "Maximum number of snapshots allowed (0) exceeded".to_owned();
    for (setup, words) in [
        (quota("volumes", "0"), volumes("volumes")),
        (quota("gigabytes", "1"), gigabytes("gigabytes", 2, 1, 0)),
        (quota("snapshots", "0"), snapshots()),
        // The volume fits, and is reserved; its snapshot does not fit any more.
        (quota("gigabytes", "3"), gigabytes("gigabytes", 2, 3, 2)),
        (quota("volumes___DEFAULT__", "0"), volumes("volumes___DEFAULT__")),
        (quota("gigabytes___DEFAULT__", "1"), gigabytes("gigabytes___DEFAULT__", 2, 1, 0)),
        (quota("snapshots___DEFAULT__", "0"), snapshots()),
        (class("volumes", "0"), volumes("volumes")),
        (class("gigabytes", "1"), gigabytes("gigabytes", 2, 1, 0)),
    ] {
        let (fixture, claim) = offered().await;
        fixture.sql(&setup).await;
        let before = fixture.everything().await;
        let refused = fixture.store.claim_accept(&claim).await.expect_err(&words);
        assert_eq!(refused.to_string(), words);
        assert_eq!(fixture.everything().await, before, "{words}");
    }
}

#[tokio::test]
async fn of_several_quotas_that_are_too_small_gigabytes_come_first() {
    let (fixture, claim) = offered().await;
    fixture.sql("UPDATE quota_classes SET hard_limit = 0").await;
    fixture.sql("DELETE FROM quota_classes WHERE resource = 'per_volume_gigabytes'").await;
    let refused = fixture.store.claim_accept(&claim).await.expect_err("too small");
    assert!(refused.to_string().contains("exceeds allowed gigabytes quota"), "{refused}");
}

#[tokio::test]
async fn a_project_s_own_limit_beats_the_class_and_the_class_beats_the_configuration() {
    let quota = "INSERT INTO quotas (project_id, resource, hard_limit, deleted) VALUES";
    for (setup, configured, use_class, fits) in [
        (String::new(), 10, true, true),
        (
            "UPDATE quota_classes SET hard_limit = 0 WHERE resource = 'volumes'".into(),
            10,
            true,
            false,
        ),
        (
            "UPDATE quota_classes SET hard_limit = 0 WHERE resource = 'volumes'".into(),
            10,
            false,
            true,
        ),
        (
            "UPDATE quota_classes SET hard_limit = -1 WHERE resource = 'volumes'".into(),
            0,
            true,
            true,
        ),
        ("DELETE FROM quota_classes".into(), 0, true, false),
        ("DELETE FROM quota_classes".into(), -1, true, true),
        (format!("{quota} ('y', 'volumes', 0, FALSE)"), 10, true, false),
        (format!("{quota} ('y', 'volumes', 0, TRUE)"), 10, true, true),
        (format!("{quota} ('x', 'volumes', 0, FALSE)"), 10, true, true),
        (format!("{quota} ('y', 'volumes', NULL, FALSE)"), 0, true, true),
        (format!("{quota} ('y', 'volumes', NULL, FALSE)"), 0, false, false),
    ] {
        let (fixture, mut claim) = offered().await;
        if !setup.is_empty() {
            fixture.sql(&setup).await;
        }
        claim.limits.volumes = configured;
        claim.limits.use_default_quota_class = use_class;
        let claimed = fixture.store.claim_accept(&claim).await;
        assert_eq!(claimed.is_ok(), fits, "{setup} {configured} {use_class}");
    }
}

#[tokio::test]
async fn a_usage_row_that_is_missing_or_negative_is_counted_anew() {
    for damage in [
        "DELETE FROM quota_usages WHERE project_id = 'y'",
        "UPDATE quota_usages SET in_use = -3 WHERE project_id = 'y'",
    ] {
        let (fixture, mut claim) = offered().await;
        fixture.volume("own", "y", None).await;
        fixture.sql(damage).await;
        claim.limits = QuotaLimits { use_default_quota_class: false, ..claim.limits };
        claim.limits.volumes = 1;
        let refused = fixture.store.claim_accept(&claim).await.expect_err(damage);
        assert_eq!(
            refused.to_string(),
            "Maximum number of volumes allowed (1) exceeded for quota 'volumes'.",
            "{damage}"
        );
        claim.limits.volumes = 2;
        accepted(&fixture, &claim).await;
        let volumes = "SELECT in_use FROM quota_usages
                       WHERE project_id = 'y' AND resource = 'volumes'";
        assert_eq!(fixture.value(volumes).await, "2", "{damage}");
    }
}

#[tokio::test]
async fn the_donor_s_usage_never_becomes_negative() {
    let (fixture, claim) = offered().await;
    fixture.sql("UPDATE quota_usages SET in_use = 0 WHERE project_id = 'x'").await;
    accepted(&fixture, &claim).await;
    let least = "SELECT min(in_use) FROM quota_usages WHERE project_id = 'x'";
    assert_eq!(fixture.value(least).await, "0");
}

#[tokio::test]
async fn a_project_that_is_over_its_quota_may_still_give_away() {
    let (fixture, claim) = offered().await;
    fixture
        .sql(
            "INSERT INTO quotas (project_id, resource, hard_limit, deleted)
              VALUES ('x', 'volumes', 0, FALSE), ('x', 'gigabytes', 0, FALSE)",
        )
        .await;
    accepted(&fixture, &claim).await;
}

#[tokio::test]
async fn rows_that_quotas_do_not_count_move_nothing() {
    let (fixture, claim) = offered().await;
    fixture.sql("UPDATE volumes SET use_quota = FALSE").await;
    fixture.sql("UPDATE snapshots SET use_quota = FALSE").await;
    fixture.sql("DELETE FROM quota_usages").await;
    fixture
        .sql("UPDATE quota_classes SET hard_limit = 0 WHERE resource <> 'per_volume_gigabytes'")
        .await;
    accepted(&fixture, &claim).await;
    assert!(fixture.rows(USAGE).await.is_empty());
}

#[tokio::test]
async fn which_snapshots_count_depends_on_the_offer() {
    for (no_snapshots, moved) in [("FALSE", "4"), ("TRUE", "2"), ("NULL", "4")] {
        let (fixture, claim) = offered().await;
        fixture.sql(&format!("UPDATE transfers SET no_snapshots = {no_snapshots}")).await;
        accepted(&fixture, &claim).await;
        let gigabytes = "SELECT in_use FROM quota_usages
                         WHERE project_id = 'y' AND resource = 'gigabytes'";
        assert_eq!(fixture.value(gigabytes).await, moved, "no_snapshots {no_snapshots}");
    }
}

#[tokio::test]
async fn snapshots_may_be_free_of_gigabytes() {
    let (fixture, mut claim) = offered().await;
    claim.limits.no_snapshot_gb_quota = true;
    accepted(&fixture, &claim).await;
    assert_eq!(
        fixture.rows(&USAGE.replace("ORDER", "AND project_id = 'y' ORDER")).await,
        [
            "project_id=y resource=gigabytes in_use=2 reserved=0",
            "project_id=y resource=snapshots in_use=1 reserved=0",
            "project_id=y resource=volumes in_use=1 reserved=0",
        ]
    );
}

#[tokio::test]
async fn a_project_that_accepts_its_own_offer_needs_no_quota() {
    let (fixture, mut claim) = offered().await;
    claim.caller = crate::fixture::caller("x");
    fixture
        .sql("UPDATE quota_classes SET hard_limit = 1 WHERE resource IN ('volumes', 'snapshots')")
        .await;
    let before = fixture.rows(USAGE).await;
    accepted(&fixture, &claim).await;
    assert_eq!(fixture.rows(USAGE).await, before);
}

#[tokio::test]
async fn a_snapshot_of_another_project_is_taken_from_that_project() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", None).await;
    fixture.snapshot("s", "v").await;
    let mut claim = initiate("o", "v", "x");
    claim.no_snapshots = true;
    let offered = fixture.store.claim_initiate(&claim).await.expect("claimed");
    fixture.store.commit(offered.hand_over.into_inner()).await.expect("committed");
    accepted(&fixture, &accept("h", &claim.transfer_id, &offered.auth_key, "y")).await;
    let (transfer, key) = fixture.offer("p", "v", "y").await;
    accepted(&fixture, &accept("i", &transfer, &key, "z")).await;
    assert_eq!(
        fixture.rows(USAGE).await,
        [
            "project_id=z resource=gigabytes in_use=4 reserved=0",
            "project_id=z resource=snapshots in_use=1 reserved=0",
            "project_id=z resource=volumes in_use=1 reserved=0",
        ]
    );
}

#[tokio::test]
async fn reservations_look_like_cinders_and_are_struck_at_the_end() {
    let (fixture, claim) = offered().await;
    let claimed = fixture.store.claim_accept(&claim).await.expect("claimed").into_inner();
    let held = "SELECT project_id, resource, delta FROM reservations r
                WHERE deleted = FALSE AND length(uuid) = 36 AND expire > created_at
                  AND resource NOT LIKE '%DEFAULT%'
                  AND usage_id = (SELECT id FROM quota_usages u
                                  WHERE u.project_id = r.project_id AND u.resource = r.resource)
                ORDER BY project_id, resource, delta";
    assert_eq!(
        fixture.rows(held).await,
        [
            "project_id=x resource=gigabytes delta=-2",
            "project_id=x resource=gigabytes delta=-2",
            "project_id=x resource=snapshots delta=-1",
            "project_id=x resource=volumes delta=-1",
            "project_id=y resource=gigabytes delta=2",
            "project_id=y resource=gigabytes delta=2",
            "project_id=y resource=snapshots delta=1",
            "project_id=y resource=volumes delta=1",
        ]
    );
    fixture.store.abort(given_up(claimed)).await.expect("aborted");
    let left = "SELECT count(*) FROM reservations WHERE deleted = FALSE OR deleted_at IS NULL";
    assert_eq!(fixture.value(left).await, "0");
}

/// Cinder strikes out what has expired, and takes back what it held (cinder: `db/api.py`
/// `reservation_expire`). The rows move all the same.
#[tokio::test]
async fn reservations_that_have_lapsed_move_usage_and_hold_nothing() {
    let (fixture, claim) = offered().await;
    let claimed = fixture.store.claim_accept(&claim).await.expect("claimed").into_inner();
    // Some of them: of the two that hold gigabytes of y's, that of the volume.
    let lapsed = "deleted = FALSE AND project_id = 'y' AND resource = 'gigabytes'
                  AND id = (SELECT min(id) FROM reservations s
                            WHERE s.project_id = 'y' AND s.resource = 'gigabytes')";
    fixture
        .sql(&format!("UPDATE reservations SET deleted = TRUE, allocated_id = 7 WHERE {lapsed}"))
        .await;
    fixture
        .sql(
            "UPDATE quota_usages SET reserved = reserved - 2
             WHERE project_id = 'y' AND resource = 'gigabytes'",
        )
        .await;
    fixture.store.commit(claimed).await.expect("committed");
    assert_eq!(
        fixture.rows(USAGE).await,
        [
            "project_id=y resource=gigabytes in_use=4 reserved=0",
            "project_id=y resource=snapshots in_use=1 reserved=0",
            "project_id=y resource=volumes in_use=1 reserved=0",
        ]
    );
    let left = "SELECT count(*) FROM reservations WHERE deleted = FALSE";
    assert_eq!(fixture.value(left).await, "0");
}

/// Each accept writes a dozen of them, and the table keeps what has been struck out.
#[tokio::test]
async fn reservations_of_one_time_lie_beside_each_other_in_the_index() {
    let (fixture, claim) = offered().await;
    fixture.store.claim_accept(&claim).await.expect("claimed");
    let strays = "SELECT count(*) FROM reservations r WHERE EXISTS
                  (SELECT 1 FROM reservations s WHERE s.id < r.id AND s.uuid > r.uuid)";
    assert_ne!(fixture.value("SELECT count(*) FROM reservations").await, "0");
    assert_eq!(fixture.value(strays).await, "0");
}
