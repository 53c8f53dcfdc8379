//! Where the rows differ from what the reference says.

use crate::life::{snapshot_id, volume_id};
use crate::machine::Machine;
use crate::operation::Person;
use crate::reference::{Fate, Reference, Volume};
use std::collections::BTreeSet;
use transfer_core::invariants::{OfferFate, RowId, VolumeView};
use transfer_core::{ProjectId, TransferId, World};

pub(crate) fn differences(machine: &Machine, reference: &Reference, world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for (number, expected) in reference.volumes.iter().enumerate() {
        let view = world.volumes.iter().find(|view| view.id() == Some(&volume_id(number)));
        let expected = expected.live.then(|| Shape::of(machine, expected));
        let view = view.map(Shape::read);
        if view != expected {
            found.push(format!("v{number} is {view:?}, the reference says {expected:?}"));
        }
    }
    let rows = (world.volumes.len(), world.offers.len());
    let live = reference.volumes.iter().filter(|volume| volume.live).count();
    if rows != (live, reference.offers.len()) {
        let expected = (live, reference.offers.len());
        found.push(format!("there are {rows:?} volumes and offers, instead of {expected:?}"));
    }
    for (number, expected) in reference.offers.iter().enumerate() {
        let id = machine.offers.get(number).map(|made| &made.id);
        let view = world.offers.iter().find(|offer| Some(&offer.id) == id);
        let view = view.map(|view| (view.volume.clone(), view.fate.clone()));
        let fate = match expected.fate {
            Fate::Open => OfferFate::Open,
            Fate::Withdrawn => OfferFate::Cancelled,
            Fate::Accepted(by) => OfferFate::Accepted(machine.project(by)),
        };
        let expected = Some((volume_id(expected.volume), fate));
        if view != expected {
            let id = id.map(TransferId::as_str);
            found.push(format!("offer {id:?} is {view:?}, the reference says {expected:?}"));
        }
    }
    for person in Person::ALL {
        let (project, used) = (machine.project(person), reference.used(person));
        for ((owner, resource), usage) in &world.usages {
            let expected = (used.get(resource).copied().unwrap_or(0), 0);
            if *owner == project && *usage != expected {
                let who = person.project();
                found.push(format!("{who} uses {usage:?} {resource} instead of {expected:?}"));
            }
        }
    }
    found
}

/// What of a volume the reference speaks of.
#[derive(PartialEq, Eq, Debug)]
struct Shape {
    project: ProjectId,
    kind: Option<String>,
    status: String,
    is_encrypted: bool,
    snapshots: BTreeSet<(RowId, ProjectId)>,
}

impl Shape {
    fn of(machine: &Machine, volume: &Volume) -> Self {
        let snapshots = volume.snapshots.iter().map(|snapshot| {
            (RowId::Snapshot(snapshot_id(snapshot.number)), machine.project(snapshot.owner))
        });
        Self {
            project: machine.project(volume.owner),
            kind: Some(volume.kind.name().to_owned()),
            status: volume.status.name().to_owned(),
            is_encrypted: volume.custodian.is_some(),
            snapshots: snapshots.collect(),
        }
    }

    fn read(view: &VolumeView) -> Self {
        let snapshots = view.snapshots.iter().map(|row| (row.id.clone(), row.project.clone()));
        Self {
            project: view.row.project.clone(),
            kind: view.type_name.clone(),
            status: view.status.clone(),
            is_encrypted: view.row.key.is_some(),
            snapshots: snapshots.collect(),
        }
    }
}
