//! The embedded block storage: types, volumes and snapshots, within projects and quotas.

use crate::fixture::{Fixture, new_snapshot, new_volume};
use cinder_db::{
    BlockStorageError, Described, Encryption, QuotaLimits, Scope, VolumeChange, VolumeType,
    VolumeTypeError,
};
use std::collections::BTreeMap;

fn of(project: &str) -> Scope {
    Scope::Project(project.into())
}

fn limits() -> QuotaLimits {
    QuotaLimits::default()
}

fn luks() -> VolumeType {
    VolumeType {
        id: "t-luks".to_owned(),
        name: "luks".to_owned(),
        description: Some("encrypted".to_owned()),
        is_public: false,
        extra_specs: BTreeMap::from([("volume_backend_name".to_owned(), "lvm".to_owned())]),
        projects: vec!["x".into()],
        encryption: Some(Encryption {
            id: "e".to_owned(),
            provider: "luks".to_owned(),
            cipher: Some("aes-xts-plain64".to_owned()),
            key_size: Some(256),
            control_location: Some("front-end".to_owned()),
        }),
        created_at: None,
    }
}

#[tokio::test]
async fn a_type_is_read_back_as_it_was_made_and_seen_by_those_who_may() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    store.create_volume_type(&luks()).await.expect("made");
    let again = store.create_volume_type(&luks()).await.expect_err("same name");
    assert!(matches!(again, VolumeTypeError::Exists(_)), "{again}");
    for (scope, name, seen) in [
        (Scope::All, "luks", true),
        (of("x"), "t-luks", true),
        (of("y"), "luks", false),
        (of("y"), "__DEFAULT__", true),
    ] {
        let found = store.volume_type(&scope, name).await.expect("looked up");
        assert_eq!(found.is_some(), seen, "{scope:?} {name}");
    }
    let mut found = store.volume_type(&Scope::All, "luks").await.expect("ok").expect("seen");
    assert!(found.created_at.take().is_some());
    assert_eq!(found, luks());
    store.revoke_volume_type("t-luks", &"x".into()).await.expect("revoked");
    store.grant_volume_type("t-luks", &"y".into()).await.expect("granted");
    assert_eq!(store.volume_types(&of("x")).await.expect("listed").len(), 1);
    assert_eq!(store.volume_types(&of("y")).await.expect("listed").len(), 2);
    store.delete_volume_type("t-luks").await.expect("deleted");
    let gone = store.delete_volume_type("t-luks").await.expect_err("gone");
    assert!(matches!(gone, VolumeTypeError::NotFound(_)), "{gone}");
}

#[tokio::test]
async fn a_type_that_a_volume_has_is_not_deleted_and_encrypts_once() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    store.create_volume_type(&VolumeType { encryption: None, ..luks() }).await.expect("made");
    let encryption = luks().encryption.expect("luks");
    store.create_encryption("t-luks", &encryption).await.expect("made");
    store.create_encryption("t-luks", &encryption).await.expect_err("twice");
    let mut new = new_volume("v", "x", None);
    new.volume_type = Some("luks".to_owned());
    let made = store.create_volume(&new, &limits()).await.expect("made");
    assert_eq!(made.volume_type_id.as_deref(), Some("t-luks"));
    let used = store.delete_volume_type("t-luks").await.expect_err("used");
    assert!(matches!(used, VolumeTypeError::InUse(_)), "{used}");
    new.project = "y".into();
    new.id = "w".into();
    let hidden = store.create_volume(&new, &limits()).await.expect_err("no access");
    assert!(matches!(hidden, BlockStorageError::VolumeTypeNotFound(_)), "{hidden}");
}

#[tokio::test]
async fn a_volume_is_seen_changed_and_deleted_within_its_project() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let mut new = new_volume("v", "x", Some("k"));
    new.metadata.insert("a".to_owned(), "1".to_owned());
    store.create_volume(&new, &limits()).await.expect("made");
    assert!(store.volume(&of("y"), &new.id).await.expect("looked up").is_none());
    assert_eq!(store.volumes(&of("x")).await.expect("listed").len(), 1);
    assert!(store.volumes(&of("y")).await.expect("listed").is_empty());
    let change = VolumeChange {
        name: Some("renamed".to_owned()),
        description: None,
        metadata: Some(BTreeMap::from([("b".to_owned(), "2".to_owned())])),
    };
    let foreign = store.update_volume(&of("y"), &new.id, &change).await.expect_err("foreign");
    assert!(matches!(foreign, BlockStorageError::VolumeNotFound(_)), "{foreign}");
    let changed = store.update_volume(&of("x"), &new.id, &change).await.expect("changed");
    assert_eq!(changed.name.as_deref(), Some("renamed"));
    let metadata = store.metadata(&Described::Volume(new.id.clone())).await.expect("read");
    assert_eq!(metadata, BTreeMap::from([("b".to_owned(), "2".to_owned())]));
    store.delete_volume(&of("y"), &new.id, &limits()).await.expect_err("foreign");
    let deleted = store.delete_volume(&of("x"), &new.id, &limits()).await.expect("deleted");
    assert_eq!(deleted.key, Some("k".into()), "the caller has to delete the secret");
    assert!(store.volume(&Scope::All, &new.id).await.expect("looked up").is_none());
    assert_eq!(fixture.value("SELECT sum(in_use) FROM quota_usages").await, "0");
}

#[tokio::test]
async fn only_a_volume_that_nobody_uses_is_deleted() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.volume("v", "x", None).await;
    for status in ["in-use", "awaiting-transfer", "creating", "maintenance"] {
        store.set_volume_status(&Scope::All, &"v".into(), status).await.expect("set");
        let refused = store.delete_volume(&of("x"), &"v".into(), &limits()).await;
        let refused = refused.expect_err(status);
        assert!(matches!(refused, BlockStorageError::InvalidStatus(_)), "{status}: {refused}");
    }
    store.set_volume_status(&Scope::All, &"v".into(), "available").await.expect("set");
    fixture.snapshot("s", "v").await;
    store.delete_volume(&of("x"), &"v".into(), &limits()).await.expect_err("has a snapshot");
    store.delete_snapshot(&of("x"), &"s".into(), &limits()).await.expect("deleted");
    store.delete_volume(&of("x"), &"v".into(), &limits()).await.expect("deleted");
}

#[tokio::test]
async fn a_snapshot_has_its_volumes_project_key_and_size() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.volume("v", "x", Some("k")).await;
    let new = new_snapshot("s", "v");
    store.create_snapshot(&of("y"), &new, &limits()).await.expect_err("foreign volume");
    let made = store.create_snapshot(&of("x"), &new, &limits()).await.expect("made");
    assert_eq!((made.project, made.size_gb), ("x".into(), 2));
    assert_eq!(made.key, Some("k".into()));
    assert!(store.snapshot(&of("y"), &new.id).await.expect("looked up").is_none());
    assert_eq!(store.snapshots(&of("x")).await.expect("listed").len(), 1);
    store.set_snapshot_status(&of("x"), &new.id, "error").await.expect("set");
    let found = store.snapshot(&of("x"), &new.id).await.expect("looked up").expect("seen");
    assert_eq!(found.status, "error");
    store.delete_snapshot(&of("y"), &new.id, &limits()).await.expect_err("foreign");
}

#[tokio::test]
async fn a_snapshot_needs_an_available_volume_or_force() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.volume("v", "x", None).await;
    for (status, force, made) in [
        ("in-use", false, false),
        ("in-use", true, true),
        ("awaiting-transfer", true, false),
        ("available", false, true),
    ] {
        store.set_volume_status(&Scope::All, &"v".into(), status).await.expect("set");
        let mut new = new_snapshot(&format!("s-{status}-{force}"), "v");
        new.force = force;
        let outcome = store.create_snapshot(&of("x"), &new, &limits()).await;
        assert_eq!(outcome.is_ok(), made, "{status} {force}");
    }
}

#[tokio::test]
async fn quotas_hold_for_new_volumes_and_snapshots() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.volume("v1", "x", None).await;
    fixture
        .sql("UPDATE quota_classes SET hard_limit = 1 WHERE resource IN ('volumes', 'snapshots')")
        .await;
    let over = store.create_volume(&new_volume("v2", "x", None), &limits()).await;
    assert_eq!(
        over.expect_err("over").to_string(),
        "Maximum number of volumes allowed (1) exceeded for quota 'volumes'."
    );
    store.create_volume(&new_volume("v3", "y", None), &limits()).await.expect("another project");
    fixture.snapshot("s1", "v1").await;
    let over = store.create_snapshot(&of("x"), &new_snapshot("s2", "v1"), &limits()).await;
    assert_eq!(
        over.expect_err("over").to_string(),
        "Maximum number of snapshots allowed (1) exceeded"
    );
    assert_eq!(fixture.value("SELECT count(*) FROM volumes").await, "2");
}

#[tokio::test]
async fn metadata_of_volumes_and_snapshots_is_set_text_by_text_or_as_a_whole() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.volume("v", "x", None).await;
    fixture.snapshot("s", "v").await;
    let texts = |texts: &[(&str, &str)]| {
        texts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    for of_what in [Described::Volume("v".into()), Described::Snapshot("s".into())] {
        let set = async |scope, given: &[(&str, &str)], rest_goes| {
            store.set_metadata(&scope, &of_what, &texts(given), rest_goes).await
        };
        set(of("y"), &[("a", "0")], false).await.expect_err("foreign");
        set(of("x"), &[("a", "1"), ("b", "1")], false).await.expect("set");
        let all = set(of("x"), &[("b", "2")], false).await.expect("set");
        assert_eq!(all, texts(&[("a", "1"), ("b", "2")]), "{of_what:?}");
        set(of("x"), &[("c", "3"), ("d", "4")], true).await.expect("set");
        store.delete_metadatum(&of("y"), &of_what, "c").await.expect_err("foreign");
        for there in [true, false] {
            let gone = store.delete_metadatum(&of("x"), &of_what, "c").await.expect("asked for");
            assert_eq!(gone, there);
        }
        let left = store.metadata(&of_what).await.expect("read");
        assert_eq!(left, texts(&[("d", "4")]), "{of_what:?}");
    }
    store.set_volume_status(&Scope::All, &"v".into(), "maintenance").await.expect("set");
    let busy = Described::Volume("v".into());
    store.set_metadata(&of("x"), &busy, &texts(&[]), true).await.expect_err("busy");
    store.delete_metadatum(&of("x"), &busy, "d").await.expect_err("busy");
}

#[tokio::test]
async fn a_volume_goes_with_its_snapshots_if_all_of_them_may_go() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.volume("v", "x", None).await;
    for snapshot in ["s", "t"] {
        fixture.snapshot(snapshot, "v").await;
    }
    store.set_snapshot_status(&Scope::All, &"t".into(), "creating").await.expect("set");
    let cascade =
        async |scope| store.delete_volume_and_snapshots(&scope, &"v".into(), &limits()).await;
    let refused = cascade(of("x")).await.expect_err("one is being made");
    assert!(matches!(refused, BlockStorageError::InvalidStatus(_)), "{refused}");
    assert_eq!(store.snapshots(&of("x")).await.expect("listed").len(), 2);
    store.set_snapshot_status(&Scope::All, &"t".into(), "error").await.expect("set");
    cascade(of("y")).await.expect_err("foreign");
    cascade(of("x")).await.expect("deleted");
    assert!(store.snapshots(&Scope::All).await.expect("listed").is_empty());
    assert_eq!(fixture.value("SELECT sum(in_use) FROM quota_usages").await, "0");
}

#[tokio::test]
async fn a_volume_grows_within_its_quota_and_never_shrinks() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let made = new_volume("v", "x", None);
    store.create_volume(&made, &limits()).await.expect("made");
    let limits = QuotaLimits { gigabytes: made.size_gb + 2, ..limits() };
    let extend = async |scope, gained_gb| {
        store.extend_volume(&scope, &made.id, made.size_gb + gained_gb, &limits).await
    };
    fixture.sql("DELETE FROM quota_classes").await;
    for (scope, gained_gb) in [(of("x"), 0), (of("x"), -1), (of("x"), 3), (of("y"), 1)] {
        extend(scope, gained_gb).await.expect_err("refused");
    }
    extend(of("x"), 2).await.expect("extended");
    let shown = store.volume(&of("x"), &made.id).await.expect("read").expect("there");
    assert_eq!(shown.size_gb, made.size_gb + 2);
    let used = "SELECT in_use FROM quota_usages WHERE resource = 'gigabytes'";
    assert_eq!(fixture.value(used).await, shown.size_gb.to_string());
    store.set_volume_status(&Scope::All, &made.id, "in-use").await.expect("set");
    store.extend_volume(&of("x"), &made.id, 99, &QuotaLimits::default()).await.expect_err("in use");
}

#[tokio::test]
async fn a_volume_becomes_of_another_type_that_does_not_encrypt() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let plain = VolumeType {
        id: "t-plain".to_owned(),
        name: "plain".to_owned(),
        encryption: None,
        ..luks()
    };
    for volume_type in [&plain, &luks()] {
        store.create_volume_type(volume_type).await.expect("made");
    }
    let made = new_volume("v", "x", None);
    store.create_volume(&made, &limits()).await.expect("made");
    let retype = async |scope, to| store.retype_volume(&scope, &made.id, to, &limits()).await;
    retype(of("y"), "t-plain").await.expect_err("foreign");
    retype(of("x"), "t-luks").await.expect_err("encrypts");
    retype(of("x"), "t-plain").await.expect("changed");
    retype(of("x"), "t-plain").await.expect_err("is of that type");
    let shown = store.volume(&of("x"), &made.id).await.expect("read").expect("there");
    assert_eq!(shown.volume_type_id.as_deref(), Some("t-plain"));
    let used = "SELECT in_use FROM quota_usages WHERE resource = 'volumes_plain'";
    assert_eq!(fixture.value(used).await, "1");
    assert_eq!(fixture.value(&used.replace("_plain", "")).await, "1");
}

#[tokio::test]
async fn a_snapshot_is_renamed_within_its_project() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.volume("v", "x", None).await;
    fixture.snapshot("s", "v").await;
    let rename = async |scope, name, description| {
        store.update_snapshot(&scope, &"s".into(), name, description).await
    };
    rename(of("y"), Some("foreign"), None).await.expect_err("foreign");
    rename(of("x"), Some("renamed"), None).await.expect("renamed");
    let changed = rename(of("x"), None, Some("described")).await.expect("described");
    assert_eq!(changed.name.as_deref(), Some("renamed"));
    assert_eq!(changed.description.as_deref(), Some("described"));
}
