//! The scene: project x owns volume v with snapshots a and b. Volume and a share key k1, b has k2.
//! x offers the volume (keys s1 and s2, at the service), y accepts (r1 and r2) or x cancels (c1
//! and c2); z is anybody else. No invariant is broken in any of its stages; drains only while y
//! accepts.

use std::collections::BTreeMap;
use transfer_core::Operation::{Accept, Cancel};
use transfer_core::invariants::Told::{Done, Refused};
use transfer_core::invariants::{
    Answer, Material, OfferFate, OfferView, Row, RowId, SecretView, Told, VolumeView,
};
use transfer_core::{
    Authority, Debt, Event, Garbage, HandOver, History, Operation, Parties, SecretId, World,
};

/// A world and what its watcher saw.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) history: History,
}

impl Scene {
    /// Volume v in `owner`'s project, its two keys `keys` in `custodian`'s.
    fn new(owner: &str, custodian: &str, keys: [&str; 2]) -> Self {
        let [k1, k2] = keys;
        let mut scene = Self {
            world: World {
                service: "service".into(),
                volumes: vec![VolumeView {
                    row: row(RowId::Volume("v".into()), owner, Some(k1)),
                    status: "available".to_owned(),
                    type_name: Some("luks".to_owned()),
                    snapshots: vec![
                        row(RowId::Snapshot("a".into()), owner, Some(k1)),
                        row(RowId::Snapshot("b".into()), owner, Some(k2)),
                    ],
                }],
                secrets: BTreeMap::new(),
                offers: Vec::new(),
                hand_overs: Vec::new(),
                debts: Vec::new(),
                usages: BTreeMap::new(),
            },
            history: History::default(),
        };
        scene.secret(k1, custodian, Some("first"));
        scene.secret(k2, custodian, Some("second"));
        for project in ["x", "y"] {
            let of_owner = |amount| if project == owner { amount } else { 0 };
            for (resource, amount) in [("volumes", 1), ("snapshots", 2), ("gigabytes", 30)] {
                scene.usage(project, resource, of_owner(amount), 0);
                scene.usage(project, &format!("{resource}_luks"), of_owner(amount), 0);
            }
        }
        scene
    }

    /// Before any offer.
    pub(crate) fn owned() -> Self {
        let mut scene = Self::new("x", "x", ["k1", "k2"]);
        scene.history.observe(&scene.world);
        scene
    }

    /// While the offer is open.
    pub(crate) fn offered() -> Self {
        Self::later("x", "service", ["s1", "s2"], OfferFate::Open)
    }

    /// After y accepted; z tried with a wrong auth key, x to cancel too late.
    pub(crate) fn accepted() -> Self {
        let mut scene = Self::later("y", "y", ["r1", "r2"], OfferFate::Accepted("y".into()));
        scene.history.showed_auth_key(&scene.world, &"v".into(), &"y".into());
        scene.answer(Accept, "z", Refused);
        scene.answer(Accept, "y", Done);
        scene.answer(Cancel, "x", Refused);
        scene
    }

    /// After x cancelled; y had the auth key and came too late.
    pub(crate) fn cancelled() -> Self {
        let mut scene = Self::later("x", "x", ["c1", "c2"], OfferFate::Cancelled);
        scene.history.showed_auth_key(&scene.world, &"v".into(), &"y".into());
        scene.answer(Cancel, "x", Done);
        scene.answer(Accept, "y", Refused);
        scene
    }

    /// While y accepts: claimed, reserved, and one key copied.
    pub(crate) fn accepting() -> Self {
        let mut scene = Self::offered();
        scene.history.showed_auth_key(&scene.world, &"v".into(), &"y".into());
        let shell = Event::ShellCreated { old: "s1".into(), shell: "r1".into() };
        scene.hand_over(&[shell, Event::Filled { old: "s1".into() }]);
        scene.secret("r1", "y", Some("first"));
        scene.usage("y", "gigabytes", 0, 30);
        scene
    }

    fn later(owner: &str, custodian: &str, keys: [&str; 2], fate: OfferFate) -> Self {
        let mut scene =
            Self { history: Self::owned().history, ..Self::new(owner, custodian, keys) };
        scene.world.offers.push(OfferView { id: "t".into(), volume: "v".into(), fate });
        scene
    }

    /// y's acceptance, driven by these events.
    pub(crate) fn hand_over(&mut self, events: &[Event]) {
        let parties = Parties { donor: "x".into(), caller: "y".into(), user: "u".into() };
        let keys = ["s1", "s2"].map(SecretId::from);
        let mut hand_over =
            HandOver::claim("h".into(), Accept, "v".into(), "t".into(), parties, keys);
        for event in events {
            hand_over.apply(event.clone()).expect("a legal sequence");
        }
        self.world.debts.extend(hand_over.debts());
        self.world.hand_overs.push(hand_over);
    }

    pub(crate) fn secret(&mut self, id: &str, owner: &str, material: Option<&str>) {
        let material = material.map(|material| Material(material.to_owned()));
        self.world.secrets.insert(id.into(), SecretView { owner: owner.into(), material });
    }

    pub(crate) fn debt(&mut self, authority: Authority, garbage: Garbage) {
        self.world.debts.push(Debt { hand_over: "h".into(), authority, garbage });
    }

    pub(crate) fn usage(&mut self, project: &str, resource: &str, in_use: i64, reserved: i64) {
        self.world.usages.insert((project.into(), resource.to_owned()), (in_use, reserved));
    }

    pub(crate) fn answer(&mut self, operation: Operation, caller: &str, told: Told) {
        let (offer, caller) = ("t".into(), caller.into());
        self.history.answers.push(Answer { offer, operation, caller, told });
    }

    pub(crate) fn volume(&mut self) -> &mut Row {
        &mut self.world.volumes[0].row
    }

    pub(crate) fn snapshot(&mut self, index: usize) -> &mut Row {
        &mut self.world.volumes[0].snapshots[index]
    }
}

pub(crate) fn row(id: RowId, project: &str, key: Option<&str>) -> Row {
    Row { id, project: project.into(), key: key.map(Into::into), size_gb: 10, uses_quota: true }
}

pub(crate) fn project(id: &str) -> Authority {
    Authority::Project(id.into())
}
