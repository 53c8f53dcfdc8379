//! The world's own life: volumes, snapshots and quotas come, change and go, time passes, the
//! service restarts; and sabotage.

use crate::machine::Machine;
use crate::operation::{Kind, Life, Operation, Person, Sabotage, Status};
use crate::reference::{Custodian, Volume};
use crate::service::limits;
use cinder_db::{BlockStorageError, NewSnapshot, NewVolume, Scope, VolumeType};
use std::collections::BTreeMap;
use transfer_core::{SecretId, SnapshotId, VolumeId};

pub(crate) fn volume_id(number: usize) -> VolumeId {
    VolumeId::new(format!("11111111-1111-4111-8111-{number:012}"))
}

pub(crate) fn snapshot_id(number: usize) -> SnapshotId {
    SnapshotId::new(format!("22222222-2222-4222-8222-{number:012}"))
}

/// The world in which every history begins: v0 plain with a snapshot, v1 encrypted, v2 encrypted
/// with two snapshots on its key, v3 encrypted with a snapshot on another key, v4 plain; x owns
/// the first three, y the others.
pub(crate) fn begin(machine: &mut Machine) {
    for (kind, is_public) in [(Kind::Fast, true), (Kind::Private, false)] {
        let projects = [Person::X, Person::Y].map(|person| machine.project(person));
        let new = VolumeType {
            id: format!("type-{}", kind.name()),
            name: kind.name().to_owned(),
            description: None,
            is_public,
            extra_specs: BTreeMap::new(),
            projects: if is_public { Vec::new() } else { projects.to_vec() },
            encryption: None,
            created_at: None,
        };
        machine.service.run(machine.service.store.create_volume_type(&new)).unwrap();
    }
    let volume = |by, kind, size_gb, encrypted| Life::MakeVolume { by, kind, size_gb, encrypted };
    let snapshot = |volume, own_key| Life::MakeSnapshot { volume, own_key };
    for life in [
        volume(Person::X, Kind::Default, 2, false),
        volume(Person::X, Kind::Fast, 1, true),
        volume(Person::X, Kind::Private, 1, true),
        volume(Person::Y, Kind::Default, 1, true),
        volume(Person::Y, Kind::Fast, 2, false),
        snapshot(0, false),
        snapshot(2, false),
        snapshot(2, false),
        snapshot(3, true),
        Life::SetQuota { of: Person::Y, resource: "volumes_fast", limit: 1 },
        Life::SetQuota { of: Person::Y, resource: "snapshots", limit: 2 },
    ] {
        let (status, after) = machine.reference.after(&Operation::Live(life));
        assert_eq!((live(machine, life), status), (202, 202), "{life}");
        machine.reference = after;
    }
    machine.look().unwrap();
}

/// Lets something happen; what the block storage's API would answer.
pub(crate) fn live(machine: &mut Machine, life: Life) -> u16 {
    let outcome = match life {
        Life::MakeVolume { by, kind, size_gb, encrypted } => {
            make_volume(machine, by, kind, size_gb, encrypted)
        }
        Life::DeleteVolume { volume } => delete_volume(machine, volume),
        Life::MakeSnapshot { volume, own_key } => make_snapshot(machine, volume, own_key),
        Life::DeleteSnapshot { volume } => delete_snapshot(machine, volume),
        Life::ResetVolume { volume, status } => {
            let store = &machine.service.store;
            let id = volume_id(volume);
            machine.service.run(store.set_volume_status(&Scope::All, &id, status.name()))
        }
        Life::ResetSnapshot { volume, status } => {
            let store = &machine.service.store;
            let id = first_snapshot(machine, volume);
            machine.service.run(store.set_snapshot_status(&Scope::All, &id, status.name()))
        }
        Life::SetQuota { of, resource, limit } => {
            let project = machine.project(of);
            machine.sql(&format!(
                "DELETE FROM quotas WHERE project_id = '{project}' AND resource = '{resource}'; \
                 INSERT INTO quotas (deleted, project_id, resource, hard_limit) \
                 VALUES (0, '{project}', '{resource}', {limit})"
            ));
            Ok(())
        }
        Life::Pass { minutes } => {
            machine.cloud.simulator.clock().advance(time::Duration::minutes(minutes));
            let past = minutes * 60_000;
            machine.sql(&format!(
                "UPDATE volume_transfer_debts SET due_at_ms = due_at_ms - {past}; \
                 UPDATE volume_transfer_hand_overs \
                 SET lease_expires_at_ms = lease_expires_at_ms - {past}"
            ));
            Ok(())
        }
        Life::Restart => {
            machine.restart();
            Ok(())
        }
        Life::Recover => {
            machine.recover();
            Ok(())
        }
        Life::Sabotage(sabotage) => {
            sabotage_rows(machine, sabotage);
            Ok(())
        }
    };
    match outcome {
        Ok(()) => 202,
        Err(
            BlockStorageError::VolumeNotFound(_)
            | BlockStorageError::SnapshotNotFound(_)
            | BlockStorageError::VolumeTypeNotFound(_),
        ) => 404,
        Err(BlockStorageError::InvalidStatus(_)) => 400,
        Err(BlockStorageError::OverQuota(_)) => 413,
        Err(BlockStorageError::Db(error)) => panic!("{error}"),
    }
}

fn make_volume(
    machine: &mut Machine,
    by: Person,
    kind: Kind,
    size_gb: i64,
    encrypted: bool,
) -> Result<(), BlockStorageError> {
    let key = encrypted.then(|| new_key(machine, by));
    let new = NewVolume {
        id: volume_id(machine.reference.volumes.len()),
        project: machine.project(by),
        user: machine.cloud.simulator.user_id(by.user()).unwrap().as_str().into(),
        size_gb,
        status: Status::Available.name().to_owned(),
        name: None,
        description: None,
        volume_type: Some(kind.name().to_owned()),
        key: key.clone(),
        snapshot_id: None,
        source_volume_id: None,
        availability_zone: None,
        metadata: BTreeMap::new(),
    };
    let made = machine.service.run(machine.service.store.create_volume(&new, &limits()));
    if let (Err(_refused), Some(key)) = (&made, &key) {
        machine.delete_secret(key);
    }
    made.map(|_volume| ())
}

fn make_snapshot(
    machine: &mut Machine,
    volume: usize,
    own_key: bool,
) -> Result<(), BlockStorageError> {
    let known = machine.reference.volumes.get(volume).cloned();
    let new = NewSnapshot {
        id: snapshot_id(machine.reference.snapshots_made),
        volume: volume_id(volume),
        user: "somebody".into(),
        status: Status::Available.name().to_owned(),
        name: None,
        description: None,
        force: false,
    };
    let store = &machine.service.store;
    machine.service.run(store.create_snapshot(&Scope::All, &new, &limits()))?;
    if let Some(Volume { owner, custodian: Some(Custodian::Project(_)), .. }) = known
        && own_key
    {
        let key = new_key(machine, owner);
        let id = &new.id;
        machine.sql(&format!("UPDATE snapshots SET encryption_key_id = '{key}' WHERE id = '{id}'"));
    }
    Ok(())
}

fn delete_volume(machine: &Machine, volume: usize) -> Result<(), BlockStorageError> {
    let store = &machine.service.store;
    let id = volume_id(volume);
    let gone = machine.service.run(store.delete_volume(&Scope::All, &id, &limits()))?;
    delete_key(machine, gone.key);
    Ok(())
}

fn delete_snapshot(machine: &Machine, volume: usize) -> Result<(), BlockStorageError> {
    let store = &machine.service.store;
    let id = first_snapshot(machine, volume);
    let gone = machine.service.run(store.delete_snapshot(&Scope::All, &id, &limits()))?;
    delete_key(machine, gone.key);
    Ok(())
}

/// The key of a row that is gone goes, too, unless another row names it.
fn delete_key(machine: &Machine, key: Option<SecretId>) {
    let Some(key) = key else { return };
    let world = machine.world();
    let mut rows = world.volumes.iter().flat_map(|volume| volume.rows());
    if !rows.any(|row| row.key.as_ref() == Some(&key)) {
        machine.delete_secret(&key);
    }
}

/// The id of no snapshot when there is none.
fn first_snapshot(machine: &Machine, volume: usize) -> SnapshotId {
    let volume = machine.reference.volumes.get(volume).filter(|volume| volume.live);
    let first = volume.and_then(|volume| volume.snapshots.first());
    snapshot_id(first.map_or(usize::MAX, |snapshot| snapshot.number))
}

/// A key like no other, in somebody's project.
fn new_key(machine: &mut Machine, by: Person) -> SecretId {
    machine.keys_made += 1;
    let payload = format!("{:0>42}A=", machine.keys_made);
    machine.service.run(async {
        let token = machine.cloud.token(by.user(), by.project()).await;
        machine.cloud.key(&token, &payload).await
    })
}

fn sabotage_rows(machine: &Machine, sabotage: Sabotage) {
    let world = machine.world();
    let key = |volume: usize| world.volumes[volume].row.key.clone().unwrap();
    let (x, y) = (machine.project(Person::X), machine.project(Person::Y));
    let (one, two) = (volume_id(1), volume_id(2));
    let statement = match sabotage {
        Sabotage::SwapKey => {
            let key = key(2);
            format!("UPDATE volumes SET encryption_key_id = '{key}' WHERE id = '{one}'")
        }
        Sabotage::SplitKey => {
            let (key, id) = (key(1), snapshot_id(1));
            format!("UPDATE snapshots SET encryption_key_id = '{key}' WHERE id = '{id}'")
        }
        Sabotage::DeleteKey => return machine.delete_secret(&key(1)),
        Sabotage::Charge => format!(
            "UPDATE quota_usages SET in_use = in_use + 1 \
             WHERE project_id = '{x}' AND resource = 'gigabytes'"
        ),
        Sabotage::Steal => format!("UPDATE volumes SET project_id = '{y}' WHERE id = '{one}'"),
        Sabotage::EndOffer => format!(
            "UPDATE transfers SET deleted = 1, accepted = 1, destination_project_id = '{y}' \
             WHERE volume_id = '{two}'"
        ),
        Sabotage::Break => {
            let plain = volume_id(0);
            format!("UPDATE volumes SET status = 'error' WHERE id = '{plain}'")
        }
    };
    machine.sql(&statement);
}
