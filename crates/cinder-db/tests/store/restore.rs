//! Restores: what their claim insists on, and what their commit does to the rows.

use crate::fixture::{Fixture, LEASE, cancel, copied, given_up, initiate};
use cinder_db::{ClaimError, EndError, RestoreClaim};
use transfer_core::{Authority, Operation, Replaced, Restoration, VolumeId};

const KEYS: &str = "SELECT encryption_key_id AS k FROM volumes
                    UNION ALL SELECT encryption_key_id FROM snapshots ORDER BY k";

/// A volume of x with two snapshots: it names k1, they name k2 and k3.
async fn damaged() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("k1")).await;
    for (snapshot, key) in [("s1", "k2"), ("s2", "k3")] {
        fixture.snapshot(snapshot, "v").await;
        let set = format!("UPDATE snapshots SET encryption_key_id = '{key}'");
        fixture.sql(&format!("{set} WHERE id = '{snapshot}'")).await;
    }
    fixture
}

/// Its key is with the service; k2 is x's, k3 is nowhere.
fn claim(receiver: Authority) -> RestoreClaim {
    let owner = Authority::Project("x".into());
    let replaced = vec![
        Replaced { secret: "k2".into(), owner: Some(owner) },
        Replaced { secret: "k3".into(), owner: None },
    ];
    RestoreClaim {
        hand_over_id: "r".into(),
        volume: "v".into(),
        key: "k1".into(),
        restoration: Restoration { giver: Authority::Service, receiver, replaced },
        by: ("service".into(), "cinder".into()),
        lease: LEASE,
    }
}

fn to_owner() -> RestoreClaim {
    claim(Authority::Project("x".into()))
}

#[tokio::test]
async fn a_committed_restore_lets_all_rows_name_the_copy_and_owes_what_they_named() {
    let fixture = damaged().await;
    let claimed = fixture.store.claim_restore(&to_owner()).await.expect("claimed");
    assert_eq!(claimed.operation(), Operation::Restore);
    assert_eq!(claimed.transfer().as_str(), "r", "nobody's offer");
    let ended = fixture.store.commit(copied(claimed.into_inner())).await.expect("committed");
    assert_eq!(fixture.rows(KEYS).await, ["k=k1+", "k=k1+", "k=k1+"]);
    let status = "SELECT status, project_id FROM volumes";
    assert_eq!(fixture.rows(status).await, ["status=available project_id=x"]);
    let owed: Vec<_> =
        ended.debts.iter().map(|debt| (debt.id(), debt.authority.to_string())).collect();
    let owed: Vec<_> = owed.iter().map(|(id, whose)| (id.as_str(), whose.as_str())).collect();
    assert_eq!(owed, [("secret:k1", "the service"), ("secret:k2", "project x")]);
}

#[tokio::test]
async fn an_open_offer_stays_and_its_key_goes_to_the_service() {
    let fixture = damaged().await;
    let (transfer, _key) = {
        fixture.sql("UPDATE snapshots SET encryption_key_id = 'k1'").await;
        fixture.offer("o", "v", "x").await
    };
    for (table, key) in [("volumes", "k1"), ("snapshots", "k2")] {
        fixture.sql(&format!("UPDATE {table} SET encryption_key_id = '{key}'")).await;
    }
    let mut claim = claim(Authority::Service);
    claim.restoration.giver = Authority::Project("x".into());
    claim.restoration.replaced.pop();
    let claimed = fixture.store.claim_restore(&claim).await.expect("claimed");
    assert_eq!(*claimed.transfer(), transfer);
    fixture.store.commit(copied(claimed.into_inner())).await.expect("committed");
    assert_eq!(fixture.rows(KEYS).await, ["k=k1+", "k=k1+", "k=k1+"]);
    let claim = cancel("c", &transfer, "x");
    fixture.store.claim_cancel(&claim).await.expect("the offer can be taken back");
}

#[tokio::test]
async fn a_restore_is_refused_unless_the_rows_are_as_they_were_judged() {
    let not_the_custodian = claim(Authority::Service);
    let mut one_missing = to_owner();
    one_missing.restoration.replaced.pop();
    let mut one_more = to_owner();
    let more = Replaced { secret: "k4".into(), owner: None };
    one_more.restoration.replaced.push(more);
    for (what, claim, sql) in [
        ("the service is not the custodian", not_the_custodian, ""),
        ("a row names another secret", one_missing, ""),
        ("a secret is named no more", one_more, ""),
        ("the volume is in use", to_owner(), "UPDATE volumes SET status = 'in-use'"),
        ("the volume is gone", to_owner(), "UPDATE volumes SET deleted = TRUE"),
    ] {
        let fixture = damaged().await;
        if !sql.is_empty() {
            fixture.sql(sql).await;
        }
        let before = fixture.everything().await;
        let refused = fixture.store.claim_restore(&claim).await.expect_err(what);
        assert!(
            matches!(refused, ClaimError::InvalidVolume(_) | ClaimError::VolumeNotFound(_)),
            "{what}: {refused}"
        );
        assert_eq!(fixture.everything().await, before, "{what}");
    }
    let fixture = damaged().await;
    fixture.store.claim_initiate(&initiate("h", "v", "x")).await.expect("claimed");
    let refused = fixture.store.claim_restore(&to_owner()).await.expect_err("claimed by another");
    assert!(matches!(refused, ClaimError::InProgress(id) if id == VolumeId::from("v")));
}

#[tokio::test]
async fn what_changes_during_a_restore_is_a_conflict_and_the_abort_leaves_the_rows_alone() {
    for (what, sql) in [
        ("the volume is in use", "UPDATE volumes SET status = 'in-use'"),
        ("a row was repointed", "UPDATE volumes SET encryption_key_id = 'k9'"),
        ("a row was freed", "UPDATE snapshots SET deleted = TRUE WHERE id = 's1'"),
        (
            "an offer was made",
            "INSERT INTO transfers (id, volume_id, deleted, accepted) \
             VALUES ('t', 'v', FALSE, FALSE)",
        ),
    ] {
        let fixture = damaged().await;
        let claimed = fixture.store.claim_restore(&to_owner()).await.expect("claimed");
        let claimed = claimed.into_inner();
        fixture.sql(sql).await;
        let before = fixture.rows_of_cinder().await;
        let refused = fixture.store.commit(copied(claimed.clone())).await;
        assert!(matches!(refused, Err(EndError::ConflictingRows)), "{what}");
        let ended = fixture.store.abort(given_up(copied(claimed))).await.expect("aborted");
        assert_eq!(fixture.rows_of_cinder().await, before, "{what}");
        let owed: Vec<_> = ended.debts.iter().map(|debt| debt.id()).collect();
        let owed: Vec<_> = owed.iter().map(|id| id.as_str()).collect();
        assert_eq!(owed, ["secret:k1+"], "{what}");
    }
}

#[tokio::test]
async fn one_hand_over_is_taken_over_when_its_own_lease_is_over() {
    let fixture = damaged().await;
    let (id, volume) = ("r".into(), "v".into());
    fixture.store.claim_restore(&to_owner()).await.expect("claimed");
    let alive = fixture.store.take_over_if_expired(&id, &volume).await.expect("looked");
    assert!(alive.is_none());
    fixture.sql("UPDATE volume_transfer_hand_overs SET lease_expires_at_ms = 1").await;
    let ended = fixture.store.take_over_if_expired(&id, &volume).await.expect("taken over");
    assert_eq!(ended.map(|ended| ended.hand_over.id().clone()), Some(id));
}
