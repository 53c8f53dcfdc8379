//! A planted violation for every kind of finding, and a database in which nothing is wrong.

use crate::bench::{Bench, kinds};
use std::collections::BTreeSet;
use std::time::Duration;
use transfer_audit::Kind;
use transfer_core::{Authority, Debt, Garbage, SecretId, VolumeId};

/// A database with something of everything, all of it in order.
async fn healthy() -> (Bench, VolumeId) {
    let bench = Bench::new().await;
    for (owner, byte) in [("donor", 1), ("recipient", 2)] {
        let key = bench.secret(owner, [byte; 32]).await;
        bench.volume(owner, &key, 2).await;
    }
    let key = bench.secret("service", [3; 32]).await;
    let offered = bench.volume("donor", &key, 1).await;
    bench.offer(&offered).await;
    let fixed = SecretId::new(transfer_core::FIXED_KEY_ID);
    bench.volume("donor", &fixed, 0).await;
    let plain = bench.volume("third", &bench.gone("third").await, 1).await;
    for table in ["volumes", "snapshots"] {
        let column = if table == "volumes" { "id" } else { "volume_id" };
        let set = format!("UPDATE {table} SET encryption_key_id = NULL");
        bench.sql(&format!("{set} WHERE {column} = '{plain}'")).await;
    }
    // other secrets of projects, an image's copy of some key among them
    bench.secret("donor", [77; 32]).await;
    bench.shell("third", "an empty one of the project's own").await;
    (bench, offered)
}

#[tokio::test]
async fn nothing_is_found_where_nothing_is_wrong() {
    let (bench, _offered) = healthy().await;
    let (summary, findings) = bench.audit().await;
    assert_eq!(findings, []);
    assert!(summary.is_clean());
    assert_eq!((summary.volumes, summary.encrypted, summary.fixed_keys), (5, 4, 1));
    assert_eq!(summary.not_visible, 0);
}

/// A violation of this kind, in a database that is in order otherwise.
async fn plant(kind: Kind) -> Bench {
    let (bench, offered) = healthy().await;
    let key = bench.secret("donor", [5; 32]).await;
    match kind {
        Kind::KeyGone => {
            bench.volume("donor", &bench.gone("donor").await, 0).await;
        }
        Kind::KeyEmpty => {
            bench.volume("donor", &bench.shell("donor", "empty").await, 0).await;
        }
        Kind::SnapshotKeyDiffers => {
            let volume = bench.volume("donor", &key, 2).await;
            let other = bench.secret("donor", [6; 32]).await;
            bench.snapshots_name(&volume, &other).await;
        }
        Kind::SnapshotKeyMissing => {
            let volume = bench.volume("donor", &key, 1).await;
            let set = "UPDATE snapshots SET encryption_key_id = NULL";
            bench.sql(&format!("{set} WHERE volume_id = '{volume}'")).await;
        }
        Kind::SnapshotProjectDiffers => {
            let volume = bench.volume("donor", &key, 1).await;
            let set = "UPDATE snapshots SET project_id = 'another'";
            bench.sql(&format!("{set} WHERE volume_id = '{volume}'")).await;
        }
        Kind::KeyWithService => {
            bench.volume("donor", &bench.secret("service", [6; 32]).await, 1).await;
        }
        Kind::KeyNotWithService => {
            let volume = bench.volume("donor", &key, 0).await;
            bench.offer(&volume).await;
        }
        Kind::KeyWithStranger => {
            bench.volume("recipient", &key, 1).await;
        }
        Kind::StrayCopy => {
            bench.secret("recipient", [1; 32]).await;
        }
        Kind::StrayKey => {
            bench.secret("service", [99; 32]).await;
        }
        Kind::StrayShell => {
            bench.shell("recipient", "volume-transfer-of-yesterday").await;
        }
        Kind::ClaimExpired => {
            let volume = bench.volume("donor", &key, 0).await;
            bench.claim(&volume, Duration::ZERO).await;
        }
        Kind::DebtUnpaid => {
            let garbage = Garbage::Secret(bench.secret("donor", [1; 32]).await);
            let authority = Authority::Project(bench.project("donor"));
            let debt = Debt { hand_over: "h".into(), authority, garbage };
            bench.store.owe(&[debt]).await.unwrap();
        }
        Kind::AwaitingWithoutOffer => {
            let volume = bench.volume("donor", &key, 0).await;
            bench.status(&volume, "awaiting-transfer").await;
        }
        Kind::OfferWithoutAwaiting => bench.status(&offered, "available").await,
        Kind::SeveralOffers => bench.offer(&offered).await,
        Kind::OfferExpired => {
            let set = "UPDATE transfers SET expires_at = '2026-01-01 00:00:01.000000'";
            bench.sql(set).await;
        }
    }
    bench
}

#[tokio::test]
async fn every_kind_of_finding_is_found_where_it_is_planted_and_nothing_else() {
    for kind in Kind::ALL {
        let bench = plant(kind).await;
        let (summary, findings) = bench.audit().await;
        assert_eq!(kinds(&findings), [kind.name()], "{findings:#?}");
        assert_eq!(summary.findings, findings.len() as u64);
        assert_eq!(findings[0].invariant, kind.invariant().name());
        assert!(!summary.is_clean());
        let again = bench.audit().await.1;
        assert_eq!(again, findings, "{kind:?}: the same is found again, by the same id");
    }
    let names: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), Kind::ALL.len());
}

#[tokio::test]
async fn what_only_its_project_could_tell_is_counted_as_not_visible() {
    let (bench, _offered) = healthy().await;
    let stranger = bench.secret("third", [6; 32]).await;
    bench.volume("recipient", &stranger, 1).await;
    bench.volume("donor", &bench.gone("donor").await, 0).await;
    bench.secret("recipient", [1; 32]).await;
    let audit = bench.audit_by(&[]).await;
    let (summary, findings) = bench.run(&audit).await;
    assert_eq!(kinds(&findings), ["key_gone"], "that a key is gone is told to anybody");
    assert_eq!(summary.not_visible, 3, "two keys in order, and one with a stranger");
    let recipient = bench.project("recipient");
    assert_eq!(summary.not_visible_by_project[&recipient], 2);
    let audit = bench.audit_by(&["recipient"]).await;
    let (summary, findings) = bench.run(&audit).await;
    assert_eq!(kinds(&findings), ["key_gone", "key_with_stranger"]);
    assert_eq!(summary.not_visible, 1);
}
