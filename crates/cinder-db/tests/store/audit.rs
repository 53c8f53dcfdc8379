//! What an audit reads: every live volume once, whatever the size of a page, with all that concerns
//! its keys.

use crate::fixture::{Fixture, initiate};
use cinder_db::AuditedVolume;
use std::collections::BTreeSet;
use transfer_core::invariants::RowId;
use transfer_core::{Authority, Debt, Garbage, SecretId, VolumeId};

/// All pages, of so many volumes each.
async fn by_pages_of(fixture: &Fixture, limit: u64) -> Vec<AuditedVolume> {
    let mut all: Vec<AuditedVolume> = Vec::new();
    loop {
        let after = all.last().map(|volume| volume.id.clone());
        let page = fixture.store.audited_volumes(after.as_ref(), limit).await.expect("a page");
        assert!(page.len() as u64 <= limit);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

#[tokio::test]
async fn pages_of_any_size_have_every_live_volume_once_with_its_snapshots() {
    let fixture = Fixture::new().await;
    for number in 0..7 {
        let key = format!("k{number}");
        let key = (number != 3).then_some(key.as_str());
        fixture.volume(&format!("v{number}"), "x", key).await;
        for snapshot in 0..number % 3 {
            fixture.snapshot(&format!("s{number}-{snapshot}"), &format!("v{number}")).await;
        }
    }
    fixture.sql("UPDATE volumes SET deleted = TRUE WHERE id = 'v5'").await;
    fixture.sql("UPDATE snapshots SET deleted = TRUE WHERE id = 's2-0'").await;
    let expected = by_pages_of(&fixture, 100).await;
    let ids: Vec<_> = expected.iter().map(|volume| volume.id.as_str()).collect();
    assert_eq!(ids, ["v0", "v1", "v2", "v3", "v4", "v6"]);
    let second = &expected[2];
    let rows: Vec<_> = second.rows.iter().map(|row| row.id.clone()).collect();
    assert_eq!(rows, [RowId::Volume("v2".into()), RowId::Snapshot("s2-1".into())]);
    assert_eq!(second.keys(), [&SecretId::from("k2")]);
    assert!(expected[3].keys().is_empty());
    for limit in 1..4 {
        assert_eq!(by_pages_of(&fixture, limit).await, expected, "pages of {limit}");
    }
    assert_eq!(fixture.store.count_volumes().await.expect("counted"), 6);
}

#[tokio::test]
async fn a_volume_shows_its_offer_its_claim_and_who_has_to_have_its_key() {
    let fixture = Fixture::new().await;
    let look = async |id: &str| {
        fixture.store.audited_volume(&VolumeId::from(id)).await.expect("read").expect("there")
    };
    fixture.volume("v", "x", Some("k")).await;
    fixture.volume("w", "x", Some("l")).await;
    let (transfer, _key) = fixture.offer("o", "v", "x").await;
    fixture.store.claim_initiate(&initiate("h", "w", "x")).await.expect("claimed");
    let offered = look("v").await;
    assert_eq!((offered.offers.as_slice(), &offered.claim), ([transfer].as_slice(), &None));
    assert_eq!(offered.custodian(), Authority::Service);
    let claimed = look("w").await;
    assert_eq!(claimed.claim, Some("h".into()));
    assert_eq!(claimed.status, "awaiting-transfer");
    assert_eq!(claimed.custodian(), Authority::Project("x".into()), "no offer before the commit");
    assert_eq!(by_pages_of(&fixture, 10).await, [offered, claimed]);
    assert_eq!(fixture.store.audited_volume(&VolumeId::from("u")).await.expect("read"), None);
}

#[tokio::test]
async fn a_secret_has_a_name_in_a_live_row_a_live_hand_over_or_a_debt() {
    let fixture = Fixture::new().await;
    fixture.volume("v", "x", Some("of-volume")).await;
    fixture.snapshot("s", "v").await;
    fixture.sql("UPDATE snapshots SET encryption_key_id = 'of-snapshot'").await;
    fixture.volume("gone", "x", Some("of-deleted")).await;
    fixture.sql("UPDATE volumes SET deleted = TRUE WHERE id = 'gone'").await;
    fixture
        .sql(
            "INSERT INTO backups (id, volume_id, deleted, encryption_key_id)
             VALUES ('b', 'v', FALSE, 'of-backup')",
        )
        .await;
    let debt = Debt {
        hand_over: "h".into(),
        authority: Authority::Service,
        garbage: Garbage::Secret("of-debt".into()),
    };
    fixture.store.owe(&[debt]).await.expect("recorded");
    fixture.volume("w", "x", Some("of-claim")).await;
    fixture.store.claim_initiate(&initiate("h", "w", "x")).await.expect("claimed");
    fixture.sql("UPDATE volumes SET encryption_key_id = NULL WHERE id = 'w'").await;
    let all = ["of-volume", "of-snapshot", "of-backup", "of-debt", "of-claim"];
    let asked: Vec<SecretId> =
        all.into_iter().chain(["of-deleted", "of-nobody"]).map(SecretId::from).collect();
    let named = fixture.store.named_among(&asked).await.expect("read");
    assert_eq!(named, all.into_iter().map(SecretId::from).collect());
    let none = fixture.store.named_among(&[]).await.expect("read");
    assert_eq!(none, BTreeSet::new());
}
