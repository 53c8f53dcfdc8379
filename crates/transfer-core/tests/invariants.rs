//! Every invariant can fail, and none fails without cause: planted violations and odd worlds.

#[path = "invariants/scene.rs"]
mod scene;
#[path = "invariants/words.rs"]
mod words;

use Invariant::{
    CustodianOwnsKey, Drains, KeyBytesPreserved, NoStrayKeyMaterial, NoUnauthorisedCopy,
    OneOutcome, QuotaConserved, ReferencedKeyIsLive, RowsAgree,
};
use Operation::Accept;
use Told::{Done, Nothing, Refused};
use scene::{Scene, project, row};
use std::collections::BTreeSet;
use transfer_core::invariants::{
    OfferFate, OfferView, RowId, Told, VolumeView, check, check_at_rest,
};
use transfer_core::{Authority, Event, Garbage, Invariant, Operation, SecretId, Step};

/// A planted violation: what, where it starts from, how, and every invariant that it breaks.
type Plant = (&'static str, fn() -> Scene, fn(&mut Scene), &'static [Invariant]);

/// An odd but sound world: what, where it starts from, and how.
type Odd = (&'static str, fn() -> Scene, fn(&mut Scene));

const KEY_PLANTS: &[Plant] = &[
    (
        "the new secret is gone",
        Scene::accepted,
        |s| drop(s.world.secrets.remove(&SecretId::from("r1"))),
        &[ReferencedKeyIsLive],
    ),
    (
        "a snapshot names an empty shell",
        Scene::accepted,
        |s| s.secret("r2", "y", None),
        &[ReferencedKeyIsLive],
    ),
    (
        "the old secret is deleted while the offer's rows name it",
        Scene::offered,
        |s| s.world.secrets.clear(),
        &[ReferencedKeyIsLive],
    ),
    (
        "a snapshot got a copy of its own",
        Scene::accepted,
        |s| {
            s.secret("r3", "y", Some("first"));
            s.snapshot(0).key = Some("r3".into());
        },
        &[RowsAgree],
    ),
    (
        "a snapshot was not repointed",
        Scene::accepted,
        |s| {
            s.secret("s1", "service", Some("first"));
            s.snapshot(0).key = Some("s1".into());
        },
        &[RowsAgree, CustodianOwnsKey],
    ),
    (
        "two keys were merged",
        Scene::accepted,
        |s| s.snapshot(1).key = Some("r1".into()),
        &[RowsAgree, NoStrayKeyMaterial, KeyBytesPreserved],
    ),
    (
        "an encrypted snapshot stayed with the donor",
        Scene::accepted,
        |s| s.snapshot(1).project = "x".into(),
        &[RowsAgree, QuotaConserved],
    ),
    (
        "the recipient's volume names the donor's secret",
        Scene::accepted,
        |s| s.secret("r1", "x", Some("first")),
        &[CustodianOwnsKey],
    ),
    (
        "the donor keeps the key while the offer is open",
        Scene::offered,
        |s| s.secret("s2", "x", Some("second")),
        &[CustodianOwnsKey],
    ),
    (
        "the service keeps the key after the offer was cancelled",
        Scene::cancelled,
        |s| s.secret("c1", "service", Some("first")),
        &[CustodianOwnsKey],
    ),
    (
        "an administrator of z cancelled and z got the key",
        Scene::cancelled,
        |s| s.secret("c1", "z", Some("first")),
        &[CustodianOwnsKey, NoUnauthorisedCopy],
    ),
    (
        "the service's copy was forgotten after the acceptance",
        Scene::accepted,
        |s| s.secret("s1", "service", Some("first")),
        &[NoStrayKeyMaterial],
    ),
    (
        "the donor's old secret was forgotten after the offer",
        Scene::offered,
        |s| s.secret("k2", "x", Some("second")),
        &[NoStrayKeyMaterial],
    ),
    (
        "a filled shell is owed by its name only, which a sweep spares",
        Scene::cancelled,
        |s| {
            s.secret("r1", "y", Some("first"));
            s.debt(project("y"), Garbage::Shells { name: "volume-transfer-h".to_owned() });
        },
        &[NoStrayKeyMaterial],
    ),
    (
        "a hand-over that has ended no longer vouches for its shell",
        Scene::accepting,
        |s| {
            s.world.hand_overs[0].apply(Event::GaveUp).expect("gave up");
            s.world.hand_overs[0].apply(Event::Aborted).expect("aborted");
            s.usage("y", "gigabytes", 0, 0);
        },
        &[NoStrayKeyMaterial],
    ),
    (
        "the copy is not the key",
        Scene::accepted,
        |s| s.secret("r2", "y", Some("second, cut short")),
        &[KeyBytesPreserved],
    ),
    (
        "the copies were swapped",
        Scene::accepted,
        |s| {
            s.secret("r1", "y", Some("second"));
            s.secret("r2", "y", Some("first"));
        },
        &[KeyBytesPreserved],
    ),
    (
        "a snapshot lost its key id",
        Scene::accepted,
        |s| s.snapshot(0).key = None,
        &[KeyBytesPreserved],
    ),
    ("the volume lost its key id", Scene::offered, |s| s.volume().key = None, &[KeyBytesPreserved]),
    (
        "z holds a copy, if only as a debt",
        Scene::accepted,
        |s| {
            s.secret("r9", "z", Some("second"));
            s.debt(project("z"), Garbage::Secret("r9".into()));
        },
        &[NoUnauthorisedCopy],
    ),
    (
        "y got the key without showing the auth key",
        Scene::accepted,
        |s| s.history.entitled = Scene::owned().history.entitled,
        &[NoUnauthorisedCopy],
    ),
];

const OUTCOME_PLANTS: &[Plant] = &[
    ("two accepts were told done", Scene::accepted, |s| s.answer(Accept, "z", Done), &[OneOutcome]),
    (
        "the same accept was told done twice",
        Scene::accepted,
        |s| s.answer(Accept, "y", Done),
        &[OneOutcome],
    ),
    (
        "an accept and a cancel were told done",
        Scene::cancelled,
        |s| s.answer(Accept, "y", Done),
        &[OneOutcome],
    ),
    (
        "an accept was told done and the offer is open",
        Scene::offered,
        |s| s.answer(Accept, "y", Done),
        &[OneOutcome],
    ),
    (
        "an accept was told that nothing changed, and it did",
        Scene::accepted,
        |s| s.history.answers[1].told = Refused,
        &[OneOutcome],
    ),
    (
        "a cancel was told that nothing changed, and it did",
        Scene::cancelled,
        |s| s.history.answers[0].told = Refused,
        &[OneOutcome],
    ),
    (
        "the donor is still charged",
        Scene::accepted,
        |s| s.usage("x", "gigabytes", 30, 0),
        &[QuotaConserved],
    ),
    (
        "the recipient is charged twice",
        Scene::accepted,
        |s| s.usage("y", "volumes", 2, 0),
        &[QuotaConserved],
    ),
    (
        "the quota of the volume's type was forgotten",
        Scene::accepted,
        |s| s.usage("y", "snapshots_luks", 0, 0),
        &[QuotaConserved],
    ),
    (
        "a reservation outlives its hand-over",
        Scene::cancelled,
        |s| s.usage("y", "volumes", 0, 1),
        &[QuotaConserved],
    ),
    ("a claim is never given back", Scene::offered, |s| s.hand_over(&[]), &[Drains]),
    (
        "a debt that the service could pay is not paid",
        Scene::accepted,
        |s| {
            s.secret("s1", "service", Some("first"));
            s.debt(Authority::Service, Garbage::Secret("s1".into()));
        },
        &[Drains],
    ),
];

fn plants() -> impl Iterator<Item = &'static Plant> {
    KEY_PLANTS.iter().chain(OUTCOME_PLANTS)
}

#[test]
fn each_planted_violation_breaks_exactly_the_invariants_it_should() {
    for (what, base, plant, expected) in plants() {
        let mut scene = base();
        plant(&mut scene);
        let found = check_at_rest(&scene.world, &scene.history);
        let broken: BTreeSet<&str> = found.iter().map(|v| v.invariant.name()).collect();
        let names: BTreeSet<&str> = expected.iter().map(|i| i.name()).collect();
        assert_eq!(broken, names, "{what}: {found:#?}");
        let moving = found.into_iter().filter(|v| v.invariant != Drains).collect::<Vec<_>>();
        assert_eq!(check(&scene.world, &scene.history), moving, "{what}, while it may still move");
    }
}

#[test]
fn every_invariant_is_broken_alone_by_some_plant() {
    for invariant in Invariant::ALL {
        let alone = plants().any(|(.., broken)| *broken == [invariant]);
        assert!(alone, "no plant breaks {} and nothing else", invariant.name());
    }
}

#[test]
fn worlds_at_rest_hold_however_odd_they_look() {
    let odd: &[Odd] = &[
        ("no offer yet", Scene::owned, |_| {}),
        ("an open offer with the keys at the service", Scene::offered, |_| {}),
        ("an accepted offer", Scene::accepted, |_| {}),
        ("a cancelled offer", Scene::cancelled, |_| {}),
        ("an empty shell that nothing names", Scene::accepted, |s| s.secret("r9", "z", None)),
        ("the donor's old secrets as debts", Scene::offered, |s| {
            for (id, material) in [("k1", "first"), ("k2", "second")] {
                s.secret(id, "x", Some(material));
                s.debt(project("x"), Garbage::Secret(id.into()));
            }
        }),
        ("an aborted acceptance with its filled shell as a debt", Scene::offered, |s| {
            let shell = Event::ShellCreated { old: "s1".into(), shell: "r1".into() };
            let doubt = Event::Unknown { step: Step::CreateShell };
            let filled = Event::Filled { old: "s1".into() };
            s.history.showed_auth_key(&s.world, &"v".into(), &"y".into());
            s.secret("r1", "y", Some("first"));
            s.hand_over(&[shell, filled, doubt, Event::GaveUp, Event::Aborted]);
            assert_eq!(s.world.debts.len(), 2, "the shell, and a sweep for the one in doubt");
        }),
        ("other people's secrets", Scene::accepted, |s| {
            s.secret("o1", "z", Some("another"));
            s.secret("o2", "service", Some("yet another"));
        }),
        ("a plain volume whose snapshots stayed with the donor", Scene::accepted, |s| {
            let mut snapshot = row(RowId::Snapshot("p1".into()), "x", None);
            snapshot.uses_quota = false;
            let volume = row(RowId::Volume("p".into()), "y", None);
            let (status, type_name) = ("available".to_owned(), None);
            let snapshots = vec![snapshot, row(RowId::Snapshot("p2".into()), "x", None)];
            s.world.volumes.push(VolumeView { row: volume, status, type_name, snapshots });
            s.usage("y", "volumes", 2, 0);
            s.usage("y", "gigabytes", 40, 0);
            s.usage("x", "snapshots", 1, 0);
            s.usage("x", "gigabytes", 10, 0);
        }),
        ("a snapshot was deleted since", Scene::accepted, |s| {
            s.world.volumes[0].snapshots.pop();
            s.world.secrets.remove(&SecretId::from("r2"));
            for resource in ["snapshots", "snapshots_luks"] {
                s.usage("y", resource, 1, 0);
                s.usage("y", &resource.replace("snapshots", "gigabytes"), 20, 0);
            }
        }),
        ("no usage row was ever made", Scene::accepted, |s| s.world.usages.clear()),
        ("a retry was refused because the first had won", Scene::accepted, |s| {
            s.answer(Accept, "y", Refused);
        }),
        ("the winner's answer was lost", Scene::accepted, |s| {
            s.history.answers[1].told = Nothing;
            s.answer(Accept, "y", Refused);
        }),
        ("y offers on what it accepted", Scene::accepted, |s| {
            s.secret("r1", "service", Some("first"));
            s.secret("r2", "service", Some("second"));
            let fate = OfferFate::Open;
            s.world.offers.push(OfferView { id: "t2".into(), volume: "v".into(), fate });
        }),
    ];
    for (what, base, turn) in odd {
        let mut scene = base();
        turn(&mut scene);
        assert_eq!(check_at_rest(&scene.world, &scene.history), [], "{what}");
    }
}

/// What a watcher is told only after the fact.
#[test]
fn a_watcher_takes_nothing_new_for_a_break() {
    let odd: &[Odd] = &[
        ("a snapshot is made of a volume whose key has been copied", Scene::accepted, |s| {
            s.world.volumes[0].snapshots.push(row(RowId::Snapshot("c".into()), "y", Some("r1")));
            s.usage("y", "snapshots", 3, 0);
            s.usage("y", "snapshots_luks", 3, 0);
            s.usage("y", "gigabytes", 40, 0);
            s.usage("y", "gigabytes_luks", 40, 0);
            let world = s.world.clone();
            s.history.observe(&world);
            // what x still owed a deletion of
            s.secret("k1", "x", Some("first"));
            s.debt(project("x"), Garbage::Secret("k1".into()));
        }),
        ("a snapshot is gone when the auth key of its volume is shown", Scene::offered, |s| {
            s.world.volumes[0].snapshots.remove(0);
            s.usage("x", "snapshots", 1, 0);
            s.usage("x", "snapshots_luks", 1, 0);
            s.usage("x", "gigabytes", 20, 0);
            s.usage("x", "gigabytes_luks", 20, 0);
            let world = s.world.clone();
            s.history.showed_auth_key(&world, &"v".into(), &"z".into());
            s.secret("q1", "z", Some("first"));
            s.debt(project("z"), Garbage::Secret("q1".into()));
        }),
        ("a cancel of a stranger is refused, and the owner's is done", Scene::cancelled, |s| {
            s.answer(Operation::Cancel, "z", Refused);
        }),
    ];
    for (what, from, plant) in odd {
        let mut scene = from();
        plant(&mut scene);
        assert_eq!(check_at_rest(&scene.world, &scene.history), [], "{what}");
    }
}

#[test]
fn a_world_that_moves_breaks_nothing_but_does_not_drain() {
    let Scene { world, history } = Scene::accepting();
    assert_eq!(check(&world, &history), []);
    let broken = check_at_rest(&world, &history).into_iter().map(|v| v.invariant);
    assert_eq!(broken.collect::<Vec<_>>(), [Drains]);
}
