//! Usages that are counted anew, that overflow, and reservations that lapse, as Cinder has them
//! (cinder: `db/api.py` `quota_reserve`, `reservation_expire`).

use crate::fixture::{copied, given_up};
use crate::quotas::{USAGE, offered};
use cinder_db::QuotaLimits;

#[tokio::test]
async fn a_usage_is_counted_anew_as_often_as_is_configured() {
    // The usage says 5 of the recipient's volumes, of which there are none.
    const LONG_AGO: &str = "'2001-01-01 00:00:00'";
    const TO_COME: &str = "'2999-01-01 00:00:00'";
    for (in_use, left, updated_at, until_refresh, max_age_s, expected) in [
        (5, "NULL", "NULL", 0, 0, "in_use=5 until_refresh=None"),
        (5, "NULL", "NULL", 3, 0, "in_use=5 until_refresh=3"),
        (5, "3", "NULL", 3, 0, "in_use=5 until_refresh=2"),
        (5, "1", "NULL", 3, 0, "in_use=0 until_refresh=3"),
        (5, "0", "NULL", 3, 0, "in_use=0 until_refresh=3"),
        (5, "9", "NULL", 3, 0, "in_use=5 until_refresh=3"),
        (5, "4", "NULL", 3, 0, "in_use=5 until_refresh=3"),
        (5, "9", "NULL", 0, 0, "in_use=5 until_refresh=None"),
        (5, "1", "NULL", 0, 0, "in_use=0 until_refresh=None"),
        (5, "NULL", LONG_AGO, 0, 60, "in_use=0 until_refresh=None"),
        (5, "NULL", TO_COME, 0, 60, "in_use=5 until_refresh=None"),
        (5, "NULL", "NULL", 0, 60, "in_use=5 until_refresh=None"),
        (5, "NULL", LONG_AGO, 0, 0, "in_use=5 until_refresh=None"),
        (5, "3", LONG_AGO, 3, 60, "in_use=5 until_refresh=2"),
        (-1, "2", "NULL", 3, 0, "in_use=0 until_refresh=3"),
        (-1, "NULL", "NULL", 0, 0, "in_use=0 until_refresh=None"),
    ] {
        let (fixture, mut claim) = offered().await;
        let values = format!("'y', 'volumes', {in_use}, 0, {left}, {updated_at}, FALSE, TRUE");
        fixture
            .sql(&format!(
                "INSERT INTO quota_usages (project_id, resource, in_use, reserved, until_refresh,
                                           updated_at, deleted, race_preventer) VALUES ({values})"
            ))
            .await;
        claim.limits = QuotaLimits { until_refresh, max_age_s, ..claim.limits };
        fixture.store.claim_accept(&claim).await.expect("claimed");
        let usage = "SELECT in_use, until_refresh FROM quota_usages
                     WHERE project_id = 'y' AND resource = 'volumes' AND reserved = 1";
        let case = format!("{in_use} {left} {updated_at} {until_refresh} {max_age_s}");
        let expected = expected.replace("None", "NULL");
        assert_eq!(fixture.rows(usage).await, [expected], "{case}");
    }
}

#[tokio::test]
async fn each_reservation_counts_towards_the_next_recount() {
    let (fixture, mut claim) = offered().await;
    claim.limits.until_refresh = 5;
    fixture.store.claim_accept(&claim).await.expect("claimed");
    // As with Cinder: one for the volume, one for the snapshot, of each project. A usage that is
    // made begins with all five, and the one that makes it is the first of them.
    let left = "SELECT project_id, resource, until_refresh FROM quota_usages
                WHERE resource NOT LIKE '%!_%' ESCAPE '!' ORDER BY project_id, resource";
    assert_eq!(
        fixture.rows(left).await,
        [
            "project_id=x resource=gigabytes until_refresh=4",
            "project_id=x resource=snapshots until_refresh=5",
            "project_id=x resource=volumes until_refresh=5",
            "project_id=y resource=gigabytes until_refresh=3",
            "project_id=y resource=snapshots until_refresh=4",
            "project_id=y resource=volumes until_refresh=4",
        ]
    );
}

#[tokio::test]
async fn more_than_a_usage_can_count_is_refused_in_cinders_words() {
    let over = |names: &str| {
        format!(
            "Quota usage would overflow for resources: [{names}]. The requested operation would \
             exceed the maximum allowed value (2147483647) for quota tracking."
        )
    };
    for (in_use, reserved, words) in [
        (2_147_483_645_i64, 0, None),
        (2_147_483_646, 0, Some(over("'gigabytes'"))),
        (0, 2_147_483_646, Some(over("'gigabytes'"))),
        (2_147_483_640, 6, Some(over("'gigabytes'"))),
    ] {
        let (fixture, mut claim) = offered().await;
        fixture
            .sql(&format!(
                "INSERT INTO quota_usages (project_id, resource, in_use, reserved, deleted,
                                           race_preventer)
                 VALUES ('y', 'gigabytes', {in_use}, {reserved}, FALSE, TRUE)"
            ))
            .await;
        fixture.sql("UPDATE quota_classes SET hard_limit = -1").await;
        claim.limits.gigabytes = -1;
        fixture.sql("DELETE FROM snapshots").await;
        let claimed = fixture.store.claim_accept(&claim).await;
        assert_eq!(claimed.err().map(|error| error.to_string()), words, "{in_use} {reserved}");
    }
}

#[tokio::test]
async fn a_reservation_lapses_when_it_is_configured_to_and_its_rows_are_counted_all_the_same() {
    let (fixture, mut claim) = offered().await;
    claim.limits.reservation_expire_s = 0;
    let claimed = fixture.store.claim_accept(&claim).await.expect("claimed").into_inner();
    // As Cinder's periodic task does with all whose time is over (db/api.py reservation_expire).
    for expiry in [
        "UPDATE quota_usages SET reserved = 0 WHERE EXISTS (SELECT 1 FROM reservations r
         WHERE r.usage_id = quota_usages.id AND r.expire <= r.created_at)",
        "UPDATE reservations SET deleted = TRUE, deleted_at = expire WHERE expire <= created_at",
    ] {
        fixture.sql(expiry).await;
    }
    assert_eq!(fixture.value("SELECT count(*) FROM reservations WHERE deleted = FALSE").await, "0");
    fixture.store.commit(copied(claimed)).await.expect("committed");
    assert_eq!(
        fixture.rows(USAGE).await,
        [
            "project_id=y resource=gigabytes in_use=4 reserved=0",
            "project_id=y resource=snapshots in_use=1 reserved=0",
            "project_id=y resource=volumes in_use=1 reserved=0",
        ]
    );
    let (fixture, mut claim) = offered().await;
    claim.limits.reservation_expire_s = 60;
    let claimed = fixture.store.claim_accept(&claim).await.expect("claimed").into_inner();
    let lapsed = "SELECT count(*) FROM reservations WHERE expire <= created_at";
    assert_eq!(fixture.value(lapsed).await, "0");
    fixture.sql("UPDATE reservations SET deleted = TRUE").await;
    let before = fixture.rows(USAGE).await;
    fixture.store.abort(given_up(claimed)).await.expect("aborted");
    assert_eq!(fixture.rows(USAGE).await, before, "what has lapsed holds nothing to release");
}
