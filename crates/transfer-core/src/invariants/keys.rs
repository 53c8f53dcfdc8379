//! Invariants about keys: which secret a row names, who owns it, and which copies exist.

use super::world::{History, Row, RowId, VolumeView, World};
use crate::{Garbage, ProjectId, SecretId};
use std::collections::BTreeSet;

fn name(row: &RowId) -> String {
    match row {
        RowId::Volume(id) => format!("volume {id}"),
        RowId::Snapshot(id) => format!("snapshot {id}"),
    }
}

fn encrypted_rows(world: &World) -> impl Iterator<Item = (&VolumeView, &Row, &SecretId)> {
    world.volumes.iter().flat_map(|volume| {
        volume.rows().filter_map(move |row| row.key.as_ref().map(|key| (volume, row, key)))
    })
}

pub(super) fn referenced_key_is_live(world: &World) -> Vec<String> {
    encrypted_rows(world)
        .filter_map(|(_, row, key)| match world.secrets.get(key) {
            None => Some(format!("{} names secret {key}, which does not exist", name(&row.id))),
            Some(secret) if secret.material.is_none() => {
                Some(format!("{} names secret {key}, which is empty", name(&row.id)))
            }
            Some(_) => None,
        })
        .collect()
}

/// Two rows of a volume share a secret now exactly if they shared one at the start, and encrypted
/// rows share the volume's project.
pub(super) fn rows_agree(world: &World, history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for volume in world.volumes.iter().filter(|volume| volume.row.key.is_some()) {
        let rows: Vec<&Row> = volume.rows().filter(|row| row.key.is_some()).collect();
        for (index, row) in rows.iter().enumerate() {
            if row.project != volume.row.project {
                found.push(format!(
                    "{} is in project {}, its volume in {}",
                    name(&row.id),
                    row.project,
                    volume.row.project
                ));
            }
            for earlier in &rows[..index] {
                let (Some((first, _)), Some((second, _))) =
                    (history.keys.get(&earlier.id), history.keys.get(&row.id))
                else {
                    continue;
                };
                if (first == second) != (row.key == earlier.key) {
                    let verb = if first == second { "no longer share" } else { "now share" };
                    found.push(format!("{} and {} {verb} a key", name(&earlier.id), name(&row.id)));
                }
            }
        }
    }
    found
}

pub(super) fn custodian_owns_key(world: &World) -> Vec<String> {
    encrypted_rows(world)
        .filter_map(|(volume, row, key)| {
            let secret = world.secrets.get(key)?;
            let custodian =
                if world.is_on_offer(volume) { &world.service } else { &volume.row.project };
            (secret.owner != *custodian).then(|| {
                format!(
                    "secret {key} of {} belongs to project {}, its custodian is {custodian}",
                    name(&row.id),
                    secret.owner
                )
            })
        })
        .collect()
}

/// Secrets whose material is not that of any watched row are other people's and do not count.
pub(super) fn no_stray_key_material(world: &World, history: &History) -> Vec<String> {
    let watched: BTreeSet<_> = history.keys.values().map(|(_, material)| material).collect();
    let named = named_secrets(world);
    world
        .secrets
        .iter()
        .filter(|(id, secret)| {
            secret.material.as_ref().is_some_and(|m| watched.contains(m)) && !named.contains(id)
        })
        .map(|(id, secret)| {
            format!("secret {id} in project {} holds a key and nothing names it", secret.owner)
        })
        .collect()
}

fn named_secrets(world: &World) -> BTreeSet<&SecretId> {
    let rows = encrypted_rows(world).map(|(_, _, key)| key);
    let journal = world
        .hand_overs
        .iter()
        .filter(|hand_over| !hand_over.has_ended())
        .flat_map(|hand_over| hand_over.keys())
        .flat_map(|key| std::iter::once(&key.old).chain(&key.shell));
    let debts = world.debts.iter().filter_map(|debt| match &debt.garbage {
        Garbage::Secret(secret) => Some(secret),
        Garbage::Shells { .. } => None,
    });
    rows.chain(journal).chain(debts).collect()
}

/// A row that had a key at the start still names one, with the same bytes and attributes in it.
pub(super) fn key_bytes_preserved(world: &World, history: &History) -> Vec<String> {
    let rows = world.volumes.iter().flat_map(VolumeView::rows);
    rows.filter_map(|row| {
        let (_, original) = history.keys.get(&row.id)?;
        let Some(key) = &row.key else {
            return Some(format!("{} had a key at the start and names none", name(&row.id)));
        };
        let found = world.secrets.get(key)?.material.as_ref()?;
        (found != original)
            .then(|| format!("secret {key} of {} differs from the key at the start", name(&row.id)))
    })
    .collect()
}

pub(super) fn no_unauthorised_copy(world: &World, history: &History) -> Vec<String> {
    let mut found = Vec::new();
    for (row, (_, material)) in &history.keys {
        let entitled = |owner: &ProjectId| {
            *owner == world.service
                || history.entitled.get(row).is_some_and(|projects| projects.contains(owner))
        };
        for (id, secret) in &world.secrets {
            if secret.material.as_ref() == Some(material) && !entitled(&secret.owner) {
                found.push(format!(
                    "project {} holds secret {id}, a copy of the key of {}, without a right to it",
                    secret.owner,
                    name(row)
                ));
            }
        }
    }
    found
}
