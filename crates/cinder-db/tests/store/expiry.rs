//! Offers that expire: whose time is over is told by the database, and decided by the claim.

use crate::fixture::{Fixture, accept, caller, cancel, copied, given_up, initiate};
use cinder_db::{AuthKey, ClaimError, InitiateClaim, Scope};
use std::time::Duration;
use test_database::Kind;
use transfer_core::TransferId;

const OVER: &str = "'2026-01-01 00:00:00'";
const AHEAD: &str = "'2999-12-31 00:00:00'";

/// An offer that was made to expire.
async fn offer(fixture: &Fixture, id: &str, by: &str, after: Option<u64>) -> (TransferId, AuthKey) {
    let volume = format!("v-{id}");
    fixture.volume(&volume, by, Some(&format!("k-{id}"))).await;
    let expire_after = after.map(Duration::from_secs);
    let claim = InitiateClaim { expire_after, ..initiate(id, &volume, by) };
    let offered = fixture.store.claim_initiate(&claim).await.expect("claimed");
    // Another process commits: all that it knows is in the journal.
    let another = fixture.another_store().await;
    another.commit(copied(offered.hand_over.into_inner())).await.expect("committed");
    (claim.transfer_id, offered.auth_key)
}

async fn expires(fixture: &Fixture, id: &TransferId, at: &str) {
    fixture.sql(&format!("UPDATE transfers SET expires_at = {at} WHERE id = '{id}'")).await;
}

/// In how many seconds the only offer expires, as the database sees it.
async fn seconds_left(fixture: &Fixture) -> i64 {
    let left = match fixture.database.kind {
        Kind::Sqlite => "CAST((julianday(expires_at) - julianday('now')) * 86400 AS INTEGER)",
        Kind::Postgres => {
            "CAST(EXTRACT(EPOCH FROM expires_at - (now() AT TIME ZONE 'UTC')) AS BIGINT)"
        }
        Kind::MySql => "TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), expires_at)",
    };
    let left = fixture.value(&format!("SELECT {left} AS seconds FROM transfers")).await;
    left.parse().expect(&left)
}

#[tokio::test]
async fn an_offer_expires_so_long_after_its_commit_or_never() {
    for (after, expected) in [(3600, 3600), (1, 1), (0x7fff_ffff, 0x7fff_ffff)] {
        let fixture = Fixture::new().await;
        offer(&fixture, "t", "x", Some(after)).await;
        let left = seconds_left(&fixture).await;
        assert!((expected - 30..=expected).contains(&left), "{after}: {left}");
    }
    let fixture = Fixture::new().await;
    offer(&fixture, "t", "x", None).await;
    assert_eq!(fixture.value("SELECT expires_at FROM transfers").await, "NULL");
}

#[tokio::test]
async fn a_date_is_written_as_cinder_writes_it() {
    let fixture = Fixture::new().await;
    offer(&fixture, "t", "x", Some(60)).await;
    let written = fixture.value("SELECT expires_at FROM transfers").await;
    let as_cinder = fixture.value("SELECT created_at FROM transfers").await;
    let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "9");
    let fraction = |text: &str| text.split_once('.').map(|(whole, _)| whole.to_owned());
    match fixture.database.kind {
        Kind::Sqlite => assert_eq!(shape(&written), shape(&as_cinder)),
        // A server has its own words for a date, and leaves out what is zero.
        Kind::Postgres | Kind::MySql => {
            let whole = |text: &str| fraction(text).unwrap_or_else(|| text.to_owned());
            assert_eq!(shape(&whole(&written)), shape(&whole(&as_cinder)));
        }
    }
}

#[tokio::test]
async fn an_expired_offer_is_not_there_for_whoever_accepts_it() {
    for (at, key, accepted) in [
        ("NULL", "right", true),
        (AHEAD, "right", true),
        (OVER, "right", false),
        (OVER, "wrong", false),
    ] {
        let fixture = Fixture::new().await;
        let (id, auth_key) = offer(&fixture, "t", "x", None).await;
        expires(&fixture, &id, at).await;
        let before = fixture.everything().await;
        let key = if key == "right" { auth_key } else { AuthKey::new(key) };
        let claimed = fixture.store.claim_accept(&accept("a", &id, &key, "y")).await;
        match claimed {
            Ok(_claimed) => assert!(accepted, "{at}"),
            Err(error) => {
                assert!(!accepted, "{at} {error}");
                assert!(matches!(error, ClaimError::TransferNotFound(_)), "{error}");
                assert_eq!(fixture.everything().await, before, "{at}");
            }
        }
    }
}

#[tokio::test]
async fn the_claim_of_an_accept_decides_whether_it_is_in_time() {
    for gives_up in [false, true] {
        let fixture = Fixture::new().await;
        let (id, key) = offer(&fixture, "t", "x", Some(3600)).await;
        let claimed = fixture.store.claim_accept(&accept("a", &id, &key, "y")).await;
        let claimed = claimed.expect("in time").into_inner();
        expires(&fixture, &id, OVER).await;
        let refused = fixture.store.claim_cancel(&cancel("c", &id, "x")).await;
        assert!(matches!(refused, Err(ClaimError::InProgress(_))), "{refused:?}");
        if gives_up {
            fixture.store.abort(given_up(claimed)).await.expect("aborted");
            let late = fixture.store.claim_accept(&accept("b", &id, &key, "y")).await;
            assert!(matches!(late, Err(ClaimError::TransferNotFound(_))), "{late:?}");
            let back = fixture.store.claim_cancel(&cancel("d", &id, "x")).await.expect("claimed");
            fixture.store.commit(copied(back.into_inner())).await.expect("committed");
        } else {
            fixture.store.commit(copied(claimed)).await.expect("late, and claimed in time");
        }
        let owner = if gives_up { "x" } else { "y" };
        assert_eq!(
            fixture.rows("SELECT status, project_id FROM volumes").await,
            [format!("status=available project_id={owner}")]
        );
    }
}

#[tokio::test]
async fn expired_offers_are_found_by_whose_they_are_and_since_when() {
    let fixture = Fixture::new().await;
    for (id, by, at) in [
        ("1", "x", OVER),
        ("2", "x", OVER),
        ("3", "x", AHEAD),
        ("4", "x", "NULL"),
        ("5", "y", OVER),
        ("6", "x", OVER),
        ("7", "x", OVER),
    ] {
        let (id, _key) = offer(&fixture, id, by, None).await;
        expires(&fixture, &id, at).await;
    }
    // One is over, and of one the volume is gone.
    fixture.sql("UPDATE transfers SET deleted = TRUE WHERE id = 't-6'").await;
    fixture.sql("UPDATE volumes SET deleted = TRUE WHERE id = 'v-7'").await;
    let of_x = Scope::Project("x".into());
    let days = |days: u64| Duration::from_secs(86_400 * days);
    for (scope, over_for, after, limit, expected) in [
        (&of_x, days(0), None, 10, "1 2"),
        (&of_x, days(0), None, 1, "1"),
        (&of_x, days(0), Some("t-1"), 10, "2"),
        (&of_x, days(0), Some("t-2"), 10, ""),
        (&Scope::Project("y".into()), days(0), None, 10, "5"),
        (&Scope::Project("z".into()), days(0), None, 10, ""),
        (&Scope::All, days(1), None, 10, "1 2 5"),
        (&Scope::All, days(40_000), None, 10, ""),
    ] {
        let after = after.map(TransferId::new);
        let found = fixture.store.expired_offers(scope, over_for, after.as_ref(), limit).await;
        let found = found.expect("found");
        for offer in &found {
            let user = format!("user-{}", offer.project);
            assert_eq!(offer.user.as_str(), user);
            assert_eq!(offer.volume.as_str(), offer.id.as_str().replace("t-", "v-"));
        }
        let ids: Vec<_> = found.iter().map(|offer| offer.id.as_str().replace("t-", "")).collect();
        assert_eq!(ids.join(" "), expected, "{scope:?} {over_for:?} {after:?} {limit}");
    }
    assert!(fixture.store.has_expired_offers().await.expect("answers"));
    let standing = fixture.store.standing(&[]).await.expect("looked up");
    assert_eq!((standing.open_offers, standing.expired_offers), (2, 4));
    fixture.sql("UPDATE transfers SET expires_at = NULL WHERE NOT deleted").await;
    assert!(!fixture.store.has_expired_offers().await.expect("answers"));
}

#[tokio::test]
async fn an_expired_offer_is_still_seen_and_taken_back_by_its_own_project() {
    let fixture = Fixture::new().await;
    let (id, _key) = offer(&fixture, "t", "x", None).await;
    expires(&fixture, &id, OVER).await;
    let scope = caller("x").scope();
    assert!(fixture.store.transfer(&scope, &id).await.expect("answers").is_some());
    let claimed = fixture.store.claim_cancel(&cancel("c", &id, "x")).await.expect("claimed");
    fixture.store.commit(copied(claimed.into_inner())).await.expect("committed");
    assert!(fixture.store.transfer(&scope, &id).await.expect("answers").is_none());
    assert_eq!(fixture.value("SELECT accepted FROM transfers").await, "0");
}
