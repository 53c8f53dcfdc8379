//! What a checker sees: the world as it stands, and the history that it watched from outside.

use crate::{Debt, HandOver, Operation, ProjectId, SecretId, SnapshotId, TransferId, VolumeId};
use std::collections::{BTreeMap, BTreeSet};

/// A digest of a secret's bytes and attributes. Equal digests mean equal keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Material(pub String);

/// A row that names a key: a volume or one of its snapshots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RowId {
    /// A volume's row.
    Volume(VolumeId),
    /// A snapshot's row.
    Snapshot(SnapshotId),
}

/// One live row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Row {
    /// Which.
    pub id: RowId,
    /// Its project.
    pub project: ProjectId,
    /// The secret that it names, if it is encrypted.
    pub key: Option<SecretId>,
    /// Its size in GiB, as quotas count it.
    pub size_gb: i64,
    /// Whether quotas count it at all.
    pub uses_quota: bool,
}

/// One live volume with its live snapshots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VolumeView {
    /// The volume's own row.
    pub row: Row,
    /// Its Cinder status.
    pub status: String,
    /// The name of its type, as per-type quotas use it.
    pub type_name: Option<String>,
    /// Its snapshots' rows.
    pub snapshots: Vec<Row>,
}

impl VolumeView {
    /// The volume's row and its snapshots' rows.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        std::iter::once(&self.row).chain(&self.snapshots)
    }

    /// The volume's id.
    pub fn id(&self) -> Option<&VolumeId> {
        match &self.row.id {
            RowId::Volume(id) => Some(id),
            RowId::Snapshot(_) => None,
        }
    }
}

/// One secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SecretView {
    /// The project that owns it.
    pub owner: ProjectId,
    /// What is in it; `None` for an empty shell.
    pub material: Option<Material>,
}

/// How an offer stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum OfferFate {
    /// Anybody with the auth key may accept it.
    Open,
    /// Accepted by this project.
    Accepted(ProjectId),
    /// Taken back.
    Cancelled,
}

/// One offer, open or ended.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OfferView {
    /// The transfer's id.
    pub id: TransferId,
    /// The volume on offer.
    pub volume: VolumeId,
    /// How it stands.
    pub fate: OfferFate,
}

/// Rows, secrets, hand-overs and debts at one moment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct World {
    /// The block-storage service's own project.
    pub service: ProjectId,
    /// Live volumes.
    pub volumes: Vec<VolumeView>,
    /// Existing secrets.
    pub secrets: BTreeMap<SecretId, SecretView>,
    /// Offers, open and ended.
    pub offers: Vec<OfferView>,
    /// The journal.
    pub hand_overs: Vec<HandOver>,
    /// Debts on record.
    pub debts: Vec<Debt>,
    /// `quota_usages`: (in use, reserved) by project and resource.
    pub usages: BTreeMap<(ProjectId, String), (i64, i64)>,
}

impl World {
    /// Whether the volume is on offer.
    pub fn is_on_offer(&self, volume: &VolumeView) -> bool {
        volume.id().is_some_and(|id| {
            self.offers.iter().any(|offer| offer.volume == *id && offer.fate == OfferFate::Open)
        })
    }
}

/// What a caller was told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Told {
    /// Success.
    Done,
    /// An error that promises that nothing has changed.
    Refused,
    /// Nothing, or an error that promises nothing.
    Nothing,
}

/// One answer to an accept or a cancel.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Answer {
    /// The offer.
    pub offer: TransferId,
    /// Accept or cancel.
    pub operation: Operation,
    /// The caller's project.
    pub caller: ProjectId,
    /// What it was told.
    pub told: Told,
}

/// What a watcher saw from outside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct History {
    /// What each encrypted row named at the start, and what was in it.
    pub keys: BTreeMap<RowId, (SecretId, Material)>,
    /// The projects that may hold a copy of a row's key: its owner at the start, and each project
    /// that showed the auth key of an offer of it.
    pub entitled: BTreeMap<RowId, BTreeSet<ProjectId>>,
    /// What callers were told.
    pub answers: Vec<Answer>,
}

impl History {
    /// Adds the rows that the watcher sees for the first time. Rows that it knows keep their past,
    /// and a new row that shares its key with one of them shares that past: a snapshot gets the key
    /// of its volume, whoever had that key before.
    pub fn observe(&mut self, world: &World) {
        for volume in &world.volumes {
            for row in volume.rows().filter(|row| row.key.is_some()) {
                if self.keys.contains_key(&row.id) {
                    continue;
                }
                let alike = volume.rows().filter(|other| other.key == row.key);
                let known = alike.map(|other| &other.id).find(|id| self.keys.contains_key(id));
                let past = known.map(|id| (self.keys[id].clone(), self.entitled.get(id).cloned()));
                let (key, entitled) = match past {
                    Some((key, entitled)) => (Some(key), entitled.unwrap_or_default()),
                    None => (first_seen(world, row), BTreeSet::from([row.project.clone()])),
                };
                if let Some(key) = key {
                    self.keys.insert(row.id.clone(), key);
                    self.entitled.entry(row.id.clone()).or_default().extend(entitled);
                }
            }
        }
    }

    /// Records that a project showed the auth key of an offer of this volume: it may have a copy of
    /// the keys of its rows, whichever other rows have, or had, the same ones.
    pub fn showed_auth_key(&mut self, world: &World, volume: &VolumeId, project: &ProjectId) {
        let rows = world.volumes.iter().filter(|view| view.id() == Some(volume));
        let materials: BTreeSet<Material> = rows
            .flat_map(VolumeView::rows)
            .filter_map(|row| self.keys.get(&row.id).map(|(_, material)| material.clone()))
            .collect();
        for (row, (_, material)) in &self.keys {
            if materials.contains(material) {
                self.entitled.entry(row.clone()).or_default().insert(project.clone());
            }
        }
    }
}

/// What a row names, and what is in it.
fn first_seen(world: &World, row: &Row) -> Option<(SecretId, Material)> {
    let key = row.key.as_ref()?;
    let material = world.secrets.get(key)?.material.clone()?;
    Some((key.clone(), material))
}
