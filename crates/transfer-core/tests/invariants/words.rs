//! What people read of the core: names, refusals, debts, and the words of broken invariants.

use crate::scene::{Scene, project, row};
use std::collections::BTreeSet;
use transfer_core::invariants::{RowId, check};
use transfer_core::{
    Authority, Debt, FIXED_KEY_ID, Garbage, Invariant, Operation, Refusal, SecretId,
};

#[test]
fn things_are_called_what_reports_call_them() {
    let refusal = Refusal { status: 403, message: "not yours".to_owned() };
    let debt = |garbage| Debt { hand_over: "h".into(), authority: project("x"), garbage };
    let secret = debt(Garbage::Secret("k1".into()));
    let shells = debt(Garbage::Shells { name: "volume-transfer-h".to_owned() });
    for (said, expected) in [
        (Operation::Initiate.to_string(), "initiate"),
        (Operation::Accept.to_string(), "accept"),
        (Operation::Cancel.to_string(), "cancel"),
        (Authority::Service.to_string(), "the service"),
        (project("x").to_string(), "project x"),
        (refusal.to_string(), "403: not yours"),
        (secret.id().as_str().to_owned(), "secret:k1"),
        (shells.id().as_str().to_owned(), "shells:volume-transfer-h"),
    ] {
        assert_eq!(said, expected);
    }
}

#[test]
fn every_invariant_has_a_name_of_its_own() {
    let names: BTreeSet<_> = Invariant::ALL.into_iter().map(Invariant::name).collect();
    assert_eq!(names.len(), Invariant::ALL.len());
    assert!(names.contains("custodian_owns_key"), "{names:?}");
}

#[test]
fn the_fixed_key_is_the_one_of_zeros() {
    assert!(SecretId::from(FIXED_KEY_ID).is_fixed_key());
    assert!(!SecretId::from("00000000-0000-0000-0000-000000000001").is_fixed_key());
}

#[test]
fn a_broken_invariant_says_what_is_wrong_and_where() {
    let mut gone = Scene::accepted();
    gone.world.secrets.remove(&SecretId::from("r2"));
    let mut apart = Scene::accepted();
    apart.secret("r3", "y", Some("first"));
    apart.snapshot(0).key = Some("r3".into());
    let mut together = Scene::accepted();
    together.world.secrets.remove(&SecretId::from("r2"));
    together.world.volumes[0].snapshots[1] = row(RowId::Snapshot("b".into()), "y", Some("r1"));
    let mut foreign = Scene::offered();
    foreign.secret("s1", "x", Some("first"));
    for (scene, first) in [
        (gone, "referenced_key_is_live: snapshot b names secret r2, which does not exist"),
        (apart, "rows_agree: volume v and snapshot a no longer share a key"),
        (together, "rows_agree: volume v and snapshot b now share a key"),
        (
            foreign,
            "custodian_owns_key: secret s1 of volume v belongs to project x, its custodian is \
             service",
        ),
    ] {
        let broken = check(&scene.world, &scene.history);
        assert_eq!(broken[0].to_string(), first);
    }
}
