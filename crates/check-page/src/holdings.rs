//! Who owns the keys in a world, and what a step changed about it.
//!
//! Computed from rows, offers and secrets alone; the journal and the debts own nothing.

use std::collections::{BTreeMap, BTreeSet};
use transfer_core::invariants::{Material, RowId, VolumeView, World};
use transfer_core::{ProjectId, SecretId};

/// The custodian of a volume's keys: its project, or the service while it is on offer.
fn custodian<'a>(world: &'a World, volume: &'a VolumeView) -> &'a ProjectId {
    if world.is_on_offer(volume) { &world.service } else { &volume.row.project }
}

/// A secret that exists or that a row names.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Held<'a> {
    /// Whose it is; nobody's if it does not exist.
    pub(crate) owner: Option<&'a ProjectId>,
    /// What is in it.
    pub(crate) material: Option<&'a Material>,
    /// The rows that name it.
    pub(crate) rows: BTreeSet<&'a RowId>,
    /// Whether it exists and is not owned by the custodian of a row that names it.
    pub(crate) astray: bool,
}

/// All keys of a world.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Holdings<'a> {
    /// Every secret that exists or is named.
    pub(crate) secrets: BTreeMap<&'a SecretId, Held<'a>>,
    /// The custodians, and the encrypted volumes whose keys should be theirs.
    pub(crate) custodians: BTreeMap<&'a ProjectId, BTreeSet<&'a RowId>>,
}

impl<'a> Holdings<'a> {
    pub(crate) fn of(world: &'a World) -> Self {
        let mut all = Self::default();
        for (id, secret) in &world.secrets {
            let (owner, material) = (Some(&secret.owner), secret.material.as_ref());
            all.secrets.insert(id, Held { owner, material, ..Held::default() });
        }
        for volume in &world.volumes {
            let custodian = custodian(world, volume);
            for row in volume.rows() {
                let Some(key) = &row.key else { continue };
                let held = all.secrets.entry(key).or_default();
                held.rows.insert(&row.id);
                held.astray |= held.owner.is_some_and(|owner| owner != custodian);
                all.custodians.entry(custodian).or_default().insert(&volume.row.id);
            }
        }
        all
    }
}

/// What a step did to a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// Nothing, as far as the secret itself goes.
    Same,
    /// It came into being.
    New,
    /// It got its payload.
    Filled,
    /// It got a different payload.
    Rewritten,
    /// It was deleted.
    Deleted,
}

impl Change {
    pub(crate) fn between(before: Option<&Held<'_>>, after: Option<&Held<'_>>) -> Self {
        let none = Held::default();
        let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
        match (before.owner, after.owner) {
            (None, None) => Self::Same,
            (None, Some(_)) => Self::New,
            (Some(_), None) => Self::Deleted,
            (Some(_), Some(_)) if before.material == after.material => Self::Same,
            (Some(_), Some(_)) if before.material.is_none() => Self::Filled,
            (Some(_), Some(_)) => Self::Rewritten,
        }
    }

    /// The word that the page has for it.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Same => None,
            Self::New => Some("new"),
            Self::Filled => Some("filled"),
            Self::Rewritten => Some("rewritten"),
            Self::Deleted => Some("deleted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use transfer_core::invariants::{OfferFate, OfferView, Row, RowId, SecretView};

    fn world(offered: bool, owner: &str, material: Option<&str>) -> World {
        let row = Row {
            id: RowId::Volume("volume".into()),
            project: "x".into(),
            key: Some("a".into()),
            size_gb: 1,
            uses_quota: true,
        };
        let status = "available".to_owned();
        let offer = OfferView { id: "t".into(), volume: "volume".into(), fate: OfferFate::Open };
        let secret = SecretView {
            owner: owner.into(),
            material: material.map(|bytes| Material(bytes.to_owned())),
        };
        World {
            service: "s".into(),
            volumes: vec![VolumeView { row, status, type_name: None, snapshots: Vec::new() }],
            secrets: BTreeMap::from([("a".into(), secret)]),
            offers: if offered { vec![offer] } else { Vec::new() },
            hand_overs: Vec::new(),
            debts: Vec::new(),
            usages: BTreeMap::new(),
        }
    }

    #[test]
    fn the_service_is_custodian_while_an_offer_is_open() {
        for (offered, owner, expected, astray) in
            [(false, "x", "x", false), (true, "x", "s", true), (true, "s", "s", false)]
        {
            let world = world(offered, owner, Some("k"));
            let holdings = Holdings::of(&world);
            let custodians: Vec<_> = holdings.custodians.keys().map(|id| id.as_str()).collect();
            assert_eq!(custodians, [expected]);
            assert_eq!(holdings.secrets[&SecretId::from("a")].astray, astray);
        }
    }

    #[test]
    fn a_change_of_a_secret_has_its_word() {
        let mut gone = world(false, "x", None);
        gone.secrets.clear();
        let (empty, full, other) =
            (world(false, "x", None), world(false, "x", Some("k")), world(false, "x", Some("l")));
        for (before, after, expected) in [
            (&gone, &gone, Change::Same),
            (&gone, &empty, Change::New),
            (&empty, &full, Change::Filled),
            (&full, &other, Change::Rewritten),
            (&full, &full, Change::Same),
            (&full, &gone, Change::Deleted),
        ] {
            let (before, after) = (Holdings::of(before), Holdings::of(after));
            let id = SecretId::from("a");
            let change = Change::between(before.secrets.get(&id), after.secrets.get(&id));
            assert_eq!(change, expected);
        }
    }
}
